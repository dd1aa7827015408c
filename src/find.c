/* find.c - which entries of a segment a filter may find, by the index alone.
 * Level 6: may include levels 0-5.
 * SPDX-License-Identifier: MIT
 */
#include "find.h"

#include "error.h"
#include "fault.h"
#include "text.h"

#include <string.h>

/* One segment and one filter. */
typedef struct search {
    trail__view *view;
    const trail__filter *filter;
    const trail__segment *segment;
    uint32_t span;
    trail_explain *explain;
    trail__set *set; /* the answer so far */
    bool begun;      /* false: nothing was excluded yet */
    bool exact;
    trail_error *err;
} search;

void trail__span_release(trail__span *span)
{
    trail__set_release(&span->set);
    memset(span, 0, sizeof *span);
}

static trail_status no_memory(trail_error *err)
{
    return trail__error(err, TRAIL_NO_MEMORY, "no memory to ask the index");
}

static trail_status add_posting(const search *s, const trail__postings *p,
                                trail__set *set)
{
    trail_status status = trail__posting_add(&p->posting, set);

    if (status == TRAIL_NO_MEMORY) {
        return no_memory(s->err);
    }
    return status == TRAIL_OK
               ? status
               : trail__view_damaged(s->view, "a posting is damaged", s->err);
}

/* Add the entries that have a term, or one that begins with it. */
static trail_status add_term(const search *s, unsigned field, trail_text term,
                             bool prefix, trail__set *set)
{
    trail__postings p;
    trail_status status =
        trail__postings_open(&p, &s->view->txn, s->segment->number, field, term, s->err);

    s->explain->lookups++;
    if (status != TRAIL_OK) {
        return status;
    }
    while ((status = trail__postings_next(&p, s->err)) == TRAIL_OK) {
        if (p.field != field || !trail__text_begins(p.term, term) ||
            (!prefix && p.term.len != term.len)) {
            break;
        }
        status = add_posting(s, &p, set);
        if (status != TRAIL_OK) {
            break;
        }
    }
    trail__postings_close(&p);
    return status == TRAIL_NOT_FOUND ? TRAIL_OK : status;
}

/* The index knows no ids, not every path, and of a very long term only the beginning. */
static bool is_answered(const trail__condition *c, unsigned field, bool *exactly_out)
{
    *exactly_out = field != 0;
    for (size_t v = 0; v < c->count && field != 0; v++) {
        if (c->terms[v].len >= TRAIL__TERM_LEN_MAX) {
            *exactly_out = false;
        }
    }
    return *exactly_out || (field != 0 && !c->negate);
}

static trail_status everything(search *s)
{
    s->begun = true;
    return trail__set_add_range(s->set, 0, s->span - 1) ? TRAIL_OK : no_memory(s->err);
}

static trail_status combine(search *s, trail__set *found, bool negate)
{
    trail_status status = TRAIL_OK;

    if (!s->begun && !negate) {
        trail__set_release(s->set);
        *s->set = *found;
        memset(found, 0, sizeof *found);
        s->begun = true;
        return TRAIL_OK;
    }
    if (!s->begun) {
        status = everything(s);
    }
    if (status == TRAIL_OK && negate) {
        trail__set_minus(s->set, found);
    } else if (status == TRAIL_OK && !trail__set_and(s->set, found)) {
        status = no_memory(s->err);
    }
    return status;
}

static trail_status apply_condition(search *s, const trail__condition *c)
{
    unsigned field = trail__term_field(&s->view->index->paths, c->field, c->path);
    trail__set found = { 0 };
    trail_status status = TRAIL_OK;
    bool exactly;

    if (!is_answered(c, field, &exactly)) {
        s->exact = false;
        return TRAIL_OK;
    }
    s->exact = s->exact && exactly;
    if (!trail__set_init(&found, s->span)) {
        return no_memory(s->err);
    }
    for (size_t v = 0; v < c->count && status == TRAIL_OK; v++) {
        trail_text term = c->terms[v];

        if (term.len > TRAIL__TERM_LEN_MAX) {
            term.len = TRAIL__TERM_LEN_MAX;
        }
        status = add_term(s, field, term, c->prefixes[v], &found);
    }
    if (status == TRAIL_OK) {
        status = combine(s, &found, c->negate);
    }
    trail__set_release(&found);
    return status;
}

/* What is asked for first, then what is excluded: most answers are small by then. */
static trail_status apply_conditions(search *s)
{
    trail_status status = TRAIL_OK;

    for (int negate = 0; negate < 2; negate++) {
        const trail__condition *c;

        for (size_t i = 0;
             status == TRAIL_OK && (c = trail__filter_condition(s->filter, i)) != NULL;
             i++) {
            if (c->negate == (negate == 1)) {
                status = apply_condition(s, c);
            }
        }
    }
    return status;
}

static trail_status apply_ranges(search *s, bool negate)
{
    size_t count;
    const trail_range *ranges = trail__filter_ranges(s->filter, negate, &count);
    trail__set found = { 0 };
    trail_status status = TRAIL_OK;

    if (count == 0) {
        return TRAIL_OK;
    }
    if (!trail__set_init(&found, s->span)) {
        return no_memory(s->err);
    }
    for (size_t i = 0; i < count && status == TRAIL_OK; i++) {
        uint64_t base = s->segment->seq_first;
        uint64_t first = ranges[i].first > base ? ranges[i].first - base : 0;
        uint64_t last = ranges[i].last == 0 ? UINT64_MAX : ranges[i].last;

        if (first >= s->span || last < base) {
            continue;
        }
        last = last - base < s->span ? last - base : s->span - 1;
        if (!trail__set_add_range(&found, (uint32_t)first, (uint32_t)last)) {
            status = no_memory(s->err);
        }
    }
    if (status == TRAIL_OK) {
        status = combine(s, &found, negate);
    }
    trail__set_release(&found);
    return status;
}

/* ---- times ------------------------------------------------------------------------ */

typedef struct time_check {
    const search *s;
    int64_t since_us;
    int64_t until_us; /* exclusive */
    uint32_t first;   /* of the chunk at hand */
    trail__times times;
    trail_status status;
} time_check;

static bool in_time(void *context, uint32_t offset)
{
    time_check *t = context;
    int64_t at;

    if (t->status != TRAIL_OK) {
        return false;
    }
    if (t->times.data == NULL || offset - t->first >= t->times.count) {
        t->status = trail__postings_times(&t->s->view->txn, t->s->segment->number, offset,
                                          &t->first, &t->times, t->s->err);
        if (t->status != TRAIL_OK) {
            return false;
        }
    }
    at = trail__times_at(&t->times, offset - t->first);
    return at >= t->since_us && at < t->until_us;
}

static void time_bounds(const trail__filter *filter, int64_t *since_us, int64_t *until_us)
{
    const trail_filter *bounds = trail__filter_bounds(filter);

    *since_us = bounds->since_us == TRAIL_TIME_NONE ? INT64_MIN : bounds->since_us;
    *until_us = bounds->until_us == TRAIL_TIME_NONE ? INT64_MAX : bounds->until_us;
}

static trail_status apply_times(search *s)
{
    time_check t = { .s = s };
    trail_status status = TRAIL_OK;

    time_bounds(s->filter, &t.since_us, &t.until_us);
    if (t.since_us <= s->segment->time_min_us && t.until_us > s->segment->time_max_us) {
        return TRAIL_OK;
    }
    if (!s->begun) {
        status = everything(s);
    }
    if (status == TRAIL_OK) {
        trail__set_keep(s->set, in_time, &t);
        status = t.status;
    }
    return status;
}

/* ---- a run of seqs ---------------------------------------------------------------- */

static trail_status search_segment(trail__view *view, const trail__filter *filter,
                                   const trail__segment *segment, trail__span *span,
                                   trail_explain *explain, trail_error *err)
{
    search s = { .view = view,
                 .filter = filter,
                 .segment = segment,
                 .span = (uint32_t)(segment->seq_last - segment->seq_first + 1),
                 .explain = explain,
                 .set = &span->set,
                 .exact = true,
                 .err = err };
    int64_t since_us;
    int64_t until_us;
    trail_status status = TRAIL_OK;

    explain->segments++;
    if (!trail__set_init(&span->set, s.span)) {
        return no_memory(err);
    }
    span->indexed = true;
    span->exact = true;
    span->set_base = segment->seq_first;
    time_bounds(filter, &since_us, &until_us);
    if (segment->time_max_us < since_us || segment->time_min_us >= until_us) {
        explain->segments_skipped++;
        return TRAIL_OK;
    }
    status = apply_conditions(&s);
    if (status == TRAIL_OK) {
        status = apply_ranges(&s, false);
    }
    if (status == TRAIL_OK) {
        status = apply_ranges(&s, true);
    }
    if (status == TRAIL_OK) {
        status = apply_times(&s);
    }
    if (status == TRAIL_OK && !s.begun) {
        status = everything(&s);
    }
    span->exact = s.exact;
    return status;
}

/* Only the offsets of the run, for whoever counts. */
static trail_status cut(trail__span *span, const trail__segment *segment,
                        trail_error *err)
{
    trail__set run = { 0 };
    bool done;

    if (span->seq_first == segment->seq_first && span->seq_last == segment->seq_last) {
        return TRAIL_OK;
    }
    done = trail__set_init(&run, span->set.span) &&
           trail__set_add_range(&run, (uint32_t)(span->seq_first - span->set_base),
                                (uint32_t)(span->seq_last - span->set_base)) &&
           trail__set_and(&span->set, &run);
    trail__set_release(&run);
    return done ? TRAIL_OK : no_memory(err);
}

trail_status trail__find_span(trail__view *view, bool fits, const trail__filter *filter,
                              uint64_t seq, uint64_t seq_min, uint64_t seq_max,
                              trail__span *span_out, trail_explain *explain,
                              trail_error *err)
{
    trail__segment segment;
    trail_status status;

    memset(span_out, 0, sizeof *span_out);
    span_out->seq_first = seq_min;
    span_out->seq_last = seq_max;
    if (!fits || view->state.seq < seq_min) {
        return TRAIL_OK;
    }
    if (seq > view->state.seq) {
        span_out->seq_first =
            view->state.seq + 1 > seq_min ? view->state.seq + 1 : seq_min;
        return TRAIL_OK;
    }
    status = trail__view_segment(view, seq, &segment, err);
    if (status == TRAIL_OK) {
        span_out->seq_first = segment.seq_first > seq_min ? segment.seq_first : seq_min;
        span_out->seq_last = segment.seq_last < seq_max ? segment.seq_last : seq_max;
        status = search_segment(view, filter, &segment, span_out, explain, err);
    }
    if (status == TRAIL_OK) {
        status = cut(span_out, &segment, err);
    }
    if (status == TRAIL_OK) {
        explain->candidates += trail__set_recount(&span_out->set);
        return TRAIL_OK;
    }
    trail__span_release(span_out);
    if (status == TRAIL_NO_MEMORY) {
        return status;
    }
    /* Damaged: the log knows. */
    span_out->seq_first = seq_min;
    span_out->seq_last = seq_max;
    return TRAIL_OK;
}

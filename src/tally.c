/* tally.c - how often each value occurs, how many events fall into each interval.
 * Level 6: may include levels 0-5, find, judge, plan, walk.
 * SPDX-License-Identifier: MIT
 *
 * Run by run: where the index knows exactly which entries the filter finds, its postings and
 * times are counted; where it does not, the entries are read. Both count into one table: of
 * terms, or of the numbers of intervals as 8 bytes.
 */
#include "tally.h"

#include "bytes.h"
#include "error.h"
#include "fault.h"
#include "filter.h"
#include "find.h"
#include "judge.h"
#include "plan.h"
#include "postings.h"
#include "term_table.h"
#include "walk.h"

#include <stdlib.h>
#include <string.h>

enum { TALLY_SCAN_MAX = 32768, INTERVAL_FIELD = 1 };
static const int64_t interval_us_min = 1000;

typedef struct tally {
    trail__log *log;
    trail__index *index;
    trail__filter *filter;
    trail__plan plan;
    trail__walk walk;
    unsigned field; /* of the terms; 0: intervals are counted */
    int64_t interval_us;
    trail__term_table table;
    uint64_t *counts;
    size_t count_room;
    uint64_t events;
    uint64_t present; /* events that have the field */
    bool met;         /* the entry at hand has it */
} tally;

static trail_status no_memory(trail_error *err)
{
    return trail__error(err, TRAIL_NO_MEMORY, "no memory to count");
}

static bool add(tally *t, unsigned field, trail_text text, uint64_t count)
{
    size_t known = t->table.count;
    uint32_t number;

    if (!trail__reserve(&t->counts, &t->count_room, known + 1, sizeof t->counts[0]) ||
        !trail__term_table_find(&t->table, field, text, &number)) {
        return false;
    }
    if (number == known) {
        t->counts[number] = 0;
    }
    t->counts[number] += count;
    return true;
}

static bool add_interval(tally *t, int64_t time_us, uint64_t count)
{
    uint8_t bytes[8];

    trail__store_u64(bytes, (uint64_t)(time_us / t->interval_us));
    return add(t, INTERVAL_FIELD, (trail_text){ (const char *)bytes, 8 }, count);
}

/* ---- entries that are read -------------------------------------------------------- */

static trail_status add_term(void *context, unsigned field, trail_text term)
{
    tally *t = context;

    if (field != t->field) {
        return TRAIL_OK;
    }
    t->met = true;
    return add(t, field, term, 1) ? TRAIL_OK : TRAIL_NO_MEMORY;
}

/* Terms of arrays in details: each value once an event, as in the index. */
typedef struct once {
    tally *t;
    trail__term_table seen;
} once;

static trail_status add_once(void *context, unsigned field, trail_text term)
{
    once *o = context;
    size_t known = o->seen.count;
    uint32_t number;

    if (field != o->t->field) {
        return TRAIL_OK;
    }
    if (!trail__term_table_find(&o->seen, field, term, &number)) {
        return TRAIL_NO_MEMORY;
    }
    return number == known ? add_term(o->t, field, term) : TRAIL_OK;
}

static trail_status add_details(tally *t, const trail_event *event, trail_error *err)
{
    once o = { .t = t };
    trail_status status = trail__term_table_init(&o.seen, err);

    if (status == TRAIL_OK) {
        status =
            trail__terms_of_details(event->details, &t->index->paths, add_once, &o, err);
    }
    trail__term_table_release(&o.seen);
    return status;
}

static trail_status add_record(tally *t, const trail_record *record, trail_error *err)
{
    static const trail__paths none = { 0 };
    trail_status status = TRAIL_OK;

    t->events++;
    t->met = false;
    if (t->field == 0) {
        status =
            add_interval(t, record->event.timestamp_us, 1) ? TRAIL_OK : TRAIL_NO_MEMORY;
    } else if (t->field >= TRAIL__TERM_FIELD_PATHS) {
        status = add_details(t, &record->event, err);
    } else {
        status = trail__terms_of(&record->event, &none, add_term, t, NULL);
    }
    t->present += t->met;
    return status == TRAIL_NO_MEMORY ? no_memory(err) : status;
}

static trail_status read_one(tally *t, trail_error *err)
{
    trail_record record;
    trail_text stored;
    uint64_t seq;
    bool wanted = false;
    trail_status status = trail__walk_step(&t->walk, &seq, &stored, err);

    if (status == TRAIL_OK && stored.data != NULL) {
        status = trail__judge(t->filter, seq, stored, &record, &wanted, err);
    }
    return status == TRAIL_OK && wanted ? add_record(t, &record, err) : status;
}

/* ---- runs that the index answers -------------------------------------------------- */

/* The postings of the field in this segment, as far as they are in the set. */
static trail_status count_postings(tally *t, const trail__span *span, uint64_t number,
                                   trail__set *present, trail_error *err)
{
    trail__postings p;
    trail_status status = trail__postings_open(&p, &t->walk.view.txn, number, t->field,
                                               (trail_text){ "", 0 }, err);

    if (status != TRAIL_OK) {
        return status;
    }
    while ((status = trail__postings_next(&p, err)) == TRAIL_OK && p.field == t->field) {
        const trail__posting *posting = &p.posting;
        uint32_t common = posting->is_bits
                              ? trail__set_common_bits(&span->set, posting->window,
                                                       posting->data, posting->len)
                              : trail__set_common_list(&span->set, posting->window,
                                                       posting->data, posting->count);

        if (common == 0) {
            continue;
        }
        if (p.term.len >= TRAIL__TERM_LEN_MAX) { /* several values, or one of them */
            status = TRAIL_CORRUPT;
            break;
        }
        if (!add(t, t->field, p.term, common)) {
            status = TRAIL_NO_MEMORY;
            break;
        }
        if (present == NULL) {
            t->present += common;
        } else if ((status = trail__posting_add(posting, present)) != TRAIL_OK) {
            break;
        }
    }
    trail__postings_close(&p);
    return status == TRAIL_NOT_FOUND ? TRAIL_OK : status;
}

static trail_status count_terms(tally *t, const trail__span *span,
                                const trail__segment *segment, trail_error *err)
{
    trail__set present = { 0 };
    trail_status status;

    if (t->field < TRAIL__TERM_FIELD_PATHS) {
        return count_postings(t, span, segment->number, NULL, err);
    }
    if (!trail__set_init(&present, span->set.span)) {
        return TRAIL_NO_MEMORY;
    }
    status = count_postings(t, span, segment->number, &present, err);
    if (status == TRAIL_OK && !trail__set_and(&present, &span->set)) {
        status = TRAIL_NO_MEMORY;
    }
    t->present += trail__set_count(&present);
    trail__set_release(&present);
    return status;
}

static trail_status count_times(tally *t, const trail__span *span,
                                const trail__segment *segment, trail_error *err)
{
    trail__times times = { 0 };
    uint32_t first = 0;
    uint32_t offset = 0;
    int64_t interval = segment->time_min_us / t->interval_us;
    uint64_t waiting = 0; /* events in it that are not yet added */

    if (interval == segment->time_max_us / t->interval_us) {
        waiting = trail__set_count(&span->set);
        return waiting == 0 || add_interval(t, segment->time_min_us, waiting)
                   ? TRAIL_OK
                   : TRAIL_NO_MEMORY;
    }
    for (; trail__set_up(&span->set, offset, &offset); offset++) {
        int64_t at;

        if (times.count == 0 || offset - first >= times.count) {
            trail_status status = trail__postings_times(
                &t->walk.view.txn, segment->number, offset, &first, &times, err);

            if (status != TRAIL_OK) {
                return status;
            }
        }
        at = trail__times_at(&times, offset - first);
        if (at / t->interval_us != interval && waiting > 0) {
            if (!add_interval(t, interval * t->interval_us, waiting)) {
                return TRAIL_NO_MEMORY;
            }
            waiting = 0;
        }
        interval = at / t->interval_us;
        waiting++;
    }
    return waiting == 0 || add_interval(t, interval * t->interval_us, waiting)
               ? TRAIL_OK
               : TRAIL_NO_MEMORY;
}

/* *counted_out false: there is nothing exact to count from, read the entries. */
static trail_status count_span(tally *t, bool *counted_out, trail_error *err)
{
    const trail__span *span;
    trail__segment segment;
    trail_status status = trail__walk_span(&t->walk, &span, err);

    *counted_out = false;
    if (status != TRAIL_OK || span == NULL) {
        return status;
    }
    /* Between two transactions the segment may have become part of a larger one. */
    status = t->walk.view_fits
                 ? trail__view_segment(&t->walk.view, span->set_base, &segment, err)
                 : TRAIL_CORRUPT;
    if (status != TRAIL_OK || segment.seq_first != span->set_base ||
        segment.seq_last - segment.seq_first + 1 != span->set.span) {
        return TRAIL_OK;
    }
    status = t->field == 0 ? count_times(t, span, &segment, err)
                           : count_terms(t, span, &segment, err);
    if (status == TRAIL_NO_MEMORY) {
        return no_memory(err);
    }
    if (status == TRAIL_OK) {
        t->events += trail__set_count(&span->set);
        trail__walk_leave(&t->walk);
        *counted_out = true;
    }
    return status;
}

/* ---- the whole -------------------------------------------------------------------- */

static trail_status count_some(tally *t, trail_error *err)
{
    trail__walk *w = &t->walk;
    uint64_t scan_end = w->scanned + TALLY_SCAN_MAX;
    trail_status status = trail__walk_begin(w, t->log, t->index, err);

    if (status != TRAIL_OK) {
        return status;
    }
    while (status == TRAIL_OK && !w->over && w->scanned < scan_end) {
        bool counted = false;

        if (t->plan.by_index) {
            status = count_span(t, &counted, err);
        }
        if (status == TRAIL_OK && !counted) {
            status = read_one(t, err);
        }
    }
    trail__walk_end(w);
    return status;
}

static trail_status count_all(tally *t, bool by_index, trail_error *err)
{
    trail__kv_txn txn;
    trail_status status = trail__kv_begin_read(t->log->kv, &txn, err);

    if (status != TRAIL_OK) {
        return status;
    }
    status = trail__plan_make(&txn, t->filter, &t->plan, err);
    trail__kv_abort(&txn);
    if (status != TRAIL_OK) {
        return status;
    }
    t->plan.by_index = by_index && !t->plan.listed;
    trail__walk_init(&t->walk, &t->plan, t->filter);
    while (status == TRAIL_OK && !t->walk.over) {
        status = count_some(t, err);
    }
    trail__walk_release(&t->walk);
    trail__plan_release(&t->plan);
    return status;
}

static void release(tally *t)
{
    trail__filter_free(t->filter);
    trail__term_table_release(&t->table);
    trail__free(t->counts);
    memset(t, 0, sizeof *t);
}

/* A damaged index shows while its postings are counted, and so do values of which it knows the
 * beginning only: then the log is asked alone. */
static trail_status make(tally *t, const trail_filter *filter, trail_error *err)
{
    trail_filter whole;
    trail_status status;

    trail_filter_init(&whole);
    if (filter != NULL) {
        whole = *filter;
    }
    whole.after = 0;
    whole.limit = 0;
    whole.unreadable = false;
    status = trail__filter_make(&t->filter, &whole, err);
    if (status == TRAIL_OK) {
        status = trail__term_table_init(&t->table, err);
    }
    if (status == TRAIL_OK) {
        status = count_all(t, true, err);
        if (status == TRAIL_CORRUPT) {
            trail__term_table_reset(&t->table);
            t->events = 0;
            t->present = 0;
            status = count_all(t, false, err);
        }
    }
    return status;
}

/* ---- top -------------------------------------------------------------------------- */

static int by_count(const void *a, const void *b, void *context)
{
    const tally *t = context;
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;

    if (t->counts[left] != t->counts[right]) {
        return t->counts[left] > t->counts[right] ? -1 : 1;
    }
    return trail__term_table_compare(&t->table, left, right);
}

/* A term of details as JSON: the letter tells strings from the rest. */
static size_t write_value(const tally *t, trail_text term, char *out)
{
    size_t len = 0;

    if (t->field < TRAIL__TERM_FIELD_PATHS) {
        memcpy(out, term.data, term.len);
        return term.len;
    }
    if (term.data[0] != 's') {
        memcpy(out, term.data + 1, term.len - 1);
        return term.len - 1;
    }
    out[len++] = '"';
    for (size_t i = 1; i < term.len; i++) {
        static const char hex[] = "0123456789abcdef";
        unsigned char c = (unsigned char)term.data[i];

        if (c < 0x20) {
            memcpy(out + len, "\\u00", 4);
            out[len + 4] = hex[c >> 4];
            out[len + 5] = hex[c & 15];
            len += 6;
            continue;
        }
        if (c == '"' || c == '\\') {
            out[len++] = '\\';
        }
        out[len++] = (char)c;
    }
    out[len++] = '"';
    return len;
}

static trail_status hand_out_top(tally *t, size_t row_max, trail_top **top_out,
                                 trail_error *err)
{
    size_t rows = t->table.count < row_max ? t->table.count : row_max;
    uint32_t *order = trail__alloc(t->table.count * sizeof order[0]);
    size_t len = 0;
    trail_top *top = NULL;
    char *text;

    if (order == NULL) {
        return no_memory(err);
    }
    for (uint32_t i = 0; i < t->table.count; i++) {
        order[i] = i;
    }
    qsort_r(order, t->table.count, sizeof order[0], by_count, t);
    for (size_t i = 0; i < rows; i++) {
        len += 6 * (size_t)t->table.rows[order[i]].len + 2;
    }
    top = trail__alloc_zero(sizeof *top + rows * sizeof top->rows[0] + len);
    if (top == NULL) {
        trail__free(order);
        return no_memory(err);
    }
    top->events = t->events;
    top->absent = t->events - t->present;
    top->distinct = t->table.count;
    top->count = rows;
    top->rows = (trail_top_row *)(void *)(top + 1);
    text = (char *)(top->rows + rows);
    for (size_t i = 0; i < rows; i++) {
        top->rows[i].count = t->counts[order[i]];
        top->rows[i].value.data = text;
        top->rows[i].value.len =
            write_value(t, trail__term_table_text(&t->table, order[i]), text);
        text += top->rows[i].value.len;
    }
    trail__free(order);
    *top_out = top;
    return TRAIL_OK;
}

trail_status trail__top_values(trail__log *log, trail__index *index, trail_field field,
                               trail_text path, const trail_filter *filter,
                               size_t row_max, trail_top **top_out, trail_error *err)
{
    tally t = { .log = log, .index = index };
    trail_status status;

    *top_out = NULL;
    if ((unsigned)field >= TRAIL_FIELD_COUNT) {
        return trail__error(err, TRAIL_INVALID, "top: field %d is not known", (int)field);
    }
    t.field = trail__term_field(&index->paths, field, path);
    if (t.field == 0 && field == TRAIL_FIELD_DETAILS) {
        return trail__error(err, TRAIL_INVALID,
                            "top: details.%.*s is not indexed; a trail is created with "
                            "the paths that it indexes",
                            (int)(path.len > 64 ? 64 : path.len), path.data);
    }
    if (t.field == 0) {
        return trail__error(err, TRAIL_INVALID, "top: each id occurs once");
    }
    status = make(&t, filter, err);
    if (status == TRAIL_OK) {
        status = hand_out_top(&t, row_max, top_out, err);
    }
    release(&t);
    return status;
}

void trail_top_free(trail_top *top)
{
    trail__free(top);
}

/* ---- histogram -------------------------------------------------------------------- */

static int by_begin(const void *a, const void *b)
{
    const trail_bucket *left = a;
    const trail_bucket *right = b;

    return left->begin_us < right->begin_us ? -1 : left->begin_us > right->begin_us;
}

static trail_status hand_out_histogram(const tally *t, trail_histogram **histogram_out,
                                       trail_error *err)
{
    trail_histogram *made;

    if (t->table.count > TRAIL_BUCKETS_MAX) {
        return trail__error(err, TRAIL_INVALID,
                            "histogram: %zu intervals have events, the limit is %d: ask "
                            "for longer ones",
                            t->table.count, TRAIL_BUCKETS_MAX);
    }
    made = trail__alloc_zero(sizeof *made + t->table.count * sizeof made->buckets[0]);
    if (made == NULL) {
        return no_memory(err);
    }
    made->events = t->events;
    made->count = t->table.count;
    made->buckets = (trail_bucket *)(void *)(made + 1);
    for (uint32_t i = 0; i < t->table.count; i++) {
        trail_text text = trail__term_table_text(&t->table, i);

        made->buckets[i].begin_us =
            (int64_t)trail__load_u64((const uint8_t *)text.data) * t->interval_us;
        made->buckets[i].count = t->counts[i];
    }
    if (made->count > 0) {
        qsort(made->buckets, made->count, sizeof made->buckets[0], by_begin);
    }
    *histogram_out = made;
    return TRAIL_OK;
}

trail_status trail__histogram_make(trail__log *log, trail__index *index,
                                   int64_t interval_us, const trail_filter *filter,
                                   trail_histogram **histogram_out, trail_error *err)
{
    tally t = { .log = log, .index = index, .interval_us = interval_us };
    trail_status status;

    *histogram_out = NULL;
    if (interval_us < interval_us_min) {
        return trail__error(err, TRAIL_INVALID,
                            "histogram: interval_us is %lld, at least %lld is needed",
                            (long long)interval_us, (long long)interval_us_min);
    }
    status = make(&t, filter, err);
    if (status == TRAIL_OK) {
        status = hand_out_histogram(&t, histogram_out, err);
    }
    release(&t);
    return status;
}

void trail_histogram_free(trail_histogram *histogram)
{
    trail__free(histogram);
}

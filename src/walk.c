/* walk.c - step through the entries that a plan says to look at.
 * Level 6: may include levels 0-5, find, plan.
 * SPDX-License-Identifier: MIT
 */
#include "walk.h"

#include "bytes.h"
#include "error.h"

#include <string.h>

void trail__walk_init(trail__walk *w, const trail__plan *plan,
                      const trail__filter *filter)
{
    const trail_filter *bounds = trail__filter_bounds(filter);

    memset(w, 0, sizeof *w);
    w->plan = plan;
    w->filter = filter;
    w->backwards = bounds->order == TRAIL_NEWEST_FIRST;
    w->gaps = bounds->unreadable;
    w->seq = w->backwards ? plan->seq_last : plan->seq_first;
    w->over = plan->listed ? plan->count == 0 : plan->seq_first > plan->seq_last;
    w->explain.head_seq = plan->head_seq;
    memcpy(w->explain.plan, plan->text, sizeof w->explain.plan);
    if (!plan->by_index) { /* one run, all of it to be read */
        w->has_span = true;
        w->span.seq_first = plan->seq_first;
        w->span.seq_last = plan->seq_last;
    }
}

void trail__walk_release(trail__walk *w)
{
    trail__span_release(&w->span);
    w->has_span = false;
}

/* The index first: then the log is at least as far. */
trail_status trail__walk_begin(trail__walk *w, trail__log *log, trail__index *index,
                               trail_error *err)
{
    trail_status status;

    if (w->plan->by_index) {
        trail__view_begin(&w->view, index);
    }
    status = trail__kv_begin_read(log->kv, &w->txn, err);
    w->placed = false;
    if (status == TRAIL_OK) {
        status = trail__kv_cursor_open(&w->txn, TRAIL__KV_ENTRIES, &w->cursor, err);
        if (status != TRAIL_OK) {
            trail__kv_abort(&w->txn);
        }
    }
    if (status != TRAIL_OK) {
        trail__view_end(&w->view);
        return status;
    }
    w->view_fits = trail__view_fits(&w->view, &w->txn);
    if (w->view_fits) {
        w->explain.index_seq = w->view.state.seq;
    }
    return TRAIL_OK;
}

void trail__walk_end(trail__walk *w)
{
    trail__kv_cursor_close(&w->cursor);
    trail__kv_abort(&w->txn);
    trail__view_end(&w->view);
}

/* The run that has w->seq. */
static trail_status need_span(trail__walk *w, trail_error *err)
{
    trail_status status;

    if (w->has_span) {
        return TRAIL_OK;
    }
    status = trail__find_span(&w->view, w->view_fits, w->filter, w->seq,
                              w->backwards ? w->plan->seq_first : w->seq,
                              w->backwards ? w->seq : w->plan->seq_last, &w->span,
                              &w->explain, err);
    w->has_span = status == TRAIL_OK;
    w->placed = false;
    return status;
}

/* Go behind the run at hand. */
void trail__walk_leave(trail__walk *w)
{
    w->over = w->backwards ? w->span.seq_first <= w->plan->seq_first
                           : w->span.seq_last >= w->plan->seq_last;
    w->seq = w->backwards ? w->span.seq_first - 1 : w->span.seq_last + 1;
    if (w->plan->by_index) {
        trail__walk_release(w);
    }
}

trail_status trail__walk_span(trail__walk *w, const trail__span **span_out,
                              trail_error *err)
{
    trail_status status = need_span(w, err);
    bool whole = status == TRAIL_OK && w->span.indexed && w->span.exact &&
                 w->seq == (w->backwards ? w->span.seq_last : w->span.seq_first);

    *span_out = whole ? &w->span : NULL;
    return status;
}

trail_status trail__walk_count(trail__walk *w, bool *counted_out, uint64_t *count,
                               trail_error *err)
{
    const trail__span *span;
    trail_status status = trail__walk_span(w, &span, err);

    *counted_out = span != NULL;
    if (span != NULL) {
        *count += trail__set_count(&span->set);
        trail__walk_leave(w);
    }
    return status;
}

static trail_status bad_key(trail_text key, trail_error *err)
{
    return trail__error(err, TRAIL_CORRUPT, "an entry has a key of %zu bytes", key.len);
}

static trail_status not_found(uint64_t seq, trail_error *err)
{
    return trail__error(err, TRAIL_CORRUPT, "entry %llu cannot be found; run verify",
                        (unsigned long long)seq);
}

/* The cursor stands at 'seq'. TRAIL_NOT_FOUND: beyond the range, because entries are missing. */
static trail_status check_turn(const trail__walk *w, uint64_t seq, trail_error *err)
{
    bool went_back = w->backwards ? seq > w->seq : seq < w->seq;

    if (went_back || (seq != w->seq && !w->gaps)) {
        return not_found(w->seq, err);
    }
    return seq < w->span.seq_first || seq > w->span.seq_last ? TRAIL_NOT_FOUND : TRAIL_OK;
}

/* The next entry of a range: at w->seq or, where entries are missing, beyond it. */
static trail_status step_range(trail__walk *w, uint64_t *seq_out, trail_text *stored_out,
                               trail_error *err)
{
    trail__seq_key seq_key;
    trail_text key = trail__seq_key_of(&seq_key, w->seq);
    trail__kv_move move = w->backwards ? TRAIL__KV_PREVIOUS : TRAIL__KV_NEXT;
    trail_status status;

    if (!w->placed) {
        move = TRAIL__KV_AT_OR_AFTER;
    }
    status = trail__kv_cursor_move(&w->cursor, move, &key, stored_out, err);
    if (!w->placed && w->backwards) {
        /* Standing behind the place, or behind the end: one step back. */
        if (status == TRAIL_NOT_FOUND) {
            status =
                trail__kv_cursor_move(&w->cursor, TRAIL__KV_LAST, &key, stored_out, err);
        } else if (status == TRAIL_OK && key.len == 8 &&
                   trail__load_u64((const uint8_t *)key.data) > w->seq) {
            status = trail__kv_cursor_move(&w->cursor, TRAIL__KV_PREVIOUS, &key,
                                           stored_out, err);
        }
    }
    w->placed = true;
    if (status == TRAIL_OK && key.len != 8) {
        status = bad_key(key, err);
    }
    if (status == TRAIL_OK) {
        *seq_out = trail__load_u64((const uint8_t *)key.data);
        status = check_turn(w, *seq_out, err);
    } else if (status == TRAIL_NOT_FOUND && !w->gaps) {
        status = not_found(w->seq, err);
    }
    if (status == TRAIL_NOT_FOUND) {
        w->over = true;
        return TRAIL_OK;
    }
    if (status == TRAIL_OK) {
        w->seq = w->backwards ? *seq_out - 1 : *seq_out + 1;
        if (*seq_out == (w->backwards ? w->span.seq_first : w->span.seq_last)) {
            trail__walk_leave(w);
        }
    }
    return status;
}

/* The next entry that the index names; none if the run has no more. */
static trail_status step_set(trail__walk *w, uint64_t *seq_out, trail_text *stored_out,
                             trail_error *err)
{
    uint32_t from = (uint32_t)(w->seq - w->span.set_base);
    uint32_t offset;
    trail_status status;
    bool found = w->backwards ? trail__set_down(&w->span.set, from, &offset)
                              : trail__set_up(&w->span.set, from, &offset);

    if (!found) {
        trail__walk_leave(w);
        return TRAIL_OK;
    }
    *seq_out = w->span.set_base + offset;
    status = trail__log_stored(&w->txn, *seq_out, stored_out, err);
    if (status == TRAIL_NOT_FOUND) {
        return not_found(*seq_out, err);
    }
    if (status == TRAIL_OK) {
        w->seq = w->backwards ? *seq_out - 1 : *seq_out + 1;
        if (*seq_out == (w->backwards ? w->span.seq_first : w->span.seq_last)) {
            trail__walk_leave(w);
        }
    }
    return status;
}

static trail_status step_list(trail__walk *w, uint64_t *seq_out, trail_text *stored_out,
                              trail_error *err)
{
    size_t at = w->backwards ? w->plan->count - 1 - w->index : w->index;
    trail_status status;

    *seq_out = w->plan->seqs[at];
    w->index++;
    w->over = w->index == w->plan->count;
    status = trail__log_stored(&w->txn, *seq_out, stored_out, err);
    if (status == TRAIL_NOT_FOUND) {
        return trail__error(err, TRAIL_CORRUPT, "entry %llu is missing",
                            (unsigned long long)*seq_out);
    }
    return status;
}

trail_status trail__walk_step(trail__walk *w, uint64_t *seq_out, trail_text *stored_out,
                              trail_error *err)
{
    trail_text found = { NULL, 0 };
    bool tail = false;
    trail_status status;

    *stored_out = found;
    *seq_out = 0;
    if (w->plan->listed) {
        status = step_list(w, seq_out, &found, err);
    } else {
        status = need_span(w, err);
        if (status == TRAIL_OK && w->span.indexed) {
            status = step_set(w, seq_out, &found, err);
        } else if (status == TRAIL_OK) {
            tail = w->plan->by_index;
            status = step_range(w, seq_out, &found, err);
        }
    }
    if (w->plan->listed ||
        (*seq_out >= w->plan->seq_first && *seq_out <= w->plan->seq_last)) {
        *stored_out = found;
    }
    if (stored_out->data != NULL) {
        w->scanned++;
        w->explain.records_tail += tail;
    }
    return status;
}

void trail__walk_back(trail__walk *w, uint64_t seq)
{
    if (w->plan->by_index && w->has_span &&
        (seq < w->span.seq_first || seq > w->span.seq_last)) {
        trail__walk_release(w);
    }
    w->seq = seq;
    w->index -= w->plan->listed;
    w->over = false;
    w->scanned--;
}

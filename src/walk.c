/* walk.c - step through the entries that a plan says to look at.
 * Level 6: may include levels 0-5, plan.
 * SPDX-License-Identifier: MIT
 */
#include "walk.h"

#include "bytes.h"
#include "error.h"

#include <string.h>

void trail__walk_init(trail__walk *w, const trail__plan *plan, bool backwards, bool gaps)
{
    memset(w, 0, sizeof *w);
    w->plan = plan;
    w->backwards = backwards;
    w->gaps = gaps;
    w->seq = backwards ? plan->seq_last : plan->seq_first;
    w->over = plan->listed ? plan->count == 0 : plan->seq_first > plan->seq_last;
}

trail_status trail__walk_begin(trail__walk *w, trail__log *log, trail_error *err)
{
    trail_status status = trail__kv_begin_read(log->kv, &w->txn, err);

    w->placed = false;
    if (status == TRAIL_OK) {
        status = trail__kv_cursor_open(&w->txn, TRAIL__KV_ENTRIES, &w->cursor, err);
        if (status != TRAIL_OK) {
            trail__kv_abort(&w->txn);
        }
    }
    return status;
}

void trail__walk_end(trail__walk *w)
{
    trail__kv_cursor_close(&w->cursor);
    trail__kv_abort(&w->txn);
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
    return seq < w->plan->seq_first || seq > w->plan->seq_last ? TRAIL_NOT_FOUND
                                                               : TRAIL_OK;
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
        w->over = *seq_out == (w->backwards ? w->plan->seq_first : w->plan->seq_last);
        w->seq = w->backwards ? *seq_out - 1 : *seq_out + 1;
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
    trail_status status;

    stored_out->data = NULL;
    if (w->plan->listed) {
        status = step_list(w, seq_out, stored_out, err);
    } else {
        trail_text found = { NULL, 0 };

        *seq_out = 0;
        status = step_range(w, seq_out, &found, err);
        if (*seq_out >= w->plan->seq_first && *seq_out <= w->plan->seq_last) {
            *stored_out = found;
        }
    }
    if (stored_out->data != NULL) {
        w->scanned++;
    }
    return status;
}

void trail__walk_back(trail__walk *w, uint64_t seq)
{
    w->seq = seq;
    w->index -= w->plan->listed;
    w->over = false;
    w->scanned--;
}

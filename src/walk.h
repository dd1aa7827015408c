/* walk.h - step through the entries that a plan says to look at.
 * Level 6: may include levels 0-5, find, plan.
 * SPDX-License-Identifier: MIT
 */
#ifndef TRAIL_WALK_H
#define TRAIL_WALK_H

#include "find.h"
#include "log.h"
#include "plan.h"

/* Where in its plan a query stands, and the transactions it reads in. */
typedef struct trail__walk {
    const trail__plan *plan;
    const trail__filter *filter;
    bool backwards;
    bool gaps;    /* entries may be missing: for export, which shows what is left */
    uint64_t seq; /* the next seq to look at, or (listed) */
    size_t index; /* how many of the list are done */
    bool over;
    trail_explain explain;
    uint64_t scanned; /* entries looked at */
    trail__kv_txn txn;
    trail__kv_cursor cursor;
    bool placed; /* the cursor stands on the entry looked at last */
    trail__view view;
    bool view_fits;
    bool has_span; /* the run of seqs that holds 'seq': */
    trail__span span;
} trail__walk;

void trail__walk_init(trail__walk *w, const trail__plan *plan,
                      const trail__filter *filter);
void trail__walk_release(trail__walk *w);

/* Between these two a read transaction is open, and one on the index. */
trail_status trail__walk_begin(trail__walk *w, trail__log *log, trail__index *index,
                               trail_error *err);
void trail__walk_end(trail__walk *w);

/* The run at hand, for whoever answers from the index himself; then leave it. NULL: read it, as a
 * run of which a part was read already. */
trail_status trail__walk_span(trail__walk *w, const trail__span **span_out,
                              trail_error *err);
void trail__walk_leave(trail__walk *w);

/* By index: if the run at hand needs no reading, count what is in it and go behind it.
 * *counted_out false: step through it. */
trail_status trail__walk_count(trail__walk *w, bool *counted_out, uint64_t *count,
                               trail_error *err);

/* Look at the next entry; stored_out->data is NULL if there was none. TRAIL_CORRUPT if it is not
 * the one whose turn it is: nothing may be left out, or come twice, without a word. */
trail_status trail__walk_step(trail__walk *w, uint64_t *seq_out, trail_text *stored_out,
                              trail_error *err);

/* Before the entry just looked at again: there was no memory to keep it. */
void trail__walk_back(trail__walk *w, uint64_t seq);

#endif

/* walk.h - step through the entries that a plan says to look at.
 * Level 6: may include levels 0-5, plan.
 * SPDX-License-Identifier: MIT
 */
#ifndef TRAIL_WALK_H
#define TRAIL_WALK_H

#include "log.h"
#include "plan.h"

/* Where in its plan a query stands, and the transaction it reads in. */
typedef struct trail__walk {
    const trail__plan *plan;
    bool backwards;
    bool gaps;    /* entries may be missing: for export, which shows what is left */
    uint64_t seq; /* the next seq to look at, or (listed) */
    size_t index; /* how many of the list are done */
    bool over;
    uint64_t scanned;
    trail__kv_txn txn;
    trail__kv_cursor cursor;
    bool placed; /* the cursor stands on the entry looked at last */
} trail__walk;

void trail__walk_init(trail__walk *w, const trail__plan *plan, bool backwards, bool gaps);

/* Between these two a read transaction is open. */
trail_status trail__walk_begin(trail__walk *w, trail__log *log, trail_error *err);
void trail__walk_end(trail__walk *w);

/* Look at the next entry; stored_out->data is NULL if there was none. TRAIL_CORRUPT if it is not
 * the one whose turn it is: nothing may be left out, or come twice, without a word. */
trail_status trail__walk_step(trail__walk *w, uint64_t *seq_out, trail_text *stored_out,
                              trail_error *err);

/* Before the entry just looked at again: there was no memory to keep it. */
void trail__walk_back(trail__walk *w, uint64_t seq);

#endif

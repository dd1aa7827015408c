/* plan.h - which entries a query has to look at.
 * Level 6: may include levels 0-5.
 * SPDX-License-Identifier: MIT
 *
 * The one place that decides how a filter is answered: by the few entries whose ids are asked
 * for, by the index, or by reading a range of seqs; whatever is read is checked against the
 * filter.
 */
#ifndef TRAIL_PLAN_H
#define TRAIL_PLAN_H

#include "filter.h"
#include "log.h"

typedef struct trail__plan {
    uint64_t seq_first; /* the range to look at; empty if seq_first > seq_last */
    uint64_t seq_last;
    bool listed;    /* only the seqs in the list, ascending, each once */
    uint64_t *seqs; /* NULL if the list is empty */
    size_t count;
    bool by_index; /* in the range: those that the index names, and the unindexed tail */
    uint64_t head_seq;
    char text[TRAIL_PLAN_TEXT_MAX]; /* for people */
} trail__plan;

/* Within one snapshot: events that are appended later are outside the plan. */
trail_status trail__plan_make(const trail__kv_txn *txn, const trail__filter *filter,
                              trail__plan *plan_out, trail_error *err);
void trail__plan_release(trail__plan *plan);

#endif

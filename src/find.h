/* find.h - which entries of a segment a filter may find, by the index alone.
 * Level 6: may include levels 0-5.
 * SPDX-License-Identifier: MIT
 */
#ifndef TRAIL_FIND_H
#define TRAIL_FIND_H

#include "filter.h"
#include "index.h"
#include "postings.h"

/* A run of seqs and what is known of them. */
typedef struct trail__span {
    uint64_t seq_first;
    uint64_t seq_last;
    bool indexed;      /* false: not in the index, read them all */
    bool exact;        /* the set is the answer; else the entries must be read */
    uint64_t set_base; /* the seq of offset 0 */
    trail__set set;    /* of the whole segment, also outside the run */
} trail__span;

/* The run that has 'seq', within seq_min to seq_max. An index that cannot be used or is damaged
 * gives a run that must be read: never an error of its own. TRAIL_NO_MEMORY. */
trail_status trail__find_span(trail__view *view, bool fits, const trail__filter *filter,
                              uint64_t seq, uint64_t seq_min, uint64_t seq_max,
                              trail__span *span_out, trail_explain *explain,
                              trail_error *err);
void trail__span_release(trail__span *span);

#endif

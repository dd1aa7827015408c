/* verify_entries.h - check entries one after the other, each against the one before it.
 * Level 6: may include levels 0-5, report, compare.
 * SPDX-License-Identifier: MIT
 */
#ifndef TRAIL_VERIFY_ENTRIES_H
#define TRAIL_VERIFY_ENTRIES_H

#include "compare.h"
#include "log.h"

/* Entries that follow each other, and what was found out about them. */
typedef struct trail__stretch {
    uint64_t seq_last; /* where it ends */
    trail_head
        right; /* the last entry found right; at first the one before the stretch */
    trail__sums sums;     /* of the entries found right, against the index */
    uint64_t foreign_ids; /* entries found right whose id the engine did not make */
    trail_report report;  /* of it: the fault and its text, head_expected, complete */
} trail__stretch;

/* Who checks; used by one thread at a time. */
typedef struct trail__checker {
    trail__log *log;
    const trail_verify_options *options;
    uint64_t head_seq; /* of the snapshot */
    volatile uint64_t
        *good; /* follows right.seq of the stretch; NULL: nobody wants to know */
    trail__hasher hasher;
    const trail__compare *compare; /* NULL: no index to compare with */
    trail__kv_txn txn;
    trail__stretch *stretch;   /* under check */
    const char *stored_before; /* the entry checked last in this transaction; or NULL */
} trail__checker;

trail_status trail__checker_init(trail__checker *c, trail__log *log,
                                 const trail_verify_options *options, uint64_t head_seq,
                                 trail_error *err);
void trail__checker_release(trail__checker *c);

/* Is it checked to its end, or to its first fault? */
bool trail__stretch_ended(const trail__stretch *stretch);

/* Go on with a stretch, for as long as one transaction may last. What is wrong with the entries
 * is in its report; on a status other than TRAIL_OK it holds as far as it was checked. */
trail_status trail__stretch_check(trail__checker *c, trail__stretch *stretch,
                                  trail_error *err);

/* What the entry at 'seq' says of itself, unchecked. TRAIL_NOT_FOUND: nothing is to be had. */
trail_status trail__checker_peek(trail__checker *c, uint64_t seq, trail_head *head_out,
                                 trail_error *err);

#endif

/* compare.h - do index and log say the same, both ways.
 * Level 6: may include levels 0-5, report.
 * SPDX-License-Identifier: MIT
 *
 * Every posting is a term at a seq, and so is every timestamp. Both sides are added up as keyed
 * hashes, the index's with a minus: where nothing was removed or added, zero is left. The key is
 * new for each run, so nobody can make two changes that outweigh each other. Only what is not
 * zero is looked at again, in cells of 4,096 seqs, and then term by term.
 */
#ifndef TRAIL_COMPARE_H
#define TRAIL_COMPARE_H

#include "index.h"
#include "log.h"

typedef struct trail__compare trail__compare;

typedef struct trail__sums {
    uint64_t sums[2];
} trail__sums;

void trail__sums_join(trail__sums *to, const trail__sums *from);

/* See how far the index has come; a snapshot of the log that is taken afterwards has all of that.
 * *compare_out is NULL if there is no index, or none that would be used for this log: that is no
 * fault. */
trail_status trail__compare_begin(trail__compare **compare_out, trail__index *index,
                                  trail_error *err);
void trail__compare_end(trail__compare *compare); /* NULL is fine */

/* Add an entry of the log; from any thread, to sums of its own. */
trail_status trail__compare_add(const trail__compare *compare, const trail_record *record,
                                trail__sums *to, trail_error *err);

/* 'of_log' is the sum of all entries: the first seq about which they differ, if any. Reads the
 * index. */
trail_status trail__compare_report(trail__compare *compare, const trail__sums *of_log,
                                   trail_report *report, trail_error *err);

#endif

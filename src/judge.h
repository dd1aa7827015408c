/* judge.h - does a stored entry belong to an answer.
 * Level 6: may include levels 0-5.
 * SPDX-License-Identifier: MIT
 */
#ifndef TRAIL_JUDGE_H
#define TRAIL_JUDGE_H

#include "filter.h"
#include "log.h"

/* Take an entry apart. NULL if all is well, else what is wrong with it, in words. */
const char *trail__judge_read(uint64_t seq, trail_text stored, trail_record *record);

/* TRAIL_CORRUPT, with what is wrong. */
trail_status trail__judge_unreadable(uint64_t seq, const char *wrong, trail_error *err);

/* Does the filter want it? An unreadable one only if it was asked for; else TRAIL_CORRUPT. The
 * record is set if *wanted_out and the entry is readable. */
trail_status trail__judge(const trail__filter *filter, uint64_t seq, trail_text stored,
                          trail_record *record, bool *wanted_out, trail_error *err);

#endif

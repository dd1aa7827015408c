/* judge.c - does a stored entry belong to an answer.
 * Level 6: may include levels 0-5.
 * SPDX-License-Identifier: MIT
 */
#include "judge.h"

#include "error.h"

const char *trail__judge_read(uint64_t seq, trail_text stored, trail_record *record)
{
    const char *wrong = trail__stored_read(stored, record, NULL);

    return wrong == NULL && record->seq != seq ? "it says it is another entry" : wrong;
}

trail_status trail__judge_unreadable(uint64_t seq, const char *wrong, trail_error *err)
{
    return trail__error(err, TRAIL_CORRUPT, "entry %llu: %s; run verify",
                        (unsigned long long)seq, wrong);
}

trail_status trail__judge(const trail__filter *filter, uint64_t seq, trail_text stored,
                          trail_record *record, bool *wanted_out, trail_error *err)
{
    const char *wrong = trail__judge_read(seq, stored, record);

    if (wrong == NULL) {
        return trail__filter_matches(filter, record, wanted_out, err);
    }
    if (!trail__filter_has_seq(filter, seq)) {
        *wanted_out = false;
        return TRAIL_OK;
    }
    *wanted_out = trail__filter_bounds(filter)->unreadable;
    return *wanted_out ? TRAIL_OK : trail__judge_unreadable(seq, wrong, err);
}

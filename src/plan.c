/* plan.c - which entries a query has to look at.
 * Level 6: may include levels 0-5.
 * SPDX-License-Identifier: MIT
 */
#include "plan.h"

#include "error.h"
#include "fault.h"
#include "log_find.h"

#include <stdlib.h>
#include <string.h>

static void set_range(trail__plan *plan, const trail_filter *bounds, uint64_t seq_last)
{
    plan->seq_first = bounds->seq_first > 0 ? bounds->seq_first : 1;
    plan->seq_last = seq_last;
    if (bounds->seq_last > 0 && bounds->seq_last < seq_last) {
        plan->seq_last = bounds->seq_last;
    }
    if (bounds->after == 0) {
        return;
    }
    if (bounds->order == TRAIL_NEWEST_FIRST) {
        if (bounds->after <= plan->seq_last) {
            plan->seq_last = bounds->after - 1;
        }
    } else if (bounds->after >= plan->seq_first) {
        plan->seq_first = bounds->after == UINT64_MAX ? UINT64_MAX : bounds->after + 1;
    }
}

static int compare_seqs(const void *a, const void *b)
{
    uint64_t first = *(const uint64_t *)a;
    uint64_t second = *(const uint64_t *)b;

    return first < second ? -1 : first > second;
}

static trail_status list_ids(const trail__kv_txn *txn, trail__plan *plan,
                             uint64_t seq_last, const uint8_t *ids, size_t count,
                             trail_error *err)
{
    size_t unique = 0;

    plan->listed = true;
    plan->seqs = trail__alloc(count * sizeof plan->seqs[0]);
    if (plan->seqs == NULL) {
        return trail__error(err, TRAIL_NO_MEMORY, "no memory for a query by %zu ids",
                            count);
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t seq = 0;
        trail_status status =
            trail__log_find(txn, seq_last, ids + i * TRAIL_ID_LEN, &seq, err);

        if (status == TRAIL_OK && seq >= plan->seq_first && seq <= plan->seq_last) {
            plan->seqs[plan->count++] = seq;
        } else if (status != TRAIL_OK && status != TRAIL_NOT_FOUND) {
            return status;
        }
    }
    qsort(plan->seqs, plan->count, sizeof plan->seqs[0], compare_seqs);
    for (size_t i = 0; i < plan->count; i++) {
        if (i == 0 || plan->seqs[i] != plan->seqs[unique - 1]) {
            plan->seqs[unique++] = plan->seqs[i];
        }
    }
    plan->count = unique;
    return TRAIL_OK;
}

trail_status trail__plan_make(const trail__kv_txn *txn, const trail__filter *filter,
                              trail__plan *plan_out, trail_error *err)
{
    trail_head head;
    const uint8_t *ids;
    size_t count;
    trail_status status = trail__log_head(txn, &head, err);

    memset(plan_out, 0, sizeof *plan_out);
    if (status != TRAIL_OK) {
        return status;
    }
    set_range(plan_out, trail__filter_bounds(filter), head.seq);
    if (trail__filter_ids(filter, &ids, &count)) {
        status = list_ids(txn, plan_out, head.seq, ids, count, err);
    }
    if (status != TRAIL_OK) {
        trail__plan_release(plan_out);
    }
    return status;
}

void trail__plan_release(trail__plan *plan)
{
    trail__free(plan->seqs);
    plan->seqs = NULL;
    plan->count = 0;
}

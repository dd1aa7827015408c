/* plan.c - which entries a query has to look at.
 * Level 6: may include levels 0-5.
 * SPDX-License-Identifier: MIT
 */
#include "plan.h"

#include "error.h"
#include "fault.h"
#include "log_find.h"

#include <stdarg.h>
#include <stdio.h>
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

/* ---- in words --------------------------------------------------------------------- */

static void say(trail__plan *plan, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say(trail__plan *plan, const char *format, ...)
{
    size_t len = strlen(plan->text);
    va_list args;

    va_start(args, format);
    (void)vsnprintf(plan->text + len, sizeof plan->text - len, format, args);
    va_end(args);
}

static void say_condition(trail__plan *plan, const trail__condition *c)
{
    say(plan, "%s%s", c->negate ? "not " : "", trail_field_name(c->field));
    if (c->field == TRAIL_FIELD_DETAILS) {
        say(plan, ".%.*s", (int)c->path.len, c->path.data);
    }
    say(plan, c->count == 1 ? " = " : " in (");
    for (size_t v = 0; v < c->count && v < 4; v++) {
        int len = c->values[v].len > 40 ? 40 : (int)c->values[v].len;

        say(plan, "%s%.*s%s", v > 0 ? ", " : "", len, c->values[v].data,
            c->prefixes[v] ? "*" : "");
    }
    say(plan, "%s%s", c->count > 4 ? ", ..." : "", c->count == 1 ? "" : ")");
}

static void describe(trail__plan *plan, const trail__filter *filter)
{
    const trail_filter *bounds = trail__filter_bounds(filter);
    const trail__condition *c;
    trail_error line;

    say(plan, "%s", plan->listed ? "by id" : plan->by_index ? "by index" : "read seqs");
    say(plan, " in %llu to %llu", (unsigned long long)plan->seq_first,
        (unsigned long long)plan->seq_last);
    for (size_t i = 0; (c = trail__filter_condition(filter, i)) != NULL; i++) {
        say(plan, i == 0 ? ": " : " and ");
        say_condition(plan, c);
    }
    if (bounds->since_us != TRAIL_TIME_NONE || bounds->until_us != TRAIL_TIME_NONE) {
        say(plan, "; a time range");
    }
    /* Made printable as a message is. */
    (void)trail__error(&line, TRAIL_INVALID, "%s", plan->text);
    (void)snprintf(plan->text, sizeof plan->text, "%s", line.text);
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
    plan_out->head_seq = head.seq;
    set_range(plan_out, trail__filter_bounds(filter), head.seq);
    if (trail__filter_ids(filter, &ids, &count)) {
        status = list_ids(txn, plan_out, head.seq, ids, count, err);
    }
    if (status != TRAIL_OK) {
        trail__plan_release(plan_out);
        return status;
    }
    plan_out->by_index = !plan_out->listed && !trail__filter_is_open(filter) &&
                         !trail__filter_bounds(filter)->unreadable;
    describe(plan_out, filter);
    return TRAIL_OK;
}

void trail__plan_release(trail__plan *plan)
{
    trail__free(plan->seqs);
    plan->seqs = NULL;
    plan->count = 0;
}

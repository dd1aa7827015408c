/* query.c - find records: pages of copies, and exact counts.
 * Level 6: may include levels 0-5, judge, plan, walk.
 * SPDX-License-Identifier: MIT
 */
#include "query.h"

#include "clock.h"
#include "door.h"
#include "error.h"
#include "fault.h"
#include "judge.h"
#include "log_find.h"
#include "plan.h"
#include "walk.h"

#include <string.h>

/* One page, and so one read transaction, ends at whichever comes first. */
enum {
    PAGE_RECORDS_FIRST = 16, /* then twice as many each time */
    PAGE_RECORDS_MAX = 512,
    PAGE_LEN_MAX = 1 << 20,
    PAGE_SCAN_MAX = 8192,
    COUNT_SCAN_MAX = 32768
};

/* Read an entry for a caller. What he gets satisfies the rules of the door again, so that bytes
 * that somebody changed in the file are never handed out as JSON or UTF-8. */
static trail_status read_out(uint64_t seq, trail_text stored, bool unreadable_too,
                             trail_record *record, trail_error *err)
{
    const char *wrong = trail__judge_read(seq, stored, record);
    trail_status status;
    trail_error rule;

    if (wrong == NULL) {
        status = trail__door_check(&record->event, TRAIL__DOOR_ENGINE, &rule);
        if (status == TRAIL_NO_MEMORY) { /* to check it: that says nothing of the entry */
            return trail__error(err, status, "entry %llu: %s", (unsigned long long)seq,
                                rule.text);
        }
        if (status != TRAIL_OK) {
            wrong = rule.text;
        }
    }
    if (wrong == NULL) {
        return TRAIL_OK;
    }
    memset(record, 0, sizeof *record);
    record->seq = seq;
    record->stored = stored;
    return unreadable_too ? TRAIL_OK : trail__judge_unreadable(seq, wrong, err);
}

/* ---- pages ------------------------------------------------------------------------ */

typedef struct item {
    uint64_t seq;
    size_t at;
    size_t len;
} item;

struct trail__query {
    trail__log *log;
    trail__index *index;
    trail__filter *filter;
    trail__plan plan;
    trail__walk walk;
    uint64_t left; /* records that may still be handed out */
    size_t page_records;
    item items[PAGE_RECORDS_MAX];
    size_t item_count;
    size_t item_next;
    uint8_t *bytes;
    size_t bytes_len;
    size_t bytes_room;
    trail_status failed; /* behind the items of this page; the error is: */
    trail_error failure;
    trail_record record;
};

static trail_status keep(trail__query *query, uint64_t seq, trail_text stored,
                         trail_error *err)
{
    size_t needed = query->bytes_len + stored.len;

    if (needed > query->bytes_room) {
        size_t room = needed + needed / 2 + 4096;
        uint8_t *grown = trail__realloc(query->bytes, room);

        if (grown == NULL) {
            return trail__error(err, TRAIL_NO_MEMORY, "no memory for a page of %zu bytes",
                                needed);
        }
        query->bytes = grown;
        query->bytes_room = room;
    }
    memcpy(query->bytes + query->bytes_len, stored.data, stored.len);
    query->items[query->item_count++] =
        (item){ .seq = seq, .at = query->bytes_len, .len = stored.len };
    query->bytes_len = needed;
    return TRAIL_OK;
}

/* Read entries into the page until it is full or the transaction has lived long enough. */
static trail_status fill_page(trail__query *query, trail_error *err)
{
    trail__walk *w = &query->walk;
    uint64_t scan_end = w->scanned + PAGE_SCAN_MAX;
    size_t records_max =
        query->left < query->page_records ? query->left : query->page_records;
    trail_status status = trail__walk_begin(w, query->log, query->index, err);

    if (status != TRAIL_OK) {
        return status;
    }
    while (status == TRAIL_OK && !w->over && query->item_count < records_max &&
           query->bytes_len < PAGE_LEN_MAX && w->scanned < scan_end) {
        uint64_t seq;
        trail_text stored;
        bool wanted = false;

        status = trail__walk_step(w, &seq, &stored, err);
        if (status == TRAIL_OK && stored.data != NULL) {
            status =
                trail__judge(query->filter, seq, stored, &query->record, &wanted, err);
        }
        if (status == TRAIL_OK && wanted) {
            status = keep(query, seq, stored, err);
            if (status != TRAIL_OK) {
                trail__walk_back(w, seq); /* a caller who goes on gets it then */
            }
        }
    }
    trail__walk_end(w);
    return status;
}

static trail_status next_page(trail__query *query, trail_error *err)
{
    int64_t begun_us = trail__clock_steady_us();
    trail_status status = TRAIL_OK;

    query->item_count = 0;
    query->item_next = 0;
    query->bytes_len = 0;
    while (status == TRAIL_OK && query->item_count == 0 && !query->walk.over) {
        status = fill_page(query, &query->failure);
    }
    if (status != TRAIL_OK && query->item_count > 0) {
        query->failed = status; /* first what came before it */
        status = TRAIL_OK;
    } else if (status != TRAIL_OK && err != NULL) {
        *err = query->failure;
    }
    query->page_records *= 2;
    if (query->page_records > PAGE_RECORDS_MAX) {
        query->page_records = PAGE_RECORDS_MAX;
    }
    query->walk.explain.time_us += trail__clock_steady_us() - begun_us;
    return status;
}

static trail_status plan_query(trail__query *query, trail_error *err)
{
    trail__kv_txn txn;
    trail_status status = trail__kv_begin_read(query->log->kv, &txn, err);

    if (status == TRAIL_OK) {
        status = trail__plan_make(&txn, query->filter, &query->plan, err);
        trail__kv_abort(&txn);
    }
    return status;
}

trail_status trail__query_open(trail__query **query_out, trail__log *log,
                               trail__index *index, const trail_filter *filter,
                               trail_error *err)
{
    trail__query *query = trail__alloc_zero(sizeof *query);
    int64_t begun_us = trail__clock_steady_us();
    const trail_filter *bounds;
    trail_status status;

    *query_out = NULL;
    if (query == NULL) {
        return trail__error(err, TRAIL_NO_MEMORY, "no memory for a query");
    }
    query->log = log;
    query->index = index;
    query->page_records = PAGE_RECORDS_FIRST;
    status = trail__filter_make(&query->filter, filter, err);
    if (status == TRAIL_OK) {
        status = plan_query(query, err);
    }
    if (status != TRAIL_OK) {
        trail__query_close(query);
        return status;
    }
    bounds = trail__filter_bounds(query->filter);
    query->left = bounds->limit > 0 ? bounds->limit : UINT64_MAX;
    if (bounds->limit > 0) { /* nobody will ask for fewer */
        query->page_records =
            bounds->limit < PAGE_RECORDS_MAX ? (size_t)bounds->limit : PAGE_RECORDS_MAX;
    }
    trail__walk_init(&query->walk, &query->plan, query->filter);
    query->walk.explain.time_us = trail__clock_steady_us() - begun_us;
    *query_out = query;
    return TRAIL_OK;
}

void trail__query_close(trail__query *query)
{
    if (query == NULL) {
        return;
    }
    trail__walk_release(&query->walk);
    trail__filter_free(query->filter);
    trail__plan_release(&query->plan);
    trail__free(query->bytes);
    trail__free(query);
}

trail_status trail__query_next(trail__query *query, const trail_record **record_out,
                               trail_error *err)
{
    trail_status status = TRAIL_OK;
    trail_text stored;
    const item *next;

    *record_out = NULL;
    if (query->left == 0) {
        return TRAIL_OK;
    }
    if (query->item_next == query->item_count) {
        status = query->failed;
        query->failed = TRAIL_OK;
        if (status == TRAIL_OK) {
            status = next_page(query, err);
        } else if (err != NULL) {
            *err = query->failure;
        }
    }
    if (status != TRAIL_OK || query->item_count == 0) {
        return status;
    }
    next = &query->items[query->item_next];
    stored.data = (const char *)query->bytes + next->at;
    stored.len = next->len;
    status = read_out(next->seq, stored, trail__filter_bounds(query->filter)->unreadable,
                      &query->record, err);
    query->item_next += status != TRAIL_NO_MEMORY; /* a caller who goes on gets it then */
    if (status != TRAIL_OK) {
        return status;
    }
    query->left--;
    *record_out = &query->record;
    return TRAIL_OK;
}

uint64_t trail__query_scanned(const trail__query *query)
{
    return query->walk.scanned;
}

void trail__query_explain(const trail__query *query, trail_explain *explain_out)
{
    *explain_out = query->walk.explain;
    explain_out->records_read = query->walk.scanned;
}

/* ---- count ------------------------------------------------------------------------ */

/* Without conditions the answer is the length of the range, provided that no entry is missing:
 * as many entries as the head says are then the seqs 1 to head. */
static trail_status count_range(const trail__kv_txn *txn, const trail__plan *plan,
                                bool *known_out, uint64_t *count_out, trail_error *err)
{
    trail_head head;
    uint64_t entries;
    trail_status status = trail__log_head(txn, &head, err);

    if (status == TRAIL_OK) {
        status = trail__kv_count(txn, TRAIL__KV_ENTRIES, &entries, err);
    }
    if (status == TRAIL_OK) {
        *known_out = entries == head.seq;
        *count_out =
            plan->seq_first > plan->seq_last ? 0 : plan->seq_last - plan->seq_first + 1;
    }
    return status;
}

static trail_status count_some(trail__log *log, trail__index *index,
                               const trail__filter *filter, trail__walk *w,
                               uint64_t *count, trail_error *err)
{
    uint64_t scan_end = w->scanned + COUNT_SCAN_MAX;
    trail_status status = trail__walk_begin(w, log, index, err);

    if (status != TRAIL_OK) {
        return status;
    }
    while (status == TRAIL_OK && !w->over && w->scanned < scan_end) {
        trail_record record;
        uint64_t seq;
        trail_text stored;
        bool wanted = false;

        status = trail__walk_count(w, &wanted, count, err);
        if (status != TRAIL_OK || wanted) {
            continue;
        }
        status = trail__walk_step(w, &seq, &stored, err);
        if (status == TRAIL_OK && stored.data != NULL) {
            status = trail__judge(filter, seq, stored, &record, &wanted, err);
        }
        *count += wanted;
    }
    trail__walk_end(w);
    return status;
}

static trail_status count_planned(trail__log *log, trail__index *index,
                                  const trail__filter *filter, const trail__plan *plan,
                                  uint64_t *count_out, trail_explain *explain,
                                  trail_error *err)
{
    trail_status status = TRAIL_OK;
    uint64_t count = 0;
    trail__walk w;

    trail__walk_init(&w, plan, filter);
    while (status == TRAIL_OK && !w.over) {
        status = count_some(log, index, filter, &w, &count, err);
    }
    trail__walk_release(&w);
    *explain = w.explain;
    explain->records_read = w.scanned;
    if (status == TRAIL_OK) {
        *count_out = count;
    }
    return status;
}

static trail_status count_made(trail__log *log, trail__index *index,
                               const trail__filter *made, uint64_t *count_out,
                               trail_explain *explain, trail_error *err)
{
    trail__plan plan = { 0 };
    trail__kv_txn txn;
    bool known = false;
    trail_status status = trail__kv_begin_read(log->kv, &txn, err);

    if (status != TRAIL_OK) {
        return status;
    }
    status = trail__plan_make(&txn, made, &plan, err);
    if (status == TRAIL_OK && trail__filter_is_open(made)) {
        status = count_range(&txn, &plan, &known, count_out, err);
    }
    trail__kv_abort(&txn);
    memset(explain, 0, sizeof *explain);
    memcpy(explain->plan, plan.text, sizeof explain->plan);
    explain->head_seq = plan.head_seq;
    if (status == TRAIL_OK && !known) {
        status = count_planned(log, index, made, &plan, count_out, explain, err);
    }
    trail__plan_release(&plan);
    return status;
}

trail_status trail__query_count(trail__log *log, trail__index *index,
                                const trail_filter *filter, uint64_t *count_out,
                                trail_explain *explain_out, trail_error *err)
{
    int64_t begun_us = trail__clock_steady_us();
    trail__filter *made = NULL;
    trail_explain explain;
    trail_filter whole;
    trail_status status;

    trail_filter_init(&whole);
    if (filter != NULL) {
        whole = *filter;
    }
    whole.after = 0;
    whole.limit = 0;
    whole.order = TRAIL_OLDEST_FIRST;
    if (filter != NULL && filter->order != TRAIL_NEWEST_FIRST) {
        whole.order = filter->order; /* checked there */
    }
    status = trail__filter_make(&made, &whole, err);
    if (status != TRAIL_OK) {
        return status;
    }
    status = count_made(log, index, made, count_out, &explain, err);
    trail__filter_free(made);
    if (status == TRAIL_OK && explain_out != NULL) {
        *explain_out = explain;
        explain_out->time_us = trail__clock_steady_us() - begun_us;
    }
    return status;
}

/* ---- one record ------------------------------------------------------------------- */

static trail_status copy_record(trail_text stored, uint64_t seq,
                                trail_record **record_out, trail_error *err)
{
    trail_record *record = trail__alloc(sizeof *record + stored.len);
    trail_status status;

    if (record == NULL) {
        return trail__error(err, TRAIL_NO_MEMORY, "no memory for a record of %zu bytes",
                            stored.len);
    }
    memcpy(record + 1, stored.data, stored.len);
    stored.data = (const char *)(record + 1);
    status = read_out(seq, stored, false, record, err);
    if (status != TRAIL_OK) {
        trail__free(record);
        return status;
    }
    *record_out = record;
    return TRAIL_OK;
}

static trail_status get_in(const trail__kv_txn *txn, uint64_t seq,
                           trail_record **record_out, trail_error *err)
{
    trail_text stored;
    trail_status status = trail__log_stored(txn, seq, &stored, err);

    if (status == TRAIL_NOT_FOUND) {
        return trail__error(err, TRAIL_NOT_FOUND, "there is no event with seq %llu",
                            (unsigned long long)seq);
    }
    return status == TRAIL_OK ? copy_record(stored, seq, record_out, err) : status;
}

trail_status trail__query_get(trail__log *log, uint64_t seq, trail_record **record_out,
                              trail_error *err)
{
    trail__kv_txn txn;
    trail_status status = trail__kv_begin_read(log->kv, &txn, err);

    if (status == TRAIL_OK) {
        status = get_in(&txn, seq, record_out, err);
        trail__kv_abort(&txn);
    }
    return status;
}

trail_status trail__query_get_by_id(trail__log *log, const uint8_t id[TRAIL_ID_LEN],
                                    trail_record **record_out, trail_error *err)
{
    char text[TRAIL_ID_TEXT_LEN + 1];
    trail__kv_txn txn;
    trail_head head;
    uint64_t seq;
    trail_status status = trail__kv_begin_read(log->kv, &txn, err);

    if (status != TRAIL_OK) {
        return status;
    }
    status = trail__log_head(&txn, &head, err);
    if (status == TRAIL_OK) {
        status = trail__log_find(&txn, head.seq, id, &seq, err);
        if (status == TRAIL_OK) {
            status = get_in(&txn, seq, record_out, err);
        } else if (status == TRAIL_NOT_FOUND) {
            trail_id_format(id, text);
            status =
                trail__error(err, TRAIL_NOT_FOUND, "there is no event with id %s", text);
        }
    }
    trail__kv_abort(&txn);
    return status;
}

void trail_record_free(trail_record *record)
{
    trail__free(record);
}

/* bench_trail.c - the trail side of the benchmark, through the public functions only.
 * Edge: of the library only trail.h; never installed.
 * SPDX-License-Identifier: MIT
 */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

enum { SEGMENT_SEQS = 4096, PAGE = 100 };

trail *bench_trail_new(const char *path, trail_indexing indexing)
{
    trail *t = NULL;
    trail_options options;
    trail_error err;

    trail_options_init(&options);
    options.flags = TRAIL_CREATE_NEW;
    options.indexing = indexing;
    options.queue_policy = TRAIL_QUEUE_WAIT;
    bench_check(trail_open(&t, path, &options, &err), &err, "create a trail");
    return t;
}

trail *bench_trail_open(const char *path)
{
    trail *t = NULL;
    trail_options options;
    trail_error err;

    trail_options_init(&options);
    options.flags = TRAIL_READ_ONLY;
    bench_check(trail_open(&t, path, &options, &err), &err, "open a trail");
    return t;
}

/* Less than a segment is left to the scan that every query makes of the newest events. By
 * itself the thread of the trail would get there as well: trail_maintain says when. */
void bench_trail_wait_index(trail *t)
{
    trail_index_info info;
    trail_error err;
    trail_status status = trail_maintain(t, NULL, &err);

    /* The thread is at it, and kept at it for longer than we may wait. */
    while (status == TRAIL_BUSY) {
        status = trail_maintain(t, NULL, &err);
    }
    bench_check(status, &err, "bring the index up to the head");
    bench_check(trail_get_index_info(t, &info, &err), &err, "index info");
    if (!info.present || info.head_seq - info.index_seq >= SEGMENT_SEQS) {
        bench_fail("the index has come to %llu of %llu: %s",
                   (unsigned long long)info.index_seq, (unsigned long long)info.head_seq,
                   info.why);
    }
}

void bench_trail_append(trail *t, bench_pool *pool, size_t first, size_t count,
                        bool with_ids, bench_times *times)
{
    trail_error err;

    for (size_t n = first; n < first + count; n++) {
        const trail_event *batch =
            with_ids ? bench_pool_batch_with_ids(pool, n) : bench_pool_batch(pool, n);
        double begin = bench_now_s();
        trail_status status = trail_append_batch(t, batch, BENCH_BATCH, NULL, &err);

        bench_times_add(times, bench_now_s() - begin);
        bench_check(status, &err, "append a batch");
    }
}

void bench_trail_single(trail *t, bench_pool *pool, size_t count, bench_times *times)
{
    const trail_event *events = bench_pool_batch(pool, 0);
    trail_error err;

    for (size_t i = 0; i < count; i++) {
        double begin = bench_now_s();
        trail_status status = trail_append(t, &events[i % BENCH_BATCH], NULL, &err);

        bench_times_add(times, bench_now_s() - begin);
        bench_check(status, &err, "append one event");
    }
}

double bench_trail_verify_s(trail *t, unsigned threads)
{
    trail_verify_options options;
    trail_report report;
    trail_error err;
    trail_status status;
    double begin;
    double seconds;

    trail_verify_options_init(&options);
    options.threads = threads;
    begin = bench_now_s();
    status = trail_verify(t, &options, &report, &err);
    seconds = bench_now_s() - begin;
    bench_check(status, &err, "verify");
    if (report.fault != TRAIL_FAULT_NONE) {
        bench_fail("verify: %s", report.text);
    }
    return seconds;
}

double bench_trail_count_s(trail *t)
{
    const trail_text type = trail_str("auth_attempt");
    const trail_text result = trail_str("failure");
    const trail_match matches[] = {
        { .field = TRAIL_FIELD_EVENT_TYPE, .values = &type, .count = 1 },
        { .field = TRAIL_FIELD_RESULT, .values = &result, .count = 1 },
    };
    trail_filter filter;
    trail_error err;
    trail_status status;
    uint64_t count = 0;
    double begin;
    double seconds;

    trail_filter_init(&filter);
    filter.matches = matches;
    filter.match_count = sizeof matches / sizeof matches[0];
    begin = bench_now_s();
    status = trail_count(t, &filter, &count, &err);
    seconds = bench_now_s() - begin;
    bench_check(status, &err, "count");
    if (count == 0) {
        bench_fail("count: found nothing");
    }
    return seconds;
}

double bench_trail_count_and_s(trail *t, trail_text user, trail_text type,
                               uint64_t *count_out)
{
    const trail_match matches[] = {
        { .field = TRAIL_FIELD_USER_ID, .values = &user, .count = 1 },
        { .field = TRAIL_FIELD_EVENT_TYPE, .values = &type, .count = 1 },
    };
    trail_filter filter;
    trail_error err;
    trail_status status;
    double begin = bench_now_s();
    double seconds;

    trail_filter_init(&filter);
    filter.matches = matches;
    filter.match_count = sizeof matches / sizeof matches[0];
    status = trail_count(t, &filter, count_out, &err);
    seconds = bench_now_s() - begin;
    bench_check(status, &err, "count of a user and a type");
    return seconds;
}

double bench_trail_page_s(trail *t, trail_text user, size_t *count_out)
{
    const trail_match match = { .field = TRAIL_FIELD_USER_ID,
                                .values = &user,
                                .count = 1 };
    const trail_record *record = NULL;
    trail_cursor *cursor = NULL;
    trail_filter filter;
    trail_error err;
    trail_status status;
    double begin = bench_now_s();

    trail_filter_init(&filter);
    filter.matches = &match;
    filter.match_count = 1;
    filter.limit = PAGE;
    bench_check(trail_query(t, &filter, &cursor, &err), &err, "query of a user");
    *count_out = 0;
    status = trail_cursor_next(cursor, &record, &err);
    while (status == TRAIL_OK && record != NULL) {
        (*count_out)++;
        status = trail_cursor_next(cursor, &record, &err);
    }
    bench_check(status, &err, "next of a user");
    trail_cursor_close(cursor);
    return bench_now_s() - begin;
}

/* Oldest first, without seq 1, which is not one of ours. */
void bench_trail_copy(trail *t, size_t count, bench_corpus *corpus_out)
{
    trail_cursor *cursor = NULL;
    const trail_record *record = NULL;
    trail_filter filter;
    trail_error err;
    size_t room = 0;
    size_t len = 0;

    trail_filter_init(&filter);
    filter.order = TRAIL_OLDEST_FIRST;
    filter.seq_first = 2;
    filter.limit = count;
    corpus_out->bytes = NULL;
    corpus_out->count = count;
    corpus_out->ends = bench_alloc(count, sizeof *corpus_out->ends);
    bench_check(trail_query(t, &filter, &cursor, &err), &err, "query");
    for (size_t i = 0; i < count; i++) {
        bench_check(trail_cursor_next(cursor, &record, &err), &err, "next record");
        if (record == NULL) {
            bench_fail("query: only %zu of %zu records", i, count);
        }
        if (len + record->stored.len > room) {
            room = (len + record->stored.len) * 2;
            corpus_out->bytes = realloc(corpus_out->bytes, room);
            if (corpus_out->bytes == NULL) {
                bench_fail("no memory for %zu bytes of records", room);
            }
        }
        memcpy(corpus_out->bytes + len, record->stored.data, record->stored.len);
        len += record->stored.len;
        corpus_out->ends[i] = len;
    }
    trail_cursor_close(cursor);
}

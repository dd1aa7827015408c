/* c_api_trail.c - the half of c_api that needs a trail with something in it.
 * Test: includes trail.h only, like any program.
 * SPDX-License-Identifier: MIT
 */
#include "c_api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BATCH = 3 };

/* ---- receipts --------------------------------------------------------------------- */

/* A receipt says what is stored. */
static void check_receipt(trail *t, const trail_receipt *receipt)
{
    trail_record *record = NULL;
    trail_record *same = NULL;

    CHECK(trail_get(t, receipt->seq, &record, NULL) == TRAIL_OK);
    CHECK(trail_get_by_id(t, receipt->id, &same, NULL) == TRAIL_OK);
    CHECK(same->seq == receipt->seq);
    CHECK(record->recorded_at_us == receipt->recorded_at_us);
    CHECK(memcmp(record->event.id, receipt->id, TRAIL_ID_LEN) == 0);
    CHECK(memcmp(record->event_hash, receipt->event_hash, TRAIL_HASH_LEN) == 0);
    trail_record_free(record);
    trail_record_free(same);
}

/* The same id again: with the same content it is a duplicate, with other content refused. */
static void check_again(trail *t, trail_event *events, const trail_receipt *first)
{
    trail_receipt again[BATCH];
    trail_error err;

    CHECK(trail_append(t, &events[1], &again[0], &err) == TRAIL_OK);
    CHECK(again[0].duplicate && again[0].seq == first[1].seq);
    CHECK(again[0].recorded_at_us == first[1].recorded_at_us);
    CHECK(memcmp(again[0].id, first[1].id, TRAIL_ID_LEN) == 0);
    CHECK(memcmp(again[0].event_hash, first[1].event_hash, TRAIL_HASH_LEN) == 0);
    CHECK(head_seq(t) == 4);

    /* In a batch only what is new is added, and each event gets its own answer. */
    CHECK(trail_append_batch(t, events, BATCH, again, &err) == TRAIL_OK);
    CHECK(!again[0].duplicate && again[1].duplicate && !again[2].duplicate);
    CHECK(again[0].seq == 5 && again[1].seq == 3 && again[2].seq == 6);
    for (int i = 0; i < BATCH; i++) {
        check_receipt(t, &again[i]);
    }

    events[1].resource_id = trail_str("other");
    memset(again, UNTOUCHED, sizeof again);
    CHECK(trail_append(t, &events[1], again, &err) == TRAIL_EXISTS);
    CHECK(explains(&err, TRAIL_EXISTS, "seq 3"));
    CHECK(trail_append_batch(t, events, BATCH, again, &err) == TRAIL_EXISTS);
    CHECK(explains(&err, TRAIL_EXISTS, "event 2: "));
    CHECK(is_untouched(again, sizeof again) && head_seq(t) == 6);
}

static void check_read_only(const trail_event *event)
{
    trail *reader = NULL;
    trail_options options;
    trail_receipt receipt;
    trail_error err;

    trail_options_init(&options);
    options.flags = TRAIL_READ_ONLY;
    memset(&receipt, UNTOUCHED, sizeof receipt);
    CHECK(trail_open(&reader, path, &options, &err) == TRAIL_OK);
    CHECK(trail_append(reader, event, &receipt, &err) == TRAIL_DENIED);
    CHECK(explains(&err, TRAIL_DENIED, "read-only"));
    CHECK(is_untouched(&receipt, sizeof receipt));
    trail_close(reader);
}

void check_receipts(void)
{
    static const uint8_t id[TRAIL_ID_LEN] = { 1, 2, 3, 4, 5, 6, 0x47, 8, 0x89, 10 };
    trail *t = open_sample(0);
    trail_event events[BATCH] = { sample("one"), sample("two"), sample("three") };
    trail_receipt receipts[BATCH];
    trail_error err;

    events[1].id = id;
    events[1].timestamp_us = 1;
    CHECK(trail_append_batch(t, events, BATCH, receipts, &err) == TRAIL_OK);
    for (int i = 0; i < BATCH; i++) {
        CHECK(receipts[i].seq == (uint64_t)i + 2 && !receipts[i].duplicate);
        check_receipt(t, &receipts[i]);
    }
    CHECK(memcmp(receipts[1].id, id, TRAIL_ID_LEN) == 0);
    check_again(t, events, receipts);

    /* One wrong event, and nothing of the batch is stored. */
    events[1] = sample("two");
    events[2].result = trail_str("perhaps");
    memset(receipts, UNTOUCHED, sizeof receipts);
    CHECK(trail_append_batch(t, events, BATCH, receipts, &err) == TRAIL_INVALID);
    CHECK(explains(&err, TRAIL_INVALID, "event 3: ") && strstr(err.text, "result"));
    CHECK(is_untouched(receipts, sizeof receipts) && head_seq(t) == 6);
    check_read_only(&events[0]);
    trail_close(t);
}

/* ---- reading ---------------------------------------------------------------------- */

static bool lies_in(trail_text part, trail_text whole)
{
    return part.data >= whole.data && part.len > 0 &&
           part.data + part.len <= whole.data + whole.len;
}

static void check_record(trail *t)
{
    trail_record *record = NULL;
    trail_record *before = NULL;

    CHECK(trail_get(t, 3, &record, NULL) == TRAIL_OK);
    CHECK(trail_get(t, 2, &before, NULL) == TRAIL_OK);
    CHECK(record->readable && record->seq == 3);
    CHECK(memcmp(record->previous_hash, before->event_hash, TRAIL_HASH_LEN) == 0);
    CHECK(record->recorded_at_us >= before->recorded_at_us);
    CHECK(record->event.id != NULL && record->event.timestamp_us != TRAIL_TIME_NONE);
    CHECK(text_is(record->event.event_type, "c_api"));
    CHECK(text_is(record->event.resource_id, "sample"));
    CHECK(record->event.user_id.data == NULL && record->event.details.data == NULL);
    CHECK(lies_in(record->entry, record->stored) && lies_in(record->who, record->stored));
    CHECK(record->details.data == NULL); /* no such part: it had neither */
    trail_record_free(record);
    trail_record_free(before);
}

static void check_not_found(trail *t, trail_error *err)
{
    static const uint8_t unknown[TRAIL_ID_LEN] = { 9 };
    static const uint64_t seqs[] = { 0, 5, UINT64_MAX };
    trail_record *record;

    for (size_t i = 0; i < sizeof seqs / sizeof seqs[0]; i++) {
        record = (trail_record *)path;
        CHECK(trail_get(t, seqs[i], &record, err) == TRAIL_NOT_FOUND && record == NULL);
        CHECK(err == NULL || explains(err, TRAIL_NOT_FOUND, "seq"));
    }
    record = (trail_record *)path;
    CHECK(trail_get_by_id(t, unknown, &record, err) == TRAIL_NOT_FOUND && record == NULL);
    CHECK(err == NULL || explains(err, TRAIL_NOT_FOUND, "09000000-"));
}

/* The cursor sees what was there when it was opened, in the order asked for. */
static void check_cursor(trail *t)
{
    trail_event later = sample("later");
    trail_cursor *cursor = NULL;
    const trail_record *record = NULL;
    trail_filter filter;

    trail_filter_init(&filter);
    filter.order = TRAIL_OLDEST_FIRST;
    filter.after = 2;
    CHECK(trail_query(t, &filter, &cursor, NULL) == TRAIL_OK);
    memset(&filter, UNTOUCHED, sizeof filter); /* it was copied */
    CHECK(trail_append(t, &later, NULL, NULL) == TRAIL_OK);
    for (uint64_t seq = 3; seq <= 4; seq++) {
        CHECK(trail_cursor_next(cursor, &record, NULL) == TRAIL_OK);
        CHECK(record != NULL && record->seq == seq);
    }
    CHECK(trail_cursor_next(cursor, &record, NULL) == TRAIL_OK && record == NULL);
    trail_cursor_close(cursor);
    trail_filter_init(&filter);
    filter.limit = 1;
    CHECK(trail_query(t, &filter, &cursor, NULL) == TRAIL_OK);
    CHECK(trail_cursor_next(cursor, &record, NULL) == TRAIL_OK);
    CHECK(record != NULL && text_is(record->event.resource_id, "later"));
    CHECK(trail_cursor_next(cursor, &record, NULL) == TRAIL_OK && record == NULL);
    trail_cursor_close(cursor);
}

static void check_info(trail *t)
{
    trail_info info;
    trail_head head;

    CHECK(trail_get_info(t, &info, NULL) == TRAIL_OK);
    CHECK(trail_get_head(t, &head, NULL) == TRAIL_OK && head.seq == 4);
    CHECK(info.format == 1 && strcmp(info.origin, "trail") == 0 && info.foreign_ids == 0);
    CHECK(info.head.seq == 4 && info.head.recorded_at_us == head.recorded_at_us);
    CHECK(memcmp(info.head.event_hash, head.event_hash, TRAIL_HASH_LEN) == 0);
    CHECK(info.created_at_us > 0 && info.created_at_us <= head.recorded_at_us);
    CHECK(info.used_len > 0 && info.used_len <= info.file_len);
    CHECK(info.file_len <= info.map_size && info.size_max == 0);
    CHECK(info.readers <= info.readers_max && info.readers_max > 0);
}

void check_reading(void)
{
    trail *t = open_sample(3);
    trail_error err;

    check_info(t);
    check_record(t);
    check_not_found(t, NULL);
    check_not_found(t, &err);
    check_cursor(t);
    trail_close(t);
}

/* ---- verify ----------------------------------------------------------------------- */

typedef struct progress {
    int calls;
    int stop_at; /* 0: never */
    uint64_t done;
    uint64_t total;
} progress;

static bool on_progress(void *context, uint64_t done, uint64_t total)
{
    progress *p = context;

    CHECK(done >= p->done && done <= total);
    p->calls++;
    p->done = done;
    p->total = total;
    return p->calls != p->stop_at;
}

static void check_progress(trail *t, uint64_t seq)
{
    progress p = { .calls = 0 };
    trail_verify_options options;
    trail_report report;

    trail_verify_options_init(&options);
    options.progress = on_progress;
    options.context = &p;
    CHECK(trail_verify(t, &options, &report, NULL) == TRAIL_OK);
    CHECK(report.fault == TRAIL_FAULT_NONE && report.complete && !report.head_expected);
    CHECK(report.entries == seq && report.last_good_seq == seq && report.head.seq == seq);
    CHECK(p.calls > 2 && p.done == seq && p.total == seq);
    p = (progress){ .calls = 0 };
    CHECK(trail_verify_path(path, &options, &report, NULL) == TRAIL_OK);
    CHECK(report.fault == TRAIL_FAULT_NONE && report.entries == seq);
    CHECK(p.calls > 0 && p.done == seq && p.total == seq);

    /* Stopped before the first entry, and in the middle. */
    for (int stop_at = 1; stop_at <= 2; stop_at++) {
        p = (progress){ .stop_at = stop_at };
        CHECK(trail_verify(t, &options, &report, NULL) == TRAIL_OK);
        CHECK(report.fault == TRAIL_FAULT_NONE && !report.complete);
        CHECK(p.calls == stop_at && report.last_good_seq == p.done);
        CHECK(report.entries == p.done && p.done < seq && (p.done > 0) == (stop_at == 2));
        CHECK(strstr(report.text, "stopped") != NULL);
    }
}

/* What both ways to verify say of a head that was noted down. */
static trail_report expect(trail *t, uint64_t seq, const uint8_t hash[TRAIL_HASH_LEN])
{
    trail_verify_options options;
    trail_report here;
    trail_report there;

    trail_verify_options_init(&options);
    options.expect_seq = seq;
    memcpy(options.expect_hash, hash, TRAIL_HASH_LEN);
    CHECK(trail_verify(t, &options, &here, NULL) == TRAIL_OK);
    CHECK(trail_verify_path(path, &options, &there, NULL) == TRAIL_OK);
    CHECK(here.fault == there.fault && here.first_bad_seq == there.first_bad_seq);
    CHECK(here.complete && there.complete && strcmp(here.text, there.text) == 0);
    CHECK(here.head_expected && there.head_expected);
    return here;
}

void check_verify(void)
{
    enum { COUNT = TRAIL_BATCH_COUNT_MAX };
    trail *t = open_sample(0);
    trail_event *events = calloc(COUNT, sizeof *events);
    trail_head head;
    trail_report report;

    for (int i = 0; i < COUNT && events != NULL; i++) {
        events[i] = sample("many");
    }
    CHECK(trail_append_batch(t, events, COUNT, NULL, NULL) == TRAIL_OK);
    free(events);
    CHECK(trail_get_head(t, &head, NULL) == TRAIL_OK && head.seq == COUNT + 1);
    check_progress(t, head.seq);
    CHECK(expect(t, head.seq, head.event_hash).fault == TRAIL_FAULT_NONE);
    report = expect(t, head.seq - 1, head.event_hash);
    CHECK(report.fault == TRAIL_FAULT_HEAD && report.first_bad_seq == head.seq - 1);
    report = expect(t, head.seq + 1, head.event_hash);
    CHECK(report.fault == TRAIL_FAULT_MISSING && report.first_bad_seq == head.seq + 1);
    head.event_hash[31] ^= 1;
    report = expect(t, head.seq, head.event_hash);
    CHECK(report.fault == TRAIL_FAULT_HEAD && report.first_bad_seq == head.seq);
    trail_close(t);
}

/* ---- damage ----------------------------------------------------------------------- */

/* The spec has damaged the head, or the first entry. */
void check_damaged(void)
{
    trail *t = open_sample(0);
    trail_error err;
    trail_record *record = NULL;
    trail_head head;
    trail_info info;

    memset(&head, UNTOUCHED, sizeof head);
    memset(&info, UNTOUCHED, sizeof info);
    if (trail_get_head(t, &head, &err) != TRAIL_OK) {
        CHECK(explains(&err, TRAIL_CORRUPT, "head"));
        CHECK(is_untouched(&head, sizeof head));
    } else {
        CHECK(trail_get(t, 1, &record, &err) == TRAIL_CORRUPT && record == NULL);
        CHECK(explains(&err, TRAIL_CORRUPT, "entry 1"));
    }
    CHECK(trail_get_info(t, &info, &err) == TRAIL_CORRUPT);
    CHECK(explains(&err, TRAIL_CORRUPT, "run verify"));
    CHECK(is_untouched(&info, sizeof info));
    trail_close(t);
}

/* ---- fork ------------------------------------------------------------------------- */

/* In the child: every call on what the parent opened, and what it leaves alone. */
static void use_forked(trail *t, trail_cursor *cursor)
{
    static const uint8_t id[TRAIL_ID_LEN];
    trail_event event = sample("forked");
    trail_receipt receipt;
    trail_report report;
    trail_head head;
    trail_info info;
    trail_cursor *other;
    trail_record *record;
    const trail_record *next;
    trail_error err;
    uint64_t count;

    memset(&receipt, UNTOUCHED, sizeof receipt);
    memset(&report, UNTOUCHED, sizeof report);
    memset(&head, UNTOUCHED, sizeof head);
    memset(&info, UNTOUCHED, sizeof info);
    memset(&count, UNTOUCHED, sizeof count);
    CHECK(trail_append(t, &event, &receipt, &err) == TRAIL_FORKED);
    CHECK(explains(&err, TRAIL_FORKED, path));
    CHECK(trail_append_batch(t, &event, 1, &receipt, NULL) == TRAIL_FORKED);
    CHECK(trail_get_head(t, &head, NULL) == TRAIL_FORKED);
    CHECK(trail_get_info(t, &info, NULL) == TRAIL_FORKED);
    CHECK(trail_query(t, NULL, &other, NULL) == TRAIL_FORKED && other == NULL);
    CHECK(trail_cursor_next(cursor, &next, NULL) == TRAIL_FORKED && next == NULL);
    CHECK(trail_count(t, NULL, &count, NULL) == TRAIL_FORKED);
    CHECK(trail_get(t, 1, &record, NULL) == TRAIL_FORKED && record == NULL);
    CHECK(trail_get_by_id(t, id, &record, NULL) == TRAIL_FORKED && record == NULL);
    CHECK(trail_verify(t, NULL, &report, NULL) == TRAIL_FORKED);
    CHECK(is_untouched(&receipt, sizeof receipt) && is_untouched(&count, sizeof count));
    CHECK(is_untouched(&head, sizeof head) && is_untouched(&info, sizeof info));
    CHECK(is_untouched(&report, sizeof report));
    CHECK(strcmp(trail_path(t), path) == 0 && *trail_real_path(t) == '/');
    trail_cursor_close(cursor);
    trail_close(t);
}

/* In the child: the trail opened anew works like any other. */
static void open_anew(void)
{
    trail *t = open_sample(1);
    trail_report report;

    CHECK(head_seq(t) == 3);
    CHECK(trail_verify_path(path, NULL, &report, NULL) == TRAIL_OK);
    CHECK(report.fault == TRAIL_FAULT_NONE);
    trail_close(t);
}

void check_fork(void)
{
    trail *t = open_sample(1);
    trail_cursor *cursor = NULL;
    const trail_record *record = NULL;
    int how = -1;
    pid_t child;

    CHECK(trail_query(t, NULL, &cursor, NULL) == TRAIL_OK);
    (void)fflush(stdout);
    child = fork();
    if (child == 0) {
        use_forked(t, cursor);
        open_anew();
        (void)fflush(stdout);
        _exit(failures > 0); /* what the parent opened is not freed here, on purpose */
    }
    CHECK(waitpid(child, &how, 0) == child && how == 0);

    /* What the child did with its copies has not hurt the parent's. */
    CHECK(trail_cursor_next(cursor, &record, NULL) == TRAIL_OK);
    CHECK(record != NULL && record->seq == 2);
    trail_cursor_close(cursor);
    CHECK(head_seq(t) == 3);
    trail_close(t);
    t = open_sample(1);
    CHECK(head_seq(t) == 4);
    trail_close(t);
}

/* memory_calls.c - each public function, called and judged, for a loop that lets memory fail.
 * Test: includes memory.h.
 * SPDX-License-Identifier: MIT
 */
#include "memory.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIST = 8, THREADS = 3, LARGE_LEN = 200000, UNTOUCHED = 0x5a };
enum { QUIET_OF_CHILD = 30 };

static _Noreturn void give_up(const char *what)
{
    printf("%s\n", what);
    abort();
}

/* ---- results ---------------------------------------------------------------------------- */

/* Results are written on TRAIL_OK only. */
static void mark(void *result, size_t len)
{
    memset(result, UNTOUCHED, len);
}

static void check_untouched(trail_status status, const void *result, size_t len)
{
    const unsigned char *bytes = result;

    for (size_t i = 0; status != TRAIL_OK && i < len; i++) {
        if (bytes[i] != UNTOUCHED) {
            give_up("a result was written although the function failed");
        }
    }
}

static void check_given(trail_status status, const void *result)
{
    if ((status == TRAIL_OK) != (result != NULL)) {
        give_up("a handle without success, or success without a handle");
    }
}

/* ---- open and append -------------------------------------------------------------------- */

void make_id(unsigned n, uint8_t id[TRAIL_ID_LEN])
{
    memset(id, 0x42, TRAIL_ID_LEN);
    memcpy(id, &n, sizeof n);
}

static void make_event(state *s, trail_event *event, uint8_t id[TRAIL_ID_LEN],
                       char name[32])
{
    unsigned n = ++s->appended;

    (void)snprintf(name, 32, "n%u", n);
    make_id(n, id);
    trail_event_init(event);
    event->id = id;
    event->event_type = trail_str("memory_test");
    event->action = trail_str("append");
    event->resource_type = trail_str("n");
    event->resource_id = trail_str(name);
    event->result = trail_str("success");
    /* So many digits are nothing for the fast scan: jansson judges, and allocates. Its lexer's
     * buffer doubles at 15, 31 and 63 bytes: in the number, and at the quote of the string. */
    event->details =
        trail_str("{\"a\":[12345678901234.5678901234567890123456789,\"\\u00e9\"],\"b\":"
                  "\"12345678901234567890123456789012345678901234567890123456789012\"}");
}

trail_status append_to(state *s, trail *t, trail_error *err)
{
    trail_event event;
    trail_receipt receipt;
    uint8_t id[TRAIL_ID_LEN];
    char name[32];
    trail_status status;

    make_event(s, &event, id, name);
    mark(&receipt, sizeof receipt);
    status = trail_append(t, &event, &receipt, err);
    check_untouched(status, &receipt, sizeof receipt);
    return status;
}

trail_status do_create(state *s, trail_error *err)
{
    trail_options options;

    (void)snprintf(s->new_path, sizeof s->new_path, "%s/new%u", s->dir, ++s->appended);
    trail_options_init(&options);
    options.map_size = MAP_SIZE;
    options.size_max = SIZE_LIMIT;
    options.origin = "memory.c";
    return trail_open(&s->other, s->new_path, &options, err);
}

static trail_status do_open(state *s, trail_error *err)
{
    return trail_open(&s->other, s->closed_path, NULL, err);
}

static trail_status do_open_read_only(state *s, trail_error *err)
{
    trail_options options;

    trail_options_init(&options);
    options.flags = TRAIL_READ_ONLY;
    return trail_open(&s->other, s->closed_path, &options, err);
}

static trail_status do_open_twice(state *s, trail_error *err)
{
    return trail_open(&s->other, s->path, NULL, err);
}

/* What was opened while memory failed must be as good as any other when it is back. */
static int after_open(state *s, trail_error *err)
{
    trail_record *record = NULL;
    trail_status status = TRAIL_OK;

    if (s->other != NULL) {
        status = trail_get(s->other, 1, &record, err);
        trail_record_free(record);
    }
    trail_close(s->other);
    s->other = NULL;
    return status != TRAIL_OK;
}

static int after_open_to_write(state *s, trail_error *err)
{
    bool same = s->other != NULL && strcmp(trail_path(s->other), s->path) == 0;

    if (s->other != NULL && append_to(s, s->other, err) != TRAIL_OK) {
        return 1;
    }
    s->stored += same;
    return after_open(s, err);
}

static int after_large(state *s, trail_error *err)
{
    trail_report report = { .fault = TRAIL_FAULT_NONE };
    int bad;

    if (trail_verify(s->other, NULL, &report, err) != TRAIL_OK) {
        return 1;
    }
    if (report.fault != TRAIL_FAULT_NONE || report.entries != s->entries) {
        (void)snprintf(err->text, sizeof err->text, "%s", report.text);
        return 1;
    }
    bad = after_open_to_write(s, err);
    remove_trail(s->new_path);
    return bad;
}

/* There is nothing, or a whole trail: opening again makes it, or finds it. */
static int after_create(state *s, trail_error *err)
{
    trail_close(s->other);
    s->entries = 1;
    return trail_open(&s->other, s->new_path, NULL, err) != TRAIL_OK ||
           after_large(s, err);
}

static trail_status do_append(state *s, trail_error *err)
{
    trail_status status = append_to(s, s->t, err);

    s->stored = status == TRAIL_OK;
    return status;
}

static trail_status do_append_list(state *s, trail_error *err)
{
    trail_event events[LIST];
    trail_receipt receipts[LIST];
    uint8_t ids[LIST][TRAIL_ID_LEN];
    char names[LIST][32];
    trail_status status;

    for (int i = 0; i < LIST; i++) {
        make_event(s, &events[i], ids[i], names[i]);
    }
    events[LIST - 1] = events[0]; /* twice the same */
    mark(receipts, sizeof receipts);
    status = trail_append_batch(s->t, events, LIST, receipts, err);
    check_untouched(status, receipts, sizeof receipts);
    s->stored = status == TRAIL_OK ? LIST - 1 : 0;
    return status;
}

/* More than a new trail's map holds, so that it must grow. The last one goes to jansson. */
static trail_status do_append_large(state *s, trail_error *err)
{
    static const char begins[2][40] = { "{\"a\":1234567890,\"b\":\"",
                                        "{\"a\":12345678901234567890.5,\"b\":\"" };
    static char details[2][LARGE_LEN];
    trail_event events[LIST];
    uint8_t ids[LIST][TRAIL_ID_LEN];
    char names[LIST][32];
    trail_status status;

    for (int i = 0; i < 2; i++) {
        memset(details[i], 'x', LARGE_LEN);
        memcpy(details[i], begins[i], strlen(begins[i]));
        memcpy(details[i] + LARGE_LEN - 2, "\"}", 2);
    }
    for (int i = 0; i < LIST; i++) {
        make_event(s, &events[i], ids[i], names[i]);
        events[i].details = (trail_text){ details[i == LIST - 1], LARGE_LEN };
    }
    status = trail_append_batch(s->other, events, LIST, NULL, err);
    s->entries = status == TRAIL_OK ? 1 + LIST : 1;
    return status;
}

static int before_large(state *s, trail_error *err)
{
    return do_create(s, err) != TRAIL_OK;
}

/* An event that is stored already: as it is, or with other content. */
static trail_status append_known(state *s, const char *action, trail_error *err)
{
    trail_record *record = NULL;
    trail_receipt receipt = { .duplicate = false };
    trail_event event;
    trail_status status = trail_get_by_id(s->t, s->id, &record, err);

    check_given(status, record);
    if (status == TRAIL_OK) {
        event = record->event;
        event.action = trail_str(action);
        status = trail_append(s->t, &event, &receipt, err);
    }
    if (status == TRAIL_OK && !receipt.duplicate) {
        give_up("the same event was stored twice");
    }
    trail_record_free(record);
    return status;
}

static trail_status do_append_known(state *s, trail_error *err)
{
    return append_known(s, "append", err);
}

static trail_status do_append_conflict(state *s, trail_error *err)
{
    trail_status status = append_known(s, "another", err);

    return status == TRAIL_EXISTS ? TRAIL_OK : status; /* as it must be */
}

static trail_status do_check(state *s, trail_error *err)
{
    trail_event event;
    uint8_t id[TRAIL_ID_LEN];
    char name[32];

    make_event(s, &event, id, name);
    return trail_event_check(&event, err);
}

typedef struct appender {
    pthread_t thread;
    trail *t;
    trail_event event;
    uint8_t id[TRAIL_ID_LEN];
    char name[32];
    trail_status status;
    trail_error err;
} appender;

static void *append_in_thread(void *context)
{
    appender *a = context;

    fail_in_this_thread();
    a->status = trail_append(a->t, &a->event, NULL, &a->err);
    return NULL;
}

/* Some may be stored and others not: each was told. */
static trail_status do_append_together(state *s, trail_error *err)
{
    appender appenders[THREADS];
    bool started[THREADS];
    trail_status status = TRAIL_OK;

    for (int i = 0; i < THREADS; i++) {
        appenders[i].t = s->t;
        make_event(s, &appenders[i].event, appenders[i].id, appenders[i].name);
    }
    for (int i = 0; i < THREADS; i++) {
        started[i] = pthread_create(&appenders[i].thread, NULL, append_in_thread,
                                    &appenders[i]) == 0;
    }
    for (int i = 0; i < THREADS; i++) {
        if (started[i]) {
            pthread_join(appenders[i].thread, NULL);
        } else {
            append_in_thread(&appenders[i]); /* there is no memory for a thread */
        }
        s->stored += appenders[i].status == TRAIL_OK;
        if (appenders[i].status != TRAIL_OK) {
            status = appenders[i].status;
            *err = appenders[i].err;
        }
    }
    return status;
}

/* ---- read ------------------------------------------------------------------------------- */

static trail_status do_get(state *s, trail_error *err)
{
    trail_record *record = NULL;
    trail_status status = trail_get(s->t, 5, &record, err);

    check_given(status, record);
    if (status == TRAIL_OK && record->seq != 5) {
        give_up("another record than the one asked for");
    }
    trail_record_free(record);
    return status;
}

static trail_status do_get_by_id(state *s, trail_error *err)
{
    trail_record *record = NULL;
    trail_status status = trail_get_by_id(s->t, s->id, &record, err);

    check_given(status, record);
    if (status == TRAIL_OK && memcmp(record->event.id, s->id, TRAIL_ID_LEN) != 0) {
        give_up("another record than the one asked for");
    }
    trail_record_free(record);
    return status;
}

static void make_filter(trail_filter *filter, trail_match *match)
{
    static trail_text values[2];

    values[0] = trail_str("memory_test");
    values[1] = trail_str("other");
    *match =
        (trail_match){ .field = TRAIL_FIELD_EVENT_TYPE, .values = values, .count = 2 };
    trail_filter_init(filter);
    filter->matches = match;
    filter->match_count = 1;
}

static trail_status read_on(state *s, trail_error *err)
{
    const trail_record *record = NULL;
    trail_status status = TRAIL_OK;

    while (status == TRAIL_OK) {
        status = trail_cursor_next(s->cursor, &record, err);
        if (status != TRAIL_OK || record == NULL) {
            break;
        }
        if (record->seq != s->seq_next || s->seq_next == s->seq_end) {
            printf("seq %llu where %llu comes next: ", (unsigned long long)record->seq,
                   (unsigned long long)s->seq_next);
            give_up("a query leaves something out, or has too much");
        }
        s->seq_next += s->seq_end > s->seq_next ? 1 : -UINT64_C(1);
    }
    if (status == TRAIL_OK && s->seq_next != s->seq_end) {
        give_up("a query ends too early");
    }
    return status;
}

static trail_status query(state *s, const trail_filter *filter, uint64_t first,
                          uint64_t end, trail_error *err)
{
    trail_status status = trail_query(s->t, filter, &s->cursor, err);

    check_given(status, s->cursor);
    s->seq_next = first;
    s->seq_end = end;
    return status == TRAIL_OK ? read_on(s, err) : status;
}

/* A query that met the failure goes on when memory is back, and leaves nothing out. It may have
 * one more failure of before to tell, behind the records that it had read by then. */
static int after_query(state *s, trail_error *err)
{
    trail_status status = TRAIL_OK;

    for (int i = 0; i < 2 && s->cursor != NULL && s->seq_next != s->seq_end; i++) {
        status = read_on(s, err);
    }
    trail_cursor_close(s->cursor);
    s->cursor = NULL;
    return status != TRAIL_OK;
}

static trail_status do_query(state *s, trail_error *err)
{
    trail_filter filter;
    trail_match match;

    make_filter(&filter, &match);
    filter.order = TRAIL_OLDEST_FIRST;
    return query(s, &filter, 2, s->head.seq + 1, err);
}

static trail_status do_query_newest(state *s, trail_error *err)
{
    trail_filter filter;
    trail_match match;

    make_filter(&filter, &match);
    return query(s, &filter, s->head.seq, 1, err);
}

static trail_status do_query_ids(state *s, trail_error *err)
{
    char texts[EVENTS][TRAIL_ID_TEXT_LEN + 1];
    trail_text values[EVENTS];
    trail_match match = { .field = TRAIL_FIELD_ID, .values = values, .count = EVENTS };
    trail_filter filter;
    uint8_t id[TRAIL_ID_LEN];

    for (unsigned i = 0; i < EVENTS; i++) {
        make_id(i + 1, id);
        trail_id_format(id, texts[i]);
        values[i] = trail_str(texts[i]);
    }
    trail_filter_init(&filter);
    filter.order = TRAIL_OLDEST_FIRST;
    filter.matches = &match;
    filter.match_count = 1;
    return query(s, &filter, 2, EVENTS + 2, err);
}

static trail_status do_count(state *s, trail_error *err)
{
    trail_filter filter;
    trail_match match;
    uint64_t count;
    trail_status status;

    make_filter(&filter, &match);
    mark(&count, sizeof count);
    status = trail_count(s->t, &filter, &count, err);
    check_untouched(status, &count, sizeof count);
    if (status == TRAIL_OK && count != s->head.seq - 1) {
        give_up("a wrong count");
    }
    return status;
}

static trail_status do_head(state *s, trail_error *err)
{
    trail_head head;
    trail_status status;

    mark(&head, sizeof head);
    status = trail_get_head(s->t, &head, err);
    check_untouched(status, &head, sizeof head);
    return status;
}

static trail_status do_info(state *s, trail_error *err)
{
    trail_info info;
    trail_status status;

    mark(&info, sizeof info);
    status = trail_get_info(s->t, &info, err);
    check_untouched(status, &info, sizeof info);
    return status;
}

/* ---- verify and helpers ----------------------------------------------------------------- */

static trail_status judge(trail_status status, const trail_report *report)
{
    check_untouched(status, report, sizeof *report);
    if (status == TRAIL_OK && report->fault != TRAIL_FAULT_NONE) {
        give_up(report->text);
    }
    return status;
}

static trail_status do_verify(state *s, trail_error *err)
{
    trail_verify_options options;
    trail_report report;
    trail_status status;

    trail_verify_options_init(&options);
    options.expect_seq = s->head.seq;
    memcpy(options.expect_hash, s->head.event_hash, TRAIL_HASH_LEN);
    mark(&report, sizeof report);
    status = trail_verify(s->t, &options, &report, err);
    return judge(status, &report);
}

static trail_status do_verify_path(state *s, trail_error *err)
{
    trail_report report;
    trail_status status;

    mark(&report, sizeof report);
    status = trail_verify_path(s->path, NULL, &report, err);
    return judge(status, &report);
}

static bool visit(void *context, const trail_json_value *value)
{
    (void)value;
    ++*(unsigned *)context;
    return true;
}

static trail_status do_helpers(state *s, trail_error *err)
{
    uint8_t id[TRAIL_ID_LEN];
    unsigned visited = 0;
    trail_text json = trail_str("{\"a\":[1,\"\\u00e9\",{\"b\":[true]}]}");
    trail_status status = trail_json_walk(json, visit, &visited, err);

    if (visited != (status == TRAIL_OK ? 13 : 0)) {
        give_up("a walk through half of the text");
    }
    if (status == TRAIL_OK) {
        status =
            trail_id_parse(trail_str("0190A000-0000-7000-8000-0123456789ab"), id, err);
    }
    mark(id, sizeof id);
    if (status == TRAIL_OK) {
        status = trail_id_from_name(s->id, trail_str("name"), id, err);
        check_untouched(status, id, sizeof id);
    }
    return status;
}

/* ---- all of them ----- */

const function functions[] = {
    { "check", NULL, do_check, NULL, 1 },
    { "get", NULL, do_get, NULL, 1 },
    { "get by id", NULL, do_get_by_id, NULL, 1 },
    { "query", NULL, do_query, after_query, 1 },
    { "query newest", NULL, do_query_newest, after_query, 1 },
    { "query ids", NULL, do_query_ids, after_query, 1 },
    { "count", NULL, do_count, NULL, 1 },
    { "head", NULL, do_head, NULL, 1 },
    { "info", NULL, do_info, NULL, 1 },
    { "verify", NULL, do_verify, NULL, 1 },
    /* What happens in the child is not counted here. */
    { "verify path", NULL, do_verify_path, NULL, QUIET_OF_CHILD },
    { "helpers", NULL, do_helpers, NULL, 1 },
    { "count indexed", NULL, do_count_indexed, after_indexed, 1 },
    { "query indexed", NULL, do_query_indexed, after_indexed, 1 },
    { "top", NULL, do_top, after_indexed, 1 },
    { "histogram", NULL, do_histogram, after_indexed, 1 },
    { "index info", NULL, do_index_info, after_indexed, 1 },
    { "maintain anew", NULL, do_maintain_anew, after_indexed, 1 },
    { "maintain", before_maintain, do_maintain, after_indexed, 1 },
    /* These make the trail longer. */
    { "create", NULL, do_create, after_create, 1 },
    { "open", NULL, do_open, after_open_to_write, 1 },
    { "open read-only", NULL, do_open_read_only, after_open, 1 },
    { "open twice", NULL, do_open_twice, after_open_to_write, 1 },
    { "append", NULL, do_append, NULL, 1 },
    { "append list", NULL, do_append_list, NULL, 1 },
    { "append known", NULL, do_append_known, NULL, 1 },
    { "append conflict", NULL, do_append_conflict, NULL, 1 },
    { "append together", NULL, do_append_together, NULL, 1 },
    { "append large", before_large, do_append_large, after_large, 1 },
};

const size_t function_count = sizeof functions / sizeof functions[0];

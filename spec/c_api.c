/* c_api.c - a C program that takes the public header at its word; for c_api_spec.
 * Test: includes trail.h only, like any program. The other half is c_api_trail.c.
 * SPDX-License-Identifier: MIT
 *
 *     c_api DIR words|helpers|absent|receipts|reading|verify|fork|damaged
 *
 * DIR is empty, but for "damaged". Prints "N checks", or a line for each check that failed, with
 * exit code 1.
 */
#include "c_api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int checks;
int failures;
char path[4096];

void check(bool right, const char *what, const char *file, int line)
{
    checks++;
    if (!right) {
        failures++;
        printf("%s:%d: %s\n", file, line, what);
    }
}

bool is_untouched(const void *memory, size_t len)
{
    const unsigned char *bytes = memory;

    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != UNTOUCHED) {
            return false;
        }
    }
    return true;
}

bool explains(const trail_error *err, trail_status status, const char *words)
{
    size_t len = strnlen(err->text, sizeof err->text);

    return err->status == status && len > 0 && len < sizeof err->text &&
           strchr(err->text, '\n') == NULL && strstr(err->text, words) != NULL;
}

bool text_is(trail_text text, const char *wanted)
{
    return text.data != NULL && text.len == strlen(wanted) &&
           memcmp(text.data, wanted, text.len) == 0;
}

trail_event sample(const char *resource_id)
{
    trail_event event;

    trail_event_init(&event);
    event.event_type = trail_str("c_api");
    event.action = trail_str("call");
    event.resource_type = trail_str("function");
    event.resource_id = trail_str(resource_id);
    event.result = trail_str("success");
    return event;
}

trail *open_sample(int count)
{
    trail *t = NULL;
    trail_error err;
    trail_event event = sample("sample");

    if (trail_open(&t, path, NULL, &err) != TRAIL_OK) {
        printf("open: %s\n", err.text);
        exit(1);
    }
    for (int i = 0; i < count; i++) {
        CHECK(trail_append(t, &event, NULL, NULL) == TRAIL_OK);
    }
    return t;
}

uint64_t head_seq(trail *t)
{
    trail_head head;

    return trail_get_head(t, &head, NULL) == TRAIL_OK ? head.seq : 0;
}

/* ---- words ------------------------------------------------------------------------ */

static void check_words(void)
{
    static const char *const statuses[] = {
        "ok",     "invalid", "busy",   "full",      "queue_full", "closed",   "corrupt",
        "exists", "forked",  "denied", "not_found", "io",         "no_memory"
    };
    static const char *const faults[] = { "none",        "altered part", "altered entry",
                                          "broken link", "missing",      "reordered",
                                          "unreadable",  "head",         "ids",
                                          "index" };
    static const char *const fields[] = { "id",     "event_type",    "user_id",
                                          "action", "resource_type", "resource_id",
                                          "result", "request_id",    "ip_address",
                                          "details" };
    static const int outside[] = { -1, 1000000, -2147483647 - 1 };

    CHECK(sizeof statuses / sizeof statuses[0] == TRAIL_NO_MEMORY + 1);
    CHECK(sizeof faults / sizeof faults[0] == TRAIL_FAULT_INDEX + 1);
    CHECK(sizeof fields / sizeof fields[0] == TRAIL_FIELD_COUNT);
    for (int i = 0; i <= TRAIL_NO_MEMORY; i++) {
        CHECK(strcmp(trail_status_name((trail_status)i), statuses[i]) == 0);
    }
    for (int i = 0; i <= TRAIL_FAULT_INDEX; i++) {
        CHECK(strcmp(trail_fault_name((trail_fault)i), faults[i]) == 0);
    }
    for (int i = 0; i < TRAIL_FIELD_COUNT; i++) {
        CHECK(strcmp(trail_field_name((trail_field)i), fields[i]) == 0);
    }
    CHECK(trail_field_name(TRAIL_FIELD_COUNT) == NULL);
    CHECK(strcmp(trail_status_name((trail_status)(TRAIL_NO_MEMORY + 1)), "unknown") == 0);
    CHECK(strcmp(trail_fault_name((trail_fault)(TRAIL_FAULT_INDEX + 1)), "unknown") == 0);
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
        CHECK(strcmp(trail_status_name((trail_status)outside[i]), "unknown") == 0);
        CHECK(strcmp(trail_fault_name((trail_fault)outside[i]), "unknown") == 0);
        CHECK(trail_field_name((trail_field)outside[i]) == NULL);
    }
}

/* ---- helpers ---------------------------------------------------------------------- */

static void check_init(void)
{
    trail_event event;
    trail_filter filter;
    trail_options options;
    trail_verify_options verify;

    memset(&event, UNTOUCHED, sizeof event);
    memset(&filter, UNTOUCHED, sizeof filter);
    memset(&options, UNTOUCHED, sizeof options);
    memset(&verify, UNTOUCHED, sizeof verify);
    trail_event_init(&event);
    trail_filter_init(&filter);
    trail_options_init(&options);
    trail_verify_options_init(&verify);
    CHECK(event.id == NULL && event.timestamp_us == TRAIL_TIME_NONE);
    CHECK(event.event_type.data == NULL && event.user_id.data == NULL);
    CHECK(event.action.data == NULL && event.resource_type.data == NULL);
    CHECK(event.resource_id.data == NULL && event.result.data == NULL);
    CHECK(event.result_error.data == NULL && event.details.data == NULL);
    CHECK(event.ip_address.data == NULL && event.user_agent.data == NULL);
    CHECK(event.request_id.data == NULL);
    CHECK(filter.match_count == 0 && filter.limit == 0 && filter.after == 0);
    CHECK(filter.since_us == TRAIL_TIME_NONE && filter.until_us == TRAIL_TIME_NONE);
    CHECK(filter.seq_first == 0 && filter.seq_last == 0 && !filter.unreadable);
    CHECK(filter.order == TRAIL_NEWEST_FIRST);
    CHECK(options.flags == 0 && options.map_size == 0 && options.size_max == 0);
    CHECK(options.busy_ms == 0 && options.origin == NULL);
    CHECK(verify.expect_seq == 0 && verify.progress == NULL);
    CHECK(trail_str(NULL).data == NULL && trail_str(NULL).len == 0);
    CHECK(trail_str("").data != NULL && trail_str("").len == 0);
    CHECK(text_is(trail_str("abc"), "abc"));
}

/* RFC 9562, A.4: the version 5 UUID of "www.example.com" within the namespace of DNS. */
static void check_ids(void)
{
    static const char dns_text[] = "6BA7B810-9dad-11d1-80b4-00c04fd430c8";
    static const char name_text[] = "2ed6657d-e927-568b-95e1-2665a8aea6a2";
    static const char *const wrong[] = { "", "6ba7b810",
                                         "6ba7b8109dad11d180b400c04fd430c8",
                                         "6ba7b810-9dad-11d1-80b4-00c04fd430cg",
                                         "6ba7b810-9dad-11d1-80b4-00c04fd430c80" };
    uint8_t dns[TRAIL_ID_LEN];
    uint8_t id[TRAIL_ID_LEN];
    char text[TRAIL_ID_TEXT_LEN + 1];
    trail_error err;

    CHECK(trail_id_parse(trail_str(dns_text), dns, &err) == TRAIL_OK);
    trail_id_format(dns, text);
    CHECK(strcmp(text, "6ba7b810-9dad-11d1-80b4-00c04fd430c8") == 0);
    CHECK(trail_id_from_name(dns, trail_str("www.example.com"), id, &err) == TRAIL_OK);
    trail_id_format(id, text);
    CHECK(strcmp(text, name_text) == 0);
    memset(id, UNTOUCHED, sizeof id);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        CHECK(trail_id_parse(trail_str(wrong[i]), id, &err) == TRAIL_INVALID);
        CHECK(explains(&err, TRAIL_INVALID, "UUID"));
        CHECK(trail_id_parse(trail_str(wrong[i]), id, NULL) == TRAIL_INVALID);
    }
    CHECK(trail_id_parse(trail_str(NULL), id, &err) == TRAIL_INVALID);
    CHECK(is_untouched(id, sizeof id));
}

typedef struct seen {
    int count;
    int stop_at; /* 0: never */
    trail_json_kind kinds[16];
} seen;

static bool visit(void *context, const trail_json_value *value)
{
    seen *s = context;

    if (s->count < 16) {
        s->kinds[s->count] = value->kind;
    }
    s->count++;
    if (value->kind == TRAIL_JSON_INTEGER) {
        CHECK(value->integer == INT64_MIN);
    } else if (value->kind == TRAIL_JSON_REAL) {
        CHECK(value->real > 1.49 && value->real < 1.51);
    } else if (value->kind == TRAIL_JSON_STRING) {
        CHECK(text_is(value->text, "\xc3\xa9\n"));
    } else if (value->kind == TRAIL_JSON_KEY) {
        CHECK(value->text.len == 1);
    }
    return s->count != s->stop_at;
}

static void check_json(void)
{
    static const char json[] = "{\"a\":[null,false,true,-9223372036854775808,1.5e0],"
                               "\"b\":\"\\u00e9\\n\"}";
    static const trail_json_kind kinds[] = {
        TRAIL_JSON_OBJECT_BEGIN, TRAIL_JSON_KEY,    TRAIL_JSON_ARRAY_BEGIN,
        TRAIL_JSON_NULL,         TRAIL_JSON_FALSE,  TRAIL_JSON_TRUE,
        TRAIL_JSON_INTEGER,      TRAIL_JSON_REAL,   TRAIL_JSON_ARRAY_END,
        TRAIL_JSON_KEY,          TRAIL_JSON_STRING, TRAIL_JSON_OBJECT_END
    };
    seen s = { .count = 0 };
    trail_error err;

    CHECK(trail_json_walk(trail_str(json), visit, &s, &err) == TRAIL_OK);
    CHECK(s.count == 12 && memcmp(s.kinds, kinds, sizeof kinds) == 0);
    s = (seen){ .stop_at = 5 };
    CHECK(trail_json_walk(trail_str(json), visit, &s, NULL) == TRAIL_OK);
    CHECK(s.count == 5);
    s = (seen){ .count = 0 };
    CHECK(trail_json_walk(trail_str("{\"a\":1,\"a\":2}"), visit, &s, &err) ==
          TRAIL_INVALID);
    CHECK(trail_json_walk(trail_str("[1,"), visit, &s, NULL) == TRAIL_INVALID);
    CHECK(explains(&err, TRAIL_INVALID, ""));
    CHECK(s.count == 0); /* a text is judged before the first visit */
}

static void check_helpers(void)
{
    check_init();
    check_ids();
    check_json();
}

/* ---- what may be absent ----------------------------------------------------------- */

/* NULL for every argument that may be, in calls that succeed. */
static void check_absent_right(trail *t)
{
    trail_cursor *cursor = NULL;
    trail_record *record = NULL;
    const trail_record *next = NULL;
    trail_event event = sample("absent");
    trail_report report;
    uint64_t count = 0;

    trail_close(NULL);
    trail_record_free(NULL);
    trail_cursor_close(NULL);
    CHECK(trail_event_check(&event, NULL) == TRAIL_OK);
    CHECK(trail_append(t, &event, NULL, NULL) == TRAIL_OK);
    CHECK(trail_append_batch(t, &event, 1, NULL, NULL) == TRAIL_OK);
    CHECK(trail_count(t, NULL, &count, NULL) == TRAIL_OK && count == 3);
    CHECK(trail_query(t, NULL, &cursor, NULL) == TRAIL_OK);
    for (uint64_t seq = 3; seq >= 1; seq--) {
        CHECK(trail_cursor_next(cursor, &next, NULL) == TRAIL_OK);
        CHECK(next != NULL && next->seq == seq);
    }
    CHECK(trail_cursor_next(cursor, &next, NULL) == TRAIL_OK && next == NULL);
    CHECK(trail_cursor_next(cursor, &next, NULL) == TRAIL_OK && next == NULL);
    CHECK(trail_cursor_scanned(cursor) == 3);
    trail_cursor_close(cursor);
    CHECK(trail_get(t, 2, &record, NULL) == TRAIL_OK && record->seq == 2);
    trail_record_free(record);
    CHECK(trail_verify(t, NULL, &report, NULL) == TRAIL_OK);
    CHECK(report.fault == TRAIL_FAULT_NONE);
    CHECK(trail_verify_path(path, NULL, &report, NULL) == TRAIL_OK);
    CHECK(report.fault == TRAIL_FAULT_NONE);
}

/* The same in calls that fail; once with and once without somebody who wants to know why. */
static void check_absent_wrong(trail *t, trail_error *err)
{
    trail_event event = sample("");
    trail_match match = { .field = TRAIL_FIELD_COUNT };
    trail_filter filter;
    trail_cursor *cursor = (trail_cursor *)&filter;
    trail_receipt receipt;
    uint64_t count;

    trail_filter_init(&filter);
    filter.matches = &match;
    filter.match_count = 1;
    memset(&receipt, UNTOUCHED, sizeof receipt);
    memset(&count, UNTOUCHED, sizeof count);
    CHECK(trail_event_check(&event, err) == TRAIL_INVALID);
    CHECK(err == NULL || explains(err, TRAIL_INVALID, "resource_id"));
    CHECK(trail_append(t, &event, &receipt, err) == TRAIL_INVALID);
    CHECK(err == NULL || explains(err, TRAIL_INVALID, "resource_id"));
    CHECK(trail_append_batch(t, &event, 0, &receipt, err) == TRAIL_INVALID);
    CHECK(trail_append_batch(t, &event, TRAIL_BATCH_COUNT_MAX + 1, &receipt, err) ==
          TRAIL_INVALID);
    CHECK(trail_query(t, &filter, &cursor, err) == TRAIL_INVALID && cursor == NULL);
    CHECK(trail_count(t, &filter, &count, err) == TRAIL_INVALID);
    CHECK(err == NULL || explains(err, TRAIL_INVALID, "filter"));
    CHECK(is_untouched(&receipt, sizeof receipt) && is_untouched(&count, sizeof count));
}

/* What cannot be opened gives no handle; what cannot be verified no report. */
static void check_absent_trail(trail_error *err)
{
    static const char *const nowhere[] = { NULL, "" };
    trail_options options;
    trail_report report;
    char missing[sizeof path + 16];
    trail *t;

    (void)snprintf(missing, sizeof missing, "%s.missing", path);
    for (size_t i = 0; i < 2; i++) {
        t = (trail *)missing;
        CHECK(trail_open(&t, nowhere[i], NULL, err) == TRAIL_INVALID && t == NULL);
    }
    trail_options_init(&options);
    options.flags = TRAIL_NO_CREATE;
    t = (trail *)missing;
    CHECK(trail_open(&t, missing, &options, err) == TRAIL_NOT_FOUND && t == NULL);
    CHECK(err == NULL || explains(err, TRAIL_NOT_FOUND, "missing"));
    options.flags = TRAIL_CREATE_NEW;
    CHECK(trail_open(&t, path, &options, err) == TRAIL_EXISTS && t == NULL);
    options.flags = TRAIL_CREATE_NEW | TRAIL_READ_ONLY;
    CHECK(trail_open(&t, missing, &options, err) == TRAIL_INVALID && t == NULL);
    options.flags = 0x100;
    CHECK(trail_open(&t, missing, &options, err) == TRAIL_INVALID && t == NULL);
    CHECK(access(missing, F_OK) != 0);
    memset(&report, UNTOUCHED, sizeof report);
    CHECK(trail_verify_path(missing, NULL, &report, err) == TRAIL_NOT_FOUND);
    CHECK(is_untouched(&report, sizeof report));
}

static void check_absent(void)
{
    trail *t = open_sample(0);
    trail_error err;

    check_absent_right(t);
    check_absent_wrong(t, NULL);
    check_absent_wrong(t, &err);
    check_absent_trail(NULL);
    check_absent_trail(&err);
    CHECK(head_seq(t) == 3);
    trail_close(t);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } parts[] = { { "words", check_words },     { "helpers", check_helpers },
                  { "absent", check_absent },   { "receipts", check_receipts },
                  { "reading", check_reading }, { "verify", check_verify },
                  { "fork", check_fork },       { "damaged", check_damaged } };

    if (argc != 3) {
        return 2;
    }
    (void)snprintf(path, sizeof path, "%s/audit.trail", argv[1]);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (strcmp(argv[2], parts[i].name) == 0) {
            parts[i].run();
        }
    }
    if (failures == 0) {
        printf("%d checks\n", checks);
    }
    return failures > 0 || checks == 0;
}

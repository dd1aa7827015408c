/* query.c - a C program that looks for failed logins, and verifies the trail.
 * SPDX-License-Identifier: MIT
 *
 *     cc examples/query.c -Isrc -Lbuild -ltrail -Wl,-rpath,build -o build/query
 *     build/query audit.trail
 */
#include <trail.h>

#include <stdio.h>

static int fail(const char *doing, const trail_error *err)
{
    fprintf(stderr, "query: %s: %s (%s)\n", doing, err->text,
            trail_status_name(err->status));
    return 1;
}

static void print_text(const char *name, trail_text text)
{
    if (text.data != NULL) {
        printf("  %s: %.*s\n", name, (int)text.len, text.data);
    }
}

static int print_failures(trail *t, trail_error *err)
{
    trail_text failure = trail_str("failure");
    trail_match match = { .field = TRAIL_FIELD_RESULT, .values = &failure, .count = 1 };
    trail_filter filter;
    trail_cursor *cursor;
    const trail_record *record = NULL;
    trail_status status;

    trail_filter_init(&filter); /* everything, newest first */
    filter.matches = &match;
    filter.match_count = 1;
    filter.limit = 10;
    if (trail_query(t, &filter, &cursor, err) != TRAIL_OK) {
        return fail("query", err);
    }
    while ((status = trail_cursor_next(cursor, &record, err)) == TRAIL_OK &&
           record != NULL) {
        printf("seq %llu\n", (unsigned long long)record->seq);
        print_text("user_id", record->event.user_id);
        print_text("action", record->event.action);
        print_text("ip_address", record->event.ip_address);
        print_text("result_error", record->event.result_error);
    }
    trail_cursor_close(cursor);
    return status == TRAIL_OK ? 0 : fail("query", err);
}

int main(int argc, char **argv)
{
    trail *t = NULL;
    trail_options options;
    trail_report report;
    trail_error err;
    int code;

    if (argc != 2) {
        fprintf(stderr, "usage: query TRAIL\n");
        return 2;
    }
    trail_options_init(&options);
    options.flags = TRAIL_READ_ONLY;
    if (trail_open(&t, argv[1], &options, &err) != TRAIL_OK) {
        return fail("open", &err);
    }
    code = print_failures(t, &err);
    if (code == 0 && trail_verify_path(argv[1], NULL, &report, &err) != TRAIL_OK) {
        code = fail("verify", &err);
    }
    if (code == 0) {
        printf("%s: %s\n", report.fault == TRAIL_FAULT_NONE ? "verified" : "DAMAGED",
               report.text);
        code = report.fault == TRAIL_FAULT_NONE ? 0 : 3;
    }
    trail_close(t);
    return code;
}

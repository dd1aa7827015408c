/* memory.c - let every allocation and every fault point of the public functions fail, one after
 * the other, and look at what is left; for memory_spec.
 * Test: includes trail.h, and fault.h for the switches. Linked with the library's objects that
 * have their fault points.
 * SPDX-License-Identifier: MIT
 *
 *     memory DIR POINT once|forever
 *
 * For each function the N-th call of POINT fails (or all from the N-th on), for N = 1, 2, 3 ...
 * until the function has its way without meeting the failure. POINT is "alloc" for the library's
 * own allocations, "libc" for every malloc of the process (built with FAIL_LIBC), or a name in
 * the sources. Prints a line for each function; exit code 1 if anything was wrong.
 */
#include "fault.h"
#include "trail.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { EVENTS = 30, LIST = 8, TRIES_MAX = 20000 };

/* ---- the failures ------------------------------------------------------------------- */

static const char *point;
static bool of_libc;

#ifdef FAIL_LIBC
/* The C library's own, under their other names. */
extern void *__libc_malloc(size_t len);
extern void *__libc_calloc(size_t count, size_t len);
extern void *__libc_realloc(void *old, size_t len);

static unsigned long libc_first, libc_count, libc_calls;

static bool libc_fails(void)
{
    if (libc_first == 0) {
        return false;
    }
    libc_calls++;
    if (libc_calls < libc_first || libc_calls - libc_first >= libc_count) {
        return false;
    }
    errno = ENOMEM;
    return true;
}

void *malloc(size_t len)
{
    return libc_fails() ? NULL : __libc_malloc(len);
}

void *calloc(size_t count, size_t len)
{
    return libc_fails() ? NULL : __libc_calloc(count, len);
}

void *realloc(void *old, size_t len)
{
    return libc_fails() ? NULL : __libc_realloc(old, len);
}
#endif

static void arm(unsigned long first, unsigned long count)
{
#ifdef FAIL_LIBC
    if (of_libc) {
        libc_calls = 0;
        libc_count = count;
        libc_first = first;
        return;
    }
#endif
    trail__fault_arm(strcmp(point, "alloc") == 0 ? NULL : point, first, count);
}

static unsigned long disarm(void)
{
    unsigned long calls;

#ifdef FAIL_LIBC
    if (of_libc) {
        libc_first = 0;
        return libc_calls;
    }
#endif
    calls = trail__fault_calls();
    trail__fault_arm(NULL, 1, 0);
    return calls;
}

/* ---- the functions --------------------------------------------------------------------- */

typedef struct state {
    const char *dir;
    char path[512];
    char closed_path[512]; /* of a trail that nobody has open */
    trail *t;
    unsigned appended; /* so that no event is like another */
    uint8_t id[TRAIL_ID_LEN];
} state;

static void make_event(state *s, trail_event *event, uint8_t id[TRAIL_ID_LEN], char name[32])
{
    unsigned n = ++s->appended;

    (void)snprintf(name, 32, "n%u", n);
    memset(id, 0x42, TRAIL_ID_LEN);
    memcpy(id, &n, sizeof n);
    trail_event_init(event);
    event->id = id;
    event->event_type = trail_str("memory_test");
    event->action = trail_str("append");
    event->resource_type = trail_str("n");
    event->resource_id = trail_str(name);
    event->result = trail_str("success");
    /* An escape, so that it is not the fast scan that judges it. */
    event->details = trail_str("{\"a\":[1,2.5,\"\\u00e9\"],\"b\":{\"c\":null}}");
}

static trail_status do_open(state *s, trail_error *err)
{
    trail *t = NULL;
    trail_status status = trail_open(&t, s->closed_path, NULL, err);

    if ((status == TRAIL_OK) != (t != NULL)) {
        abort();
    }
    trail_close(t);
    return status;
}

static trail_status do_create(state *s, trail_error *err)
{
    trail_options options;
    char path[600];
    trail *t = NULL;
    trail_status status;

    (void)snprintf(path, sizeof path, "%s/new%u", s->dir, ++s->appended);
    trail_options_init(&options);
    options.map_size = 1 << 20;
    options.origin = "memory.c";
    status = trail_open(&t, path, &options, err);
    trail_close(t);
    return status;
}

static trail_status do_append(state *s, trail_error *err)
{
    trail_event event;
    uint8_t id[TRAIL_ID_LEN];
    char name[32];

    make_event(s, &event, id, name);
    return trail_append(s->t, &event, NULL, err);
}

static trail_status do_append_list(state *s, trail_error *err)
{
    trail_event events[LIST];
    trail_receipt receipts[LIST];
    uint8_t ids[LIST][TRAIL_ID_LEN];
    char names[LIST][32];

    for (int i = 0; i < LIST; i++) {
        make_event(s, &events[i], ids[i], names[i]);
    }
    events[LIST - 1] = events[0]; /* twice the same */
    return trail_append_batch(s->t, events, LIST, receipts, err);
}

static trail_status do_append_known(state *s, trail_error *err)
{
    trail_event event;
    trail_receipt receipt;
    trail_record *record;
    trail_status status = trail_get_by_id(s->t, s->id, &record, err);

    if (status == TRAIL_OK) {
        event = record->event;
        status = trail_append(s->t, &event, &receipt, err);
        if (status == TRAIL_OK && !receipt.duplicate) {
            abort();
        }
        trail_record_free(record);
    }
    return status;
}

static trail_status do_get(state *s, trail_error *err)
{
    trail_record *record = NULL;
    trail_status status = trail_get(s->t, 5, &record, err);

    if (status == TRAIL_OK && record->seq != 5) {
        abort();
    }
    trail_record_free(record);
    return status;
}

static trail_status do_get_by_id(state *s, trail_error *err)
{
    trail_record *record = NULL;
    trail_status status = trail_get_by_id(s->t, s->id, &record, err);

    if (status == TRAIL_OK && memcmp(record->event.id, s->id, TRAIL_ID_LEN) != 0) {
        abort();
    }
    trail_record_free(record);
    return status;
}

static void make_filter(trail_filter *filter, trail_match *match)
{
    static trail_text values[2];

    values[0] = trail_str("memory_test");
    values[1] = trail_str("other");
    match->field = TRAIL_FIELD_EVENT_TYPE;
    match->negate = false;
    match->values = values;
    match->count = 2;
    trail_filter_init(filter);
    filter->matches = match;
    filter->match_count = 1;
}

static trail_status read_all(state *s, const trail_filter *filter, uint64_t expected,
                             trail_error *err)
{
    trail_cursor *cursor = NULL;
    const trail_record *record = NULL;
    uint64_t found = 0;
    trail_status status = trail_query(s->t, filter, &cursor, err);

    while (status == TRAIL_OK) {
        status = trail_cursor_next(cursor, &record, err);
        if (status != TRAIL_OK || record == NULL) {
            break;
        }
        found++;
    }
    trail_cursor_close(cursor);
    if (status == TRAIL_OK && found < expected) {
        printf("a query found %llu records only\n", (unsigned long long)found);
        abort();
    }
    return status;
}

static trail_status do_query(state *s, trail_error *err)
{
    trail_filter filter;
    trail_match match;

    make_filter(&filter, &match);
    return read_all(s, &filter, EVENTS, err);
}

static trail_status do_query_ids(state *s, trail_error *err)
{
    char text[37];
    trail_text value = { text, TRAIL_ID_TEXT_LEN };
    trail_match match = { .field = TRAIL_FIELD_ID, .values = &value, .count = 1 };
    trail_filter filter;

    trail_id_format(s->id, text);
    trail_filter_init(&filter);
    filter.matches = &match;
    filter.match_count = 1;
    return read_all(s, &filter, 1, err);
}

static trail_status do_count(state *s, trail_error *err)
{
    trail_filter filter;
    trail_match match;
    uint64_t count = 0;
    trail_status status;

    make_filter(&filter, &match);
    status = trail_count(s->t, &filter, &count, err);
    if (status == TRAIL_OK && count < EVENTS) {
        abort();
    }
    return status;
}

static trail_status do_head_and_info(state *s, trail_error *err)
{
    trail_head head;
    trail_info info;
    trail_status status = trail_get_head(s->t, &head, err);

    return status == TRAIL_OK ? trail_get_info(s->t, &info, err) : status;
}

static trail_status judge(trail_status status, const trail_report *report)
{
    if (status == TRAIL_OK && report->fault != TRAIL_FAULT_NONE) {
        printf("verify found what is not there: %s\n", report->text);
        abort();
    }
    return status;
}

static trail_status do_verify(state *s, trail_error *err)
{
    trail_report report;

    return judge(trail_verify(s->t, NULL, &report, err), &report);
}

static trail_status do_verify_path(state *s, trail_error *err)
{
    trail_report report;

    return judge(trail_verify_path(s->path, NULL, &report, err), &report);
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

    if (status == TRAIL_OK && visited != 13) {
        abort();
    }
    if (status == TRAIL_OK) {
        status = trail_id_from_name(s->id, trail_str("name"), id, err);
    }
    return status;
}

/* ---- the loop ------------------------------------------------------------------------ */

typedef struct function {
    const char *name;
    trail_status (*call)(state *s, trail_error *err);
} function;

static const function functions[] = {
    { "create", do_create },
    { "open", do_open },
    { "append", do_append },
    { "append list", do_append_list },
    { "append known", do_append_known },
    { "get", do_get },
    { "get by id", do_get_by_id },
    { "query", do_query },
    { "query ids", do_query_ids },
    { "count", do_count },
    { "head and info", do_head_and_info },
    { "verify", do_verify },
    { "verify path", do_verify_path },
    { "helpers", do_helpers },
};

static int complain(const char *name, unsigned long n, const char *text)
{
    printf("%s: call %lu: %s\n", name, n, text);
    return 1;
}

static void reopen(state *s)
{
    trail_error err;
    trail_options options;

    trail_close(s->t);
    s->t = NULL;
    trail_options_init(&options);
    options.map_size = 1 << 20; /* full now and then; and small enough to end */
    options.size_max = 64 << 20;
    if (trail_open(&s->t, s->path, &options, &err) != TRAIL_OK) {
        printf("cannot open anew: %s\n", err.text);
        exit(1);
    }
}

/* Is everything as it was before the call that failed? */
static int look(state *s, const char *name, unsigned long n, uint64_t seq)
{
    trail_head head;
    trail_report report;
    trail_error err;
    trail_status status = trail_get_head(s->t, &head, &err);

    if (status == TRAIL_IO && strstr(err.text, "anew") != NULL) {
        reopen(s); /* as it says itself */
        status = trail_get_head(s->t, &head, &err);
    }
    if (status != TRAIL_OK) {
        return complain(name, n, err.text);
    }
    if (head.seq != seq) {
        return complain(name, n, "something was stored");
    }
    if (trail_verify(s->t, NULL, &report, &err) != TRAIL_OK) {
        return complain(name, n, err.text);
    }
    return report.fault == TRAIL_FAULT_NONE ? 0 : complain(name, n, report.text);
}

/* Nothing half-made may lie around: only trails, which can be opened. */
static int look_at_dir(const state *s)
{
    DIR *dir = opendir(s->dir);
    struct dirent *entry;
    int bad = 0;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (strstr(entry->d_name, ".new-") != NULL) {
            bad = complain("create", 0, entry->d_name);
        }
    }
    closedir(dir);
    return bad;
}

static bool is_expected(trail_status status)
{
    return status == TRAIL_NO_MEMORY || status == TRAIL_IO || status == TRAIL_FULL;
}

static int run(state *s, const function *f, unsigned long count)
{
    unsigned failed = 0;
    unsigned healed = 0;
    unsigned seen = 0;

    for (unsigned long n = 1; n < TRIES_MAX; n++) {
        trail_error err = { TRAIL_OK, "" };
        trail_head head;
        unsigned long calls;
        trail_status status;

        if (trail_get_head(s->t, &head, &err) != TRAIL_OK) {
            return complain(f->name, n, err.text);
        }
        arm(n, count);
        status = f->call(s, &err);
        calls = disarm();
        /* The calls of a child process are not counted here, but it fails all the same. */
        if (calls < n && status == TRAIL_OK) {
            printf("%s: %u failed, %u healed, statuses 0x%x\n", f->name, failed, healed, seen);
            return 0;
        }
        if (status == TRAIL_OK) {
            healed++;
            continue;
        }
        failed++;
        seen |= 1u << status;
        if (!is_expected(status) || status != err.status || err.text[0] == '\0') {
            printf("status %s, in the error %s: ", trail_status_name(status),
                   trail_status_name(err.status));
            return complain(f->name, n, err.text);
        }
        if (look(s, f->name, n, head.seq) != 0) {
            return 1;
        }
    }
    return complain(f->name, TRIES_MAX, "no end");
}

int main(int argc, char **argv)
{
    state s = { .appended = 0 };
    int bad = 0;

    if (argc != 4) {
        return 2;
    }
    setvbuf(stdout, NULL, _IONBF, 0);
    s.dir = argv[1];
    point = argv[2];
    of_libc = strcmp(point, "libc") == 0;
    (void)snprintf(s.path, sizeof s.path, "%s/audit.trail", s.dir);
    (void)snprintf(s.closed_path, sizeof s.closed_path, "%s/closed.trail", s.dir);
    reopen(&s);
    for (int i = 0; i < EVENTS; i++) {
        trail_error err;

        if (do_append(&s, &err) != TRAIL_OK) {
            printf("%s\n", err.text);
            return 1;
        }
    }
    if (do_open(&s, &(trail_error){ TRAIL_OK, "" }) != TRAIL_OK) { /* creates it */
        return 1;
    }
    memset(s.id, 0x42, sizeof s.id);
    memcpy(s.id, &(unsigned){ 7 }, sizeof(unsigned));
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        bad |= run(&s, &functions[i], strcmp(argv[3], "once") == 0 ? 1 : ULONG_MAX);
        bad |= look_at_dir(&s);
    }
    trail_close(s.t);
    return bad;
}

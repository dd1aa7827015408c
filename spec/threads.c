/* threads.c - many threads append to one trail, through one handle or one each, while others
 * read; for concurrency_spec.
 * Test: includes trail.h only, like any program.
 * SPDX-License-Identifier: MIT
 *
 *     threads TRAIL HANDLES THREADS EVENTS READERS
 *     threads TRAIL close
 *
 * Each of THREADS threads appends EVENTS events, one at a time, through one of HANDLES handles.
 * Prints one line, "appended N, distinct seqs A to B", or what went wrong, with exit code 1.
 * The second form closes the handle while another thread's append is under way.
 */
#include <trail.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { HANDLES_MAX = 8, THREADS_MAX = 64, EVENTS_MAX = 10000 };

typedef struct job {
    trail *t;
    int number;
    int events;
    uint64_t seqs[EVENTS_MAX];
} job;

static atomic_bool over;
static atomic_int failures;

static void fail(const char *doing, const trail_error *err)
{
    printf("%s: %s (%s)\n", doing, err->text, trail_status_name(err->status));
    atomic_fetch_add(&failures, 1);
}

static void *append_all(void *context)
{
    job *j = context;
    trail_event event;
    trail_error err;
    char name[32];

    for (int i = 0; i < j->events; i++) {
        trail_receipt receipt;

        (void)snprintf(name, sizeof name, "%d/%d", j->number, i);
        trail_event_init(&event);
        event.event_type = trail_str("thread_test");
        event.action = trail_str("append");
        event.resource_type = trail_str("marker");
        event.resource_id = trail_str(name);
        event.result = trail_str("success");
        if (trail_append(j->t, &event, &receipt, &err) != TRAIL_OK) {
            fail("append", &err);
            return NULL;
        }
        j->seqs[i] = receipt.seq;
    }
    return NULL;
}

/* What is seen once must stay: counts grow, and a cursor's records follow each other. */
static int read_once(trail *t, uint64_t *seen, trail_error *err)
{
    trail_cursor *cursor;
    const trail_record *record;
    trail_filter filter;
    trail_report report;
    uint64_t count = 0;
    uint64_t seq = 0;

    if (trail_count(t, NULL, &count, err) != TRAIL_OK) {
        return -1;
    }
    trail_filter_init(&filter);
    filter.order = TRAIL_OLDEST_FIRST;
    if (trail_query(t, &filter, &cursor, err) != TRAIL_OK) {
        return -1;
    }
    while (trail_cursor_next(cursor, &record, err) == TRAIL_OK && record != NULL) {
        if (record->seq != ++seq) {
            (void)snprintf(err->text, sizeof err->text, "a cursor left out a record");
            return -1;
        }
    }
    trail_cursor_close(cursor);
    if (count < *seen || seq < count) {
        (void)snprintf(err->text, sizeof err->text, "events were gone again");
        return -1;
    }
    *seen = seq;
    if (trail_verify(t, NULL, &report, err) != TRAIL_OK ||
        report.fault != TRAIL_FAULT_NONE) {
        (void)snprintf(err->text, sizeof err->text, "verify: %.200s", report.text);
        return -1;
    }
    return 0;
}

static void *read_all(void *context)
{
    trail *t = context;
    trail_error err = { TRAIL_OK, "" };
    uint64_t seen = 0;

    while (!atomic_load(&over)) {
        if (read_once(t, &seen, &err) != 0) {
            fail("read", &err);
            return NULL;
        }
    }
    return NULL;
}

static int compare(const void *a, const void *b)
{
    uint64_t first = *(const uint64_t *)a;
    uint64_t second = *(const uint64_t *)b;

    return first < second ? -1 : first > second;
}

static int check(job *jobs, int threads)
{
    static uint64_t all[THREADS_MAX * EVENTS_MAX];
    size_t count = 0;

    for (int i = 0; i < threads; i++) {
        for (int k = 0; k < jobs[i].events; k++) {
            all[count++] = jobs[i].seqs[k];
            if (k > 0 && jobs[i].seqs[k] <= jobs[i].seqs[k - 1]) {
                printf("a thread's own events are out of order\n");
                return 1;
            }
        }
    }
    qsort(all, count, sizeof all[0], compare);
    for (size_t i = 1; i < count; i++) {
        if (all[i] != all[i - 1] + 1) {
            printf("seq %llu follows %llu\n", (unsigned long long)all[i],
                   (unsigned long long)all[i - 1]);
            return 1;
        }
    }
    printf("appended %zu, distinct seqs %llu to %llu\n", count,
           (unsigned long long)all[0], (unsigned long long)all[count - 1]);
    return 0;
}

/* ---- close ------------------------------------------------------------------------ */

static atomic_bool begun;

static void *append_much(void *context)
{
    enum { COUNT = 200, LEN = 100000 };
    static trail_event events[COUNT];
    static char details[LEN];
    trail_error err;

    memset(details, 'x', LEN);
    details[0] = details[LEN - 1] = '"';
    for (int i = 0; i < COUNT; i++) {
        trail_event_init(&events[i]);
        events[i].event_type = trail_str("thread_test");
        events[i].action = trail_str("append");
        events[i].resource_type = trail_str("marker");
        events[i].resource_id = trail_str("much");
        events[i].result = trail_str("success");
        events[i].details = (trail_text){ details, LEN };
    }
    atomic_store(&begun, true);
    if (trail_append_batch(context, events, COUNT, NULL, &err) != TRAIL_OK) {
        fail("append", &err);
    }
    return NULL;
}

/* Close the handle 'pause_us' after the other thread was about to append. */
static int close_under_way(const char *path, long pause_us)
{
    const struct timespec pause = { .tv_sec = 0, .tv_nsec = pause_us * 1000 };
    pthread_t thread;
    trail_error err;
    trail *t;

    if (trail_open(&t, path, NULL, &err) != TRAIL_OK) {
        fail("open", &err);
        return 1;
    }
    atomic_store(&begun, false);
    pthread_create(&thread, NULL, append_much, t);
    while (!atomic_load(&begun)) {
        nanosleep(&pause, NULL);
    }
    nanosleep(&pause, NULL);
    trail_close(t);
    pthread_join(thread, NULL);
    return atomic_load(&failures) > 0;
}

int main(int argc, char **argv)
{
    static job jobs[THREADS_MAX];
    pthread_t threads[THREADS_MAX];
    pthread_t readers[THREADS_MAX];
    trail *handles[HANDLES_MAX];
    trail_options options;
    trail_error err;
    int handle_count = argc == 6 ? atoi(argv[2]) : 0;
    int thread_count = argc == 6 ? atoi(argv[3]) : 0;
    int reader_count = argc == 6 ? atoi(argv[5]) : 0;

    if (argc == 3 && strcmp(argv[2], "close") == 0) {
        return close_under_way(argv[1], 1000) + close_under_way(argv[1], 30000);
    }
    if (handle_count < 1 || handle_count > HANDLES_MAX || thread_count > THREADS_MAX ||
        reader_count > THREADS_MAX || atoi(argv[4]) > EVENTS_MAX) {
        return 2;
    }
    trail_options_init(&options);
    options.map_size = 1 << 20; /* so that it grows under everybody's feet */
    for (int i = 0; i < handle_count; i++) {
        if (trail_open(&handles[i], argv[1], &options, &err) != TRAIL_OK) {
            fail("open", &err);
            return 1;
        }
    }
    for (int i = 0; i < reader_count; i++) {
        pthread_create(&readers[i], NULL, read_all, handles[i % handle_count]);
    }
    for (int i = 0; i < thread_count; i++) {
        jobs[i].t = handles[i % handle_count];
        jobs[i].number = i;
        jobs[i].events = atoi(argv[4]);
        pthread_create(&threads[i], NULL, append_all, &jobs[i]);
    }
    for (int i = 0; i < thread_count; i++) {
        pthread_join(threads[i], NULL);
    }
    atomic_store(&over, true);
    for (int i = 0; i < reader_count; i++) {
        pthread_join(readers[i], NULL);
    }
    for (int i = 0; i < handle_count; i++) {
        trail_close(handles[i]);
    }
    return atomic_load(&failures) > 0 ? 1 : check(jobs, thread_count);
}

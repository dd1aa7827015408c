/* verify_threads.c - verify on several threads while another one appends; for verify_threads_spec.
 * Test: includes trail.h only, like any program.
 * SPDX-License-Identifier: MIT
 *
 *     verify_threads TRAIL ROUNDS
 *
 * Prints "fine", or what went wrong, with exit code 1.
 */
#include <trail.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { BATCHES = 5, BATCH = 5000 };

static atomic_bool over;

static bool append(trail *t, size_t count)
{
    static trail_event events[BATCH];
    trail_error err;

    for (size_t i = 0; i < count; i++) {
        trail_event_init(&events[i]);
        events[i].event_type = trail_str("thread_test");
        events[i].action = trail_str("append");
        events[i].resource_type = trail_str("marker");
        events[i].resource_id = trail_str("1");
        events[i].result = trail_str("success");
    }
    if (trail_append_batch(t, events, count, NULL, &err) != TRAIL_OK) {
        printf("append: %s\n", err.text);
        return false;
    }
    return true;
}

static void *append_on(void *context)
{
    while (!atomic_load(&over) && append(context, 3)) {
    }
    return NULL;
}

static bool note(void *context, uint64_t done, uint64_t total)
{
    uint64_t *last = context;
    bool fine = done >= *last && done <= total;

    *last = done;
    return fine;
}

static bool verify(trail *t, unsigned threads)
{
    trail_verify_options options;
    trail_report report;
    trail_error err;
    uint64_t last = 0;

    trail_verify_options_init(&options);
    options.threads = threads;
    options.progress = note;
    options.context = &last;
    if (trail_verify(t, &options, &report, &err) != TRAIL_OK) {
        printf("verify: %s\n", err.text);
        return false;
    }
    if (report.fault != TRAIL_FAULT_NONE || !report.complete ||
        report.entries != report.head.seq || last != report.head.seq) {
        printf("verify on %u threads: %s\n", threads, report.text);
        return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    static const unsigned threads[] = { 1, 2, 5, 0 };
    int rounds = argc == 3 ? atoi(argv[2]) : 0;
    pthread_t writer;
    trail_options options;
    trail_error err;
    trail *t = NULL;
    bool fine = true;

    trail_options_init(&options);
    options.map_size = 1 << 20; /* so that it grows under everybody's feet */
    if (trail_open(&t, argv[1], &options, &err) != TRAIL_OK) {
        printf("open: %s\n", err.text);
        return 1;
    }
    for (int i = 0; i < BATCHES; i++) {
        fine = fine && append(t, BATCH);
    }
    fine = fine && pthread_create(&writer, NULL, append_on, t) == 0;
    for (int i = 0; i < rounds * 4 && fine; i++) {
        fine = verify(t, threads[i % 4]);
    }
    atomic_store(&over, true);
    pthread_join(writer, NULL);
    trail_close(t);
    if (fine) {
        printf("fine\n");
    }
    return fine ? 0 : 1;
}

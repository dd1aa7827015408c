/* submit_threads.c - events that are submitted by many threads, around forks and signals.
 * Test: includes submit.h and no other header of ours.
 * SPDX-License-Identifier: MIT
 */
#include "submit.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 8 };

typedef struct job {
    trail *t;
    int number;
    uint64_t last;
    trail_ticket *shared;
} job;

static void *submit_many(void *context)
{
    job *j = context;
    trail_ticket *tickets[MANY];
    trail_receipt receipt;
    trail_error mine;
    char name[32];

    for (int i = 0; i < EVENTS; i++) {
        trail_event event = event_of(name);

        (void)snprintf(name, sizeof name, "%d/%d", j->number, i);
        event.resource_id = trail_str(name);
        if (trail_submit(j->t, &event, 1, &tickets[i % MANY], &mine) != TRAIL_OK ||
            (i % 7 == 0 && trail_append(j->t, &event, NULL, &mine) != TRAIL_OK)) {
            return NULL;
        }
        for (int k = 0; i % MANY == MANY - 1 && k < MANY; k++) {
            if (trail_ticket_wait(tickets[k], k == 3 ? 100000 : -1, &receipt, &mine) !=
                    TRAIL_OK ||
                receipt.seq <= j->last) {
                return NULL;
            }
            j->last = receipt.seq;
            trail_ticket_close(tickets[k]);
        }
    }
    return trail_ticket_wait(j->shared, -1, &receipt, &mine) == TRAIL_OK &&
                   trail_flush(j->t, -1, &mine) == TRAIL_OK
               ? j
               : NULL;
}

/* Each thread's events keep their order; all wait for one ticket; others append. */
void run_threads(void)
{
    trail *handles[2] = { open_with(NULL), open_with(NULL) };
    trail_ticket *shared;
    pthread_t threads[THREADS];
    job jobs[THREADS];
    trail_report report;

    hold();
    shared = submitted(handles[0], "shared");
    for (int i = 0; i < THREADS; i++) {
        jobs[i] = (job){ .t = handles[i % 2], .number = i, .shared = shared };
        CHECK(pthread_create(&threads[i], NULL, submit_many, &jobs[i]) == 0);
    }
    await_round();
    let_go();
    for (int i = 0; i < THREADS; i++) {
        void *result;

        CHECK(pthread_join(threads[i], &result) == 0 && result == &jobs[i]);
    }
    CHECK(trail_verify(handles[0], NULL, &report, &err) == TRAIL_OK &&
          report.fault == TRAIL_FAULT_NONE);
    CHECK(report.head.seq == 2 + THREADS * (EVENTS + (EVENTS + 6) / 7));
    trail_ticket_close(shared);
    trail_close(handles[0]);
    trail_close(handles[1]);
}

static _Noreturn void be_child(trail *t, trail_ticket *ticket, bool quick)
{
    trail_queue_info info;
    trail *own;
    int fd;

    CHECK(submit(t, "child", NULL) == TRAIL_FORKED);
    CHECK(trail_flush(t, -1, &err) == TRAIL_FORKED);
    CHECK(trail_event_fd(t, &fd, &err) == TRAIL_FORKED);
    CHECK(trail_get_queue_info(t, &info, &err) == TRAIL_FORKED);
    CHECK(trail_ticket_done(ticket));
    CHECK(trail_ticket_wait(ticket, -1, NULL, &err) == TRAIL_FORKED);
    trail_ticket_close(ticket);
    trail_close(t);
    own = open_with(NULL);
    CHECK(stored(own, "parent") == 0);
    trail_close(own);
    if (quick) {
        _exit(0);
    }
    exit(0);
}

/* A fork while the queue is not empty and the thread is at work. */
void run_fork(void)
{
    trail *t = open_with(NULL);
    trail_ticket *tickets[MANY];
    int fd, how;

    CHECK(trail_event_fd(t, &fd, &err) == TRAIL_OK);
    hold();
    for (int i = 0; i < MANY; i++) {
        tickets[i] = submitted(t, "parent");
    }
    await_round();
    for (int i = 0; i < 2; i++) {
        pid_t child = fork();

        if (child == 0) {
            be_child(t, tickets[i], i == 0);
        }
        CHECK(waitpid(child, &how, 0) == child && how == 0);
    }
    let_go();
    for (int i = 0; i < MANY; i++) {
        CHECK(trail_ticket_wait(tickets[i], -1, NULL, &err) == TRAIL_OK);
        trail_ticket_close(tickets[i]);
    }
    CHECK(trail_flush(t, -1, &err) == TRAIL_OK && stored(t, "parent") == MANY);
    trail_close(t);
}

/* The thread takes no signal that is meant for the host. */
void run_signals(void)
{
    trail *t = open_with(NULL);
    sigset_t mine, pending;

    CHECK(submit(t, "signals", NULL) == TRAIL_OK && trail_flush(t, -1, &err) == TRAIL_OK);
    sigemptyset(&mine);
    sigaddset(&mine, SIGTERM);
    CHECK(pthread_sigmask(SIG_BLOCK, &mine, NULL) == 0);
    CHECK(kill(getpid(), SIGTERM) == 0);
    CHECK(submit(t, "signals", NULL) == TRAIL_OK && trail_flush(t, -1, &err) == TRAIL_OK);
    CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGTERM) == 1);
    trail_close(t);
}

/* submit.c - events that are submitted: a full queue, slow disks, closing, forks; for writer_spec.
 * Test: includes submit.h, trail.h and no other header of ours; but it knows where the lock between
 * writers is.
 * SPDX-License-Identifier: MIT
 *
 *     submit TRAIL CASE
 *
 * Exit code 0, or 1 and what went wrong. To make a commit last, a case holds the lock that the
 * writers of all processes take in turn (src/gate.c).
 */
#include "submit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

const char *path;
trail_error err;

void check(bool good, const char *what, int line)
{
    if (!good) {
        printf("line %d: %s; the last error: %s (%s)\n", line, what, err.text,
               trail_status_name(err.status));
        fflush(stdout);
        _exit(1);
    }
}

/* ---- the lock between writers ----------------------------------------------------------- */

static struct gate {
    _Atomic uint64_t magic;
    uint64_t mutex_len;
    pthread_mutex_t mutex;
} * gate;

void hold(void)
{
    char file[4096];
    int fd;

    (void)snprintf(file, sizeof file, "%s/log.mdb-gate", path);
    fd = open(file, O_RDWR | O_CLOEXEC);
    CHECK(fd >= 0);
    gate = mmap(NULL, sizeof *gate, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(gate != MAP_FAILED && gate->mutex_len == sizeof gate->mutex);
    close(fd);
    CHECK(pthread_mutex_lock(&gate->mutex) == 0);
}

/* Until somebody stands before the lock: then a round is under way. */
void await_round(void)
{
    while ((__atomic_load_n((unsigned *)&gate->mutex, __ATOMIC_SEQ_CST) &
            FUTEX_WAITERS) == 0) {
        sched_yield();
    }
}

void let_go(void)
{
    CHECK(pthread_mutex_unlock(&gate->mutex) == 0);
}

/* ---- helpers ---------------------------------------------------------------------------- */

trail *open_with(const trail_options *options)
{
    trail *t = NULL;

    CHECK(trail_open(&t, path, options, &err) == TRAIL_OK);
    return t;
}

trail_event event_of(const char *name)
{
    trail_event event;

    trail_event_init(&event);
    event.event_type = trail_str("submit_test");
    event.action = trail_str("append");
    event.resource_type = trail_str("marker");
    event.resource_id = trail_str(name);
    event.result = trail_str("success");
    return event;
}

trail_status submit(trail *t, const char *name, trail_ticket **ticket_out)
{
    trail_event event = event_of(name);

    return trail_submit(t, &event, 1, ticket_out, &err);
}

trail_ticket *submitted(trail *t, const char *name)
{
    trail_ticket *ticket = NULL;

    CHECK(submit(t, name, &ticket) == TRAIL_OK && ticket != NULL);
    return ticket;
}

/* An event with this id, and the name for its content. */
static trail_status submit_id(trail *t, char id, const char *name, trail_ticket **out)
{
    trail_event event = event_of(name);
    uint8_t bytes[TRAIL_ID_LEN];

    memset(bytes, id, sizeof bytes);
    event.id = bytes;
    return trail_submit(t, &event, 1, out, &err);
}

uint64_t stored(trail *t, const char *name)
{
    trail_text value = trail_str(name);
    trail_match match = { .field = TRAIL_FIELD_RESOURCE_ID,
                          .values = &value,
                          .count = 1 };
    trail_filter filter;
    uint64_t count = 0;

    trail_filter_init(&filter);
    filter.matches = &match;
    filter.match_count = 1;
    CHECK(trail_count(t, &filter, &count, &err) == TRAIL_OK);
    return count;
}

trail_queue_info info_of(trail *t)
{
    trail_queue_info info;

    CHECK(trail_get_queue_info(t, &info, &err) == TRAIL_OK);
    return info;
}

static bool readable(int fd)
{
    struct pollfd wanted = { .fd = fd, .events = POLLIN };

    return poll(&wanted, 1, 0) == 1;
}

/* ---- cases: the queue ------------------------------------------------------------------- */

/* What is copied is the caller's no more; a batch is one; wrong arguments are refused at once. */
static void run_basics(void)
{
    trail *t = open_with(NULL);
    trail_options options;
    char name[] = "before";
    trail_event events[3] = { event_of("a"), event_of(name), event_of("c") };
    trail_receipt receipts[3];
    trail_ticket *ticket;

    hold();
    CHECK(trail_submit(t, events, 3, &ticket, &err) == TRAIL_OK);
    memset(name, 'x', sizeof name - 1);
    memset(events, 0, sizeof events);
    await_round();
    CHECK(!trail_ticket_done(ticket) && info_of(t).waiting == 3 &&
          info_of(t).waiting_len > 0);
    CHECK(trail_ticket_wait(ticket, 0, receipts, &err) == TRAIL_BUSY);
    CHECK(trail_ticket_wait(ticket, 10, receipts, NULL) == TRAIL_BUSY);
    CHECK(trail_flush(t, 10, &err) == TRAIL_BUSY);
    let_go();
    CHECK(trail_ticket_wait(ticket, -1, receipts, &err) == TRAIL_OK);
    CHECK(trail_ticket_done(ticket) && receipts[0].seq == 2 && receipts[2].seq == 4);
    CHECK(stored(t, "before") == 1 && trail_flush(t, -1, &err) == TRAIL_OK);
    CHECK(info_of(t).waiting == 0 && info_of(t).waiting_len == 0);
    trail_ticket_close(ticket);
    trail_ticket_close(NULL);

    events[0] = event_of("a");
    CHECK(trail_submit(t, events, 0, &ticket, &err) == TRAIL_INVALID && ticket == NULL);
    events[1] = event_of("");
    CHECK(trail_submit(t, events, 2, NULL, &err) == TRAIL_INVALID);
    CHECK(strstr(err.text, "event 2: field 'resource_id' is empty") != NULL);
    trail_options_init(&options);
    options.flags = TRAIL_READ_ONLY;
    trail_close(t);
    t = open_with(&options);
    CHECK(submit(t, "a", &ticket) == TRAIL_DENIED && ticket == NULL);
    trail_close(t);
}

static void *submit_and_wait(void *t)
{
    trail_event event = event_of("has waited");
    trail_ticket *ticket;
    trail_error mine;

    if (trail_submit(t, &event, 1, &ticket, &mine) != TRAIL_OK ||
        trail_ticket_wait(ticket, -1, NULL, &mine) != TRAIL_OK) {
        return NULL;
    }
    trail_ticket_close(ticket);
    return t;
}

/* A full queue: refuse, wait, drop. The first handle says how long writers wait for each other,
 * the others how long they wait for room. */
static void run_full(void)
{
    trail_options options;
    trail_event events[4] = { event_of("x"), event_of("x"), event_of("x"),
                              event_of("x") };
    trail_ticket *ticket;
    trail *first, *hasty, *patient, *drops;
    pthread_t thread;
    void *result;

    trail_options_init(&options);
    options.queue_count_max = 3;
    first = open_with(&options);
    options.queue_count_max = 1000; /* says nothing any more */
    options.queue_policy = TRAIL_QUEUE_WAIT;
    patient = open_with(&options);
    options.busy_ms = 20;
    hasty = open_with(&options);
    options.queue_policy = TRAIL_QUEUE_DROP;
    drops = open_with(&options);

    hold();
    CHECK(trail_submit(first, events, 2, NULL, &err) == TRAIL_OK);
    await_round();
    CHECK(trail_submit(first, events, 2, &ticket, &err) == TRAIL_QUEUE_FULL && !ticket);
    CHECK(strstr(err.text, "2 events of ") != NULL);
    CHECK(trail_submit(first, events, 4, NULL, &err) == TRAIL_INVALID);
    CHECK(submit(hasty, "third", NULL) == TRAIL_OK);
    CHECK(submit(hasty, "refused", NULL) == TRAIL_QUEUE_FULL);
    CHECK(trail_submit(drops, events, 2, NULL, &err) == TRAIL_QUEUE_FULL);
    CHECK(submit(drops, "dropped", NULL) == TRAIL_QUEUE_FULL);
    CHECK(info_of(drops).dropped == 6 && info_of(first).waiting == 3);
    CHECK(pthread_create(&thread, NULL, submit_and_wait, patient) == 0);
    sched_yield();
    let_go();
    CHECK(pthread_join(thread, &result) == 0 && result == patient);
    CHECK(trail_flush(hasty, -1, &err) == TRAIL_OK);
    trail_close(patient);
    trail_close(hasty);
    trail_close(drops);
    trail_close(first); /* the last one: what was dropped is recorded by then */
    first = open_with(NULL);
    CHECK(stored(first, "x") == 2 && stored(first, "third") == 1 &&
          stored(first, "has waited") == 1);
    CHECK(stored(first, "refused") == 0 && stored(first, "dropped") == 0);
    CHECK(info_of(first).dropped == 0);
    trail_close(first);
}

/* The same by bytes. */
static void run_bytes(void)
{
    static char details[20000];
    trail_event event = event_of("large");
    trail_options options;
    trail_ticket *ticket;
    trail *t;

    memset(details, 'x', sizeof details);
    details[0] = details[sizeof details - 1] = '"';
    event.details = (trail_text){ details, sizeof details };
    trail_options_init(&options);
    options.queue_len_max = 60000; /* a copy, and the encoded parts */
    t = open_with(&options);
    hold();
    CHECK(trail_submit(t, &event, 1, &ticket, &err) == TRAIL_OK);
    await_round();
    CHECK(info_of(t).waiting_len > 2 * sizeof details);
    CHECK(trail_submit(t, &event, 1, NULL, &err) == TRAIL_QUEUE_FULL);
    CHECK(submit(t, "small", NULL) == TRAIL_OK);
    let_go();
    CHECK(trail_flush(t, -1, &err) == TRAIL_OK);
    CHECK(trail_submit(t, &event, 1, NULL, &err) == TRAIL_OK);
    trail_ticket_close(ticket);
    trail_close(t);
    options.queue_len_max = 20000;
    t = open_with(&options);
    CHECK(trail_submit(t, &event, 1, NULL, &err) == TRAIL_INVALID);
    CHECK(stored(t, "large") == 2 && stored(t, "small") == 1);
    trail_close(t);
}

/* ---- cases: outcomes -------------------------------------------------------------------- */

/* What is wrong with one does not disturb the others of its round. */
static void run_failures(void)
{
    trail *t = open_with(NULL);
    trail *other = open_with(NULL);
    trail_ticket *tickets[5];
    trail_receipt first, again;

    hold();
    tickets[0] = submitted(t, "round of its own");
    await_round();
    CHECK(submit_id(t, 1, "a", &tickets[1]) == TRAIL_OK);
    CHECK(submit_id(t, 1, "not a", &tickets[2]) == TRAIL_OK);
    CHECK(submit_id(t, 1, "a", &tickets[3]) == TRAIL_OK);
    tickets[4] = submitted(t, "last");
    let_go();
    CHECK(trail_ticket_wait(tickets[4], -1, NULL, &err) == TRAIL_OK);
    CHECK(trail_ticket_done(tickets[2]) && trail_flush(t, -1, &err) == TRAIL_OK);
    CHECK(trail_ticket_wait(tickets[1], 0, &first, &err) == TRAIL_OK && !first.duplicate);
    CHECK(trail_ticket_wait(tickets[3], 0, &again, &err) == TRAIL_OK && again.duplicate);
    CHECK(again.seq == first.seq && info_of(t).failed == 1);

    /* Flush tells what nobody was told, of this handle, once. */
    CHECK(trail_flush(t, -1, &err) == TRAIL_OK);
    CHECK(trail_ticket_wait(tickets[2], -1, NULL, &err) == TRAIL_EXISTS);
    trail_ticket_close(tickets[2]);
    CHECK(trail_flush(t, -1, &err) == TRAIL_OK);
    CHECK(submit_id(t, 1, "no ticket", NULL) == TRAIL_OK);
    CHECK(trail_flush(other, -1, &err) == TRAIL_OK);
    CHECK(trail_flush(t, -1, &err) == TRAIL_EXISTS && err.status == TRAIL_EXISTS);
    CHECK(trail_flush(t, -1, &err) == TRAIL_OK);
    CHECK(submit_id(t, 1, "closed early", &tickets[2]) == TRAIL_OK);
    trail_ticket_close(tickets[2]);
    CHECK(trail_flush(t, -1, NULL) == TRAIL_EXISTS);
    CHECK(submit_id(t, 1, "closed late", &tickets[2]) == TRAIL_OK);
    CHECK(trail_flush(t, -1, &err) == TRAIL_OK);
    trail_ticket_close(tickets[2]);
    CHECK(trail_flush(t, -1, &err) == TRAIL_EXISTS &&
          trail_flush(t, 0, &err) == TRAIL_OK);
    CHECK(info_of(t).failed == 4 && stored(t, "a") == 1);
    for (int i = 0; i < 5; i++) {
        trail_ticket_close(i == 2 ? NULL : tickets[i]);
    }
    trail_close(t);
    trail_close(other);
}

static void run_event_fd(void)
{
    trail *t = open_with(NULL);
    trail *other = open_with(NULL);
    trail_ticket *ticket;
    uint64_t news = 0;
    int fd, same, late;

    CHECK(trail_event_fd(t, &fd, &err) == TRAIL_OK);
    CHECK(trail_event_fd(t, &same, &err) == TRAIL_OK && same == fd);
    CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0 && (fcntl(fd, F_GETFL) & O_NONBLOCK));
    CHECK(!readable(fd) && read(fd, &news, sizeof news) == -1 && errno == EAGAIN);
    ticket = submitted(t, "news");
    CHECK(trail_ticket_wait(ticket, -1, NULL, &err) == TRAIL_OK);
    CHECK(trail_flush(t, -1, &err) == TRAIL_OK && readable(fd));
    CHECK(read(fd, &news, sizeof news) == sizeof news && news == 1 && !readable(fd));
    CHECK(submit(other, "not of this handle", NULL) == TRAIL_OK);
    CHECK(trail_flush(other, -1, &err) == TRAIL_OK && !readable(fd));
    /* What became known before is news to who asks for the first time. */
    CHECK(trail_event_fd(other, &late, &err) == TRAIL_OK && readable(late));
    trail_ticket_close(ticket);
    trail_close(t);
    CHECK(fcntl(fd, F_GETFD) == -1);
    trail_close(other);
}

/* ---- cases: closing --------------------------------------------------------------------- */

static void *wait_for_closed(void *ticket)
{
    trail_error mine;

    return trail_ticket_wait(ticket, -1, NULL, &mine) == TRAIL_CLOSED ? ticket : NULL;
}

static void *close_handle(void *t)
{
    trail_close(t);
    return NULL;
}

/* After close_ms: the round under way is waited for, the rest was never begun. */
static void run_close(void)
{
    trail_options options;
    trail_ticket *tickets[4];
    trail_receipt receipt;
    pthread_t closer, waiter;
    void *result;
    trail *t, *other;

    trail_options_init(&options);
    other = open_with(&options);
    options.close_ms = 1;
    t = open_with(&options);
    hold();
    tickets[0] = submitted(t, "under way");
    await_round();
    tickets[1] = submitted(t, "never begun");
    tickets[2] = submitted(other, "of another handle");
    tickets[3] = submitted(t, "never begun");
    CHECK(pthread_create(&waiter, NULL, wait_for_closed, tickets[3]) == 0);
    CHECK(pthread_create(&closer, NULL, close_handle, t) == 0);
    CHECK(pthread_join(waiter, &result) == 0 && result == tickets[3]);
    CHECK(!trail_ticket_done(tickets[0]) && !trail_ticket_done(tickets[2]));
    let_go();
    CHECK(pthread_join(closer, NULL) == 0);
    CHECK(trail_ticket_wait(tickets[0], 0, &receipt, &err) == TRAIL_OK);
    CHECK(receipt.seq == 2);
    CHECK(trail_ticket_wait(tickets[1], 0, NULL, &err) == TRAIL_CLOSED);
    CHECK(trail_ticket_wait(tickets[2], -1, NULL, &err) == TRAIL_OK);
    CHECK(trail_flush(other, -1, &err) == TRAIL_OK);
    CHECK(info_of(other).failed == 2 && info_of(other).waiting == 0);
    trail_close(other);
    CHECK(trail_ticket_wait(tickets[0], 0, &receipt, &err) == TRAIL_OK);
    for (int i = 0; i < 4; i++) {
        trail_ticket_close(tickets[i]);
    }
    t = open_with(NULL);
    CHECK(stored(t, "never begun") == 0 && stored(t, "under way") == 1);
    for (int i = 0; i < EVENTS; i++) {
        CHECK(submit(t, "drained", NULL) == TRAIL_OK);
    }
    trail_close(t);
    t = open_with(NULL);
    CHECK(stored(t, "drained") == EVENTS);
    trail_close(t);
}

/* Whom another process keeps from writing, tries again, and nothing changes places; closing does
 * not wait for that. */
static void run_busy(void)
{
    trail_options options;
    trail_ticket *tickets[MANY];
    trail_receipt receipt;
    trail *t;

    trail_options_init(&options);
    options.busy_ms = 1;
    options.close_ms = 1;
    t = open_with(&options);
    hold();
    for (int i = 0; i < MANY; i++) {
        tickets[i] = submitted(t, "busy");
        CHECK(trail_ticket_wait(tickets[i], 2, NULL, &err) == TRAIL_BUSY);
        CHECK(!trail_ticket_done(tickets[i]));
    }
    CHECK(info_of(t).waiting == MANY && info_of(t).failed == 0);
    let_go();
    for (uint64_t i = 0; i < MANY; i++) {
        CHECK(trail_ticket_wait(tickets[i], -1, &receipt, &err) == TRAIL_OK);
        CHECK(receipt.seq == 2 + i);
        trail_ticket_close(tickets[i]);
    }
    hold();
    for (int i = 0; i < MANY; i++) {
        tickets[i] = submitted(t, "closed");
    }
    await_round();
    trail_close(t);
    for (int i = 0; i < MANY; i++) {
        CHECK(trail_ticket_wait(tickets[i], 0, &receipt, &err) == TRAIL_CLOSED);
        trail_ticket_close(tickets[i]);
    }
    let_go();
    t = open_with(NULL);
    CHECK(stored(t, "closed") == 0 && stored(t, "busy") == MANY);
    trail_close(t);
}

/* Ends without closing anything. */
static void run_exit(void)
{
    trail *t = open_with(NULL);

    for (int i = 0; i < EVENTS; i++) {
        CHECK(submit(t, "exit", NULL) == TRAIL_OK);
    }
    exit(0);
}

/* A writer that holds the lock until it is killed. */
static void run_hold(void)
{
    hold();
    puts("held");
    fflush(stdout);
    pause();
}

/* Tells of each event when it is durable, until it is killed. */
static void run_kill(void)
{
    trail_options options;
    trail *t;

    trail_options_init(&options);
    options.queue_policy = TRAIL_QUEUE_WAIT;
    t = open_with(&options);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (unsigned n = 0;; n++) {
        trail_ticket *tickets[MANY];
        trail_receipt receipt;
        char name[32];

        for (int i = 0; i < MANY; i++) {
            (void)snprintf(name, sizeof name, "%u/%d", n, i);
            tickets[i] = submitted(t, name);
        }
        for (int i = 0; i < MANY; i++) {
            CHECK(trail_ticket_wait(tickets[i], -1, &receipt, &err) == TRAIL_OK);
            printf("%llu %u/%d\n", (unsigned long long)receipt.seq, n, i);
            trail_ticket_close(tickets[i]);
        }
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } cases[] = {
        { "basics", run_basics },     { "full", run_full },        { "bytes", run_bytes },
        { "failures", run_failures }, { "eventfd", run_event_fd }, { "close", run_close },
        { "busy", run_busy },         { "exit", run_exit },        { "kill", run_kill },
        { "hold", run_hold },         { "threads", run_threads },  { "fork", run_fork },
        { "signals", run_signals },
    };

    path = argc == 3 ? argv[1] : "";
    for (size_t i = 0; argc == 3 && i < sizeof cases / sizeof cases[0]; i++) {
        if (strcmp(cases[i].name, argv[2]) == 0) {
            cases[i].run();
            return 0;
        }
    }
    return 2;
}

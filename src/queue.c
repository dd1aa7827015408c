/* queue.c - the submitted events of a process on a trail, and the thread that appends them.
 * Level 7: may include levels 0-6, group, indexer.
 * SPDX-License-Identifier: MIT
 */
#include "queue.h"

#include "clock.h"
#include "error.h"
#include "fault.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { COUNT_MAX_DEFAULT = 65536, CLOSE_MS_DEFAULT = 10000, RETRY_MS = 10 };
static const size_t len_max_default = (size_t)64 << 20;

trail_status trail__queue_init(trail__queue *queue, trail__log *log, trail__group *group,
                               trail__indexer *indexer, const trail_options *options,
                               trail_error *err)
{
    pthread_condattr_t attr;

    memset(queue, 0, sizeof *queue);
    queue->log = log;
    queue->group = group;
    queue->indexer = indexer;
    queue->count_max =
        options->queue_count_max > 0 ? options->queue_count_max : COUNT_MAX_DEFAULT;
    queue->len_max =
        options->queue_len_max > 0 ? options->queue_len_max : len_max_default;
    queue->close_ms = options->close_ms > 0 ? options->close_ms : CLOSE_MS_DEFAULT;
    if (pthread_mutex_init(&queue->lock, NULL) != 0) {
        return trail__error(err, TRAIL_NO_MEMORY, "no memory for a lock");
    }
    /* On Linux neither of these can fail. */
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&queue->work, &attr);
    (void)pthread_cond_init(&queue->outcome, &attr);
    (void)pthread_condattr_destroy(&attr);
    return TRAIL_OK;
}

/* Under the lock: sleep until woken; false: that moment has come. */
static bool sleep_until(trail__queue *queue, pthread_cond_t *woken, int64_t until_us)
{
    struct timespec until = { .tv_sec = (time_t)(until_us / 1000000),
                              .tv_nsec = (long)(until_us % 1000000) * 1000 };

    if (until_us == INT64_MAX) {
        return pthread_cond_wait(woken, &queue->lock) == 0;
    }
    return pthread_cond_timedwait(woken, &queue->lock, &until) != ETIMEDOUT;
}

static int64_t after_ms(unsigned ms)
{
    return trail__clock_steady_us() + (int64_t)ms * 1000;
}

/* ---- outcomes ----------------------------------------------------------------------- */

/* Under the lock. */
static void count_outcome(trail__queue *queue, const trail_ticket *ticket)
{
    trail__client *client = ticket->client;

    queue->info.waiting -= ticket->batch.count;
    queue->info.waiting_len -= ticket->len;
    if (ticket->batch.status != TRAIL_OK) {
        queue->info.failed += ticket->batch.count;
    }
    if (client->event_fd >= 0 &&
        (ticket->next == NULL || ticket->next->client != client)) {
        (void)eventfd_write(client->event_fd, 1); /* can only fail if it is readable */
    }
}

/* Under the lock: these tickets are published. Returns those that are to be released without it;
 * the failed ones are released here: what nobody was told must be noted down before 'known' says
 * that all is known. Then the client's handle may be closed as soon as the lock is free. */
static trail_ticket *count_outcomes(trail__queue *queue, trail_ticket *tickets)
{
    trail_ticket *done = NULL;

    while (tickets != NULL) {
        trail_ticket *ticket = tickets;
        trail__client *client = ticket->client;

        tickets = ticket->next;
        count_outcome(queue, ticket);
        if (ticket->batch.status != TRAIL_OK) {
            trail__ticket_release(ticket);
        } else {
            ticket->next = done;
            done = ticket;
        }
        client->known++;
    }
    (void)pthread_cond_broadcast(&queue->outcome);
    return done;
}

static void publish_all(trail_ticket *tickets)
{
    for (; tickets != NULL; tickets = tickets->next) {
        trail__ticket_publish(tickets);
    }
}

static void release_all(trail_ticket *tickets)
{
    while (tickets != NULL) {
        trail_ticket *next = tickets->next;

        trail__ticket_release(tickets);
        tickets = next;
    }
}

/* Under the lock: what waits, of one client or (NULL) of all, shall never be begun. */
static void refuse(trail__queue *queue, const trail__client *client)
{
    trail_ticket **link = &queue->first;
    trail_ticket *refused = NULL;
    trail_ticket **end = &refused;

    queue->last = NULL;
    while (*link != NULL) {
        trail_ticket *ticket = *link;

        if (client == NULL || ticket->client == client) {
            *link = ticket->next;
            *end = ticket;
            end = &ticket->next;
            ticket->batch.status =
                trail__error(&ticket->batch.error, TRAIL_CLOSED,
                             "the trail was closed before these events were written");
        } else {
            queue->last = ticket;
            link = &ticket->next;
        }
    }
    *end = NULL;
    publish_all(refused);
    release_all(count_outcomes(queue, refused));
}

/* ---- the thread --------------------------------------------------------------------- */

/* Make ready the event that says how many were dropped. */
static trail_status make_dropped(const trail__log *log, const trail__drops *drops,
                                 trail_event *event, char log_id[TRAIL_ID_TEXT_LEN + 1],
                                 char details[96], trail__batch *batch)
{
    trail_id_format(log->identity.log_id, log_id);
    (void)snprintf(details, 96, "{\"count\":%" PRIu64 ",\"since_us\":%" PRId64 "}",
                   drops->count, drops->since_us);
    trail_event_init(event);
    event->event_type = trail_str("trail.dropped");
    event->action = trail_str("drop");
    event->resource_type = trail_str("trail");
    event->resource_id = trail_str(log_id);
    event->result = trail_str("failure");
    event->details = trail_str(details);
    return trail__batch_init(batch, event, 1, TRAIL__DOOR_ENGINE, NULL);
}

/* The last event that was stored tells the indexer how far it may come. */
static void poke_indexer(trail__queue *queue, const trail_ticket *tickets,
                         const trail__batch *dropped)
{
    uint64_t seq = 0;
    size_t count = 0;

    for (; tickets != NULL; tickets = tickets->next) {
        const trail__batch *batch = &tickets->batch;

        if (batch->status == TRAIL_OK) {
            seq = batch->drafts[batch->count - 1].receipt.seq;
            count += batch->count;
        }
    }
    if (dropped != NULL && dropped->status == TRAIL_OK) {
        seq = dropped->drafts[0].receipt.seq;
        count++;
    }
    if (count > 0) {
        trail__indexer_poke(queue->indexer, seq, count);
    }
}

/* Append the tickets, and an event about what was dropped. False: that event is not stored. */
static bool write_round(trail__queue *queue, trail_ticket *tickets,
                        const trail__drops *drops)
{
    trail__batch *first = NULL;
    trail__batch **end = &first;
    trail__batch dropped = { .status = TRAIL_NO_MEMORY };
    bool has_dropped = false;
    trail_event event;
    char log_id[TRAIL_ID_TEXT_LEN + 1];
    char details[96];

    for (trail_ticket *ticket = tickets; ticket != NULL; ticket = ticket->next) {
        *end = &ticket->batch;
        end = &ticket->batch.next;
    }
    if (drops->count > 0) {
        has_dropped = make_dropped(queue->log, drops, &event, log_id, details,
                                   &dropped) == TRAIL_OK;
    }
    if (has_dropped) {
        *end = &dropped;
        end = &dropped.next;
    }
    *end = NULL;
    if (first != NULL) {
        trail__group_append(queue->group, queue->log, first);
        poke_indexer(queue, tickets, has_dropped ? &dropped : NULL);
    }
    if (has_dropped) {
        trail__batch_release(&dropped);
    }
    return drops->count == 0 || (has_dropped && dropped.status == TRAIL_OK);
}

/* Cut off the tickets that other processes kept from being written: the last ones. */
static trail_ticket *cut_busy(trail_ticket **tickets)
{
    trail_ticket *busy;

    while (*tickets != NULL && (*tickets)->batch.status != TRAIL_BUSY) {
        tickets = &(*tickets)->next;
    }
    busy = *tickets;
    *tickets = NULL;
    for (trail_ticket *ticket = busy; ticket != NULL; ticket = ticket->next) {
        assert(ticket->batch.status == TRAIL_BUSY); /* or it would be stored twice */
    }
    return busy;
}

/* Under the lock: they are the oldest again. Then sleep a little: not every way of being busy takes
 * time. */
static void put_back(trail__queue *queue, trail_ticket *busy)
{
    trail_ticket *end = busy;

    while (end->next != NULL) {
        end = end->next;
    }
    end->next = queue->first;
    queue->first = busy;
    if (queue->last == NULL) {
        queue->last = end;
    }
    (void)pthread_cond_broadcast(&queue->outcome); /* who closes may refuse them now */
    if (queue->late) {
        refuse(queue, NULL);
    } else {
        (void)sleep_until(queue, &queue->work, after_ms(RETRY_MS));
    }
}

/* Under the lock: is there something to do for the thread? */
static bool has_work(const trail__queue *queue)
{
    return queue->first != NULL || (queue->drops.count > 0 && !queue->drops_rest);
}

/* Under the lock, which is free while the round is written. */
static void work(trail__queue *queue)
{
    trail_ticket *tickets = queue->first;
    trail_ticket *busy;
    trail__drops drops = queue->drops;
    bool recorded;

    queue->first = NULL;
    queue->last = NULL;
    queue->drops = (trail__drops){ 0, 0 };
    (void)pthread_mutex_unlock(&queue->lock);
    recorded = write_round(queue, tickets, &drops);
    busy = cut_busy(&tickets);
    publish_all(tickets);
    (void)pthread_mutex_lock(&queue->lock);
    if (!recorded) {
        queue->drops.count += drops.count;
        queue->drops.since_us = drops.since_us;
        queue->drops_rest = true;
    }
    tickets = count_outcomes(queue, tickets);
    (void)pthread_mutex_unlock(&queue->lock);
    release_all(tickets);
    (void)pthread_mutex_lock(&queue->lock);
    if (busy != NULL) {
        put_back(queue, busy);
    }
}

static void *run(void *context)
{
    trail__queue *queue = context;

    (void)pthread_mutex_lock(&queue->lock);
    while (has_work(queue) || !queue->stop) {
        if (has_work(queue)) {
            work(queue);
        } else {
            (void)pthread_cond_wait(&queue->work, &queue->lock);
        }
    }
    (void)pthread_mutex_unlock(&queue->lock);
    return NULL;
}

/* Under the lock. All signals are the host's affair. */
static trail_status start(trail__queue *queue, trail_error *err)
{
    sigset_t all;
    sigset_t old;
    int failed = EAGAIN;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    if (!trail__fault("queue/thread")) {
        failed = pthread_create(&queue->thread, NULL, run, queue);
    }
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (failed != 0) {
        return trail__error(err, TRAIL_NO_MEMORY,
                            "no memory for the thread that writes what was submitted: %s",
                            strerror(failed));
    }
    queue->running = true;
    return TRAIL_OK;
}

/* Under the lock. Once more for drops that could not be recorded; then the thread ends. */
static void stop(trail__queue *queue)
{
    bool running = queue->running;

    queue->stop = true;
    queue->drops_rest = false;
    queue->running = false;
    (void)pthread_cond_signal(&queue->work);
    (void)pthread_mutex_unlock(&queue->lock);
    if (running) {
        (void)pthread_join(queue->thread, NULL);
    }
    (void)pthread_mutex_lock(&queue->lock);
}

void trail__queue_release(trail__queue *queue)
{
    (void)pthread_mutex_lock(&queue->lock);
    stop(queue);
    (void)pthread_mutex_unlock(&queue->lock);
    (void)pthread_cond_destroy(&queue->work);
    (void)pthread_cond_destroy(&queue->outcome);
    (void)pthread_mutex_destroy(&queue->lock);
}

/* ---- submit ------------------------------------------------------------------------- */

static bool has_room(const trail__queue *queue, const trail_ticket *ticket)
{
    return ticket->batch.count <= queue->count_max - queue->info.waiting &&
           ticket->len <= queue->len_max - queue->info.waiting_len;
}

/* Under the lock. */
static trail_status full(trail__queue *queue, const trail_ticket *ticket,
                         trail_queue_policy policy, trail_error *err)
{
    size_t count = ticket->batch.count;

    queue->info.dropped += count;
    if (policy == TRAIL_QUEUE_DROP) {
        if (queue->drops.count == 0) {
            queue->drops.since_us = trail__clock_now_us();
        }
        queue->drops.count += count;
        queue->drops_rest = false;
    }
    return trail__error(err, TRAIL_QUEUE_FULL,
                        "%" PRIu64 " events of %" PRIu64
                        " bytes wait to be written, the limits are %zu and %zu",
                        queue->info.waiting, queue->info.waiting_len, queue->count_max,
                        queue->len_max);
}

/* Under the lock: wait for room, if that is what the policy says. */
static trail_status find_room(trail__queue *queue, const trail_ticket *ticket,
                              trail_queue_policy policy, unsigned wait_ms,
                              trail_error *err)
{
    int64_t until_us = after_ms(policy == TRAIL_QUEUE_WAIT ? wait_ms : 0);

    if (ticket->batch.count > queue->count_max || ticket->len > queue->len_max) {
        return trail__error(err, TRAIL_INVALID,
                            "%zu events of %zu bytes do not fit into a queue of %zu "
                            "events and %zu bytes",
                            ticket->batch.count, ticket->len, queue->count_max,
                            queue->len_max);
    }
    while (!has_room(queue, ticket) && !queue->ended) {
        if (policy != TRAIL_QUEUE_WAIT ||
            !sleep_until(queue, &queue->outcome, until_us)) {
            break;
        }
    }
    if (queue->ended) {
        return trail__error(err, TRAIL_CLOSED, "the process is ending");
    }
    return has_room(queue, ticket) ? TRAIL_OK : full(queue, ticket, policy, err);
}

/* Under the lock. */
static void append(trail__queue *queue, trail_ticket *ticket)
{
    ticket->next = NULL;
    if (queue->last != NULL) {
        queue->last->next = ticket;
    } else {
        queue->first = ticket;
    }
    queue->last = ticket;
    queue->info.waiting += ticket->batch.count;
    queue->info.waiting_len += ticket->len;
    queue->drops_rest = false;
    ticket->client->submitted++;
    (void)pthread_cond_signal(&queue->work);
}

trail_status trail__queue_put(trail__queue *queue, trail_ticket *ticket,
                              trail_queue_policy policy, unsigned wait_ms,
                              trail_error *err)
{
    trail_status status = TRAIL_OK;

    (void)pthread_mutex_lock(&queue->lock);
    if (!queue->running && !queue->ended) {
        status = start(queue, err);
    }
    if (status == TRAIL_OK) {
        status = find_room(queue, ticket, policy, wait_ms, err);
    }
    if (status == TRAIL_OK) {
        append(queue, ticket);
    }
    (void)pthread_mutex_unlock(&queue->lock);
    return status;
}

/* ---- wait, close, ask --------------------------------------------------------------- */

/* Under the lock. The outcomes of a client become known in the order of its calls. */
static bool wait_known(trail__queue *queue, const trail__client *client, int64_t until_us)
{
    uint64_t submitted = client->submitted;
    bool in_time = true;

    while (client->known < submitted && in_time) {
        in_time = sleep_until(queue, &queue->outcome, until_us);
    }
    return client->known >= submitted;
}

bool trail__queue_flush(trail__queue *queue, const trail__client *client,
                        int64_t until_us)
{
    bool known;

    (void)pthread_mutex_lock(&queue->lock);
    known = wait_known(queue, client, until_us);
    (void)pthread_mutex_unlock(&queue->lock);
    return known;
}

void trail__queue_drain(trail__queue *queue, trail__client *client, unsigned close_ms)
{
    (void)pthread_mutex_lock(&queue->lock);
    if (!wait_known(queue, client,
                    after_ms(close_ms > 0 ? close_ms : CLOSE_MS_DEFAULT))) {
        refuse(queue, client);
        /* What is left is in the round that the thread writes now: it cannot be called back, but
         * it may come back. */
        while (client->known < client->submitted) {
            (void)sleep_until(queue, &queue->outcome, INT64_MAX);
            refuse(queue, client);
        }
    }
    if (client->event_fd >= 0) {
        (void)close(client->event_fd);
        client->event_fd = -1;
    }
    (void)pthread_mutex_unlock(&queue->lock);
}

void trail__queue_end(trail__queue *queue)
{
    int64_t until_us = after_ms(queue->close_ms);
    bool in_time = true;

    (void)pthread_mutex_lock(&queue->lock);
    queue->ended = true;
    while (queue->info.waiting > 0 && in_time) {
        in_time = sleep_until(queue, &queue->outcome, until_us);
    }
    queue->late = true;
    refuse(queue, NULL);
    stop(queue);
    (void)pthread_mutex_unlock(&queue->lock);
}

trail_status trail__queue_event_fd(trail__queue *queue, trail__client *client,
                                   int *fd_out, trail_error *err)
{
    trail_status status = TRAIL_OK;

    (void)pthread_mutex_lock(&queue->lock);
    if (client->event_fd < 0) {
        /* What became known before somebody asked for the eventfd is news too. */
        client->event_fd = eventfd(client->known > 0 ? 1 : 0, EFD_NONBLOCK | EFD_CLOEXEC);
    }
    if (client->event_fd < 0) {
        status = trail__error_errno(err, errno, "cannot make an eventfd");
    } else {
        *fd_out = client->event_fd;
    }
    (void)pthread_mutex_unlock(&queue->lock);
    return status;
}

void trail__queue_get_info(trail__queue *queue, trail_queue_info *info_out)
{
    (void)pthread_mutex_lock(&queue->lock);
    *info_out = queue->info;
    (void)pthread_mutex_unlock(&queue->lock);
}

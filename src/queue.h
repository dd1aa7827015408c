/* queue.h - the submitted events of a process on a trail, and the thread that appends them.
 * Level 7: may include levels 0-6, group, indexer.
 * SPDX-License-Identifier: MIT
 *
 * The thread takes all that waits and appends it in one round, together with those who call
 * append; meanwhile the next events gather. While other processes keep it from writing (TRAIL_BUSY)
 * the events wait on. What becomes of a ticket is certain: it is durable, or refused, or was never
 * written.
 */
#ifndef TRAIL_QUEUE_H
#define TRAIL_QUEUE_H

#include "group.h"
#include "indexer.h"
#include "ticket.h"

/* Events that were dropped and are not recorded yet. */
typedef struct trail__drops {
    uint64_t count;
    int64_t since_us;
} trail__drops;

typedef struct trail__queue {
    trail__log *log;
    trail__group *group;
    trail__indexer *indexer;
    size_t count_max;
    size_t len_max;
    unsigned close_ms;

    pthread_mutex_t lock;   /* of what follows */
    pthread_cond_t work;    /* for the thread: there is something to do */
    pthread_cond_t outcome; /* for the others: there is room, outcomes are known */
    pthread_t thread;
    bool running; /* the thread */
    bool stop;    /* it shall finish what waits, and end */
    bool ended;   /* nothing may be submitted any more, */
    bool late;    /* and what is not written now never will be */
    trail_ticket *first;
    trail_ticket *last;
    trail_queue_info info;
    trail__drops drops;
    bool drops_rest; /* recording them has failed: try again with the next events */
} trail__queue;

trail_status trail__queue_init(trail__queue *queue, trail__log *log, trail__group *group,
                               trail__indexer *indexer, const trail_options *options,
                               trail_error *err);

/* Nothing waits any more: all clients were drained. */
void trail__queue_release(trail__queue *queue);

/* Queue a ticket. On success the queue holds it; else it is the caller's alone. */
trail_status trail__queue_put(trail__queue *queue, trail_ticket *ticket,
                              trail_queue_policy policy, unsigned wait_ms,
                              trail_error *err);

/* Wait until all that the client has submitted so far has an outcome, at most until that moment
 * of the steady clock. False: it has come. */
bool trail__queue_flush(trail__queue *queue, const trail__client *client,
                        int64_t until_us);

/* The client submits no more. Wait until all has an outcome; what the thread is not writing after
 * 'close_ms' gets TRAIL_CLOSED. Closes its eventfd. */
void trail__queue_drain(trail__queue *queue, trail__client *client, unsigned close_ms);

/* The process ends: the same for all clients, and the thread ends. */
void trail__queue_end(trail__queue *queue);

trail_status trail__queue_event_fd(trail__queue *queue, trail__client *client,
                                   int *fd_out, trail_error *err);
void trail__queue_get_info(trail__queue *queue, trail_queue_info *info_out);

#endif

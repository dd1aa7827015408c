/* ticket.h - submitted events on their way to disk, and what became of them.
 * Level 4: may include levels 0-3.
 * SPDX-License-Identifier: MIT
 *
 * A ticket owns copies of its events. The queue and the caller hold it together; whoever lets go
 * last frees it. A client is what a handle has submitted; its tickets may outlive the handle, so
 * it is held by all of them.
 */
#ifndef TRAIL_TICKET_H
#define TRAIL_TICKET_H

#include "draft.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

typedef struct trail__client {
    atomic_uint users; /* the handle and its tickets */
    pthread_mutex_t lock;
    trail_error failure; /* the first one that nobody has asked for; under the lock */

    /* Under the lock of the queue: */
    uint64_t submitted; /* calls */
    uint64_t known;     /* of them: the outcome is known */
    int event_fd;       /* -1: nobody has asked for it */
} trail__client;

trail_status trail__client_new(trail__client **client_out, trail_error *err);
void trail__client_release(trail__client *client);

/* The failure noted down since the last call, or TRAIL_OK. */
trail_status trail__client_take(trail__client *client, trail_error *err);

struct trail_ticket {
    trail__batch batch; /* status and error are the outcome */
    trail__client *client;
    trail_ticket *next; /* in the queue */
    void *copies;       /* the events, until the outcome is known */
    size_t len;         /* bytes of memory, until then */
    pid_t pid;
    atomic_uint users;
    atomic_uint state; /* futex */
    atomic_bool told;  /* the outcome: to somebody who waited for it */
    bool wanted;       /* the caller has the ticket */
    trail_receipt receipts[];
};

/* Check and copy the events. The ticket is held for the queue and, if it is 'wanted', once more for
 * the caller, who gets receipts then. */
trail_status trail__ticket_new(trail_ticket **ticket_out, trail__client *client,
                               const trail_event *events, size_t count, bool wanted,
                               trail_error *err);

/* Free it, as if nobody held it: it never came into the queue. */
void trail__ticket_discard(trail_ticket *ticket);

/* The outcome is in the batch: tell whoever waits. */
void trail__ticket_publish(trail_ticket *ticket);

/* The last one to let go notes a failure down that nobody was told. */
void trail__ticket_release(trail_ticket *ticket);

#endif

/* submit.c - the public functions: append without waiting.
 * Level 8: may include levels 0-7, store, handle.
 * SPDX-License-Identifier: MIT
 */
#include "trail.h"

#include "clock.h"
#include "error.h"
#include "handle.h"

#include <unistd.h>

static trail_status submit(trail *t, const trail_event *events, size_t count,
                           trail_ticket **ticket_out, trail_error *err)
{
    trail_ticket *ticket;
    trail_status status = trail__handle_check(t, err);

    if (status == TRAIL_OK && t->read_only) {
        status = trail__error(err, TRAIL_DENIED, "%s was opened read-only", t->path);
    }
    if (status == TRAIL_OK) {
        status =
            trail__ticket_new(&ticket, t->client, events, count, ticket_out != NULL, err);
    }
    if (status != TRAIL_OK) {
        return status;
    }
    status = trail__store_submit(t->store, ticket, t->queue_policy, t->busy_ms, err);
    if (status != TRAIL_OK) {
        trail__ticket_discard(ticket);
        return status;
    }
    if (ticket_out != NULL) {
        *ticket_out = ticket;
    }
    return TRAIL_OK;
}

trail_status trail_submit(trail *t, const trail_event *events, size_t count,
                          trail_ticket **ticket_out, trail_error *err)
{
    trail_status status;

    if (ticket_out != NULL) {
        *ticket_out = NULL;
    }
    atomic_fetch_add(&t->appends, 1);
    status = submit(t, events, count, ticket_out, err);
    atomic_fetch_sub(&t->appends, 1);
    return status;
}

trail_status trail_flush(trail *t, int timeout_ms, trail_error *err)
{
    int64_t until_us = INT64_MAX;
    trail_status status = trail__handle_check(t, err);

    if (status != TRAIL_OK) {
        return status;
    }
    if (timeout_ms >= 0) {
        until_us = trail__clock_steady_us() + (int64_t)timeout_ms * 1000;
    }
    if (!trail__queue_flush(trail__store_queue(t->store), t->client, until_us)) {
        return trail__error(err, TRAIL_BUSY,
                            "not everything that was submitted is written yet");
    }
    return trail__client_take(t->client, err);
}

trail_status trail_event_fd(trail *t, int *fd_out, trail_error *err)
{
    trail_status status = trail__handle_check(t, err);

    return status == TRAIL_OK ? trail__queue_event_fd(trail__store_queue(t->store),
                                                      t->client, fd_out, err)
                              : status;
}

trail_status trail_get_queue_info(trail *t, trail_queue_info *info_out, trail_error *err)
{
    trail_status status = trail__handle_check(t, err);

    if (status == TRAIL_OK) {
        trail__queue_get_info(trail__store_queue(t->store), info_out);
    }
    return status;
}

/* In a forked child there is no thread to wait for; only the eventfd is there twice. */
void trail__handle_drain(trail *t)
{
    if (!trail__store_forked(t->store)) {
        trail__queue_drain(trail__store_queue(t->store), t->client, t->close_ms);
    } else if (t->client->event_fd >= 0) {
        (void)close(t->client->event_fd);
    }
}

/* ticket.c - submitted events on their way to disk, and what became of them.
 * Level 4: may include levels 0-3.
 * SPDX-License-Identifier: MIT
 */
#include "ticket.h"

#include "clock.h"
#include "error.h"
#include "fault.h"
#include "futex.h"

#include <string.h>
#include <unistd.h>

enum { TEXTS = 11 };

enum { STATE_OPEN, STATE_WAITED_FOR, STATE_KNOWN };

/* ---- clients ------------------------------------------------------------------------ */

trail_status trail__client_new(trail__client **client_out, trail_error *err)
{
    trail__client *client = trail__alloc_zero(sizeof *client);

    *client_out = NULL;
    if (client == NULL || pthread_mutex_init(&client->lock, NULL) != 0) {
        trail__free(client);
        return trail__error(err, TRAIL_NO_MEMORY, "no memory for a handle");
    }
    atomic_init(&client->users, 1);
    client->event_fd = -1;
    *client_out = client;
    return TRAIL_OK;
}

void trail__client_release(trail__client *client)
{
    if (client != NULL && atomic_fetch_sub(&client->users, 1) == 1) {
        (void)pthread_mutex_destroy(&client->lock);
        trail__free(client);
    }
}

static void note(trail__client *client, const trail_error *failure)
{
    (void)pthread_mutex_lock(&client->lock);
    if (client->failure.status == TRAIL_OK) {
        client->failure = *failure;
    }
    (void)pthread_mutex_unlock(&client->lock);
}

trail_status trail__client_take(trail__client *client, trail_error *err)
{
    trail_status status;

    (void)pthread_mutex_lock(&client->lock);
    status = client->failure.status;
    if (status != TRAIL_OK && err != NULL) {
        *err = client->failure;
    }
    client->failure.status = TRAIL_OK;
    (void)pthread_mutex_unlock(&client->lock);
    return status;
}

/* ---- copies ------------------------------------------------------------------------- */

static void list_texts(trail_event *event, trail_text *texts_out[TEXTS])
{
    texts_out[0] = &event->event_type;
    texts_out[1] = &event->user_id;
    texts_out[2] = &event->action;
    texts_out[3] = &event->resource_type;
    texts_out[4] = &event->resource_id;
    texts_out[5] = &event->result;
    texts_out[6] = &event->result_error;
    texts_out[7] = &event->details;
    texts_out[8] = &event->ip_address;
    texts_out[9] = &event->user_agent;
    texts_out[10] = &event->request_id;
}

/* A text that is absent stays absent, an empty one stays empty. */
static char *copy_text(trail_text *text, char *at)
{
    if (text->data != NULL) {
        memcpy(at, text->data, text->len);
        text->data = at;
        at += text->len;
    }
    return at;
}

static char *copy_event(trail_event *event, char *at)
{
    trail_text *texts[TEXTS];

    if (event->id != NULL) {
        memcpy(at, event->id, TRAIL_ID_LEN);
        event->id = (const uint8_t *)at;
        at += TRAIL_ID_LEN;
    }
    list_texts(event, texts);
    for (size_t i = 0; i < TEXTS; i++) {
        at = copy_text(texts[i], at);
    }
    return at;
}

static size_t copy_len(const trail_event *event)
{
    trail_event other = *event;
    trail_text *texts[TEXTS];
    size_t len = sizeof other + TRAIL_ID_LEN;

    list_texts(&other, texts);
    for (size_t i = 0; i < TEXTS; i++) {
        len += texts[i]->len;
    }
    return len;
}

/* From here on the batch refers to nothing of the caller's. */
static trail_status copy_events(trail_ticket *ticket, const trail_event *source,
                                trail_error *err)
{
    trail__batch *batch = &ticket->batch;
    trail_event *events;
    size_t len = 0;
    char *at;

    for (size_t i = 0; i < batch->count; i++) {
        len += copy_len(&source[i]);
    }
    ticket->copies = trail__alloc(len);
    if (ticket->copies == NULL) {
        return trail__error(err, TRAIL_NO_MEMORY, "no memory for %zu events",
                            batch->count);
    }
    ticket->len += len;
    events = ticket->copies;
    at = (char *)(events + batch->count);
    for (size_t i = 0; i < batch->count; i++) {
        events[i] = source[i];
        at = copy_event(&events[i], at);
        batch->drafts[i].event = &events[i];
    }
    return TRAIL_OK;
}

/* ---- tickets ------------------------------------------------------------------------ */

trail_status trail__ticket_new(trail_ticket **ticket_out, trail__client *client,
                               const trail_event *events, size_t count, bool wanted,
                               trail_error *err)
{
    trail__batch batch;
    trail_ticket *ticket;
    size_t len = sizeof *ticket;
    trail_status status =
        trail__batch_init(&batch, events, count, TRAIL__DOOR_CALLER, err);

    *ticket_out = NULL;
    if (status != TRAIL_OK) {
        return status;
    }
    len += wanted ? count * sizeof ticket->receipts[0] : 0;
    ticket = trail__alloc_zero(len);
    if (ticket == NULL) {
        trail__batch_release(&batch);
        return trail__error(err, TRAIL_NO_MEMORY, "no memory for %zu events", count);
    }
    ticket->batch = batch;
    ticket->len = len + batch.memory_len;
    ticket->pid = getpid();
    ticket->wanted = wanted;
    atomic_init(&ticket->users, wanted ? 2 : 1);
    status = copy_events(ticket, events, err);
    if (status != TRAIL_OK) {
        trail__ticket_discard(ticket);
        return status;
    }
    (void)atomic_fetch_add(&client->users, 1);
    ticket->client = client;
    *ticket_out = ticket;
    return TRAIL_OK;
}

static void release_events(trail_ticket *ticket)
{
    trail__free(ticket->copies);
    ticket->copies = NULL;
    trail__batch_release(&ticket->batch);
}

void trail__ticket_publish(trail_ticket *ticket)
{
    const trail__batch *batch = &ticket->batch;

    for (size_t i = 0; ticket->wanted && batch->status == TRAIL_OK && i < batch->count;
         i++) {
        ticket->receipts[i] = batch->drafts[i].receipt;
    }
    release_events(ticket);
    if (atomic_exchange(&ticket->state, STATE_KNOWN) == STATE_WAITED_FOR) {
        trail__futex_wake_all(&ticket->state);
    }
}

static bool is_forked(const trail_ticket *ticket)
{
    return ticket->pid != getpid();
}

void trail__ticket_discard(trail_ticket *ticket)
{
    trail__client_release(ticket->client);
    release_events(ticket);
    trail__free(ticket);
}

/* In a forked child nobody asks the client any more, and its lock may be held by a thread that is
 * not there. */
void trail__ticket_release(trail_ticket *ticket)
{
    if (atomic_fetch_sub(&ticket->users, 1) != 1) {
        return;
    }
    if (ticket->client != NULL && ticket->batch.status != TRAIL_OK &&
        !atomic_load(&ticket->told) && !is_forked(ticket)) {
        note(ticket->client, &ticket->batch.error);
    }
    trail__ticket_discard(ticket);
}

/* ---- what the caller may do with them ----------------------------------------------- */

bool trail_ticket_done(const trail_ticket *ticket)
{
    return atomic_load(&ticket->state) == STATE_KNOWN || is_forked(ticket);
}

static bool wait_until(trail_ticket *ticket, int64_t until_us)
{
    unsigned state = atomic_load(&ticket->state);

    while (state != STATE_KNOWN) {
        if (state == STATE_OPEN &&
            !atomic_compare_exchange_strong(&ticket->state, &state, STATE_WAITED_FOR)) {
            continue;
        }
        if (!trail__futex_wait(&ticket->state, STATE_WAITED_FOR, until_us)) {
            return atomic_load(&ticket->state) == STATE_KNOWN;
        }
        state = atomic_load(&ticket->state);
    }
    return true;
}

trail_status trail_ticket_wait(trail_ticket *ticket, int timeout_ms,
                               trail_receipt *receipts_out, trail_error *err)
{
    int64_t until_us = TRAIL__FUTEX_FOREVER;
    const trail__batch *batch = &ticket->batch;

    if (is_forked(ticket)) {
        return trail__error(err, TRAIL_FORKED,
                            "these events were submitted before fork(), by the parent");
    }
    if (timeout_ms >= 0) {
        until_us = trail__clock_steady_us() + (int64_t)timeout_ms * 1000;
    }
    if (timeout_ms == 0 ? !trail_ticket_done(ticket) : !wait_until(ticket, until_us)) {
        return trail__error(err, TRAIL_BUSY, "the outcome is not known yet");
    }
    atomic_store(&ticket->told, true);
    if (batch->status != TRAIL_OK) {
        if (err != NULL) {
            *err = batch->error;
        }
        return batch->status;
    }
    for (size_t i = 0; receipts_out != NULL && i < batch->count; i++) {
        receipts_out[i] = ticket->receipts[i];
    }
    return TRAIL_OK;
}

void trail_ticket_close(trail_ticket *ticket)
{
    if (ticket != NULL) {
        trail__ticket_release(ticket);
    }
}

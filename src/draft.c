/* draft.c - events made ready for the log before any lock is taken.
 * Level 3: may include levels 0-2.
 * SPDX-License-Identifier: MIT
 */
#include "draft.h"

#include "error.h"
#include "fault.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

enum {
    RANDOM_PER_EVENT = 2 * TRAIL__SALT_LEN + 8,
    ENTRY_LEN_ABOUT = 220 /* what an entry takes besides its texts */
};
static const size_t batch_len_max = (size_t)256 << 20;

bool trail__event_same(const trail_event *event, const trail_event *stored)
{
    return (event->timestamp_us == TRAIL_TIME_NONE ||
            event->timestamp_us == stored->timestamp_us) &&
           trail__text_equal(event->event_type, stored->event_type) &&
           trail__text_equal(event->user_id, stored->user_id) &&
           trail__text_equal(event->action, stored->action) &&
           trail__text_equal(event->resource_type, stored->resource_type) &&
           trail__text_equal(event->resource_id, stored->resource_id) &&
           trail__text_equal(event->result, stored->result) &&
           trail__text_equal(event->result_error, stored->result_error) &&
           trail__text_equal(event->details, stored->details) &&
           trail__text_equal(event->ip_address, stored->ip_address) &&
           trail__text_equal(event->user_agent, stored->user_agent) &&
           trail__text_equal(event->request_id, stored->request_id);
}

static void prefix_event(trail_error *err, size_t index, size_t count)
{
    if (count > 1) {
        trail__error_prefix(err, "event %zu: ", index + 1);
    }
}

static trail_status check_events(const trail_event *events, size_t count,
                                 trail__door door, size_t *parts_len_out, size_t *len_out,
                                 trail_error *err)
{
    size_t parts_len = 0;
    size_t len = 0;

    for (size_t i = 0; i < count; i++) {
        const trail_event *event = &events[i];
        trail_status status = trail__door_check(event, door, err);

        if (status != TRAIL_OK) {
            prefix_event(err, i, count);
            return status;
        }
        parts_len += trail__parts_len(event);
        len += ENTRY_LEN_ABOUT + event->event_type.len + event->action.len +
               event->resource_type.len + event->resource_id.len + event->request_id.len;
        if (parts_len + len > batch_len_max) {
            return trail__error(err, TRAIL_INVALID,
                                "the events of one batch take more than %zu bytes",
                                batch_len_max);
        }
    }
    *parts_len_out = parts_len;
    *len_out = parts_len + len;
    return TRAIL_OK;
}

static int compare_ids(const void *a, const void *b)
{
    const trail__draft *first = *(trail__draft *const *)a;
    const trail__draft *second = *(trail__draft *const *)b;
    int order = memcmp(first->event->id, second->event->id, TRAIL_ID_LEN);

    if (order != 0) {
        return order;
    }
    return first < second ? -1 : first > second;
}

/* Mark every event whose id stands on an earlier one of the batch; other content is an error. */
static trail_status find_twins(trail__batch *batch, trail_error *err)
{
    trail__draft **sorted = trail__alloc(batch->count * sizeof(trail__draft *));
    trail_status status = TRAIL_OK;
    trail__draft *first = NULL;
    size_t count = 0;

    if (sorted == NULL) {
        return trail__error(err, TRAIL_NO_MEMORY, "no memory for %zu events",
                            batch->count);
    }
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->drafts[i].event->id != NULL) {
            sorted[count++] = &batch->drafts[i];
        }
    }
    qsort(sorted, count, sizeof sorted[0], compare_ids);
    for (size_t i = 0; i < count && status == TRAIL_OK; i++) {
        if (first == NULL ||
            memcmp(first->event->id, sorted[i]->event->id, TRAIL_ID_LEN) != 0) {
            first = sorted[i];
            continue;
        }
        sorted[i]->twin = (size_t)(first - batch->drafts) + 1;
        if (!trail__event_same(sorted[i]->event, first->event)) {
            status =
                trail__error(err, TRAIL_EXISTS,
                             "event %zu: its id stands on event %zu with other content",
                             (size_t)(sorted[i] - batch->drafts) + 1, sorted[i]->twin);
        }
    }
    trail__free(sorted);
    return status;
}

/* Lay out memory: drafts, random bytes, parts. */
static trail_status make_room(trail__batch *batch, size_t parts_len, uint8_t **random_out,
                              uint8_t **parts_out, trail_error *err)
{
    size_t drafts_len = batch->count * sizeof *batch->drafts;
    size_t random_len = batch->count * RANDOM_PER_EVENT;

    batch->memory_len = drafts_len + random_len + parts_len;
    batch->memory = trail__alloc(batch->memory_len);
    if (batch->memory == NULL) {
        return trail__error(err, TRAIL_NO_MEMORY, "no memory for %zu events",
                            batch->count);
    }
    memset(batch->memory, 0, drafts_len);
    batch->drafts = (trail__draft *)(void *)batch->memory;
    *random_out = batch->memory + drafts_len;
    *parts_out = *random_out + random_len;
    return trail__random(*random_out, random_len, err);
}

static trail_status encode(trail__batch *batch, const trail_event *events,
                           uint8_t *random, uint8_t *parts, trail_error *err)
{
    trail__hasher hasher;
    trail_status status = trail__hasher_init(&hasher, err);

    for (size_t i = 0; i < batch->count && status == TRAIL_OK; i++) {
        trail__draft *draft = &batch->drafts[i];

        draft->event = &events[i];
        draft->random = random + 2 * TRAIL__SALT_LEN;
        batch->has_ids = batch->has_ids || events[i].id != NULL;
        if (!trail__parts_encode(&hasher, &events[i], random, parts, &draft->parts)) {
            status = trail__hash_failed(err);
        }
        random += RANDOM_PER_EVENT;
        parts += draft->parts.who_len + draft->parts.details_len;
    }
    trail__hasher_release(&hasher);
    return status;
}

trail_status trail__batch_init(trail__batch *batch, const trail_event *events,
                               size_t count, trail__door door, trail_error *err)
{
    trail_status status;
    size_t parts_len = 0;
    uint8_t *random = NULL;
    uint8_t *parts = NULL;

    memset(batch, 0, sizeof *batch);
    if (count == 0 || count > TRAIL_BATCH_COUNT_MAX) {
        return trail__error(err, TRAIL_INVALID, "a batch of %zu events: must be 1 to %d",
                            count, TRAIL_BATCH_COUNT_MAX);
    }
    batch->count = count;
    status = check_events(events, count, door, &parts_len, &batch->len, err);
    if (status == TRAIL_OK) {
        status = make_room(batch, parts_len, &random, &parts, err);
    }
    if (status == TRAIL_OK) {
        status = encode(batch, events, random, parts, err);
    }
    if (status == TRAIL_OK && batch->has_ids && count > 1) {
        status = find_twins(batch, err);
    }
    if (status != TRAIL_OK) {
        trail__batch_release(batch);
    }
    return status;
}

void trail__batch_release(trail__batch *batch)
{
    trail__free(batch->memory);
    batch->memory = NULL;
    batch->drafts = NULL;
}

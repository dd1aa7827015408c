/* draft.h - events made ready for the log before any lock is taken.
 * Level 3: may include levels 0-2.
 * SPDX-License-Identifier: MIT
 *
 * All that is slow happens here: checking, encoding and hashing the parts, random bytes, and
 * finding one id twice in a batch. What is left for the write transaction is the place in the
 * chain.
 */
#ifndef TRAIL_DRAFT_H
#define TRAIL_DRAFT_H

#include "door.h"
#include "entry.h"
#include "trail.h"

#include <stdatomic.h>

typedef struct trail__draft {
    const trail_event *event; /* the caller's; must live until the batch is over */
    trail__parts parts;
    const uint8_t *random; /* 8 bytes, for an id made by the engine */
    size_t twin; /* 1 + index of an earlier event of the batch with this id; else 0 */
    trail_receipt receipt;
} trail__draft;

/* The events of one append. */
typedef struct trail__batch {
    trail__draft *drafts;
    size_t count;
    size_t len; /* bytes that storing them takes, about */
    uint8_t *memory;
    size_t memory_len;
    bool has_ids; /* some event brought an id of its own */

    /* For group commit. */
    struct trail__batch *next;
    bool ends_call; /* the last one of its caller's */
    atomic_bool over;
    trail_status status;
    trail_error error;
} trail__batch;

/* Check and prepare 'count' events. On failure the message begins with "event K: " if there
 * are several, and nothing is left to release. */
trail_status trail__batch_init(trail__batch *batch, const trail_event *events,
                               size_t count, trail__door door, trail_error *err);
void trail__batch_release(trail__batch *batch);

/* Does the event say the same as what is stored? A time that was not given is not compared. */
bool trail__event_same(const trail_event *event, const trail_event *stored);

#endif

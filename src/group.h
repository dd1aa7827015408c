/* group.h - threads of one process that append at the same time share a commit.
 * Level 7: may include levels 0-6.
 * SPDX-License-Identifier: MIT
 *
 * Whoever comes first leads the round: as soon as the round before is over he takes all batches
 * that wait, commits them in one transaction, and tells the others, who sleep. Those who come
 * meanwhile make the next round.
 */
#ifndef TRAIL_GROUP_H
#define TRAIL_GROUP_H

#include "log.h"

#include <stdatomic.h>

typedef struct trail__group {
    /* The batch that came last, linked to those before it; its lowest bit is that of the round,
     * which is odd or even. No batch: the next one to come leads. */
    _Atomic(uintptr_t) newest;
    atomic_uint over[2]; /* counts the commits of even and of odd rounds; futex */
    atomic_uint writing; /* is a leader at work, and does the next one sleep; futex */
    atomic_uint arrived; /* callers so far */

    /* Of the leader at work. */
    unsigned taken;   /* callers so far */
    unsigned company; /* callers of the round before */
} trail__group;

void trail__group_init(trail__group *group);

/* Append a list of batches, oldest first. Returns when each of them is durable or refused; the
 * outcome is in the batch. Their links are of no use then. */
void trail__group_append(trail__group *group, trail__log *log, trail__batch *batches);

#endif

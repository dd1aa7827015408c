/* group.h - threads of one process that append at the same time share a commit.
 * Level 7: may include levels 0-6.
 * SPDX-License-Identifier: MIT
 *
 * Whoever comes while nobody writes becomes the leader: he takes all batches that wait, commits
 * them in one transaction, and tells the others. Those who come meanwhile wait for the next
 * round.
 */
#ifndef TRAIL_GROUP_H
#define TRAIL_GROUP_H

#include "log.h"

#include <pthread.h>

typedef struct trail__group {
    pthread_mutex_t lock;
    pthread_cond_t round_over;
    trail__batch *first; /* batches that wait, oldest first */
    trail__batch *last;
    bool writing; /* a leader is at work */
} trail__group;

trail_status trail__group_init(trail__group *group, trail_error *err);
void trail__group_destroy(trail__group *group); /* nobody may be waiting */

/* Returns when the batch is durable or refused; the outcome is in the batch. */
void trail__group_append(trail__group *group, trail__log *log, trail__batch *batch);

#endif

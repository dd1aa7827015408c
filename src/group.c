/* group.c - threads of one process that append at the same time share a commit.
 * Level 7: may include levels 0-6.
 * SPDX-License-Identifier: MIT
 */
#include "group.h"

#include "error.h"

/* How much one transaction may take; a single batch may be larger. */
static const size_t round_len_max = (size_t)64 << 20;

trail_status trail__group_init(trail__group *group, trail_error *err)
{
    group->first = NULL;
    group->last = NULL;
    group->writing = false;
    if (pthread_mutex_init(&group->lock, NULL) != 0) {
        return trail__error(err, TRAIL_NO_MEMORY, "no memory for a lock");
    }
    if (pthread_cond_init(&group->round_over, NULL) != 0) {
        (void)pthread_mutex_destroy(&group->lock);
        return trail__error(err, TRAIL_NO_MEMORY, "no memory for a lock");
    }
    return TRAIL_OK;
}

void trail__group_destroy(trail__group *group)
{
    (void)pthread_cond_destroy(&group->round_over);
    (void)pthread_mutex_destroy(&group->lock);
}

/* The oldest batches, as many as one transaction should take; at least one. */
static trail__batch *take_round(trail__group *group)
{
    trail__batch *round = group->first;
    trail__batch *end = round;
    size_t len = round->len;

    while (end->next != NULL && len + end->next->len <= round_len_max) {
        end = end->next;
        len += end->len;
    }
    group->first = end->next;
    if (group->first == NULL) {
        group->last = NULL;
    }
    end->next = NULL;
    return round;
}

void trail__group_append(trail__group *group, trail__log *log, trail__batch *batch)
{
    batch->next = NULL;
    batch->over = false;
    (void)pthread_mutex_lock(&group->lock);
    if (group->last != NULL) {
        group->last->next = batch;
    } else {
        group->first = batch;
    }
    group->last = batch;

    while (!batch->over) {
        trail__batch *round;

        if (group->writing) {
            (void)pthread_cond_wait(&group->round_over, &group->lock);
            continue;
        }
        group->writing = true;
        round = take_round(group);
        (void)pthread_mutex_unlock(&group->lock);
        trail__log_append(log, round);
        (void)pthread_mutex_lock(&group->lock);
        for (; round != NULL; round = round->next) {
            round->over = true;
        }
        group->writing = false;
        (void)pthread_cond_broadcast(&group->round_over);
    }
    (void)pthread_mutex_unlock(&group->lock);
}

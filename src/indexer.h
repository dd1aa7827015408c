/* indexer.h - who brings the index up to what this process appends.
 * Level 7: may include levels 0-6.
 * SPDX-License-Identifier: MIT
 *
 * A thread, started when there is something to do for the first time; or the appending call
 * itself; or nobody. Of all processes one builds at a time: whoever has the gate of the index.
 */
#ifndef TRAIL_INDEXER_H
#define TRAIL_INDEXER_H

#include "build.h"

#include <stdatomic.h>

typedef struct trail__indexer {
    trail__index *index;
    trail_indexing indexing;
    pthread_mutex_t lock; /* of what follows, but the atomics */
    pthread_cond_t wake;
    pthread_t thread;
    trail__build *build; /* inline: made by the first append that has work */
    bool stop;
    atomic_bool running;
    atomic_bool asleep;
    atomic_uint_fast64_t head;     /* the last seq appended here */
    atomic_uint_fast64_t done;     /* the index has come at least so far */
    atomic_uint_fast64_t appended; /* events, by this process */
} trail__indexer;

trail_status trail__indexer_init(trail__indexer *indexer, trail__index *index,
                                 trail_indexing indexing, trail_error *err);

/* Waits for the step under way. */
void trail__indexer_release(trail__indexer *indexer);

/* 'count' events were appended, the last one at 'seq'. */
void trail__indexer_poke(trail__indexer *indexer, uint64_t seq, size_t count);

#endif

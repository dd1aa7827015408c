/* store.h - one open log for each file and process, shared by all handles on it.
 * Level 8: may include levels 0-7.
 * SPDX-License-Identifier: MIT
 *
 * LMDB must not open a file twice in one process: the second close would take the first one's
 * locks away. So stores are kept in a registry by (device, inode) and counted. A store belongs
 * to the process that opened it; after fork() the child starts with an empty registry.
 */
#ifndef TRAIL_STORE_H
#define TRAIL_STORE_H

#include "index.h"
#include "log.h"
#include "queue.h"

typedef struct trail__store trail__store;

/* The store for the trail at 'path', opened if it is not open yet. */
trail_status trail__store_open(trail__store **store_out, const char *path,
                               const trail_options *options, trail_error *err);
void trail__store_close(trail__store *store);

trail__log *trail__store_log(trail__store *store);
trail__index *trail__store_index(trail__store *store);
trail__queue *trail__store_queue(trail__store *store);

/* Was the store opened by a parent of this process? Then nothing in it may be touched. */
bool trail__store_forked(const trail__store *store);

/* Append with the other threads; the outcome is in the batch. */
void trail__store_append(trail__store *store, trail__batch *batch);

/* As trail__queue_put. What waits when the process ends by exit() is still written. */
trail_status trail__store_submit(trail__store *store, trail_ticket *ticket,
                                 trail_queue_policy policy, unsigned wait_ms,
                                 trail_error *err);

#endif

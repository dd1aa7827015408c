/* kv_env.h - the open environment, shared by the files that know LMDB: kv.c, kv_open.c, kv_map.c.
 * Level 3: may include levels 0-1, kv, gate.
 * SPDX-License-Identifier: MIT
 */
#ifndef TRAIL_KV_ENV_H
#define TRAIL_KV_ENV_H

#include "gate.h"
#include "kv.h"

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>

enum { TRAIL__KV_READERS_MAX = 4096, TRAIL__KV_PATH_LEN_MAX = 4096 };

struct trail__kv {
    MDB_env *env;
    MDB_dbi tables[TRAIL__KV_TABLES];
    trail__gate *gate; /* NULL while creating, or if it could not be opened: */
    trail_error gate_error;
    bool gateless; /* the file is not known to anybody else yet, or needs no gate */
    trail__kv_file file;
    /* Read side: held by every transaction. Write side: held while the map changes. */
    pthread_rwlock_t map_lock;
    uint64_t size_max;
    unsigned busy_ms;
    unsigned commits; /* since the last look for dead readers; under LMDB's writer lock */
    atomic_bool broken; /* a write failed half-way: the state on disk is unknown */
    bool quiet_abort;
    char path[TRAIL__KV_PATH_LEN_MAX];
};

/* LMDB's codes in our words and statuses. 'doing' goes into the message. */
trail_status trail__kv_error(const trail__kv *kv, int rc, const char *doing,
                             trail_error *err);

/* Bytes to map when the file is opened: what was asked for, or what the process may have. */
uint64_t trail__kv_map_first(const trail__kv_options *options);
extern const uint64_t trail__kv_map_size_min;

/* Another process has made the file longer than our mapping: map that too. The old mapping stays
 * if the process may not have more address space (TRAIL_NO_MEMORY). */
trail_status trail__kv_map_follow(trail__kv *kv, trail_error *err);

/* Opened for reading only: by permission, or because it was asked for. */
bool trail__kv_env_read_only(const trail__kv *kv);

const char *trail__kv_table_name(const trail__kv *kv, int table);

#endif

/* kv_open.c - open and close the environment: files, address space, permissions.
 * Level 3: may include levels 0-1, kv, kv_env, kv_file, gate; includes <lmdb.h>.
 * SPDX-License-Identifier: MIT
 */
#include "kv_env.h"

#include "error.h"
#include "fault.h"
#include "kv_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { FILE_MODE = 0640 };
static const char *const file_names[] = { "log.mdb", "index.mdb" };
static const char *const table_names[][TRAIL__KV_TABLES] = {
    { "entries", "ids", "meta" }, { "blocks", "segments", "state" }
};

const char *trail__kv_table_name(const trail__kv *kv, int table)
{
    return table_names[kv->file][table];
}

trail_status trail__kv_error(const trail__kv *kv, int rc, const char *doing,
                             trail_error *err)
{
    switch (rc) {
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_INCOMPATIBLE:
    case MDB_BAD_TXN:
    case MDB_CURSOR_FULL: /* the tree leads back into itself */
    case MDB_PAGE_FULL:
        return trail__error(err, TRAIL_CORRUPT, "%s: %s: the file is damaged", kv->path,
                            doing);
    case MDB_VERSION_MISMATCH:
        return trail__error(err, TRAIL_CORRUPT, "%s: %s: not a file of LMDB 0.9",
                            kv->path, doing);
    case MDB_MAP_FULL:
        return trail__error(err, TRAIL_FULL,
                            "%s: %s: the reserved address space is used up", kv->path,
                            doing);
    case MDB_MAP_RESIZED:
        return trail__error(err, TRAIL_BUSY,
                            "%s: %s: others make the file longer faster than it can be "
                            "mapped",
                            kv->path, doing);
    case MDB_READERS_FULL:
        return trail__error(err, TRAIL_BUSY, "%s: %s: all %d reader slots are taken",
                            kv->path, doing, TRAIL__KV_READERS_MAX);
    case MDB_TXN_FULL:
        return trail__error(err, TRAIL_FULL, "%s: %s: too much for one transaction",
                            kv->path, doing);
    case MDB_PANIC:
        return trail__error(err, TRAIL_IO,
                            "%s: %s: an earlier write failed; open the trail anew",
                            kv->path, doing);
    case EAGAIN:
        return trail__error(
            err, TRAIL_BUSY,
            "%s: %s: another PID namespace has a process of our number; processes "
            "that share a trail must share a PID namespace",
            kv->path, doing);
    default:
        break;
    }
    if (rc < 0) {
        return trail__error(err, TRAIL_IO, "%s: %s: %s", kv->path, doing,
                            mdb_strerror(rc));
    }
    return trail__error_errno(err, rc, "%s: %s", kv->path, doing);
}

static void before_abort(MDB_env *env, const char *message)
{
    const trail__kv *kv = mdb_env_get_userctx(env);

    (void)message;
    if (kv != NULL && kv->quiet_abort) {
        abort();
    }
}

static int make_env(trail__kv *kv, uint64_t map_size, unsigned flags)
{
    bool held[3];
    int rc = trail__fault("kv/env") ? ENOMEM : mdb_env_create(&kv->env);

    if (rc != 0) {
        kv->env = NULL;
        return rc;
    }
    (void)mdb_env_set_userctx(kv->env, kv);
    (void)mdb_env_set_assert(kv->env, before_abort);
    if ((rc = mdb_env_set_maxreaders(kv->env, TRAIL__KV_READERS_MAX)) == 0 &&
        (rc = mdb_env_set_maxdbs(kv->env, TRAIL__KV_TABLES)) == 0 &&
        (rc = mdb_env_set_mapsize(kv->env, (size_t)map_size)) == 0) {
        trail__kv_file_hold_streams(held);
        rc = mdb_env_open(kv->env, kv->path, MDB_NOSUBDIR | MDB_NOTLS | flags, FILE_MODE);
        trail__kv_file_release_streams(held);
    }
    if (rc != 0) {
        mdb_env_close(kv->env);
        kv->env = NULL;
    }
    return rc;
}

/* Reserve as much as asked for, or what the process may have; read only if it must be. */
static trail_status open_env(trail__kv *kv, const trail__kv_options *options,
                             trail_error *err)
{
    uint64_t map_size = trail__kv_map_first(options);
    unsigned flags = options->read_only ? MDB_RDONLY : 0;
    int rc = make_env(kv, map_size, flags);

    while ((rc == ENOMEM || rc == EINVAL) && map_size / 2 >= trail__kv_map_size_min &&
           !trail__fault("kv/env")) {
        map_size /= 2;
        map_size -= map_size % (uint64_t)sysconf(_SC_PAGESIZE);
        rc = make_env(kv, map_size, flags);
    }
    if ((rc == EACCES || rc == EROFS) && flags == 0 && !options->create) {
        rc = make_env(kv, map_size, MDB_RDONLY);
    }
    if (rc == EACCES) {
        return trail__error(
            err, TRAIL_DENIED,
            "%s: no permission (readers too must be able to write %s-lock)", kv->path,
            kv->path);
    }
    return rc == 0 ? TRAIL_OK : trail__kv_error(kv, rc, "open", err);
}

bool trail__kv_env_read_only(const trail__kv *kv)
{
    unsigned flags = 0;

    (void)mdb_env_get_flags(kv->env, &flags);
    return (flags & MDB_RDONLY) != 0;
}

/* Between opening and here another process may have made the file longer. */
static trail_status begin_first(trail__kv *kv, bool create, MDB_txn **txn_out,
                                int *rc_out, trail_error *err)
{
    unsigned flags = create ? 0 : MDB_RDONLY;
    trail_status status = TRAIL_OK;

    *rc_out = mdb_txn_begin(kv->env, NULL, flags, txn_out);
    if (*rc_out == MDB_READERS_FULL && mdb_reader_check(kv->env, NULL) == 0) {
        *rc_out = mdb_txn_begin(kv->env, NULL, flags, txn_out);
    }
    for (int attempt = 0; *rc_out == MDB_MAP_RESIZED && attempt < 8; attempt++) {
        status = trail__kv_map_follow(kv, err);
        if (status != TRAIL_OK) {
            break;
        }
        *rc_out = mdb_txn_begin(kv->env, NULL, flags, txn_out);
    }
    return status;
}

static trail_status open_tables(trail__kv *kv, bool create, trail_error *err)
{
    MDB_txn *txn;
    int rc;
    trail_status status = begin_first(kv, create, &txn, &rc, err);

    if (status != TRAIL_OK) {
        return status;
    }
    if (rc != 0) {
        return trail__kv_error(kv, rc, "open", err);
    }
    for (int i = 0; i < TRAIL__KV_TABLES && rc == 0; i++) {
        rc = mdb_dbi_open(txn, trail__kv_table_name(kv, i), create ? MDB_CREATE : 0,
                          &kv->tables[i]);
    }
    if (rc != 0) {
        mdb_txn_abort(txn);
        if (rc == MDB_NOTFOUND) {
            return trail__error(err, TRAIL_CORRUPT, "%s: an LMDB file, but not a trail's",
                                kv->path);
        }
        return trail__kv_error(kv, rc, "open", err);
    }
    rc = mdb_txn_commit(txn);
    return rc == 0 ? TRAIL_OK : trail__kv_error(kv, rc, "open", err);
}

static trail_status prepare_files(const trail__kv *kv, const trail__kv_options *options,
                                  trail_error *err)
{
    char lock_path[TRAIL__KV_PATH_LEN_MAX + 8];
    trail_status status = TRAIL_OK;

    if (!options->create) {
        status = trail__kv_file_check(kv->path, err);
    }
    if (status == TRAIL_OK) {
        (void)snprintf(lock_path, sizeof lock_path, "%s-lock", kv->path);
        status = trail__kv_file_lock_reserve(lock_path, TRAIL__KV_READERS_MAX, err);
        /* On a read-only file system LMDB works without a lock file. */
        if (status == TRAIL_DENIED || status == TRAIL_NOT_FOUND) {
            status = TRAIL_OK;
        }
    }
    return status;
}

static trail_status open_gate(trail__kv *kv, trail_error *err)
{
    char gate_path[TRAIL__KV_PATH_LEN_MAX + 8];

    (void)snprintf(gate_path, sizeof gate_path, "%s-gate", kv->path);
    return trail__gate_open(&kv->gate, gate_path, err);
}

static trail_status open_all(trail__kv *kv, const trail__kv_options *options,
                             trail_error *err)
{
    trail_status status = prepare_files(kv, options, err);
    mdb_filehandle_t fd;
    int dead;

    if (status == TRAIL_OK) {
        status = open_env(kv, options, err);
    }
    if (status != TRAIL_OK) {
        return status;
    }
    if (mdb_env_get_fd(kv->env, &fd) == 0) {
        trail__kv_file_close_on_exec(fd);
    }
    kv->gateless = options->create || options->no_gate;
    if (!trail__kv_env_read_only(kv) && !kv->gateless) {
        /* Without it: enough for reading. Only memory may be back in a moment, when the trail
         * must be as good as any: so that is no reason to go on without it. */
        if (open_gate(kv, &kv->gate_error) == TRAIL_NO_MEMORY) {
            status = trail__error(err, TRAIL_NO_MEMORY, "%s", kv->gate_error.text);
        }
    }
    if (status == TRAIL_OK) {
        status = open_tables(kv, options->create, err);
    }
    if (status == TRAIL_OK) {
        (void)mdb_reader_check(kv->env, &dead); /* readers that died pin old pages */
    }
    return status;
}

static int init_map_lock(pthread_rwlock_t *lock)
{
    pthread_rwlockattr_t attr;
    int failed = pthread_rwlockattr_init(&attr);

    if (failed == 0) {
        /* Growing must get its turn although readers come and go. */
        (void)pthread_rwlockattr_setkind_np(&attr,
                                            PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
        failed = pthread_rwlock_init(lock, &attr);
        (void)pthread_rwlockattr_destroy(&attr);
    }
    return failed;
}

trail_status trail__kv_open(trail__kv **kv_out, const char *dir,
                            const trail__kv_options *options, trail_error *err)
{
    trail__kv *kv = trail__alloc_zero(sizeof *kv);
    trail_status status;
    sigset_t old;

    *kv_out = NULL;
    if (kv == NULL || init_map_lock(&kv->map_lock) != 0) {
        trail__free(kv);
        return trail__error(err, TRAIL_NO_MEMORY, "no memory to open %s", dir);
    }
    kv->file = options->file;
    kv->size_max = options->size_max;
    kv->busy_ms = options->busy_ms;
    kv->quiet_abort = options->quiet_abort;
    if (snprintf(kv->path, sizeof kv->path, "%s/%s", dir, file_names[kv->file]) >=
        (int)sizeof kv->path) {
        status = trail__error(err, TRAIL_INVALID, "the path is longer than %d bytes",
                              TRAIL__KV_PATH_LEN_MAX - 12);
    } else {
        trail__kv_file_hold_size_signal(&old);
        status = open_all(kv, options, err);
        trail__kv_file_release_size_signal(&old);
    }
    if (status != TRAIL_OK) {
        trail__kv_close(kv);
        return status;
    }
    *kv_out = kv;
    return TRAIL_OK;
}

void trail__kv_close(trail__kv *kv)
{
    if (kv == NULL) {
        return;
    }
    if (kv->env != NULL) {
        mdb_env_close(kv->env);
    }
    trail__gate_close(kv->gate);
    (void)pthread_rwlock_destroy(&kv->map_lock);
    trail__free(kv);
}

uint64_t trail__kv_size_max(const trail__kv *kv)
{
    return kv->size_max;
}

/* kv.c - transactions, gets, puts and cursors on the tables.
 * Level 3: may include levels 0-1, kv_env, kv_file, gate; includes <lmdb.h>.
 * SPDX-License-Identifier: MIT
 */
#include "kv_env.h"

#include "error.h"
#include "fault.h"
#include "kv_file.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READER_CHECK_EVERY = 1000 /* commits between two looks for readers that died */ };

static MDB_val val_of(trail_text text)
{
    MDB_val val = { .mv_size = text.len, .mv_data = (void *)(uintptr_t)text.data };
    return val;
}

static trail_text text_of(MDB_val val)
{
    trail_text text = { .data = val.mv_data, .len = val.mv_size };
    return text;
}

bool trail__kv_is_broken(const trail__kv *kv)
{
    return atomic_load(&kv->broken);
}

static trail_status check_broken(const trail__kv *kv, trail_error *err)
{
    if (atomic_load(&kv->broken)) {
        return trail__error(
            err, TRAIL_IO,
            "%s: an earlier write failed half-way; close every handle of this "
            "process on the trail and open it anew",
            kv->path);
    }
    return TRAIL_OK;
}

/* ---- transactions ----------------------------------------------------------------- */

static trail_status begin(trail__kv *kv, unsigned flags, trail__kv_txn *txn_out,
                          trail_error *err)
{
    MDB_txn *txn = NULL;
    int rc = 0;

    for (int attempt = 0; attempt < 8; attempt++) {
        trail_status status;

        (void)pthread_rwlock_rdlock(&kv->map_lock);
        status = check_broken(kv, err);
        if (status != TRAIL_OK) {
            (void)pthread_rwlock_unlock(&kv->map_lock);
            return status;
        }
        rc =
            trail__fault("kv/begin") ? ENOMEM : mdb_txn_begin(kv->env, NULL, flags, &txn);
        if (rc == 0) {
            txn_out->kv = kv;
            txn_out->handle = txn;
            txn_out->writes = flags == 0;
            txn_out->map_full = false;
            return TRAIL_OK; /* the map lock stays held until the transaction ends */
        }
        (void)pthread_rwlock_unlock(&kv->map_lock);
        if (rc == MDB_MAP_RESIZED) { /* another process has made the file longer */
            status = trail__kv_map_follow(kv, err);
            if (status != TRAIL_OK) {
                return status;
            }
            continue;
        }
        if (rc == MDB_READERS_FULL) {
            int dead = 0;

            (void)mdb_reader_check(kv->env, &dead);
            if (dead > 0) {
                continue;
            }
        }
        break;
    }
    return trail__kv_error(kv, rc, "begin a transaction", err);
}

trail_status trail__kv_begin_read(trail__kv *kv, trail__kv_txn *txn_out, trail_error *err)
{
    memset(txn_out, 0, sizeof *txn_out);
    return begin(kv, MDB_RDONLY, txn_out, err);
}

trail_status trail__kv_begin_write(trail__kv *kv, trail__kv_txn *txn_out,
                                   trail_error *err)
{
    trail_status status;

    memset(txn_out, 0, sizeof *txn_out);
    if (trail__kv_env_read_only(kv)) {
        return trail__error(err, TRAIL_DENIED, "%s: no permission to write", kv->path);
    }
    if (kv->gate == NULL && !kv->gateless) {
        return trail__error(err, kv->gate_error.status, "%s", kv->gate_error.text);
    }
    if (kv->gate != NULL) {
        status = trail__gate_enter(kv->gate, kv->busy_ms, err);
        if (status != TRAIL_OK) {
            return status;
        }
    }
    status = begin(kv, 0, txn_out, err);
    if (status != TRAIL_OK && kv->gate != NULL) {
        trail__gate_leave(kv->gate);
    }
    return status;
}

static void end(trail__kv_txn *txn)
{
    if (txn->writes && txn->kv->gate != NULL) {
        trail__gate_leave(txn->kv->gate);
    }
    (void)pthread_rwlock_unlock(&txn->kv->map_lock);
    txn->handle = NULL;
}

void trail__kv_abort(trail__kv_txn *txn)
{
    if (txn->handle != NULL) {
        trail__kv_cursor_close(&txn->appends);
        mdb_txn_abort(txn->handle);
        end(txn);
    }
}

static int commit_shielded(const trail__kv *kv, MDB_txn *txn)
{
    mdb_filehandle_t fd;
    sigset_t old;
    int rc;

    trail__kv_file_hold_size_signal(&old);
    rc = mdb_txn_commit(txn);
    trail__kv_file_release_size_signal(&old);
    if (rc == EIO && mdb_env_get_fd(kv->env, &fd) == 0) {
        rc = trail__kv_file_why_short(fd);
    }
    return rc;
}

/* Only a failure while the meta page was written leaves it open what is on disk; LMDB then
 * refuses every further transaction. */
static trail_status commit_error(trail__kv *kv, int failed, trail_error *err)
{
    MDB_txn *probe = NULL;
    int rc = mdb_txn_begin(kv->env, NULL, MDB_RDONLY, &probe);
    trail_status status = trail__kv_error(kv, failed, "commit", err);

    if (rc == MDB_PANIC) {
        atomic_store(&kv->broken, true);
        status = TRAIL_IO;
        if (err != NULL) {
            err->status = status;
        }
        trail__error_prefix(err,
                            "whether the events were stored is unknown, open the trail "
                            "anew and look: ");
    } else if (rc == 0) {
        mdb_txn_abort(probe);
    }
    return status;
}

trail_status trail__kv_commit(trail__kv_txn *txn, trail_error *err)
{
    trail__kv *kv = txn->kv;
    trail_status status = TRAIL_OK;
    int dead;
    int rc;

    if (trail__fault("kv/commit")) {
        trail__kv_abort(txn);
        return trail__kv_error(kv, ENOSPC, "commit", err);
    }
    trail__kv_cursor_close(&txn->appends);
    rc = commit_shielded(kv, txn->handle);
    txn->map_full = rc == MDB_MAP_FULL; /* the list of free pages itself takes pages */
    if (rc != 0) {
        status = commit_error(kv, rc, err);
    } else if (++kv->commits >= READER_CHECK_EVERY) {
        kv->commits = 0;
        (void)mdb_reader_check(kv->env, &dead);
    }
    end(txn);
    return status;
}

uint64_t trail__kv_txn_number(const trail__kv_txn *txn)
{
    return mdb_txn_id(txn->handle);
}

/* ---- reading and writing ---------------------------------------------------------- */

trail_status trail__kv_get(const trail__kv_txn *txn, trail__kv_table table,
                           trail_text key, trail_text *value_out, trail_error *err)
{
    MDB_val k = val_of(key);
    MDB_val v;
    int rc = mdb_get(txn->handle, txn->kv->tables[table], &k, &v);

    if (rc == MDB_NOTFOUND) {
        return TRAIL_NOT_FOUND;
    }
    if (rc != 0) {
        return trail__kv_error(txn->kv, rc, "read", err);
    }
    *value_out = text_of(v);
    return TRAIL_OK;
}

static trail_status check_put(trail__kv_txn *txn, trail__kv_table table, int rc,
                              trail_error *err)
{
    if (rc == MDB_KEYEXIST) {
        return trail__error(err, TRAIL_CORRUPT,
                            "%s: table '%s' already holds a key that must be new",
                            txn->kv->path, trail__kv_table_name(txn->kv, table));
    }
    if (rc == MDB_MAP_FULL) {
        txn->map_full = true;
    }
    return rc == 0 ? TRAIL_OK : trail__kv_error(txn->kv, rc, "write", err);
}

static trail_status put(trail__kv_txn *txn, trail__kv_table table, trail_text key,
                        trail_text value, unsigned flags, trail_error *err)
{
    MDB_val k = val_of(key);
    MDB_val v = val_of(value);
    int rc = trail__fault("kv/put")
                 ? MDB_MAP_FULL
                 : mdb_put(txn->handle, txn->kv->tables[table], &k, &v, flags);

    return check_put(txn, table, rc, err);
}

/* Through one cursor for the whole transaction: it stays at the end, where a put of its own would
 * have to find the way each time. */
trail_status trail__kv_append(trail__kv_txn *txn, trail_text key, size_t len,
                              uint8_t **value_out, trail_error *err)
{
    MDB_val k = val_of(key);
    MDB_val v = { .mv_size = len, .mv_data = NULL };
    trail_status status = TRAIL_OK;
    int rc;

    if (txn->appends.handle == NULL) {
        status = trail__kv_cursor_open(txn, 0, &txn->appends, err);
    }
    if (status != TRAIL_OK) {
        return status;
    }
    rc = trail__fault("kv/put")
             ? MDB_MAP_FULL
             : mdb_cursor_put(txn->appends.handle, &k, &v,
                              MDB_APPEND | MDB_NOOVERWRITE | MDB_RESERVE);
    *value_out = v.mv_data;
    return check_put(txn, 0, rc, err);
}

trail_status trail__kv_put_new(trail__kv_txn *txn, trail__kv_table table, trail_text key,
                               trail_text value, trail_error *err)
{
    return put(txn, table, key, value, MDB_NOOVERWRITE, err);
}

trail_status trail__kv_replace(trail__kv_txn *txn, trail__kv_table table, trail_text key,
                               trail_text value, trail_error *err)
{
    return put(txn, table, key, value, 0, err);
}

trail_status trail__kv_count(const trail__kv_txn *txn, trail__kv_table table,
                             uint64_t *count_out, trail_error *err)
{
    MDB_stat stat;
    int rc = mdb_stat(txn->handle, txn->kv->tables[table], &stat);

    if (rc != 0) {
        return trail__kv_error(txn->kv, rc, "read", err);
    }
    *count_out = stat.ms_entries;
    return TRAIL_OK;
}

trail_status trail__kv_cursor_open(const trail__kv_txn *txn, trail__kv_table table,
                                   trail__kv_cursor *cursor_out, trail_error *err)
{
    MDB_cursor *cursor = NULL;
    int rc = trail__fault("kv/cursor")
                 ? ENOMEM
                 : mdb_cursor_open(txn->handle, txn->kv->tables[table], &cursor);

    cursor_out->handle = rc == 0 ? cursor : NULL;
    return rc == 0 ? TRAIL_OK : trail__kv_error(txn->kv, rc, "read", err);
}

void trail__kv_cursor_close(trail__kv_cursor *cursor)
{
    if (cursor->handle != NULL) {
        mdb_cursor_close(cursor->handle);
        cursor->handle = NULL;
    }
}

/* Ask the processor for the entry that comes next. LMDB fills a page from its end, and the next
 * page of an appended table is mostly the next of the file: a scan would otherwise wait for
 * memory at every entry, for longer than hashing it takes. Only a hint, so any address will do.
 * Inlined, because GCC drops the call of a function that only prefetches. */
static inline __attribute__((always_inline)) void prefetch_next(const void *value)
{
    enum { PAGE_LEN = 4096, REACH = 640, LINE = 64 };
    uintptr_t at = (uintptr_t)value;
    uintptr_t offset = at % PAGE_LEN;

    if (offset < REACH) {
        at += 2 * PAGE_LEN - offset;
    }
    for (uintptr_t before = LINE; before <= REACH; before += LINE) {
        __builtin_prefetch((const void *)(at - before));
    }
}

static const trail__kv *kv_of(const trail__kv_cursor *cursor)
{
    return mdb_env_get_userctx(mdb_txn_env(mdb_cursor_txn(cursor->handle)));
}

trail_status trail__kv_cursor_move(trail__kv_cursor *cursor, trail__kv_move move,
                                   trail_text *key, trail_text *value_out,
                                   trail_error *err)
{
    static const MDB_cursor_op ops[] = { MDB_FIRST, MDB_LAST, MDB_NEXT, MDB_PREV,
                                         MDB_SET_RANGE };
    MDB_val k = val_of(*key);
    MDB_val v;
    int rc = mdb_cursor_get(cursor->handle, &k, &v, ops[move]);

    if (rc == MDB_NOTFOUND) {
        return TRAIL_NOT_FOUND;
    }
    if (rc != 0) {
        return trail__kv_error(kv_of(cursor), rc, "read", err);
    }
    if (move == TRAIL__KV_NEXT) {
        prefetch_next(v.mv_data);
    }
    *key = text_of(k);
    *value_out = text_of(v);
    return TRAIL_OK;
}

trail_status trail__kv_get_info(trail__kv *kv, trail__kv_info *info_out, trail_error *err)
{
    MDB_envinfo info;
    MDB_stat tree;
    struct stat file;
    trail_status status;

    if (mdb_env_info(kv->env, &info) != 0 || mdb_env_stat(kv->env, &tree) != 0) {
        return trail__error(err, TRAIL_IO, "%s: LMDB tells nothing of itself", kv->path);
    }
    status = trail__kv_stat(kv, &file, err);
    if (status != TRAIL_OK) {
        return status;
    }
    info_out->file_len = (uint64_t)file.st_size;
    info_out->used_len = ((uint64_t)info.me_last_pgno + 1) * tree.ms_psize;
    info_out->map_size = info.me_mapsize;
    info_out->readers = info.me_numreaders;
    info_out->readers_max = info.me_maxreaders;
    return TRAIL_OK;
}

trail_status trail__kv_stat(const trail__kv *kv, struct stat *file_out, trail_error *err)
{
    mdb_filehandle_t fd;

    if (mdb_env_get_fd(kv->env, &fd) != 0 || fstat(fd, file_out) != 0) {
        return trail__error_errno(err, errno, "%s", kv->path);
    }
    return TRAIL_OK;
}

trail_status trail__kv_cursor_delete(trail__kv_cursor *cursor, trail_error *err)
{
    int rc = mdb_cursor_del(cursor->handle, 0);

    return rc == 0 ? TRAIL_OK : trail__kv_error(kv_of(cursor), rc, "delete", err);
}

trail_status trail__kv_clear(trail__kv_txn *txn, trail__kv_table table, trail_error *err)
{
    int rc = mdb_drop(txn->handle, txn->kv->tables[table], 0);

    return rc == 0 ? TRAIL_OK : trail__kv_error(txn->kv, rc, "empty", err);
}

trail_status trail__kv_delete(trail__kv_txn *txn, trail__kv_table table, trail_text key,
                              trail_error *err)
{
    MDB_val k = val_of(key);
    int rc = mdb_del(txn->handle, txn->kv->tables[table], &k, NULL);

    return rc == 0 ? TRAIL_OK : trail__kv_error(txn->kv, rc, "delete", err);
}

/* index_file.c - find, open, make and replace index.mdb while other processes use it.
 * Level 5: may include levels 0-4, index.
 * SPDX-License-Identifier: MIT
 */
#include "index_file.h"

#include "error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    FILE_PATH_MAX = TRAIL__INDEX_DIR_MAX + 32,
    VERSION = 1,
    OPEN_ATTEMPTS = 8,
    IDENTITY_LEN_MAX = 64 + 17 * 256
};
static const trail_text identity_key = { "index", 5 };

typedef struct pair {
    struct stat data;
    struct stat lock;
} pair;

static void path_of(const trail__index *index, const char *end, char path[FILE_PATH_MAX])
{
    (void)snprintf(path, FILE_PATH_MAX, "%s/index.mdb%s", index->dir, end);
}

static bool look(const trail__index *index, pair *files)
{
    char path[FILE_PATH_MAX];

    memset(files, 0, sizeof *files);
    path_of(index, "-lock", path);
    (void)stat(path, &files->lock);
    path_of(index, "", path);
    return stat(path, &files->data) == 0;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

bool trail__index_file_is_current(const trail__index *index)
{
    struct stat ours;
    pair files;

    if (index->kv == NULL || trail__kv_is_broken(index->kv)) {
        return false;
    }
    return look(index, &files) && trail__kv_stat(index->kv, &ours, NULL) == TRAIL_OK &&
           is_same(&ours, &files.data);
}

/* ---- what it was made for --------------------------------------------------------- */

static trail_text write_identity(const trail__index *index, uint8_t *bytes)
{
    trail__writer w = { .at = bytes, .end = bytes + IDENTITY_LEN_MAX };

    trail__write_uint(&w, VERSION);
    trail__write_bytes(&w, index->log->identity.log_id, TRAIL_ID_LEN);
    trail__write_uint(&w, index->shape.unit);
    trail__write_uint(&w, index->shape.fan);
    trail__write_uint(&w, index->shape.levels);
    trail__write_array(&w, index->paths.count);
    for (size_t i = 0; i < index->paths.count; i++) {
        trail__write_text(&w, index->paths.path[i]);
    }
    return (trail_text){ (const char *)bytes, (size_t)(w.at - bytes) };
}

static trail_status check_identity(const trail__index *index, trail__kv *kv,
                                   trail_error *err)
{
    uint8_t bytes[IDENTITY_LEN_MAX];
    trail_text expected = write_identity(index, bytes);
    trail_text found = { NULL, 0 };
    trail__kv_txn txn;
    trail_status status = trail__kv_begin_read(kv, &txn, err);

    if (status != TRAIL_OK) {
        return status;
    }
    status = trail__kv_get(&txn, TRAIL__KV_STATE, identity_key, &found, err);
    if (status == TRAIL_NOT_FOUND ||
        (status == TRAIL_OK && (found.len != expected.len ||
                                memcmp(found.data, expected.data, found.len) != 0))) {
        status = trail__error(err, TRAIL_CORRUPT,
                              "%s/index.mdb was not made for this trail, or by another "
                              "version; trail reindex makes it anew",
                              index->dir);
    }
    trail__kv_abort(&txn);
    return status;
}

/* ---- open ------------------------------------------------------------------------- */

static trail_status open_there(trail__index *index, trail_error *err)
{
    for (int i = 0; i < OPEN_ATTEMPTS; i++) {
        trail__kv_options options = index->options;
        struct stat opened;
        pair before;
        pair after;
        trail_status status;

        if (!look(index, &before)) {
            return trail__error(err, TRAIL_NOT_FOUND, "there is no index yet");
        }
        status = trail__kv_open(&index->kv, index->dir, &options, err);
        if (status != TRAIL_OK) {
            return status;
        }
        index->opened++;
        if (look(index, &after) && is_same(&before.data, &after.data) &&
            (before.lock.st_ino == 0 || is_same(&before.lock, &after.lock)) &&
            trail__kv_stat(index->kv, &opened, err) == TRAIL_OK &&
            is_same(&opened, &after.data)) {
            status = check_identity(index, index->kv, err);
            if (status != TRAIL_OK) {
                trail__kv_close(index->kv);
                index->kv = NULL;
            }
            return status;
        }
        trail__kv_close(index->kv); /* it was just replaced */
        index->kv = NULL;
    }
    return trail__error(err, TRAIL_BUSY, "%s/index.mdb is replaced again and again",
                        index->dir);
}

void trail__index_file_reopen(trail__index *index)
{
    (void)pthread_rwlock_wrlock(&index->lock);
    if (!trail__index_file_is_current(index)) {
        trail__kv_close(index->kv);
        index->kv = NULL;
        memset(&index->why, 0, sizeof index->why);
        (void)open_there(index, &index->why);
    }
    (void)pthread_rwlock_unlock(&index->lock);
}

/* ---- make ------------------------------------------------------------------------- */

static trail_status remove_file(const trail__index *index, const char *end,
                                trail_error *err)
{
    char path[FILE_PATH_MAX];

    path_of(index, end, path);
    if (unlink(path) != 0 && errno != ENOENT) {
        return trail__error_errno(err, errno, "%s", path);
    }
    return TRAIL_OK;
}

static trail_status write_first(trail__index *index, trail_error *err)
{
    uint8_t bytes[IDENTITY_LEN_MAX];
    trail__index_state state = { .number_next = 1 };
    trail__kv_txn txn;
    trail_status status = trail__kv_begin_write(index->kv, &txn, err);

    if (status != TRAIL_OK) {
        return status;
    }
    status = trail__kv_replace(&txn, TRAIL__KV_STATE, identity_key,
                               write_identity(index, bytes), err);
    if (status == TRAIL_OK) {
        status = trail__index_state_put(&txn, &state, err);
    }
    if (status == TRAIL_OK) {
        status = trail__kv_commit(&txn, err);
    }
    trail__kv_abort(&txn);
    return status;
}

/* Killed between any two of these steps, the next one finds nothing that can be used. */
static trail_status make(trail__index *index, trail_error *err)
{
    trail__kv_options options = index->options;
    trail_status status = remove_file(index, "", err);

    if (status == TRAIL_OK) {
        status = remove_file(index, "-lock", err);
    }
    options.create = true;
    if (status == TRAIL_OK) {
        status = trail__kv_open(&index->kv, index->dir, &options, err);
        index->opened++;
    }
    return status == TRAIL_OK ? write_first(index, err) : status;
}

trail_status trail__index_open_writer(trail__index *index, bool anew, trail_error *err)
{
    trail_status status = TRAIL_OK;

    (void)pthread_rwlock_wrlock(&index->lock);
    if (anew || !trail__index_file_is_current(index)) {
        trail__kv_close(index->kv);
        index->kv = NULL;
        status = anew ? TRAIL_NOT_FOUND : open_there(index, err);
        if (status == TRAIL_NOT_FOUND || status == TRAIL_CORRUPT) {
            status = make(index, err);
        }
    }
    if (status != TRAIL_OK) {
        trail__kv_close(index->kv);
        index->kv = NULL;
        if (err != NULL) {
            index->why = *err;
        }
    }
    (void)pthread_rwlock_unlock(&index->lock);
    return status;
}

trail_status trail__index_gate_enter(trail__index *index, unsigned wait_ms,
                                     trail_error *err)
{
    trail_status status = TRAIL_OK;

    (void)pthread_rwlock_wrlock(&index->lock);
    if (index->gate == NULL) {
        char path[FILE_PATH_MAX];

        path_of(index, "-gate", path);
        status = trail__gate_open(&index->gate, path, err);
    }
    (void)pthread_rwlock_unlock(&index->lock);
    if (status == TRAIL_OK) {
        status = trail__gate_enter(index->gate, wait_ms, err);
        if (status == TRAIL_BUSY) {
            status =
                trail__error(err, TRAIL_BUSY,
                             "another process or thread is indexing, and did not let "
                             "go within %u ms",
                             wait_ms);
        }
    }
    return status;
}

void trail__index_gate_leave(trail__index *index)
{
    trail__gate_leave(index->gate);
}

/* trail.c - the public functions: handles on stores.
 * Level 8: may include levels 0-7, store, handle.
 * SPDX-License-Identifier: MIT
 */
#include "trail.h"

#include "create.h"
#include "error.h"
#include "fault.h"
#include "handle.h"
#include "terms.h"
#include "verify.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BUSY_MS_DEFAULT = 10000 };
static const uint64_t size_max_min = UINT64_C(256) << 10;

/* ---- open and close --------------------------------------------------------------- */

void trail_options_init(trail_options *options)
{
    memset(options, 0, sizeof *options);
}

static trail_status check_options(const trail_options *options, trail_error *err)
{
    const unsigned known = TRAIL_READ_ONLY | TRAIL_NO_CREATE | TRAIL_CREATE_NEW;

    if ((options->flags & ~known) != 0) {
        return trail__error(err, TRAIL_INVALID, "open: flags 0x%x are not known",
                            options->flags & ~known);
    }
    if ((options->flags & TRAIL_CREATE_NEW) != 0 &&
        (options->flags & (TRAIL_READ_ONLY | TRAIL_NO_CREATE)) != 0) {
        return trail__error(err, TRAIL_INVALID, "open: create new, but do not create");
    }
    if ((unsigned)options->indexing > TRAIL_INDEX_MANUAL ||
        (unsigned)options->queue_policy > TRAIL_QUEUE_DROP) {
        return trail__error(err, TRAIL_INVALID,
                            "open: indexing %d or queue_policy %d is not known",
                            (int)options->indexing, (int)options->queue_policy);
    }
    if (options->index_path_count > TRAIL_INDEX_PATHS_MAX) {
        return trail__error(err, TRAIL_INVALID,
                            "open: index_paths has %zu paths, the limit is %d",
                            options->index_path_count, TRAIL_INDEX_PATHS_MAX);
    }
    for (size_t i = 0; i < options->index_path_count; i++) {
        trail_status status = trail__path_check(trail_str(options->index_paths[i]), err);

        if (status != TRAIL_OK) {
            trail__error_prefix(err, "open: index_paths: ");
            return status;
        }
    }
    if (options->size_max > 0 && options->size_max < size_max_min) {
        return trail__error(
            err, TRAIL_INVALID, "open: size_max is %llu, at least %llu is needed",
            (unsigned long long)options->size_max, (unsigned long long)size_max_min);
    }
    return TRAIL_OK;
}

static bool may_create(const trail_options *options)
{
    return (options->flags & (TRAIL_READ_ONLY | TRAIL_NO_CREATE)) == 0;
}

/* Open what is there; if nothing is and that is wanted, make it first. */
static trail_status open_store(trail__store **store_out, const char *path,
                               const trail_options *options, trail_error *err)
{
    trail_status status;

    if ((options->flags & TRAIL_CREATE_NEW) != 0) {
        status = trail__create(path, options, err);
        return status == TRAIL_OK ? trail__store_open(store_out, path, options, err)
                                  : status;
    }
    status = trail__store_open(store_out, path, options, err);
    if (status != TRAIL_NOT_FOUND || !may_create(options)) {
        return status;
    }
    if (access(path, F_OK) == 0) {
        status = trail__store_open(store_out, path, options, err);
        if (status != TRAIL_NOT_FOUND) {
            return status; /* somebody else has just created it */
        }
        return trail__error(err, TRAIL_EXISTS, "%s is not a trail: it holds no log.mdb",
                            path);
    }
    status = trail__create(path, options, err);
    if (status == TRAIL_OK || status == TRAIL_EXISTS) {
        /* EXISTS: somebody else was quicker, and his trail is as good. */
        status = trail__store_open(store_out, path, options, err);
    }
    return status;
}

trail_status trail_open(trail **trail_out, const char *path, const trail_options *options,
                        trail_error *err)
{
    trail_options own;
    trail_status status;
    trail *t;

    *trail_out = NULL;
    trail_options_init(&own);
    if (options != NULL) {
        own = *options;
    }
    if (own.busy_ms == 0) {
        own.busy_ms = BUSY_MS_DEFAULT;
    }
    if (path == NULL || *path == '\0') {
        return trail__error(err, TRAIL_INVALID, "open: the path is empty");
    }
    status = check_options(&own, err);
    if (status != TRAIL_OK) {
        return status;
    }
    t = trail__alloc_zero(sizeof *t + strlen(path) + 1);
    if (t == NULL) {
        return trail__error(err, TRAIL_NO_MEMORY, "no memory to open %s", path);
    }
    memcpy(t->path, path, strlen(path) + 1);
    t->busy_ms = own.busy_ms;
    t->close_ms = own.close_ms;
    t->queue_policy = own.queue_policy;
    t->read_only = (own.flags & TRAIL_READ_ONLY) != 0;
    status = trail__client_new(&t->client, err);
    if (status == TRAIL_OK) {
        status = open_store(&t->store, path, &own, err);
    }
    if (status == TRAIL_OK) {
        t->real_path = realpath(path, NULL);
        if (t->real_path == NULL) {
            status = trail__error_errno(err, errno, "%s", path);
            trail__store_close(t->store);
        }
    }
    if (status != TRAIL_OK) {
        trail__client_release(t->client);
        trail__free(t);
        return status;
    }
    *trail_out = t;
    return TRAIL_OK;
}

/* In a forked child the threads that append are not there. */
static void wait_for_appends(const trail *t)
{
    const struct timespec pause = { .tv_sec = 0, .tv_nsec = 200000 };

    while (atomic_load(&t->appends) > 0 && !trail__store_forked(t->store)) {
        nanosleep(&pause, NULL);
    }
}

void trail_close(trail *t)
{
    if (t != NULL) {
        wait_for_appends(t);
        trail__handle_drain(t);
        trail__store_close(t->store);
        trail__client_release(t->client);
        free(t->real_path);
        trail__free(t);
    }
}

const char *trail_path(const trail *t)
{
    return t->path;
}

const char *trail_real_path(const trail *t)
{
    return t->real_path;
}

trail_status trail__handle_check(const trail *t, trail_error *err)
{
    if (trail__store_forked(t->store)) {
        return trail__error(err, TRAIL_FORKED,
                            "%s was opened before fork(); open it anew in this process",
                            t->path);
    }
    return TRAIL_OK;
}

/* ---- what the trail says of itself ------------------------------------------------ */

trail_status trail_get_head(trail *t, trail_head *head_out, trail_error *err)
{
    trail__kv_txn txn;
    trail_status status = trail__handle_check(t, err);

    if (status == TRAIL_OK) {
        status = trail__kv_begin_read(trail__store_log(t->store)->kv, &txn, err);
    }
    if (status == TRAIL_OK) {
        status = trail__log_head(&txn, head_out, err);
        trail__kv_abort(&txn);
    }
    return status;
}

static trail_status read_info(trail__log *log, const trail__kv_txn *txn, trail_info *info,
                              trail_error *err)
{
    trail_text stored;
    uint64_t seq;
    trail_status status = trail__log_head(txn, &info->head, err);

    if (status == TRAIL_OK) {
        status = trail__kv_count(txn, TRAIL__KV_IDS, &info->foreign_ids, err);
    }
    if (status == TRAIL_OK) {
        status = trail__log_stored(txn, 1, &stored, err);
        if (status == TRAIL_NOT_FOUND ||
            (status == TRAIL_OK &&
             !trail__stored_peek(stored, &seq, &info->created_at_us))) {
            status =
                trail__error(err, TRAIL_CORRUPT, "entry 1 cannot be read; run verify");
        }
    }
    memcpy(info->log_id, log->identity.log_id, TRAIL_ID_LEN);
    memcpy(info->origin, log->identity.origin, log->identity.origin_len);
    return status;
}

trail_status trail_get_info(trail *t, trail_info *info_out, trail_error *err)
{
    trail__log *log = trail__store_log(t->store);
    trail_info info = { .format = TRAIL__FORMAT };
    trail__kv_info kv_info;
    trail__kv_txn txn;
    trail_status status = trail__handle_check(t, err);

    if (status == TRAIL_OK) {
        status = trail__kv_begin_read(log->kv, &txn, err);
    }
    if (status != TRAIL_OK) {
        return status;
    }
    status = read_info(log, &txn, &info, err);
    if (status == TRAIL_OK) {
        status = trail__kv_get_info(log->kv, &kv_info, err);
    }
    trail__kv_abort(&txn);
    if (status == TRAIL_OK) {
        info.file_len = kv_info.file_len;
        info.used_len = kv_info.used_len;
        info.map_size = kv_info.map_size;
        info.size_max = trail__kv_size_max(log->kv);
        info.readers = kv_info.readers;
        info.readers_max = kv_info.readers_max;
        *info_out = info;
    }
    return status;
}

/* ---- append ----------------------------------------------------------------------- */

trail_status trail_append(trail *t, const trail_event *event, trail_receipt *receipt_out,
                          trail_error *err)
{
    return trail_append_batch(t, event, 1, receipt_out, err);
}

static trail_status append_batch(trail *t, const trail_event *events, size_t count,
                                 trail_receipt *receipts_out, trail_error *err)
{
    trail__batch batch;
    trail_status status = trail__handle_check(t, err);

    if (status == TRAIL_OK && t->read_only) {
        status = trail__error(err, TRAIL_DENIED, "%s was opened read-only", t->path);
    }
    if (status == TRAIL_OK) {
        status = trail__batch_init(&batch, events, count, TRAIL__DOOR_CALLER, err);
    }
    if (status != TRAIL_OK) {
        return status;
    }
    trail__store_append(t->store, &batch);
    status = batch.status;
    if (status != TRAIL_OK && err != NULL) {
        *err = batch.error;
    }
    for (size_t i = 0; status == TRAIL_OK && receipts_out != NULL && i < count; i++) {
        receipts_out[i] = batch.drafts[i].receipt;
    }
    trail__batch_release(&batch);
    return status;
}

trail_status trail_append_batch(trail *t, const trail_event *events, size_t count,
                                trail_receipt *receipts_out, trail_error *err)
{
    trail_status status;

    atomic_fetch_add(&t->appends, 1);
    status = append_batch(t, events, count, receipts_out, err);
    atomic_fetch_sub(&t->appends, 1);
    return status;
}

/* ---- verify ----------------------------------------------------------------------- */

trail_status trail_verify(trail *t, const trail_verify_options *options,
                          trail_report *report_out, trail_error *err)
{
    trail__verify_watch watch;
    trail_report report;
    trail_status status = trail__handle_check(t, err);

    if (status == TRAIL_OK) {
        status =
            trail__verify_log(trail__store_log(t->store), trail__store_index(t->store),
                              options, &watch, &report, err);
    }
    if (status == TRAIL_OK) {
        *report_out = report;
    }
    return status;
}

/* log.c - the truth: entries by seq, append only, and the head of the chain.
 * Level 4: may include levels 0-3, log_find.
 * SPDX-License-Identifier: MIT
 */
#include "log.h"

#include "bytes.h"
#include "chain.h"
#include "clock.h"
#include "error.h"
#include "log_find.h"
#include "uuid.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { META_LEN_MAX = 2 * TRAIL__CBOR_HEAD_MAX + 64 + TRAIL__ORIGIN_LEN_MAX };

static const trail_text log_key = { .data = "log", .len = 3 };
static const trail_text head_key = { .data = "head", .len = 4 };

trail_text trail__seq_key_of(trail__seq_key *key, uint64_t seq)
{
    trail_text text = { .data = (const char *)key->bytes, .len = sizeof key->bytes };

    trail__store_u64(key->bytes, seq);
    return text;
}

/* ---- the two rows of 'meta' ------------------------------------------------------- */

static trail_status put_identity(trail__kv_txn *txn, const trail__identity *identity,
                                 trail_error *err)
{
    uint8_t bytes[META_LEN_MAX];
    trail__writer w = { .at = bytes, .end = bytes + sizeof bytes };
    trail_text value = { .data = (const char *)bytes, .len = 0 };

    trail__write_array(&w, 3);
    trail__write_uint(&w, TRAIL__FORMAT);
    trail__write_bytes(&w, identity->log_id, TRAIL_ID_LEN);
    trail__write_text(&w, (trail_text){ identity->origin, identity->origin_len });
    value.len = (size_t)(w.at - bytes);
    return trail__kv_put_new(txn, TRAIL__KV_META, log_key, value, err);
}

static trail_status parse_identity(trail_text value, trail__identity *identity,
                                   trail_error *err)
{
    trail__reader r = trail__reader_of(value.data, value.len);
    uint64_t format;
    const uint8_t *log_id;
    trail_text origin;

    trail__read_array(&r, 3);
    format = trail__read_uint(&r);
    if (!r.bad && format != TRAIL__FORMAT) {
        return trail__error(err, TRAIL_CORRUPT,
                            "the trail has format %llu, this version knows %d",
                            (unsigned long long)format, TRAIL__FORMAT);
    }
    log_id = trail__read_bytes(&r, TRAIL_ID_LEN);
    origin = trail__read_text(&r);
    if (r.bad || r.at != r.end || origin.len > sizeof identity->origin) {
        return trail__error(err, TRAIL_CORRUPT,
                            "what the trail says of itself is damaged");
    }
    memcpy(identity->log_id, log_id, TRAIL_ID_LEN);
    memcpy(identity->origin, origin.data, origin.len);
    identity->origin_len = origin.len;
    return TRAIL_OK;
}

static trail_status read_identity(trail__log *log, trail_error *err)
{
    trail__kv_txn txn;
    trail_text value;
    trail_text origin;
    trail_status status = trail__kv_begin_read(log->kv, &txn, err);

    if (status != TRAIL_OK) {
        return status;
    }
    status = trail__kv_get(&txn, TRAIL__KV_META, log_key, &value, err);
    if (status == TRAIL_NOT_FOUND) {
        status = trail__error(err, TRAIL_CORRUPT, "the trail does not say who it is");
    } else if (status == TRAIL_OK) {
        status = parse_identity(value, &log->identity, err);
    }
    trail__kv_abort(&txn);
    origin.data = log->identity.origin;
    origin.len = log->identity.origin_len;
    if (status == TRAIL_OK && !trail__chain_genesis(&log->hasher, log->identity.log_id,
                                                    origin, log->identity.genesis)) {
        status = trail__hash_failed(err);
    }
    return status;
}

static trail_status put_head(trail__kv_txn *txn, const trail_head *head, trail_error *err)
{
    uint8_t bytes[META_LEN_MAX];
    trail__writer w = { .at = bytes, .end = bytes + sizeof bytes };
    trail_text value = { .data = (const char *)bytes, .len = 0 };

    trail__write_array(&w, 4);
    trail__write_uint(&w, head->seq);
    trail__write_uint(&w, (uint64_t)head->recorded_at_us);
    trail__write_bytes(&w, head->event_hash, TRAIL_HASH_LEN);
    trail__write_uint(&w, trail__kv_txn_number(txn));
    value.len = (size_t)(w.at - bytes);
    return trail__kv_replace(txn, TRAIL__KV_META, head_key, value, err);
}

static trail_status read_head(const trail__kv_txn *txn, trail_head *head_out,
                              uint64_t *number_out, trail_error *err)
{
    trail_text value;
    trail__reader r;
    const uint8_t *hash;
    uint64_t seq;
    uint64_t recorded_at_us;
    trail_status status = trail__kv_get(txn, TRAIL__KV_META, head_key, &value, err);

    if (status == TRAIL_NOT_FOUND) {
        return trail__error(err, TRAIL_CORRUPT, "the trail has no head; run verify");
    }
    if (status != TRAIL_OK) {
        return status;
    }
    r = trail__reader_of(value.data, value.len);
    trail__read_array(&r, 4);
    seq = trail__read_uint(&r);
    recorded_at_us = trail__read_uint(&r);
    hash = trail__read_bytes(&r, TRAIL_HASH_LEN);
    *number_out = trail__read_uint(&r);
    if (r.bad || r.at != r.end || seq == 0 ||
        recorded_at_us > (uint64_t)TRAIL_TIME_US_MAX) {
        return trail__error(err, TRAIL_CORRUPT,
                            "the head of the trail is damaged; run verify");
    }
    head_out->seq = seq;
    head_out->recorded_at_us = (int64_t)recorded_at_us;
    memcpy(head_out->event_hash, hash, TRAIL_HASH_LEN);
    return TRAIL_OK;
}

trail_status trail__log_head(const trail__kv_txn *txn, trail_head *head_out,
                             trail_error *err)
{
    uint64_t number;

    return read_head(txn, head_out, &number, err);
}

trail_status trail__log_head_check(const trail__kv_txn *txn, trail_head *head_out,
                                   trail_error *err)
{
    uint64_t newest = trail__kv_txn_number(txn) - (txn->writes ? 1 : 0);
    uint64_t number;
    trail_status status = read_head(txn, head_out, &number, err);

    /* A compacting copy (mdb_copy -c) begins to count at 1 again. */
    if (status == TRAIL_OK && number != newest && newest != 1) {
        status =
            trail__error(err, TRAIL_CORRUPT,
                         "the head was written by transaction %llu, but the file is at "
                         "%llu: something else wrote to it, or an older state came back",
                         (unsigned long long)number, (unsigned long long)newest);
    }
    return status;
}

trail_status trail__log_stored(const trail__kv_txn *txn, uint64_t seq,
                               trail_text *stored_out, trail_error *err)
{
    trail__seq_key key;

    return trail__kv_get(txn, TRAIL__KV_ENTRIES, trail__seq_key_of(&key, seq), stored_out,
                         err);
}

/* ---- open and close --------------------------------------------------------------- */

trail_status trail__log_locate(const char *path, struct stat *file_out, trail_error *err)
{
    char log_path[PATH_MAX];

    if (snprintf(log_path, sizeof log_path, "%s/log.mdb", path) >= (int)sizeof log_path) {
        return trail__error(err, TRAIL_INVALID, "the path is longer than %d bytes",
                            PATH_MAX);
    }
    if (stat(log_path, file_out) == 0) {
        return TRAIL_OK;
    }
    if (errno == ENOENT || errno == ENOTDIR) {
        if (access(path, F_OK) == 0) {
            return trail__error(err, TRAIL_NOT_FOUND,
                                "%s is not a trail: it holds no log.mdb", path);
        }
        return trail__error(err, TRAIL_NOT_FOUND, "there is no trail at %s", path);
    }
    return trail__error_errno(err, errno, "%s", log_path);
}

trail_status trail__log_open(trail__log *log, const char *path,
                             const trail__kv_options *options, trail_error *err)
{
    trail_status status;

    memset(log, 0, sizeof *log);
    status = trail__hasher_init(&log->hasher, err);
    if (status == TRAIL_OK) {
        status = trail__kv_open(&log->kv, path, options, err);
    }
    if (status == TRAIL_OK && !options->create) {
        status = read_identity(log, err);
        if (status != TRAIL_OK) {
            trail__error_prefix(err, "%s: ", path);
        }
    }
    if (status != TRAIL_OK) {
        trail__log_close(log);
    }
    return status;
}

void trail__log_close(trail__log *log)
{
    trail__kv_close(log->kv);
    log->kv = NULL;
    trail__hasher_release(&log->hasher);
}

/* ---- append ----------------------------------------------------------------------- */

/* Write one event behind the head and move the head to it. Until the caller commits, the old
 * head is the one on disk. */
static trail_status write_event(trail__log *log, trail__kv_txn *txn, trail__draft *draft,
                                trail_head *head, trail_error *err)
{
    const trail_event *event = draft->event;
    trail_receipt *receipt = &draft->receipt;
    trail__stamp stamp = { .seq = head->seq + 1, .recorded_at_us = head->recorded_at_us };
    trail__seq_key key;
    trail_text entry;
    trail_status status;
    uint8_t *stored;
    size_t len;

    stamp.timestamp_us = event->timestamp_us == TRAIL_TIME_NONE ? stamp.recorded_at_us
                                                                : event->timestamp_us;
    memcpy(stamp.previous_hash, head->event_hash, TRAIL_HASH_LEN);
    if (event->id != NULL) {
        memcpy(stamp.id, event->id, TRAIL_ID_LEN);
    } else {
        trail__uuid_make(stamp.recorded_at_us, stamp.seq, draft->random, stamp.id);
    }

    len = trail__stored_len(event, &draft->parts, &stamp);
    status = trail__kv_append(txn, trail__seq_key_of(&key, stamp.seq), len, &stored, err);
    if (status != TRAIL_OK) {
        return status;
    }
    trail__stored_write(event, &draft->parts, &stamp, stored, len, &entry);
    if (!trail__chain_hash(&log->hasher, entry, receipt->event_hash)) {
        return trail__hash_failed(err);
    }
    memcpy(stored + 1, receipt->event_hash, TRAIL_HASH_LEN);

    head->seq = stamp.seq;
    memcpy(head->event_hash, receipt->event_hash, TRAIL_HASH_LEN);
    receipt->seq = stamp.seq;
    receipt->recorded_at_us = stamp.recorded_at_us;
    receipt->duplicate = false;
    memcpy(receipt->id, stamp.id, TRAIL_ID_LEN);

    if (!trail__uuid_made_for(stamp.id, stamp.recorded_at_us, stamp.seq)) {
        trail_text id = { .data = (const char *)stamp.id, .len = TRAIL_ID_LEN };

        status = trail__kv_put_new(txn, TRAIL__KV_IDS, id,
                                   trail__seq_key_of(&key, stamp.seq), err);
    }
    return status;
}

/* The event's id is at 'seq': the same event again, or another one? */
static trail_status meet_again(const trail__kv_txn *txn, uint64_t seq,
                               trail__draft *draft, trail_error *err)
{
    trail_receipt *receipt = &draft->receipt;
    char id_text[TRAIL_ID_TEXT_LEN + 1];
    trail_text stored;
    trail_record record;
    trail_status status = trail__log_stored(txn, seq, &stored, err);

    if (status == TRAIL_OK && trail__stored_read(stored, &record, NULL) != NULL) {
        status = TRAIL_NOT_FOUND;
    }
    if (status == TRAIL_NOT_FOUND) {
        return trail__error(err, TRAIL_CORRUPT,
                            "entry %llu, which has this id, cannot be read",
                            (unsigned long long)seq);
    }
    if (status != TRAIL_OK) {
        return status;
    }
    if (!trail__event_same(draft->event, &record.event)) {
        trail_id_format(draft->event->id, id_text);
        return trail__error(err, TRAIL_EXISTS,
                            "id %s is stored as seq %llu with other content", id_text,
                            (unsigned long long)seq);
    }
    receipt->seq = record.seq;
    receipt->recorded_at_us = record.recorded_at_us;
    receipt->duplicate = true;
    memcpy(receipt->id, record.event.id, TRAIL_ID_LEN);
    memcpy(receipt->event_hash, record.event_hash, TRAIL_HASH_LEN);
    return TRAIL_OK;
}

/* Before anything of the batch is written: which of its events are here already? */
static trail_status find_known(const trail__kv_txn *txn, const trail_head *head,
                               trail__batch *batch, trail_error *err)
{
    for (size_t i = 0; i < batch->count; i++) {
        trail__draft *draft = &batch->drafts[i];
        trail_status status;
        uint64_t seq;

        draft->receipt.duplicate = false;
        if (draft->event->id == NULL || draft->twin != 0) {
            continue;
        }
        status = trail__log_find(txn, head->seq, draft->event->id, &seq, err);
        if (status == TRAIL_OK) {
            status = meet_again(txn, seq, draft, err);
        }
        if (status != TRAIL_OK && status != TRAIL_NOT_FOUND) {
            if (batch->count > 1) {
                trail__error_prefix(err, "event %zu: ", i + 1);
            }
            return status;
        }
    }
    return TRAIL_OK;
}

/* TRAIL_EXISTS is the batch's own affair; anything else means the transaction cannot go on. */
static trail_status write_batch(trail__log *log, trail__kv_txn *txn, trail__batch *batch,
                                trail_head *head, trail_error *err)
{
    trail_status status = TRAIL_OK;

    if (batch->has_ids) {
        status = find_known(txn, head, batch, err);
    }
    for (size_t i = 0; i < batch->count && status == TRAIL_OK; i++) {
        trail__draft *draft = &batch->drafts[i];

        if (draft->twin != 0) {
            draft->receipt = batch->drafts[draft->twin - 1].receipt;
            draft->receipt.duplicate = true;
        } else if (!draft->receipt.duplicate) {
            status = write_event(log, txn, draft, head, err);
        }
    }
    return status;
}

static trail_status write_batches(trail__log *log, trail__kv_txn *txn,
                                  trail__batch *batches, trail_error *err)
{
    trail_head head;
    uint64_t seq_before;
    int64_t now_us = trail__clock_now_us();
    trail_status status = trail__log_head_check(txn, &head, err);

    if (status != TRAIL_OK) {
        return status;
    }
    seq_before = head.seq;
    if (now_us > head.recorded_at_us) {
        head.recorded_at_us = now_us; /* and if the clock went back, time stands still */
    }
    for (trail__batch *batch = batches; batch != NULL; batch = batch->next) {
        batch->status = write_batch(log, txn, batch, &head, &batch->error);
        if (batch->status != TRAIL_OK && batch->status != TRAIL_EXISTS) {
            if (err != NULL) {
                *err = batch->error;
            }
            return batch->status;
        }
    }
    if (head.seq == seq_before) {
        trail__kv_abort(txn); /* everything was known already: nothing to make durable */
        return TRAIL_OK;
    }
    status = put_head(txn, &head, err);
    return status == TRAIL_OK ? trail__kv_commit(txn, err) : status;
}

/* All of them or none; each batch gets what came of it. */
static trail_status append_together(trail__log *log, trail__batch *batches)
{
    trail__kv_txn txn;
    trail_status status;
    trail_error err;

    do {
        status = trail__kv_begin_write(log->kv, &txn, &err);
        if (status == TRAIL_OK) {
            status = write_batches(log, &txn, batches, &err);
            trail__kv_abort(&txn); /* does nothing after a commit */
        }
        if (status == TRAIL_OK || !txn.map_full) {
            break;
        }
        status = trail__kv_grow(log->kv, &err);
    } while (status == TRAIL_OK);

    for (trail__batch *batch = batches; batch != NULL; batch = batch->next) {
        if (status != TRAIL_OK) {
            batch->status = status; /* nothing of this transaction was stored */
            batch->error = err;
        }
    }
    return status;
}

/* What one batch may be to blame for, all alone. */
static bool is_of_one(trail_status status)
{
    return status == TRAIL_CORRUPT || status == TRAIL_FULL || status == TRAIL_NO_MEMORY;
}

void trail__log_append(trail__log *log, trail__batch *batches)
{
    trail_status status = append_together(log, batches);

    if (!is_of_one(status) || batches->next == NULL) {
        return;
    }
    status = TRAIL_OK;
    for (trail__batch *batch = batches, *before = NULL; batch != NULL;) {
        trail__batch *next = batch->next;

        batch->next = NULL;
        if (status == TRAIL_BUSY) { /* then for all that follow: nothing changes places */
            batch->status = before->status;
            batch->error = before->error;
        } else {
            status = append_together(log, batch);
        }
        batch->next = next;
        before = batch;
        batch = next;
    }
}

/* ---- creation --------------------------------------------------------------------- */

static trail_status write_first(trail__log *log, const trail__identity *identity,
                                trail__batch *batch, trail_error *err)
{
    trail_head head = { .seq = 0, .recorded_at_us = trail__clock_now_us() };
    trail__kv_txn txn;
    trail_status status = trail__kv_begin_write(log->kv, &txn, err);

    if (status != TRAIL_OK) {
        return status;
    }
    memcpy(head.event_hash, identity->genesis, TRAIL_HASH_LEN);
    status = put_identity(&txn, identity, err);
    if (status == TRAIL_OK) {
        status = write_event(log, &txn, &batch->drafts[0], &head, err);
    }
    if (status == TRAIL_OK) {
        status = put_head(&txn, &head, err);
    }
    if (status == TRAIL_OK) {
        status = trail__kv_commit(&txn, err);
    }
    trail__kv_abort(&txn);
    return status;
}

trail_status trail__log_make(const char *path, const trail__kv_options *options,
                             const trail__identity *identity, const trail_event *created,
                             trail_error *err)
{
    trail__kv_options create = *options;
    trail__batch batch;
    trail__log log;
    trail_status status = trail__batch_init(&batch, created, 1, TRAIL__DOOR_ENGINE, err);

    if (status != TRAIL_OK) {
        return status;
    }
    create.create = true;
    status = trail__log_open(&log, path, &create, err);
    if (status == TRAIL_OK) {
        status = write_first(&log, identity, &batch, err);
        trail__log_close(&log);
    }
    trail__batch_release(&batch);
    return status;
}

/* log.h - the truth: entries by seq, append only, and the head of the chain.
 * Level 4: may include levels 0-3.
 * SPDX-License-Identifier: MIT
 *
 * log.mdb has three tables. 'entries': seq (8 bytes, big-endian) -> stored value. 'ids': an id
 * that came from a caller -> seq. 'meta': "log" -> [1, log_id, origin] and "head" -> [seq,
 * recorded_at, event_hash, number of the transaction that wrote it].
 */
#ifndef TRAIL_LOG_H
#define TRAIL_LOG_H

#include "draft.h"
#include "kv.h"
#include "trail.h"

#include <sys/stat.h>

#define TRAIL__ORIGIN_LEN_MAX (4 * TRAIL_ID_CHARS_MAX)

/* Who the log is; never changes. */
typedef struct trail__identity {
    uint8_t log_id[TRAIL_ID_LEN];
    char origin[TRAIL__ORIGIN_LEN_MAX];
    size_t origin_len;
    uint8_t genesis[TRAIL_HASH_LEN]; /* previous_hash of seq 1 */
} trail__identity;

typedef struct trail__log {
    trail__kv *kv;
    trail__identity identity;
    trail__hasher hasher; /* of whoever holds the write transaction */
} trail__log;

/* The file of the log in the directory 'path'. TRAIL_NOT_FOUND says what is there instead. */
trail_status trail__log_locate(const char *path, struct stat *file_out, trail_error *err);

/* Open the log in the directory 'path'. */
trail_status trail__log_open(trail__log *log, const char *path,
                             const trail__kv_options *options, trail_error *err);
void trail__log_close(trail__log *log);

/* Make a new log in the empty directory 'path': identity and the event trail.created. */
trail_status trail__log_make(const char *path, const trail__kv_options *options,
                             const trail__identity *identity, const trail_event *created,
                             trail_error *err);

/* Append the batches of a list in one durable transaction. Each batch gets its own status,
 * error and receipts; one that is refused (TRAIL_EXISTS) does not disturb the others. None stands
 * behind one with TRAIL_BUSY that has another status. */
void trail__log_append(trail__log *log, trail__batch *batches);

/* ---- reading, within a transaction -------------------------------------------------------- */

/* TRAIL_CORRUPT if the head is not there or cannot be read. */
trail_status trail__log_head(const trail__kv_txn *txn, trail_head *head_out,
                             trail_error *err);

/* TRAIL_CORRUPT also if the head was not written by the newest transaction of the file. LMDB
 * picks its newest meta page by a number alone: a flipped bit there brings an older state back.
 * And whoever changes the file behind our back commits a transaction of his own. */
trail_status trail__log_head_check(const trail__kv_txn *txn, trail_head *head_out,
                                   trail_error *err);

/* TRAIL_NOT_FOUND without a message: no such entry. */
trail_status trail__log_stored(const trail__kv_txn *txn, uint64_t seq,
                               trail_text *stored_out, trail_error *err);

/* A key of 'entries'. */
typedef struct trail__seq_key {
    uint8_t bytes[8];
} trail__seq_key;

trail_text trail__seq_key_of(trail__seq_key *key, uint64_t seq);

#endif

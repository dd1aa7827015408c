/* entry.h - the canonical bytes of an event: who, details, entry, and the stored value.
 * Level 2: may include levels 0-1. No I/O.
 * SPDX-License-Identifier: MIT
 *
 *   who     = [ salt(16), user_id | null, ip_address | null, user_agent | null ]
 *   details = [ salt(16), details text | null, result_error | null ]   absent if both are null
 *   entry   = [ 1, seq, recorded_at, timestamp, id(16), event_type, action, resource_type,
 *               resource_id, result, request_id | null, SHA-256("trail/who/1" ‖ who),
 *               SHA-256("trail/details/1" ‖ details) | null, previous_hash(32) ]
 *   stored  = state(1) ‖ event_hash(32) ‖ entry ‖ who ‖ details
 *
 * docs/format.md states every byte, with vectors.
 */
#ifndef TRAIL_ENTRY_H
#define TRAIL_ENTRY_H

#include "hash.h"
#include "trail.h"

#define TRAIL__SALT_LEN 16
#define TRAIL__FORMAT 1

/* The state byte of a stored value. Others are reserved for redaction and erasure. */
enum { TRAIL__STATE_WHOLE = 0x00 };

/* The separable parts of an event, encoded and hashed before any lock is taken. */
typedef struct trail__parts {
    const uint8_t *bytes; /* who ‖ details, contiguous; belongs to the caller */
    size_t who_len;
    size_t details_len; /* 0: no details part */
    uint8_t who_hash[TRAIL_HASH_LEN];
    uint8_t details_hash[TRAIL_HASH_LEN];
} trail__parts;

/* Bytes that trail__parts_encode writes for this event. */
size_t trail__parts_len(const trail_event *event);

/* Encode and hash both parts into 'out' (trail__parts_len bytes). 'salts' is 2 * 16 random
 * bytes. False: the hash failed. */
bool trail__parts_encode(trail__hasher *hasher, const trail_event *event,
                         const uint8_t *salts, uint8_t *out, trail__parts *parts_out)
    __attribute__((warn_unused_result));

/* SHA-256 over a part and its tag. False: the hash failed. */
bool trail__who_hash(trail__hasher *hasher, trail_text who,
                     uint8_t hash_out[TRAIL_HASH_LEN])
    __attribute__((warn_unused_result));
bool trail__details_hash(trail__hasher *hasher, trail_text details,
                         uint8_t hash_out[TRAIL_HASH_LEN])
    __attribute__((warn_unused_result));

/* What the engine adds to an event when its place in the chain is known. */
typedef struct trail__stamp {
    uint64_t seq;
    int64_t recorded_at_us;
    int64_t timestamp_us;
    uint8_t id[TRAIL_ID_LEN];
    uint8_t previous_hash[TRAIL_HASH_LEN];
} trail__stamp;

size_t trail__stored_len(const trail_event *event, const trail__parts *parts,
                         const trail__stamp *stamp);

/* Write the stored value into 'out' (trail__stored_len bytes). The event_hash is left for the
 * chain to fill in, at out + 1; *entry_out is the entry it covers. */
void trail__stored_write(const trail_event *event, const trail__parts *parts,
                         const trail__stamp *stamp, uint8_t *out, size_t len,
                         trail_text *entry_out);

/* The commitments of an entry, next to its record. */
typedef struct trail__commitments {
    const uint8_t *who_hash;
    const uint8_t *details_hash; /* NULL: the entry has no details part */
} trail__commitments;

/* Take a stored value apart. The record points into 'stored'. NULL if all is well, else what
 * is wrong with the bytes, in words; then only record_out->stored is set. No hash is checked.
 * 'commitments_out' may be NULL. */
const char *trail__stored_read(trail_text stored, trail_record *record_out,
                               trail__commitments *commitments_out);

/* Only seq and recorded_at, for searching. False: the bytes are no stored value. */
bool trail__stored_peek(trail_text stored, uint64_t *seq_out,
                        int64_t *recorded_at_us_out);

#endif

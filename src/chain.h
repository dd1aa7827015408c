/* chain.h - what links one entry to the one before it.
 * Level 2: may include levels 0-1. No I/O.
 * SPDX-License-Identifier: MIT
 *
 *   event_hash    = SHA-256(0x00 ‖ entry), which is also the leaf hash of RFC 6962
 *   previous_hash = event_hash of seq - 1
 *   for seq 1     = SHA-256("trail/genesis/1" ‖ log_id ‖ origin)
 */
#ifndef TRAIL_CHAIN_H
#define TRAIL_CHAIN_H

#include "hash.h"
#include "trail.h"

bool trail__chain_hash(trail__hasher *hasher, trail_text entry,
                       uint8_t hash_out[TRAIL_HASH_LEN])
    __attribute__((warn_unused_result));

/* 'origin' is at most 4 * TRAIL_ID_CHARS_MAX bytes. */
bool trail__chain_genesis(trail__hasher *hasher, const uint8_t log_id[TRAIL_ID_LEN],
                          trail_text origin, uint8_t hash_out[TRAIL_HASH_LEN])
    __attribute__((warn_unused_result));

#endif

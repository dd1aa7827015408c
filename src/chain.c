/* chain.c - what links one entry to the one before it.
 * Level 2: may include levels 0-1. No I/O.
 * SPDX-License-Identifier: MIT
 */
#include "chain.h"

#include <string.h>

static const uint8_t leaf_tag[1] = { 0x00 };
static const char genesis_tag[] = "trail/genesis/1";

bool trail__chain_hash(trail__hasher *hasher, trail_text entry,
                       uint8_t hash_out[TRAIL_HASH_LEN])
{
    return trail__sha256(hasher, leaf_tag, sizeof leaf_tag, entry.data, entry.len,
                         hash_out);
}

bool trail__chain_genesis(trail__hasher *hasher, const uint8_t log_id[TRAIL_ID_LEN],
                          trail_text origin, uint8_t hash_out[TRAIL_HASH_LEN])
{
    uint8_t prefix[sizeof genesis_tag - 1 + TRAIL_ID_LEN];

    memcpy(prefix, genesis_tag, sizeof genesis_tag - 1);
    memcpy(prefix + sizeof genesis_tag - 1, log_id, TRAIL_ID_LEN);
    return trail__sha256(hasher, prefix, sizeof prefix, origin.data, origin.len,
                         hash_out);
}

/* hash.h - SHA-256 and random bytes, from OpenSSL.
 * Level 1: may include level 0, error, fault; the only file that includes <openssl/...>.
 * SPDX-License-Identifier: MIT
 *
 * SHA-256 is asked of OpenSSL's provider itself, once per process: 250 ns for 256 bytes, where EVP
 * takes 320 with a reused context and 370 in one call.
 */
#ifndef TRAIL_HASH_H
#define TRAIL_HASH_H

#include "trail.h"

/* One hashing context; used by one thread at a time. */
typedef struct trail__hasher {
    void *context; /* the provider's; NULL when not initialised */
} trail__hasher;

trail_status trail__hasher_init(trail__hasher *hasher, trail_error *err);
void trail__hasher_release(trail__hasher *hasher); /* zeroed or released: fine */

/* hash_out = SHA-256(prefix ‖ data). False only if OpenSSL fails, which for a context that was
 * initialised means the machine is broken; the caller stops with TRAIL_IO. */
bool trail__sha256(trail__hasher *hasher, const void *prefix, size_t prefix_len,
                   const void *data, size_t len, uint8_t hash_out[TRAIL_HASH_LEN])
    __attribute__((warn_unused_result));

/* SHA-1, for UUID v5 only. */
bool trail__sha1(const void *prefix, size_t prefix_len, const void *data, size_t len,
                 uint8_t hash_out[20]) __attribute__((warn_unused_result));

trail_status trail__random(uint8_t *out, size_t len, trail_error *err);

/* The error for a hash that failed. */
trail_status trail__hash_failed(trail_error *err);

/* Lower-case hex and NUL; out has room for 2 * len + 1. */
void trail__hex(const uint8_t *data, size_t len, char *out);

#endif

/* hash.c - SHA-256 and random bytes, from OpenSSL.
 * Level 1: may include level 0; the only file that includes <openssl/...>.
 * SPDX-License-Identifier: MIT
 */
#include "hash.h"

#include "error.h"
#include "fault.h"

#include <limits.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdatomic.h>
#include <string.h>

static _Atomic(EVP_MD *) fetched;

/* Kept for the life of the process: freeing it at exit would race with threads that hash. NULL
 * if there was no memory for it; the next one who asks tries again. OpenSSL 3.0 does not get up
 * again if it was first used without memory: then every other call of it would be a crash. */
static EVP_MD *sha256(void)
{
    EVP_MD *digest = atomic_load(&fetched);
    EVP_MD *other = NULL;

    if (digest == NULL && OSSL_LIB_CTX_get0_global_default() != NULL) {
        digest = EVP_MD_fetch(NULL, "SHA256", NULL);
        if (digest != NULL && !atomic_compare_exchange_strong(&fetched, &other, digest)) {
            EVP_MD_free(digest); /* another thread was quicker */
            digest = other;
        }
    }
    return digest;
}

trail_status trail__hash_failed(trail_error *err)
{
    return trail__error(err, TRAIL_IO, "OpenSSL could not compute a hash");
}

trail_status trail__hasher_init(trail__hasher *hasher, trail_error *err)
{
    hasher->context = NULL;
    if (sha256() == NULL) {
        return trail__error(err, TRAIL_IO, "this OpenSSL offers no SHA-256");
    }
    if (!trail__fault("hash/context")) {
        hasher->context = EVP_MD_CTX_new();
    }
    if (hasher->context == NULL) {
        return trail__error(err, TRAIL_NO_MEMORY, "no memory for a hash context");
    }
    return TRAIL_OK;
}

void trail__hasher_release(trail__hasher *hasher)
{
    EVP_MD_CTX_free(hasher->context);
    hasher->context = NULL;
}

/* Prefix and data in one piece, if they are small: each update costs as much as hashing two
 * blocks. */
bool trail__sha256(trail__hasher *hasher, const void *prefix, size_t prefix_len,
                   const void *data, size_t len, uint8_t hash_out[TRAIL_HASH_LEN])
{
    uint8_t piece[1024];

    if (prefix_len <= sizeof piece && len <= sizeof piece - prefix_len) {
        memcpy(piece, prefix, prefix_len);
        memcpy(piece + prefix_len, data, len);
        return EVP_DigestInit_ex2(hasher->context, sha256(), NULL) == 1 &&
               EVP_DigestUpdate(hasher->context, piece, prefix_len + len) == 1 &&
               EVP_DigestFinal_ex(hasher->context, hash_out, NULL) == 1;
    }
    return EVP_DigestInit_ex2(hasher->context, sha256(), NULL) == 1 &&
           EVP_DigestUpdate(hasher->context, prefix, prefix_len) == 1 &&
           EVP_DigestUpdate(hasher->context, data, len) == 1 &&
           EVP_DigestFinal_ex(hasher->context, hash_out, NULL) == 1;
}

bool trail__sha1(const void *prefix, size_t prefix_len, const void *data, size_t len,
                 uint8_t hash_out[20])
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool fine = context != NULL && EVP_DigestInit_ex2(context, EVP_sha1(), NULL) == 1 &&
                EVP_DigestUpdate(context, prefix, prefix_len) == 1 &&
                EVP_DigestUpdate(context, data, len) == 1 &&
                EVP_DigestFinal_ex(context, hash_out, NULL) == 1;

    EVP_MD_CTX_free(context);
    return fine;
}

trail_status trail__random(uint8_t *out, size_t len, trail_error *err)
{
    if (sha256() == NULL) { /* then OpenSSL must not be asked */
        return trail__error(err, TRAIL_IO, "the system gives no random bytes");
    }
    while (len > 0) {
        int part = len > INT_MAX ? INT_MAX : (int)len;

        if (trail__fault("hash/random") || RAND_bytes(out, part) != 1) {
            return trail__error(err, TRAIL_IO, "the system gives no random bytes");
        }
        out += part;
        len -= (size_t)part;
    }
    return TRAIL_OK;
}

void trail__hex(const uint8_t *data, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < len; i++) {
        *out++ = digits[data[i] >> 4];
        *out++ = digits[data[i] & 15];
    }
    *out = '\0';
}

/* hash.c - SHA-256 and random bytes, from OpenSSL.
 * Level 1: may include level 0; the only file that includes <openssl/...>.
 * SPDX-License-Identifier: MIT
 */
#include "hash.h"

#include "error.h"
#include "fault.h"

#include <limits.h>
#include <openssl/core_dispatch.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <stdatomic.h>
#include <string.h>

/* Up to here a message is put together first: copying it costs less than a second update, which
 * leaves the blocks of the message out of step with those of the hash. */
enum { JOINED_MAX = 512 };

/* What OpenSSL's provider of SHA-256 (the default one, or FIPS) offers, called as EVP itself calls
 * it. An EVP context is given back and made anew for each digest, which for inputs as small as
 * ours costs a third of the time. */
typedef struct provided {
    EVP_MD *digest; /* keeps the provider alive */
    void *provider;
    OSSL_FUNC_digest_newctx_fn *newctx;
    OSSL_FUNC_digest_freectx_fn *freectx;
    OSSL_FUNC_digest_init_fn *init;
    OSSL_FUNC_digest_update_fn *update;
    OSSL_FUNC_digest_final_fn *final;
} provided;

/* Kept for the life of the process: freeing it at exit would race with threads that hash. */
static _Atomic(provided *) known;

static void take_call(provided *p, const OSSL_DISPATCH *call)
{
    switch (call->function_id) {
    case OSSL_FUNC_DIGEST_NEWCTX:
        p->newctx = OSSL_FUNC_digest_newctx(call);
        break;
    case OSSL_FUNC_DIGEST_FREECTX:
        p->freectx = OSSL_FUNC_digest_freectx(call);
        break;
    case OSSL_FUNC_DIGEST_INIT:
        p->init = OSSL_FUNC_digest_init(call);
        break;
    case OSSL_FUNC_DIGEST_UPDATE:
        p->update = OSSL_FUNC_digest_update(call);
        break;
    case OSSL_FUNC_DIGEST_FINAL:
        p->final = OSSL_FUNC_digest_final(call);
        break;
    default:
        break;
    }
}

/* Is it one of the names, which are separated by colons? */
static bool is_named(const char *names, const char *name)
{
    const char *at = strstr(names, name);
    size_t len = strlen(name);

    return at != NULL && (at == names || at[-1] == ':') &&
           (at[len] == ':' || at[len] == '\0');
}

static bool take_calls(provided *p)
{
    const OSSL_PROVIDER *provider = EVP_MD_get0_provider(p->digest);
    int no_cache;
    const OSSL_ALGORITHM *algorithm =
        OSSL_PROVIDER_query_operation(provider, OSSL_OP_DIGEST, &no_cache);

    p->provider = OSSL_PROVIDER_get0_provider_ctx(provider);
    while (algorithm != NULL && algorithm->algorithm_names != NULL &&
           !is_named(algorithm->algorithm_names, "SHA2-256")) {
        algorithm++;
    }
    if (algorithm == NULL || algorithm->algorithm_names == NULL) {
        return false;
    }
    for (const OSSL_DISPATCH *call = algorithm->implementation; call->function_id != 0;
         call++) {
        take_call(p, call);
    }
    return p->newctx != NULL && p->freectx != NULL && p->init != NULL &&
           p->update != NULL && p->final != NULL;
}

/* NULL if there was no memory for it; the next one who asks tries again. OpenSSL 3.0 does not get
 * up again if it was first used without memory: then every other call of it would be a crash. */
static const provided *sha256(void)
{
    provided *p = atomic_load(&known);
    provided *other = NULL;

    if (p != NULL || OSSL_LIB_CTX_get0_global_default() == NULL) {
        return p;
    }
    p = trail__alloc_zero(sizeof *p);
    if (p == NULL) {
        return NULL;
    }
    p->digest = EVP_MD_fetch(NULL, "SHA2-256", NULL);
    if (p->digest != NULL && take_calls(p) &&
        atomic_compare_exchange_strong(&known, &other, p)) {
        return p;
    }
    EVP_MD_free(p->digest);
    trail__free(p);
    return other; /* another thread was quicker; or NULL */
}

trail_status trail__hash_failed(trail_error *err)
{
    return trail__error(err, TRAIL_IO, "OpenSSL could not compute a hash");
}

trail_status trail__hasher_init(trail__hasher *hasher, trail_error *err)
{
    const provided *p = sha256();

    hasher->context = NULL;
    if (p == NULL) {
        return trail__error(err, TRAIL_IO, "this OpenSSL offers no SHA-256");
    }
    if (!trail__fault("hash/context")) {
        hasher->context = p->newctx(p->provider);
    }
    if (hasher->context == NULL) {
        return trail__error(err, TRAIL_NO_MEMORY, "no memory for a hash context");
    }
    return TRAIL_OK;
}

void trail__hasher_release(trail__hasher *hasher)
{
    if (hasher->context != NULL) {
        sha256()->freectx(hasher->context);
        hasher->context = NULL;
    }
}

bool trail__sha256(trail__hasher *hasher, const void *prefix, size_t prefix_len,
                   const void *data, size_t len, uint8_t hash_out[TRAIL_HASH_LEN])
{
    const provided *p = atomic_load(&known);
    uint8_t joined[JOINED_MAX];
    size_t hash_len = 0;

    if (prefix_len + len <= sizeof joined) {
        memcpy(joined, prefix, prefix_len);
        if (len > 0) {
            memcpy(joined + prefix_len, data, len);
        }
        data = joined;
        len += prefix_len;
        prefix_len = 0;
    }
    return p->init(hasher->context, NULL) == 1 &&
           (prefix_len == 0 || p->update(hasher->context, prefix, prefix_len) == 1) &&
           p->update(hasher->context, data, len) == 1 &&
           p->final(hasher->context, hash_out, &hash_len, TRAIL_HASH_LEN) == 1 &&
           hash_len == TRAIL_HASH_LEN;
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

/* bench_floor.c - what the machine needs for the bare minimum: hash, write, sync.
 * Edge: of the library only trail.h; includes <openssl/...>; never installed.
 * SPDX-License-Identifier: MIT
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SINGLE_LEN = 300 };

struct bench_floor {
    EVP_MD *sha256; /* fetched once, as the context is made once */
    EVP_MD_CTX *context;
    int file;
    off_t end;
};

static void find_sha256(bench_floor *to)
{
    to->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    to->context = EVP_MD_CTX_new();
    if (to->sha256 == NULL || to->context == NULL) {
        bench_fail("OpenSSL offers no SHA-256");
    }
}

bench_floor *bench_floor_new(const char *path)
{
    bench_floor *to = bench_alloc(1, sizeof *to);

    find_sha256(to);
    to->file = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
    if (to->file < 0) {
        bench_fail("cannot create %s: %s", path, strerror(errno));
    }
    return to;
}

void bench_floor_close(bench_floor *to)
{
    EVP_MD_CTX_free(to->context);
    EVP_MD_free(to->sha256);
    close(to->file);
    free(to);
}

/* One call a record, the algorithm fetched once. */
static void digest(bench_floor *to, const uint8_t *bytes, size_t len)
{
    uint8_t hash[EVP_MAX_MD_SIZE];

    if (EVP_Digest(bytes, len, hash, NULL, to->sha256, NULL) != 1) {
        bench_fail("OpenSSL could not compute a hash");
    }
}

/* The same with a context that is reused, which saves making one. */
static void digest_reused(bench_floor *to, const uint8_t *bytes, size_t len)
{
    uint8_t hash[EVP_MAX_MD_SIZE];

    if (EVP_DigestInit_ex2(to->context, to->sha256, NULL) != 1 ||
        EVP_DigestUpdate(to->context, bytes, len) != 1 ||
        EVP_DigestFinal_ex(to->context, hash, NULL) != 1) {
        bench_fail("OpenSSL could not compute a hash");
    }
}

static void write_durably(bench_floor *to, const uint8_t *bytes, size_t len)
{
    if (pwrite(to->file, bytes, len, to->end) != (ssize_t)len ||
        fdatasync(to->file) != 0) {
        bench_fail("cannot write: %s", strerror(errno));
    }
    to->end += (off_t)len;
}

static size_t start_of(const bench_corpus *corpus, size_t index)
{
    return index == 0 ? 0 : corpus->ends[index - 1];
}

void bench_floor_append(bench_floor *to, const bench_corpus *corpus, size_t first,
                        size_t count, bench_times *times)
{
    size_t batches = corpus->count / BENCH_BATCH;

    for (size_t n = first; n < first + count; n++) {
        size_t index = n % batches * BENCH_BATCH;
        size_t start = start_of(corpus, index);
        size_t end = corpus->ends[index + BENCH_BATCH - 1];
        double begin = bench_now_s();

        for (size_t i = index; i < index + BENCH_BATCH; i++) {
            size_t from = start_of(corpus, i);

            digest(to, corpus->bytes + from, corpus->ends[i] - from);
        }
        write_durably(to, corpus->bytes + start, end - start);
        bench_times_add(times, bench_now_s() - begin);
    }
}

typedef void digest_one(bench_floor *to, const uint8_t *bytes, size_t len);

static double sha256_s(bench_floor *to, const bench_corpus *corpus, size_t records,
                       digest_one *digest_record)
{
    double begin = bench_now_s();

    for (size_t n = 0; n < records; n++) {
        size_t i = n % corpus->count;
        size_t from = start_of(corpus, i);

        digest_record(to, corpus->bytes + from, corpus->ends[i] - from);
    }
    return bench_now_s() - begin;
}

double bench_floor_sha256_s(bench_floor *to, const bench_corpus *corpus, size_t records)
{
    return sha256_s(to, corpus, records, digest);
}

double bench_floor_sha256_reused_s(bench_floor *to, const bench_corpus *corpus,
                                   size_t records)
{
    return sha256_s(to, corpus, records, digest_reused);
}

void bench_floor_single(bench_floor *to, size_t count, bench_times *times)
{
    uint8_t bytes[SINGLE_LEN];

    memset(bytes, 'x', sizeof bytes);
    for (size_t i = 0; i < count; i++) {
        double begin = bench_now_s();

        write_durably(to, bytes, sizeof bytes);
        bench_times_add(times, bench_now_s() - begin);
    }
}

void bench_corpus_release(bench_corpus *corpus)
{
    free(corpus->bytes);
    free(corpus->ends);
}

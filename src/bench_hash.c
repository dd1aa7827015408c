/* bench_hash.c - SHA-256 by OpenSSL alone, on any number of threads: what verify is held against.
 * Edge: of the library only trail.h; includes <openssl/...>; never installed.
 * SPDX-License-Identifier: MIT
 */
#include "bench.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS_MAX = 64 };

/* What one thread hashes: a run of the items of a corpus, which begins anew at its end. */
typedef struct share {
    pthread_t thread;
    const bench_corpus *corpus;
    size_t first;
    size_t count;
    EVP_MD *sha256;
    EVP_MD_CTX *context; /* NULL: a new one for each digest */
} share;

static void digest(const share *s, const uint8_t *bytes, size_t len)
{
    uint8_t hash[EVP_MAX_MD_SIZE];
    bool fine = s->context == NULL
                    ? EVP_Digest(bytes, len, hash, NULL, s->sha256, NULL) == 1
                    : EVP_DigestInit_ex2(s->context, s->sha256, NULL) == 1 &&
                          EVP_DigestUpdate(s->context, bytes, len) == 1 &&
                          EVP_DigestFinal_ex(s->context, hash, NULL) == 1;

    if (!fine) {
        bench_fail("OpenSSL could not compute a hash");
    }
}

static void *hash_share(void *context)
{
    const share *s = context;
    const bench_corpus *corpus = s->corpus;

    for (size_t n = s->first; n < s->first + s->count; n++) {
        size_t i = n % corpus->count;
        size_t from = i == 0 ? 0 : corpus->ends[i - 1];

        digest(s, corpus->bytes + from, corpus->ends[i] - from);
    }
    return NULL;
}

static double hash_all_s(share *shares, unsigned threads)
{
    double begin = bench_now_s();

    for (unsigned i = 1; i < threads; i++) {
        if (pthread_create(&shares[i].thread, NULL, hash_share, &shares[i]) != 0) {
            bench_fail("cannot start a thread");
        }
    }
    hash_share(&shares[0]);
    for (unsigned i = 1; i < threads; i++) {
        (void)pthread_join(shares[i].thread, NULL);
    }
    return bench_now_s() - begin;
}

double bench_hash_s(const bench_corpus *corpus, size_t count, unsigned threads,
                    bool reused)
{
    static share shares[THREADS_MAX];
    double seconds;

    if (threads < 1 || threads > THREADS_MAX) {
        bench_fail("cannot hash on %u threads", threads);
    }
    for (unsigned i = 0; i < threads; i++) {
        size_t first = count * i / threads;

        shares[i].corpus = corpus;
        shares[i].first = first;
        shares[i].count = count * (i + 1) / threads - first;
        /* One each: they would wait for one another at its count of users. */
        shares[i].sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
        shares[i].context = reused ? EVP_MD_CTX_new() : NULL;
        if (shares[i].sha256 == NULL || (reused && shares[i].context == NULL)) {
            bench_fail("OpenSSL has no SHA-256, or no memory");
        }
    }
    seconds = hash_all_s(shares, threads);
    for (unsigned i = 0; i < threads; i++) {
        EVP_MD_CTX_free(shares[i].context);
        EVP_MD_free(shares[i].sha256);
    }
    return seconds;
}

double bench_floor_sha256_parts_s(const bench_parts *parts, size_t records,
                                  unsigned threads, bool reused)
{
    /* Not every record has details, so a record is a little less than three messages. */
    size_t messages = (size_t)((double)parts->messages.count * (double)records /
                               (double)parts->records);

    return bench_hash_s(&parts->messages, messages, threads, reused);
}

/* ---- the messages that verify hashes ---------------------------------------------- */

static void add_message(bench_corpus *to, size_t *room, trail_text tag, trail_text part)
{
    size_t from = to->count == 0 ? 0 : to->ends[to->count - 1];
    size_t end = from + tag.len + part.len;

    if (end > *room) {
        *room = end * 2;
        to->bytes = realloc(to->bytes, *room);
        if (to->bytes == NULL) {
            bench_fail("no memory for %zu bytes of records", *room);
        }
    }
    memcpy(to->bytes + from, tag.data, tag.len);
    memcpy(to->bytes + from + tag.len, part.data, part.len);
    to->ends[to->count++] = end;
}

void bench_parts_copy(trail *t, size_t records, bench_parts *parts_out)
{
    const trail_text leaf = { .data = "", .len = 1 }; /* one byte 0x00 */
    bench_corpus *to = &parts_out->messages;
    const trail_record *record = NULL;
    trail_cursor *cursor = NULL;
    trail_filter filter;
    trail_error err;
    size_t room = 0;

    memset(parts_out, 0, sizeof *parts_out);
    to->ends = bench_alloc(3 * records, sizeof *to->ends);
    trail_filter_init(&filter);
    filter.order = TRAIL_OLDEST_FIRST;
    filter.seq_first = 2;
    filter.limit = records;
    bench_check(trail_query(t, &filter, &cursor, &err), &err, "query");
    for (size_t i = 0; i < records; i++) {
        bench_check(trail_cursor_next(cursor, &record, &err), &err, "next record");
        if (record == NULL) {
            bench_fail("query: only %zu of %zu records", i, records);
        }
        add_message(to, &room, leaf, record->entry);
        add_message(to, &room, trail_str("trail/who/1"), record->who);
        if (record->details.len > 0) {
            add_message(to, &room, trail_str("trail/details/1"), record->details);
        }
    }
    parts_out->records = records;
    trail_cursor_close(cursor);
}

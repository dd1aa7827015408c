/* bench.h - what the parts of the benchmark share.
 * Edge: of the library only trail.h; never installed.
 * SPDX-License-Identifier: MIT
 */
#ifndef TRAIL_BENCH_H
#define TRAIL_BENCH_H

#include "trail.h"

#include <stdio.h>

enum { BENCH_BATCH = 1000, BENCH_ROUNDS_MAX = 101, BENCH_PATH_MAX = 4096 };

/* Nothing is measured after a failure: say what happened and exit(1). */
_Noreturn void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
void bench_check(trail_status status, const trail_error *err, const char *what);
void *bench_alloc(size_t count, size_t len);

double bench_now_s(void);

/* How long each of many like things took. */
typedef struct bench_times {
    double *seconds;
    size_t count;
    size_t room;
} bench_times;

void bench_times_add(bench_times *times, double seconds);
double bench_times_sum(const bench_times *times);
/* The value that a 'part' (0 to 1) of the times do not exceed; sorts them. */
double bench_times_at(bench_times *times, double part);
void bench_times_reset(bench_times *times);

/* ---- events ----------------------------------------------------------------------- */

/* Whole batches of made-up events, about 265 bytes of content each. The same ones in
 * every run. */
typedef struct bench_pool {
    trail_event *events;
    uint8_t (*ids)[TRAIL_ID_LEN]; /* room for one batch */
    size_t count;
    uint64_t random;
    char *texts;
} bench_pool;

void bench_pool_init(bench_pool *pool);
void bench_pool_release(bench_pool *pool);
/* Bytes of content of an event, on average. */
double bench_pool_content_len(const bench_pool *pool);
/* Batch number 'n'; counts on from the first when the pool is at its end. */
trail_event *bench_pool_batch(bench_pool *pool, size_t n);
/* The same with new random ids in the events; valid until the next call. */
trail_event *bench_pool_batch_with_ids(bench_pool *pool, size_t n);
void bench_pool_write_jsonl(bench_pool *pool, const char *path, size_t lines);

/* Stored values as trail wrote them, copied into memory. */
typedef struct bench_corpus {
    uint8_t *bytes;
    size_t *ends; /* of each record in 'bytes' */
    size_t count;
} bench_corpus;

/* ---- what is measured ------------------------------------------------------------- */

/* Appends take 'count' batches from number 'first' on, and note how long each one took. */
trail *bench_trail_new(const char *path);
void bench_trail_append(trail *t, bench_pool *pool, size_t first, size_t count,
                        bool with_ids, bench_times *times);
void bench_trail_single(trail *t, bench_pool *pool, size_t count, bench_times *times);
double bench_trail_verify_s(trail *t);
/* Scan for two conditions that some, not most, events meet. */
double bench_trail_count_s(trail *t);
void bench_trail_copy(trail *t, size_t count, bench_corpus *corpus_out);

typedef struct bench_sqlite bench_sqlite;
bench_sqlite *bench_sqlite_new(const char *path);
void bench_sqlite_append(bench_sqlite *to, bench_pool *pool, size_t first, size_t count,
                         bench_times *times);
void bench_sqlite_close(bench_sqlite *to);

typedef struct bench_floor bench_floor;
bench_floor *bench_floor_new(const char *path);
void bench_floor_append(bench_floor *to, const bench_corpus *corpus, size_t first,
                        size_t count, bench_times *times);
double bench_floor_sha256_s(bench_floor *to, const bench_corpus *corpus, size_t records);
double bench_floor_sha256_reused_s(bench_floor *to, const bench_corpus *corpus,
                                   size_t records);
void bench_floor_single(bench_floor *to, size_t count, bench_times *times);
void bench_floor_close(bench_floor *to);
void bench_corpus_release(bench_corpus *corpus);

/* Run a program to its end; it must exit with 0. The peak is of anonymous memory, of the
 * program and all its children together, looked at every 20 ms. */
void bench_child_run(const char *const argv[], double *seconds_out, double *peak_mib_out);

/* ---- figures ---------------------------------------------------------------------- */

typedef enum bench_figure {
    BENCH_APPEND_VS_SQLITE,
    BENCH_APPEND_VS_FLOOR,
    BENCH_VERIFY_VS_SHA256,
    BENCH_SINGLE_VS_FDATASYNC,
    BENCH_IMPORT_RSS,
    BENCH_APPEND,
    BENCH_APPEND_P50,
    BENCH_APPEND_P99,
    BENCH_APPEND_IDS,
    BENCH_SQLITE,
    BENCH_FLOOR,
    BENCH_VERIFY,
    BENCH_SHA256,
    BENCH_SHA256_REUSED,
    BENCH_VERIFY_VS_SHA256_REUSED,
    BENCH_COUNT,
    BENCH_SINGLE_P50,
    BENCH_SINGLE_P99,
    BENCH_FDATASYNC_P50,
    BENCH_CONTENT_LEN,
    BENCH_STORED_LEN,
    BENCH_FILE_LEN,
    BENCH_IMPORT,
    BENCH_IMPORT_PEAK,
    BENCH_VERIFY_CLI,
    BENCH_VERIFY_CLI_PEAK,
    BENCH_FIGURE_COUNT
} bench_figure;

typedef struct bench_plan {
    size_t events; /* per round and system */
    size_t rounds;
    size_t lines; /* of the import */
    char build[BENCH_PATH_MAX / 4];
} bench_plan;

void bench_note(bench_figure figure, double value);
void bench_report_table(const bench_plan *plan);
void bench_report_json(const bench_plan *plan, const char *path);

/* ---- SHA-256 on several threads --------------------------------------------------- */

/* Hash 'count' items of a corpus, which begins anew at its end, on so many threads (at most 64):
 * one call of OpenSSL's each, or with 'reused' one context for each thread. */
double bench_hash_s(const bench_corpus *corpus, size_t count, unsigned threads,
                    bool reused);

/* Just what verify has to hash of records: each entry, who and details with its tag. */
typedef struct bench_parts {
    bench_corpus messages; /* bench_corpus_release gives it back */
    size_t records;        /* that they come from */
} bench_parts;

void bench_parts_copy(trail *t, size_t records, bench_parts *parts_out);
/* The messages of so many records. */
double bench_floor_sha256_parts_s(const bench_parts *parts, size_t records,
                                  unsigned threads, bool reused);

#endif

/* bench.h - what the parts of the benchmark share.
 * Edge: of the library only trail.h; never installed.
 * SPDX-License-Identifier: MIT
 */
#ifndef TRAIL_BENCH_H
#define TRAIL_BENCH_H

#include "trail.h"

#include <stdio.h>
#include <sys/types.h>

enum {
    BENCH_BATCH = 1000,
    BENCH_ROUNDS_MAX = 101,
    BENCH_PATH_MAX = 4096,
    BENCH_SMALL = 1000000, /* what the goals call 1 M, and the most a peer gets */
    BENCH_BIG = 10000000   /* and 10 M */
};

typedef struct bench_plan {
    size_t events;       /* of the largest trail */
    size_t round_events; /* per round and system, without an index */
    size_t rounds;
    size_t lines;  /* of the import */
    bool postgres; /* also measure it */
    char build[BENCH_PATH_MAX / 4];
    char lua[BENCH_PATH_MAX / 4]; /* the interpreter */
} bench_plan;

/* Set before anything is measured, and only read afterwards. */
extern bench_plan bench_the_plan;

/* How many events each system gets where systems are compared. */
size_t bench_small(void);

/* ---- tools ------------------------------------------------------------------------ */

/* Nothing is measured after a failure: say what happened and exit(1). */
_Noreturn void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
void bench_check(trail_status status, const trail_error *err, const char *what);
void *bench_alloc(size_t count, size_t len);

double bench_now_s(void);
void bench_sleep_ms(long ms);

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

/* The scratch directory, build/bench.tmp. Its name is fixed, so that what is removed can
 * only be ours, left by a run that was killed. */
void bench_scratch_make(void);
void bench_scratch_remove(void);
const char *bench_in_scratch(char path[BENCH_PATH_MAX], const char *name);
void bench_discard(const char *name);
double bench_scratch_free_mib(void);
/* Whatever the side before left behind must not reach the disk while the next one is
 * timed. */
void bench_settle(void);

/* ---- events ----------------------------------------------------------------------- */

enum { BENCH_USERS = 10000, BENCH_USER_LEN_MAX = 32, BENCH_TYPES = 6 };

/* Made-up events, about 270 bytes of text each, the same ones in every run: event number
 * k is a function of k alone. One batch is in memory at a time: what an application hands
 * over it has just made, so it is in the cache. */
typedef struct bench_pool bench_pool;

bench_pool *bench_pool_new(void);
void bench_pool_free(bench_pool *pool);
/* Batch number 'n'; valid until another one is asked for. */
trail_event *bench_pool_batch(bench_pool *pool, size_t n);
/* The same with random ids of the caller's in the events. */
trail_event *bench_pool_batch_with_ids(bench_pool *pool, size_t n);
/* Bytes of text of an event, on average over 'batches' batches. */
double bench_pool_content_len(bench_pool *pool, size_t batches);
void bench_pool_write_jsonl(bench_pool *pool, const char *path, size_t first,
                            size_t lines);
int64_t bench_event_time_us(size_t k);
/* The name of user 0 to BENCH_USERS - 1. User 0 is a service and has a tenth of all
 * events; the others share the rest evenly. */
trail_text bench_user(size_t user, char text[BENCH_USER_LEN_MAX]);
trail_text bench_event_type(size_t type);

/* Stored values as trail wrote them, copied into memory. */
typedef struct bench_corpus {
    uint8_t *bytes;
    size_t *ends; /* of each record in 'bytes' */
    size_t count;
} bench_corpus;

void bench_corpus_release(bench_corpus *corpus);

/* ---- trail ------------------------------------------------------------------------ */

/* Appends take 'count' batches from number 'first' on, and note how long each one took. */
trail *bench_trail_new(const char *path, trail_indexing indexing);
trail *bench_trail_open(const char *path);
void bench_trail_append(trail *t, bench_pool *pool, size_t first, size_t count,
                        bool with_ids, bench_times *times);
/* Returns when a query finds everything by the index, but for less than a segment. */
void bench_trail_wait_index(trail *t);
void bench_trail_single(trail *t, bench_pool *pool, size_t count, bench_times *times);
/* 'threads' as in trail_verify_options. */
double bench_trail_verify_s(trail *t, unsigned threads);
/* Scan for two conditions that some, not most, events meet. */
double bench_trail_count_s(trail *t);
/* Events of a user and of an event type: how many, and how long that took. */
double bench_trail_count_and_s(trail *t, trail_text user, trail_text type,
                               uint64_t *count_out);
/* The 100 newest events of a user: how many there are, and how long it took. */
double bench_trail_page_s(trail *t, trail_text user, size_t *count_out);
void bench_trail_copy(trail *t, size_t count, bench_corpus *corpus_out);

/* ---- peers ------------------------------------------------------------------------ */

typedef struct bench_sqlite bench_sqlite;
/* 'indexed': with the seven indexes of the system that trail replaces. */
bench_sqlite *bench_sqlite_new(const char *path, bool indexed);
void bench_sqlite_append(bench_sqlite *to, bench_pool *pool, size_t first, size_t count,
                         bench_times *times);
/* What the planner wants to know; and an index made for count(user AND type). */
void bench_sqlite_analyze(bench_sqlite *to);
void bench_sqlite_add_composite(bench_sqlite *to);
double bench_sqlite_count_and_s(bench_sqlite *to, trail_text user, trail_text type,
                                uint64_t *count_out);
double bench_sqlite_page_s(bench_sqlite *to, trail_text user, size_t *count_out);
const char *bench_sqlite_settings(void);
void bench_sqlite_close(bench_sqlite *to);

/* A Postgres server of our own in the scratch directory, not reachable from outside. */
typedef struct bench_cluster bench_cluster;
/* NULL: there can be none here, and bench_missing() was told why. */
bench_cluster *bench_cluster_start(void);
/* The directory of its socket, for libpq. */
const char *bench_cluster_socket(const bench_cluster *cluster);
void bench_cluster_stop(bench_cluster *cluster);

typedef struct bench_postgres bench_postgres;
/* Connect, and make the table. */
bench_postgres *bench_postgres_new(const char *socket);
void bench_postgres_copy(bench_postgres *to, bench_pool *pool, size_t first, size_t count,
                         bench_times *times);
/* Prepared INSERTs of one row, each committed. */
void bench_postgres_single(bench_postgres *to, bench_pool *pool, size_t first,
                           size_t count, bench_times *times);
/* Take events from number 'first' on out again. */
void bench_postgres_forget(bench_postgres *to, size_t first);
void bench_postgres_analyze(bench_postgres *to);
double bench_postgres_page_s(bench_postgres *to, trail_text user, size_t *count_out);
/* "15.18 (Debian ...)" of the server; empty: there was none. */
const char *bench_postgres_version(void);
const char *bench_postgres_settings(void);
void bench_postgres_close(bench_postgres *to);

typedef struct bench_floor bench_floor;
bench_floor *bench_floor_new(const char *path);
void bench_floor_append(bench_floor *to, const bench_corpus *corpus, size_t first,
                        size_t count, bench_times *times);
double bench_floor_sha256_s(bench_floor *to, const bench_corpus *corpus, size_t records);
double bench_floor_sha256_reused_s(bench_floor *to, const bench_corpus *corpus,
                                   size_t records);
void bench_floor_single(bench_floor *to, size_t count, bench_times *times);
void bench_floor_close(bench_floor *to);

/* ---- other programs --------------------------------------------------------------- */

/* Start a program that dies with us. 'output': where its stdout goes; NULL: nowhere.
 * 'log': its stderr; NULL: ours. 'directory': where it runs; NULL: here. 'user': as whom;
 * NULL: as we are. */
typedef struct bench_child {
    const char *const *argv;
    const char *output;
    const char *log;
    const char *directory;
    const struct bench_user_ids *user;
    int death_signal; /* 0: SIGKILL */
} bench_child;

typedef struct bench_user_ids {
    const char *name;
    uid_t uid;
    gid_t gid;
} bench_user_ids;

/* Returns when the program itself runs. */
pid_t bench_child_start(const bench_child *child);
/* Wait for its end; whether it exited with 0. */
bool bench_child_wait(pid_t pid);
/* Run a program to its end; it must exit with 0. The peak is of anonymous memory, of the
 * program and all its children together, looked at every 20 ms. */
void bench_child_run(const char *const argv[], const char *output, double *seconds_out,
                     double *peak_mib_out);

/* ---- what is measured, in this order ------------------------------------------------ */

void bench_measure_rounds(void);
/* Appending with an index, against SQLite and Postgres, and questions to all three. */
void bench_measure_indexed(void);
void bench_measure_callers(void);
void bench_measure_lua(void);
/* "Lua 5.4", as the script said; empty before it ran. */
const char *bench_lua_version(void);
void bench_measure_import(void);
void bench_measure_big(void);
/* bench --child PATH: append plan.events to a new trail, and print figures. */
void bench_child_main(const char *path);

/* ---- figures ---------------------------------------------------------------------- */

typedef enum bench_figure {
    /* goals of issue 3 */
    BENCH_INDEXED_VS_SQLITE,
    BENCH_INDEXED_VS_APPEND,
    BENCH_BIG_VS_SMALL,
    BENCH_INDEXED_P99,
    BENCH_INDEXED_MAX,
    BENCH_SINGLE_VS_FDATASYNC,
    BENCH_GROUP64_VS_SINGLE,
    BENCH_GROUP256_VS_SINGLE,
    BENCH_LUA_VS_C,
    BENCH_PAGE_BIG_P99,
    BENCH_COUNT_AND_VS_SQLITE,
    BENCH_PAGE_VS_POSTGRES,
    BENCH_INDEX_LEN,
    BENCH_LOG_VS_CONTENT,
    BENCH_VERIFY_VS_SHA256,
    BENCH_BIG_RSS,
    /* goals of the engine */
    BENCH_APPEND_VS_FLOOR,
    BENCH_VERIFY1_VS_SHA256,
    BENCH_IMPORT_RSS,
    /* with the index */
    BENCH_INDEXED,
    BENCH_MANUAL,
    BENCH_INDEXED_SMALL_P99,
    BENCH_SQLITE_INDEXED,
    BENCH_POSTGRES_COPY,
    BENCH_POSTGRES_INSERT,
    BENCH_INDEXED_VS_POSTGRES,
    BENCH_BIG_APPEND,
    BENCH_BIG_SMALL_APPEND,
    BENCH_PAGE_BIG_P50,
    BENCH_PAGE_P50,
    BENCH_PAGE_P99,
    BENCH_PAGE_SQLITE,
    BENCH_PAGE_POSTGRES,
    BENCH_COUNT_AND,
    BENCH_COUNT_AND_SQLITE,
    BENCH_COUNT_FEW,
    BENCH_COUNT_FEW_SQLITE,
    BENCH_COUNT_FEW_VS_SQLITE,
    BENCH_LOG_VS_TEXTS,
    /* many callers, and Lua */
    BENCH_GROUP1,
    BENCH_GROUP64,
    BENCH_GROUP256,
    BENCH_SUBMIT,
    BENCH_LUA,
    BENCH_LUA_C,
    /* without an index */
    BENCH_APPEND_VS_SQLITE,
    BENCH_APPEND,
    BENCH_APPEND_P50,
    BENCH_APPEND_P99,
    BENCH_APPEND_IDS,
    BENCH_SQLITE,
    BENCH_FLOOR,
    BENCH_VERIFY,
    BENCH_VERIFY1,
    BENCH_SHA256,
    BENCH_SHA256_ONE,
    BENCH_SHA256_REUSED,
    BENCH_VERIFY_VS_SHA256_REUSED,
    BENCH_VERIFY_VS_SHA256_PARTS,
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

void bench_note(bench_figure figure, double value);
/* The median of what was noted so far; something must have been. */
double bench_noted(bench_figure figure);
/* Why something was not measured: a line under the table. */
void bench_missing(const char *format, ...) __attribute__((format(printf, 1, 2)));
void bench_report_table(void);
void bench_report_json(const char *path);

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

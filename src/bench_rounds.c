/* bench_rounds.c - rounds of appending and reading without an index: the engine alone.
 * Edge: of the library only trail.h; never installed.
 * SPDX-License-Identifier: MIT
 */
#include "bench.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    TURN_BATCHES = 10, /* batches in a row by one side */
    SINGLE_TURNS = 10, /* per round */
    SINGLE_COUNT = 20, /* single appends in a row */
    READ_TURNS = 3,
    LEN_BATCHES = 20,
    CORPUS_MAX = 100000 /* records in memory, hashed again and again */
};

/* ---- one round -------------------------------------------------------------------- */

typedef struct sides {
    bench_pool *pool;
    bench_corpus corpus;
    trail *log;
    trail *log_ids; /* whose events bring ids of their own */
    bench_sqlite *sqlite;
    bench_floor *floor;
} sides;

static double rate(double seconds)
{
    return (double)bench_the_plan.round_events / seconds;
}

static void make_sides(sides *s)
{
    char path[BENCH_PATH_MAX];

    s->log = bench_trail_new(bench_in_scratch(path, "audit.trail"), TRAIL_INDEX_MANUAL);
    s->log_ids = bench_trail_new(bench_in_scratch(path, "ids.trail"), TRAIL_INDEX_MANUAL);
    s->sqlite = bench_sqlite_new(bench_in_scratch(path, "sqlite.db"), false);
    s->floor = bench_floor_new(bench_in_scratch(path, "floor"));
}

static void discard_sides(sides *s)
{
    trail_close(s->log);
    trail_close(s->log_ids);
    bench_sqlite_close(s->sqlite);
    bench_floor_close(s->floor);
    bench_discard("audit.trail");
    bench_discard("ids.trail");
    bench_discard("sqlite.db");
    bench_discard("floor");
    bench_settle();
}

/* Sizes of what trail stores, from a trail of its own, before the first round. */
static void make_corpus(sides *s)
{
    char path[BENCH_PATH_MAX];
    trail *t =
        bench_trail_new(bench_in_scratch(path, "corpus.trail"), TRAIL_INDEX_MANUAL);
    size_t events = bench_the_plan.round_events;
    size_t count = events < CORPUS_MAX ? events : CORPUS_MAX;
    bench_times times = { 0 };

    bench_trail_append(t, s->pool, 0, count / BENCH_BATCH, false, &times);
    bench_times_reset(&times);
    bench_trail_copy(t, count, &s->corpus);
    trail_close(t);
    bench_discard("corpus.trail");
}

static void measure_batches(sides *s)
{
    bench_times ours = { 0 };
    bench_times ids = { 0 };
    bench_times sqlite = { 0 };
    bench_times floor = { 0 };
    size_t batches = bench_the_plan.round_events / BENCH_BATCH;
    double append;

    for (size_t n = 0; n < batches; n += TURN_BATCHES) {
        size_t count = batches - n < TURN_BATCHES ? batches - n : TURN_BATCHES;

        bench_trail_append(s->log, s->pool, n, count, false, &ours);
        bench_sqlite_append(s->sqlite, s->pool, n, count, &sqlite);
        bench_floor_append(s->floor, &s->corpus, n, count, &floor);
        bench_trail_append(s->log_ids, s->pool, n, count, true, &ids);
    }
    append = rate(bench_times_sum(&ours));
    bench_note(BENCH_APPEND, append);
    bench_note(BENCH_APPEND_P50, bench_times_at(&ours, 0.5) * 1e3);
    bench_note(BENCH_APPEND_P99, bench_times_at(&ours, 0.99) * 1e3);
    bench_note(BENCH_APPEND_IDS, rate(bench_times_sum(&ids)));
    bench_note(BENCH_SQLITE, rate(bench_times_sum(&sqlite)));
    bench_note(BENCH_FLOOR, rate(bench_times_sum(&floor)));
    bench_note(BENCH_APPEND_VS_SQLITE, append / rate(bench_times_sum(&sqlite)));
    bench_note(BENCH_APPEND_VS_FLOOR, append / rate(bench_times_sum(&floor)));
    bench_times_reset(&ours);
    bench_times_reset(&ids);
    bench_times_reset(&sqlite);
    bench_times_reset(&floor);
}

static void measure_sizes(sides *s)
{
    size_t stored_len = s->corpus.ends[s->corpus.count - 1];
    trail_info info;
    trail_error err;

    bench_check(trail_get_info(s->log, &info, &err), &err, "info");
    bench_note(BENCH_CONTENT_LEN, bench_pool_content_len(s->pool, LEN_BATCHES));
    bench_note(BENCH_STORED_LEN, (double)stored_len / (double)s->corpus.count);
    bench_note(BENCH_FILE_LEN,
               (double)info.file_len / (double)bench_the_plan.round_events);
}

/* One core against one core, then all against all. */
static void measure_reading(sides *s)
{
    size_t records = bench_the_plan.round_events;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    bench_parts parts;

    bench_parts_copy(s->log, s->corpus.count, &parts);
    bench_settle();
    for (int i = 0; i < READ_TURNS; i++) {
        double verify1 = rate(bench_trail_verify_s(s->log, 1));
        double sha256 = rate(bench_floor_sha256_s(s->floor, &s->corpus, records));
        double reused = rate(bench_floor_sha256_reused_s(s->floor, &s->corpus, records));
        double verify = rate(bench_trail_verify_s(s->log, 0));
        double raw = rate(bench_hash_s(&s->corpus, records, (unsigned)cores, false));
        double messages =
            rate(bench_floor_sha256_parts_s(&parts, records, (unsigned)cores, true));

        bench_note(BENCH_VERIFY1, verify1);
        bench_note(BENCH_SHA256_ONE, sha256);
        bench_note(BENCH_SHA256_REUSED, reused);
        bench_note(BENCH_VERIFY1_VS_SHA256, verify1 / sha256);
        bench_note(BENCH_VERIFY_VS_SHA256_REUSED, verify1 / reused);
        bench_note(BENCH_VERIFY, verify);
        bench_note(BENCH_SHA256, raw);
        bench_note(BENCH_VERIFY_VS_SHA256, verify / raw);
        bench_note(BENCH_VERIFY_VS_SHA256_PARTS, verify / messages);
        bench_note(BENCH_COUNT, rate(bench_trail_count_s(s->log)));
    }
    bench_corpus_release(&parts.messages);
}

/* Medians: one sync in a hundred waits for something else on the disk, on either side. */
static void measure_single(sides *s)
{
    bench_times ours = { 0 };
    bench_times bare = { 0 };
    double p50;
    double bare_p50;

    bench_settle();
    for (int i = 0; i < SINGLE_TURNS; i++) {
        bench_trail_single(s->log, s->pool, SINGLE_COUNT, &ours);
        bench_floor_single(s->floor, SINGLE_COUNT, &bare);
    }
    p50 = bench_times_at(&ours, 0.5);
    bare_p50 = bench_times_at(&bare, 0.5);
    bench_note(BENCH_SINGLE_P50, p50 * 1e6);
    bench_note(BENCH_SINGLE_P99, bench_times_at(&ours, 0.99) * 1e6);
    bench_note(BENCH_FDATASYNC_P50, bare_p50 * 1e6);
    bench_note(BENCH_SINGLE_VS_FDATASYNC, p50 / bare_p50);
    bench_times_reset(&ours);
    bench_times_reset(&bare);
}

static void measure_round(sides *s)
{
    make_sides(s);
    measure_batches(s);
    measure_sizes(s);
    measure_reading(s);
    measure_single(s);
    discard_sides(s);
}

void bench_measure_rounds(void)
{
    sides s = { .pool = bench_pool_new() };

    make_corpus(&s);
    for (size_t i = 0; i < bench_the_plan.rounds; i++) {
        (void)fprintf(stderr, "round %zu of %zu, without an index\n", i + 1,
                      bench_the_plan.rounds);
        measure_round(&s);
    }
    bench_corpus_release(&s.corpus);
    bench_pool_free(s.pool);
}

/* bench_indexed.c - appending with an index, and questions, against SQLite and Postgres.
 * Edge: of the library only trail.h; never installed.
 * SPDX-License-Identifier: MIT
 *
 * SQLite and Postgres get slower as they fill, and take long: each fills one database, a
 * part of it per turn. trail fills a new trail in every turn, as far as they get in all.
 */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

enum {
    TURNS = 4,
    INSERTS = 200, /* by prepared INSERT, per turn */
    USERS = 200,   /* asked for, per turn */
    QUESTION_TURNS = 4,
    ID_LEN = TRAIL_ID_LEN + 8 /* what an event has besides texts: its id and its time */
};

typedef struct sides {
    bench_pool *pool;
    bench_sqlite *sqlite;
    bench_cluster *cluster; /* NULL: no Postgres here */
    bench_postgres *postgres;
    bench_times sqlite_times;
    bench_times copy_times;
    bench_times insert_times;
} sides;

/* ---- appending -------------------------------------------------------------------- */

/* All that a program waits for: making the events, appending them, and for the index. */
static double append_s(bench_pool *pool, const char *name, trail_indexing indexing,
                       bench_times *times)
{
    char path[BENCH_PATH_MAX];
    trail *t;
    double begin;
    double seconds;

    bench_discard(name);
    bench_settle();
    t = bench_trail_new(bench_in_scratch(path, name), indexing);
    begin = bench_now_s();
    bench_trail_append(t, pool, 0, bench_small() / BENCH_BATCH, false, times);
    if (indexing != TRAIL_INDEX_MANUAL) {
        bench_trail_wait_index(t);
    }
    seconds = bench_now_s() - begin;
    trail_close(t);
    return seconds;
}

/* Who comes first changes from turn to turn. */
static void append_turn(sides *s, size_t turn)
{
    bench_times times = { 0 };
    bench_times plain = { 0 };
    double manual_s = 0;
    double indexed_s;

    if (turn % 2 == 1) {
        manual_s = append_s(s->pool, "manual.trail", TRAIL_INDEX_MANUAL, &plain);
    }
    indexed_s = append_s(s->pool, "indexed.trail", TRAIL_INDEX_BACKGROUND, &times);
    if (turn % 2 == 0) {
        manual_s = append_s(s->pool, "manual.trail", TRAIL_INDEX_MANUAL, &plain);
    }
    bench_discard("manual.trail");
    bench_note(BENCH_INDEXED, (double)bench_small() / indexed_s);
    bench_note(BENCH_MANUAL, (double)bench_small() / manual_s);
    bench_note(BENCH_INDEXED_VS_APPEND, manual_s / indexed_s);
    bench_note(BENCH_INDEXED_SMALL_P99, bench_times_at(&times, 0.99) * 1e3);
    bench_note(BENCH_INDEXED_MAX, bench_times_at(&times, 1) * 1e3);
    bench_times_reset(&times);
    bench_times_reset(&plain);
}

static void peer_turn(sides *s, size_t turn)
{
    size_t batches = bench_small() / BENCH_BATCH;
    size_t first = batches * turn / TURNS;
    size_t count = batches * (turn + 1) / TURNS - first;

    bench_settle();
    bench_sqlite_append(s->sqlite, s->pool, first, count, &s->sqlite_times);
    if (s->postgres != NULL) {
        bench_settle();
        bench_postgres_copy(s->postgres, s->pool, first, count, &s->copy_times);
        bench_postgres_single(s->postgres, s->pool, bench_small() + turn * INSERTS,
                              INSERTS, &s->insert_times);
    }
}

static void note_rates(sides *s)
{
    double sqlite = (double)bench_small() / bench_times_sum(&s->sqlite_times);
    double indexed = bench_noted(BENCH_INDEXED);

    bench_note(BENCH_SQLITE_INDEXED, sqlite);
    bench_note(BENCH_INDEXED_VS_SQLITE, indexed / sqlite);
    if (s->postgres != NULL) {
        double copy = (double)bench_small() / bench_times_sum(&s->copy_times);

        bench_note(BENCH_POSTGRES_COPY, copy);
        bench_note(BENCH_POSTGRES_INSERT,
                   TURNS * INSERTS / bench_times_sum(&s->insert_times));
        bench_note(BENCH_INDEXED_VS_POSTGRES, indexed / copy);
    }
    bench_times_reset(&s->sqlite_times);
    bench_times_reset(&s->copy_times);
    bench_times_reset(&s->insert_times);
}

static void measure_sizes(sides *s, trail *t)
{
    double content = bench_pool_content_len(s->pool, 20);
    double events = (double)bench_small();
    trail_index_info index;
    trail_info info;
    trail_error err;

    bench_check(trail_get_info(t, &info, &err), &err, "info");
    bench_check(trail_get_index_info(t, &index, &err), &err, "index info");
    bench_note(BENCH_LOG_VS_CONTENT,
               (double)info.file_len / (events * (content + ID_LEN)));
    bench_note(BENCH_LOG_VS_TEXTS, (double)info.file_len / (events * content));
    if (bench_the_plan.events < BENCH_BIG) { /* or it will be told at that size */
        bench_note(BENCH_INDEX_LEN, (double)index.file_len / events);
        bench_note(BENCH_INDEXED_P99, bench_noted(BENCH_INDEXED_SMALL_P99));
    }
}

/* ---- questions -------------------------------------------------------------------- */

/* A user for each question, another one each time; never the service, if not asked for. */
static trail_text user_of(size_t turn, size_t i, char text[BENCH_USER_LEN_MAX])
{
    return bench_user(1 + (turn * USERS + i) * 7 % (BENCH_USERS - 1), text);
}

static void expect_same(const char *what, size_t ours, size_t theirs)
{
    if (ours != theirs) {
        bench_fail("%s: trail finds %zu, the other %zu", what, ours, theirs);
    }
}

/* One after the other for the same user. */
static void page_turn(sides *s, trail *t, size_t turn)
{
    char text[BENCH_USER_LEN_MAX];
    bench_times ours = { 0 };
    bench_times sqlite = { 0 };
    bench_times postgres = { 0 };
    double p50;

    for (size_t i = 0; i < USERS; i++) {
        trail_text user = user_of(turn, i, text);
        size_t count;
        size_t other;

        bench_times_add(&ours, bench_trail_page_s(t, user, &count));
        bench_times_add(&sqlite, bench_sqlite_page_s(s->sqlite, user, &other));
        expect_same("page", count, other);
        if (s->postgres != NULL) {
            bench_times_add(&postgres, bench_postgres_page_s(s->postgres, user, &other));
            expect_same("page", count, other);
        }
    }
    if (turn > 0) { /* the first one has warmed up */
        p50 = bench_times_at(&ours, 0.5);
        bench_note(BENCH_PAGE_P50, p50 * 1e6);
        bench_note(BENCH_PAGE_P99, bench_times_at(&ours, 0.99) * 1e6);
        bench_note(BENCH_PAGE_SQLITE, bench_times_at(&sqlite, 0.5) * 1e6);
        if (s->postgres != NULL) {
            bench_note(BENCH_PAGE_POSTGRES, bench_times_at(&postgres, 0.5) * 1e6);
            bench_note(BENCH_PAGE_VS_POSTGRES, bench_times_at(&postgres, 0.5) / p50);
        }
    }
    bench_times_reset(&ours);
    bench_times_reset(&sqlite);
    bench_times_reset(&postgres);
}

/* Counts of events of the service, or of some users, and of an event type: medians. */
static void count_turn(sides *s, trail *t, size_t turn, bool service, double *ours_out,
                       double *sqlite_out)
{
    char text[BENCH_USER_LEN_MAX];
    bench_times ours = { 0 };
    bench_times sqlite = { 0 };

    for (size_t i = 0; i < USERS; i++) {
        trail_text user = service ? bench_user(0, text) : user_of(turn, i, text);
        trail_text type = bench_event_type(i % BENCH_TYPES);
        uint64_t count;
        uint64_t other;

        bench_times_add(&ours, bench_trail_count_and_s(t, user, type, &count));
        bench_times_add(&sqlite, bench_sqlite_count_and_s(s->sqlite, user, type, &other));
        expect_same("count", (size_t)count, (size_t)other);
        if (service && i >= USERS / 10) { /* these take SQLite long */
            break;
        }
    }
    *ours_out = bench_times_at(&ours, 0.5);
    *sqlite_out = bench_times_at(&sqlite, 0.5);
    bench_times_reset(&ours);
    bench_times_reset(&sqlite);
}

static void note_counts(bool service, double ours, double sqlite)
{
    bench_note(service ? BENCH_COUNT_AND : BENCH_COUNT_FEW, ours * 1e6);
    bench_note(service ? BENCH_COUNT_AND_SQLITE : BENCH_COUNT_FEW_SQLITE, sqlite * 1e6);
    bench_note(service ? BENCH_COUNT_AND_VS_SQLITE : BENCH_COUNT_FEW_VS_SQLITE,
               sqlite / ours);
}

/* SQLite's best: with an index of both columns, unless it is faster without. */
static void measure_counts(sides *s, trail *t)
{
    double before[2] = { 0, 0 };
    double ours;
    double sqlite;

    for (int service = 0; service < 2; service++) {
        count_turn(s, t, 0, service == 1, &ours, &before[service]);
    }
    bench_sqlite_add_composite(s->sqlite);
    for (size_t turn = 0; turn <= QUESTION_TURNS; turn++) {
        for (int service = 0; service < 2; service++) {
            count_turn(s, t, turn, service == 1, &ours, &sqlite);
            if (turn > 0) {
                sqlite = sqlite < before[service] ? sqlite : before[service];
                note_counts(service == 1, ours, sqlite);
            }
        }
    }
}

static void measure_questions(sides *s)
{
    char path[BENCH_PATH_MAX];
    trail *t = bench_trail_open(bench_in_scratch(path, "indexed.trail"));

    bench_sqlite_analyze(s->sqlite);
    if (s->postgres != NULL) {
        /* What was inserted one by one, the others do not have. */
        bench_postgres_forget(s->postgres, bench_small());
        bench_postgres_analyze(s->postgres);
    }
    bench_settle();
    for (size_t turn = 0; turn <= QUESTION_TURNS; turn++) {
        page_turn(s, t, turn);
    }
    measure_counts(s, t);
    measure_sizes(s, t);
    trail_close(t);
}

/* ---- all of it -------------------------------------------------------------------- */

void bench_measure_indexed(void)
{
    char path[BENCH_PATH_MAX];
    sides s = { .pool = bench_pool_new() };

    if (bench_the_plan.postgres) {
        s.cluster = bench_cluster_start();
    }
    if (s.cluster != NULL) {
        s.postgres = bench_postgres_new(bench_cluster_socket(s.cluster));
    }
    s.sqlite = bench_sqlite_new(bench_in_scratch(path, "sqlite.db"), true);
    for (size_t turn = 0; turn < TURNS; turn++) {
        (void)fprintf(stderr, "turn %zu of %d, indexed, %zu events in all\n", turn + 1,
                      TURNS, bench_small());
        append_turn(&s, turn);
        peer_turn(&s, turn);
    }
    note_rates(&s);
    (void)fprintf(stderr, "questions\n");
    measure_questions(&s);
    bench_sqlite_close(s.sqlite);
    if (s.postgres != NULL) {
        bench_postgres_close(s.postgres);
    }
    if (s.cluster != NULL) {
        bench_cluster_stop(s.cluster);
    }
    bench_discard("sqlite.db");
    bench_discard("indexed.trail");
    bench_pool_free(s.pool);
}

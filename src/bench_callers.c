/* bench_callers.c - many callers at once, those that do not wait, and Lua.
 * Edge: of the library only trail.h; never installed.
 * SPDX-License-Identifier: MIT
 */
#include "bench.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    GROUP_TURNS = 4,
    GROUP_MS = 500,
    CALLERS_MAX = 256,
    SUBMIT_BATCHES = 200,
    LUA_TURNS = 4,
    LUA_BATCHES = 100
};

/* ---- many callers ----------------------------------------------------------------- */

typedef struct group {
    trail *log;
    const trail_event *events; /* BENCH_BATCH, for all to read */
    pthread_barrier_t start;
    atomic_bool stop;
    atomic_bool failed;
} group;

typedef struct caller {
    group *group;
    pthread_t thread;
    size_t number;
    size_t count;
} caller;

/* Each waits for its own event to be durable before it comes with the next. */
static void *call(void *argument)
{
    caller *c = argument;
    group *g = c->group;

    (void)pthread_barrier_wait(&g->start);
    while (!atomic_load_explicit(&g->stop, memory_order_relaxed)) {
        size_t i = (c->number * 37 + c->count) % BENCH_BATCH;
        trail_error err;

        if (trail_append(g->log, &g->events[i], NULL, &err) != TRAIL_OK) {
            (void)fprintf(stderr, "bench: caller %zu: %s\n", c->number, err.text);
            atomic_store(&g->failed, true);
            break;
        }
        c->count++;
    }
    return NULL;
}

/* Events per second of that many callers. */
static double group_rate(trail *t, bench_pool *pool, size_t callers)
{
    static caller all[CALLERS_MAX];
    group g = { .log = t, .events = bench_pool_batch(pool, 0) };
    size_t count = 0;
    double begin;
    double seconds;

    bench_settle();
    if (pthread_barrier_init(&g.start, NULL, (unsigned)callers + 1) != 0) {
        bench_fail("cannot make a barrier");
    }
    for (size_t i = 0; i < callers; i++) {
        all[i] = (caller){ .group = &g, .number = i };
        if (pthread_create(&all[i].thread, NULL, call, &all[i]) != 0) {
            bench_fail("cannot start thread %zu", i);
        }
    }
    (void)pthread_barrier_wait(&g.start);
    begin = bench_now_s();
    bench_sleep_ms(GROUP_MS);
    atomic_store(&g.stop, true);
    for (size_t i = 0; i < callers; i++) {
        (void)pthread_join(all[i].thread, NULL);
        count += all[i].count;
    }
    seconds = bench_now_s() - begin;
    (void)pthread_barrier_destroy(&g.start);
    if (atomic_load(&g.failed)) {
        bench_fail("a caller could not append");
    }
    return (double)count / seconds;
}

/* ---- submit ----------------------------------------------------------------------- */

/* One event a call, without a ticket; the queue makes us wait when it is full. Until all
 * of them are durable. */
static double submit_rate(trail *t, bench_pool *pool)
{
    trail_error err;
    double begin;

    bench_settle();
    begin = bench_now_s();
    for (size_t n = 0; n < SUBMIT_BATCHES; n++) {
        const trail_event *batch = bench_pool_batch(pool, n);

        for (size_t i = 0; i < BENCH_BATCH; i++) {
            bench_check(trail_submit(t, &batch[i], 1, NULL, &err), &err, "submit");
        }
    }
    bench_check(trail_flush(t, -1, &err), &err, "flush");
    return SUBMIT_BATCHES * BENCH_BATCH / (bench_now_s() - begin);
}

void bench_measure_callers(void)
{
    char path[BENCH_PATH_MAX];
    bench_pool *pool = bench_pool_new();
    trail *t =
        bench_trail_new(bench_in_scratch(path, "callers.trail"), TRAIL_INDEX_BACKGROUND);

    (void)fprintf(stderr, "1, 64 and 256 callers; submit\n");
    for (int turn = 0; turn < GROUP_TURNS; turn++) {
        double one = group_rate(t, pool, 1);
        double many = group_rate(t, pool, 64);
        double most = group_rate(t, pool, CALLERS_MAX);

        bench_note(BENCH_GROUP1, one);
        bench_note(BENCH_GROUP64, many);
        bench_note(BENCH_GROUP256, most);
        bench_note(BENCH_GROUP64_VS_SINGLE, many / one);
        bench_note(BENCH_GROUP256_VS_SINGLE, most / one);
        bench_note(BENCH_SUBMIT, submit_rate(t, pool));
    }
    trail_close(t);
    bench_discard("callers.trail");
    bench_pool_free(pool);
}

/* ---- Lua -------------------------------------------------------------------------- */

static char lua_version[32];

const char *bench_lua_version(void)
{
    return lua_version;
}

/* The seconds that src/bench.lua says its appends took. */
static double lua_s(const char *directory, const char *lines)
{
    char output[BENCH_PATH_MAX];
    double elapsed;
    double peak_mib;
    double seconds = 0;
    FILE *file;

    (void)bench_in_scratch(output, "lua.out");
    bench_child_run((const char *const[]){ bench_the_plan.lua, "src/bench.lua",
                                           bench_the_plan.build, directory, lines, NULL },
                    output, &elapsed, &peak_mib);
    file = fopen(output, "r");
    if (file == NULL || fscanf(file, "%lf %31[^\n]", &seconds, lua_version) != 2 ||
        seconds <= 0) {
        bench_fail("src/bench.lua did not say how long it took");
    }
    (void)fclose(file);
    return seconds;
}

/* The same events by both sides, each into a trail of its own. Neither makes its events,
 * or tables, on the clock, and both have the index made beside them. */
void bench_measure_lua(void)
{
    char path[BENCH_PATH_MAX];
    char directory[BENCH_PATH_MAX];
    char lines[BENCH_PATH_MAX];
    bench_pool *pool = bench_pool_new();
    trail *t = bench_trail_new(bench_in_scratch(path, "c.trail"), TRAIL_INDEX_BACKGROUND);

    (void)bench_in_scratch(directory, "lua.trail");
    (void)bench_in_scratch(lines, "lua.jsonl");
    for (size_t turn = 0; turn < LUA_TURNS; turn++) {
        bench_times times = { 0 };
        double events = LUA_BATCHES * BENCH_BATCH;
        double ours;
        double lua;

        (void)fprintf(stderr, "turn %zu of %d, Lua\n", turn + 1, LUA_TURNS);
        bench_pool_write_jsonl(pool, lines, turn * LUA_BATCHES * BENCH_BATCH,
                               LUA_BATCHES * BENCH_BATCH);
        bench_settle();
        lua = events / lua_s(directory, lines);
        bench_settle();
        bench_trail_append(t, pool, turn * LUA_BATCHES, LUA_BATCHES, false, &times);
        ours = events / bench_times_sum(&times);
        bench_note(BENCH_LUA, lua);
        bench_note(BENCH_LUA_C, ours);
        bench_note(BENCH_LUA_VS_C, lua / ours);
        bench_times_reset(&times);
    }
    trail_close(t);
    bench_discard("c.trail");
    bench_discard("lua.trail");
    bench_pool_free(pool);
}

/* bench_big.c - the largest trail: how fast it grows, in how much memory, and is asked.
 * Edge: of the library only trail.h; never installed.
 * SPDX-License-Identifier: MIT
 *
 * It is filled by a process of its own, this program again, so that its memory is nobody
 * else's; small trails are filled in the same way before and after it.
 */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

enum {
    BYTES_EVENT = 1000, /* of disk, with room to spare */
    SPARE_MIB = 4096,
    USERS = 1000,
    PAGE_TURNS = 5
};

/* What the child prints. */
typedef struct filled {
    double seconds;
    double p99_s;
    double max_s;
} filled;

void bench_child_main(const char *path)
{
    bench_times times = { 0 };
    bench_pool *pool = bench_pool_new();
    trail *t = bench_trail_new(path, TRAIL_INDEX_BACKGROUND);
    double begin = bench_now_s();
    double seconds;

    bench_trail_append(t, pool, 0, bench_the_plan.events / BENCH_BATCH, false, &times);
    bench_trail_wait_index(t);
    seconds = bench_now_s() - begin;
    printf("%.9f %.9f %.9f\n", seconds, bench_times_at(&times, 0.99),
           bench_times_at(&times, 1));
    trail_close(t);
    bench_times_reset(&times);
    bench_pool_free(pool);
}

static filled fill(const char *name, size_t events, double *peak_mib_out)
{
    char path[BENCH_PATH_MAX];
    char output[BENCH_PATH_MAX];
    char count[32];
    double elapsed;
    filled f = { 0, 0, 0 };
    FILE *file;

    bench_discard(name);
    bench_settle();
    (void)bench_in_scratch(path, name);
    (void)bench_in_scratch(output, "child.out");
    (void)snprintf(count, sizeof count, "%zu", events);
    bench_child_run((const char *const[]){ "/proc/self/exe", "--events", count, "--build",
                                           bench_the_plan.build, "--child", path, NULL },
                    output, &elapsed, peak_mib_out);
    file = fopen(output, "r");
    if (file == NULL ||
        fscanf(file, "%lf %lf %lf", &f.seconds, &f.p99_s, &f.max_s) != 3) {
        bench_fail("the child did not say how long it took");
    }
    (void)fclose(file);
    return f;
}

static void measure_pages(trail *t)
{
    char text[BENCH_USER_LEN_MAX];
    size_t count;

    for (size_t turn = 0; turn <= PAGE_TURNS; turn++) {
        bench_times times = { 0 };

        for (size_t i = 0; i < USERS; i++) {
            trail_text user = bench_user(1 + i * 7 % (BENCH_USERS - 1), text);

            bench_times_add(&times, bench_trail_page_s(t, user, &count));
        }
        if (turn > 0) { /* the first one has warmed up */
            bench_note(BENCH_PAGE_BIG_P50, bench_times_at(&times, 0.5) * 1e6);
            bench_note(BENCH_PAGE_BIG_P99, bench_times_at(&times, 0.99) * 1e6);
        }
        bench_times_reset(&times);
    }
}

static void ask(const char *name)
{
    char path[BENCH_PATH_MAX];
    trail *t = bench_trail_open(bench_in_scratch(path, name));
    trail_index_info index;
    trail_error err;

    measure_pages(t);
    bench_check(trail_get_index_info(t, &index, &err), &err, "index info");
    bench_note(BENCH_INDEX_LEN, (double)index.file_len / (double)bench_the_plan.events);
    trail_close(t);
}

void bench_measure_big(void)
{
    size_t events = bench_the_plan.events;
    double need_mib = (double)events * BYTES_EVENT / (1024 * 1024) + SPARE_MIB;
    double peak_mib;
    double small_rate;
    filled before;
    filled big;
    filled after;

    if (bench_scratch_free_mib() < need_mib) {
        bench_missing("the size of %zu: that needs %.0f GiB of free disk", events,
                      need_mib / 1024);
        return;
    }
    (void)fprintf(stderr, "%zu events\n", events);
    before = fill("small.trail", BENCH_SMALL, &peak_mib);
    big = fill("big.trail", events, &peak_mib);
    bench_note(BENCH_BIG_RSS, peak_mib);
    ask("big.trail");
    bench_discard("big.trail");
    after = fill("small.trail", BENCH_SMALL, &peak_mib);
    bench_discard("small.trail");

    small_rate = 2.0 * BENCH_SMALL / (before.seconds + after.seconds);
    bench_note(BENCH_BIG_APPEND, (double)events / big.seconds);
    bench_note(BENCH_BIG_SMALL_APPEND, small_rate);
    bench_note(BENCH_BIG_VS_SMALL, (double)events / big.seconds / small_rate);
    bench_note(BENCH_INDEXED_P99, big.p99_s * 1e3);
    bench_note(BENCH_INDEXED_MAX, big.max_s * 1e3);
}

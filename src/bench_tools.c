/* bench_tools.c - clocks, lists of times and the scratch directory of the benchmark.
 * Edge: of the library only trail.h; never installed.
 * SPDX-License-Identifier: MIT
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

void bench_fail(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)fputs("bench: ", stderr);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
    exit(EXIT_FAILURE);
}

void bench_check(trail_status status, const trail_error *err, const char *what)
{
    if (status != TRAIL_OK) {
        bench_fail("%s: %s (%s)", what, err->text, trail_status_name(status));
    }
}

void *bench_alloc(size_t count, size_t len)
{
    void *memory = calloc(count, len);

    if (memory == NULL) {
        bench_fail("no memory for %zu times %zu bytes", count, len);
    }
    return memory;
}

size_t bench_small(void)
{
    return bench_the_plan.events < BENCH_SMALL ? bench_the_plan.events : BENCH_SMALL;
}

/* ---- times ------------------------------------------------------------------------ */

double bench_now_s(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void bench_sleep_ms(long ms)
{
    const struct timespec pause = { ms / 1000, ms % 1000 * 1000000L };

    (void)nanosleep(&pause, NULL);
}

void bench_times_add(bench_times *times, double seconds)
{
    if (times->count == times->room) {
        times->room = times->room * 2 + 256;
        times->seconds = realloc(times->seconds, times->room * sizeof *times->seconds);
        if (times->seconds == NULL) {
            bench_fail("no memory for %zu times", times->room);
        }
    }
    times->seconds[times->count++] = seconds;
}

double bench_times_sum(const bench_times *times)
{
    double sum = 0;

    for (size_t i = 0; i < times->count; i++) {
        sum += times->seconds[i];
    }
    return sum;
}

static int compare_times(const void *a, const void *b)
{
    double first = *(const double *)a;
    double second = *(const double *)b;

    return (first > second) - (first < second);
}

double bench_times_at(bench_times *times, double part)
{
    qsort(times->seconds, times->count, sizeof *times->seconds, compare_times);
    return times->seconds[(size_t)(part * (double)(times->count - 1) + 0.5)];
}

void bench_times_reset(bench_times *times)
{
    free(times->seconds);
    memset(times, 0, sizeof *times);
}

/* ---- the scratch directory ---------------------------------------------------------- */

const char *bench_in_scratch(char path[BENCH_PATH_MAX], const char *name)
{
    (void)snprintf(path, BENCH_PATH_MAX, "%s/bench.tmp%s%s", bench_the_plan.build,
                   name[0] == '\0' ? "" : "/", name);
    return path;
}

static int remove_one(const char *path, const struct stat *file, int kind, struct FTW *at)
{
    (void)file;
    (void)kind;
    (void)at;
    return remove(path);
}

void bench_discard(const char *name)
{
    char path[BENCH_PATH_MAX];

    (void)bench_in_scratch(path, name);
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT) {
        (void)fprintf(stderr, "bench: cannot remove %s: %s\n", path, strerror(errno));
    }
}

void bench_scratch_remove(void)
{
    bench_discard("");
}

void bench_scratch_make(void)
{
    char path[BENCH_PATH_MAX];

    bench_scratch_remove();
    if (mkdir(bench_in_scratch(path, ""), 0777) != 0) {
        bench_fail("cannot make %s: %s", path, strerror(errno));
    }
}

double bench_scratch_free_mib(void)
{
    char path[BENCH_PATH_MAX];
    struct statvfs space;

    if (statvfs(bench_in_scratch(path, ""), &space) != 0) {
        bench_fail("cannot ask for the space in %s: %s", path, strerror(errno));
    }
    return (double)space.f_bavail * (double)space.f_frsize / (1024 * 1024);
}

void bench_settle(void)
{
    char path[BENCH_PATH_MAX];
    int directory = open(bench_in_scratch(path, ""), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (directory < 0 || syncfs(directory) != 0) {
        bench_fail("cannot sync %s: %s", path, strerror(errno));
    }
    close(directory);
}

/* bench.c - how fast is trail, against what the machine could do? `make bench`.
 * Edge: of the library only trail.h; never installed.
 * SPDX-License-Identifier: MIT
 *
 * The machines that run this are noisy, so one side is never measured long before the
 * other: within a round the sides take turns, ratios are taken within a round, and what is
 * reported are medians over the rounds. docs/performance.md says what each figure means.
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    TURN_BATCHES = 10, /* batches in a row by one side */
    SINGLE_TURNS = 10, /* per round */
    SINGLE_COUNT = 20, /* single appends in a row */
    READ_TURNS = 3,
    CORPUS_MAX = 100000 /* records in memory, hashed again and again */
};

static bench_plan plan = { .events = 200000, .rounds = 7, .lines = 1000000 };
static char scratch[BENCH_PATH_MAX / 2]; /* empty: not made yet */

/* ---- small things ----------------------------------------------------------------- */

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

double bench_now_s(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
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

/* ---- the working directory -------------------------------------------------------- */

static int remove_one(const char *path, const struct stat *file, int kind, struct FTW *at)
{
    (void)file;
    (void)kind;
    (void)at;
    return remove(path);
}

static void remove_tree(const char *path)
{
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT) {
        (void)fprintf(stderr, "bench: cannot remove %s: %s\n", path, strerror(errno));
    }
}

static void remove_scratch(void)
{
    if (scratch[0] != '\0') {
        remove_tree(scratch);
    }
}

/* The name is fixed, so that what is removed can only be ours, left by a run that was
 * killed. */
static void make_scratch(void)
{
    (void)snprintf(scratch, sizeof scratch, "%s/bench.tmp", plan.build);
    remove_scratch();
    if (mkdir(scratch, 0777) != 0) {
        int failed = errno;
        char path[sizeof scratch];

        memcpy(path, scratch, sizeof path);
        scratch[0] = '\0';
        bench_fail("cannot make %s: %s", path, strerror(failed));
    }
    (void)atexit(remove_scratch);
}

static const char *in_scratch(char path[BENCH_PATH_MAX], const char *name)
{
    (void)snprintf(path, BENCH_PATH_MAX, "%s/%s", scratch, name);
    return path;
}

/* Whatever the side before left behind must not reach the disk while the next one is
 * timed. */
static void settle(void)
{
    int directory = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (directory < 0 || syncfs(directory) != 0) {
        bench_fail("cannot sync %s: %s", scratch, strerror(errno));
    }
    close(directory);
}

static void discard(const char *name)
{
    char path[BENCH_PATH_MAX];

    remove_tree(in_scratch(path, name));
}

/* ---- one round -------------------------------------------------------------------- */

typedef struct sides {
    bench_pool pool;
    bench_corpus corpus;
    trail *log;
    trail *log_ids; /* whose events bring ids of their own */
    bench_sqlite *sqlite;
    bench_floor *floor;
} sides;

static double rate(double seconds)
{
    return (double)plan.events / seconds;
}

static void make_sides(sides *s)
{
    char path[BENCH_PATH_MAX];

    s->log = bench_trail_new(in_scratch(path, "audit.trail"));
    s->log_ids = bench_trail_new(in_scratch(path, "ids.trail"));
    s->sqlite = bench_sqlite_new(in_scratch(path, "sqlite.db"));
    s->floor = bench_floor_new(in_scratch(path, "floor"));
}

static void discard_sides(sides *s)
{
    trail_close(s->log);
    trail_close(s->log_ids);
    bench_sqlite_close(s->sqlite);
    bench_floor_close(s->floor);
    discard("audit.trail");
    discard("ids.trail");
    discard("sqlite.db");
    discard("floor");
    settle();
}

/* Sizes of what trail stores, from a trail of its own, before the first round. */
static void make_corpus(sides *s)
{
    char path[BENCH_PATH_MAX];
    trail *t = bench_trail_new(in_scratch(path, "corpus.trail"));
    size_t count = plan.events < CORPUS_MAX ? plan.events : CORPUS_MAX;
    bench_times times = { 0 };

    bench_trail_append(t, &s->pool, 0, count / BENCH_BATCH, false, &times);
    bench_times_reset(&times);
    bench_trail_copy(t, count, &s->corpus);
    trail_close(t);
    discard("corpus.trail");
}

static void measure_batches(sides *s)
{
    bench_times ours = { 0 };
    bench_times ids = { 0 };
    bench_times sqlite = { 0 };
    bench_times floor = { 0 };
    size_t batches = plan.events / BENCH_BATCH;
    double append;

    for (size_t n = 0; n < batches; n += TURN_BATCHES) {
        size_t count = batches - n < TURN_BATCHES ? batches - n : TURN_BATCHES;

        bench_trail_append(s->log, &s->pool, n, count, false, &ours);
        bench_sqlite_append(s->sqlite, &s->pool, n, count, &sqlite);
        bench_floor_append(s->floor, &s->corpus, n, count, &floor);
        bench_trail_append(s->log_ids, &s->pool, n, count, true, &ids);
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
    bench_note(BENCH_CONTENT_LEN, bench_pool_content_len(&s->pool));
    bench_note(BENCH_STORED_LEN, (double)stored_len / (double)s->corpus.count);
    bench_note(BENCH_FILE_LEN, (double)info.file_len / (double)plan.events);
}

static void measure_reading(sides *s)
{
    settle();
    for (int i = 0; i < READ_TURNS; i++) {
        double verify = rate(bench_trail_verify_s(s->log));
        double sha256 = rate(bench_floor_sha256_s(s->floor, &s->corpus, plan.events));
        double reused =
            rate(bench_floor_sha256_reused_s(s->floor, &s->corpus, plan.events));

        bench_note(BENCH_VERIFY, verify);
        bench_note(BENCH_SHA256, sha256);
        bench_note(BENCH_SHA256_REUSED, reused);
        bench_note(BENCH_VERIFY_VS_SHA256, verify / sha256);
        bench_note(BENCH_VERIFY_VS_SHA256_REUSED, verify / reused);
        bench_note(BENCH_COUNT, rate(bench_trail_count_s(s->log)));
    }
}

/* Medians: one sync in a hundred waits for something else on the disk, on either side. */
static void measure_single(sides *s)
{
    bench_times ours = { 0 };
    bench_times bare = { 0 };
    double p50;
    double bare_p50;

    settle();
    for (int i = 0; i < SINGLE_TURNS; i++) {
        bench_trail_single(s->log, &s->pool, SINGLE_COUNT, &ours);
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

/* ---- the command line's import and verify ----------------------------------------- */

static void check_imported(const char *path)
{
    trail *t = NULL;
    trail_head head;
    trail_error err;
    trail_options options;

    trail_options_init(&options);
    options.flags = TRAIL_READ_ONLY;
    bench_check(trail_open(&t, path, &options, &err), &err, "open what was imported");
    bench_check(trail_get_head(t, &head, &err), &err, "head");
    trail_close(t);
    if (head.seq != plan.lines + 1) {
        bench_fail("%zu lines were imported, but the head is %llu", plan.lines,
                   (unsigned long long)head.seq);
    }
}

static void measure_import(bench_pool *pool)
{
    char program[BENCH_PATH_MAX];
    char directory[BENCH_PATH_MAX];
    char file[BENCH_PATH_MAX];
    double seconds;
    double import_mib;
    double verify_mib;

    (void)snprintf(program, sizeof program, "%s/trail", plan.build);
    (void)in_scratch(directory, "import.trail");
    (void)in_scratch(file, "events.jsonl");
    bench_pool_write_jsonl(pool, file, plan.lines);
    bench_child_run((const char *const[]){ program, "init", directory, NULL }, &seconds,
                    &import_mib);

    settle();
    bench_child_run((const char *const[]){ program, "import", directory, file, NULL },
                    &seconds, &import_mib);
    bench_note(BENCH_IMPORT, (double)plan.lines / seconds);
    bench_note(BENCH_IMPORT_PEAK, import_mib);
    check_imported(directory);

    settle();
    bench_child_run((const char *const[]){ program, "verify", directory, NULL }, &seconds,
                    &verify_mib);
    bench_note(BENCH_VERIFY_CLI, (double)plan.lines / seconds);
    bench_note(BENCH_VERIFY_CLI_PEAK, verify_mib);
    bench_note(BENCH_IMPORT_RSS, import_mib > verify_mib ? import_mib : verify_mib);
}

/* ---- start ------------------------------------------------------------------------ */

static size_t parse_count(const char *name, const char *text, size_t min, size_t max)
{
    char *end;
    unsigned long long value;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || *text == '-' || value < min ||
        value > max) {
        bench_fail("%s is '%s', must be %zu to %zu", name, text, min, max);
    }
    return (size_t)value;
}

static void parse_arguments(int argc, char **argv)
{
    static const struct option known[] = { { "events", required_argument, NULL, 'e' },
                                           { "rounds", required_argument, NULL, 'r' },
                                           { "lines", required_argument, NULL, 'l' },
                                           { "build", required_argument, NULL, 'b' },
                                           { NULL, 0, NULL, 0 } };
    const char *build = "build";
    int option;

    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case 'e':
            plan.events = parse_count("--events", optarg, BENCH_BATCH, 100000000);
            plan.events -= plan.events % BENCH_BATCH;
            break;
        case 'r':
            plan.rounds = parse_count("--rounds", optarg, 1, BENCH_ROUNDS_MAX);
            break;
        case 'l':
            plan.lines = parse_count("--lines", optarg, 1, 1000000000);
            break;
        case 'b':
            build = optarg;
            break;
        default:
            bench_fail(
                "usage: bench [--events N] [--rounds N] [--lines N] [--build DIR]");
        }
    }
    if (strlen(build) >= sizeof plan.build) {
        bench_fail("--build is too long");
    }
    memcpy(plan.build, build, strlen(build) + 1);
}

int main(int argc, char **argv)
{
    char path[BENCH_PATH_MAX];
    sides s = { 0 };

    parse_arguments(argc, argv);
    make_scratch();
    bench_pool_init(&s.pool);
    make_corpus(&s);
    for (size_t i = 0; i < plan.rounds; i++) {
        (void)fprintf(stderr, "round %zu of %zu\n", i + 1, plan.rounds);
        measure_round(&s);
    }
    (void)fprintf(stderr, "import of %zu lines\n", plan.lines);
    measure_import(&s.pool);
    bench_corpus_release(&s.corpus);
    bench_pool_release(&s.pool);

    bench_report_table(&plan);
    (void)snprintf(path, sizeof path, "%s/bench.json", plan.build);
    bench_report_json(&plan, path);
    return 0;
}

/* bench_report.c - the figures of the benchmark: medians, the table, bench.json.
 * Edge: of the library only trail.h; includes what tells versions; never installed.
 * SPDX-License-Identifier: MIT
 */
#include "bench.h"

#include <errno.h>
#include <lmdb.h>
#include <openssl/crypto.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

enum { MISSING_MAX = 8 };

typedef enum aim_kind { NO_AIM = 0, AT_LEAST, AT_MOST } aim_kind;

typedef struct figure {
    const char *field;
    const char *unit;
    int decimals;
    aim_kind kind;
    double aim;
    size_t size;  /* the goal is one for so many events; 0: for any number */
    bool largest; /* of what was noted, not the median */
} figure;

static const figure figures[BENCH_FIGURE_COUNT] = {
    [BENCH_INDEXED_VS_SQLITE] = { "append_indexed_vs_sqlite", "times", 1, AT_LEAST, 30,
                                  BENCH_SMALL, false },
    [BENCH_INDEXED_VS_APPEND] = { "append_indexed_vs_append", "times", 2, AT_LEAST, 0.85,
                                  BENCH_SMALL, false },
    [BENCH_BIG_VS_SMALL] = { "append_10m_vs_1m", "times", 2, AT_LEAST, 0.9, BENCH_BIG,
                             false },
    [BENCH_INDEXED_P99] = { "append_p99_ms", "ms", 2, AT_MOST, 10, BENCH_SMALL, false },
    [BENCH_INDEXED_MAX] = { "append_max_ms", "ms", 2, AT_MOST, 50, BENCH_SMALL, true },
    [BENCH_SINGLE_VS_FDATASYNC] = { "single_vs_fdatasync", "times as long", 2, AT_MOST,
                                    2.5, 0, false },
    [BENCH_GROUP64_VS_SINGLE] = { "group64_vs_single", "times", 1, AT_LEAST, 18, 0,
                                  false },
    [BENCH_GROUP256_VS_SINGLE] = { "group256_vs_single", "times", 1, AT_LEAST, 40, 0,
                                   false },
    [BENCH_LUA_VS_C] = { "lua_vs_c", "times", 2, AT_LEAST, 0.5, 0, false },
    [BENCH_PAGE_BIG_P99] = { "query_page_us", "us", 0, AT_MOST, 200, BENCH_BIG, false },
    [BENCH_COUNT_AND_VS_SQLITE] = { "count_and_vs_sqlite", "times", 1, AT_LEAST, 20,
                                    BENCH_SMALL, false },
    [BENCH_PAGE_VS_POSTGRES] = { "query_vs_postgres", "times", 1, AT_LEAST, 10,
                                 BENCH_SMALL, false },
    [BENCH_INDEX_LEN] = { "index_bytes_per_event", "bytes", 1, AT_MOST, 110, BENCH_SMALL,
                          false },
    [BENCH_LOG_VS_CONTENT] = { "log_bytes_vs_content", "times", 2, AT_MOST, 2.0,
                               BENCH_SMALL, false },
    [BENCH_VERIFY_VS_SHA256] = { "verify_vs_sha256", "times", 2, AT_LEAST, 0.7, 0,
                                 false },
    [BENCH_BIG_RSS] = { "rss_anon_mib", "MiB", 1, AT_MOST, 96, BENCH_BIG, true },
    [BENCH_APPEND_VS_FLOOR] = { "append_vs_floor", "times", 2, AT_LEAST, 0.5, 0, false },
    [BENCH_VERIFY1_VS_SHA256] = { "verify_one_core_vs_sha256", "times", 2, AT_LEAST, 0.5,
                                  0, false },
    [BENCH_IMPORT_RSS] = { "import_rss_anon_mib", "MiB", 1, AT_MOST, 64, 0, false },
    [BENCH_INDEXED] = { .field = "append_indexed_events_s",
                        .unit = "events/s",
                        .decimals = 0 },
    [BENCH_MANUAL] = { .field = "append_1m_events_s", .unit = "events/s", .decimals = 0 },
    [BENCH_INDEXED_SMALL_P99] = { .field = "append_1m_p99_ms",
                                  .unit = "ms",
                                  .decimals = 2 },
    [BENCH_SQLITE_INDEXED] = { .field = "sqlite_indexed_events_s",
                               .unit = "events/s",
                               .decimals = 0 },
    [BENCH_POSTGRES_COPY] = { .field = "postgres_copy_events_s",
                              .unit = "events/s",
                              .decimals = 0 },
    [BENCH_POSTGRES_INSERT] = { .field = "postgres_insert_events_s",
                                .unit = "events/s",
                                .decimals = 0 },
    [BENCH_INDEXED_VS_POSTGRES] = { .field = "append_indexed_vs_postgres",
                                    .unit = "times",
                                    .decimals = 1 },
    [BENCH_BIG_APPEND] = { .field = "append_10m_events_s",
                           .unit = "events/s",
                           .decimals = 0 },
    [BENCH_BIG_SMALL_APPEND] = { .field = "append_10m_base_events_s",
                                 .unit = "events/s",
                                 .decimals = 0 },
    [BENCH_PAGE_BIG_P50] = { .field = "query_page_p50_us", .unit = "us", .decimals = 0 },
    [BENCH_PAGE_P50] = { .field = "query_page_1m_p50_us", .unit = "us", .decimals = 0 },
    [BENCH_PAGE_P99] = { .field = "query_page_1m_us", .unit = "us", .decimals = 0 },
    [BENCH_PAGE_SQLITE] = { .field = "query_page_sqlite_us",
                            .unit = "us",
                            .decimals = 0 },
    [BENCH_PAGE_POSTGRES] = { .field = "query_page_postgres_us",
                              .unit = "us",
                              .decimals = 0 },
    [BENCH_COUNT_AND] = { .field = "count_and_us", .unit = "us", .decimals = 1 },
    [BENCH_COUNT_AND_SQLITE] = { .field = "count_and_sqlite_us",
                                 .unit = "us",
                                 .decimals = 1 },
    [BENCH_COUNT_FEW] = { .field = "count_and_few_us", .unit = "us", .decimals = 1 },
    [BENCH_COUNT_FEW_SQLITE] = { .field = "count_and_few_sqlite_us",
                                 .unit = "us",
                                 .decimals = 1 },
    [BENCH_COUNT_FEW_VS_SQLITE] = { .field = "count_and_few_vs_sqlite",
                                    .unit = "times",
                                    .decimals = 2 },
    [BENCH_LOG_VS_TEXTS] = { .field = "log_bytes_vs_texts",
                             .unit = "times",
                             .decimals = 2 },
    [BENCH_GROUP1] = { .field = "single_events_s", .unit = "events/s", .decimals = 0 },
    [BENCH_GROUP64] = { .field = "group64_events_s", .unit = "events/s", .decimals = 0 },
    [BENCH_GROUP256] = { .field = "group256_events_s",
                         .unit = "events/s",
                         .decimals = 0 },
    [BENCH_SUBMIT] = { .field = "submit_events_s", .unit = "events/s", .decimals = 0 },
    [BENCH_LUA] = { .field = "lua_events_s", .unit = "events/s", .decimals = 0 },
    [BENCH_LUA_C] = { .field = "lua_c_events_s", .unit = "events/s", .decimals = 0 },
    [BENCH_APPEND_VS_SQLITE] = { .field = "append_vs_sqlite_plain",
                                 .unit = "times",
                                 .decimals = 2 },
    [BENCH_APPEND] = { .field = "append_events_s", .unit = "events/s", .decimals = 0 },
    [BENCH_APPEND_P50] = { .field = "append_batch_p50_ms", .unit = "ms", .decimals = 2 },
    [BENCH_APPEND_P99] = { .field = "append_batch_p99_ms", .unit = "ms", .decimals = 2 },
    [BENCH_APPEND_IDS] = { .field = "append_foreign_ids",
                           .unit = "events/s",
                           .decimals = 0 },
    [BENCH_SQLITE] = { .field = "sqlite_events_s", .unit = "events/s", .decimals = 0 },
    [BENCH_FLOOR] = { .field = "floor_events_s", .unit = "events/s", .decimals = 0 },
    [BENCH_VERIFY] = { .field = "verify_events_s", .unit = "events/s", .decimals = 0 },
    [BENCH_VERIFY1] = { .field = "verify_one_core_events_s",
                        .unit = "events/s",
                        .decimals = 0 },
    [BENCH_SHA256] = { .field = "sha256_all_cores_records_s",
                       .unit = "records/s",
                       .decimals = 0 },
    [BENCH_SHA256_ONE] = { .field = "sha256_records_s",
                           .unit = "records/s",
                           .decimals = 0 },
    [BENCH_SHA256_REUSED] = { .field = "sha256_reused_records_s",
                              .unit = "records/s",
                              .decimals = 0 },
    [BENCH_VERIFY_VS_SHA256_REUSED] = { .field = "verify_vs_sha256_reused",
                                        .unit = "times",
                                        .decimals = 2 },
    [BENCH_VERIFY_VS_SHA256_PARTS] = { .field = "verify_vs_sha256_parts",
                                       .unit = "times",
                                       .decimals = 2 },
    [BENCH_COUNT] = { .field = "count_events_s", .unit = "events/s", .decimals = 0 },
    [BENCH_SINGLE_P50] = { .field = "single_p50_us", .unit = "us", .decimals = 0 },
    [BENCH_SINGLE_P99] = { .field = "single_p99_us", .unit = "us", .decimals = 0 },
    [BENCH_FDATASYNC_P50] = { .field = "fdatasync_p50_us", .unit = "us", .decimals = 0 },
    [BENCH_CONTENT_LEN] = { .field = "content_bytes_event",
                            .unit = "bytes",
                            .decimals = 1 },
    [BENCH_STORED_LEN] = { .field = "stored_bytes_event",
                           .unit = "bytes",
                           .decimals = 1 },
    [BENCH_FILE_LEN] = { .field = "file_bytes_event", .unit = "bytes", .decimals = 1 },
    [BENCH_IMPORT] = { .field = "import_lines_s", .unit = "lines/s", .decimals = 0 },
    [BENCH_IMPORT_PEAK] = { .field = "import_peak_mib", .unit = "MiB", .decimals = 1 },
    [BENCH_VERIFY_CLI] = { .field = "verify_cli_events_s",
                           .unit = "events/s",
                           .decimals = 0 },
    [BENCH_VERIFY_CLI_PEAK] = { .field = "verify_cli_peak_mib",
                                .unit = "MiB",
                                .decimals = 1 },
};

/* One value of each figure for each turn that measured it. */
static bench_times noted[BENCH_FIGURE_COUNT];
static char missing[MISSING_MAX][256];
static size_t missing_count;

void bench_note(bench_figure which, double value)
{
    bench_times_add(&noted[which], value);
}

double bench_noted(bench_figure which)
{
    return bench_times_at(&noted[which], figures[which].largest ? 1 : 0.5);
}

void bench_missing(const char *format, ...)
{
    va_list args;

    if (missing_count < MISSING_MAX) {
        va_start(args, format);
        (void)vsnprintf(missing[missing_count++], sizeof missing[0], format, args);
        va_end(args);
    }
}

/* ---- goals ------------------------------------------------------------------------ */

typedef enum verdict { NO_VERDICT, NOT_MEASURED, WRONG_SIZE, MET, MISSED } verdict;

static verdict judge(bench_figure which)
{
    const figure *f = &figures[which];
    double value;

    if (noted[which].count == 0) {
        return NOT_MEASURED;
    }
    if (f->kind == NO_AIM) {
        return NO_VERDICT;
    }
    if (bench_the_plan.events < f->size) {
        return WRONG_SIZE;
    }
    value = bench_noted(which);
    return (f->kind == AT_LEAST ? value >= f->aim : value <= f->aim) ? MET : MISSED;
}

/* ---- where this is measured ------------------------------------------------------- */

typedef struct place {
    char machine[128];
    char kernel[128];
    char date[32];
    long cores;
} place;

static void read_machine(char *text, size_t room)
{
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[256];

    (void)snprintf(text, room, "unknown");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        const char *value = strstr(line, ": ");

        if (strncmp(line, "model name", strlen("model name")) == 0 && value != NULL) {
            (void)snprintf(text, room, "%.*s", (int)strcspn(value + 2, "\n"), value + 2);
            break;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
}

static void find_place(place *p)
{
    struct utsname system;
    struct tm utc;
    time_t now = time(NULL);

    read_machine(p->machine, sizeof p->machine);
    p->cores = sysconf(_SC_NPROCESSORS_ONLN);
    (void)snprintf(p->kernel, sizeof p->kernel, "unknown");
    if (uname(&system) == 0) {
        (void)snprintf(p->kernel, sizeof p->kernel, "%.60s %.60s", system.sysname,
                       system.release);
    }
    (void)gmtime_r(&now, &utc);
    (void)strftime(p->date, sizeof p->date, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

/* ---- the table -------------------------------------------------------------------- */

static void print_row(bench_figure which)
{
    static const char *const words[] = { "", "", "at another size", "met", "MISSED" };
    const figure *f = &figures[which];
    verdict v = judge(which);
    char goal[32] = "";
    char range[64] = "";

    if (f->kind != NO_AIM) {
        (void)snprintf(goal, sizeof goal, "%s %g",
                       f->kind == AT_LEAST ? ">=" : "<=", f->aim);
    }
    if (v == NOT_MEASURED) {
        printf("%-26s %12s   %-14s %24s   %-8s %s\n", f->field, "-", "not measured", "",
               goal, "");
        return;
    }
    if (noted[which].count > 1) {
        (void)snprintf(range, sizeof range, "%.*f to %.*f", f->decimals,
                       bench_times_at(&noted[which], 0), f->decimals,
                       bench_times_at(&noted[which], 1));
    }
    printf("%-26s %12.*f   %-14s %24s   %-8s %s\n", f->field, f->decimals,
           bench_noted(which), f->unit, range, goal, words[v]);
}

void bench_report_table(void)
{
    const bench_plan *plan = &bench_the_plan;
    place p;

    find_place(&p);
    printf("\n%s, %ld cores, %s, %s\n", p.machine, p.cores, p.kernel, p.date);
    printf("%zu events against the peers, the largest trail %zu, batches of %d;\n"
           "%zu rounds of %zu without an index; import of %zu lines\n\n",
           bench_small(), plan->events, BENCH_BATCH, plan->rounds, plan->round_events,
           plan->lines);
    printf("%-26s %12s   %-14s %24s   %-8s\n", "figure", "median", "unit",
           "smallest to largest", "goal");
    for (int i = 0; i < BENCH_FIGURE_COUNT; i++) {
        print_row((bench_figure)i);
    }
    for (size_t i = 0; i < missing_count; i++) {
        printf("%snot measured: %s\n", i == 0 ? "\n" : "", missing[i]);
    }
}

/* ---- bench.json ------------------------------------------------------------------- */

/* Nothing that would need an escape comes out of here. */
static void write_text(FILE *file, const char *field, const char *text)
{
    (void)fprintf(file, "  \"%s\": \"", field);
    for (; *text != '\0'; text++) {
        bool plain = *text >= ' ' && *text <= '~' && *text != '"' && *text != '\\';

        (void)fputc(plain ? *text : '?', file);
    }
    (void)fputs("\",\n", file);
}

/* What was not measured, or not at the size that the name promises, is null. */
static void write_figures(FILE *file)
{
    for (int i = 0; i < BENCH_FIGURE_COUNT; i++) {
        verdict v = judge((bench_figure)i);

        if (v == NOT_MEASURED || v == WRONG_SIZE) {
            (void)fprintf(file, "  \"%s\": null,\n", figures[i].field);
        } else {
            (void)fprintf(file, "  \"%s\": %.*f,\n", figures[i].field,
                          figures[i].decimals + 2, bench_noted((bench_figure)i));
        }
    }
}

static void write_goals(FILE *file)
{
    const char *comma = "";

    (void)fputs("  \"goals\": {", file);
    for (int i = 0; i < BENCH_FIGURE_COUNT; i++) {
        static const char *const words[] = { "null", "null", "null", "true", "false" };
        const figure *f = &figures[i];

        if (f->kind != NO_AIM) {
            (void)fprintf(file, "%s\n    \"%s\": { \"%s\": %g, \"met\": %s }", comma,
                          f->field, f->kind == AT_LEAST ? "at_least" : "at_most", f->aim,
                          words[judge((bench_figure)i)]);
            comma = ",";
        }
    }
    (void)fputs("\n  },\n", file);
}

static void write_ranges(FILE *file)
{
    const char *comma = "";

    (void)fputs("  \"ranges\": {", file);
    for (int i = 0; i < BENCH_FIGURE_COUNT; i++) {
        int decimals = figures[i].decimals + 2;

        if (noted[i].count > 1) {
            (void)fprintf(file, "%s\n    \"%s\": [%.*f, %.*f]", comma, figures[i].field,
                          decimals, bench_times_at(&noted[i], 0), decimals,
                          bench_times_at(&noted[i], 1));
            comma = ",";
        }
    }
    (void)fputs("\n  },\n", file);
}

static void write_place(FILE *file)
{
    place p;

    find_place(&p);
    write_text(file, "machine", p.machine);
    write_text(file, "kernel", p.kernel);
    write_text(file, "trail", TRAIL_VERSION);
    write_text(file, "lmdb", mdb_version(NULL, NULL, NULL));
    write_text(file, "openssl", OpenSSL_version(OPENSSL_VERSION));
    write_text(file, "sqlite", sqlite3_libversion());
    write_text(file, "postgres", bench_postgres_version());
    write_text(file, "lua", bench_lua_version());
    write_text(file, "date", p.date);
    (void)fprintf(file, "  \"cores\": %ld,\n", p.cores);
}

void bench_report_json(const char *path)
{
    const bench_plan *plan = &bench_the_plan;
    FILE *file = fopen(path, "w");

    if (file == NULL) {
        bench_fail("cannot write %s: %s", path, strerror(errno));
    }
    (void)fputs("{\n", file);
    write_figures(file);
    write_goals(file);
    write_ranges(file);
    write_place(file);
    write_text(file, "sqlite_settings", bench_sqlite_settings());
    write_text(file, "postgres_settings", bench_postgres_settings());
    (void)fprintf(file, "  \"batch\": %d,\n  \"events\": %zu,\n", BENCH_BATCH,
                  plan->events);
    (void)fprintf(file, "  \"events_peers\": %zu,\n  \"round_events\": %zu,\n",
                  bench_small(), plan->round_events);
    (void)fprintf(file, "  \"rounds\": %zu,\n  \"lines\": %zu\n}\n", plan->rounds,
                  plan->lines);
    if (fclose(file) != 0) {
        bench_fail("cannot write %s: %s", path, strerror(errno));
    }
}

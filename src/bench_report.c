/* bench_report.c - the figures of the benchmark: medians, the table, bench.json.
 * Edge: of the library only trail.h; includes what tells versions; never installed.
 * SPDX-License-Identifier: MIT
 */
#include "bench.h"

#include <errno.h>
#include <lmdb.h>
#include <openssl/crypto.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

typedef enum aim_kind { NO_AIM = 0, AT_LEAST, AT_MOST } aim_kind;

typedef struct figure {
    const char *field;
    const char *unit;
    int decimals;
    aim_kind kind;
    double aim;
} figure;

static const figure figures[BENCH_FIGURE_COUNT] = {
    [BENCH_APPEND_VS_SQLITE] = { "append_vs_sqlite_plain", "times", 2, NO_AIM, 0 },
    [BENCH_APPEND_VS_FLOOR] = { "append_vs_floor", "times", 2, AT_LEAST, 0.5 },
    [BENCH_VERIFY_VS_SHA256] = { "verify_vs_sha256", "times", 2, AT_LEAST, 0.5 },
    [BENCH_SINGLE_VS_FDATASYNC] = { "single_vs_fdatasync", "times as long", 2, AT_MOST,
                                    3 },
    [BENCH_IMPORT_RSS] = { "import_rss_anon_mib", "MiB", 1, AT_MOST, 64 },
    [BENCH_APPEND] = { "append_events_s", "events/s", 0, NO_AIM, 0 },
    [BENCH_APPEND_P50] = { "append_batch_p50_ms", "ms", 2, NO_AIM, 0 },
    [BENCH_APPEND_P99] = { "append_batch_p99_ms", "ms", 2, NO_AIM, 0 },
    [BENCH_APPEND_IDS] = { "append_foreign_ids", "events/s", 0, NO_AIM, 0 },
    [BENCH_SQLITE] = { "sqlite_events_s", "events/s", 0, NO_AIM, 0 },
    [BENCH_FLOOR] = { "floor_events_s", "events/s", 0, NO_AIM, 0 },
    [BENCH_VERIFY] = { "verify_events_s", "events/s", 0, NO_AIM, 0 },
    [BENCH_SHA256] = { "sha256_records_s", "records/s", 0, NO_AIM, 0 },
    [BENCH_SHA256_REUSED] = { "sha256_reused_records_s", "records/s", 0, NO_AIM, 0 },
    [BENCH_VERIFY_VS_SHA256_REUSED] = { "verify_vs_sha256_reused", "times", 2, NO_AIM,
                                        0 },
    [BENCH_COUNT] = { "count_events_s", "events/s", 0, NO_AIM, 0 },
    [BENCH_SINGLE_P50] = { "single_p50_us", "us", 0, NO_AIM, 0 },
    [BENCH_SINGLE_P99] = { "single_p99_us", "us", 0, NO_AIM, 0 },
    [BENCH_FDATASYNC_P50] = { "fdatasync_p50_us", "us", 0, NO_AIM, 0 },
    [BENCH_CONTENT_LEN] = { "content_bytes_event", "bytes", 1, NO_AIM, 0 },
    [BENCH_STORED_LEN] = { "stored_bytes_event", "bytes", 1, NO_AIM, 0 },
    [BENCH_FILE_LEN] = { "file_bytes_event", "bytes", 1, NO_AIM, 0 },
    [BENCH_IMPORT] = { "import_lines_s", "lines/s", 0, NO_AIM, 0 },
    [BENCH_IMPORT_PEAK] = { "import_peak_mib", "MiB", 1, NO_AIM, 0 },
    [BENCH_VERIFY_CLI] = { "verify_cli_events_s", "events/s", 0, NO_AIM, 0 },
    [BENCH_VERIFY_CLI_PEAK] = { "verify_cli_peak_mib", "MiB", 1, NO_AIM, 0 },
};

/* One value of each figure for each round that measured it. */
static bench_times noted[BENCH_FIGURE_COUNT];

void bench_note(bench_figure which, double value)
{
    bench_times_add(&noted[which], value);
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

static const char *verdict(const figure *f, double median, char text[32])
{
    bool met = f->kind == AT_LEAST ? median >= f->aim : median <= f->aim;

    if (f->kind == NO_AIM) {
        return "";
    }
    (void)snprintf(text, 32, "aim %s %g: %s", f->kind == AT_LEAST ? ">=" : "<=", f->aim,
                   met ? "met" : "MISSED");
    return text;
}

void bench_report_table(const bench_plan *plan)
{
    place p;

    find_place(&p);
    printf("\n%s, %ld cores, %s, %s\n", p.machine, p.cores, p.kernel, p.date);
    printf("%zu rounds of %zu events, batches of %d; import of %zu lines\n\n",
           plan->rounds, plan->events, BENCH_BATCH, plan->lines);
    printf("%-24s %12s   %-14s %25s\n", "figure", "median", "unit",
           "min to max of the rounds");
    for (int i = 0; i < BENCH_FIGURE_COUNT; i++) {
        const figure *f = &figures[i];
        double median = bench_times_at(&noted[i], 0.5);
        char range[64] = "";
        char text[32];

        if (noted[i].count > 1) {
            (void)snprintf(range, sizeof range, "%.*f to %.*f", f->decimals,
                           bench_times_at(&noted[i], 0), f->decimals,
                           bench_times_at(&noted[i], 1));
        }
        printf("%-24s %12.*f   %-14s %25s   %s\n", f->field, f->decimals, median, f->unit,
               range, verdict(f, median, text));
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

void bench_report_json(const bench_plan *plan, const char *path)
{
    FILE *file = fopen(path, "w");
    place p;

    if (file == NULL) {
        bench_fail("cannot write %s: %s", path, strerror(errno));
    }
    find_place(&p);
    (void)fputs("{\n", file);
    for (int i = 0; i < BENCH_FIGURE_COUNT; i++) {
        (void)fprintf(file, "  \"%s\": %.*f,\n", figures[i].field,
                      figures[i].decimals + 2, bench_times_at(&noted[i], 0.5));
    }
    write_text(file, "machine", p.machine);
    write_text(file, "kernel", p.kernel);
    write_text(file, "lmdb", mdb_version(NULL, NULL, NULL));
    write_text(file, "sqlite", sqlite3_libversion());
    write_text(file, "openssl", OpenSSL_version(OPENSSL_VERSION));
    write_text(file, "date", p.date);
    (void)fprintf(file, "  \"cores\": %ld,\n  \"events\": %zu,\n", p.cores, plan->events);
    (void)fprintf(file, "  \"rounds\": %zu,\n  \"lines\": %zu\n}\n", plan->rounds,
                  plan->lines);
    if (fclose(file) != 0) {
        bench_fail("cannot write %s: %s", path, strerror(errno));
    }
}

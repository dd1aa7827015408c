/* bench_import.c - the command's import and verify of many lines, as whole programs.
 * Edge: of the library only trail.h; never installed.
 * SPDX-License-Identifier: MIT
 */
#include "bench.h"

#include <stdio.h>

/* ---- the command line's import and verify ----------------------------------------- */

static void check_imported(const char *path)
{
    trail *t = bench_trail_open(path);
    trail_head head;
    trail_error err;

    bench_check(trail_get_head(t, &head, &err), &err, "head");
    trail_close(t);
    if (head.seq != bench_the_plan.lines + 1) {
        bench_fail("%zu lines were imported, but the head is %llu", bench_the_plan.lines,
                   (unsigned long long)head.seq);
    }
}

void bench_measure_import(void)
{
    bench_pool *pool = bench_pool_new();
    char program[BENCH_PATH_MAX];
    char directory[BENCH_PATH_MAX];
    char file[BENCH_PATH_MAX];
    double seconds;
    double import_mib;
    double verify_mib;

    (void)snprintf(program, sizeof program, "%s/trail", bench_the_plan.build);
    (void)bench_in_scratch(directory, "import.trail");
    (void)bench_in_scratch(file, "events.jsonl");
    (void)fprintf(stderr, "import of %zu lines\n", bench_the_plan.lines);
    bench_pool_write_jsonl(pool, file, 0, bench_the_plan.lines);
    bench_pool_free(pool);
    bench_child_run((const char *const[]){ program, "init", directory, NULL }, NULL,
                    &seconds, &import_mib);

    bench_settle();
    bench_child_run((const char *const[]){ program, "import", directory, file, NULL },
                    NULL, &seconds, &import_mib);
    bench_note(BENCH_IMPORT, (double)bench_the_plan.lines / seconds);
    bench_note(BENCH_IMPORT_PEAK, import_mib);
    check_imported(directory);

    bench_settle();
    bench_child_run((const char *const[]){ program, "verify", directory, NULL }, NULL,
                    &seconds, &verify_mib);
    bench_note(BENCH_VERIFY_CLI, (double)bench_the_plan.lines / seconds);
    bench_note(BENCH_VERIFY_CLI_PEAK, verify_mib);
    bench_note(BENCH_IMPORT_RSS, import_mib > verify_mib ? import_mib : verify_mib);
    bench_discard("import.trail");
    bench_discard("events.jsonl");
}

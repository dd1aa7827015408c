/* bench.c - how fast is trail, against its peers and the machine? `make bench`.
 * Edge: of the library only trail.h; never installed.
 * SPDX-License-Identifier: MIT
 *
 * The machines that run this are noisy, so one side is never measured long before the
 * other: the sides take turns, ratios are taken within a turn, and what is reported are
 * medians. docs/performance.md says what each figure means.
 *
 * Two processes: the one that measures may fail anywhere, or be killed; this one waits
 * for it and for everything it started, and then removes what they left.
 */
#include "bench.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

bench_plan bench_the_plan = { .events = BENCH_BIG,
                              .round_events = 200000,
                              .rounds = 4,
                              .lines = 1000000,
                              .postgres = true,
                              .build = "build",
                              .lua = "lua5.4" };

/* ---- the process that measures ------------------------------------------------------ */

static void measure(void)
{
    bench_measure_rounds();
    bench_measure_callers();
    bench_measure_lua();
    bench_measure_indexed();
    bench_measure_import();
    if (bench_the_plan.events >= BENCH_BIG) {
        bench_measure_big();
    } else {
        bench_missing("the size of %d: this run was of %zu (EVENTS=)", BENCH_BIG,
                      bench_the_plan.events);
    }
}

static _Noreturn void work(void)
{
    char path[BENCH_PATH_MAX];
    double begin = bench_now_s();

    bench_scratch_make();
    measure();
    bench_report_table();
    printf("\n%.0f seconds\n", bench_now_s() - begin);
    (void)snprintf(path, sizeof path, "%s/bench.json", bench_the_plan.build);
    bench_report_json(path);
    exit(EXIT_SUCCESS);
}

/* ---- the process that cleans up ----------------------------------------------------- */

/* Orphans become ours, and the kernel signals each of them when its parent is gone: there
 * is an end to this. */
static void wait_for_all(void)
{
    while (wait(NULL) > 0 || errno == EINTR) {
    }
}

/* Returns the exit status of the worker. */
static int supervise(void)
{
    sigset_t watched;
    siginfo_t info;
    pid_t parent = getpid();
    pid_t worker;
    int how = 0;
    int stopped_by = 0;

    (void)sigemptyset(&watched);
    (void)sigaddset(&watched, SIGINT);
    (void)sigaddset(&watched, SIGTERM);
    (void)sigaddset(&watched, SIGHUP);
    (void)sigaddset(&watched, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &watched, NULL);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    worker = fork();
    if (worker < 0) {
        bench_fail("cannot fork: %s", strerror(errno));
    }
    if (worker == 0) {
        (void)sigprocmask(SIG_UNBLOCK, &watched, NULL);
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) {
            _exit(EXIT_FAILURE);
        }
        work();
    }
    while (waitpid(worker, &how, WNOHANG) == 0) {
        int signal = sigwaitinfo(&watched, &info);

        if (signal > 0 && signal != SIGCHLD) {
            stopped_by = signal;
            (void)kill(worker, SIGKILL);
        }
    }
    wait_for_all();
    if (stopped_by != 0) {
        (void)fprintf(stderr, "bench: stopped by %s\n", strsignal(stopped_by));
    } else if (WIFSIGNALED(how)) {
        (void)fprintf(stderr, "bench: killed by %s\n", strsignal(WTERMSIG(how)));
    }
    return WIFEXITED(how) ? WEXITSTATUS(how) : EXIT_FAILURE;
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

static size_t parse_events(const char *name, const char *text)
{
    size_t count = parse_count(name, text, 10 * BENCH_BATCH, 1000000000);

    return count - count % BENCH_BATCH;
}

static void copy_path(char *to, size_t room, const char *name, const char *path)
{
    if (strlen(path) >= room) {
        bench_fail("%s is too long", name);
    }
    memcpy(to, path, strlen(path) + 1);
}

/* Returns the path of a trail to fill, as a child of ourselves; or NULL. */
static const char *parse_arguments(int argc, char **argv)
{
    static const struct option known[] = { { "events", required_argument, NULL, 'e' },
                                           { "round", required_argument, NULL, 'n' },
                                           { "rounds", required_argument, NULL, 'r' },
                                           { "lines", required_argument, NULL, 'l' },
                                           { "build", required_argument, NULL, 'b' },
                                           { "lua", required_argument, NULL, 'u' },
                                           { "no-postgres", no_argument, NULL, 'p' },
                                           { "child", required_argument, NULL, 'c' },
                                           { NULL, 0, NULL, 0 } };
    bench_plan *plan = &bench_the_plan;
    const char *child = NULL;
    int option;

    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case 'e':
            plan->events = parse_events("--events", optarg);
            break;
        case 'n':
            plan->round_events = parse_events("--round", optarg);
            break;
        case 'r':
            plan->rounds = parse_count("--rounds", optarg, 1, BENCH_ROUNDS_MAX);
            break;
        case 'l':
            plan->lines = parse_count("--lines", optarg, 1, 1000000000);
            break;
        case 'b':
            copy_path(plan->build, sizeof plan->build, "--build", optarg);
            break;
        case 'u':
            copy_path(plan->lua, sizeof plan->lua, "--lua", optarg);
            break;
        case 'p':
            plan->postgres = false;
            break;
        case 'c':
            child = optarg;
            break;
        default:
            bench_fail("usage: bench [--events N] [--round N] [--rounds N] [--lines N]"
                       " [--build DIR] [--lua PATH] [--no-postgres]");
        }
    }
    return child;
}

int main(int argc, char **argv)
{
    const char *child = parse_arguments(argc, argv);
    int status;

    if (child != NULL) {
        bench_child_main(child);
        return 0;
    }
    status = supervise();
    bench_scratch_remove();
    return status;
}

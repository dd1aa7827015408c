/* memory.c - let every allocation and every fault point of the public functions fail, one after
 * the other, and look at what is left; for memory_spec.
 * Test: includes memory.h. Linked with the library's objects that have their fault points.
 * SPDX-License-Identifier: MIT
 *
 *     memory DIR POINT once|forever [first]
 *
 * For each function the N-th call of POINT fails (or all from the N-th on), for N = 1, 2, 3 ...
 * until the function has its way without meeting the failure. Prints a line for each function
 * and the statuses it gave; exit code 1 if anything was wrong.
 *
 * "first": the very first call of a process, a process for each N. That is when OpenSSL makes
 * itself ready; it cannot always be used after that, but nothing may crash.
 */
#include "memory.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TRIES_MAX = 20000, FIRST_ALL = 64, FIRST_STEP = 37 };

static int complain(const char *name, unsigned long n, const char *text)
{
    printf("%s: call %lu: %s\n", name, n, text);
    return 1;
}

static void reopen(state *s)
{
    trail_error err;
    trail_options options;

    trail_close(s->t);
    s->t = NULL;
    trail_options_init(&options);
    options.map_size = MAP_SIZE;
    options.size_max = SIZE_LIMIT;
    options.indexing = TRAIL_INDEX_MANUAL; /* a thread would open files when it likes */
    if (trail_open(&s->t, s->path, &options, &err) != TRAIL_OK) {
        printf("cannot open anew: %s\n", err.text);
        exit(1);
    }
}

/* Is everything as it must be after the call, and not a file more open than before? */
static int look(state *s, const char *name, unsigned long n, unsigned held)
{
    trail_head head;
    trail_report report;
    trail_error err;
    trail_status status = trail_get_head(s->t, &head, &err);

    if (status == TRAIL_IO && strstr(err.text, "anew") != NULL) {
        reopen(s); /* as it says itself */
        status = trail_get_head(s->t, &head, &err);
    }
    if (status != TRAIL_OK) {
        return complain(name, n, err.text);
    }
    if (head.seq != s->head.seq + s->stored) {
        return complain(name, n, "other events are stored than it said");
    }
    if (trail_verify(s->t, NULL, &report, &err) != TRAIL_OK) {
        return complain(name, n, err.text);
    }
    if (report.fault != TRAIL_FAULT_NONE) {
        return complain(name, n, report.text);
    }
    return held_by_process() == held ? 0
                                     : complain(name, n, "a file stays open or mapped");
}

/* Nothing half-made may lie around. */
static int look_at_dir(const state *s)
{
    DIR *dir = opendir(s->dir);
    struct dirent *entry;
    int bad = 0;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (strstr(entry->d_name, ".new-") != NULL) {
            bad = complain("create", 0, entry->d_name);
        }
    }
    closedir(dir);
    return bad;
}

static bool is_expected(trail_status status)
{
    return status == TRAIL_NO_MEMORY || status == TRAIL_IO || status == TRAIL_FULL;
}

/* One call that meets the failure (or not any more), and a look at what is left. Counts in
 * 'seen', by status. */
static int try_once(state *s, const function *f, unsigned long n, unsigned long count,
                    unsigned seen[TRAIL_NO_MEMORY + 1], bool *met_out)
{
    trail_error err = { TRAIL_OK, "" };
    unsigned held = held_by_process();
    trail_status status;

    s->stored = 0;
    if (trail_get_head(s->t, &s->head, &err) != TRAIL_OK) {
        return complain(f->name, n, err.text);
    }
    if (f->before != NULL && f->before(s, &err) != 0) {
        return complain(f->name, n, err.text);
    }
    fail_arm(n, count);
    status = f->call(s, &err);
    *met_out = fail_disarm() >= n || status != TRAIL_OK;
    if (status != TRAIL_OK &&
        (!is_expected(status) || status != err.status || err.text[0] == '\0')) {
        printf("status %s, in the error %s: ", trail_status_name(status),
               trail_status_name(err.status));
        return complain(f->name, n, err.text);
    }
    seen[status] += *met_out;
    if (f->after != NULL && f->after(s, &err) != 0) {
        return complain(f->name, n, err.text);
    }
    return look(s, f->name, n, held);
}

static int run(state *s, const function *f, unsigned long count)
{
    unsigned seen[TRAIL_NO_MEMORY + 1] = { 0 };
    unsigned quiet = 0;

    for (unsigned long n = 1; quiet < f->quiet; n++) {
        bool met;

        if (n == TRIES_MAX) {
            return complain(f->name, n, "no end");
        }
        if (try_once(s, f, n, count, seen, &met) != 0) {
            return 1;
        }
        quiet = met ? 0 : quiet + 1;
    }
    printf("%s:", f->name);
    for (int status = TRAIL_OK; status <= TRAIL_NO_MEMORY; status++) {
        if (seen[status] > 0) {
            printf(" %s %u", trail_status_name((trail_status)status), seen[status]);
        }
    }
    printf("\n");
    return 0;
}

/* A trail with some events, and one that is closed. */
static int prepare(state *s, const char *dir)
{
    trail_error err;
    trail *t = NULL;

    s->dir = dir;
    (void)snprintf(s->path, sizeof s->path, "%s/audit.trail", dir);
    (void)snprintf(s->closed_path, sizeof s->closed_path, "%s/closed.trail", dir);
    make_id(7, s->id);
    reopen(s);
    for (int i = 0; i < EVENTS; i++) {
        if (append_to(s, s->t, &err) != TRAIL_OK) {
            return complain("append", 0, err.text);
        }
    }
    if (trail_open(&t, s->closed_path, NULL, &err) != TRAIL_OK) {
        return complain("open", 0, err.text);
    }
    trail_close(t);
    return open_indexed(s, &err) != 0 ? complain("index", 0, err.text) : 0;
}

/* In a process of its own. Returns 0 when the failure is not met any more, 1 if it was borne. */
static int open_first(const char *dir, unsigned long n, unsigned long count)
{
    state s = { .dir = dir, .appended = (unsigned)n };
    trail_error err = { TRAIL_OK, "" };
    bool met;
    trail_status status;

    fail_arm(n, count);
    status = do_create(&s, &err);
    met = fail_disarm() >= n;
    if (status != TRAIL_OK && (!met || !is_expected(status) || err.text[0] == '\0')) {
        return 1 + complain("first", n, err.text);
    }
    trail_close(s.other);
    status = trail_open(&s.other, s.new_path, NULL, &err);
    if (status != TRAIL_OK && status != TRAIL_IO) {
        return 1 + complain("first", n, err.text);
    }
    trail_close(s.other);
    remove_trail(s.new_path);
    return met;
}

static int run_first(const char *dir, unsigned long count)
{
    int how = 1;

    for (unsigned long n = 1; how != 0; n += n < FIRST_ALL ? 1 : FIRST_STEP) {
        pid_t child = fork();

        if (child == 0) {
            _exit(open_first(dir, n, count));
        }
        if (waitpid(child, &how, 0) != child || !WIFEXITED(how) || WEXITSTATUS(how) > 1) {
            return complain("first", n, "the process did not end as it should");
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    state s = { .appended = 0 };
    int bad = 0;

    if (argc < 4) {
        return 2;
    }
    setvbuf(stdout, NULL, _IONBF, 0);
    fail_choose(argv[2]);
    if (argc > 4) {
        return run_first(argv[1], strcmp(argv[3], "once") == 0 ? 1 : ULONG_MAX);
    }
    bad = prepare(&s, argv[1]);
    for (size_t i = 0; i < function_count + submit_function_count && bad == 0; i++) {
        const function *f =
            i < function_count ? &functions[i] : &submit_functions[i - function_count];

        bad |= run(&s, f, strcmp(argv[3], "once") == 0 ? 1 : ULONG_MAX);
        bad |= look_at_dir(&s);
    }
    trail_close(s.indexed);
    trail_close(s.t);
    return bad;
}

/* shield.c - verify in a child process, so that a damaged file cannot kill the caller.
 * Level 8: may include levels 0-7.
 * SPDX-License-Identifier: MIT
 *
 * LMDB maps its file and trusts it: a damaged page number is a SIGSEGV, a cut file a SIGBUS, a
 * broken tree an abort(). The child shares one page of memory with its parent, in which it
 * keeps how far it is; when it dies, that page tells the spot.
 */
#include "error.h"
#include "log.h"
#include "verify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    LOOK_EVERY_MS = 100,
    EXIT_PANIC = 86, /* LMDB found its own file inconsistent */
    EXIT_DONE = 0
};

typedef struct shared {
    volatile uint64_t good; /* the last entry found right */
    _Atomic uint64_t total;
    atomic_bool stop; /* the parent wants no more */
    atomic_bool finished;
    trail_status status;
    trail_report report;
    trail_error error;
} shared;

static bool child_progress(void *context, uint64_t done, uint64_t total)
{
    shared *s = context;

    (void)done;
    atomic_store(&s->total, total);
    return !atomic_load(&s->stop);
}

/* The host's handlers must not run here, and a crash is expected: no core files. */
static void become_expendable(void)
{
    static const int signals[] = { SIGSEGV, SIGBUS,  SIGABRT, SIGILL,  SIGFPE,  SIGTERM,
                                   SIGINT,  SIGPIPE, SIGALRM, SIGCHLD, SIGUSR1, SIGUSR2 };
    const struct rlimit none = { 0, 0 };
    sigset_t empty;

    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        (void)signal(signals[i], SIG_DFL);
    }
    sigemptyset(&empty);
    (void)sigprocmask(SIG_SETMASK, &empty, NULL);
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static _Noreturn void run_child(shared *s, const char *path,
                                const trail_verify_options *options)
{
    trail__kv_options kv_options = { .read_only = true, .exit_on_panic = EXIT_PANIC };
    trail_verify_options own = *options;
    trail__log log;

    become_expendable();
    own.progress = child_progress;
    own.context = s;
    s->status = trail__log_open(&log, path, &kv_options, &s->error);
    if (s->status == TRAIL_OK) {
        s->status = trail__verify_log(&log, &own, &s->good, &s->report, &s->error);
        trail__log_close(&log);
    }
    atomic_store(&s->finished, true);
    _exit(EXIT_DONE);
}

/* How the child ended, once it has; -1 if the host reaps its children itself. False: not yet. */
static bool has_ended(pid_t child, int flags, int *how_out)
{
    pid_t ended;

    do {
        ended = waitpid(child, how_out, flags);
    } while (ended < 0 && errno == EINTR);
    if (ended < 0) {
        *how_out = -1;
    }
    return ended != 0;
}

/* Wait for the child, and tell the caller meanwhile how far it is. The pipe's end wakes us up
 * when the child is gone; a process that another thread forked may keep that pipe open, so
 * the child is asked about as well. */
static int watch(shared *s, pid_t child, int pipe_end,
                 const trail_verify_options *options)
{
    struct pollfd end = { .fd = pipe_end, .events = POLLIN };
    int how = -1;

    for (;;) {
        int ready = poll(&end, 1, LOOK_EVERY_MS);

        if (ready > 0) {
            (void)has_ended(child, 0, &how);
            return how;
        }
        if (has_ended(child, WNOHANG, &how)) {
            return how;
        }
        if (options->progress != NULL && !atomic_load(&s->stop) &&
            !options->progress(options->context, s->good, atomic_load(&s->total))) {
            atomic_store(&s->stop, true);
        }
    }
}

static bool died_of_damage(int how)
{
    if (how == -1) {
        return true;
    }
    if (WIFSIGNALED(how)) {
        return WTERMSIG(how) == SIGSEGV || WTERMSIG(how) == SIGBUS ||
               WTERMSIG(how) == SIGABRT || WTERMSIG(how) == SIGFPE ||
               WTERMSIG(how) == SIGILL;
    }
    return WEXITSTATUS(how) != EXIT_DONE;
}

static trail_status judge(const shared *s, int how, trail_report *report,
                          trail_error *err)
{
    memset(report, 0, sizeof *report);
    report->complete = true;
    if (!atomic_load(&s->finished)) {
        if (!died_of_damage(how)) {
            return trail__error(err, TRAIL_IO, "the process that verifies was killed");
        }
        report->last_good_seq = s->good;
        report->entries = s->good;
        trail__report_fault(
            report, TRAIL_FAULT_UNREADABLE, s->good + 1,
            "the file is damaged: reading behind entry %" PRIu64 " crashed", s->good);
        return TRAIL_OK;
    }
    if (s->status == TRAIL_CORRUPT) {
        trail__report_fault(report, TRAIL_FAULT_UNREADABLE, 0, "%s", s->error.text);
        return TRAIL_OK;
    }
    if (s->status != TRAIL_OK) {
        if (err != NULL) {
            *err = s->error;
        }
        return s->status;
    }
    *report = s->report;
    return TRAIL_OK;
}

static trail_status run_in_child(shared *s, const char *path,
                                 const trail_verify_options *options,
                                 trail_report *report, trail_error *err)
{
    int ends[2];
    pid_t child;
    int how;

    if (pipe2(ends, O_CLOEXEC) != 0) {
        return trail__error_errno(err, errno, "cannot make a pipe");
    }
    child = fork();
    if (child == 0) {
        close(ends[0]);
        run_child(s, path, options);
    }
    close(ends[1]);
    if (child < 0) {
        int failed = errno;

        close(ends[0]);
        return trail__error_errno(err, failed, "cannot start a process to verify in");
    }
    how = watch(s, child, ends[0], options);
    close(ends[0]);
    if (options->progress != NULL && atomic_load(&s->finished) &&
        !atomic_load(&s->stop)) {
        (void)options->progress(options->context, s->good, atomic_load(&s->total));
    }
    return judge(s, how, report, err);
}

trail_status trail_verify_path(const char *path, const trail_verify_options *options,
                               trail_report *report_out, trail_error *err)
{
    static const trail_verify_options defaults;
    trail_report report;
    trail_status status;
    shared *s =
        mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (s == MAP_FAILED) {
        return trail__error(err, TRAIL_NO_MEMORY,
                            "no memory to verify in a process of its own");
    }
    /* OpenSSL is asked for its hash here: in the child a lock of it may be held for ever. */
    {
        trail__hasher hasher;

        status = trail__hasher_init(&hasher, err);
        trail__hasher_release(&hasher);
    }
    if (status == TRAIL_OK) {
        status =
            run_in_child(s, path, options != NULL ? options : &defaults, &report, err);
    }
    if (status == TRAIL_OK) {
        *report_out = report;
    }
    (void)munmap(s, sizeof *s);
    return status;
}

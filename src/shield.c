/* shield.c - verify in a child process, so that a damaged file cannot kill the caller.
 * Level 8: may include levels 0-7.
 * SPDX-License-Identifier: MIT
 *
 * LMDB maps its file and trusts it: a damaged page number is a SIGSEGV, a cut file a SIGBUS, a
 * broken tree an abort(). The child shares some memory with its parent, in which it keeps how far
 * it is and notes its own crash. Only that note means damage: how a process ended is not enough,
 * for anybody may kill it, and a host that ignores SIGCHLD never learns how it did.
 */
#include "bytes.h"
#include "error.h"
#include "log.h"
#include "report.h"
#include "verify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    LOOK_EVERY_MS = 100,
    HOW_UNKNOWN = -1,         /* the host reaps its children itself */
    CRASH_STACK_LEN = 1 << 16 /* of its own: the crash may be a stack that has run out */
};

typedef struct shared {
    trail__verify_watch watch;
    _Atomic uint64_t total;
    atomic_int crash; /* the signal that reading raised in the child; 0: none */
    atomic_bool stop; /* the parent wants no more */
    atomic_bool finished;
    pid_t parent;
    uint64_t told;     /* to the caller, who is not told less later */
    bool later_format; /* the status is TRAIL_CORRUPT for no other reason */
    trail_status status;
    trail_report report;
    trail_error error;
} shared;

/* ---- the child -------------------------------------------------------------------- */

/* What reading a damaged file raises; every other signal stays blocked in the child. */
static const int crash_signals[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL };

static shared *of_child; /* set in the child only */

/* Only what is allowed in a signal handler. If another process sent it, it is no crash. */
static void on_crash(int signal_number, siginfo_t *info, void *context)
{
    (void)context;
    if (info->si_code <= 0 && info->si_pid != getpid()) {
        return;
    }
    atomic_store(&of_child->crash, signal_number);
    _exit(EXIT_FAILURE);
}

static void catch_crashes(void)
{
    static unsigned char stack_memory[CRASH_STACK_LEN];
    const stack_t stack = { .ss_sp = stack_memory, .ss_size = sizeof stack_memory };
    struct sigaction action = { .sa_sigaction = on_crash,
                                .sa_flags = SA_ONSTACK | SA_SIGINFO | SA_RESTART };
    sigset_t crashes;

    (void)sigaltstack(&stack, NULL);
    sigfillset(&action.sa_mask);
    sigemptyset(&crashes);
    for (size_t i = 0; i < sizeof crash_signals / sizeof crash_signals[0]; i++) {
        (void)sigaction(crash_signals[i], &action, NULL);
        sigaddset(&crashes, crash_signals[i]);
    }
    (void)pthread_sigmask(SIG_UNBLOCK, &crashes, NULL);
}

/* Nothing of the host's may happen here: no handler of it runs, for all signals came blocked
 * through the fork and stay so, and what ends the host's other processes does not end this one.
 * It ends by itself, by the parent's wish or with the parent. */
static void become_expendable(shared *s)
{
    const struct rlimit none = { 0, 0 };
    pid_t parent;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    parent = getppid();
    if (parent != s->parent && parent != 0) { /* 0: it is outside of this PID namespace */
        _exit(EXIT_FAILURE);                  /* it died before the line above */
    }
    (void)setrlimit(RLIMIT_CORE, &none);
    of_child = s;
    catch_crashes();
}

static bool child_progress(void *context, uint64_t done, uint64_t total)
{
    shared *s = context;

    (void)done;
    atomic_store(&s->total, total);
    return !atomic_load(&s->stop);
}

/* A trail that could not be opened: is it one of a later version's? Then it can be read up to the
 * number of its format, and may be as good as any. */
static bool has_later_format(const char *path)
{
    trail__kv_options options = { .read_only = true, .quiet_abort = true };
    uint64_t format = 0;
    trail__kv_txn txn;
    trail_text value;
    trail__kv *kv;

    if (trail__kv_open(&kv, path, &options, NULL) != TRAIL_OK) {
        return false;
    }
    if (trail__kv_begin_read(kv, &txn, NULL) == TRAIL_OK) {
        if (trail__kv_get(&txn, TRAIL__KV_META, trail_str("log"), &value, NULL) ==
            TRAIL_OK) {
            trail__reader r = trail__reader_of(value.data, value.len);

            trail__read_array(&r, 3);
            format = trail__read_uint(&r);
        }
        trail__kv_abort(&txn);
    }
    trail__kv_close(kv);
    return format > TRAIL__FORMAT;
}

static _Noreturn void run_child(shared *s, const char *path,
                                const trail_verify_options *options)
{
    trail__kv_options kv_options = { .read_only = true, .quiet_abort = true };
    trail_verify_options own = *options;
    trail__index index;
    trail__log log;

    become_expendable(s);
    own.progress = child_progress;
    own.context = s;
    s->status = trail__log_open(&log, path, &kv_options, &s->error);
    if (s->status == TRAIL_OK) {
        s->status = trail__index_init(&index, &log, path, &kv_options, &s->error);
    }
    if (s->status == TRAIL_OK) {
        s->status =
            trail__verify_log(&log, &index, &own, &s->watch, &s->report, &s->error);
    } else if (s->status == TRAIL_CORRUPT) {
        s->later_format = has_later_format(path);
    }
    atomic_store(&s->finished, true);
    _exit(EXIT_SUCCESS);
}

/* ---- the parent ------------------------------------------------------------------- */

/* How the child ended, once it has. False: not yet. */
static bool has_ended(pid_t child, int flags, int *how_out)
{
    pid_t ended;

    do {
        ended = waitpid(child, how_out, flags);
    } while (ended < 0 && errno == EINTR);
    if (ended < 0) {
        *how_out = HOW_UNKNOWN;
    }
    return ended != 0;
}

static void tell(shared *s, const trail_verify_options *options)
{
    uint64_t good = s->watch.good;

    if (options->progress == NULL || atomic_load(&s->stop)) {
        return;
    }
    s->told = good > s->told ? good : s->told;
    if (!options->progress(options->context, s->told, atomic_load(&s->total))) {
        atomic_store(&s->stop, true);
    }
}

/* Wait for the child, and tell the caller meanwhile how far it is. The pipe's end wakes us up
 * when the child is gone; a process that another thread forked may keep that pipe open, so
 * the child is asked about as well. */
static int watch(shared *s, pid_t child, int pipe_end,
                 const trail_verify_options *options)
{
    struct pollfd end = { .fd = pipe_end, .events = POLLIN };
    int how = HOW_UNKNOWN;

    for (;;) {
        int ready = poll(&end, 1, LOOK_EVERY_MS);

        if (ready > 0) {
            (void)has_ended(child, 0, &how);
            return how;
        }
        if (has_ended(child, WNOHANG, &how)) {
            return how;
        }
        tell(s, options);
    }
}

/* Did reading end it? A thread whose stack has run out cannot note that. */
static bool has_crashed(const shared *s, int how)
{
    bool crashed = atomic_load(&s->crash) != 0;

    for (size_t i = 0; i < sizeof crash_signals / sizeof crash_signals[0]; i++) {
        crashed = crashed || (how != HOW_UNKNOWN && WIFSIGNALED(how) &&
                              WTERMSIG(how) == crash_signals[i]);
    }
    return crashed;
}

/* It ended without a word: that says nothing about the trail. */
static trail_status report_killed(int how, trail_error *err)
{
    if (how == HOW_UNKNOWN) {
        return trail__error(err, TRAIL_IO,
                            "the process that verifies was killed (signal unknown: "
                            "SIGCHLD is ignored, or another thread waited for it)");
    }
    if (WIFSIGNALED(how)) {
        return trail__error(err, TRAIL_IO,
                            "the process that verifies was killed (signal %d)",
                            WTERMSIG(how));
    }
    return trail__error(err, TRAIL_IO, "the process that verifies left with exit code %d",
                        WEXITSTATUS(how));
}

static trail_status judge(const shared *s, int how, trail_report *report,
                          trail_error *err)
{
    int crash = atomic_load(&s->crash);

    memset(report, 0, sizeof *report);
    report->complete = true;
    if (crash != 0 && s->watch.in_index) {
        report->last_good_seq = s->watch.good;
        report->entries = s->watch.good;
        trail__report_fault(report, TRAIL_FAULT_INDEX, 0,
                            "index.mdb is damaged: reading it crashed (signal %d); trail "
                            "reindex --anew mends it",
                            crash);
        return TRAIL_OK;
    }
    if (crash != 0) {
        report->last_good_seq = s->watch.good;
        report->entries = s->watch.good;
        trail__report_fault(report, TRAIL_FAULT_UNREADABLE, s->watch.good + 1,
                            "the file is damaged: reading behind entry %" PRIu64
                            " crashed (signal %d)",
                            s->watch.good, crash);
        return TRAIL_OK;
    }
    if (!atomic_load(&s->finished)) {
        return report_killed(how, err);
    }
    if (s->status == TRAIL_CORRUPT && !s->later_format) {
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

/* All signals are blocked meanwhile, so that the child is born deaf: between its birth and its
 * first line a handler of the host's could run in it. */
static pid_t fork_deaf(shared *s)
{
    sigset_t all;
    sigset_t old;
    pid_t child;

    sigfillset(&all);
    s->parent = getpid();
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    child = fork();
    if (child != 0) {
        (void)pthread_sigmask(SIG_SETMASK, &old, NULL); /* leaves errno alone */
    }
    return child;
}

static trail_status run_in_child(shared *s, const char *path,
                                 const trail_verify_options *options, int *how_out,
                                 trail_error *err)
{
    int ends[2];
    pid_t child;

    if (pipe2(ends, O_CLOEXEC) != 0) {
        return trail__error_errno(err, errno, "cannot make a pipe");
    }
    child = fork_deaf(s);
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
    *how_out = watch(s, child, ends[0], options);
    close(ends[0]);
    if (atomic_load(&s->finished)) {
        tell(s, options);
    }
    return TRAIL_OK;
}

/* Several threads read ahead of what is known to be right, so a crash of one says that something is
 * damaged, but not what comes first. That takes a child with one thread. */
static trail_status run(shared *s, const char *path, const trail_verify_options *options,
                        trail_report *report, trail_error *err)
{
    trail_verify_options again = *options;
    int how;
    trail_status status = run_in_child(s, path, options, &how, err);

    again.threads = 1;
    if (status == TRAIL_OK && options->threads != 1 && has_crashed(s, how)) {
        s->watch.good = 0;
        atomic_store(&s->crash, 0);
        status = run_in_child(s, path, &again, &how, err);
    }
    return status == TRAIL_OK ? judge(s, how, report, err) : status;
}

trail_status trail_verify_path(const char *path, const trail_verify_options *options,
                               trail_report *report_out, trail_error *err)
{
    static const trail_verify_options defaults;
    trail_report report;
    trail_status status;
    struct stat file;
    shared *s;

    if (path == NULL || *path == '\0') {
        return trail__error(err, TRAIL_INVALID, "verify: the path is empty");
    }
    s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
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
        status = trail__log_locate(path, &file, err);
    }
    if (status == TRAIL_OK) {
        status = run(s, path, options != NULL ? options : &defaults, &report, err);
    }
    if (status == TRAIL_OK) {
        *report_out = report;
    }
    (void)munmap(s, sizeof *s);
    return status;
}

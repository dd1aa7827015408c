/* bench_child.c - run other programs, and watch how much memory they take.
 * Edge: of the library only trail.h; never installed.
 * SPDX-License-Identifier: MIT
 *
 * Whatever is started here ends with us: the kernel signals it when we are gone, however
 * that came about.
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SAMPLE_MS = 20, DEPTH_MAX = 8 };

/* The whole of a small file of /proc; the process may be gone: then the text is empty. */
static void read_proc(pid_t pid, const char *name, char *text, size_t room)
{
    char path[64];
    ssize_t len = 0;
    int file;

    (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    file = open(path, O_RDONLY | O_CLOEXEC);
    if (file >= 0) {
        len = read(file, text, room - 1);
        close(file);
    }
    text[len > 0 ? len : 0] = '\0';
}

/* RssAnon in KiB of a process and of all below it. The map of the trail's file is not in
 * it: those pages belong to the system's cache. */
static long tree_kib(pid_t pid, int depth)
{
    char text[4096];
    char name[64];
    const char *field;
    char *at = text;
    long kib = 0;

    read_proc(pid, "status", text, sizeof text);
    field = strstr(text, "\nRssAnon:");
    if (field != NULL) {
        kib = strtol(field + strlen("\nRssAnon:"), NULL, 10);
    }
    (void)snprintf(name, sizeof name, "task/%d/children", (int)pid);
    read_proc(pid, name, text, sizeof text);
    while (depth < DEPTH_MAX) {
        char *end;
        long child = strtol(at, &end, 10);

        if (end == at) {
            break;
        }
        kib += tree_kib((pid_t)child, depth + 1);
        at = end;
    }
    return kib;
}

static bool redirect(const char *path, int flags, int to)
{
    int file = open(path == NULL ? "/dev/null" : path, flags | O_CLOEXEC, 0666);

    return file >= 0 && dup2(file, to) >= 0;
}

/* The files are opened before the user changes. What is not sent elsewhere of its stderr
 * is let through: it tells why it failed. */
static _Noreturn void become(const bench_child *child, pid_t parent)
{
    const bench_user_ids *user = child->user;
    int signal = child->death_signal == 0 ? SIGKILL : child->death_signal;
    bool ready = redirect(NULL, O_RDONLY, STDIN_FILENO) &&
                 redirect(child->output, O_WRONLY | O_CREAT | O_TRUNC, STDOUT_FILENO) &&
                 (child->log == NULL ||
                  redirect(child->log, O_WRONLY | O_CREAT | O_APPEND, STDERR_FILENO)) &&
                 (child->directory == NULL || chdir(child->directory) == 0) &&
                 (user == NULL || (initgroups(user->name, user->gid) == 0 &&
                                   setgid(user->gid) == 0 && setuid(user->uid) == 0));

    /* A change of user forgets the signal, so it is asked for after that. */
    if (ready && prctl(PR_SET_PDEATHSIG, signal) == 0 && getppid() == parent) {
        (void)execvp(child->argv[0], (char *const *)(uintptr_t)child->argv);
    }
    (void)fprintf(stderr, "bench: cannot run %s: %s\n", child->argv[0], strerror(errno));
    _exit(127);
}

/* Until exec the child counts as large as we are: the pipe closes when it runs. */
pid_t bench_child_start(const bench_child *child)
{
    int ends[2];
    char byte;
    pid_t parent = getpid();
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) != 0) {
        bench_fail("cannot make a pipe: %s", strerror(errno));
    }
    pid = fork();
    if (pid == 0) {
        become(child, parent);
    }
    if (pid < 0) {
        bench_fail("cannot fork: %s", strerror(errno));
    }
    close(ends[1]);
    while (read(ends[0], &byte, sizeof byte) < 0 && errno == EINTR) {
    }
    close(ends[0]);
    return pid;
}

bool bench_child_wait(pid_t pid)
{
    int how = 0;

    while (waitpid(pid, &how, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(how) && WEXITSTATUS(how) == 0;
}

void bench_child_run(const char *const argv[], const char *output, double *seconds_out,
                     double *peak_mib_out)
{
    const bench_child child = { .argv = argv, .output = output };
    double begin = bench_now_s();
    pid_t pid = bench_child_start(&child);
    long peak_kib = 0;
    int how = 0;

    while (waitpid(pid, &how, WNOHANG) == 0) {
        long kib = tree_kib(pid, 0);

        peak_kib = kib > peak_kib ? kib : peak_kib;
        bench_sleep_ms(SAMPLE_MS);
    }
    *seconds_out = bench_now_s() - begin;
    *peak_mib_out = (double)peak_kib / 1024;
    if (!WIFEXITED(how) || WEXITSTATUS(how) != 0) {
        bench_fail("%s %s ended with status 0x%x", argv[0], argv[1], (unsigned)how);
    }
}

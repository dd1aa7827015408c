/* bench_child.c - run a program, and watch how much memory it and its children take.
 * Edge: of the library only trail.h; never installed.
 * SPDX-License-Identifier: MIT
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
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

static _Noreturn void become(const char *const argv[])
{
    int nowhere = open("/dev/null", O_RDWR);

    /* What it says on stderr is let through: it tells why it failed. */
    if (nowhere >= 0 && dup2(nowhere, STDIN_FILENO) >= 0 &&
        dup2(nowhere, STDOUT_FILENO) >= 0) {
        (void)execv(argv[0], (char *const *)(uintptr_t)argv);
    }
    (void)fprintf(stderr, "bench: cannot run %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

/* Returns when the program itself runs: until exec the child counts as large as we are. */
static pid_t start(const char *const argv[])
{
    int ends[2];
    char byte;
    pid_t child;

    if (pipe2(ends, O_CLOEXEC) != 0) {
        bench_fail("cannot make a pipe: %s", strerror(errno));
    }
    child = fork();
    if (child == 0) {
        become(argv);
    }
    if (child < 0) {
        bench_fail("cannot fork: %s", strerror(errno));
    }
    close(ends[1]);
    while (read(ends[0], &byte, sizeof byte) < 0 && errno == EINTR) {
    }
    close(ends[0]);
    return child;
}

void bench_child_run(const char *const argv[], double *seconds_out, double *peak_mib_out)
{
    const struct timespec pause = { 0, SAMPLE_MS * 1000000L };
    double begin = bench_now_s();
    pid_t child = start(argv);
    long peak_kib = 0;
    int how = 0;

    while (waitpid(child, &how, WNOHANG) == 0) {
        long kib = tree_kib(child, 0);

        peak_kib = kib > peak_kib ? kib : peak_kib;
        (void)nanosleep(&pause, NULL);
    }
    *seconds_out = bench_now_s() - begin;
    *peak_mib_out = (double)peak_kib / 1024;
    if (!WIFEXITED(how) || WEXITSTATUS(how) != 0) {
        bench_fail("%s %s ended with status 0x%x", argv[0], argv[1], (unsigned)how);
    }
}

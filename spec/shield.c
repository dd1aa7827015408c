/* shield.c - hosts that treat signals and children in their own ways, and verify a trail; for
 * shield_spec.
 * Test: includes trail.h only, like any program.
 * SPDX-License-Identifier: MIT
 *
 *     shield TRAIL pester caught|ignored|blocked
 *     shield TRAIL judge default|ignored|taken [kill]
 *     shield TRAIL orphan
 *
 * pester: verify, again and again, while every signal there is arrives at the process that does
 * the work; the host catches, ignores or blocks them. judge: verify once; SIGCHLD is as always, or
 * ignored, or another thread takes in every child; with 'kill' the process dies at birth. Both
 * print what verify said. orphan: the host is killed before that process has run its first line.
 */
#include <trail.h>

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 40, DEADLINE_MS = 20000 };

/* Seen by the host and by its children. */
static struct {
    pid_t host;
    atomic_int child; /* the process that verifies; 0: none */
    atomic_int ran;   /* how often a handler of the host's ran in another process */
    atomic_bool over;
} * shared;

static bool is_crash(int number)
{
    return number == SIGSEGV || number == SIGBUS || number == SIGABRT ||
           number == SIGFPE || number == SIGILL;
}

/* The C library keeps those between SIGSYS and SIGRTMIN for itself. */
static bool is_catchable(int number)
{
    return number != SIGKILL && number != SIGSTOP &&
           (number <= SIGSYS || number >= SIGRTMIN);
}

static void note(int number)
{
    (void)number;
    if (getpid() != shared->host) {
        atomic_fetch_add(&shared->ran, 1);
    }
}

static void handle_all(void (*handler)(int))
{
    struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART };

    for (int number = 1; number <= SIGRTMAX; number++) {
        if (is_catchable(number)) {
            (void)sigaction(number, &action, NULL);
        }
    }
}

/* ---- what happens in the new process before the library has it ---------------------------- */

static void pester_at_birth(void)
{
    atomic_store(&shared->child, getpid());
    for (int number = 1; number <= SIGRTMAX; number++) {
        if (is_catchable(number) && !is_crash(number)) {
            (void)raise(number);
        }
    }
}

static void die_at_birth(void)
{
    (void)raise(SIGKILL);
}

static void kill_host_at_birth(void)
{
    pid_t host = getppid();

    (void)kill(host, SIGKILL);
    while (getppid() == host) {
        usleep(1000);
    }
}

/* ---- the host's other threads ------------------------------------------------------------- */

/* Without real-time signals: they would queue up, and the queue is one for all of a user's. */
static void *pester(void *context)
{
    (void)context;
    while (!atomic_load(&shared->over)) {
        pid_t child = atomic_load(&shared->child);

        for (int number = 1; number <= SIGSYS && child > 1; number++) {
            if (is_catchable(number)) {
                (void)kill(child, number);
            }
        }
    }
    return NULL;
}

static void *take_children(void *context)
{
    (void)context;
    while (!atomic_load(&shared->over)) {
        if (waitpid(-1, NULL, 0) < 0) {
            usleep(100);
        }
    }
    return NULL;
}

/* ---- the three ways ----------------------------------------------------------------------- */

/* Verify, and say what came of it, in one line. */
static void verify(const char *path, char line[2 * TRAIL_ERROR_TEXT_MAX])
{
    trail_report report;
    trail_error err;
    sigset_t before;
    sigset_t after;
    trail_status status;

    (void)pthread_sigmask(SIG_SETMASK, NULL, &before);
    status = trail_verify_path(path, NULL, &report, &err);
    (void)pthread_sigmask(SIG_SETMASK, NULL, &after);
    atomic_store(&shared->child, 0);
    if (status != TRAIL_OK) {
        (void)snprintf(line, 2 * TRAIL_ERROR_TEXT_MAX, "%s: %s",
                       trail_status_name(status), err.text);
    } else {
        (void)snprintf(line, 2 * TRAIL_ERROR_TEXT_MAX, "%s at %llu: %s",
                       trail_fault_name(report.fault),
                       (unsigned long long)report.first_bad_seq, report.text);
    }
    for (int number = 1; number <= SIGRTMAX; number++) {
        if (sigismember(&before, number) != sigismember(&after, number)) {
            (void)snprintf(line, 2 * TRAIL_ERROR_TEXT_MAX, "signal %d: mask changed",
                           number);
        }
    }
}

static int run_pester(const char *path, const char *way)
{
    char line[2 * TRAIL_ERROR_TEXT_MAX] = "";
    char last[2 * TRAIL_ERROR_TEXT_MAX] = "";
    pthread_t thread;
    sigset_t all;

    if (strcmp(way, "blocked") == 0) {
        sigfillset(&all);
        (void)pthread_sigmask(SIG_SETMASK, &all, NULL);
    } else {
        handle_all(strcmp(way, "ignored") == 0 ? SIG_IGN : note);
    }
    (void)pthread_atfork(NULL, NULL, pester_at_birth);
    if (pthread_create(&thread, NULL, pester, NULL) != 0) {
        return 2;
    }
    for (int i = 0; i < ROUNDS; i++) {
        verify(path, line);
        if (strcmp(line, last) != 0) {
            printf("%s\n", line);
        }
        memcpy(last, line, sizeof last);
    }
    atomic_store(&shared->over, true);
    (void)pthread_join(thread, NULL);
    printf("handlers of the host ran %d times\n", atomic_load(&shared->ran));
    return 0;
}

static int run_judge(const char *path, const char *way, bool kill_it)
{
    static char buffer[BUFSIZ];
    char line[2 * TRAIL_ERROR_TEXT_MAX];
    pthread_t thread;

    for (int number = 1; number <= SIGSYS; number++) {
        if (is_crash(number)) {
            (void)signal(number, note); /* as programs do that report their own crashes */
        }
    }
    if (strcmp(way, "ignored") == 0) {
        (void)signal(SIGCHLD, SIG_IGN);
    } else if (strcmp(way, "taken") == 0 &&
               pthread_create(&thread, NULL, take_children, NULL) != 0) {
        return 2;
    }
    if (kill_it) {
        (void)pthread_atfork(NULL, NULL, die_at_birth);
    }
    /* Not written yet when the other process is made: must come out once. */
    (void)setvbuf(stderr, buffer, _IOFBF, sizeof buffer);
    (void)fputs("once\n", stderr);
    verify(path, line);
    printf("%s\nhandlers of the host ran %d times\n", line, atomic_load(&shared->ran));
    return 0;
}

/* Ends when every process that holds the other end of the pipe is gone. */
static int run_orphan(const char *path)
{
    char line[2 * TRAIL_ERROR_TEXT_MAX];
    struct pollfd end = { .events = POLLIN };
    int ends[2];

    if (pipe(ends) != 0) {
        return 2;
    }
    if (fork() == 0) {
        (void)pthread_atfork(NULL, NULL, kill_host_at_birth);
        verify(path, line);
        _exit(3);
    }
    close(ends[1]);
    end.fd = ends[0];
    if (poll(&end, 1, DEADLINE_MS) != 1) {
        printf("still running\n");
        return 1;
    }
    printf("gone\n");
    return 0;
}

int main(int argc, char **argv)
{
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || argc < 3) {
        return 2;
    }
    shared->host = getpid();
    if (strcmp(argv[2], "orphan") == 0) {
        return run_orphan(argv[1]);
    }
    if (argc < 4) {
        return 2;
    }
    if (strcmp(argv[2], "pester") == 0) {
        return run_pester(argv[1], argv[3]);
    }
    return run_judge(argv[1], argv[3], argc > 4);
}

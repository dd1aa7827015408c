/* bench_cluster.c - a Postgres server of our own, for as long as the benchmark runs.
 * Edge: of the library only trail.h; never installed.
 * SPDX-License-Identifier: MIT
 *
 * It lives in the scratch directory and listens on a Unix socket there and nowhere else.
 * Postgres refuses to run as root: then it runs as the user postgres, or nobody. If we end
 * without having stopped it, the kernel sends it SIGQUIT: it stops at once.
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { START_S = 60, POLL_MS = 50 };

struct bench_cluster {
    bench_user_ids user;
    char directory[BENCH_PATH_MAX]; /* ours, with the logs */
    char data[BENCH_PATH_MAX];
    char log[BENCH_PATH_MAX];
    char socket[64];
    int data_file; /* the data directory, opened */
    pid_t server;
};

#define BIN "/usr/lib/postgresql/15/bin/"

/* Durable as it is delivered (fsync, synchronous_commit, full_page_writes), and what a
 * careful administrator would set for a server of this size. In its favour: no checkpoint
 * and no autovacuum while something is timed; tables are vacuumed before questions. */
static const char *const settings[] = {
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "shared_buffers=512MB",
    "work_mem=64MB",
    "effective_cache_size=4GB",
    "random_page_cost=1.1",
    "wal_level=minimal",
    "max_wal_senders=0",
    "wal_buffers=16MB",
    "max_wal_size=16GB",
    "checkpoint_timeout=1h",
    "autovacuum=off",
    "jit=off",
    "listen_addresses=",
    "unix_socket_directories=.",
};

enum { SETTINGS = sizeof settings / sizeof settings[0] };

const char *bench_postgres_settings(void)
{
    static char text[512];
    size_t len = 0;

    for (size_t i = 0; i < SETTINGS; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%s", i == 0 ? "" : " ",
                                settings[i]);
    }
    return text;
}

/* Returns whether there is somebody to run it as. */
static bool find_user(bench_user_ids *user)
{
    static const char *const names[] = { "postgres", "nobody" };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct passwd *found = getpwnam(names[i]);

        if (found != NULL && found->pw_uid != 0) {
            *user = (bench_user_ids){ names[i], found->pw_uid, found->pw_gid };
            return true;
        }
    }
    return false;
}

static const bench_user_ids *user_of(const bench_cluster *c)
{
    return c->user.name == NULL ? NULL : &c->user;
}

static void make_directory(const bench_cluster *c, const char *path)
{
    if (mkdir(path, 0700) != 0 ||
        (c->user.name != NULL && chown(path, c->user.uid, c->user.gid) != 0)) {
        bench_fail("cannot make %s: %s", path, strerror(errno));
    }
}

static bool run(const bench_cluster *c, const char *const argv[])
{
    const bench_child child = { .argv = argv,
                                .log = c->log,
                                .output = c->log,
                                .directory = c->data,
                                .user = user_of(c) };

    return bench_child_wait(bench_child_start(&child));
}

static bool init(bench_cluster *c)
{
    const char *const reach[] = { "/usr/bin/test", "-w", c->data, NULL };
    const char *const initdb[] = { BIN "initdb", "-D",         c->data,     "-U",
                                   "bench",      "-A",         "trust",     "-E",
                                   "UTF8",       "--locale=C", "--no-sync", NULL };

    if (access(BIN "initdb", X_OK) != 0) {
        bench_missing("Postgres: " BIN "initdb is not there");
        return false;
    }
    if (geteuid() == 0 && !find_user(&c->user)) {
        bench_missing("Postgres: neither a user postgres nor nobody to run it as");
        return false;
    }
    make_directory(c, c->directory);
    make_directory(c, c->data);
    if (!run(c, reach)) {
        bench_missing("Postgres: the user %s cannot reach %s", c->user.name, c->data);
        return false;
    }
    if (!run(c, initdb)) {
        bench_missing("Postgres: initdb failed in %s", c->data);
        return false;
    }
    return true;
}

static bool listens(const bench_cluster *c)
{
    return faccessat(c->data_file, ".s.PGSQL.5432.lock", F_OK, 0) == 0;
}

static bool runs(const bench_cluster *c)
{
    siginfo_t info = { 0 };

    return waitid(P_PID, (id_t)c->server, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == 0;
}

/* The paths of sockets are short, those of checkouts need not be: the server names the
 * socket from where it stands, and so do we. */
static bool start(bench_cluster *c)
{
    const char *argv[3 + 2 * SETTINGS + 1] = { BIN "postgres", "-D", c->data };
    const bench_child child = { .argv = argv,
                                .log = c->log,
                                .directory = c->data,
                                .user = user_of(c),
                                .death_signal = SIGQUIT };
    double begin = bench_now_s();

    for (size_t i = 0; i < SETTINGS; i++) {
        argv[3 + 2 * i] = "-c";
        argv[4 + 2 * i] = settings[i];
    }
    c->data_file = open(c->data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (c->data_file < 0) {
        bench_fail("cannot open %s: %s", c->data, strerror(errno));
    }
    (void)snprintf(c->socket, sizeof c->socket, "/proc/self/fd/%d", c->data_file);
    c->server = bench_child_start(&child);
    while (!listens(c)) {
        if (bench_now_s() - begin > START_S || !runs(c)) {
            bench_missing("Postgres: the server did not start");
            return false;
        }
        bench_sleep_ms(POLL_MS);
    }
    return true;
}

bench_cluster *bench_cluster_start(void)
{
    bench_cluster *c = bench_alloc(1, sizeof *c);
    char path[BENCH_PATH_MAX];
    char *real;

    c->data_file = -1;
    c->server = -1;
    real = realpath(bench_in_scratch(path, ""), NULL);
    if (real == NULL) {
        bench_fail("cannot find %s: %s", path, strerror(errno));
    }
    (void)snprintf(c->directory, sizeof c->directory, "%.3000s/postgres", real);
    (void)snprintf(c->data, sizeof c->data, "%.3000s/postgres/data", real);
    (void)snprintf(c->log, sizeof c->log, "%.3000s/postgres.log", real);
    free(real);
    if (!init(c) || !start(c)) {
        bench_cluster_stop(c);
        return NULL;
    }
    return c;
}

const char *bench_cluster_socket(const bench_cluster *cluster)
{
    return cluster->socket;
}

/* SIGQUIT: at once, since nobody needs what is in it. */
void bench_cluster_stop(bench_cluster *cluster)
{
    if (cluster->server > 0) {
        (void)kill(cluster->server, SIGQUIT);
        (void)bench_child_wait(cluster->server);
    }
    if (cluster->data_file >= 0) {
        close(cluster->data_file);
    }
    bench_discard("postgres");
    free(cluster);
}

/* testing_process.c - trail.testing.process: children, signals, limits and more Lua states, for
 * specs that kill, fork, starve and run in parallel.
 * Test: may include anything; never installed.
 * SPDX-License-Identifier: MIT
 */
#include "testing.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_LUA_ERROR = 97, EXIT_NO_PROGRAM = 98, ARGS_MAX = 64 };

static int fail_errno(lua_State *L, const char *doing)
{
    int failed = errno;

    return luaL_error(L, "%s: %s", doing, strerror(failed));
}

/* ---- children ------------------------------------------------------------------------- */

/* "exit", code | "signal", number */
static int push_how(lua_State *L, int how)
{
    lua_pushstring(L, WIFSIGNALED(how) ? "signal" : "exit");
    lua_pushinteger(L, WIFSIGNALED(how) ? WTERMSIG(how) : WEXITSTATUS(how));
    return 2;
}

static void write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t written = write(fd, data, len);

        if (written < 0 && errno != EINTR) {
            return;
        }
        if (written > 0) {
            data += written;
            len -= (size_t)written;
        }
    }
}

/* In the child: call the function on top of the stack; its string, or its error, goes to fd. The
 * collector is off: it would touch, and so copy, every page of the parent's. */
static _Noreturn void be_child(lua_State *L, int fd)
{
    int failed;
    size_t len = 0;
    const char *text;

    lua_gc(L, LUA_GCSTOP, 0);
    failed = lua_pcall(L, 0, 1, 0);
    text = luaL_tolstring(L, -1, &len);

    if (failed != 0 || !lua_isnil(L, -2)) {
        write_all(fd, text, len);
    }
    fflush(NULL);
    _exit(failed != 0 ? EXIT_LUA_ERROR : 0);
}

static pid_t fork_child(lua_State *L, int ends[2])
{
    bool raw = lua_toboolean(L, 2);
    pid_t child;

    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    if (pipe2(ends, O_CLOEXEC) != 0) {
        fail_errno(L, "pipe");
    }
    fflush(NULL); /* or the child would write it once more */
    child = raw ? _Fork() : fork();
    if (child == 0) {
        close(ends[0]);
        be_child(L, ends[1]);
    }
    close(ends[1]);
    if (child < 0) {
        close(ends[0]);
        fail_errno(L, "fork");
    }
    return child;
}

/* run(function [, raw]) -> "exit" or "signal", number, text: call it in a fork of this process and
 * wait. The text is the string it returned; after an error the code is 97 and the text the error.
 * With 'raw' nobody's fork handlers run. */
static int l_run(lua_State *L)
{
    luaL_Buffer buffer;
    int ends[2];
    pid_t child = fork_child(L, ends);
    ssize_t got;
    int how = 0;

    luaL_buffinit(L, &buffer);
    do {
        char *room = luaL_prepbuffer(&buffer);

        got = read(ends[0], room, LUAL_BUFFERSIZE);
        if (got > 0) {
            luaL_addsize(&buffer, (size_t)got);
        }
    } while (got > 0 || (got < 0 && errno == EINTR));
    close(ends[0]);
    luaL_pushresult(&buffer);
    while (waitpid(child, &how, 0) < 0 && errno == EINTR) {
    }
    push_how(L, how);
    lua_pushvalue(L, -3);
    return 3;
}

/* fork(function) -> pid: the same without waiting; what it returns is lost. */
static int l_fork(lua_State *L)
{
    int ends[2];
    pid_t child = fork_child(L, ends);

    close(ends[0]);
    lua_pushinteger(L, child);
    return 1;
}

static _Noreturn void exec_child(char *const argv[], const char *out_path)
{
    int null = open("/dev/null", O_RDWR);
    int out =
        out_path != NULL ? open(out_path, O_WRONLY | O_CREAT | O_APPEND, 0644) : null;

    (void)prctl(PR_SET_PDEATHSIG,
                SIGKILL); /* a run that is broken off leaves nobody behind */
    dup2(null, 0);
    dup2(out, 1);
    dup2(out, 2);
    execvp(argv[0], argv);
    _exit(EXIT_NO_PROGRAM);
}

/* start({ program, argument, ... } [, path]) -> pid: both outputs are appended to the path. */
static int l_start(lua_State *L)
{
    char *argv[ARGS_MAX + 1] = { NULL };
    const char *out_path = luaL_optstring(L, 2, NULL);
    int count = (int)luaL_len(L, 1);
    pid_t child;

    luaL_argcheck(L, count >= 1 && count <= ARGS_MAX, 1, "no program, or too much");
    luaL_checkstack(L, count + 4, NULL);
    for (int i = 0; i < count; i++) {
        lua_rawgeti(L, 1, i + 1); /* stays on the stack: the string must live */
        argv[i] = (char *)(uintptr_t)luaL_checkstring(L, -1);
    }
    if (out_path !=
        NULL) { /* it is there from now on, whenever the child gets its turn */
        int out = open(out_path, O_WRONLY | O_CREAT | O_APPEND, 0644);

        close(out);
    }
    fflush(NULL);
    child = fork();
    if (child == 0) {
        exec_child(argv, out_path);
    }
    if (child < 0) {
        return fail_errno(L, "fork");
    }
    lua_pushinteger(L, child);
    return 1;
}

static const struct {
    const char *name;
    int number;
} signals[] = {
    { "KILL", SIGKILL }, { "STOP", SIGSTOP }, { "CONT", SIGCONT },
    { "TERM", SIGTERM }, { "XFSZ", SIGXFSZ }, { "SEGV", SIGSEGV },
    { "BUS", SIGBUS },   { "ABRT", SIGABRT }, { "INT", SIGINT },
};

/* kill(pid, "KILL") -> was there such a process */
static int l_kill(lua_State *L)
{
    pid_t pid = (pid_t)luaL_checkinteger(L, 1);
    const char *name = luaL_checkstring(L, 2);

    luaL_argcheck(L, pid > 1, 1, "no process of ours");
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        if (strcmp(signals[i].name, name) == 0) {
            lua_pushboolean(L, kill(pid, signals[i].number) == 0);
            return 1;
        }
    }
    return luaL_argerror(L, 2, "unknown signal");
}

/* wait(pid [, at_once]) -> "exit" or "signal", number; nil if it is still running */
static int l_wait(lua_State *L)
{
    pid_t pid = (pid_t)luaL_checkinteger(L, 1);
    int how = 0;
    pid_t found;

    do {
        found = waitpid(pid, &how, lua_toboolean(L, 2) ? WNOHANG : 0);
    } while (found < 0 && errno == EINTR);
    if (found < 0) {
        return fail_errno(L, "waitpid");
    }
    if (found == 0) {
        lua_pushnil(L);
        return 1;
    }
    return push_how(L, how);
}

/* ---- this process --------------------------------------------------------------------- */

static int l_pid(lua_State *L)
{
    lua_pushinteger(L, getpid());
    return 1;
}

static int l_uid(lua_State *L)
{
    lua_pushinteger(L, getuid());
    return 1;
}

static int l_sleep_us(lua_State *L)
{
    lua_Integer us = luaL_checkinteger(L, 1);
    struct timespec left = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 };

    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
    return 0;
}

/* limit("AS" or "FSIZE" or "NOFILE", amount): the soft limit; nil: none */
static int l_limit(lua_State *L)
{
    static const char *const names[] = { "AS", "FSIZE", "NOFILE", NULL };
    static const int limits[] = { RLIMIT_AS, RLIMIT_FSIZE, RLIMIT_NOFILE };
    int which = limits[luaL_checkoption(L, 1, NULL, names)];
    struct rlimit limit;

    if (getrlimit((__rlimit_resource_t)which, &limit) != 0) {
        return fail_errno(L, "getrlimit");
    }
    limit.rlim_cur =
        lua_isnoneornil(L, 2) ? limit.rlim_max : (rlim_t)luaL_checkinteger(L, 2);
    if (setrlimit((__rlimit_resource_t)which, &limit) != 0) {
        return fail_errno(L, "setrlimit");
    }
    return 0;
}

/* become(number): another user and group, for good */
static int l_become(lua_State *L)
{
    lua_Integer id = luaL_checkinteger(L, 1);

    if (setgid((gid_t)id) != 0 || setuid((uid_t)id) != 0) {
        return fail_errno(L, "setuid");
    }
    return 0;
}

/* redirect(path): standard error goes there from now on */
static int l_redirect(lua_State *L)
{
    int fd =
        open(luaL_checkstring(L, 1), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

    if (fd < 0 || dup2(fd, 2) < 0) {
        return fail_errno(L, "redirect");
    }
    close(fd);
    return 0;
}

/* chdir(path) -> whether it worked */
static int l_chdir(lua_State *L)
{
    lua_pushboolean(L, chdir(luaL_checkstring(L, 1)) == 0);
    return 1;
}

/* ---- more Lua states ------------------------------------------------------------------ */

typedef struct worker {
    pthread_t thread;
    lua_State *L;
    const char *chunk;
    int number;
    bool failed;
} worker;

static void *work(void *context)
{
    worker *w = context;

    w->failed = luaL_loadstring(w->L, w->chunk) != 0;
    if (!w->failed) {
        lua_pushinteger(w->L, w->number);
        w->failed = lua_pcall(w->L, 1, 1, 0) != 0;
    }
    return NULL;
}

static lua_State *new_state(void)
{
    lua_State *L = luaL_newstate();

    if (L != NULL) {
        luaL_openlibs(L);
    }
    return L;
}

/* states(count, chunk [, in_threads]) -> { string, ... }: run a chunk in states of their own
 * with its number as argument, one after the other or each in a thread. All states live until
 * the last one is done. */
static int l_states(lua_State *L)
{
    enum { COUNT_MAX = 32 };
    worker workers[COUNT_MAX];
    int count = (int)luaL_checkinteger(L, 1);
    const char *chunk = luaL_checkstring(L, 2);
    bool in_threads = lua_toboolean(L, 3);

    luaL_argcheck(L, count >= 1 && count <= COUNT_MAX, 1, "1 to 32");
    lua_newtable(L);
    for (int i = 0; i < count; i++) {
        workers[i] = (worker){ .L = new_state(), .chunk = chunk, .number = i + 1 };
    }
    for (int i = 0; i < count; i++) {
        if (!in_threads ||
            pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) {
            workers[i].thread = pthread_self();
            (void)work(&workers[i]);
        }
    }
    for (int i = 0; i < count; i++) {
        if (!pthread_equal(workers[i].thread, pthread_self())) {
            pthread_join(workers[i].thread, NULL);
        }
    }
    for (int i = 0; i < count; i++) {
        const char *text = lua_tostring(workers[i].L, -1);

        lua_pushfstring(L, "%s%s", workers[i].failed ? "error: " : "", text ? text : "");
        lua_rawseti(L, -2, i + 1);
    }
    for (int i = 0; i < count; i++) {
        lua_close(workers[i].L);
    }
    return 1;
}

void trail__testing_process(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "run", l_run },           { "fork", l_fork },
        { "start", l_start },       { "kill", l_kill },
        { "wait", l_wait },         { "pid", l_pid },
        { "uid", l_uid },           { "sleep_us", l_sleep_us },
        { "limit", l_limit },       { "become", l_become },
        { "redirect", l_redirect }, { "states", l_states },
        { "chdir", l_chdir },       { NULL, NULL },
    };

    luaL_newlib(L, functions);
}

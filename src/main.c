/* main.c - the command `trail`: a Lua state with everything inside, and what Lua cannot ask of
 * the system itself. Edge: includes trail.h, embedded.h, main_files.h, Lua and
 * libc only.
 * SPDX-License-Identifier: MIT */
#include "embedded.h"
#include "main_files.h"
#include "trail.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#define EXIT_UNREADABLE 4
#define EXIT_IO 5
#define WIDTH_DEFAULT 80
#define CRASH_TEXT_MAX 4096

int luaopen_trail_core(lua_State *L);

/* ---- standard streams and signals --------------------------------------------------------- */

/* If the caller closed 0, 1 or 2, the next open() would take that number: log.mdb would become
 * standard error, and a message would be written into it. The mode is the useless one on
 * purpose, so that reading and writing fail as they would on a closed stream. */
static void open_standard_streams(void)
{
    int fd;

    for (fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) == -1 && errno == EBADF) {
            if (open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) != fd) {
                _exit(EXIT_IO);
            }
        }
    }
}

static char crash_text[CRASH_TEXT_MAX];
static size_t crash_text_len;
static volatile sig_atomic_t interrupt_seen;

/* Only what is allowed in a signal handler: the text was made before. */
static void on_crash(int signal_number)
{
    (void)signal_number;
    if (write(STDERR_FILENO, crash_text, crash_text_len) < 0) {
        _exit(EXIT_UNREADABLE);
    }
    _exit(EXIT_UNREADABLE);
}

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    interrupt_seen = 1;
}

/* ---- the module trail.host ---------------------------------------------------------------- */

/* isatty(fd) -> boolean */
static int host_isatty(lua_State *L)
{
    lua_pushboolean(L, isatty((int)luaL_checkinteger(L, 1)));
    return 1;
}

/* width() -> columns of the terminal on standard output */
static int host_width(lua_State *L)
{
    struct winsize size;
    const char *columns = getenv("COLUMNS");
    long width = 0;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) {
        width = size.ws_col;
    }
    if (width <= 0 && columns != NULL) {
        width = strtol(columns, NULL, 10);
    }
    if (width <= 0 || width > 10000) {
        width = WIDTH_DEFAULT;
    }
    lua_pushinteger(L, width);
    return 1;
}

/* char_width(codepoint) -> columns it takes: 0, 1 or 2; -1 if it cannot be shown */
static int host_char_width(lua_State *L)
{
    lua_pushinteger(L, wcwidth((wchar_t)luaL_checkinteger(L, 1)));
    return 1;
}

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* base64(bytes) -> text, RFC 4648 section 4 */
static int host_base64(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    const unsigned char *in = (const unsigned char *)text;
    luaL_Buffer buffer;
    char *out;
    size_t at;
    size_t n = 0;

    luaL_argcheck(L, len <= (size_t)INT_MAX, 1, "too long");
    out = luaL_buffinitsize(L, &buffer, (len + 2) / 3 * 4);
    for (at = 0; at < len; at += 3) {
        unsigned b1 = at + 1 < len ? in[at + 1] : 0;
        unsigned b2 = at + 2 < len ? in[at + 2] : 0;

        out[n++] = base64_digits[in[at] >> 2];
        out[n++] = base64_digits[(in[at] & 3U) << 4 | b1 >> 4];
        out[n++] = at + 1 < len ? base64_digits[(b1 & 15U) << 2 | b2 >> 6] : '=';
        out[n++] = at + 2 < len ? base64_digits[b2 & 63U] : '=';
    }
    luaL_pushresultsize(&buffer, n);
    return 1;
}

static int digit_value(char digit)
{
    const char *found = digit == '\0' ? NULL : strchr(base64_digits, digit);

    return found == NULL ? -1 : (int)(found - base64_digits);
}

/* unbase64(text) -> bytes, or nil if it is not exactly what base64() writes */
static int host_unbase64(lua_State *L)
{
    size_t len;
    const char *in = luaL_checklstring(L, 1, &len);
    size_t pad = len >= 2 && in[len - 1] == '=' ? (in[len - 2] == '=' ? 2U : 1U) : 0U;
    size_t out_len;
    luaL_Buffer buffer;
    unsigned bits = 0;
    unsigned char *out;
    size_t at;
    size_t n = 0;

    if (len % 4 != 0) {
        return 0;
    }
    out_len = len / 4 * 3 - pad;
    out = (unsigned char *)luaL_buffinitsize(L, &buffer, len / 4 * 3 + 1);
    for (at = 0; at < len; at++) {
        int value = at >= len - pad ? 0 : digit_value(in[at]);

        if (value < 0) {
            return 0;
        }
        bits = bits << 6 | (unsigned)value;
        if (at % 4 == 3) {
            out[n++] = (unsigned char)(bits >> 16 & 255U);
            out[n++] = (unsigned char)(bits >> 8 & 255U);
            out[n++] = (unsigned char)(bits & 255U);
        }
    }
    for (at = out_len; at < n; at++) {
        if (out[at] != 0) {
            return 0;
        }
    }
    luaL_pushresultsize(&buffer, out_len);
    return 1;
}

/* guard(text): from now on a crash while reading the file prints this line and exits with 4.
 * Not set for verify, which reads in a child process and reports the crash itself. */
static int host_guard(lua_State *L)
{
    static unsigned char stack_memory[64 * 1024];
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    stack_t stack = { .ss_sp = stack_memory, .ss_size = sizeof stack_memory };
    struct sigaction action = { .sa_handler = on_crash, .sa_flags = SA_ONSTACK };

    luaL_argcheck(L, len > 0 && len <= sizeof crash_text, 1, "no text, or too long");
    memcpy(crash_text, text, len);
    crash_text_len = len;
    sigaltstack(&stack, NULL);
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGABRT, &action, NULL);
    return 0;
}

/* catch_interrupt(): the first Ctrl-C is only noted, the second one kills as always. No
 * SA_RESTART: a read that waits for a terminal must come back. An ignored SIGINT (nohup, a
 * background job) stays ignored. */
static int host_catch_interrupt(lua_State *L)
{
    struct sigaction action = { .sa_handler = on_interrupt,
                                .sa_flags = (int)SA_RESETHAND };
    struct sigaction old;

    (void)L;
    if (sigaction(SIGINT, NULL, &old) == 0 && old.sa_handler != SIG_IGN) {
        sigemptyset(&action.sa_mask);
        sigaction(SIGINT, &action, NULL);
    }
    return 0;
}

/* interrupted() -> boolean */
static int host_interrupted(lua_State *L)
{
    lua_pushboolean(L, interrupt_seen != 0);
    return 1;
}

/* wait(milliseconds) -> boolean: sleep so long, less if a signal comes. False, at once: nobody
 * reads standard output any more. */
static int host_wait(lua_State *L)
{
    struct pollfd out = { .fd = STDOUT_FILENO, .events = 0 };
    int ready = poll(&out, 1, (int)luaL_checkinteger(L, 1));

    lua_pushboolean(L, ready <= 0);
    return 1;
}

static int open_host(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "isatty", host_isatty },
        { "width", host_width },
        { "char_width", host_char_width },
        { "base64", host_base64 },
        { "unbase64", host_unbase64 },
        { "guard", host_guard },
        { "catch_interrupt", host_catch_interrupt },
        { "interrupted", host_interrupted },
        { "wait", host_wait },
        { NULL, NULL },
    };

    luaL_newlib(L, functions);
    trail__add_files(L);
    return 1;
}

/* ---- the Lua state ------------------------------------------------------------------------ */

/* The loader of an embedded module; its upvalue is the entry of the table. */
static int load_embedded(lua_State *L)
{
    const struct trail__embedded *module = lua_touserdata(L, lua_upvalueindex(1));
    const char *path = luaL_gsub(L, module->name, ".", "/");
    const char *chunk = lua_pushfstring(L, "@%s.lua", path);

    if (luaL_loadbufferx(L, (const char *)module->data, module->len, chunk, "t") !=
        LUA_OK) {
        return lua_error(L);
    }
    lua_pushstring(L, module->name);
    lua_call(L, 1, 1);
    return 1;
}

static void preload(lua_State *L)
{
    const struct trail__embedded *module;

    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushcfunction(L, luaopen_trail_core);
    lua_setfield(L, -2, "trail.core");
    lua_pushcfunction(L, open_host);
    lua_setfield(L, -2, "trail.host");
    for (module = trail__embedded; module->name != NULL; module++) {
        lua_pushlightuserdata(L, (void *)(size_t)module);
        lua_pushcclosure(L, load_embedded, 1);
        lua_setfield(L, -2, module->name);
    }
    lua_pop(L, 1);
}

/* The arguments of main() as a Lua list; pushes require("trail.cli").main(list). */
static int run(lua_State *L)
{
    int argc = (int)lua_tointeger(L, 1);
    char **argv = lua_touserdata(L, 2);
    int i;

    luaL_openlibs(L);
    preload(L);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "trail.cli");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "main");
    lua_createtable(L, argc, 0);
    for (i = 1; i < argc; i++) {
        lua_pushstring(L, argv[i]);
        lua_seti(L, -2, i);
    }
    lua_call(L, 1, 1);
    return 1;
}

static int add_traceback(lua_State *L)
{
    luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
    return 1;
}

/* What is still in the buffer can fail to reach a full disk; that must not look like success. */
static int close_output(int code)
{
    bool failed = ferror(stdout) != 0;
    int error = 0;

    if (fflush(stdout) != 0) {
        error = errno;
        failed = true;
    }
    if (close(STDOUT_FILENO) != 0 && errno != EBADF && !failed) {
        error = errno;
        failed = true;
    }
    if (!failed || code == EXIT_IO) {
        return code;
    }
    fprintf(stderr, "trail: cannot write to standard output%s%s\n",
            error != 0 ? ": " : "", error != 0 ? strerror(error) : "");
    return EXIT_IO;
}

int main(int argc, char **argv)
{
    lua_State *L;
    int code = EXIT_IO;

    open_standard_streams();
    /* A closed pipe ends us quietly, even if the caller (Python, say) ignores SIGPIPE. */
    signal(SIGPIPE, SIG_DFL);
    /* For wcwidth() only; what we print is UTF-8 whatever the user's locale says. */
    setlocale(LC_CTYPE, "C.UTF-8");

    L = luaL_newstate();
    if (L == NULL) {
        fputs("trail: not enough memory\n", stderr);
        return EXIT_IO;
    }
    lua_pushcfunction(L, add_traceback);
    lua_pushcfunction(L, run);
    lua_pushinteger(L, argc);
    lua_pushlightuserdata(L, argv);
    if (lua_pcall(L, 2, 1, 1) == LUA_OK) {
        code = (int)lua_tointeger(L, -1);
    } else {
        const char *text = lua_tostring(L, -1);

        fprintf(stderr, "trail: internal error: %s\n", text == NULL ? "unknown" : text);
    }
    lua_close(L);
    return close_output(code);
}

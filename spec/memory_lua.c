/* memory_lua.c - let memory fail under the Lua binding, and look at what is left; for memory_spec.
 * Test: includes memory.h and Lua's headers. Linked with the binding's objects, and with those of
 * the library that have their fault points.
 * SPDX-License-Identifier: MIT
 *
 *     memory_lua DIR POINT once|twice|forever
 *
 * POINT is "lua" for what Lua allocates, or one that memory_fail.c knows. For N = 1, 2, 3 ... the
 * N-th call fails (and the one behind it, or all), until the work is done without meeting the
 * failure. "once" is no failure for Lua, which collects its garbage and asks again: then whatever
 * the collector can take away is gone. Prints how often what came of it; exit code 1 if anything
 * was wrong.
 */
#include "memory.h"

#include <lauxlib.h>
#include <limits.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRIES_MAX = 20000, SEQ_MAX = 10, WORK_EVERY = 5, LOAD_STEP = 53, LOAD_ALL = 120 };

int luaopen_trail_core(lua_State *L);

/* ---- the work ----------------------------------------------------------------------- */

/* Returns the work as a function of a path, and whether to leave closing to the collector. Every
 * method once, and what can be known of a result is compared. */
static const char work_text[] =
    "local trail = require 'trail'\n"
    "local number = 0\n"
    "local function event(extra)\n"
    "  number = number + 1\n"
    "  local e = { event_type = 'memory_test', action = 'append', resource_type = 'n',\n"
    "    resource_id = 'n' .. number, result = 'success', user_id = 'user', details = {\n"
    "    number = number, half = 0.5, text = 'a \\\"quoted\\\" text\\n', none = "
    "trail.null,\n"
    "    list = { 1, { 2, trail.array() }, 'three' } } }\n"
    "  if not extra then return e end\n"
    "  for key, value in pairs(extra) do e[key] = value end\n"
    "  for i = 1, 20 do e.details['key' .. i] = i end\n"
    "  e.details.large, e.details.long = 1234567890123456789, string.rep('x', 1500)\n"
    "  return e\n"
    "end\n"
    "local function same(a, b)\n"
    "  if type(a) ~= 'table' then return a == b end\n"
    "  for key, value in pairs(a) do if not same(value, b[key]) then return false end "
    "end\n"
    "  return true\n"
    "end\n"
    "local function expect(met, what) if not met then error('wrong: ' .. what, 0) end "
    "end\n"
    "local function read(log, seq, stored)\n"
    "  local record, message, code = log:get(seq)\n"
    "  if not record then return nil, message, code end\n"
    "  expect(record.seq == seq and same(stored, record), 'get')\n"
    "  record, message, code = log:get(record.id, { details = 'text', bytes = true })\n"
    "  if not record then return nil, message, code end\n"
    "  local details\n"
    "  details, message, code = trail.decode(record.details)\n"
    "  if not details then return nil, message, code end\n"
    "  expect(same(stored.details, details), 'get by id')\n"
    "  local values, last = {}, 1\n"
    "  for i = 1, 20 do values[i] = 'value' .. i end\n"
    "  values[7] = 'memory_test'\n"
    "  for found in log:query { event_type = values, order = 'oldest' } do\n"
    "    last = last + 1\n"
    "    expect(found.seq == last and found.details.half == 0.5, 'query')\n"
    "  end\n"
    "  local head = log:head()\n"
    "  expect(not head or last == head.seq, 'the end of a query')\n"
    "  local count\n"
    "  count, message, code = log:count { event_type = 'memory_test' }\n"
    "  if not count then return nil, message, code end\n"
    "  expect(count == last - 1, 'count')\n"
    "  count, message, code = log:count { where = function(r) return r.seq > 1 end }\n"
    "  if not count then return nil, message, code end\n"
    "  expect(count == last - 1, 'count where')\n"
    "  return true\n"
    "end\n"
    "local function write(log)\n"
    "  local one = event { timestamp = 1795000000000000, ip_address = '192.0.2.1' }\n"
    "  local seq, receipt, code = log:append(one)\n"
    "  if not seq then return nil, receipt, code end\n"
    "  expect(seq == receipt.seq, 'receipt')\n"
    "  local again\n"
    "  one.id, one.timestamp = receipt.id, nil\n"
    "  again, receipt, code = log:append { event(), event(), event() }\n"
    "  if not again then return nil, receipt, code end\n"
    "  expect(#again == 3 and again[3] == receipt[3].seq, 'receipts')\n"
    "  one.timestamp = 1795000000000000\n"
    "  again, receipt, code = log:append(one)\n"
    "  if not again then return nil, receipt, code end\n"
    "  expect(again == seq and receipt.duplicate, 'known')\n"
    "  return read(log, seq, one)\n"
    "end\n"
    "local function submit(log)\n"
    "  local ticket, message, code = log:submit(event())\n"
    "  if not ticket then return nil, message, code end\n"
    "  local seq, receipt, seqs\n"
    "  seq, receipt, code = ticket:wait()\n"
    "  if not seq then return nil, receipt, code end\n"
    "  expect(ticket:done() and seq == receipt.seq, 'ticket')\n"
    "  local list\n"
    "  list, message, code = log:submit { event(), event() }\n"
    "  if not list then return nil, message, code end\n"
    "  seqs, receipt, code = list:wait()\n"
    "  if not seqs then return nil, receipt, code end\n"
    "  expect(#seqs == 2 and seqs[1] > seq and receipt[2].seq == seqs[2], 'list')\n"
    "  expect(tostring(list):find('2 events, done'), 'tostring of a ticket')\n"
    "  ticket:close()\n"
    "  local queue\n"
    "  queue, message, code = log:queue()\n"
    "  if not queue then return nil, message, code end\n"
    "  expect(log:event_fd(), 'event_fd')\n"
    "  return log:flush()\n"
    "end\n"
    "return function(path, left_open, submits)\n"
    "  local log, message, code = trail.open(path, { map_size = 1 << 20 })\n"
    "  if not log then return nil, message, code end\n"
    "  local closed <close> = not left_open and log or nil\n"
    "  local head, info, done, report\n"
    "  head, message, code = log:head()\n"
    "  if not head then return nil, message, code end\n"
    "  info, message, code = log:info()\n"
    "  if not info then return nil, message, code end\n"
    "  expect(same(head, info.head), 'info')\n"
    "  done, message, code = write(log)\n"
    "  if not done then return nil, message, code end\n"
    "  expect(tostring(log):find(path, 1, true), 'tostring')\n"
    "  if submits then\n"
    "    done, message, code = submit(log)\n"
    "    if not done then return nil, message, code end\n"
    "  end\n"
    "  report, message, code = log:verify { in_process = true, expect_head = head,\n"
    "    progress = function() return true end }\n"
    "  if not report then return nil, message, code end\n"
    "  expect(report.ok and report.entries == head.seq + (submits and 7 or 4), "
    "'report')\n"
    "  if not left_open then log:close() end\n"
    "  return true\n"
    "end\n";

/* ---- Lua's memory ------------------------------------------------------------------- */

typedef struct heap {
    bool armed;
    unsigned long first;
    unsigned long count;
    unsigned long calls;
    size_t len; /* as Lua sees it */
} heap;

/* Never in place: who has kept a pointer is found out. */
static void *lua_memory(void *context, void *old, size_t old_len, size_t new_len)
{
    heap *h = context;
    size_t had = old != NULL ? old_len : 0; /* without a block it is a type */
    void *given = NULL;

    if (new_len > had && h->armed) {
        h->calls++;
        if (h->calls >= h->first && h->calls - h->first < h->count) {
            return NULL;
        }
    }
    if (new_len > 0) {
        given = malloc(new_len);
        if (given == NULL && new_len > had) {
            return NULL;
        }
        if (given == NULL) {
            given = old; /* Lua relies on that a block can become smaller */
        } else if (had > 0) {
            memcpy(given, old, had < new_len ? had : new_len);
        }
    }
    if (given != old) {
        free(old);
    }
    h->len += new_len - had;
    return given;
}

/* ---- the program -------------------------------------------------------------------- */

typedef struct program {
    const char *dir;
    char path[512];
    bool of_lua;
    unsigned long count; /* calls that fail */
    heap heap;
    unsigned paths;
    unsigned done;    /* although the failure was met */
    unsigned raised;  /* an error of Lua's */
    unsigned refused; /* nil, message, code */
} program;

static void arm(program *p, unsigned long n)
{
    if (p->of_lua) {
        p->heap.calls = 0;
        p->heap.first = n;
        p->heap.count = p->count;
        p->heap.armed = true;
    } else {
        fail_arm(n, p->count);
    }
}

static unsigned long disarm(program *p)
{
    p->heap.armed = false;
    return p->of_lua ? p->heap.calls : fail_disarm();
}

static void fail(const program *p, unsigned long n, const char *what)
{
    printf("call %lu, %s: %s\n", n, p->path, what);
    exit(1);
}

/* Short trails, or looking at them would take longer and longer. */
static void next_path(program *p)
{
    remove_trail(p->path);
    (void)snprintf(p->path, sizeof p->path, "%s/%u.trail", p->dir, ++p->paths);
}

/* Is the trail whole? Seen by C, which shares nothing with the state. */
static void look(program *p, unsigned long n, unsigned held)
{
    trail *t = NULL;
    trail_report report;
    trail_error err;

    if (held_by_process() != held) {
        fail(p, n, "a file stays open or mapped");
    }
    if (trail_open(&t, p->path, NULL, &err) != TRAIL_OK ||
        trail_verify(t, NULL, &report, &err) != TRAIL_OK) {
        fail(p, n, err.text);
    }
    if (report.fault != TRAIL_FAULT_NONE) {
        fail(p, n, report.text);
    }
    trail_close(t);
    if (report.head.seq > SEQ_MAX) {
        next_path(p);
    }
}

/* What the work left on the stack. */
static void judge(program *p, lua_State *L, unsigned long n, int failed)
{
    const char *text = lua_tostring(L, failed ? -1 : -2);
    const char *code = lua_tostring(L, -1);
    bool of_memory;

    if (!failed && lua_toboolean(L, -3)) {
        p->done++;
        return;
    }
    if (text == NULL || code == NULL) {
        fail(p, n, "neither done nor an error with its text");
    }
    of_memory = strcmp(text, "not enough memory") == 0;
    if (!p->of_lua) {
        of_memory = of_memory || strstr(text, "emory") != NULL ||
                    strstr(text, "OpenSSL") || strstr(text, "no random bytes") ||
                    strstr(text, "space") != NULL;
    }
    if (!of_memory || (!failed && strcmp(code, "no_memory") != 0 &&
                       strcmp(code, "io") != 0 && strcmp(code, "full") != 0)) {
        printf("%s: ", failed ? "error" : code);
        fail(p, n, text);
    }
    p->raised += failed != 0;
    p->refused += failed == 0;
}

/* The work is at index 1. */
static void push_work(const program *p, lua_State *L, unsigned long n)
{
    lua_settop(L, 1);
    lua_pushvalue(L, 1);
    lua_pushstring(L, p->path);
    lua_pushboolean(L, n % 2 == 0);
#ifdef __SANITIZE_ADDRESS__
    lua_pushboolean(L, !fail_of_malloc()); /* what starts a thread must not fail then */
#else
    lua_pushboolean(L, 1);
#endif
}

static int load_all(lua_State *L)
{
    luaL_requiref(L, "trail.core", luaopen_trail_core, 0);
    if (luaL_loadbuffer(L, work_text, sizeof work_text - 1, "=work") != LUA_OK) {
        return lua_error(L);
    }
    lua_call(L, 0, 1);
    return 1;
}

static lua_State *new_state(program *p)
{
    lua_State *L = lua_newstate(lua_memory, &p->heap);

    if (L == NULL) {
        fail(p, 0, "no state");
    }
    luaL_openlibs(L);
    (void)luaL_dostring(L, "package.path = './lua/?.lua;./lua/?/init.lua'");
    return L;
}

static void close_state(program *p, lua_State *L, unsigned long n, unsigned held)
{
    lua_close(L);
    if (p->heap.len != 0) {
        fail(p, n, "Lua has memory left");
    }
    if (held_by_process() != held) {
        fail(p, n, "a file stays open or mapped when the state is closed");
    }
}

/* What works after a failure must work as if there had been none. */
static void must_work(program *p, lua_State *L, unsigned long n)
{
    push_work(p, L, n);
    if (lua_pcall(L, 3, 3, 0) != LUA_OK || !lua_toboolean(L, -3)) {
        fail(p, n, lua_tostring(L, lua_gettop(L) == 2 ? -1 : -2));
    }
    lua_settop(L, 1);
    lua_gc(L, LUA_GCCOLLECT);
}

/* Memory fails while the module is loaded, which is then loaded once more. */
static void try_loading(program *p)
{
    unsigned held = held_by_process();
    unsigned long step = 1;
    unsigned long calls = ULONG_MAX;

    for (unsigned long n = 1; n <= calls; n += step) {
        lua_State *L = new_state(p);
        int failed;

        lua_pushcfunction(L, load_all);
        arm(p, n);
        failed = lua_pcall(L, 0, 1, 0);
        calls = disarm(p);
        if (failed) {
            calls = ULONG_MAX;
            if (strstr(lua_tostring(L, -1), "not enough memory") == NULL) {
                fail(p, n, lua_tostring(L, -1));
            }
            lua_settop(L, 0);
            lua_pushcfunction(L, load_all);
            if (lua_pcall(L, 0, 1, 0) != LUA_OK) {
                fail(p, n, lua_tostring(L, -1));
            }
        }
        must_work(p, L, n);
        close_state(p, L, n, held);
        look(p, n, held);
        step = n < LOAD_ALL ? 1 : LOAD_STEP; /* behind trail.core it is Lua, compiled */
    }
}

static void try_working(program *p)
{
    lua_State *L = new_state(p);
    unsigned held;

    if (load_all(L) != 1) {
        fail(p, 0, "cannot load");
    }
    lua_insert(L, 1);
    must_work(p, L, 1);
    held = held_by_process();
    for (unsigned long n = 1;; n++) {
        int failed;

        if (n == TRIES_MAX) {
            fail(p, n, "no end");
        }
        push_work(p, L, n);
        arm(p, n);
        failed = lua_pcall(L, 3, 3, 0);
        if (disarm(p) < n) {
            break;
        }
        judge(p, L, n, failed);
        lua_settop(L, 1);
        lua_gc(L, LUA_GCCOLLECT);
        lua_gc(L, LUA_GCCOLLECT); /* a log goes after its cursors */
        look(p, n, held);
        if (n % WORK_EVERY == 0) {
            must_work(p, L, n);
        }
    }
    close_state(p, L, 0, held);
}

int main(int argc, char **argv)
{
    program p = { .done = 0 };

    if (argc != 4) {
        return 2;
    }
    setvbuf(stdout, NULL, _IONBF, 0);
    p.dir = argv[1];
    p.of_lua = strcmp(argv[2], "lua") == 0;
    if (!p.of_lua) {
        fail_choose(argv[2]);
    }
    p.count = strcmp(argv[3], "once") == 0    ? 1
              : strcmp(argv[3], "twice") == 0 ? 2
                                              : ULONG_MAX;
    next_path(&p);
    try_working(&p);
    printf("work: %u done, %u raised, %u refused\n", p.done, p.raised, p.refused);
    if (p.of_lua) {
        try_loading(&p);
    }
    remove_trail(p.path);
    return 0;
}

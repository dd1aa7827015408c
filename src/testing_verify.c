/* testing_verify.c - trail.testing.verify: verify on any number of threads, in small stretches.
 * Test: may include anything; never installed.
 * SPDX-License-Identifier: MIT
 *
 * The trail must not be open in this process through the same copy of the library.
 */
#include "testing.h"

#include "log.h"
#include "verify.h"
#include "verify_threads.h"

#include <lauxlib.h>
#include <pthread.h>
#include <string.h>

/* What progress() was told. */
typedef struct told {
    pthread_t caller;
    uint64_t stop_at; /* 0: never */
    uint64_t calls;
    uint64_t first;
    uint64_t last;
    bool fell;      /* 'done' went back, or past the total */
    bool elsewhere; /* it was called on another thread */
} told;

static bool note(void *context, uint64_t done, uint64_t total)
{
    told *t = context;

    if (t->calls++ == 0) {
        t->first = done;
    }
    t->fell = t->fell || done < t->last || done > total;
    t->elsewhere = t->elsewhere || pthread_equal(t->caller, pthread_self()) == 0;
    t->last = done;
    return t->stop_at == 0 || done < t->stop_at;
}

static lua_Integer number(lua_State *L, const char *key)
{
    lua_Integer value;

    lua_getfield(L, 2, key);
    value = lua_isnil(L, -1) ? 0 : luaL_checkinteger(L, -1);
    lua_pop(L, 1);
    return value;
}

static void set(lua_State *L, const char *key, uint64_t value)
{
    lua_pushinteger(L, (lua_Integer)value);
    lua_setfield(L, -2, key);
}

static void set_bool(lua_State *L, const char *key, bool value)
{
    lua_pushboolean(L, value);
    lua_setfield(L, -2, key);
}

/* Every field of a report, and what progress was told in the field 'told'. */
static void push_report(lua_State *L, const trail_report *report, const told *t)
{
    lua_newtable(L);
    lua_pushstring(L, trail_fault_name(report->fault));
    lua_setfield(L, -2, "fault");
    set(L, "first_bad_seq", report->first_bad_seq);
    set(L, "last_good_seq", report->last_good_seq);
    set(L, "entries", report->entries);
    set(L, "head_seq", report->head.seq);
    set(L, "head_recorded_at", (uint64_t)report->head.recorded_at_us);
    lua_pushlstring(L, (const char *)report->head.event_hash, TRAIL_HASH_LEN);
    lua_setfield(L, -2, "head_hash");
    set_bool(L, "head_expected", report->head_expected);
    set(L, "index_seq", report->index_seq);
    set_bool(L, "complete", report->complete);
    lua_pushstring(L, report->text);
    lua_setfield(L, -2, "text");
    lua_newtable(L);
    set(L, "calls", t->calls);
    set(L, "first", t->first);
    set(L, "last", t->last);
    set_bool(L, "fell", t->fell);
    set_bool(L, "elsewhere", t->elsewhere);
    lua_setfield(L, -2, "told");
}

static trail_status verify_here(const char *dir, const trail_verify_options *options,
                                trail_report *report, trail_error *err)
{
    const trail__kv_options kv_options = { .read_only = true };
    trail__verify_watch watch;
    trail__log log;
    trail_status status = trail__log_open(&log, dir, &kv_options, err);

    if (status == TRAIL_OK) {
        status = trail__verify_log(&log, NULL, options, &watch, report, err);
        trail__log_close(&log);
        if (status == TRAIL_OK && watch.good != report->last_good_seq) {
            status = TRAIL_INVALID;
            (void)strcpy(err->text, "'good' is not last_good_seq");
        }
    }
    return status;
}

/* run(dir, { threads =, stop_at =, child =, expect_seq =, expect_hash = }) -> report
 * | nil, message, status. With 'child' in a process of its own. */
static int l_run(lua_State *L)
{
    const char *dir = luaL_checkstring(L, 1);
    trail_verify_options options;
    trail_report report;
    trail_error err = { TRAIL_OK, "" };
    trail_status status;
    told t = { .caller = pthread_self() };
    size_t len;
    const char *hash;

    luaL_checktype(L, 2, LUA_TTABLE);
    trail_verify_options_init(&options);
    options.threads = (unsigned)number(L, "threads");
    options.expect_seq = (uint64_t)number(L, "expect_seq");
    options.progress = note;
    options.context = &t;
    t.stop_at = (uint64_t)number(L, "stop_at");
    lua_getfield(L, 2, "expect_hash");
    if (!lua_isnil(L, -1)) {
        hash = luaL_checklstring(L, -1, &len);
        luaL_argcheck(L, len == TRAIL_HASH_LEN, 2, "a hash has 32 bytes");
        memcpy(options.expect_hash, hash, TRAIL_HASH_LEN);
    }
    lua_getfield(L, 2, "child");
    status = lua_toboolean(L, -1) ? trail_verify_path(dir, &options, &report, &err)
                                  : verify_here(dir, &options, &report, &err);
    if (status != TRAIL_OK) {
        return trail__testing_push_status(L, status, &err);
    }
    push_report(L, &report, &t);
    return 1;
}

/* stretch(n): how many entries a thread takes at a time; 0: as many as ever. */
static int l_stretch(lua_State *L)
{
    trail__verify_set_stretch((uint64_t)luaL_checkinteger(L, 1));
    return 0;
}

void trail__testing_verify(lua_State *L)
{
    static const luaL_Reg functions[] = { { "run", l_run },
                                          { "stretch", l_stretch },
                                          { NULL, NULL } };

    luaL_newlib(L, functions);
}

/* lua_verify.c - check a trail, with a progress function of Lua's.
 * Level edge: includes trail.h, Lua's headers and C standard headers only.
 * SPDX-License-Identifier: MIT
 */
#include "lua_core.h"

#include <limits.h>
#include <string.h>

static const char report_key;

#define PROGRESS_SLOT 3 /* where on the stack the progress function waits */

typedef struct progress {
    lua_State *L;
    bool failed; /* it threw; the error is on top of the stack */
} progress;

typedef struct verify_request {
    trail_verify_options options;
    bool in_process;
    bool bad_hash; /* the expected hash is no hash: data from elsewhere, so no throw */
    progress progress;
} verify_request;

/* ---- options ----------------------------------------------------------------------- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool parse_hash(trail_text text, uint8_t hash_out[TRAIL_HASH_LEN])
{
    size_t i;

    if (text.len != 2 * TRAIL_HASH_LEN) {
        return false;
    }
    for (i = 0; i < TRAIL_HASH_LEN; i++) {
        int high = hex_digit(text.data[2 * i]);
        int low = hex_digit(text.data[2 * i + 1]);

        if (high < 0 || low < 0) {
            return false;
        }
        hash_out[i] = (uint8_t)(high * 16 + low);
    }
    return true;
}

/* The expected head is on top: what log:head() gave, at least its seq and event_hash. */
static void read_head(lua_State *L, verify_request *request)
{
    if (lua_type(L, -1) != LUA_TTABLE) {
        luaL_error(L, "option 'expect_head': expected a table, got %s",
                   luaL_typename(L, -1));
    }
    lua_pushliteral(L, "seq");
    lua_rawget(L, -2);
    request->options.expect_seq =
        trail__lua_check_count(L, -1, "option", "expect_head.seq", 1);
    lua_pop(L, 1);
    lua_pushliteral(L, "event_hash");
    lua_rawget(L, -2);
    if (lua_type(L, -1) != LUA_TSTRING) {
        luaL_error(L, "option 'expect_head.event_hash': expected a string, got %s",
                   luaL_typename(L, -1));
    }
    request->bad_hash = !parse_hash(trail__lua_text(L, -1), request->options.expect_hash);
    lua_pop(L, 1);
}

/* Called by C in the middle of the check, so nothing may be thrown from here. */
static bool call_progress(void *context, uint64_t done, uint64_t total)
{
    progress *p = context;
    lua_State *L = p->L;
    bool go_on;

    if (p->failed) {
        return false;
    }
    lua_pushvalue(L, PROGRESS_SLOT);
    trail__lua_push_u64(L, done);
    trail__lua_push_u64(L, total);
    if (lua_pcall(L, 2, 1, 0) != 0) {
        p->failed = true;
        return false;
    }
    go_on = lua_type(L, -1) != LUA_TBOOLEAN || lua_toboolean(L, -1);
    lua_pop(L, 1);
    return go_on;
}

/* The value is on top, its key below. */
static void read_option(lua_State *L, verify_request *request)
{
    trail_text key = { "", 0 };

    if (lua_type(L, -2) == LUA_TSTRING) {
        key = trail__lua_text(L, -2);
    }
    if (trail__lua_text_is(key, "expect_head")) {
        read_head(L, request);
    } else if (trail__lua_text_is(key, "in_process")) {
        request->in_process = trail__lua_check_bool(L, -1, "option", "in_process");
    } else if (trail__lua_text_is(key, "threads")) {
        uint64_t threads = trail__lua_check_count(L, -1, "option", "threads", 0);

        request->options.threads = threads < UINT_MAX ? (unsigned)threads : UINT_MAX;
    } else if (trail__lua_text_is(key, "progress")) {
        if (lua_type(L, -1) != LUA_TFUNCTION) {
            luaL_error(L, "option 'progress': expected a function, got %s",
                       luaL_typename(L, -1));
        }
        lua_pushvalue(L, -1);
        lua_replace(L, PROGRESS_SLOT);
        request->options.progress = call_progress;
        request->options.context = &request->progress;
    } else {
        trail__lua_unknown(L, "", "option", -2);
    }
}

/* The options are at index 2; the slot of the progress function is behind them. */
static void read_request(lua_State *L, verify_request *request)
{
    trail_verify_options_init(&request->options);
    request->in_process = false;
    request->bad_hash = false;
    request->progress.L = L;
    request->progress.failed = false;
    luaL_checkstack(L, 16, NULL);
    if (!trail__lua_check_options(L, 2)) {
        return;
    }
    lua_pushnil(L);
    while (lua_next(L, 2) != 0) {
        read_option(L, request);
        lua_pop(L, 1);
    }
}

/* ---- the report -------------------------------------------------------------------- */

static void set_u64(lua_State *L, const char *key, uint64_t value)
{
    trail__lua_push_u64(L, value);
    lua_setfield(L, -2, key);
}

static void set_bool(lua_State *L, const char *key, bool value)
{
    lua_pushboolean(L, value);
    lua_setfield(L, -2, key);
}

static void push_report(lua_State *L, const trail_report *report)
{
    lua_createtable(L, 0, 10);
    set_bool(L, "ok", report->fault == TRAIL_FAULT_NONE && report->complete);
    lua_pushstring(L, trail_fault_name(report->fault));
    lua_setfield(L, -2, "fault");
    set_u64(L, "first_bad_seq", report->first_bad_seq);
    set_u64(L, "last_good_seq", report->last_good_seq);
    set_u64(L, "entries", report->entries);
    trail__lua_push_head(L, &report->head);
    lua_setfield(L, -2, "head");
    set_bool(L, "head_expected", report->head_expected);
    set_u64(L, "index_seq", report->index_seq);
    set_bool(L, "complete", report->complete);
    lua_pushstring(L, report->text);
    lua_setfield(L, -2, "text");
    trail__lua_set_class(L, &report_key);
}

/* Anything but a whole check that found nothing wrong fails an assert: report |
 * nil, message, "corrupt" or "stopped", report | nil, message, code. */
static int finish(lua_State *L, const verify_request *request, trail_status status,
                  const trail_report *report, const trail_error *err)
{
    if (request->progress.failed) {
        return lua_error(L);
    }
    if (status != TRAIL_OK) {
        return trail__lua_failure(L, err);
    }
    if (report->fault == TRAIL_FAULT_NONE && report->complete) {
        push_report(L, report);
        return 1;
    }
    trail__lua_failure_text(L, TRAIL_CORRUPT, report->text);
    if (report->fault == TRAIL_FAULT_NONE) {
        lua_pop(L, 1);
        lua_pushliteral(L, "stopped");
    }
    push_report(L, report);
    return 4;
}

static int bad_hash(lua_State *L)
{
    return trail__lua_failure_text(L, TRAIL_INVALID,
                                   "expect_head.event_hash is not 64 hexadecimal digits");
}

static int l_report_tostring(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_pushliteral(L, "text");
    lua_rawget(L, 1);
    return 1;
}

/* core.verify_path(path [, options]), in a child process */
static int l_verify_path(lua_State *L)
{
    verify_request request;
    trail_report report;
    trail_error err;
    trail_status status;

    luaL_checktype(L, 1, LUA_TSTRING);
    luaL_argcheck(L, strlen(lua_tostring(L, 1)) == trail__lua_text(L, 1).len, 1,
                  "the path has a NUL byte");
    lua_settop(L, PROGRESS_SLOT);
    read_request(L, &request);
    if (request.in_process) {
        return luaL_error(L, "option 'in_process' is for log:verify");
    }
    if (request.bad_hash) {
        return bad_hash(L);
    }
    status = trail_verify_path(lua_tostring(L, 1), &request.options, &report, &err);
    return finish(L, &request, status, &report, &err);
}

int trail__lua_log_verify(lua_State *L)
{
    trail__lua_log *log = trail__lua_check_log(L, 1);
    verify_request request;
    trail_report report;
    trail_error err;
    trail_status status;

    lua_settop(L, PROGRESS_SLOT);
    read_request(L, &request);
    if (trail__lua_handle(log) == NULL) {
        return trail__lua_closed(L);
    }
    if (request.bad_hash) {
        return bad_hash(L);
    }
    log->uses++; /* the progress function may call log:close() */
    if (request.in_process) {
        status = trail_verify(log->trail, &request.options, &report, &err);
    } else {
        status = trail_verify_path(trail_real_path(log->trail), &request.options, &report,
                                   &err);
    }
    log->uses--;
    trail__lua_log_settle(log);
    return finish(L, &request, status, &report, &err);
}

void trail__lua_open_verify(lua_State *L)
{
    static const luaL_Reg meta[] = { { "__tostring", l_report_tostring },
                                     { NULL, NULL } };
    static const luaL_Reg functions[] = { { "verify_path", l_verify_path },
                                          { NULL, NULL } };

    trail__lua_push_class(L, &report_key, "trail report", meta, NULL);
    lua_pop(L, 1);
    luaL_setfuncs(L, functions, 0);
}

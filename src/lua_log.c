/* lua_log.c - the log as Lua sees it: open, append, get, head, info, count, close.
 * Level edge: includes trail.h, Lua's headers and C standard headers only.
 * SPDX-License-Identifier: MIT
 */
#include "lua_core.h"

#include <limits.h>
#include <string.h>

static const char log_key;
static const char record_key;

#define CLOSED_TEXT "the trail is closed"

/* ---- the handle -------------------------------------------------------------------- */

trail__lua_log *trail__lua_check_log(lua_State *L, int index)
{
    return trail__lua_check_box(L, index, &log_key, "trail log");
}

trail *trail__lua_handle(const trail__lua_log *log)
{
    return log->closing ? NULL : log->trail;
}

int trail__lua_closed(lua_State *L)
{
    return trail__lua_failure_text(L, TRAIL_CLOSED, CLOSED_TEXT);
}

void trail__lua_log_settle(trail__lua_log *log)
{
    trail *handle = log->trail;

    if (log->closing && log->uses == 0 && log->cursors == NULL) {
        log->trail = NULL;
        trail_close(handle);
    }
}

void trail__lua_log_close(trail__lua_log *log)
{
    log->closing = true;
    trail__lua_cursors_close(log);
    trail__lua_log_settle(log);
}

/* log:close() -> true; also __gc and __close */
static int l_close(lua_State *L)
{
    trail__lua_log_close(trail__lua_check_log(L, 1));
    lua_pushboolean(L, 1);
    return 1;
}

/* ---- open -------------------------------------------------------------------------- */

static unsigned create_flag(lua_State *L)
{
    if (lua_type(L, -1) == LUA_TBOOLEAN) {
        return lua_toboolean(L, -1) ? 0 : TRAIL_NO_CREATE;
    }
    if (lua_type(L, -1) != LUA_TSTRING ||
        !trail__lua_text_is(trail__lua_text(L, -1), "new")) {
        luaL_error(L, "option 'create': expected true, false or \"new\"");
    }
    return TRAIL_CREATE_NEW;
}

static const char *origin_value(lua_State *L)
{
    trail_text text;

    if (lua_type(L, -1) != LUA_TSTRING) {
        luaL_error(L, "option 'origin': expected a string, got %s", luaL_typename(L, -1));
    }
    text = trail__lua_text(L, -1);
    if (memchr(text.data, 0, text.len) != NULL) {
        luaL_error(L, "option 'origin': has a NUL byte");
    }
    return text.data;
}

/* The value is on top, its key below. */
static void read_option(lua_State *L, trail_options *options, const char **paths)
{
    trail_text key = { "", 0 };
    uint64_t count;

    if (lua_type(L, -2) == LUA_TSTRING) {
        key = trail__lua_text(L, -2);
    }
    if (trail__lua_text_is(key, "read_only")) {
        if (trail__lua_check_bool(L, -1, "option", "read_only")) {
            options->flags |= TRAIL_READ_ONLY;
        }
    } else if (trail__lua_text_is(key, "create")) {
        options->flags |= create_flag(L);
    } else if (trail__lua_text_is(key, "origin")) {
        options->origin = origin_value(L);
    } else if (trail__lua_text_is(key, "map_size")) {
        options->map_size = trail__lua_check_count(L, -1, "option", "map_size", 0);
    } else if (trail__lua_text_is(key, "size_max")) {
        options->size_max = trail__lua_check_count(L, -1, "option", "size_max", 0);
    } else if (trail__lua_text_is(key, "busy_ms")) {
        count = trail__lua_check_count(L, -1, "option", "busy_ms", 0);
        options->busy_ms = count > UINT_MAX ? UINT_MAX : (unsigned)count;
    } else if (!trail__lua_index_option(L, key, options, paths) &&
               !trail__lua_queue_option(L, key, options)) {
        trail__lua_unknown(L, "", "option", -2);
    }
}

static void read_options(lua_State *L, int index, trail_options *options,
                         const char **paths)
{
    trail_options_init(options);
    if (!trail__lua_check_options(L, index)) {
        return;
    }
    lua_pushnil(L);
    while (lua_next(L, index) != 0) {
        read_option(L, options, paths);
        lua_pop(L, 1);
    }
}

/* core.open(path [, options]) -> log | nil, message, code */
static int l_open(lua_State *L)
{
    trail_text path;
    trail__lua_log *log;
    trail_options options;
    const char *paths[TRAIL_INDEX_PATHS_MAX];
    trail_error err;

    luaL_checktype(L, 1, LUA_TSTRING);
    lua_settop(L, 2);
    path = trail__lua_text(L, 1);
    luaL_argcheck(L, memchr(path.data, 0, path.len) == NULL, 1,
                  "the path has a NUL byte");
    /* The box holds NULL until the open succeeds: __gc can tell that there is nothing to
     * close. */
    log = lua_newuserdata(L, sizeof *log + path.len + 1);
    memset(log, 0, sizeof *log);
    memcpy(log->path, path.data, path.len + 1);
    trail__lua_set_class(L, &log_key);
    read_options(L, 2, &options, paths);
    if (trail_open(&log->trail, log->path, &options, &err) != TRAIL_OK) {
        return trail__lua_failure(L, &err);
    }
    return 1;
}

/* ---- append ------------------------------------------------------------------------ */

static void push_receipt(lua_State *L, const trail_receipt *receipt)
{
    lua_createtable(L, 0, 5);
    trail__lua_push_u64(L, receipt->seq);
    lua_setfield(L, -2, "seq");
    trail__lua_push_id(L, receipt->id);
    lua_setfield(L, -2, "id");
    lua_pushinteger(L, (lua_Integer)receipt->recorded_at_us);
    lua_setfield(L, -2, "recorded_at");
    trail__lua_push_hash(L, receipt->event_hash);
    lua_setfield(L, -2, "event_hash");
    lua_pushboolean(L, receipt->duplicate);
    lua_setfield(L, -2, "duplicate");
    trail__lua_set_kind(L, TRAIL__LUA_RECEIPT);
}

int trail__lua_push_receipts(lua_State *L, const trail_receipt *receipts, size_t count,
                             bool list)
{
    size_t i;

    if (!list) {
        trail__lua_push_u64(L, receipts[0].seq);
        push_receipt(L, &receipts[0]);
        return 2;
    }
    lua_createtable(L, (int)count, 0);
    lua_createtable(L, (int)count, 0);
    for (i = 0; i < count; i++) {
        trail__lua_push_u64(L, receipts[i].seq);
        trail__lua_raw_seti(L, -3, i + 1);
        push_receipt(L, &receipts[i]);
        trail__lua_raw_seti(L, -2, i + 1);
    }
    return 2;
}

/* log:append(event or list) -> seq, receipt or lists of them | nil, message, code */
static int l_append(lua_State *L)
{
    trail__lua_log *log = trail__lua_check_log(L, 1);
    trail__lua_batch batch;
    trail__lua_encoder encoder;
    trail_error err;
    trail_status status;
    trail *handle;

    trail__lua_check_single(L, 2, "append");
    status = trail__lua_batch_read(L, 2, &batch, &encoder, &err);
    /* Asked only now: reading the tables can run a finalizer that closes the log. */
    handle = trail__lua_handle(log);
    if (handle == NULL) {
        return trail__lua_closed(L);
    }
    if (status == TRAIL_OK && batch.list) {
        status =
            trail_append_batch(handle, batch.events, batch.count, batch.receipts, &err);
    } else if (status == TRAIL_OK) {
        status = trail_append(handle, batch.events, batch.receipts, &err);
    }
    if (status != TRAIL_OK) {
        return trail__lua_failure(L, &err);
    }
    return trail__lua_push_receipts(L, batch.receipts, batch.count, batch.list);
}

/* ---- read -------------------------------------------------------------------------- */

static int l_record_gc(lua_State *L)
{
    trail_record **box = trail__lua_check_box(L, 1, &record_key, "trail record");

    trail_record_free(*box);
    *box = NULL;
    return 0;
}

static trail_status get_record(lua_State *L, trail *handle, trail_record **record_out,
                               trail_error *err)
{
    uint8_t id[TRAIL_ID_LEN];
    trail_status status;

    if (lua_type(L, 2) == LUA_TNUMBER) {
        return trail_get(handle, trail__lua_check_count(L, 2, "argument", "seq", 0),
                         record_out, err);
    }
    status = trail_id_parse(trail__lua_text(L, 2), id, err);
    if (status != TRAIL_OK) {
        return status;
    }
    return trail_get_by_id(handle, id, record_out, err);
}

/* log:get(seq or id [, view options]) -> record | nil, message, code */
static int l_get(lua_State *L)
{
    trail__lua_log *log = trail__lua_check_log(L, 1);
    trail__lua_view view;
    trail_record **box;
    trail_error err;
    trail_status status;

    lua_settop(L, 3);
    luaL_argcheck(L, lua_type(L, 2) == LUA_TNUMBER || lua_type(L, 2) == LUA_TSTRING, 2,
                  "a seq or an id expected");
    trail__lua_check_view(L, 3, &view);
    box = lua_newuserdata(L, sizeof *box);
    *box = NULL;
    trail__lua_set_class(L, &record_key);
    if (trail__lua_handle(log) == NULL) {
        return trail__lua_closed(L);
    }
    status = get_record(L, trail__lua_handle(log), box, &err);
    if (status == TRAIL_OK) {
        status = trail__lua_push_record(L, *box, &view, &err);
    }
    trail_record_free(*box);
    *box = NULL;
    return status == TRAIL_OK ? 1 : trail__lua_failure(L, &err);
}

/* log:count([filter]) -> number | nil, message, code */
static int l_count(lua_State *L)
{
    trail__lua_log *log = trail__lua_check_log(L, 1);
    trail__lua_filter filter;
    uint64_t count = 0;
    trail_error err;
    trail_status status;

    lua_settop(L, 2);
    status = trail__lua_filter_read(L, 2, &filter, &err);
    if (trail__lua_handle(log) == NULL) {
        return trail__lua_closed(L);
    }
    if (status == TRAIL_OK) {
        status = trail_count(trail__lua_handle(log), &filter.filter, &count, &err);
    }
    if (status != TRAIL_OK) {
        return trail__lua_failure(L, &err);
    }
    trail__lua_push_u64(L, count);
    return 1;
}

/* log:head() -> { seq, recorded_at, event_hash } | nil, message, code */
static int l_head(lua_State *L)
{
    trail__lua_log *log = trail__lua_check_log(L, 1);
    trail_head head;
    trail_error err;

    if (trail__lua_handle(log) == NULL) {
        return trail__lua_closed(L);
    }
    if (trail_get_head(trail__lua_handle(log), &head, &err) != TRAIL_OK) {
        return trail__lua_failure(L, &err);
    }
    trail__lua_push_head(L, &head);
    return 1;
}

/* log:info() -> table | nil, message, code */
static int l_info(lua_State *L)
{
    trail__lua_log *log = trail__lua_check_log(L, 1);
    trail_info info;
    trail_error err;

    if (trail__lua_handle(log) == NULL) {
        return trail__lua_closed(L);
    }
    if (trail_get_info(trail__lua_handle(log), &info, &err) != TRAIL_OK) {
        return trail__lua_failure(L, &err);
    }
    lua_createtable(L, 0, 12);
    trail__lua_push_id(L, info.log_id);
    lua_setfield(L, -2, "log_id");
    lua_pushstring(L, info.origin);
    lua_setfield(L, -2, "origin");
    trail__lua_push_head(L, &info.head);
    lua_setfield(L, -2, "head");
    lua_pushinteger(L, (lua_Integer)info.created_at_us);
    lua_setfield(L, -2, "created_at");
    trail__lua_set_u64(L, "format", info.format);
    trail__lua_set_u64(L, "file_len", info.file_len);
    trail__lua_set_u64(L, "used_len", info.used_len);
    trail__lua_set_u64(L, "map_size", info.map_size);
    trail__lua_set_u64(L, "size_max", info.size_max);
    trail__lua_set_u64(L, "foreign_ids", info.foreign_ids);
    trail__lua_set_u64(L, "readers", info.readers);
    trail__lua_set_u64(L, "readers_max", info.readers_max);
    return 1;
}

/* log:path() -> the path as given to open | nil, message, code */
static int l_path(lua_State *L)
{
    trail__lua_log *log = trail__lua_check_log(L, 1);

    if (trail__lua_handle(log) == NULL) {
        return trail__lua_closed(L);
    }
    lua_pushstring(L, log->path);
    return 1;
}

static int l_tostring(lua_State *L)
{
    trail__lua_log *log = trail__lua_check_log(L, 1);
    trail_head head;

    if (trail__lua_handle(log) == NULL) {
        lua_pushfstring(L, "trail (%s, closed)", log->path);
    } else if (trail_get_head(trail__lua_handle(log), &head, NULL) != TRAIL_OK) {
        lua_pushfstring(L, "trail (%s, open)", log->path);
    } else {
        trail__lua_push_u64(L, head.seq);
        lua_pushfstring(L, "trail (%s, %s %s, open)", log->path, lua_tostring(L, -1),
                        head.seq == 1 ? "event" : "events");
    }
    return 1;
}

void trail__lua_open_log(lua_State *L)
{
    static const luaL_Reg meta[] = { { "__gc", l_close },
                                     { "__close", l_close },
                                     { "__tostring", l_tostring },
                                     { NULL, NULL } };
    static const luaL_Reg methods[] = { { "append", l_append },
                                        { "submit", trail__lua_log_submit },
                                        { "submit_batch", trail__lua_log_submit },
                                        { "flush", trail__lua_log_flush },
                                        { "event_fd", trail__lua_log_event_fd },
                                        { "queue", trail__lua_log_queue },
                                        { "get", l_get },
                                        { "head", l_head },
                                        { "info", l_info },
                                        { "count", l_count },
                                        { "top", trail__lua_log_top },
                                        { "histogram", trail__lua_log_histogram },
                                        { "index", trail__lua_log_index },
                                        { "maintain", trail__lua_log_maintain },
                                        { "cursor", trail__lua_cursor_new },
                                        { "verify", trail__lua_log_verify },
                                        { "close", l_close },
                                        { "path", l_path },
                                        { NULL, NULL } };
    static const luaL_Reg record_meta[] = { { "__gc", l_record_gc }, { NULL, NULL } };
    static const luaL_Reg functions[] = { { "open", l_open }, { NULL, NULL } };

    trail__lua_push_class(L, &record_key, "trail record", record_meta, NULL);
    lua_pop(L, 1);
    trail__lua_push_class(L, &log_key, "trail log", meta, methods);
    lua_setfield(L, -2, "log_methods");
    luaL_setfuncs(L, functions, 0);
}

/* lua_index.c - what the index is asked: counts by value and by time, how an answer was found;
 * and what becomes of the index itself.
 * Level edge: includes trail.h, Lua's headers and C standard headers only.
 * SPDX-License-Identifier: MIT
 */
#include "lua_core.h"

#include <string.h>

/* ---- options of open --------------------------------------------------------------- */

static trail_indexing indexing_word(lua_State *L)
{
    static const char *const words[] = { "background", "inline", "manual" };
    trail_text word = { "", 0 };
    int i;

    if (lua_type(L, -1) == LUA_TSTRING) {
        word = trail__lua_text(L, -1);
    }
    for (i = 0; i < 3; i++) {
        if (trail__lua_text_is(word, words[i])) {
            return (trail_indexing)i;
        }
    }
    luaL_error(L, "option 'indexing': expected \"background\", \"inline\" or \"manual\"");
    return TRAIL_INDEX_BACKGROUND;
}

/* The list of paths is on top, and stays in the table of options, so its strings live. */
static void read_paths(lua_State *L, trail_options *options, const char **paths)
{
    size_t count;
    size_t i;

    if (lua_type(L, -1) != LUA_TTABLE) {
        luaL_error(L, "option 'index': expected a list of paths, got %s",
                   luaL_typename(L, -1));
    }
    count = trail__lua_raw_len(L, -1);
    if (count > TRAIL_INDEX_PATHS_MAX) {
        luaL_error(L, "option 'index': %d paths, the limit is %d", (int)count,
                   TRAIL_INDEX_PATHS_MAX);
    }
    for (i = 0; i < count; i++) {
        trail_text text;

        trail__lua_raw_geti(L, -1, i + 1);
        if (lua_type(L, -1) != LUA_TSTRING) {
            luaL_error(L, "option 'index': expected a list of strings, got %s in it",
                       luaL_typename(L, -1));
        }
        text = trail__lua_text(L, -1);
        if (memchr(text.data, 0, text.len) != NULL) {
            luaL_error(L, "option 'index': a path has a NUL byte");
        }
        trail__lua_details_path(text, &text);
        paths[i] = text.data; /* the end of the string is that of the path */
        lua_pop(L, 1);
    }
    options->index_paths = paths;
    options->index_path_count = count;
}

bool trail__lua_index_option(lua_State *L, trail_text key, trail_options *options,
                             const char **paths)
{
    if (trail__lua_text_is(key, "index")) {
        read_paths(L, options, paths);
        return true;
    }
    if (trail__lua_text_is(key, "indexing")) {
        options->indexing = indexing_word(L);
        return true;
    }
    return false;
}

/* ---- what is handed out as a table -------------------------------------------------- */

void trail__lua_push_explain(lua_State *L, const trail_explain *explain)
{
    lua_createtable(L, 0, 12);
    lua_pushstring(L, explain->plan);
    lua_setfield(L, -2, "plan");
    trail__lua_set_u64(L, "index_seq", explain->index_seq);
    trail__lua_set_u64(L, "head_seq", explain->head_seq);
    trail__lua_set_u64(L, "segments", explain->segments);
    trail__lua_set_u64(L, "segments_skipped", explain->segments_skipped);
    trail__lua_set_u64(L, "lookups", explain->lookups);
    trail__lua_set_u64(L, "candidates", explain->candidates);
    trail__lua_set_u64(L, "records_read", explain->records_read);
    trail__lua_set_u64(L, "records_tail", explain->records_tail);
    lua_pushinteger(L, (lua_Integer)explain->time_us);
    lua_setfield(L, -2, "time_us");
}

/* core.count_explained(log [, filter]) -> number, explain | nil, message, code */
static int l_count_explained(lua_State *L)
{
    trail__lua_log *log = trail__lua_check_log(L, 1);
    trail__lua_filter filter;
    trail_explain explain;
    uint64_t count = 0;
    trail_error err;
    trail_status status;

    lua_settop(L, 2);
    status = trail__lua_filter_read(L, 2, &filter, &err);
    if (trail__lua_handle(log) == NULL) {
        return trail__lua_closed(L);
    }
    if (status == TRAIL_OK) {
        status = trail_count_explain(trail__lua_handle(log), &filter.filter, &count,
                                     &explain, &err);
    }
    if (status != TRAIL_OK) {
        return trail__lua_failure(L, &err);
    }
    trail__lua_push_u64(L, count);
    trail__lua_push_explain(L, &explain);
    return 2;
}

/* ---- results that C owns ------------------------------------------------------------ */

/* While Lua copies a result it may run out of memory, so a box frees it. */
static const char result_key;

typedef struct result_box {
    trail_top *top;
    trail_histogram *histogram;
} result_box;

static void free_result(result_box *box)
{
    trail_top_free(box->top);
    trail_histogram_free(box->histogram);
    box->top = NULL;
    box->histogram = NULL;
}

static int l_result_gc(lua_State *L)
{
    free_result(trail__lua_check_box(L, 1, &result_key, "trail result"));
    return 0;
}

static result_box *push_result_box(lua_State *L)
{
    result_box *box = lua_newuserdata(L, sizeof *box);

    box->top = NULL;
    box->histogram = NULL;
    trail__lua_set_class(L, &result_key);
    return box;
}

/* The field at 'index'; one that is not known is a mistake of the program. */
static trail_field check_field(lua_State *L, int index, trail_text *path_out)
{
    trail_text name;
    int field;

    luaL_checktype(L, index, LUA_TSTRING);
    name = trail__lua_text(L, index);
    path_out->data = NULL;
    path_out->len = 0;
    if (trail__lua_details_path(name, path_out)) {
        return TRAIL_FIELD_DETAILS;
    }
    for (field = 0; field < TRAIL_FIELD_DETAILS; field++) {
        if (trail__lua_text_is(name, trail_field_name((trail_field)field))) {
            return (trail_field)field;
        }
    }
    trail__lua_unknown(L, "", "field", index);
    return TRAIL_FIELD_COUNT;
}

/* Push the value of a row. */
static trail_status push_value(lua_State *L, trail_field field, trail_text value,
                               trail_error *err)
{
    if (field == TRAIL_FIELD_DETAILS) {
        return trail__lua_decode(L, value, err);
    }
    lua_pushlstring(L, value.data, value.len);
    return TRAIL_OK;
}

static trail_status push_top(lua_State *L, trail_field field, const trail_top *top,
                             trail_error *err)
{
    size_t i;

    lua_createtable(L, (int)top->count, 3);
    trail__lua_set_u64(L, "events", top->events);
    trail__lua_set_u64(L, "absent", top->absent);
    trail__lua_set_u64(L, "distinct", top->distinct);
    for (i = 0; i < top->count; i++) {
        trail_status status;

        lua_createtable(L, 0, 2);
        status = push_value(L, field, top->rows[i].value, err);
        if (status != TRAIL_OK) {
            return status;
        }
        lua_setfield(L, -2, "value");
        trail__lua_set_u64(L, "count", top->rows[i].count);
        trail__lua_raw_seti(L, -2, i + 1);
    }
    return TRAIL_OK;
}

/* core log:top(field, filter or nil, n) -> { events, absent, distinct, { value, count } ... } |
 * nil, message, code */
int trail__lua_log_top(lua_State *L)
{
    trail__lua_log *log = trail__lua_check_log(L, 1);
    trail__lua_filter filter;
    trail_text path;
    trail_field field = check_field(L, 2, &path);
    uint64_t row_max = trail__lua_check_count(L, 4, "argument", "n", 1);
    result_box *box;
    trail_error err;
    trail_status status;

    lua_settop(L, 4);
    box = push_result_box(L);
    status = trail__lua_filter_read(L, 3, &filter, &err);
    if (trail__lua_handle(log) == NULL) {
        return trail__lua_closed(L);
    }
    if (status == TRAIL_OK) {
        status = trail_top_values(trail__lua_handle(log), field, path, &filter.filter,
                                  row_max > SIZE_MAX ? SIZE_MAX : (size_t)row_max,
                                  &box->top, &err);
    }
    if (status == TRAIL_OK) {
        status = push_top(L, field, box->top, &err);
    }
    free_result(box);
    return status == TRAIL_OK ? 1 : trail__lua_failure(L, &err);
}

/* core log:histogram(interval_us, filter or nil) -> { events, { time, count } ... } |
 * nil, message, code */
int trail__lua_log_histogram(lua_State *L)
{
    trail__lua_log *log = trail__lua_check_log(L, 1);
    int64_t interval_us = trail__lua_check_int64(L, 2, "argument", "interval");
    trail__lua_filter filter;
    result_box *box;
    trail_error err;
    trail_status status;
    size_t i;

    lua_settop(L, 3);
    box = push_result_box(L);
    status = trail__lua_filter_read(L, 3, &filter, &err);
    if (trail__lua_handle(log) == NULL) {
        return trail__lua_closed(L);
    }
    if (status == TRAIL_OK) {
        status = trail_histogram_make(trail__lua_handle(log), interval_us, &filter.filter,
                                      &box->histogram, &err);
    }
    if (status != TRAIL_OK) {
        return trail__lua_failure(L, &err);
    }
    lua_createtable(L, (int)box->histogram->count, 1);
    trail__lua_set_u64(L, "events", box->histogram->events);
    for (i = 0; i < box->histogram->count; i++) {
        lua_createtable(L, 0, 2);
        lua_pushinteger(L, (lua_Integer)box->histogram->buckets[i].begin_us);
        lua_setfield(L, -2, "time");
        trail__lua_set_u64(L, "count", box->histogram->buckets[i].count);
        trail__lua_raw_seti(L, -2, i + 1);
    }
    free_result(box);
    return 1;
}

/* ---- the index itself --------------------------------------------------------------- */

static void push_levels(lua_State *L, const trail_index_info *info)
{
    unsigned i;

    lua_createtable(L, (int)info->levels, 0);
    for (i = 0; i < info->levels && i < TRAIL_INDEX_LEVELS_MAX; i++) {
        lua_createtable(L, 0, 2);
        trail__lua_set_u64(L, "segments", info->level_segments[i]);
        trail__lua_set_u64(L, "span", info->level_span[i]);
        trail__lua_raw_seti(L, -2, i + 1);
    }
}

/* The paths belong to the handle, and a finalizer of the caller's may close it as soon as Lua
 * allocates: they are copied before. */
typedef struct path_list {
    size_t count;
    char paths[TRAIL_INDEX_PATHS_MAX][TRAIL_INDEX_PATH_LEN_MAX + 1];
} path_list;

static void copy_paths(const trail_index_info *info, path_list *list)
{
    list->count = info->path_count < TRAIL_INDEX_PATHS_MAX ? info->path_count
                                                           : TRAIL_INDEX_PATHS_MAX;
    for (size_t i = 0; i < list->count; i++) {
        size_t len = strlen(info->paths[i]);

        len = len < sizeof list->paths[i] ? len : sizeof list->paths[i] - 1;
        memcpy(list->paths[i], info->paths[i], len);
        list->paths[i][len] = '\0';
    }
}

static void push_paths(lua_State *L, const path_list *list)
{
    lua_createtable(L, (int)list->count, 0);
    for (size_t i = 0; i < list->count; i++) {
        lua_pushstring(L, list->paths[i]);
        trail__lua_raw_seti(L, -2, i + 1);
    }
}

/* log:index() -> table | nil, message, code */
int trail__lua_log_index(lua_State *L)
{
    trail__lua_log *log = trail__lua_check_log(L, 1);
    trail_index_info info;
    path_list list;
    trail_error err;

    if (trail__lua_handle(log) == NULL) {
        return trail__lua_closed(L);
    }
    if (trail_get_index_info(trail__lua_handle(log), &info, &err) != TRAIL_OK) {
        return trail__lua_failure(L, &err);
    }
    copy_paths(&info, &list);
    lua_createtable(L, 0, 10);
    push_paths(L, &list);
    lua_setfield(L, -2, "paths");
    lua_pushboolean(L, info.present);
    lua_setfield(L, -2, "present");
    if (info.why[0] != '\0') {
        lua_pushstring(L, info.why);
        lua_setfield(L, -2, "why");
    }
    trail__lua_set_u64(L, "index_seq", info.index_seq);
    trail__lua_set_u64(L, "head_seq", info.head_seq);
    trail__lua_set_u64(L, "segments", info.segments);
    push_levels(L, &info);
    lua_setfield(L, -2, "levels");
    trail__lua_set_u64(L, "file_len", info.file_len);
    trail__lua_set_u64(L, "used_len", info.used_len);
    return 1;
}

#define PROGRESS_SLOT 3 /* where on the stack the progress function waits */

typedef struct progress {
    lua_State *L;
    bool failed;  /* it threw; the error is on top of the stack */
    bool stopped; /* it returned false */
} progress;

/* Called by C in the middle of its work, so nothing may be thrown from here. */
static bool call_progress(void *context, uint64_t done, uint64_t total)
{
    progress *p = context;
    lua_State *L = p->L;

    if (p->failed || p->stopped) {
        return false;
    }
    lua_pushvalue(L, PROGRESS_SLOT);
    trail__lua_push_u64(L, done);
    trail__lua_push_u64(L, total);
    if (lua_pcall(L, 2, 1, 0) != 0) {
        p->failed = true;
        return false;
    }
    p->stopped = lua_type(L, -1) == LUA_TBOOLEAN && !lua_toboolean(L, -1);
    lua_pop(L, 1);
    return !p->stopped;
}

/* The value is on top, its key below. */
static void read_maintain_option(lua_State *L, trail_maintain_options *options)
{
    trail_text key = { "", 0 };

    if (lua_type(L, -2) == LUA_TSTRING) {
        key = trail__lua_text(L, -2);
    }
    if (trail__lua_text_is(key, "anew")) {
        options->anew = trail__lua_check_bool(L, -1, "option", "anew");
    } else if (trail__lua_text_is(key, "progress")) {
        if (lua_type(L, -1) != LUA_TFUNCTION) {
            luaL_error(L, "option 'progress': expected a function, got %s",
                       luaL_typename(L, -1));
        }
        lua_pushvalue(L, -1);
        lua_replace(L, PROGRESS_SLOT);
        options->progress = call_progress;
    } else {
        trail__lua_unknown(L, "", "option", -2);
    }
}

/* log:maintain([options]) -> true | nil, message, code; "stopped" if progress() said so */
int trail__lua_log_maintain(lua_State *L)
{
    trail__lua_log *log = trail__lua_check_log(L, 1);
    progress p = { L, false, false };
    trail_maintain_options options;
    trail_error err;
    trail_status status;

    lua_settop(L, 2);
    lua_settop(L, PROGRESS_SLOT);
    trail_maintain_options_init(&options);
    options.context = &p;
    luaL_checkstack(L, 16, NULL);
    if (trail__lua_check_options(L, 2)) {
        lua_pushnil(L);
        while (lua_next(L, 2) != 0) {
            read_maintain_option(L, &options);
            lua_pop(L, 1);
        }
    }
    if (trail__lua_handle(log) == NULL) {
        return trail__lua_closed(L);
    }
    log->uses++; /* the progress function may call log:close() */
    status = trail_maintain(log->trail, &options, &err);
    log->uses--;
    trail__lua_log_settle(log);
    if (p.failed) {
        return lua_error(L);
    }
    if (status != TRAIL_OK) {
        return trail__lua_failure(L, &err);
    }
    if (p.stopped) {
        lua_pushnil(L);
        lua_pushliteral(L, "the progress function stopped it");
        lua_pushliteral(L, "stopped");
        return 3;
    }
    lua_pushboolean(L, 1);
    return 1;
}

void trail__lua_open_index(lua_State *L)
{
    static const luaL_Reg meta[] = { { "__gc", l_result_gc }, { NULL, NULL } };
    static const luaL_Reg functions[] = { { "count_explained", l_count_explained },
                                          { NULL, NULL } };

    trail__lua_push_class(L, &result_key, "trail result", meta, NULL);
    lua_pop(L, 1);
    luaL_setfuncs(L, functions, 0);
}

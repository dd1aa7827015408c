/* lua_cursor.c - a query in progress.
 * Level edge: includes trail.h, Lua's headers and C standard headers only.
 * SPDX-License-Identifier: MIT
 */
#include "lua_core.h"

#include <string.h>

static const char cursor_key;

/* The box of a cursor. It keeps its log alive; the log knows its open cursors and closes
 * them before itself. */
struct trail__lua_cursor {
    trail_cursor *cursor; /* NULL: at the end, or closed */
    trail__lua_log *log;
    trail__lua_cursor *next; /* of this log; only while 'cursor' is set */
    trail__lua_cursor *previous;
    trail__lua_view view;
    uint64_t scanned;      /* after the end */
    trail_explain explain; /* after the end */
    bool busy;             /* a record is being copied to Lua */
    bool closed;           /* close() was called */
    bool lost; /* copying a record failed; going on would leave it out in silence */
};

static trail__lua_cursor *check_cursor(lua_State *L, int index)
{
    return trail__lua_check_box(L, index, &cursor_key, "trail cursor");
}

static void link_cursor(trail__lua_cursor *c)
{
    c->previous = NULL;
    c->next = c->log->cursors;
    if (c->next != NULL) {
        c->next->previous = c;
    }
    c->log->cursors = c;
}

static void unlink_cursor(trail__lua_cursor *c)
{
    if (c->previous != NULL) {
        c->previous->next = c->next;
    } else {
        c->log->cursors = c->next;
    }
    if (c->next != NULL) {
        c->next->previous = c->previous;
    }
}

/* Give back what C holds, unless a record is being copied from it: then next() does it.
 */
static void release(trail__lua_cursor *c)
{
    if (c->cursor == NULL || c->busy) {
        return;
    }
    c->scanned = trail_cursor_scanned(c->cursor);
    trail_cursor_explain(c->cursor, &c->explain);
    trail_cursor_close(c->cursor);
    c->cursor = NULL;
    unlink_cursor(c);
    trail__lua_log_settle(c->log);
}

void trail__lua_cursors_close(trail__lua_log *log)
{
    trail__lua_cursor *c = log->cursors;

    while (c != NULL) {
        trail__lua_cursor *next = c->next;

        c->closed = true;
        release(c);
        c = next;
    }
}

/* log:cursor([filter [, view options]]) -> cursor | nil, message, code */
int trail__lua_cursor_new(lua_State *L)
{
    trail__lua_log *log = trail__lua_check_log(L, 1);
    trail__lua_filter filter;
    trail__lua_cursor *c;
    trail__lua_view view;
    trail_error err;
    trail_status status;

    lua_settop(L, 3);
    trail__lua_check_view(L, 3, &view);
    c = lua_newuserdata(L, sizeof *c);
    memset(c, 0, sizeof *c);
    c->log = log;
    c->view = view;
    trail__lua_set_owner(L, -1, 1);
    trail__lua_set_class(L, &cursor_key);
    lua_replace(L, 3);
    status = trail__lua_filter_read(L, 2, &filter, &err);
    if (trail__lua_handle(log) == NULL) {
        return trail__lua_closed(L);
    }
    if (status == TRAIL_OK) {
        status = trail_query(log->trail, &filter.filter, &c->cursor, &err);
    }
    if (status != TRAIL_OK) {
        c->cursor = NULL;
        return trail__lua_failure(L, &err);
    }
    link_cursor(c);
    lua_settop(L, 3);
    return 1;
}

/* ---- next -------------------------------------------------------------------------- */

typedef struct copy {
    const trail_record *record;
    const trail__lua_view *view;
} copy;

static int throw_text(lua_State *L, const char *text)
{
    lua_pushstring(L, text); /* without a position: the loop is not to blame */
    return lua_error(L);
}

/* Runs protected. Argument: a light userdata, the copy. */
static int copy_record(lua_State *L)
{
    const copy *job = lua_touserdata(L, 1);
    trail_error err;

    if (trail__lua_push_record(L, job->record, job->view, &err) != TRAIL_OK) {
        return throw_text(L, err.text);
    }
    return 1;
}

static void check_usable(lua_State *L, const trail__lua_cursor *c)
{
    if (trail__lua_handle(c->log) == NULL) {
        throw_text(L, "the trail is closed");
    }
    if (c->closed) {
        throw_text(L, "the cursor is closed");
    }
    if (c->busy) {
        throw_text(L, "the cursor is in the middle of a record");
    }
    if (c->lost) {
        throw_text(L, "the cursor lost a record to an error; query again");
    }
}

/* Copying allocates, so a finalizer of the caller's may run and close this cursor or its
 * log. The call is protected so that 'busy' always ends, and closing waits for that. */
static int copy_protected(lua_State *L, trail__lua_cursor *c, const trail_record *record)
{
    copy job = { record, &c->view };
    int failed;

    lua_pushlightuserdata(L, &job);
    c->busy = true;
    failed = lua_pcall(L, 1, 1, 0);
    c->busy = false;
    c->lost = failed != 0;
    if (c->closed) {
        release(c);
    }
    return failed ? lua_error(L) : 1;
}

/* cursor:next() -> record, nil at the end; throws */
static int l_next(lua_State *L)
{
    trail__lua_cursor *c = check_cursor(L, 1);
    const trail_record *record = NULL;
    trail_error err;

    lua_settop(L, 1);
    lua_pushcfunction(L, copy_record); /* before the record is there: this may raise */
    check_usable(L, c);
    if (c->cursor == NULL) {
        lua_pushnil(L);
        return 1;
    }
    if (trail_cursor_next(c->cursor, &record, &err) != TRAIL_OK) {
        return throw_text(L, err.text);
    }
    if (record == NULL) {
        release(c);
        lua_pushnil(L);
        return 1;
    }
    return copy_protected(L, c, record);
}

/* ---- the rest ---------------------------------------------------------------------- */

/* cursor:scanned() -> how many entries it has looked at */
static int l_scanned(lua_State *L)
{
    trail__lua_cursor *c = check_cursor(L, 1);

    trail__lua_push_u64(L,
                        c->cursor != NULL ? trail_cursor_scanned(c->cursor) : c->scanned);
    return 1;
}

/* cursor:explain() -> how it was found, so far */
static int l_explain(lua_State *L)
{
    trail__lua_cursor *c = check_cursor(L, 1);

    if (c->cursor != NULL) {
        trail_cursor_explain(c->cursor, &c->explain);
    }
    trail__lua_push_explain(L, &c->explain);
    return 1;
}

/* cursor:close() -> true; also __gc and __close */
static int l_close(lua_State *L)
{
    trail__lua_cursor *c = check_cursor(L, 1);

    c->closed = true;
    release(c);
    lua_pushboolean(L, 1);
    return 1;
}

static int l_tostring(lua_State *L)
{
    trail__lua_cursor *c = check_cursor(L, 1);

    lua_pushfstring(L, "trail cursor (%s)",
                    c->cursor != NULL ? "open"
                    : c->closed       ? "closed"
                                      : "at the end");
    return 1;
}

void trail__lua_open_cursor(lua_State *L)
{
    static const luaL_Reg meta[] = { { "__gc", l_close },
                                     { "__close", l_close },
                                     { "__tostring", l_tostring },
                                     { NULL, NULL } };
    static const luaL_Reg methods[] = { { "next", l_next },
                                        { "scanned", l_scanned },
                                        { "explain", l_explain },
                                        { "close", l_close },
                                        { NULL, NULL } };

    trail__lua_push_class(L, &cursor_key, "trail cursor", meta, methods);
    lua_setfield(L, -2, "cursor_methods");
}

/* testing_base.c - trail.testing's error, fault and text.
 * Test: may include anything; never installed.
 * SPDX-License-Identifier: MIT
 */
#include "testing.h"

#include <errno.h>
#include <lauxlib.h>
#include <string.h>

#include "error.h"
#include "fault.h"
#include "text.h"

/* ---- error ----------------------------------------------------------------------- */

static int push_error(lua_State *L, const trail_error *err)
{
    lua_pushstring(L, err->text);
    lua_pushstring(L, trail_status_name(err->status));
    return 2;
}

/* error.set(status, argument [, prefix]) -> text, word */
static int l_error_set(lua_State *L)
{
    trail_error err;
    trail_status status = (trail_status)luaL_checkinteger(L, 1);

    luaL_argcheck(L, status != TRAIL_OK, 1, "0 is no failure");
    trail__error(&err, status, "%s", luaL_checkstring(L, 2));
    if (!lua_isnoneornil(L, 3)) {
        trail__error_prefix(&err, "%s", luaL_checkstring(L, 3));
    }
    return push_error(L, &err);
}

/* error.set_self(argument) -> text: the old text is an argument of the new one. */
static int l_error_set_self(lua_State *L)
{
    trail_error err;

    trail__error(&err, TRAIL_IO, "%s", luaL_checkstring(L, 1));
    trail__error(&err, TRAIL_CORRUPT, "before %s after", err.text);
    return push_error(L, &err);
}

/* error.errno(number, doing) -> text, word */
static int l_error_errno(lua_State *L)
{
    trail_error err;

    trail__error_errno(&err, (int)luaL_checkinteger(L, 1), "%s", luaL_checkstring(L, 2));
    return push_error(L, &err);
}

/* error.without_place() -> the three words returned when nobody wants the message */
static int l_error_without_place(lua_State *L)
{
    trail_error fine = { TRAIL_OK, "untouched" };

    trail__error_prefix(NULL, "prefix");
    trail__error_prefix(&fine, "prefix");
    lua_pushstring(L, trail_status_name(trail__error(NULL, TRAIL_BUSY, "text")));
    lua_pushstring(L, trail_status_name(trail__error_errno(NULL, ENOENT, "text")));
    lua_pushstring(L, fine.text);
    return 3;
}

static int l_error_status_name(lua_State *L)
{
    lua_pushstring(L, trail_status_name((trail_status)luaL_checkinteger(L, 1)));
    return 1;
}

static void push_errnos(lua_State *L)
{
    static const struct {
        const char *name;
        int number;
    } errnos[] = {
        { "ENOSPC", ENOSPC }, { "EDQUOT", EDQUOT }, { "EFBIG", EFBIG },
        { "EACCES", EACCES }, { "EPERM", EPERM },   { "EROFS", EROFS },
        { "ENOENT", ENOENT }, { "ENOMEM", ENOMEM }, { "EEXIST", EEXIST },
        { "EIO", EIO },       { "EINVAL", EINVAL },
    };
    size_t i;

    lua_newtable(L);
    for (i = 0; i < sizeof errnos / sizeof errnos[0]; i++) {
        lua_pushinteger(L, errnos[i].number);
        lua_setfield(L, -2, errnos[i].name);
    }
}

void trail__testing_error(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "set", l_error_set },
        { "set_self", l_error_set_self },
        { "errno", l_error_errno },
        { "without_place", l_error_without_place },
        { "status_name", l_error_status_name },
        { NULL, NULL },
    };

    luaL_newlib(L, functions);
    lua_pushinteger(L, TRAIL_ERROR_TEXT_MAX);
    lua_setfield(L, -2, "text_max");
    push_errnos(L);
    lua_setfield(L, -2, "errnos");
}

/* ---- fault ----------------------------------------------------------------------- */

/* fault.arm(point or nil, first, count): nil means allocations; count 0 only counts. */
static int l_fault_arm(lua_State *L)
{
    const char *point = luaL_optstring(L, 1, NULL);

    trail__fault_arm(point, (unsigned long)luaL_checkinteger(L, 2),
                     (unsigned long)luaL_checkinteger(L, 3));
    return 0;
}

/* fault.deadly(): until the next arm, what would fail kills the process as by kill -9. */
static int l_fault_deadly(lua_State *L)
{
    (void)L;
    trail__fault_deadly();
    return 0;
}

static int l_fault_calls(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)trail__fault_calls());
    return 1;
}

/* fault.hit(point) -> does the operation of that name fail now */
static int l_fault_hit(lua_State *L)
{
    lua_pushboolean(L, trail__fault(luaL_checkstring(L, 1)));
    return 1;
}

/* fault.allocate(len) -> which of alloc, alloc_zero, realloc gave memory. realloc is
 * given a block with a byte in it, and says "kept" if after its failure the byte is still
 * there. */
static int l_fault_allocate(lua_State *L)
{
    size_t len = (size_t)luaL_checkinteger(L, 1);
    char *plain = trail__alloc(len);
    char *zeroed = trail__alloc_zero(len);
    char *old = strdup("x");
    char *grown = trail__realloc(old, len + 2);

    lua_pushboolean(L, plain != NULL);
    lua_pushboolean(L, zeroed != NULL && (len == 0 || zeroed[len - 1] == 0));
    if (grown != NULL) {
        lua_pushboolean(L, grown[0] == 'x');
        old = grown;
    } else {
        lua_pushstring(L, old[0] == 'x' ? "kept" : "lost");
    }
    trail__free(plain);
    trail__free(zeroed);
    trail__free(old);
    return 3;
}

void trail__testing_fault(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "arm", l_fault_arm },       { "calls", l_fault_calls },
        { "hit", l_fault_hit },       { "allocate", l_fault_allocate },
        { "deadly", l_fault_deadly }, { NULL, NULL },
    };

    luaL_newlib(L, functions);
}

/* ---- text ------------------------------------------------------------------------ */

/* text.utf8(text) -> characters; or nil, offset of the bad byte */
static int l_text_utf8(lua_State *L)
{
    size_t chars;
    size_t bad;

    if (trail__text_utf8(trail__testing_text(L, 1), &chars, &bad)) {
        lua_pushinteger(L, (lua_Integer)chars);
        return 1;
    }
    lua_pushnil(L);
    lua_pushinteger(L, (lua_Integer)bad);
    return 2;
}

static int l_text_equal(lua_State *L)
{
    lua_pushboolean(
        L, trail__text_equal(trail__testing_text(L, 1), trail__testing_text(L, 2)));
    return 1;
}

/* text.from_c(string or nil) -> the same through trail_str */
static int l_text_from_c(lua_State *L)
{
    trail_text text = trail_str(luaL_optstring(L, 1, NULL));

    if (text.data == NULL) {
        lua_pushnil(L);
    } else {
        lua_pushlstring(L, text.data, text.len);
    }
    return 1;
}

void trail__testing_text_module(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "utf8", l_text_utf8 },
        { "equal", l_text_equal },
        { "from_c", l_text_from_c },
        { NULL, NULL },
    };

    luaL_newlib(L, functions);
}

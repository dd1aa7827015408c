/* testing_json.c - trail.testing's json: check, scan and walk.
 * Test: may include anything; never installed.
 * SPDX-License-Identifier: MIT
 */
#include "testing.h"

#include <lauxlib.h>

#include "json.h"
#include "json_scan.h"

typedef trail_status checker(trail_text json, size_t depth_max, trail_error *err);

static int check_with(lua_State *L, checker *check)
{
    trail_error err;
    trail_status status =
        check(trail__testing_text(L, 1),
              (size_t)luaL_optinteger(L, 2, TRAIL_DETAILS_DEPTH_MAX), &err);

    return trail__testing_push_status(L, status, &err);
}

/* json.check(text [, depth]) -> true; or nil, message, word */
static int l_json_check(lua_State *L)
{
    return check_with(L, trail__json_check);
}

static int l_json_check_closely(lua_State *L)
{
    return check_with(L, trail__json_check_closely);
}

/* json.scan(text [, depth]) -> is it proved good */
static int l_json_scan(lua_State *L)
{
    lua_pushboolean(
        L, trail__json_scan(trail__testing_text(L, 1),
                            (size_t)luaL_optinteger(L, 2, TRAIL_DETAILS_DEPTH_MAX)));
    return 1;
}

typedef struct collection {
    lua_State *L; /* the list is on top of its stack */
    lua_Integer count;
    lua_Integer count_max;
} collection;

static void push_content(lua_State *L, const trail_json_value *value)
{
    switch (value->kind) {
    case TRAIL_JSON_INTEGER:
        lua_pushinteger(L, value->integer);
        break;
    case TRAIL_JSON_REAL:
        lua_pushnumber(L, value->real);
        break;
    case TRAIL_JSON_STRING:
    case TRAIL_JSON_KEY:
        lua_pushlstring(L, value->text.data, value->text.len);
        break;
    default:
        lua_pushnil(L);
        break;
    }
}

/* If Lua runs out of memory in here the tree that is walked is lost; a test may. */
static bool collect(void *context, const trail_json_value *value)
{
    static const char *const names[] = {
        [TRAIL_JSON_NULL] = "null",    [TRAIL_JSON_FALSE] = "false",
        [TRAIL_JSON_TRUE] = "true",    [TRAIL_JSON_INTEGER] = "integer",
        [TRAIL_JSON_REAL] = "real",    [TRAIL_JSON_STRING] = "string",
        [TRAIL_JSON_KEY] = "key",      [TRAIL_JSON_ARRAY_BEGIN] = "[",
        [TRAIL_JSON_ARRAY_END] = "]",  [TRAIL_JSON_OBJECT_BEGIN] = "{",
        [TRAIL_JSON_OBJECT_END] = "}",
    };
    collection *c = context;

    lua_createtable(c->L, 2, 0);
    lua_pushstring(c->L, names[value->kind]);
    lua_rawseti(c->L, -2, 1);
    push_content(c->L, value);
    lua_rawseti(c->L, -2, 2);
    lua_rawseti(c->L, -2, ++c->count);
    return c->count != c->count_max;
}

/* json.walk(text [, count]) -> { { kind, value }, ... }, at most 'count' of them;
 * or nil, message, word */
static int l_json_walk(lua_State *L)
{
    trail_text text = trail__testing_text(L, 1);
    collection c = { L, 0, luaL_optinteger(L, 2, -1) };
    trail_error err;
    trail_status status;

    luaL_checkstack(L, 4, "no room to walk");
    lua_newtable(L);
    status = trail_json_walk(text, collect, &c, &err);
    return status == TRAIL_OK ? 1 : trail__testing_push_status(L, status, &err);
}

void trail__testing_json(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "check", l_json_check },
        { "check_closely", l_json_check_closely },
        { "scan", l_json_scan },
        { "walk", l_json_walk },
        { NULL, NULL },
    };

    luaL_newlib(L, functions);
}

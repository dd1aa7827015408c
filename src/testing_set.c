/* testing_set.c - trail.testing.set: the index's sets of offsets, operation by operation.
 * Test: may include anything; never installed. SPDX-License-Identifier: MIT
 */
#include "testing.h"

#include "set.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

static const char class_name[] = "trail.testing.set";

static trail__set *check(lua_State *L, int index)
{
    return luaL_checkudata(L, index, class_name);
}

/* A copy in memory of its exact length, so that a sanitizer sees every byte read beyond it. */
static const uint8_t *check_bytes(lua_State *L, int index, size_t *len_out)
{
    const char *bytes = luaL_checklstring(L, index, len_out);
    uint8_t *copy = malloc(*len_out + (*len_out == 0));

    memcpy(copy, bytes, *len_out);
    return copy;
}

/* new(span) */
static int l_new(lua_State *L)
{
    uint32_t span = (uint32_t)luaL_checkinteger(L, 1);
    trail__set *set = lua_newuserdata(L, sizeof *set);

    memset(set, 0, sizeof *set);
    luaL_setmetatable(L, class_name);
    return trail__set_init(set, span) ? 1 : luaL_error(L, "no memory");
}

static int l_release(lua_State *L)
{
    trail__set_release(check(L, 1));
    return 0;
}

/* set:add_list(window, bytes [, count]) -> status word */
static int l_add_list(lua_State *L)
{
    size_t len;
    const uint8_t *bytes = check_bytes(L, 3, &len);
    size_t count = (size_t)luaL_optinteger(L, 4, (lua_Integer)(len / 2));
    trail_status status =
        trail__set_add_list(check(L, 1), (size_t)luaL_checkinteger(L, 2), bytes, count);

    free((void *)(uintptr_t)bytes);
    lua_pushstring(L, trail_status_name(status));
    return 1;
}

/* set:add_bits(window, bytes, count) -> status word */
static int l_add_bits(lua_State *L)
{
    size_t len;
    const uint8_t *bytes = check_bytes(L, 3, &len);
    trail_status status =
        trail__set_add_bits(check(L, 1), (size_t)luaL_checkinteger(L, 2), bytes, len,
                            (size_t)luaL_checkinteger(L, 4));

    free((void *)(uintptr_t)bytes);
    lua_pushstring(L, trail_status_name(status));
    return 1;
}

/* set:add_range(first, last) */
static int l_add_range(lua_State *L)
{
    lua_pushboolean(L,
                    trail__set_add_range(check(L, 1), (uint32_t)luaL_checkinteger(L, 2),
                                         (uint32_t)luaL_checkinteger(L, 3)));
    return 1;
}

static int l_and(lua_State *L)
{
    lua_pushboolean(L, trail__set_and(check(L, 1), check(L, 2)));
    return 1;
}

static int l_minus(lua_State *L)
{
    trail__set_minus(check(L, 1), check(L, 2));
    return 0;
}

typedef struct keeper {
    lua_State *L;
    int64_t before;
    bool ordered;
} keeper;

static bool keep(void *context, uint32_t offset)
{
    keeper *k = context;
    bool kept;

    k->ordered = k->ordered && k->before < offset;
    k->before = offset;
    lua_pushvalue(k->L, 2);
    lua_pushinteger(k->L, offset);
    lua_call(k->L, 1, 1);
    kept = lua_toboolean(k->L, -1);
    lua_pop(k->L, 1);
    return kept;
}

/* set:keep(function) -> was it asked in ascending order */
static int l_keep(lua_State *L)
{
    keeper k = { .L = L, .before = -1, .ordered = true };

    luaL_checktype(L, 2, LUA_TFUNCTION);
    trail__set_keep(check(L, 1), keep, &k);
    lua_pushboolean(L, k.ordered);
    return 1;
}

static int l_count(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)trail__set_count(check(L, 1)));
    return 1;
}

/* set:common_list(window, bytes), set:common_bits(window, bytes): how many are in the set */
static int l_common_list(lua_State *L)
{
    size_t len;
    const uint8_t *bytes = check_bytes(L, 3, &len);

    lua_pushinteger(L, trail__set_common_list(
                           check(L, 1), (size_t)luaL_checkinteger(L, 2), bytes, len / 2));
    free((void *)(uintptr_t)bytes);
    return 1;
}

static int l_common_bits(lua_State *L)
{
    size_t len;
    const uint8_t *bytes = check_bytes(L, 3, &len);

    lua_pushinteger(L, trail__set_common_bits(
                           check(L, 1), (size_t)luaL_checkinteger(L, 2), bytes, len));
    free((void *)(uintptr_t)bytes);
    return 1;
}

/* set:up(from), set:down(from) -> offset or nil */
static int push_offset(lua_State *L, bool found, uint32_t offset)
{
    if (!found) {
        lua_pushnil(L);
    } else {
        lua_pushinteger(L, offset);
    }
    return 1;
}

static int l_up(lua_State *L)
{
    uint32_t offset = 0;
    bool found = trail__set_up(check(L, 1), (uint32_t)luaL_checkinteger(L, 2), &offset);

    return push_offset(L, found, offset);
}

static int l_down(lua_State *L)
{
    uint32_t offset = 0;
    bool found = trail__set_down(check(L, 1), (uint32_t)luaL_checkinteger(L, 2), &offset);

    return push_offset(L, found, offset);
}

void trail__testing_set(lua_State *L)
{
    static const luaL_Reg methods[] = {
        { "add_list", l_add_list },
        { "add_bits", l_add_bits },
        { "add_range", l_add_range },
        { "and_with", l_and },
        { "minus", l_minus },
        { "keep", l_keep },
        { "count", l_count },
        { "common_list", l_common_list },
        { "common_bits", l_common_bits },
        { "up", l_up },
        { "down", l_down },
        { "__gc", l_release },
        { NULL, NULL },
    };
    static const luaL_Reg functions[] = { { "new", l_new }, { NULL, NULL } };

    luaL_newmetatable(L, class_name);
    luaL_setfuncs(L, methods, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    luaL_newlib(L, functions);
}

/* lua_compat.h - the few calls in which Lua 5.4 and LuaJIT (5.1) differ.
 * Level edge: includes Lua's headers and C standard headers only.
 * SPDX-License-Identifier: MIT
 */
#ifndef TRAIL_LUA_COMPAT_H
#define TRAIL_LUA_COMPAT_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

static inline size_t trail__lua_raw_len(lua_State *L, int index)
{
#if LUA_VERSION_NUM >= 502
    return (size_t)lua_rawlen(L, index);
#else
    return lua_objlen(L, index);
#endif
}

static inline int trail__lua_abs(lua_State *L, int index)
{
    return index > 0 || index <= LUA_REGISTRYINDEX ? index : lua_gettop(L) + index + 1;
}

/* registry[key], where key is the address of a static variable: unlike a name it is
 * another one in a second copy of this binding. */
static inline void trail__lua_registry_get(lua_State *L, const void *key)
{
    lua_pushlightuserdata(L, (void *)key);
    lua_rawget(L, LUA_REGISTRYINDEX);
}

/* registry[key] = the value on top, which is popped. */
static inline void trail__lua_registry_set(lua_State *L, const void *key)
{
    lua_pushlightuserdata(L, (void *)key);
    lua_insert(L, -2);
    lua_rawset(L, LUA_REGISTRYINDEX);
}

/* table[i] of a raw access; 5.1 takes an int. Pushes the value. */
static inline void trail__lua_raw_geti(lua_State *L, int index, size_t i)
{
#if LUA_VERSION_NUM >= 503
    lua_rawgeti(L, index, (lua_Integer)i);
#else
    lua_rawgeti(L, index, (int)i);
#endif
}

static inline void trail__lua_raw_seti(lua_State *L, int index, size_t i)
{
#if LUA_VERSION_NUM >= 503
    lua_rawseti(L, index, (lua_Integer)i);
#else
    lua_rawseti(L, index, (int)i);
#endif
}

/* Is the number at 'index' of the integer subtype? LuaJIT has only doubles. */
static inline bool trail__lua_is_integer(lua_State *L, int index)
{
#if LUA_VERSION_NUM >= 503
    return lua_isinteger(L, index) != 0;
#else
    (void)L;
    (void)index;
    return false;
#endif
}

/* Keep the value at 'owner' alive as long as the userdata at 'box' lives. */
static inline void trail__lua_set_owner(lua_State *L, int box, int owner)
{
#if LUA_VERSION_NUM >= 503
    box = trail__lua_abs(L, box);
    lua_pushvalue(L, owner);
    lua_setuservalue(L, box);
#else
    /* In 5.1 a userdata's companion must be a table. */
    box = trail__lua_abs(L, box);
    owner = trail__lua_abs(L, owner);
    lua_createtable(L, 1, 0);
    lua_pushvalue(L, owner);
    lua_rawseti(L, -2, 1);
    lua_setfenv(L, box);
#endif
}

#endif

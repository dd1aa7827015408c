/* lua_encode.c - from Lua values to JSON text, exact and the same on every machine.
 * Level edge: includes trail.h, Lua's headers and C standard headers only.
 * SPDX-License-Identifier: MIT
 *
 * Keys are sorted by bytes. Integers have all their digits; a float takes the shortest of
 * 15, 16 or 17 digits that reads back the same. 1 and 1.0 encode alike: LuaJIT cannot
 * tell them apart.
 */
#include "lua_write.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS_SMALL 16
#define ENCODE_DEPTH_MAX 128

/* ---- tables ------------------------------------------------------------------------ */

/* What the keys of a table are. */
typedef struct shape {
    size_t strings;
    size_t integers;
    int64_t first; /* smallest and largest integer */
    int64_t last;
    int other;   /* type of a key that is neither; LUA_TNONE if there is none */
    bool marked; /* the metatable says that it is an array */
} shape;

/* The convention of dkjson, so that its arrays and those of a second copy of this binding
 * are understood too. */
static bool is_marked(lua_State *L, int index)
{
    bool marked;

    if (!lua_getmetatable(L, index)) {
        return false;
    }
    lua_pushliteral(L, "__jsontype");
    lua_rawget(L, -2);
    marked = lua_type(L, -1) == LUA_TSTRING &&
             trail__lua_text_is(trail__lua_text(L, -1), "array");
    lua_pop(L, 2);
    return marked;
}

static void count_integer_key(shape *s, int64_t key)
{
    s->first = s->integers == 0 || key < s->first ? key : s->first;
    s->last = s->integers == 0 || key > s->last ? key : s->last;
    s->integers++;
}

static shape table_shape(lua_State *L, int index)
{
    shape s = { 0, 0, 0, 0, LUA_TNONE, false };
    int64_t key;

    s.marked = is_marked(L, index);
    lua_pushnil(L);
    while (lua_next(L, index) != 0) {
        lua_pop(L, 1);
        if (lua_type(L, -1) == LUA_TSTRING) {
            s.strings++;
        } else if (trail__lua_to_int64(L, -1, &key)) {
            count_integer_key(&s, key);
        } else {
            s.other = lua_type(L, -1);
            lua_pop(L, 1);
            break;
        }
    }
    return s;
}

static bool is_sequence(const shape *s)
{
    return s->strings == 0 && s->other == LUA_TNONE &&
           (s->integers == 0
                ? s->marked
                : s->first == 1 && (uint64_t)s->last == (uint64_t)s->integers);
}

static bool fail_shape(trail__lua_encoder *e, const shape *s, const trail__lua_place *at)
{
    char text[160];

    if (s->other != LUA_TNONE) {
        return trail__lua_fail_type(e, at, "as a key, ", s->other);
    }
    if (s->strings > 0 && s->integers > 0) {
        return trail__lua_fail(e, at, true,
                               "a table with string and integer keys has no JSON form");
    }
    if (s->strings > 0) {
        return trail__lua_fail(e, at, true, "an array with string keys has no JSON form");
    }
    snprintf(text, sizeof text,
             "a table with holes has no JSON form (%zu entries, from %" PRId64
             " to %" PRId64 ")",
             s->integers, s->first, s->last);
    return trail__lua_fail(e, at, true, text);
}

static bool put_value(trail__lua_encoder *e, int index, unsigned depth,
                      const trail__lua_place *at);

static bool put_array(trail__lua_encoder *e, int index, size_t count, unsigned depth,
                      const trail__lua_place *up)
{
    trail__lua_place at = { up, { NULL, 0 }, 0 };

    if (!trail__lua_put(e, "[", 1)) {
        return false;
    }
    for (at.index = 1; at.index <= count; at.index++) {
        if (at.index > 1 && !trail__lua_put(e, ",", 1)) {
            return false;
        }
        trail__lua_raw_geti(e->L, index, at.index);
        if (!put_value(e, lua_gettop(e->L), depth, &at)) {
            return false;
        }
        lua_pop(e->L, 1);
    }
    return trail__lua_put(e, "]", 1);
}

/* The keys of one object, sorted. The strings are kept alive on the Lua stack if they are
 * few, else in a table: a finalizer of the caller's may remove them from the object. */
typedef struct sorted_key {
    trail_text text;
    size_t number; /* in the order in which they were found, from 0 */
} sorted_key;

typedef struct key_list {
    sorted_key *keys;
    size_t count;
    bool stacked;
    int base; /* stack index of the first key, or of the table */
    sorted_key small[KEYS_SMALL];
} key_list;

static int compare_keys(const void *a, const void *b)
{
    const trail_text *x = &((const sorted_key *)a)->text;
    const trail_text *y = &((const sorted_key *)b)->text;
    int order = memcmp(x->data, y->data, x->len < y->len ? x->len : y->len);

    if (order != 0) {
        return order;
    }
    return x->len < y->len ? -1 : x->len > y->len;
}

static void collect_keys(lua_State *L, int index, size_t count, key_list *list)
{
    list->keys = list->small;
    list->stacked = count <= KEYS_SMALL;
    if (!list->stacked) {
        list->keys = lua_newuserdata(L, count * sizeof *list->keys);
        lua_createtable(L, count > INT_MAX ? INT_MAX : (int)count, 0);
    }
    list->base = lua_gettop(L) + (list->stacked ? 1 : 0);
    list->count = 0;
    lua_pushnil(L);
    while (lua_next(L, index) != 0) {
        lua_pop(L, 1);
        if (list->count == count || lua_type(L, -1) != LUA_TSTRING) {
            luaL_error(L, "a table was changed while it was encoded");
        }
        list->keys[list->count].text = trail__lua_text(L, -1);
        list->keys[list->count].number = list->count;
        list->count++;
        lua_pushvalue(L, -1);
        if (!list->stacked) {
            trail__lua_raw_seti(L, list->base, list->count);
        }
    }
    qsort(list->keys, list->count, sizeof *list->keys, compare_keys);
}

static bool put_member(trail__lua_encoder *e, int index, const key_list *list, size_t i,
                       unsigned depth, const trail__lua_place *up)
{
    lua_State *L = e->L;
    trail__lua_place at = { up, list->keys[i].text, 0 };
    size_t number = list->keys[i].number;

    if (i > 0 && !trail__lua_put(e, ",", 1)) {
        return false;
    }
    if (!trail__lua_put_string(e, at.key, &at) || !trail__lua_put(e, ":", 1)) {
        return false;
    }
    if (list->stacked) {
        lua_pushvalue(L, list->base + (int)number);
    } else {
        trail__lua_raw_geti(L, list->base, number + 1);
    }
    lua_rawget(L, index);
    if (!put_value(e, lua_gettop(L), depth, &at)) {
        return false;
    }
    lua_pop(L, 1);
    return true;
}

static bool put_object(trail__lua_encoder *e, int index, size_t count, unsigned depth,
                       const trail__lua_place *up)
{
    lua_State *L = e->L;
    int top = lua_gettop(L);
    key_list list;
    size_t i;

    if (!trail__lua_put(e, "{", 1)) {
        return false;
    }
    collect_keys(L, index, count, &list);
    for (i = 0; i < list.count; i++) {
        if (!put_member(e, index, &list, i, depth, up)) {
            return false;
        }
    }
    lua_settop(L, top);
    return trail__lua_put(e, "}", 1);
}

static bool put_table(trail__lua_encoder *e, int index, unsigned depth,
                      const trail__lua_place *at)
{
    char text[48];
    shape s;

    if (depth > e->depth_max) {
        snprintf(text, sizeof text, "nested more than %u deep", e->depth_max);
        return trail__lua_fail(e, at, false, text);
    }
    luaL_checkstack(e->L, KEYS_SMALL + 8, NULL);
    s = table_shape(e->L, index);
    if (is_sequence(&s)) {
        return put_array(e, index, s.integers, depth, at);
    }
    if (s.integers > 0 || s.other != LUA_TNONE || (s.strings > 0 && s.marked)) {
        return fail_shape(e, &s, at);
    }
    return put_object(e, index, s.strings, depth, at);
}

static bool put_value(trail__lua_encoder *e, int index, unsigned depth,
                      const trail__lua_place *at)
{
    lua_State *L = e->L;

    switch (lua_type(L, index)) {
    case LUA_TBOOLEAN:
        return lua_toboolean(L, index) ? trail__lua_put(e, "true", 4)
                                       : trail__lua_put(e, "false", 5);
    case LUA_TNUMBER:
        return trail__lua_put_number(e, index, at);
    case LUA_TSTRING:
        return trail__lua_put_string(e, trail__lua_text(L, index), at);
    case LUA_TTABLE:
        return put_table(e, index, depth + 1, at);
    case LUA_TLIGHTUSERDATA:
        if (lua_touserdata(L, index) == NULL) {
            return trail__lua_put(e, "null", 4);
        }
        return trail__lua_fail_type(e, at, "", LUA_TLIGHTUSERDATA);
    case LUA_TNIL:
        return trail__lua_fail(e, at, true, "nil has no JSON form (trail.null has)");
    default:
        return trail__lua_fail_type(e, at, "", lua_type(L, index));
    }
}

bool trail__lua_encode(trail__lua_encoder *e, int index)
{
    e->begin = e->len;
    return put_value(e, trail__lua_abs(e->L, index), 0, NULL);
}

bool trail__lua_is_array(lua_State *L, int index)
{
    shape s = table_shape(L, trail__lua_abs(L, index));

    return s.marked || is_sequence(&s);
}

/* ---- the module -------------------------------------------------------------------- */

/* core.encode(value) -> text */
static int l_encode(lua_State *L)
{
    trail__lua_encoder e;

    luaL_checkany(L, 1);
    lua_settop(L, 1);
    trail__lua_encoder_init(&e, L, "value", ENCODE_DEPTH_MAX, SIZE_MAX);
    if (!trail__lua_encode(&e, 1)) {
        return luaL_error(L, "%s", lua_tostring(L, -1));
    }
    lua_pushlstring(L, e.data + e.begin, e.len - e.begin);
    return 1;
}

/* core.is_array(value) -> boolean: would encode write it as an array? */
static int l_is_array(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_pushboolean(L, lua_type(L, 1) == LUA_TTABLE && trail__lua_is_array(L, 1));
    return 1;
}

void trail__lua_open_encode(lua_State *L)
{
    static const luaL_Reg functions[] = { { "encode", l_encode },
                                          { "is_array", l_is_array },
                                          { NULL, NULL } };

    luaL_setfuncs(L, functions, 0);
}

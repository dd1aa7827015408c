/* lua_decode.c - from JSON text to Lua values, and the mark that makes a table an array.
 * Level edge: includes trail.h, Lua's headers and C standard headers only.
 * SPDX-License-Identifier: MIT
 *
 * Building tables can raise a memory error, and a longjmp through trail_json_walk would
 * leave its memory behind. So the walk only notes what it meets on a tape, and Lua reads
 * the tape after.
 */
#include "lua_core.h"

#include <string.h>

#define TAPE_SMALL 1040
#define TEXT_LEN_MAX (UINT32_MAX / 8)

typedef struct tape {
    uint8_t *data;
    size_t len;
    size_t cap;
    bool full;
} tape;

/* No text needs more: an integer takes 9 bytes here and at least 2 there ("1,"), a string
 * 5 more than its bytes and 3 there ("\"\","); the last value has no comma behind it. */
static size_t tape_cap(size_t text_len)
{
    return 5 * text_len + 16;
}

static void note(tape *t, const void *data, size_t len)
{
    if (t->full || t->cap - t->len < len) {
        t->full = true;
        return;
    }
    if (len > 0) {
        memcpy(t->data + t->len, data, len);
    }
    t->len += len;
}

static bool visit(void *context, const trail_json_value *value)
{
    tape *t = context;
    uint8_t kind = (uint8_t)value->kind;
    uint32_t len = (uint32_t)value->text.len;

    note(t, &kind, sizeof kind);
    switch (value->kind) {
    case TRAIL_JSON_INTEGER:
        note(t, &value->integer, sizeof value->integer);
        break;
    case TRAIL_JSON_REAL:
        note(t, &value->real, sizeof value->real);
        break;
    case TRAIL_JSON_STRING:
    case TRAIL_JSON_KEY:
        note(t, &len, sizeof len);
        note(t, value->text.data, value->text.len);
        break;
    default:
        break;
    }
    return !t->full;
}

/* ---- reading the tape -------------------------------------------------------------- */

static trail_json_kind next_kind(const uint8_t **at)
{
    return (trail_json_kind) * (*at)++;
}

static void push_text(lua_State *L, const uint8_t **at)
{
    uint32_t len;

    memcpy(&len, *at, sizeof len);
    *at += sizeof len;
    lua_pushlstring(L, (const char *)*at, len);
    *at += len;
}

static void push_integer(lua_State *L, const uint8_t **at)
{
    int64_t integer;

    memcpy(&integer, *at, sizeof integer);
    *at += sizeof integer;
    lua_pushinteger(L, (lua_Integer)integer);
}

static void push_real(lua_State *L, const uint8_t **at)
{
    double real;

    memcpy(&real, *at, sizeof real);
    *at += sizeof real;
    lua_pushnumber(L, (lua_Number)real);
}

static void push_value(lua_State *L, trail_json_kind kind, const uint8_t **at);

static void push_array(lua_State *L, const uint8_t **at)
{
    trail_json_kind kind;
    size_t i = 0;

    lua_newtable(L);
    while ((kind = next_kind(at)) != TRAIL_JSON_ARRAY_END) {
        push_value(L, kind, at);
        trail__lua_raw_seti(L, -2, ++i);
    }
    trail__lua_mark_array(L);
}

static void push_object(lua_State *L, const uint8_t **at)
{
    lua_newtable(L);
    while (next_kind(at) != TRAIL_JSON_OBJECT_END) { /* else it is a key */
        push_text(L, at);
        push_value(L, next_kind(at), at);
        lua_rawset(L, -3);
    }
}

static void push_value(lua_State *L, trail_json_kind kind, const uint8_t **at)
{
    luaL_checkstack(L, 8, "JSON is nested too deep");
    switch (kind) {
    case TRAIL_JSON_FALSE:
    case TRAIL_JSON_TRUE:
        lua_pushboolean(L, kind == TRAIL_JSON_TRUE);
        break;
    case TRAIL_JSON_INTEGER:
        push_integer(L, at);
        break;
    case TRAIL_JSON_REAL:
        push_real(L, at);
        break;
    case TRAIL_JSON_STRING:
        push_text(L, at);
        break;
    case TRAIL_JSON_ARRAY_BEGIN:
        push_array(L, at);
        break;
    case TRAIL_JSON_OBJECT_BEGIN:
        push_object(L, at);
        break;
    default:
        lua_pushlightuserdata(L, NULL);
        break;
    }
}

static trail_status too_long(trail_error *err)
{
    err->status = TRAIL_INVALID;
    strcpy(err->text, "the JSON text is too long");
    return TRAIL_INVALID;
}

trail_status trail__lua_decode(lua_State *L, trail_text json, trail_error *err)
{
    uint8_t small[TAPE_SMALL];
    tape t = { small, 0, sizeof small, false };
    const uint8_t *at;
    trail_status status;

    if (json.len > TEXT_LEN_MAX) {
        return too_long(err);
    }
    luaL_checkstack(L, 4, NULL);
    if (tape_cap(json.len) > sizeof small) {
        t.cap = tape_cap(json.len);
        t.data = lua_newuserdata(L, t.cap);
    } else {
        lua_pushnil(L);
    }
    status = trail_json_walk(json, visit, &t, err);
    if (status == TRAIL_OK && (t.full || t.len == 0)) {
        status = too_long(err);
    }
    if (status != TRAIL_OK) {
        lua_pop(L, 1);
        return status;
    }
    at = t.data;
    push_value(L, next_kind(&at), &at);
    lua_remove(L, -2); /* the tape */
    return TRAIL_OK;
}

/* ---- the module -------------------------------------------------------------------- */

static const char array_key; /* its address is the key of the metatable of arrays */

void trail__lua_mark_array(lua_State *L)
{
    trail__lua_registry_get(L, &array_key);
    lua_setmetatable(L, -2);
}

/* core.decode(text) -> value | nil, message, "invalid" */
static int l_decode(lua_State *L)
{
    trail_error err;

    luaL_checktype(L, 1, LUA_TSTRING);
    if (trail__lua_decode(L, trail__lua_text(L, 1), &err) != TRAIL_OK) {
        return trail__lua_failure(L, &err);
    }
    return 1;
}

/* core.array([t]) -> t, marked as an array */
static int l_array(lua_State *L)
{
    if (lua_isnoneornil(L, 1)) {
        lua_settop(L, 0);
        lua_newtable(L);
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    if (lua_getmetatable(L, 1)) {
        trail__lua_registry_get(L, &array_key);
        if (!lua_rawequal(L, -1, -2)) {
            return luaL_argerror(L, 1, "the table has a metatable of its own");
        }
        lua_settop(L, 1);
    }
    trail__lua_mark_array(L);
    return 1;
}

void trail__lua_open_decode(lua_State *L)
{
    static const luaL_Reg functions[] = { { "decode", l_decode },
                                          { "array", l_array },
                                          { NULL, NULL } };

    trail__lua_registry_get(L, &array_key);
    if (lua_isnil(L, -1)) {
        lua_createtable(L, 0, 1);
        lua_pushliteral(L, "array");
        lua_setfield(L, -2, "__jsontype");
        trail__lua_registry_set(L, &array_key);
    }
    lua_pop(L, 1);
    luaL_setfuncs(L, functions, 0);
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "null");
}

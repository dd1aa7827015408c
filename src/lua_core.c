/* lua_core.c - the module trail.core: its table, and the helpers of the binding.
 * Level edge: includes trail.h, Lua's headers and C standard headers only.
 * SPDX-License-Identifier: MIT
 */
#include "lua_core.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

int trail__lua_failure_text(lua_State *L, trail_status status, const char *text)
{
    lua_pushnil(L);
    lua_pushstring(L, text);
    lua_pushstring(L, trail_status_name(status));
    return 3;
}

int trail__lua_failure(lua_State *L, const trail_error *err)
{
    return trail__lua_failure_text(L, err->status, err->text);
}

/* ---- classes ----------------------------------------------------------------------- */

void trail__lua_push_class(lua_State *L, const void *key, const char *name,
                           const luaL_Reg *meta, const luaL_Reg *methods)
{
    trail__lua_registry_get(L, key);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_createtable(L, 0, 8);
        if (meta != NULL) {
            luaL_setfuncs(L, meta, 0);
        }
        lua_createtable(L, 0, 16);
        if (methods != NULL) {
            luaL_setfuncs(L, methods, 0);
        }
        lua_setfield(L, -2, "__index");
        lua_pushstring(L, name);
        lua_setfield(L, -2, "__name");
        lua_pushboolean(L, 0);
        lua_setfield(L, -2, "__metatable");
        lua_pushvalue(L, -1);
        trail__lua_registry_set(L, key);
    }
    lua_pushliteral(L, "__index");
    lua_rawget(L, -2);
    lua_remove(L, -2);
}

void trail__lua_set_class(lua_State *L, const void *key)
{
    trail__lua_registry_get(L, key);
    lua_setmetatable(L, -2);
}

void *trail__lua_check_box(lua_State *L, int index, const void *key, const char *name)
{
    void *box = lua_touserdata(L, index);
    bool same = false;

    if (lua_type(L, index) == LUA_TUSERDATA && lua_getmetatable(L, index)) {
        trail__lua_registry_get(L, key);
        same = lua_rawequal(L, -1, -2) != 0;
        lua_pop(L, 2);
    }
    if (!same) {
        lua_pushfstring(L, "%s expected, got %s", name, luaL_typename(L, index));
        luaL_argerror(L, index, lua_tostring(L, -1));
    }
    return box;
}

/* ---- arguments --------------------------------------------------------------------- */

/* What cannot be printed becomes \xNN. */
const char *trail__lua_key_name(lua_State *L, trail_text key)
{
    char name[4 * 60 + 4];
    size_t len = 0;
    size_t i;

    for (i = 0; i < key.len && i < 60; i++) {
        unsigned char c = (unsigned char)key.data[i];

        len += (size_t)snprintf(name + len, sizeof name - len,
                                c >= 0x20 && c < 0x7f ? "%c" : "\\x%02x", (unsigned)c);
    }
    return lua_pushfstring(L, "%s%s", len > 0 ? name : "", i < key.len ? "..." : "");
}

int trail__lua_unknown(lua_State *L, const char *prefix, const char *kind, int key_index)
{
    switch (lua_type(L, key_index)) {
    case LUA_TSTRING:
    case LUA_TNUMBER:
        lua_pushvalue(L, key_index); /* tostring of a number changes it in place */
        return luaL_error(L, "%sunknown %s '%s'", prefix, kind,
                          trail__lua_key_name(L, trail__lua_text(L, -1)));
    default:
        return luaL_error(L, "%sunknown %s (a %s)", prefix, kind,
                          luaL_typename(L, key_index));
    }
}

bool trail__lua_to_int64(lua_State *L, int index, int64_t *value_out)
{
    lua_Number number;

    if (lua_type(L, index) != LUA_TNUMBER) {
        return false;
    }
    if (trail__lua_is_integer(L, index)) {
        *value_out = (int64_t)lua_tointeger(L, index);
        return true;
    }
    number = lua_tonumber(L, index);
    /* 2^63 itself is no int64_t; the comparison is false for NaN too. */
    if (!(number >= -0x1p63 && number < 0x1p63) ||
        number != (lua_Number)(int64_t)number) {
        return false;
    }
    *value_out = (int64_t)number;
    return true;
}

int64_t trail__lua_check_int64(lua_State *L, int index, const char *kind,
                               const char *name)
{
    int64_t value = 0;

    if (lua_type(L, index) != LUA_TNUMBER) {
        luaL_error(L, "%s '%s': expected an integer, got %s", kind, name,
                   luaL_typename(L, index));
    }
    if (!trail__lua_to_int64(L, index, &value)) {
        lua_pushvalue(L, index);
        luaL_error(L, "%s '%s': %s is not a whole number of 64 bits", kind, name,
                   lua_tostring(L, -1));
    }
    return value;
}

uint64_t trail__lua_check_count(lua_State *L, int index, const char *kind,
                                const char *name, int64_t min)
{
    int64_t value = trail__lua_check_int64(L, index, kind, name);

    if (value < min) {
        luaL_error(L, "%s '%s': must be at least %d", kind, name, (int)min);
    }
    return (uint64_t)value;
}

bool trail__lua_check_bool(lua_State *L, int index, const char *kind, const char *name)
{
    if (lua_type(L, index) != LUA_TBOOLEAN) {
        luaL_error(L, "%s '%s': expected a boolean, got %s", kind, name,
                   luaL_typename(L, index));
    }
    return lua_toboolean(L, index) != 0;
}

trail_text trail__lua_text(lua_State *L, int index)
{
    trail_text text;

    text.data = lua_tolstring(L, index, &text.len);
    return text;
}

bool trail__lua_text_is(trail_text text, const char *word)
{
    return text.len == strlen(word) && memcmp(text.data, word, text.len) == 0;
}

bool trail__lua_check_options(lua_State *L, int index)
{
    if (lua_isnoneornil(L, index)) {
        return false;
    }
    luaL_checktype(L, index, LUA_TTABLE);
    return true;
}

/* ---- results ----------------------------------------------------------------------- */

void trail__lua_push_u64(lua_State *L, uint64_t value)
{
    if (value <= INT64_MAX && sizeof(lua_Integer) >= sizeof value) {
        lua_pushinteger(L, (lua_Integer)value);
    } else {
        lua_pushnumber(L, (lua_Number)value);
    }
}

void trail__lua_set_u64(lua_State *L, const char *key, uint64_t value)
{
    trail__lua_push_u64(L, value);
    lua_setfield(L, -2, key);
}

void trail__lua_push_id(lua_State *L, const uint8_t id[TRAIL_ID_LEN])
{
    char text[TRAIL_ID_TEXT_LEN + 1];

    trail_id_format(id, text);
    lua_pushlstring(L, text, TRAIL_ID_TEXT_LEN);
}

void trail__lua_push_hash(lua_State *L, const uint8_t hash[TRAIL_HASH_LEN])
{
    static const char digits[] = "0123456789abcdef";
    char text[2 * TRAIL_HASH_LEN];
    size_t i;

    for (i = 0; i < TRAIL_HASH_LEN; i++) {
        text[2 * i] = digits[hash[i] >> 4];
        text[2 * i + 1] = digits[hash[i] & 15];
    }
    lua_pushlstring(L, text, sizeof text);
}

void trail__lua_push_head(lua_State *L, const trail_head *head)
{
    lua_createtable(L, 0, 3);
    trail__lua_push_u64(L, head->seq);
    lua_setfield(L, -2, "seq");
    lua_pushinteger(L, (lua_Integer)head->recorded_at_us);
    lua_setfield(L, -2, "recorded_at");
    trail__lua_push_hash(L, head->event_hash);
    lua_setfield(L, -2, "event_hash");
    trail__lua_set_kind(L, TRAIL__LUA_HEAD);
}

static const char kind_keys[TRAIL__LUA_KIND_COUNT]; /* their addresses are the keys */

void trail__lua_set_kind(lua_State *L, trail__lua_kind kind)
{
    trail__lua_registry_get(L, &kind_keys[kind]);
    lua_setmetatable(L, -2);
}

/* ---- the module -------------------------------------------------------------------- */

/* core.now() -> microseconds since 1970 */
static int l_now(lua_State *L)
{
    struct timespec now;

    if (clock_gettime(CLOCK_REALTIME, &now) != 0) {
        return luaL_error(L, "the system has no clock");
    }
    lua_pushinteger(L, (lua_Integer)((int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000));
    return 1;
}

/* core.uuid5(namespace, name) -> UUID text | nil, message, code */
static int l_uuid5(lua_State *L)
{
    uint8_t space[TRAIL_ID_LEN];
    uint8_t id[TRAIL_ID_LEN];
    trail_error err;

    luaL_checktype(L, 1, LUA_TSTRING);
    luaL_checktype(L, 2, LUA_TSTRING);
    if (trail_id_parse(trail__lua_text(L, 1), space, &err) != TRAIL_OK ||
        trail_id_from_name(space, trail__lua_text(L, 2), id, &err) != TRAIL_OK) {
        return trail__lua_failure(L, &err);
    }
    trail__lua_push_id(L, id);
    return 1;
}

/* core.is_address(text) -> boolean */
static int l_is_address(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TSTRING);
    lua_pushboolean(L, trail_is_address(trail__lua_text(L, 1)));
    return 1;
}

/* core.statuses: the code words, at the index that the status has in C. */
static void push_statuses(lua_State *L)
{
    int status;

    lua_newtable(L);
    for (status = TRAIL_INVALID; status <= TRAIL_NO_MEMORY; status++) {
        lua_pushstring(L, trail_status_name((trail_status)status));
        trail__lua_raw_seti(L, -2, (size_t)status);
    }
}

/* core.fields: the fields that a filter can name as they are. */
static void push_fields(lua_State *L)
{
    int field;

    lua_newtable(L);
    for (field = 0; field < TRAIL_FIELD_DETAILS; field++) {
        lua_pushstring(L, trail_field_name((trail_field)field));
        trail__lua_raw_seti(L, -2, (size_t)field + 1);
    }
}

/* core.head_meta, receipt_meta, record_meta */
static void push_kinds(lua_State *L)
{
    static const struct {
        const char *name;
        const char *meta;
    } kinds[] = { { "trail head", "head_meta" },
                  { "trail receipt", "receipt_meta" },
                  { "trail record", "record_meta" } };
    int kind;

    for (kind = 0; kind < TRAIL__LUA_KIND_COUNT; kind++) {
        trail__lua_registry_get(L, &kind_keys[kind]);
        if (lua_isnil(L, -1)) {
            lua_pop(L, 1);
            lua_createtable(L, 0, 2);
            lua_pushstring(L, kinds[kind].name);
            lua_setfield(L, -2, "__name");
            lua_pushvalue(L, -1);
            trail__lua_registry_set(L, &kind_keys[kind]);
        }
        lua_setfield(L, -2, kinds[kind].meta);
    }
}

int luaopen_trail_core(lua_State *L)
{
    static const luaL_Reg functions[] = { { "now", l_now },
                                          { "uuid5", l_uuid5 },
                                          { "is_address", l_is_address },
                                          { NULL, NULL } };

    lua_createtable(L, 0, 24);
    luaL_setfuncs(L, functions, 0);
    trail__lua_open_encode(L);
    trail__lua_open_decode(L);
    trail__lua_open_event(L);
    trail__lua_open_cursor(L);
    trail__lua_open_log(L);
    trail__lua_open_verify(L);
    trail__lua_open_index(L);
    trail__lua_open_submit(L);
    push_kinds(L);
    push_statuses(L);
    lua_setfield(L, -2, "statuses");
    push_fields(L);
    lua_setfield(L, -2, "fields");
    lua_pushliteral(L, TRAIL_VERSION);
    lua_setfield(L, -2, "version");
    return 1;
}

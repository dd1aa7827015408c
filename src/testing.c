/* testing.c - the Lua module trail.testing: its parts, and what they share.
 * Test: may include anything; never installed.
 * SPDX-License-Identifier: MIT
 */
#include "testing.h"

#include <lauxlib.h>

typedef struct part {
    const char *name;
    void (*push)(lua_State *L);
} part;

static const part parts[] = {
    { "entry", trail__testing_entry },     { "error", trail__testing_error },
    { "fault", trail__testing_fault },     { "index", trail__testing_index },
    { "json", trail__testing_json },       { "kv", trail__testing_kv },
    { "process", trail__testing_process }, { "set", trail__testing_set },
    { "tamper", trail__testing_tamper },   { "text", trail__testing_text_module },
    { "verify", trail__testing_verify },
};

trail_text trail__testing_text(lua_State *L, int index)
{
    trail_text text = { NULL, 0 };

    if (!lua_isnoneornil(L, index)) {
        text.data = luaL_checklstring(L, index, &text.len);
    }
    return text;
}

int trail__testing_push_status(lua_State *L, trail_status status, const trail_error *err)
{
    if (status == TRAIL_OK) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, err->text);
    lua_pushstring(L, trail_status_name(status));
    return 3;
}

TRAIL_API int luaopen_trail_testing(lua_State *L);

int luaopen_trail_testing(lua_State *L)
{
    size_t i;

    lua_newtable(L);
    for (i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        parts[i].push(L);
        lua_setfield(L, -2, parts[i].name);
    }
    return 1;
}

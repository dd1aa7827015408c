/* lua_record.c - from stored records to tables of Lua.
 * Level edge: includes trail.h, Lua's headers and C standard headers only.
 * SPDX-License-Identifier: MIT
 */
#include "lua_core.h"

#define RECORD_KEYS 17

/* What is absent stays nil. */
static void set_text(lua_State *L, const char *key, trail_text text)
{
    if (text.data != NULL) {
        lua_pushlstring(L, text.data, text.len);
        lua_setfield(L, -2, key);
    }
}

static void set_integer(lua_State *L, const char *key, int64_t value)
{
    lua_pushinteger(L, (lua_Integer)value);
    lua_setfield(L, -2, key);
}

static trail_status set_details(lua_State *L, trail_text details, bool as_text,
                                trail_error *err)
{
    if (details.data == NULL) {
        return TRAIL_OK;
    }
    if (as_text) {
        set_text(L, "details", details);
        return TRAIL_OK;
    }
    if (trail__lua_decode(L, details, err) != TRAIL_OK) {
        if (err->status != TRAIL_NO_MEMORY) {
            err->status = TRAIL_CORRUPT; /* the door let in nothing but JSON */
        }
        return err->status;
    }
    lua_setfield(L, -2, "details");
    return TRAIL_OK;
}

static void set_bytes(lua_State *L, const trail_record *record)
{
    set_text(L, "stored", record->stored);
    set_text(L, "entry", record->entry);
    set_text(L, "who", record->who);
    set_text(L, "details_part", record->details);
}

static void set_unreadable(lua_State *L, const trail_record *record)
{
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "readable");
    set_text(L, "stored", record->stored);
}

static void set_event(lua_State *L, const trail_event *event)
{
    set_integer(L, "timestamp", event->timestamp_us);
    if (event->id != NULL) {
        trail__lua_push_id(L, event->id);
        lua_setfield(L, -2, "id");
    }
    set_text(L, "event_type", event->event_type);
    set_text(L, "user_id", event->user_id);
    set_text(L, "action", event->action);
    set_text(L, "resource_type", event->resource_type);
    set_text(L, "resource_id", event->resource_id);
    set_text(L, "result", event->result);
    set_text(L, "result_error", event->result_error);
    set_text(L, "ip_address", event->ip_address);
    set_text(L, "user_agent", event->user_agent);
    set_text(L, "request_id", event->request_id);
}

trail_status trail__lua_push_record(lua_State *L, const trail_record *record,
                                    const trail__lua_view *view, trail_error *err)
{
    lua_createtable(L, 0, RECORD_KEYS);
    trail__lua_push_u64(L, record->seq);
    lua_setfield(L, -2, "seq");
    trail__lua_set_kind(L, TRAIL__LUA_RECORD);
    if (!record->readable) {
        set_unreadable(L, record);
        return TRAIL_OK;
    }
    set_integer(L, "recorded_at", record->recorded_at_us);
    set_event(L, &record->event);
    trail__lua_push_hash(L, record->previous_hash);
    lua_setfield(L, -2, "previous_hash");
    trail__lua_push_hash(L, record->event_hash);
    lua_setfield(L, -2, "event_hash");
    if (view->bytes) {
        set_bytes(L, record);
    }
    return set_details(L, record->event.details, view->details_text, err);
}

static bool details_as_text(lua_State *L)
{
    if (lua_type(L, -1) == LUA_TSTRING) {
        if (trail__lua_text_is(trail__lua_text(L, -1), "text")) {
            return true;
        }
        if (trail__lua_text_is(trail__lua_text(L, -1), "value")) {
            return false;
        }
    }
    return luaL_error(L, "option 'details': expected \"value\" or \"text\"") != 0;
}

void trail__lua_check_view(lua_State *L, int index, trail__lua_view *view_out)
{
    view_out->details_text = false;
    view_out->bytes = false;
    if (!trail__lua_check_options(L, index)) {
        return;
    }
    lua_pushnil(L);
    while (lua_next(L, index) != 0) {
        trail_text key = { "", 0 };

        if (lua_type(L, -2) == LUA_TSTRING) {
            key = trail__lua_text(L, -2);
        }
        if (trail__lua_text_is(key, "details")) {
            view_out->details_text = details_as_text(L);
        } else if (trail__lua_text_is(key, "bytes")) {
            view_out->bytes = trail__lua_check_bool(L, -1, "option", "bytes");
        } else {
            trail__lua_unknown(L, "", "option", -2);
        }
        lua_pop(L, 1);
    }
}

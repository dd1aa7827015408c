/* lua_event.c - from tables of Lua to events of C.
 * Level edge: includes trail.h, Lua's headers and C standard headers only.
 * SPDX-License-Identifier: MIT
 *
 * Two passes. The first encodes all details and reads times in words, which allocates. The
 * second takes pointers into the strings of the caller's tables and allocates nothing, so
 * they hold until C has read them.
 */
#include "lua_core.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const char parser_key; /* its address is the key of what reads times in words */

typedef enum field_kind {
    FIELD_TEXT,
    FIELD_ID,
    FIELD_TIMESTAMP,
    FIELD_DETAILS,
    FIELD_DETAILS_JSON
} field_kind;

typedef struct event_field {
    const char *name;
    size_t len;
    field_kind kind;
    size_t offset; /* of the trail_text in trail_event */
} event_field;

#define TEXT_FIELD(name) #name, sizeof #name - 1, FIELD_TEXT, offsetof(trail_event, name)
#define OTHER_FIELD(name, kind) name, sizeof name - 1, kind, 0

static const event_field fields[] = {
    { TEXT_FIELD(event_type) },
    { TEXT_FIELD(user_id) },
    { TEXT_FIELD(action) },
    { TEXT_FIELD(resource_type) },
    { TEXT_FIELD(resource_id) },
    { TEXT_FIELD(result) },
    { TEXT_FIELD(result_error) },
    { TEXT_FIELD(ip_address) },
    { TEXT_FIELD(user_agent) },
    { TEXT_FIELD(request_id) },
    { OTHER_FIELD("id", FIELD_ID) },
    { OTHER_FIELD("timestamp", FIELD_TIMESTAMP) },
    { OTHER_FIELD("details", FIELD_DETAILS) },
    { OTHER_FIELD("details_json", FIELD_DETAILS_JSON) },
};

/* How messages about an event begin: "event 3: ", or nothing if it stands alone, which is
 * position 0. */
typedef struct prefix_text {
    char text[32];
} prefix_text;

static prefix_text prefix_of(size_t position)
{
    prefix_text prefix = { "" };

    if (position > 0) {
        snprintf(prefix.text, sizeof prefix.text, "event %zu: ", position);
    }
    return prefix;
}

static size_t position_of(const trail__lua_batch *batch, size_t i)
{
    return batch->list ? i + 1 : 0;
}

static const event_field *find_field(trail_text name)
{
    size_t i;

    for (i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (fields[i].len == name.len &&
            memcmp(fields[i].name, name.data, name.len) == 0) {
            return &fields[i];
        }
    }
    return NULL;
}

/* ---- the first pass ---------------------------------------------------------------- */

/* What a program got wrong throws; what its data got wrong is TRAIL_INVALID. */
static trail_status details_failed(lua_State *L, const trail__lua_encoder *e,
                                   size_t position, trail_error *err)
{
    prefix_text prefix = prefix_of(position);

    if (e->misuse) {
        luaL_error(L, "%s%s", prefix.text, lua_tostring(L, -1));
    }
    err->status = TRAIL_INVALID;
    snprintf(err->text, sizeof err->text, "%s%s", prefix.text, lua_tostring(L, -1));
    return TRAIL_INVALID;
}

/* Encode the details of the event on top of the stack; only their length is final yet. */
static trail_status encode_details(lua_State *L, trail__lua_encoder *e,
                                   trail_event *event, size_t position, trail_error *err)
{
    lua_pushliteral(L, "details");
    lua_rawget(L, -2);
    if (!lua_isnil(L, -1)) {
        if (!trail__lua_encode(e, -1)) {
            return details_failed(L, e, position, err);
        }
        event->details.data = "";
        event->details.len = e->len - e->begin;
    }
    lua_pop(L, 1);
    return TRAIL_OK;
}

/* Read a timestamp in words, of the event on top of the stack. Without a parser the second
 * pass refuses it. */
static trail_status parse_time(lua_State *L, trail_event *event, size_t position,
                               trail_error *err)
{
    const char *reason = "the words are no time";

    lua_pushliteral(L, "timestamp");
    lua_rawget(L, -2);
    if (lua_type(L, -1) != LUA_TSTRING) {
        lua_pop(L, 1);
        return TRAIL_OK;
    }
    trail__lua_registry_get(L, &parser_key);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 2);
        return TRAIL_OK;
    }
    lua_insert(L, -2);
    lua_call(L, 1, 2);
    if (!trail__lua_to_int64(L, -2, &event->timestamp_us)) {
        if (lua_type(L, -1) == LUA_TSTRING) {
            reason = lua_tostring(L, -1);
        }
        err->status = TRAIL_INVALID;
        snprintf(err->text, sizeof err->text, "%sfield 'timestamp': %.440s",
                 prefix_of(position).text, reason);
        return TRAIL_INVALID;
    }
    lua_pop(L, 2);
    return TRAIL_OK;
}

/* ---- the second pass --------------------------------------------------------------- */

static int fail_type(lua_State *L, size_t position, const char *name,
                     const char *expected)
{
    prefix_text prefix = prefix_of(position);

    return luaL_error(L, "%sfield '%s': expected %s, got %s", prefix.text, name, expected,
                      luaL_typename(L, -1));
}

/* The value is on top, as in all functions of this pass. */
static trail_text string_value(lua_State *L, size_t position, const char *name)
{
    if (lua_type(L, -1) != LUA_TSTRING) {
        fail_type(L, position, name, "a string");
    }
    return trail__lua_text(L, -1);
}

/* 'parsed_us' is what the first pass made of words, if there were any. */
static int64_t time_value(lua_State *L, int64_t parsed_us, size_t position)
{
    int64_t time_us = 0;

    if (lua_type(L, -1) == LUA_TSTRING && parsed_us != TRAIL_TIME_NONE) {
        return parsed_us;
    }
    if (lua_type(L, -1) != LUA_TNUMBER) {
        fail_type(L, position, "timestamp", "an integer (microseconds)");
    }
    if (!trail__lua_to_int64(L, -1, &time_us)) {
        prefix_text prefix = prefix_of(position);

        lua_pushvalue(L, -1);
        luaL_error(L, "%sfield 'timestamp': %s is not a whole number of microseconds",
                   prefix.text, lua_tostring(L, -1));
    }
    /* The smallest integer means "no time given" in C; here it is as wrong as its
     * neighbour. */
    return time_us == TRAIL_TIME_NONE ? TRAIL_TIME_NONE + 1 : time_us;
}

static trail_status id_value(lua_State *L, size_t position, uint8_t id_out[TRAIL_ID_LEN],
                             trail_error *err)
{
    trail_error parse;

    if (trail_id_parse(string_value(L, position, "id"), id_out, &parse) == TRAIL_OK) {
        return TRAIL_OK;
    }
    err->status = parse.status;
    snprintf(err->text, sizeof err->text, "%sfield 'id': %.440s",
             prefix_of(position).text, parse.text);
    return err->status;
}

static trail_status set_field(lua_State *L, const event_field *field, trail_event *event,
                              uint8_t id[TRAIL_ID_LEN], size_t position, trail_error *err)
{
    trail_status status = TRAIL_OK;

    switch (field->kind) {
    case FIELD_TEXT:
        *(trail_text *)(void *)((char *)event + field->offset) =
            string_value(L, position, field->name);
        break;
    case FIELD_ID:
        event->id = id;
        status = id_value(L, position, id, err);
        break;
    case FIELD_TIMESTAMP:
        event->timestamp_us = time_value(L, event->timestamp_us, position);
        break;
    case FIELD_DETAILS_JSON:
        if (event->details.data != NULL) {
            luaL_error(L, "%sfields 'details' and 'details_json' exclude each other",
                       prefix_of(position).text);
        }
        event->details = string_value(L, position, field->name);
        break;
    case FIELD_DETAILS:
        break; /* the first pass has read it */
    }
    return status;
}

/* Read the event on top of the stack. */
static trail_status read_event(lua_State *L, trail_event *event, uint8_t id[TRAIL_ID_LEN],
                               size_t position, trail_error *err)
{
    trail_status status = TRAIL_OK;

    lua_pushnil(L);
    while (status == TRAIL_OK && lua_next(L, -2) != 0) {
        const event_field *field = NULL;

        if (lua_type(L, -2) == LUA_TSTRING) {
            field = find_field(trail__lua_text(L, -2));
        }
        if (field == NULL) {
            trail__lua_unknown(L, prefix_of(position).text, "field", -2);
        }
        status = set_field(L, field, event, id, position, err);
        lua_pop(L, 1);
    }
    return status;
}

/* ---- both -------------------------------------------------------------------------- */

/* Push the event at this position, which must be a table. */
static void push_event(lua_State *L, int index, size_t position)
{
    if (position == 0) {
        lua_pushvalue(L, index);
        return;
    }
    trail__lua_raw_geti(L, index, position);
    if (lua_type(L, -1) != LUA_TTABLE) {
        luaL_error(L, "%sexpected a table, got %s", prefix_of(position).text,
                   luaL_typename(L, -1));
    }
}

static trail_status first_pass(lua_State *L, int index, trail__lua_batch *batch,
                               trail__lua_encoder *e, trail_error *err)
{
    size_t i;

    for (i = 0; i < batch->count; i++) {
        size_t position = position_of(batch, i);

        trail_event_init(&batch->events[i]);
        push_event(L, index, position);
        if (encode_details(L, e, &batch->events[i], position, err) != TRAIL_OK ||
            parse_time(L, &batch->events[i], position, err) != TRAIL_OK) {
            return err->status;
        }
        lua_pop(L, 1);
    }
    return TRAIL_OK;
}

static trail_status second_pass(lua_State *L, int index, trail__lua_batch *batch,
                                const trail__lua_encoder *e, trail_error *err)
{
    size_t offset = 0;
    size_t i;

    for (i = 0; i < batch->count; i++) {
        trail_event *event = &batch->events[i];
        size_t position = position_of(batch, i);

        if (event->details.data != NULL) {
            event->details.data = e->data + offset;
            offset += event->details.len;
        }
        push_event(L, index, position);
        if (read_event(L, event, batch->ids[i], position, err) != TRAIL_OK) {
            return err->status;
        }
        lua_pop(L, 1);
    }
    return TRAIL_OK;
}

/* A list holds nothing but its events: {event, user_id = "x"} is a mistake. */
static void check_list_keys(lua_State *L, int index, size_t count)
{
    int64_t key;

    lua_pushnil(L);
    while (lua_next(L, index) != 0) {
        lua_pop(L, 1);
        if (!trail__lua_to_int64(L, -1, &key) || key < 1 || (uint64_t)key > count) {
            trail__lua_unknown(L, "a list of events: ", "field", -1);
        }
    }
}

static trail_status too_many(size_t count, trail_error *err)
{
    err->status = TRAIL_INVALID;
    snprintf(err->text, sizeof err->text, "a list of %zu events, the limit is %d", count,
             TRAIL_BATCH_COUNT_MAX);
    return TRAIL_INVALID;
}

/* One block of Lua's memory for the arrays of a list. */
static void allocate_list(lua_State *L, trail__lua_batch *batch)
{
    size_t each = sizeof *batch->events + sizeof *batch->receipts + sizeof *batch->ids;
    char *memory = lua_newuserdata(L, batch->count * each);

    batch->events = (trail_event *)(void *)memory;
    memory += batch->count * sizeof *batch->events;
    batch->receipts = (trail_receipt *)(void *)memory;
    memory += batch->count * sizeof *batch->receipts;
    batch->ids = (uint8_t(*)[TRAIL_ID_LEN])(void *)memory;
}

trail_status trail__lua_batch_read(lua_State *L, int index, trail__lua_batch *batch,
                                   trail__lua_encoder *encoder, trail_error *err)
{
    trail_status status;

    luaL_checktype(L, index, LUA_TTABLE);
    lua_rawgeti(L, index, 1);
    batch->list = lua_type(L, -1) == LUA_TTABLE;
    lua_pop(L, 1);
    batch->count = 1;
    batch->events = &batch->event;
    batch->ids = batch->id;
    batch->receipts = &batch->receipt;
    if (batch->list) {
        batch->count = trail__lua_raw_len(L, index);
        if (batch->count > TRAIL_BATCH_COUNT_MAX) {
            return too_many(batch->count, err);
        }
        check_list_keys(L, index, batch->count);
        allocate_list(L, batch);
    }
    trail__lua_encoder_init(encoder, L, "details", TRAIL_DETAILS_DEPTH_MAX,
                            TRAIL_DETAILS_LEN_MAX);
    status = first_pass(L, index, batch, encoder, err);
    if (status != TRAIL_OK) {
        return status;
    }
    return second_pass(L, index, batch, encoder, err);
}

/* ---- the module -------------------------------------------------------------------- */

void trail__lua_check_single(lua_State *L, int index, const char *function)
{
    luaL_checktype(L, index, LUA_TTABLE);
    if (!lua_isnoneornil(L, index + 1)) {
        luaL_error(L, "%s takes one event or one list of events", function);
    }
    lua_settop(L, index);
}

/* core.check(event or list) -> true | nil, message, code */
static int l_check(lua_State *L)
{
    trail__lua_batch batch;
    trail__lua_encoder encoder;
    trail_error err;
    size_t i;

    trail__lua_check_single(L, 1, "check");
    if (trail__lua_batch_read(L, 1, &batch, &encoder, &err) != TRAIL_OK) {
        return trail__lua_failure(L, &err);
    }
    for (i = 0; i < batch.count; i++) {
        if (trail_event_check(&batch.events[i], &err) != TRAIL_OK) {
            lua_pushnil(L);
            lua_pushfstring(L, "%s%s", prefix_of(position_of(&batch, i)).text, err.text);
            lua_pushstring(L, trail_status_name(err.status));
            return 3;
        }
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* core.set_time_parser(f): timestamps may be strings from now on, and f(string) gives
 * microseconds, or nil and a message. */
static int l_set_time_parser(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    trail__lua_registry_set(L, &parser_key);
    return 0;
}

void trail__lua_open_event(lua_State *L)
{
    static const luaL_Reg functions[] = { { "check", l_check },
                                          { "set_time_parser", l_set_time_parser },
                                          { NULL, NULL } };

    luaL_setfuncs(L, functions, 0);
}

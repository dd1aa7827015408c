/* testing_entry.c - trail.testing.entry: parts, entries, chain and ids from given salts,
 * for the vectors of docs/format.md. Test: may include anything; never installed.
 * SPDX-License-Identifier: MIT
 */
#include "testing.h"

#include "bytes.h"
#include "chain.h"
#include "clock.h"
#include "entry.h"
#include "uuid.h"

#include <lauxlib.h>
#include <string.h>

static trail_text text_field(lua_State *L, const char *name)
{
    trail_text text;

    lua_getfield(L, 1, name);
    text = trail__testing_text(L, -1);
    lua_pop(L, 1); /* the table keeps it alive */
    return text;
}

static lua_Integer integer_field(lua_State *L, const char *name)
{
    lua_Integer value;

    lua_getfield(L, 1, name);
    value = luaL_checkinteger(L, -1);
    lua_pop(L, 1);
    return value;
}

static void bytes_field(lua_State *L, const char *name, uint8_t *out, size_t len)
{
    trail_text text = text_field(L, name);

    if (text.len != len) {
        luaL_error(L, "'%s' must be %d bytes", name, (int)len);
        return;
    }
    memcpy(out, text.data, len);
}

static void read_event(lua_State *L, trail_event *event, trail__stamp *stamp,
                       uint8_t salts[2 * TRAIL__SALT_LEN])
{
    trail_event_init(event);
    event->event_type = text_field(L, "event_type");
    event->user_id = text_field(L, "user_id");
    event->action = text_field(L, "action");
    event->resource_type = text_field(L, "resource_type");
    event->resource_id = text_field(L, "resource_id");
    event->result = text_field(L, "result");
    event->result_error = text_field(L, "result_error");
    event->details = text_field(L, "details");
    event->ip_address = text_field(L, "ip_address");
    event->user_agent = text_field(L, "user_agent");
    event->request_id = text_field(L, "request_id");
    stamp->seq = (uint64_t)integer_field(L, "seq");
    stamp->recorded_at_us = integer_field(L, "recorded_at");
    stamp->timestamp_us = integer_field(L, "timestamp");
    bytes_field(L, "id", stamp->id, TRAIL_ID_LEN);
    bytes_field(L, "previous_hash", stamp->previous_hash, TRAIL_HASH_LEN);
    bytes_field(L, "who_salt", salts, TRAIL__SALT_LEN);
    bytes_field(L, "details_salt", salts + TRAIL__SALT_LEN, TRAIL__SALT_LEN);
}

static void set_bytes(lua_State *L, const char *name, const void *data, size_t len)
{
    lua_pushlstring(L, data, len);
    lua_setfield(L, -2, name);
}

/* encode{ event fields, seq, recorded_at, timestamp, id, previous_hash, who_salt,
 * details_salt }
 * -> { who, who_hash, details, details_hash, entry, event_hash, stored }, all byte
 * strings */
static int l_encode(lua_State *L)
{
    uint8_t salts[2 * TRAIL__SALT_LEN];
    trail_event event;
    trail__stamp stamp;
    trail__parts parts;
    trail__hasher hasher;
    trail_text entry;
    uint8_t hash[TRAIL_HASH_LEN];
    uint8_t *part_bytes;
    uint8_t *stored;
    size_t len;

    luaL_checktype(L, 1, LUA_TTABLE);
    read_event(L, &event, &stamp, salts);
    part_bytes = lua_newuserdata(L, trail__parts_len(&event));
    if (trail__hasher_init(&hasher, NULL) != TRAIL_OK ||
        !trail__parts_encode(&hasher, &event, salts, part_bytes, &parts)) {
        return luaL_error(L, "hash failed");
    }
    len = trail__stored_len(&event, &parts, &stamp);
    stored = lua_newuserdata(L, len);
    trail__stored_write(&event, &parts, &stamp, stored, len, &entry);
    if (!trail__chain_hash(&hasher, entry, hash)) {
        return luaL_error(L, "hash failed");
    }
    memcpy(stored + 1, hash, TRAIL_HASH_LEN);
    trail__hasher_release(&hasher);

    lua_newtable(L);
    set_bytes(L, "who", parts.bytes, parts.who_len);
    set_bytes(L, "who_hash", parts.who_hash, TRAIL_HASH_LEN);
    if (parts.details_len > 0) {
        set_bytes(L, "details", parts.bytes + parts.who_len, parts.details_len);
        set_bytes(L, "details_hash", parts.details_hash, TRAIL_HASH_LEN);
    }
    set_bytes(L, "entry", entry.data, entry.len);
    set_bytes(L, "event_hash", hash, TRAIL_HASH_LEN);
    set_bytes(L, "stored", stored, len);
    return 1;
}

/* read(stored) -> true; or nil and what is wrong with the bytes */
static int l_read(lua_State *L)
{
    trail_record record;
    const char *wrong = trail__stored_read(trail__testing_text(L, 1), &record, NULL);

    if (wrong != NULL) {
        lua_pushnil(L);
        lua_pushstring(L, wrong);
        return 2;
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* genesis(log_id, origin) -> hash */
static int l_genesis(lua_State *L)
{
    uint8_t hash[TRAIL_HASH_LEN];
    trail__hasher hasher;
    trail_text log_id = trail__testing_text(L, 1);

    luaL_argcheck(L, log_id.len == TRAIL_ID_LEN, 1, "must be 16 bytes");
    if (trail__hasher_init(&hasher, NULL) != TRAIL_OK ||
        !trail__chain_genesis(&hasher, (const uint8_t *)log_id.data,
                              trail__testing_text(L, 2), hash)) {
        return luaL_error(L, "hash failed");
    }
    trail__hasher_release(&hasher);
    lua_pushlstring(L, (const char *)hash, sizeof hash);
    return 1;
}

/* make_id(recorded_at, seq, random) -> 16 bytes */
static int l_make_id(lua_State *L)
{
    uint8_t id[TRAIL_ID_LEN];
    trail_text random = trail__testing_text(L, 3);

    luaL_argcheck(L, random.len == 8, 3, "must be 8 bytes");
    trail__uuid_make(luaL_checkinteger(L, 1), (uint64_t)luaL_checkinteger(L, 2),
                     (const uint8_t *)random.data, id);
    lua_pushlstring(L, (const char *)id, sizeof id);
    return 1;
}

/* set_clock(us): what time the engine believes it is; nil: the real clock again. Works on
 * the copy of the library inside trail.testing. */
static int l_set_clock(lua_State *L)
{
    trail__clock_set(lua_isnoneornil(L, 1) ? TRAIL_TIME_NONE : luaL_checkinteger(L, 1));
    return 0;
}

void trail__testing_entry(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "encode", l_encode },   { "read", l_read },           { "genesis", l_genesis },
        { "make_id", l_make_id }, { "set_clock", l_set_clock }, { NULL, NULL }
    };

    lua_newtable(L);
    luaL_setfuncs(L, functions, 0);
}

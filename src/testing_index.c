/* testing_index.c - trail.testing.index: a whole trail with its fault points, indexes of small
 * shapes, and their segments taken apart and put together.
 * Test: may include anything; never installed. SPDX-License-Identifier: MIT
 */
#include "testing.h"

#include "block.h"
#include "error.h"
#include "index.h"
#include "lua_core.h"

#include <lauxlib.h>

enum { SPAN = TRAIL__WINDOW };

TRAIL_API int luaopen_trail_core(lua_State *L);

/* core(): the module trail.core over this build of the library. */
static int l_core(lua_State *L)
{
    return luaopen_trail_core(L);
}

/* shape(unit, fan, levels): of the indexes of trails that core() opens from now on */
static int l_shape(lua_State *L)
{
    trail__shape shape = { .unit = (uint32_t)luaL_checkinteger(L, 1),
                           .fan = (uint32_t)luaL_checkinteger(L, 2),
                           .levels = (unsigned)luaL_checkinteger(L, 3) };

    trail__index_shape_set(shape);
    return 0;
}

/* append(log of core(), details, timestamp) -> seq: an event of type "raw" whose details are this
 * JSON text, as no Lua value gives it. */
static int l_append(lua_State *L)
{
    trail *t = trail__lua_handle(trail__lua_check_log(L, 1));
    trail_receipt receipt = { .seq = 0 };
    trail_event event;
    trail_error err;
    trail_status status;

    trail_event_init(&event);
    event.event_type = trail_str("raw");
    event.action = trail_str("append");
    event.resource_type = trail_str("json");
    event.resource_id = trail_str("text");
    event.result = trail_str("success");
    event.details = trail__testing_text(L, 2);
    event.timestamp_us = luaL_checkinteger(L, 3);
    status = trail_append(t, &event, &receipt, &err);
    if (status != TRAIL_OK) {
        return trail__testing_push_status(L, status, &err);
    }
    lua_pushinteger(L, (lua_Integer)receipt.seq);
    return 1;
}

/* ---- a segment, taken apart ------------------------------------------------------- */

/* The index of a trail, opened for one question or one change. */
typedef struct access {
    trail__kv *kv;
    trail__kv_txn txn;
} access;

static trail_status begin(access *a, const char *dir, bool writes, trail_error *err)
{
    trail__kv_options options = { .file = TRAIL__KV_INDEX,
                                  .busy_ms = 10000,
                                  .no_gate = true };
    trail_status status = trail__kv_open(&a->kv, dir, &options, err);

    if (status == TRAIL_OK) {
        status = writes ? trail__kv_begin_write(a->kv, &a->txn, err)
                        : trail__kv_begin_read(a->kv, &a->txn, err);
    }
    return status;
}

static void end(access *a)
{
    trail__kv_abort(&a->txn);
    trail__kv_close(a->kv);
}

static void push_offsets(lua_State *L, const trail__posting *posting)
{
    trail__set set;
    uint32_t offset;
    int count = 0;

    lua_newtable(L);
    if (trail__set_init(&set, SPAN) && trail__posting_add(posting, &set) == TRAIL_OK) {
        for (bool more = trail__set_up(&set, 0, &offset); more;
             more = trail__set_up(&set, offset + 1, &offset)) {
            lua_pushinteger(L, offset);
            lua_rawseti(L, -2, ++count);
        }
    }
    trail__set_release(&set);
}

/* Append what a block holds to the table on top of the stack. */
static trail_status push_block(lua_State *L, unsigned field, trail_text block,
                               trail_error *err)
{
    trail__block_reader reader;
    trail__posting posting;
    trail_text term;
    trail_status status;

    if (field == 0) {
        trail__times times;

        if (!trail__times_open(&times, block)) {
            return trail__error(err, TRAIL_CORRUPT, "no chunk of times");
        }
        lua_getfield(L, -1, "times");
        for (size_t i = 0; i < times.count; i++) {
            lua_pushinteger(L, trail__times_at(&times, i));
            lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
        }
        lua_pop(L, 1);
        return TRAIL_OK;
    }
    trail__block_open(&reader, block);
    while ((status = trail__block_next(&reader, &term, &posting)) == TRAIL_OK) {
        lua_newtable(L);
        lua_pushinteger(L, field);
        lua_setfield(L, -2, "field");
        lua_pushlstring(L, term.data, term.len);
        lua_setfield(L, -2, "term");
        push_offsets(L, &posting);
        lua_setfield(L, -2, "offsets");
        lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    }
    return status == TRAIL_NOT_FOUND ? TRAIL_OK
                                     : trail__error(err, TRAIL_CORRUPT, "no block");
}

/* Call push_block for each block of a segment, or delete them. */
static trail_status each_block(lua_State *L, trail__kv_txn *txn, uint64_t number,
                               bool erase, trail_error *err)
{
    trail__kv_cursor cursor;
    trail__block_key room;
    trail_text key;
    trail_text block;
    uint64_t found;
    unsigned field;
    trail_status status = trail__kv_cursor_open(txn, TRAIL__KV_BLOCKS, &cursor, err);

    if (status != TRAIL_OK) {
        return status;
    }
    trail__block_key_time(&room, number, 0);
    key = (trail_text){ (const char *)room.bytes, room.len };
    status = trail__kv_cursor_move(&cursor, TRAIL__KV_AT_OR_AFTER, &key, &block, err);
    while (status == TRAIL_OK && trail__block_key_read(key, &found, &field) &&
           found == number) {
        status = erase ? trail__kv_cursor_delete(&cursor, err)
                       : push_block(L, field, block, err);
        if (status == TRAIL_OK) {
            status = trail__kv_cursor_move(&cursor, TRAIL__KV_NEXT, &key, &block, err);
        }
    }
    trail__kv_cursor_close(&cursor);
    return status == TRAIL_NOT_FOUND ? TRAIL_OK : status;
}

/* take(dir, number) -> { { field =, term =, offsets = { ... } }, ..., times = { ... } }: what the
 * segment of this number holds. */
static int l_take(lua_State *L)
{
    access a = { NULL };
    uint64_t number = (uint64_t)luaL_checkinteger(L, 2);
    trail_error err;
    trail_status status = begin(&a, luaL_checkstring(L, 1), false, &err);

    lua_newtable(L);
    lua_newtable(L);
    lua_setfield(L, -2, "times");
    if (status == TRAIL_OK) {
        status = each_block(L, &a.txn, number, false, &err);
    }
    end(&a);
    return status == TRAIL_OK ? 1 : trail__testing_push_status(L, status, &err);
}

/* ---- and put together ------------------------------------------------------------- */

static trail_status put_block(void *context, trail_text key, trail_text block,
                              trail_error *err)
{
    return trail__kv_put_new(context, TRAIL__KV_BLOCKS, key, block, err);
}

static trail_status add_times(lua_State *L, trail__block_writer *writer, trail_error *err)
{
    trail_status status = TRAIL_OK;

    lua_getfield(L, 3, "times");
    for (lua_Integer i = 1; status == TRAIL_OK && i <= (lua_Integer)lua_rawlen(L, -1);
         i++) {
        lua_rawgeti(L, -1, i);
        status = trail__block_add_time(writer, lua_tointeger(L, -1), err);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return status;
}

/* The posting on top of the stack; one without offsets is left out. */
static trail_status add_posting(lua_State *L, trail__block_writer *writer,
                                trail_error *err)
{
    static uint16_t offsets[SPAN];
    trail_text term;
    unsigned field;
    size_t count;

    lua_getfield(L, -1, "field");
    field = (unsigned)lua_tointeger(L, -1);
    lua_getfield(L, -2, "term");
    term = trail__testing_text(L, -1);
    lua_getfield(L, -3, "offsets");
    count = lua_rawlen(L, -1);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        offsets[i] = (uint16_t)lua_tointeger(L, -1);
        lua_pop(L, 1);
    }
    lua_pop(L, 3);
    return count > 0
               ? trail__block_add_offsets(writer, field, term, 0, offsets, count, err)
               : TRAIL_OK;
}

/* put(dir, number, segment): in the place of what was there; as take() gives it, so in order. */
static int l_put(lua_State *L)
{
    static trail__block_writer writer;
    access a = { NULL };
    uint64_t number = (uint64_t)luaL_checkinteger(L, 2);
    trail_error err;
    trail_status status = begin(&a, luaL_checkstring(L, 1), true, &err);

    luaL_checktype(L, 3, LUA_TTABLE);
    if (status == TRAIL_OK) {
        status = each_block(L, &a.txn, number, true, &err);
    }
    trail__block_begin(&writer, number, put_block, &a.txn);
    if (status == TRAIL_OK) {
        status = add_times(L, &writer, &err);
    }
    for (lua_Integer i = 1; status == TRAIL_OK && i <= (lua_Integer)lua_rawlen(L, 3);
         i++) {
        lua_rawgeti(L, 3, i);
        status = add_posting(L, &writer, &err);
        lua_pop(L, 1);
    }
    if (status == TRAIL_OK) {
        status = trail__block_finish(&writer, &err);
    }
    if (status == TRAIL_OK) {
        status = trail__kv_commit(&a.txn, &err);
    }
    end(&a);
    return trail__testing_push_status(L, status, &err);
}

static void push_segment(lua_State *L, const trail__segment *segment)
{
    lua_newtable(L);
    lua_pushinteger(L, (lua_Integer)segment->number);
    lua_setfield(L, -2, "number");
    lua_pushinteger(L, (lua_Integer)segment->seq_first);
    lua_setfield(L, -2, "seq_first");
    lua_pushinteger(L, (lua_Integer)segment->seq_last);
    lua_setfield(L, -2, "seq_last");
    lua_pushinteger(L, segment->level);
    lua_setfield(L, -2, "level");
}

static trail_status push_segments(lua_State *L, trail__kv_txn *txn, trail_error *err)
{
    trail__kv_cursor cursor;
    trail_text key = { NULL, 0 };
    trail_text value;
    int count = 0;
    trail_status status = trail__kv_cursor_open(txn, TRAIL__KV_SEGMENTS, &cursor, err);

    if (status != TRAIL_OK) {
        return status;
    }
    status = trail__kv_cursor_move(&cursor, TRAIL__KV_FIRST, &key, &value, err);
    while (status == TRAIL_OK) {
        trail__segment segment;

        if (!trail__index_segment_read(key, value, &segment)) {
            status = trail__error(err, TRAIL_CORRUPT, "no row of a segment");
            break;
        }
        push_segment(L, &segment);
        lua_rawseti(L, -2, ++count);
        status = trail__kv_cursor_move(&cursor, TRAIL__KV_NEXT, &key, &value, err);
    }
    trail__kv_cursor_close(&cursor);
    return status == TRAIL_NOT_FOUND ? TRAIL_OK : status;
}

/* state(dir) -> { { number =, seq_first =, seq_last =, level = }, ..., seq =, merging =, dead = how
 * many }: the rows of segments, and how far the index has come. */
static int l_state(lua_State *L)
{
    access a = { NULL };
    trail__index_state state;
    trail_error err;
    trail_status status = begin(&a, luaL_checkstring(L, 1), false, &err);

    lua_newtable(L);
    if (status == TRAIL_OK) {
        status = push_segments(L, &a.txn, &err);
    }
    if (status == TRAIL_OK) {
        status = trail__index_state_get(&a.txn, &state, &err);
    }
    end(&a);
    if (status != TRAIL_OK) {
        return trail__testing_push_status(L, status, &err);
    }
    lua_pushinteger(L, (lua_Integer)state.seq);
    lua_setfield(L, -2, "seq");
    lua_pushinteger(L, (lua_Integer)state.merging);
    lua_setfield(L, -2, "merging");
    lua_pushinteger(L, (lua_Integer)state.dead_count);
    lua_setfield(L, -2, "dead");
    return 1;
}

void trail__testing_index(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "core", l_core }, { "shape", l_shape }, { "append", l_append },
        { "take", l_take }, { "put", l_put },     { "state", l_state },
        { NULL, NULL },
    };

    luaL_newlib(L, functions);
}

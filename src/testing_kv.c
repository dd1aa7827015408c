/* testing_kv.c - trail.testing.kv: rows of a trail's tables, for specs that play the
 * attacker. Test: may include anything; never installed. SPDX-License-Identifier: MIT
 *
 * The trail must not be open in this process through the same copy of the library.
 */
#include "testing.h"

#include "bytes.h"
#include "kv.h"

#include <lauxlib.h>
#include <string.h>

/* Those of log.mdb, then those of index.mdb. */
static const char *const table_names[] = { "entries",  "ids",   "meta", "blocks",
                                           "segments", "state", NULL };

static int fail(lua_State *L, const trail_error *err)
{
    lua_pushnil(L);
    lua_pushstring(L, err->text);
    lua_pushstring(L, trail_status_name(err->status));
    return 3;
}

static trail__kv_table check_table(lua_State *L, int index, trail__kv_file *file_out)
{
    int number = luaL_checkoption(L, index, NULL, table_names);

    *file_out = number < TRAIL__KV_TABLES ? TRAIL__KV_LOG : TRAIL__KV_INDEX;
    return (trail__kv_table)(number % TRAIL__KV_TABLES);
}

static trail_status open_kv(lua_State *L, trail__kv_file file, trail__kv **kv_out,
                            trail_error *err)
{
    trail__kv_options options = { .file = file,
                                  .busy_ms = 10000,
                                  .no_gate = file == TRAIL__KV_INDEX };

    return trail__kv_open(kv_out, luaL_checkstring(L, 1), &options, err);
}

static trail_status push_rows(lua_State *L, trail__kv_txn *txn, trail__kv_table table,
                              trail_error *err)
{
    trail__kv_cursor cursor;
    trail_text key = { NULL, 0 };
    trail_text value;
    trail_status status = trail__kv_cursor_open(txn, table, &cursor, err);
    int count = 0;

    lua_newtable(L);
    if (status != TRAIL_OK) {
        return status;
    }
    status = trail__kv_cursor_move(&cursor, TRAIL__KV_FIRST, &key, &value, err);
    while (status == TRAIL_OK) {
        lua_createtable(L, 0, 2);
        lua_pushlstring(L, key.data, key.len);
        lua_setfield(L, -2, "key");
        lua_pushlstring(L, value.data, value.len);
        lua_setfield(L, -2, "value");
        lua_rawseti(L, -2, ++count);
        status = trail__kv_cursor_move(&cursor, TRAIL__KV_NEXT, &key, &value, err);
    }
    trail__kv_cursor_close(&cursor);
    return status == TRAIL_NOT_FOUND ? TRAIL_OK : status;
}

/* rows(dir, table) -> { { key =, value = }, ... } in the order of keys */
static int l_rows(lua_State *L)
{
    trail__kv_file file;
    trail__kv_table table = check_table(L, 2, &file);
    trail__kv *kv;
    trail__kv_txn txn;
    trail_error err;
    trail_status status = open_kv(L, file, &kv, &err);

    if (status == TRAIL_OK) {
        status = trail__kv_begin_read(kv, &txn, &err);
        if (status == TRAIL_OK) {
            status = push_rows(L, &txn, table, &err);
            trail__kv_abort(&txn);
        }
        trail__kv_close(kv);
    }
    return status == TRAIL_OK ? 1 : fail(L, &err);
}

/* Make the head look as if this transaction had been one of the engine's. */
static trail_status renumber_head(trail__kv_txn *txn, trail_error *err)
{
    const trail_text key = { .data = "head", .len = 4 };
    uint8_t bytes[128];
    trail__writer w = { .at = bytes, .end = bytes + sizeof bytes };
    trail__reader r;
    trail_text value;
    trail_status status = trail__kv_get(txn, TRAIL__KV_META, key, &value, err);

    if (status != TRAIL_OK) {
        return status == TRAIL_NOT_FOUND ? TRAIL_OK : status;
    }
    r = trail__reader_of(value.data, value.len);
    trail__read_array(&r, 4);
    trail__write_array(&w, 4);
    trail__write_uint(&w, trail__read_uint(&r));
    trail__write_uint(&w, trail__read_uint(&r));
    {
        const uint8_t *hash = trail__read_bytes(&r, TRAIL_HASH_LEN);

        if (hash == NULL) {
            return TRAIL_OK; /* the spec has damaged the head itself */
        }
        trail__write_bytes(&w, hash, TRAIL_HASH_LEN);
    }
    trail__write_uint(&w, trail__kv_txn_number(txn));
    value.data = (const char *)bytes;
    value.len = (size_t)(w.at - bytes);
    return trail__kv_replace(txn, TRAIL__KV_META, key, value, err);
}

/* One change { table =, key =, value = or nil to delete } */
static trail_status apply(lua_State *L, trail__kv_txn *txn, trail_error *err)
{
    trail__kv_file file;
    trail__kv_table table;
    trail_text key;
    trail_text value;

    lua_getfield(L, -1, "table");
    table = check_table(L, -1, &file);
    lua_getfield(L, -2, "key");
    key = trail__testing_text(L, -1);
    lua_getfield(L, -3, "value");
    value = trail__testing_text(L, -1);
    lua_pop(L, 3);
    if (value.data == NULL) {
        return trail__kv_delete(txn, table, key, err);
    }
    return trail__kv_replace(txn, table, key, value, err);
}

/* change(dir, { change, ... } [, honest]): all in one transaction, of one file. With 'honest' the
 * head keeps the old transaction number, as a plain LMDB tool would leave it. */
static int l_change(lua_State *L)
{
    bool honest = lua_toboolean(L, 3);
    trail__kv_file file = TRAIL__KV_LOG;
    trail__kv *kv;
    trail__kv_txn txn;
    trail_error err;
    trail_status status;

    luaL_checktype(L, 2, LUA_TTABLE);
    if (lua_rawgeti(L, 2, 1) == LUA_TTABLE) {
        lua_getfield(L, -1, "table");
        (void)check_table(L, -1, &file);
    }
    lua_settop(L, 3);
    status = open_kv(L, file, &kv, &err);
    if (status != TRAIL_OK) {
        return fail(L, &err);
    }
    status = trail__kv_begin_write(kv, &txn, &err);
    for (int i = 1; status == TRAIL_OK && i <= (int)lua_rawlen(L, 2); i++) {
        lua_rawgeti(L, 2, i);
        status = apply(L, &txn, &err);
        lua_pop(L, 1);
    }
    if (status == TRAIL_OK && !honest) {
        status = renumber_head(&txn, &err);
    }
    if (status == TRAIL_OK) {
        status = trail__kv_commit(&txn, &err);
    }
    trail__kv_abort(&txn);
    trail__kv_close(kv);
    return trail__testing_push_status(L, status, &err);
}

void trail__testing_kv(lua_State *L)
{
    lua_newtable(L);
    lua_pushcfunction(L, l_rows);
    lua_setfield(L, -2, "rows");
    lua_pushcfunction(L, l_change);
    lua_setfield(L, -2, "change");
}

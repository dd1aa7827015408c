/* testing_tamper.c - trail.testing.tamper: change every stored byte, one at a time, and verify;
 * dump all rows.
 * Test: may include anything; never installed.
 * SPDX-License-Identifier: MIT
 *
 * The trail must not be open in this process through the same copy of the library.
 */
#include "testing.h"

#include "bytes.h"
#include "error.h"
#include "log.h"
#include "verify.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

/* One row, copied out of the file, with a byte of its value changed. */
typedef struct row {
    uint8_t key[16];
    size_t key_len;
    uint8_t *value;
    size_t value_len;
} row;

typedef struct flips {
    trail__log log;
    trail__kv_table table;
    row *rows;
    size_t count;
    uint64_t random;
} flips;

static trail_text text_of(const void *data, size_t len)
{
    return (trail_text){ .data = data, .len = len };
}

static trail_status copy_rows(flips *f, trail_error *err)
{
    trail__kv_cursor cursor = { NULL };
    trail__kv_txn txn;
    trail_text key = { NULL, 0 };
    trail_text value;
    trail_status status = trail__kv_begin_read(f->log.kv, &txn, err);

    if (status != TRAIL_OK) {
        return status;
    }
    status = trail__kv_cursor_open(&txn, f->table, &cursor, err);
    for (trail__kv_move move = TRAIL__KV_FIRST; status == TRAIL_OK;
         move = TRAIL__KV_NEXT) {
        row *r;

        status = trail__kv_cursor_move(&cursor, move, &key, &value, err);
        if (status != TRAIL_OK || key.len > sizeof r->key) {
            break;
        }
        f->rows = realloc(f->rows, (f->count + 1) * sizeof *f->rows);
        r = &f->rows[f->count++];
        memcpy(r->key, key.data, key.len);
        r->key_len = key.len;
        r->value = malloc(value.len);
        r->value_len = value.len;
        memcpy(r->value, value.data, value.len);
    }
    trail__kv_cursor_close(&cursor);
    trail__kv_abort(&txn);
    return status == TRAIL_NOT_FOUND ? TRAIL_OK : status;
}

/* Make the head look as if this transaction had been one of the engine's. */
static trail_status renumber(trail__kv_txn *txn, trail_error *err)
{
    const trail_text key = trail_str("head");
    uint8_t bytes[128];
    trail__writer w = { .at = bytes, .end = bytes + sizeof bytes };
    trail_head head;
    trail_status status = trail__log_head(txn, &head, err);

    if (status != TRAIL_OK) {
        return status;
    }
    trail__write_array(&w, 4);
    trail__write_uint(&w, head.seq);
    trail__write_uint(&w, (uint64_t)head.recorded_at_us);
    trail__write_bytes(&w, head.event_hash, TRAIL_HASH_LEN);
    trail__write_uint(&w, trail__kv_txn_number(txn));
    return trail__kv_replace(txn, TRAIL__KV_META, key,
                             text_of(bytes, (size_t)(w.at - bytes)), err);
}

/* Write the row before (made right again) and this one (changed) in one transaction. */
static trail_status write_rows(flips *f, const row *before, const row *now,
                               trail_error *err)
{
    trail__kv_txn txn;
    trail_status status = trail__kv_begin_write(f->log.kv, &txn, err);

    if (status != TRAIL_OK) {
        return status;
    }
    if (before != NULL) {
        status = trail__kv_replace(&txn, f->table, text_of(before->key, before->key_len),
                                   text_of(before->value, before->value_len), err);
    }
    if (status == TRAIL_OK && now != NULL) {
        status = trail__kv_replace(&txn, f->table, text_of(now->key, now->key_len),
                                   text_of(now->value, now->value_len), err);
    }
    if (status == TRAIL_OK) {
        status = renumber(&txn, err);
    }
    if (status == TRAIL_OK) {
        status = trail__kv_commit(&txn, err);
    }
    trail__kv_abort(&txn);
    return status;
}

static uint8_t next_mask(flips *f)
{
    uint8_t mask;

    do {
        f->random ^= f->random << 13;
        f->random ^= f->random >> 7;
        f->random ^= f->random << 17;
        mask = (uint8_t)(f->random >> 24);
    } while (mask == 0);
    return mask;
}

static void push_verdict(lua_State *L, size_t row_number, size_t offset, uint8_t mask,
                         const trail_report *report)
{
    lua_createtable(L, 6, 0);
    lua_pushinteger(L, (lua_Integer)row_number);
    lua_rawseti(L, -2, 1);
    lua_pushinteger(L, (lua_Integer)offset);
    lua_rawseti(L, -2, 2);
    lua_pushinteger(L, mask);
    lua_rawseti(L, -2, 3);
    lua_pushstring(L, trail_fault_name(report->fault));
    lua_rawseti(L, -2, 4);
    lua_pushinteger(L, (lua_Integer)report->first_bad_seq);
    lua_rawseti(L, -2, 5);
    lua_pushinteger(L, (lua_Integer)report->last_good_seq);
    lua_rawseti(L, -2, 6);
}

/* The list of verdicts is on top of the stack. */
static trail_status flip_all(lua_State *L, flips *f, trail_error *err)
{
    trail_status status = TRAIL_OK;
    const row *before = NULL;
    lua_Integer count = 0;

    for (size_t i = 0; i < f->count; i++) {
        row *now = &f->rows[i];

        for (size_t offset = 0; offset < now->value_len; offset++) {
            trail__verify_watch watch;
            trail_report report;
            uint8_t mask = next_mask(f);

            now->value[offset] ^= mask;
            status = write_rows(f, before != now ? before : NULL, now, err);
            now->value[offset] ^= mask;
            if (status == TRAIL_OK) {
                status = trail__verify_log(&f->log, NULL, NULL, &watch, &report, err);
            }
            if (status != TRAIL_OK) {
                return status;
            }
            push_verdict(L, i + 1, offset, mask, &report);
            lua_rawseti(L, -2, ++count);
            before = now;
        }
    }
    return write_rows(f, before, NULL, err);
}

/* flip_values(dir, "entries" or "ids", seed) -> { { row, offset, mask, fault, first_bad_seq,
 * last_good_seq }, ... }: each byte of each value of the table xor-ed with a random mask, the
 * head numbered as the engine would, and the trail verified in this process. Rows count from 1
 * in the order of keys. In the end the trail is as it was. */
static int l_flip_values(lua_State *L)
{
    static const char *const names[] = { "entries", "ids", NULL };
    trail__kv_options options = { .busy_ms = 10000 };
    const char *dir = luaL_checkstring(L, 1);
    flips f = { .table = (trail__kv_table)luaL_checkoption(L, 2, NULL, names),
                .random = (uint64_t)luaL_checkinteger(L, 3) * 2654435761u + 1 };
    trail_error err;
    trail_status status = trail__log_open(&f.log, dir, &options, &err);

    lua_newtable(L);
    if (status == TRAIL_OK) {
        status = copy_rows(&f, &err);
        if (status == TRAIL_OK) {
            status = flip_all(L, &f, &err);
        }
        trail__log_close(&f.log);
    }
    for (size_t i = 0; i < f.count; i++) {
        free(f.rows[i].value);
    }
    free(f.rows);
    return status == TRAIL_OK ? 1 : trail__testing_push_status(L, status, &err);
}

static trail_status add_table(luaL_Buffer *buffer, const trail__kv_txn *txn,
                              trail__kv_table table, trail_error *err)
{
    trail__kv_cursor cursor = { NULL };
    trail_text key = { NULL, 0 };
    trail_text value;
    trail_status status = trail__kv_cursor_open(txn, table, &cursor, err);

    for (trail__kv_move move = TRAIL__KV_FIRST; status == TRAIL_OK;
         move = TRAIL__KV_NEXT) {
        uint8_t lens[16];

        status = trail__kv_cursor_move(&cursor, move, &key, &value, err);
        if (status == TRAIL_OK) {
            trail__store_u64(lens, key.len);
            trail__store_u64(lens + 8, value.len);
            luaL_addlstring(buffer, (const char *)lens, sizeof lens);
            luaL_addlstring(buffer, key.data, key.len);
            luaL_addlstring(buffer, value.data, value.len);
        }
    }
    trail__kv_cursor_close(&cursor);
    luaL_addlstring(buffer, "----------------", 16);
    return status == TRAIL_NOT_FOUND ? TRAIL_OK : status;
}

/* dump(dir) -> all rows of all tables as one string */
static int l_dump(lua_State *L)
{
    trail__kv_options options = { .read_only = true };
    const char *dir = luaL_checkstring(L, 1);
    luaL_Buffer buffer;
    trail__kv_txn txn = { .handle = NULL };
    trail__kv *kv;
    trail_error err;
    trail_status status = trail__kv_open(&kv, dir, &options, &err);

    if (status != TRAIL_OK) {
        return trail__testing_push_status(L, status, &err);
    }
    luaL_buffinit(L, &buffer);
    status = trail__kv_begin_read(kv, &txn, &err);
    for (int table = 0; table < TRAIL__KV_TABLES && status == TRAIL_OK; table++) {
        status = add_table(&buffer, &txn, (trail__kv_table)table, &err);
    }
    trail__kv_abort(&txn);
    trail__kv_close(kv);
    luaL_pushresult(&buffer);
    return status == TRAIL_OK ? 1 : trail__testing_push_status(L, status, &err);
}

void trail__testing_tamper(lua_State *L)
{
    static const luaL_Reg functions[] = { { "dump", l_dump },
                                          { "flip_values", l_flip_values },
                                          { NULL, NULL } };

    luaL_newlib(L, functions);
}

/* kv.h - sorted tables in a file with transactions: all that we use of LMDB.
 * Level 3: may include levels 0-1; only kv_env.h and kv*.c include <lmdb.h>.
 * SPDX-License-Identifier: MIT
 *
 * No DUPSORT and no WRITEMAP (notes in docs/design.md). A transaction must end on the thread
 * that began it if it writes. What a get returns points into the file's pages and is dead when
 * the transaction ends.
 *
 * The address space is reserved large and grows: every transaction holds kv's map lock for
 * reading, growing holds it for writing.
 */
#ifndef TRAIL_KV_H
#define TRAIL_KV_H

#include "trail.h"

#include <sys/stat.h>

typedef struct trail__kv trail__kv;

/* Which file: each has tables of its own. */
typedef enum trail__kv_file { TRAIL__KV_LOG, TRAIL__KV_INDEX } trail__kv_file;

typedef enum trail__kv_table {
    /* log.mdb */
    TRAIL__KV_ENTRIES = 0, /* seq -> stored value */
    TRAIL__KV_IDS = 1,     /* id given by a caller -> seq */
    TRAIL__KV_META = 2,    /* "log", "head" */
    /* index.mdb */
    TRAIL__KV_BLOCKS = 0,   /* segment, then term -> a block of terms */
    TRAIL__KV_SEGMENTS = 1, /* first seq -> a segment */
    TRAIL__KV_STATE = 2,    /* "index", "state" */
    TRAIL__KV_TABLES = 3
} trail__kv_table;

typedef struct trail__kv_options {
    trail__kv_file file;
    uint64_t map_size;
    uint64_t size_max;
    unsigned busy_ms;
    bool create;      /* the file does not exist yet, or is nobody else's */
    bool no_gate;     /* writers have an order of their own */
    bool read_only;   /* do not even try to open for writing */
    bool quiet_abort; /* LMDB aborts without saying why on standard error */
} trail__kv_options;

/* Open the file in the directory. Only one kv per file and process: the caller sees to it. */
trail_status trail__kv_open(trail__kv **kv_out, const char *dir,
                            const trail__kv_options *options, trail_error *err);
void trail__kv_close(trail__kv *kv);

uint64_t trail__kv_size_max(const trail__kv *kv); /* 0: no limit */

/* Refuses everything, until it is closed and opened anew. */
bool trail__kv_is_broken(const trail__kv *kv);

/* A position in a table, within a transaction. */
typedef struct trail__kv_cursor {
    void *handle;
} trail__kv_cursor;

typedef struct trail__kv_txn {
    trail__kv *kv;
    void *handle; /* MDB_txn; NULL when not begun */
    bool writes;
    trail__kv_cursor appends; /* at the end of table 0, once something was appended */
    bool map_full; /* no address space left: abort, trail__kv_grow, and again */
} trail__kv_txn;

trail_status trail__kv_begin_read(trail__kv *kv, trail__kv_txn *txn_out,
                                  trail_error *err);

/* Waits at most busy_ms for a writer of another process, then TRAIL_BUSY. */
trail_status trail__kv_begin_write(trail__kv *kv, trail__kv_txn *txn_out,
                                   trail_error *err);

/* Durable on TRAIL_OK. After anything else nothing was stored; if that cannot be known, the
 * message says so and the kv refuses everything from then on. The transaction is over. */
trail_status trail__kv_commit(trail__kv_txn *txn, trail_error *err);
void trail__kv_abort(trail__kv_txn *txn); /* not begun, or over: fine */

/* A number that every committed write transaction of this file raises by one. */
uint64_t trail__kv_txn_number(const trail__kv_txn *txn);

/* Reserve more address space; TRAIL_FULL at size_max. No transaction may be open on the
 * calling thread. */
trail_status trail__kv_grow(trail__kv *kv, trail_error *err);

/* TRAIL_NOT_FOUND without a message: no such key. */
trail_status trail__kv_get(const trail__kv_txn *txn, trail__kv_table table,
                           trail_text key, trail_text *value_out, trail_error *err);

/* Store a value of table 0 behind all others; TRAIL_CORRUPT if its key does not belong there.
 * *value_out is room for 'len' bytes, to be filled before the next call. */
trail_status trail__kv_append(trail__kv_txn *txn, trail_text key, size_t len,
                              uint8_t **value_out, trail_error *err);

/* Store a value under a new key; TRAIL_CORRUPT if the key is there. */
trail_status trail__kv_put_new(trail__kv_txn *txn, trail__kv_table table, trail_text key,
                               trail_text value, trail_error *err);
trail_status trail__kv_replace(trail__kv_txn *txn, trail__kv_table table, trail_text key,
                               trail_text value, trail_error *err);

trail_status trail__kv_count(const trail__kv_txn *txn, trail__kv_table table,
                             uint64_t *count_out, trail_error *err);

typedef enum trail__kv_move {
    TRAIL__KV_FIRST,
    TRAIL__KV_LAST,
    TRAIL__KV_NEXT,
    TRAIL__KV_PREVIOUS,
    TRAIL__KV_AT_OR_AFTER /* the key given in *key */
} trail__kv_move;

trail_status trail__kv_cursor_open(const trail__kv_txn *txn, trail__kv_table table,
                                   trail__kv_cursor *cursor_out, trail_error *err);
void trail__kv_cursor_close(trail__kv_cursor *cursor);

/* TRAIL_NOT_FOUND without a message: there is nothing in that direction. */
trail_status trail__kv_cursor_move(trail__kv_cursor *cursor, trail__kv_move move,
                                   trail_text *key, trail_text *value_out,
                                   trail_error *err);

typedef struct trail__kv_info {
    uint64_t file_len;
    uint64_t used_len;
    uint64_t map_size;
    unsigned readers;
    unsigned readers_max;
} trail__kv_info;

trail_status trail__kv_get_info(trail__kv *kv, trail__kv_info *info_out,
                                trail_error *err);

/* A key that must be there. */
trail_status trail__kv_delete(trail__kv_txn *txn, trail__kv_table table, trail_text key,
                              trail_error *err);

/* Delete what the cursor stands on; TRAIL__KV_NEXT then gives what followed. */
trail_status trail__kv_cursor_delete(trail__kv_cursor *cursor, trail_error *err);

/* Empty a table. */
trail_status trail__kv_clear(trail__kv_txn *txn, trail__kv_table table, trail_error *err);

/* The file that is open: another one of the same name may have taken its place. */
trail_status trail__kv_stat(const trail__kv *kv, struct stat *file_out, trail_error *err);

#endif

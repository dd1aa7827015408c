/* lua_core.h - what the files of the Lua binding share.
 * Level edge: includes trail.h, Lua's headers and C standard headers only.
 * SPDX-License-Identifier: MIT
 *
 * Three rules keep C safe from Lua, which can leave a function at nearly every call (a
 * memory error is a longjmp) and can run a finalizer of the caller's at nearly every
 * allocation:
 *   - A box (userdata with __gc) is filled by the C call, never wrapped around its result
 * later. Arrays that live for one call are plain userdata: the collector frees them.
 *   - Pointers into Lua strings are taken in a last pass that allocates nothing and goes
 * straight on to the C call, so no finalizer can change the tables in between.
 *   - Tables of the caller are read with raw access; their metamethods never run.
 */
#ifndef TRAIL_LUA_CORE_H
#define TRAIL_LUA_CORE_H

#include "lua_compat.h"
#include "trail.h"

#include <stdint.h>

/* ---- module (lua_core.c) ----------------------------------------------------------- */

__attribute__((visibility("default"))) int luaopen_trail_core(lua_State *L);

/* nil, message, code word. */
int trail__lua_failure(lua_State *L, const trail_error *err);
int trail__lua_failure_text(lua_State *L, trail_status status, const char *text);

/* Push the methods table of the class 'key'; made from 'meta' and 'methods' (either may
 * be NULL) the first time. 'key' is the address of a static variable. */
void trail__lua_push_class(lua_State *L, const void *key, const char *name,
                           const luaL_Reg *meta, const luaL_Reg *methods);

/* Give the userdata on top its class; the class must have been pushed once before. */
void trail__lua_set_class(lua_State *L, const void *key);

/* The userdata of this class at argument 'index', or an argument error. */
void *trail__lua_check_box(lua_State *L, int index, const void *key, const char *name);

/* Push enough of a key to know it again, printable; valid as long as it is on the stack. */
const char *trail__lua_key_name(lua_State *L, trail_text key);

/* Throw "<prefix>unknown <kind> '<key>'". */
int trail__lua_unknown(lua_State *L, const char *prefix, const char *kind, int key_index);

/* The value at 'index' if it is a whole number of 64 bits (1.0 counts as 1). */
bool trail__lua_to_int64(lua_State *L, int index, int64_t *value_out);

/* The same, or throw "<kind> '<name>': ..."; check_count refuses what is below 'min' too.
 */
int64_t trail__lua_check_int64(lua_State *L, int index, const char *kind,
                               const char *name);
uint64_t trail__lua_check_count(lua_State *L, int index, const char *kind,
                                const char *name, int64_t min);
bool trail__lua_check_bool(lua_State *L, int index, const char *kind, const char *name);

/* The string at 'index', which must be one; nothing is converted. */
trail_text trail__lua_text(lua_State *L, int index);
bool trail__lua_text_is(trail_text text, const char *word);

/* nil or none: false. A table: true. Otherwise an argument error. */
bool trail__lua_check_options(lua_State *L, int index);

void trail__lua_push_u64(lua_State *L, uint64_t value);

/* table[key] = value, of the table on top. */
void trail__lua_set_u64(lua_State *L, const char *key, uint64_t value);

void trail__lua_push_id(lua_State *L, const uint8_t id[TRAIL_ID_LEN]);
void trail__lua_push_hash(lua_State *L, const uint8_t hash[TRAIL_HASH_LEN]);
void trail__lua_push_head(lua_State *L, const trail_head *head);

/* Tables that a log hands out have a metatable for each kind, open to everybody; Lua puts
 * a __tostring there. */
typedef enum trail__lua_kind {
    TRAIL__LUA_HEAD,
    TRAIL__LUA_RECEIPT,
    TRAIL__LUA_RECORD,
    TRAIL__LUA_KIND_COUNT
} trail__lua_kind;

/* Give the table on top the metatable of its kind. */
void trail__lua_set_kind(lua_State *L, trail__lua_kind kind);

/* ---- log and cursor (lua_log.c, lua_cursor.c) -------------------------------------- */

typedef struct trail__lua_cursor trail__lua_cursor;

/* The box of a log. close() of a log closes its cursors first; what is in the middle of a
 * C call just then (only a finalizer or a progress function can cause that) is waited
 * for. */
typedef struct trail__lua_log {
    trail *trail;               /* NULL: not open */
    bool closing;               /* close() was called; no new call may begin */
    unsigned uses;              /* C calls under way that may run Lua in between */
    trail__lua_cursor *cursors; /* open cursors, linked */
    char path[];
} trail__lua_log;

trail__lua_log *trail__lua_check_log(lua_State *L, int index);

/* The handle, or NULL if the log is closed; then return trail__lua_closed(L). */
trail *trail__lua_handle(const trail__lua_log *log);
int trail__lua_closed(lua_State *L);

void trail__lua_log_close(trail__lua_log *log);

/* Close for good if close() was called and the last user has gone. */
void trail__lua_log_settle(trail__lua_log *log);

/* log:cursor(filter [, view options]); also closes all cursors of a log. */
int trail__lua_cursor_new(lua_State *L);
void trail__lua_cursors_close(trail__lua_log *log);

/* ---- events, records, filters (lua_event.c, lua_record.c, lua_filter.c) ------------ */

#define TRAIL__LUA_JSON_SMALL 1024

/* Where JSON texts are written (lua_encode.c). */
typedef struct trail__lua_encoder {
    lua_State *L;
    const char *root;   /* what paths in messages begin with */
    unsigned depth_max; /* brackets */
    size_t len_max;     /* bytes of one text; SIZE_MAX: no limit */
    bool misuse;        /* after a failure: a mistake in the program, not in its data */
    int slot;     /* where on the Lua stack the memory of 'data' is, once it is Lua's */
    size_t begin; /* where in 'data' the current text begins */
    size_t len;
    size_t cap;
    char *data;
    char small[TRAIL__LUA_JSON_SMALL];
} trail__lua_encoder;

/* Events as Lua handed them in; valid until the next call into Lua. */
typedef struct trail__lua_batch {
    bool list; /* the argument was a list of events */
    size_t count;
    trail_event *events;
    uint8_t (*ids)[TRAIL_ID_LEN];
    trail_receipt *receipts;
    trail_event event; /* where events, ids and receipts point if it is one event */
    uint8_t id[1][TRAIL_ID_LEN];
    trail_receipt receipt;
} trail__lua_batch;

/* The one event, or list of events, that 'function' wants at 'index': throws if it is no
 * table, or if there is more. */
void trail__lua_check_single(lua_State *L, int index, const char *function);

/* Read the event, or the list of events, at 'index'. Mistakes throw; TRAIL_INVALID for
 * what can be wrong with data. The batch may point to values that this pushes; 'encoder'
 * holds the details and must live as long as the batch. */
trail_status trail__lua_batch_read(lua_State *L, int index, trail__lua_batch *batch,
                                   trail__lua_encoder *encoder, trail_error *err);

/* Push seq, receipt; or for a list: seqs, receipts. Returns 2. */
int trail__lua_push_receipts(lua_State *L, const trail_receipt *receipts, size_t count,
                             bool list);

/* How a record shall look in Lua. */
typedef struct trail__lua_view {
    bool details_text; /* details as JSON text */
    bool bytes;        /* with stored, entry, who, details_part */
} trail__lua_view;

void trail__lua_check_view(lua_State *L, int index, trail__lua_view *view_out);

/* Push the record as a table. TRAIL_CORRUPT if its details are no JSON; then what was
 * pushed is of no use. */
trail_status trail__lua_push_record(lua_State *L, const trail_record *record,
                                    const trail__lua_view *view, trail_error *err);

#define TRAIL__LUA_VALUES_SMALL 16

/* A filter as Lua handed it in; valid until the next call into Lua. */
typedef struct trail__lua_filter {
    trail_filter filter;
    trail_match *matches; /* any-of and none-of for each key; those of details first */
    size_t match_max;
    trail_text *values;
    bool *prefixes; /* one for each value */
    size_t value_count;
    size_t value_max;
    trail__lua_encoder json; /* paths and values of details */
    trail_match small_matches[2 * TRAIL_FIELD_COUNT];
    trail_text small[TRAIL__LUA_VALUES_SMALL];
    bool small_prefixes[TRAIL__LUA_VALUES_SMALL];
    trail_range *ranges;
    size_t range_count;
    size_t range_max;
} trail__lua_filter;

/* Read the filter table at 'index' (nil: everything); throws on anything it does not
 * know. TRAIL_INVALID for a value of details that no event can hold. The filter may point
 * to values that this pushes. */
trail_status trail__lua_filter_read(lua_State *L, int index,
                                    trail__lua_filter *filter_out, trail_error *err);

/* Is it "details." and a path? */
bool trail__lua_details_path(trail_text key, trail_text *path_out);

/* ---- values (lua_encode.c, lua_decode.c) ------------------------------------------- */

/* Pushes one value, which must stay on the stack as long as the encoder is used. */
void trail__lua_encoder_init(trail__lua_encoder *e, lua_State *L, const char *root,
                             unsigned depth_max, size_t len_max);

/* Append the JSON text of the value at 'index'; it is what lies between e->begin and
 * e->len. On failure a message is on top of the Lua stack. */
bool trail__lua_encode(trail__lua_encoder *e, int index);

/* Would the table at 'index' be written as an array? Never throws. */
bool trail__lua_is_array(lua_State *L, int index);

/* Push the value that a JSON text stands for. On failure nothing is pushed. */
trail_status trail__lua_decode(lua_State *L, trail_text json, trail_error *err);

/* Mark the table on top as an array. */
void trail__lua_mark_array(lua_State *L);

/* ---- what each file adds to the module table, which is on top ---------------------- */

void trail__lua_open_event(lua_State *L);
void trail__lua_open_log(lua_State *L);
void trail__lua_open_cursor(lua_State *L);
void trail__lua_open_encode(lua_State *L);
void trail__lua_open_decode(lua_State *L);
void trail__lua_open_verify(lua_State *L);
void trail__lua_open_index(lua_State *L);
void trail__lua_open_submit(lua_State *L);

/* log:verify([options]) */
int trail__lua_log_verify(lua_State *L);

/* ---- submit (lua_submit.c) --------------------------------------------------------- */

/* The options of open() that are about the queue; the value is on top. False: the key is
 * another one. */
bool trail__lua_queue_option(lua_State *L, trail_text key, trail_options *options);

/* log:submit(event or list), log:flush([seconds]), log:event_fd(), log:queue() */
int trail__lua_log_submit(lua_State *L);
int trail__lua_log_flush(lua_State *L);
int trail__lua_log_event_fd(lua_State *L);
int trail__lua_log_queue(lua_State *L);

/* ---- index (lua_index.c) ----------------------------------------------------------- */

/* The options of open() that are about the index, "index" and "indexing"; the value is on
 * top. 'paths' has room for TRAIL_INDEX_PATHS_MAX. False: the key is another one. */
bool trail__lua_index_option(lua_State *L, trail_text key, trail_options *options,
                             const char **paths);

void trail__lua_push_explain(lua_State *L, const trail_explain *explain);

/* log:top(field, filter, n), log:histogram(interval, filter), log:index(),
 * log:maintain([options]) */
int trail__lua_log_top(lua_State *L);
int trail__lua_log_histogram(lua_State *L);
int trail__lua_log_index(lua_State *L);
int trail__lua_log_maintain(lua_State *L);

#endif

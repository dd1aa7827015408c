/* index.c - index.mdb: which segments there are, and how far they have come.
 * Level 5: may include levels 0-4, index_file.
 * SPDX-License-Identifier: MIT
 */
#include "index.h"

#include "error.h"
#include "fault.h"
#include "index_file.h"

#include <stdio.h>
#include <string.h>

enum { STATE_LEN_MAX = 9 * (8 + TRAIL__DEAD_MAX) + TRAIL_HASH_LEN };
static const trail_text state_key = { "state", 5 };

#ifdef TRAIL_FAULTS
static trail__shape shape_default = { .unit = 256, .fan = 16, .levels = 5 };

void trail__index_shape_set(trail__shape shape)
{
    shape_default = shape;
}
#else
static const trail__shape shape_default = { .unit = 256, .fan = 16, .levels = 5 };
#endif

uint64_t trail__index_span(const trail__index *index, unsigned level)
{
    uint64_t span = index->shape.unit;

    for (unsigned i = 0; i < level; i++) {
        span *= index->shape.fan;
    }
    return span;
}

/* ---- open and close --------------------------------------------------------------- */

typedef struct path_walk {
    trail__index *index;
    size_t len;
    size_t room;
    bool no_memory;
} path_walk;

static trail_status take_path(void *context, unsigned field, trail_text term)
{
    path_walk *w = context;
    trail__index *index = w->index;
    size_t len = term.len - 1; /* the letter */

    (void)field;
    if (term.data[0] == 's' && index->paths.count < TRAIL_INDEX_PATHS_MAX &&
        w->len + len + 1 <= w->room &&
        trail__path_check((trail_text){ term.data + 1, len }, NULL) == TRAIL_OK) {
        char *at = index->path_bytes + w->len;

        memcpy(at, term.data + 1, len);
        at[len] = '\0';
        w->len += len + 1;
        index->path_names[index->paths.count] = at;
        index->paths.path[index->paths.count++] = (trail_text){ at, len };
    }
    return TRAIL_OK;
}

/* What the trail was created to index stands in the details of its first event. */
static trail_status read_paths(trail__index *index, trail_error *err)
{
    const trail__paths where = { .count = 1, .path = { { "index", 5 } } };
    path_walk w = { .index = index,
                    .room = TRAIL_INDEX_PATHS_MAX * (TRAIL_INDEX_PATH_LEN_MAX + 1) };
    trail__kv_txn txn;
    trail_text stored;
    trail_record record;
    trail_status status;

    index->path_bytes = trail__alloc(w.room);
    if (index->path_bytes == NULL) {
        return trail__error(err, TRAIL_NO_MEMORY, "no memory to open the index");
    }
    status = trail__kv_begin_read(index->log->kv, &txn, err);
    if (status != TRAIL_OK) {
        return status;
    }
    status = trail__log_stored(&txn, 1, &stored, err);
    if (status == TRAIL_OK && trail__stored_read(stored, &record, NULL) == NULL) {
        status =
            trail__terms_of_details(record.event.details, &where, take_path, &w, err);
    } else if (status == TRAIL_NOT_FOUND) {
        status = TRAIL_OK;
    }
    trail__kv_abort(&txn);
    return status;
}

trail_status trail__index_init(trail__index *index, trail__log *log, const char *dir,
                               const trail__kv_options *options, trail_error *err)
{
    trail_status status;

    memset(index, 0, sizeof *index);
    index->log = log;
    index->shape = shape_default;
    index->options = *options;
    index->options.file = TRAIL__KV_INDEX;
    index->options.size_max = 0;
    index->options.no_gate = true;
    (void)snprintf(index->dir, sizeof index->dir, "%s", dir);
    if (pthread_rwlock_init(&index->lock, NULL) != 0) {
        return trail__error(err, TRAIL_NO_MEMORY, "no memory for a lock");
    }
    status = read_paths(index, err);
    if (status != TRAIL_OK) {
        trail__index_release(index);
    }
    return status;
}

void trail__index_release(trail__index *index)
{
    trail__kv_close(index->kv);
    trail__gate_close(index->gate);
    trail__free(index->path_bytes);
    (void)pthread_rwlock_destroy(&index->lock);
}

/* ---- state and directory ---------------------------------------------------------- */

trail_status trail__index_state_get(const trail__kv_txn *txn, trail__index_state *state,
                                    trail_error *err)
{
    trail_text value;
    trail__reader r;
    const uint8_t *hash;
    uint64_t dead;
    trail_status status = trail__kv_get(txn, TRAIL__KV_STATE, state_key, &value, err);

    memset(state, 0, sizeof *state);
    if (status != TRAIL_OK && status != TRAIL_NOT_FOUND) {
        return status;
    }
    r = trail__reader_of(value.data, status == TRAIL_OK ? value.len : 0);
    state->seq = trail__read_uint(&r);
    hash = trail__read_bytes(&r, TRAIL_HASH_LEN);
    state->number_next = trail__read_uint(&r);
    state->merging = trail__read_uint(&r);
    dead = trail__read_uint(&r);
    r.bad = r.bad || dead > TRAIL__DEAD_MAX;
    for (uint64_t i = 0; i < dead && !r.bad; i++) {
        state->dead[state->dead_count++] = trail__read_uint(&r);
    }
    if (r.bad || r.at != r.end) {
        return trail__error(err, TRAIL_CORRUPT, "the state of the index is damaged");
    }
    memcpy(state->event_hash, hash, TRAIL_HASH_LEN);
    return TRAIL_OK;
}

trail_status trail__index_state_put(trail__kv_txn *txn, const trail__index_state *state,
                                    trail_error *err)
{
    uint8_t bytes[STATE_LEN_MAX];
    trail__writer w = { .at = bytes, .end = bytes + sizeof bytes };
    trail_text value = { (const char *)bytes, 0 };

    trail__write_uint(&w, state->seq);
    trail__write_bytes(&w, state->event_hash, TRAIL_HASH_LEN);
    trail__write_uint(&w, state->number_next);
    trail__write_uint(&w, state->merging);
    trail__write_uint(&w, state->dead_count);
    for (size_t i = 0; i < state->dead_count; i++) {
        trail__write_uint(&w, state->dead[i]);
    }
    value.len = (size_t)(w.at - bytes);
    return trail__kv_replace(txn, TRAIL__KV_STATE, state_key, value, err);
}

bool trail__index_state_fits(const trail__index_state *state,
                             const trail__kv_txn *log_txn)
{
    trail_text stored;

    return state->seq == 0 ||
           (trail__log_stored(log_txn, state->seq, &stored, NULL) == TRAIL_OK &&
            stored.len > TRAIL_HASH_LEN &&
            memcmp(stored.data + 1, state->event_hash, TRAIL_HASH_LEN) == 0);
}

trail_status trail__index_segment_put(trail__kv_txn *txn, const trail__segment *segment,
                                      trail_error *err)
{
    uint8_t bytes[5 * 9];
    trail__writer w = { .at = bytes, .end = bytes + sizeof bytes };
    trail_text value = { (const char *)bytes, 0 };
    trail__seq_key key;

    trail__write_uint(&w, segment->seq_last);
    trail__write_uint(&w, segment->number);
    trail__write_uint(&w, segment->level);
    trail__write_uint(&w, (uint64_t)segment->time_min_us);
    trail__write_uint(&w, (uint64_t)segment->time_max_us);
    value.len = (size_t)(w.at - bytes);
    return trail__kv_replace(txn, TRAIL__KV_SEGMENTS,
                             trail__seq_key_of(&key, segment->seq_first), value, err);
}

bool trail__index_segment_read(trail_text key, trail_text value,
                               trail__segment *segment_out)
{
    trail__reader r = trail__reader_of(value.data, value.len);
    uint64_t level;

    if (key.len != 8) {
        return false;
    }
    segment_out->seq_first = trail__load_u64((const uint8_t *)key.data);
    segment_out->seq_last = trail__read_uint(&r);
    segment_out->number = trail__read_uint(&r);
    level = trail__read_uint(&r);
    segment_out->level = (unsigned)level;
    segment_out->time_min_us = (int64_t)trail__read_uint(&r);
    segment_out->time_max_us = (int64_t)trail__read_uint(&r);
    return !r.bad && r.at == r.end && level < TRAIL_INDEX_LEVELS_MAX &&
           segment_out->seq_first > 0 &&
           segment_out->seq_first <= segment_out->seq_last &&
           segment_out->seq_last - segment_out->seq_first < TRAIL__SET_SPAN_MAX;
}

/* ---- reading ---------------------------------------------------------------------- */

trail_status trail__view_damaged(const trail__view *view, const char *what,
                                 trail_error *err)
{
    return trail__error(err, TRAIL_CORRUPT, "%s/index.mdb: %s; trail reindex mends it",
                        view->index->dir, what);
}

void trail__index_why(trail__index *index, bool usable,
                      char why_out[TRAIL_ERROR_TEXT_MAX])
{
    if (usable) {
        (void)snprintf(why_out, TRAIL_ERROR_TEXT_MAX,
                       "the index was made from another log");
        return;
    }
    (void)pthread_rwlock_rdlock(&index->lock);
    (void)snprintf(why_out, TRAIL_ERROR_TEXT_MAX, "%s", index->why.text);
    (void)pthread_rwlock_unlock(&index->lock);
}

void trail__view_begin(trail__view *view, trail__index *index)
{
    trail_error err;

    memset(view, 0, sizeof *view);
    view->index = index;
    (void)pthread_rwlock_rdlock(&index->lock);
    if (!trail__index_file_is_current(index)) {
        (void)pthread_rwlock_unlock(&index->lock);
        trail__index_file_reopen(index);
        (void)pthread_rwlock_rdlock(&index->lock);
    }
    if (index->kv != NULL &&
        trail__kv_begin_read(index->kv, &view->txn, &err) == TRAIL_OK) {
        if (trail__index_state_get(&view->txn, &view->state, &err) == TRAIL_OK) {
            view->usable = true;
            return;
        }
        trail__kv_abort(&view->txn);
    }
    (void)pthread_rwlock_unlock(&index->lock);
}

void trail__view_end(trail__view *view)
{
    if (view->usable) {
        trail__kv_abort(&view->txn);
        (void)pthread_rwlock_unlock(&view->index->lock);
        view->usable = false;
    }
}

bool trail__view_fits(trail__view *view, const trail__kv_txn *log_txn)
{
    return view->usable && trail__index_state_fits(&view->state, log_txn);
}

trail_status trail__view_segment(const trail__view *view, uint64_t seq,
                                 trail__segment *segment_out, trail_error *err)
{
    trail__kv_cursor cursor;
    trail__seq_key room;
    trail_text key = trail__seq_key_of(&room, seq + 1);
    trail_text value;
    trail_status status =
        trail__kv_cursor_open(&view->txn, TRAIL__KV_SEGMENTS, &cursor, err);

    if (status != TRAIL_OK) {
        return status;
    }
    status = trail__kv_cursor_move(&cursor, TRAIL__KV_AT_OR_AFTER, &key, &value, err);
    if (status == TRAIL_OK) {
        status = trail__kv_cursor_move(&cursor, TRAIL__KV_PREVIOUS, &key, &value, err);
    } else if (status == TRAIL_NOT_FOUND) {
        status = trail__kv_cursor_move(&cursor, TRAIL__KV_LAST, &key, &value, err);
    }
    if (status == TRAIL_NOT_FOUND ||
        (status == TRAIL_OK &&
         (!trail__index_segment_read(key, value, segment_out) ||
          segment_out->seq_first > seq || segment_out->seq_last < seq ||
          segment_out->seq_last > view->state.seq))) {
        status = trail__view_damaged(view, "a segment is missing", err);
    }
    trail__kv_cursor_close(&cursor);
    return status;
}

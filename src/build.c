/* build.c - bring the index up to the log, one short step after the other.
 * Level 6: may include levels 0-5.
 * SPDX-License-Identifier: MIT
 */
#include "build.h"

#include "error.h"
#include "fault.h"

#include <string.h>

enum {
    SEGMENTS_A_STEP = 8, /* of the second size */
    PIECE_LEN = 4 << 20, /* of a merge */
    SWEEP_BLOCKS = 2000,
    DEAD_ENOUGH = TRAIL__DEAD_MAX - 4 * TRAIL__MERGE_MAX
};

trail_status trail__build_new(trail__build **build_out, trail__index *index,
                              trail_error *err)
{
    trail__build *build = trail__alloc_zero(sizeof *build);
    trail_status status;

    *build_out = NULL;
    if (build == NULL) {
        return trail__error(err, TRAIL_NO_MEMORY, "no memory to index");
    }
    build->index = index;
    status = trail__segment_maker_new(&build->maker, err);
    if (status != TRAIL_OK) {
        trail__free(build);
        return status;
    }
    *build_out = build;
    return TRAIL_OK;
}

void trail__build_free(trail__build *build)
{
    if (build != NULL) {
        trail__segment_maker_free(build->maker);
        trail__free(build);
    }
}

/* ---- segments from the log -------------------------------------------------------- */

typedef struct sink {
    trail__kv_txn *txn;
} sink;

static trail_status write_block(void *context, trail_text key, trail_text block,
                                trail_error *err)
{
    return trail__kv_put_new(((sink *)context)->txn, TRAIL__KV_BLOCKS, key, block, err);
}

/* Gather the entries from seq_first to seq_last. */
static trail_status gather(trail__build *build, uint64_t seq_first, uint64_t seq_last,
                           uint8_t hash_out[TRAIL_HASH_LEN], trail_error *err)
{
    trail__kv_cursor cursor = { NULL };
    trail__kv_txn txn;
    trail__seq_key room;
    trail_text key = trail__seq_key_of(&room, seq_first);
    trail__kv_move move = TRAIL__KV_AT_OR_AFTER;
    trail_status status = trail__kv_begin_read(build->index->log->kv, &txn, err);

    trail__segment_maker_reset(build->maker);
    if (status != TRAIL_OK) {
        return status;
    }
    status = trail__kv_cursor_open(&txn, TRAIL__KV_ENTRIES, &cursor, err);
    for (uint64_t seq = seq_first; seq <= seq_last && status == TRAIL_OK; seq++) {
        trail_record record;
        trail_text stored;

        status = trail__kv_cursor_move(&cursor, move, &key, &stored, err);
        move = TRAIL__KV_NEXT;
        if (status == TRAIL_NOT_FOUND ||
            (status == TRAIL_OK &&
             (trail__stored_read(stored, &record, NULL) != NULL || record.seq != seq))) {
            status = trail__error(err, TRAIL_CORRUPT,
                                  "entry %llu cannot be indexed; run verify",
                                  (unsigned long long)seq);
        }
        if (status == TRAIL_OK) {
            status = trail__segment_add(build->maker, &record.event, &build->index->paths,
                                        err);
            memcpy(hash_out, record.event_hash, TRAIL_HASH_LEN);
        }
    }
    build->log_fault = status == TRAIL_CORRUPT;
    trail__kv_cursor_close(&cursor);
    trail__kv_abort(&txn);
    return status;
}

/* The rows from seq_first on give way: their segments are dead. */
static trail_status drop_rows(trail__build *build, trail__kv_txn *txn, uint64_t seq_first,
                              uint64_t seq_last, trail_error *err)
{
    trail__kv_cursor cursor;
    trail__seq_key room;
    trail_text key = trail__seq_key_of(&room, seq_first);
    trail_text value;
    trail_status status = trail__kv_cursor_open(txn, TRAIL__KV_SEGMENTS, &cursor, err);

    if (status != TRAIL_OK) {
        return status;
    }
    status = trail__kv_cursor_move(&cursor, TRAIL__KV_AT_OR_AFTER, &key, &value, err);
    while (status == TRAIL_OK) {
        trail__segment row;

        if (!trail__index_segment_read(key, value, &row) ||
            build->state.dead_count == TRAIL__DEAD_MAX) {
            status = trail__error(err, TRAIL_CORRUPT, "a segment's row is damaged");
            break;
        }
        if (row.seq_first > seq_last) {
            break;
        }
        build->state.dead[build->state.dead_count++] = row.number;
        status = trail__kv_cursor_delete(&cursor, err);
        if (status == TRAIL_OK) {
            status = trail__kv_cursor_move(&cursor, TRAIL__KV_NEXT, &key, &value, err);
        }
    }
    trail__kv_cursor_close(&cursor);
    return status == TRAIL_NOT_FOUND ? TRAIL_OK : status;
}

static trail_status build_one(trail__build *build, trail__kv_txn *txn, uint64_t seq_first,
                              uint64_t seq_last, unsigned level, trail_error *err)
{
    sink to = { .txn = txn };
    trail__segment row = { .number = build->state.number_next,
                           .seq_first = seq_first,
                           .seq_last = seq_last,
                           .level = level };
    trail_status status =
        gather(build, row.seq_first, row.seq_last, build->state.event_hash, err);

    if (status == TRAIL_OK) {
        trail__block_begin(&build->writer, row.number, write_block, &to);
        status = trail__segment_write(build->maker, &build->writer, &row.time_min_us,
                                      &row.time_max_us, err);
    }
    if (status == TRAIL_OK) {
        status = drop_rows(build, txn, row.seq_first, row.seq_last, err);
    }
    if (status == TRAIL_OK) {
        status = trail__index_segment_put(txn, &row, err);
    }
    build->state.seq = row.seq_last;
    build->state.number_next++;
    return status;
}

static uint64_t round_down(uint64_t seq, uint64_t span)
{
    return seq - seq % span;
}

/* How many segments of a level are complete behind what is indexed; at level 1 those of level 0
 * count as not indexed. */
static uint64_t complete(const trail__build *build, unsigned level)
{
    uint64_t span = trail__index_span(build->index, level);
    uint64_t from = round_down(build->state.seq, span);

    return build->head > from ? (build->head - from) / span : 0;
}

static trail_status build_some(trail__build *build, trail__kv_txn *txn, unsigned level,
                               trail_error *err)
{
    uint64_t span = trail__index_span(build->index, level);
    uint64_t seq_first = round_down(build->state.seq, span) + 1;
    uint64_t count = complete(build, level);
    trail_status status = TRAIL_OK;

    for (uint64_t i = 0; i < count && i < SEGMENTS_A_STEP && status == TRAIL_OK; i++) {
        uint64_t first = seq_first + i * span;

        status = build_one(build, txn, first, first + span - 1, level, err);
    }
    return status;
}

/* ---- merges ----------------------------------------------------------------------- */

/* A full run of neighbours of one size that begins where a larger segment would. */
static trail_status find_run(trail__build *build, const trail__kv_txn *txn,
                             trail__segment *run, size_t *count_out, trail_error *err)
{
    const trail__index *index = build->index;
    trail__kv_cursor cursor;
    trail_text key = { NULL, 0 };
    trail_text value;
    size_t count = 0;
    trail_status status = trail__kv_cursor_open(txn, TRAIL__KV_SEGMENTS, &cursor, err);

    *count_out = 0;
    if (status != TRAIL_OK) {
        return status;
    }
    status = trail__kv_cursor_move(&cursor, TRAIL__KV_FIRST, &key, &value, err);
    while (status == TRAIL_OK && count < index->shape.fan) {
        trail__segment row;

        if (!trail__index_segment_read(key, value, &row)) {
            status = trail__error(err, TRAIL_CORRUPT, "a segment's row is damaged");
            break;
        }
        if (count > 0 && row.level != run[0].level) {
            count = 0;
        }
        if (count > 0 ||
            (row.level > 0 && row.level + 1 < index->shape.levels &&
             (row.seq_first - 1) % trail__index_span(index, row.level + 1) == 0)) {
            run[count++] = row;
        }
        if (count < index->shape.fan) {
            status = trail__kv_cursor_move(&cursor, TRAIL__KV_NEXT, &key, &value, err);
        }
    }
    trail__kv_cursor_close(&cursor);
    *count_out = count == index->shape.fan ? count : 0;
    return status == TRAIL_NOT_FOUND ? TRAIL_OK : status;
}

/* Is a merge under way, or can one begin? */
static trail_status prepare_merge(trail__build *build, const trail__kv_txn *txn,
                                  trail_error *err)
{
    trail__segment run[TRAIL__MERGE_MAX];
    size_t count;
    trail_status status;

    if (build->merge.active || build->state.dead_count > DEAD_ENOUGH) {
        return TRAIL_OK;
    }
    status = find_run(build, txn, run, &count, err);
    if (status == TRAIL_OK && count > 0) {
        trail__merge_begin(&build->merge, run, count, build->state.number_next++);
        build->state.merging = build->merge.output.number;
    }
    return status;
}

static trail_status merge_some(trail__build *build, trail__kv_txn *txn, trail_error *err)
{
    trail__merge *merge = &build->merge;
    bool done;
    trail_status status = trail__merge_piece(merge, txn, PIECE_LEN, &done, err);

    if (status != TRAIL_OK || !done) {
        return status;
    }
    status = drop_rows(build, txn, merge->output.seq_first, merge->output.seq_last, err);
    if (status == TRAIL_OK) {
        status = trail__index_segment_put(txn, &merge->output, err);
    }
    build->state.merging = 0;
    merge->active = false;
    return status;
}

/* ---- removal ---------------------------------------------------------------------- */

/* Remove blocks of the last number on the list, up to SWEEP_BLOCKS of this step in all. */
static trail_status sweep_one(trail__build *build, trail__kv_cursor *cursor, int *removed,
                              trail_error *err)
{
    uint64_t number = build->state.dead[build->state.dead_count - 1];
    trail__block_key room;
    trail_text key;
    trail_text block;
    uint64_t found;
    unsigned field;
    trail_status status;

    trail__block_key_time(&room, number, 0);
    key = (trail_text){ (const char *)room.bytes, room.len };
    status = trail__kv_cursor_move(cursor, TRAIL__KV_AT_OR_AFTER, &key, &block, err);
    while (status == TRAIL_OK && *removed < SWEEP_BLOCKS &&
           trail__block_key_read(key, &found, &field) && found == number) {
        ++*removed;
        status = trail__kv_cursor_delete(cursor, err);
        if (status == TRAIL_OK) {
            status = trail__kv_cursor_move(cursor, TRAIL__KV_NEXT, &key, &block, err);
        }
    }
    if (status == TRAIL_OK || status == TRAIL_NOT_FOUND) {
        build->state.dead_count -= *removed < SWEEP_BLOCKS;
        status = TRAIL_OK;
    }
    return status;
}

static trail_status sweep_some(trail__build *build, trail__kv_txn *txn, trail_error *err)
{
    trail__kv_cursor cursor;
    int removed = 0;
    trail_status status = trail__kv_cursor_open(txn, TRAIL__KV_BLOCKS, &cursor, err);

    if (status != TRAIL_OK) {
        return status;
    }
    while (status == TRAIL_OK && removed < SWEEP_BLOCKS && build->state.dead_count > 0) {
        status = sweep_one(build, &cursor, &removed, err);
    }
    trail__kv_cursor_close(&cursor);
    return status;
}

/* ---- one step --------------------------------------------------------------------- */

static void forget_merge(trail__build *build)
{
    build->merge.active = false;
    if (build->state.merging != 0 && build->state.dead_count < TRAIL__DEAD_MAX) {
        build->state.dead[build->state.dead_count++] = build->state.merging;
        build->state.merging = 0;
    }
}

/* The head of the log, and whether the index was made from it. */
static trail_status look_at_log(trail__build *build, bool *fits_out, trail_error *err)
{
    trail__kv_txn txn;
    trail_head head;
    trail_status status = trail__kv_begin_read(build->index->log->kv, &txn, err);

    if (status != TRAIL_OK) {
        return status;
    }
    status = trail__log_head(&txn, &head, err);
    build->log_fault = status == TRAIL_CORRUPT;
    if (status == TRAIL_OK) {
        build->head = head.seq;
        *fits_out =
            build->state.seq <= head.seq && trail__index_state_fits(&build->state, &txn);
    }
    trail__kv_abort(&txn);
    return status;
}

static trail_status do_something(trail__build *build, trail__kv_txn *txn,
                                 trail__effort effort, bool *idle_out, trail_error *err)
{
    bool can_build = complete(build, 1) > 0;
    trail_status status = prepare_merge(build, txn, err);
    bool can_tidy = build->merge.active || build->state.dead_count > 0;

    *idle_out = false;
    if (status != TRAIL_OK) {
        return status;
    }
    if (can_build && !(can_tidy && build->merge_next)) {
        build->merge_next = true;
        return build_some(build, txn, 1, err);
    }
    build->merge_next = false;
    if (build->state.dead_count > 0) {
        return sweep_some(build, txn, err);
    }
    if (build->merge.active) {
        return merge_some(build, txn, err);
    }
    if (effort != TRAIL__EFFORT_NONE && complete(build, 0) > 0) {
        return build_some(build, txn, 0, err);
    }
    if (effort == TRAIL__EFFORT_ALL && build->head > build->state.seq) {
        uint64_t seq_first =
            round_down(build->state.seq, trail__index_span(build->index, 0)) + 1;

        return build_one(build, txn, seq_first, build->head, 0, err);
    }
    *idle_out = true;
    return TRAIL_OK;
}

static trail_status try_step(trail__build *build, trail__effort effort, bool *more_out,
                             trail_error *err)
{
    trail__index *index = build->index;
    trail__kv_txn txn;
    bool fits;
    bool idle = false;
    trail_status status = trail__kv_begin_write(index->kv, &txn, err);

    if (status != TRAIL_OK) {
        return status;
    }
    status = trail__index_state_get(&txn, &build->state, err);
    if (status == TRAIL_OK) {
        if (build->state.merging != build->merge.output.number || !build->merge.active) {
            forget_merge(build); /* of somebody who died */
        }
        status = look_at_log(build, &fits, err);
    }
    if (status == TRAIL_OK && !fits) {
        status = trail__error(err, TRAIL_CORRUPT, "the index was made from another log");
    }
    if (status == TRAIL_OK) {
        status = do_something(build, &txn, effort, &idle, err);
    }
    if (status == TRAIL_OK && !idle) {
        status = trail__index_state_put(&txn, &build->state, err);
        if (status == TRAIL_OK) {
            status = trail__fault("build/commit")
                         ? trail__error(err, TRAIL_FULL, "no room for the index")
                         : trail__kv_commit(&txn, err);
        }
    }
    if (status != TRAIL_OK) {
        build->merge.active = false; /* what it wrote is not there */
    }
    trail__kv_abort(&txn);
    *more_out = !idle;
    if (status == TRAIL_FULL && txn.map_full) {
        status = trail__kv_grow(index->kv, err);
    }
    return status;
}

/* Under the lock, so that no reader who finds the file replaced closes it under our hands. If one
 * did so before, the file was removed: make it anew. */
static trail_status step(trail__build *build, trail__effort effort, bool *more_out,
                         trail_error *err)
{
    trail__index *index = build->index;
    trail_status status;

    (void)pthread_rwlock_rdlock(&index->lock);
    if (build->opened != index->opened) {
        build->opened = index->opened;
        build->merge.active = false;
    }
    if (index->kv != NULL) {
        status = try_step(build, effort, more_out, err);
    } else {
        status = trail__error(err, TRAIL_CORRUPT, "%s/index.mdb was removed", index->dir);
    }
    (void)pthread_rwlock_unlock(&index->lock);
    return status;
}

trail_status trail__build_step(trail__build *build, trail__effort effort, bool anew,
                               bool *more_out, trail_error *err)
{
    trail_status status = trail__index_open_writer(build->index, anew, err);

    *more_out = false;
    build->log_fault = false;
    if (anew) {
        build->merge.active = false;
    }
    if (status != TRAIL_OK) {
        return status;
    }
    status = step(build, effort, more_out, err);
    if (status == TRAIL_CORRUPT && !build->log_fault && !anew) {
        return trail__build_step(build, effort, true, more_out, err);
    }
    return status;
}

/* ask.c - the public functions that ask: queries, counts, the index.
 * Level 8: may include levels 0-7, store, handle.
 * SPDX-License-Identifier: MIT
 */
#include "trail.h"

#include "build.h"
#include "error.h"
#include "fault.h"
#include "handle.h"
#include "index_file.h"
#include "query.h"
#include "tally.h"

#include <string.h>

struct trail_cursor {
    trail *t;
    trail__query *query;
};

/* ---- query ------------------------------------------------------------------------ */

trail_status trail_query(trail *t, const trail_filter *filter, trail_cursor **cursor_out,
                         trail_error *err)
{
    trail_cursor *cursor;
    trail_status status = trail__handle_check(t, err);

    *cursor_out = NULL;
    if (status != TRAIL_OK) {
        return status;
    }
    cursor = trail__alloc_zero(sizeof *cursor);
    if (cursor == NULL) {
        return trail__error(err, TRAIL_NO_MEMORY, "no memory for a query");
    }
    cursor->t = t;
    status = trail__query_open(&cursor->query, trail__store_log(t->store),
                               trail__store_index(t->store), filter, err);
    if (status != TRAIL_OK) {
        trail__free(cursor);
        return status;
    }
    *cursor_out = cursor;
    return TRAIL_OK;
}

trail_status trail_cursor_next(trail_cursor *cursor, const trail_record **record_out,
                               trail_error *err)
{
    trail_status status = trail__handle_check(cursor->t, err);

    *record_out = NULL;
    return status == TRAIL_OK ? trail__query_next(cursor->query, record_out, err)
                              : status;
}

uint64_t trail_cursor_scanned(const trail_cursor *cursor)
{
    return trail__query_scanned(cursor->query);
}

void trail_cursor_explain(const trail_cursor *cursor, trail_explain *explain_out)
{
    trail__query_explain(cursor->query, explain_out);
}

void trail_cursor_close(trail_cursor *cursor)
{
    if (cursor != NULL) {
        trail__query_close(cursor->query);
        trail__free(cursor);
    }
}

trail_status trail_count_explain(trail *t, const trail_filter *filter,
                                 uint64_t *count_out, trail_explain *explain_out,
                                 trail_error *err)
{
    trail_status status = trail__handle_check(t, err);

    return status == TRAIL_OK ? trail__query_count(trail__store_log(t->store),
                                                   trail__store_index(t->store), filter,
                                                   count_out, explain_out, err)
                              : status;
}

trail_status trail_count(trail *t, const trail_filter *filter, uint64_t *count_out,
                         trail_error *err)
{
    return trail_count_explain(t, filter, count_out, NULL, err);
}

trail_status trail_top_values(trail *t, trail_field field, trail_text path,
                              const trail_filter *filter, size_t row_max,
                              trail_top **top_out, trail_error *err)
{
    trail_status status = trail__handle_check(t, err);

    *top_out = NULL;
    return status == TRAIL_OK ? trail__top_values(trail__store_log(t->store),
                                                  trail__store_index(t->store), field,
                                                  path, filter, row_max, top_out, err)
                              : status;
}

trail_status trail_histogram_make(trail *t, int64_t interval_us,
                                  const trail_filter *filter,
                                  trail_histogram **histogram_out, trail_error *err)
{
    trail_status status = trail__handle_check(t, err);

    *histogram_out = NULL;
    return status == TRAIL_OK
               ? trail__histogram_make(trail__store_log(t->store),
                                       trail__store_index(t->store), interval_us, filter,
                                       histogram_out, err)
               : status;
}

trail_status trail_get(trail *t, uint64_t seq, trail_record **record_out,
                       trail_error *err)
{
    trail_status status = trail__handle_check(t, err);

    *record_out = NULL;
    return status == TRAIL_OK
               ? trail__query_get(trail__store_log(t->store), seq, record_out, err)
               : status;
}

trail_status trail_get_by_id(trail *t, const uint8_t id[TRAIL_ID_LEN],
                             trail_record **record_out, trail_error *err)
{
    trail_status status = trail__handle_check(t, err);

    *record_out = NULL;
    return status == TRAIL_OK
               ? trail__query_get_by_id(trail__store_log(t->store), id, record_out, err)
               : status;
}

/* ---- the index -------------------------------------------------------------------- */

/* The segments of each size. */
static trail_status count_segments(const trail__view *view, trail_index_info *info,
                                   trail_error *err)
{
    trail__kv_cursor cursor;
    trail_text key = { NULL, 0 };
    trail_text value;
    trail_status status =
        trail__kv_cursor_open(&view->txn, TRAIL__KV_SEGMENTS, &cursor, err);

    if (status != TRAIL_OK) {
        return status;
    }
    status = trail__kv_cursor_move(&cursor, TRAIL__KV_FIRST, &key, &value, err);
    while (status == TRAIL_OK) {
        trail__segment row;

        if (trail__index_segment_read(key, value, &row)) {
            info->segments++;
            info->level_segments[row.level]++;
        }
        status = trail__kv_cursor_move(&cursor, TRAIL__KV_NEXT, &key, &value, err);
    }
    trail__kv_cursor_close(&cursor);
    return status == TRAIL_NOT_FOUND ? TRAIL_OK : status;
}

static trail_status read_index_info(trail__log *log, trail__view *view,
                                    trail_index_info *info, trail_error *err)
{
    trail__kv_info kv_info;
    trail__kv_txn txn;
    trail_head head;
    trail_status status = trail__kv_begin_read(log->kv, &txn, err);

    if (status != TRAIL_OK) {
        return status;
    }
    status = trail__log_head(&txn, &head, err);
    info->head_seq = status == TRAIL_OK ? head.seq : 0;
    info->present = status == TRAIL_OK && trail__view_fits(view, &txn);
    trail__kv_abort(&txn);
    if (status != TRAIL_OK || !info->present) {
        return status;
    }
    info->index_seq = view->state.seq;
    status = count_segments(view, info, err);
    if (status == TRAIL_OK) {
        status = trail__kv_get_info(view->index->kv, &kv_info, err);
    }
    if (status == TRAIL_OK) {
        info->file_len = kv_info.file_len;
        info->used_len = kv_info.used_len;
    }
    return status;
}

trail_status trail_get_index_info(trail *t, trail_index_info *info_out, trail_error *err)
{
    trail_status status = trail__handle_check(t, err);
    trail_index_info info = { 0 };
    trail__index *index;
    trail__view view;

    if (status != TRAIL_OK) {
        return status;
    }
    index = trail__store_index(t->store);
    info.path_count = index->paths.count;
    info.paths = index->path_names;
    info.levels = index->shape.levels;
    for (unsigned i = 0; i < info.levels; i++) {
        info.level_span[i] = trail__index_span(index, i);
    }
    trail__view_begin(&view, index);
    status = read_index_info(trail__store_log(t->store), &view, &info, err);
    if (!info.present) {
        trail__index_why(index, view.usable, info.why);
    }
    trail__view_end(&view);
    if (status == TRAIL_OK) {
        *info_out = info;
    }
    return status;
}

void trail_maintain_options_init(trail_maintain_options *options)
{
    memset(options, 0, sizeof *options);
}

static trail_status maintain(trail *t, const trail_maintain_options *options,
                             trail__build *build, trail_error *err)
{
    trail__index *index = trail__store_index(t->store);
    trail_status status;
    bool anew = options->anew;
    bool more = true;

    while (more) {
        status = trail__index_gate_enter(index, t->busy_ms, err);
        if (status != TRAIL_OK) {
            return status;
        }
        status = trail__build_step(build, TRAIL__EFFORT_ALL, anew, &more, err);
        trail__index_gate_leave(index);
        if (status != TRAIL_OK) {
            return status;
        }
        anew = false;
        if (options->progress != NULL &&
            !options->progress(options->context, build->state.seq, build->head)) {
            return TRAIL_OK;
        }
    }
    return TRAIL_OK;
}

trail_status trail_maintain(trail *t, const trail_maintain_options *options,
                            trail_error *err)
{
    trail_maintain_options none;
    trail__build *build;
    trail_status status = trail__handle_check(t, err);

    trail_maintain_options_init(&none);
    if (status == TRAIL_OK && t->read_only) {
        status = trail__error(err, TRAIL_DENIED, "%s was opened read-only", t->path);
    }
    if (status == TRAIL_OK) {
        status = trail__build_new(&build, trail__store_index(t->store), err);
    }
    if (status != TRAIL_OK) {
        return status;
    }
    status = maintain(t, options != NULL ? options : &none, build, err);
    trail__build_free(build);
    return status;
}

/* merge.c - make one segment of many, a piece at a time.
 * Level 5: may include levels 0-4, index, postings.
 * SPDX-License-Identifier: MIT
 */
#include "merge.h"

#include "error.h"

#include <assert.h>
#include <string.h>

static trail_status write_block(void *context, trail_text key, trail_text block,
                                trail_error *err)
{
    trail__merge *merge = context;

    merge->written += key.len + block.len;
    return trail__kv_put_new(merge->txn, TRAIL__KV_BLOCKS, key, block, err);
}

void trail__merge_begin(trail__merge *merge, const trail__segment *inputs, size_t count,
                        uint64_t number)
{
    assert(count > 0 && count <= TRAIL__MERGE_MAX);
    merge->active = true;
    merge->count = count;
    merge->time_offset = 0;
    merge->field = 0;
    merge->term_len = 0;
    merge->output = (trail__segment){ .number = number,
                                      .seq_first = inputs[0].seq_first,
                                      .seq_last = inputs[count - 1].seq_last,
                                      .level = inputs[0].level + 1,
                                      .time_min_us = INT64_MAX };
    for (size_t i = 0; i < count; i++) {
        merge->inputs[i] = inputs[i];
        if (inputs[i].time_min_us < merge->output.time_min_us) {
            merge->output.time_min_us = inputs[i].time_min_us;
        }
        if (inputs[i].time_max_us > merge->output.time_max_us) {
            merge->output.time_max_us = inputs[i].time_max_us;
        }
    }
    trail__block_begin(&merge->writer, number, write_block, merge);
}

static uint32_t span_of(const trail__segment *segment)
{
    return (uint32_t)(segment->seq_last - segment->seq_first + 1);
}

/* ---- times ------------------------------------------------------------------------ */

static trail_status copy_times(trail__merge *merge, size_t len_max, trail_error *err)
{
    uint32_t span_in = span_of(&merge->inputs[0]);
    uint32_t span = span_of(&merge->output);
    trail_status status = TRAIL_OK;

    while (status == TRAIL_OK && merge->time_offset < span && merge->written < len_max) {
        const trail__segment *input = &merge->inputs[merge->time_offset / span_in];
        uint32_t offset = merge->time_offset % span_in;
        trail__times times;
        uint32_t first;

        status =
            trail__postings_times(merge->txn, input->number, offset, &first, &times, err);
        if (status == TRAIL_OK) {
            /* Taken out first: writing may move the page. */
            int64_t taken[TRAIL__TIMES_LEN];
            size_t count = 0;

            for (size_t i = offset - first; i < times.count && offset + count < span_in;
                 i++) {
                taken[count++] = trail__times_at(&times, i);
            }
            for (size_t i = 0; i < count && status == TRAIL_OK; i++) {
                status = trail__block_add_time(&merge->writer, taken[i], err);
            }
            merge->time_offset += (uint32_t)count;
        }
    }
    return status;
}

/* ---- terms ------------------------------------------------------------------------ */

static trail_status step(trail__merge *merge, size_t i, trail_error *err)
{
    trail_status status = trail__postings_next(&merge->walks[i], err);

    merge->over[i] = status == TRAIL_NOT_FOUND;
    return merge->over[i] ? TRAIL_OK : status;
}

static trail_text term_done(const trail__merge *merge)
{
    return (trail_text){ (const char *)merge->term, merge->term_len };
}

/* The inputs behind the last term done. */
static trail_status open_walks(trail__merge *merge, size_t *opened, trail_error *err)
{
    unsigned field = merge->field > 0 ? merge->field : 1;
    trail_status status = TRAIL_OK;

    for (*opened = 0; *opened < merge->count && status == TRAIL_OK;) {
        size_t i = *opened;

        status =
            trail__postings_open(&merge->walks[i], merge->txn, merge->inputs[i].number,
                                 field, term_done(merge), err);
        if (status != TRAIL_OK) {
            return status;
        }
        ++*opened;
        do {
            status = step(merge, i, err);
        } while (status == TRAIL_OK && !merge->over[i] && merge->field > 0 &&
                 trail__term_compare(merge->walks[i].field, merge->walks[i].term,
                                     merge->field, term_done(merge)) == 0);
    }
    return status;
}

/* The least term of all inputs becomes the one to be done. False: there is none. */
static bool take_least(trail__merge *merge)
{
    const trail__postings *least = NULL;

    for (size_t i = 0; i < merge->count; i++) {
        const trail__postings *p = &merge->walks[i];

        if (!merge->over[i] &&
            (least == NULL ||
             trail__term_compare(p->field, p->term, least->field, least->term) < 0)) {
            least = p;
        }
    }
    if (least != NULL) {
        merge->field = least->field;
        merge->term_len = least->term.len;
        memcpy(merge->term, least->term.data, least->term.len);
    }
    return least != NULL;
}

/* Offsets of one term, moved up by where their input begins. */
typedef struct gathering {
    trail__merge *merge;
    uint32_t base;
    size_t count;
} gathering;

static bool gather(void *context, uint32_t offset)
{
    gathering *g = context;

    if (g->count == TRAIL__WINDOW || g->base + offset >= TRAIL__WINDOW) {
        return false;
    }
    g->merge->offsets[g->count++] = (uint16_t)(g->base + offset);
    return true;
}

static bool gather_posting(gathering *g, const trail__posting *posting, uint32_t base)
{
    size_t before = g->count;

    g->base = base;
    return trail__posting_each(posting, gather, g) && g->count - before == posting->count;
}

/* Inputs smaller than a window share one; larger ones bring whole windows. */
static trail_status write_term(trail__merge *merge, trail_error *err)
{
    uint32_t span_in = span_of(&merge->inputs[0]);
    bool whole = span_in >= TRAIL__WINDOW;
    gathering g = { .merge = merge };
    trail_status status = TRAIL_OK;

    for (size_t i = 0; i < merge->count && status == TRAIL_OK; i++) {
        trail__postings *p = &merge->walks[i];

        while (status == TRAIL_OK && !merge->over[i] &&
               trail__term_compare(p->field, p->term, merge->field, term_done(merge)) ==
                   0) {
            trail__posting moved = p->posting;

            if (whole) {
                moved.window += (uint32_t)(i * (span_in / TRAIL__WINDOW));
                status = trail__block_add(&merge->writer, merge->field, term_done(merge),
                                          &moved, err);
            } else if (!gather_posting(&g, &moved, (uint32_t)i * span_in)) {
                status = trail__postings_damaged(err);
            }
            if (status == TRAIL_OK) {
                status = step(merge, i, err);
            }
        }
    }
    if (status == TRAIL_OK && g.count > 0) {
        status = trail__block_add_offsets(&merge->writer, merge->field, term_done(merge),
                                          0, merge->offsets, g.count, err);
    }
    return status;
}

static trail_status merge_terms(trail__merge *merge, size_t len_max, bool *done,
                                trail_error *err)
{
    size_t opened = 0;
    trail_status status = open_walks(merge, &opened, err);

    while (status == TRAIL_OK && merge->written < len_max) {
        if (!take_least(merge)) {
            *done = true;
            status = trail__block_finish(&merge->writer, err);
            break;
        }
        status = write_term(merge, err);
    }
    for (size_t i = 0; i < opened; i++) {
        trail__postings_close(&merge->walks[i]);
    }
    return status;
}

trail_status trail__merge_piece(trail__merge *merge, trail__kv_txn *txn, size_t len_max,
                                bool *done_out, trail_error *err)
{
    trail_status status;

    merge->txn = txn;
    merge->written = 0;
    *done_out = false;
    status = copy_times(merge, len_max, err);
    if (status == TRAIL_OK && merge->time_offset == span_of(&merge->output)) {
        status = merge_terms(merge, len_max, done_out, err);
    }
    return status;
}

/* segment.c - gather the terms and times of a run of entries, and write them as blocks.
 * Level 3: may include levels 0-2, block. No I/O.
 * SPDX-License-Identifier: MIT
 *
 * Postings are gathered as pairs of term number and offset, in the order of the entries, and
 * sorted by counting at the end.
 */
#include "segment.h"

#include "error.h"
#include "fault.h"
#include "term_table.h"

#include <stdlib.h>
#include <string.h>

typedef struct list {
    uint32_t count;
    uint32_t first; /* in 'offsets', after sorting */
    uint32_t last;  /* the offset met last, plus one; then the end of the list */
} list;

typedef struct pair {
    uint32_t term;
    uint16_t offset;
} pair;

struct trail__segment_maker {
    trail__term_table table;
    list *lists; /* one for each term */
    size_t list_room;
    pair *pairs;
    size_t pair_count, pair_room;
    int64_t *times;
    size_t entries, time_room;
    uint32_t *sorted; /* term numbers, ascending by field and bytes */
    size_t sorted_room;
    uint16_t *offsets;
    size_t offset_room;
};

trail_status trail__segment_maker_new(trail__segment_maker **maker_out, trail_error *err)
{
    trail__segment_maker *maker = trail__alloc_zero(sizeof *maker);
    trail_status status;

    *maker_out = NULL;
    if (maker == NULL) {
        return trail__error(err, TRAIL_NO_MEMORY, "no memory to index");
    }
    status = trail__term_table_init(&maker->table, err);
    if (status != TRAIL_OK) {
        trail__segment_maker_free(maker);
        return status;
    }
    *maker_out = maker;
    return TRAIL_OK;
}

void trail__segment_maker_free(trail__segment_maker *maker)
{
    if (maker != NULL) {
        trail__term_table_release(&maker->table);
        trail__free(maker->lists);
        trail__free(maker->pairs);
        trail__free(maker->times);
        trail__free(maker->sorted);
        trail__free(maker->offsets);
        trail__free(maker);
    }
}

void trail__segment_maker_reset(trail__segment_maker *maker)
{
    trail__term_table_reset(&maker->table);
    maker->pair_count = 0;
    maker->entries = 0;
}

static trail_status gather(void *context, unsigned field, trail_text text)
{
    trail__segment_maker *maker = context;
    uint32_t offset = (uint32_t)maker->entries;
    size_t known = maker->table.count;
    uint32_t number;
    list *met;

    if (text.len > TRAIL__TERM_LEN_MAX) {
        text.len = TRAIL__TERM_LEN_MAX;
    }
    if (text.len == 0 || memchr(text.data, '\0', text.len) != NULL) {
        return TRAIL_OK; /* no door lets that in: somebody changed the file */
    }
    if (!trail__reserve(&maker->lists, &maker->list_room, known + 1,
                        sizeof maker->lists[0]) ||
        !trail__reserve(&maker->pairs, &maker->pair_room, maker->pair_count + 1,
                        sizeof maker->pairs[0]) ||
        !trail__term_table_find(&maker->table, field, text, &number)) {
        return TRAIL_NO_MEMORY;
    }
    met = &maker->lists[number];
    if (number == known) {
        memset(met, 0, sizeof *met);
    }
    if (met->last != offset + 1) { /* an array in details may hold a value twice */
        met->last = offset + 1;
        met->count++;
        maker->pairs[maker->pair_count++] = (pair){ number, (uint16_t)offset };
    }
    return TRAIL_OK;
}

trail_status trail__segment_add(trail__segment_maker *maker, const trail_event *event,
                                const trail__paths *paths, trail_error *err)
{
    trail_status status = TRAIL_NO_MEMORY;

    if (trail__reserve(&maker->times, &maker->time_room, maker->entries + 1,
                       sizeof maker->times[0])) {
        status = trail__terms_of(event, paths, gather, maker, NULL);
    }
    if (status != TRAIL_OK) {
        return trail__error(err, status, "no memory to index %zu entries",
                            maker->entries);
    }
    maker->times[maker->entries++] = event->timestamp_us;
    return TRAIL_OK;
}

static int compare(const void *a, const void *b, void *context)
{
    return trail__term_table_compare(context, *(const uint32_t *)a, *(const uint32_t *)b);
}

trail_status trail__segment_sort(trail__segment_maker *maker, trail_error *err)
{
    size_t terms = maker->table.count;
    uint32_t first = 0;

    if (!trail__reserve(&maker->sorted, &maker->sorted_room, terms,
                        sizeof maker->sorted[0]) ||
        !trail__reserve(&maker->offsets, &maker->offset_room, maker->pair_count,
                        sizeof maker->offsets[0])) {
        return trail__error(err, TRAIL_NO_MEMORY, "no memory to index %zu entries",
                            maker->entries);
    }
    for (uint32_t i = 0; i < terms; i++) {
        maker->sorted[i] = i;
        maker->lists[i].first = first;
        maker->lists[i].last = first;
        first += maker->lists[i].count;
    }
    for (size_t i = 0; i < maker->pair_count; i++) {
        maker->offsets[maker->lists[maker->pairs[i].term].last++] =
            maker->pairs[i].offset;
    }
    if (terms > 0) {
        qsort_r(maker->sorted, terms, sizeof maker->sorted[0], compare, &maker->table);
    }
    return TRAIL_OK;
}

bool trail__segment_term(const trail__segment_maker *maker, size_t i, unsigned *field_out,
                         trail_text *term_out, const uint16_t **offsets_out,
                         size_t *count_out)
{
    uint32_t number;

    if (i >= maker->table.count) {
        return false;
    }
    number = maker->sorted[i];
    *field_out = maker->table.rows[number].field;
    *term_out = trail__term_table_text(&maker->table, number);
    *offsets_out = maker->offsets + maker->lists[number].first;
    *count_out = maker->lists[number].count;
    return true;
}

trail_status trail__segment_write(trail__segment_maker *maker,
                                  trail__block_writer *writer, int64_t *time_min_out,
                                  int64_t *time_max_out, trail_error *err)
{
    trail_status status = trail__segment_sort(maker, err);
    const uint16_t *offsets;
    trail_text text;
    unsigned field;
    size_t count;

    *time_min_out = INT64_MAX;
    *time_max_out = 0;
    for (size_t i = 0; i < maker->entries && status == TRAIL_OK; i++) {
        int64_t at = maker->times[i];

        *time_min_out = at < *time_min_out ? at : *time_min_out;
        *time_max_out = at > *time_max_out ? at : *time_max_out;
        status = trail__block_add_time(writer, at, err);
    }
    for (size_t i = 0; status == TRAIL_OK &&
                       trail__segment_term(maker, i, &field, &text, &offsets, &count);
         i++) {
        status = trail__block_add_offsets(writer, field, text, 0, offsets, count, err);
    }
    return status == TRAIL_OK ? trail__block_finish(writer, err) : status;
}

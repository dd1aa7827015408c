/* segment.h - gather the terms and times of a run of entries, and write them as blocks.
 * Level 3: may include levels 0-2, block. No I/O.
 * SPDX-License-Identifier: MIT
 */
#ifndef TRAIL_SEGMENT_H
#define TRAIL_SEGMENT_H

#include "block.h"

/* At most one window of entries. */
typedef struct trail__segment_maker trail__segment_maker;

trail_status trail__segment_maker_new(trail__segment_maker **maker_out, trail_error *err);
void trail__segment_maker_free(trail__segment_maker *maker); /* NULL is fine */

/* Forget everything; the memory is kept for the next segment. */
void trail__segment_maker_reset(trail__segment_maker *maker);

/* The next entry. TRAIL_NO_MEMORY: reset before going on. */
trail_status trail__segment_add(trail__segment_maker *maker, const trail_event *event,
                                const trail__paths *paths, trail_error *err);

/* Write what was gathered; the smallest and largest time beside it. */
trail_status trail__segment_write(trail__segment_maker *maker,
                                  trail__block_writer *writer, int64_t *time_min_out,
                                  int64_t *time_max_out, trail_error *err);

/* The gathered terms in their order, for whoever compares: 'offsets' ascending. Call sort first;
 * false behind the last. */
trail_status trail__segment_sort(trail__segment_maker *maker, trail_error *err);
bool trail__segment_term(const trail__segment_maker *maker, size_t i, unsigned *field_out,
                         trail_text *term_out, const uint16_t **offsets_out,
                         size_t *count_out);

#endif

/* filter.h - does a record satisfy what somebody looks for.
 * Level 2: may include levels 0-1, door, terms. No I/O.
 * SPDX-License-Identifier: MIT
 */
#ifndef TRAIL_FILTER_H
#define TRAIL_FILTER_H

#include "trail.h"

/* A filter made ready: copied, checked, ids and addresses parsed. */
typedef struct trail__filter trail__filter;

/* 'filter' NULL: everything. TRAIL_INVALID names the condition. */
trail_status trail__filter_make(trail__filter **filter_out, const trail_filter *filter,
                                trail_error *err);
void trail__filter_free(trail__filter *filter); /* NULL is fine */

/* Bounds, order and limit; seq_first and seq_last enclose the ranges too. The lists in it are
 * not to be used. */
const trail_filter *trail__filter_bounds(const trail__filter *filter);

/* Does the record satisfy every condition, the times and the ranges? Seq bounds are the plan's
 * affair. TRAIL_NO_MEMORY (only for conditions on details). */
trail_status trail__filter_matches(const trail__filter *filter,
                                   const trail_record *record, bool *matches_out,
                                   trail_error *err);

/* Of that only the ranges, for an entry that cannot be read. */
bool trail__filter_has_seq(const trail__filter *filter, uint64_t seq);

/* True if every record satisfies it: no conditions, no times, no ranges. */
bool trail__filter_is_open(const trail__filter *filter);

/* One condition, made ready: an event fits if one of its terms of this field is one of these, or
 * begins with it. Ids have no terms. */
typedef struct trail__condition {
    trail_field field;
    bool negate;
    trail_text path; /* of details */
    size_t count;
    const trail_text *values;
    const trail_text *terms;
    const bool *prefixes;
    const uint8_t *binary; /* count * 16 bytes for ids and addresses; else NULL */
} trail__condition;

/* The i-th condition; NULL behind the last. */
const trail__condition *trail__filter_condition(const trail__filter *filter, size_t i);

/* Of the ranges only: how many there are, in which the seq must lie, or must not. */
const trail_range *trail__filter_ranges(const trail__filter *filter, bool negate,
                                        size_t *count_out);

/* The first condition that asks for certain ids: 'ids_out' is count * 16 bytes. False: none. */
bool trail__filter_ids(const trail__filter *filter, const uint8_t **ids_out,
                       size_t *count_out);

#endif

/* postings.h - step through the postings of one segment, from a term on.
 * Level 5: may include levels 0-4, index.
 * SPDX-License-Identifier: MIT
 */
#ifndef TRAIL_POSTINGS_H
#define TRAIL_POSTINGS_H

#include "index.h"

typedef struct trail__postings {
    const trail__kv_txn *txn;
    trail__kv_cursor cursor;
    uint64_t segment;
    bool fresh; /* the block under the cursor is not begun */
    bool skipping;
    uint8_t *copy; /* in a write transaction, where pages move; else NULL */
    trail__block_reader reader;
    unsigned field;
    trail_text term;
    trail__posting posting;
} trail__postings;

/* Before the first posting at or behind (field, term); field 1 and an empty term: all of them. */
trail_status trail__postings_open(trail__postings *p, const trail__kv_txn *txn,
                                  uint64_t segment, unsigned field, trail_text term,
                                  trail_error *err);
void trail__postings_close(trail__postings *p);

/* field, term and posting are valid until the next call. TRAIL_NOT_FOUND without a message: no
 * more in this segment. TRAIL_CORRUPT. */
trail_status trail__postings_next(trail__postings *p, trail_error *err);

/* TRAIL_CORRUPT, and what to do. */
trail_status trail__postings_damaged(trail_error *err);

/* -1, 0, 1 as (field, term) of p is before, at or behind the other one. */
int trail__term_compare(unsigned field, trail_text term, unsigned other_field,
                        trail_text other);

/* Read the timestamps of a segment, chunk after chunk: the one that has 'offset'. */
trail_status trail__postings_times(const trail__kv_txn *txn, uint64_t segment,
                                   uint32_t offset, uint32_t *first_out,
                                   trail__times *times_out, trail_error *err);

#endif

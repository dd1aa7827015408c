/* query.h - find records: pages of copies, and exact counts.
 * Level 6: may include levels 0-5, plan.
 * SPDX-License-Identifier: MIT
 *
 * No transaction is held while a caller's code runs: a page is read and copied, and the next
 * one goes on by seq. Entries never move, so that is one consistent answer up to the head at
 * the start.
 */
#ifndef TRAIL_QUERY_H
#define TRAIL_QUERY_H

#include "filter.h"
#include "index.h"
#include "log.h"

typedef struct trail__query trail__query;

/* Takes its own copy of the filter. */
trail_status trail__query_open(trail__query **query_out, trail__log *log,
                               trail__index *index, const trail_filter *filter,
                               trail_error *err);
void trail__query_close(trail__query *query); /* NULL is fine */

/* NULL at the end; valid until the next call. */
trail_status trail__query_next(trail__query *query, const trail_record **record_out,
                               trail_error *err);
uint64_t trail__query_scanned(const trail__query *query);
void trail__query_explain(const trail__query *query, trail_explain *explain_out);

/* 'explain_out' may be NULL. */
trail_status trail__query_count(trail__log *log, trail__index *index,
                                const trail_filter *filter, uint64_t *count_out,
                                trail_explain *explain_out, trail_error *err);

/* A copy of one record, freed with trail_record_free. TRAIL_NOT_FOUND has a message here. */
trail_status trail__query_get(trail__log *log, uint64_t seq, trail_record **record_out,
                              trail_error *err);
trail_status trail__query_get_by_id(trail__log *log, const uint8_t id[TRAIL_ID_LEN],
                                    trail_record **record_out, trail_error *err);

#endif

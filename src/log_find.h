/* log_find.h - where the event with a given id is.
 * Level 4: may include levels 0-3, log.
 * SPDX-License-Identifier: MIT
 *
 * An id that came from a caller is looked up in the table of ids: one descent of a tree. An id
 * made by the engine is in no table: it tells its millisecond and the low 12 bits of its seq,
 * and recorded_at never goes back, so two binary searches over the entries find the range of
 * seqs, of which every 4,096th is looked at.
 */
#ifndef TRAIL_LOG_FIND_H
#define TRAIL_LOG_FIND_H

#include "log.h"

/* TRAIL_NOT_FOUND without a message: no event up to seq_last has this id. */
trail_status trail__log_find(const trail__kv_txn *txn, uint64_t seq_last,
                             const uint8_t id[TRAIL_ID_LEN], uint64_t *seq_out,
                             trail_error *err);

#endif

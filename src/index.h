/* index.h - index.mdb: which segments there are, and how far they have come.
 * Level 5: may include levels 0-4.
 * SPDX-License-Identifier: MIT
 *
 * Derived from the log: it may be deleted at any time. Three tables. 'blocks' has the segments'
 * blocks (block.h). 'segments': first seq -> [last seq, number, level, least time, greatest
 * time]. 'state': "index" -> what it was made for, and "state" -> [seq and event_hash it has
 * come to, next number, number of a merge under way or 0, how many, numbers that are to be
 * removed ...].
 *
 * A segment is written under a number that nobody used before, and found from the moment its row
 * is in 'segments'. Rows change in the transaction that moves the state, so that a reader always
 * sees the seqs 1 to state.seq covered once. An index whose last hash is not the log's is not
 * used.
 */
#ifndef TRAIL_INDEX_H
#define TRAIL_INDEX_H

#include "block.h"
#include "gate.h"
#include "kv.h"
#include "log.h"
#include "terms.h"

#include <pthread.h>

enum { TRAIL__INDEX_DIR_MAX = 4000 };

/* Seqs in the smallest segment, and how many of them make the next larger one. */
typedef struct trail__shape {
    uint32_t unit;
    uint32_t fan;
    unsigned levels;
} trail__shape;

typedef struct trail__index {
    trail__log *log;
    trail__paths paths;
    char *path_bytes; /* of the paths */
    const char *path_names[TRAIL_INDEX_PATHS_MAX];
    trail__shape shape;
    trail__kv_options options;
    char dir[TRAIL__INDEX_DIR_MAX];
    pthread_rwlock_t lock; /* read side: held while a view is open */
    trail__kv *kv;         /* NULL: none that can be used; why: */
    trail_error why;
    uint64_t opened;   /* how often kv was opened: another time may be another file */
    trail__gate *gate; /* whoever builds holds it; NULL: not needed yet */
} trail__index;

typedef struct trail__segment {
    uint64_t number;
    uint64_t seq_first;
    uint64_t seq_last;
    unsigned level;
    int64_t time_min_us;
    int64_t time_max_us;
} trail__segment;

enum { TRAIL__DEAD_MAX = 256 };

typedef struct trail__index_state {
    uint64_t seq; /* 0: nothing is indexed */
    uint8_t event_hash[TRAIL_HASH_LEN];
    uint64_t number_next;
    uint64_t merging;
    size_t dead_count;
    uint64_t dead[TRAIL__DEAD_MAX];
} trail__index_state;

#ifdef TRAIL_FAULTS
/* The shape of every index that is opened from now on. */
void trail__index_shape_set(trail__shape shape);
#endif

/* Seqs that a segment of a level covers. */
uint64_t trail__index_span(const trail__index *index, unsigned level);

/* Nothing is made or opened yet; the paths are read from the log. */
trail_status trail__index_init(trail__index *index, trail__log *log, const char *dir,
                               const trail__kv_options *options, trail_error *err);
void trail__index_release(trail__index *index);

/* ---- reading ---------------------------------------------------------------------- */

/* Does the log hold, at state->seq, what the index was made from? */
bool trail__index_state_fits(const trail__index_state *state,
                             const trail__kv_txn *log_txn);

/* A snapshot of the index. */
typedef struct trail__view {
    trail__index *index;
    trail__kv_txn txn;
    trail__index_state state;
    bool usable; /* a transaction is open */
} trail__view;

/* Not usable if there is no index, or it is damaged, or another log's: index->why says so. A
 * transaction on the log that begins afterwards sees all that the view has. TRAIL_NO_MEMORY,
 * TRAIL_BUSY ... are not the index's fault, and are no reason to fail either. */
void trail__view_begin(trail__view *view, trail__index *index);
void trail__view_end(trail__view *view);

/* Can it be used with this log? */
bool trail__view_fits(trail__view *view, const trail__kv_txn *log_txn);

/* Why it cannot be used, or, if it is usable, does not fit the log. */
void trail__index_why(trail__index *index, bool usable,
                      char why_out[TRAIL_ERROR_TEXT_MAX]);

/* The index is damaged: always TRAIL_CORRUPT. */
trail_status trail__view_damaged(const trail__view *view, const char *what,
                                 trail_error *err);

/* The segment that covers a seq up to state.seq. TRAIL_CORRUPT if there is none. */
trail_status trail__view_segment(const trail__view *view, uint64_t seq,
                                 trail__segment *segment_out, trail_error *err);

/* ---- changing, within a write transaction on index->kv ----------------------------- */

/* Open the index to write it; made if there is none, or 'anew', or it cannot be used. The gate
 * is held. */
trail_status trail__index_open_writer(trail__index *index, bool anew, trail_error *err);

trail_status trail__index_state_get(const trail__kv_txn *txn, trail__index_state *state,
                                    trail_error *err);
trail_status trail__index_state_put(trail__kv_txn *txn, const trail__index_state *state,
                                    trail_error *err);
trail_status trail__index_segment_put(trail__kv_txn *txn, const trail__segment *segment,
                                      trail_error *err);
bool trail__index_segment_read(trail_text key, trail_text value,
                               trail__segment *segment_out);

#endif

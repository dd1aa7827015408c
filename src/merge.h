/* merge.h - make one segment of many, a piece at a time.
 * Level 5: may include levels 0-4, index, postings.
 * SPDX-License-Identifier: MIT
 *
 * All inputs are walked together in the order of their terms. Between two pieces the inputs are
 * let go, so that a merge of any size takes short transactions and little memory.
 */
#ifndef TRAIL_MERGE_H
#define TRAIL_MERGE_H

#include "index.h"
#include "postings.h"

enum { TRAIL__MERGE_MAX = 16 };

typedef struct trail__merge {
    bool active;
    size_t count;
    trail__segment inputs[TRAIL__MERGE_MAX];
    trail__segment output;
    trail__kv_txn *txn; /* of the piece under way */
    size_t written;     /* bytes in this piece */
    uint32_t time_offset;
    unsigned field; /* the last term done; 0: none */
    uint8_t term[TRAIL__TERM_LEN_MAX];
    size_t term_len;
    trail__postings walks[TRAIL__MERGE_MAX];
    bool over[TRAIL__MERGE_MAX];
    uint16_t offsets[TRAIL__WINDOW];
    trail__block_writer writer;
} trail__merge;

/* 'inputs' are neighbours, all of one level, in the order of their seqs. */
void trail__merge_begin(trail__merge *merge, const trail__segment *inputs, size_t count,
                        uint64_t number);

/* Go on for about 'len_max' bytes; *done_out when all is written. */
trail_status trail__merge_piece(trail__merge *merge, trail__kv_txn *txn, size_t len_max,
                                bool *done_out, trail_error *err);

#endif

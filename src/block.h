/* block.h - the bytes of the index: blocks of terms with their postings, chunks of times.
 * Level 3: may include levels 0-2. No I/O.
 * SPDX-License-Identifier: MIT
 *
 * A segment is a run of blocks, in the order of field and term. A block is a sequence of CBOR
 * items, five for each posting:
 *
 *   shared, suffix     the term: so many bytes of the one before, and these
 *   window             which 65,536 offsets of the segment
 *   count * 2 + form   how many of them; form 0: a list of 16-bit numbers, 1: a bitmap
 *   data               least significant byte and bit first
 *
 * A block takes a quarter of a page, or more if one posting is longer than that. Its key
 * is the number of the segment, the field, just enough of its first term to tell it from the one
 * before, a zero byte, and the number of the block.
 *
 * Field 0 has the timestamps: keys are then segment, 0 and the first offset, values are
 * [width, least, data]: each time is the least plus a number of 'width' bytes.
 */
#ifndef TRAIL_BLOCK_H
#define TRAIL_BLOCK_H

#include "bytes.h"
#include "set.h"
#include "terms.h"

enum {
    TRAIL__BLOCK_LEN =
        950, /* of terms: four in a page, and half of one is read to find a term */
    TRAIL__TIMES_LEN = 4064, /* of times: with LMDB's page head just a page */
    TRAIL__BLOCK_LEN_MAX = TRAIL__TIMES_LEN + TRAIL__WINDOW / 8 + 2 * TRAIL__TERM_LEN_MAX,
    TRAIL__BLOCK_KEY_MAX = 8 + 1 + 400 + 1 + 4
};

/* ---- keys ------------------------------------------------------------------------- */

typedef struct trail__block_key {
    uint8_t bytes[TRAIL__BLOCK_KEY_MAX];
    size_t len;
} trail__block_key;

/* Where a term would be, if it began a block; field 0: where an offset would be. */
void trail__block_key_term(trail__block_key *key, uint64_t segment, unsigned field,
                           trail_text term);
void trail__block_key_time(trail__block_key *key, uint64_t segment, uint32_t offset);

/* False: no such key. */
bool trail__block_key_read(trail_text key, uint64_t *segment_out, unsigned *field_out);
bool trail__block_key_offset(trail_text key, uint32_t *offset_out);

/* ---- reading ---------------------------------------------------------------------- */

typedef struct trail__posting {
    uint32_t window;
    uint32_t count;
    bool is_bits;
    const uint8_t *data;
    size_t len;
} trail__posting;

typedef struct trail__block_reader {
    trail__reader r;
    uint8_t term[TRAIL__TERM_LEN_MAX];
    size_t term_len;
} trail__block_reader;

void trail__block_open(trail__block_reader *reader, trail_text block);

/* TRAIL_NOT_FOUND without a message: the end. TRAIL_CORRUPT without one: no such bytes. */
trail_status trail__block_next(trail__block_reader *reader, trail_text *term_out,
                               trail__posting *posting_out);

/* Add a posting to a set of the segment. TRAIL_CORRUPT without a message, TRAIL_NO_MEMORY. */
trail_status trail__posting_add(const trail__posting *posting, trail__set *set);

/* Each offset in the segment, ascending; 'meet' returns false to stop. */
bool trail__posting_each(const trail__posting *p,
                         bool (*meet)(void *context, uint32_t offset), void *context);

typedef struct trail__times {
    unsigned width;
    int64_t least_us;
    const uint8_t *data;
    size_t count;
} trail__times;

bool trail__times_open(trail__times *times, trail_text chunk);
int64_t trail__times_at(const trail__times *times, size_t i);

/* ---- writing ---------------------------------------------------------------------- */

/* Takes a finished block; the bytes are dead afterwards. */
typedef trail_status trail__block_emit(void *context, trail_text key, trail_text block,
                                       trail_error *err);

typedef struct trail__block_writer {
    uint64_t segment;
    trail__block_emit *emit;
    void *context;
    uint32_t number; /* of the next block */
    unsigned field;  /* of the block being filled */
    trail__block_key key;
    size_t len;
    uint8_t term[TRAIL__TERM_LEN_MAX]; /* the last one */
    size_t term_len;
    uint32_t time_offset; /* the first of the times that wait */
    size_t time_count;
    int64_t times[TRAIL__TIMES_LEN];
    int64_t time_min;
    int64_t time_max;
    uint8_t bytes[TRAIL__BLOCK_LEN_MAX];
} trail__block_writer;

void trail__block_begin(trail__block_writer *writer, uint64_t segment,
                        trail__block_emit *emit, void *context);

/* All times first, in the order of the offsets; then postings, ascending. */
trail_status trail__block_add_time(trail__block_writer *writer, int64_t time_us,
                                   trail_error *err);
trail_status trail__block_add(trail__block_writer *writer, unsigned field,
                              trail_text term, const trail__posting *posting,
                              trail_error *err);

/* From ascending offsets of one window: the shorter form. 'count' may be as large as a window. */
trail_status trail__block_add_offsets(trail__block_writer *writer, unsigned field,
                                      trail_text term, uint32_t window,
                                      const uint16_t *offsets, size_t count,
                                      trail_error *err);
trail_status trail__block_finish(trail__block_writer *writer, trail_error *err);

#endif

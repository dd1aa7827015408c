/* bytes.h - write and read the few kinds of CBOR that the format uses.
 * Level 1: may include level 0.
 * SPDX-License-Identifier: MIT
 *
 * Deterministic CBOR (RFC 8949 §4.2.1): definite lengths, shortest form of every number. The
 * reader refuses everything else, so that one value has one encoding.
 */
#ifndef TRAIL_BYTES_H
#define TRAIL_BYTES_H

#include "trail.h"

/* The longest head of a CBOR item: one byte and a 64-bit number. */
#define TRAIL__CBOR_HEAD_MAX 9

/* How many bytes the head of an item with this number takes: 1, 2, 3, 5 or 9. */
size_t trail__cbor_head_len(uint64_t number);

/* A writer into memory of the caller's, which must be large enough: sizes are computed first. */
typedef struct trail__writer {
    uint8_t *at;
    uint8_t *end;
} trail__writer;

void trail__write_array(trail__writer *w, uint64_t count);
void trail__write_uint(trail__writer *w, uint64_t number);
void trail__write_bytes(trail__writer *w, const uint8_t *data, size_t len);
void trail__write_text(trail__writer *w, trail_text text); /* absent: null */

/* Bytes that write_text takes for this text. */
size_t trail__text_item_len(trail_text text);

/* A reader that never goes past 'end'. After the first wrong item it stays 'bad' and every
 * further read gives zeros, so a caller checks once, at the end. */
typedef struct trail__reader {
    const uint8_t *at;
    const uint8_t *end;
    bool bad;
} trail__reader;

trail__reader trail__reader_of(const void *data, size_t len);
void trail__read_array(trail__reader *r, uint64_t count); /* exactly this many items */
uint64_t trail__read_uint(trail__reader *r);
const uint8_t *trail__read_bytes(trail__reader *r,
                                 size_t len); /* exactly this long; or NULL */
const uint8_t *trail__read_bytes_or_null(trail__reader *r,
                                         size_t len); /* null gives NULL */
trail_text trail__read_some_bytes(trail__reader *r);  /* of any length */
trail_text trail__read_text(trail__reader *r);
trail_text trail__read_text_or_null(trail__reader *r);

/* Unsigned 64-bit numbers as 8 bytes, most significant first: keys sort like numbers. */
void trail__store_u64(uint8_t out[8], uint64_t number);
uint64_t trail__load_u64(const uint8_t in[8]);

#endif

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

/* Written out, so that compilers see one load. */
static inline uint64_t trail__load_u32(const uint8_t *in)
{
    return (uint64_t)in[0] << 24 | (uint64_t)in[1] << 16 | (uint64_t)in[2] << 8 |
           (uint64_t)in[3];
}

/* Unsigned 64-bit numbers as 8 bytes, most significant first: keys sort like numbers. */
void trail__store_u64(uint8_t out[8], uint64_t number);

static inline uint64_t trail__load_u64(const uint8_t in[8])
{
    return trail__load_u32(in) << 32 | trail__load_u32(in + 4);
}

/* What an item's first byte says of its kind. */
enum {
    TRAIL__CBOR_UINT = 0x00,
    TRAIL__CBOR_BYTES = 0x40,
    TRAIL__CBOR_TEXT = 0x60,
    TRAIL__CBOR_ARRAY = 0x80,
    TRAIL__CBOR_NULL = 0xf6
};

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
 * further read gives zeros, so a caller checks once, at the end. All of it is here, to become part
 * of what takes an entry apart: two dozen calls for each entry cost verify a tenth of its time. */
typedef struct trail__reader {
    const uint8_t *at;
    const uint8_t *end;
    bool bad;
} trail__reader;

static inline trail__reader trail__reader_of(const void *data, size_t len)
{
    trail__reader r = { .at = data, .end = (const uint8_t *)data + len, .bad = false };
    return r;
}

static inline size_t trail__reader_left(const trail__reader *r)
{
    return (size_t)(r->end - r->at);
}

/* The number in a head of more than one byte. A longer form than needed is wrong: somebody else
 * wrote that. */
static inline uint64_t trail__read_long_head(trail__reader *r)
{
    unsigned info = *r->at & 0x1fu;
    size_t more = (size_t)1 << (info - 24u);
    const uint8_t *in = r->at + 1;
    uint64_t number;

    if (info > 27 || trail__reader_left(r) < 1 + more) {
        r->bad = true;
        return 0;
    }
    if (info == 24) {
        number = in[0];
        r->bad = number < 24;
    } else if (info == 25) {
        number = (uint64_t)in[0] << 8 | in[1];
        r->bad = number <= UINT8_MAX;
    } else if (info == 26) {
        number = trail__load_u32(in);
        r->bad = number <= UINT16_MAX;
    } else {
        number = trail__load_u32(in) << 32 | trail__load_u32(in + 4);
        r->bad = number <= UINT32_MAX;
    }
    if (r->bad) {
        return 0;
    }
    r->at += 1 + more;
    return number;
}

/* The number in an item's head; marks the reader bad unless the kind is 'major' and the form
 * is the shortest one. */
static inline uint64_t trail__read_head(trail__reader *r, unsigned major)
{
    unsigned info;

    if (r->bad || trail__reader_left(r) == 0 || (*r->at & 0xe0u) != major) {
        r->bad = true;
        return 0;
    }
    info = *r->at & 0x1fu;
    if (info < 24) {
        r->at++;
        return info;
    }
    return trail__read_long_head(r);
}

static inline const uint8_t *trail__read_string(trail__reader *r, unsigned major,
                                                uint64_t *len_out)
{
    const uint8_t *data;
    uint64_t len = trail__read_head(r, major);

    if (r->bad || len > trail__reader_left(r)) {
        r->bad = true;
        *len_out = 0;
        return NULL;
    }
    data = r->at;
    r->at += len;
    *len_out = len;
    return data;
}

static inline bool trail__take_null(trail__reader *r)
{
    if (!r->bad && trail__reader_left(r) > 0 && *r->at == TRAIL__CBOR_NULL) {
        r->at++;
        return true;
    }
    return false;
}

/* Exactly so many items. */
static inline void trail__read_array(trail__reader *r, uint64_t count)
{
    if (trail__read_head(r, TRAIL__CBOR_ARRAY) != count) {
        r->bad = true;
    }
}

static inline uint64_t trail__read_uint(trail__reader *r)
{
    return trail__read_head(r, TRAIL__CBOR_UINT);
}

/* Exactly so long; or NULL. */
static inline const uint8_t *trail__read_bytes(trail__reader *r, size_t len)
{
    uint64_t found;
    const uint8_t *data = trail__read_string(r, TRAIL__CBOR_BYTES, &found);

    if (found != len) {
        r->bad = true;
        return NULL;
    }
    return data;
}

/* null gives NULL. */
static inline const uint8_t *trail__read_bytes_or_null(trail__reader *r, size_t len)
{
    return trail__take_null(r) ? NULL : trail__read_bytes(r, len);
}

static inline trail_text trail__read_any(trail__reader *r, unsigned major)
{
    trail_text text = { NULL, 0 };
    uint64_t len;
    const uint8_t *data = trail__read_string(r, major, &len);

    if (!r->bad) {
        text.data = (const char *)data;
        text.len = (size_t)len;
    }
    return text;
}

/* Bytes of any length. */
static inline trail_text trail__read_some_bytes(trail__reader *r)
{
    return trail__read_any(r, TRAIL__CBOR_BYTES);
}

static inline trail_text trail__read_text(trail__reader *r)
{
    return trail__read_any(r, TRAIL__CBOR_TEXT);
}

static inline trail_text trail__read_text_or_null(trail__reader *r)
{
    trail_text absent = { NULL, 0 };

    return trail__take_null(r) ? absent : trail__read_text(r);
}

#endif

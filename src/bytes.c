/* bytes.c - write and read the few kinds of CBOR that the format uses.
 * Level 1: may include level 0.
 * SPDX-License-Identifier: MIT
 */
#include "bytes.h"

#include <assert.h>
#include <string.h>

enum {
    MAJOR_UINT = 0x00,
    MAJOR_BYTES = 0x40,
    MAJOR_TEXT = 0x60,
    MAJOR_ARRAY = 0x80,
    ITEM_NULL = 0xf6
};

size_t trail__cbor_head_len(uint64_t number)
{
    if (number < 24) {
        return 1;
    }
    if (number <= UINT8_MAX) {
        return 2;
    }
    if (number <= UINT16_MAX) {
        return 3;
    }
    return number <= UINT32_MAX ? 5 : 9;
}

static void write_head(trail__writer *w, unsigned major, uint64_t number)
{
    size_t len = trail__cbor_head_len(number);

    assert((size_t)(w->end - w->at) >=
           len); /* sizes were computed before: never a surprise */
    if (len == 1) {
        *w->at++ = (uint8_t)(major | number);
        return;
    }
    /* 24, 25, 26, 27 announce 1, 2, 4, 8 bytes of number. */
    *w->at++ = (uint8_t)(major | (len == 2   ? 24u
                                  : len == 3 ? 25u
                                  : len == 5 ? 26u
                                             : 27u));
    for (size_t i = len - 1; i > 0; i--) {
        *w->at++ = (uint8_t)(number >> (8 * (i - 1)));
    }
}

static void write_string(trail__writer *w, unsigned major, const void *data, size_t len)
{
    write_head(w, major, len);
    assert((size_t)(w->end - w->at) >= len);
    if (len > 0) {
        memcpy(w->at, data, len);
        w->at += len;
    }
}

void trail__write_array(trail__writer *w, uint64_t count)
{
    write_head(w, MAJOR_ARRAY, count);
}

void trail__write_uint(trail__writer *w, uint64_t number)
{
    write_head(w, MAJOR_UINT, number);
}

void trail__write_bytes(trail__writer *w, const uint8_t *data, size_t len)
{
    write_string(w, MAJOR_BYTES, data, len);
}

void trail__write_text(trail__writer *w, trail_text text)
{
    if (text.data == NULL) {
        assert(w->end > w->at);
        *w->at++ = ITEM_NULL;
        return;
    }
    write_string(w, MAJOR_TEXT, text.data, text.len);
}

size_t trail__text_item_len(trail_text text)
{
    return text.data == NULL ? 1 : trail__cbor_head_len(text.len) + text.len;
}

trail__reader trail__reader_of(const void *data, size_t len)
{
    trail__reader r = { .at = data, .end = (const uint8_t *)data + len, .bad = false };
    return r;
}

static size_t left(const trail__reader *r)
{
    return (size_t)(r->end - r->at);
}

/* The number in an item's head; marks the reader bad unless the kind is 'major' and the form
 * is the shortest one. */
static uint64_t read_head(trail__reader *r, unsigned major)
{
    uint64_t number;
    unsigned info;
    size_t more;

    if (r->bad || left(r) == 0 || (*r->at & 0xe0u) != major) {
        r->bad = true;
        return 0;
    }
    info = *r->at & 0x1fu;
    if (info < 24) {
        r->at++;
        return info;
    }
    more = (size_t)1 << (info - 24u);
    if (info > 27 || left(r) < 1 + more) {
        r->bad = true;
        return 0;
    }
    number = 0;
    for (size_t i = 1; i <= more; i++) {
        number = number << 8 | r->at[i];
    }
    if (trail__cbor_head_len(number) != 1 + more) {
        r->bad = true; /* a longer form than needed: somebody else wrote this */
        return 0;
    }
    r->at += 1 + more;
    return number;
}

static const uint8_t *read_string(trail__reader *r, unsigned major, uint64_t *len_out)
{
    const uint8_t *data;
    uint64_t len = read_head(r, major);

    if (r->bad || len > left(r)) {
        r->bad = true;
        *len_out = 0;
        return NULL;
    }
    data = r->at;
    r->at += len;
    *len_out = len;
    return data;
}

static bool take_null(trail__reader *r)
{
    if (!r->bad && left(r) > 0 && *r->at == ITEM_NULL) {
        r->at++;
        return true;
    }
    return false;
}

void trail__read_array(trail__reader *r, uint64_t count)
{
    if (read_head(r, MAJOR_ARRAY) != count) {
        r->bad = true;
    }
}

uint64_t trail__read_uint(trail__reader *r)
{
    return read_head(r, MAJOR_UINT);
}

const uint8_t *trail__read_bytes(trail__reader *r, size_t len)
{
    uint64_t found;
    const uint8_t *data = read_string(r, MAJOR_BYTES, &found);

    if (found != len) {
        r->bad = true;
        return NULL;
    }
    return data;
}

const uint8_t *trail__read_bytes_or_null(trail__reader *r, size_t len)
{
    return take_null(r) ? NULL : trail__read_bytes(r, len);
}

static trail_text read_any(trail__reader *r, unsigned major)
{
    trail_text text = { NULL, 0 };
    uint64_t len;
    const uint8_t *data = read_string(r, major, &len);

    if (!r->bad) {
        text.data = (const char *)data;
        text.len = (size_t)len;
    }
    return text;
}

trail_text trail__read_some_bytes(trail__reader *r)
{
    return read_any(r, MAJOR_BYTES);
}

trail_text trail__read_text(trail__reader *r)
{
    return read_any(r, MAJOR_TEXT);
}

trail_text trail__read_text_or_null(trail__reader *r)
{
    trail_text absent = { NULL, 0 };

    return take_null(r) ? absent : trail__read_text(r);
}

void trail__store_u64(uint8_t out[8], uint64_t number)
{
    for (int i = 7; i >= 0; i--) {
        out[i] = (uint8_t)number;
        number >>= 8;
    }
}

uint64_t trail__load_u64(const uint8_t in[8])
{
    uint64_t number = 0;

    for (int i = 0; i < 8; i++) {
        number = number << 8 | in[i];
    }
    return number;
}

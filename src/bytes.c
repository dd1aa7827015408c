/* bytes.c - write and read the few kinds of CBOR that the format uses.
 * Level 1: may include level 0.
 * SPDX-License-Identifier: MIT
 */
#include "bytes.h"

#include <assert.h>
#include <string.h>

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
    write_head(w, TRAIL__CBOR_ARRAY, count);
}

void trail__write_uint(trail__writer *w, uint64_t number)
{
    write_head(w, TRAIL__CBOR_UINT, number);
}

void trail__write_bytes(trail__writer *w, const uint8_t *data, size_t len)
{
    write_string(w, TRAIL__CBOR_BYTES, data, len);
}

void trail__write_text(trail__writer *w, trail_text text)
{
    if (text.data == NULL) {
        assert(w->end > w->at);
        *w->at++ = TRAIL__CBOR_NULL;
        return;
    }
    write_string(w, TRAIL__CBOR_TEXT, text.data, text.len);
}

size_t trail__text_item_len(trail_text text)
{
    return text.data == NULL ? 1 : trail__cbor_head_len(text.len) + text.len;
}

void trail__store_u64(uint8_t out[8], uint64_t number)
{
    for (int i = 7; i >= 0; i--) {
        out[i] = (uint8_t)number;
        number >>= 8;
    }
}

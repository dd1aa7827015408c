/* text.c - is it UTF-8, how many characters has it; and texts out of C strings.
 * Level 1: may include level 0.
 * SPDX-License-Identifier: MIT
 */
#include "text.h"

#include <string.h>

#define HIGH_BITS UINT64_C(0x8080808080808080)
#define LOW_BITS UINT64_C(0x0101010101010101)

trail_text trail_str(const char *text)
{
    trail_text result = { text, text != NULL ? strlen(text) : 0 };

    return result;
}

bool trail__text_equal(trail_text a, trail_text b)
{
    if (a.data == NULL || b.data == NULL) {
        return a.data == NULL && b.data == NULL;
    }
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

/* How many ASCII bytes are at 'at'. Eight at a time: nearly all text is nothing but
 * ASCII. */
static size_t ascii_run(const unsigned char *at, const unsigned char *end)
{
    const unsigned char *from = at;
    uint64_t word;

    while (end - at >= 8) {
        memcpy(&word, at, sizeof word);
        if ((word & HIGH_BITS) != 0) {
            break;
        }
        at += 8;
    }
    while (at < end && *at < 0x80) {
        at++;
    }
    return (size_t)(at - from);
}

/* A byte that is 0 or has its high bit leaves a high bit; so may the one above a 0. */
static uint64_t not_plain(const char *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof word);
    return (word | (word - LOW_BITS)) & HIGH_BITS;
}

bool trail__text_plain(trail_text text)
{
    size_t at = 0;

    if (text.len < 8) {
        while (at < text.len && text.data[at] > 0 && (text.data[at] & 0x80) == 0) {
            at++;
        }
        return at == text.len;
    }
    for (; text.len - at > 8; at += 8) {
        if (not_plain(text.data + at) != 0) {
            return false;
        }
    }
    return not_plain(text.data + text.len - 8) == 0;
}

static bool is_between(unsigned char byte, unsigned char low, unsigned char high)
{
    return byte >= low && byte <= high;
}

/* Bytes of the character that starts with 'lead', 0x80 or above; 0 if none does. The
 * second byte's range is what keeps out overlong forms, surrogates and what is above
 * U+10FFFF (RFC 3629, section 4). */
static size_t sequence_len(unsigned char lead, unsigned char *low, unsigned char *high)
{
    *low = 0x80;
    *high = 0xBF;
    if (is_between(lead, 0xC2, 0xDF)) {
        return 2;
    }
    if (is_between(lead, 0xE0, 0xEF)) {
        *low = lead == 0xE0 ? 0xA0 : 0x80;
        *high = lead == 0xED ? 0x9F : 0xBF;
        return 3;
    }
    if (is_between(lead, 0xF0, 0xF4)) {
        *low = lead == 0xF0 ? 0x90 : 0x80;
        *high = lead == 0xF4 ? 0x8F : 0xBF;
        return 4;
    }
    return 0;
}

/* Bytes of the character at 'at', or 0 with *bad_out on the first byte that cannot be
 * (the end of the text if it stops too early). */
static size_t sequence_at(const unsigned char *at, const unsigned char *end,
                          const unsigned char **bad_out)
{
    unsigned char low;
    unsigned char high;
    size_t len = sequence_len(*at, &low, &high);
    size_t i;

    *bad_out = at;
    if (len == 0) {
        return 0;
    }
    for (i = 1; i < len; i++) {
        *bad_out = at + i;
        if (at + i == end || !is_between(at[i], low, high)) {
            return 0;
        }
        low = 0x80;
        high = 0xBF;
    }
    return len;
}

size_t trail__text_char(const unsigned char *text, size_t len, uint32_t *code_out)
{
    const unsigned char *bad;
    size_t taken = *text < 0x80 ? 1 : sequence_at(text, text + len, &bad);

    *code_out = taken > 1 ? *text & (0x7Fu >> taken) : *text;
    for (size_t i = 1; i < taken; i++) {
        *code_out = *code_out << 6 | (text[i] & 0x3Fu);
    }
    return taken;
}

bool trail__text_utf8(trail_text text, size_t *chars_out, size_t *bad_offset_out)
{
    const unsigned char *start =
        (const unsigned char *)(text.data != NULL ? text.data : "");
    const unsigned char *end = start + text.len;
    const unsigned char *at = start;
    const unsigned char *bad;
    size_t chars = 0;

    while (at < end) {
        size_t run = ascii_run(at, end);

        at += run;
        chars += run;
        while (at < end && *at >= 0x80) {
            size_t len = sequence_at(at, end, &bad);

            if (len == 0) {
                *bad_offset_out = (size_t)(bad - start);
                return false;
            }
            at += len;
            chars++;
        }
    }
    *chars_out = chars;
    return true;
}

bool trail__text_begins(trail_text text, trail_text prefix)
{
    return text.len >= prefix.len &&
           (prefix.len == 0 || memcmp(text.data, prefix.data, prefix.len) == 0);
}

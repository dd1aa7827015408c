/* json_scan.c - prove quickly, without memory, that a plain JSON text is good.
 * Level 2: may include levels 0-1.
 * SPDX-License-Identifier: MIT
 *
 * Every function here returns true only for what jansson and Postgres's jsonb surely
 * accept; where proving that would take more code than it saves time, the answer is
 * false.
 */
#include "json_scan.h"

#include <string.h>

#include "text.h"

#define SCAN_DEPTH_MAX 64
#define SCAN_KEYS_MAX 256 /* in all objects that are open at once: 4 KiB of stack */
#define INTEGER_DIGITS_MAX 18
#define FRACTION_DIGITS_MAX 18
#define EXPONENT_DIGITS_MAX 2

#define ONES UINT64_C(0x0101010101010101)
#define HIGH_BITS UINT64_C(0x8080808080808080)

typedef struct key {
    const unsigned char *data;
    uint32_t len;
    uint32_t hash;
} key;

typedef struct scan {
    const unsigned char *at;
    const unsigned char *end;
    size_t depth_left;
    size_t key_count; /* the keys of the innermost object are the last ones */
    key keys[SCAN_KEYS_MAX];
} scan;

static bool scan_value(scan *s);

static void skip_space(scan *s)
{
    while (s->at < s->end && *s->at <= ' ' &&
           (*s->at == ' ' || *s->at == '\n' || *s->at == '\t' || *s->at == '\r')) {
        s->at++;
    }
}

/* The next byte that is not white space; 0 at the end. A NUL in the text is no valid
 * token either, so the two need not be told apart. */
static unsigned char next_token(scan *s)
{
    skip_space(s);
    return s->at < s->end ? *s->at : 0;
}

static bool take(scan *s, unsigned char byte)
{
    if (next_token(s) != byte) {
        return false;
    }
    s->at++;
    return true;
}

/* The high bit of each byte below 'limit', at most 0x80. A borrow can mark a byte too
 * many, but only above one that is marked rightly. */
static uint64_t bytes_below(uint64_t word, unsigned char limit)
{
    return (word - ONES * limit) & ~word & HIGH_BITS;
}

/* The same for controls, quotes and backslashes: what ends a string or needs care. */
static uint64_t special_bytes(uint64_t word)
{
    return bytes_below(word, 0x20) | bytes_below(word ^ (ONES * '"'), 1) |
           bytes_below(word ^ (ONES * '\\'), 1);
}

static bool is_plain(unsigned char byte)
{
    return byte >= 0x20 && byte != '"' && byte != '\\';
}

/* Stops at the first special byte, or at the end. Tells whether there was anything but
 * ASCII on the way (or up to seven bytes behind: then one look too many is taken). */
static bool skip_plain(scan *s)
{
    const unsigned char *at = s->at;
    uint64_t high = 0;

    while (s->end - at >= 8) {
        uint64_t word;
        uint64_t special;

        memcpy(&word, at, sizeof word);
        special = special_bytes(word);
        high |= word & HIGH_BITS;
        if (special != 0) {
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
            s->at = at + (__builtin_ctzll(special) >> 3);
            return high != 0;
#else
            break;
#endif
        }
        at += 8;
    }
    while (at < s->end && is_plain(*at)) {
        high |= *at & 0x80u;
        at++;
    }
    s->at = at;
    return high != 0;
}

/* The value of four hexadecimal digits, or 0, which is refused anyway. */
static unsigned hex4(const unsigned char *at)
{
    unsigned value = 0;
    int i;

    for (i = 0; i < 4; i++) {
        unsigned char byte = at[i];

        if (byte >= '0' && byte <= '9') {
            value = value << 4 | (unsigned)(byte - '0');
        } else if ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f') {
            value = value << 4 | (unsigned)((byte | 0x20) - 'a' + 10);
        } else {
            return 0;
        }
    }
    return value;
}

/* One escape, s->at on its backslash. Surrogates, also in good pairs, are left to
 * jansson. */
static bool skip_escape(scan *s)
{
    unsigned code;

    if (s->end - s->at < 2) {
        return false;
    }
    switch (s->at[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        s->at += 2;
        return true;
    case 'u':
        if (s->end - s->at < 6) {
            return false;
        }
        code = hex4(s->at + 2);
        s->at += 6;
        return code != 0 && !(code >= 0xD800 && code < 0xE000);
    default:
        return false;
    }
}

static bool is_utf8(trail_text text)
{
    size_t chars;
    size_t bad;

    return trail__text_utf8(text, &chars, &bad);
}

/* One string, s->at on its quote. *content_out is what stands between the quotes. */
static bool scan_string(scan *s, trail_text *content_out, bool *escaped_out)
{
    const unsigned char *from = s->at + 1;
    bool wide = false;

    *escaped_out = false;
    s->at = from;
    for (;;) {
        wide |= skip_plain(s);
        if (s->at == s->end) {
            return false;
        }
        if (*s->at == '"') {
            break;
        }
        if (*s->at != '\\' || !skip_escape(s)) {
            return false;
        }
        *escaped_out = true;
    }
    content_out->data = (const char *)from;
    content_out->len = (size_t)(s->at - from);
    s->at++;
    return !wide || is_utf8(*content_out);
}

static size_t skip_digits(scan *s)
{
    const unsigned char *from = s->at;

    while (s->at < s->end && *s->at >= '0' && *s->at <= '9') {
        s->at++;
    }
    return (size_t)(s->at - from);
}

static bool is_at(const scan *s, unsigned char byte)
{
    return s->at < s->end && *s->at == byte;
}

static bool scan_exponent(scan *s)
{
    size_t digits;

    s->at++;
    if (is_at(s, '+') || is_at(s, '-')) {
        s->at++;
    }
    digits = skip_digits(s);
    return digits > 0 && digits <= EXPONENT_DIGITS_MAX;
}

/* Few digits, so that no sum of them leaves int64, double or Postgres's numeric. */
static bool scan_number(scan *s)
{
    bool zero;
    size_t digits;

    if (*s->at == '-') {
        s->at++;
    }
    zero = is_at(s, '0');
    digits = skip_digits(s);
    if (digits == 0 || digits > INTEGER_DIGITS_MAX || (zero && digits > 1)) {
        return false;
    }
    if (is_at(s, '.')) {
        s->at++;
        digits = skip_digits(s);
        if (digits == 0 || digits > FRACTION_DIGITS_MAX) {
            return false;
        }
    }
    return (is_at(s, 'e') || is_at(s, 'E')) ? scan_exponent(s) : true;
}

static bool scan_word(scan *s, const char *word, size_t len)
{
    if ((size_t)(s->end - s->at) < len || memcmp(s->at, word, len) != 0) {
        return false;
    }
    s->at += len;
    return true;
}

/* Of the length and the outermost bytes; equal keys have equal hashes, that is all. */
static uint32_t key_hash(const unsigned char *data, uint32_t len)
{
    uint32_t first = 0;
    uint32_t last = 0;
    uint32_t i;

    if (len >= 4) {
        memcpy(&first, data, sizeof first);
        memcpy(&last, data + len - sizeof last, sizeof last);
    } else {
        for (i = 0; i < len; i++) {
            first = first << 8 | data[i];
        }
    }
    return (first * 0x9E3779B1u ^ last) * 0x85EBCA77u + len * 0xC2B2AE3Du;
}

static bool is_same_key(const key *a, const key *b)
{
    return a->hash == b->hash && a->len == b->len &&
           memcmp(a->data, b->data, a->len) == 0;
}

/* Add a key to the object whose keys begin at 'first'; false if it is there already, or
 * there is no room. '*seen' has a bit for each hash that came by: most keys are new at a
 * glance. */
static bool add_key(scan *s, size_t first, uint64_t *seen, trail_text text)
{
    uint64_t bit;
    size_t i;
    key *added = &s->keys[s->key_count];

    if (s->key_count == SCAN_KEYS_MAX || text.len > UINT32_MAX) {
        return false;
    }
    added->data = (const unsigned char *)text.data;
    added->len = (uint32_t)text.len;
    added->hash = key_hash(added->data, added->len);
    bit = UINT64_C(1) << (added->hash >> 26);
    if ((*seen & bit) != 0) {
        for (i = first; i < s->key_count; i++) {
            if (is_same_key(&s->keys[i], added)) {
                return false;
            }
        }
    }
    *seen |= bit;
    s->key_count++;
    return true;
}

/* An escaped key is not accepted: "a" and "\u0061" are the same key in two spellings. */
static bool scan_member(scan *s, size_t first, uint64_t *seen)
{
    trail_text text;
    bool escaped;

    return next_token(s) == '"' && scan_string(s, &text, &escaped) && !escaped &&
           add_key(s, first, seen, text) && take(s, ':') && scan_value(s);
}

static bool scan_object(scan *s)
{
    size_t first = s->key_count;
    uint64_t seen = 0;

    s->at++;
    if (take(s, '}')) {
        return true;
    }
    do {
        if (!scan_member(s, first, &seen)) {
            return false;
        }
    } while (take(s, ','));
    s->key_count = first;
    return take(s, '}');
}

static bool scan_array(scan *s)
{
    s->at++;
    if (take(s, ']')) {
        return true;
    }
    do {
        if (!scan_value(s)) {
            return false;
        }
    } while (take(s, ','));
    return take(s, ']');
}

static bool scan_brackets(scan *s, bool (*scan_content)(scan *))
{
    bool good;

    if (s->depth_left == 0) {
        return false;
    }
    s->depth_left--;
    good = scan_content(s);
    s->depth_left++;
    return good;
}

static bool scan_value(scan *s)
{
    trail_text content;
    bool escaped;

    switch (next_token(s)) {
    case '"':
        return scan_string(s, &content, &escaped);
    case '{':
        return scan_brackets(s, scan_object);
    case '[':
        return scan_brackets(s, scan_array);
    case 't':
        return scan_word(s, "true", 4);
    case 'f':
        return scan_word(s, "false", 5);
    case 'n':
        return scan_word(s, "null", 4);
    default:
        return next_token(s) != 0 && scan_number(s);
    }
}

bool trail__json_scan(trail_text json, size_t depth_max)
{
    scan s;

    if (json.data == NULL || json.len == 0) {
        return false;
    }
    s.at = (const unsigned char *)json.data;
    s.end = s.at + json.len;
    s.key_count = 0;
    s.depth_left = depth_max < SCAN_DEPTH_MAX ? depth_max : SCAN_DEPTH_MAX;
    if (!scan_value(&s)) {
        return false;
    }
    skip_space(&s);
    return s.at == s.end;
}

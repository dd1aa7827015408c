/* lua_write.c - the text that the encoder writes: strings, numbers, messages.
 * Level edge: includes trail.h, Lua's headers and C standard headers only.
 * SPDX-License-Identifier: MIT
 */
#include "lua_write.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_LEN_MAX 200

/* ---- the text ---------------------------------------------------------------------- */

void trail__lua_encoder_init(trail__lua_encoder *e, lua_State *L, const char *root,
                             unsigned depth_max, size_t len_max)
{
    e->L = L;
    e->root = root;
    e->depth_max = depth_max;
    e->len_max = len_max;
    e->misuse = false;
    e->begin = 0;
    e->len = 0;
    e->cap = sizeof e->small;
    e->data = e->small;
    lua_pushnil(L); /* the slot */
    e->slot = lua_gettop(L);
}

static void grow(trail__lua_encoder *e, size_t more)
{
    size_t cap = e->cap;
    char *data;

    while (cap - e->len < more) {
        if (cap > SIZE_MAX / 2) {
            luaL_error(e->L, "not enough memory");
        }
        cap *= 2;
    }
    data = lua_newuserdata(e->L, cap);
    memcpy(data, e->data, e->len);
    lua_replace(e->L, e->slot); /* the old memory is the collector's now */
    e->data = data;
    e->cap = cap;
}

static bool fail_long(trail__lua_encoder *e)
{
    char limit[24];

    snprintf(limit, sizeof limit, "%zu", e->len_max);
    lua_pushfstring(e->L, "%s: more than %s bytes of JSON", e->root, limit);
    return false;
}

bool trail__lua_put(trail__lua_encoder *e, const char *data, size_t len)
{
    if (len > e->len_max - (e->len - e->begin)) {
        return fail_long(e);
    }
    if (e->cap - e->len < len) {
        grow(e, len);
    }
    memcpy(e->data + e->len, data, len);
    e->len += len;
    return true;
}

/* ---- messages ---------------------------------------------------------------------- */

static bool is_name(trail_text key)
{
    size_t i;

    if (key.len == 0 || key.len > 40) {
        return false;
    }
    for (i = 0; i < key.len; i++) {
        char c = key.data[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
              (c >= '0' && c <= '9' && i > 0))) {
            return false;
        }
    }
    return true;
}

static size_t path_add(char *path, size_t len, const char *text)
{
    size_t room = PATH_LEN_MAX - len;
    int wrote = snprintf(path + len, room, "%s", text);

    return wrote < 0 || (size_t)wrote >= room ? PATH_LEN_MAX - 1 : len + (size_t)wrote;
}

static size_t path_add_key(char *path, size_t len, trail_text key)
{
    char piece[8];
    size_t i;

    len = path_add(path, len, "[\"");
    for (i = 0; i < key.len && i < 40; i++) {
        unsigned char c = (unsigned char)key.data[i];

        snprintf(piece, sizeof piece, c >= 0x20 && c < 0x7f ? "%c" : "\\x%02x", c);
        len = path_add(path, len, piece);
    }
    return path_add(path, len, i < key.len ? "...\"]" : "\"]");
}

static size_t path_add_place(char *path, size_t len, const trail__lua_place *at)
{
    char piece[48];

    if (at == NULL) {
        return len;
    }
    len = path_add_place(path, len, at->up);
    if (at->key.data == NULL) {
        snprintf(piece, sizeof piece, "[%zu]", at->index);
    } else if (is_name(at->key)) {
        snprintf(piece, sizeof piece, ".%.*s", (int)at->key.len, at->key.data);
    } else {
        return path_add_key(path, len, at->key);
    }
    return path_add(path, len, piece);
}

bool trail__lua_fail(trail__lua_encoder *e, const trail__lua_place *at, bool misuse,
                     const char *what)
{
    char path[PATH_LEN_MAX];

    path_add_place(path, path_add(path, 0, e->root), at);
    luaL_checkstack(e->L, 8, NULL);
    lua_pushfstring(e->L, "%s: %s", path, what);
    e->misuse = misuse;
    return false;
}

bool trail__lua_fail_type(trail__lua_encoder *e, const trail__lua_place *at,
                          const char *where, int type)
{
    char what[80];

    snprintf(what, sizeof what, "%sa %s has no JSON form", where,
             lua_typename(e->L, type));
    return trail__lua_fail(e, at, true, what);
}

/* ---- strings ----------------------------------------------------------------------- */

static bool is_tail(const unsigned char *p, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return false;
        }
    }
    return true;
}

/* Bytes of the UTF-8 character at p (RFC 3629), 0 if there is none. */
static size_t char_len(const unsigned char *p, size_t left)
{
    size_t len = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;

    if (p[0] >= 0x80 && (p[0] < 0xc2 || p[0] > 0xf4)) {
        return 0;
    }
    if (len > left || !is_tail(p + 1, len - 1)) {
        return 0;
    }
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90)) {
        return 0; /* overlong */
    }
    if ((p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf4 && p[1] > 0x8f)) {
        return 0; /* a surrogate, or above U+10FFFF */
    }
    return len;
}

static bool put_escape(trail__lua_encoder *e, unsigned char c)
{
    static const char named[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    char text[8];
    size_t i;

    for (i = 0; i + 1 < sizeof named; i += 2) {
        if ((unsigned char)named[i] == c) {
            text[0] = '\\';
            text[1] = named[i + 1];
            return trail__lua_put(e, text, 2);
        }
    }
    snprintf(text, sizeof text, "\\u%04x", (unsigned)c);
    return trail__lua_put(e, text, 6);
}

static bool fail_string(trail__lua_encoder *e, const trail__lua_place *at,
                        const char *what, size_t offset, size_t len)
{
    char text[96];

    snprintf(text, sizeof text, "%s at byte %zu of %zu", what, offset + 1, len);
    return trail__lua_fail(e, at, false, text);
}

/* How many bytes from p on can be copied as they are. Stops at a quote, a backslash, a
 * control character, NUL, or what is no UTF-8. */
static size_t plain_len(const unsigned char *p, size_t len)
{
    size_t i = 0;

    while (i < len) {
        size_t step;

        if (p[i] < 0x20 || p[i] == '"' || p[i] == '\\') {
            break;
        }
        step = p[i] < 0x80 ? 1 : char_len(p + i, len - i);
        if (step == 0) {
            break;
        }
        i += step;
    }
    return i;
}

bool trail__lua_put_string(trail__lua_encoder *e, trail_text text,
                           const trail__lua_place *at)
{
    const unsigned char *p = (const unsigned char *)text.data;
    size_t i = 0;

    if (text.len > e->len_max) {
        return fail_long(e);
    }
    if (!trail__lua_put(e, "\"", 1)) {
        return false;
    }
    while (i < text.len) {
        size_t plain = plain_len(p + i, text.len - i);

        if (!trail__lua_put(e, text.data + i, plain)) {
            return false;
        }
        i += plain;
        if (i == text.len) {
            break;
        }
        if (p[i] == 0) {
            return fail_string(e, at, "a NUL", i, text.len);
        }
        if (p[i] >= 0x80) {
            return fail_string(e, at, "invalid UTF-8", i, text.len);
        }
        if (!put_escape(e, p[i])) {
            return false;
        }
        i++;
    }
    return trail__lua_put(e, "\"", 1);
}

/* ---- numbers ----------------------------------------------------------------------- */

/* The host may have set a locale that writes 1,5; both calls here follow it, JSON does
 * not. */
static void print_float(double number, char *text, size_t size)
{
    int digits;
    size_t i;
    size_t kept = 0;

    for (digits = 15; digits <= 17; digits++) {
        snprintf(text, size, "%.*g", digits, number);
        if (strtod(text, NULL) == number) {
            break;
        }
    }
    for (i = 0; text[i] != '\0'; i++) {
        if (strchr("+-0123456789eE", text[i]) != NULL) {
            text[kept++] = text[i];
        } else if (kept > 0 && text[kept - 1] != '.') {
            text[kept++] = '.'; /* a decimal point of several bytes becomes one */
        }
    }
    text[kept] = '\0';
}

bool trail__lua_put_number(trail__lua_encoder *e, int index, const trail__lua_place *at)
{
    char text[64];
    int64_t integer;
    double number;

    if (trail__lua_is_integer(e->L, index)) {
        snprintf(text, sizeof text, "%" PRId64, (int64_t)lua_tointeger(e->L, index));
        return trail__lua_put(e, text, strlen(text));
    }
    number = (double)lua_tonumber(e->L, index);
    if (number != number) {
        return trail__lua_fail(e, at, false, "NaN has no JSON form");
    }
    if (number - number != 0) {
        return trail__lua_fail(e, at, false, "an infinite number has no JSON form");
    }
    if (number == 0 && 1 / number < 0) {
        return trail__lua_put(e, "-0.0", 4);
    }
    if (number >= -0x1p53 && number <= 0x1p53 &&
        trail__lua_to_int64(e->L, index, &integer)) {
        snprintf(text, sizeof text, "%" PRId64, integer);
    } else {
        print_float(number, text, sizeof text);
    }
    return trail__lua_put(e, text, strlen(text));
}

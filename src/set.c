/* set.c - sets of offsets within a segment: bitmaps that are short where they can be.
 * Level 2: may include levels 0-1. No I/O.
 * SPDX-License-Identifier: MIT
 */
#include "set.h"

#include "fault.h"

#include <assert.h>
#include <string.h>

enum {
    WORDS = TRAIL__WINDOW / 64,
    LIST_MAX = TRAIL__WINDOW / 16 /* a longer list takes more room than bits */
};

bool trail__set_init(trail__set *set, uint32_t span)
{
    assert(span > 0 && span <= TRAIL__SET_SPAN_MAX);
    set->span = span;
    set->window_count = (span + TRAIL__WINDOW - 1) / TRAIL__WINDOW;
    set->windows = trail__alloc_zero(set->window_count * sizeof set->windows[0]);
    return set->windows != NULL;
}

static void clear(trail__window *w)
{
    trail__free(w->list);
    trail__free(w->bits);
    memset(w, 0, sizeof *w);
}

void trail__set_release(trail__set *set)
{
    for (size_t i = 0; set->windows != NULL && i < set->window_count; i++) {
        clear(&set->windows[i]);
    }
    trail__free(set->windows);
    memset(set, 0, sizeof *set);
}

/* ---- one window ------------------------------------------------------------------- */

static bool has_bit(const uint64_t *bits, uint32_t offset)
{
    return (bits[offset / 64] >> (offset % 64) & 1) != 0;
}

/* A library for every processor cannot use the instruction, and the compiler would call a slow
 * function instead. */
static uint32_t count_word(uint64_t word)
{
    word -= word >> 1 & UINT64_C(0x5555555555555555);
    word = (word & UINT64_C(0x3333333333333333)) +
           (word >> 2 & UINT64_C(0x3333333333333333));
    word = (word + (word >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    return (uint32_t)(word * UINT64_C(0x0101010101010101) >> 56);
}

#if defined(__x86_64__)
__attribute__((target("popcnt"))) static uint32_t count_fast(const uint64_t *bits)
{
    uint32_t count = 0;

    for (size_t i = 0; i < WORDS; i++) {
        count += (uint32_t)__builtin_popcountll(bits[i]);
    }
    return count;
}
#endif

static uint32_t count_bits(const uint64_t *bits)
{
    uint32_t count = 0;

#if defined(__x86_64__)
    if (__builtin_cpu_supports("popcnt")) {
        return count_fast(bits);
    }
#endif
    for (size_t i = 0; i < WORDS; i++) {
        count += count_word(bits[i]);
    }
    return count;
}

/* From a list, or from nothing, to bits. */
static bool make_bits(trail__window *w)
{
    uint64_t *bits;

    if (w->bits != NULL) {
        return true;
    }
    bits = trail__alloc_zero(WORDS * sizeof bits[0]);
    if (bits == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < w->count; i++) {
        bits[w->list[i] / 64] |= UINT64_C(1) << (w->list[i] % 64);
    }
    trail__free(w->list);
    w->list = NULL;
    w->room = 0;
    w->bits = bits;
    return true;
}

static uint32_t exact_count(const trail__window *w)
{
    return w->bits == NULL || w->counted ? w->count : count_bits(w->bits);
}

static uint16_t load_u16(const uint8_t *data)
{
    return (uint16_t)(data[0] | data[1] << 8);
}

static uint64_t load_word(const uint8_t *data, size_t len)
{
    uint64_t word = 0;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (len == 8) {
        memcpy(&word, data, 8);
        return word;
    }
#endif
    for (size_t i = 0; i < len; i++) {
        word |= (uint64_t)data[i] << (8 * i);
    }
    return word;
}

/* How many offsets of the span lie in this window. */
static uint32_t window_span(const trail__set *set, size_t window)
{
    uint32_t first = (uint32_t)(window * TRAIL__WINDOW);

    return set->span - first < TRAIL__WINDOW ? set->span - first : TRAIL__WINDOW;
}

static bool is_ascending(const uint8_t *data, size_t count, uint32_t span)
{
    uint32_t next = 0;

    for (size_t i = 0; i < count; i++) {
        uint32_t offset = load_u16(data + 2 * i);

        if (offset < next || offset >= span) {
            return false;
        }
        next = offset + 1;
    }
    return true;
}

/* Behind the list that is there, if that is all below. */
static bool append_list(trail__window *w, const uint8_t *data, size_t count)
{
    if (w->count + count > w->room) {
        uint32_t room = (uint32_t)(w->count + count);
        uint16_t *list;

        room = w->count > 0 ? room + room / 2 : room;
        list = trail__realloc(w->list, room * sizeof list[0]);
        if (list == NULL) {
            return false;
        }
        w->list = list;
        w->room = room;
    }
    for (size_t i = 0; i < count; i++) {
        w->list[w->count++] = load_u16(data + 2 * i);
    }
    return true;
}

trail_status trail__set_add_list(trail__set *set, size_t window, const uint8_t *data,
                                 size_t count)
{
    trail__window *w;

    if (window >= set->window_count || count == 0 || count > TRAIL__WINDOW ||
        !is_ascending(data, count, window_span(set, window))) {
        return TRAIL_CORRUPT;
    }
    w = &set->windows[window];
    if (w->bits == NULL && w->count + count <= LIST_MAX &&
        (w->count == 0 || load_u16(data) > w->list[w->count - 1])) {
        return append_list(w, data, count) ? TRAIL_OK : TRAIL_NO_MEMORY;
    }
    if (!make_bits(w)) {
        return TRAIL_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        uint32_t offset = load_u16(data + 2 * i);

        w->bits[offset / 64] |= UINT64_C(1) << (offset % 64);
    }
    w->count += (uint32_t)count;
    w->counted = false;
    return TRAIL_OK;
}

trail_status trail__set_add_bits(trail__set *set, size_t window, const uint8_t *data,
                                 size_t len, size_t count)
{
    trail__window *w;
    uint32_t span;

    if (window >= set->window_count || len == 0 || len > TRAIL__WINDOW / 8 ||
        count == 0 || count > 8 * len) {
        return TRAIL_CORRUPT;
    }
    span = window_span(set, window);
    if (len > (span + 7) / 8 ||
        (len == (span + 7) / 8 && span % 8 != 0 && data[len - 1] >> (span % 8) != 0)) {
        return TRAIL_CORRUPT;
    }
    w = &set->windows[window];
    if (!make_bits(w)) {
        return TRAIL_NO_MEMORY;
    }
    for (size_t at = 0; at < len; at += 8) {
        w->bits[at / 8] |= load_word(data + at, len - at < 8 ? len - at : 8);
    }
    w->count += (uint32_t)count;
    w->counted = false;
    return TRAIL_OK;
}

/* The bits of one word from first to last, both within the window. */
static uint64_t word_mask(size_t word, uint32_t first, uint32_t last)
{
    uint64_t mask = UINT64_MAX;

    if (first / 64 == word) {
        mask &= UINT64_MAX << (first % 64);
    }
    if (last / 64 == word) {
        mask &= UINT64_MAX >> (63 - last % 64);
    }
    return mask;
}

bool trail__set_add_range(trail__set *set, uint32_t first, uint32_t last)
{
    if (last >= set->span) {
        last = set->span - 1;
    }
    for (size_t i = first / TRAIL__WINDOW;
         first <= last && i <= last / TRAIL__WINDOW && i < set->window_count; i++) {
        trail__window *w = &set->windows[i];
        uint32_t base = (uint32_t)(i * TRAIL__WINDOW);
        uint32_t low = first > base ? first - base : 0;
        uint32_t high = last - base < TRAIL__WINDOW ? last - base : TRAIL__WINDOW - 1;

        if (!make_bits(w)) {
            return false;
        }
        for (size_t word = low / 64; word <= high / 64; word++) {
            w->bits[word] |= word_mask(word, low, high);
        }
        w->count += high - low + 1;
        w->counted = false;
    }
    return true;
}

/* ---- two windows ------------------------------------------------------------------ */

/* Keep what the other window has, or has not. */
static void filter_list(trail__window *a, const trail__window *b, bool keep)
{
    uint32_t kept = 0;
    uint32_t at = 0;

    for (uint32_t i = 0; i < a->count; i++) {
        bool met;

        if (b->bits != NULL) {
            met = has_bit(b->bits, a->list[i]);
        } else {
            while (at < b->count && b->list[at] < a->list[i]) {
                at++;
            }
            met = at < b->count && b->list[at] == a->list[i];
        }
        if (met == keep) {
            a->list[kept++] = a->list[i];
        }
    }
    a->count = kept;
}

/* Bits and a list: what is left is at most as long as the list. */
static bool and_list(trail__window *a, const trail__window *b)
{
    uint16_t *list = trail__alloc(b->count * sizeof list[0]);
    uint32_t kept = 0;

    if (list == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < b->count; i++) {
        if (has_bit(a->bits, b->list[i])) {
            list[kept++] = b->list[i];
        }
    }
    trail__free(a->bits);
    a->bits = NULL;
    a->list = list;
    a->room = b->count;
    a->count = kept;
    return true;
}

bool trail__set_and(trail__set *a, const trail__set *b)
{
    assert(a->span == b->span);
    for (size_t i = 0; i < a->window_count; i++) {
        trail__window *left = &a->windows[i];
        const trail__window *right = &b->windows[i];

        if (left->count == 0 || right->count == 0) {
            clear(left);
        } else if (left->bits == NULL) {
            filter_list(left, right, true);
        } else if (right->bits == NULL) {
            if (!and_list(left, right)) {
                return false;
            }
        } else {
            for (size_t word = 0; word < WORDS; word++) {
                left->bits[word] &= right->bits[word];
            }
            left->counted = false;
        }
    }
    return true;
}

void trail__set_minus(trail__set *a, const trail__set *b)
{
    assert(a->span == b->span);
    for (size_t i = 0; i < a->window_count; i++) {
        trail__window *left = &a->windows[i];
        const trail__window *right = &b->windows[i];

        if (left->count == 0 || right->count == 0) {
            continue;
        }
        if (left->bits == NULL) {
            filter_list(left, right, false);
            continue;
        }
        for (uint32_t n = 0; right->bits == NULL && n < right->count; n++) {
            left->bits[right->list[n] / 64] &= ~(UINT64_C(1) << (right->list[n] % 64));
        }
        for (size_t word = 0; right->bits != NULL && word < WORDS; word++) {
            left->bits[word] &= ~right->bits[word];
        }
        left->counted = false;
    }
}

static void keep_bits(trail__window *w, uint32_t base,
                      bool (*keep)(void *context, uint32_t offset), void *context)
{
    for (uint32_t word = 0; word < WORDS; word++) {
        for (uint64_t left = w->bits[word]; left != 0; left &= left - 1) {
            uint32_t offset = word * 64 + (uint32_t)__builtin_ctzll(left);

            if (!keep(context, base + offset)) {
                w->bits[word] &= ~(UINT64_C(1) << (offset % 64));
            }
        }
    }
    w->counted = false;
}

void trail__set_keep(trail__set *set, bool (*keep)(void *context, uint32_t offset),
                     void *context)
{
    for (size_t i = 0; i < set->window_count; i++) {
        trail__window *w = &set->windows[i];
        uint32_t base = (uint32_t)(i * TRAIL__WINDOW);
        uint32_t kept = 0;

        if (w->bits != NULL) {
            keep_bits(w, base, keep, context);
            continue;
        }
        for (uint32_t n = 0; n < w->count; n++) {
            if (keep(context, base + w->list[n])) {
                w->list[kept++] = w->list[n];
            }
        }
        w->count = kept;
    }
}

/* ---- asking ----------------------------------------------------------------------- */

uint64_t trail__set_recount(trail__set *set)
{
    for (size_t i = 0; i < set->window_count; i++) {
        trail__window *w = &set->windows[i];

        w->count = exact_count(w);
        w->counted = true;
    }
    return trail__set_count(set);
}

uint64_t trail__set_count(const trail__set *set)
{
    uint64_t count = 0;

    for (size_t i = 0; i < set->window_count; i++) {
        count += exact_count(&set->windows[i]);
    }
    return count;
}

uint32_t trail__set_common_list(const trail__set *set, size_t window, const uint8_t *data,
                                size_t count)
{
    const trail__window *w;
    uint32_t common = 0;
    uint32_t at = 0;

    if (window >= set->window_count || set->windows[window].count == 0) {
        return 0;
    }
    w = &set->windows[window];
    for (size_t i = 0; i < count; i++) {
        uint16_t offset = load_u16(data + 2 * i);

        if (w->bits != NULL) {
            common += has_bit(w->bits, offset);
            continue;
        }
        while (at < w->count && w->list[at] < offset) {
            at++;
        }
        common += at < w->count && w->list[at] == offset;
    }
    return common;
}

uint32_t trail__set_common_bits(const trail__set *set, size_t window, const uint8_t *data,
                                size_t len)
{
    const trail__window *w;
    uint32_t common = 0;

    if (window >= set->window_count || set->windows[window].count == 0) {
        return 0;
    }
    w = &set->windows[window];
    for (uint32_t i = 0; w->bits == NULL && i < w->count; i++) {
        uint16_t offset = w->list[i];

        common += offset / 8 < len && (data[offset / 8] >> (offset % 8) & 1) != 0;
    }
    for (size_t at = 0; w->bits != NULL && at < len && at < TRAIL__WINDOW / 8; at += 8) {
        uint64_t word = load_word(data + at, len - at < 8 ? len - at : 8);

        common += count_word(word & w->bits[at / 8]);
    }
    return common;
}

/* How many of the list are below 'offset'. */
static uint32_t rank(const trail__window *w, uint32_t offset)
{
    uint32_t low = 0;
    uint32_t high = w->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (w->list[middle] < offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool window_up(const trail__window *w, uint32_t from, uint32_t *offset_out)
{
    if (w->bits == NULL) {
        uint32_t at = rank(w, from);

        if (at < w->count) {
            *offset_out = w->list[at];
        }
        return at < w->count;
    }
    for (size_t word = from / 64; word < WORDS; word++) {
        uint64_t bits = w->bits[word] & word_mask(word, from, TRAIL__WINDOW - 1);

        if (bits != 0) {
            *offset_out = (uint32_t)(word * 64) + (uint32_t)__builtin_ctzll(bits);
            return true;
        }
    }
    return false;
}

static bool window_down(const trail__window *w, uint32_t from, uint32_t *offset_out)
{
    if (w->bits == NULL) {
        uint32_t at = rank(w, from + 1);

        if (at > 0) {
            *offset_out = w->list[at - 1];
        }
        return at > 0;
    }
    for (size_t word = from / 64 + 1; word-- > 0;) {
        uint64_t bits = w->bits[word] & word_mask(word, 0, from);

        if (bits != 0) {
            *offset_out = (uint32_t)(word * 64) + 63 - (uint32_t)__builtin_clzll(bits);
            return true;
        }
    }
    return false;
}

bool trail__set_up(const trail__set *set, uint32_t from, uint32_t *offset_out)
{
    uint32_t inside = from % TRAIL__WINDOW;

    for (size_t i = from / TRAIL__WINDOW; i < set->window_count; i++) {
        if (set->windows[i].count > 0 &&
            window_up(&set->windows[i], inside, offset_out)) {
            *offset_out += (uint32_t)(i * TRAIL__WINDOW);
            return true;
        }
        inside = 0;
    }
    return false;
}

bool trail__set_down(const trail__set *set, uint32_t from, uint32_t *offset_out)
{
    uint32_t inside = from % TRAIL__WINDOW;

    for (size_t i = from / TRAIL__WINDOW + 1; i-- > 0;) {
        if (i < set->window_count && set->windows[i].count > 0 &&
            window_down(&set->windows[i], inside, offset_out)) {
            *offset_out += (uint32_t)(i * TRAIL__WINDOW);
            return true;
        }
        inside = TRAIL__WINDOW - 1;
    }
    return false;
}

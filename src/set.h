/* set.h - sets of offsets within a segment: bitmaps that are short where they can be.
 * Level 2: may include levels 0-1. No I/O.
 * SPDX-License-Identifier: MIT
 *
 * A set is cut into windows of 65,536 offsets; a window is an ascending list of 16-bit numbers,
 * or a bitmap once that is shorter. The same two forms are stored, so nothing is converted on the
 * way in. What comes from a file is checked as it is added: a set never trusts it.
 */
#ifndef TRAIL_SET_H
#define TRAIL_SET_H

#include "trail.h"

#define TRAIL__WINDOW 65536
#define TRAIL__SET_SPAN_MAX (UINT32_C(1) << 24)

typedef struct trail__window {
    uint32_t count; /* offsets in it; of bits: 0 if there are surely none */
    uint32_t room;  /* of the list */
    bool counted;   /* of bits: count is exact */
    uint16_t *list; /* ascending; NULL if there are bits */
    uint64_t *bits; /* TRAIL__WINDOW of them; NULL if there is a list */
} trail__window;

typedef struct trail__set {
    uint32_t span; /* offsets 0 to span - 1 */
    size_t window_count;
    trail__window *windows;
} trail__set;

/* False: no memory. That holds for every bool below that says nothing else. */
bool trail__set_init(trail__set *set, uint32_t span);
void trail__set_release(trail__set *set); /* all zero is fine */

/* Add a window as it is stored: 'count' numbers of 16 bits, least significant byte first,
 * ascending; or a bitmap of 'len' bytes, bit 0 of byte 0 first. TRAIL_CORRUPT without a message:
 * it is no such thing, or lies beyond the span. TRAIL_NO_MEMORY. */
trail_status trail__set_add_list(trail__set *set, size_t window, const uint8_t *data,
                                 size_t count);
trail_status trail__set_add_bits(trail__set *set, size_t window, const uint8_t *data,
                                 size_t len, size_t count);

/* Both inclusive; empty if first > last. */
bool trail__set_add_range(trail__set *set, uint32_t first, uint32_t last);

/* a becomes what is in both; in a but not in b. Both of one span. */
bool trail__set_and(trail__set *a, const trail__set *b);
void trail__set_minus(trail__set *a, const trail__set *b);

/* Keep the offsets for which 'keep' is true; it is asked in ascending order. */
void trail__set_keep(trail__set *set, bool (*keep)(void *context, uint32_t offset),
                     void *context);

uint64_t trail__set_count(const trail__set *set);
uint64_t trail__set_recount(trail__set *set); /* so that asking again costs nothing */

/* How many of a stored window (see trail__set_add_list, _bits) are in the set. */
uint32_t trail__set_common_list(const trail__set *set, size_t window, const uint8_t *data,
                                size_t count);
uint32_t trail__set_common_bits(const trail__set *set, size_t window, const uint8_t *data,
                                size_t len);

/* The first offset at or above, the last at or below 'from'. False: there is none. */
bool trail__set_up(const trail__set *set, uint32_t from, uint32_t *offset_out);
bool trail__set_down(const trail__set *set, uint32_t from, uint32_t *offset_out);

#endif

/* term_table.h - a number for each term met: 0, 1, 2 ... in the order of their coming.
 * Level 2: may include levels 0-1. No I/O.
 * SPDX-License-Identifier: MIT
 */
#ifndef TRAIL_TERM_TABLE_H
#define TRAIL_TERM_TABLE_H

#include "trail.h"

typedef struct trail__term_row {
    uint64_t order; /* field and first bytes: sorts most terms without looking further */
    uint64_t hash;
    size_t at; /* its bytes, in the table's text */
    uint32_t len;
    unsigned field;
} trail__term_row;

typedef struct trail__term_table {
    uint64_t seed;
    uint32_t *slots; /* number of a term plus one */
    size_t slot_count;
    trail__term_row *rows;
    size_t count;
    size_t row_room;
    char *text;
    size_t text_len;
    size_t text_room;
} trail__term_table;

trail_status trail__term_table_init(trail__term_table *table, trail_error *err);
void trail__term_table_release(trail__term_table *table); /* all zero is fine */

/* Forget the terms; the memory is kept. */
void trail__term_table_reset(trail__term_table *table);

/* The number of a term; a new one if it is new. False: no memory. */
bool trail__term_table_find(trail__term_table *table, unsigned field, trail_text term,
                            uint32_t *number_out);
trail_text trail__term_table_text(const trail__term_table *table, uint32_t number);

/* By field, then by bytes: -1, 0, 1. */
int trail__term_table_compare(const trail__term_table *table, uint32_t a, uint32_t b);

/* A hash with a key: who does not know it cannot choose terms that fall on one another. */
uint64_t trail__term_hash(uint64_t key, unsigned field, trail_text term);
uint64_t trail__mix(uint64_t a, uint64_t b);

/* Room for 'needed' things of 'size' bytes in *(void **)array. False: no memory. */
bool trail__reserve(void *array, size_t *room, size_t needed, size_t size);

#endif

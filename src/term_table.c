/* term_table.c - a number for each term met: 0, 1, 2 ... in the order of their coming.
 * Level 2: may include levels 0-1. No I/O.
 * SPDX-License-Identifier: MIT
 */
#include "term_table.h"

#include "error.h"
#include "fault.h"
#include "hash.h"

#include <string.h>

enum { SLOTS_FIRST = 32768, FREE_SLOT = 0 };

trail_status trail__term_table_init(trail__term_table *table, trail_error *err)
{
    memset(table, 0, sizeof *table);
    table->slot_count = SLOTS_FIRST;
    table->slots = trail__alloc_zero(SLOTS_FIRST * sizeof table->slots[0]);
    if (table->slots == NULL) {
        return trail__error(err, TRAIL_NO_MEMORY, "no memory for a table of terms");
    }
    /* Random, so that nobody can choose terms that fall on one another. */
    return trail__random((uint8_t *)&table->seed, sizeof table->seed, err);
}

void trail__term_table_release(trail__term_table *table)
{
    trail__free(table->slots);
    trail__free(table->rows);
    trail__free(table->text);
    memset(table, 0, sizeof *table);
}

void trail__term_table_reset(trail__term_table *table)
{
    memset(table->slots, 0, table->slot_count * sizeof table->slots[0]);
    table->count = 0;
    table->text_len = 0;
}

bool trail__reserve(void *array, size_t *room, size_t needed, size_t size)
{
    size_t wanted = needed + needed / 2 + 1024;
    void *grown;

    if (needed <= *room) {
        return true;
    }
    memcpy(&grown, array, sizeof grown);
    grown = trail__realloc(grown, wanted * size);
    if (grown == NULL) {
        return false;
    }
    memcpy(array, &grown, sizeof grown);
    *room = wanted;
    return true;
}

uint64_t trail__mix(uint64_t a, uint64_t b)
{
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t trail__term_hash(uint64_t key, unsigned field, trail_text term)
{
    uint64_t hash = key ^ field;
    size_t at = 0;
    uint64_t word;

    for (; at + 8 <= term.len; at += 8) {
        memcpy(&word, term.data + at, 8);
        hash = trail__mix(hash ^ word, UINT64_C(0x9e3779b97f4a7c15));
    }
    word = 0;
    memcpy(&word, term.data + at, term.len - at);
    return trail__mix(hash ^ word, UINT64_C(0xd6e8feb86659fd93) ^ term.len);
}

static void insert(trail__term_table *table, uint32_t number)
{
    size_t slot = table->rows[number].hash & (table->slot_count - 1);

    while (table->slots[slot] != FREE_SLOT) {
        slot = (slot + 1) & (table->slot_count - 1);
    }
    table->slots[slot] = number + 1;
}

static bool widen(trail__term_table *table)
{
    size_t count = table->slot_count * 2;
    uint32_t *slots = trail__alloc_zero(count * sizeof slots[0]);

    if (slots == NULL) {
        return false;
    }
    trail__free(table->slots);
    table->slots = slots;
    table->slot_count = count;
    for (uint32_t i = 0; i < table->count; i++) {
        insert(table, i);
    }
    return true;
}

static uint64_t order_of(unsigned field, trail_text text)
{
    uint64_t order = (uint64_t)field << 56;

    for (size_t i = 0; i < 7 && i < text.len; i++) {
        order |= (uint64_t)(uint8_t)text.data[i] << (48 - 8 * i);
    }
    return order;
}

static bool add(trail__term_table *table, unsigned field, trail_text text, uint64_t hash)
{
    if (table->count == UINT32_MAX - 1 ||
        (table->count * 2 >= table->slot_count && !widen(table)) ||
        !trail__reserve(&table->rows, &table->row_room, table->count + 1,
                        sizeof table->rows[0]) ||
        !trail__reserve(&table->text, &table->text_room, table->text_len + text.len, 1)) {
        return false;
    }
    table->rows[table->count] = (trail__term_row){ .order = order_of(field, text),
                                                   .hash = hash,
                                                   .at = table->text_len,
                                                   .len = (uint32_t)text.len,
                                                   .field = field };
    memcpy(table->text + table->text_len, text.data, text.len);
    table->text_len += text.len;
    insert(table, (uint32_t)table->count++);
    return true;
}

bool trail__term_table_find(trail__term_table *table, unsigned field, trail_text term,
                            uint32_t *number_out)
{
    uint64_t hash = trail__term_hash(table->seed, field, term);
    size_t slot = hash & (table->slot_count - 1);

    for (; table->slots[slot] != FREE_SLOT; slot = (slot + 1) & (table->slot_count - 1)) {
        const trail__term_row *row = &table->rows[table->slots[slot] - 1];

        if (row->hash == hash && row->field == field && row->len == term.len &&
            memcmp(table->text + row->at, term.data, term.len) == 0) {
            *number_out = table->slots[slot] - 1;
            return true;
        }
    }
    *number_out = (uint32_t)table->count;
    return add(table, field, term, hash);
}

trail_text trail__term_table_text(const trail__term_table *table, uint32_t number)
{
    const trail__term_row *row = &table->rows[number];

    return (trail_text){ table->text + row->at, row->len };
}

int trail__term_table_compare(const trail__term_table *table, uint32_t a, uint32_t b)
{
    const trail__term_row *left = &table->rows[a];
    const trail__term_row *right = &table->rows[b];
    size_t len = left->len < right->len ? left->len : right->len;
    int order;

    if (left->order != right->order) {
        return left->order < right->order ? -1 : 1;
    }
    order = memcmp(table->text + left->at, table->text + right->at, len);
    return order != 0 ? (order < 0 ? -1 : 1)
                      : (left->len > right->len) - (left->len < right->len);
}

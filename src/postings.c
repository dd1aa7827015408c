/* postings.c - step through the postings of one segment, from a term on.
 * Level 5: may include levels 0-4, index.
 * SPDX-License-Identifier: MIT
 */
#include "postings.h"

#include "error.h"
#include "fault.h"

#include <string.h>

trail_status trail__postings_damaged(trail_error *err)
{
    return trail__error(err, TRAIL_CORRUPT,
                        "the index is damaged; trail reindex mends it");
}

int trail__term_compare(unsigned field, trail_text term, unsigned other_field,
                        trail_text other)
{
    size_t len = term.len < other.len ? term.len : other.len;
    int order;

    if (field != other_field) {
        return field < other_field ? -1 : 1;
    }
    order = len > 0 ? memcmp(term.data, other.data, len) : 0;
    return order != 0 ? (order < 0 ? -1 : 1)
                      : (term.len > other.len) - (term.len < other.len);
}

static trail_text text_of_key(const trail__block_key *key)
{
    return (trail_text){ (const char *)key->bytes, key->len };
}

/* The block under the cursor, if it is of this segment and has terms. */
static trail_status open_block(trail__postings *p, trail_text key, trail_text block,
                               trail_error *err)
{
    uint64_t segment;

    if (!trail__block_key_read(key, &segment, &p->field)) {
        return trail__postings_damaged(err);
    }
    if (segment != p->segment) {
        return TRAIL_NOT_FOUND;
    }
    if (p->copy != NULL) {
        if (block.len > TRAIL__BLOCK_LEN_MAX) {
            return trail__postings_damaged(err);
        }
        memcpy(p->copy, block.data, block.len);
        block.data = (const char *)p->copy;
    }
    trail__block_open(&p->reader, block);
    return TRAIL_OK;
}

/* A term begins in the last block whose key is below its own, or in the next one. */
static trail_status place(trail__postings *p, const trail__block_key *wanted,
                          trail_error *err)
{
    trail_text key = text_of_key(wanted);
    trail_text block;
    uint64_t segment;
    unsigned field;
    trail_status status =
        trail__kv_cursor_move(&p->cursor, TRAIL__KV_AT_OR_AFTER, &key, &block, err);
    trail__kv_move back = status == TRAIL_OK ? TRAIL__KV_PREVIOUS : TRAIL__KV_LAST;

    if (status != TRAIL_OK && status != TRAIL_NOT_FOUND) {
        return status;
    }
    status = trail__kv_cursor_move(&p->cursor, back, &key, &block, err);
    if (status == TRAIL_OK && trail__block_key_read(key, &segment, &field) &&
        segment == p->segment && field == wanted->bytes[8]) {
        return open_block(p, key, block, err);
    }
    if (status == TRAIL_OK) {
        status = trail__kv_cursor_move(&p->cursor, TRAIL__KV_NEXT, &key, &block, err);
    } else if (status == TRAIL_NOT_FOUND) {
        key = text_of_key(wanted);
        status =
            trail__kv_cursor_move(&p->cursor, TRAIL__KV_AT_OR_AFTER, &key, &block, err);
    }
    return status == TRAIL_OK ? open_block(p, key, block, err) : status;
}

trail_status trail__postings_open(trail__postings *p, const trail__kv_txn *txn,
                                  uint64_t segment, unsigned field, trail_text term,
                                  trail_error *err)
{
    trail__block_key key;
    trail_status status;

    memset(p, 0, offsetof(trail__postings, reader));
    p->txn = txn;
    p->segment = segment;
    if (txn->writes) {
        p->copy = trail__alloc(TRAIL__BLOCK_LEN_MAX);
        if (p->copy == NULL) {
            return trail__error(err, TRAIL_NO_MEMORY, "no memory to read the index");
        }
    }
    status = trail__kv_cursor_open(txn, TRAIL__KV_BLOCKS, &p->cursor, err);
    if (status == TRAIL_OK) {
        trail__block_key_term(&key, segment, field, term);
        status = place(p, &key, err);
    }
    if (status == TRAIL_NOT_FOUND) { /* an empty block: nothing is there */
        trail__block_open(&p->reader, (trail_text){ "", 0 });
        p->segment = 0;
        status = TRAIL_OK;
    }
    while (status == TRAIL_OK && p->segment != 0) {
        status = trail__postings_next(p, err);
        if (status == TRAIL_OK &&
            trail__term_compare(p->field, p->term, field, term) >= 0) {
            p->fresh = true; /* the next call gives this one */
            break;
        }
    }
    if (status == TRAIL_NOT_FOUND) {
        p->segment = 0;
        status = TRAIL_OK;
    }
    if (status != TRAIL_OK) {
        trail__postings_close(p);
    }
    return status;
}

void trail__postings_close(trail__postings *p)
{
    trail__kv_cursor_close(&p->cursor);
    trail__free(p->copy);
    p->copy = NULL;
}

trail_status trail__postings_next(trail__postings *p, trail_error *err)
{
    trail_status status;

    if (p->fresh) {
        p->fresh = false;
        return TRAIL_OK;
    }
    if (p->segment == 0) {
        return TRAIL_NOT_FOUND;
    }
    do {
        trail_text key;
        trail_text block;

        status = trail__block_next(&p->reader, &p->term, &p->posting);
        if (status == TRAIL_OK) {
            return TRAIL_OK;
        }
        if (status == TRAIL_CORRUPT) {
            return trail__postings_damaged(err);
        }
        status = trail__kv_cursor_move(&p->cursor, TRAIL__KV_NEXT, &key, &block, err);
        if (status == TRAIL_OK) {
            status = open_block(p, key, block, err);
        }
    } while (status == TRAIL_OK);
    return status;
}

trail_status trail__postings_times(const trail__kv_txn *txn, uint64_t segment,
                                   uint32_t offset, uint32_t *first_out,
                                   trail__times *times_out, trail_error *err)
{
    trail__kv_cursor cursor;
    trail__block_key wanted;
    trail_text key;
    trail_text chunk;
    uint64_t found;
    unsigned field;
    trail_status status = trail__kv_cursor_open(txn, TRAIL__KV_BLOCKS, &cursor, err);

    if (status != TRAIL_OK) {
        return status;
    }
    trail__block_key_time(&wanted, segment, offset + 1);
    key = text_of_key(&wanted);
    status = trail__kv_cursor_move(&cursor, TRAIL__KV_AT_OR_AFTER, &key, &chunk, err);
    if (status == TRAIL_OK || status == TRAIL_NOT_FOUND) {
        status = trail__kv_cursor_move(
            &cursor, status == TRAIL_OK ? TRAIL__KV_PREVIOUS : TRAIL__KV_LAST, &key,
            &chunk, err);
    }
    if (status == TRAIL_NOT_FOUND ||
        (status == TRAIL_OK &&
         (!trail__block_key_read(key, &found, &field) || found != segment || field != 0 ||
          !trail__block_key_offset(key, first_out) ||
          !trail__times_open(times_out, chunk) || *first_out > offset ||
          offset - *first_out >= times_out->count))) {
        status = trail__postings_damaged(err);
    }
    trail__kv_cursor_close(&cursor);
    return status;
}

/* log_find.c - where the event with a given id is.
 * Level 4: may include levels 0-3, log.
 * SPDX-License-Identifier: MIT
 */
#include "log_find.h"

#include "bytes.h"
#include "error.h"
#include "uuid.h"

#include <string.h>

enum { SEQ_STEP = 4096 }; /* an engine's id holds 12 bits of seq */

static trail_status find_in_table(const trail__kv_txn *txn,
                                  const uint8_t id[TRAIL_ID_LEN], uint64_t *seq_out,
                                  trail_error *err)
{
    trail_text key = { .data = (const char *)id, .len = TRAIL_ID_LEN };
    trail_text value;
    trail_status status = trail__kv_get(txn, TRAIL__KV_IDS, key, &value, err);

    if (status != TRAIL_OK) {
        return status;
    }
    if (value.len != 8) {
        return trail__error(err, TRAIL_CORRUPT,
                            "the table of ids holds a row of %zu bytes", value.len);
    }
    *seq_out = trail__load_u64((const uint8_t *)value.data);
    return TRAIL_OK;
}

static trail_status recorded_at(const trail__kv_txn *txn, uint64_t seq,
                                int64_t *time_us_out, trail_error *err)
{
    trail_text stored;
    uint64_t stored_seq;
    trail_status status = trail__log_stored(txn, seq, &stored, err);

    if (status == TRAIL_NOT_FOUND) {
        return trail__error(err, TRAIL_CORRUPT, "entry %llu is missing",
                            (unsigned long long)seq);
    }
    if (status == TRAIL_OK && !trail__stored_peek(stored, &stored_seq, time_us_out)) {
        return trail__error(err, TRAIL_CORRUPT, "entry %llu cannot be read",
                            (unsigned long long)seq);
    }
    return status;
}

/* The first seq in 1 .. seq_last + 1 that was recorded at or after a time. */
static trail_status first_at(const trail__kv_txn *txn, uint64_t seq_last, int64_t time_us,
                             uint64_t *seq_out, trail_error *err)
{
    uint64_t low = 1;
    uint64_t high = seq_last + 1;

    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        int64_t at_us = 0;
        trail_status status = recorded_at(txn, middle, &at_us, err);

        if (status != TRAIL_OK) {
            return status;
        }
        if (at_us < time_us) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *seq_out = low;
    return TRAIL_OK;
}

static trail_status has_id(const trail__kv_txn *txn, uint64_t seq,
                           const uint8_t id[TRAIL_ID_LEN], bool *has_out,
                           trail_error *err)
{
    trail_text stored;
    trail_record record;
    const char *wrong;
    trail_status status = trail__log_stored(txn, seq, &stored, err);

    if (status != TRAIL_OK) {
        return status;
    }
    wrong = trail__stored_read(stored, &record, NULL);
    if (wrong != NULL) {
        return trail__error(err, TRAIL_CORRUPT, "entry %llu: %s", (unsigned long long)seq,
                            wrong);
    }
    *has_out = memcmp(record.event.id, id, TRAIL_ID_LEN) == 0;
    return TRAIL_OK;
}

static trail_status find_made(const trail__kv_txn *txn, uint64_t seq_last, int64_t ms,
                              uint64_t seq_low, const uint8_t id[TRAIL_ID_LEN],
                              uint64_t *seq_out, trail_error *err)
{
    uint64_t seq;
    uint64_t seq_after;
    trail_status status = first_at(txn, seq_last, ms * 1000, &seq, err);

    if (status == TRAIL_OK) {
        status = first_at(txn, seq_last, (ms + 1) * 1000, &seq_after, err);
    }
    if (status != TRAIL_OK) {
        return status;
    }
    seq += (seq_low - seq) & (SEQ_STEP - 1); /* the first one with these low bits */
    for (; seq < seq_after; seq += SEQ_STEP) {
        bool has = false;

        status = has_id(txn, seq, id, &has, err);
        if (status != TRAIL_OK) {
            return status;
        }
        if (has) {
            *seq_out = seq;
            return TRAIL_OK;
        }
    }
    return TRAIL_NOT_FOUND;
}

trail_status trail__log_find(const trail__kv_txn *txn, uint64_t seq_last,
                             const uint8_t id[TRAIL_ID_LEN], uint64_t *seq_out,
                             trail_error *err)
{
    int64_t ms;
    uint64_t seq_low;
    bool has = false;
    trail_status status = find_in_table(txn, id, seq_out, err);

    if (status == TRAIL_OK && *seq_out > seq_last) {
        return TRAIL_NOT_FOUND; /* appended after the snapshot that the caller looks at */
    }
    if (status == TRAIL_OK) {
        status = has_id(txn, *seq_out, id, &has, err);
        if (status == TRAIL_NOT_FOUND || (status == TRAIL_OK && !has)) {
            return trail__error(err, TRAIL_CORRUPT,
                                "the table of ids leads to entry %llu, which has another "
                                "id; run verify",
                                (unsigned long long)*seq_out);
        }
        return status;
    }
    if (status != TRAIL_NOT_FOUND || !trail__uuid_hint(id, &ms, &seq_low)) {
        return status;
    }
    return find_made(txn, seq_last, ms, seq_low, id, seq_out, err);
}

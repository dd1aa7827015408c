/* verify_entries.c - check entries one after the other, each against the one before it.
 * Level 6: may include levels 0-5, report, compare.
 * SPDX-License-Identifier: MIT
 *
 * In the order of seq, so that the first fault is the first bad place: is the entry there, can
 * it be taken apart, does it give its event_hash, do its parts give the hashes it holds, does
 * it stand at its own seq, does it hold the event_hash of the one before, is its id where it
 * can be found.
 */
#include "verify_entries.h"

#include "bytes.h"
#include "chain.h"
#include "error.h"
#include "report.h"
#include "uuid.h"

#include <inttypes.h>
#include <string.h>

/* Bytes per read transaction: a long one would keep old pages alive. */
enum { CHUNK_LEN = 32 << 20 };

/* Two values within one stretch of this length are of one leaf of the tree. */
enum { PAGE_LEN = 4096 };

typedef struct hex {
    char text[2 * TRAIL_HASH_LEN + 1];
} hex;

static const char *show(hex *room, const uint8_t hash[TRAIL_HASH_LEN])
{
    trail__hex(hash, TRAIL_HASH_LEN, room->text);
    return room->text;
}

static bool found_fault(const trail__checker *c)
{
    return c->stretch->report.fault != TRAIL_FAULT_NONE;
}

static uint64_t next_seq(const trail__checker *c)
{
    return c->stretch->right.seq + 1;
}

/* The parts against the commitments that the entry holds. */
static bool check_parts(trail__checker *c, uint64_t seq, const trail_record *record,
                        const trail__commitments *commitments)
{
    uint8_t hash[TRAIL_HASH_LEN];

    if (!trail__who_hash(&c->hasher, record->who, hash)) {
        return false;
    }
    if (memcmp(hash, commitments->who_hash, TRAIL_HASH_LEN) != 0) {
        trail__report_fault(&c->stretch->report, TRAIL_FAULT_ALTERED_PART, seq,
                            "entry %" PRIu64
                            ": the who part (user_id, ip_address, user_agent) "
                            "is not what the entry committed to",
                            seq);
        return true;
    }
    if (commitments->details_hash == NULL) {
        return true;
    }
    if (!trail__details_hash(&c->hasher, record->details, hash)) {
        return false;
    }
    if (memcmp(hash, commitments->details_hash, TRAIL_HASH_LEN) != 0) {
        trail__report_fault(&c->stretch->report, TRAIL_FAULT_ALTERED_PART, seq,
                            "entry %" PRIu64
                            ": the details part (details, result_error) is not "
                            "what the entry committed to",
                            seq);
    }
    return true;
}

static void check_link(trail__checker *c, uint64_t seq, const trail_record *record)
{
    hex held;
    hex computed;

    if (record->seq != seq) {
        trail__report_fault(&c->stretch->report, TRAIL_FAULT_REORDERED, seq,
                            "the entry at seq %" PRIu64 " says it is seq %" PRIu64, seq,
                            record->seq);
        return;
    }
    if (memcmp(record->previous_hash, c->stretch->right.event_hash, TRAIL_HASH_LEN) !=
        0) {
        trail__report_fault(&c->stretch->report, TRAIL_FAULT_BROKEN_LINK, seq,
                            "entry %" PRIu64 ": previous_hash is %s, but %s is %s", seq,
                            show(&held, record->previous_hash),
                            seq == 1 ? "the genesis hash" : "the event_hash before it",
                            show(&computed, c->stretch->right.event_hash));
        return;
    }
    if (record->recorded_at_us < c->stretch->right.recorded_at_us) {
        trail__report_fault(
            &c->stretch->report, TRAIL_FAULT_ALTERED_ENTRY, seq,
            "entry %" PRIu64 ": recorded_at goes back by %" PRId64 " microseconds", seq,
            c->stretch->right.recorded_at_us - record->recorded_at_us);
    }
}

/* An id that came from a caller must be found in the table of ids. */
static trail_status check_id(trail__checker *c, uint64_t seq, const trail_record *record,
                             trail_error *err)
{
    trail_text key = { .data = (const char *)record->event.id, .len = TRAIL_ID_LEN };
    trail_text value = { NULL, 0 };
    trail_status status;

    if (trail__uuid_made_for(record->event.id, record->recorded_at_us, seq)) {
        return TRAIL_OK;
    }
    c->stretch->foreign_ids++;
    status = trail__kv_get(&c->txn, TRAIL__KV_IDS, key, &value, err);
    if (status == TRAIL_OK && value.len == 8 &&
        trail__load_u64((const uint8_t *)value.data) == seq) {
        return TRAIL_OK;
    }
    if (status == TRAIL_OK || status == TRAIL_NOT_FOUND) {
        trail__report_fault(&c->stretch->report, TRAIL_FAULT_IDS, seq,
                            "entry %" PRIu64 ": the table of ids %s", seq,
                            status == TRAIL_OK ? "says its id is elsewhere"
                                               : "does not know its id");
        status = TRAIL_OK;
    }
    return status;
}

static void check_expected(trail__checker *c, uint64_t seq,
                           const uint8_t hash[TRAIL_HASH_LEN])
{
    hex expected;
    hex found;

    if (c->options->expect_seq != seq) {
        return;
    }
    c->stretch->report.head_expected = true;
    if (memcmp(hash, c->options->expect_hash, TRAIL_HASH_LEN) != 0) {
        trail__report_fault(
            &c->stretch->report, TRAIL_FAULT_HEAD, seq,
            "entry %" PRIu64 " has event_hash %s, expected was %s: the chain was "
            "written anew",
            seq, show(&found, hash), show(&expected, c->options->expect_hash));
    }
}

static void set_right(trail__checker *c, const trail_record *record)
{
    trail_head *right = &c->stretch->right;

    right->seq = record->seq;
    right->recorded_at_us = record->recorded_at_us;
    memcpy(right->event_hash, record->event_hash, TRAIL_HASH_LEN);
    if (c->good != NULL) {
        *c->good = record->seq;
    }
}

static trail_status check_entry(trail__checker *c, uint64_t seq, trail_text stored,
                                trail_error *err)
{
    trail_record record;
    trail__commitments commitments;
    uint8_t hash[TRAIL_HASH_LEN];
    trail_status status = TRAIL_OK;
    const char *wrong = trail__stored_read(stored, &record, &commitments);
    hex held;
    hex computed;

    if (wrong != NULL) {
        trail__report_fault(&c->stretch->report, TRAIL_FAULT_ALTERED_ENTRY, seq,
                            "entry %" PRIu64 ": %s", seq, wrong);
        return TRAIL_OK;
    }
    if (!trail__chain_hash(&c->hasher, record.entry, hash)) {
        return trail__hash_failed(err);
    }
    if (memcmp(hash, record.event_hash, TRAIL_HASH_LEN) != 0) {
        trail__report_fault(&c->stretch->report, TRAIL_FAULT_ALTERED_ENTRY, seq,
                            "entry %" PRIu64 ": event_hash is %s, computed %s", seq,
                            show(&held, record.event_hash), show(&computed, hash));
        return TRAIL_OK;
    }
    if (!check_parts(c, seq, &record, &commitments)) {
        return trail__hash_failed(err);
    }
    check_link(c, seq, &record);
    if (!found_fault(c)) {
        status = check_id(c, seq, &record, err);
    }
    check_expected(c, seq, hash);
    if (status == TRAIL_OK && !found_fault(c)) {
        set_right(c, &record);
        if (c->compare != NULL) {
            status = trail__compare_add(c->compare, &record, &c->stretch->sums, err);
        }
    }
    return status;
}

static void report_missing(trail__checker *c, uint64_t seq_found)
{
    uint64_t seq = next_seq(c);

    if (seq_found > 0) {
        trail__report_fault(&c->stretch->report, TRAIL_FAULT_MISSING, seq,
                            "entry %" PRIu64 " is missing: behind %" PRIu64
                            " comes %" PRIu64,
                            seq, seq - 1, seq_found);
    } else {
        trail__report_fault(&c->stretch->report, TRAIL_FAULT_MISSING, seq,
                            "entry %" PRIu64 " is missing: the entries end at %" PRIu64
                            ", the head says %" PRIu64,
                            seq, seq - 1, c->head_seq);
    }
}

static trail_status check_found(trail__checker *c, uint64_t seq, const char *stored,
                                trail_error *err)
{
    trail_text found = { NULL, 0 };
    trail_status status = trail__log_stored(&c->txn, seq, &found, err);

    if (status == TRAIL_NOT_FOUND ||
        (status == TRAIL_OK && stored != NULL && found.data != stored)) {
        trail__report_fault(
            &c->stretch->report, TRAIL_FAULT_UNREADABLE, next_seq(c),
            "entry %" PRIu64 " is there, but the tree does not lead to it", seq);
        status = TRAIL_OK;
    }
    return status;
}

/* Walking along the pages does not see the keys that lead to them. So where a page begins, its
 * first entry and the one before it are also looked up. */
static trail_status check_border(trail__checker *c, uint64_t seq, const char *stored,
                                 trail_error *err)
{
    const char *before = c->stored_before;
    trail_status status = TRAIL_OK;

    c->stored_before = stored;
    if (before != NULL && (uintptr_t)before / PAGE_LEN == (uintptr_t)stored / PAGE_LEN) {
        return TRAIL_OK;
    }
    status = check_found(c, seq, stored, err);
    if (status == TRAIL_OK && seq > 1) {
        status = check_found(c, seq - 1, before, err);
    }
    return status;
}

static trail_status check_at(trail__checker *c, trail_text key, trail_text stored,
                             trail_error *err)
{
    trail_status status;
    uint64_t seq;

    if (key.len != 8) {
        trail__report_fault(&c->stretch->report, TRAIL_FAULT_ALTERED_ENTRY, next_seq(c),
                            "behind entry %" PRIu64 " stands a key of %zu bytes",
                            next_seq(c) - 1, key.len);
        return TRAIL_OK;
    }
    seq = trail__load_u64((const uint8_t *)key.data);
    if (seq > next_seq(c)) {
        report_missing(c, seq);
        return TRAIL_OK;
    }
    if (seq < next_seq(c)) {
        trail__report_fault(&c->stretch->report, TRAIL_FAULT_UNREADABLE, next_seq(c),
                            "behind entry %" PRIu64 " the tree leads back to %" PRIu64,
                            next_seq(c) - 1, seq);
        return TRAIL_OK;
    }
    status = check_border(c, seq, stored.data, err);
    return status == TRAIL_OK && !found_fault(c) ? check_entry(c, seq, stored, err)
                                                 : status;
}

/* Step to the row behind the last one found right: from there, so that no row between the two is
 * left out. */
static trail_status step_on(trail__checker *c, trail__kv_cursor *cursor, trail_text *key,
                            trail_text *stored, trail_error *err)
{
    uint64_t seq = c->stretch->right.seq;
    trail__seq_key seq_key;
    trail_status status;

    *key = trail__seq_key_of(&seq_key, seq > 0 ? seq : 1);
    status = trail__kv_cursor_move(cursor, TRAIL__KV_AT_OR_AFTER, key, stored, err);
    if (status == TRAIL_OK && key->len == 8 &&
        trail__load_u64((const uint8_t *)key->data) == seq) {
        c->stored_before = stored->data;
        status = trail__kv_cursor_move(cursor, TRAIL__KV_NEXT, key, stored, err);
    }
    return status;
}

static trail_status check_rows(trail__checker *c, trail__kv_cursor *cursor,
                               trail_error *err)
{
    trail_text key;
    trail_text stored;
    trail_status status = step_on(c, cursor, &key, &stored, err);
    size_t len = 0;

    while (status == TRAIL_OK) {
        len += stored.len;
        status = check_at(c, key, stored, err);
        if (status != TRAIL_OK || len >= CHUNK_LEN || trail__stretch_ended(c->stretch)) {
            return status;
        }
        status = trail__kv_cursor_move(cursor, TRAIL__KV_NEXT, &key, &stored, err);
    }
    if (status == TRAIL_NOT_FOUND) {
        report_missing(c, 0);
        status = TRAIL_OK;
    }
    return status;
}

trail_status trail__stretch_check(trail__checker *c, trail__stretch *stretch,
                                  trail_error *err)
{
    trail__kv_cursor cursor = { NULL };
    trail_status status = trail__kv_begin_read(c->log->kv, &c->txn, err);

    if (status != TRAIL_OK) {
        return status;
    }
    c->stretch = stretch;
    c->stored_before = NULL;
    status = trail__kv_cursor_open(&c->txn, TRAIL__KV_ENTRIES, &cursor, err);
    if (status == TRAIL_OK) {
        status = check_rows(c, &cursor, err);
    }
    trail__kv_cursor_close(&cursor);
    trail__kv_abort(&c->txn);
    return status;
}

bool trail__stretch_ended(const trail__stretch *stretch)
{
    return stretch->report.fault != TRAIL_FAULT_NONE ||
           stretch->right.seq >= stretch->seq_last;
}

trail_status trail__checker_peek(trail__checker *c, uint64_t seq, trail_head *head_out,
                                 trail_error *err)
{
    trail_text stored;
    trail_status status = trail__kv_begin_read(c->log->kv, &c->txn, err);

    if (status != TRAIL_OK) {
        return status;
    }
    status = trail__log_stored(&c->txn, seq, &stored, err);
    if (status == TRAIL_OK &&
        trail__stored_peek(stored, &head_out->seq, &head_out->recorded_at_us) &&
        head_out->seq == seq) {
        memcpy(head_out->event_hash, stored.data + 1, TRAIL_HASH_LEN);
    } else if (status == TRAIL_OK) {
        status = TRAIL_NOT_FOUND;
    }
    trail__kv_abort(&c->txn);
    return status;
}

trail_status trail__checker_init(trail__checker *c, trail__log *log,
                                 const trail_verify_options *options, uint64_t head_seq,
                                 trail_error *err)
{
    memset(c, 0, sizeof *c);
    c->log = log;
    c->options = options;
    c->head_seq = head_seq;
    return trail__hasher_init(&c->hasher, err);
}

void trail__checker_release(trail__checker *c)
{
    trail__hasher_release(&c->hasher);
}

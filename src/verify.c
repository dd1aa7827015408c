/* verify.c - recompute everything from the stored bytes.
 * Level 6: may include levels 0-5, report.
 * SPDX-License-Identifier: MIT
 *
 * In the order of seq, so that the first fault is the first bad place: is the entry there, can
 * it be taken apart, does it give its event_hash, do its parts give the hashes it holds, does
 * it stand at its own seq, does it hold the event_hash of the one before, is its id where it
 * can be found. Then the head, and the table of ids as a whole.
 */
#include "verify.h"

#include "bytes.h"
#include "chain.h"
#include "error.h"
#include "report.h"
#include "text.h"
#include "uuid.h"

#include <inttypes.h>
#include <string.h>

/* Entries and bytes per read transaction: a long one would keep old pages alive. */
enum { CHUNK = 32768, CHUNK_LEN = 32 << 20 };

/* Two values within one stretch of this length are of one leaf of the tree. */
enum { PAGE_LEN = 4096 };

typedef struct check {
    trail__log *log;
    const trail_verify_options *options;
    volatile uint64_t *good;
    trail_report *report;
    trail__hasher hasher;
    trail__kv_txn txn;
    uint64_t seq_next;
    const char *stored_before; /* of seq_next - 1, in this transaction; or NULL */
    uint8_t hash_before[TRAIL_HASH_LEN]; /* event_hash of seq_next - 1 */
    int64_t recorded_at_us;              /* of seq_next - 1 */
    uint64_t foreign_ids;                /* entries whose id the engine did not make */
    uint64_t id_rows;                    /* rows of the table of ids in the snapshot */
    uint64_t ids_met;                    /* while walking through that table */
    uint64_t ids_of_snapshot;            /* of them, those that lead to entries of it */
    uint8_t id_before[TRAIL_ID_LEN];     /* the key met last */
    uint64_t entry_rows;                 /* rows of the table of entries in it */
    uint64_t seq_last_key;               /* the last entry in the snapshot */
    bool stray_rows;                     /* entries has a row whose key is no seq */
    bool head_wrong;                     /* why: head_error */
    trail_error head_error;
} check;

typedef struct hex {
    char text[2 * TRAIL_HASH_LEN + 1];
} hex;

static const char *show(hex *room, const uint8_t hash[TRAIL_HASH_LEN])
{
    trail__hex(hash, TRAIL_HASH_LEN, room->text);
    return room->text;
}

static bool found_fault(const check *c)
{
    return c->report->fault != TRAIL_FAULT_NONE;
}

/* The parts against the commitments that the entry holds. */
static bool check_parts(check *c, uint64_t seq, const trail_record *record,
                        const trail__commitments *commitments)
{
    uint8_t hash[TRAIL_HASH_LEN];

    if (!trail__who_hash(&c->hasher, record->who, hash)) {
        return false;
    }
    if (memcmp(hash, commitments->who_hash, TRAIL_HASH_LEN) != 0) {
        trail__report_fault(c->report, TRAIL_FAULT_ALTERED_PART, seq,
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
        trail__report_fault(c->report, TRAIL_FAULT_ALTERED_PART, seq,
                            "entry %" PRIu64
                            ": the details part (details, result_error) is not "
                            "what the entry committed to",
                            seq);
    }
    return true;
}

static void check_link(check *c, uint64_t seq, const trail_record *record)
{
    hex held;
    hex computed;

    if (record->seq != seq) {
        trail__report_fault(c->report, TRAIL_FAULT_REORDERED, seq,
                            "the entry at seq %" PRIu64 " says it is seq %" PRIu64, seq,
                            record->seq);
        return;
    }
    if (memcmp(record->previous_hash, c->hash_before, TRAIL_HASH_LEN) != 0) {
        trail__report_fault(c->report, TRAIL_FAULT_BROKEN_LINK, seq,
                            "entry %" PRIu64 ": previous_hash is %s, but %s is %s", seq,
                            show(&held, record->previous_hash),
                            seq == 1 ? "the genesis hash" : "the event_hash before it",
                            show(&computed, c->hash_before));
        return;
    }
    if (record->recorded_at_us < c->recorded_at_us) {
        trail__report_fault(c->report, TRAIL_FAULT_ALTERED_ENTRY, seq,
                            "entry %" PRIu64 ": recorded_at goes back by %" PRId64
                            " microseconds",
                            seq, c->recorded_at_us - record->recorded_at_us);
    }
}

/* An id that came from a caller must be found in the table of ids. */
static trail_status check_id(check *c, uint64_t seq, const trail_record *record,
                             trail_error *err)
{
    trail_text key = { .data = (const char *)record->event.id, .len = TRAIL_ID_LEN };
    trail_text value = { NULL, 0 };
    trail_status status;

    if (trail__uuid_made_for(record->event.id, record->recorded_at_us, seq)) {
        return TRAIL_OK;
    }
    c->foreign_ids++;
    status = trail__kv_get(&c->txn, TRAIL__KV_IDS, key, &value, err);
    if (status == TRAIL_OK && value.len == 8 &&
        trail__load_u64((const uint8_t *)value.data) == seq) {
        return TRAIL_OK;
    }
    if (status == TRAIL_OK || status == TRAIL_NOT_FOUND) {
        trail__report_fault(c->report, TRAIL_FAULT_IDS, seq,
                            "entry %" PRIu64 ": the table of ids %s", seq,
                            status == TRAIL_OK ? "says its id is elsewhere"
                                               : "does not know its id");
        status = TRAIL_OK;
    }
    return status;
}

static void check_expected(check *c, uint64_t seq, const uint8_t hash[TRAIL_HASH_LEN])
{
    hex expected;
    hex found;

    if (c->options->expect_seq != seq) {
        return;
    }
    c->report->head_expected = true;
    if (memcmp(hash, c->options->expect_hash, TRAIL_HASH_LEN) != 0) {
        trail__report_fault(
            c->report, TRAIL_FAULT_HEAD, seq,
            "entry %" PRIu64 " has event_hash %s, expected was %s: the chain was "
            "written anew",
            seq, show(&found, hash), show(&expected, c->options->expect_hash));
    }
}

static trail_status check_entry(check *c, uint64_t seq, trail_text stored,
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
        trail__report_fault(c->report, TRAIL_FAULT_ALTERED_ENTRY, seq,
                            "entry %" PRIu64 ": %s", seq, wrong);
        return TRAIL_OK;
    }
    if (!trail__chain_hash(&c->hasher, record.entry, hash)) {
        return trail__hash_failed(err);
    }
    if (memcmp(hash, record.event_hash, TRAIL_HASH_LEN) != 0) {
        trail__report_fault(c->report, TRAIL_FAULT_ALTERED_ENTRY, seq,
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
        memcpy(c->hash_before, hash, TRAIL_HASH_LEN);
        c->recorded_at_us = record.recorded_at_us;
        c->report->entries++;
        c->seq_next = seq + 1;
        *c->good = seq;
    }
    return status;
}

static void report_missing(check *c, uint64_t seq_found)
{
    uint64_t seq = c->seq_next;

    if (seq_found > 0) {
        trail__report_fault(c->report, TRAIL_FAULT_MISSING, seq,
                            "entry %" PRIu64 " is missing: behind %" PRIu64
                            " comes %" PRIu64,
                            seq, seq - 1, seq_found);
    } else {
        trail__report_fault(c->report, TRAIL_FAULT_MISSING, seq,
                            "entry %" PRIu64 " is missing: the entries end at %" PRIu64
                            ", the head says %" PRIu64,
                            seq, seq - 1, c->report->head.seq);
    }
}

static trail_status check_found(check *c, uint64_t seq, const char *stored,
                                trail_error *err)
{
    trail_text found = { NULL, 0 };
    trail_status status = trail__log_stored(&c->txn, seq, &found, err);

    if (status == TRAIL_NOT_FOUND ||
        (status == TRAIL_OK && stored != NULL && found.data != stored)) {
        trail__report_fault(
            c->report, TRAIL_FAULT_UNREADABLE, c->seq_next,
            "entry %" PRIu64 " is there, but the tree does not lead to it", seq);
        status = TRAIL_OK;
    }
    return status;
}

/* Walking along the pages does not see the keys that lead to them. So where a page begins, its
 * first entry and the one before it are also looked up. */
static trail_status check_border(check *c, uint64_t seq, const char *stored,
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

static trail_status check_at(check *c, trail_text key, trail_text stored,
                             trail_error *err)
{
    trail_status status;
    uint64_t seq;

    if (key.len != 8) {
        trail__report_fault(c->report, TRAIL_FAULT_ALTERED_ENTRY, c->seq_next,
                            "behind entry %" PRIu64 " stands a key of %zu bytes",
                            c->seq_next - 1, key.len);
        return TRAIL_OK;
    }
    seq = trail__load_u64((const uint8_t *)key.data);
    if (seq > c->seq_next) {
        report_missing(c, seq);
        return TRAIL_OK;
    }
    if (seq < c->seq_next) {
        trail__report_fault(c->report, TRAIL_FAULT_UNREADABLE, c->seq_next,
                            "behind entry %" PRIu64 " the tree leads back to %" PRIu64,
                            c->seq_next - 1, seq);
        return TRAIL_OK;
    }
    status = check_border(c, seq, stored.data, err);
    return status == TRAIL_OK && !found_fault(c) ? check_entry(c, seq, stored, err)
                                                 : status;
}

/* Up to CHUNK entries in one read transaction. */
static trail_status check_chunk(check *c, trail_error *err)
{
    trail__kv_cursor cursor = { NULL };
    trail__kv_move move = TRAIL__KV_AT_OR_AFTER;
    trail__seq_key seq_key;
    trail_text key = trail__seq_key_of(&seq_key, c->seq_next);
    trail_text stored;
    size_t len = 0;
    trail_status status = trail__kv_begin_read(c->log->kv, &c->txn, err);

    if (status != TRAIL_OK) {
        return status;
    }
    c->stored_before = NULL;
    status = trail__kv_cursor_open(&c->txn, TRAIL__KV_ENTRIES, &cursor, err);
    for (int i = 0; i < CHUNK && len < CHUNK_LEN && status == TRAIL_OK &&
                    !found_fault(c) && c->seq_next <= c->report->head.seq;
         i++) {
        status = trail__kv_cursor_move(&cursor, move, &key, &stored, err);
        move = TRAIL__KV_NEXT;
        len += status == TRAIL_OK ? stored.len : 0;
        if (status == TRAIL_NOT_FOUND) {
            report_missing(c, 0);
            status = TRAIL_OK;
        } else if (status == TRAIL_OK) {
            status = check_at(c, key, stored, err);
        }
    }
    trail__kv_cursor_close(&cursor);
    trail__kv_abort(&c->txn);
    return status;
}

/* What stands first and last in the table of entries; between them every row is met. */
static trail_status look_at_ends(check *c, trail_error *err)
{
    trail__kv_cursor cursor;
    trail_text key = { NULL, 0 };
    trail_text stored;
    trail_status status = trail__kv_cursor_open(&c->txn, TRAIL__KV_ENTRIES, &cursor, err);

    if (status != TRAIL_OK) {
        return status;
    }
    status = trail__kv_cursor_move(&cursor, TRAIL__KV_FIRST, &key, &stored, err);
    if (status == TRAIL_OK) {
        c->stray_rows = key.len != 8 || trail__load_u64((const uint8_t *)key.data) == 0;
        status = trail__kv_cursor_move(&cursor, TRAIL__KV_LAST, &key, &stored, err);
    }
    if (status == TRAIL_OK && key.len == 8) {
        c->seq_last_key = trail__load_u64((const uint8_t *)key.data);
    } else if (status == TRAIL_OK) {
        c->stray_rows = true;
    }
    trail__kv_cursor_close(&cursor);
    return status == TRAIL_NOT_FOUND ? TRAIL_OK : status;
}

/* A head that is wrong is reported last: an entry that is wrong says more. Without any head the
 * entries that are there are checked. */
static trail_status read_head(check *c, trail_error *err)
{
    trail_head *head = &c->report->head;
    trail_status status = trail__log_head_check(&c->txn, head, &c->head_error);

    if (status == TRAIL_CORRUPT) {
        c->head_wrong = true;
        if (trail__log_head(&c->txn, head, NULL) != TRAIL_OK) {
            memset(head, 0, sizeof *head);
            head->seq = c->seq_last_key;
        }
        return TRAIL_OK;
    }
    if (status != TRAIL_OK && err != NULL) {
        *err = c->head_error;
    }
    return status;
}

/* What belongs to the snapshot: later transactions may see events that came after it. */
static trail_status take_snapshot(check *c, trail_error *err)
{
    trail_status status = trail__kv_begin_read(c->log->kv, &c->txn, err);

    if (status != TRAIL_OK) {
        return status;
    }
    status = look_at_ends(c, err);
    if (status == TRAIL_OK) {
        status = trail__kv_count(&c->txn, TRAIL__KV_IDS, &c->id_rows, err);
    }
    if (status == TRAIL_OK) {
        status = trail__kv_count(&c->txn, TRAIL__KV_ENTRIES, &c->entry_rows, err);
    }
    if (status == TRAIL_OK) {
        status = read_head(c, err);
    }
    trail__kv_abort(&c->txn);
    return status;
}

/* When every entry is right: do the head, the end and the table of ids fit them? */
static void check_whole(check *c)
{
    const trail_head *head = &c->report->head;
    hex held;
    hex computed;

    if (c->head_wrong) {
        trail__report_fault(c->report, TRAIL_FAULT_HEAD, 0, "%s", c->head_error.text);
    }
    if (memcmp(head->event_hash, c->hash_before, TRAIL_HASH_LEN) != 0 ||
        head->recorded_at_us != c->recorded_at_us) {
        trail__report_fault(
            c->report, TRAIL_FAULT_HEAD, head->seq,
            "the head says that entry %" PRIu64 " has event_hash %s, it has %s",
            head->seq, show(&held, head->event_hash), show(&computed, c->hash_before));
    }
    if (c->seq_last_key > head->seq) {
        trail__report_fault(c->report, TRAIL_FAULT_HEAD, head->seq + 1,
                            "there are entries up to %" PRIu64
                            ", but the head says %" PRIu64,
                            c->seq_last_key, head->seq);
    }
    if (c->stray_rows || c->entry_rows != head->seq) {
        trail__report_fault(c->report, TRAIL_FAULT_HEAD, 0,
                            "the table of entries holds rows that are no entries");
    }
    if (c->foreign_ids != c->id_rows) {
        trail__report_fault(c->report, TRAIL_FAULT_IDS, 0,
                            "the table of ids has %" PRIu64 " rows for %" PRIu64
                            " events",
                            c->id_rows, c->foreign_ids);
    }
    if (c->options->expect_seq > head->seq) {
        c->report->head_expected = true;
        trail__report_fault(c->report, TRAIL_FAULT_MISSING, head->seq + 1,
                            "the trail ends at entry %" PRIu64 ", but entry %" PRIu64
                            " was expected: its tail was cut off",
                            head->seq, c->options->expect_seq);
    }
}

/* A row of ids or meta, met on the way through the table. */
typedef void look_at_row(check *c, trail_text key, trail_text value);

/* Every row that is there, which is more than what can be found by key. Not a snapshot: rows may
 * be added between two chunks. */
static trail_status walk_table(check *c, trail__kv_table table, look_at_row *look,
                               trail_error *err)
{
    uint8_t key_bytes[TRAIL_ID_LEN];
    trail_text key = { .data = (const char *)key_bytes, .len = 0 };
    trail__kv_move move = TRAIL__KV_FIRST;
    trail_status status = TRAIL_OK;
    trail_text value;

    while (status == TRAIL_OK && !found_fault(c)) {
        trail__kv_cursor cursor = { NULL };

        status = trail__kv_begin_read(c->log->kv, &c->txn, err);
        if (status != TRAIL_OK) {
            return status;
        }
        status = trail__kv_cursor_open(&c->txn, table, &cursor, err);
        for (int i = 0; i < CHUNK && status == TRAIL_OK && !found_fault(c); i++) {
            status = trail__kv_cursor_move(&cursor, move, &key, &value, err);
            if (status == TRAIL_OK && move != TRAIL__KV_AT_OR_AFTER) {
                look(c, key, value);
            }
            move = TRAIL__KV_NEXT;
        }
        if (status == TRAIL_OK && !found_fault(c)) {
            /* Not longer than an id, or it would have been a fault. */
            memcpy(key_bytes, key.data, key.len);
            key.data = (const char *)key_bytes;
            move = TRAIL__KV_AT_OR_AFTER;
        }
        trail__kv_cursor_close(&cursor);
        trail__kv_abort(&c->txn);
    }
    return status == TRAIL_NOT_FOUND ? TRAIL_OK : status;
}

/* Each foreign id was found by its key: as many rows, in the order of keys, are those rows. */
static void look_at_id(check *c, trail_text key, trail_text value)
{
    if (key.len != TRAIL_ID_LEN || value.len != 8 ||
        (c->ids_met > 0 && memcmp(key.data, c->id_before, TRAIL_ID_LEN) <= 0)) {
        trail__report_fault(c->report, TRAIL_FAULT_IDS, 0,
                            "the table of ids holds a row that is none");
        return;
    }
    memcpy(c->id_before, key.data, TRAIL_ID_LEN);
    c->ids_met++;
    if (trail__load_u64((const uint8_t *)value.data) <= c->report->head.seq) {
        c->ids_of_snapshot++;
    }
}

static void look_at_meta(check *c, trail_text key, trail_text value)
{
    (void)value;
    if (!trail__text_equal(key, trail_str("log")) &&
        !trail__text_equal(key, trail_str("head"))) {
        trail__report_fault(c->report, TRAIL_FAULT_HEAD, 0,
                            "the table 'meta' holds a row that is not of this format");
    }
}

/* Nothing may stand in the small tables besides what was found there. */
static trail_status check_small_tables(check *c, trail_error *err)
{
    trail_status status = walk_table(c, TRAIL__KV_META, look_at_meta, err);

    if (status == TRAIL_OK && !found_fault(c)) {
        status = walk_table(c, TRAIL__KV_IDS, look_at_id, err);
    }
    if (status == TRAIL_OK && c->ids_of_snapshot != c->foreign_ids) {
        trail__report_fault(c->report, TRAIL_FAULT_IDS, 0,
                            "the table of ids leads to %" PRIu64
                            " events, there are %" PRIu64,
                            c->ids_of_snapshot, c->foreign_ids);
    }
    return status;
}

static bool go_on(const check *c, uint64_t done)
{
    return c->options->progress == NULL ||
           c->options->progress(c->options->context, done, c->report->head.seq);
}

static trail_status run(check *c, trail_error *err)
{
    trail_status status = take_snapshot(c, err);

    while (status == TRAIL_OK && !found_fault(c) && c->seq_next <= c->report->head.seq) {
        if (!go_on(c, c->seq_next - 1)) {
            c->report->complete = false;
            break;
        }
        status = check_chunk(c, err);
    }
    if (status == TRAIL_OK && !found_fault(c) && c->report->complete) {
        check_whole(c);
        if (!found_fault(c)) {
            status = check_small_tables(c, err);
        }
        (void)go_on(c, c->report->head.seq);
    }
    return status;
}

trail_status trail__verify_log(trail__log *log, const trail_verify_options *options,
                               volatile uint64_t *good, trail_report *report,
                               trail_error *err)
{
    static const trail_verify_options defaults;
    check c = { .log = log,
                .options = options != NULL ? options : &defaults,
                .good = good,
                .report = report,
                .seq_next = 1 };
    trail_error own;
    trail_status status;

    memset(report, 0, sizeof *report);
    report->complete = true;
    *good = 0;
    if (err == NULL) {
        err = &own;
    }
    memcpy(c.hash_before, log->identity.genesis, TRAIL_HASH_LEN);
    status = trail__hasher_init(&c.hasher, err);
    if (status != TRAIL_OK) {
        return status;
    }
    status = run(&c, err);
    trail__hasher_release(&c.hasher);
    if (status == TRAIL_CORRUPT) {
        trail__report_fault(report, TRAIL_FAULT_UNREADABLE, c.seq_next, "%s", err->text);
        status = TRAIL_OK;
    }
    report->last_good_seq = c.seq_next - 1;
    trail__report_describe(c.report);
    return status;
}

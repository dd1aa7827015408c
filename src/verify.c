/* verify.c - recompute everything from the stored bytes.
 * Level 6: may include levels 0-5, report, verify_threads.
 * SPDX-License-Identifier: MIT
 *
 * First every entry, then the head, and the table of ids as a whole.
 */
#include "verify.h"

#include "bytes.h"
#include "error.h"
#include "report.h"
#include "text.h"
#include "verify_threads.h"

#include <inttypes.h>
#include <string.h>

/* Rows per read transaction: a long one would keep old pages alive. */
enum { CHUNK = 32768 };

typedef struct check {
    trail__log *log;
    const trail_verify_options *options;
    trail_report *report;
    trail__kv_txn txn;
    trail__verify_watch *watch;
    trail__compare *compare;         /* NULL: no index to compare with */
    trail__stretch entries;          /* all of them */
    uint64_t id_rows;                /* rows of the table of ids in the snapshot */
    uint64_t ids_met;                /* while walking through that table */
    uint64_t ids_of_snapshot;        /* of them, those that lead to entries of it */
    uint8_t id_before[TRAIL_ID_LEN]; /* the key met last */
    uint64_t entry_rows;             /* rows of the table of entries in it */
    uint64_t seq_last_key;           /* the last entry in the snapshot */
    bool stray_rows;                 /* entries has a row whose key is no seq */
    bool head_wrong;                 /* why: head_error */
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
    if (memcmp(head->event_hash, c->entries.right.event_hash, TRAIL_HASH_LEN) != 0 ||
        head->recorded_at_us != c->entries.right.recorded_at_us) {
        trail__report_fault(c->report, TRAIL_FAULT_HEAD, head->seq,
                            "the head says that entry %" PRIu64
                            " has event_hash %s, it has %s",
                            head->seq, show(&held, head->event_hash),
                            show(&computed, c->entries.right.event_hash));
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
    if (c->entries.foreign_ids != c->id_rows) {
        trail__report_fault(c->report, TRAIL_FAULT_IDS, 0,
                            "the table of ids has %" PRIu64 " rows for %" PRIu64
                            " events",
                            c->id_rows, c->entries.foreign_ids);
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
    if (status == TRAIL_OK && c->ids_of_snapshot != c->entries.foreign_ids) {
        trail__report_fault(c->report, TRAIL_FAULT_IDS, 0,
                            "the table of ids leads to %" PRIu64
                            " events, there are %" PRIu64,
                            c->ids_of_snapshot, c->entries.foreign_ids);
    }
    return status;
}

/* The verdict on the entries becomes that on the whole. */
static trail_status check_entries(check *c, trail_error *err)
{
    trail_report *report = c->report;
    trail_status status;

    c->entries.seq_last = report->head.seq;
    memcpy(c->entries.right.event_hash, c->log->identity.genesis, TRAIL_HASH_LEN);
    status = trail__verify_entries(c->log, c->options, c->compare, &c->watch->good,
                                   &c->entries, err);
    report->fault = c->entries.report.fault;
    report->first_bad_seq = c->entries.report.first_bad_seq;
    memcpy(report->text, c->entries.report.text, sizeof report->text);
    report->head_expected = c->entries.report.head_expected;
    report->complete = c->entries.report.complete;
    return status;
}

static trail_status check_index(check *c, trail_error *err)
{
    trail_status status;

    if (c->compare == NULL) {
        return TRAIL_OK;
    }
    c->watch->in_index = true;
    status = trail__compare_report(c->compare, &c->entries.sums, c->report, err);
    c->watch->in_index = false;
    return status;
}

static trail_status run(check *c, trail_error *err)
{
    uint64_t total;
    trail_status status = take_snapshot(c, err);

    if (status == TRAIL_OK) {
        status = check_entries(c, err);
    }
    if (status == TRAIL_OK && !found_fault(c) && c->report->complete) {
        check_whole(c);
        if (!found_fault(c)) {
            status = check_small_tables(c, err);
        }
        if (status == TRAIL_OK && !found_fault(c)) {
            status = check_index(c, err);
        }
        total = c->report->head.seq;
        if (c->options->progress != NULL) {
            (void)c->options->progress(c->options->context, total, total);
        }
    }
    return status;
}

trail_status trail__verify_log(trail__log *log, trail__index *index,
                               const trail_verify_options *options,
                               trail__verify_watch *watch, trail_report *report,
                               trail_error *err)
{
    static const trail_verify_options defaults;
    check c = { .log = log,
                .options = options != NULL ? options : &defaults,
                .watch = watch,
                .report = report };
    trail_error own;
    trail_status status = TRAIL_OK;

    memset(report, 0, sizeof *report);
    report->complete = true;
    watch->good = 0;
    watch->in_index = index != NULL;
    if (err == NULL) {
        err = &own;
    }
    if (index != NULL) { /* before the log: then that is at least as far */
        status = trail__compare_begin(&c.compare, index, err);
    }
    watch->in_index = false;
    if (status == TRAIL_OK) {
        status = run(&c, err);
    }
    trail__compare_end(c.compare);
    if (status == TRAIL_CORRUPT) {
        trail__report_fault(report, TRAIL_FAULT_UNREADABLE, c.entries.right.seq + 1, "%s",
                            err->text);
        status = TRAIL_OK;
    }
    report->last_good_seq = c.entries.right.seq;
    report->entries = c.entries.right.seq;
    trail__report_describe(c.report);
    return status;
}

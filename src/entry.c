/* entry.c - the canonical bytes of an event: who, details, entry, and the stored value.
 * Level 2: may include levels 0-1. No I/O.
 * SPDX-License-Identifier: MIT
 */
#include "entry.h"

#include "bytes.h"

#include <assert.h>
#include <string.h>

enum {
    WHO_ITEMS = 4,
    DETAILS_ITEMS = 3,
    ENTRY_ITEMS = 14,
    HASH_ITEM_LEN = 2 + TRAIL_HASH_LEN, /* 0x58 0x20 and the hash */
    ID_ITEM_LEN = 1 + TRAIL_ID_LEN,
    SALT_ITEM_LEN = 1 + TRAIL__SALT_LEN,
    STORED_HEAD_LEN = 1 + TRAIL_HASH_LEN /* state and event_hash */
};

static const char who_tag[] = "trail/who/1";
static const char details_tag[] = "trail/details/1";

static size_t who_len(const trail_event *event)
{
    return 1 + SALT_ITEM_LEN + trail__text_item_len(event->user_id) +
           trail__text_item_len(event->ip_address) +
           trail__text_item_len(event->user_agent);
}

static size_t details_len(const trail_event *event)
{
    if (event->details.data == NULL && event->result_error.data == NULL) {
        return 0;
    }
    return 1 + SALT_ITEM_LEN + trail__text_item_len(event->details) +
           trail__text_item_len(event->result_error);
}

size_t trail__parts_len(const trail_event *event)
{
    return who_len(event) + details_len(event);
}

bool trail__who_hash(trail__hasher *hasher, trail_text who,
                     uint8_t hash_out[TRAIL_HASH_LEN])
{
    return trail__sha256(hasher, who_tag, sizeof who_tag - 1, who.data, who.len,
                         hash_out);
}

bool trail__details_hash(trail__hasher *hasher, trail_text details,
                         uint8_t hash_out[TRAIL_HASH_LEN])
{
    return trail__sha256(hasher, details_tag, sizeof details_tag - 1, details.data,
                         details.len, hash_out);
}

bool trail__parts_encode(trail__hasher *hasher, const trail_event *event,
                         const uint8_t *salts, uint8_t *out, trail__parts *parts_out)
{
    trail__writer w = { .at = out, .end = out + trail__parts_len(event) };
    trail_text who = { .data = (const char *)out, .len = who_len(event) };
    trail_text details = { .data = (const char *)out + who.len,
                           .len = details_len(event) };

    parts_out->bytes = out;
    parts_out->who_len = who.len;
    parts_out->details_len = details.len;

    trail__write_array(&w, WHO_ITEMS);
    trail__write_bytes(&w, salts, TRAIL__SALT_LEN);
    trail__write_text(&w, event->user_id);
    trail__write_text(&w, event->ip_address);
    trail__write_text(&w, event->user_agent);
    if (details.len > 0) {
        trail__write_array(&w, DETAILS_ITEMS);
        trail__write_bytes(&w, salts + TRAIL__SALT_LEN, TRAIL__SALT_LEN);
        trail__write_text(&w, event->details);
        trail__write_text(&w, event->result_error);
    }
    assert(w.at == w.end);

    return trail__who_hash(hasher, who, parts_out->who_hash) &&
           (details.len == 0 ||
            trail__details_hash(hasher, details, parts_out->details_hash));
}

static size_t entry_len(const trail_event *event, const trail__parts *parts,
                        const trail__stamp *stamp)
{
    return 2 + trail__cbor_head_len(stamp->seq) +
           trail__cbor_head_len((uint64_t)stamp->recorded_at_us) +
           trail__cbor_head_len((uint64_t)stamp->timestamp_us) + ID_ITEM_LEN +
           trail__text_item_len(event->event_type) + trail__text_item_len(event->action) +
           trail__text_item_len(event->resource_type) +
           trail__text_item_len(event->resource_id) +
           trail__text_item_len(event->result) + trail__text_item_len(event->request_id) +
           HASH_ITEM_LEN + (parts->details_len > 0 ? (size_t)HASH_ITEM_LEN : 1) +
           HASH_ITEM_LEN;
}

size_t trail__stored_len(const trail_event *event, const trail__parts *parts,
                         const trail__stamp *stamp)
{
    return STORED_HEAD_LEN + entry_len(event, parts, stamp) + parts->who_len +
           parts->details_len;
}

static void write_entry(trail__writer *w, const trail_event *event,
                        const trail__parts *parts, const trail__stamp *stamp)
{
    trail__write_array(w, ENTRY_ITEMS);
    trail__write_uint(w, TRAIL__FORMAT);
    trail__write_uint(w, stamp->seq);
    trail__write_uint(w, (uint64_t)stamp->recorded_at_us);
    trail__write_uint(w, (uint64_t)stamp->timestamp_us);
    trail__write_bytes(w, stamp->id, TRAIL_ID_LEN);
    trail__write_text(w, event->event_type);
    trail__write_text(w, event->action);
    trail__write_text(w, event->resource_type);
    trail__write_text(w, event->resource_id);
    trail__write_text(w, event->result);
    trail__write_text(w, event->request_id);
    trail__write_bytes(w, parts->who_hash, TRAIL_HASH_LEN);
    if (parts->details_len > 0) {
        trail__write_bytes(w, parts->details_hash, TRAIL_HASH_LEN);
    } else {
        trail__write_text(w, (trail_text){ NULL, 0 });
    }
    trail__write_bytes(w, stamp->previous_hash, TRAIL_HASH_LEN);
}

void trail__stored_write(const trail_event *event, const trail__parts *parts,
                         const trail__stamp *stamp, uint8_t *out, size_t len,
                         trail_text *entry_out)
{
    uint8_t *entry = out + STORED_HEAD_LEN;
    trail__writer w = { .at = entry, .end = out + len };

    out[0] = TRAIL__STATE_WHOLE;
    write_entry(&w, event, parts, stamp);
    entry_out->data = (const char *)entry;
    entry_out->len = (size_t)(w.at - entry);

    assert((size_t)(w.end - w.at) == parts->who_len + parts->details_len);
    memcpy(w.at, parts->bytes, parts->who_len + parts->details_len);
}

static int64_t read_time(trail__reader *r)
{
    uint64_t time_us = trail__read_uint(r);

    if (time_us > (uint64_t)TRAIL_TIME_US_MAX) {
        r->bad = true;
        return 0;
    }
    return (int64_t)time_us;
}

/* Read the entry at r->at into the record; what lies behind it stays unread. */
static void read_entry(trail__reader *r, trail_record *record,
                       trail__commitments *commitments)
{
    trail_event *event = &record->event;
    const uint8_t *start = r->at;
    const uint8_t *previous_hash;

    trail__read_array(r, ENTRY_ITEMS);
    if (trail__read_uint(r) != TRAIL__FORMAT) {
        r->bad = true;
    }
    record->seq = trail__read_uint(r);
    record->recorded_at_us = read_time(r);
    event->timestamp_us = read_time(r);
    event->id = trail__read_bytes(r, TRAIL_ID_LEN);
    event->event_type = trail__read_text(r);
    event->action = trail__read_text(r);
    event->resource_type = trail__read_text(r);
    event->resource_id = trail__read_text(r);
    event->result = trail__read_text(r);
    event->request_id = trail__read_text_or_null(r);
    commitments->who_hash = trail__read_bytes(r, TRAIL_HASH_LEN);
    commitments->details_hash = trail__read_bytes_or_null(r, TRAIL_HASH_LEN);
    previous_hash = trail__read_bytes(r, TRAIL_HASH_LEN);
    if (!r->bad) {
        memcpy(record->previous_hash, previous_hash, TRAIL_HASH_LEN);
        record->entry.data = (const char *)start;
        record->entry.len = (size_t)(r->at - start);
    }
}

static void read_who(trail__reader *r, trail_record *record)
{
    record->who.data = (const char *)r->at;
    trail__read_array(r, WHO_ITEMS);
    trail__read_bytes(r, TRAIL__SALT_LEN);
    record->event.user_id = trail__read_text_or_null(r);
    record->event.ip_address = trail__read_text_or_null(r);
    record->event.user_agent = trail__read_text_or_null(r);
    record->who.len = (size_t)((const char *)r->at - record->who.data);
}

static void read_details(trail__reader *r, trail_record *record)
{
    record->details.data = (const char *)r->at;
    trail__read_array(r, DETAILS_ITEMS);
    trail__read_bytes(r, TRAIL__SALT_LEN);
    record->event.details = trail__read_text_or_null(r);
    record->event.result_error = trail__read_text_or_null(r);
    record->details.len = (size_t)((const char *)r->at - record->details.data);
}

/* With all that it calls inside: where the reader stands then stays in a register. */
__attribute__((flatten)) static const char *
read_stored(trail_text stored, trail_record *record, trail__commitments *commitments)
{
    trail__reader r = trail__reader_of(stored.data, stored.len);

    if (stored.len < STORED_HEAD_LEN) {
        return "the stored value is too short";
    }
    if (*r.at != TRAIL__STATE_WHOLE) {
        return "the state byte is not one of this format";
    }
    memcpy(record->event_hash, r.at + 1, TRAIL_HASH_LEN);
    r.at += STORED_HEAD_LEN;

    read_entry(&r, record, commitments);
    if (r.bad) {
        return "the bytes are no entry";
    }
    read_who(&r, record);
    if (r.bad) {
        return "the bytes behind the entry are no who part";
    }
    if (commitments->details_hash != NULL) {
        read_details(&r, record);
        if (r.bad) {
            return "the bytes behind the who part are no details part";
        }
    }
    return r.at == r.end ? NULL : "there are bytes behind the last part";
}

const char *trail__stored_read(trail_text stored, trail_record *record_out,
                               trail__commitments *commitments_out)
{
    trail__commitments commitments = { NULL, NULL };
    const char *wrong;

    memset(record_out, 0, sizeof *record_out);
    wrong = read_stored(stored, record_out, &commitments);
    if (wrong != NULL) {
        memset(record_out, 0, sizeof *record_out);
    } else {
        record_out->readable = true;
    }
    record_out->stored = stored;
    if (commitments_out != NULL) {
        *commitments_out = commitments;
    }
    return wrong;
}

bool trail__stored_peek(trail_text stored, uint64_t *seq_out, int64_t *recorded_at_us_out)
{
    trail__reader r = trail__reader_of(stored.data, stored.len);

    if (stored.len < STORED_HEAD_LEN) {
        return false;
    }
    r.at += STORED_HEAD_LEN;
    trail__read_array(&r, ENTRY_ITEMS);
    trail__read_uint(&r);
    *seq_out = trail__read_uint(&r);
    *recorded_at_us_out = read_time(&r);
    return !r.bad;
}

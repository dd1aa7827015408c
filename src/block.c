/* block.c - the bytes of the index: blocks of terms with their postings, chunks of times.
 * Level 3: may include levels 0-2. No I/O.
 * SPDX-License-Identifier: MIT
 */
#include "block.h"

#include <assert.h>
#include <string.h>

enum {
    TERM_IN_KEY_MAX = 400,
    TIMES_MAX = TRAIL__TIMES_LEN,
    TIMES_HEAD_LEN = 1 + 9 + 3,
    POSTING_HEADS_LEN = 3 + 3 + 5 + 5 + 5
};

/* ---- keys ------------------------------------------------------------------------- */

static void store_u32(uint8_t out[4], uint32_t number)
{
    for (int i = 0; i < 4; i++) {
        out[i] = (uint8_t)(number >> (24 - 8 * i));
    }
}

static void make_key(trail__block_key *key, uint64_t segment, unsigned field,
                     trail_text term, uint32_t number)
{
    size_t len = term.len < TERM_IN_KEY_MAX ? term.len : TERM_IN_KEY_MAX;

    trail__store_u64(key->bytes, segment);
    key->bytes[8] = (uint8_t)field;
    if (len > 0) {
        memcpy(key->bytes + 9, term.data, len);
    }
    key->bytes[9 + len] = 0;
    store_u32(key->bytes + 10 + len, number);
    key->len = 14 + len;
}

void trail__block_key_term(trail__block_key *key, uint64_t segment, unsigned field,
                           trail_text term)
{
    make_key(key, segment, field, term, 0);
}

void trail__block_key_time(trail__block_key *key, uint64_t segment, uint32_t offset)
{
    trail__store_u64(key->bytes, segment);
    key->bytes[8] = 0;
    store_u32(key->bytes + 9, offset);
    key->len = 13;
}

bool trail__block_key_read(trail_text key, uint64_t *segment_out, unsigned *field_out)
{
    if (key.len < 13) {
        return false;
    }
    *segment_out = trail__load_u64((const uint8_t *)key.data);
    *field_out = (uint8_t)key.data[8];
    return true;
}

bool trail__block_key_offset(trail_text key, uint32_t *offset_out)
{
    const uint8_t *at = (const uint8_t *)key.data;

    if (key.len != 13 || at[8] != 0) {
        return false;
    }
    *offset_out =
        (uint32_t)at[9] << 24 | (uint32_t)at[10] << 16 | (uint32_t)at[11] << 8 | at[12];
    return true;
}

/* ---- reading ---------------------------------------------------------------------- */

void trail__block_open(trail__block_reader *reader, trail_text block)
{
    reader->r = trail__reader_of(block.data, block.len);
    reader->term_len = 0;
}

trail_status trail__block_next(trail__block_reader *reader, trail_text *term_out,
                               trail__posting *posting_out)
{
    trail__reader *r = &reader->r;
    uint64_t shared;
    uint64_t window;
    uint64_t count;
    trail_text suffix;
    trail_text data;

    if (r->at == r->end) {
        return TRAIL_NOT_FOUND;
    }
    shared = trail__read_uint(r);
    suffix = trail__read_some_bytes(r);
    window = trail__read_uint(r);
    count = trail__read_uint(r);
    data = trail__read_some_bytes(r);
    if (r->bad || shared > reader->term_len ||
        suffix.len > TRAIL__TERM_LEN_MAX - shared || window > UINT16_MAX ||
        count / 2 == 0 || count / 2 > TRAIL__WINDOW ||
        (count % 2 == 0 && data.len != count)) {
        return TRAIL_CORRUPT;
    }
    if (suffix.len > 0) {
        memcpy(reader->term + shared, suffix.data, suffix.len);
    }
    reader->term_len = (size_t)shared + suffix.len;
    *term_out = (trail_text){ (const char *)reader->term, reader->term_len };
    posting_out->window = (uint32_t)window;
    posting_out->count = (uint32_t)(count / 2);
    posting_out->is_bits = count % 2 != 0;
    posting_out->data = (const uint8_t *)data.data;
    posting_out->len = data.len;
    return TRAIL_OK;
}

trail_status trail__posting_add(const trail__posting *posting, trail__set *set)
{
    return posting->is_bits
               ? trail__set_add_bits(set, posting->window, posting->data, posting->len,
                                     posting->count)
               : trail__set_add_list(set, posting->window, posting->data, posting->count);
}

bool trail__posting_each(const trail__posting *p,
                         bool (*meet)(void *context, uint32_t offset), void *context)
{
    uint32_t base = p->window * TRAIL__WINDOW;
    bool good = true;

    for (uint32_t i = 0; !p->is_bits && i < p->count && good; i++) {
        good = meet(context, base + p->data[2 * i] + ((uint32_t)p->data[2 * i + 1] << 8));
    }
    for (uint32_t at = 0; p->is_bits && at < p->len && good; at++) {
        for (unsigned bit = 0; bit < 8 && good; bit++) {
            if ((p->data[at] >> bit & 1) != 0) {
                good = meet(context, base + at * 8 + bit);
            }
        }
    }
    return good;
}

bool trail__times_open(trail__times *times, trail_text chunk)
{
    trail__reader r = trail__reader_of(chunk.data, chunk.len);
    uint64_t width = trail__read_uint(&r);
    uint64_t least = trail__read_uint(&r);
    uint64_t count = trail__read_uint(&r);
    trail_text data = trail__read_some_bytes(&r);

    if (r.bad || r.at != r.end || width > 8 || least > (uint64_t)TRAIL_TIME_US_MAX ||
        count == 0 || count > TIMES_MAX || data.len != width * count) {
        return false;
    }
    times->width = (unsigned)width;
    times->least_us = (int64_t)least;
    times->data = (const uint8_t *)data.data;
    times->count = (size_t)count;
    return true;
}

int64_t trail__times_at(const trail__times *times, size_t i)
{
    const uint8_t *at = times->data + i * times->width;
    uint64_t more = 0;

    for (unsigned b = 0; b < times->width; b++) {
        more |= (uint64_t)at[b] << (8 * b);
    }
    return (int64_t)((uint64_t)times->least_us + more);
}

/* ---- writing ---------------------------------------------------------------------- */

void trail__block_begin(trail__block_writer *writer, uint64_t segment,
                        trail__block_emit *emit, void *context)
{
    writer->segment = segment;
    writer->emit = emit;
    writer->context = context;
    writer->number = 0;
    writer->field = 0;
    writer->len = 0;
    writer->term_len = 0;
    writer->time_offset = 0;
    writer->time_count = 0;
}

static trail_status emit(trail__block_writer *writer, trail_error *err)
{
    trail_text key = { (const char *)writer->key.bytes, writer->key.len };
    trail_text block = { (const char *)writer->bytes, writer->len };

    if (writer->len == 0) {
        return TRAIL_OK;
    }
    writer->len = 0;
    return writer->emit(writer->context, key, block, err);
}

static unsigned width_of(int64_t least, int64_t most)
{
    uint64_t range = (uint64_t)most - (uint64_t)least;
    unsigned width = 0;

    while (range != 0) {
        range >>= 8;
        width++;
    }
    return width;
}

static trail_status emit_times(trail__block_writer *writer, trail_error *err)
{
    trail__writer w = { .at = writer->bytes,
                        .end = writer->bytes + TRAIL__BLOCK_LEN_MAX };
    unsigned width = width_of(writer->time_min, writer->time_max);
    size_t len = 0;
    uint8_t data[TRAIL__TIMES_LEN];

    if (writer->time_count == 0) {
        return TRAIL_OK;
    }
    for (size_t i = 0; i < writer->time_count; i++) {
        uint64_t more = (uint64_t)writer->times[i] - (uint64_t)writer->time_min;

        for (unsigned b = 0; b < width; b++) {
            data[len++] = (uint8_t)(more >> (8 * b));
        }
    }
    trail__write_uint(&w, width);
    trail__write_uint(&w, (uint64_t)writer->time_min);
    trail__write_uint(&w, writer->time_count);
    trail__write_bytes(&w, data, len);
    trail__block_key_time(&writer->key, writer->segment, writer->time_offset);
    writer->len = (size_t)(w.at - writer->bytes);
    writer->time_offset += (uint32_t)writer->time_count;
    writer->time_count = 0;
    return emit(writer, err);
}

trail_status trail__block_add_time(trail__block_writer *writer, int64_t time_us,
                                   trail_error *err)
{
    bool first = writer->time_count == 0;
    int64_t least = first || time_us < writer->time_min ? time_us : writer->time_min;
    int64_t most = first || time_us > writer->time_max ? time_us : writer->time_max;
    trail_status status = TRAIL_OK;

    if (!first && (writer->time_count == TIMES_MAX ||
                   TIMES_HEAD_LEN + (writer->time_count + 1) * width_of(least, most) >
                       TRAIL__TIMES_LEN)) {
        status = emit_times(writer, err);
        least = time_us;
        most = time_us;
    }
    writer->time_min = least;
    writer->time_max = most;
    writer->times[writer->time_count++] = time_us;
    return status;
}

static size_t shared_len(const trail__block_writer *writer, trail_text term)
{
    size_t max = term.len < writer->term_len ? term.len : writer->term_len;
    size_t len = 0;

    while (len < max && writer->term[len] == (uint8_t)term.data[len]) {
        len++;
    }
    return len;
}

/* The key of a block that begins with this term: enough of it to stand behind the last one. */
static void begin_block(trail__block_writer *writer, unsigned field, trail_text term)
{
    trail_text enough = term;

    if (field == writer->field) {
        size_t len = shared_len(writer, term) + 1;

        enough.len = len < term.len ? len : term.len;
    } else {
        enough.len = 0;
    }
    make_key(&writer->key, writer->segment, field, enough, writer->number++);
    writer->field = field;
}

trail_status trail__block_add(trail__block_writer *writer, unsigned field,
                              trail_text term, const trail__posting *posting,
                              trail_error *err)
{
    trail__writer w;
    size_t shared = 0;
    trail_status status = TRAIL_OK;

    assert(field > 0 && term.len > 0 && term.len <= TRAIL__TERM_LEN_MAX);
    if (writer->time_count > 0) {
        status = emit_times(writer, err);
    }
    if (status == TRAIL_OK && writer->len > 0) {
        shared = shared_len(writer, term);
        if (field != writer->field ||
            writer->len + POSTING_HEADS_LEN + term.len - shared + posting->len >
                TRAIL__BLOCK_LEN) {
            status = emit(writer, err);
        }
    }
    if (status != TRAIL_OK) {
        return status;
    }
    if (writer->len == 0) {
        begin_block(writer, field, term);
        shared = 0;
    }
    w = (trail__writer){ .at = writer->bytes + writer->len,
                         .end = writer->bytes + TRAIL__BLOCK_LEN_MAX };
    trail__write_uint(&w, shared);
    trail__write_bytes(&w, (const uint8_t *)term.data + shared, term.len - shared);
    trail__write_uint(&w, posting->window);
    trail__write_uint(&w, (uint64_t)posting->count * 2 + posting->is_bits);
    trail__write_bytes(&w, posting->data, posting->len);
    writer->len = (size_t)(w.at - writer->bytes);
    memcpy(writer->term, term.data, term.len);
    writer->term_len = term.len;
    return TRAIL_OK;
}

trail_status trail__block_add_offsets(trail__block_writer *writer, unsigned field,
                                      trail_text term, uint32_t window,
                                      const uint16_t *offsets, size_t count,
                                      trail_error *err)
{
    uint8_t data[TRAIL__WINDOW / 8];
    trail__posting posting = { .window = window, .count = (uint32_t)count, .data = data };
    size_t bits_len = (size_t)offsets[count - 1] / 8 + 1;

    if (bits_len < 2 * count) {
        posting.is_bits = true;
        posting.len = bits_len;
        memset(data, 0, bits_len);
        for (size_t i = 0; i < count; i++) {
            data[offsets[i] / 8] |= (uint8_t)(1u << (offsets[i] % 8));
        }
    } else {
        posting.len = 2 * count;
        for (size_t i = 0; i < count; i++) {
            data[2 * i] = (uint8_t)offsets[i];
            data[2 * i + 1] = (uint8_t)(offsets[i] >> 8);
        }
    }
    return trail__block_add(writer, field, term, &posting, err);
}

trail_status trail__block_finish(trail__block_writer *writer, trail_error *err)
{
    trail_status status = emit_times(writer, err);

    return status == TRAIL_OK ? emit(writer, err) : status;
}

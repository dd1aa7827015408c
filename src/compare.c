/* compare.c - do index and log say the same, both ways.
 * Level 6: may include levels 0-5, report, difference.
 * SPDX-License-Identifier: MIT
 */
#include "compare.h"

#include "difference.h"
#include "error.h"
#include "fault.h"
#include "hash.h"
#include "postings.h"
#include "report.h"
#include "term_table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { CELL = 4096 };

struct trail__compare {
    trail__index *index;
    trail__view view;
    uint64_t keys[3];
    uint64_t seq_last; /* the index has come so far */
    size_t cell_count;
    trail__sums *cells; /* of the index, then of both */
    trail__sums total;  /* of the index */
};

void trail__sums_join(trail__sums *to, const trail__sums *from)
{
    to->sums[0] += from->sums[0];
    to->sums[1] += from->sums[1];
}

/* ---- sums ------------------------------------------------------------------------- */

/* One term at one seq; 'sign' 1 or -1. */
static void sum(const trail__compare *c, trail__sums *to, uint64_t hash, uint64_t seq,
                uint64_t sign)
{
    for (int i = 0; i < 2; i++) {
        uint64_t value =
            trail__mix(hash ^ seq * UINT64_C(0x9e3779b97f4a7c15), c->keys[1 + i]);

        to->sums[i] += value * sign;
    }
}

static void sum_time(const trail__compare *c, trail__sums *to, int64_t time_us,
                     uint64_t seq, uint64_t sign)
{
    sum(c, to, trail__mix((uint64_t)time_us ^ c->keys[0], c->keys[1]), seq, sign);
}

/* Those in details are gathered first: an array may hold a value twice. */
typedef struct adding {
    const trail__compare *c;
    trail__sums *to;
    uint64_t seq;
    uint64_t *hashes;
    size_t count;
    size_t room;
} adding;

static trail_status add_term(void *context, unsigned field, trail_text term)
{
    adding *a = context;
    uint64_t hash;

    if (term.len > TRAIL__TERM_LEN_MAX) {
        term.len = TRAIL__TERM_LEN_MAX;
    }
    if (term.len == 0 || memchr(term.data, '\0', term.len) != NULL) {
        return TRAIL_OK;
    }
    hash = trail__term_hash(a->c->keys[0], field, term);
    if (field < TRAIL__TERM_FIELD_PATHS) {
        sum(a->c, a->to, hash, a->seq, 1);
    } else if (trail__reserve(&a->hashes, &a->room, a->count + 1, sizeof hash)) {
        a->hashes[a->count++] = hash;
    } else {
        return TRAIL_NO_MEMORY;
    }
    return TRAIL_OK;
}

static int by_number(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;

    return left < right ? -1 : left > right;
}

static trail__sums *cell_of(const trail__compare *c, uint64_t seq)
{
    return &c->cells[(seq - 1) / CELL];
}

trail_status trail__compare_add(const trail__compare *compare, const trail_record *record,
                                trail__sums *to, trail_error *err)
{
    adding a = { .c = compare, .to = to, .seq = record->seq };
    trail_status status;

    if (record->seq > compare->seq_last) {
        return TRAIL_OK;
    }
    sum_time(compare, to, record->event.timestamp_us, record->seq, 1);
    status = trail__terms_of(&record->event, &compare->index->paths, add_term, &a, NULL);
    if (a.count > 0) {
        qsort(a.hashes, a.count, sizeof a.hashes[0], by_number);
    }
    for (size_t i = 0; i < a.count; i++) {
        if (i == 0 || a.hashes[i] != a.hashes[i - 1]) {
            sum(compare, to, a.hashes[i], record->seq, 1);
        }
    }
    trail__free(a.hashes);
    return status == TRAIL_OK
               ? status
               : trail__error(err, status, "no memory to compare with the index");
}

/* ---- the index's side ------------------------------------------------------------- */

typedef struct taking {
    trail__compare *c;
    const trail__segment *segment;
    uint64_t hash;
    uint32_t count;
} taking;

static bool take_offset(void *context, uint32_t offset)
{
    taking *t = context;
    uint64_t seq = t->segment->seq_first + offset;

    if (seq > t->segment->seq_last) {
        return false;
    }
    if (seq <= t->c->seq_last) {
        sum(t->c, cell_of(t->c, seq), t->hash, seq, UINT64_MAX);
    }
    t->count++;
    return true;
}

static trail_status take_terms(trail__compare *c, const trail__segment *segment,
                               trail_error *err)
{
    taking t = { .c = c, .segment = segment };
    trail__postings p;
    trail_status status = trail__postings_open(&p, &c->view.txn, segment->number, 1,
                                               (trail_text){ "", 0 }, err);

    if (status != TRAIL_OK) {
        return status;
    }
    while ((status = trail__postings_next(&p, err)) == TRAIL_OK) {
        t.hash = trail__term_hash(c->keys[0], p.field, p.term);
        t.count = 0;
        if (!trail__posting_each(&p.posting, take_offset, &t) ||
            t.count != p.posting.count) {
            status = trail__view_damaged(&c->view, "a posting is damaged", err);
            break;
        }
    }
    trail__postings_close(&p);
    return status == TRAIL_NOT_FOUND ? TRAIL_OK : status;
}

/* Also: do the least and the greatest time of the segment's row occur in it? Else a query would
 * pass it over. */
static trail_status take_times(trail__compare *c, const trail__segment *segment,
                               trail_error *err)
{
    uint32_t span = (uint32_t)(segment->seq_last - segment->seq_first + 1);
    int64_t least = INT64_MAX;
    int64_t most = 0;

    for (uint32_t offset = 0; offset < span;) {
        trail__times times;
        uint32_t first;
        trail_status status = trail__postings_times(&c->view.txn, segment->number, offset,
                                                    &first, &times, err);

        if (status != TRAIL_OK) {
            return status;
        }
        for (; offset < span && offset - first < times.count; offset++) {
            int64_t at = trail__times_at(&times, offset - first);

            least = at < least ? at : least;
            most = at > most ? at : most;
            if (segment->seq_first + offset <= c->seq_last) {
                sum_time(c, cell_of(c, segment->seq_first + offset), at,
                         segment->seq_first + offset, UINT64_MAX);
            }
        }
    }
    return least == segment->time_min_us && most == segment->time_max_us
               ? TRAIL_OK
               : trail__view_damaged(&c->view, "the times of a segment are wrong", err);
}

static trail_status take_index(trail__compare *c, trail_error *err)
{
    trail_status status = TRAIL_OK;

    for (uint64_t seq = 1; seq <= c->seq_last && status == TRAIL_OK;) {
        trail__segment segment;

        status = trail__view_segment(&c->view, seq, &segment, err);
        if (status == TRAIL_OK && segment.seq_first != seq) {
            status = trail__view_damaged(&c->view, "segments overlap", err);
        }
        if (status == TRAIL_OK) {
            status = take_times(c, &segment, err);
        }
        if (status == TRAIL_OK) {
            status = take_terms(c, &segment, err);
        }
        seq = segment.seq_last + 1;
    }
    for (size_t i = 0; i < c->cell_count; i++) {
        trail__sums_join(&c->total, &c->cells[i]);
    }
    return status;
}

/* ---- begin and end ---------------------------------------------------------------- */

/* Open the view; false: there is no index that a query would use. */
static bool look(trail__compare *c)
{
    trail__kv_txn txn;
    bool fits;

    trail__view_begin(&c->view, c->index);
    if (trail__kv_begin_read(c->index->log->kv, &txn, NULL) != TRAIL_OK) {
        return false;
    }
    fits = trail__view_fits(&c->view, &txn) && c->view.state.seq > 0;
    trail__kv_abort(&txn);
    return fits;
}

static trail_status make_cells(trail__compare *c, trail_error *err)
{
    trail_status status = trail__random((uint8_t *)c->keys, sizeof c->keys, err);

    c->cell_count = (size_t)((c->seq_last - 1) / CELL + 1);
    c->cells = trail__alloc_zero(c->cell_count * sizeof c->cells[0]);
    for (int i = 0; i < 3; i++) {
        c->keys[i] |= 1; /* else what it multiplies would lose bits */
    }
    return c->cells != NULL ? status
                            : trail__error(err, TRAIL_NO_MEMORY,
                                           "no memory to compare with the index");
}

trail_status trail__compare_begin(trail__compare **compare_out, trail__index *index,
                                  trail_error *err)
{
    trail__compare *c = trail__alloc_zero(sizeof *c);
    trail_status status = TRAIL_OK;
    bool found;

    *compare_out = NULL;
    if (c == NULL) {
        return trail__error(err, TRAIL_NO_MEMORY, "no memory to compare with the index");
    }
    c->index = index;
    found = look(c);
    c->seq_last = found ? c->view.state.seq : 0;
    trail__view_end(&c->view);
    if (found) {
        status = make_cells(c, err);
    }
    if (status != TRAIL_OK || !found) {
        trail__compare_end(c);
        return status;
    }
    *compare_out = c;
    return TRAIL_OK;
}

void trail__compare_end(trail__compare *compare)
{
    if (compare != NULL) {
        trail__view_end(&compare->view);
        trail__free(compare->cells);
        trail__free(compare);
    }
}

/* ---- the outcome ------------------------------------------------------------------ */

static bool is_even(const trail__sums *s)
{
    return s->sums[0] == 0 && s->sums[1] == 0;
}

/* The log's side once more, cell by cell. */
static trail_status fill_cells(trail__compare *c, trail_error *err)
{
    trail_status status = TRAIL_OK;

    for (uint64_t seq = 1; seq <= c->seq_last && status == TRAIL_OK;) {
        trail__kv_txn txn;

        status = trail__kv_begin_read(c->index->log->kv, &txn, err);
        if (status != TRAIL_OK) {
            return status;
        }
        for (uint64_t i = 0; i < CELL && seq <= c->seq_last && status == TRAIL_OK; i++) {
            trail_text stored;
            trail_record record;

            status = trail__log_stored(&txn, seq, &stored, err);
            if (status == TRAIL_OK && trail__stored_read(stored, &record, NULL) == NULL) {
                status = trail__compare_add(c, &record, cell_of(c, seq), err);
            }
            seq++;
        }
        trail__kv_abort(&txn);
    }
    return status;
}

trail_status trail__compare_report(trail__compare *compare, const trail__sums *of_log,
                                   trail_report *report, trail_error *err)
{
    char text[TRAIL__DIFFERENCE_TEXT_MAX] = "";
    trail_error damage;
    uint64_t first;
    uint64_t last;
    uint64_t seq = 0;
    trail_status status = TRAIL_OK;
    size_t number = 0;

    if (!look(compare) || compare->view.state.seq < compare->seq_last) {
        return TRAIL_OK; /* it is gone: there is nothing to compare with any more */
    }
    report->index_seq = compare->seq_last;
    status = take_index(compare, &damage);
    if (status == TRAIL_CORRUPT) {
        trail__report_fault(report, TRAIL_FAULT_INDEX, 0, "%s", damage.text);
        return TRAIL_OK;
    }
    if (status != TRAIL_OK) {
        return trail__error(err, status, "%s", damage.text);
    }
    trail__sums_join(&compare->total, of_log);
    if (is_even(&compare->total)) {
        return TRAIL_OK;
    }
    status = fill_cells(compare, err);
    if (status != TRAIL_OK) {
        return status;
    }
    while (number < compare->cell_count && is_even(&compare->cells[number])) {
        number++;
    }
    if (number == compare->cell_count) {
        return TRAIL_OK;
    }
    first = (uint64_t)number * CELL + 1;
    last = first + CELL - 1 < compare->seq_last ? first + CELL - 1 : compare->seq_last;
    status = trail__difference_find(&compare->view, first, last, &seq, text, err);
    if (status == TRAIL_OK || status == TRAIL_CORRUPT) {
        trail__report_fault(report, TRAIL_FAULT_INDEX, seq > 0 ? seq : first,
                            "index: entry %" PRIu64 " %s; trail reindex mends it",
                            seq > 0 ? seq : first,
                            seq > 0 ? text : "or one after it has another time there");
        status = TRAIL_OK;
    }
    return status;
}

/* difference.c - where an index and its log differ, in words.
 * Level 6: may include levels 0-5.
 * SPDX-License-Identifier: MIT
 */
#include "difference.h"

#include "error.h"
#include "postings.h"
#include "segment.h"

#include <stdio.h>

typedef struct difference {
    const trail__view *view;
    const trail__segment *segment;
    uint64_t first, last;       /* seqs of the cell */
    trail__segment_maker *made; /* of the log, sorted */
    uint64_t seq;               /* the first one found; 0: none yet */
    char *text;                 /* of what was found there */
    /* While a posting is looked at: what the log has of its term. */
    unsigned field;
    trail_text term;
    const uint16_t *offsets;
    size_t count;
} difference;

static void tell(difference *d, uint64_t seq, unsigned field, trail_text term,
                 const char *what)
{
    const char *name = field < TRAIL__TERM_FIELD_PATHS
                           ? trail_field_name((trail_field)(field - 1))
                           : d->view->index->path_names[field - TRAIL__TERM_FIELD_PATHS];

    if (d->seq == 0 || seq < d->seq) {
        d->seq = seq;
        (void)snprintf(d->text, TRAIL__DIFFERENCE_TEXT_MAX, "%s %s '%.*s'", what, name,
                       (int)(term.len > 100 ? 100 : term.len), term.data);
    }
}

static bool log_has(const difference *d, uint64_t seq)
{
    for (size_t i = 0; i < d->count; i++) {
        if (d->first + d->offsets[i] == seq) {
            return true;
        }
    }
    return false;
}

static bool look_at_offset(void *context, uint32_t offset)
{
    difference *d = context;
    uint64_t seq = d->segment->seq_first + offset;

    if (seq >= d->first && seq <= d->last && !log_has(d, seq)) {
        tell(d, seq, d->field, d->term, "is found under");
    }
    return true;
}

/* What the log has of this term in the cell. */
static void find_in_log(difference *d)
{
    d->count = 0;
    for (size_t i = 0;; i++) {
        trail_text term;
        unsigned field;
        const uint16_t *offsets;
        size_t count;

        if (!trail__segment_term(d->made, i, &field, &term, &offsets, &count)) {
            return;
        }
        if (trail__term_compare(field, term, d->field, d->term) == 0) {
            d->offsets = offsets;
            d->count = count;
            return;
        }
    }
}

static bool touches(const difference *d, const trail__posting *p)
{
    uint64_t first = d->segment->seq_first + (uint64_t)p->window * TRAIL__WINDOW;

    return first <= d->last && first + TRAIL__WINDOW > d->first;
}

/* Postings that the log knows nothing of. */
static trail_status look_for_added(difference *d, trail_error *err)
{
    trail__postings p;
    trail_status status = trail__postings_open(&p, &d->view->txn, d->segment->number, 1,
                                               (trail_text){ "", 0 }, err);

    if (status != TRAIL_OK) {
        return status;
    }
    while ((status = trail__postings_next(&p, err)) == TRAIL_OK) {
        if (touches(d, &p.posting)) {
            d->field = p.field;
            d->term = p.term;
            find_in_log(d);
            (void)trail__posting_each(&p.posting, look_at_offset, d);
        }
    }
    trail__postings_close(&p);
    return status == TRAIL_NOT_FOUND ? TRAIL_OK : status;
}

static trail_status gather_term(difference *d, unsigned field, trail_text term,
                                trail__set *set, trail_error *err)
{
    trail__postings p;
    trail_status status =
        trail__postings_open(&p, &d->view->txn, d->segment->number, field, term, err);

    if (status != TRAIL_OK) {
        return status;
    }
    while ((status = trail__postings_next(&p, err)) == TRAIL_OK &&
           trail__term_compare(p.field, p.term, field, term) == 0) {
        status = trail__posting_add(&p.posting, set);
        if (status != TRAIL_OK) {
            break;
        }
    }
    trail__postings_close(&p);
    return status == TRAIL_NOT_FOUND ? TRAIL_OK : status;
}

/* Postings of the log that the index does not have. */
static trail_status look_for_removed(difference *d, trail_error *err)
{
    uint32_t span = (uint32_t)(d->segment->seq_last - d->segment->seq_first + 1);
    trail_status status = TRAIL_OK;
    trail_text term;
    unsigned field;
    const uint16_t *offsets;
    size_t count;

    for (size_t i = 0; status == TRAIL_OK &&
                       trail__segment_term(d->made, i, &field, &term, &offsets, &count);
         i++) {
        trail__set set = { 0 };

        if (!trail__set_init(&set, span)) {
            return trail__error(err, TRAIL_NO_MEMORY, "no memory to compare the index");
        }
        status = gather_term(d, field, term, &set, err);
        for (size_t n = 0; status == TRAIL_OK && n < count; n++) {
            uint64_t seq = d->first + offsets[n];
            uint32_t wanted = (uint32_t)(seq - d->segment->seq_first);
            uint32_t found;

            if (!trail__set_up(&set, wanted, &found) || found != wanted) {
                tell(d, seq, field, term, "is not found under");
            }
        }
        trail__set_release(&set);
    }
    return status;
}

static trail_status gather_log(difference *d, trail_error *err)
{
    trail__kv_txn txn;
    trail_status status = trail__kv_begin_read(d->view->index->log->kv, &txn, err);

    if (status != TRAIL_OK) {
        return status;
    }
    trail__segment_maker_reset(d->made);
    for (uint64_t seq = d->first; seq <= d->last && status == TRAIL_OK; seq++) {
        trail_text stored;
        trail_record record;

        status = trail__log_stored(&txn, seq, &stored, err);
        if (status == TRAIL_OK && trail__stored_read(stored, &record, NULL) == NULL) {
            status =
                trail__segment_add(d->made, &record.event, &d->view->index->paths, err);
        }
    }
    trail__kv_abort(&txn);
    return status == TRAIL_OK ? trail__segment_sort(d->made, err) : status;
}

/* The part of a cell that one segment covers. */
static trail_status look_at(difference *d, const trail__segment *segment, uint64_t first,
                            uint64_t last, trail_error *err)
{
    trail_status status;

    d->segment = segment;
    d->first = first;
    d->last = last;
    status = gather_log(d, err);
    if (status == TRAIL_OK) {
        status = look_for_removed(d, err);
    }
    return status == TRAIL_OK ? look_for_added(d, err) : status;
}

trail_status trail__difference_find(const trail__view *view, uint64_t seq_first,
                                    uint64_t seq_last, uint64_t *seq_out,
                                    char text_out[TRAIL__DIFFERENCE_TEXT_MAX],
                                    trail_error *err)
{
    difference d = { .view = view, .text = text_out };
    uint64_t seq = seq_first;
    trail_status status = trail__segment_maker_new(&d.made, err);

    while (status == TRAIL_OK && seq <= seq_last && d.seq == 0) {
        trail__segment segment;

        status = trail__view_segment(view, seq, &segment, err);
        if (status == TRAIL_OK) {
            uint64_t end = segment.seq_last < seq_last ? segment.seq_last : seq_last;

            status = look_at(&d, &segment, seq, end, err);
            seq = end + 1;
        }
    }
    trail__segment_maker_free(d.made);
    *seq_out = d.seq;
    return status;
}

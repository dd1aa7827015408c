/* memory_index.c - the public functions of the index, called and judged while memory fails.
 * Test: includes memory.h.
 * SPDX-License-Identifier: MIT
 *
 * They have a trail of their own, indexed by hand and with segments so small that a few events are
 * many of them.
 */
#include "memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INDEXED = 45 };

static const char *const paths[] = { "b" };

static _Noreturn void give_up(const char *what)
{
    printf("%s\n", what);
    abort();
}

static trail_status append_some(state *s, int count, trail_error *err)
{
    trail_status status = TRAIL_OK;

    for (int i = 0; i < count && status == TRAIL_OK; i++) {
        status = append_to(s, s->indexed, err);
        s->indexed_count += status == TRAIL_OK;
    }
    return status;
}

/* The index is complete and its files are open, as before each call. */
static trail_status settle(state *s, trail_error *err)
{
    trail_status status = trail_maintain(s->indexed, NULL, err);

    return status == TRAIL_OK ? do_count_indexed(s, err) : status;
}

int open_indexed(state *s, trail_error *err)
{
    char path[600];
    trail_options options;

    (void)snprintf(path, sizeof path, "%s/indexed.trail", s->dir);
    trail_options_init(&options);
    options.map_size = MAP_SIZE;
    options.indexing = TRAIL_INDEX_MANUAL;
    options.index_paths = paths;
    options.index_path_count = 1;
    index_shape(4, 2, 5);
    if (trail_open(&s->indexed, path, &options, err) != TRAIL_OK) {
        return 1;
    }
    index_shape(256, 16, 5); /* a thread that indexes would make the calls differ */
    return append_some(s, INDEXED, err) != TRAIL_OK || settle(s, err) != TRAIL_OK;
}

/* ---- questions ---------------------------------------------------------------------- */

/* All that append_to appends: by a prefix, by a path that is indexed and by one that is not. */
static void make_filter(trail_filter *filter, trail_match matches[3])
{
    static const trail_text prefix = { "memory_", 7 };
    static const trail_text known = { "\"1234\"", 6 };
    static const trail_text read = { "\"\\u00e9\"", 8 };
    static const bool yes = true;

    matches[0] = (trail_match){
        .field = TRAIL_FIELD_EVENT_TYPE, .values = &prefix, .count = 1, .prefixes = &yes
    };
    matches[1] = (trail_match){ .field = TRAIL_FIELD_DETAILS,
                                .values = &known,
                                .count = 1,
                                .prefixes = &yes,
                                .path = trail_str("b") };
    matches[2] = (trail_match){
        .field = TRAIL_FIELD_DETAILS, .values = &read, .count = 1, .path = trail_str("a")
    };
    trail_filter_init(filter);
    filter->matches = matches;
    filter->match_count = 3;
}

trail_status do_count_indexed(state *s, trail_error *err)
{
    trail_filter filter;
    trail_match matches[3];
    trail_explain explain;
    uint64_t count = 0;
    trail_status status = TRAIL_OK;

    make_filter(&filter, matches);
    for (int i = 3; i > 0 && status == TRAIL_OK; i--) {
        filter.match_count = (size_t)i;
        status = trail_count_explain(s->indexed, &filter, &count, &explain, err);
        if (status == TRAIL_OK && count != s->indexed_count) {
            give_up("a wrong count");
        }
    }
    return status;
}

trail_status do_query_indexed(state *s, trail_error *err)
{
    trail_filter filter;
    trail_match matches[3];
    trail_cursor *cursor;
    const trail_record *record = NULL;
    uint64_t found = 0;
    trail_status status;

    make_filter(&filter, matches);
    status = trail_query(s->indexed, &filter, &cursor, err);
    while (status == TRAIL_OK) {
        status = trail_cursor_next(cursor, &record, err);
        if (status != TRAIL_OK || record == NULL) {
            break;
        }
        if (record->seq != s->indexed_count + 1 - found++) {
            give_up("another record than comes next");
        }
    }
    if (status == TRAIL_OK && found != s->indexed_count) {
        give_up("a query ends too early");
    }
    trail_cursor_close(cursor);
    return status;
}

static trail_status ask_top(state *s, trail_field field, const char *path,
                            uint64_t distinct, trail_error *err)
{
    trail_filter filter;
    trail_match matches[3];
    trail_top *top;
    trail_status status;

    make_filter(&filter, matches);
    filter.match_count = 2;
    status = trail_top_values(s->indexed, field, trail_str(path), &filter, 5, &top, err);
    if ((status == TRAIL_OK) != (top != NULL)) {
        give_up("a top without success, or success without a top");
    }
    if (top != NULL && (top->events != s->indexed_count || top->absent != 0 ||
                        top->distinct != distinct)) {
        give_up("a wrong top");
    }
    trail_top_free(top);
    return status;
}

trail_status do_top(state *s, trail_error *err)
{
    trail_status status = ask_top(s, TRAIL_FIELD_RESOURCE_ID, "", s->indexed_count, err);

    return status == TRAIL_OK ? ask_top(s, TRAIL_FIELD_DETAILS, "b", 1, err) : status;
}

trail_status do_histogram(state *s, trail_error *err)
{
    trail_filter filter;
    trail_match matches[3];
    trail_histogram *histogram;
    trail_status status;

    make_filter(&filter, matches);
    filter.match_count = 2;
    status = trail_histogram_make(s->indexed, 1000, &filter, &histogram, err);
    if ((status == TRAIL_OK) != (histogram != NULL)) {
        give_up("a histogram without success, or success without a histogram");
    }
    if (histogram != NULL && histogram->events != s->indexed_count) {
        give_up("a wrong histogram");
    }
    trail_histogram_free(histogram);
    return status;
}

trail_status do_index_info(state *s, trail_error *err)
{
    trail_index_info info;
    trail_status status = trail_get_index_info(s->indexed, &info, err);

    if (status == TRAIL_OK && info.head_seq != s->indexed_count + 1) {
        give_up("a wrong head");
    }
    return status;
}

/* ---- the index itself --------------------------------------------------------------- */

int before_maintain(state *s, trail_error *err)
{
    return append_some(s, 4, err) != TRAIL_OK;
}

trail_status do_maintain(state *s, trail_error *err)
{
    return trail_maintain(s->indexed, NULL, err);
}

trail_status do_maintain_anew(state *s, trail_error *err)
{
    trail_maintain_options options;

    trail_maintain_options_init(&options);
    options.anew = true;
    return trail_maintain(s->indexed, &options, err);
}

int after_indexed(state *s, trail_error *err)
{
    return settle(s, err) != TRAIL_OK;
}

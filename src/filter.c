/* filter.c - does a record satisfy what somebody looks for.
 * Level 2: may include levels 0-1, door, terms. No I/O.
 * SPDX-License-Identifier: MIT
 */
#include "filter.h"

#include "door.h"
#include "error.h"
#include "fault.h"
#include "terms.h"
#include "text.h"

#include <string.h>

enum { BINARY_LEN = 16 }; /* of an id, and of an address */

struct trail__filter {
    trail_filter bounds;
    trail__condition *conditions;
    size_t count;
    trail_text *details_terms; /* allocated one by one */
    size_t details_count;
    trail_range *ranges; /* bounds.range_count, then bounds.not_range_count of them */
    /* Behind the struct, in one block: conditions, ranges, and what 'room' shows. */
};

static const char *const field_names[TRAIL_FIELD_COUNT] = {
    "id",          "event_type", "user_id",    "action",     "resource_type",
    "resource_id", "result",     "request_id", "ip_address", "details"
};

const char *trail_field_name(trail_field field)
{
    return (unsigned)field < TRAIL_FIELD_COUNT ? field_names[field] : NULL;
}

void trail_filter_init(trail_filter *filter)
{
    memset(filter, 0, sizeof *filter);
    filter->since_us = TRAIL_TIME_NONE;
    filter->until_us = TRAIL_TIME_NONE;
}

static bool has_binary(trail_field field)
{
    return field == TRAIL_FIELD_ID || field == TRAIL_FIELD_IP_ADDRESS;
}

static bool is_storable(trail_text value)
{
    size_t chars;
    size_t bad;

    return trail__text_plain(value) || (memchr(value.data, '\0', value.len) == NULL &&
                                        trail__text_utf8(value, &chars, &bad));
}

/* What stands for all that begins with it need be no whole value. */
static trail_status check_prefix(const trail_match *match, trail_text value,
                                 trail_error *err)
{
    const char *name = field_names[match->field];

    if (match->field == TRAIL_FIELD_ID || match->field == TRAIL_FIELD_RESULT) {
        return trail__error(err, TRAIL_INVALID,
                            "filter '%s': a whole value is needed, not a prefix", name);
    }
    if (match->field == TRAIL_FIELD_DETAILS && (value.len < 2 || value.data[0] != '"')) {
        return trail__error(err, TRAIL_INVALID,
                            "filter 'details.%.*s': only strings have prefixes",
                            (int)match->path.len, match->path.data);
    }
    return TRAIL_OK;
}

static trail_status check_value(const trail_match *match, trail_text value, bool prefix,
                                uint8_t *binary, trail_error *err)
{
    const char *name = field_names[match->field];
    int shown = value.len > 64 ? 64 : (int)value.len;

    if (value.data == NULL) {
        return trail__error(err, TRAIL_INVALID, "filter '%s': a value is absent", name);
    }
    if (!is_storable(value)) {
        return trail__error(err, TRAIL_INVALID,
                            "filter '%s': a value of %zu bytes is not UTF-8 without NUL, "
                            "as all stored text is",
                            name, value.len);
    }
    if (prefix) {
        return check_prefix(match, value, err);
    }
    if (match->field == TRAIL_FIELD_ID) {
        trail_status status = trail_id_parse(value, binary, err);

        if (status != TRAIL_OK) {
            trail__error_prefix(err, "filter 'id': ");
        }
        return status;
    }
    if (match->field == TRAIL_FIELD_IP_ADDRESS && !trail__door_address(value, binary)) {
        return trail__error(err, TRAIL_INVALID,
                            "filter 'ip_address': '%.*s' is not an IPv4 or IPv6 address",
                            shown, value.data);
    }
    /* "fail" would find nothing, and nothing would look like good news. */
    if (match->field == TRAIL_FIELD_RESULT && !trail__door_is_result(value)) {
        return trail__error(err, TRAIL_INVALID,
                            "filter 'result' is '%.*s', must be success, failure or "
                            "partial_success",
                            shown, value.data);
    }
    return TRAIL_OK;
}

static trail_status check_range(uint64_t first, uint64_t last, trail_error *err)
{
    if (last != 0 && first > last) {
        return trail__error(err, TRAIL_INVALID, "filter 'seq': %llu to %llu is no range",
                            (unsigned long long)first, (unsigned long long)last);
    }
    return TRAIL_OK;
}

static trail_status check_ranges(const trail_range *ranges, size_t count,
                                 trail_error *err)
{
    trail_status status = TRAIL_OK;

    for (size_t i = 0; i < count && status == TRAIL_OK; i++) {
        status = check_range(ranges[i].first, ranges[i].last, err);
    }
    return status;
}

static trail_status check_bounds(const trail_filter *filter, trail_error *err)
{
    trail_status status;

    if (filter->since_us != TRAIL_TIME_NONE && filter->until_us != TRAIL_TIME_NONE &&
        filter->since_us > filter->until_us) {
        return trail__error(err, TRAIL_INVALID, "filter 'since' is after 'until'");
    }
    if (filter->order != TRAIL_NEWEST_FIRST && filter->order != TRAIL_OLDEST_FIRST) {
        return trail__error(err, TRAIL_INVALID, "filter 'order': %d is not known",
                            (int)filter->order);
    }
    status = check_range(filter->seq_first, filter->seq_last, err);
    if (status == TRAIL_OK) {
        status = check_ranges(filter->ranges, filter->range_count, err);
    }
    if (status == TRAIL_OK) {
        status = check_ranges(filter->not_ranges, filter->not_range_count, err);
    }
    return status;
}

/* How many values and bytes of text the matches have, after checking their shape. */
static trail_status measure(const trail_filter *filter, size_t *values_out,
                            size_t *len_out, trail_error *err)
{
    for (size_t i = 0; i < filter->match_count; i++) {
        const trail_match *match = &filter->matches[i];

        if ((unsigned)match->field >= TRAIL_FIELD_COUNT) {
            return trail__error(err, TRAIL_INVALID, "filter: field %d is not known",
                                (int)match->field);
        }
        if (match->count == 0) {
            return trail__error(err, TRAIL_INVALID,
                                "filter '%s': the list of values is empty",
                                field_names[match->field]);
        }
        if (match->field == TRAIL_FIELD_DETAILS) {
            trail_status status = trail__path_check(match->path, err);

            if (status != TRAIL_OK) {
                trail__error_prefix(err, "filter: ");
                return status;
            }
        }
        *values_out += match->count;
        *len_out += match->path.len;
        for (size_t v = 0; v < match->count; v++) {
            *len_out += match->values[v].len;
        }
    }
    return TRAIL_OK;
}

/* Where the parts of the conditions go: one place for each value, and the bytes of texts. */
typedef struct room {
    trail_text *values;
    trail_text *terms;
    char (*addresses)[TRAIL__ADDRESS_TEXT_MAX];
    uint8_t *binary;
    bool *prefixes;
    char *text;
} room;

enum {
    ROOM_A_VALUE =
        2 * sizeof(trail_text) + TRAIL__ADDRESS_TEXT_MAX + BINARY_LEN + sizeof(bool)
};

static room lay_out(void *memory, size_t values)
{
    room r;

    r.values = memory;
    r.terms = r.values + values;
    r.addresses = (char(*)[TRAIL__ADDRESS_TEXT_MAX])(void *)(r.terms + values);
    r.binary = (uint8_t *)(void *)(r.addresses + values);
    r.prefixes = (bool *)(void *)(r.binary + values * BINARY_LEN);
    r.text = (char *)(void *)(r.prefixes + values);
    return r;
}

static trail_text copy_text(room *r, trail_text text)
{
    trail_text copy = { r->text, text.len };

    if (text.len > 0) {
        memcpy(r->text, text.data, text.len);
    }
    r->text += text.len;
    return copy;
}

static trail_status make_term(trail__filter *made, const trail_match *match, room *r,
                              trail_error *err)
{
    trail_text value = r->values[0];
    trail_status status = TRAIL_OK;

    r->terms[0] = value;
    if (match->field == TRAIL_FIELD_IP_ADDRESS && !r->prefixes[0]) {
        r->terms[0] = trail__term_address(value, r->addresses[0]);
    } else if (match->field == TRAIL_FIELD_DETAILS) {
        status = trail__term_of_json(value, &r->terms[0], err);
        if (status == TRAIL_OK) {
            made->details_terms[made->details_count++] = r->terms[0];
        } else {
            trail__error_prefix(err, "filter 'details.%.*s': ", (int)match->path.len,
                                match->path.data);
        }
    }
    return status;
}

static trail_status copy_match(trail__filter *made, const trail_match *match,
                               trail__condition *c, room *r, trail_error *err)
{
    c->field = match->field;
    c->negate = match->negate;
    c->count = match->count;
    c->values = r->values;
    c->terms = r->terms;
    c->prefixes = r->prefixes;
    c->binary = has_binary(match->field) ? r->binary : NULL;
    if (match->field == TRAIL_FIELD_DETAILS) {
        c->path = copy_text(r, match->path);
    }
    for (size_t v = 0; v < match->count; v++) {
        trail_status status;

        r->prefixes[0] = match->prefixes != NULL && match->prefixes[v];
        status = check_value(match, match->values[v], r->prefixes[0], r->binary, err);
        if (status == TRAIL_OK) {
            r->values[0] = copy_text(r, match->values[v]);
            status = make_term(made, match, r, err);
        }
        if (status != TRAIL_OK) {
            return status;
        }
        r->values++;
        r->terms++;
        r->addresses++;
        r->prefixes++;
        r->binary += BINARY_LEN;
    }
    return TRAIL_OK;
}

static trail_status copy_matches(trail__filter *made, const trail_filter *filter, room *r,
                                 size_t values, trail_error *err)
{
    trail_status status = TRAIL_OK;

    made->details_terms = trail__alloc(values * sizeof made->details_terms[0]);
    if (made->details_terms == NULL) {
        return trail__error(err, TRAIL_NO_MEMORY, "no memory for a filter");
    }
    for (size_t i = 0; i < filter->match_count && status == TRAIL_OK; i++) {
        status = copy_match(made, &filter->matches[i], &made->conditions[i], r, err);
    }
    return status;
}

/* The ranges, and seq_first and seq_last that enclose those of which one must hold. */
static void copy_ranges(trail__filter *made, const trail_filter *filter)
{
    trail_filter *bounds = &made->bounds;
    uint64_t first = UINT64_MAX;
    uint64_t last = 0;

    for (size_t i = 0; i < filter->not_range_count; i++) {
        made->ranges[filter->range_count + i] = filter->not_ranges[i];
    }
    for (size_t i = 0; i < filter->range_count; i++) {
        const trail_range *range = &filter->ranges[i];
        uint64_t range_last = range->last > 0 ? range->last : UINT64_MAX;

        made->ranges[i] = *range;
        first = range->first < first ? range->first : first;
        last = range_last > last ? range_last : last;
    }
    bounds->ranges = NULL;
    bounds->not_ranges = NULL;
    if (filter->range_count > 0) {
        bounds->seq_first = first > bounds->seq_first ? first : bounds->seq_first;
        if (bounds->seq_last == 0 || last < bounds->seq_last) {
            bounds->seq_last = last;
        }
    }
}

trail_status trail__filter_make(trail__filter **filter_out, const trail_filter *filter,
                                trail_error *err)
{
    trail_filter everything;
    trail__filter *made;
    size_t values = 0;
    size_t ranges_len;
    size_t len = 0;
    room places;
    trail_status status;

    *filter_out = NULL;
    if (filter == NULL) {
        trail_filter_init(&everything);
        filter = &everything;
    }
    status = check_bounds(filter, err);
    if (status == TRAIL_OK) {
        status = measure(filter, &values, &len, err);
    }
    if (status != TRAIL_OK) {
        return status;
    }
    ranges_len = (filter->range_count + filter->not_range_count) * sizeof(trail_range);
    made =
        trail__alloc_zero(sizeof *made + filter->match_count * sizeof(trail__condition) +
                          ranges_len + values * ROOM_A_VALUE + len);
    if (made == NULL) {
        return trail__error(err, TRAIL_NO_MEMORY, "no memory for a filter");
    }
    made->bounds = *filter;
    made->bounds.matches = NULL;
    made->count = filter->match_count;
    made->conditions = (trail__condition *)(void *)(made + 1);
    made->ranges = (trail_range *)(void *)(made->conditions + filter->match_count);
    copy_ranges(made, filter);
    places = lay_out((uint8_t *)made->ranges + ranges_len, values);
    status = copy_matches(made, filter, &places, values, err);
    if (status != TRAIL_OK) {
        trail__filter_free(made);
        return status;
    }
    *filter_out = made;
    return TRAIL_OK;
}

void trail__filter_free(trail__filter *filter)
{
    if (filter == NULL) {
        return;
    }
    for (size_t i = 0; i < filter->details_count; i++) {
        trail__free((void *)(uintptr_t)filter->details_terms[i].data);
    }
    trail__free(filter->details_terms);
    trail__free(filter);
}

const trail__condition *trail__filter_condition(const trail__filter *filter, size_t i)
{
    return i < filter->count ? &filter->conditions[i] : NULL;
}

const trail_range *trail__filter_ranges(const trail__filter *filter, bool negate,
                                        size_t *count_out)
{
    *count_out = negate ? filter->bounds.not_range_count : filter->bounds.range_count;
    return negate ? filter->ranges + filter->bounds.range_count : filter->ranges;
}

const trail_filter *trail__filter_bounds(const trail__filter *filter)
{
    return &filter->bounds;
}

bool trail__filter_is_open(const trail__filter *filter)
{
    return filter->count == 0 && filter->bounds.since_us == TRAIL_TIME_NONE &&
           filter->bounds.until_us == TRAIL_TIME_NONE &&
           filter->bounds.range_count == 0 && filter->bounds.not_range_count == 0;
}

bool trail__filter_ids(const trail__filter *filter, const uint8_t **ids_out,
                       size_t *count_out)
{
    for (size_t i = 0; i < filter->count; i++) {
        if (filter->conditions[i].field == TRAIL_FIELD_ID &&
            !filter->conditions[i].negate) {
            *ids_out = filter->conditions[i].binary;
            *count_out = filter->conditions[i].count;
            return true;
        }
    }
    return false;
}

static trail_text field_of(const trail_event *event, trail_field field)
{
    switch (field) {
    case TRAIL_FIELD_EVENT_TYPE:
        return event->event_type;
    case TRAIL_FIELD_USER_ID:
        return event->user_id;
    case TRAIL_FIELD_ACTION:
        return event->action;
    case TRAIL_FIELD_RESOURCE_TYPE:
        return event->resource_type;
    case TRAIL_FIELD_RESOURCE_ID:
        return event->resource_id;
    case TRAIL_FIELD_RESULT:
        return event->result;
    case TRAIL_FIELD_REQUEST_ID:
        return event->request_id;
    case TRAIL_FIELD_IP_ADDRESS:
        return event->ip_address;
    case TRAIL_FIELD_DETAILS:
        return event->details;
    case TRAIL_FIELD_ID:
    case TRAIL_FIELD_COUNT:
        break;
    }
    return (trail_text){ NULL, 0 };
}

static bool is_any_term(const trail__condition *c, trail_text term)
{
    for (size_t v = 0; v < c->count; v++) {
        if (c->prefixes[v] ? trail__text_begins(term, c->terms[v])
                           : trail__text_equal(c->terms[v], term)) {
            return true;
        }
    }
    return false;
}

static bool is_any_binary(const trail__condition *c, const uint8_t *binary)
{
    for (size_t v = 0; v < c->count; v++) {
        if (memcmp(c->binary + v * BINARY_LEN, binary, BINARY_LEN) == 0) {
            return true;
        }
    }
    return false;
}

typedef struct search {
    const trail__condition *condition;
    bool found;
} search;

static trail_status meet_term(void *context, unsigned field, trail_text term)
{
    search *s = context;

    (void)field;
    s->found = s->found || is_any_term(s->condition, term);
    return TRAIL_OK;
}

static trail_status is_any(const trail__condition *c, const trail_event *event,
                           bool *any_out, trail_error *err)
{
    trail_text text = field_of(event, c->field);
    char address[TRAIL__ADDRESS_TEXT_MAX];

    *any_out = false;
    if (c->field == TRAIL_FIELD_ID) {
        *any_out = is_any_binary(c, event->id);
    } else if (c->field == TRAIL_FIELD_DETAILS) {
        trail__paths paths = { .count = 1, .path = { c->path } };
        search s = { .condition = c };
        trail_status status = trail__terms_of_details(text, &paths, meet_term, &s, err);

        *any_out = s.found;
        return status;
    } else if (text.data != NULL && c->field == TRAIL_FIELD_IP_ADDRESS) {
        text = trail__term_address(text, address);
        *any_out = text.data != NULL && is_any_term(c, text);
    } else if (text.data != NULL) {
        *any_out = is_any_term(c, text);
    }
    return TRAIL_OK;
}

static bool is_in_any(const trail_range *ranges, size_t count, uint64_t seq)
{
    for (size_t i = 0; i < count; i++) {
        if (seq >= ranges[i].first && (ranges[i].last == 0 || seq <= ranges[i].last)) {
            return true;
        }
    }
    return false;
}

bool trail__filter_has_seq(const trail__filter *filter, uint64_t seq)
{
    const trail_filter *bounds = &filter->bounds;

    return (bounds->range_count == 0 ||
            is_in_any(filter->ranges, bounds->range_count, seq)) &&
           !is_in_any(filter->ranges + bounds->range_count, bounds->not_range_count, seq);
}

trail_status trail__filter_matches(const trail__filter *filter,
                                   const trail_record *record, bool *matches_out,
                                   trail_error *err)
{
    const trail_event *event = &record->event;

    *matches_out = false;
    if (!trail__filter_has_seq(filter, record->seq) ||
        (filter->bounds.since_us != TRAIL_TIME_NONE &&
         event->timestamp_us < filter->bounds.since_us) ||
        (filter->bounds.until_us != TRAIL_TIME_NONE &&
         event->timestamp_us >= filter->bounds.until_us)) {
        return TRAIL_OK;
    }
    for (size_t i = 0; i < filter->count; i++) {
        bool any;
        trail_status status = is_any(&filter->conditions[i], event, &any, err);

        if (status != TRAIL_OK || any == filter->conditions[i].negate) {
            return status;
        }
    }
    *matches_out = true;
    return TRAIL_OK;
}

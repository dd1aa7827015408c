/* filter.c - does a record satisfy what somebody looks for.
 * Level 2: may include levels 0-1, door. No I/O.
 * SPDX-License-Identifier: MIT
 */
#include "filter.h"

#include "door.h"
#include "error.h"
#include "fault.h"
#include "text.h"

#include <string.h>

enum { BINARY_LEN = 16 }; /* of an id, and of an address */

typedef struct condition {
    trail_field field;
    bool negate;
    size_t count;
    trail_text *values;
    uint8_t *binary; /* count * 16 bytes for ids and addresses; else NULL */
} condition;

struct trail__filter {
    trail_filter bounds;
    condition *conditions;
    size_t count;
    trail_range *ranges; /* bounds.range_count, then bounds.not_range_count of them */
    /* Behind the struct, in one block: conditions, ranges, values, binary forms, text bytes. */
};

static const char *const field_names[TRAIL_FIELD_COUNT] = {
    "id",          "event_type", "user_id",    "action",    "resource_type",
    "resource_id", "result",     "request_id", "ip_address"
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

static trail_status check_value(const trail_match *match, trail_text value,
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
        *values_out += match->count;
        for (size_t v = 0; v < match->count; v++) {
            *len_out += match->values[v].len;
        }
    }
    return TRAIL_OK;
}

static trail_status copy_matches(trail__filter *made, const trail_filter *filter,
                                 trail_text *values, uint8_t *binary, char *text,
                                 trail_error *err)
{
    for (size_t i = 0; i < filter->match_count; i++) {
        const trail_match *match = &filter->matches[i];
        condition *c = &made->conditions[i];

        c->field = match->field;
        c->negate = match->negate;
        c->count = match->count;
        c->values = values;
        c->binary = has_binary(match->field) ? binary : NULL;
        for (size_t v = 0; v < match->count; v++) {
            trail_status status = check_value(match, match->values[v], binary, err);

            if (status != TRAIL_OK) {
                return status;
            }
            binary += BINARY_LEN;
            memcpy(text, match->values[v].data, match->values[v].len);
            values->data = text;
            values->len = match->values[v].len;
            text += values->len;
            values++;
        }
    }
    return TRAIL_OK;
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
        trail__alloc_zero(sizeof *made + filter->match_count * sizeof(condition) +
                          ranges_len + values * (sizeof(trail_text) + BINARY_LEN) + len);
    if (made == NULL) {
        return trail__error(err, TRAIL_NO_MEMORY, "no memory for a filter");
    }
    made->bounds = *filter;
    made->bounds.matches = NULL;
    made->count = filter->match_count;
    made->conditions = (condition *)(void *)(made + 1);
    made->ranges = (trail_range *)(void *)(made->conditions + filter->match_count);
    copy_ranges(made, filter);
    {
        trail_text *value_room =
            (trail_text *)(void *)((uint8_t *)made->ranges + ranges_len);
        uint8_t *binary_room = (uint8_t *)(value_room + values);

        status = copy_matches(made, filter, value_room, binary_room,
                              (char *)binary_room + values * BINARY_LEN, err);
    }
    if (status != TRAIL_OK) {
        trail__free(made);
        return status;
    }
    *filter_out = made;
    return TRAIL_OK;
}

void trail__filter_free(trail__filter *filter)
{
    trail__free(filter);
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
    case TRAIL_FIELD_ID:
    case TRAIL_FIELD_COUNT:
        break;
    }
    return (trail_text){ NULL, 0 };
}

static bool is_any_binary(const condition *c, const uint8_t *binary)
{
    for (size_t v = 0; v < c->count; v++) {
        if (memcmp(c->binary + v * BINARY_LEN, binary, BINARY_LEN) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_any(const condition *c, const trail_event *event)
{
    trail_text text = field_of(event, c->field);
    uint8_t address[BINARY_LEN];

    if (c->field == TRAIL_FIELD_ID) {
        return is_any_binary(c, event->id);
    }
    if (text.data == NULL) {
        return false;
    }
    if (c->field == TRAIL_FIELD_IP_ADDRESS) {
        return trail__door_address(text, address) && is_any_binary(c, address);
    }
    for (size_t v = 0; v < c->count; v++) {
        if (trail__text_equal(c->values[v], text)) {
            return true;
        }
    }
    return false;
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

bool trail__filter_matches(const trail__filter *filter, const trail_record *record)
{
    const trail_event *event = &record->event;

    if (!trail__filter_has_seq(filter, record->seq) ||
        (filter->bounds.since_us != TRAIL_TIME_NONE &&
         event->timestamp_us < filter->bounds.since_us) ||
        (filter->bounds.until_us != TRAIL_TIME_NONE &&
         event->timestamp_us >= filter->bounds.until_us)) {
        return false;
    }
    for (size_t i = 0; i < filter->count; i++) {
        if (is_any(&filter->conditions[i], event) == filter->conditions[i].negate) {
            return false;
        }
    }
    return true;
}

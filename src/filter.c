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
    /* Behind the struct, in one block: conditions, values, binary forms, text bytes. */
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

static trail_status check_value(const trail_match *match, trail_text value,
                                uint8_t *binary, trail_error *err)
{
    const char *name = field_names[match->field];
    int shown = value.len > 64 ? 64 : (int)value.len;

    if (value.data == NULL) {
        return trail__error(err, TRAIL_INVALID, "filter '%s': a value is absent", name);
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

static trail_status check_bounds(const trail_filter *filter, trail_error *err)
{
    if (filter->since_us != TRAIL_TIME_NONE && filter->until_us != TRAIL_TIME_NONE &&
        filter->since_us > filter->until_us) {
        return trail__error(err, TRAIL_INVALID, "filter: since is after until");
    }
    if (filter->seq_last != 0 && filter->seq_first > filter->seq_last) {
        return trail__error(err, TRAIL_INVALID, "filter: seq %llu to %llu is no range",
                            (unsigned long long)filter->seq_first,
                            (unsigned long long)filter->seq_last);
    }
    if (filter->order != TRAIL_NEWEST_FIRST && filter->order != TRAIL_OLDEST_FIRST) {
        return trail__error(err, TRAIL_INVALID, "filter: order %d is not known",
                            (int)filter->order);
    }
    return TRAIL_OK;
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

trail_status trail__filter_make(trail__filter **filter_out, const trail_filter *filter,
                                trail_error *err)
{
    trail_filter everything;
    trail__filter *made;
    size_t values = 0;
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
    made = trail__alloc_zero(sizeof *made + filter->match_count * sizeof(condition) +
                             values * (sizeof(trail_text) + BINARY_LEN) + len);
    if (made == NULL) {
        return trail__error(err, TRAIL_NO_MEMORY, "no memory for a filter");
    }
    made->bounds = *filter;
    made->bounds.matches = NULL;
    made->count = filter->match_count;
    made->conditions = (condition *)(void *)(made + 1);
    {
        trail_text *value_room =
            (trail_text *)(void *)(made->conditions + filter->match_count);
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
           filter->bounds.until_us == TRAIL_TIME_NONE;
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

bool trail__filter_matches(const trail__filter *filter, const trail_record *record)
{
    const trail_event *event = &record->event;

    if ((filter->bounds.since_us != TRAIL_TIME_NONE &&
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

/* door.c - what an event must satisfy before anything of it is stored.
 * Level 2: may include levels 0-1, json. No I/O.
 * SPDX-License-Identifier: MIT
 */
#include "door.h"

#include "error.h"
#include "json.h"
#include "text.h"

#include <arpa/inet.h>
#include <string.h>

static const char engine_prefix[] = "trail.";

/* Valid UTF-8 without NUL. */
static trail_status check_characters(const char *field, trail_text text,
                                     size_t *chars_out, trail_error *err)
{
    const char *nul = memchr(text.data, '\0', text.len);
    size_t bad_offset;

    if (nul != NULL) {
        return trail__error(err, TRAIL_INVALID,
                            "field '%s' has a NUL byte at offset %zu of %zu", field,
                            (size_t)(nul - text.data), text.len);
    }
    if (!trail__text_utf8(text, chars_out, &bad_offset)) {
        return trail__error(
            err, TRAIL_INVALID,
            "field '%s' is not valid UTF-8: byte 0x%02x at offset %zu of %zu", field,
            (unsigned)(uint8_t)text.data[bad_offset], bad_offset, text.len);
    }
    return TRAIL_OK;
}

/* Well-formed text of at most 'max' characters; 'max' 0: no limit here. */
static trail_status check_text(const char *field, trail_text text, size_t max,
                               trail_error *err)
{
    size_t chars = text.len;
    trail_status status = TRAIL_OK;

    if (max > 0 && text.len > 4 * max) {
        /* Longer than that many characters can be: not worth reading. */
        return trail__error(err, TRAIL_INVALID,
                            "field '%s' is %zu bytes, the limit is %zu characters", field,
                            text.len, max);
    }
    if (!trail__text_plain(text)) {
        status = check_characters(field, text, &chars, err);
    }
    if (status == TRAIL_OK && max > 0 && chars > max) {
        status = trail__error(err, TRAIL_INVALID,
                              "field '%s' is %zu characters, the limit is %zu", field,
                              chars, max);
    }
    return status;
}

trail_status trail__door_text(const char *field, trail_text text, size_t chars_max,
                              trail_error *err)
{
    if (text.data == NULL) {
        return trail__error(err, TRAIL_INVALID, "field '%s' is missing", field);
    }
    if (text.len == 0) {
        return trail__error(err, TRAIL_INVALID, "field '%s' is empty", field);
    }
    return check_text(field, text, chars_max, err);
}

static trail_status check_optional(const char *field, trail_text text, size_t chars_max,
                                   trail_error *err)
{
    return text.data == NULL ? TRAIL_OK : check_text(field, text, chars_max, err);
}

static trail_status check_len(const char *field, trail_text text, size_t len_max,
                              trail_error *err)
{
    if (text.data != NULL && text.len > len_max) {
        return trail__error(err, TRAIL_INVALID,
                            "field '%s' is %zu bytes, the limit is %zu", field, text.len,
                            len_max);
    }
    return TRAIL_OK;
}

static trail_status check_event_type(trail_text type, trail__door door, trail_error *err)
{
    trail_status status =
        trail__door_text("event_type", type, TRAIL_EVENT_TYPE_CHARS_MAX, err);

    if (status == TRAIL_OK && door == TRAIL__DOOR_CALLER &&
        type.len >= sizeof engine_prefix - 1 &&
        memcmp(type.data, engine_prefix, sizeof engine_prefix - 1) == 0) {
        status =
            trail__error(err, TRAIL_INVALID,
                         "field 'event_type' begins with 'trail.', which is kept for the "
                         "engine's own events");
    }
    return status;
}

bool trail__door_is_result(trail_text text)
{
    static const trail_text words[] = { { "success", 7 },
                                        { "failure", 7 },
                                        { "partial_success", 15 } };

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (trail__text_equal(text, words[i])) {
            return true;
        }
    }
    return false;
}

static trail_status check_result(trail_text result, trail_error *err)
{
    trail_status status = trail__door_text("result", result, TRAIL_TYPE_CHARS_MAX, err);

    if (status == TRAIL_OK && !trail__door_is_result(result)) {
        status = trail__error(err, TRAIL_INVALID,
                              "field 'result' is '%.*s', must be success, failure or "
                              "partial_success",
                              (int)result.len, result.data);
    }
    return status;
}

bool trail__door_address(trail_text text, uint8_t address_out[16])
{
    static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
    char copy[INET6_ADDRSTRLEN + 1];

    if (text.data == NULL || text.len >= sizeof copy ||
        memchr(text.data, '\0', text.len)) {
        return false;
    }
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    memcpy(address_out, mapped, sizeof mapped);
    return inet_pton(AF_INET, copy, address_out + 12) == 1 ||
           inet_pton(AF_INET6, copy, address_out) == 1;
}

bool trail_is_address(trail_text text)
{
    uint8_t address[16];

    return trail__door_address(text, address);
}

static trail_status check_address(trail_text text, trail_error *err)
{
    trail_status status;

    if (text.data == NULL || trail_is_address(text)) {
        return TRAIL_OK;
    }
    status = check_text("ip_address", text, 0, err);
    if (status != TRAIL_OK) {
        return status;
    }
    return trail__error(
        err, TRAIL_INVALID,
        "field 'ip_address' is '%.*s' (%zu bytes), not an IPv4 or IPv6 address",
        text.len > 64 ? 64 : (int)text.len, text.data, text.len);
}

static trail_status check_time(int64_t timestamp_us, trail_error *err)
{
    if (timestamp_us == TRAIL_TIME_NONE) {
        return TRAIL_OK;
    }
    if (timestamp_us < 0) {
        return trail__error(err, TRAIL_INVALID,
                            "field 'timestamp' is before 1970: %lld microseconds",
                            (long long)timestamp_us);
    }
    if (timestamp_us > TRAIL_TIME_US_MAX) {
        return trail__error(err, TRAIL_INVALID,
                            "field 'timestamp' is after 9999: %lld microseconds",
                            (long long)timestamp_us);
    }
    return TRAIL_OK;
}

static trail_status check_id(const uint8_t *id, trail_error *err)
{
    static const uint8_t nil[TRAIL_ID_LEN];

    if (id != NULL && memcmp(id, nil, TRAIL_ID_LEN) == 0) {
        return trail__error(err, TRAIL_INVALID, "field 'id' is the nil UUID");
    }
    return TRAIL_OK;
}

static trail_status check_details(trail_text details, trail_error *err)
{
    trail_status status;

    if (details.data == NULL) {
        return TRAIL_OK;
    }
    status = check_len("details", details, TRAIL_DETAILS_LEN_MAX, err);
    if (status == TRAIL_OK) {
        status = trail__json_check(details, TRAIL_DETAILS_DEPTH_MAX, err);
        if (status != TRAIL_OK) {
            trail__error_prefix(err, "field 'details' (%zu bytes): ", details.len);
        }
    }
    return status;
}

trail_status trail__door_check(const trail_event *event, trail__door door,
                               trail_error *err)
{
    trail_status status;

    if ((status = check_event_type(event->event_type, door, err)) != TRAIL_OK ||
        (status = trail__door_text("action", event->action, TRAIL_ID_CHARS_MAX, err)) ||
        (status = trail__door_text("resource_type", event->resource_type,
                                   TRAIL_TYPE_CHARS_MAX, err)) ||
        (status = trail__door_text("resource_id", event->resource_id, TRAIL_ID_CHARS_MAX,
                                   err)) ||
        (status = check_result(event->result, err)) ||
        (status = check_optional("user_id", event->user_id, TRAIL_ID_CHARS_MAX, err)) ||
        (status =
             check_optional("request_id", event->request_id, TRAIL_ID_CHARS_MAX, err)) ||
        (status = check_optional("user_agent", event->user_agent,
                                 TRAIL_USER_AGENT_CHARS_MAX, err)) ||
        (status = check_len("result_error", event->result_error,
                            TRAIL_RESULT_ERROR_LEN_MAX, err)) ||
        (status = check_optional("result_error", event->result_error, 0, err)) ||
        (status = check_address(event->ip_address, err)) ||
        (status = check_time(event->timestamp_us, err)) ||
        (status = check_id(event->id, err)) ||
        (status = check_details(event->details, err))) {
        return status;
    }
    return TRAIL_OK;
}

trail_status trail_event_check(const trail_event *event, trail_error *err)
{
    return trail__door_check(event, TRAIL__DOOR_CALLER, err);
}

void trail_event_init(trail_event *event)
{
    memset(event, 0, sizeof *event);
    event->timestamp_us = TRAIL_TIME_NONE;
}

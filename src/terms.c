/* terms.c - what of an event the index finds: a field, and a text without NUL.
 * Level 2: may include levels 0-1, door.
 * SPDX-License-Identifier: MIT
 */
#include "terms.h"

#include "door.h"
#include "error.h"
#include "fault.h"
#include "text.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

trail_status trail__path_check(trail_text path, trail_error *err)
{
    size_t chars;
    size_t bad;
    bool key_missing =
        path.len == 0 || path.data[0] == '.' || path.data[path.len - 1] == '.';

    for (size_t i = 1; i < path.len && !key_missing; i++) {
        key_missing = path.data[i] == '.' && path.data[i - 1] == '.';
    }
    if (path.data == NULL || key_missing) {
        return trail__error(err, TRAIL_INVALID,
                            "a path in details is keys joined by dots, as in "
                            "'actor.name'; a key is missing in '%.*s'",
                            (int)(path.len > 64 ? 64 : path.len),
                            path.data != NULL ? path.data : "");
    }
    if (path.len > TRAIL_INDEX_PATH_LEN_MAX) {
        return trail__error(err, TRAIL_INVALID,
                            "a path in details has %zu bytes, the limit is %d", path.len,
                            TRAIL_INDEX_PATH_LEN_MAX);
    }
    if (memchr(path.data, '\0', path.len) != NULL ||
        !trail__text_utf8(path, &chars, &bad)) {
        return trail__error(err, TRAIL_INVALID,
                            "a path in details is not UTF-8 without NUL");
    }
    return TRAIL_OK;
}

unsigned trail__term_field(const trail__paths *paths, trail_field field, trail_text path)
{
    if (field == TRAIL_FIELD_ID) {
        return 0;
    }
    if (field != TRAIL_FIELD_DETAILS) {
        return 1 + (unsigned)field;
    }
    for (size_t i = 0; i < paths->count; i++) {
        if (trail__text_equal(paths->path[i], path)) {
            return TRAIL__TERM_FIELD_PATHS + (unsigned)i;
        }
    }
    return 0;
}

/* Door and inet_pton take exactly one way to write an IPv4 address. */
trail_text trail__term_address(trail_text address, char out[TRAIL__ADDRESS_TEXT_MAX])
{
    static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
    trail_text none = { NULL, 0 };
    uint8_t binary[16];
    bool is_v4;

    if (address.data == NULL || memchr(address.data, ':', address.len) == NULL) {
        return address;
    }
    if (!trail__door_address(address, binary)) {
        return none;
    }
    is_v4 = memcmp(binary, mapped, sizeof mapped) == 0;
    if (inet_ntop(is_v4 ? AF_INET : AF_INET6, is_v4 ? binary + 12 : binary, out,
                  TRAIL__ADDRESS_TEXT_MAX) == NULL) {
        return none;
    }
    return trail_str(out);
}

/* ---- details ---------------------------------------------------------------------- */

/* Walking through details: the keys that lead to where we are, joined by dots. */
typedef struct walk {
    const trail__paths *paths;
    trail__term_visit *visit;
    void *context;
    trail_status status;
    char at[TRAIL_INDEX_PATH_LEN_MAX + 1];
    size_t len;                                /* more than fits: no path is so long */
    size_t outer[TRAIL_DETAILS_DEPTH_MAX + 1]; /* the length outside each object */
    size_t depth;
    trail_text term; /* of a string: grown as needed */
    size_t room;
    char *text;
} walk;

static void step_into(walk *w, trail_text key)
{
    size_t outer = w->depth > 0 ? w->outer[w->depth - 1] : 0;
    size_t dot = outer > 0 ? 1 : 0;

    w->len = outer + dot + key.len;
    if (w->len <= TRAIL_INDEX_PATH_LEN_MAX) {
        if (dot > 0) {
            w->at[outer] = '.';
        }
        memcpy(w->at + outer + dot, key.data, key.len);
    }
}

static bool make_term(walk *w, const trail_json_value *value)
{
    char number[40] = "";
    trail_text text = trail_str(number);
    char letter = 'n';
    size_t needed;

    if (value->kind == TRAIL_JSON_STRING) {
        letter = 's';
        text = value->text;
    } else if (value->kind == TRAIL_JSON_TRUE || value->kind == TRAIL_JSON_FALSE) {
        letter = 'b';
        text = trail_str(value->kind == TRAIL_JSON_TRUE ? "true" : "false");
    } else if (value->kind == TRAIL_JSON_INTEGER) {
        (void)snprintf(number, sizeof number, "%" PRId64, value->integer);
        text.len = strlen(number);
    } else if (value->real >= -9e15 && value->real <= 9e15 &&
               (double)(int64_t)value->real == value->real) {
        (void)snprintf(number, sizeof number, "%" PRId64, (int64_t)value->real);
        text.len = strlen(number);
    } else {
        text.len = 0;
        (void)snprintf(number, sizeof number, "%.17g", value->real);
        for (const char *c = number; *c != '\0';
             c++) { /* the host's locale may say ',' */
            number[text.len++] = strchr("+-0123456789e", *c) != NULL ? *c : '.';
        }
    }
    needed = text.len + 1;
    if (needed > w->room) {
        char *grown = trail__realloc(w->text, needed + 64);

        if (grown == NULL) {
            return false;
        }
        w->text = grown;
        w->room = needed + 64;
    }
    w->text[0] = letter;
    memcpy(w->text + 1, text.data, text.len);
    w->term = (trail_text){ w->text, needed };
    return true;
}

static bool meet_scalar(walk *w, const trail_json_value *value)
{
    trail_text here = { w->at, w->len };
    unsigned field;

    if (w->len == 0 || w->len > TRAIL_INDEX_PATH_LEN_MAX) {
        return true;
    }
    field = trail__term_field(w->paths, TRAIL_FIELD_DETAILS, here);
    if (field == 0) {
        return true;
    }
    if (!make_term(w, value)) {
        w->status = TRAIL_NO_MEMORY;
    } else {
        w->status = w->visit(w->context, field, w->term);
    }
    return w->status == TRAIL_OK;
}

static bool meet(void *context, const trail_json_value *value)
{
    walk *w = context;

    switch (value->kind) {
    case TRAIL_JSON_OBJECT_BEGIN:
        if (w->depth >= TRAIL_DETAILS_DEPTH_MAX) {
            return false;
        }
        w->outer[w->depth++] = w->len;
        return true;
    case TRAIL_JSON_OBJECT_END:
        w->len = w->outer[--w->depth];
        return true;
    case TRAIL_JSON_KEY:
        step_into(w, value->text);
        return true;
    case TRAIL_JSON_NULL:
    case TRAIL_JSON_ARRAY_BEGIN: /* arrays are looked into: they are no part of a path */
    case TRAIL_JSON_ARRAY_END:
        return true;
    case TRAIL_JSON_FALSE:
    case TRAIL_JSON_TRUE:
    case TRAIL_JSON_INTEGER:
    case TRAIL_JSON_REAL:
    case TRAIL_JSON_STRING:
        break;
    }
    return meet_scalar(w, value);
}

trail_status trail__terms_of_details(trail_text details, const trail__paths *paths,
                                     trail__term_visit *visit, void *context,
                                     trail_error *err)
{
    walk w = { .paths = paths, .visit = visit, .context = context };
    trail_status status;

    if (details.data == NULL || paths->count == 0) {
        return TRAIL_OK;
    }
    status = trail_json_walk(details, meet, &w, err);
    trail__free(w.text);
    if (w.status == TRAIL_NO_MEMORY) {
        return trail__error(err, TRAIL_NO_MEMORY, "no memory for a term of details");
    }
    if (status == TRAIL_NO_MEMORY || w.status != TRAIL_OK) {
        return status != TRAIL_OK ? status : w.status;
    }
    return TRAIL_OK; /* no JSON: somebody changed the file, and verify says so */
}

static trail_status keep_term(void *context, unsigned field, trail_text term)
{
    trail_text *kept = context;
    char *copy = trail__alloc(term.len);

    (void)field;
    if (copy == NULL) {
        return TRAIL_NO_MEMORY;
    }
    memcpy(copy, term.data, term.len);
    *kept = (trail_text){ copy, term.len };
    return TRAIL_OK;
}

/* A scalar stands at no path of its own, so it is taken where it would stand at one. */
static bool meet_alone(void *context, const trail_json_value *value)
{
    walk *w = context;

    if (value->kind <= TRAIL_JSON_STRING && value->kind != TRAIL_JSON_NULL) {
        w->status =
            make_term(w, value) ? keep_term(w->context, 0, w->term) : TRAIL_NO_MEMORY;
    }
    return false;
}

trail_status trail__term_of_json(trail_text json, trail_text *term_out, trail_error *err)
{
    walk w = { .context = term_out };
    trail_status status;

    *term_out = (trail_text){ NULL, 0 };
    status = trail_json_walk(json, meet_alone, &w, err);
    trail__free(w.text);
    if (status == TRAIL_OK && w.status != TRAIL_OK) {
        status = trail__error(err, TRAIL_NO_MEMORY, "no memory for a term of details");
    }
    if (status == TRAIL_OK && term_out->data == NULL) {
        status = trail__error(err, TRAIL_INVALID,
                              "'%.*s' is no string, number or boolean of JSON",
                              (int)(json.len > 64 ? 64 : json.len), json.data);
    }
    return status;
}

/* ---- the whole event -------------------------------------------------------------- */

trail_status trail__terms_of(const trail_event *event, const trail__paths *paths,
                             trail__term_visit *visit, void *context, trail_error *err)
{
    char address[TRAIL__ADDRESS_TEXT_MAX];
    const struct {
        trail_field field;
        trail_text text;
    } terms[] = {
        { TRAIL_FIELD_EVENT_TYPE, event->event_type },
        { TRAIL_FIELD_USER_ID, event->user_id },
        { TRAIL_FIELD_ACTION, event->action },
        { TRAIL_FIELD_RESOURCE_TYPE, event->resource_type },
        { TRAIL_FIELD_RESOURCE_ID, event->resource_id },
        { TRAIL_FIELD_RESULT, event->result },
        { TRAIL_FIELD_REQUEST_ID, event->request_id },
        { TRAIL_FIELD_IP_ADDRESS, trail__term_address(event->ip_address, address) },
    };
    trail_status status = TRAIL_OK;

    for (size_t i = 0; i < sizeof terms / sizeof terms[0] && status == TRAIL_OK; i++) {
        if (terms[i].text.data != NULL) {
            status = visit(context, 1 + (unsigned)terms[i].field, terms[i].text);
        }
    }
    if (status == TRAIL_OK && paths->count > 0) {
        status = trail__terms_of_details(event->details, paths, visit, context, err);
    }
    return status;
}

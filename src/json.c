/* json.c - strict JSON: is a text acceptable as details, and walk through one.
 * Level 2: may include levels 0-1, json_scan; the only file that includes <jansson.h>.
 * SPDX-License-Identifier: MIT
 *
 * Three steps, each only for what the one before let through: the scan (json_scan.h)
 * proves plain texts good; the guard refuses in one pass, without memory, what jansson
 * would choke on or Postgres would not take; jansson decides the rest.
 */
#include "json.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <locale.h>
#include <string.h>

#include "error.h"
#include "json_scan.h"
#include "text.h"

#define WALK_DEPTH_MAX 128
/* jansson's tree takes up to fifty times the text's memory. */
#define WALK_LEN_MAX ((size_t)16 * 1024 * 1024)

/* Postgres's numeric holds so many digits behind the point, and jsonb refuses more. */
#define FRACTION_DIGITS_MAX 16383
#define EXPONENT_MAX 16383

#define KEY_SHOWN_LEN_MAX 64

/* ---- the guard ------------------------------------------------------------------- */

typedef struct guard {
    const unsigned char *start;
    const unsigned char *at;
    const unsigned char *end;
    size_t depth;
    size_t depth_max;
    const unsigned char *run; /* where the token, or letters and digits in a row, begin */
    size_t run_len_max;
    const unsigned char *value_end; /* of the first value outside all brackets; or NULL */
    bool cut;                       /* the text ends within a string */
    trail_error *err;
} guard;

static trail_status refuse(const guard *g, const char *what)
{
    return trail__error(g->err, TRAIL_INVALID, "%s at byte %zu", what,
                        (size_t)(g->at - g->start));
}

/* Past the closing quote; if there is none, at the end, as jansson will say. */
static trail_status guard_string(guard *g)
{
    for (g->at++; g->at < g->end && *g->at != '"'; g->at++) {
        if (*g->at == '\\' && g->end - g->at > 1) {
            g->at++;
        }
        if (*g->at < 0x20) {
            return refuse(g, *g->at == 0 ? "NUL" : "control character in a string");
        }
    }
    g->cut = g->at == g->end;
    if (!g->cut) {
        g->at++;
    }
    return TRAIL_OK;
}

static bool is_digit(unsigned char byte)
{
    return byte >= '0' && byte <= '9';
}

static long guard_digits(guard *g)
{
    const unsigned char *from = g->at;

    while (g->at < g->end && is_digit(*g->at)) {
        g->at++;
    }
    return (long)(g->at - from);
}

/* The exponent's value, or anything above EXPONENT_MAX if it is larger. */
static long guard_exponent(guard *g)
{
    bool negative = false;
    long value = 0;

    g->at++;
    if (g->at < g->end && (*g->at == '+' || *g->at == '-')) {
        negative = *g->at == '-';
        g->at++;
    }
    for (; g->at < g->end && is_digit(*g->at); g->at++) {
        value = value > EXPONENT_MAX ? value : value * 10 + (*g->at - '0');
    }
    return negative ? -value : value;
}

/* A number, or what begins like one: whether it is one is for jansson to say. */
static trail_status guard_number(guard *g)
{
    const unsigned char *from = g->at;
    long fraction = 0;
    long exponent = 0;

    g->at++;
    guard_digits(g);
    if (g->at < g->end && *g->at == '.') {
        g->at++;
        fraction = guard_digits(g);
    }
    if (g->at < g->end && (*g->at == 'e' || *g->at == 'E')) {
        exponent = guard_exponent(g);
    }
    if (exponent > EXPONENT_MAX || fraction - exponent > FRACTION_DIGITS_MAX) {
        g->at = from;
        return refuse(g, "number out of range");
    }
    return TRAIL_OK;
}

/* Depth is counted here, before anything recurses: jansson never sees a deep text. */
static trail_status guard_open(guard *g)
{
    if (g->depth == g->depth_max) {
        return trail__error(g->err, TRAIL_INVALID, "nested deeper than %zu at byte %zu",
                            g->depth_max, (size_t)(g->at - g->start));
    }
    g->depth++;
    g->at++;
    return TRAIL_OK;
}

static trail_status guard_token(guard *g)
{
    switch (*g->at) {
    case '"':
        return guard_string(g);
    case '[':
    case '{':
        return guard_open(g);
    case ']':
    case '}':
        /* Too many of them are an error, but jansson's to report. */
        g->depth -= g->depth > 0 ? 1 : 0;
        g->at++;
        return TRAIL_OK;
    case '\0':
        return refuse(g, "NUL");
    default:
        if (*g->at == '-' || is_digit(*g->at)) {
            return guard_number(g);
        }
        g->at++;
        return TRAIL_OK;
    }
}

static bool is_letter(char byte)
{
    char lower = (char)(byte | 0x20);

    return lower >= 'a' && lower <= 'z';
}

static bool is_word_byte(char byte)
{
    return is_letter(byte) || is_digit((unsigned char)byte) || byte == '+' ||
           byte == '-' || byte == '.';
}

/* Measure the token that lies between 'from' and g->at. Letters come one by one. */
static void guard_measure(guard *g, const unsigned char *from)
{
    char first = (char)*from;
    char before = '\0';
    bool ends_value = is_word_byte(first) || strchr("\"]}", first) != NULL;

    if (from > g->start) {
        before = (char)from[-1];
    }
    if (!is_word_byte(first) || !is_word_byte(before)) {
        g->run = from;
    }
    if ((size_t)(g->at - g->run) > g->run_len_max) {
        g->run_len_max = (size_t)(g->at - g->run);
    }
    if (g->value_end == from && is_letter(first) && is_letter(before)) {
        g->value_end = g->at;
    } else if (g->value_end == NULL && ends_value && g->depth == 0 && !g->cut) {
        g->value_end = g->at;
    }
}

static trail_status guard_text(guard *g, trail_text json)
{
    trail_status status = TRAIL_OK;
    size_t chars;
    size_t bad;

    if (!trail__text_utf8(json, &chars, &bad)) {
        return trail__error(g->err, TRAIL_INVALID, "invalid UTF-8 at byte %zu", bad);
    }
    g->start = (const unsigned char *)json.data;
    g->at = g->start;
    g->end = g->start + json.len;
    while (status == TRAIL_OK && g->at < g->end) {
        const unsigned char *from = g->at;

        status = guard_token(g);
        guard_measure(g, from);
    }
    return status;
}

/* ---- jansson --------------------------------------------------------------------- */

/* From a closing quote back to its opening one. A quote inside stands behind a backslash;
 * before the opening one none can be. */
static size_t string_start(trail_text json, size_t close)
{
    size_t at = close;

    while (at > 0) {
        at--;
        if (json.data[at] == '"' && (at == 0 || json.data[at - 1] != '\\')) {
            break;
        }
    }
    return at;
}

/* Where the token begins that jansson had just read when it gave up. */
static size_t token_start(trail_text json, size_t position)
{
    size_t at = position > 0 ? position - 1 : 0;

    if (json.data[at] == '"') {
        return string_start(json, at);
    }
    while (at > 0 && (json.data[at] & 0xC0) == 0x80) {
        at--;
    }
    while (at > 0 && is_word_byte(json.data[at]) && is_word_byte(json.data[at - 1])) {
        at--;
    }
    return at;
}

/* The key as it is written in the text, without its quotes; a long one is cut. */
static trail_status refuse_key(trail_text json, size_t start, size_t position,
                               trail_error *err)
{
    const char *key = json.data + start + 1;
    size_t len = position - start - 2;
    const char *more = "";

    if (len > KEY_SHOWN_LEN_MAX) {
        len = KEY_SHOWN_LEN_MAX;
        while ((key[len] & 0xC0) == 0x80) {
            len--;
        }
        more = "…";
    }
    return trail__error(err, TRAIL_INVALID, "duplicate key \"%.*s%s\" at byte %zu",
                        (int)len, key, more, start);
}

/* jansson's verdict in our words. */
static trail_status refuse_problem(trail_text json, const json_error_t *problem,
                                   trail_error *err)
{
    size_t position = problem->position > 0 ? (size_t)problem->position : 0;
    size_t start;
    const char *what = "not valid JSON";

    position = position < json.len ? position : json.len;
    start = token_start(json, position);
    switch (json_error_code(problem)) {
    case json_error_unknown: /* jansson names no reason when malloc fails */
    case json_error_out_of_memory:
        return trail__error(err, TRAIL_NO_MEMORY, "no memory to check %zu bytes of JSON",
                            json.len);
    case json_error_duplicate_key:
        return refuse_key(json, start, position, err);
    case json_error_premature_end_of_input:
        what = "JSON ends too early";
        start = position;
        break;
    case json_error_null_character:
    case json_error_null_byte_in_key:
        what = "\\u0000 in the string";
        break;
    case json_error_numeric_overflow:
        what = "number out of range";
        break;
    default:
        if (strncmp(problem->text, "invalid Unicode", strlen("invalid Unicode")) == 0) {
            what = "half a surrogate pair in the string";
        }
        break;
    }
    return trail__error(err, TRAIL_INVALID, "%s at byte %zu", what, start);
}

/* jansson does not notice when its lexer's buffer cannot grow: a digit gets lost, or a closing
 * quote, and it reads on behind the buffer or stops the process (akheron/jansson#362). So it
 * gets the text as ["xxx",TEXT], behind a string that makes the buffer as long as any token
 * of the text needs it. Memory fails there or nowhere, and there each byte is asked for. */
typedef struct feed {
    const unsigned char *at;
    const unsigned char *end;
    size_t before;    /* bytes in front of the text */
    size_t before_at; /* how many of them were handed out */
    bool closes; /* with a bracket behind it; not if the text itself ends too early */
    bool failed;
} feed;

/* The buffer begins with 16 bytes and doubles. It must do so within the string: its quote is
 * the first byte that lies in the second half. Short tokens need an empty string only. */
static size_t bytes_before(size_t token_len_max)
{
    size_t half = token_len_max + 2 > 16 ? 16 : 1;

    while (half >= 16 && 2 * half < token_len_max + 2) {
        half *= 2;
    }
    return half - 1 + strlen("[\"\",");
}

static size_t feed_jansson(void *buffer, size_t room, void *context)
{
    feed *f = context;
    size_t len = (size_t)(f->end - f->at);
    char *out = buffer;

    f->failed = f->failed || errno == ENOMEM;
    if (f->failed || room == 0) {
        return 0;
    }
    if (f->before_at < f->before) {
        size_t left = f->before - f->before_at;

        *out = f->before_at == 0 ? '[' : left == 1 ? ',' : 'x';
        if (f->before_at == 1 || left == 2) {
            *out = '"';
        }
        f->before_at++;
        return 1;
    }
    if (len == 0 && f->closes) {
        f->closes = false;
        *out = ']';
        return 1;
    }
    len = len < room ? len : room;
    memcpy(out, f->at, len);
    f->at += len;
    return len;
}

/* Under a locale with another decimal point jansson would misread reals, or stop the process
 * on an assertion. NULL if it failed, for lack of memory or of JSON. */
static json_t *load(feed *f, json_error_t *problem, locale_t plain)
{
    locale_t before = uselocale(plain);
    json_t *tree;

    errno = 0;
    tree = json_load_callback(feed_jansson, f, JSON_REJECT_DUPLICATES, problem);
    /* Where it reads a string, jansson calls a failed malloc "invalid token". */
    f->failed = f->failed || (tree == NULL && errno == ENOMEM);
    uselocale(before);
    return tree;
}

/* Everything jansson must not see has been refused by the guard. */
static trail_status parse(trail_text json, const guard *g, json_t **tree_out,
                          trail_error *err)
{
    feed f = { .at = g->start, .end = g->end, .before = bytes_before(g->run_len_max) };
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    json_error_t problem;
    json_t *tree;

    if (plain == (locale_t)0) {
        return trail__error(err, TRAIL_NO_MEMORY, "no memory for the C locale");
    }
    if (g->value_end != NULL) {
        f.end = g->value_end;
        f.closes = true;
    }
    memset(&problem, 0, sizeof problem);
    tree = load(&f, &problem, plain);
    freelocale(plain);
    if (f.failed) {
        json_decref(tree);
        return trail__error(err, TRAIL_NO_MEMORY, "no memory to check %zu bytes of JSON",
                            json.len);
    }
    if (tree == NULL) {
        problem.position -= (int)f.before;
        return refuse_problem(json, &problem, err);
    }
    *tree_out = json_incref(json_array_get(tree, 1));
    json_decref(tree);
    return TRAIL_OK;
}

/* The text behind the value that was parsed. */
static trail_status check_rest(const guard *g, trail_error *err)
{
    const unsigned char *at = g->value_end;

    while (at < g->end && strchr(" \t\r\n", *at) != NULL) {
        at++;
    }
    return at == g->end ? TRAIL_OK
                        : trail__error(err, TRAIL_INVALID,
                                       "more text behind the JSON value at byte %zu",
                                       (size_t)(at - g->start));
}

static trail_status check_and_parse(trail_text json, size_t depth_max, json_t **tree_out,
                                    trail_error *err)
{
    guard g = { .depth_max = depth_max, .err = err };
    trail_status status = guard_text(&g, json);

    if (status == TRAIL_OK) {
        status = parse(json, &g, tree_out, err);
    }
    return status == TRAIL_OK ? check_rest(&g, err) : status;
}

static trail_status check_len(trail_text json, size_t len_max, trail_error *err)
{
    if (json.data == NULL || json.len == 0) {
        return trail__error(err, TRAIL_INVALID, "empty text is not JSON");
    }
    if (json.len > len_max) {
        return trail__error(err, TRAIL_INVALID, "JSON of %zu bytes, the limit is %zu",
                            json.len, len_max);
    }
    return TRAIL_OK;
}

trail_status trail__json_check_closely(trail_text json, size_t depth_max,
                                       trail_error *err)
{
    json_t *tree = NULL;
    trail_status status = check_len(json, TRAIL_DETAILS_LEN_MAX, err);

    if (status == TRAIL_OK) {
        status = check_and_parse(json, depth_max, &tree, err);
    }
    json_decref(tree);
    return status;
}

trail_status trail__json_check(trail_text json, size_t depth_max, trail_error *err)
{
    if (json.len <= TRAIL_DETAILS_LEN_MAX && trail__json_scan(json, depth_max)) {
        return TRAIL_OK;
    }
    return trail__json_check_closely(json, depth_max, err);
}

/* ---- walk ------------------------------------------------------------------------ */

typedef struct walk {
    trail_json_visit *visit;
    void *context;
} walk;

static bool walk_value(const walk *w, json_t *tree);

static bool visit_plain(const walk *w, trail_json_kind kind)
{
    trail_json_value value = { .kind = kind };

    return w->visit(w->context, &value);
}

static bool visit_text(const walk *w, trail_json_kind kind, const char *data, size_t len)
{
    trail_json_value value = { .kind = kind, .text = { data, len } };

    return w->visit(w->context, &value);
}

static bool visit_number(const walk *w, const json_t *number)
{
    trail_json_value value = { .kind = TRAIL_JSON_REAL };

    if (json_is_integer(number)) {
        value.kind = TRAIL_JSON_INTEGER;
        value.integer = json_integer_value(number);
    } else {
        value.real = json_real_value(number);
    }
    return w->visit(w->context, &value);
}

static bool walk_array(const walk *w, json_t *array)
{
    size_t count = json_array_size(array);
    size_t i;

    if (!visit_plain(w, TRAIL_JSON_ARRAY_BEGIN)) {
        return false;
    }
    for (i = 0; i < count; i++) {
        if (!walk_value(w, json_array_get(array, i))) {
            return false;
        }
    }
    return visit_plain(w, TRAIL_JSON_ARRAY_END);
}

/* jansson iterates in the order of insertion, which is the order of the text. */
static bool walk_object(const walk *w, json_t *object)
{
    void *member;

    if (!visit_plain(w, TRAIL_JSON_OBJECT_BEGIN)) {
        return false;
    }
    for (member = json_object_iter(object); member != NULL;
         member = json_object_iter_next(object, member)) {
        if (!visit_text(w, TRAIL_JSON_KEY, json_object_iter_key(member),
                        json_object_iter_key_len(member)) ||
            !walk_value(w, json_object_iter_value(member))) {
            return false;
        }
    }
    return visit_plain(w, TRAIL_JSON_OBJECT_END);
}

static bool walk_value(const walk *w, json_t *tree)
{
    switch (json_typeof(tree)) {
    case JSON_OBJECT:
        return walk_object(w, tree);
    case JSON_ARRAY:
        return walk_array(w, tree);
    case JSON_STRING:
        return visit_text(w, TRAIL_JSON_STRING, json_string_value(tree),
                          json_string_length(tree));
    case JSON_INTEGER:
    case JSON_REAL:
        return visit_number(w, tree);
    case JSON_TRUE:
        return visit_plain(w, TRAIL_JSON_TRUE);
    case JSON_FALSE:
        return visit_plain(w, TRAIL_JSON_FALSE);
    case JSON_NULL:
        break;
    }
    return visit_plain(w, TRAIL_JSON_NULL);
}

trail_status trail_json_walk(trail_text json, trail_json_visit *visit, void *context,
                             trail_error *err)
{
    walk w = { visit, context };
    json_t *tree = NULL;
    trail_status status = check_len(json, WALK_LEN_MAX, err);

    assert(visit != NULL);
    if (status == TRAIL_OK) {
        status = check_and_parse(json, WALK_DEPTH_MAX, &tree, err);
    }
    if (status == TRAIL_OK) {
        walk_value(&w, tree);
    }
    json_decref(tree);
    return status;
}

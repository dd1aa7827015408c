/* lua_filter.c - from a plain filter table of Lua to a filter of C.
 * Level edge: includes trail.h, Lua's headers and C standard headers only.
 * SPDX-License-Identifier: MIT
 *
 * Values are counted first, and conditions on details are written as JSON, so that the last
 * pass, which takes pointers into the caller's strings, allocates nothing.
 */
#include "lua_write.h"

#include <stdio.h>
#include <string.h>

/* What the condition at hand is about. */
typedef struct subject {
    trail_field field;
    trail_text key;  /* as the caller wrote it */
    trail_text path; /* of details */
} subject;

static trail_text key_text(lua_State *L, int index)
{
    trail_text none = { "", 0 };

    return lua_type(L, index) == LUA_TSTRING ? trail__lua_text(L, index) : none;
}

static bool is_not(lua_State *L, int index)
{
    return trail__lua_text_is(key_text(L, index), "not");
}

/* ---- counting ---------------------------------------------------------------------- */

/* The strings that the condition on top can hold, those under "not" included. */
static size_t count_values(lua_State *L, int depth)
{
    size_t count = 0;

    if (lua_type(L, -1) != LUA_TTABLE) {
        return 1;
    }
    luaL_checkstack(L, 8, NULL);
    lua_pushnil(L);
    while (lua_next(L, -2) != 0) {
        count += depth == 0 && is_not(L, -2) ? count_values(L, 1) : 1;
        lua_pop(L, 1);
    }
    return count;
}

/* All values; of details_out the keys that are about details. */
static size_t count_filter(lua_State *L, int index, size_t *details_out)
{
    trail_text path;
    size_t count = 0;

    *details_out = 0;
    lua_pushnil(L);
    while (lua_next(L, index) != 0) {
        count += count_values(L, 0);
        *details_out += trail__lua_details_path(key_text(L, -2), &path) ? 1 : 0;
        lua_pop(L, 1);
    }
    return count;
}

/* ---- values ------------------------------------------------------------------------ */

static int fail_subject(lua_State *L, const subject *about, const char *what)
{
    return luaL_error(L, "filter '%s': %s", trail__lua_key_name(L, about->key), what);
}

static int fail_changed(lua_State *L, const subject *about)
{
    return fail_subject(L, about, "the table was changed while it was read");
}

/* "svc-*" is what begins with "svc-"; "a**" is the text "a*". Cuts one star off. */
static bool cut_star(trail_text *text)
{
    if (text->len == 0 || text->data[text->len - 1] != '*') {
        return false;
    }
    text->len--;
    return text->len == 0 || text->data[text->len - 1] != '*';
}

static bool has_prefixes(trail_field field)
{
    return field != TRAIL_FIELD_ID && field != TRAIL_FIELD_RESULT;
}

/* Write the value on top as JSON; only its length is noted, because the memory may move. On
 * failure a message is on top. */
static bool write_json(lua_State *L, trail__lua_filter *f, const subject *about,
                       trail_text *value_out, bool *prefix_out)
{
    trail__lua_encoder *e = &f->json;
    trail_text text;
    bool good;

    e->begin = e->len;
    switch (lua_type(L, -1)) {
    case LUA_TSTRING:
        text = trail__lua_text(L, -1);
        *prefix_out = cut_star(&text);
        good = trail__lua_put_string(e, text, NULL);
        break;
    case LUA_TNUMBER:
        good = trail__lua_put_number(e, lua_gettop(L), NULL);
        break;
    case LUA_TBOOLEAN:
        good = lua_toboolean(L, -1) ? trail__lua_put(e, "true", 4)
                                    : trail__lua_put(e, "false", 5);
        break;
    default:
        return luaL_error(L,
                          "filter '%s': expected a string, a number or a boolean, got %s",
                          trail__lua_key_name(L, about->key), luaL_typename(L, -1));
    }
    value_out->data = NULL;
    value_out->len = e->len - e->begin;
    return good;
}

static bool add_value(lua_State *L, trail__lua_filter *f, const subject *about)
{
    size_t at = f->value_count;

    if (at == f->value_max) {
        fail_changed(L, about);
    }
    f->prefixes[at] = false;
    if (about->field == TRAIL_FIELD_DETAILS) {
        if (!write_json(L, f, about, &f->values[at], &f->prefixes[at])) {
            return false;
        }
        f->value_count++;
        return true;
    }
    if (lua_type(L, -1) != LUA_TSTRING) {
        luaL_error(L, "filter '%s': expected a string, got %s",
                   trail__lua_key_name(L, about->key), luaL_typename(L, -1));
    }
    f->values[at] = trail__lua_text(L, -1);
    f->prefixes[at] = has_prefixes(about->field) && cut_star(&f->values[at]);
    f->value_count++;
    return true;
}

/* ---- conditions -------------------------------------------------------------------- */

/* The values that follow are of one condition. Of details, the path stands before them in
 * the JSON text. */
static void begin_match(lua_State *L, trail__lua_filter *f, const subject *about)
{
    if (f->filter.match_count == f->match_max) {
        fail_changed(L, about);
    }
    if (about->field == TRAIL_FIELD_DETAILS) {
        f->json.begin = f->json.len;
        trail__lua_put(&f->json, about->path.data, about->path.len);
    }
}

/* What was added to the values since 'first' is one condition. */
static void add_match(trail__lua_filter *f, const subject *about, bool negate,
                      size_t first)
{
    trail_match *match = &f->matches[f->filter.match_count++];

    match->field = about->field;
    match->path = about->path;
    match->negate = negate;
    match->values = f->values + first;
    match->prefixes = f->prefixes + first;
    match->count = f->value_count - first;
}

/* The list on top; *negation_out tells whether there is a "not" in it. */
static bool add_list(lua_State *L, trail__lua_filter *f, const subject *about,
                     bool *negation_out)
{
    int64_t key;

    lua_pushnil(L);
    while (lua_next(L, -2) != 0) {
        if (trail__lua_to_int64(L, -2, &key)) {
            if (!add_value(L, f, about)) {
                return false;
            }
        } else if (negation_out != NULL && is_not(L, -2)) {
            *negation_out = true;
        } else {
            fail_subject(L, about, "unknown key in its list");
        }
        lua_pop(L, 1);
    }
    return true;
}

static int fail_empty(lua_State *L, const subject *about)
{
    return fail_subject(L, about, "an empty list finds nothing");
}

/* The value of "not" in the table on top. */
static bool add_negation(lua_State *L, trail__lua_filter *f, const subject *about)
{
    size_t first = f->value_count;
    bool good = true;

    begin_match(L, f, about);
    lua_pushnil(L);
    while (lua_next(L, -2) != 0) {
        if (is_not(L, -2)) {
            good = lua_type(L, -1) == LUA_TTABLE ? add_list(L, f, about, NULL)
                                                 : add_value(L, f, about);
            if (!good) {
                return false;
            }
        }
        lua_pop(L, 1);
    }
    if (f->value_count == first) {
        fail_empty(L, about);
    }
    add_match(f, about, true, first);
    return true;
}

/* The value of a key is on top. On failure a message is. */
static bool add_subject(lua_State *L, trail__lua_filter *f, const subject *about)
{
    size_t first = f->value_count;
    size_t json_len = f->json.len;
    bool negation = false;
    bool good;

    begin_match(L, f, about);
    good = lua_type(L, -1) == LUA_TTABLE ? add_list(L, f, about, &negation)
                                         : add_value(L, f, about);
    if (!good) {
        return false;
    }
    if (f->value_count > first) {
        add_match(f, about, false, first);
    } else if (!negation) {
        fail_empty(L, about);
    } else {
        f->json.len = json_len; /* the path will be written with the "not" */
    }
    return !negation || add_negation(L, f, about);
}

bool trail__lua_details_path(trail_text key, trail_text *path_out)
{
    static const char prefix[] = "details.";
    const size_t len = sizeof prefix - 1;

    if (key.len < len || memcmp(key.data, prefix, len) != 0) {
        return false;
    }
    path_out->data = key.data + len;
    path_out->len = key.len - len;
    return true;
}

/* The conditions on details; they are the first ones. */
static trail_status read_details(lua_State *L, int index, trail__lua_filter *f,
                                 trail_error *err)
{
    subject about;

    about.field = TRAIL_FIELD_DETAILS;
    lua_pushnil(L);
    while (lua_next(L, index) != 0) {
        about.key = key_text(L, -2);
        if (trail__lua_details_path(about.key, &about.path) &&
            !add_subject(L, f, &about)) {
            const char *what = lua_tostring(L, -1);

            if (f->json.misuse) {
                fail_subject(L, &about, what);
            }
            err->status = TRAIL_INVALID;
            snprintf(err->text, sizeof err->text, "filter '%s': %s",
                     trail__lua_key_name(L, about.key), what);
            return TRAIL_INVALID;
        }
        lua_pop(L, 1);
    }
    return TRAIL_OK;
}

/* The JSON text has come to rest: say where in it paths and values are. */
static void place_details(trail__lua_filter *f, size_t match_count)
{
    const char *at = f->json.data;
    size_t value = 0;
    size_t i;
    size_t v;

    for (i = 0; i < match_count; i++) {
        f->matches[i].path.data = at;
        at += f->matches[i].path.len;
        for (v = 0; v < f->matches[i].count; v++, value++) {
            f->values[value].data = at;
            at += f->values[value].len;
        }
    }
}

static bool find_field(trail_text key, trail_field *field_out)
{
    int field;

    for (field = 0; field < TRAIL_FIELD_DETAILS; field++) {
        if (trail__lua_text_is(key, trail_field_name((trail_field)field))) {
            *field_out = (trail_field)field;
            return true;
        }
    }
    return false;
}

/* ---- ranges of seqs ---------------------------------------------------------------- */

static uint64_t range_end(lua_State *L, int which)
{
    uint64_t seq;

    lua_rawgeti(L, -1, which);
    seq = trail__lua_check_count(L, -1, "filter", "seq", 0);
    lua_pop(L, 1);
    return seq;
}

/* The list of { first, last } on top, behind the ranges that are there already. */
static const trail_range *add_ranges(lua_State *L, trail__lua_filter *f,
                                     size_t *count_out)
{
    trail_range *added = f->ranges + f->range_count;
    size_t count;
    size_t i;

    luaL_checktype(L, -1, LUA_TTABLE);
    count = trail__lua_raw_len(L, -1);
    if (count > f->range_max - f->range_count) {
        luaL_error(L, "filter 'seq': the table was changed while it was read");
    }
    for (i = 0; i < count; i++) {
        lua_rawgeti(L, -1, (int)i + 1);
        luaL_checktype(L, -1, LUA_TTABLE);
        added[i].first = range_end(L, 1);
        added[i].last = range_end(L, 2);
        lua_pop(L, 1);
    }
    f->range_count += count;
    *count_out = count;
    return added;
}

static size_t count_ranges(lua_State *L, int index, const char *key)
{
    size_t count;

    lua_getfield(L, index, key);
    count = lua_type(L, -1) == LUA_TTABLE ? trail__lua_raw_len(L, -1) : 0;
    lua_pop(L, 1);
    return count;
}

/* ---- the rest ---------------------------------------------------------------------- */

static trail_order check_order(lua_State *L)
{
    trail_text order = key_text(L, -1);

    if (trail__lua_text_is(order, "oldest")) {
        return TRAIL_OLDEST_FIRST;
    }
    if (!trail__lua_text_is(order, "newest")) {
        luaL_error(L, "filter 'order': expected \"newest\" or \"oldest\"");
    }
    return TRAIL_NEWEST_FIRST;
}

static bool set_bound(lua_State *L, trail_text key, trail_filter *filter)
{
    static const struct {
        const char *name;
        size_t offset;
    } counts[] = { { "seq_first", offsetof(trail_filter, seq_first) },
                   { "seq_last", offsetof(trail_filter, seq_last) },
                   { "limit", offsetof(trail_filter, limit) },
                   { "after", offsetof(trail_filter, after) } };
    size_t i;

    for (i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        if (trail__lua_text_is(key, counts[i].name)) {
            uint64_t count = trail__lua_check_count(L, -1, "filter", counts[i].name, 0);

            memcpy((char *)filter + counts[i].offset, &count, sizeof count);
            return true;
        }
    }
    return false;
}

/* The key is below the value on top. */
static void read_key(lua_State *L, trail__lua_filter *f)
{
    subject about = { TRAIL_FIELD_COUNT, key_text(L, -2), { NULL, 0 } };
    trail_text key = about.key;

    if (find_field(key, &about.field)) {
        (void)add_subject(L, f, &about); /* throws, or succeeds: nothing is written */
    } else if (trail__lua_details_path(key, &about.path)) {
        return; /* read_details did it */
    } else if (trail__lua_text_is(key, "since")) {
        f->filter.since_us = trail__lua_check_int64(L, -1, "filter", "since");
    } else if (trail__lua_text_is(key, "until")) {
        f->filter.until_us = trail__lua_check_int64(L, -1, "filter", "until");
    } else if (trail__lua_text_is(key, "order")) {
        f->filter.order = check_order(L);
    } else if (trail__lua_text_is(key, "ranges")) {
        f->filter.ranges = add_ranges(L, f, &f->filter.range_count);
    } else if (trail__lua_text_is(key, "not_ranges")) {
        f->filter.not_ranges = add_ranges(L, f, &f->filter.not_range_count);
    } else if (trail__lua_text_is(key, "unreadable")) {
        f->filter.unreadable = trail__lua_check_bool(L, -1, "filter", "unreadable");
    } else if (!set_bound(L, key, &f->filter)) {
        trail__lua_unknown(L, "", "filter", -2);
    }
}

static void init(lua_State *L, trail__lua_filter *f)
{
    trail_filter_init(&f->filter);
    f->matches = f->small_matches;
    f->match_max = sizeof f->small_matches / sizeof f->small_matches[0];
    f->filter.match_count = 0;
    f->values = f->small;
    f->prefixes = f->small_prefixes;
    f->value_count = 0;
    f->value_max = TRAIL__LUA_VALUES_SMALL;
    f->ranges = NULL;
    f->range_count = 0;
    luaL_checkstack(L, 16, NULL);
    trail__lua_encoder_init(&f->json, L, "value", 1, SIZE_MAX);
}

/* Find room for everything. */
static void reserve(lua_State *L, int index, trail__lua_filter *f)
{
    size_t details;
    size_t values = count_filter(L, index, &details);

    if (values > TRAIL__LUA_VALUES_SMALL) {
        f->values = lua_newuserdata(L, values * (sizeof *f->values + sizeof(bool)));
        f->prefixes = (bool *)(f->values + values);
        f->value_max = values;
    }
    if (details > 0) {
        f->match_max += 2 * details;
        f->matches = lua_newuserdata(L, f->match_max * sizeof *f->matches);
    }
    f->range_max =
        count_ranges(L, index, "ranges") + count_ranges(L, index, "not_ranges");
    if (f->range_max > 0) {
        f->ranges = lua_newuserdata(L, f->range_max * sizeof *f->ranges);
    }
}

trail_status trail__lua_filter_read(lua_State *L, int index,
                                    trail__lua_filter *filter_out, trail_error *err)
{
    trail__lua_filter *f = filter_out;
    size_t details;
    trail_status status;

    init(L, f);
    if (!trail__lua_check_options(L, index)) {
        return TRAIL_OK;
    }
    reserve(L, index, f);
    status = read_details(L, index, f, err);
    if (status != TRAIL_OK) {
        return status;
    }
    details = f->filter.match_count;
    lua_pushnil(L);
    while (lua_next(L, index) != 0) {
        read_key(L, f);
        lua_pop(L, 1);
    }
    place_details(f, details);
    f->filter.matches = f->matches;
    return TRAIL_OK;
}

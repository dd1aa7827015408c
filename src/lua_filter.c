/* lua_filter.c - from a plain filter table of Lua to a filter of C.
 * Level edge: includes trail.h, Lua's headers and C standard headers only.
 * SPDX-License-Identifier: MIT
 *
 * Values are counted first, so that the last pass, which takes pointers into the caller's
 * strings, allocates nothing.
 */
#include "lua_core.h"

#include <string.h>

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

static size_t count_filter(lua_State *L, int index)
{
    size_t count = 0;

    lua_pushnil(L);
    while (lua_next(L, index) != 0) {
        count += count_values(L, 0);
        lua_pop(L, 1);
    }
    return count;
}

/* ---- conditions on fields ---------------------------------------------------------- */

static void add_value(lua_State *L, trail__lua_filter *f, const char *name)
{
    if (lua_type(L, -1) != LUA_TSTRING) {
        luaL_error(L, "filter '%s': expected a string, got %s", name,
                   luaL_typename(L, -1));
    }
    if (f->value_count == f->value_max) {
        luaL_error(L, "filter '%s': the table was changed while it was read", name);
    }
    f->values[f->value_count++] = trail__lua_text(L, -1);
}

/* What was added to the values since 'first' is one condition. */
static void add_match(trail__lua_filter *f, trail_field field, bool negate, size_t first)
{
    trail_match *match = &f->matches[f->filter.match_count++];

    match->field = field;
    match->negate = negate;
    match->values = f->values + first;
    match->count = f->value_count - first;
}

/* The list on top; *negation_out tells whether there is a "not" in it. */
static void add_list(lua_State *L, trail__lua_filter *f, const char *name,
                     bool *negation_out)
{
    int64_t key;

    lua_pushnil(L);
    while (lua_next(L, -2) != 0) {
        if (trail__lua_to_int64(L, -2, &key)) {
            add_value(L, f, name);
        } else if (negation_out != NULL && is_not(L, -2)) {
            *negation_out = true;
        } else {
            luaL_error(L, "filter '%s': unknown key in its list", name);
        }
        lua_pop(L, 1);
    }
}

static void fail_empty(lua_State *L, const char *name)
{
    luaL_error(L, "filter '%s': an empty list finds nothing", name);
}

/* The value of "not" in the table on top. */
static void add_negation(lua_State *L, trail__lua_filter *f, trail_field field,
                         const char *name)
{
    size_t first = f->value_count;

    lua_pushnil(L);
    while (lua_next(L, -2) != 0) {
        if (is_not(L, -2)) {
            if (lua_type(L, -1) == LUA_TTABLE) {
                add_list(L, f, name, NULL);
            } else {
                add_value(L, f, name);
            }
        }
        lua_pop(L, 1);
    }
    if (f->value_count == first) {
        fail_empty(L, name);
    }
    add_match(f, field, true, first);
}

static void add_field(lua_State *L, trail__lua_filter *f, trail_field field)
{
    const char *name = trail_field_name(field);
    size_t first = f->value_count;
    bool negation = false;

    if (lua_type(L, -1) == LUA_TTABLE) {
        add_list(L, f, name, &negation);
    } else {
        add_value(L, f, name);
    }
    if (f->value_count > first) {
        add_match(f, field, false, first);
    } else if (!negation) {
        fail_empty(L, name);
    }
    if (negation) {
        add_negation(L, f, field, name);
    }
}

static bool find_field(trail_text key, trail_field *field_out)
{
    int field;

    for (field = 0; field < TRAIL_FIELD_COUNT; field++) {
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
    trail_text key = key_text(L, -2);
    trail_field field;

    if (find_field(key, &field)) {
        add_field(L, f, field);
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

void trail__lua_filter_read(lua_State *L, int index, trail__lua_filter *filter_out)
{
    trail__lua_filter *f = filter_out;

    trail_filter_init(&f->filter);
    f->filter.matches = f->matches;
    f->filter.match_count = 0;
    f->value_count = 0;
    f->value_max = TRAIL__LUA_VALUES_SMALL;
    f->values = f->small;
    f->ranges = NULL;
    f->range_count = 0;
    if (!trail__lua_check_options(L, index)) {
        return;
    }
    luaL_checkstack(L, 16, NULL);
    f->value_max = count_filter(L, index);
    if (f->value_max > TRAIL__LUA_VALUES_SMALL) {
        f->values = lua_newuserdata(L, f->value_max * sizeof *f->values);
    }
    f->range_max =
        count_ranges(L, index, "ranges") + count_ranges(L, index, "not_ranges");
    if (f->range_max > 0) {
        f->ranges = lua_newuserdata(L, f->range_max * sizeof *f->ranges);
    }
    lua_pushnil(L);
    while (lua_next(L, index) != 0) {
        read_key(L, f);
        lua_pop(L, 1);
    }
}

/* lua_write.h - what lua_encode.c needs to write JSON text.
 * Level edge: includes trail.h, Lua's headers and C standard headers only.
 * SPDX-License-Identifier: MIT
 *
 * Every function returns false after a failure, with the message on top of the Lua stack.
 */
#ifndef TRAIL_LUA_WRITE_H
#define TRAIL_LUA_WRITE_H

#include "lua_core.h"

/* Where in the value the encoder is; a chain from the innermost key outwards. */
typedef struct trail__lua_place {
    const struct trail__lua_place *up;
    trail_text key; /* NULL data: an index */
    size_t index;
} trail__lua_place;

/* Bytes as they are. */
bool trail__lua_put(trail__lua_encoder *e, const char *data, size_t len);

/* A string with its quotes and escapes; refuses NUL and what is no UTF-8. */
bool trail__lua_put_string(trail__lua_encoder *e, trail_text text,
                           const trail__lua_place *at);

/* The number at 'index' of the Lua stack; refuses NaN and the infinite. */
bool trail__lua_put_number(trail__lua_encoder *e, int index, const trail__lua_place *at);

/* Push "<path>: <what>"; always false, so that a failing line reads
 * `return trail__lua_fail(…)`. 'misuse': a mistake of the program, not of its data. */
bool trail__lua_fail(trail__lua_encoder *e, const trail__lua_place *at, bool misuse,
                     const char *what);

/* The same for "<where>a <type> has no JSON form". */
bool trail__lua_fail_type(trail__lua_encoder *e, const trail__lua_place *at,
                          const char *where, int type);

#endif

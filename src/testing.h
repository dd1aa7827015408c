/* testing.h - the parts of trail.testing, a Lua module that opens up internals to the
 * specs. Test: may include anything; never installed. SPDX-License-Identifier: MIT
 *
 * One testing_*.c for each group of modules; a part pushes one table of functions, named
 * after the module it opens. A new part is declared here and listed in testing.c.
 */
#ifndef TRAIL_TESTING_H
#define TRAIL_TESTING_H

/* The module is linked with the library's sources built with their fault points. */
#ifndef TRAIL_FAULTS
#define TRAIL_FAULTS 1
#endif

#include <lua.h>

#include "trail.h"

/* The string at 'index' as a text; nil or nothing there is an absent text. */
trail_text trail__testing_text(lua_State *L, int index);

/* Push true; or nil, message, status word. Returns how many values were pushed. */
int trail__testing_push_status(lua_State *L, trail_status status, const trail_error *err);

void trail__testing_error(lua_State *L);
void trail__testing_fault(lua_State *L);
void trail__testing_text_module(lua_State *L);
void trail__testing_json(lua_State *L);
void trail__testing_kv(lua_State *L);
void trail__testing_entry(lua_State *L);
void trail__testing_index(lua_State *L);
void trail__testing_process(lua_State *L);
void trail__testing_set(lua_State *L);
void trail__testing_tamper(lua_State *L);
void trail__testing_verify(lua_State *L);

#endif

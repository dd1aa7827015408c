/* main_files.h - what the command needs to write a file whole or not at all.
 * Edge: includes Lua only.
 * SPDX-License-Identifier: MIT
 */
#ifndef TRAIL_MAIN_FILES_H
#define TRAIL_MAIN_FILES_H

#include <lua.h>

/* Add stat, real_path, create and publish to the module on top of the stack. */
void trail__add_files(lua_State *L);

#endif

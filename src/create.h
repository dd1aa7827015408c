/* create.h - make a new trail, completely or not at all.
 * Level 5: may include levels 0-4.
 * SPDX-License-Identifier: MIT
 */
#ifndef TRAIL_CREATE_H
#define TRAIL_CREATE_H

#include "trail.h"

/* Build the trail in a directory beside 'path' and give it its name in one step. After a crash
 * 'path' is a whole trail or is not there (then "path.new-XXXXXX" may be left and can be
 * deleted). TRAIL_EXISTS: something is at 'path'. */
trail_status trail__create(const char *path, const trail_options *options,
                           trail_error *err);

#endif

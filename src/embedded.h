/* embedded.h - the Lua sources inside the command `trail`, as src/embed.lua writes them.
 * Edge: includes C standard headers only.
 * SPDX-License-Identifier: MIT */
#ifndef TRAIL_EMBEDDED_H
#define TRAIL_EMBEDDED_H

#include <stddef.h>

struct trail__embedded {
    const char *name; /* of the module: "trail.cli.log"; NULL ends the table */
    const unsigned char *data;
    size_t len;
};

extern const struct trail__embedded trail__embedded[];

#endif

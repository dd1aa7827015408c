/* handle.h - what a public handle is: for the files that define the public functions.
 * Level 8: may include levels 0-7, store.
 * SPDX-License-Identifier: MIT
 */
#ifndef TRAIL_HANDLE_H
#define TRAIL_HANDLE_H

#include "store.h"

#include <stdatomic.h>

struct trail {
    trail__store *store;
    bool read_only;
    unsigned busy_ms;
    unsigned close_ms;
    trail_queue_policy queue_policy;
    trail__client *client; /* what was submitted through this handle */
    atomic_uint appends;   /* under way in other threads; trail_close waits for them */
    char *real_path;       /* from realpath(), freed by free() */
    char path[];           /* as given */
};

/* TRAIL_FORKED in a child of the process that opened the handle. */
trail_status trail__handle_check(const trail *t, trail_error *err);

/* Wait for what was submitted through the handle, as trail_close promises. */
void trail__handle_drain(trail *t);

#endif

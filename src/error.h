/* error.h - fill a caller's trail_error: one line, printable, ours.
 * Level 1: may include level 0.
 * SPDX-License-Identifier: MIT
 */
#ifndef TRAIL_ERROR_H
#define TRAIL_ERROR_H

#include "trail.h"

/* Write the message and return 'status', so that a failing line reads
 * `return trail__error(err, TRAIL_INVALID, "…")`. 'err' may be NULL. Control characters and
 * invalid UTF-8 that came in with an argument are shown as \xNN. */
trail_status trail__error(trail_error *err, trail_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Put text before the message that is there ("event 3: "). Does nothing after TRAIL_OK. */
void trail__error_prefix(trail_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same for a failed system call: "doing: reason", with the status that fits errno. */
trail_status trail__error_errno(trail_error *err, int errnum, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif

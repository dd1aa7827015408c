/* json.h - strict JSON: is a text acceptable as details, and walk through one.
 * Level 2: may include levels 0-1; the only file that includes <jansson.h>.
 * SPDX-License-Identifier: MIT
 *
 * Accepted is what RFC 8259 and Postgres's jsonb both accept: valid UTF-8, no \u0000, no lone
 * surrogate, no duplicate key within an object, integers of 64 bits, finite reals.
 */
#ifndef TRAIL_JSON_H
#define TRAIL_JSON_H

#include "trail.h"

/* TRAIL_OK, or TRAIL_INVALID with a message that says what is wrong and where
 * ("duplicate key \"a\" at byte 17"; the caller names the field). Depth counts brackets:
 * [] is 1. */
trail_status trail__json_check(trail_text json, size_t depth_max, trail_error *err);

/* The same verdict without the fast scan (json_scan.h), which the specs hold against it. */
trail_status trail__json_check_closely(trail_text json, size_t depth_max,
                                       trail_error *err);

#endif

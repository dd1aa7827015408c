/* door.h - what an event must satisfy before anything of it is stored.
 * Level 2: may include levels 0-1, json. No I/O.
 * SPDX-License-Identifier: MIT
 *
 * What passes here can be stored, read back byte for byte, and mirrored to Postgres.
 */
#ifndef TRAIL_DOOR_H
#define TRAIL_DOOR_H

#include "trail.h"

/* Who hands the event in: only the engine may use event types that begin with "trail.". */
typedef enum trail__door { TRAIL__DOOR_CALLER, TRAIL__DOOR_ENGINE } trail__door;

/* TRAIL_OK, or TRAIL_INVALID with a message that names field, rule and size. */
trail_status trail__door_check(const trail_event *event, trail__door door,
                               trail_error *err);

/* One required text of at most 'chars_max' characters, as for the fields of an event. */
trail_status trail__door_text(const char *field, trail_text text, size_t chars_max,
                              trail_error *err);

/* Is this one of the three words for a result? */
bool trail__door_is_result(trail_text text);

/* An IPv4 or IPv6 address as 16 bytes, IPv4 in the form ::ffff:a.b.c.d. False: it is neither. */
bool trail__door_address(trail_text text, uint8_t address_out[16]);

#endif

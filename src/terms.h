/* terms.h - what of an event the index finds: a field, and a text without NUL.
 * Level 2: may include levels 0-1, door.
 * SPDX-License-Identifier: MIT
 *
 * Of most fields the term is the text itself. An address is written in one way only ("::1",
 * "192.0.2.7", also for ::ffff:192.0.2.7). What stands at a path in details is a letter and a
 * text: "s" and a string, "n" and a number (2, 2.0 and 2e0 are all "n2"), "b" and true or false.
 * An id is no term: the log finds it.
 */
#ifndef TRAIL_TERMS_H
#define TRAIL_TERMS_H

#include "trail.h"

/* Fields in the index: 1 + trail_field; the paths in details follow. 0 is no field: there the
 * index keeps the timestamps. */
enum { TRAIL__TERM_FIELD_PATHS = 32, TRAIL__TERM_FIELDS = 32 + TRAIL_INDEX_PATHS_MAX };

/* A longer one (only details have such) is known to the index by its first bytes. */
#define TRAIL__TERM_LEN_MAX 1024

/* The paths in details that a trail was created to index. */
typedef struct trail__paths {
    size_t count;
    trail_text path[TRAIL_INDEX_PATHS_MAX];
} trail__paths;

/* TRAIL_INVALID: not keys joined by dots, or too long. */
trail_status trail__path_check(trail_text path, trail_error *err);

/* The number of a field in the index; 0: it is not there. 'path' is of details. */
unsigned trail__term_field(const trail__paths *paths, trail_field field, trail_text path);

/* Return anything but TRAIL_OK to stop. The term is valid during the call. */
typedef trail_status trail__term_visit(void *context, unsigned field, trail_text term);

/* All terms of an event. Also the status of 'visit'; an event whose details cannot be read has
 * none in them. */
trail_status trail__terms_of(const trail_event *event, const trail__paths *paths,
                             trail__term_visit *visit, void *context, trail_error *err);

/* Only those in details. */
trail_status trail__terms_of_details(trail_text details, const trail__paths *paths,
                                     trail__term_visit *visit, void *context,
                                     trail_error *err);

#define TRAIL__ADDRESS_TEXT_MAX 46
/* The one way to write an address: 'out' or the text itself. Absent if it is none. */
trail_text trail__term_address(trail_text address, char out[TRAIL__ADDRESS_TEXT_MAX]);

/* The term for a JSON scalar, in memory that the caller frees with trail__free. TRAIL_INVALID
 * if the text is no string, number or boolean. */
trail_status trail__term_of_json(trail_text json, trail_text *term_out, trail_error *err);

#endif

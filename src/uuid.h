/* uuid.h - make and recognise the ids of events.
 * Level 1: may include level 0; the only file that includes <uuid/uuid.h>.
 * SPDX-License-Identifier: MIT
 *
 * An id made by the engine is a UUID v7 (RFC 9562 §5.7) that tells where its event is: the
 * 48 bits of time are the millisecond of recorded_at, the 12 bits behind the version are the
 * low bits of seq, and 62 bits are random. So no tree of ids has to be kept for them.
 */
#ifndef TRAIL_UUID_H
#define TRAIL_UUID_H

#include "trail.h"

/* 'random' is 8 random bytes, of which 62 bits are used. */
void trail__uuid_make(int64_t recorded_at_us, uint64_t seq, const uint8_t random[8],
                      uint8_t id_out[TRAIL_ID_LEN]);

/* Is this the form that trail__uuid_make gives for this event? */
bool trail__uuid_made_for(const uint8_t id[TRAIL_ID_LEN], int64_t recorded_at_us,
                          uint64_t seq);

/* If the id could have been made by an engine: its millisecond and the low 12 bits of seq. */
bool trail__uuid_hint(const uint8_t id[TRAIL_ID_LEN], int64_t *ms_out,
                      uint64_t *seq_low_out);

/* A random UUID (v4). */
trail_status trail__uuid_random(uint8_t id_out[TRAIL_ID_LEN], trail_error *err);

#endif

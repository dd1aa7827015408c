/* clock.h - what time it is, in microseconds; the specs may set it.
 * Level 1: may include level 0.
 * SPDX-License-Identifier: MIT
 */
#ifndef TRAIL_CLOCK_H
#define TRAIL_CLOCK_H

#include "trail.h"

/* Microseconds since 1970 UTC. Clamped to 0 .. TRAIL_TIME_US_MAX: a machine whose clock is
 * beyond either end still records, at the end. */
int64_t trail__clock_now_us(void);

/* Microseconds of a clock that never goes back, for deadlines. */
int64_t trail__clock_steady_us(void);

#ifdef TRAIL_FAULTS
void trail__clock_set(int64_t now_us); /* TRAIL_TIME_NONE: the real clock again */
#endif

#endif

/* clock.c - what time it is, in microseconds; the specs may set it.
 * Level 1: may include level 0.
 * SPDX-License-Identifier: MIT
 */
#include "clock.h"

#include <time.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec now;

    if (clock_gettime(id, &now) != 0) {
        return 0;
    }
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

#ifdef TRAIL_FAULTS
static int64_t set_us = TRAIL_TIME_NONE;

void trail__clock_set(int64_t now_us)
{
    set_us = now_us;
}
#else
static const int64_t set_us = TRAIL_TIME_NONE;
#endif

int64_t trail__clock_now_us(void)
{
    int64_t now_us = set_us != TRAIL_TIME_NONE ? set_us : read_clock(CLOCK_REALTIME);

    if (now_us < 0) {
        return 0;
    }
    return now_us > TRAIL_TIME_US_MAX ? TRAIL_TIME_US_MAX : now_us;
}

int64_t trail__clock_steady_us(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

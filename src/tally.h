/* tally.h - how often each value occurs, how many events fall into each interval.
 * Level 6: may include levels 0-5, find, judge, plan, walk.
 * SPDX-License-Identifier: MIT
 */
#ifndef TRAIL_TALLY_H
#define TRAIL_TALLY_H

#include "index.h"
#include "log.h"

trail_status trail__top_values(trail__log *log, trail__index *index, trail_field field,
                               trail_text path, const trail_filter *filter,
                               size_t row_max, trail_top **top_out, trail_error *err);

trail_status trail__histogram_make(trail__log *log, trail__index *index,
                                   int64_t interval_us, const trail_filter *filter,
                                   trail_histogram **histogram_out, trail_error *err);

#endif

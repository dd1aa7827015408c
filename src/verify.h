/* verify.h - recompute everything from the stored bytes.
 * Level 6: may include levels 0-5.
 * SPDX-License-Identifier: MIT
 */
#ifndef TRAIL_VERIFY_H
#define TRAIL_VERIFY_H

#include "index.h"
#include "log.h"

/* Kept up to date while running: if the process dies on a damaged page, whoever shares this memory
 * knows how far it was. */
typedef struct trail__verify_watch {
    volatile uint64_t good; /* the last seq found right */
    volatile bool in_index; /* it is the index that is read now, not the log */
} trail__verify_watch;

/* Check the log on a snapshot, and the index against it ('index' NULL: not). The verdict is in the
 * report; a status other than TRAIL_OK means the check could not be made. */
trail_status trail__verify_log(trail__log *log, trail__index *index,
                               const trail_verify_options *options,
                               trail__verify_watch *watch, trail_report *report,
                               trail_error *err);

#endif

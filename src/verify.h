/* verify.h - recompute everything from the stored bytes.
 * Level 6: may include levels 0-5.
 * SPDX-License-Identifier: MIT
 */
#ifndef TRAIL_VERIFY_H
#define TRAIL_VERIFY_H

#include "log.h"

/* Check the log on a snapshot. 'good' is kept at the last seq found right, also while running:
 * if the process dies on a damaged page, whoever shares that memory knows how far it was. The
 * verdict is in the report; a status other than TRAIL_OK means the check could not be made. */
trail_status trail__verify_log(trail__log *log, const trail_verify_options *options,
                               volatile uint64_t *good, trail_report *report,
                               trail_error *err);

#endif

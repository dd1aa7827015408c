/* report.h - the verdict of verify, in words.
 * Level 6: may include levels 0-5.
 * SPDX-License-Identifier: MIT
 */
#ifndef TRAIL_REPORT_H
#define TRAIL_REPORT_H

#include "trail.h"

/* Set the verdict of a report, unless it has one: the first fault counts. */
void trail__report_fault(trail_report *report, trail_fault fault, uint64_t seq,
                         const char *format, ...) __attribute__((format(printf, 4, 5)));

/* The text of a report that has no fault. */
void trail__report_describe(trail_report *report);

#endif

/* report.c - the verdict of verify, in words.
 * Level 6: may include levels 0-5.
 * SPDX-License-Identifier: MIT
 */
#include "report.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *trail_fault_name(trail_fault fault)
{
    static const char *const names[] = { "none",        "altered part", "altered entry",
                                         "broken link", "missing",      "reordered",
                                         "unreadable",  "head",         "ids",
                                         "index" };

    return (unsigned)fault < sizeof names / sizeof names[0] ? names[fault] : "unknown";
}

void trail_verify_options_init(trail_verify_options *options)
{
    memset(options, 0, sizeof *options);
}

void trail__report_fault(trail_report *report, trail_fault fault, uint64_t seq,
                         const char *format, ...)
{
    va_list args;

    if (report->fault != TRAIL_FAULT_NONE) {
        return;
    }
    report->fault = fault;
    report->first_bad_seq = seq;
    va_start(args, format);
    (void)vsnprintf(report->text, sizeof report->text, format, args);
    va_end(args);
}

void trail__report_describe(trail_report *report)
{
    if (report->fault != TRAIL_FAULT_NONE) {
        return;
    }
    if (!report->complete) {
        (void)snprintf(report->text, sizeof report->text,
                       "stopped at entry %" PRIu64 " of %" PRIu64 ": right so far",
                       report->last_good_seq, report->head.seq);
        return;
    }
    (void)snprintf(report->text, sizeof report->text,
                   "%" PRIu64 " entries verified: parts, entries, chain, ids, head%s; %s",
                   report->entries, report->index_seq > 0 ? ", index" : "",
                   report->head_expected ? "the expected head is there"
                                         : "no head was given to compare with");
}

/* verify_threads.h - check all entries, on several threads, with the verdict of one.
 * Level 6: may include levels 0-5, verify_entries.
 * SPDX-License-Identifier: MIT
 */
#ifndef TRAIL_VERIFY_THREADS_H
#define TRAIL_VERIFY_THREADS_H

#include "verify_entries.h"

/* Check the entries of 'all', which begins at seq 1, with options->threads. options->progress is
 * called on this thread; if it stops the check, complete is false. 'all' and '*good' only ever
 * hold what was checked without a gap; the rest of trail__stretch_check's promises hold as well. */
trail_status trail__verify_entries(trail__log *log, const trail_verify_options *options,
                                   const trail__compare *compare, volatile uint64_t *good,
                                   trail__stretch *all, trail_error *err);

#ifdef TRAIL_FAULTS
/* For the specs: how many entries a thread takes at a time; 0: as many as ever. */
void trail__verify_set_stretch(uint64_t count);
#endif

#endif

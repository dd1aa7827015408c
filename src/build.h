/* build.h - bring the index up to the log, one short step after the other.
 * Level 6: may include levels 0-5.
 * SPDX-License-Identifier: MIT
 *
 * Segments of the second size are built from the log; those of the first size only for a tail
 * that waits, and they give way to the larger one when it is full. Sixteen neighbours of a larger
 * size are merged into one of the next, a piece at a time between the building, so that neither
 * waits long for the other. What is no longer needed is removed in pieces too.
 *
 * Killed at any point, the next step finds a state that was committed: blocks of a number that no
 * row names are the merge that was under way, or dead.
 */
#ifndef TRAIL_BUILD_H
#define TRAIL_BUILD_H

#include "index.h"
#include "merge.h"
#include "segment.h"

typedef struct trail__build {
    trail__index *index;
    trail__segment_maker *maker;
    trail__block_writer writer;
    trail__merge merge;
    trail__index_state state;
    uint64_t head;   /* of the log */
    uint64_t opened; /* index->opened: in another file there is no merge of ours */
    bool log_fault;  /* the last failure was the log's */
    bool merge_next; /* a segment was built: now something else has its turn */
} trail__build;

trail_status trail__build_new(trail__build **build_out, trail__index *index,
                              trail_error *err);
void trail__build_free(trail__build *build); /* NULL is fine */

/* How much of the tail behind the last full segment of the second size is indexed. */
typedef enum trail__effort {
    TRAIL__EFFORT_NONE,
    TRAIL__EFFORT_UNITS, /* as far as it fills segments of the smallest size */
    TRAIL__EFFORT_ALL    /* all of it, in one that is too short */
} trail__effort;

/* One step, with the gate held. 'anew': throw away what is there. *more_out: there is more to do.
 * A damaged index is made anew; TRAIL_CORRUPT: an entry of the log cannot be read. */
trail_status trail__build_step(trail__build *build, trail__effort effort, bool anew,
                               bool *more_out, trail_error *err);

#endif

/* memory.h - what the programs share that let memory fail: memory.c and memory_lua.c.
 * Test: includes trail.h and C standard headers only.
 * SPDX-License-Identifier: MIT
 */
#ifndef MEMORY_H
#define MEMORY_H

#include "trail.h"

/* ---- the failures (memory_fail.c) --------------------------------------------------- */

/* A point is "alloc" for the library's own allocations, "libc" for every malloc of the process
 * (if built with FAIL_LIBC), or a name in the sources. */
void fail_choose(const char *point);

/* The calls from 'first' on (1 = the next) fail, 'count' of them. */
void fail_arm(unsigned long first, unsigned long count);

/* In a thread of its own "libc" begins to fail here: what starts a thread cannot fail, not with
 * AddressSanitizer. Other points fail in every thread. */
void fail_in_this_thread(void);

/* Is it every malloc of the process that fails? */
bool fail_of_malloc(void);

/* How many calls there were since then. */
unsigned long fail_disarm(void);

/* Open files and mapped trails of this process: what a failure must not leave behind. */
unsigned held_by_process(void);

void remove_trail(const char *path);

/* The shape of the indexes of trails that are opened from now on. */
void index_shape(unsigned unit, unsigned fan, unsigned levels);

/* ---- the functions under test (memory_calls.c) -------------------------------------- */

#define EVENTS 20                    /* in the trail at the beginning: more than a page */
#define MAP_SIZE (UINT64_C(1) << 20) /* of new trails, */
#define SIZE_LIMIT (16 * MAP_SIZE)   /* and what they may grow to: growing ends soon */

typedef struct state {
    const char *dir;
    char path[512];
    char closed_path[512]; /* of a trail that nobody has open */
    char new_path[600];    /* where 'create' creates */
    trail *t;
    trail_head head;   /* before the call */
    unsigned appended; /* so that no event is like another */
    uint64_t stored;   /* how many events the call has stored, by what it returned */
    trail *other;      /* what the call has opened, */
    uint64_t entries;  /* and what must be in it */
    trail_cursor *cursor;
    uint64_t seq_next; /* what the cursor must give next, */
    uint64_t seq_end;  /* until this is next */
    uint8_t id[TRAIL_ID_LEN];
    trail *indexed;         /* with an index made by hand, */
    uint64_t indexed_count; /* and so many events behind the first */
} state;

typedef struct function {
    const char *name;
    int (*before)(state *s, trail_error *err); /* while there is memory; may be NULL */
    trail_status (*call)(state *s, trail_error *err);
    int (*after)(state *s, trail_error *err); /* when it is back; may be NULL */
    unsigned quiet; /* after so many tries without it the failure is not met any more */
} function;

extern const function functions[];
extern const size_t function_count;
extern const function submit_functions[]; /* memory_submit.c */
extern const size_t submit_function_count;

/* Append one more event. */
trail_status append_to(state *s, trail *t, trail_error *err);

/* Create a trail at s->new_path, another one each time. */
trail_status do_create(state *s, trail_error *err);

/* Those of the index (memory_index.c), on s->indexed. */
int open_indexed(state *s, trail_error *err);
trail_status do_count_indexed(state *s, trail_error *err);
trail_status do_query_indexed(state *s, trail_error *err);
trail_status do_top(state *s, trail_error *err);
trail_status do_histogram(state *s, trail_error *err);
trail_status do_index_info(state *s, trail_error *err);
int before_maintain(state *s, trail_error *err);
trail_status do_maintain(state *s, trail_error *err);
trail_status do_maintain_anew(state *s, trail_error *err);
int after_indexed(state *s, trail_error *err);

/* The id of the n-th event. */
void make_id(unsigned n, uint8_t id[TRAIL_ID_LEN]);

#endif

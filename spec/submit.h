/* submit.h - what the cases of submit.c and submit_threads.c share.
 * Test: includes trail.h and C standard headers only.
 * SPDX-License-Identifier: MIT
 */
#ifndef SUBMIT_H
#define SUBMIT_H

#include <trail.h>

enum { EVENTS = 100, MANY = 20 };

#define CHECK(what) check((what), #what, __LINE__)

extern const char *path; /* of the trail */
extern trail_error err;  /* of the main thread */

/* Ends the process if something is not as it must be. */
void check(bool good, const char *what, int line);

/* Take the lock between writers: the next commit lasts until let_go. */
void hold(void);
void let_go(void);

/* Wait until somebody stands before the lock: then a round is under way. */
void await_round(void);

trail *open_with(const trail_options *options);

/* Its resource_id is 'name', which must last. */
trail_event event_of(const char *name);

trail_status submit(trail *t, const char *name, trail_ticket **ticket_out);
trail_ticket *submitted(trail *t, const char *name); /* must succeed */

/* How many events with this resource_id there are. */
uint64_t stored(trail *t, const char *name);

trail_queue_info info_of(trail *t);

/* Cases of submit_threads.c. */
void run_threads(void);
void run_fork(void);
void run_signals(void);

#endif

/* gate.h - a lock between writing processes that can be waited for with a limit.
 * Level 3: may include levels 0-1.
 * SPDX-License-Identifier: MIT
 *
 * LMDB's own writer lock has no timeout: a process that is stopped while it writes (SIGSTOP, a
 * debugger, a frozen container) would stop every other writer for ever. So writers pass this
 * gate first: a robust mutex in a small shared file, which dies with its owner.
 */
#ifndef TRAIL_GATE_H
#define TRAIL_GATE_H

#include "trail.h"

typedef struct trail__gate trail__gate;

trail_status trail__gate_open(trail__gate **gate_out, const char *path, trail_error *err);
void trail__gate_close(trail__gate *gate); /* NULL is fine */

/* TRAIL_BUSY if another process (or thread) keeps the gate for longer than wait_ms. */
trail_status trail__gate_enter(trail__gate *gate, unsigned wait_ms, trail_error *err);
void trail__gate_leave(trail__gate *gate);

#endif

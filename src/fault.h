/* fault.h - every allocation of the library, and the points where a test may make it fail.
 * Level 1: may include level 0.
 * SPDX-License-Identifier: MIT
 *
 * In a release build these are malloc and friends, and a fault point is nothing. Built with
 * TRAIL_FAULTS (for the specs) the N-th call can be made to fail.
 */
#ifndef TRAIL_FAULT_H
#define TRAIL_FAULT_H

#include <stdbool.h>
#include <stddef.h>

/* NULL when there is no memory. Size 0 counts as 1, so NULL always means failure. */
void *trail__alloc(size_t len);
void *trail__alloc_zero(size_t len);
void *trail__realloc(void *old, size_t len);
void trail__free(void *memory);

#ifdef TRAIL_FAULTS
/* True: behave here as if the operation named by 'point' had failed. */
bool trail__fault(const char *point);

/* Let the calls from 'first' on (1 = the next) fail, 'count' of them; 'point' NULL means
 * allocations. count 0 switches off. */
void trail__fault_arm(const char *point, unsigned long first, unsigned long count);

/* Until the next arm: what would fail kills the process, as if by kill -9. */
void trail__fault_deadly(void);

/* How many calls were counted since the last arm. */
unsigned long trail__fault_calls(void);
#else
#define trail__fault(point) false
#endif

#endif

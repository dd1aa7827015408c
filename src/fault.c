/* fault.c - every allocation of the library, and the points where a test may make it
 * fail. Level 1: may include level 0. SPDX-License-Identifier: MIT
 */
#include "fault.h"

#include <errno.h>
#include <stdlib.h>

#ifdef TRAIL_FAULTS

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* The name that allocations go by when no point is named. */
#define POINT_ALLOC "alloc"
#define POINT_LEN_MAX 63

static struct {
    pthread_mutex_t lock;
    char point[POINT_LEN_MAX + 1];
    unsigned long first;
    unsigned long count;
    unsigned long calls;
    bool deadly;
} armed = { PTHREAD_MUTEX_INITIALIZER, POINT_ALLOC, 0, 0, 0, false };

bool trail__fault(const char *point)
{
    bool fails = false;

    pthread_mutex_lock(&armed.lock);
    if (strcmp(point, armed.point) == 0) {
        armed.calls++;
        /* first + count could overflow: "all from here on" is ULONG_MAX. */
        fails = armed.calls >= armed.first && armed.calls - armed.first < armed.count;
        if (fails && armed.deadly) {
            (void)raise(SIGKILL);
        }
    }
    pthread_mutex_unlock(&armed.lock);
    return fails;
}

/* With count 0 nothing fails, but the calls are still counted: that is how a test learns
 * how many there are to fail one by one. */
void trail__fault_arm(const char *point, unsigned long first, unsigned long count)
{
    pthread_mutex_lock(&armed.lock);
    snprintf(armed.point, sizeof armed.point, "%s", point != NULL ? point : POINT_ALLOC);
    armed.first = first;
    armed.count = count;
    armed.calls = 0;
    armed.deadly = false;
    pthread_mutex_unlock(&armed.lock);
}

void trail__fault_deadly(void)
{
    pthread_mutex_lock(&armed.lock);
    armed.deadly = true;
    pthread_mutex_unlock(&armed.lock);
}

unsigned long trail__fault_calls(void)
{
    unsigned long calls;

    pthread_mutex_lock(&armed.lock);
    calls = armed.calls;
    pthread_mutex_unlock(&armed.lock);
    return calls;
}

static bool alloc_fails(void)
{
    if (!trail__fault(POINT_ALLOC)) {
        return false;
    }
    errno = ENOMEM;
    return true;
}

#else

static inline bool alloc_fails(void)
{
    return false;
}

#endif

void *trail__alloc(size_t len)
{
    return alloc_fails() ? NULL : malloc(len > 0 ? len : 1);
}

void *trail__alloc_zero(size_t len)
{
    return alloc_fails() ? NULL : calloc(1, len > 0 ? len : 1);
}

/* After a failure 'old' is still there and still the caller's. */
void *trail__realloc(void *old, size_t len)
{
    return alloc_fails() ? NULL : realloc(old, len > 0 ? len : 1);
}

void trail__free(void *memory)
{
    free(memory);
}

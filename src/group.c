/* group.c - threads of one process that append at the same time share a commit.
 * Level 7: may include levels 0-6.
 * SPDX-License-Identifier: MIT
 */
#include "group.h"

#include "clock.h"
#include "futex.h"

#include <sched.h>
#include <string.h>

/* How much one transaction may take; a single batch may be larger. */
static const size_t round_len_max = (size_t)64 << 20;

/* How long a leader waits for the next of those who were in the round before. */
enum { NOBODY_CAME_US = 20 };

enum { NOBODY_WRITES, SOMEBODY_WRITES, NEXT_SLEEPS };

void trail__group_init(trail__group *group)
{
    memset(group, 0, sizeof *group);
}

static trail__batch *batch_of(uintptr_t newest)
{
    return (trail__batch *)(newest & ~(uintptr_t)1);
}

/* Put a list in front of those that wait. Returns what was there before: no batch means that the
 * caller leads, and the bit says which round it is. */
static uintptr_t push(trail__group *group, trail__batch *first, trail__batch *last)
{
    uintptr_t before = atomic_load_explicit(&group->newest, memory_order_relaxed);

    do {
        first->next = batch_of(before);
    } while (!atomic_compare_exchange_weak_explicit(
        &group->newest, &before, (uintptr_t)last | (before & 1), memory_order_release,
        memory_order_relaxed));
    return before;
}

/* ---- one thread at a time ---------------------------------------------------------- */

/* Only one thread at a time waits here: the leader of the next round. */
static void enter(trail__group *group)
{
    unsigned writing = NOBODY_WRITES;

    while (!atomic_compare_exchange_strong(&group->writing, &writing, SOMEBODY_WRITES)) {
        if (writing == NEXT_SLEEPS ||
            atomic_compare_exchange_strong(&group->writing, &writing, NEXT_SLEEPS)) {
            (void)trail__futex_wait(&group->writing, NEXT_SLEEPS, TRAIL__FUTEX_FOREVER);
        }
        writing = NOBODY_WRITES;
    }
}

static void leave(trail__group *group)
{
    if (atomic_exchange(&group->writing, NOBODY_WRITES) == NEXT_SLEEPS) {
        trail__futex_wake_one(&group->writing);
    }
}

/* When a round is over, all its threads wake up and come again one by one. Who commits as soon as
 * he is here commits nearly alone, and the others wait for that: half of the throughput. So wait
 * until as many are here as were the last time, as long as they keep coming. A thread that is
 * alone never waits. */
static void gather(const trail__group *group)
{
    unsigned seen = 0;
    int64_t until_us = 0;

    while (group->company > 1) {
        unsigned here = atomic_load(&group->arrived) - group->taken;
        int64_t now_us = trail__clock_steady_us();

        if (here >= group->company) {
            break;
        }
        if (here > seen) {
            seen = here;
            until_us = now_us + NOBODY_CAME_US;
        } else if (now_us >= until_us) {
            break;
        }
        (void)sched_yield();
    }
}

/* All that wait, oldest first. Whoever comes from now on is of the next round. */
static trail__batch *take(trail__group *group, unsigned odd)
{
    trail__batch *newest =
        batch_of(atomic_exchange_explicit(&group->newest, odd ^ 1, memory_order_acquire));
    trail__batch *oldest = NULL;
    unsigned callers = 0;

    while (newest != NULL) {
        trail__batch *before = newest->next;

        callers += newest->ends_call;
        newest->next = oldest;
        oldest = newest;
        newest = before;
    }
    group->taken += callers;
    group->company = callers;
    return oldest;
}

/* Cut the list behind what one transaction should take; returns the rest. */
static trail__batch *cut(trail__batch *batches)
{
    trail__batch *end = batches;
    trail__batch *rest;
    size_t len = end->len;

    while (end->next != NULL && len + end->next->len <= round_len_max) {
        end = end->next;
        len += end->len;
    }
    rest = end->next;
    end->next = NULL;
    return rest;
}

/* A batch that is over may be gone at once. */
static void tell(trail__group *group, trail__batch *batches, unsigned odd)
{
    while (batches != NULL) {
        trail__batch *next = batches->next;

        atomic_store_explicit(&batches->over, true, memory_order_release);
        batches = next;
    }
    (void)atomic_fetch_add(&group->over[odd], 1);
    trail__futex_wake_all(&group->over[odd]);
}

/* Who waited in vain for other processes, did so for all: if the last batch is busy, so is the
 * rest, and none of it comes before one that was busy. Returns whether it is. */
static bool pass_on_busy(const trail__batch *batches, trail__batch *rest)
{
    while (batches->next != NULL) {
        batches = batches->next;
    }
    for (; batches->status == TRAIL_BUSY && rest != NULL; rest = rest->next) {
        rest->status = batches->status;
        rest->error = batches->error;
    }
    return batches->status == TRAIL_BUSY;
}

static void lead(trail__group *group, trail__log *log, unsigned odd)
{
    trail__batch *batches;

    enter(group);
    gather(group);
    batches = take(group, odd);
    while (batches != NULL) {
        trail__batch *rest = cut(batches);

        trail__log_append(log, batches);
        if (pass_on_busy(batches, rest)) {
            tell(group, rest, odd);
            rest = NULL;
        }
        tell(group, batches, odd);
        batches = rest;
    }
    leave(group);
}

static void follow(trail__group *group, const trail__batch *last, unsigned odd)
{
    for (;;) {
        unsigned over = atomic_load(&group->over[odd]);

        if (atomic_load_explicit(&last->over, memory_order_acquire)) {
            return;
        }
        (void)trail__futex_wait(&group->over[odd], over, TRAIL__FUTEX_FOREVER);
    }
}

void trail__group_append(trail__group *group, trail__log *log, trail__batch *batches)
{
    trail__batch *first = batches;
    trail__batch *last = NULL;
    uintptr_t before;

    /* Newest first, as they wait. */
    while (batches != NULL) {
        trail__batch *next = batches->next;

        batches->next = last;
        batches->ends_call = next == NULL;
        atomic_store_explicit(&batches->over, false, memory_order_relaxed);
        last = batches;
        batches = next;
    }
    (void)atomic_fetch_add(&group->arrived, 1);
    before = push(group, first, last);
    if (batch_of(before) == NULL) {
        lead(group, log, before & 1);
    } else {
        follow(group, last, before & 1);
    }
}

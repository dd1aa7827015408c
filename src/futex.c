/* futex.c - sleep until a word in memory has another value.
 * Level 1: may include level 0.
 * SPDX-License-Identifier: MIT
 */
#include "futex.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

_Static_assert(sizeof(atomic_uint) == sizeof(uint32_t), "the kernel's word has 32 bits");

bool trail__futex_wait(atomic_uint *word, unsigned value, int64_t until_us)
{
    struct timespec until = { .tv_sec = (time_t)(until_us / 1000000),
                              .tv_nsec = (long)(until_us % 1000000) * 1000 };

    /* The bitset kind takes a moment of the steady clock, not a span. */
    return syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, value,
                   until_us == TRAIL__FUTEX_FOREVER ? NULL : &until, NULL,
                   FUTEX_BITSET_MATCH_ANY) == 0 ||
           errno != ETIMEDOUT;
}

static void wake(atomic_uint *word, int count)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

void trail__futex_wake_one(atomic_uint *word)
{
    wake(word, 1);
}

void trail__futex_wake_all(atomic_uint *word)
{
    wake(word, INT_MAX);
}

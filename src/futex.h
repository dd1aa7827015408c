/* futex.h - sleep until a word in memory has another value.
 * Level 1: may include level 0.
 * SPDX-License-Identifier: MIT
 */
#ifndef TRAIL_FUTEX_H
#define TRAIL_FUTEX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* "Without limit", as a moment of trail__clock_steady_us. */
#define TRAIL__FUTEX_FOREVER INT64_MAX

/* Sleep while *word is 'value', until somebody wakes, or until that moment; false: it has come.
 * May also return for no reason, so look at the word again. */
bool trail__futex_wait(atomic_uint *word, unsigned value, int64_t until_us);

/* Whoever sleeps at the word: one of them, or all. Only the address is used: the memory may be
 * somebody else's by now. */
void trail__futex_wake_one(atomic_uint *word);
void trail__futex_wake_all(atomic_uint *word);

#endif

/* c_api.h - what the two halves of the program c_api share.
 * Test: includes trail.h only, like any program.
 * SPDX-License-Identifier: MIT
 */
#ifndef TRAIL_C_API_H
#define TRAIL_C_API_H

#include <trail.h>

/* Anything but what a function would write: what is still this was not written. */
enum { UNTOUCHED = 0xA5 };

extern int failures;
extern char path[4096]; /* of the trail */

#define CHECK(condition) check((condition), #condition, __FILE__, __LINE__)
void check(bool right, const char *what, const char *file, int line);

bool is_untouched(const void *memory, size_t len);

/* A status other than TRAIL_OK comes with its number and one line of text. */
bool explains(const trail_error *err, trail_status status, const char *words);

bool text_is(trail_text text, const char *wanted);

trail_event sample(const char *resource_id);

/* The trail of this run, with 'count' more sample events. */
trail *open_sample(int count);

/* 0 if it cannot be told. */
uint64_t head_seq(trail *t);

void check_receipts(void);
void check_reading(void);
void check_verify(void);
void check_damaged(void);
void check_fork(void);

#endif

/* text.h - is it UTF-8, how many characters has it.
 * Level 1: may include level 0.
 * SPDX-License-Identifier: MIT
 */
#ifndef TRAIL_TEXT_H
#define TRAIL_TEXT_H

#include "trail.h"

/* Strict UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF. On
 * success *chars_out is the number of code points. On failure *bad_offset_out is the offset of
 * the first byte that cannot be. NUL is valid here; the door refuses it. */
bool trail__text_utf8(trail_text text, size_t *chars_out, size_t *bad_offset_out);

/* Bytes of the first character of 'len' bytes, at least 1; 0 if it is none. */
size_t trail__text_char(const unsigned char *text, size_t len, uint32_t *code_out);

/* Nothing but ASCII without NUL, which nearly every text is: as many characters as bytes. False
 * says only that it must be looked at. */
bool trail__text_plain(trail_text text);

bool trail__text_equal(trail_text a, trail_text b); /* absent equals absent only */
bool trail__text_begins(trail_text text, trail_text prefix); /* neither is absent */

#endif

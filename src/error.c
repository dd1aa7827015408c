/* error.c - fill a caller's trail_error: one line, printable, ours; and the words of
 * statuses. Level 1: may include level 0, text. SPDX-License-Identifier: MIT
 */
#include "error.h"

#include "text.h"

#include <assert.h>
#include <errno.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A draft is longer than any message: what vsnprintf cuts off would not have been shown,
 * and the character it may cut in half is never reached. */
#define DRAFT_LEN (4 * TRAIL_ERROR_TEXT_MAX)
#define REASON_LEN 128

#define CUT_MARK "\xE2\x80\xA6" /* an ellipsis */
#define CUT_MARK_LEN 3

const char *trail_status_name(trail_status status)
{
    static const char *const names[] = {
        [TRAIL_OK] = "ok",
        [TRAIL_INVALID] = "invalid",
        [TRAIL_BUSY] = "busy",
        [TRAIL_FULL] = "full",
        [TRAIL_QUEUE_FULL] = "queue_full",
        [TRAIL_CLOSED] = "closed",
        [TRAIL_CORRUPT] = "corrupt",
        [TRAIL_EXISTS] = "exists",
        [TRAIL_FORKED] = "forked",
        [TRAIL_DENIED] = "denied",
        [TRAIL_NOT_FOUND] = "not_found",
        [TRAIL_IO] = "io",
        [TRAIL_NO_MEMORY] = "no_memory",
    };

    if ((size_t)status >= sizeof names / sizeof names[0]) {
        return "unknown";
    }
    return names[status];
}

/* Controls would let an argument play with a terminal or a log file; the two separators
 * break a line in some programs. */
static bool is_printable(uint32_t code)
{
    return code >= 0x20 && !(code >= 0x7F && code < 0xA0) && code != 0x2028 &&
           code != 0x2029;
}

/* Bytes of the character at 'text' if it may be shown as it is, else 0. */
static size_t printable_len(const unsigned char *text, size_t len)
{
    uint32_t code;
    size_t taken = trail__text_char(text, len, &code);

    return taken > 0 && is_printable(code) ? taken : 0;
}

/* Copy the draft to 'out', at most 'room' bytes and NUL, made printable. What does not
 * fit is cut between two characters and the cut is marked. Returns the bytes written. */
static size_t put_printable(char *out, size_t room, const char *draft)
{
    static const char hex[] = "0123456789abcdef";
    const unsigned char *from = (const unsigned char *)draft;
    const unsigned char *end = from + strlen(draft);
    size_t at = 0;
    size_t cut = 0; /* the last place where the mark still fits */

    while (from < end) {
        size_t taken = printable_len(from, (size_t)(end - from));
        size_t given = taken > 0 ? taken : 4;

        if (at + given > room) {
            memcpy(out + cut, CUT_MARK, CUT_MARK_LEN);
            at = cut + CUT_MARK_LEN;
            break;
        }
        if (taken > 0) {
            memcpy(out + at, from, taken);
        } else {
            const char escape[4] = { '\\', 'x', hex[*from >> 4], hex[*from & 15] };

            memcpy(out + at, escape, sizeof escape);
            taken = 1;
        }
        from += taken;
        at += given;
        if (at + CUT_MARK_LEN <= room) {
            cut = at;
        }
    }
    out[at] = '\0';
    return at;
}

/* An argument may be err->text itself, so nothing is written there before the draft is
 * done. */
static void draft_message(char draft[DRAFT_LEN], const char *format, va_list args)
{
    if (vsnprintf(draft, DRAFT_LEN, format, args) < 0) {
        draft[0] = '\0';
    }
}

trail_status trail__error(trail_error *err, trail_status status, const char *format, ...)
{
    char draft[DRAFT_LEN];
    va_list args;

    assert(status != TRAIL_OK);
    if (err == NULL) {
        return status;
    }
    va_start(args, format);
    draft_message(draft, format, args);
    va_end(args);
    err->status = status;
    put_printable(err->text, sizeof err->text - 1, draft);
    return status;
}

void trail__error_prefix(trail_error *err, const char *format, ...)
{
    char draft[DRAFT_LEN];
    size_t len;
    va_list args;

    if (err == NULL || err->status == TRAIL_OK) {
        return;
    }
    va_start(args, format);
    draft_message(draft, format, args);
    va_end(args);
    len = strlen(draft);
    snprintf(draft + len, sizeof draft - len, "%s", err->text);
    put_printable(err->text, sizeof err->text - 1, draft);
}

static trail_status status_of_errno(int errnum)
{
    switch (errnum) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return TRAIL_FULL;
    case EACCES:
    case EPERM:
    case EROFS:
        return TRAIL_DENIED;
    case ENOENT:
        return TRAIL_NOT_FOUND;
    case ENOMEM:
        return TRAIL_NO_MEMORY;
    case EEXIST:
        return TRAIL_EXISTS;
    default:
        return TRAIL_IO;
    }
}

/* The reason in English whatever the host's locale is: people search for these words. */
static void describe_errno(int errnum, char reason[REASON_LEN])
{
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);

    if (plain == (locale_t)0) {
        snprintf(reason, REASON_LEN, "error %d", errnum);
        return;
    }
    snprintf(reason, REASON_LEN, "%s", strerror_l(errnum, plain));
    freelocale(plain);
}

trail_status trail__error_errno(trail_error *err, int errnum, const char *format, ...)
{
    trail_status status = status_of_errno(errnum);
    char draft[DRAFT_LEN];
    char reason[REASON_LEN];
    size_t room;
    size_t at;
    va_list args;

    if (err == NULL) {
        return status;
    }
    va_start(args, format);
    draft_message(draft, format, args);
    va_end(args);
    describe_errno(errnum, reason);

    /* A long path is cut rather than the reason. */
    room = sizeof err->text - 1 - strlen(": ") - strlen(reason);
    err->status = status;
    at = put_printable(err->text, room, draft);
    snprintf(err->text + at, sizeof err->text - at, ": %s", reason);
    return status;
}

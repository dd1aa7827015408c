/* memory_submit.c - the functions around trail_submit, for a loop that lets memory fail.
 * Test: includes memory.h.
 * SPDX-License-Identifier: MIT
 */
#include "memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static trail_event event_of(const char *name)
{
    trail_event event;

    trail_event_init(&event);
    event.event_type = trail_str("memory_test");
    event.action = trail_str("submit");
    event.resource_type = trail_str("n");
    event.resource_id = trail_str(name);
    event.result = trail_str("success");
    event.details = trail_str("{\"a\":[1,2,3]}");
    return event;
}

static int open_other(state *s, trail_error *err)
{
    return trail_open(&s->other, s->closed_path, NULL, err) != TRAIL_OK;
}

/* With the thread at work already. */
static int open_with_thread(state *s, trail_error *err)
{
    trail_event event = event_of("first");
    int fd;

    return open_other(s, err) != 0 ||
           trail_submit(s->other, &event, 1, NULL, err) != TRAIL_OK ||
           trail_flush(s->other, -1, err) != TRAIL_OK ||
           trail_event_fd(s->other, &fd, err) != TRAIL_OK;
}

/* A batch of two; the second event has an id, which is compared. */
static trail_status do_submit(state *s, trail_error *err)
{
    trail_event events[2] = { event_of("one"), event_of("two") };
    trail_receipt receipts[2] = { { .seq = 0 }, { .seq = 0 } };
    trail_ticket *ticket = NULL;
    uint8_t id[TRAIL_ID_LEN];
    trail_status status;

    make_id(++s->appended, id);
    events[1].id = id;
    status = trail_submit(s->other, events, 2, &ticket, err);
    if ((status == TRAIL_OK) != (ticket != NULL)) {
        abort();
    }
    if (status == TRAIL_OK) {
        status = trail_ticket_wait(ticket, -1, receipts, err);
    }
    if ((status == TRAIL_OK) != (receipts[1].seq != 0)) {
        abort();
    }
    trail_ticket_close(ticket);
    return status;
}

/* Starting a thread under AddressSanitizer must not fail for want of malloc. */
static trail_status do_submit_first(state *s, trail_error *err)
{
    return fail_of_malloc() ? TRAIL_OK : do_submit(s, err);
}

/* Nobody has a ticket: flush tells. */
static trail_status do_flush(state *s, trail_error *err)
{
    trail_event event = event_of("no ticket");
    trail_status status = trail_submit(s->other, &event, 1, NULL, err);

    return status == TRAIL_OK ? trail_flush(s->other, -1, err) : status;
}

static int after_submit(state *s, trail_error *err)
{
    trail_event event = event_of("after");
    trail_queue_info info;
    trail_report report = { .fault = TRAIL_FAULT_NONE };
    int bad = trail_flush(s->other, -1, err) != TRAIL_OK ||
              trail_get_queue_info(s->other, &info, err) != TRAIL_OK || info.waiting != 0;

    trail_close(s->other);
    bad = bad || open_other(s, err) != 0 ||
          trail_submit(s->other, &event, 1, NULL, err) != TRAIL_OK ||
          trail_flush(s->other, -1, err) != TRAIL_OK ||
          trail_verify(s->other, NULL, &report, err) != TRAIL_OK ||
          report.fault != TRAIL_FAULT_NONE;
    trail_close(s->other);
    s->other = NULL;
    return bad;
}

const function submit_functions[] = {
    { "submit first", open_other, do_submit_first, after_submit, 1 },
    { "submit", open_with_thread, do_submit, after_submit, 1 },
    { "flush", open_with_thread, do_flush, after_submit, 1 },
};

const size_t submit_function_count = sizeof submit_functions / sizeof submit_functions[0];

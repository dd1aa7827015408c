/* lua_submit.c - append without waiting, as Lua sees it: submit, tickets, flush, the queue.
 * Level edge: includes trail.h, Lua's headers and C standard headers only.
 * SPDX-License-Identifier: MIT
 */
#include "lua_core.h"

#include <limits.h>
#include <string.h>

static const char ticket_key;

/* The box of a ticket, which may outlive its log. */
typedef struct ticket_box {
    trail_ticket *ticket; /* NULL: closed */
    bool list;            /* a list of events was submitted */
    size_t count;
} ticket_box;

/* ---- options ------------------------------------------------------------------------ */

/* Seconds at 'index' as milliseconds, rounded up, so that a little is not nothing. */
static int check_seconds(lua_State *L, int index, const char *kind, const char *name)
{
    double ms;

    if (lua_type(L, index) != LUA_TNUMBER) {
        luaL_error(L, "%s '%s': expected a number of seconds, got %s", kind, name,
                   luaL_typename(L, index));
    }
    ms = (double)lua_tonumber(L, index) * 1000;
    if (!(ms >= 0)) {
        luaL_error(L, "%s '%s': must be at least 0", kind, name);
    }
    if (ms >= INT_MAX) {
        return INT_MAX;
    }
    return (int)ms + ((double)(int)ms < ms);
}

/* nil: without limit, as C has it. */
static int check_timeout(lua_State *L, int index)
{
    return lua_isnoneornil(L, index) ? -1
                                     : check_seconds(L, index, "argument", "seconds");
}

static trail_queue_policy check_policy(lua_State *L)
{
    static const char *const words[] = { "refuse", "wait", "drop" };
    size_t i;

    for (i = 0; lua_type(L, -1) == LUA_TSTRING && i < 3; i++) {
        if (trail__lua_text_is(trail__lua_text(L, -1), words[i])) {
            return (trail_queue_policy)i;
        }
    }
    luaL_error(L, "option 'queue_policy': expected \"refuse\", \"wait\" or \"drop\"");
    return TRAIL_QUEUE_REFUSE;
}

static size_t check_size(lua_State *L, const char *name)
{
    uint64_t count = trail__lua_check_count(L, -1, "option", name, 1);

    return count > SIZE_MAX ? SIZE_MAX : (size_t)count;
}

bool trail__lua_queue_option(lua_State *L, trail_text key, trail_options *options)
{
    if (trail__lua_text_is(key, "queue_count")) {
        options->queue_count_max = check_size(L, "queue_count");
    } else if (trail__lua_text_is(key, "queue_len")) {
        options->queue_len_max = check_size(L, "queue_len");
    } else if (trail__lua_text_is(key, "queue_policy")) {
        options->queue_policy = check_policy(L);
    } else if (trail__lua_text_is(key, "close_timeout")) {
        int ms = check_seconds(L, -1, "option", "close_timeout");

        options->close_ms = ms > 0 ? (unsigned)ms : 1; /* 0 is the default in C */
    } else {
        return false;
    }
    return true;
}

/* ---- tickets ------------------------------------------------------------------------ */

static ticket_box *check_ticket(lua_State *L)
{
    return trail__lua_check_box(L, 1, &ticket_key, "trail ticket");
}

static int push_closed(lua_State *L)
{
    return trail__lua_failure_text(L, TRAIL_CLOSED, "the ticket is closed");
}

/* ticket:close() -> true; also __gc and __close */
static int l_close(lua_State *L)
{
    ticket_box *box = check_ticket(L);
    trail_ticket *ticket = box->ticket;

    box->ticket = NULL;
    trail_ticket_close(ticket);
    lua_pushboolean(L, 1);
    return 1;
}

/* ticket:done() -> is the outcome known | nil, message, code */
static int l_done(lua_State *L)
{
    ticket_box *box = check_ticket(L);

    if (box->ticket == NULL) {
        return push_closed(L);
    }
    lua_pushboolean(L, trail_ticket_done(box->ticket));
    return 1;
}

/* ticket:wait([seconds]) -> what append returns | nil, message, code */
static int l_wait(lua_State *L)
{
    ticket_box *box = check_ticket(L);
    trail_receipt receipt;
    trail_receipt *receipts = &receipt;
    int timeout_ms;
    trail_error err;

    lua_settop(L, 2);
    timeout_ms = check_timeout(L, 2);
    if (box->list) {
        receipts = lua_newuserdata(L, box->count * sizeof *receipts);
    }
    /* Asked only now: memory can run a finalizer that closes the ticket. */
    if (box->ticket == NULL) {
        return push_closed(L);
    }
    if (trail_ticket_wait(box->ticket, timeout_ms, receipts, &err) != TRAIL_OK) {
        return trail__lua_failure(L, &err);
    }
    return trail__lua_push_receipts(L, receipts, box->count, box->list);
}

static int l_tostring(lua_State *L)
{
    ticket_box *box = check_ticket(L);

    lua_pushfstring(L, "trail ticket (%d %s, %s)", (int)box->count,
                    box->count == 1 ? "event" : "events",
                    box->ticket == NULL              ? "closed"
                    : trail_ticket_done(box->ticket) ? "done"
                                                     : "waiting");
    return 1;
}

/* ---- the log ------------------------------------------------------------------------ */

/* log:submit(event or list) -> ticket | nil, message, code */
int trail__lua_log_submit(lua_State *L)
{
    trail__lua_log *log = trail__lua_check_log(L, 1);
    trail__lua_batch batch;
    trail__lua_encoder encoder;
    ticket_box *box;
    trail_error err;
    trail_status status;
    trail *handle;

    trail__lua_check_single(L, 2, "submit");
    box = lua_newuserdata(L, sizeof *box);
    memset(box, 0, sizeof *box);
    trail__lua_set_class(L, &ticket_key);
    status = trail__lua_batch_read(L, 2, &batch, &encoder, &err);
    /* Asked only now: reading the tables can run a finalizer that closes the log. */
    handle = trail__lua_handle(log);
    if (handle == NULL) {
        return trail__lua_closed(L);
    }
    box->list = batch.list;
    box->count = batch.count;
    if (status == TRAIL_OK) {
        status = trail_submit(handle, batch.events, batch.count, &box->ticket, &err);
    }
    if (status != TRAIL_OK) {
        return trail__lua_failure(L, &err);
    }
    lua_settop(L, 3);
    return 1;
}

/* log:flush([seconds]) -> true | nil, message, code */
int trail__lua_log_flush(lua_State *L)
{
    trail__lua_log *log = trail__lua_check_log(L, 1);
    int timeout_ms = check_timeout(L, 2);
    trail_error err;

    if (trail__lua_handle(log) == NULL) {
        return trail__lua_closed(L);
    }
    if (trail_flush(trail__lua_handle(log), timeout_ms, &err) != TRAIL_OK) {
        return trail__lua_failure(L, &err);
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* log:event_fd() -> number | nil, message, code */
int trail__lua_log_event_fd(lua_State *L)
{
    trail__lua_log *log = trail__lua_check_log(L, 1);
    int fd;
    trail_error err;

    if (trail__lua_handle(log) == NULL) {
        return trail__lua_closed(L);
    }
    if (trail_event_fd(trail__lua_handle(log), &fd, &err) != TRAIL_OK) {
        return trail__lua_failure(L, &err);
    }
    lua_pushinteger(L, fd);
    return 1;
}

/* log:queue() -> { waiting, waiting_len, dropped, failed } | nil, message, code */
int trail__lua_log_queue(lua_State *L)
{
    trail__lua_log *log = trail__lua_check_log(L, 1);
    trail_queue_info info;
    trail_error err;

    if (trail__lua_handle(log) == NULL) {
        return trail__lua_closed(L);
    }
    if (trail_get_queue_info(trail__lua_handle(log), &info, &err) != TRAIL_OK) {
        return trail__lua_failure(L, &err);
    }
    lua_createtable(L, 0, 4);
    trail__lua_set_u64(L, "waiting", info.waiting);
    trail__lua_set_u64(L, "waiting_len", info.waiting_len);
    trail__lua_set_u64(L, "dropped", info.dropped);
    trail__lua_set_u64(L, "failed", info.failed);
    return 1;
}

void trail__lua_open_submit(lua_State *L)
{
    static const luaL_Reg meta[] = { { "__gc", l_close },
                                     { "__close", l_close },
                                     { "__tostring", l_tostring },
                                     { NULL, NULL } };
    static const luaL_Reg methods[] = {
        { "close", l_close }, { "done", l_done }, { "wait", l_wait }, { NULL, NULL }
    };

    trail__lua_push_class(L, &ticket_key, "trail ticket", meta, methods);
    lua_pop(L, 1);
}

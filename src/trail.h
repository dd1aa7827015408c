/* trail.h - the public interface of libtrail: an embedded, hash-chained audit log.
 * Level 0: includes C standard headers only.
 * SPDX-License-Identifier: MIT
 *
 * Three lines that work:
 *
 *     trail *t = NULL;
 *     trail_open(&t, "audit.trail", NULL, NULL);
 *     trail_append(t, &event, NULL, NULL);
 *
 * Conventions, the same for every function below:
 *   - A fallible function returns a trail_status; results leave through *_out parameters,
 *     which are written on TRAIL_OK only; but a pointer handed out is NULL after any other
 *     status. Then nothing was stored and the trail is as it was before, unless the comment
 *     says otherwise.
 *   - 'err' may be NULL. If it is not, it receives the status and one line of text.
 *   - Text comes as trail_text, bytes with a length; a NULL pointer means "absent".
 *   - Times are int64_t microseconds since 1970-01-01T00:00:00Z, named *_us.
 *   - A trail handle may be used from many threads at once; a cursor from one at a time.
 *   - A handle does not survive fork(): in the child every call says TRAIL_FORKED; open anew.
 */
#ifndef TRAIL_H
#define TRAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define TRAIL_API __attribute__((visibility("default")))
#else
#define TRAIL_API
#endif

#define TRAIL_VERSION "0.1.0"

/* ---- status and error ------------------------------------------------------------- */

typedef enum trail_status {
    TRAIL_OK = 0,
    TRAIL_INVALID, /* an argument or an event breaks a rule; the message names the field */
    TRAIL_BUSY,    /* somebody else holds what is needed and did not let go in time */
    TRAIL_FULL,    /* the disk, or the size limit of the trail, is reached */
    TRAIL_QUEUE_FULL, /* too many events are waiting to be written */
    /* The handle was closed: before submitted events were written; or before the call, which
     * only Lua can tell, C must not ask. */
    TRAIL_CLOSED,
    TRAIL_CORRUPT, /* the stored bytes are not what was written; run verify */
    TRAIL_EXISTS,  /* the id is already stored with other content; or the path is taken */
    TRAIL_FORKED,  /* the handle was opened by the parent process */
    TRAIL_DENIED,  /* permissions, or a handle opened read-only */
    TRAIL_NOT_FOUND, /* no such event, or no trail at that path */
    TRAIL_IO,        /* the operating system refused; the message says what */
    TRAIL_NO_MEMORY
} trail_status;

/* The word for a status, the same in Lua, JSON and the manual: "ok", "invalid", "busy", "full",
 * "queue_full", "closed", "corrupt", "exists", "forked", "denied", "not_found", "io",
 * "no_memory". Never NULL. */
TRAIL_API const char *trail_status_name(trail_status status);

#define TRAIL_ERROR_TEXT_MAX 512

typedef struct trail_error {
    trail_status status;
    char text[TRAIL_ERROR_TEXT_MAX]; /* one line, NUL-terminated, printable UTF-8 */
} trail_error;

/* ---- events ----------------------------------------------------------------------- */

typedef struct trail_text {
    const char *data; /* NULL: absent. Need not end in NUL. */
    size_t len;       /* bytes */
} trail_text;

/* A C string as a trail_text; NULL gives an absent text. */
TRAIL_API trail_text trail_str(const char *text);

#define TRAIL_ID_LEN 16
#define TRAIL_HASH_LEN 32

/* "No time given": the engine takes the current time. */
#define TRAIL_TIME_NONE INT64_MIN
#define TRAIL_TIME_US_MAX INT64_C(253402300799999999) /* 9999-12-31T23:59:59.999999Z */

/* Limits: characters (code points) for what has a CHARS name, bytes for what has LEN. */
#define TRAIL_ID_CHARS_MAX 255         /* user_id, action, resource_id, request_id */
#define TRAIL_EVENT_TYPE_CHARS_MAX 100 /* event_type */
#define TRAIL_TYPE_CHARS_MAX 50        /* resource_type, result */
#define TRAIL_USER_AGENT_CHARS_MAX 4096
#define TRAIL_RESULT_ERROR_LEN_MAX 65536
#define TRAIL_DETAILS_LEN_MAX 1048576
#define TRAIL_DETAILS_DEPTH_MAX 32
#define TRAIL_BATCH_COUNT_MAX 65536 /* events in one trail_append_batch */
#define TRAIL_INDEX_PATHS_MAX 16
#define TRAIL_INDEX_PATH_LEN_MAX 200

/* One event as a caller hands it in. Every text must be valid UTF-8 without NUL.
 * event_type, action, resource_type, resource_id and result are required and not empty;
 * event types that begin with "trail." belong to the engine. */
typedef struct trail_event {
    const uint8_t *id; /* 16 bytes, the caller's own; NULL: the engine makes a UUID v7 */
    int64_t timestamp_us;     /* when it happened; TRAIL_TIME_NONE: now */
    trail_text event_type;    /* "auth_attempt" */
    trail_text user_id;       /* who did it; may be absent */
    trail_text action;        /* "login" */
    trail_text resource_type; /* "user" */
    trail_text resource_id;   /* "alice@example.com" */
    trail_text result;        /* "success", "failure" or "partial_success" */
    trail_text result_error;  /* why it failed; may be absent */
    trail_text details;       /* a JSON text; may be absent */
    trail_text ip_address;    /* IPv4 or IPv6; may be absent */
    trail_text user_agent;    /* may be absent */
    trail_text request_id;    /* may be absent */
} trail_event;

/* All texts absent, no id, no time. */
TRAIL_API void trail_event_init(trail_event *event);

/* What the engine answers for one event: where it is stored. */
typedef struct trail_receipt {
    uint64_t seq;
    int64_t recorded_at_us;
    uint8_t id[TRAIL_ID_LEN];
    uint8_t event_hash[TRAIL_HASH_LEN];
    bool duplicate; /* the id was already stored with this content; nothing was added */
} trail_receipt;

/* One event as it is read back. Texts point into memory of whoever handed the record out. */
typedef struct trail_record {
    uint64_t seq;           /* 1, 2, 3 ...: the order */
    int64_t recorded_at_us; /* when the engine stored it; never goes back */
    trail_event event;      /* event.id and event.timestamp_us are always set */
    uint8_t previous_hash[TRAIL_HASH_LEN];
    uint8_t event_hash[TRAIL_HASH_LEN];
    bool readable; /* false (only under filter.unreadable): just seq and stored are set */
    trail_text stored; /* the stored value, byte for byte (docs/format.md) */
    trail_text entry;  /* inside 'stored': the canonical entry */
    trail_text who; /* inside 'stored': the part with user_id, ip_address, user_agent */
    trail_text details; /* inside 'stored': details and result_error; may be absent */
} trail_record;

/* ---- open, close ------------------------------------------------------------------ */

typedef struct trail trail;

typedef enum trail_open_flag {
    TRAIL_READ_ONLY = 1, /* append says TRAIL_DENIED; implies TRAIL_NO_CREATE */
    TRAIL_NO_CREATE = 2, /* nothing at the path: TRAIL_NOT_FOUND instead of a new trail */
    TRAIL_CREATE_NEW = 4 /* something at the path: TRAIL_EXISTS instead of opening it */
} trail_open_flag;

/* Who brings the index up to what was appended. Queries are right either way; they are fast
 * where the index has come. */
typedef enum trail_indexing {
    TRAIL_INDEX_BACKGROUND =
        0,              /* a thread of this process, started by its first append */
    TRAIL_INDEX_INLINE, /* the appending call itself: where threads are not allowed */
    TRAIL_INDEX_MANUAL  /* nobody but trail_maintain */
} trail_indexing;

/* What trail_submit does when the queue is full. */
typedef enum trail_queue_policy {
    TRAIL_QUEUE_REFUSE = 0, /* say TRAIL_QUEUE_FULL at once */
    TRAIL_QUEUE_WAIT,       /* wait for room, at most busy_ms; then TRAIL_QUEUE_FULL */
    /* Say TRAIL_QUEUE_FULL at once, count the event, and record the count as an event
     * "trail.dropped" as soon as there is room again. */
    TRAIL_QUEUE_DROP
} trail_queue_policy;

typedef struct trail_options {
    /* trail_open_flag, or-ed. */
    unsigned flags;
    /* Bytes of address space to reserve; grows by itself. 0: 64 GiB, less if the process may
     * not have so much. */
    uint64_t map_size;
    /* Bytes that log.mdb may take; then TRAIL_FULL. 0: no limit. */
    uint64_t size_max;
    /* How long to wait for a writer of another process; then TRAIL_BUSY. 0: 10,000. */
    unsigned busy_ms;
    /* On creation: the name of this log, part of the first hash, at most 255 characters.
     * NULL: "trail". */
    const char *origin;
    /* On creation: the paths in details that the index finds, "region" or "actor.name"; at
     * most TRAIL_INDEX_PATHS_MAX, for good. */
    const char *const *index_paths;
    size_t index_path_count;
    trail_indexing indexing;
    /* The queue of trail_submit: how many events, and how many bytes of memory for them, may wait
     * in it. 0: 65,536 events, 64 MiB. What the first handle of a process on a trail says, holds
     * for all of them; the policy is each handle's own. */
    size_t queue_count_max;
    size_t queue_len_max;
    trail_queue_policy queue_policy;
    /* How long trail_close, and exit(), wait for what was submitted. 0: 10,000. */
    unsigned close_ms;
} trail_options;

TRAIL_API void trail_options_init(trail_options *options);

/* Open the trail at 'path' (a directory); create it if nothing is there (see flags).
 * A trail is created completely or not at all, also when the machine stops in the middle.
 * Opening the same trail twice in one process gives two handles on one shared store.
 * 'options' may be NULL. After a failure *trail_out is NULL.
 *
 * TRAIL_NOT_FOUND, TRAIL_EXISTS, TRAIL_DENIED, TRAIL_CORRUPT (not a trail, a damaged one, or
 * a format this version does not know), TRAIL_FULL, TRAIL_IO, TRAIL_NO_MEMORY, TRAIL_INVALID. */
TRAIL_API trail_status trail_open(trail **trail_out, const char *path,
                                  const trail_options *options, trail_error *err);

/* Close the handle. NULL is fine. It waits for appends that other threads have under way, and until
 * what was submitted through it has an outcome. What is not being written after close_ms never
 * will be: TRAIL_CLOSED. A commit under way cannot be called back: it is waited for, however
 * long it takes. Its cursors must be closed before, and no other call may be under way; tickets may
 * be asked and closed later. Other handles on the same trail are not affected. */
TRAIL_API void trail_close(trail *t);

/* The last event: seq and event_hash. A trail is never empty: seq 1 is its creation. */
typedef struct trail_head {
    uint64_t seq;
    int64_t recorded_at_us;
    uint8_t event_hash[TRAIL_HASH_LEN];
} trail_head;

TRAIL_API trail_status trail_get_head(trail *t, trail_head *head_out, trail_error *err);

typedef struct trail_info {
    uint8_t log_id[TRAIL_ID_LEN];
    char origin[TRAIL_ID_CHARS_MAX * 4 + 1];
    unsigned format; /* 1 */
    trail_head head;
    int64_t created_at_us; /* recorded_at of seq 1 */
    uint64_t file_len;     /* bytes of log.mdb */
    uint64_t used_len;     /* bytes of it up to the last page that was ever used */
    uint64_t map_size;     /* bytes of address space reserved */
    uint64_t size_max;     /* 0: no limit */
    uint64_t foreign_ids;  /* events whose id came from the caller */
    unsigned
        readers; /* reader slots of all processes: the most that were in use at once */
    unsigned readers_max;
} trail_info;

TRAIL_API trail_status trail_get_info(trail *t, trail_info *info_out, trail_error *err);

/* The path as given to trail_open, and as an absolute path, which stays right when the process
 * changes its directory. Both valid until trail_close. */
TRAIL_API const char *trail_path(const trail *t);
TRAIL_API const char *trail_real_path(const trail *t);

/* ---- append ----------------------------------------------------------------------- */

/* Append one event and make it durable. On TRAIL_OK it is on disk. If its id was already
 * stored with the same content, nothing is added and receipt_out->duplicate is true; with
 * other content: TRAIL_EXISTS. receipt_out may be NULL.
 *
 * TRAIL_INVALID (the message names field, rule and size), TRAIL_EXISTS, TRAIL_FULL,
 * TRAIL_BUSY, TRAIL_DENIED, TRAIL_CORRUPT, TRAIL_FORKED, TRAIL_IO (whether the
 * event was stored is unknown only if the message says so), TRAIL_NO_MEMORY. */
TRAIL_API trail_status trail_append(trail *t, const trail_event *event,
                                    trail_receipt *receipt_out, trail_error *err);

/* Append 'count' events (1 to TRAIL_BATCH_COUNT_MAX) in one durable transaction: all or none.
 * A message about one of them begins with "event K: ", K from 1. receipts_out: NULL or room
 * for 'count'. Statuses as for trail_append. */
TRAIL_API trail_status trail_append_batch(trail *t, const trail_event *events,
                                          size_t count, trail_receipt *receipts_out,
                                          trail_error *err);

/* Check an event as trail_append would, without storing anything. TRAIL_OK or TRAIL_INVALID. */
TRAIL_API trail_status trail_event_check(const trail_event *event, trail_error *err);

/* ---- submit: append without waiting ------------------------------------------------ */

/* An event, or a batch of them, on its way to disk. */
typedef struct trail_ticket trail_ticket;

/* Check and copy 'count' events (1 to TRAIL_BATCH_COUNT_MAX), queue them, and return at once; a
 * thread of this process, started by the first call, appends what has gathered: in the order of
 * the calls, all or none of one call. An append of the same thread may come before what it has
 * submitted. With ticket_out NULL nobody asks what became of them: only trail_flush then tells of
 * a failure. What waits when the process ends by exit() is still written, as in trail_close.
 *
 * TRAIL_INVALID (also: more than the whole queue may hold), TRAIL_QUEUE_FULL (see
 * trail_queue_policy), TRAIL_DENIED, TRAIL_FORKED, TRAIL_NO_MEMORY (also: the thread cannot be
 * started; the next call tries again), TRAIL_CLOSED (exit() has begun); what can only be known
 * later (TRAIL_EXISTS, TRAIL_FULL, TRAIL_IO ...) is the ticket's outcome. TRAIL_BUSY is none: while
 * other processes keep this one from writing, the events wait on. */
TRAIL_API trail_status trail_submit(trail *t, const trail_event *events, size_t count,
                                    trail_ticket **ticket_out, trail_error *err);

/* Whether the outcome is known, or (in a forked child) never will be. Never waits; may be called
 * from any thread, as trail_ticket_wait. */
TRAIL_API bool trail_ticket_done(const trail_ticket *ticket);

/* Wait for the outcome, at most timeout_ms (0: do not wait; < 0: without limit), and return it:
 * TRAIL_OK, and receipts_out (NULL, or room for as many as were submitted) tells where they are;
 * or why they were not stored: TRAIL_CLOSED (see trail_close), or as trail_append says.
 * TRAIL_BUSY: not known yet, ask again. TRAIL_FORKED: the parent's. */
TRAIL_API trail_status trail_ticket_wait(trail_ticket *ticket, int timeout_ms,
                                         trail_receipt *receipts_out, trail_error *err);

/* Forget the ticket, also one whose outcome is not known yet: the events go on, and if they fail,
 * and nobody has waited for that, trail_flush tells. NULL is fine. */
TRAIL_API void trail_ticket_close(trail_ticket *ticket);

/* Wait until everything submitted through this handle before the call has an outcome, at most
 * timeout_ms (< 0: without limit); then TRAIL_BUSY. Otherwise the first failure, since the last
 * flush, that no ticket told anybody: of events that were submitted without one, or whose ticket
 * was closed; or TRAIL_OK. */
TRAIL_API trail_status trail_flush(trail *t, int timeout_ms, trail_error *err);

/* An eventfd for an event loop: readable when outcomes of this handle have become known since it
 * was read last (8 bytes). It belongs to the handle. */
TRAIL_API trail_status trail_event_fd(trail *t, int *fd_out, trail_error *err);

typedef struct trail_queue_info {
    uint64_t waiting;     /* events that are submitted and not yet durable or refused */
    uint64_t waiting_len; /* bytes of memory that they take */
    uint64_t dropped; /* events refused since the trail was opened: the queue was full */
    uint64_t failed;  /* submitted events that could not be stored */
} trail_queue_info;

/* Of all handles of this process on the trail. */
TRAIL_API trail_status trail_get_queue_info(trail *t, trail_queue_info *info_out,
                                            trail_error *err);

/* ---- query ------------------------------------------------------------------------ */

typedef enum trail_field {
    TRAIL_FIELD_ID, /* the value is a UUID in text form */
    TRAIL_FIELD_EVENT_TYPE,
    TRAIL_FIELD_USER_ID,
    TRAIL_FIELD_ACTION,
    TRAIL_FIELD_RESOURCE_TYPE,
    TRAIL_FIELD_RESOURCE_ID,
    TRAIL_FIELD_RESULT,
    TRAIL_FIELD_REQUEST_ID,
    TRAIL_FIELD_IP_ADDRESS, /* compared as an address: "::1" equals "0:0:0:0:0:0:0:1" */
    TRAIL_FIELD_DETAILS,    /* what stands at a path in details, or in an array there */
    TRAIL_FIELD_COUNT
} trail_field;

/* The name of a field ("event_type"); NULL if there is no such field. */
TRAIL_API const char *trail_field_name(trail_field field);

/* One condition: the field equals any of the values; with 'negate', none of them (an absent
 * field is none of them). */
typedef struct trail_match {
    trail_field field;
    bool negate;
    const trail_text *values; /* of details: JSON texts, "\"eu\"", "500", "true" */
    size_t count;
    /* NULL, or one for each value: it stands for everything that begins with it. Not for id; of
     * details only for strings; addresses as they are written, "10.1." or "2001:db8:". */
    const bool *prefixes;
    trail_text path; /* of details: keys joined by dots, "region", "actor.name" */
} trail_match;

/* Seqs from first to last, both inclusive; 0: open at that end. */
typedef struct trail_range {
    uint64_t first;
    uint64_t last;
} trail_range;

typedef enum trail_order { TRAIL_NEWEST_FIRST = 0, TRAIL_OLDEST_FIRST } trail_order;

typedef struct trail_filter {
    const trail_match *matches; /* all of them must hold */
    size_t match_count;
    int64_t since_us;   /* timestamp >= since_us; TRAIL_TIME_NONE: no bound */
    int64_t until_us;   /* timestamp < until_us; TRAIL_TIME_NONE: no bound */
    uint64_t seq_first; /* 0: from the first */
    uint64_t seq_last;  /* inclusive; 0: to the last */
    const trail_range
        *ranges; /* besides, the seq lies in any of these; none: no matter */
    size_t range_count;
    const trail_range *not_ranges; /* and in none of these */
    size_t not_range_count;
    uint64_t limit; /* at most so many records; 0: no limit. Not for trail_count. */
    uint64_t after; /* go on behind this seq, in the order asked for; 0: at the start */
    trail_order order;
    /* Also hand out entries that cannot be decoded (for export). Without it they are
     * TRAIL_CORRUPT. */
    bool unreadable;
} trail_filter;

/* Everything, newest first, no limit. */
TRAIL_API void trail_filter_init(trail_filter *filter);

typedef struct trail_cursor trail_cursor;

/* Start a query. The filter is copied. The cursor sees every event that was committed before
 * this call and none after it, and holds no lock between calls.
 * TRAIL_INVALID names the condition that makes no sense. NULL filter: everything. */
TRAIL_API trail_status trail_query(trail *t, const trail_filter *filter,
                                   trail_cursor **cursor_out, trail_error *err);

/* The next record, or NULL at the end. It is valid until the next call on this cursor.
 * TRAIL_CORRUPT comes after all records before the bad one; a further call goes on behind it, and
 * after any other error at the same place. */
TRAIL_API trail_status trail_cursor_next(trail_cursor *cursor,
                                         const trail_record **record_out,
                                         trail_error *err);

/* The number of entries this cursor has looked at. */
TRAIL_API uint64_t trail_cursor_scanned(const trail_cursor *cursor);

#define TRAIL_PLAN_TEXT_MAX 1024

/* How an answer was found. */
typedef struct trail_explain {
    char plan[TRAIL_PLAN_TEXT_MAX]; /* one line: the terms looked up, what is read */
    uint64_t index_seq;             /* the index has come to this seq */
    uint64_t head_seq;
    uint64_t segments;         /* of the index, in the range of the question */
    uint64_t segments_skipped; /* of them: passed over because of the time */
    uint64_t lookups;          /* terms looked up in segments */
    uint64_t candidates;       /* entries that the index named */
    uint64_t records_read;     /* entries read, the unindexed ones included */
    uint64_t records_tail;     /* of them: not indexed yet */
    int64_t time_us;           /* spent inside the library */
} trail_explain;

/* What this cursor has done so far. */
TRAIL_API void trail_cursor_explain(const trail_cursor *cursor,
                                    trail_explain *explain_out);

TRAIL_API void trail_cursor_close(trail_cursor *cursor);

/* How many events the filter finds; limit and after are ignored. Exact. */
TRAIL_API trail_status trail_count(trail *t, const trail_filter *filter,
                                   uint64_t *count_out, trail_error *err);

/* The same, and how it was found. */
TRAIL_API trail_status trail_count_explain(trail *t, const trail_filter *filter,
                                           uint64_t *count_out,
                                           trail_explain *explain_out, trail_error *err);

typedef struct trail_top_row {
    trail_text value; /* of details: a JSON text */
    uint64_t count;
} trail_top_row;

typedef struct trail_top {
    uint64_t events;   /* that the filter finds */
    uint64_t absent;   /* of them: without the field */
    uint64_t distinct; /* values that occur */
    size_t count;      /* rows */
    trail_top_row *rows;
} trail_top;

/* The 'row_max' values of a field that occur most in what the filter finds: the largest count
 * first, equal ones in the order of their bytes (strings, numbers, booleans). Not for id. 'path':
 * of details, one that the trail was created to index. Freed with trail_top_free. */
TRAIL_API trail_status trail_top_values(trail *t, trail_field field, trail_text path,
                                        const trail_filter *filter, size_t row_max,
                                        trail_top **top_out, trail_error *err);
TRAIL_API void trail_top_free(trail_top *top);

typedef struct trail_bucket {
    int64_t begin_us; /* a multiple of the interval since 1970 UTC */
    uint64_t count;
} trail_bucket;

typedef struct trail_histogram {
    uint64_t events;
    size_t count;
    trail_bucket *buckets; /* those with events, oldest first */
} trail_histogram;

/* How many events the filter finds in each interval of their timestamp; interval_us at least
 * 1,000, and not so short that there would be more than TRAIL_BUCKETS_MAX. Freed with
 * trail_histogram_free. */
#define TRAIL_BUCKETS_MAX 1000000
TRAIL_API trail_status trail_histogram_make(trail *t, int64_t interval_us,
                                            const trail_filter *filter,
                                            trail_histogram **histogram_out,
                                            trail_error *err);
TRAIL_API void trail_histogram_free(trail_histogram *histogram);

/* One record by seq or by id; the caller frees it with trail_record_free.
 * TRAIL_NOT_FOUND if there is none. */
TRAIL_API trail_status trail_get(trail *t, uint64_t seq, trail_record **record_out,
                                 trail_error *err);
TRAIL_API trail_status trail_get_by_id(trail *t, const uint8_t id[TRAIL_ID_LEN],
                                       trail_record **record_out, trail_error *err);
TRAIL_API void trail_record_free(trail_record *record);

/* ---- index ------------------------------------------------------------------------ */

#define TRAIL_INDEX_LEVELS_MAX 8

typedef struct trail_index_info {
    bool present;       /* an index of this trail is there and can be used */
    uint64_t index_seq; /* it has come to this seq */
    uint64_t head_seq;
    uint64_t segments;
    unsigned levels; /* sizes of segments there are, the smallest first: */
    uint64_t level_segments[TRAIL_INDEX_LEVELS_MAX]; /* segments of each size */
    uint64_t level_span[TRAIL_INDEX_LEVELS_MAX];     /* seqs that one of them covers */
    uint64_t file_len;                               /* bytes of index.mdb */
    uint64_t used_len;
    size_t path_count; /* the paths in details that it finds; valid until trail_close */
    const char *const *paths;
    char why[TRAIL_ERROR_TEXT_MAX]; /* not present: why not; else empty */
} trail_index_info;

TRAIL_API trail_status trail_get_index_info(trail *t, trail_index_info *info_out,
                                            trail_error *err);

typedef struct trail_maintain_options {
    bool anew; /* throw the index away first, also a damaged one */
    /* Called now and then with the seq that the index has come to, and the head. Return false
     * to stop; what was done stays done. May be NULL. */
    bool (*progress)(void *context, uint64_t done, uint64_t total);
    void *context;
} trail_maintain_options;

TRAIL_API void trail_maintain_options_init(trail_maintain_options *options);

/* Bring the index up to the head, and merge what is to be merged. 'options' may be NULL. Nothing
 * of it is needed for right answers. TRAIL_BUSY: another process or thread is at it and did not
 * let go within busy_ms. TRAIL_DENIED for a handle opened read-only, TRAIL_FULL, TRAIL_IO,
 * TRAIL_CORRUPT (an entry of the log cannot be read), TRAIL_NO_MEMORY. */
TRAIL_API trail_status trail_maintain(trail *t, const trail_maintain_options *options,
                                      trail_error *err);

/* ---- verify ----------------------------------------------------------------------- */

typedef enum trail_fault {
    TRAIL_FAULT_NONE = 0,
    TRAIL_FAULT_ALTERED_PART, /* who or details do not give the hash that the entry holds */
    TRAIL_FAULT_ALTERED_ENTRY, /* the entry does not give its event_hash, or is no entry */
    TRAIL_FAULT_BROKEN_LINK, /* previous_hash is not the event_hash of the entry before */
    TRAIL_FAULT_MISSING,     /* no entry where one must be */
    TRAIL_FAULT_REORDERED,   /* an entry stands at another seq than its own */
    TRAIL_FAULT_UNREADABLE,  /* the file itself is damaged: pages cannot be read */
    TRAIL_FAULT_HEAD, /* what the trail says of itself disagrees with its entries */
    TRAIL_FAULT_IDS,  /* the tree of callers' ids disagrees with the entries */
    TRAIL_FAULT_INDEX /* the index disagrees with the log; trail_maintain anew mends it */
} trail_fault;

/* "none", "altered part", "altered entry", "broken link", "missing", "reordered",
 * "unreadable", "head", "ids", "index". Never NULL. */
TRAIL_API const char *trail_fault_name(trail_fault fault);

typedef struct trail_verify_options {
    /* A head noted down earlier: the trail must still hold exactly this hash at this seq.
     * Finds a cut tail and a rewritten chain. expect_seq 0: no expectation. */
    uint64_t expect_seq;
    uint8_t expect_hash[TRAIL_HASH_LEN];
    /* Called now and then with entries done and total. Return false to stop. May be NULL. */
    bool (*progress)(void *context, uint64_t done, uint64_t total);
    void *context;
    unsigned threads; /* 0: one for each processor, at most 16 */
} trail_verify_options;

TRAIL_API void trail_verify_options_init(trail_verify_options *options);

typedef struct trail_report {
    trail_fault fault;      /* TRAIL_FAULT_NONE: everything that was checked is right */
    uint64_t first_bad_seq; /* 0: no single entry is to blame */
    uint64_t last_good_seq; /* everything up to here was checked and is right */
    uint64_t entries;       /* how many entries were checked */
    trail_head head;        /* of the snapshot that was checked */
    bool head_expected;     /* an expected head was given, and compared */
    uint64_t index_seq;     /* the index was compared up to this seq; 0: there is none */
    bool complete;          /* false: progress() stopped it */
    char text[TRAIL_ERROR_TEXT_MAX]; /* one line: what is wrong, or what is right */
} trail_report;

/* Recompute everything from the stored bytes, on a snapshot, while others may write. TRAIL_OK
 * means that the check took place; the verdict is report_out->fault. Runs in this process: a
 * file whose pages are damaged can raise SIGBUS or SIGSEGV, or make LMDB call abort(). */
TRAIL_API trail_status trail_verify(trail *t, const trail_verify_options *options,
                                    trail_report *report_out, trail_error *err);

/* The same in a child process of its own, so that no damage can hurt the caller; the trail need
 * not be open. progress() is called in this process. No verdict, but an error, is TRAIL_IO (that
 * process was killed) and TRAIL_CORRUPT (a later version of the format). */
TRAIL_API trail_status trail_verify_path(const char *path,
                                         const trail_verify_options *options,
                                         trail_report *report_out, trail_error *err);

/* ---- helpers ---------------------------------------------------------------------- */

#define TRAIL_ID_TEXT_LEN 36

/* UUID to "0190…" (36 characters and NUL), and back: any case, with hyphens.
 * TRAIL_INVALID if the text is no UUID. */
TRAIL_API void trail_id_format(const uint8_t id[TRAIL_ID_LEN], char text_out[37]);
TRAIL_API trail_status trail_id_parse(trail_text text, uint8_t id_out[TRAIL_ID_LEN],
                                      trail_error *err);

/* UUID v5 of a name within a namespace (RFC 9562 §5.5): the same name gives the same id. */
TRAIL_API trail_status trail_id_from_name(const uint8_t space[TRAIL_ID_LEN],
                                          trail_text name, uint8_t id_out[TRAIL_ID_LEN],
                                          trail_error *err);

/* Whether a text is an IPv4 or IPv6 address, as ip_address must be. */
TRAIL_API bool trail_is_address(trail_text text);

/* Walk through a JSON text of at most 16 MiB and 128 levels, as strictly as details are checked.
 * 'visit' is called once for each scalar and each bracket, in the order of the text; it must
 * return (no longjmp); false stops the walk, which is TRAIL_OK. TRAIL_INVALID, TRAIL_NO_MEMORY. */
typedef enum trail_json_kind {
    TRAIL_JSON_NULL,
    TRAIL_JSON_FALSE,
    TRAIL_JSON_TRUE,
    TRAIL_JSON_INTEGER,
    TRAIL_JSON_REAL,
    TRAIL_JSON_STRING,
    TRAIL_JSON_KEY, /* the name of the next value in an object */
    TRAIL_JSON_ARRAY_BEGIN,
    TRAIL_JSON_ARRAY_END,
    TRAIL_JSON_OBJECT_BEGIN,
    TRAIL_JSON_OBJECT_END
} trail_json_kind;

typedef struct trail_json_value {
    trail_json_kind kind;
    int64_t integer;
    double real;
    trail_text text; /* of a string or key, unescaped UTF-8; valid during the call */
} trail_json_value;

typedef bool trail_json_visit(void *context, const trail_json_value *value);

TRAIL_API trail_status trail_json_walk(trail_text json, trail_json_visit *visit,
                                       void *context, trail_error *err);

#ifdef __cplusplus
}
#endif

#endif

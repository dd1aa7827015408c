/* bench_sqlite.c - the same events into SQLite, as a careful C program would do it.
 * Edge: of the library only trail.h; includes <sqlite3.h>; never installed.
 * SPDX-License-Identifier: MIT
 *
 * One prepared INSERT, one transaction per batch, WAL, synchronous=FULL: durable when
 * COMMIT returns. The table has the thirteen fields of an event, and no index or the
 * seven of the system that trail replaces: SQLite keeps no chain, no hashes and no order
 * of ids here, which is in its favour.
 */
#include "bench.h"

#include <sqlite3.h>
#include <stdlib.h>

/* The last one stands for a GIN index over all of details, which SQLite does not have, and
 * costs it less. */
static const char indexes[] =
    "CREATE INDEX by_timestamp ON events (timestamp DESC);"
    "CREATE INDEX by_event_type ON events (event_type);"
    "CREATE INDEX by_user ON events (user_id);"
    "CREATE INDEX by_resource ON events (resource_type, resource_id);"
    "CREATE INDEX by_result ON events (result);"
    "CREATE INDEX by_request ON events (request_id);"
    "CREATE INDEX by_address ON events (ip_address);";

/* Cache in KiB: 512 MiB. */
#define SETTINGS                                                                         \
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-524288"

const char *bench_sqlite_settings(void)
{
    return SETTINGS;
}

struct bench_sqlite {
    sqlite3 *db;
    sqlite3_stmt *begin;
    sqlite3_stmt *insert;
    sqlite3_stmt *commit;
    sqlite3_stmt *count; /* these two are made when they are needed */
    sqlite3_stmt *page;
};

static void run(bench_sqlite *to, const char *sql)
{
    if (sqlite3_exec(to->db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        bench_fail("sqlite: %s: %s", sql, sqlite3_errmsg(to->db));
    }
}

static sqlite3_stmt *prepare(bench_sqlite *to, const char *sql)
{
    sqlite3_stmt *statement = NULL;

    if (sqlite3_prepare_v3(to->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement,
                           NULL) != SQLITE_OK) {
        bench_fail("sqlite: %s: %s", sql, sqlite3_errmsg(to->db));
    }
    return statement;
}

bench_sqlite *bench_sqlite_new(const char *path, bool indexed)
{
    bench_sqlite *to = bench_alloc(1, sizeof *to);

    if (sqlite3_open(path, &to->db) != SQLITE_OK) {
        bench_fail("sqlite: cannot open %s", path);
    }
    run(to, SETTINGS);
    run(to, "CREATE TABLE events (seq INTEGER PRIMARY KEY, id BLOB NOT NULL,"
            " timestamp INTEGER NOT NULL, event_type TEXT NOT NULL, user_id TEXT,"
            " action TEXT NOT NULL, resource_type TEXT NOT NULL,"
            " resource_id TEXT NOT NULL, result TEXT NOT NULL, result_error TEXT,"
            " details TEXT, ip_address TEXT, user_agent TEXT, request_id TEXT)");
    if (indexed) {
        run(to, indexes);
    }
    to->begin = prepare(to, "BEGIN IMMEDIATE");
    to->insert =
        prepare(to, "INSERT INTO events (id, timestamp, event_type, user_id, action,"
                    " resource_type, resource_id, result, result_error, details,"
                    " ip_address, user_agent, request_id)"
                    " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)");
    to->commit = prepare(to, "COMMIT");
    return to;
}

void bench_sqlite_close(bench_sqlite *to)
{
    (void)sqlite3_finalize(to->begin);
    (void)sqlite3_finalize(to->insert);
    (void)sqlite3_finalize(to->commit);
    (void)sqlite3_finalize(to->count);
    (void)sqlite3_finalize(to->page);
    if (sqlite3_close(to->db) != SQLITE_OK) {
        bench_fail("sqlite: cannot close: %s", sqlite3_errmsg(to->db));
    }
    free(to);
}

static void step(bench_sqlite *to, sqlite3_stmt *statement)
{
    if (sqlite3_step(statement) != SQLITE_DONE || sqlite3_reset(statement) != SQLITE_OK) {
        bench_fail("sqlite: %s", sqlite3_errmsg(to->db));
    }
}

static void insert(bench_sqlite *to, const trail_event *event)
{
    const trail_text texts[] = {
        event->event_type,  event->user_id,    event->action,       event->resource_type,
        event->resource_id, event->result,     event->result_error, event->details,
        event->ip_address,  event->user_agent, event->request_id
    };
    const int count = (int)(sizeof texts / sizeof texts[0]);
    int failed = sqlite3_bind_blob(to->insert, 1, event->id, TRAIL_ID_LEN, SQLITE_STATIC);

    failed |= sqlite3_bind_int64(to->insert, 2, event->timestamp_us);
    for (int i = 0; i < count; i++) { /* a NULL pointer binds NULL */
        failed |= sqlite3_bind_text(to->insert, 3 + i, texts[i].data, (int)texts[i].len,
                                    SQLITE_STATIC);
    }
    if (failed != SQLITE_OK) {
        bench_fail("sqlite: cannot bind: %s", sqlite3_errmsg(to->db));
    }
    step(to, to->insert);
}

void bench_sqlite_append(bench_sqlite *to, bench_pool *pool, size_t first, size_t count,
                         bench_times *times)
{
    for (size_t n = first; n < first + count; n++) {
        const trail_event *batch = bench_pool_batch_with_ids(pool, n);
        double begin = bench_now_s();

        step(to, to->begin);
        for (size_t i = 0; i < BENCH_BATCH; i++) {
            insert(to, &batch[i]);
        }
        step(to, to->commit);
        bench_times_add(times, bench_now_s() - begin);
    }
}

/* ---- questions -------------------------------------------------------------------- */

/* Statements made before would keep to the plan they have. */
static void forget_plans(bench_sqlite *to)
{
    (void)sqlite3_finalize(to->count);
    (void)sqlite3_finalize(to->page);
    to->count = NULL;
    to->page = NULL;
}

void bench_sqlite_analyze(bench_sqlite *to)
{
    run(to, "ANALYZE");
    forget_plans(to);
}

void bench_sqlite_add_composite(bench_sqlite *to)
{
    run(to, "CREATE INDEX by_user_and_type ON events (user_id, event_type)");
    bench_sqlite_analyze(to);
}

static void bind(bench_sqlite *to, sqlite3_stmt *statement, int at, trail_text text)
{
    if (sqlite3_bind_text(statement, at, text.data, (int)text.len, SQLITE_STATIC) !=
        SQLITE_OK) {
        bench_fail("sqlite: cannot bind: %s", sqlite3_errmsg(to->db));
    }
}

double bench_sqlite_count_and_s(bench_sqlite *to, trail_text user, trail_text type,
                                uint64_t *count_out)
{
    double begin;

    if (to->count == NULL) {
        to->count = prepare(to, "SELECT count(*) FROM events WHERE user_id = ?"
                                " AND event_type = ?");
    }
    begin = bench_now_s();
    bind(to, to->count, 1, user);
    bind(to, to->count, 2, type);
    if (sqlite3_step(to->count) != SQLITE_ROW) {
        bench_fail("sqlite: %s", sqlite3_errmsg(to->db));
    }
    *count_out = (uint64_t)sqlite3_column_int64(to->count, 0);
    step(to, to->count);
    return bench_now_s() - begin;
}

/* Newest first is the order of the rows, which saves SQLite sorting. Every column is
 * fetched, as trail hands out whole records. */
double bench_sqlite_page_s(bench_sqlite *to, trail_text user, size_t *count_out)
{
    double begin;
    int code;

    if (to->page == NULL) {
        to->page = prepare(to, "SELECT * FROM events WHERE user_id = ?"
                               " ORDER BY seq DESC LIMIT 100");
    }
    begin = bench_now_s();
    bind(to, to->page, 1, user);
    *count_out = 0;
    while ((code = sqlite3_step(to->page)) == SQLITE_ROW) {
        for (int i = 3; i < sqlite3_column_count(to->page); i++) {
            (void)sqlite3_column_text(to->page, i);
        }
        (*count_out)++;
    }
    if (code != SQLITE_DONE || sqlite3_reset(to->page) != SQLITE_OK) {
        bench_fail("sqlite: %s", sqlite3_errmsg(to->db));
    }
    return bench_now_s() - begin;
}

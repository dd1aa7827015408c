/* bench_sqlite.c - the same events into SQLite, as a careful C program would do it.
 * Edge: of the library only trail.h; includes <sqlite3.h>; never installed.
 * SPDX-License-Identifier: MIT
 *
 * One prepared INSERT, one transaction per batch, WAL, synchronous=FULL: durable when
 * COMMIT returns. The table has the thirteen fields of an event and no index: SQLite
 * keeps no chain, no hashes and no order of ids here, which is in its favour.
 */
#include "bench.h"

#include <sqlite3.h>
#include <stdlib.h>

struct bench_sqlite {
    sqlite3 *db;
    sqlite3_stmt *begin;
    sqlite3_stmt *insert;
    sqlite3_stmt *commit;
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

bench_sqlite *bench_sqlite_new(const char *path)
{
    bench_sqlite *to = bench_alloc(1, sizeof *to);

    if (sqlite3_open(path, &to->db) != SQLITE_OK) {
        bench_fail("sqlite: cannot open %s", path);
    }
    run(to, "PRAGMA journal_mode=WAL");
    run(to, "PRAGMA synchronous=FULL");
    run(to, "PRAGMA cache_size=-524288"); /* KiB: 512 MiB */
    run(to, "CREATE TABLE events (seq INTEGER PRIMARY KEY, id BLOB NOT NULL,"
            " timestamp INTEGER NOT NULL, event_type TEXT NOT NULL, user_id TEXT,"
            " action TEXT NOT NULL, resource_type TEXT NOT NULL,"
            " resource_id TEXT NOT NULL, result TEXT NOT NULL, result_error TEXT,"
            " details TEXT, ip_address TEXT, user_agent TEXT, request_id TEXT)");
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

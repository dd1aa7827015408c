/* bench_postgres.c - the same events into Postgres, as a careful C program would do it.
 * Edge: of the library only trail.h; includes <libpq-fe.h>; never installed.
 * SPDX-License-Identifier: MIT
 *
 * The table and the seven indexes of the system that trail replaces. Its two hashes are
 * made-up text, made before the clock starts, and why an event failed is not stored at
 * all: less work than trail's.
 */
#include "bench.h"

#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { COLUMNS = 14, ROW_LEN_MAX = 2048, CONNECT_TRIES = 200, CONNECT_PAUSE_MS = 50 };

struct bench_postgres {
    PGconn *connection;
    char *rows; /* one batch as COPY wants it */
};

static char version[128];

static const char schema[] =
    "CREATE TABLE audit_events (id uuid PRIMARY KEY, timestamp timestamptz NOT NULL,"
    " event_type text NOT NULL, user_id text, action text NOT NULL,"
    " resource_type text NOT NULL, resource_id text NOT NULL, result text NOT NULL,"
    " details jsonb, ip_address inet, user_agent text, request_id text,"
    " previous_hash text, event_hash text NOT NULL,"
    " created_at timestamptz NOT NULL DEFAULT now());"
    "CREATE INDEX ON audit_events (timestamp DESC);"
    "CREATE INDEX ON audit_events (event_type);"
    "CREATE INDEX ON audit_events (user_id);"
    "CREATE INDEX ON audit_events (resource_type, resource_id);"
    "CREATE INDEX ON audit_events (result);"
    "CREATE INDEX ON audit_events (request_id);"
    "CREATE INDEX ON audit_events USING gin (details)";

#define COLUMN_NAMES                                                                     \
    "id, timestamp, event_type, user_id, action, resource_type, resource_id, result,"    \
    " details, ip_address, user_agent, request_id, previous_hash, event_hash"

/* ---- connection ------------------------------------------------------------------- */

static PGresult *expect(bench_postgres *to, PGresult *result, ExecStatusType wanted)
{
    if (PQresultStatus(result) != wanted) {
        bench_fail("postgres: %s", PQerrorMessage(to->connection));
    }
    return result;
}

static void run(bench_postgres *to, const char *sql)
{
    PQclear(expect(to, PQexec(to->connection, sql), PGRES_COMMAND_OK));
}

static void prepare(bench_postgres *to, const char *name, const char *sql)
{
    PQclear(expect(to, PQprepare(to->connection, name, sql, 0, NULL), PGRES_COMMAND_OK));
}

/* A server that has just been started first says that it is starting. */
static PGconn *connect_to(const char *socket)
{
    const char *const keys[] = { "host", "port", "dbname", "user", NULL };
    const char *const values[] = { socket, "5432", "postgres", "bench", NULL };
    PGconn *connection = PQconnectdbParams(keys, values, 0);

    for (int i = 0; i < CONNECT_TRIES && PQstatus(connection) != CONNECTION_OK; i++) {
        PQfinish(connection);
        bench_sleep_ms(CONNECT_PAUSE_MS);
        connection = PQconnectdbParams(keys, values, 0);
    }
    if (PQstatus(connection) != CONNECTION_OK) {
        bench_fail("postgres: %s", PQerrorMessage(connection));
    }
    return connection;
}

bench_postgres *bench_postgres_new(const char *socket)
{
    bench_postgres *to = bench_alloc(1, sizeof *to);

    to->rows = bench_alloc(BENCH_BATCH, ROW_LEN_MAX);
    to->connection = connect_to(socket);
    (void)snprintf(version, sizeof version, "%s",
                   PQparameterStatus(to->connection, "server_version"));
    run(to, schema);
    prepare(to, "insert",
            "INSERT INTO audit_events (" COLUMN_NAMES
            ") VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14)");
    prepare(to, "page",
            "SELECT * FROM audit_events WHERE user_id = $1"
            " ORDER BY timestamp DESC LIMIT 100");
    return to;
}

const char *bench_postgres_version(void)
{
    return version;
}

void bench_postgres_close(bench_postgres *to)
{
    PQfinish(to->connection);
    free(to->rows);
    free(to);
}

/* ---- rows ------------------------------------------------------------------------- */

/* The fields as text, one behind the other in 'row', each ending in NUL. */
static void make_row(const trail_event *e, char *row, const char *values[COLUMNS])
{
    static const char hash[] =
        "b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c";
    char *at = row + TRAIL_ID_TEXT_LEN + 1;
    time_t seconds = (time_t)(e->timestamp_us / 1000000);
    struct tm utc;

    trail_id_format(e->id, row);
    (void)gmtime_r(&seconds, &utc);
    at += strftime(at, 32, "%Y-%m-%d %H:%M:%S", &utc);
    (void)snprintf(at, 16, ".%06d+00", (int)(e->timestamp_us % 1000000));
    values[0] = row;
    values[1] = row + TRAIL_ID_TEXT_LEN + 1;
    values[2] = e->event_type.data;
    values[3] = e->user_id.data;
    values[4] = e->action.data;
    values[5] = e->resource_type.data;
    values[6] = e->resource_id.data;
    values[7] = e->result.data;
    values[8] = e->details.data;
    values[9] = e->ip_address.data;
    values[10] = e->user_agent.data;
    values[11] = e->request_id.data;
    values[12] = hash;
    values[13] = hash;
}

/* None of the made-up texts holds anything that COPY would want escaped. */
static size_t make_rows(bench_postgres *to, const trail_event *batch)
{
    const char *values[COLUMNS];
    char row[128];
    char *at = to->rows;

    for (size_t i = 0; i < BENCH_BATCH; i++) {
        make_row(&batch[i], row, values);
        for (int c = 0; c < COLUMNS; c++) {
            size_t len = strlen(values[c]);

            memcpy(at, values[c], len);
            at[len] = c + 1 < COLUMNS ? '\t' : '\n';
            at += len + 1;
        }
    }
    return (size_t)(at - to->rows);
}

/* Outside a transaction block COPY is a transaction: durable when its result is here. */
static void copy(bench_postgres *to, size_t len)
{
    PQclear(expect(
        to, PQexec(to->connection, "COPY audit_events (" COLUMN_NAMES ") FROM STDIN"),
        PGRES_COPY_IN));
    if (PQputCopyData(to->connection, to->rows, (int)len) != 1 ||
        PQputCopyEnd(to->connection, NULL) != 1) {
        bench_fail("postgres: %s", PQerrorMessage(to->connection));
    }
    PQclear(expect(to, PQgetResult(to->connection), PGRES_COMMAND_OK));
    while (PQgetResult(to->connection) != NULL) {
    }
}

void bench_postgres_copy(bench_postgres *to, bench_pool *pool, size_t first, size_t count,
                         bench_times *times)
{
    for (size_t n = first; n < first + count; n++) {
        size_t len = make_rows(to, bench_pool_batch_with_ids(pool, n));
        double begin = bench_now_s();

        copy(to, len);
        bench_times_add(times, bench_now_s() - begin);
    }
}

void bench_postgres_single(bench_postgres *to, bench_pool *pool, size_t first,
                           size_t count, bench_times *times)
{
    const char *values[COLUMNS];
    char row[128];

    for (size_t k = first; k < first + count; k++) {
        const trail_event *batch = bench_pool_batch_with_ids(pool, k / BENCH_BATCH);
        double begin;

        make_row(&batch[k % BENCH_BATCH], row, values);
        begin = bench_now_s();
        PQclear(expect(
            to, PQexecPrepared(to->connection, "insert", COLUMNS, values, NULL, NULL, 0),
            PGRES_COMMAND_OK));
        bench_times_add(times, bench_now_s() - begin);
    }
}

/* ---- questions -------------------------------------------------------------------- */

void bench_postgres_forget(bench_postgres *to, size_t first)
{
    char sql[160];

    (void)snprintf(sql, sizeof sql,
                   "DELETE FROM audit_events WHERE timestamp >= to_timestamp(%.6f)",
                   (double)bench_event_time_us(first) / 1e6);
    run(to, sql);
}

void bench_postgres_analyze(bench_postgres *to)
{
    run(to, "VACUUM (ANALYZE) audit_events");
    run(to, "CHECKPOINT");
}

/* In binary: the server need not make text of times and ids. */
double bench_postgres_page_s(bench_postgres *to, trail_text user, size_t *count_out)
{
    const char *values[] = { user.data };
    double begin = bench_now_s();
    PGresult *result =
        expect(to, PQexecPrepared(to->connection, "page", 1, values, NULL, NULL, 1),
               PGRES_TUPLES_OK);

    *count_out = (size_t)PQntuples(result);
    PQclear(result);
    return bench_now_s() - begin;
}

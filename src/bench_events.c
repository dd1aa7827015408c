/* bench_events.c - made-up events for the benchmark, the same ones in every run.
 * Edge: of the library only trail.h; never installed.
 * SPDX-License-Identifier: MIT
 */
#include "bench.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Few batches: what an application hands over it has just made, so it is in the cache. */
enum { POOL_BATCHES = 8, TEXTS_LEN_MAX = 1024 /* of one event */ };

static const int64_t start_us = INT64_C(1795000000000000);

/* splitmix64: small, good enough, and nobody's secret depends on it. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static unsigned pick(uint64_t *state, unsigned count)
{
    return (unsigned)(next_random(state) % count);
}

/* Print one text behind the others. */
static trail_text print(char **at, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static trail_text print(char **at, const char *format, ...)
{
    trail_text text = { *at, 0 };
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(*at, TEXTS_LEN_MAX / 4, format, args);
    va_end(args);
    if (len < 0 || len >= TEXTS_LEN_MAX / 4) {
        bench_fail("an event's text is too long");
    }
    text.len = (size_t)len;
    *at += len + 1;
    return text;
}

static trail_text make_details(uint64_t *random, char **at)
{
    uint64_t session = next_random(random);

    return print(at,
                 "{\"method\":\"%s\",\"attempt\":%u,\"duration_ms\":%u.%u,\"session\":"
                 "\"%016" PRIx64 "\",\"mfa\":%s,\"port\":%u}",
                 pick(random, 3) == 0 ? "password" : "publickey", 1 + pick(random, 5),
                 pick(random, 900), pick(random, 10), session,
                 pick(random, 2) == 0 ? "true" : "false", 1024 + pick(random, 60000));
}

static void make_subject(trail_event *event, uint64_t *random, char **at)
{
    static const char *const kinds[][3] = {
        { "auth_attempt", "login", "user" },
        { "authorization", "workflow:run", "workflow" },
        { "workflow_execution", "execute", "workflow" },
        { "step_execution", "execute", "step" },
        { "secret_access", "read", "secret" },
        { "config_change", "update", "configuration" },
    };
    const char *const *kind = kinds[pick(random, sizeof kinds / sizeof kinds[0])];

    event->event_type = trail_str(kind[0]);
    event->action = trail_str(kind[1]);
    event->resource_type = trail_str(kind[2]);
    event->resource_id = print(at, "%s-%u", kind[2], pick(random, 50000));
}

static void make_outcome(trail_event *event, uint64_t *random, char **at)
{
    unsigned luck = pick(random, 100);

    event->result = trail_str(luck < 88   ? "success"
                              : luck < 98 ? "failure"
                                          : "partial_success");
    if (luck >= 88) {
        event->result_error = print(at, "denied by rule %u: not a member of group ops-%u",
                                    pick(random, 300), pick(random, 20));
    }
}

/* Its texts go to *at and move it on. */
static void make_event(trail_event *event, size_t n, uint64_t *random, char **at)
{
    static const char *const names[] = { "alice", "bogdan", "chiara", "dmitri",
                                         "emeka", "fatima", "goran",  "hedwig" };
    uint64_t request = next_random(random);

    trail_event_init(event);
    event->timestamp_us = start_us + (int64_t)n * 731;
    make_subject(event, random, at);
    make_outcome(event, random, at);
    event->user_id =
        print(at, "%s%u@example.com", names[pick(random, 8)], pick(random, 2000));
    event->ip_address = print(at, "198.51.%u.%u", pick(random, 256), pick(random, 256));
    event->user_agent =
        print(at, "Mozilla/5.0 (X11; Linux x86_64; rv:%u.0) Gecko/20100101",
              100 + pick(random, 40));
    event->request_id = print(at, "req-%016" PRIx64, request);
    event->details = make_details(random, at);
}

void bench_pool_init(bench_pool *pool)
{
    char *at;

    pool->count = (size_t)POOL_BATCHES * BENCH_BATCH;
    pool->random = 20261124;
    pool->events = bench_alloc(pool->count, sizeof *pool->events);
    pool->texts = bench_alloc(pool->count, TEXTS_LEN_MAX);
    pool->ids = bench_alloc(BENCH_BATCH, sizeof *pool->ids);
    at = pool->texts;
    for (size_t i = 0; i < pool->count; i++) {
        make_event(&pool->events[i], i, &pool->random, &at);
    }
}

void bench_pool_release(bench_pool *pool)
{
    free(pool->events);
    free(pool->texts);
    free(pool->ids);
}

double bench_pool_content_len(const bench_pool *pool)
{
    double len = 0;

    for (size_t i = 0; i < pool->count; i++) {
        const trail_event *e = &pool->events[i];

        len += (double)(e->event_type.len + e->user_id.len + e->action.len +
                        e->resource_type.len + e->resource_id.len + e->result.len +
                        e->result_error.len + e->details.len + e->ip_address.len +
                        e->user_agent.len + e->request_id.len);
    }
    return len / (double)pool->count;
}

trail_event *bench_pool_batch(bench_pool *pool, size_t n)
{
    trail_event *batch = &pool->events[n % POOL_BATCHES * BENCH_BATCH];

    for (size_t i = 0; i < BENCH_BATCH; i++) {
        batch[i].id = NULL;
    }
    return batch;
}

trail_event *bench_pool_batch_with_ids(bench_pool *pool, size_t n)
{
    trail_event *batch = bench_pool_batch(pool, n);

    for (size_t i = 0; i < BENCH_BATCH; i++) {
        uint64_t halves[2] = { next_random(&pool->random), next_random(&pool->random) };

        memcpy(pool->ids[i], halves, TRAIL_ID_LEN);
        pool->ids[i][6] = (uint8_t)((pool->ids[i][6] & 0x0f) | 0x40); /* version 4 */
        pool->ids[i][8] = (uint8_t)((pool->ids[i][8] & 0x3f) | 0x80);
        batch[i].id = pool->ids[i];
    }
    return batch;
}

/* None of the made-up texts holds anything that JSON would have to escape. */
static void write_line(FILE *file, const trail_event *e, int64_t timestamp_us)
{
    (void)fprintf(file,
                  "{\"timestamp\":%" PRId64
                  ",\"event_type\":\"%s\",\"user_id\":\"%s\",\"action\":\"%s\","
                  "\"resource_type\":\"%s\",\"resource_id\":\"%s\",\"result\":\"%s\",",
                  timestamp_us, e->event_type.data, e->user_id.data, e->action.data,
                  e->resource_type.data, e->resource_id.data, e->result.data);
    if (e->result_error.data != NULL) {
        (void)fprintf(file, "\"result_error\":\"%s\",", e->result_error.data);
    }
    (void)fprintf(file,
                  "\"ip_address\":\"%s\",\"user_agent\":\"%s\",\"request_id\":\"%s\","
                  "\"details\":%s}\n",
                  e->ip_address.data, e->user_agent.data, e->request_id.data,
                  e->details.data);
}

void bench_pool_write_jsonl(bench_pool *pool, const char *path, size_t lines)
{
    FILE *file = fopen(path, "w");

    if (file == NULL) {
        bench_fail("cannot write %s: %s", path, strerror(errno));
    }
    for (size_t i = 0; i < lines; i++) {
        write_line(file, &pool->events[i % pool->count], start_us + (int64_t)i * 731);
    }
    if (fclose(file) != 0) {
        bench_fail("cannot write %s: %s", path, strerror(errno));
    }
}

/* bench_events.c - made-up events for the benchmark, the same ones in every run.
 * Edge: of the library only trail.h; never installed.
 * SPDX-License-Identifier: MIT
 *
 * An event is made in about a tenth of the time that appending it takes: texts of fixed
 * shape stand ready, and only their digits are written anew.
 */
#include "bench.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    AGENTS = 40,
    ADDRESSES = 40000,
    RESOURCES = 8333, /* of each of six kinds: 50,000 in all */
    SERVICE_PART = 10 /* one event in so many is of user 0 */
};

static const int64_t start_us = INT64_C(1795000000000000);

/* Event type, action, resource type. */
static const char *const kinds[BENCH_TYPES][3] = {
    { "auth_attempt", "login", "user" },
    { "authorization", "workflow:run", "workflow" },
    { "workflow_execution", "execute", "workflow" },
    { "step_execution", "execute", "step" },
    { "secret_access", "read", "secret" },
    { "config_change", "update", "configuration" },
};

static const char details_shape[] =
    "{\"method\":\"publickey\",\"attempt\":0,\"duration_ms\":000.0,\"session\":"
    "\"0000000000000000\",\"mfa\":false,\"port\":00000}";

enum { ATTEMPT_AT = 32, DURATION_AT = 48, SESSION_AT = 65, PORT_AT = 102 };

typedef struct texts {
    char user[BENCH_USER_LEN_MAX];
    char resource[32];
    char error[64];
    char address[16];
    char request[24];
    char details[sizeof details_shape];
} texts;

struct bench_pool {
    trail_event events[BENCH_BATCH];
    texts texts[BENCH_BATCH];
    uint8_t ids[BENCH_BATCH][TRAIL_ID_LEN];
    char agents[AGENTS][64];
    size_t n;      /* the batch that is in 'events'; SIZE_MAX: none */
    bool with_ids; /* it has ids */
};

/* splitmix64 at place 'n': small, good enough, and nobody's secret depends on it. */
static uint64_t random_at(uint64_t n)
{
    uint64_t z = (n + 20261124) * UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* 0 to count - 1, out of the lowest bits of *random, which are used up. */
static unsigned take(uint64_t *random, unsigned count)
{
    unsigned value = (unsigned)(*random % count);

    *random /= count;
    return value;
}

static void put_digits(char *at, unsigned value, int count)
{
    while (count > 0) {
        at[--count] = (char)('0' + value % 10);
        value /= 10;
    }
}

static void put_hex(char at[16], uint64_t value)
{
    for (int i = 15; i >= 0; i--) {
        at[i] = "0123456789abcdef"[value & 15];
        value >>= 4;
    }
}

static char *put_small(char *at, unsigned value)
{
    int count = value >= 100 ? 3 : value >= 10 ? 2 : 1;

    put_digits(at, value, count);
    return at + count;
}

int64_t bench_event_time_us(size_t k)
{
    return start_us + (int64_t)k * 731;
}

trail_text bench_event_type(size_t type)
{
    return trail_str(kinds[type][0]);
}

trail_text bench_user(size_t user, char text[BENCH_USER_LEN_MAX])
{
    static const char names[8][7] = { "alicia", "bogdan", "chiara", "dmitri",
                                      "emekao", "fatima", "gorang", "hedwig" };
    static const char shape[] = "alicia0000@example.com";
    static const char service[] = "deploy-bot@example.com";

    if (user == 0) {
        memcpy(text, service, sizeof service);
        return (trail_text){ text, sizeof service - 1 };
    }
    memcpy(text, shape, sizeof shape);
    memcpy(text, names[user % 8], 6);
    put_digits(text + 6, (unsigned)(user / 8), 4);
    return (trail_text){ text, sizeof shape - 1 };
}

static void make_subject(trail_event *event, texts *t, uint64_t *random)
{
    const char *const *kind = kinds[take(random, BENCH_TYPES)];
    size_t len = strlen(kind[2]);

    event->event_type = trail_str(kind[0]);
    event->action = trail_str(kind[1]);
    event->resource_type = trail_str(kind[2]);
    memcpy(t->resource, kind[2], len);
    t->resource[len] = '-';
    put_digits(t->resource + len + 1, take(random, RESOURCES), 5);
    t->resource[len + 6] = '\0';
    event->resource_id = (trail_text){ t->resource, len + 6 };
}

static void make_who(trail_event *event, texts *t, uint64_t random)
{
    bool service = take(&random, SERVICE_PART) == 0;
    unsigned user = service ? 0 : 1 + take(&random, BENCH_USERS - 1);
    unsigned address = take(&random, ADDRESSES);
    char *at = t->address + strlen("198.51.");

    event->user_id = bench_user(user, t->user);
    at = put_small(at, address / 256);
    *at++ = '.';
    at = put_small(at, address % 256);
    *at = '\0';
    event->ip_address = (trail_text){ t->address, (size_t)(at - t->address) };
}

static void make_outcome(trail_event *event, texts *t, uint64_t *random)
{
    unsigned luck = take(random, 100);

    event->result = trail_str(luck < 88   ? "success"
                              : luck < 98 ? "failure"
                                          : "partial_success");
    event->result_error = (trail_text){ NULL, 0 };
    if (luck >= 88) {
        put_digits(t->error + strlen("denied by rule "), take(random, 300), 3);
        event->result_error = trail_str(t->error);
    }
}

static void make_details(texts *t, uint64_t *random, uint64_t session)
{
    t->details[ATTEMPT_AT] = (char)('1' + take(random, 5));
    put_digits(t->details + DURATION_AT, 100 + take(random, 800), 3);
    t->details[DURATION_AT + 4] = (char)('0' + take(random, 10));
    put_hex(t->details + SESSION_AT, session);
    put_digits(t->details + PORT_AT, 10000 + take(random, 50000), 5);
}

static void make_event(bench_pool *pool, size_t i, size_t k)
{
    trail_event *event = &pool->events[i];
    texts *t = &pool->texts[i];
    uint64_t random = random_at((uint64_t)k * 8);
    uint64_t more = random_at((uint64_t)k * 8 + 1);

    event->timestamp_us = bench_event_time_us(k);
    make_subject(event, t, &random);
    make_outcome(event, t, &random);
    make_who(event, t, random_at((uint64_t)k * 8 + 2));
    event->user_agent = trail_str(pool->agents[take(&random, AGENTS)]);
    put_hex(t->request + strlen("req-"), random_at((uint64_t)k * 8 + 3));
    make_details(t, &more, random_at((uint64_t)k * 8 + 4));
}

bench_pool *bench_pool_new(void)
{
    bench_pool *pool = bench_alloc(1, sizeof *pool);

    pool->n = SIZE_MAX;
    for (unsigned i = 0; i < AGENTS; i++) {
        (void)snprintf(pool->agents[i], sizeof pool->agents[i],
                       "Mozilla/5.0 (X11; Linux x86_64; rv:%u.0) Gecko/20100101",
                       100 + i);
    }
    for (size_t i = 0; i < BENCH_BATCH; i++) {
        texts *t = &pool->texts[i];

        trail_event_init(&pool->events[i]);
        (void)snprintf(t->error, sizeof t->error,
                       "denied by rule 000: not a member of group ops-7");
        (void)snprintf(t->address, sizeof t->address, "198.51.");
        (void)snprintf(t->request, sizeof t->request, "req-%016d", 0);
        memcpy(t->details, details_shape, sizeof details_shape);
        pool->events[i].request_id = trail_str(t->request);
        pool->events[i].details = trail_str(t->details);
    }
    return pool;
}

void bench_pool_free(bench_pool *pool)
{
    free(pool);
}

trail_event *bench_pool_batch(bench_pool *pool, size_t n)
{
    for (size_t i = 0; i < BENCH_BATCH && pool->n != n; i++) {
        make_event(pool, i, n * BENCH_BATCH + i);
    }
    for (size_t i = 0; i < BENCH_BATCH && pool->with_ids; i++) {
        pool->events[i].id = NULL;
    }
    pool->n = n;
    pool->with_ids = false;
    return pool->events;
}

trail_event *bench_pool_batch_with_ids(bench_pool *pool, size_t n)
{
    trail_event *batch = bench_pool_batch(pool, n);

    for (size_t i = 0; i < BENCH_BATCH; i++) {
        uint64_t place = (uint64_t)(n * BENCH_BATCH + i) * 8;
        uint64_t halves[2] = { random_at(place + 5), random_at(place + 6) };

        memcpy(pool->ids[i], halves, TRAIL_ID_LEN);
        pool->ids[i][6] = (uint8_t)((pool->ids[i][6] & 0x0f) | 0x40); /* version 4 */
        pool->ids[i][8] = (uint8_t)((pool->ids[i][8] & 0x3f) | 0x80);
        batch[i].id = pool->ids[i];
    }
    pool->with_ids = true;
    return batch;
}

double bench_pool_content_len(bench_pool *pool, size_t batches)
{
    double len = 0;

    for (size_t i = 0; i < batches * BENCH_BATCH; i++) {
        const trail_event *e = &bench_pool_batch(pool, i / BENCH_BATCH)[i % BENCH_BATCH];

        len += (double)(e->event_type.len + e->user_id.len + e->action.len +
                        e->resource_type.len + e->resource_id.len + e->result.len +
                        e->result_error.len + e->details.len + e->ip_address.len +
                        e->user_agent.len + e->request_id.len);
    }
    return len / (double)(batches * BENCH_BATCH);
}

/* None of the made-up texts holds anything that JSON would have to escape. */
static void write_line(FILE *file, const trail_event *e)
{
    (void)fprintf(file,
                  "{\"timestamp\":%" PRId64
                  ",\"event_type\":\"%s\",\"user_id\":\"%s\",\"action\":\"%s\","
                  "\"resource_type\":\"%s\",\"resource_id\":\"%s\",\"result\":\"%s\",",
                  e->timestamp_us, e->event_type.data, e->user_id.data, e->action.data,
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

void bench_pool_write_jsonl(bench_pool *pool, const char *path, size_t first,
                            size_t lines)
{
    FILE *file = fopen(path, "w");

    if (file == NULL) {
        bench_fail("cannot write %s: %s", path, strerror(errno));
    }
    for (size_t k = first; k < first + lines; k++) {
        write_line(file, &bench_pool_batch(pool, k / BENCH_BATCH)[k % BENCH_BATCH]);
    }
    if (fclose(file) != 0) {
        bench_fail("cannot write %s: %s", path, strerror(errno));
    }
}

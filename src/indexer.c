/* indexer.c - who brings the index up to what this process appends.
 * Level 7: may include levels 0-6.
 * SPDX-License-Identifier: MIT
 */
#include "indexer.h"

#include "error.h"
#include "index_file.h"

#include <signal.h>
#include <string.h>
#include <time.h>

enum {
    QUIET_MS = 50,   /* a tail that waits so long is worth small segments */
    BUSY_MS = 200,   /* another process builds: look again */
    FAILED_MS = 2000 /* the disk is full, or so */
};

trail_status trail__indexer_init(trail__indexer *indexer, trail__index *index,
                                 trail_indexing indexing, trail_error *err)
{
    pthread_condattr_t attr;

    memset(indexer, 0, sizeof *indexer);
    indexer->index = index;
    indexer->indexing = indexing;
    if (pthread_mutex_init(&indexer->lock, NULL) != 0) {
        return trail__error(err, TRAIL_NO_MEMORY, "no memory for a lock");
    }
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    if (pthread_cond_init(&indexer->wake, &attr) != 0) {
        (void)pthread_mutex_destroy(&indexer->lock);
        return trail__error(err, TRAIL_NO_MEMORY, "no memory for a lock");
    }
    (void)pthread_condattr_destroy(&attr);
    return TRAIL_OK;
}

static uint64_t backlog(trail__indexer *indexer)
{
    uint64_t head = atomic_load(&indexer->head);
    uint64_t done = atomic_load(&indexer->done);

    return head > done ? head - done : 0;
}

/* Under the lock: sleep until woken, at most 'ms'. */
static void nap(trail__indexer *indexer, unsigned ms)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    if (!indexer->stop) {
        (void)pthread_cond_timedwait(&indexer->wake, &indexer->lock, &until);
    }
}

/* One step, if nobody else is at it. */
static trail_status step(trail__indexer *indexer, trail__build *build,
                         trail__effort effort, bool *more_out)
{
    trail_error err;
    trail_status status = trail__index_gate_enter(indexer->index, 0, &err);

    *more_out = false;
    if (status != TRAIL_OK) {
        return status;
    }
    status = trail__build_step(build, effort, false, more_out, &err);
    if (status == TRAIL_OK) {
        atomic_store(&indexer->done, build->state.seq);
    }
    trail__index_gate_leave(indexer->index);
    return status;
}

/* Under the lock: wait for something to do. */
static void wait_for_work(trail__indexer *indexer)
{
    const uint64_t unit = trail__index_span(indexer->index, 0);

    while (!indexer->stop) {
        atomic_store(&indexer->asleep, true);
        if (backlog(indexer) >= unit) {
            break;
        }
        (void)pthread_cond_wait(&indexer->wake, &indexer->lock);
    }
    atomic_store(&indexer->asleep, false);
    if (backlog(indexer) < trail__index_span(indexer->index, 1)) {
        nap(indexer, QUIET_MS);
    }
}

static void work(trail__indexer *indexer, trail__build *build)
{
    bool more = true;

    while (more) {
        trail__effort effort = backlog(indexer) < trail__index_span(indexer->index, 1)
                                   ? TRAIL__EFFORT_UNITS
                                   : TRAIL__EFFORT_NONE;
        trail_status status = step(indexer, build, effort, &more);

        (void)pthread_mutex_lock(&indexer->lock);
        if (status != TRAIL_OK) {
            nap(indexer, status == TRAIL_BUSY ? BUSY_MS : FAILED_MS);
        }
        more = more && !indexer->stop;
        (void)pthread_mutex_unlock(&indexer->lock);
    }
}

static void *run(void *context)
{
    trail__indexer *indexer = context;
    trail__build *build;

    if (trail__build_new(&build, indexer->index, NULL) != TRAIL_OK) {
        build = NULL;
    }
    (void)pthread_mutex_lock(&indexer->lock);
    while (build != NULL && !indexer->stop) {
        wait_for_work(indexer);
        (void)pthread_mutex_unlock(&indexer->lock);
        work(indexer, build);
        (void)pthread_mutex_lock(&indexer->lock);
    }
    atomic_store(&indexer->asleep, false);
    (void)pthread_mutex_unlock(&indexer->lock);
    trail__build_free(build);
    return NULL;
}

/* All signals are the host's affair. A thread that cannot be had now is asked for again. */
static void start(trail__indexer *indexer)
{
    sigset_t all;
    sigset_t old;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    atomic_store(&indexer->running,
                 pthread_create(&indexer->thread, NULL, run, indexer) == 0);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void wake(trail__indexer *indexer)
{
    (void)pthread_mutex_lock(&indexer->lock);
    if (!atomic_load(&indexer->running)) {
        start(indexer);
    }
    (void)pthread_cond_signal(&indexer->wake);
    (void)pthread_mutex_unlock(&indexer->lock);
}

static void work_inline(trail__indexer *indexer)
{
    bool more;

    if (pthread_mutex_trylock(&indexer->lock) != 0) {
        return; /* another thread is at it */
    }
    if (indexer->build != NULL ||
        trail__build_new(&indexer->build, indexer->index, NULL) == TRAIL_OK) {
        (void)step(indexer, indexer->build, TRAIL__EFFORT_NONE, &more);
    }
    (void)pthread_mutex_unlock(&indexer->lock);
}

/* Threads may come here in another order than they appended in. */
static void raise_head(trail__indexer *indexer, uint64_t seq)
{
    uint_fast64_t head = atomic_load(&indexer->head);

    while (seq > head && !atomic_compare_exchange_weak(&indexer->head, &head, seq)) {
    }
}

void trail__indexer_poke(trail__indexer *indexer, uint64_t seq, size_t count)
{
    const uint64_t unit = trail__index_span(indexer->index, 0);
    const uint64_t span = trail__index_span(indexer->index, 1);
    uint64_t appended = atomic_fetch_add(&indexer->appended, count) + count;
    bool crossed = seq % span < count;

    if (indexer->indexing == TRAIL_INDEX_MANUAL) {
        return;
    }
    raise_head(indexer, seq);
    if (indexer->indexing == TRAIL_INDEX_INLINE) {
        if (backlog(indexer) >= span && (crossed || appended % span < count)) {
            work_inline(indexer);
        }
        return;
    }
    /* A process that appends a few events and ends starts no thread for them, but the one that
     * fills a segment does. */
    if (appended < unit && !crossed) {
        return;
    }
    if (!atomic_load(&indexer->running) ||
        (backlog(indexer) >= unit && atomic_exchange(&indexer->asleep, false))) {
        wake(indexer);
    }
}

void trail__indexer_release(trail__indexer *indexer)
{
    (void)pthread_mutex_lock(&indexer->lock);
    indexer->stop = true;
    (void)pthread_cond_broadcast(&indexer->wake);
    (void)pthread_mutex_unlock(&indexer->lock);
    if (atomic_load(&indexer->running)) {
        (void)pthread_join(indexer->thread, NULL);
    }
    trail__build_free(indexer->build);
    (void)pthread_cond_destroy(&indexer->wake);
    (void)pthread_mutex_destroy(&indexer->lock);
}

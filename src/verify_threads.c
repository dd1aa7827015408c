/* verify_threads.c - check all entries, on several threads, with the verdict of one.
 * Level 6: may include levels 0-5, verify_entries.
 * SPDX-License-Identifier: MIT
 *
 * The entries are cut into stretches, which are joined in their order by the calling thread. Its
 * helpers check stretches ahead, on the assumption that the entry before a stretch is what the log
 * says when asked for it by seq. Where that is not what was in the end found right, or where a
 * helper could not do it, the calling thread checks the stretch (again) when its turn comes. So
 * nothing depends on the helpers, and the verdict is that of one thread.
 */
#include "verify_threads.h"

#include "error.h"
#include "fault.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

enum {
    STRETCH = 4096, /* entries */
    WINDOW = 64,    /* stretches that may be under check, or wait to be joined */
    THREADS_MAX = 16,
    LOOK_EVERY_MS = 100 /* while the calling thread waits, it tells how far it is */
};

typedef struct slot {
    bool done;    /* by whoever took it */
    bool checked; /* to its end, or its first fault, as what comes behind 'before' */
    trail_head before;
    trail__stretch stretch;
} slot;

typedef struct crew {
    trail__log *log;
    const trail_verify_options *options;
    const trail__compare *compare;
    trail__stretch *all;
    volatile uint64_t *good;
    trail_head start; /* in front of the first entry */
    uint64_t len;     /* entries in a stretch */
    uint64_t count;   /* stretches */
    trail__checker own;
    pthread_t helpers[THREADS_MAX];
    unsigned helper_count;
    atomic_bool over; /* nothing more is to be checked */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* Under the lock, but only the calling thread changes 'joined': */
    uint64_t joined;    /* stretches that are in 'all', without a gap */
    uint64_t taken;     /* stretches that somebody has begun */
    uint64_t taken_max; /* it is not worth beginning more: behind this comes a fault */
    slot *slots;        /* WINDOW of them; NULL without helpers */
} crew;

static uint64_t stretch_len = STRETCH;

#ifdef TRAIL_FAULTS
void trail__verify_set_stretch(uint64_t count)
{
    stretch_len = count > 0 ? count : STRETCH;
}
#endif

static bool found_fault(const crew *w)
{
    return w->all->report.fault != TRAIL_FAULT_NONE;
}

static slot *slot_of(const crew *w, uint64_t number)
{
    return &w->slots[number % WINDOW];
}

/* Stretch number 'number', of which nothing has been checked yet. */
static void begin_stretch(const crew *w, uint64_t number, const trail_head *before,
                          trail__stretch *stretch)
{
    uint64_t left = w->all->seq_last - number * w->len;

    memset(stretch, 0, sizeof *stretch);
    stretch->seq_last = number * w->len + (left < w->len ? left : w->len);
    stretch->right = *before;
    stretch->report.complete = true;
}

/* Tell the caller how far it is; he may want no more. */
static void tell(crew *w, uint64_t done)
{
    const trail_verify_options *options = w->options;

    if (options->progress != NULL &&
        !options->progress(options->context, done, w->all->seq_last)) {
        w->all->report.complete = false;
        atomic_store(&w->over, true);
    }
}

/* ---- ahead ------------------------------------------------------------------------ */

/* Under the lock. False: there is no stretch to be taken now. */
static bool take(crew *w, uint64_t *number_out)
{
    if (atomic_load(&w->over) || w->taken >= w->taken_max ||
        w->taken >= w->joined + WINDOW) {
        return false;
    }
    *number_out = w->taken++;
    slot_of(w, *number_out)->done = false;
    return true;
}

/* Without the lock: a slot that was taken is nobody else's until it is done. */
static trail_status check_slot(crew *w, trail__checker *c, uint64_t number, slot *s)
{
    uint64_t seq_before = number * w->len;
    trail_status status = TRAIL_OK;

    s->checked = false;
    s->before = w->start;
    if (seq_before > 0) {
        status = trail__checker_peek(c, seq_before, &s->before, NULL);
    }
    begin_stretch(w, number, &s->before, &s->stretch);
    while (status == TRAIL_OK && !trail__stretch_ended(&s->stretch) &&
           !atomic_load(&w->over)) {
        status = trail__stretch_check(c, &s->stretch, NULL);
        if (c == &w->own) {
            tell(w, w->all->right.seq);
        }
    }
    s->checked = status == TRAIL_OK && trail__stretch_ended(&s->stretch);
    return status;
}

/* Damage is for the calling thread to judge; anything else that fails (memory, reader slots) would
 * fail again, and the calling thread can do without helpers. */
static bool check_ahead(crew *w, trail__checker *c, uint64_t number)
{
    slot *s = slot_of(w, number);
    trail_status status = check_slot(w, c, number, s);

    (void)pthread_mutex_lock(&w->lock);
    s->done = true;
    if (s->checked && s->stretch.report.fault != TRAIL_FAULT_NONE &&
        number + 1 < w->taken_max) {
        w->taken_max = number + 1;
    }
    (void)pthread_cond_broadcast(&w->changed);
    (void)pthread_mutex_unlock(&w->lock);
    return status == TRAIL_OK || status == TRAIL_CORRUPT || status == TRAIL_NOT_FOUND;
}

static void *help(void *context)
{
    crew *w = context;
    trail__checker checker;
    uint64_t number;
    bool able = trail__checker_init(&checker, w->log, w->options, w->all->seq_last,
                                    NULL) == TRAIL_OK;

    checker.compare = w->compare;
    while (able) {
        bool taken;

        (void)pthread_mutex_lock(&w->lock);
        while (!(taken = take(w, &number)) && !atomic_load(&w->over)) {
            (void)pthread_cond_wait(&w->changed, &w->lock);
        }
        (void)pthread_mutex_unlock(&w->lock);
        if (!taken) {
            break;
        }
        able = check_ahead(w, &checker, number);
    }
    trail__checker_release(&checker);
    return NULL;
}

/* ---- in order --------------------------------------------------------------------- */

/* What was found out about the next stretch becomes part of the whole. */
static void join(crew *w, const trail__stretch *next)
{
    trail__stretch *all = w->all;
    bool complete = all->report.complete;
    bool expected = all->report.head_expected;

    all->right = next->right;
    all->foreign_ids += next->foreign_ids;
    trail__sums_join(&all->sums, &next->sums);
    all->report = next->report;
    all->report.complete = complete;
    all->report.head_expected |= expected;
    *w->good = all->right.seq;
    if (trail__stretch_ended(next)) {
        (void)pthread_mutex_lock(&w->lock);
        w->joined++;
        w->taken_max = w->count; /* a fault that somebody saw ahead was none */
        (void)pthread_cond_broadcast(&w->changed);
        (void)pthread_mutex_unlock(&w->lock);
    }
}

static trail_status check_next(crew *w, trail_error *err)
{
    trail_status status = TRAIL_OK;
    trail__stretch next;

    begin_stretch(w, w->joined, &w->all->right, &next);
    w->own.good = w->good;
    while (status == TRAIL_OK && !trail__stretch_ended(&next) && !atomic_load(&w->over)) {
        status = trail__stretch_check(&w->own, &next, err);
        if (status == TRAIL_OK && !trail__stretch_ended(&next)) {
            tell(w, next.right.seq);
        }
    }
    w->own.good = NULL;
    join(w, &next);
    return status;
}

/* Under the lock. */
static void wait_for_helpers(crew *w)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += LOOK_EVERY_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    (void)pthread_cond_timedwait(&w->changed, &w->lock, &until);
}

static bool is_same(const trail_head *a, const trail_head *b)
{
    return a->seq == b->seq && a->recorded_at_us == b->recorded_at_us &&
           memcmp(a->event_hash, b->event_hash, TRAIL_HASH_LEN) == 0;
}

/* Join the next stretch, if it is done; else do something useful. */
static trail_status advance(crew *w, trail_error *err)
{
    const slot *next = w->slots != NULL ? slot_of(w, w->joined) : NULL;
    uint64_t number = w->joined;
    bool begun;
    bool done;
    bool ahead = false;

    (void)pthread_mutex_lock(&w->lock);
    begun = w->taken > w->joined;
    done = begun && next->done;
    if (!begun) {
        w->taken++;
    } else if (!done) {
        ahead = take(w, &number);
        if (!ahead) {
            wait_for_helpers(w);
        }
    }
    (void)pthread_mutex_unlock(&w->lock);
    if (ahead) {
        (void)check_ahead(w, &w->own, number);
        return TRAIL_OK;
    }
    if (begun && !done) {
        return TRAIL_OK;
    }
    if (done && next->checked && is_same(&next->before, &w->all->right)) {
        join(w, &next->stretch);
        return TRAIL_OK;
    }
    return check_next(w, err);
}

static trail_status join_all(crew *w, trail_error *err)
{
    trail_status status = TRAIL_OK;

    while (status == TRAIL_OK && w->joined < w->count && !found_fault(w)) {
        tell(w, w->all->right.seq);
        if (atomic_load(&w->over)) {
            break;
        }
        status = advance(w, err);
    }
    return status;
}

/* ---- the threads ------------------------------------------------------------------ */

static unsigned threads_wanted(const crew *w)
{
    uint64_t wanted = w->options->threads;
    cpu_set_t processors;

    if (wanted == 0) {
        wanted = sched_getaffinity(0, sizeof processors, &processors) == 0
                     ? (unsigned)CPU_COUNT(&processors)
                     : 1;
    }
    if (wanted > w->count) {
        wanted = w->count;
    }
    return wanted > THREADS_MAX ? THREADS_MAX : (unsigned)wanted;
}

/* No signal of the host's is handled on a helper. What its own reading of a damaged page raises
 * must not be held back: the kernel would end the process without asking anybody. */
static void start_helpers(crew *w, unsigned count)
{
    static const int raised[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL };
    sigset_t held;
    sigset_t old;

    sigfillset(&held);
    for (size_t i = 0; i < sizeof raised / sizeof raised[0]; i++) {
        sigdelset(&held, raised[i]);
    }
    (void)pthread_sigmask(SIG_BLOCK, &held, &old);
    while (w->helper_count < count && !trail__fault("verify/thread") &&
           pthread_create(&w->helpers[w->helper_count], NULL, help, w) == 0) {
        w->helper_count++;
    }
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void end_helpers(crew *w)
{
    (void)pthread_mutex_lock(&w->lock);
    atomic_store(&w->over, true);
    (void)pthread_cond_broadcast(&w->changed);
    (void)pthread_mutex_unlock(&w->lock);
    for (unsigned i = 0; i < w->helper_count; i++) {
        (void)pthread_join(w->helpers[i], NULL);
    }
}

static bool init_lock(crew *w)
{
    pthread_condattr_t attr;
    int failed = pthread_condattr_init(&attr);

    if (failed == 0) {
        (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        failed = pthread_cond_init(&w->changed, &attr);
        (void)pthread_condattr_destroy(&attr);
    }
    if (failed == 0 && (failed = pthread_mutex_init(&w->lock, NULL)) != 0) {
        (void)pthread_cond_destroy(&w->changed);
    }
    return failed == 0;
}

static trail_status run(crew *w, trail_error *err)
{
    unsigned threads = threads_wanted(w);
    trail_status status;

    if (!init_lock(w)) {
        return trail__error(err, TRAIL_NO_MEMORY, "no memory for a lock");
    }
    if (threads > 1) {
        w->slots = trail__alloc_zero(WINDOW * sizeof *w->slots);
    }
    if (w->slots != NULL) {
        start_helpers(w, threads - 1);
    }
    status = join_all(w, err);
    end_helpers(w);
    trail__free(w->slots);
    (void)pthread_cond_destroy(&w->changed);
    (void)pthread_mutex_destroy(&w->lock);
    return status;
}

trail_status trail__verify_entries(trail__log *log, const trail_verify_options *options,
                                   const trail__compare *compare, volatile uint64_t *good,
                                   trail__stretch *all, trail_error *err)
{
    uint64_t count = all->seq_last / stretch_len + (all->seq_last % stretch_len > 0);
    crew w = { .log = log,
               .options = options,
               .compare = compare,
               .all = all,
               .good = good,
               .start = all->right,
               .len = stretch_len,
               .count = count,
               .taken_max = count };
    trail_status status;

    all->report.complete = true;
    status = trail__checker_init(&w.own, log, options, all->seq_last, err);
    w.own.compare = compare;
    if (status == TRAIL_OK) {
        status = run(&w, err);
    }
    trail__checker_release(&w.own);
    return status;
}

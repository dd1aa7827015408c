/* gate.c - a lock between writing processes that can be waited for with a limit.
 * Level 3: may include levels 0-1.
 * SPDX-License-Identifier: MIT
 */
#include "gate.h"

#include "error.h"
#include "fault.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define GATE_MAGIC UINT64_C(0x7472616967617431) /* "traigat1" */

/* What the file holds. It outlives its processes and even the machine's run, so whoever finds
 * himself alone with it makes it anew. */
typedef struct shared_gate {
    _Atomic uint64_t magic; /* set last */
    uint64_t mutex_len;     /* another C library may have another mutex */
    pthread_mutex_t mutex;
} shared_gate;

struct trail__gate {
    shared_gate *shared;
    int fd; /* holds a shared flock for as long as the gate is open */
};

static trail_status make_mutex(shared_gate *shared, trail_error *err)
{
    pthread_mutexattr_t attr;
    int failed = pthread_mutexattr_init(&attr);

    if (failed == 0) {
        atomic_store(&shared->magic, 0);
        (void)pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
        (void)pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
        failed = pthread_mutex_init(&shared->mutex, &attr);
        pthread_mutexattr_destroy(&attr);
    }
    if (failed != 0) {
        return trail__error_errno(err, failed, "cannot make the lock between processes");
    }
    shared->mutex_len = sizeof shared->mutex;
    atomic_store(&shared->magic, GATE_MAGIC);
    return TRAIL_OK;
}

/* Leaves with a shared flock on a file whose mutex is ready. */
static trail_status join(trail__gate *gate, const char *path, trail_error *err)
{
    for (int attempt = 0; attempt < 100; attempt++) {
        if (flock(gate->fd, LOCK_EX | LOCK_NB) == 0) {
            trail_status status = make_mutex(gate->shared, err);

            if (status != TRAIL_OK) {
                return status;
            }
        } else if (errno != EWOULDBLOCK && errno != EINTR) {
            return trail__error_errno(err, errno, "%s", path);
        }
        /* Going from exclusive to shared may let another one in between, who makes the mutex
         * anew: nobody uses it yet. */
        while (flock(gate->fd, LOCK_SH) != 0) {
            if (errno != EINTR) {
                return trail__error_errno(err, errno, "%s", path);
            }
        }
        if (atomic_load(&gate->shared->magic) == GATE_MAGIC) {
            if (gate->shared->mutex_len == sizeof gate->shared->mutex) {
                return TRAIL_OK;
            }
            break;
        }
        (void)flock(gate->fd, LOCK_UN);
    }
    return trail__error(err, TRAIL_BUSY, "%s is in use by a program of another kind",
                        path);
}

static trail_status open_gate(trail__gate *gate, const char *path, trail_error *err)
{
    void *mapped;
    int failed;

    gate->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (gate->fd < 0) {
        return trail__error_errno(err, errno, "%s", path);
    }
    failed = posix_fallocate(gate->fd, 0, sizeof *gate->shared);
    if (failed != 0) {
        return trail__error_errno(err, failed, "%s", path);
    }
    mapped =
        mmap(NULL, sizeof *gate->shared, PROT_READ | PROT_WRITE, MAP_SHARED, gate->fd, 0);
    if (mapped == MAP_FAILED) {
        return trail__error_errno(err, errno, "%s", path);
    }
    gate->shared = mapped;
    return join(gate, path, err);
}

trail_status trail__gate_open(trail__gate **gate_out, const char *path, trail_error *err)
{
    trail__gate *gate = trail__alloc_zero(sizeof *gate);
    trail_status status;

    *gate_out = NULL;
    if (gate == NULL) {
        return trail__error(err, TRAIL_NO_MEMORY, "no memory to open %s", path);
    }
    gate->fd = -1;
    status = open_gate(gate, path, err);
    if (status != TRAIL_OK) {
        trail__gate_close(gate);
        return status;
    }
    *gate_out = gate;
    return TRAIL_OK;
}

void trail__gate_close(trail__gate *gate)
{
    if (gate == NULL) {
        return;
    }
    if (gate->shared != NULL) {
        munmap(gate->shared, sizeof *gate->shared);
    }
    if (gate->fd >= 0) {
        close(gate->fd);
    }
    trail__free(gate);
}

trail_status trail__gate_enter(trail__gate *gate, unsigned wait_ms, trail_error *err)
{
    struct timespec until;
    int failed;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += wait_ms / 1000;
    until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    failed = pthread_mutex_clocklock(&gate->shared->mutex, CLOCK_MONOTONIC, &until);
    if (failed == EOWNERDEAD) {
        /* Its owner died. LMDB cleans up behind him; the gate guards nothing else. */
        failed = pthread_mutex_consistent(&gate->shared->mutex);
    }
    if (failed == ETIMEDOUT) {
        return trail__error(err, TRAIL_BUSY,
                            "another process has been writing for more than %u ms",
                            wait_ms);
    }
    if (failed != 0) {
        return trail__error_errno(err, failed, "the lock between processes failed");
    }
    return TRAIL_OK;
}

void trail__gate_leave(trail__gate *gate)
{
    (void)pthread_mutex_unlock(&gate->shared->mutex);
}

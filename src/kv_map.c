/* kv_map.c - how much of the address space the file takes: at first, and when it grows.
 * Level 3: may include levels 0-1, kv, kv_env, kv_file; includes <lmdb.h>.
 * SPDX-License-Identifier: MIT
 *
 * LMDB gives the old mapping back before it asks for the new one: if that fails, nothing of the
 * file is left to read. So the address space is asked for beforehand.
 */
#include "kv_env.h"

#include "error.h"
#include "fault.h"
#include "kv_file.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

static const uint64_t map_size_default = UINT64_C(64) << 30;
const uint64_t trail__kv_map_size_min = UINT64_C(1) << 20;

static uint64_t whole_pages(uint64_t size)
{
    return size - size % (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t trail__kv_map_first(const trail__kv_options *options)
{
    uint64_t size = options->map_size > 0 ? options->map_size : map_size_default;
    struct rlimit space;

    /* Under a limit take a quarter of it: the host needs the rest. */
    if (getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur != RLIM_INFINITY &&
        size > space.rlim_cur / 4) {
        size = space.rlim_cur / 4;
    }
    if (size < trail__kv_map_size_min) {
        size = trail__kv_map_size_min;
    }
    if (options->size_max > 0 && size > options->size_max) {
        size = options->size_max;
    }
    return whole_pages(size);
}

static bool can_be_had(uint64_t len)
{
    void *probe = MAP_FAILED;

    if (!trail__fault("kv/map")) {
        probe = mmap(NULL, (size_t)len, PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    }
    if (probe == MAP_FAILED) {
        return false;
    }
    (void)munmap(probe, (size_t)len);
    return true;
}

/* The largest size up to 'wanted' that leaves the process standing; 0: not even 'needed'. */
static uint64_t affordable(uint64_t now, uint64_t needed, uint64_t wanted)
{
    uint64_t size = wanted;

    while (size - needed > trail__kv_map_size_min && !can_be_had(size - now)) {
        size = whole_pages(needed + (size - needed) / 2);
    }
    if (can_be_had(size - now)) {
        return size;
    }
    return size > needed && can_be_had(needed - now) ? needed : 0;
}

/* Under the map lock. At least 'needed', twice as much as now if it may be. */
static trail_status enlarge(trail__kv *kv, uint64_t now, uint64_t needed,
                            trail_error *err)
{
    uint64_t size_max = whole_pages(kv->size_max);
    uint64_t wanted = now * 2;
    uint64_t size;
    int rc;

    if (size_max > 0 && wanted > size_max) {
        wanted = size_max;
    }
    if (wanted < needed) {
        wanted = needed;
    }
    size = affordable(now, needed, wanted);
    if (size == 0) {
        return trail__error(err, TRAIL_NO_MEMORY,
                            "%s: the process may not have the address space for %llu "
                            "bytes more",
                            kv->path, (unsigned long long)(needed - now));
    }
    rc = mdb_env_set_mapsize(kv->env, (size_t)size);
    if (rc == 0) {
        return TRAIL_OK;
    }
    /* LMDB has given the old mapping back: nothing may touch it any more. */
    atomic_store(&kv->broken, true);
    return trail__kv_error(kv, rc, "grow", err);
}

static uint64_t map_size(trail__kv *kv)
{
    MDB_envinfo info;

    return mdb_env_info(kv->env, &info) == 0 ? info.me_mapsize : 0;
}

trail_status trail__kv_map_follow(trail__kv *kv, trail_error *err)
{
    mdb_filehandle_t fd;
    uint64_t needed = 0;
    trail_status status = TRAIL_OK;
    uint64_t now;

    if (mdb_env_get_fd(kv->env, &fd) != 0 || !trail__kv_file_needed(fd, &needed)) {
        return trail__error(err, TRAIL_CORRUPT, "%s: its first pages are damaged",
                            kv->path);
    }
    (void)pthread_rwlock_wrlock(&kv->map_lock);
    now = map_size(kv);
    if (now < needed && !atomic_load(&kv->broken)) {
        status = enlarge(kv, now, needed, err);
    }
    (void)pthread_rwlock_unlock(&kv->map_lock);
    return status;
}

trail_status trail__kv_grow(trail__kv *kv, trail_error *err)
{
    trail_status status = TRAIL_OK;
    uint64_t now;
    int dead;

    (void)pthread_rwlock_wrlock(&kv->map_lock);
    if (atomic_load(&kv->broken)) {
        goto done; /* the next transaction says so */
    }
    (void)mdb_reader_check(kv->env, &dead);
    now = map_size(kv);
    if (kv->size_max > 0 && now >= whole_pages(kv->size_max)) {
        status = trail__error(err, TRAIL_FULL, "%s has used its limit of %llu bytes",
                              kv->path, (unsigned long long)kv->size_max);
    } else {
        uint64_t step = trail__kv_map_size_min;

        if (kv->size_max > 0 && step > whole_pages(kv->size_max) - now) {
            step = whole_pages(kv->size_max) - now;
        }
        status = enlarge(kv, now, now + step, err);
    }
done:
    (void)pthread_rwlock_unlock(&kv->map_lock);
    return status;
}

/* store.c - one open log for each file and process, shared by all handles on it.
 * Level 8: may include levels 0-7.
 * SPDX-License-Identifier: MIT
 */
#include "store.h"

#include "error.h"
#include "fault.h"
#include "group.h"
#include "indexer.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct trail__store {
    trail__log log;
    trail__index index;
    trail__indexer indexer;
    trail__group group;
    trail__queue queue;
    dev_t device;
    ino_t inode;
    pid_t pid;
    unsigned handles;
    trail__store *next;
};

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static trail__store *registry;
static pthread_once_t at_fork_once = PTHREAD_ONCE_INIT;
static pthread_once_t at_exit_once = PTHREAD_ONCE_INIT;

static void before_fork(void)
{
    (void)pthread_mutex_lock(&registry_lock);
}

static void parent_after_fork(void)
{
    (void)pthread_mutex_unlock(&registry_lock);
}

/* The child's registry is empty. The parent's stores stay in memory for handles that the child
 * still holds: they say TRAIL_FORKED. */
static void child_after_fork(void)
{
    registry = NULL;
    (void)pthread_mutex_unlock(&registry_lock);
}

static void watch_fork(void)
{
    (void)pthread_atfork(before_fork, parent_after_fork, child_after_fork);
}

/* What was submitted is written before the process ends. After that OpenSSL takes itself down, and
 * no thread may hash any more. */
static void before_exit(void)
{
    (void)pthread_mutex_lock(&registry_lock);
    for (trail__store *store = registry; store != NULL; store = store->next) {
        if (!trail__store_forked(store)) {
            trail__queue_end(&store->queue);
        }
    }
    (void)pthread_mutex_unlock(&registry_lock);
}

/* Asked for when the first event is submitted: OpenSSL's own handler, which runs after those that
 * come later, is there by then. */
static void watch_exit(void)
{
    (void)atexit(before_exit);
}

/* A child that was made without fork()'s handlers (_Fork, clone) still has the parent's stores in
 * its registry: they are not for it. */
static trail__store *find(const struct stat *file)
{
    trail__store *store = registry;

    while (store != NULL &&
           (store->device != file->st_dev || store->inode != file->st_ino ||
            trail__store_forked(store))) {
        store = store->next;
    }
    return store;
}

static trail_status open_index(trail__store *store, const char *path,
                               const trail__kv_options *kv_options,
                               trail_indexing indexing, trail_error *err)
{
    char *real_path = realpath(path, NULL); /* the process may change its directory */
    trail_status status;

    if (real_path == NULL) {
        return trail__error_errno(err, errno, "%s", path);
    }
    status = trail__index_init(&store->index, &store->log, real_path, kv_options, err);
    free(real_path);
    if (status == TRAIL_OK) {
        status = trail__indexer_init(&store->indexer, &store->index, indexing, err);
        if (status != TRAIL_OK) {
            trail__index_release(&store->index);
        }
    }
    return status;
}

static trail_status open_parts(trail__store *store, const char *path,
                               const trail_options *options, trail_error *err)
{
    trail__kv_options kv_options = { .map_size = options->map_size,
                                     .size_max = options->size_max,
                                     .busy_ms = options->busy_ms };
    trail_status status = trail__log_open(&store->log, path, &kv_options, err);

    if (status != TRAIL_OK) {
        return status;
    }
    trail__group_init(&store->group);
    status = open_index(store, path, &kv_options, options->indexing, err);
    if (status == TRAIL_OK) {
        status = trail__queue_init(&store->queue, &store->log, &store->group,
                                   &store->indexer, options, err);
        if (status != TRAIL_OK) {
            trail__indexer_release(&store->indexer);
            trail__index_release(&store->index);
        }
    }
    if (status != TRAIL_OK) {
        trail__log_close(&store->log);
    }
    return status;
}

static trail_status open_new(trail__store **store_out, const char *path,
                             const struct stat *file, const trail_options *options,
                             trail_error *err)
{
    trail__store *store = trail__alloc_zero(sizeof *store);
    trail_status status;

    if (store == NULL) {
        return trail__error(err, TRAIL_NO_MEMORY, "no memory to open %s", path);
    }
    status = open_parts(store, path, options, err);
    if (status != TRAIL_OK) {
        trail__free(store);
        return status;
    }
    store->device = file->st_dev;
    store->inode = file->st_ino;
    store->pid = getpid();
    store->next = registry;
    registry = store;
    *store_out = store;
    return TRAIL_OK;
}

trail_status trail__store_open(trail__store **store_out, const char *path,
                               const trail_options *options, trail_error *err)
{
    struct stat file;
    trail_status status;

    *store_out = NULL;
    (void)pthread_once(&at_fork_once, watch_fork);
    (void)pthread_mutex_lock(&registry_lock);
    status = trail__log_locate(path, &file, err);
    if (status == TRAIL_OK) {
        *store_out = find(&file);
        if (*store_out == NULL) {
            status = open_new(store_out, path, &file, options, err);
        }
    }
    if (status == TRAIL_OK) {
        (*store_out)->handles++;
    }
    (void)pthread_mutex_unlock(&registry_lock);
    return status;
}

static void forget(trail__store *store)
{
    trail__store **link = &registry;

    while (*link != store) {
        link = &(*link)->next;
    }
    *link = store->next;
}

void trail__store_close(trail__store *store)
{
    if (trail__store_forked(store)) {
        return; /* other handles that came through the fork may still look at it */
    }
    (void)pthread_mutex_lock(&registry_lock);
    if (--store->handles == 0) {
        forget(store);
        trail__queue_release(&store->queue);
        trail__indexer_release(&store->indexer);
        trail__index_release(&store->index);
        trail__log_close(&store->log);
        trail__free(store);
    }
    (void)pthread_mutex_unlock(&registry_lock);
}

trail__log *trail__store_log(trail__store *store)
{
    return &store->log;
}

trail__index *trail__store_index(trail__store *store)
{
    return &store->index;
}

trail__queue *trail__store_queue(trail__store *store)
{
    return &store->queue;
}

bool trail__store_forked(const trail__store *store)
{
    return store->pid != getpid();
}

void trail__store_append(trail__store *store, trail__batch *batch)
{
    trail__group_append(&store->group, &store->log, batch);
    if (batch->status == TRAIL_OK) {
        const trail__draft *last = &batch->drafts[batch->count - 1];

        trail__indexer_poke(&store->indexer, last->receipt.seq, batch->count);
    }
}

trail_status trail__store_submit(trail__store *store, trail_ticket *ticket,
                                 trail_queue_policy policy, unsigned wait_ms,
                                 trail_error *err)
{
    (void)pthread_once(&at_exit_once, watch_exit);
    return trail__queue_put(&store->queue, ticket, policy, wait_ms, err);
}

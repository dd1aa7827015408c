/* create.c - make a new trail, completely or not at all.
 * Level 5: may include levels 0-4.
 * SPDX-License-Identifier: MIT
 */
#include "create.h"

#include "bytes.h"
#include "chain.h"
#include "door.h"
#include "error.h"
#include "log.h"
#include "uuid.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PATH_LEN_MAX = 4000,
    DETAILS_LEN_MAX = 6 * TRAIL__ORIGIN_LEN_MAX + 512 +
                      TRAIL_INDEX_PATHS_MAX * (6 * TRAIL_INDEX_PATH_LEN_MAX + 3)
};

/* Append 'text' to a JSON text as a string. */
static void quote(char *json, size_t json_len, trail_text text)
{
    size_t at = strlen(json);

    json[at++] = '"';
    for (size_t i = 0; i < text.len && at + 8 < json_len; i++) {
        unsigned char c = (unsigned char)text.data[i];

        if (c < 0x20) {
            at += (size_t)snprintf(json + at, json_len - at, "\\u%04x", c);
        } else {
            if (c == '"' || c == '\\') {
                json[at++] = '\\';
            }
            json[at++] = (char)c;
        }
    }
    json[at++] = '"';
    json[at] = '\0';
}

/* The details of trail.created, keys sorted: format, index, log_id, options, origin. */
static void describe(char json[DETAILS_LEN_MAX], const char *log_id, trail_text origin,
                     const trail_options *options)
{
    int at = snprintf(json, DETAILS_LEN_MAX, "{\"format\":%d", TRAIL__FORMAT);

    for (size_t i = 0; i < options->index_path_count; i++) {
        (void)snprintf(json + at, (size_t)(DETAILS_LEN_MAX - at),
                       i == 0 ? ",\"index\":[" : ",");
        quote(json, DETAILS_LEN_MAX, trail_str(options->index_paths[i]));
        at = (int)strlen(json);
    }
    at += snprintf(json + at, (size_t)(DETAILS_LEN_MAX - at),
                   "%s,\"log_id\":\"%s\",\"options\":{",
                   options->index_path_count > 0 ? "]" : "", log_id);

    if (options->map_size > 0) {
        at += snprintf(json + at, (size_t)(DETAILS_LEN_MAX - at),
                       "\"map_size\":%" PRIu64 "%s", options->map_size,
                       options->size_max > 0 ? "," : "");
    }
    if (options->size_max > 0) {
        at += snprintf(json + at, (size_t)(DETAILS_LEN_MAX - at), "\"size_max\":%" PRIu64,
                       options->size_max);
    }
    (void)snprintf(json + at, (size_t)(DETAILS_LEN_MAX - at), "},\"origin\":");
    quote(json, DETAILS_LEN_MAX - 1, origin);
    json[strlen(json) + 1] = '\0';
    json[strlen(json)] = '}';
}

static trail_status make_identity(const trail_options *options, trail__identity *identity,
                                  trail_error *err)
{
    trail_text origin = trail_str(options->origin != NULL ? options->origin : "trail");
    trail__hasher hasher;
    trail_status status = trail__door_text("origin", origin, TRAIL_ID_CHARS_MAX, err);

    if (status == TRAIL_OK) {
        status = trail__uuid_random(identity->log_id, err);
    }
    if (status == TRAIL_OK) {
        status = trail__hasher_init(&hasher, err);
    }
    if (status != TRAIL_OK) {
        return status;
    }
    memcpy(identity->origin, origin.data, origin.len);
    identity->origin_len = origin.len;
    if (!trail__chain_genesis(&hasher, identity->log_id, origin, identity->genesis)) {
        status = trail__hash_failed(err);
    }
    trail__hasher_release(&hasher);
    return status;
}

static trail_status make_log(const char *dir, const trail_options *options,
                             trail_error *err)
{
    trail__kv_options kv_options = { .map_size = options->map_size,
                                     .size_max = options->size_max };
    trail__identity identity;
    trail_event created;
    char log_id[TRAIL_ID_TEXT_LEN + 1];
    char details[DETAILS_LEN_MAX];
    trail_status status = make_identity(options, &identity, err);

    if (status != TRAIL_OK) {
        return status;
    }
    trail_id_format(identity.log_id, log_id);
    describe(details, log_id, (trail_text){ identity.origin, identity.origin_len },
             options);
    trail_event_init(&created);
    created.event_type = trail_str("trail.created");
    created.action = trail_str("create");
    created.resource_type = trail_str("trail");
    created.resource_id = trail_str(log_id);
    created.result = trail_str("success");
    created.details = trail_str(details);
    return trail__log_make(dir, &kv_options, &identity, &created, err);
}

static trail_status sync_path(const char *path, int flags, trail_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | flags);
    trail_status status = TRAIL_OK;

    if (fd < 0 || fsync(fd) != 0) {
        status = trail__error_errno(err, errno, "%s", path);
    }
    if (fd >= 0) {
        close(fd);
    }
    return status;
}

/* NFS and others cannot rename to what must not be there. There we look first; and what comes to
 * be there after that look cannot be lost, for a directory replaces an empty one at most. */
static int rename_to_nothing(const char *dir, const char *path)
{
    struct stat there;

    if (renameat2(AT_FDCWD, dir, AT_FDCWD, path, RENAME_NOREPLACE) == 0) {
        return 0;
    }
    if (errno != EINVAL && errno != ENOSYS) {
        return -1;
    }
    if (lstat(path, &there) == 0) {
        errno = EEXIST;
        return -1;
    }
    return rename(dir, path);
}

static void remove_dir(const char *dir)
{
    static const char *const names[] = { "log.mdb", "log.mdb-lock", "log.mdb-gate" };
    char path[PATH_LEN_MAX + 64];

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(dir);
}

/* Everything durable, then the name, then that too: a crash before the rename leaves no trail,
 * after it a whole one. */
static trail_status publish(const char *dir, const char *path, int parent,
                            trail_error *err)
{
    char file[PATH_LEN_MAX + 64];
    trail_status status;

    (void)snprintf(file, sizeof file, "%s/log.mdb", dir);
    status = sync_path(file, 0, err);
    if (status == TRAIL_OK) {
        status = sync_path(dir, O_DIRECTORY, err);
    }
    if (status != TRAIL_OK) {
        return status;
    }
    if (rename_to_nothing(dir, path) != 0) {
        return errno == EEXIST || errno == ENOTEMPTY || errno == ENOTDIR
                   ? trail__error(err, TRAIL_EXISTS, "something is at %s already", path)
                   : trail__error_errno(err, errno, "%s", path);
    }
    if (fsync(parent) != 0) {
        return trail__error_errno(err, errno, "%s", path);
    }
    return TRAIL_OK;
}

/* The directory that holds the trail, opened before the trail has its name: who may not open it
 * could give it one, but not make that durable. */
static trail_status open_parent(int *parent_out, const char *dir, const char *path,
                                trail_error *err)
{
    char copy[PATH_LEN_MAX + 32];
    const char *parent;

    (void)snprintf(copy, sizeof copy, "%s", dir);
    parent = dirname(copy);
    *parent_out = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*parent_out < 0) {
        return trail__error_errno(err, errno, "cannot create %s: %s", path, parent);
    }
    return TRAIL_OK;
}

trail_status trail__create(const char *path, const trail_options *options,
                           trail_error *err)
{
    char dir[PATH_LEN_MAX + 32];
    size_t len = strlen(path);
    trail_status status;
    int parent = -1;

    while (len > 1 && path[len - 1] == '/') {
        len--; /* "audit.trail/" would make "audit.trail/.new-…" */
    }
    if (len == 0 || len > PATH_LEN_MAX) {
        return trail__error(err, TRAIL_INVALID, "a path of %zu bytes: must be 1 to %d",
                            len, PATH_LEN_MAX);
    }
    (void)snprintf(dir, sizeof dir, "%.*s.new-XXXXXX", (int)len, path);
    if (mkdtemp(dir) == NULL) {
        int failed = errno;

        return trail__error_errno(err, failed, "cannot create %s", path);
    }
    status = open_parent(&parent, dir, path, err);
    if (status == TRAIL_OK && chmod(dir, 0750) != 0) {
        status = trail__error_errno(err, errno, "%s", dir);
    }
    if (status == TRAIL_OK) {
        status = make_log(dir, options, err);
    }
    if (status == TRAIL_OK) {
        status = publish(dir, path, parent, err);
    }
    if (parent >= 0) {
        close(parent);
    }
    if (status != TRAIL_OK) {
        remove_dir(dir);
    }
    return status;
}

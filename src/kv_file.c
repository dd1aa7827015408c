/* kv_file.c - what must be right about LMDB's files before LMDB maps them.
 * Level 3: may include levels 0-1.
 * SPDX-License-Identifier: MIT
 */
#include "kv_file.h"

#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

/* LMDB 0.9 on 64-bit machines: a 16-byte page header, then this (mdb.c, struct MDB_meta). */
enum {
    META_AT = 16,
    META_LEN = 136,
    MAGIC_AT = 0,
    VERSION_AT = 4,
    PAGE_SIZE_AT = 24,
    LAST_PAGE_AT = 120,
    TXN_AT = 128,
    PAGE_SIZE_MIN = 512,
    PAGE_SIZE_MAX = 65536
};
static const uint32_t lmdb_magic = 0xBEEFC0DE;
static const uint32_t lmdb_version = 1;

typedef struct meta {
    uint32_t magic, version, page_size;
    uint64_t last_page, txn;
} meta;

static bool read_meta(int fd, off_t at, meta *meta_out)
{
    uint8_t raw[META_LEN];

    if (pread(fd, raw, sizeof raw, at + META_AT) != (ssize_t)sizeof raw) {
        return false;
    }
    memcpy(&meta_out->magic, raw + MAGIC_AT, 4);
    memcpy(&meta_out->version, raw + VERSION_AT, 4);
    memcpy(&meta_out->page_size, raw + PAGE_SIZE_AT, 4);
    memcpy(&meta_out->last_page, raw + LAST_PAGE_AT, 8);
    memcpy(&meta_out->txn, raw + TXN_AT, 8);
    return meta_out->magic == lmdb_magic && meta_out->version == lmdb_version &&
           meta_out->page_size >= PAGE_SIZE_MIN && meta_out->page_size <= PAGE_SIZE_MAX &&
           (meta_out->page_size & (meta_out->page_size - 1)) == 0;
}

/* Commits write the two meta pages in turn, the even ones the first, so their numbers are
 * neighbours (both 0: nothing was ever committed). LMDB takes the higher one and asks no more: a
 * damaged number would bring an older commit back. */
static bool are_neighbours(const meta metas[2])
{
    uint64_t even = metas[0].txn;
    uint64_t odd = metas[1].txn;

    return even % 2 == 0 &&
           (odd == even + 1 || odd + 1 == even || (odd == 0 && even == 0));
}

static trail_status check_once(int fd, const char *path, trail_error *err)
{
    meta metas[2];
    const meta *newest;
    struct stat file;
    uint64_t needed;

    if (!read_meta(fd, 0, &metas[0]) ||
        !read_meta(fd, (off_t)metas[0].page_size, &metas[1])) {
        return trail__error(err, TRAIL_CORRUPT,
                            "%s: its first pages are not those of a trail", path);
    }
    if (!are_neighbours(metas)) {
        return trail__error(err, TRAIL_CORRUPT,
                            "%s: its first pages are damaged: commit %llu next to %llu",
                            path, (unsigned long long)metas[0].txn,
                            (unsigned long long)metas[1].txn);
    }
    newest = metas[0].txn > metas[1].txn ? &metas[0] : &metas[1];
    if (newest->last_page >= UINT64_MAX / PAGE_SIZE_MAX) {
        return trail__error(err, TRAIL_CORRUPT, "%s: its first pages are damaged", path);
    }
    needed = (newest->last_page + 1) * newest->page_size;
    if (fstat(fd, &file) != 0) {
        return trail__error_errno(err, errno, "%s", path);
    }
    if ((uint64_t)file.st_size < needed) {
        return trail__error(err, TRAIL_CORRUPT,
                            "%s was cut: it is %lld bytes, its newest commit needs %llu",
                            path, (long long)file.st_size, (unsigned long long)needed);
    }
    return TRAIL_OK;
}

bool trail__kv_file_needed(int fd, uint64_t *needed_out)
{
    meta metas[2];
    uint64_t last_page;

    if (!read_meta(fd, 0, &metas[0]) ||
        !read_meta(fd, (off_t)metas[0].page_size, &metas[1])) {
        return false;
    }
    last_page =
        metas[0].last_page > metas[1].last_page ? metas[0].last_page : metas[1].last_page;
    if (last_page >= UINT64_MAX / PAGE_SIZE_MAX / 2) {
        return false;
    }
    *needed_out = (last_page + 1) * metas[0].page_size;
    return true;
}

trail_status trail__kv_file_check(const char *path, trail_error *err)
{
    const struct timespec pause = { .tv_sec = 0, .tv_nsec = 2000000 };
    trail_status status = TRAIL_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return trail__error_errno(err, errno, "%s", path);
    }
    /* A writer may be in the middle of writing a meta page: what is wrong must stay wrong. */
    for (int attempt = 0; attempt < 3; attempt++) {
        status = check_once(fd, path, err);
        if (status == TRAIL_OK) {
            break;
        }
        nanosleep(&pause, NULL);
    }
    close(fd);
    return status;
}

trail_status trail__kv_file_lock_reserve(const char *lock_path, unsigned readers_max,
                                         trail_error *err)
{
    enum { CACHE_LINE = 64, HEAD_LINES = 3 };
    const off_t len = ((off_t)readers_max - 1 + HEAD_LINES) * CACHE_LINE;
    trail_status status = TRAIL_OK;
    struct stat file;
    int fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    int failed;

    if (fd < 0) {
        return trail__error_errno(err, errno, "%s", lock_path);
    }
    if (fstat(fd, &file) == 0 && file.st_size == 0) {
        failed = posix_fallocate(fd, 0, len);
        if (failed != 0) {
            status = trail__error_errno(err, failed, "%s: cannot reserve %lld bytes",
                                        lock_path, (long long)len);
        }
    }
    close(fd);
    return status;
}

void trail__kv_file_hold_streams(bool held[3])
{
    memset(held, 0, 3 * sizeof held[0]);
    for (;;) {
        int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

        if (fd < 0) {
            return;
        }
        if (fd > 2) {
            close(fd);
            return;
        }
        held[fd] = true;
    }
}

void trail__kv_file_release_streams(const bool held[3])
{
    for (int fd = 0; fd < 3; fd++) {
        if (held[fd]) {
            close(fd);
        }
    }
}

void trail__kv_file_hold_size_signal(sigset_t *old_out)
{
    sigset_t size_signal;

    sigemptyset(&size_signal);
    sigaddset(&size_signal, SIGXFSZ);
    (void)pthread_sigmask(SIG_BLOCK, &size_signal, old_out);
}

void trail__kv_file_release_size_signal(const sigset_t *old)
{
    const struct timespec no_wait = { 0, 0 };
    sigset_t size_signal;

    if (!sigismember(old, SIGXFSZ)) {
        sigemptyset(&size_signal);
        sigaddset(&size_signal, SIGXFSZ);
        while (sigtimedwait(&size_signal, NULL, &no_wait) < 0 && errno == EINTR) {
        }
    }
    (void)pthread_sigmask(SIG_SETMASK, old, NULL);
}

int trail__kv_file_why_short(int fd)
{
    enum { NEARLY_NOTHING = 1 << 20 };
    struct statvfs disk;
    struct rlimit limit;
    struct stat file;

    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
        fstat(fd, &file) == 0 &&
        (uint64_t)file.st_size + PAGE_SIZE_MAX >= (uint64_t)limit.rlim_cur) {
        return EFBIG;
    }
    if (fstatvfs(fd, &disk) == 0 &&
        (uint64_t)disk.f_bavail * disk.f_frsize < NEARLY_NOTHING) {
        return ENOSPC;
    }
    return EIO;
}

void trail__kv_file_close_on_exec(int fd)
{
    enum { NEAR = 64 }; /* LMDB opens its second descriptor right after the first */
    struct stat file;
    struct stat other;

    if (fstat(fd, &file) != 0) {
        return;
    }
    for (int near = 3; near < fd + NEAR; near++) {
        if (fstat(near, &other) == 0 && other.st_dev == file.st_dev &&
            other.st_ino == file.st_ino) {
            int flags = fcntl(near, F_GETFD);

            if (flags >= 0) {
                (void)fcntl(near, F_SETFD, flags | FD_CLOEXEC);
            }
        }
    }
}

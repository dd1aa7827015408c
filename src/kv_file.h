/* kv_file.h - what must be right about LMDB's files before LMDB maps them.
 * Level 3: may include levels 0-1.
 * SPDX-License-Identifier: MIT
 *
 * LMDB trusts its files: a cut file is a SIGBUS, and so is a lock file with holes on a full
 * disk. What can be known before is checked here.
 */
#ifndef TRAIL_KV_FILE_H
#define TRAIL_KV_FILE_H

#include "trail.h"

#include <signal.h>

/* Both meta pages are LMDB's, and the file is as long as the newest one says. 'path' is
 * log.mdb. */
trail_status trail__kv_file_check(const char *path, trail_error *err);

/* Bytes that the longer of the two commits on record takes. False: no meta page can be read. */
bool trail__kv_file_needed(int fd, uint64_t *needed_out);

/* Allocate the lock file in full. Does nothing if it has its size already. */
trail_status trail__kv_file_lock_reserve(const char *lock_path, unsigned readers_max,
                                         trail_error *err);

/* Occupy the numbers 0, 1 and 2 while a file is opened, if they are free: else error texts of
 * the host would be written into it. 'held' is given back to release. */
void trail__kv_file_hold_streams(bool held[3]);
void trail__kv_file_release_streams(const bool held[3]);

/* A limit of file size (RLIMIT_FSIZE) must be an error, not the host's death by SIGXFSZ: hold
 * the signal back on this thread, and take away the one that came. */
void trail__kv_file_hold_size_signal(sigset_t *old_out);
void trail__kv_file_release_size_signal(const sigset_t *old);

/* LMDB calls it EIO when a write ended short: the errno that it was, ENOSPC on a full disk, EFBIG
 * at a limit of file size, else EIO. */
int trail__kv_file_why_short(int fd);

/* Mark every descriptor of this process on the same file as 'fd' close-on-exec. */
void trail__kv_file_close_on_exec(int fd);

#endif

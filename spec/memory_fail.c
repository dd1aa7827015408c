/* memory_fail.c - let the N-th call of a fault point, or the N-th malloc of the process, fail.
 * Test: includes memory.h, fault.h and index.h.
 * SPDX-License-Identifier: MIT
 */
#include "memory.h"

#include "fault.h"
#include "index.h"

#include <dirent.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *fail_point;
static bool fail_of_libc;

#ifdef FAIL_LIBC
/* The true ones under their other names; with AddressSanitizer those are its own, so that it sees
 * what is lost when an allocation fails. */
#ifdef __SANITIZE_ADDRESS__
#define TRUE_MALLOC __interceptor_malloc
#define TRUE_CALLOC __interceptor_calloc
#define TRUE_REALLOC __interceptor_realloc
#else
#define TRUE_MALLOC __libc_malloc
#define TRUE_CALLOC __libc_calloc
#define TRUE_REALLOC __libc_realloc
#endif

extern void *TRUE_MALLOC(size_t len);
extern void *TRUE_CALLOC(size_t count, size_t len);
extern void *TRUE_REALLOC(void *old, size_t len);

static unsigned long libc_first, libc_count;
static atomic_ulong libc_calls; /* several threads allocate */
static _Thread_local bool fails_here;

static bool libc_fails(void)
{
    unsigned long call;

    if (libc_first == 0 || !fails_here) {
        return false;
    }
    call = atomic_fetch_add(&libc_calls, 1) + 1;
    if (call < libc_first || call - libc_first >= libc_count) {
        return false;
    }
    errno = ENOMEM;
    return true;
}

void *malloc(size_t len)
{
    return libc_fails() ? NULL : TRUE_MALLOC(len);
}

void *calloc(size_t count, size_t len)
{
    return libc_fails() ? NULL : TRUE_CALLOC(count, len);
}

void *realloc(void *old, size_t len)
{
    return libc_fails() ? NULL : TRUE_REALLOC(old, len);
}
#endif

void fail_in_this_thread(void)
{
#ifdef FAIL_LIBC
    fails_here = true;
#endif
}

void fail_choose(const char *point)
{
    fail_in_this_thread();
    fail_point = point;
    fail_of_libc = strcmp(point, "libc") == 0;
}

bool fail_of_malloc(void)
{
    return fail_of_libc;
}

void fail_arm(unsigned long first, unsigned long count)
{
#ifdef FAIL_LIBC
    if (fail_of_libc) {
        atomic_store(&libc_calls, 0);
        libc_count = count;
        libc_first = first;
        return;
    }
#endif
    trail__fault_arm(strcmp(fail_point, "alloc") == 0 ? NULL : fail_point, first, count);
}

unsigned long fail_disarm(void)
{
    unsigned long calls;

#ifdef FAIL_LIBC
    if (fail_of_libc) {
        libc_first = 0;
        return atomic_load(&libc_calls);
    }
#endif
    calls = trail__fault_calls();
    trail__fault_arm(NULL, 1, 0);
    return calls;
}

unsigned held_by_process(void)
{
    static char room[1 << 16]; /* the file is long, and read often */
    char line[4096];
    unsigned held = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    DIR *files = opendir("/proc/self/fd");

    if (maps == NULL || files == NULL) {
        abort();
    }
    setvbuf(maps, room, _IOFBF, sizeof room);
    while (readdir(files) != NULL) {
        held++;
    }
    while (fgets(line, sizeof line, maps) != NULL) {
        held += strstr(line, "/log.mdb") != NULL;
    }
    closedir(files);
    fclose(maps);
    return held;
}

void remove_trail(const char *path)
{
    static const char *const names[] = { "/log.mdb", "/log.mdb-lock", "/log.mdb-gate",
                                         "" };
    char file[600];

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(file, sizeof file, "%s%s", path, names[i]);
        (void)remove(file);
    }
}

void index_shape(unsigned unit, unsigned fan, unsigned levels)
{
    trail__index_shape_set((trail__shape){ .unit = unit, .fan = fan, .levels = levels });
}

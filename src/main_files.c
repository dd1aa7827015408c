/* main_files.c - part of trail.host: write a file whole or not at all.
 * Edge: includes main_files.h, Lua and libc only.
 * SPDX-License-Identifier: MIT
 */
#include "main_files.h"

#include <lauxlib.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(lua_State *L)
{
    int failed = errno;

    lua_pushnil(L);
    lua_pushstring(L, strerror(failed));
    lua_pushboolean(L, failed == EEXIST);
    return 3;
}

static const char *kind_of(mode_t mode)
{
    if (S_ISDIR(mode)) {
        return "directory";
    }
    if (S_ISFIFO(mode) || S_ISCHR(mode) || S_ISSOCK(mode)) {
        return "stream";
    }
    return S_ISREG(mode) ? "file" : "other";
}

/* stat(path) -> "file", "directory", "stream" or "other", and a text that is the same for every
 * name of it; nil, message if nothing is there */
static int host_stat(lua_State *L)
{
    struct stat file;

    if (stat(luaL_checkstring(L, 1), &file) != 0) {
        return fail(L);
    }
    lua_pushstring(L, kind_of(file.st_mode));
    lua_pushfstring(L, "%I:%I", (LUAI_UACINT)file.st_dev, (LUAI_UACINT)file.st_ino);
    return 2;
}

/* The directory and the last component of a path. */
static void split(char *path, const char **dir_out, const char **name_out)
{
    char *slash = strrchr(path, '/');

    if (slash == NULL) {
        *dir_out = ".";
        *name_out = path;
        return;
    }
    *slash = '\0';
    *dir_out = slash == path ? "/" : path;
    *name_out = slash + 1;
}

/* Follow a link that leads to nothing: 'path' becomes what it says. False, and errno says EINVAL
 * or ENOENT: it is no link. */
static bool follow(char path[PATH_MAX])
{
    char target[PATH_MAX];
    char copy[PATH_MAX];
    const char *dir;
    const char *name;
    ssize_t len = readlink(path, target, sizeof target - 1);

    if (len < 0) {
        return false;
    }
    target[len] = '\0';
    memcpy(copy, path, PATH_MAX);
    split(copy, &dir, &name);
    if (target[0] == '/') {
        dir = "";
    }
    if (snprintf(path, PATH_MAX, "%s%s%s", dir, *dir != '\0' ? "/" : "", target) >=
        PATH_MAX) {
        errno = ENAMETOOLONG;
        return false;
    }
    return true;
}

/* real_path(path) -> where it leads, without links; what it leads to need not exist.
 * nil, message if its directory does not. */
static int host_real_path(lua_State *L)
{
    enum { LINKS_MAX = 40 };
    const char *given = luaL_checkstring(L, 1);
    char path[PATH_MAX];
    char found[PATH_MAX];
    const char *dir;
    const char *name;
    int links = 0;

    if (snprintf(path, sizeof path, "%s", given) >= (int)sizeof path) {
        errno = ENAMETOOLONG;
        return fail(L);
    }
    do {
        if (realpath(path, found) != NULL) {
            lua_pushstring(L, found);
            return 1;
        }
        if (errno != ENOENT || ++links > LINKS_MAX) {
            return fail(L);
        }
    } while (follow(path));
    if (errno == ENAMETOOLONG) {
        return fail(L);
    }
    split(path, &dir, &name);
    if (realpath(dir, found) == NULL) {
        return fail(L);
    }
    lua_pushfstring(L, "%s/%s", strcmp(found, "/") == 0 ? "" : found, name);
    return 1;
}

static int close_file(lua_State *L)
{
    luaL_Stream *stream = luaL_checkudata(L, 1, LUA_FILEHANDLE);

    return luaL_fileresult(L, fclose(stream->f) == 0, NULL);
}

/* create(path [, like]) -> file: a new file, as private as the file 'like'.
 * nil, message, whether the path is taken. */
static int host_create(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    const char *like = luaL_optstring(L, 2, NULL);
    luaL_Stream *stream = lua_newuserdatauv(L, sizeof *stream, 0);
    struct stat file;
    int fd;

    stream->closef = NULL;
    luaL_setmetatable(L, LUA_FILEHANDLE);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, like != NULL ? 0600 : 0666);
    if (fd < 0) {
        return fail(L);
    }
    if (like != NULL &&
        (stat(like, &file) != 0 || fchmod(fd, file.st_mode & 0777) != 0)) {
        int result = fail(L);

        close(fd);
        unlink(path);
        return result;
    }
    stream->f = fdopen(fd, "wb");
    if (stream->f == NULL) {
        int result = fail(L);

        close(fd);
        unlink(path);
        return result;
    }
    stream->closef = close_file;
    return 1;
}

static int open_directory_of(const char *path)
{
    char copy[PATH_MAX];
    const char *dir;
    const char *name;

    if (snprintf(copy, sizeof copy, "%s", path) >= (int)sizeof copy) {
        errno = ENAMETOOLONG;
        return -1;
    }
    split(copy, &dir, &name);
    return open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* publish(file, from, to) -> true: what was written into 'from' is on disk, and is 'to' from now
 * on. nil, message: 'to' is as it was; only if the disk fails to note the new name, 'to' may be
 * the new file or, after a crash, the old one. The file is closed either way. */
static int host_publish(lua_State *L)
{
    luaL_Stream *stream = luaL_checkudata(L, 1, LUA_FILEHANDLE);
    const char *from = luaL_checkstring(L, 2);
    const char *to = luaL_checkstring(L, 3);

    bool done;
    int failed;
    int dir;

    luaL_argcheck(L, stream->closef == close_file, 1, "not an open file of create()");
    dir = open_directory_of(to);
    done = dir >= 0 && fflush(stream->f) == 0 && fsync(fileno(stream->f)) == 0;
    failed = errno;
    stream->closef = NULL;
    if (fclose(stream->f) != 0 && done) {
        done = false;
        failed = errno;
    }
    if (done && (rename(from, to) != 0 || fsync(dir) != 0)) {
        done = false;
        failed = errno;
    }
    if (dir >= 0) {
        close(dir);
    }
    if (!done) {
        errno = failed;
        return fail(L);
    }
    lua_pushboolean(L, true);
    return 1;
}

void trail__add_files(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "stat", host_stat },
        { "real_path", host_real_path },
        { "create", host_create },
        { "publish", host_publish },
        { NULL, NULL },
    };

    luaL_setfuncs(L, functions, 0);
}

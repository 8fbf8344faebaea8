/* SPDX-License-Identifier: Apache-2.0 */
/* SQLite's file functions, counted. */
#include "config.h"

#include "tests/directory/dying_vfs.h"

#include <signal.h>
#include <sqlite3.h>
#include <unistd.h>

static sqlite3_vfs counting_vfs, *real_vfs;
static struct {
    sqlite3_io_methods counting;
    const sqlite3_io_methods *real;
} methods[4];                /* SQLite has some for files that it locks, others for journals */
static unsigned writes_left; /* 0: no kill */

static void tick(void)
{
    if (writes_left > 0 && --writes_left == 0)
        raise(SIGKILL);
}

static const sqlite3_io_methods *real_of(const sqlite3_file *file)
{
    size_t i = 0;

    while (file->pMethods != &methods[i].counting)
        i++;
    return methods[i].real;
}

static int counting_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 at)
{
    if (writes_left == 1)
        real_of(file)->xWrite(file, bytes, len / 2, at);
    tick();
    return real_of(file)->xWrite(file, bytes, len, at);
}

static int counting_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    tick();
    return real_of(file)->xTruncate(file, size);
}

static int counting_sync(sqlite3_file *file, int flags)
{
    tick();
    return real_of(file)->xSync(file, flags);
}

static int counting_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags)
{
    int rc = real_vfs->xOpen(vfs, name, file, flags, out_flags);

    for (size_t i = 0; rc == SQLITE_OK && file->pMethods && i < 4; i++) {
        if (!methods[i].real) {
            methods[i].real = file->pMethods;
            methods[i].counting = *file->pMethods;
            methods[i].counting.xWrite = counting_write;
            methods[i].counting.xTruncate = counting_truncate;
            methods[i].counting.xSync = counting_sync;
        }
        if (file->pMethods == methods[i].real) {
            file->pMethods = &methods[i].counting;
            break;
        }
    }
    return rc;
}

static int counting_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    tick();
    return real_vfs->xDelete(vfs, name, sync);
}

void die_at_write(unsigned n)
{
    real_vfs = sqlite3_vfs_find(NULL);
    counting_vfs = *real_vfs;
    counting_vfs.zName = "counting";
    counting_vfs.xOpen = counting_open;
    counting_vfs.xDelete = counting_delete;
    writes_left = n;
    if (sqlite3_vfs_register(&counting_vfs, 1) != SQLITE_OK)
        _exit(93);
}

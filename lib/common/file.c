/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int check_mode(const char *path, const struct stat *st, ekmotp_error *err)
{
    if (S_ISDIR(st->st_mode) || S_ISBLK(st->st_mode))
        return ekmotp_error_set(err, EKMOTP_E_IO, "%s: is not a file", path);
    if (S_ISREG(st->st_mode) && (st->st_mode & 077) != 0)
        return ekmotp_error_set(err, EKMOTP_E_IO,
                                "%s: mode %04o lets others use this secret; run: chmod 600 '%s'", path,
                                (unsigned)(st->st_mode & 07777), path);
    return 0;
}

static int read_all(int fd, const char *path, uint8_t *buf, size_t size, size_t *len, ekmotp_error *err)
{
    size_t n = 0;

    while (n < size) {
        ssize_t got = read(fd, buf + n, size - n);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return ekmotp_error_set(err, EKMOTP_E_IO, "%s: %s", path, strerror(errno));
        if (got == 0)
            break;
        n += (size_t)got;
    }
    *len = n;
    return 0;
}

int ek_file_read_secret(const char *path, size_t max, ek_secret **out, ekmotp_error *err)
{
    int rc, fd = -1, standard_input = strcmp(path, "-") == 0;
    const char *name = standard_input ? "standard input" : path;
    ek_secret *buf = NULL;
    struct stat st;
    size_t len = 0;

    /* One byte more than allowed, to see that a file is too long. */
    buf = ek_secret_new(NULL, max + 1);
    if (!buf) {
        rc = ekmotp_error_set(err, EKMOTP_E_NOMEM, "%s: out of memory", name);
        goto out;
    }
    fd = standard_input ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) != 0) {
        rc = ekmotp_error_set(err, EKMOTP_E_IO, "%s: %s", name, strerror(errno));
        goto out;
    }
    if (!standard_input && (rc = check_mode(path, &st, err)) != 0)
        goto out;
    if ((rc = read_all(fd, name, buf->bytes, buf->len, &len, err)) != 0)
        goto out;
    if (len == 0 || len > max) {
        rc = ekmotp_error_set(err, EKMOTP_E_LIMIT, "%s: %s (1 to %zu bytes are allowed)", name,
                              len == 0 ? "is empty" : "is too long", max);
        goto out;
    }
    *out = ek_secret_new(buf->bytes, len);
    rc = *out ? 0 : ekmotp_error_set(err, EKMOTP_E_NOMEM, "%s: out of memory", name);
out:
    if (fd >= 0)
        close(fd);
    ek_secret_free(&buf);
    return rc;
}

int ek_file_write_secret(const char *path, const uint8_t *bytes, size_t len, ekmotp_error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    size_t n = 0;
    int rc;

    if (fd < 0)
        return ekmotp_error_set(err, EKMOTP_E_IO, "%s: %s", path,
                                errno == EEXIST ? "exists already; it is not overwritten" : strerror(errno));
    while (n < len) {
        ssize_t put = write(fd, bytes + n, len - n);

        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            break;
        n += (size_t)put;
    }
    if (n < len || fsync(fd) != 0) {
        rc = ekmotp_error_set(err, EKMOTP_E_IO, "%s: %s", path, strerror(errno));
        close(fd);
        unlink(path);
        return rc;
    }
    if (close(fd) != 0) {
        rc = ekmotp_error_set(err, EKMOTP_E_IO, "%s: %s", path, strerror(errno));
        unlink(path);
        return rc;
    }
    return 0;
}

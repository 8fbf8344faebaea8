/* SPDX-License-Identifier: Apache-2.0 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "server/static_files.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PATH_SIZE 1024
#define RETRY_AFTER 5 /* seconds, where the system has no descriptor to spare */

/* openat2(2), which glibc does not wrap: the kernel itself keeps the path below the folder. */
static int open_below(int folder, const char *path, int flags)
{
    struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC),
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};

    return (int)syscall(SYS_openat2, folder, path, &how, sizeof(how));
}

int ek_static_open(const char *folder, int *fd, ekmotp_error *err)
{
    int probe, opened = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (opened < 0)
        return ekmotp_error_set(err, EKMOTP_E_IO, "static folder %s: %s", folder, strerror(errno));
    probe = open_below(opened, ".", O_PATH);
    if (probe < 0) {
        int saved = errno;

        close(opened);
        return ekmotp_error_set(err, EKMOTP_E_IO, "static folder %s: openat2: %s (it needs Linux 5.6)",
                                folder, strerror(saved));
    }
    close(probe);
    *fd = opened;
    return 0;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Percent-decodes; refuses malformed escapes, NUL, and segments that begin with a dot. */
static int decode(ek_slice in, char out[PATH_SIZE])
{
    size_t n = 0;

    for (size_t i = 0; i < in.len; i++) {
        char c = in.at[i];

        if (c == '%') {
            int hi = in.len - i > 2 ? hex_value(in.at[i + 1]) : -1;
            int lo = in.len - i > 2 ? hex_value(in.at[i + 2]) : -1;

            if (hi < 0 || lo < 0)
                return -1;
            c = (char)(hi << 4 | lo);
            i += 2;
        }
        if (c == '\0' || n + 1 >= PATH_SIZE || (c == '.' && (n == 0 || out[n - 1] == '/')))
            return -1;
        out[n++] = c;
    }
    out[n] = '\0';
    return 0;
}

static const char *type_of(const char *path)
{
    static const struct {
        const char *end, *type;
    } types[] = {
        {".html", "text/html; charset=utf-8"},
        {".txt", "text/plain; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".json", "application/json"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".jpg", "image/jpeg"},
        {".pdf", "application/pdf"},
        {".wasm", "application/wasm"},
    };
    size_t len = strlen(path);

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        size_t end = strlen(types[i].end);

        if (len > end && strcmp(path + len - end, types[i].end) == 0)
            return types[i].type;
    }
    return "application/octet-stream";
}

/* A regular file below the folder, or its index.html; -1 and errno if there is none. */
static int open_file(int folder, char path[PATH_SIZE], struct stat *st)
{
    size_t len = strlen(path);
    int fd = -1;

    errno = ENOENT;
    if (len > 0 && path[len - 1] != '/')
        fd = open_below(folder, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    else if (len + sizeof("index.html") <= PATH_SIZE)
        fd = open_below(folder, strcat(path, "index.html"), O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (fd >= 0 && (fstat(fd, st) != 0 || !S_ISREG(st->st_mode))) {
        close(fd);
        errno = ENOENT;
        return -1;
    }
    return fd;
}

void ek_static_answer(int folder, ek_slice path, ek_answer *answer)
{
    char decoded[PATH_SIZE];
    struct stat st;
    int fd = -1;

    if (decode(path, decoded) != 0) {
        ek_answer_init(answer, 404);
        return;
    }
    fd = open_file(folder, decoded, &st);
    if (fd < 0) {
        int busy = errno == EMFILE || errno == ENFILE || errno == ENOMEM;

        ek_answer_init(answer, busy ? 503 : 404);
        answer->retry_after = busy ? RETRY_AFTER : 0;
        return;
    }
    ek_answer_init(answer, 200);
    answer->type = type_of(decoded);
    answer->file = fd;
    answer->file_size = (uint64_t)st.st_size;
}

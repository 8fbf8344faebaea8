/* SPDX-License-Identifier: Apache-2.0 */
/* client_command_transfer.c: import and export. */
#include "config.h"

#include "lib/common/secret.h"
#include "server/client_command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINE_SIZE (EKMOTP_EXPORT_SIZE + 2) /* with the line end and the NUL */
#define BAR_WIDTH 30

/* An import file while it is read. */
typedef struct reader {
    const char *name;
    FILE *file;
    char *buffer; /* the stream's: holds keys, wiped at the end */
    int exposed;  /* others than the owner may read the file */
    off_t size;   /* 0: not known */
    off_t done;
    uint64_t line;
    int bar; /* a progress bar is drawn */
    struct timespec drawn;
} reader;

#define BUFFER_SIZE 65536

static int open_reader(const char *path, reader *r, ekmotp_error *err)
{
    struct stat st;
    int standard_input = strcmp(path, "-") == 0;

    memset(r, 0, sizeof(*r));
    r->name = standard_input ? "standard input" : path;
    r->file = standard_input ? stdin : fopen(path, "re");
    if (!r->file || fstat(fileno(r->file), &st) != 0)
        return ekmotp_error_set(err, EKMOTP_E_IO, "%s: %s", r->name, strerror(errno));
    if (S_ISDIR(st.st_mode))
        return ekmotp_error_set(err, EKMOTP_E_IO, "%s: is a folder", r->name);
    if (!(r->buffer = calloc(1, BUFFER_SIZE)))
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory");
    setvbuf(r->file, r->buffer, _IOFBF, BUFFER_SIZE);
    r->exposed = S_ISREG(st.st_mode) && !standard_input && (st.st_mode & 077) != 0;
    r->size = S_ISREG(st.st_mode) ? st.st_size : 0;
    r->bar = r->size > BUFFER_SIZE && isatty(STDERR_FILENO);
    return 0;
}

static void close_reader(reader *r)
{
    if (r->file)
        fclose(r->file);
    if (r->buffer)
        ek_wipe(r->buffer, BUFFER_SIZE);
    free(r->buffer);
}

/* Draws the bar ten times a second at most. */
static void draw(reader *r, int last)
{
    struct timespec now;
    int filled;

    if (!r->bar)
        return;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (!last && (now.tv_sec - r->drawn.tv_sec) * 1000 + (now.tv_nsec - r->drawn.tv_nsec) / 1000000 < 100)
        return;
    r->drawn = now;
    filled = (int)(r->done * BAR_WIDTH / r->size);
    fprintf(stderr, "\r[%.*s%*s] %3d %%  %llu clients%s", filled, "##############################",
            BAR_WIDTH - filled, "", (int)(r->done * 100 / r->size), (unsigned long long)r->line,
            last ? "\n" : "");
}

static int import_line(const ek_client_options *o, ekmotp_directory *directory, reader *r, char *line,
                       size_t len, ekmotp_error *err)
{
    const ekmotp_client_info info = {
        .hash = o->hash,
        .profiles = o->profiles ? o->profiles : EKMOTP_PROFILE_BIT(EKMOTP_PROFILE_V1),
        .disabled = o->disabled,
        .note = o->note,
        .keys[0] = {.not_before = o->not_before, .not_after = o->not_after},
    };
    ekmotp_error why = {0};
    int rc;

    if (len > 0 && line[len - 1] == '\n')
        len--;
    if (len > 0 && line[len - 1] == '\r')
        len--;
    if (len == 0)
        return 0;
    if (r->exposed && !memmem(line, len, " wrapped:", 9))
        return ekmotp_error_set(err, EKMOTP_E_IO,
                                "%s: holds plain keys and others than you may read it; run: chmod 600 '%s'",
                                r->name, r->name);
    rc = ekmotp_directory_import(directory, line, len, &info, &why);
    if (rc != 0)
        return ekmotp_error_set(err, rc, "%s: line %llu: %s", r->name, (unsigned long long)r->line,
                                why.message);
    return 0;
}

/* Reads a line with its end, NUL bytes and all; 0 at the end of the file. A full buffer is no whole line. */
static size_t read_line(FILE *from, char line[LINE_SIZE])
{
    size_t len = 0;
    int c;

    while (len < LINE_SIZE - 1 && (c = getc_unlocked(from)) != EOF) {
        line[len++] = (char)c;
        if (c == '\n')
            break;
    }
    line[len] = '\0';
    return len;
}

/* Editors of Windows put a byte order mark in front of the first line; it is no part of an id. */
static size_t mark_length(const reader *r, const char *line)
{
    return r->line == 1 && strncmp(line, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
}

static int import_lines(const ek_client_options *o, ekmotp_directory *directory, reader *r, ekmotp_error *err)
{
    char line[LINE_SIZE];
    size_t len, mark;
    int rc = 0;

    while (rc == 0 && (len = read_line(r->file, line)) > 0) {
        r->line++;
        r->done += (off_t)len;
        mark = mark_length(r, line);
        if (memchr(line, '\0', len))
            rc = ekmotp_error_set(err, EKMOTP_E_SYNTAX, "%s: line %llu: holds a NUL byte; is this UTF-16?",
                                  r->name, (unsigned long long)r->line);
        else if (len == sizeof(line) - 1 && line[len - 1] != '\n')
            rc = ekmotp_error_set(err, EKMOTP_E_SYNTAX, "%s: line %llu: is too long", r->name,
                                  (unsigned long long)r->line);
        else
            rc = import_line(o, directory, r, line + mark, len - mark, err);
        draw(r, 0);
    }
    if (rc == 0 && ferror(r->file))
        rc = ekmotp_error_set(err, EKMOTP_E_IO, "%s: %s", r->name, strerror(errno));
    draw(r, 1);
    ek_wipe(line, sizeof(line));
    return rc;
}

int ek_client_import(const ek_client_options *o, ekmotp_directory *directory, ekmotp_error *err)
{
    uint64_t before = 0, after = 0;
    reader r;
    int rc;

    if ((rc = open_reader(o->argument, &r, err)) != 0 || (rc = ekmotp_directory_begin(directory, err)) != 0)
        goto out;
    if ((rc = ekmotp_directory_count(directory, &before, err)) == 0 &&
        (rc = import_lines(o, directory, &r, err)) == 0 &&
        (rc = ekmotp_directory_count(directory, &after, err)) == 0)
        rc = ekmotp_directory_commit(directory, err);
    ekmotp_directory_rollback(directory);
    if (rc != 0)
        goto out;
    if (o->json)
        rc = ek_client_print_json(json_pack("{s:I}", "imported", (json_int_t)(after - before)), err);
    else
        printf("%llu client%s imported\n", (unsigned long long)(after - before),
               after - before == 1 ? "" : "s");
out:
    close_reader(&r);
    return rc;
}

/* Where an export goes. */
typedef struct writer {
    FILE *file;
    int json;
    uint64_t lines;
} writer;

static int write_line(void *ctx, const char *line, ekmotp_error *err)
{
    writer *w = ctx;
    int put =
        w->json ? fprintf(w->file, "%s\"%s\"", w->lines ? ",\n" : "", line) : fprintf(w->file, "%s\n", line);

    w->lines++;
    return put < 0 ? ekmotp_error_set(err, EKMOTP_E_IO, "the export cannot be written: %s", strerror(errno))
                   : 0;
}

int ek_client_export(const ek_client_options *o, ekmotp_directory *directory, ekmotp_error *err)
{
    writer w = {.file = stdout, .json = o->json};
    int rc, fd, failed;

    if (o->out) {
        fd = open(o->out, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0 || !(w.file = fdopen(fd, "w")))
            return ekmotp_error_set(err, EKMOTP_E_IO, "%s: %s", o->out,
                                    errno == EEXIST ? "exists already; it is not overwritten"
                                                    : strerror(errno));
    }
    if (w.json)
        fputs("{\"lines\":[", w.file);
    rc = ekmotp_directory_export(directory, &o->filter, write_line, &w, err);
    if (w.json && rc == 0)
        fputs("]}\n", w.file);
    if (!o->out)
        return rc;
    failed = fflush(w.file) != 0 || fsync(fileno(w.file)) != 0;
    failed |= fclose(w.file) != 0;
    if (rc == 0 && failed)
        rc = ekmotp_error_set(err, EKMOTP_E_IO, "%s: %s", o->out, strerror(errno));
    if (rc != 0)
        unlink(o->out);
    return rc;
}

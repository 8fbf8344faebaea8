/* SPDX-License-Identifier: Apache-2.0 */
/* directory.c: opening and closing. */
#include "config.h"

#include "lib/directory/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define WAIT_MS 10000

/* Copies the options; *kek_named: the caller named a key-encryption key. */
static int copy_options(ekmotp_directory *d, const char *path, const ekmotp_directory_options *options)
{
    d->crypto = options->crypto;
    d->open_token = options->open_token;
    d->open_token_ctx = options->open_token_ctx;
    d->read_only = options->read_only;
    d->wait_ms = options->wait_ms ? options->wait_ms : WAIT_MS;
    /* SQLite gives meaning to names like ":memory:" and "file:...". */
    if (asprintf(&d->file, "%s%s", path[0] == '/' ? "" : "./", path) < 0)
        d->file = NULL;
    d->path = strdup(path);
    if (options->kek) {
        d->kek_name = strdup(options->kek);
    } else if (asprintf(&d->kek_name, "%s.kek", path) < 0) {
        d->kek_name = NULL;
    }
    if (options->master)
        d->master_name = strdup(options->master);
    return d->path && d->file && d->kek_name && (d->master_name || !options->master) ? 0 : EKMOTP_E_NOMEM;
}

int ekmotp_directory_open(const char *path, const ekmotp_directory_options *options, ekmotp_directory **out,
                          unsigned *created, ekmotp_error *err)
{
    ekmotp_directory *d = NULL;
    unsigned made = 0;
    struct stat st;
    int rc, is_new;

    if (!path || !path[0] || !options || !options->crypto || !out)
        return ekmotp_error_set(err, EKMOTP_E_INVAL, "a directory needs a path and cryptography");
    d = calloc(1, sizeof(*d));
    if (!d || copy_options(d, path, options) != 0) {
        rc = ekmotp_error_set(err, EKMOTP_E_NOMEM, "%s: out of memory", path);
        goto out;
    }
    is_new = stat(d->file, &st) != 0;
    if (is_new && errno != ENOENT) {
        rc = ekmotp_error_set(err, EKMOTP_E_IO, "%s: %s", path, strerror(errno));
        goto out;
    }
    if (!is_new && !S_ISREG(st.st_mode)) {
        rc = ekmotp_error_set(err, EKMOTP_E_IO, "%s: is not a file", path);
        goto out;
    }
    is_new = is_new || st.st_size == 0;
    if (is_new && d->read_only) {
        rc = ekmotp_error_set(
            err, EKMOTP_E_IO,
            "%s: there is no directory; make one with: ekmotpd client add ID --directory '%s'", path, path);
        goto out;
    }
    /* The key first: a directory is not left behind without the key that it was made with. */
    if ((rc = ek_kek_open(d, options->kek != NULL, is_new, &made, err)) != 0 ||
        (rc = ek_store_open(d, &made, err)) != 0)
        goto out;
    *out = d;
    d = NULL;
    if (created)
        *created = made;
out:
    ekmotp_directory_free(&d);
    return rc;
}

void ekmotp_directory_free(ekmotp_directory **directory)
{
    ekmotp_directory *d;

    if (!directory || !(d = *directory))
        return;
    ek_store_close(d);
    ekmotp_key_free(&d->kek);
    ekmotp_key_free(&d->master);
    ek_secret_free(&d->record_key);
    ek_secret_free(&d->export_key);
    free(d->path);
    free(d->file);
    free(d->kek_name);
    free(d->master_name);
    free(d);
    *directory = NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "p11/pin.h"

#include "lib/common/file.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define REFUSED_MAX 32

typedef struct refused_pin {
    char *token;
    ek_secret *pin;
} refused_pin;

static pthread_mutex_t refused_lock = PTHREAD_MUTEX_INITIALIZER;
static refused_pin refused[REFUSED_MAX];
static size_t refused_next;

/* The path that a pin-source names: RFC 7512 section 2.4 leaves it open; a path and a file: URI are meant. */
static const char *source_path(const char *source)
{
    if (strncmp(source, "file:", 5) != 0)
        return source;
    source += 5;
    if (strncmp(source, "//localhost/", 12) == 0)
        return source + 11;
    if (strncmp(source, "///", 3) == 0)
        return source + 2;
    return source;
}

static int read_file(const char *source, const char *token, ek_secret **out, ekmotp_error *err)
{
    const char *path = source_path(source);
    ek_secret *text = NULL;
    size_t len;
    int rc;

    if (path[0] == '\0' || path[0] == '|')
        return ekmotp_error_set(err, EKMOTP_E_URI,
                                "token '%s': pin-source '%s' is no file; write pin-source=file:PATH", token,
                                source);
    /* Two bytes more than a PIN may have, for the line end. */
    rc = ek_file_read_secret(path, EKMOTP_PIN_MAX + 2, &text, err);
    if (rc == EKMOTP_E_LIMIT)
        rc = ekmotp_error_set(err, EKMOTP_E_PIN_MISSING,
                              "token '%s': the PIN file %s is empty or holds more than %d bytes", token, path,
                              EKMOTP_PIN_MAX);
    if (rc != 0)
        goto out;
    len = text->len;
    if (len > 0 && text->bytes[len - 1] == '\n')
        len--;
    if (len > 0 && len < text->len && text->bytes[len - 1] == '\r')
        len--;
    if (len == 0 || len > EKMOTP_PIN_MAX) {
        rc = ekmotp_error_set(err, EKMOTP_E_PIN_MISSING,
                              "token '%s': the PIN file %s holds a PIN of %zu bytes; 1 to %d are possible",
                              token, path, len, EKMOTP_PIN_MAX);
        goto out;
    }
    *out = ek_secret_new(text->bytes, len);
    rc = *out ? 0 : ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory for a PIN");
out:
    ek_secret_free(&text);
    return rc;
}

static int ask(const ekmotp_p11_options *options, const char *token, ek_secret **out, ekmotp_error *err)
{
    char pin[EKMOTP_PIN_MAX];
    int rc = options->pin(options->pin_ctx, token, pin, sizeof(pin), err);

    if (rc < 0)
        goto out;
    if (rc == 0 || rc > EKMOTP_PIN_MAX) {
        rc = ekmotp_error_set(err, EKMOTP_E_PIN_MISSING, "token '%s': no PIN was given", token);
        goto out;
    }
    *out = ek_secret_new(pin, (size_t)rc);
    rc = *out ? 0 : ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory for a PIN");
out:
    ek_wipe(pin, sizeof(pin));
    return rc;
}

int ek_pin_named(const ek_uri *uri, const ekmotp_p11_options *options)
{
    return (options && (options->pin_source || options->pin)) || ek_uri_pin_source(uri);
}

int ek_pin_get(const ek_uri *uri, const ekmotp_p11_options *options, const char *token, ek_secret **out,
               ekmotp_error *err)
{
    if (options && options->pin_source)
        return read_file(options->pin_source, token, out, err);
    if (ek_uri_pin_source(uri))
        return read_file(ek_uri_pin_source(uri), token, out, err);
    if (options && options->pin)
        return ask(options, token, out, err);
    return ekmotp_error_set(err, EKMOTP_E_PIN_MISSING,
                            "token '%s' wants a PIN and none was given; put it into a file of mode 0600 and "
                            "add pin-source=file:PATH to the URI, or name the file with --pin-source",
                            token);
}

void ek_pin_refused_add(const char *token, const ek_secret *pin)
{
    refused_pin *entry;

    if (ek_pin_refused(token, pin))
        return;
    pthread_mutex_lock(&refused_lock);
    entry = &refused[refused_next++ % REFUSED_MAX];
    free(entry->token);
    ek_secret_free(&entry->pin);
    entry->token = strdup(token);
    entry->pin = ek_secret_new(pin->bytes, pin->len);
    pthread_mutex_unlock(&refused_lock);
}

int ek_pin_refused(const char *token, const ek_secret *pin)
{
    int found = 0;

    pthread_mutex_lock(&refused_lock);
    for (size_t i = 0; i < REFUSED_MAX && !found; i++) {
        const refused_pin *entry = &refused[i];

        found = entry->token && entry->pin && strcmp(entry->token, token) == 0 &&
                entry->pin->len == pin->len && ek_equal(entry->pin->bytes, pin->bytes, pin->len);
    }
    pthread_mutex_unlock(&refused_lock);
    return found;
}

/* ---- taken ---- */

struct ek_pin_taken {
    ek_pin_taken *next;
    char *token;
    ek_secret *pin;
};

static pthread_mutex_t taken_lock = PTHREAD_MUTEX_INITIALIZER;
static ek_pin_taken *taken_first;

static void taken_destroy(ek_pin_taken *taken)
{
    free(taken->token);
    ek_secret_free(&taken->pin);
    free(taken);
}

ek_pin_taken *ek_pin_taken_add(const char *token, const ek_secret *pin)
{
    ek_pin_taken *taken = calloc(1, sizeof(*taken));

    if (!taken)
        return NULL;
    taken->token = strdup(token);
    taken->pin = ek_secret_new(pin->bytes, pin->len);
    if (!taken->token || !taken->pin) {
        taken_destroy(taken);
        return NULL;
    }
    pthread_mutex_lock(&taken_lock);
    taken->next = taken_first;
    taken_first = taken;
    pthread_mutex_unlock(&taken_lock);
    return taken;
}

void ek_pin_taken_free(ek_pin_taken **taken)
{
    if (!*taken)
        return;
    pthread_mutex_lock(&taken_lock);
    for (ek_pin_taken **at = &taken_first; *at; at = &(*at)->next)
        if (*at == *taken) {
            *at = (*taken)->next;
            break;
        }
    pthread_mutex_unlock(&taken_lock);
    taken_destroy(*taken);
    *taken = NULL;
}

ek_secret *ek_pin_taken_find(const char *token)
{
    ek_secret *pin = NULL;

    pthread_mutex_lock(&taken_lock);
    for (const ek_pin_taken *at = taken_first; at && !pin; at = at->next)
        if (strcmp(at->token, token) == 0)
            pin = ek_secret_new(at->pin->bytes, at->pin->len);
    pthread_mutex_unlock(&taken_lock);
    return pin;
}

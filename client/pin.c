/* SPDX-License-Identifier: Apache-2.0 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "client/pin.h"
#include "lib/common/file.h"
#include "lib/common/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

/* The length of a line without its end. */
static size_t line_length(const char *line, size_t len)
{
    if (len > 0 && line[len - 1] == '\n')
        len--;
    if (len > 0 && line[len - 1] == '\r')
        len--;
    return len;
}

/* The PIN in a credential; 0 if the service manager passed none. */
static int read_credential(char *pin, size_t size, ekmotp_error *err)
{
    const char *dir = getenv("CREDENTIALS_DIRECTORY");
    ek_secret *secret = NULL;
    char *path = NULL;
    int rc = 0;

    if (!dir || !*dir)
        return 0;
    if (asprintf(&path, "%s/%s", dir, EK_PIN_CREDENTIAL) < 0)
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory for a path");
    if (access(path, F_OK) != 0)
        goto out;
    /* Two bytes more for a line end. */
    rc = ek_file_read_secret(path, size + 2, &secret, err);
    if (rc == 0)
        secret->len = line_length((const char *)secret->bytes, secret->len);
    if (rc == EKMOTP_E_LIMIT || (rc == 0 && (secret->len == 0 || secret->len > size)))
        rc = ekmotp_error_set(err, EKMOTP_E_PIN_MISSING, "%.300s: a PIN has 1 to %zu bytes", path, size);
    if (rc != 0)
        goto out;
    memcpy(pin, secret->bytes, secret->len);
    rc = (int)secret->len;
out:
    ek_secret_free(&secret);
    free(path);
    return rc;
}

static volatile sig_atomic_t interrupted;

static void note_signal(int number)
{
    interrupted = number;
}

/* The terminal gives one line per read in its usual (canonical) mode. */
static int read_line(int tty, char *pin, size_t size, ekmotp_error *err)
{
    char line[EKMOTP_PIN_MAX + 2];
    ssize_t got;
    size_t len;
    int rc;

    do
        got = read(tty, line, sizeof(line));
    while (got < 0 && errno == EINTR && !interrupted);
    len = got > 0 ? line_length(line, (size_t)got) : 0;
    if (len == 0)
        rc = ekmotp_error_set(err, EKMOTP_E_PIN_MISSING, "no PIN was typed");
    else if (len == (size_t)got || len > size)
        rc = ekmotp_error_set(err, EKMOTP_E_PIN_MISSING, "a PIN has 1 to %zu bytes", size);
    else {
        memcpy(pin, line, len);
        rc = (int)len;
    }
    ek_wipe(line, sizeof(line));
    return rc;
}

/* Reads with the echo off, and puts it back also where a signal ends the program (which it does then). */
static int read_hidden(int tty, const struct termios *shown, char *pin, size_t size, ekmotp_error *err)
{
    static const int signals[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGTSTP};
    const size_t count = sizeof(signals) / sizeof(signals[0]);
    struct sigaction note = {.sa_handler = note_signal}, before[sizeof(signals) / sizeof(signals[0])];
    struct termios hidden = *shown;
    int rc;

    interrupted = 0;
    for (size_t i = 0; i < count; i++)
        sigaction(signals[i], &note, &before[i]);
    hidden.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
    /* FLUSH: what was typed before the question is not the answer. */
    if (tcsetattr(tty, TCSAFLUSH, &hidden) != 0)
        rc = ekmotp_error_set(err, EKMOTP_E_PIN_MISSING, "the terminal's echo cannot be switched off: %s",
                              strerror(errno));
    else
        rc = read_line(tty, pin, size, err);
    tcsetattr(tty, TCSAFLUSH, shown);
    for (size_t i = 0; i < count; i++)
        sigaction(signals[i], &before[i], NULL);
    if (interrupted)
        raise(interrupted);
    return rc;
}

static int prompt(const char *token, char *pin, size_t size, ekmotp_error *err)
{
    struct termios shown;
    int rc, tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

    if (tty < 0 || tcgetattr(tty, &shown) != 0) {
        rc = ekmotp_error_set(
            err, EKMOTP_E_PIN_MISSING,
            "token '%s' wants a PIN and there is no terminal to ask on; use --pin-source FILE", token);
    } else {
        dprintf(tty, "PIN of token '%s': ", token);
        rc = read_hidden(tty, &shown, pin, size, err);
        dprintf(tty, "\n");
    }
    if (tty >= 0)
        close(tty);
    return rc;
}

int ek_pin_credential(void *ctx, const char *token, char *pin, size_t size, ekmotp_error *err)
{
    int rc = read_credential(pin, size, err);

    (void)ctx;
    if (rc != 0)
        return rc;
    return ekmotp_error_set(err, EKMOTP_E_PIN_MISSING,
                            "token '%s' wants a PIN: name a file of mode 0600 with --pin-source or with "
                            "pin-source in the URI, or pass the systemd credential " EK_PIN_CREDENTIAL,
                            token);
}

int ek_pin_ask(void *ctx, const char *token, char *pin, size_t size, ekmotp_error *err)
{
    int rc = read_credential(pin, size, err);

    (void)ctx;
    return rc != 0 ? rc : prompt(token, pin, size, err);
}

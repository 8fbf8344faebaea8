/* SPDX-License-Identifier: Apache-2.0 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "client/text.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int ek_text_id(const char *text, uint8_t id[EKMOTP_ID_MAX], size_t *len, ekmotp_error *err)
{
    uint8_t bytes[EKMOTP_ID_MAX];
    size_t n = 0;

    for (const char *at = text; *at; n++) {
        if (n == sizeof(bytes))
            return ekmotp_error_set(err, EKMOTP_E_INVAL, "a client id has %d bytes at most", EKMOTP_ID_MAX);
        if (*at == '%') {
            int high = hex_digit(at[1]), low = high < 0 ? -1 : hex_digit(at[2]);

            if (low < 0)
                return ekmotp_error_set(
                    err, EKMOTP_E_INVAL,
                    "client id: '%%' at character %zu wants two hexadecimal digits (%%25 is a "
                    "percent sign)",
                    (size_t)(at - text) + 1);
            bytes[n] = (uint8_t)(high << 4 | low);
            at += 3;
        } else {
            bytes[n] = (uint8_t)*at++;
        }
    }
    if (n == 0)
        return ekmotp_error_set(err, EKMOTP_E_INVAL, "a client id has 1 to %d bytes", EKMOTP_ID_MAX);
    memcpy(id, bytes, n);
    *len = n;
    return 0;
}

void ek_text_show_id(const uint8_t *id, size_t len, char out[EK_TEXT_ID_SIZE])
{
    char *at = out;

    for (size_t i = 0; i < len && i < EKMOTP_ID_MAX; i++) {
        if (id[i] > ' ' && id[i] <= '~' && id[i] != '%')
            *at++ = (char)id[i];
        else
            at += snprintf(at, 4, "%%%02X", id[i]);
    }
    *at = '\0';
}

void ek_text_tame(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = '?';
}

int ek_text_seconds(const char *text, long *ms, ekmotp_error *err)
{
    char *end = NULL;
    double value;

    errno = 0;
    value = strtod(text, &end);
    if (errno != 0 || end == text || *end || !isfinite(value) || value < 0.001 || value > 86400)
        return ekmotp_error_set(err, EKMOTP_E_INVAL, "'%.100s' is not a time in seconds (0.001 to 86400)",
                                text);
    *ms = lround(value * 1000);
    return 0;
}

int ek_text_count(const char *text, unsigned long max, unsigned long *out, ekmotp_error *err)
{
    char *end = NULL;
    unsigned long value;

    errno = 0;
    value = strtoul(text, &end, 10);
    if (errno != 0 || !isdigit((unsigned char)text[0]) || *end || value == 0 || value > max)
        return ekmotp_error_set(err, EKMOTP_E_INVAL, "'%.100s' is not a number of 1 to %lu", text, max);
    *out = value;
    return 0;
}

int ek_text_file(const char *path, size_t max, char **out, size_t *len, ekmotp_error *err)
{
    int rc, standard_input = strcmp(path, "-") == 0;
    FILE *from = standard_input ? stdin : fopen(path, "rbe");
    size_t size = 0, n = 0;
    char *text = NULL;

    if (!from)
        return ekmotp_error_set(err, EKMOTP_E_INVAL, "%.300s: %s", path, strerror(errno));
    while (!feof(from) && n <= max) {
        char *more;

        if (n + 1 >= size) {
            size = size ? 2 * size : 4096;
            more = realloc(text, size);
            if (!more) {
                rc = ekmotp_error_set(err, EKMOTP_E_NOMEM, "%.300s: out of memory", path);
                goto out;
            }
            text = more;
        }
        n += fread(text + n, 1, size - n - 1, from);
        if (ferror(from)) {
            rc = ekmotp_error_set(err, EKMOTP_E_INVAL, "%.300s: %s", path, strerror(errno));
            goto out;
        }
    }
    if (n > max) {
        rc = ekmotp_error_set(err, EKMOTP_E_INVAL, "%.300s: has more than %zu bytes", path, max);
        goto out;
    }
    text[n] = '\0';
    *out = text;
    *len = n;
    text = NULL;
    rc = 0;
out:
    free(text);
    if (!standard_input)
        fclose(from);
    return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* configuration_file.c: the INI file, through libinih. */
#include "server/configuration.h"

#include <errno.h>
#include <ini.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEEN_MAX 64        /* settings that may stand once each */
#define LINE_MAX_SIZE 4096 /* bytes of a line: a PKCS#11 URI is longer than libinih's 200 */

typedef struct reader {
    FILE *file;
    const char *path;
    ek_config *config;
    unsigned line;
    int rc; /* of the first error */
    ekmotp_error *err;
    const ek_setting *seen[SEEN_MAX];
    size_t seen_count;
} reader;

static int fail(reader *r, const char *message)
{
    if (r->rc == 0)
        r->rc = ekmotp_error_set(r->err, EKMOTP_E_SYNTAX, "%s:%u: %s", r->path, r->line, message);
    return 0;
}

/* A line, as fgets reads it, but its length too: a NUL byte hides nothing. 0 at the end. */
static size_t get_line(char *to, size_t size, FILE *file)
{
    size_t len = 0;
    int c = 0;

    while (len + 1 < size && c != '\n' && (c = getc(file)) != EOF)
        to[len++] = (char)c;
    to[len] = '\0';
    return len;
}

/* get_line for libinih that counts lines and refuses what libinih would read in a way of its own. */
static char *read_line(char *to, int size, void *stream)
{
    reader *r = stream;
    size_t len;

    if (r->rc != 0 || (len = get_line(to, (size_t)size, r->file)) == 0)
        return NULL;
    r->line++;
    if (strlen(to) < len) {
        fail(r, "the line holds a NUL byte; is this UTF-16?");
        return NULL;
    }
    if (to[len - 1] != '\n' && !feof(r->file)) {
        char message[64];

        snprintf(message, sizeof(message), "the line is longer than %d bytes", size - 2);
        fail(r, message);
        return NULL;
    }
    if ((to[0] == ' ' || to[0] == '\t') && to[strspn(to, " \t\r\n")] != '\0') {
        fail(r, "the line begins with white space; continued lines are not known here");
        return NULL;
    }
    if (to[0] == '[' && strchr(to, ']')) {
        char section[64] = "", message[128];

        snprintf(section, sizeof(section), "%.*s", (int)strcspn(to + 1, "]"), to + 1);
        if (!ek_setting_section_known(section)) {
            snprintf(message, sizeof(message), "there is no section [%s]", section);
            fail(r, message);
            return NULL;
        }
    }
    return to;
}

static int take_value(void *user, const char *section, const char *name, const char *value)
{
    reader *r = user;
    const ek_setting *setting;
    ekmotp_error detail = {0};
    char message[EKMOTP_ERROR_MESSAGE_SIZE];

    if (r->rc != 0)
        return 0;
    setting = ek_setting_find(section, name);
    if (!setting) {
        snprintf(message, sizeof(message), "there is no setting '%.60s' in section [%.60s]", name, section);
        return fail(r, message);
    }
    if (!ek_setting_is_list(setting)) {
        for (size_t i = 0; i < r->seen_count; i++) {
            if (r->seen[i] == setting) {
                snprintf(message, sizeof(message), "%s stands twice", name);
                return fail(r, message);
            }
        }
        if (r->seen_count < SEEN_MAX)
            r->seen[r->seen_count++] = setting;
    }
    if (ek_setting_set(setting, r->config, value, &detail) != 0) {
        snprintf(message, sizeof(message), "%s: %.400s", name, detail.message);
        return fail(r, message);
    }
    return 1;
}

int ek_config_read(ek_config *config, const char *path, ekmotp_error *err)
{
    reader r = {.path = path, .config = config, .err = err};
    int line;

    r.file = fopen(path, "re");
    if (!r.file)
        return ekmotp_error_set(err, EKMOTP_E_IO, "%s: %s", path, strerror(errno));
    ini_max_line = LINE_MAX_SIZE;
    ini_allow_multiline = false;
    ini_allow_bom = false;
    line = ini_parse_stream(read_line, &r, take_value, &r);
    if (r.rc == 0 && ferror(r.file))
        r.rc = ekmotp_error_set(err, EKMOTP_E_IO, "%s: %s", path, strerror(errno ? errno : EIO));
    if (r.rc == 0 && line > 0) {
        r.line = (unsigned)line;
        fail(&r, "neither [section] nor name = value");
    } else if (r.rc == 0 && line < 0) {
        r.rc = ekmotp_error_set(err, EKMOTP_E_NOMEM, "%s: out of memory", path);
    }
    fclose(r.file);
    return r.rc;
}

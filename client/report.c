/* SPDX-License-Identifier: Apache-2.0 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "client/report.h"
#include "client/text.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const char *proof_name(const ek_answer *answer)
{
    static const char *const names[] = {"none", "good", "bad"};

    return names[answer->proof];
}

static const char *http_name(CURL *curl)
{
    long version = 0;

    curl_easy_getinfo(curl, CURLINFO_HTTP_VERSION, &version);
    return version == CURL_HTTP_VERSION_2_0 ? "2" : version == CURL_HTTP_VERSION_1_1 ? "1.1" : "1.0";
}

/* A URL or a message can hold bytes that are no UTF-8, which JSON cannot: they become %XX. */
static json_t *text(const char *value)
{
    json_t *plain = json_string(value), *escaped = NULL;
    char *copy, *at;

    if (plain)
        return plain;
    copy = at = calloc(3 * strlen(value) + 1, 1);
    if (!copy)
        return NULL;
    for (; *value; value++)
        if ((unsigned char)*value < 0x80)
            *at++ = *value;
        else
            at += sprintf(at, "%%%02X", (unsigned char)*value);
    *at = '\0';
    escaped = json_string(copy);
    free(copy);
    return escaped;
}

static json_t *build(const ek_report *report)
{
    static const char *const carriers[] = {"header", "jws", "jwe"};
    const ek_request_options *options = report->options;
    const ek_binding_state *state = report->state;
    long status = 0, connections = 0;
    double seconds = 0;
    const char *last = NULL;
    char id[EK_TEXT_ID_SIZE];
    json_t *root;

    curl_easy_getinfo(report->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(report->curl, CURLINFO_NUM_CONNECTS, &connections);
    curl_easy_getinfo(report->curl, CURLINFO_TOTAL_TIME, &seconds);
    curl_easy_getinfo(report->curl, CURLINFO_EFFECTIVE_URL, &last);
    ek_text_show_id(options->id, options->id_len, id);
    root = json_pack("{s:o, s:o, s:i, s:I, s:s, s:f, s:I, s:s, s:s, s:s, s:b, s:I, s:s, s:I, s:o}", "url",
                     text(report->url), "last_url", text(last ? last : report->url), "exit",
                     report->exit_code, "status", (json_int_t)status, "http", http_name(report->curl),
                     "seconds", seconds, "new_connections", (json_int_t)connections, "id", id, "profile",
                     ekmotp_profile_name(options->key.profile), "carrier", carriers[options->carrier],
                     "credentials", state->bound, "n", (json_int_t)state->n, "server_proof",
                     proof_name(report->answer), "body_bytes", (json_int_t)report->answer->body_len, "error",
                     text(report->error));
    if (root && state->tls.version[0])
        json_object_set_new(root, "tls",
                            json_pack("{s:s, s:s, s:s, s:s}", "version", state->tls.version, "cipher",
                                      state->tls.cipher, "group", state->tls.group, "description",
                                      state->tls.text));
    if (root && state->derived)
        json_object_set_new(root, "derived", json_string(state->derived));
    return root;
}

int ek_report_write(FILE *to, const ek_report *report, ekmotp_error *err)
{
    json_t *root = build(report);
    char *line = root ? json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    int rc = 0;

    if (!line)
        rc = ekmotp_error_set(err, EKMOTP_E_NOMEM, "the report of a request cannot be built");
    else if (fprintf(to, "%s\n", line) < 0 || fflush(to) != 0)
        rc = ekmotp_error_set(err, EKMOTP_E_IO, "the report cannot be written: %s", strerror(errno));
    free(line);
    json_decref(root);
    return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
/* request_command.c: "ekmotp request". */
#include "client/command.h"
#include "client/report.h"
#include "client/request_options.h"
#include "client/transfer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* All that one run of the command holds. */
typedef struct request {
    const char *name;
    ek_request_options options;
    ek_key_source key;
    ek_binding *binding;
    ek_answer answer;
    CURL *curl;
    FILE *report;
    ekmotp_error err; /* of the last request */
} request;

__attribute__((format(printf, 2, 3))) static void say(const request *r, const char *format, ...)
{
    va_list args;

    if (r->options.silent && !r->options.show_error)
        return;
    fprintf(stderr, "%s: ", r->name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

static int fail(const request *r, const ekmotp_error *err)
{
    say(r, "%s", err->message[0] ? err->message : ekmotp_strerror(err->code));
    return ek_exit_of(err->code);
}

static int open_report(request *r, ekmotp_error *err)
{
    const char *path = r->options.report;

    if (!path)
        return 0;
    r->report = strcmp(path, "-") == 0 ? stderr : fopen(path, "wbe");
    if (!r->report)
        return ekmotp_error_set(err, EKMOTP_E_INVAL, "%.300s: %s", path, strerror(errno));
    return 0;
}

static int open_all(request *r, ekmotp_error *err)
{
    const ek_request_options *o = &r->options;
    const ek_answer_options no_binding = {
        .output = o->output,
        .include = o->include,
        .show_secrets = o->show_derived,
        .expect_server_proof = o->key.profile == EKMOTP_PROFILE_V1,
        .require_server_proof = o->require_server_proof,
    };
    ek_answer_options answer_options = no_binding;
    ek_binding_options binding_options = {
        .id = o->id,
        .id_len = o->id_len,
        .profile = o->key.profile,
        .carrier = o->carrier,
        .claims = o->claims,
        .groups = o->groups,
        .require_server_proof = o->require_server_proof,
        .show_derived = o->show_derived,
    };
    int rc;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "libcurl does not start");
    if ((rc = open_report(r, err)) != 0 || (rc = ek_key_source_open(&o->key, &r->key, err)) != 0)
        return rc;
    binding_options.key = r->key.key;
    if ((rc = ek_binding_new(&binding_options, &r->binding, err)) != 0)
        return rc;
    answer_options.binding = r->binding;
    ek_answer_init(&r->answer, &answer_options);
    return ek_transfer_new(o, r->binding, &r->answer, &r->curl, err);
}

static void close_all(request *r)
{
    /* The handle first: closing a connection still reads the header list. */
    curl_easy_cleanup(r->curl);
    ek_binding_free(&r->binding);
    ek_key_source_close(&r->key);
    if (r->report && r->report != stderr)
        fclose(r->report);
    curl_global_cleanup();
    ek_request_options_clear(&r->options);
}

static void tell_derived(const request *r)
{
    const ek_binding_state *state = ek_binding_last(r->binding);

    if (state->derived)
        fprintf(stderr, "%s: derived value (a secret, shown because of --show-derived): %s\n", r->name,
                state->derived);
}

static void tell_connection(const request *r)
{
    const ek_binding_state *state = ek_binding_last(r->binding);

    if (!r->options.verbose || !state->called)
        return;
    fprintf(stderr, "* %s: %s, cipher %s, group %s %s\n", r->name, state->version, state->cipher,
            state->group, state->description);
    if (!state->bound)
        fprintf(stderr, "* %s: another origin: it got no credentials\n", r->name);
    else if (state->n > 0)
        fprintf(stderr, "* %s: bound to %s connection, n = %" PRIu64 "\n", r->name,
                state->new_connection ? "a new" : "the same", state->n);
}

/* The exit code that a status stands for, and what to say about it. */
static int judge_status(request *r)
{
    long status = 0;

    curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 200 && status < 300)
        return EK_EXIT_OK;
    if (status != 401) {
        ekmotp_error_set(&r->err, EKMOTP_E_INVAL, "the server answered with status %ld%s", status,
                         status >= 300 && status < 400 && !r->options.follow ? " (-L follows redirects)"
                                                                             : "");
        return EK_EXIT_STATUS;
    }
    if (!ek_binding_last(r->binding)->bound)
        ekmotp_error_set(&r->err, EKMOTP_E_INVAL,
                         "refused (401) by another origin, to which the redirect led; it got no credentials");
    else if (!r->answer.challenged)
        ekmotp_error_set(&r->err, EKMOTP_E_INVAL,
                         "refused (401), but not by an ekmotp server: the answer asks for other credentials");
    else
        ekmotp_error_set(
            &r->err, EKMOTP_E_INVAL,
            "refused (401): unknown client id, wrong key, a profile that is not offered, or something "
            "that intercepts TLS; the server's log says which");
    return EK_EXIT_REFUSED;
}

static int run_one(request *r, size_t which)
{
    const char *url = r->options.urls[which];
    ek_report report = {.options = &r->options, .url = url, .curl = r->curl, .answer = &r->answer};
    ekmotp_error err = {0};
    int rc;

    memset(&r->err, 0, sizeof(r->err));
    rc = ek_transfer_run(r->curl, url, &r->options.origins[which], r->binding, &r->answer, &r->err);
    tell_connection(r);
    tell_derived(r);
    rc = rc != 0 ? ek_exit_of(rc) : judge_status(r);
    if (r->answer.err.code == EKMOTP_E_IO)
        rc = EK_EXIT_INTERNAL;
    if (rc != EK_EXIT_OK)
        say(r, "%s: %s", url, r->err.message);
    if (!r->report)
        return rc;
    report.state = ek_binding_last(r->binding);
    report.exit_code = rc;
    report.error = r->err.message;
    if (ek_report_write(r->report, &report, &err) != 0 && rc == EK_EXIT_OK) {
        fail(r, &err);
        rc = EK_EXIT_INTERNAL;
    }
    return rc;
}

/* Every request is tried as long as servers answer; the first failure is the command's. */
static int run_all(request *r)
{
    int first = EK_EXIT_OK;

    for (unsigned long round = 0; round < r->options.repeat; round++)
        for (size_t i = 0; i < r->options.url_count; i++) {
            int rc = run_one(r, i);

            if (first == EK_EXIT_OK)
                first = rc;
            if (rc != EK_EXIT_OK && rc != EK_EXIT_STATUS && rc != EK_EXIT_REFUSED)
                return first;
        }
    return first;
}

int ek_command_request(int argc, char **argv)
{
    request r = {.name = argv[0]};
    ekmotp_error err = {0};
    int rc;

    ek_request_options_parse(argc, argv, &r.options);
    rc = open_all(&r, &err) == 0 ? run_all(&r) : fail(&r, &err);
    if (ek_answer_close(&r.answer, &err) != 0 && rc == EK_EXIT_OK) {
        fail(&r, &err);
        rc = EK_EXIT_INTERNAL;
    }
    close_all(&r);
    return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "client/command.h"
#include "client/exchange.h"
#include "client/report.h"
#include "client/text.h"
#include "client/transfer.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

__attribute__((format(printf, 2, 3))) static void say(const ek_request *r, const char *format, ...)
{
    char *text = NULL;
    va_list args;
    int len;

    if (r->options.silent && !r->options.show_error)
        return;
    va_start(args, format);
    len = vasprintf(&text, format, args);
    va_end(args);
    if (len < 0)
        return;
    /* libcurl's messages quote the certificate and the answer. */
    ek_text_tame(text);
    fprintf(stderr, "%s: %s\n", r->name, text);
    free(text);
}

int ek_request_fail(const ek_request *request, const ekmotp_error *err)
{
    say(request, "%s", err->message[0] ? err->message : ekmotp_strerror(err->code));
    return ek_exit_of(err->code);
}

int ek_request_goes_on(int exit_code)
{
    return exit_code == EK_EXIT_OK || exit_code == EK_EXIT_STATUS || exit_code == EK_EXIT_REFUSED;
}

int ek_exchange_open(ek_exchange *exchange, ek_request *request, ekmotp_error *err)
{
    const ek_request_options *o = &request->options;
    const ek_binding_options binding_options = {
        .connections = &request->connections,
        .key = request->key.key,
        .id = o->id,
        .id_len = o->id_len,
        .profile = o->key.profile,
        .carrier = o->carrier,
        .claims = o->claims,
        .groups = o->groups,
        .require_server_proof = o->require_server_proof,
        .show_derived = o->show_derived,
    };
    ek_answer_options answer_options = {
        .output = &request->output,
        .hold = o->parallel > 1,
        .include = o->include,
        .show_secrets = o->show_derived,
        .expect_server_proof = o->key.profile == EKMOTP_PROFILE_V1,
        .require_server_proof = o->require_server_proof,
    };
    int rc;

    memset(exchange, 0, sizeof(*exchange));
    exchange->request = request;
    rc = ek_binding_new(&binding_options, &exchange->binding, err);
    if (rc != 0)
        return rc;
    answer_options.binding = exchange->binding;
    ek_answer_init(&exchange->answer, &answer_options);
    rc = ek_transfer_new(o, exchange->binding, &exchange->answer, &exchange->curl, err);
    if (rc != 0) {
        ek_exchange_close(exchange);
        return rc;
    }
    curl_easy_setopt(exchange->curl, CURLOPT_ERRORBUFFER, exchange->detail);
    curl_easy_setopt(exchange->curl, CURLOPT_PRIVATE, exchange);
    return 0;
}

void ek_exchange_close(ek_exchange *exchange)
{
    /* The handle first: it holds the header list, which is the binding's. */
    curl_easy_cleanup(exchange->curl);
    ek_answer_clear(&exchange->answer);
    ek_binding_free(&exchange->binding);
}

int ek_exchange_begin(ek_exchange *exchange, size_t which, ekmotp_error *err)
{
    const ek_request_options *o = &exchange->request->options;

    exchange->url = o->urls[which];
    exchange->detail[0] = '\0';
    memset(&exchange->err, 0, sizeof(exchange->err));
    return ek_transfer_begin(exchange->curl, exchange->url, &o->origins[which], exchange->binding,
                             &exchange->answer, err);
}

static void tell_derived(const ek_exchange *x)
{
    const ek_binding_state *state = ek_binding_last(x->binding);

    if (state->derived)
        fprintf(stderr, "%s: derived value (a secret, shown because of --show-derived): %s\n",
                x->request->name, state->derived);
}

static void tell_connection(const ek_exchange *x)
{
    const ek_binding_state *state = ek_binding_last(x->binding);

    if (!x->request->options.verbose || !state->called)
        return;
    fprintf(stderr, "* %s: %s, cipher %s, group %s %s\n", x->request->name, state->tls.version,
            state->tls.cipher, state->tls.group, state->tls.text);
    if (!state->bound)
        fprintf(stderr, "* %s: another origin: it got no credentials\n", x->request->name);
    else if (state->n > 0)
        fprintf(stderr, "* %s: bound to %s connection, n = %" PRIu64 "\n", x->request->name,
                state->new_connection ? "a new" : "the same", state->n);
}

/* The exit code that a status stands for, and what to say about it. */
static int judge_status(ek_exchange *x)
{
    long status = 0;

    curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 200 && status < 300)
        return EK_EXIT_OK;
    if (status != 401) {
        ekmotp_error_set(
            &x->err, EKMOTP_E_INVAL, "the server answered with status %ld%s", status,
            status >= 300 && status < 400 && !x->request->options.follow ? " (-L follows redirects)" : "");
        return EK_EXIT_STATUS;
    }
    if (!ek_binding_last(x->binding)->bound)
        ekmotp_error_set(&x->err, EKMOTP_E_INVAL,
                         "refused (401) by another origin, to which the redirect led; it got no credentials");
    else if (!x->answer.challenged)
        ekmotp_error_set(&x->err, EKMOTP_E_INVAL,
                         "refused (401), but not by an ekmotp server: the answer asks for other credentials");
    else
        ekmotp_error_set(
            &x->err, EKMOTP_E_INVAL,
            "refused (401): unknown client id, wrong key, a profile that is not offered, %sor something "
            "that intercepts TLS; the server's log says which",
            x->request->options.carrier == EK_CARRIER_HEADER ? "" : "claims that the server does not take, ");
    return EK_EXIT_REFUSED;
}

/* Writes the report of a request; that it cannot be written is the exit code only where all else went well.
 */
static int report(ek_exchange *x, int exit_code)
{
    const ek_report line = {.options = &x->request->options,
                            .url = x->url,
                            .curl = x->curl,
                            .state = ek_binding_last(x->binding),
                            .answer = &x->answer,
                            .exit_code = exit_code,
                            .error = x->err.message};
    ekmotp_error err = {0};

    if (!x->request->report || ek_report_write(x->request->report, &line, &err) == 0)
        return exit_code;
    ek_request_fail(x->request, &err);
    return exit_code == EK_EXIT_OK ? EK_EXIT_INTERNAL : exit_code;
}

int ek_exchange_end(ek_exchange *x, CURLcode code)
{
    int rc = ek_transfer_end(x->curl, code, x->detail, x->binding, &x->answer, &x->err);

    tell_connection(x);
    tell_derived(x);
    /* A file that cannot be written is this machine's fault; in keys the same code means a bad key file. */
    if (rc == EKMOTP_E_IO)
        rc = EK_EXIT_INTERNAL;
    else
        rc = rc != 0 ? ek_exit_of(rc) : judge_status(x);
    if (rc != EK_EXIT_OK)
        say(x->request, "%s: %s", x->url, x->err.message);
    return report(x, rc);
}

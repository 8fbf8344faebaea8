/* SPDX-License-Identifier: Apache-2.0 */
/* request_command.c: "ekmotp request". */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "client/command.h"
#include "client/exchange.h"
#include "client/tls.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int open_report(ek_request *r, ekmotp_error *err)
{
    const char *path = r->options.report;

    if (!path)
        return 0;
    r->report = strcmp(path, "-") == 0 ? stderr : fopen(path, "wbe");
    if (!r->report)
        return ekmotp_error_set(err, EKMOTP_E_INVAL, "%.300s: %s", path, strerror(errno));
    return 0;
}

/* What a client binding says to id, profile and key, before anything is sent. */
static int check_binding(const ek_request *r, ekmotp_error *err)
{
    const ek_request_options *o = &r->options;
    ekmotp_client *client = NULL;
    int rc = ekmotp_client_new(ek_tls_crypto(), r->key.key, o->id, o->id_len, o->key.profile, &client, err);

    ekmotp_client_free(&client);
    return rc;
}

static int open_all(ek_request *r, ekmotp_error *err)
{
    int rc;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "libcurl does not start");
    r->output.path = r->options.output;
    rc = open_report(r, err);
    if (rc == 0)
        rc = ek_key_source_open(&r->options.key, &r->key, err);
    return rc != 0 ? rc : check_binding(r, err);
}

static void close_all(ek_request *r)
{
    ek_connections_clear(&r->connections);
    ek_key_source_close(&r->key);
    if (r->report && r->report != stderr)
        fclose(r->report);
    curl_global_cleanup();
    ek_request_options_clear(&r->options);
}

/* One after the other. Every request is tried as long as servers answer; the first failure is the command's.
 */
static int run_in_turn(ek_request *r)
{
    ek_exchange exchange;
    ekmotp_error err = {0};
    int first = EK_EXIT_OK, last = EK_EXIT_OK;

    if (ek_exchange_open(&exchange, r, &err) != 0)
        return ek_request_fail(r, &err);
    for (unsigned long round = 0; round < r->options.repeat && ek_request_goes_on(last); round++)
        for (size_t i = 0; i < r->options.url_count && ek_request_goes_on(last); i++) {
            if (ek_exchange_begin(&exchange, i, &err) != 0)
                last = ek_request_fail(r, &err);
            else
                last = ek_exchange_end(&exchange, curl_easy_perform(exchange.curl));
            if (first == EK_EXIT_OK)
                first = last;
        }
    ek_exchange_close(&exchange);
    return first;
}

int ek_command_request(int argc, char **argv)
{
    ek_request r = {.name = argv[0]};
    ekmotp_error err = {0};
    int rc;

    ek_request_options_parse(argc, argv, &r.options);
    if (open_all(&r, &err) != 0)
        rc = ek_request_fail(&r, &err);
    else
        rc = r.options.parallel > 1 ? ek_request_parallel(&r) : run_in_turn(&r);
    if (ek_output_close(&r.output, &err) != 0 && rc == EK_EXIT_OK) {
        ek_request_fail(&r, &err);
        rc = EK_EXIT_INTERNAL;
    }
    close_all(&r);
    return rc;
}

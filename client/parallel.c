/* SPDX-License-Identifier: Apache-2.0 */
/* parallel.c: several requests at once, on one connection where that is HTTP/2. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "client/command.h"
#include "client/exchange.h"

#include <stdlib.h>

#define WAIT_MS 1000 /* libcurl wakes earlier whenever there is something to do */

typedef struct parallel {
    ek_request *request;
    CURLM *multi;
    ek_exchange *exchanges; /* options.parallel of them */
    size_t open;            /* how many are set up */
    unsigned long started, total;
    int running;
    int first; /* exit code: the first failure */
    int stop;  /* nothing more is started */
} parallel;

static void note(parallel *p, int exit_code)
{
    if (p->first == EK_EXIT_OK)
        p->first = exit_code;
    p->stop |= !ek_request_goes_on(exit_code);
}

/* Starts the next request on a handle that is free, if there is one to start. */
static void start(parallel *p, ek_exchange *exchange)
{
    ekmotp_error err = {0};
    size_t which = p->started % p->request->options.url_count;

    if (p->stop || p->started == p->total)
        return;
    p->started++;
    if (ek_exchange_begin(exchange, which, &err) == 0 &&
        curl_multi_add_handle(p->multi, exchange->curl) == CURLM_OK) {
        p->running++;
        return;
    }
    if (err.code == 0)
        ekmotp_error_set(&err, EKMOTP_E_NOMEM, "out of memory for the request");
    note(p, ek_request_fail(p->request, &err));
}

static void collect(parallel *p)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(p->multi, &left)) != NULL) {
        CURL *curl = message->easy_handle;
        CURLcode code = message->data.result;
        ek_exchange *exchange = NULL;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(curl, CURLINFO_PRIVATE, (char **)&exchange);
        curl_multi_remove_handle(p->multi, curl);
        p->running--;
        note(p, ek_exchange_end(exchange, code));
        start(p, exchange);
    }
}

static int set_up(parallel *p, ekmotp_error *err)
{
    const ek_request_options *o = &p->request->options;
    int rc;

    p->multi = curl_multi_init();
    p->exchanges = calloc(o->parallel, sizeof(*p->exchanges));
    if (!p->multi || !p->exchanges ||
        curl_multi_setopt(p->multi, CURLMOPT_MAXCONNECTS, (long)EK_CONNECTIONS_OPEN) != CURLM_OK ||
        curl_multi_setopt(p->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)EK_CONNECTIONS_OPEN) != CURLM_OK)
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory for the requests");
    for (; p->open < o->parallel && p->open < p->total; p->open++)
        if ((rc = ek_exchange_open(&p->exchanges[p->open], p->request, err)) != 0)
            return rc;
    return 0;
}

int ek_request_parallel(ek_request *request)
{
    parallel p = {.request = request, .total = request->options.repeat * request->options.url_count};
    CURLMcode code = CURLM_OK;
    ekmotp_error err = {0};
    int active;

    if (set_up(&p, &err) != 0) {
        note(&p, ek_request_fail(request, &err));
        goto out;
    }
    for (size_t i = 0; i < p.open; i++)
        start(&p, &p.exchanges[i]);
    while (p.running > 0 && code == CURLM_OK) {
        code = curl_multi_perform(p.multi, &active);
        collect(&p);
        if (code == CURLM_OK && p.running > 0)
            code = curl_multi_poll(p.multi, NULL, 0, WAIT_MS, NULL);
    }
    if (code != CURLM_OK) {
        ekmotp_error_set(&err, EKMOTP_E_NOMEM, "libcurl: %s", curl_multi_strerror(code));
        note(&p, ek_request_fail(request, &err));
    }
out:
    for (size_t i = 0; i < p.open; i++)
        ek_exchange_close(&p.exchanges[i]);
    curl_multi_cleanup(p.multi);
    free(p.exchanges);
    return p.first;
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "client/connection.h"
#include "client/tls.h"
#include "client/trace.h"
#include "client/transfer.h"

#include <string.h>
#include <strings.h>

#define REDIRECTS_MAX 10L

/* The first option that libcurl does not take; the rest are left out then. */
typedef struct setter {
    CURL *curl;
    CURLcode code;
    const char *option;
} setter;

#define SET(setter_, option_, value_)                                                                        \
    do {                                                                                                     \
        if ((setter_)->code == CURLE_OK) {                                                                   \
            (setter_)->code = curl_easy_setopt((setter_)->curl, option_, value_);                            \
            (setter_)->option = #option_;                                                                    \
        }                                                                                                    \
    } while (0)

static void set_method(setter *set, const ek_request_options *options)
{
    if (options->data) {
        SET(set, CURLOPT_POST, 1L);
        SET(set, CURLOPT_POSTFIELDS, options->data);
        SET(set, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)options->data_len);
    }
    if (options->method && strcasecmp(options->method, "HEAD") == 0)
        SET(set, CURLOPT_NOBODY, 1L); /* or libcurl waits for a body that never comes */
    else if (options->method)
        SET(set, CURLOPT_CUSTOMREQUEST, options->method);
}

static void set_way(setter *set, const ek_request_options *options)
{
    SET(set, CURLOPT_PROTOCOLS_STR, "https");
    SET(set, CURLOPT_REDIR_PROTOCOLS_STR, "https");
    SET(set, CURLOPT_SSLVERSION, options->tls);
    SET(set, CURLOPT_HTTP_VERSION, options->http);
    /*
     * Never early data (rule 3): without sessions to resume there is none. From 8.11 on libcurl can send it,
     * and with GnuTLS 3.8.9 fails to resume a session whose ticket offers it, also where it is not asked to.
     */
    SET(set, CURLOPT_SSL_SESSIONID_CACHE, 0L);
    SET(set, CURLOPT_SSL_VERIFYPEER, 1L);
    SET(set, CURLOPT_SSL_VERIFYHOST, 2L);
    SET(set, CURLOPT_MAXCONNECTS, (long)EK_CONNECTIONS_OPEN);
    SET(set, CURLOPT_CONNECTTIMEOUT_MS, options->connect_timeout_ms);
    SET(set, CURLOPT_TIMEOUT_MS, options->max_time_ms);
    if (options->ca_file) {
        SET(set, CURLOPT_CAINFO, options->ca_file);
        SET(set, CURLOPT_CAPATH, NULL);
    }
    if (options->proxy)
        SET(set, CURLOPT_PROXY, options->proxy);
    if (options->proxy_ca_file) {
        SET(set, CURLOPT_PROXY_CAINFO, options->proxy_ca_file);
        SET(set, CURLOPT_PROXY_CAPATH, NULL);
    }
    if (options->no_proxy)
        SET(set, CURLOPT_NOPROXY, options->no_proxy);
    if (options->connect_to)
        SET(set, CURLOPT_CONNECT_TO, options->connect_to);
    if (options->resolve)
        SET(set, CURLOPT_RESOLVE, options->resolve);
    if (set->code == CURLE_OK) {
        set->code = ek_tls_set_up(set->curl, options->groups);
        set->option = "the key exchange groups";
    }
    /* With several requests at once: rather wait for a connection that can carry many than make another. */
    SET(set, CURLOPT_PIPEWAIT, options->parallel > 1 ? 1L : 0L);
    SET(set, CURLOPT_FOLLOWLOCATION, options->follow ? 1L : 0L);
    SET(set, CURLOPT_MAXREDIRS, REDIRECTS_MAX);
}

int ek_transfer_new(const ek_request_options *options, ek_binding *binding, ek_answer *answer, CURL **out,
                    ekmotp_error *err)
{
    setter set = {curl_easy_init(), CURLE_OK, NULL};

    if (!set.curl)
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "libcurl does not start");
    set_way(&set, options);
    set_method(&set, options);
    SET(&set, CURLOPT_USERAGENT, "ekmotp/" PACKAGE_VERSION);
    /* Our fields go to the server, never to a proxy. */
    SET(&set, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
    SET(&set, CURLOPT_HTTPHEADER, ek_binding_list(binding, options->headers));
    SET(&set, CURLOPT_PREREQFUNCTION, ek_binding_prereq);
    SET(&set, CURLOPT_PREREQDATA, binding);
    SET(&set, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    SET(&set, CURLOPT_HEADERFUNCTION, ek_answer_header);
    SET(&set, CURLOPT_HEADERDATA, answer);
    SET(&set, CURLOPT_WRITEFUNCTION, ek_answer_body);
    SET(&set, CURLOPT_WRITEDATA, answer);
    if (options->verbose) {
        SET(&set, CURLOPT_DEBUGFUNCTION, ek_trace);
        SET(&set, CURLOPT_DEBUGDATA, (void *)&options->show_derived);
        SET(&set, CURLOPT_VERBOSE, 1L);
    }
    if (set.code != CURLE_OK) {
        curl_easy_cleanup(set.curl);
        return ekmotp_error_set(err, EKMOTP_E_INVAL, "this libcurl (%s) does not take %s: %s", curl_version(),
                                set.option, curl_easy_strerror(set.code));
    }
    *out = set.curl;
    return 0;
}

/* Which of the places where a transfer can be stopped did it, or what libcurl says. */
static int explain(CURLcode code, const char *detail, const ek_binding *binding, const ek_answer *answer,
                   ekmotp_error *err)
{
    const ek_binding_state *state = ek_binding_last(binding);

    if (answer->err.code != 0) {
        *err = answer->err;
        return err->code;
    }
    if (state->err.code != 0) {
        *err = state->err;
        return err->code;
    }
    if (code == CURLE_OUT_OF_MEMORY)
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory for the request");
    if (code == CURLE_PEER_FAILED_VERIFICATION)
        return ekmotp_error_set(
            err, EKMOTP_E_CHANNEL_EXPORT,
            "the server's certificate does not verify (%.200s); --cacert FILE names a CA to trust", detail);
    return ekmotp_error_set(err, EKMOTP_E_CHANNEL_EXPORT, "%.300s",
                            detail[0] ? detail : curl_easy_strerror(code));
}

int ek_transfer_begin(CURL *curl, const char *url, const ek_origin *origin, ek_binding *binding,
                      ek_answer *answer, ekmotp_error *err)
{
    ek_binding_begin(binding, curl, origin);
    ek_answer_begin(answer);
    if (curl_easy_setopt(curl, CURLOPT_URL, url) != CURLE_OK)
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory for the request");
    return 0;
}

int ek_transfer_end(CURL *curl, CURLcode code, const char *detail, ek_binding *binding, ek_answer *answer,
                    ekmotp_error *err)
{
    int rc = ek_answer_end(answer, err);
    long status = 0;

    ek_binding_end(binding);
    if (code != CURLE_OK)
        return explain(code, detail, binding, answer, err);
    /* An answer to a request that was never bound: nothing of ours can vouch for it. */
    if (rc == 0 && !ek_binding_last(binding)->called)
        rc = ekmotp_error_set(err, EKMOTP_E_CHANNEL_EXPORT,
                              "libcurl sent the request without asking for a proof");
    if (rc == 0 && curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK)
        rc = ek_answer_check(answer, status, err);
    return rc;
}

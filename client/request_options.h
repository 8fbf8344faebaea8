/* SPDX-License-Identifier: Apache-2.0 */
/* request_options.h: the command line of "ekmotp request". */
#ifndef EK_CLIENT_REQUEST_OPTIONS_H
#define EK_CLIENT_REQUEST_OPTIONS_H

#include "client/binding.h"
#include "client/key_source.h"

#include <curl/curl.h>

#define EK_REQUEST_URLS_MAX 64

typedef struct ek_request_options {
    /* what is asked for */
    char *urls[EK_REQUEST_URLS_MAX]; /* borrowed from argv */
    ek_origin origins[EK_REQUEST_URLS_MAX];
    size_t url_count;
    unsigned long repeat;
    unsigned long parallel; /* requests at once */
    const char *method;     /* NULL: GET, or POST with data */
    char *data;             /* owned; NULL: no body */
    size_t data_len;
    struct curl_slist *headers; /* owned: -H */
    /* how */
    const char *ca_file, *proxy, *proxy_ca_file, *no_proxy;
    struct curl_slist *connect_to, *resolve; /* owned */
    long connect_timeout_ms, max_time_ms;    /* 0: none */
    long tls, http;                          /* values of CURLOPT_SSLVERSION, CURLOPT_HTTP_VERSION */
    char *groups;                            /* owned, ':' between names; NULL: what GnuTLS offers */
    int follow;
    /* where the answer goes */
    const char *output, *report; /* files; NULL or "-": standard output, standard error */
    int include, verbose, silent, show_error, show_derived;
    /* who asks */
    uint8_t id[EKMOTP_ID_MAX];
    size_t id_len;
    ek_key_options key;
    ek_carrier carrier;
    int carrier_given;
    char *claims; /* owned */
    int require_server_proof;
} ek_request_options;

/*
 * Reads the command line. A wrong one ends the program with EK_EXIT_USAGE and a message; --help and
 * --version end it with 0 (argp does both).
 */
void ek_request_options_parse(int argc, char **argv, ek_request_options *options);
void ek_request_options_clear(ek_request_options *options);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* exchange.h: one run of "ekmotp request", and the requests and answers that it makes. */
#ifndef EK_CLIENT_EXCHANGE_H
#define EK_CLIENT_EXCHANGE_H

#include "client/answer.h"
#include "client/request_options.h"

#include <stdio.h>

/* What all requests of the command share. */
typedef struct ek_request {
    const char *name; /* "ekmotp request": what messages begin with */
    ek_request_options options;
    ek_key_source key;
    ek_connections connections;
    ek_output output;
    FILE *report; /* or NULL */
} ek_request;

/* A request and its answer; used again for the next one. */
typedef struct ek_exchange {
    ek_request *request; /* borrowed */
    ek_binding *binding;
    ek_answer answer;
    CURL *curl;
    const char *url;
    char detail[CURL_ERROR_SIZE];
    ekmotp_error err; /* of the last one */
} ek_exchange;

/* Sets up a handle. On failure nothing is left open. */
int ek_exchange_open(ek_exchange *exchange, ek_request *request, ekmotp_error *err)
    __attribute__((warn_unused_result));
void ek_exchange_close(ek_exchange *exchange);

/* Readies the handle for a URL of the options. */
int ek_exchange_begin(ek_exchange *exchange, size_t which, ekmotp_error *err)
    __attribute__((warn_unused_result));
/* After libcurl is done: messages and report, and the exit code of this request. */
int ek_exchange_end(ek_exchange *exchange, CURLcode code);

/* A message on standard error, unless -s forbids it; returns the exit code of err. */
int ek_request_fail(const ek_request *request, const ekmotp_error *err);

/* Runs all requests with up to options.parallel at once (parallel.c). */
int ek_request_parallel(ek_request *request);

/* 1 if the next request is to be made after one that ended with this exit code. */
int ek_request_goes_on(int exit_code);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* transfer.h: the curl handle of "ekmotp request": its set-up, and what its failures mean. */
#ifndef EK_CLIENT_TRANSFER_H
#define EK_CLIENT_TRANSFER_H

#include "client/answer.h"
#include "client/request_options.h"

/*
 * Makes a handle for all requests of the options; binding and answer get its callbacks. Everything is
 * borrowed and must outlive the handle.
 */
int ek_transfer_new(const ek_request_options *options, ek_binding *binding, ek_answer *answer, CURL **out,
                    ekmotp_error *err) __attribute__((warn_unused_result));

/* Readies the handle for one request; then it is performed, or added to a multi handle. EKMOTP_E_INVAL. */
int ek_transfer_begin(CURL *curl, const char *url, const ek_origin *origin, ek_binding *binding,
                      ek_answer *answer, ekmotp_error *err) __attribute__((warn_unused_result));
/*
 * What came of it: 0 if there is an answer, whatever its status; EKMOTP_E_IO, _NOMEM where this machine
 * failed, EKMOTP_E_SERVER_PROOF, what made the binding abort, or EKMOTP_E_CHANNEL_EXPORT for every other
 * failure of TLS or the network. detail is what libcurl wrote into the error buffer.
 */
int ek_transfer_end(CURL *curl, CURLcode code, const char *detail, ek_binding *binding, ek_answer *answer,
                    ekmotp_error *err) __attribute__((warn_unused_result));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request_values.h: options of "ekmotp request" whose values want more than a copy. A wrong value ends
 * the program through argp_error.
 */
#ifndef EK_CLIENT_REQUEST_VALUES_H
#define EK_CLIENT_REQUEST_VALUES_H

#include "client/request_options.h"

#include <argp.h>

/* Ends the program if rc is not 0: the option's value is wrong, and err says why. */
void ek_value_check(struct argp_state *state, const char *option, int rc, const ekmotp_error *err);
void ek_value_append(struct argp_state *state, struct curl_slist **list, const char *text);
/* HOST1:PORT1:HOST2:PORT2, each of which may be empty: libcurl passes over what it cannot read. */
void ek_value_connect_to(struct argp_state *state, ek_request_options *options, const char *text);
void ek_value_header(struct argp_state *state, ek_request_options *options, const char *line);
/* binary is 0 for -d, which takes the line ends out of files. */
void ek_value_data(struct argp_state *state, ek_request_options *options, const char *value, int binary);
void ek_value_carrier(struct argp_state *state, ek_request_options *options, const char *name);
void ek_value_claims(struct argp_state *state, ek_request_options *options, const char *path);
void ek_value_groups(struct argp_state *state, ek_request_options *options, const char *list);
void ek_value_url(struct argp_state *state, ek_request_options *options, char *url);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * binding.h: the credentials of each request, made for the connection that will carry it.
 *
 * libcurl calls ek_binding_prereq after the handshake and before each request: on a reused connection, on
 * the new one of a retry, behind a proxy, for each hop of a redirect. Inside, only curl_easy_getinfo is
 * allowed, so that the header is written in place into entries of the header list that exist beforehand.
 */
#ifndef EK_CLIENT_BINDING_H
#define EK_CLIENT_BINDING_H

#include "client/connection.h"
#include "client/origin.h"
#include "client/tls.h"

#include <curl/curl.h>
#include <ekmotp/client.h>
#include <ekmotp/verifier.h>
#include <stdint.h>

typedef enum ek_carrier { EK_CARRIER_HEADER = 0, EK_CARRIER_JWS, EK_CARRIER_JWE } ek_carrier;

typedef struct ek_binding_options {
    ek_connections *connections; /* borrowed; shared by all bindings of the key */
    ekmotp_key *key;             /* borrowed */
    const uint8_t *id;
    size_t id_len;
    ekmotp_profile profile;
    ek_carrier carrier;
    const char *claims;       /* JSON object of the JWT carriers, or NULL */
    const char *groups;       /* "X25519:SECP256R1": only these may have been negotiated; NULL: any */
    int require_server_proof; /* then nothing may be asked of another origin */
    int show_derived;         /* keep what was derived, for ek_binding_derived */
} ek_binding_options;

typedef struct ek_binding ek_binding;

/* options and what it points at are borrowed. */
int ek_binding_new(const ek_binding_options *options, ek_binding **out, ekmotp_error *err)
    __attribute__((warn_unused_result));
/* Wipes and releases; before the curl handle is closed nothing may call it any more. NULL-safe. */
void ek_binding_free(ek_binding **binding);

/* The header list with our entries first and rest (may be NULL, borrowed) behind; valid as long as binding.
 */
struct curl_slist *ek_binding_list(ek_binding *binding, struct curl_slist *rest);
/* Before each transfer: the handle that will run it, and the only origin that gets credentials. */
void ek_binding_begin(ek_binding *binding, CURL *curl, const ek_origin *origin);
/* For CURLOPT_PREREQFUNCTION; clientp is the ek_binding. */
int ek_binding_prereq(void *clientp, char *remote_ip, char *local_ip, int remote_port, int local_port);
/* After each transfer: the connection is no longer needed for it. */
void ek_binding_end(ek_binding *binding);
/* Wipes the credentials once they are on the wire: what libcurl does not ask for again cannot be sent again.
 */
void ek_binding_sent(ek_binding *binding);

/* Checks the server proof of the answer to the last request (value NULL: it had none). */
int ek_binding_check_answer(ek_binding *binding, const char *value, size_t len, ekmotp_error *err)
    __attribute__((warn_unused_result));

/* The last request, for messages and reports. */
typedef struct ek_binding_state {
    int called; /* libcurl asked for credentials in this transfer */
    int bound;  /* and got some (0: another origin) */
    int new_connection;
    uint64_t n; /* of v1, else 0 */
    ek_tls_description tls;
    const char *derived; /* secret, with show_derived only: the proof (v1), the apikey or the JWT */
    ekmotp_error err;    /* why it was aborted */
} ek_binding_state;
const ek_binding_state *ek_binding_last(const ek_binding *binding);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * p11.h: client keys in PKCS#11 tokens, behind the agent or in this process.
 */
#ifndef EKMOTP_P11_H
#define EKMOTP_P11_H

#include <ekmotp/key.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EKMOTP_PIN_MAX 255 /* bytes */

/*
 * Asks a person or a file for a PIN: writes up to size bytes to pin and returns their number, or a
 * negative EKMOTP_E_*. token is the label of the one token that matched. Called at most once per opened
 * key, and only while it is being opened: a PIN is never tried twice.
 */
typedef int (*ekmotp_pin_callback)(void *ctx, const char *token, char *pin, size_t size, ekmotp_error *err);

typedef struct ekmotp_p11_options {
    ekmotp_hash hash;        /* of the HMAC; 0 means SHA-256 */
    const char *pin_source;  /* file with the PIN (one line end is cut off), before the URI's pin-source */
    ekmotp_pin_callback pin; /* asked when neither names a file; may be NULL: EKMOTP_E_PIN_MISSING then */
    void *pin_ctx;
    unsigned timeout_ms; /* upper bound on any wait for the agent; 0 means 10000 */
} ekmotp_p11_options;

/*
 * Opens the key that an RFC 7512 URI names, in this process. Exactly one token and one key must match.
 * A trial MAC is made. options may be NULL. EKMOTP_E_URI, _MODULE, _TOKEN_*, _KEY_*, _PIN_*.
 */
int ekmotp_p11_key_open(const char *uri, const ekmotp_p11_options *options, ekmotp_key **out,
                        ekmotp_error *err) __attribute__((warn_unused_result));

/* A connection to the process that alone loads PKCS#11 modules. Thread-safe. */
typedef struct ekmotp_agent ekmotp_agent;

/*
 * Starts a private agent over a socket pair; it ends with this process. program is the path of
 * ekmotp-agent, NULL for the installed one. EKMOTP_E_AGENT.
 */
int ekmotp_agent_spawn(const char *program, ekmotp_agent **out, ekmotp_error *err)
    __attribute__((warn_unused_result));
/* Connects to a shared agent's Unix socket. EKMOTP_E_AGENT, EKMOTP_E_IO. */
int ekmotp_agent_connect(const char *path, ekmotp_agent **out, ekmotp_error *err)
    __attribute__((warn_unused_result));
/* Closes the connection (and ends a private agent). Keys opened through it must be freed first. */
void ekmotp_agent_free(ekmotp_agent **agent);

/* As ekmotp_p11_key_open, in the agent. The agent must outlive the key. */
int ekmotp_agent_key_open(ekmotp_agent *agent, const char *uri, const ekmotp_p11_options *options,
                          ekmotp_key **out, ekmotp_error *err) __attribute__((warn_unused_result));

/*
 * What an agent says about itself, as JSON that the caller frees: version, protocol, mode, policy, clients,
 * pins, workers, keys with their states. No secret is in it. EKMOTP_E_AGENT, EKMOTP_E_TOKEN_TIMEOUT.
 */
int ekmotp_agent_status(ekmotp_agent *agent, char **json, ekmotp_error *err)
    __attribute__((warn_unused_result));
/*
 * Has the agent forget every PIN and log out of every token. Keys that wanted a PIN give
 * EKMOTP_E_PIN_MISSING from then on, until one of the token's keys is opened with its PIN again.
 */
int ekmotp_agent_lock(ekmotp_agent *agent, ekmotp_error *err) __attribute__((warn_unused_result));
/* Ends a shared agent. */
int ekmotp_agent_stop(ekmotp_agent *agent, ekmotp_error *err) __attribute__((warn_unused_result));
/*
 * Has the agent look at or change tokens, in a process of its own for each request. Request and reply
 * (which the caller frees) are JSON, as p11/admin.h describes them. timeout_ms 0 means 10000.
 */
int ekmotp_agent_admin(ekmotp_agent *agent, const char *request_json, unsigned timeout_ms, char **reply_json,
                       ekmotp_error *err) __attribute__((warn_unused_result));

#ifdef __cplusplus
}
#endif
#endif

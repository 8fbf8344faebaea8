/* SPDX-License-Identifier: Apache-2.0 */
/* server.h: the server as a whole: set-up, signals, reload, drain, end. */
#ifndef EK_SERVER_SERVER_H
#define EK_SERVER_SERVER_H

#include "server/shared.h"

/* What a benchmark puts in the place of the verifier; NULL for ek_authenticate and the directory. */
typedef struct ek_server_hooks {
    ekmotp_verdict_status (*authenticate)(struct ek_connection *connection, const ek_head *head,
                                          ekmotp_verdict *verdict);
    /* Changes a TLS context before it is used. May be NULL. */
    int (*prepare_tls)(void *ssl_ctx);
} ek_server_hooks;

/* Loads what the configuration names, and listens nowhere. */
int ek_server_check(const ek_config *config, ekmotp_error *err) __attribute__((warn_unused_result));

/*
 * Serves until SIGTERM or SIGINT. Writes a line "listening on ADDR:PORT" for each address to standard
 * output, then "ready". hooks may be NULL.
 */
int ek_server_run(const ek_config *config, const ek_server_hooks *hooks, ekmotp_error *err)
    __attribute__((warn_unused_result));

#endif

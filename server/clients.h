/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clients.h: the directory as a running server sees it: the current snapshot, and a thread that notices
 * changes of the file and swaps in a new one, whole. A broken directory is reported and the old one stays.
 */
#ifndef EK_SERVER_CLIENTS_H
#define EK_SERVER_CLIENTS_H

#include "server/configuration.h"

#include <ekmotp/directory.h>
#include <stdint.h>

typedef struct ek_clients ek_clients;

/* Hands out a new snapshot (borrowed during the call), in the clients' thread. */
typedef void (*ek_clients_changed)(void *ctx, ekmotp_snapshot *snapshot);
/* A reload that was asked for is done, in the clients' thread. */
typedef void (*ek_clients_reloaded)(void *ctx);

typedef struct ek_clients_counts {
    uint64_t clients, loads, failures;
} ek_clients_counts;

/* Opens the directory and reads the first snapshot. open_token opens keys in tokens (NULL: none). */
int ek_clients_new(const ek_config *config, ekmotp_directory_token_opener open_token, void *token_ctx,
                   ek_clients **out, ekmotp_error *err) __attribute__((warn_unused_result));
/* Starts the thread. */
int ek_clients_start(ek_clients *clients, ek_clients_changed changed, ek_clients_reloaded reloaded, void *ctx,
                     ekmotp_error *err) __attribute__((warn_unused_result));
/* Ends the thread. */
void ek_clients_stop(ek_clients *clients);
/* Ends the thread where it runs, and releases. NULL-safe. */
void ek_clients_free(ek_clients **clients);
/* The current snapshot; before the start, or in the clients' thread. */
ekmotp_snapshot *ek_clients_snapshot(ek_clients *clients);
/* Reads the directory again, whether it changed or not. */
void ek_clients_reload(ek_clients *clients);
void ek_clients_read_counts(const ek_clients *clients, ek_clients_counts *counts);

#endif

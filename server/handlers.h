/* SPDX-License-Identifier: Apache-2.0 */
/* handlers.h: the shared objects that --handler names (ekmotp/handler.h). */
#ifndef EK_SERVER_HANDLERS_H
#define EK_SERVER_HANDLERS_H

#include "server/answer.h"
#include "server/configuration.h"
#include "server/head.h"

#include <ekmotp/verifier.h>

typedef struct ek_handlers ek_handlers;

/* Loads and starts each "PATH=FILE[,ARG]" of the list. EKMOTP_E_SYNTAX, _IO, or what a handler's start gives.
 */
int ek_handlers_new(const ek_list *specs, ek_handlers **out, ekmotp_error *err)
    __attribute__((warn_unused_result));
/* Stops the handlers, the last first. NULL-safe. */
void ek_handlers_free(ek_handlers **handlers);

/*
 * Fills the answer if a handler has this path or one above it, and returns 1; else 0. Of several the longest
 * path wins.
 */
int ek_handlers_answer(const ek_handlers *handlers, const ek_head *head, ek_slice path, struct evbuffer *body,
                       const ekmotp_verdict *verdict, ek_answer *answer);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* worker_ops.h: what a worker does for each request; the only code of the agent that calls the token layer.
 */
#ifndef EK_AGENT_WORKER_OPS_H
#define EK_AGENT_WORKER_OPS_H

#include "p11/agent/options.h"
#include "p11/agent/wire.h"

typedef struct ek_worker_ops ek_worker_ops;

/* options is borrowed. NULL: no memory. */
ek_worker_ops *ek_worker_ops_new(const ek_agent_options *options);

/*
 * Does what the request asks, from any thread. The reply points into small, or at *text, which the caller
 * frees once the reply is sent.
 */
void ek_worker_answer(ek_worker_ops *ops, const ek_wire_message *request, ek_wire_message *reply,
                      uint8_t small[EKMOTP_ERROR_MESSAGE_SIZE], char **text);

#endif

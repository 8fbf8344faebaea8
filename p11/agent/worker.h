/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.h: the process that loads PKCS#11 modules. It speaks the agent's wire with the front on
 * EK_AGENT_FD, and trusts it: policy, time limits and who may ask are the front's business.
 */
#ifndef EK_AGENT_WORKER_H
#define EK_AGENT_WORKER_H

#include "p11/agent/options.h"

/* Serves until the front closes its end. Returns the exit status. */
int ek_worker_run(const ek_agent_options *options);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* agent.h: the client's side of an agent: the handle that makes a new link whenever the last one broke. */
#ifndef EK_AGENT_AGENT_H
#define EK_AGENT_AGENT_H

#include "p11/agent/link.h"

#include <ekmotp/p11.h>
#include <sys/types.h>

#define EK_AGENT_TIMEOUT_MS 10000 /* what a timeout of 0 means */
#define EK_AGENT_GRACE_MS 400     /* how much later than the agent the client's side gives up */

/* Deadline of the client's side for a request with this timeout; the timeout that the agent is told. */
int64_t ek_agent_deadline(unsigned timeout_ms);
unsigned ek_agent_timeout(unsigned timeout_ms);

/*
 * One request. *generation names the link that must carry it (the call fails with EKMOTP_E_AGENT and *stale
 * set where that link is gone), or is 0 for any, and then becomes that of the link which did. *stale is also
 * set when the link was lost under a request.
 */
int ek_agent_call(ekmotp_agent *agent, ek_wire_message *request, int64_t deadline, uint64_t *generation,
                  int *stale, ek_reply *reply, ekmotp_error *err) __attribute__((warn_unused_result));

/*
 * Starts a private agent and returns our end of its socket pair. The process that was started ends as soon as
 * the agent runs on its own; the caller reaps *child.
 */
int ek_agent_start(const char *program, int *fd, pid_t *child, ekmotp_error *err)
    __attribute__((warn_unused_result));
/* Connects to the socket of a shared agent. */
int ek_agent_reach(const char *path, int64_t deadline, int *fd, ekmotp_error *err)
    __attribute__((warn_unused_result));

#endif

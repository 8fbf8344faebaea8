/* SPDX-License-Identifier: Apache-2.0 */
/* peer.h: who is at the other end of a Unix socket (SO_PEERCRED of unix(7)). */
#ifndef EK_AGENT_PEER_H
#define EK_AGENT_PEER_H

#include "p11/agent/options.h"

#include <ekmotp/error.h>

/*
 * 0 if the peer may use this shared agent: its effective user, which *user becomes, is the agent's, or it
 * is in the group that the options name. Else EKMOTP_E_AGENT_POLICY.
 */
int ek_peer_check(int fd, const ek_agent_options *options, uid_t *user, ekmotp_error *err)
    __attribute__((warn_unused_result));

/* A descriptor that becomes readable when the process that made the socket pair ends; -1 if there is none. */
int ek_peer_pidfd(int fd);

#endif

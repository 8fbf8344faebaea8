/* SPDX-License-Identifier: Apache-2.0 */
/* listen.h: the socket of a shared agent. */
#ifndef EK_AGENT_LISTEN_H
#define EK_AGENT_LISTEN_H

#include "p11/agent/options.h"

#include <ekmotp/error.h>

/*
 * Listens at options->socket. Its folder is made (mode 0700, or 0750 with a group) where it is missing, and
 * refused where others could put a socket of theirs into it. A socket that no agent listens at any more is
 * replaced. EKMOTP_E_IO, EKMOTP_E_AGENT if an agent listens there already.
 */
int ek_listen(const ek_agent_options *options, int *fd, ekmotp_error *err)
    __attribute__((warn_unused_result));

#endif

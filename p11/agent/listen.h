/* SPDX-License-Identifier: Apache-2.0 */
/* listen.h: the socket of a shared agent. */
#ifndef EK_AGENT_LISTEN_H
#define EK_AGENT_LISTEN_H

#include "p11/agent/options.h"

#include <ekmotp/error.h>
#include <sys/types.h>

typedef struct ek_listener {
    int fd;
    dev_t dev; /* of its path */
    ino_t ino;
} ek_listener;

/*
 * Listens at options->socket. Its folder is made (mode 0700, or 0750 with a group) where it is missing, and
 * refused where others could put a socket of theirs into it. A socket that no agent listens at any more is
 * replaced. EKMOTP_E_IO, EKMOTP_E_AGENT if an agent listens there already.
 */
int ek_listen(const ek_agent_options *options, ek_listener *out, ekmotp_error *err)
    __attribute__((warn_unused_result));
/* Closes the socket and removes its path, unless another agent's socket is there by now. */
void ek_listen_end(const char *socket, const ek_listener *listener);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * supervisor.h: the parent of the front and of the workers. The front has given up the right to start
 * programs; this process does it for the front, and does nothing else: it reads no client's bytes and holds
 * no PIN. Its end is the end of all.
 */
#ifndef EK_AGENT_SUPERVISOR_H
#define EK_AGENT_SUPERVISOR_H

#include "p11/agent/options.h"

#include <ekmotp/error.h>

/*
 * Starts the front on a socket (the private client's, or the listening one) and serves it until it ends, or
 * until SIGTERM, SIGINT or SIGHUP. Returns the exit status.
 */
int ek_supervisor_run(const ek_agent_options *options, int socket);

/* Called by the front: a new worker's socket, a pidfd of it, and its id for people. EKMOTP_E_AGENT. */
int ek_supervisor_ask_worker(int control, int *fd, int *pidfd, pid_t *pid, ekmotp_error *err)
    __attribute__((warn_unused_result));

#endif

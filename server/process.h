/* SPDX-License-Identifier: Apache-2.0 */
/* process.h: what the process gives up before it takes a connection, and what it asks of the system. */
#ifndef EK_SERVER_PROCESS_H
#define EK_SERVER_PROCESS_H

/*
 * No core dumps, no debugger of the same user, no new privileges: the memory holds keys. Broken pipes are
 * errors, not signals.
 */
void ek_process_harden(void);
/* Allows descriptors for so many connections; returns how many the system grants. */
unsigned long ek_process_allow_files(unsigned long wanted);
/* Processors that this process may run on, at least 1. */
unsigned ek_process_cores(void);

#endif

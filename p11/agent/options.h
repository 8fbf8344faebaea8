/* SPDX-License-Identifier: Apache-2.0 */
/* options.h: what the processes of one agent agree on. */
#ifndef EK_AGENT_OPTIONS_H
#define EK_AGENT_OPTIONS_H

#include <stddef.h>
#include <sys/types.h>

#define EK_AGENT_FD 3      /* the socket of a private agent, and of a worker */
#define EK_AGENT_THREADS 4 /* of a worker: how many operations run at once */

/* Which messages a MAC is made of; the framing of the v1 channel secret always is. */
#define EK_AGENT_COMPAT 1u
#define EK_AGENT_RAW 2u

typedef struct ek_agent_options {
    const char *socket;  /* path of the shared agent's socket; NULL: passed in by systemd, or private */
    const char *program; /* path of this program, to start workers */
    unsigned policy;     /* EK_AGENT_COMPAT | EK_AGENT_RAW */
    int shared;
    int verbose;
    int any_group; /* 1: members of group may connect too */
    gid_t group;
    const char **modules; /* NULL-terminated: paths of modules that --allow-module adds */
    size_t module_count;
} ek_agent_options;

#endif

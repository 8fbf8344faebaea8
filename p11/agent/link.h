/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link.h: one connection of a program to an agent, used by many threads at once.
 *
 * There is no thread of its own: of the callers that wait for a reply one reads for all and wakes the
 * others; of the callers that send one writes for all. A link never heals: once broken it stays so, each
 * waiting caller is told, and the owner makes another.
 */
#ifndef EK_AGENT_LINK_H
#define EK_AGENT_LINK_H

#include "p11/agent/buffer.h"

#include <pthread.h>

struct ek_call;

typedef struct ek_link {
    pthread_mutex_t *lock; /* the owner's; guards every member */
    uint64_t generation;   /* tells the links of one owner apart */
    int fd;
    unsigned refs;
    unsigned broken : 1, reading : 1, writing : 1;
    uint32_t next_id;
    uint8_t welcome;       /* flags of the agent's WELCOME */
    struct ek_call *calls; /* waiting for a reply, oldest first */
    struct ek_call **calls_end;
    ek_buffer in, out;
} ek_link;

/* What an agent answered. */
typedef struct ek_reply {
    uint8_t type; /* ek_wire_type */
    uint8_t flags;
    int32_t code;
    uint32_t key;
    size_t len;
    uint8_t data[EKMOTP_ERROR_MESSAGE_SIZE]; /* with a NUL behind it */
    char *text;                              /* of TEXT, with a NUL behind it; the caller frees it */
} ek_reply;

/* Takes over fd. The caller holds the only reference. NULL: no memory (fd is closed then). */
ek_link *ek_link_new(int fd, pthread_mutex_t *lock, uint64_t generation);
/* The lock must be held for the functions below; ek_link_call lets go of it while it waits. */
void ek_link_unref(ek_link **link);
void ek_link_break(ek_link *link);

/*
 * Sends a request (its id is chosen here) and waits for the reply until deadline (ek_time_ms). An ERROR reply
 * becomes this function's failure. EKMOTP_E_AGENT and link->broken for a connection that was lost;
 * EKMOTP_E_TOKEN_TIMEOUT where nothing came in time.
 */
int ek_link_call(ek_link *link, ek_wire_message *request, int64_t deadline, ek_reply *reply,
                 ekmotp_error *err) __attribute__((warn_unused_result));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* token_admin.h: requests about tokens and keys (p11/admin.h), sent to a worker of the agent. */
#ifndef EK_CLIENT_TOKEN_ADMIN_H
#define EK_CLIENT_TOKEN_ADMIN_H

#include "lib/common/secret.h"

#include <argp.h>
#include <ekmotp/p11.h>
#include <jansson.h>

/* What 'ekmotp token' and 'ekmotp key' have in common. */
typedef struct ek_token_admin {
    const char *uri;           /* or NULL */
    const char *pin_source;    /* or NULL */
    const char *agent_socket;  /* or NULL: a private agent is started */
    const char *agent_program; /* or NULL: the installed one */
    ekmotp_hash hash;
    unsigned timeout_ms;
    int json;
    ekmotp_agent *agent; /* once a request was sent */
    ek_secret *pin;      /* once a token asked for it */
} ek_token_admin;

/* An argp that parses the options of this struct; its input is the struct. */
extern const struct argp ek_token_admin_argp;

/*
 * Sends {"op": op, "uri", "hash"} and the members of more (which may be NULL; it is released in any case).
 * If the token asks for a PIN it comes from --pin-source, the URI's pin-source, the systemd credential, or a
 * prompt, and the request is sent a second and last time.
 */
int ek_token_admin_call(ek_token_admin *admin, const char *op, json_t *more, json_t **reply,
                        ekmotp_error *err) __attribute__((warn_unused_result));
void ek_token_admin_close(ek_token_admin *admin);

/* Prints a reply as JSON on standard output. */
void ek_token_admin_print(const json_t *reply);

/* A string member of a reply, "" where there is none; valid as long as the object. */
const char *ek_token_text(const json_t *object, const char *name);

#endif

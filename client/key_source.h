/* SPDX-License-Identifier: Apache-2.0 */
/* key_source.h: the client key that --key names. */
#ifndef EK_CLIENT_KEY_SOURCE_H
#define EK_CLIENT_KEY_SOURCE_H

#include <ekmotp/key.h>
#include <ekmotp/p11.h>
#include <ekmotp/profile.h>

typedef struct ek_key_options {
    const char *key; /* "file:PATH" or a "pkcs11:" URI */
    ekmotp_hash hash;
    ekmotp_profile profile;    /* short keys in files are for the compat profiles only (rule 11) */
    const char *pin_source;    /* or NULL */
    const char *agent_socket;  /* of a shared agent; NULL: a private one is started */
    const char *agent_program; /* of a private agent; NULL: the installed one */
} ek_key_options;

/* A key, and the agent that it may live behind. */
typedef struct ek_key_source {
    ekmotp_agent *agent;
    ekmotp_key *key;
} ek_key_source;

/* Opens the key. On failure nothing is left open. Every EKMOTP_E_* of p11.h and file.h. */
int ek_key_source_open(const ek_key_options *options, ek_key_source *out, ekmotp_error *err)
    __attribute__((warn_unused_result));
/* Closes the key, then its agent. */
void ek_key_source_close(ek_key_source *source);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * token_opener.h: keys in tokens for the directory, through one agent that is started (or connected to)
 * when the first of them is needed.
 */
#ifndef EK_SERVER_TOKEN_OPENER_H
#define EK_SERVER_TOKEN_OPENER_H

#include <ekmotp/p11.h>

typedef struct ek_token_opener ek_token_opener;

typedef struct ek_token_opener_options {
    const char *agent;         /* socket of a shared agent; NULL: a private one is started */
    const char *agent_program; /* path of ekmotp-agent; NULL: the installed one */
    const char *pin_source;    /* file with the PIN, where the URI names none; may be NULL */
    unsigned timeout_ms;       /* upper bound of each wait; 0: that of ekmotp/p11.h */
    ekmotp_pin_callback pin;   /* asked where no file is named; ctx is not used; NULL: nobody is */
} ek_token_opener_options;

/* Copies the options; starts nothing. */
int ek_token_opener_new(const ek_token_opener_options *options, ek_token_opener **out, ekmotp_error *err)
    __attribute__((warn_unused_result));
/* Ends the private agent. Keys opened through it must be freed first. NULL-safe. */
void ek_token_opener_free(ek_token_opener **opener);
/*
 * An ekmotp_directory_token_opener: ctx is the ek_token_opener. Thread-safe. A token that refused its PIN
 * once is not asked again: a PIN is never tried twice.
 */
int ek_token_opener_open(void *ctx, const char *uri, ekmotp_hash hash, ekmotp_key **out, ekmotp_error *err)
    __attribute__((warn_unused_result));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vault.h: the PINs that an agent was given, by the token part of the URI they were given for. Two URIs that
 * spell the same token differently have a PIN each: a PIN goes only where it was meant to go.
 *
 * A refused PIN stays as a reminder, so that the same PIN does not cost the token a second try.
 */
#ifndef EK_AGENT_VAULT_H
#define EK_AGENT_VAULT_H

#include "lib/common/secret.h"

#include <sys/queue.h>

#define EK_VAULT_MAX 64 /* PINs; the oldest goes first */

typedef struct ek_vault_item {
    TAILQ_ENTRY(ek_vault_item) link;
    char *token;
    ek_secret *pin; /* locked into memory where the system allows it */
    int refused;
} ek_vault_item;

typedef struct ek_vault {
    TAILQ_HEAD(, ek_vault_item) items;
    size_t count;
} ek_vault;

void ek_vault_init(ek_vault *v);
/* Wipes all. */
void ek_vault_clear(ek_vault *v);

/* The PIN that the token took, owned by the vault; NULL if there is none. */
const ek_secret *ek_vault_get(const ek_vault *v, const char *token);
/* 1 if the token has refused this PIN. */
int ek_vault_was_refused(const ek_vault *v, const char *token, const ek_secret *pin);
/* Keeps a copy of a PIN as taken or as refused. EKMOTP_E_NOMEM. */
int ek_vault_put(ek_vault *v, const char *token, const ek_secret *pin, int refused)
    __attribute__((warn_unused_result));
/* Forgets the PIN that the token took before. */
void ek_vault_drop(ek_vault *v, const char *token);
/* Number of PINs that can be used. */
size_t ek_vault_count(const ek_vault *v);

/* A copy that is locked into memory where the system allows it. NULL: no memory, or pin is NULL. */
ek_secret *ek_vault_copy(const ek_secret *pin);

#endif

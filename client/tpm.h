/* SPDX-License-Identifier: Apache-2.0 */
/* tpm.h: what only the tools of a TPM can do: import a key into tpm2-pkcs11, read the lockout's state. */
#ifndef EK_CLIENT_TPM_H
#define EK_CLIENT_TPM_H

#include "lib/common/secret.h"

#include <ekmotp/key.h>

/*
 * Imports key bytes under the label name into the tpm2-pkcs11 token, through tpm2_ptool. Neither PIN nor key
 * is on a command line or on a disk. EKMOTP_E_IO with what the tool said.
 */
int ek_tpm_import(const char *token, const ek_secret *pin, const char *name, ekmotp_hash hash,
                  const ek_secret *key, ekmotp_error *err) __attribute__((warn_unused_result));

/* The state of a TPM's dictionary-attack lockout (TPM 2.0 Part 1, "Dictionary Attack Protection"). */
typedef struct ek_tpm_lockout {
    int locked;             /* no authorisation is taken now */
    unsigned long counter;  /* failures that count now */
    unsigned long max;      /* that many lock */
    unsigned long interval; /* seconds after which one failure is forgotten */
} ek_tpm_lockout;

/* Asks tpm2_getcap. EKMOTP_E_IO where it is not there or the TPM does not answer. */
int ek_tpm_lockout_get(ek_tpm_lockout *out, ekmotp_error *err) __attribute__((warn_unused_result));

#endif

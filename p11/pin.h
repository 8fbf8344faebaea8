/* SPDX-License-Identifier: Apache-2.0 */
/* pin.h: where a PIN comes from, and which PINs a token has refused. */
#ifndef EK_P11_PIN_H
#define EK_P11_PIN_H

#include "lib/common/secret.h"
#include "p11/uri.h"

#include <ekmotp/p11.h>

/*
 * Gets the PIN of a token: from options->pin_source, from the URI's pin-source (a path or a file: URI), or
 * from options->pin, in this order. One line end is cut off. token is its label, for the question and for
 * messages. EKMOTP_E_PIN_MISSING where nothing names a PIN or the PIN is empty.
 */
int ek_pin_get(const ek_uri *uri, const ekmotp_p11_options *options, const char *token, ek_secret **out,
               ekmotp_error *err) __attribute__((warn_unused_result));
/* 1 if something names a PIN, else 0; reads nothing. */
int ek_pin_named(const ek_uri *uri, const ekmotp_p11_options *options);

/*
 * The PINs that this process has seen refused, by token (its path of module, serial number and label in one
 * string). They are kept so that a second key, or a caller that tries again, does not send one twice.
 * Thread-safe; the oldest of 32 is forgotten.
 */
void ek_pin_refused_add(const char *token, const ek_secret *pin);
int ek_pin_refused(const char *token, const ek_secret *pin);

/*
 * The PINs that tokens have taken, one entry for each open key: a second key of a token that is logged in
 * already needs the PIN of the first for its healing, and nobody is asked again. Thread-safe.
 */
typedef struct ek_pin_taken ek_pin_taken;

/* NULL: no memory (then that key cannot heal by itself). */
ek_pin_taken *ek_pin_taken_add(const char *token, const ek_secret *pin);
/* Wipes the entry; NULL-safe. */
void ek_pin_taken_free(ek_pin_taken **taken);
/* A copy of the PIN that the token took from another key, or NULL. */
ek_secret *ek_pin_taken_find(const char *token);

#endif

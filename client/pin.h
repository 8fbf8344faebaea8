/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pin.h: where a PIN comes from once neither --pin-source nor the URI names a file: the systemd
 * credential "ekmotp.pin" (systemd.exec(5), LoadCredential=), then a prompt on the terminal. Never the
 * command line, never the environment: other processes can read both.
 */
#ifndef EK_CLIENT_PIN_H
#define EK_CLIENT_PIN_H

#include <ekmotp/p11.h>

#define EK_PIN_CREDENTIAL "ekmotp.pin"

/* For services: the credential alone. An ekmotp_pin_callback; ctx is not used. */
int ek_pin_credential(void *ctx, const char *token, char *pin, size_t size, ekmotp_error *err);
/* The credential, then a prompt. An ekmotp_pin_callback; ctx is not used. */
int ek_pin_ask(void *ctx, const char *token, char *pin, size_t size, ekmotp_error *err);

#endif

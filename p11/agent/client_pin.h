/* SPDX-License-Identifier: Apache-2.0 */
/* client_pin.h: where the client's side of an agent gets a PIN from, once the agent says it needs one. */
#ifndef EK_AGENT_CLIENT_PIN_H
#define EK_AGENT_CLIENT_PIN_H

#include "lib/common/secret.h"

#include <ekmotp/p11.h>

/*
 * In this order: the options' file, the URI's pin-source (a path or file: URI; never a command; may be
 * NULL), the options' callback. EKMOTP_E_PIN_MISSING where there is none of them;
 * else what reading the file or the callback reports.
 */
int ek_client_pin_get(const ekmotp_p11_options *options, const char *pin_source, const char *token,
                      ek_secret **out, ekmotp_error *err) __attribute__((warn_unused_result));

#endif

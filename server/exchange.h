/* SPDX-License-Identifier: Apache-2.0 */
/* exchange.h: from the bytes of a connection to requests, verdicts and answers. */
#ifndef EK_SERVER_EXCHANGE_H
#define EK_SERVER_EXCHANGE_H

#include "server/connection.h"

/* Works on what is in the input buffer, as far as that goes. The connection may be gone afterwards. */
void ek_exchange_run(ek_connection *c);
/* A derive job is back: verifies the request again that waited for it. Frees the job. */
void ek_exchange_resume(ek_derive_job *job);
/* The token gave no answer in time: answers 503 to the request that waited for it, and ends. */
void ek_exchange_give_up(ek_connection *c);
/* Releases what a connection holds of a request under way. */
void ek_exchange_drop(ek_connection *c);

#endif

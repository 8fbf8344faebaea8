/* SPDX-License-Identifier: Apache-2.0 */
/* authenticate.h: the verifier's verdict about a request. */
#ifndef EK_SERVER_AUTHENTICATE_H
#define EK_SERVER_AUTHENTICATE_H

#include "server/connection.h"

/* Fills verdict (to be cleared by the caller) from the connection's channel and the request's head. */
ekmotp_verdict_status ek_authenticate(ek_connection *c, const ek_head *head, ekmotp_verdict *verdict);

/*
 * Hands the state of the connection to a worker thread, which makes the channel secret. 0, or -1 where that
 * cannot be: too many wait.
 */
int ek_authenticate_later(ek_connection *c) __attribute__((warn_unused_result));

#endif

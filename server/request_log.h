/* SPDX-License-Identifier: Apache-2.0 */
/* request_log.h: the log's line for a request: who, what, the answer, the reason; no secret. */
#ifndef EK_SERVER_REQUEST_LOG_H
#define EK_SERVER_REQUEST_LOG_H

#include "server/connection.h"

/*
 * A refusal counts against the quota. head is NULL where it was not understood, verdict where there is none,
 * why where the verdict says all.
 */
void ek_request_log(const ek_connection *c, const ek_head *head, int status, const ekmotp_verdict *verdict,
                    const char *why);
/* --show-derived: the value that a request was let in on; a warning. */
void ek_request_log_derived(const ek_connection *c, const ekmotp_verdict *verdict);

#endif

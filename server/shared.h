/* SPDX-License-Identifier: Apache-2.0 */
/* shared.h: what all loops share; immutable while they run, or thread-safe by itself. */
#ifndef EK_SERVER_SHARED_H
#define EK_SERVER_SHARED_H

#include "server/configuration.h"
#include "server/head.h"
#include "server/limits.h"
#include "server/quota.h"

#include <ekmotp/verifier.h>

struct ek_connection;
struct ek_content;
struct ek_derive;

typedef struct ek_shared {
    const ek_config *config;
    const ekmotp_verifier *verifier;
    ek_limits *limits;
    ek_quota *quota;          /* of the log, for those who are refused */
    struct ek_derive *derive; /* runs what a slow key takes; NULL: slow keys block their loop */
    const struct ek_content *content;
    /* Decides about a request. ek_authenticate (authenticate.h), or what a benchmark compares it with. */
    ekmotp_verdict_status (*authenticate)(struct ek_connection *connection, const ek_head *head,
                                          ekmotp_verdict *verdict);
} ek_shared;

#endif

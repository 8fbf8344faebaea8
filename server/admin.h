/* SPDX-License-Identifier: Apache-2.0 */
/* admin.h: the plain listener for /metrics and /healthz. It gives no secret away, and takes no command. */
#ifndef EK_SERVER_ADMIN_H
#define EK_SERVER_ADMIN_H

#include "server/metrics.h"

#include <event2/event.h>

typedef struct ek_admin ek_admin;

/* Whether the configuration names addresses that it may listen on. EKMOTP_E_SYNTAX, _INVAL. */
int ek_admin_check(const ek_config *config, ekmotp_error *err) __attribute__((warn_unused_result));
/* Listens where the configuration says, in the event loop of base; source is borrowed. EKMOTP_E_IO, _INVAL.
 */
int ek_admin_new(const ek_config *config, struct event_base *base, const ek_metrics_source *source,
                 ek_admin **out, ekmotp_error *err) __attribute__((warn_unused_result));
void ek_admin_free(ek_admin **admin);
/* From then on /healthz answers 503: the server stops. */
void ek_admin_set_stopping(ek_admin *admin);

#endif

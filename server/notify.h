/* SPDX-License-Identifier: Apache-2.0 */
/* notify.h: what the service manager is told (sd_notify(3)), and the sockets that it passes. */
#ifndef EK_SERVER_NOTIFY_H
#define EK_SERVER_NOTIFY_H

#include <stdint.h>

/* All do nothing where nobody listens, or in a build without systemd. */
void ek_notify_ready(const char *status);
void ek_notify_reloading(void);
void ek_notify_stopping(void);
void ek_notify_watchdog(void);
/* Microseconds within which a sign of life is expected; 0: none is. */
uint64_t ek_notify_watchdog_interval(void);

/* Number of listening sockets that were passed (sd_listen_fds(3)); their first descriptor to *first. */
int ek_notify_sockets(int *first);

#endif

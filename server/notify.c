/* SPDX-License-Identifier: Apache-2.0 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "server/notify.h"

#ifdef HAVE_SYSTEMD

#include <systemd/sd-daemon.h>
#include <time.h>

void ek_notify_ready(const char *status)
{
    sd_notifyf(0, "READY=1\nSTATUS=%s", status);
}

void ek_notify_reloading(void)
{
    struct timespec now;

    /* Type=notify-reload of newer systemd needs the time to match the reload to its own request. */
    clock_gettime(CLOCK_MONOTONIC, &now);
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu",
               (unsigned long long)now.tv_sec * 1000000 + (unsigned long long)now.tv_nsec / 1000);
}

void ek_notify_stopping(void)
{
    sd_notify(0, "STOPPING=1\nSTATUS=Letting requests end");
}

void ek_notify_watchdog(void)
{
    sd_notify(0, "WATCHDOG=1");
}

uint64_t ek_notify_watchdog_interval(void)
{
    uint64_t usec = 0;

    return sd_watchdog_enabled(0, &usec) > 0 ? usec : 0;
}

int ek_notify_sockets(int *first)
{
    int n = sd_listen_fds(1);

    *first = SD_LISTEN_FDS_START;
    return n > 0 ? n : 0;
}

#else

void ek_notify_ready(const char *status)
{
    (void)status;
}

void ek_notify_reloading(void)
{
}

void ek_notify_stopping(void)
{
}

void ek_notify_watchdog(void)
{
}

uint64_t ek_notify_watchdog_interval(void)
{
    return 0;
}

int ek_notify_sockets(int *first)
{
    *first = -1;
    return 0;
}

#endif

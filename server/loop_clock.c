/* SPDX-License-Identifier: Apache-2.0 */
/* loop_clock.c: the time as a loop needs it, without a system call for each request. */
#include "server/loop.h"

#include <stdio.h>
#include <time.h>

uint64_t ek_loop_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

const char *ek_loop_date(ek_loop *loop)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME_COARSE, &t);
    if (t.tv_sec != loop->date_at) {
        static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
        static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                           "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
        struct tm tm;

        gmtime_r(&t.tv_sec, &tm);
        snprintf(loop->date, sizeof(loop->date), "%s, %02u %s %04u %02u:%02u:%02u GMT", days[tm.tm_wday],
                 (unsigned)tm.tm_mday % 100, months[tm.tm_mon], (unsigned)(tm.tm_year + 1900) % 10000,
                 (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
        loop->date_at = t.tv_sec;
    }
    return loop->date;
}

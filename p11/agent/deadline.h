/* SPDX-License-Identifier: Apache-2.0 */
/* deadline.h: deadlines in milliseconds of the monotonic clock. */
#ifndef EK_AGENT_DEADLINE_H
#define EK_AGENT_DEADLINE_H

#include <stdint.h>
#include <time.h>

static inline int64_t ek_time_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static inline int64_t ek_time_ms(void)
{
    return ek_time_us() / 1000;
}

/* Milliseconds from now to a deadline as poll wants them: 0 where it has passed, rounded up otherwise. */
static inline int ek_left_ms(int64_t deadline, int64_t now)
{
    int64_t left = deadline - now;

    return left <= 0 ? 0 : left > 3600000 ? 3600000 : (int)left;
}

static inline struct timespec ek_deadline_timespec(int64_t deadline)
{
    struct timespec t = {.tv_sec = (time_t)(deadline / 1000), .tv_nsec = (long)(deadline % 1000) * 1000000};

    return t;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* clock.h: deadlines on the monotonic clock, and condition variables that wait for them. */
#ifndef EK_P11_CLOCK_H
#define EK_P11_CLOCK_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

/* Milliseconds of the monotonic clock. */
uint64_t ek_now_ms(void);
/* The monotonic time in ms milliseconds, for pthread_cond_timedwait on a condition of ek_cond_init. */
struct timespec ek_deadline(unsigned ms);
/* A condition variable whose timed waits use the monotonic clock. */
void ek_cond_init(pthread_cond_t *cond);

#endif

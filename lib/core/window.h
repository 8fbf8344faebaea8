/* SPDX-License-Identifier: Apache-2.0 */
/* window.h: which n a channel has seen: the sliding window of RFC 4303 section 3.4.3. */
#ifndef EK_WINDOW_H
#define EK_WINDOW_H

#include <stdint.h>

#define EK_WINDOW_SIZE 64

typedef struct ek_window {
    uint64_t top;  /* the highest n that was taken; 0: none */
    uint64_t seen; /* bit i: top - i was taken */
} ek_window;

typedef enum ek_window_answer { EK_WINDOW_NEW, EK_WINDOW_REPLAY, EK_WINDOW_TOO_OLD } ek_window_answer;

/* What n (at least 1) is to the window; changes nothing. */
ek_window_answer ek_window_check(const ek_window *window, uint64_t n);
/* Takes an n that is new. Only after its proof was verified: else a forger could move the window. */
void ek_window_take(ek_window *window, uint64_t n);

#endif

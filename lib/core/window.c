/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/core/window.h"

ek_window_answer ek_window_check(const ek_window *window, uint64_t n)
{
    if (n > window->top)
        return EK_WINDOW_NEW;
    if (window->top - n >= EK_WINDOW_SIZE)
        return EK_WINDOW_TOO_OLD;
    return window->seen >> (window->top - n) & 1 ? EK_WINDOW_REPLAY : EK_WINDOW_NEW;
}

void ek_window_take(ek_window *window, uint64_t n)
{
    if (n > window->top) {
        uint64_t step = n - window->top;

        window->seen = step < EK_WINDOW_SIZE ? window->seen << step : 0;
        window->top = n;
    }
    window->seen |= (uint64_t)1 << (window->top - n);
}

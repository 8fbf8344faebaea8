/* SPDX-License-Identifier: Apache-2.0 */
/* sockets.h: gives each loop its listening sockets, opened here or passed by systemd. */
#ifndef EK_SERVER_SOCKETS_H
#define EK_SERVER_SOCKETS_H

#include "server/loop.h"

/* Whether the configuration's addresses can be read; opens nothing. EKMOTP_E_SYNTAX. */
int ek_sockets_check(const ek_config *config, ekmotp_error *err) __attribute__((warn_unused_result));
/* Prints "listening on ADDR:PORT" to standard output for each address. */
int ek_sockets_open(const ek_config *config, ek_loop **loops, size_t count, ekmotp_error *err)
    __attribute__((warn_unused_result));

#endif

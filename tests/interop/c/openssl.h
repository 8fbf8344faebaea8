/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EK_TEST_OPENSSL_H
#define EK_TEST_OPENSSL_H

#include "peer.h"

#include <openssl/ssl.h>

/* What a connection of openssl.c stands on. */
SSL *stack_ssl(connection *c);

#endif

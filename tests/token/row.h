/* SPDX-License-Identifier: Apache-2.0 */
/* row.h: the steps of row.c. */
#ifndef TEST_ROW_H
#define TEST_ROW_H

#include "lib/common/secret.h"

#include <ekmotp/p11.h>

/* Opens the key with the PIN of $PIN_FILE. */
int row_open(const char *uri, ekmotp_hash hash, ekmotp_key **out, ekmotp_error *err);

/* Each returns the exit status of the program. */
int row_suite(const char *uri, const char *key_file, ekmotp_hash hash);
int row_stream(const char *uri, const char *key_file, int count);

#endif

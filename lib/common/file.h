/* SPDX-License-Identifier: Apache-2.0 */
/* file.h: secrets in files (client keys, PINs, key-encryption keys), for the programs and the directory. */
#ifndef EK_FILE_H
#define EK_FILE_H

#include "lib/common/secret.h"

#include <ekmotp/error.h>

/*
 * Reads a whole file of 1 to max bytes ("-" is standard input). A regular file that its group or others
 * may read or write is refused (EKMOTP_E_IO, and the chmod that mends it); so are folders and devices
 * other than character devices and pipes. EKMOTP_E_LIMIT for an empty or too long one.
 */
int ek_file_read_secret(const char *path, size_t max, ek_secret **out, ekmotp_error *err)
    __attribute__((warn_unused_result));
/* Creates a file with mode 0600 that holds the bytes, flushed to the disk; an existing one is EKMOTP_E_IO. */
int ek_file_write_secret(const char *path, const uint8_t *bytes, size_t len, ekmotp_error *err)
    __attribute__((warn_unused_result));

#endif

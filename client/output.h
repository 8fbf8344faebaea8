/* SPDX-License-Identifier: Apache-2.0 */
/* output.h: where answers are written, one after the other: standard output, or a file that is made late. */
#ifndef EK_CLIENT_OUTPUT_H
#define EK_CLIENT_OUTPUT_H

#include <ekmotp/error.h>
#include <stdio.h>

typedef struct ek_output {
    const char *path; /* NULL or "-": standard output */
    FILE *file;       /* NULL until there is something to write */
} ek_output;

/* EKMOTP_E_IO. */
int ek_output_write(ek_output *output, const char *bytes, size_t len, ekmotp_error *err)
    __attribute__((warn_unused_result));
/* Flushes and closes; EKMOTP_E_IO if not all could be written. */
int ek_output_close(ek_output *output, ekmotp_error *err) __attribute__((warn_unused_result));

#endif

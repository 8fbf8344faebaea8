/* SPDX-License-Identifier: Apache-2.0 */
/* child.h: runs another program, for a bounded time. */
#ifndef EK_CLIENT_CHILD_H
#define EK_CLIENT_CHILD_H

#include <ekmotp/error.h>
#include <stddef.h>

typedef struct ek_child {
    const char *const *argv; /* of execvp; ends with NULL */
    const char *const *env;  /* NAME=VALUE to add, ends with NULL; or NULL */
    const void *input;       /* for its standard input, or NULL */
    size_t input_len;
    int fd;              /* shown to it as descriptor 3, or -1 */
    unsigned timeout_ms; /* then it is killed */
} ek_child;

/*
 * Runs it and collects up to size - 1 bytes of what it writes to standard output and error, as a string.
 * Returns its exit status, or EKMOTP_E_IO (not there, killed, timed out), in words in err.
 */
int ek_child_run(const ek_child *child, char *output, size_t size, ekmotp_error *err)
    __attribute__((warn_unused_result));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* streams.h: standard input, output and error, which a caller may have closed. */
#ifndef EK_COMMON_STREAMS_H
#define EK_COMMON_STREAMS_H

/*
 * Puts /dev/null where descriptor 0, 1 or 2 is closed: the next file or connection would get its number, and
 * what is meant for standard output or error would be written there. Reading such an input and writing such
 * an output fail (EBADF); messages to such a standard error vanish. First thing in main(). 0, or -1 with
 * errno.
 */
int ek_streams_open(void) __attribute__((warn_unused_result));

#endif

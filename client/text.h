/* SPDX-License-Identifier: Apache-2.0 */
/* text.h: values on the command line: client ids, times, files. */
#ifndef EK_CLIENT_TEXT_H
#define EK_CLIENT_TEXT_H

#include <ekmotp/error.h>
#include <ekmotp/profile.h>
#include <stddef.h>
#include <stdint.h>

/* A client id as it is written and shown: bytes other than visible ASCII, and '%', stand as %XX. */
int ek_text_id(const char *text, uint8_t id[EKMOTP_ID_MAX], size_t *len, ekmotp_error *err)
    __attribute__((warn_unused_result));
#define EK_TEXT_ID_SIZE (3 * EKMOTP_ID_MAX + 1) /* bytes with the NUL */
void ek_text_show_id(const uint8_t *id, size_t len, char out[EK_TEXT_ID_SIZE]);

/* Makes text of a peer fit for a terminal: control characters become '?'. */
void ek_text_tame(char *text);

/* Seconds with a decimal fraction, above 0 and up to a day, in milliseconds. */
int ek_text_seconds(const char *text, long *ms, ekmotp_error *err) __attribute__((warn_unused_result));
/* A whole number of 1 to max. */
int ek_text_count(const char *text, unsigned long max, unsigned long *out, ekmotp_error *err)
    __attribute__((warn_unused_result));

/*
 * Reads a whole file of up to max bytes ("-": standard input) into a malloc'ed, NUL-terminated text; a
 * failure is EKMOTP_E_INVAL and names the file.
 */
int ek_text_file(const char *path, size_t max, char **out, size_t *len, ekmotp_error *err)
    __attribute__((warn_unused_result));

#endif

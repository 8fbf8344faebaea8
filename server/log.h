/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h: structured events on standard error, one line each, in logfmt or JSON. Under systemd a line
 * starts with the journal's "<level>". Thread-safe: a line is one write. Where nobody reads the log any more,
 * lines are dropped, and counted in the event "log-lost": the server goes on. Secrets are never passed in.
 */
#ifndef EK_SERVER_LOG_H
#define EK_SERVER_LOG_H

#include <stddef.h>
#include <stdint.h>

typedef enum ek_log_level { EK_LOG_ERROR = 0, EK_LOG_WARNING, EK_LOG_INFO, EK_LOG_DEBUG } ek_log_level;
typedef enum ek_log_format { EK_LOG_LOGFMT = 0, EK_LOG_JSON } ek_log_format;

#define EK_LOG_LINE_SIZE 2048 /* bytes of the longest line; what does not fit is cut between two members */

/* One line in the making; on the stack. */
typedef struct ek_log_line {
    int enabled;
    size_t len;
    char text[EK_LOG_LINE_SIZE];
} ek_log_line;

/* Set-up, before threads start. */
void ek_log_init(ek_log_level level, ek_log_format format);
/* 1 if a line of this level would be written. */
int ek_log_enabled(ek_log_level level);

/* Begins a line; add members, then end it. */
void ek_log_begin(ek_log_line *line, ek_log_level level, const char *event);
void ek_log_string(ek_log_line *line, const char *name, const char *value);
/* Visible ASCII, as a request's target is. */
void ek_log_text(ek_log_line *line, const char *name, const char *text, size_t len);
/* Any bytes: what is no visible ASCII, and '%', appears as %XX. */
void ek_log_bytes(ek_log_line *line, const char *name, const void *bytes, size_t len);
void ek_log_number(ek_log_line *line, const char *name, uint64_t value);
void ek_log_end(ek_log_line *line);

/* A whole line with one member "message", formatted. */
void ek_log_message(ek_log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif

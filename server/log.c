/* SPDX-License-Identifier: Apache-2.0 */
#include "server/log.h"

#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 1000 /* how long a slow reader of the log may hold the server up */

#define TAIL 4 /* bytes kept free for what ends a line */

static struct {
    ek_log_level level;
    ek_log_format format;
    int journal;
} log_state = {EK_LOG_INFO, EK_LOG_LOGFMT, 0};

static const char *const level_names[] = {"error", "warning", "info", "debug"};

/* 1 if standard error is the journal: JOURNAL_STREAM holds its device and inode (systemd.exec(5)). */
static int stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long dev, ino;
    struct stat st;

    return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
           st.st_dev == dev && st.st_ino == ino;
}

void ek_log_init(ek_log_level level, ek_log_format format)
{
    log_state.level = level;
    log_state.format = format;
    log_state.journal = stderr_is_journal();
}

int ek_log_enabled(ek_log_level level)
{
    return level <= log_state.level;
}

/* Room for a member of this length; else the line stays as it is. */
static int fits(const ek_log_line *line, size_t len)
{
    return line->enabled && line->len + len + TAIL <= sizeof(line->text);
}

static void put(ek_log_line *line, const char *text, size_t len)
{
    memcpy(line->text + line->len, text, len);
    line->len += len;
}

static int is_plain(unsigned char c)
{
    return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '=';
}

/* Escapes for one byte inside quotes, which JSON and logfmt share. Returns its length (at most 6). */
static size_t escape(unsigned char c, char out[8])
{
    if (c == '"' || c == '\\') {
        out[0] = '\\';
        out[1] = (char)c;
        return 2;
    }
    if (c < ' ' || c == 0x7f)
        return (size_t)snprintf(out, 8, "\\u%04x", c);
    out[0] = (char)c;
    return 1;
}

/* name=value or ,"name":"value". */
static void put_member(ek_log_line *line, const char *name, const char *value, size_t len)
{
    int json = log_state.format == EK_LOG_JSON;
    int quoted = json || len == 0;

    if (len > 160 && !fits(line, strlen(name) + 8 + 6 * len))
        len = 160;
    for (size_t i = 0; i < len; i++)
        quoted |= !is_plain((unsigned char)value[i]);
    if (!fits(line, strlen(name) + 8 + 6 * len))
        return;
    if (json) {
        put(line, ",\"", 2);
        put(line, name, strlen(name));
        put(line, "\":", 2);
    } else {
        put(line, " ", 1);
        put(line, name, strlen(name));
        put(line, "=", 1);
    }
    if (quoted)
        put(line, "\"", 1);
    for (size_t i = 0; i < len; i++) {
        char e[8];
        size_t n = quoted ? escape((unsigned char)value[i], e) : (e[0] = value[i], (size_t)1);

        put(line, e, n);
    }
    if (quoted)
        put(line, "\"", 1);
}

void ek_log_begin(ek_log_line *line, ek_log_level level, const char *event)
{
    struct timeval now;
    struct tm tm;
    int n;

    line->len = 0;
    line->enabled = ek_log_enabled(level);
    if (!line->enabled)
        return;
    gettimeofday(&now, NULL);
    gmtime_r(&now.tv_sec, &tm);
    if (log_state.journal) {
        static const char priorities[] = "3467"; /* LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG */

        line->len = (size_t)snprintf(line->text, sizeof(line->text), "<%c>", priorities[level]);
    }
    n = snprintf(line->text + line->len, sizeof(line->text) - line->len,
                 log_state.format == EK_LOG_JSON
                     ? "{\"time\":\"%04d-%02d-%02dT%02d:%02d:%02d.%03dZ\",\"level\":\"%s\",\"event\":\"%s\""
                     : "time=%04d-%02d-%02dT%02d:%02d:%02d.%03dZ level=%s event=%s",
                 tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                 (int)(now.tv_usec / 1000), level_names[level], event);
    if (n > 0)
        line->len += (size_t)n;
}

void ek_log_string(ek_log_line *line, const char *name, const char *value)
{
    if (line->enabled)
        put_member(line, name, value, strlen(value));
}

void ek_log_text(ek_log_line *line, const char *name, const char *text, size_t len)
{
    if (line->enabled)
        put_member(line, name, text, len);
}

void ek_log_bytes(ek_log_line *line, const char *name, const void *bytes, size_t len)
{
    const unsigned char *p = bytes;
    char text[3 * 256 + 1];
    size_t n = 0;

    if (!line->enabled)
        return;
    for (size_t i = 0; i < len && n + 3 < sizeof(text); i++) {
        if (p[i] > ' ' && p[i] < 0x7f && p[i] != '%')
            text[n++] = (char)p[i];
        else
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%%%02X", p[i]);
    }
    put_member(line, name, text, n);
}

void ek_log_number(ek_log_line *line, const char *name, uint64_t value)
{
    char text[128];
    int n;

    if (!line->enabled)
        return;
    n = snprintf(text, sizeof(text), log_state.format == EK_LOG_JSON ? ",\"%s\":%llu" : " %s=%llu", name,
                 (unsigned long long)value);
    if (n > 0 && (size_t)n < sizeof(text) && fits(line, (size_t)n))
        put(line, text, (size_t)n);
}

static pthread_mutex_t write_lock = PTHREAD_MUTEX_INITIALIZER; /* of standard error, and of lost_lines */
static uint64_t lost_lines;

/* Writes a line if there is room for it, or comes to be in time; a pipe that nobody empties has none. */
static int write_line(const ek_log_line *line)
{
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
    ssize_t n;

    if (poll(&out, 1, lost_lines > 0 ? 0 : PATIENCE_MS) <= 0)
        return 0;
    n = write(STDERR_FILENO, line->text, line->len);
    (void)n; /* a log that is closed or full is not the clients' business */
    return 1;
}

static void end_line(ek_log_line *line)
{
    if (log_state.format == EK_LOG_JSON)
        put(line, "}", 1);
    put(line, "\n", 1);
}

/* Once the log is read again: how many lines are missing from it. */
static void tell_lost(void)
{
    ek_log_line line;

    ek_log_begin(&line, EK_LOG_ERROR, "log-lost");
    ek_log_number(&line, "lines", lost_lines);
    end_line(&line);
    if (write_line(&line))
        lost_lines = 0;
}

void ek_log_end(ek_log_line *line)
{
    if (!line->enabled)
        return;
    end_line(line);
    pthread_mutex_lock(&write_lock);
    if (lost_lines > 0)
        tell_lost();
    if (lost_lines > 0 || !write_line(line))
        lost_lines++;
    pthread_mutex_unlock(&write_lock);
}

void ek_log_message(ek_log_level level, const char *event, const char *format, ...)
{
    ek_log_line line;
    char message[1024];
    va_list args;

    if (!ek_log_enabled(level))
        return;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    ek_log_begin(&line, level, event);
    ek_log_string(&line, "message", message);
    ek_log_end(&line);
}

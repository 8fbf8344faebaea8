/* SPDX-License-Identifier: Apache-2.0 */
/* answer.h: one HTTP response in the making. */
#ifndef EK_SERVER_ANSWER_H
#define EK_SERVER_ANSWER_H

#include <event2/buffer.h>
#include <stddef.h>
#include <stdint.h>

#define EK_ANSWER_TEXT_SIZE 1024

typedef struct ek_answer {
    int status;
    const char *type;      /* Content-Type */
    const char *allow;     /* Allow of a 405, or NULL */
    const char *challenge; /* WWW-Authenticate of a 401, or NULL */
    const char *info;      /* Authentication-Info, or NULL or "" */
    int retry_after;       /* seconds; 0: none */
    int close;             /* the connection ends after this answer */
    struct evbuffer *body; /* owned; NULL: text or file is the body */
    int file;              /* owned; a file that is the body; -1: none */
    uint64_t file_size;    /* bytes of it, from where it stands */
    size_t text_len;
    char text[EK_ANSWER_TEXT_SIZE];
} ek_answer;

/* A plain text answer whose body is its status ("404 Not Found\n"). */
void ek_answer_init(ek_answer *answer, int status);
/* Releases body and file. */
void ek_answer_clear(ek_answer *answer);
/* Sets a body of the answer's own text buffer; cut at its size. */
void ek_answer_set_text(ek_answer *answer, const char *type, const char *bytes, size_t len);
/*
 * Appends head and body (not a file, and not for HEAD requests) to out. date is the Date field's value. 0, or
 * -1 if memory ran out: the connection cannot go on.
 */
int ek_answer_write(ek_answer *answer, const char *date, int head_only, struct evbuffer *out);

/* "Not Found" and the like; "Status" for a code that has no name here. */
const char *ek_answer_phrase(int status);

#endif

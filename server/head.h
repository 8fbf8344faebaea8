/* SPDX-License-Identifier: Apache-2.0 */
/*
 * head.h: the head of an HTTP/1.1 request (RFC 9112), read strictly: whatever two readers could
 * understand in two ways is refused.
 */
#ifndef EK_SERVER_HEAD_H
#define EK_SERVER_HEAD_H

#include <stddef.h>
#include <stdint.h>

#define EK_HEAD_FIELDS_MAX 100

typedef struct ek_slice {
    const char *at;
    size_t len;
} ek_slice;

typedef struct ek_field {
    ek_slice name;
    ek_slice value;
} ek_field;

typedef struct ek_head {
    ek_slice method;
    ek_slice target;     /* origin form: starts with '/' (or is "*"); an absolute form is cut down to it */
    int minor;           /* HTTP/1.minor: 0 or 1 */
    int close;           /* the connection ends after the answer */
    int chunked;         /* the body comes in chunks */
    int expect_continue; /* the client waits for "100 Continue" */
    uint64_t content_length; /* 0 without a body */
    size_t field_count;
    ek_field fields[EK_HEAD_FIELDS_MAX];
} ek_head;

typedef enum ek_head_result {
    EK_HEAD_OK = 0,
    EK_HEAD_MORE, /* nothing wrong so far, but no end yet */
    EK_HEAD_BAD   /* answer 400 and close */
} ek_head_result;

/*
 * Looks for the end of a head in len bytes. scanned carries the progress between calls (start with 0), so
 * that each byte is looked at once. On EK_HEAD_OK *head_len is the head's length with its empty line; on
 * EK_HEAD_BAD *why says what is wrong (static storage).
 */
ek_head_result ek_head_find_end(const char *bytes, size_t len, size_t *scanned, size_t *head_len,
                                const char **why);

/* Parses a whole head as found above; the slices point into it. EK_HEAD_OK or EK_HEAD_BAD and *why. */
ek_head_result ek_head_parse(const char *bytes, size_t len, ek_head *head, const char **why);

/* 1 if the slice is this text (case matters). */
int ek_slice_is(ek_slice slice, const char *text);
/* 1 if the slice is this text in any case. */
int ek_slice_is_nocase(ek_slice slice, const char *text);

#endif

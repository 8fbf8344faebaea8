/* SPDX-License-Identifier: Apache-2.0 */
/* body.h: the body of a request, by length or in chunks (RFC 9112 sections 6 and 7), read strictly. */
#ifndef EK_SERVER_BODY_H
#define EK_SERVER_BODY_H

#include "server/head.h"

#include <event2/buffer.h>

typedef enum ek_body_result {
    EK_BODY_DONE = 0,
    EK_BODY_MORE, /* feed more bytes */
    EK_BODY_BAD,  /* answer 400 and close */
    EK_BODY_LARGE /* answer 413 and close */
} ek_body_result;

typedef struct ek_body {
    int chunked;
    enum { EK_BODY_SIZE_LINE, EK_BODY_DATA, EK_BODY_DATA_END, EK_BODY_TRAILER } at;
    uint64_t left; /* bytes of the body or of the chunk that are still to come */
    size_t max;    /* bytes allowed in all */
} ek_body;

/* Sets up for the body that the head announces. EK_BODY_LARGE if that is more than max, else _MORE or _DONE.
 */
ek_body_result ek_body_init(ek_body *body, const ek_head *head, size_t max);

/*
 * Moves body bytes from src to dst; never takes a byte behind the body's end. Chunk extensions and trailer
 * fields are refused: nobody here would read them. *why as in head.h.
 */
ek_body_result ek_body_read(ek_body *body, struct evbuffer *src, struct evbuffer *dst, const char **why);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handler.h: what an application adds to ekmotpd: a shared object that answers the requests below a path
 * ("ekmotpd serve --handler /path=./handler.so,argument"). It is called for verified clients only.
 *
 * The shared object links to nothing of ekmotp. It defines one symbol:
 *
 *     const ekmotp_handler ekmotp_handler_entry = {EKMOTP_HANDLER_ABI, start, answer, stop};
 */
#ifndef EKMOTP_HANDLER_H
#define EKMOTP_HANDLER_H

#include <ekmotp/error.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EKMOTP_HANDLER_ABI 1u

/* A verified request. Everything is borrowed and valid during the call. Texts are NUL-terminated. */
typedef struct ekmotp_handler_request {
    const char *method;       /* "GET", "POST", ... as sent */
    const char *path;         /* the whole path as sent, percent-encoded, without the query */
    const char *query;        /* what stands behind '?', "" for nothing */
    const char *content_type; /* of the body, "" for none */
    const uint8_t *body;      /* body_len bytes, at most what --body-size allows */
    size_t body_len;
    const uint8_t *client_id; /* who sent this: the verified client id */
    size_t client_id_len;
    const char *profile; /* "v1", ... */
    const char *claims;  /* JWT carriers: the verified claims as JSON; otherwise NULL */
} ekmotp_handler_request;

typedef struct ekmotp_handler_answer {
    int status;               /* 200; change it to anything from 200 to 599 */
    const char *content_type; /* "text/plain; charset=utf-8"; another must be a literal, or live on */
    /* Appends to the body. 0, or EKMOTP_E_NOMEM. */
    int (*write)(struct ekmotp_handler_answer *answer, const void *bytes, size_t len);
    void *internal; /* the server's */
} ekmotp_handler_answer;

typedef struct ekmotp_handler {
    unsigned abi; /* EKMOTP_HANDLER_ABI */
    /*
     * Called once, before the server takes connections. argument is what follows the comma of --handler, ""
     * for nothing; *ctx is handed to the others. 0, or an EKMOTP_E_* and a message in err: the server does
     * not start. May be NULL.
     */
    int (*start)(const char *argument, void **ctx, ekmotp_error *err);
    /*
     * Answers a request. Called from several threads at once, each of which is an event loop: while it runs
     * the other connections of its loop wait, so it must not block.
     */
    void (*answer)(void *ctx, const ekmotp_handler_request *request, ekmotp_handler_answer *answer);
    /* Called once, after the last request. May be NULL. */
    void (*stop)(void *ctx);
} ekmotp_handler;

#define EKMOTP_HANDLER_SYMBOL "ekmotp_handler_entry"

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* content.h: what verified clients get: /get, /whoami, static files, and what handlers add. */
#ifndef EK_SERVER_CONTENT_H
#define EK_SERVER_CONTENT_H

#include "server/answer.h"
#include "server/configuration.h"
#include "server/head.h"

#include <ekmotp/verifier.h>

typedef struct ek_content ek_content;

/* Opens the static folder and loads the handlers. EKMOTP_E_IO, _INVAL. */
int ek_content_new(const ek_config *config, ek_content **out, ekmotp_error *err)
    __attribute__((warn_unused_result));
void ek_content_free(ek_content **content);

/* A verified request. */
typedef struct ek_request {
    const ek_head *head;
    const ekmotp_verdict *verdict;
    struct evbuffer *body; /* NULL: none */
} ek_request;

/* Fills the answer (initialised here, to be cleared by the caller). */
void ek_content_answer(const ek_content *content, const ek_request *request, ek_answer *answer);

#endif

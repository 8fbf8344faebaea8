/* SPDX-License-Identifier: Apache-2.0 */
#include "server/content.h"

#include "server/handlers.h"
#include "server/static_files.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct ek_content {
    int static_folder; /* -1: none */
    ek_handlers *handlers;
};

int ek_content_new(const ek_config *config, ek_content **out, ekmotp_error *err)
{
    ek_content *content = calloc(1, sizeof(*content));
    int rc = 0;

    if (!content)
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory");
    content->static_folder = -1;
    if (config->static_folder)
        rc = ek_static_open(config->static_folder, &content->static_folder, err);
    if (rc == 0)
        rc = ek_handlers_new(&config->handlers, &content->handlers, err);
    if (rc != 0)
        ek_content_free(&content);
    else
        *out = content;
    return rc;
}

void ek_content_free(ek_content **content)
{
    if (!content || !*content)
        return;
    ek_handlers_free(&(*content)->handlers);
    if ((*content)->static_folder >= 0)
        close((*content)->static_folder);
    free(*content);
    *content = NULL;
}

/* Only GET and HEAD for what merely shows something. */
static int only_get(const ek_head *head, ek_answer *answer)
{
    if (ek_slice_is(head->method, "GET") || ek_slice_is(head->method, "HEAD"))
        return 1;
    ek_answer_init(answer, 405);
    answer->allow = "GET, HEAD";
    return 0;
}

/*
 * The id as the tools and the log write it: what is no visible ASCII, and '%', as %XX. One rule for all ids:
 * if some stood as they are, two clients could look the same.
 */
static json_t *id_text(const ekmotp_verdict *verdict)
{
    static const char hex[] = "0123456789ABCDEF";
    char text[3 * EKMOTP_ID_MAX];
    size_t n = 0;

    for (size_t i = 0; i < verdict->id_len; i++) {
        uint8_t c = verdict->id[i];

        if (c > ' ' && c < 0x7f && c != '%') {
            text[n++] = (char)c;
        } else {
            text[n++] = '%';
            text[n++] = hex[c >> 4];
            text[n++] = hex[c & 15];
        }
    }
    return json_stringn(text, n);
}

/*
 * {"client": ..., "profile": ..., "claims": ...}. The claims stand as they were signed: reading them again
 * would lose what jansson has no type for, such as integers of 64 bits.
 */
static void answer_whoami(const ekmotp_verdict *verdict, ek_answer *answer)
{
    const char *claims = verdict->claims;
    json_t *id = id_text(verdict);
    char *text = NULL;
    int rc = -1;

    if (id)
        text = json_dumps(id, JSON_COMPACT | JSON_ENCODE_ANY);
    answer->body = text ? evbuffer_new() : NULL;
    if (answer->body)
        rc = evbuffer_add_printf(answer->body, "{\"client\":%s,\"profile\":\"%s\"%s%s}\n", text,
                                 ekmotp_profile_name(verdict->profile), claims ? ",\"claims\":" : "",
                                 claims ? claims : "");
    if (rc < 0) {
        ek_answer_clear(answer);
        ek_answer_init(answer, 500);
    }
    answer->type = rc < 0 ? answer->type : "application/json";
    free(text);
    json_decref(id);
}

/* 1 and what follows the prefix, if the path begins with it. */
static int below(ek_slice path, const char *prefix, ek_slice *rest)
{
    size_t len = strlen(prefix);

    if (path.len < len || memcmp(path.at, prefix, len) != 0)
        return 0;
    *rest = (ek_slice){path.at + len, path.len - len};
    return 1;
}

void ek_content_answer(const ek_content *content, const ek_request *request, ek_answer *answer)
{
    ek_slice path = request->head->target, rest;
    const char *query = memchr(path.at, '?', path.len);

    if (query)
        path.len = (size_t)(query - path.at);
    if (ek_handlers_answer(content->handlers, request->head, path, request->body, request->verdict, answer))
        return;
    if (ek_slice_is(path, "/get")) {
        if (!only_get(request->head, answer))
            return;
        ek_answer_init(answer, 200);
        ek_answer_set_text(answer, "text/plain", "ok", 2);
    } else if (ek_slice_is(path, "/whoami")) {
        if (!only_get(request->head, answer))
            return;
        ek_answer_init(answer, 200);
        answer_whoami(request->verdict, answer);
    } else if (content->static_folder >= 0 && below(path, EK_STATIC_PREFIX, &rest)) {
        if (only_get(request->head, answer))
            ek_static_answer(content->static_folder, rest, answer);
    } else {
        ek_answer_init(answer, 404);
    }
}

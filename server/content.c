/* SPDX-License-Identifier: Apache-2.0 */
#include "server/content.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct ek_content {
    const ek_config *config;
};

int ek_content_new(const ek_config *config, ek_content **out, ekmotp_error *err)
{
    ek_content *content = calloc(1, sizeof(*content));

    if (!content)
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory");
    content->config = config;
    *out = content;
    return 0;
}

void ek_content_free(ek_content **content)
{
    if (!content || !*content)
        return;
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

/* The id as JSON text: UTF-8 as it is, other bytes as %XX. */
static int id_text(const ekmotp_verdict *verdict, json_t **out)
{
    char text[3 * EKMOTP_ID_MAX + 1];
    size_t n = 0;

    *out = json_stringn((const char *)verdict->id, verdict->id_len);
    if (*out)
        return 0;
    for (size_t i = 0; i < verdict->id_len; i++) {
        static const char hex[] = "0123456789ABCDEF";
        uint8_t c = verdict->id[i];

        if (c > ' ' && c < 0x7f && c != '%') {
            text[n++] = (char)c;
        } else {
            text[n++] = '%';
            text[n++] = hex[c >> 4];
            text[n++] = hex[c & 15];
        }
    }
    *out = json_stringn(text, n);
    return *out ? 0 : -1;
}

/* {"client": ..., "profile": ..., "claims": ...} */
static void answer_whoami(const ekmotp_verdict *verdict, ek_answer *answer)
{
    json_t *id = NULL, *all = NULL;
    char *text = NULL;
    int rc = -1;

    if (id_text(verdict, &id) == 0) {
        all = json_pack("{s:o,s:s}", "client", id, "profile", ekmotp_profile_name(verdict->profile));
        if (all && verdict->claims)
            json_object_set_new(all, "claims", json_loads(verdict->claims, 0, NULL));
        text = all ? json_dumps(all, JSON_COMPACT) : NULL;
    }
    answer->body = text ? evbuffer_new() : NULL;
    if (answer->body)
        rc = evbuffer_add_printf(answer->body, "%s\n", text);
    if (rc < 0) {
        ek_answer_clear(answer);
        ek_answer_init(answer, 500);
    }
    answer->type = rc < 0 ? answer->type : "application/json";
    free(text);
    json_decref(all);
}

void ek_content_answer(const ek_content *content, const ek_request *request, ek_answer *answer)
{
    ek_slice path = request->head->target;
    const char *query = memchr(path.at, '?', path.len);

    (void)content;
    if (query)
        path.len = (size_t)(query - path.at);
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
    } else {
        ek_answer_init(answer, 404);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "server/handlers.h"

#include <dlfcn.h>
#include <ekmotp/handler.h>
#include <stdlib.h>
#include <string.h>

typedef struct loaded {
    char *path; /* "/hello" */
    size_t path_len;
    void *object;
    const ekmotp_handler *handler;
    void *ctx;
} loaded;

struct ek_handlers {
    size_t count;
    loaded items[];
};

/* Cuts "PATH=FILE[,ARG]" in a copy. */
static int cut_spec(char *spec, char **file, char **argument, ekmotp_error *err)
{
    char *equals = strchr(spec, '=');
    char *comma = equals ? strchr(equals, ',') : NULL;

    if (spec[0] != '/' || !equals || equals == spec + 1 || equals[-1] == '/' || equals[1] == '\0' ||
        equals[1] == ',')
        return ekmotp_error_set(
            err, EKMOTP_E_SYNTAX,
            "handler '%s': write PATH=FILE or PATH=FILE,ARGUMENT, as in /hello=./hello.so", spec);
    *equals = '\0';
    *file = equals + 1;
    *argument = comma ? comma + 1 : equals + strlen(equals + 1) + 1;
    if (comma)
        *comma = '\0';
    return 0;
}

static int load(loaded *l, char *spec, ekmotp_error *err)
{
    char *file = NULL, *argument = NULL;
    int rc = cut_spec(spec, &file, &argument, err);

    if (rc != 0)
        return rc;
    l->path = spec;
    l->path_len = strlen(spec);
    l->object = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (!l->object)
        return ekmotp_error_set(err, EKMOTP_E_IO, "handler of %s: %s", spec, dlerror());
    l->handler = dlsym(l->object, EKMOTP_HANDLER_SYMBOL);
    if (!l->handler || !l->handler->answer)
        return ekmotp_error_set(err, EKMOTP_E_INVAL, "handler of %s: %s defines no '%s'", spec, file,
                                EKMOTP_HANDLER_SYMBOL);
    if (l->handler->abi != EKMOTP_HANDLER_ABI)
        return ekmotp_error_set(
            err, EKMOTP_E_INVAL,
            "handler of %s: %s is made for version %u of the interface, this server has %u", spec, file,
            l->handler->abi, EKMOTP_HANDLER_ABI);
    return l->handler->start ? l->handler->start(argument, &l->ctx, err) : 0;
}

static void unload(loaded *l, int started)
{
    if (started && l->handler->stop)
        l->handler->stop(l->ctx);
    if (l->object)
        dlclose(l->object);
    free(l->path);
}

int ek_handlers_new(const ek_list *specs, ek_handlers **out, ekmotp_error *err)
{
    ek_handlers *h = calloc(1, sizeof(*h) + specs->count * sizeof(h->items[0]));
    int rc = 0;

    if (!h)
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory");
    for (size_t i = 0; i < specs->count && rc == 0; i++) {
        loaded *l = &h->items[i];
        char *spec = strdup(specs->items[i]);

        rc = spec ? load(l, spec, err) : ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory");
        if (rc == 0) {
            h->count++;
        } else {
            l->path = spec;
            unload(l, 0);
        }
    }
    if (rc != 0)
        ek_handlers_free(&h);
    else
        *out = h;
    return rc;
}

void ek_handlers_free(ek_handlers **handlers)
{
    ek_handlers *h = handlers ? *handlers : NULL;

    if (!h)
        return;
    while (h->count > 0)
        unload(&h->items[--h->count], 1);
    free(h);
    *handlers = NULL;
}

static const loaded *find(const ek_handlers *h, ek_slice path)
{
    const loaded *best = NULL;

    for (size_t i = 0; i < h->count; i++) {
        const loaded *l = &h->items[i];

        if (path.len >= l->path_len && memcmp(path.at, l->path, l->path_len) == 0 &&
            (path.len == l->path_len || path.at[l->path_len] == '/') &&
            (!best || l->path_len > best->path_len))
            best = l;
    }
    return best;
}

static int write_body(ekmotp_handler_answer *answer, const void *bytes, size_t len)
{
    return evbuffer_add(answer->internal, bytes, len) == 0 ? 0 : EKMOTP_E_NOMEM;
}

/* A NUL-terminated copy of each text that the handler sees, in one block. */
static char *copy_texts(const ek_head *head, ek_slice path, ekmotp_handler_request *request)
{
    ek_slice query = {path.at + path.len, head->target.len - path.len}, type = {"", 0};
    const ek_slice *all[] = {&head->method, &path, &query, &type};
    const char **to[] = {&request->method, &request->path, &request->query, &request->content_type};
    char *block, *at;

    if (query.len > 0) { /* without the '?' */
        query.at++;
        query.len--;
    }
    for (size_t i = 0; i < head->field_count; i++)
        if (ek_slice_is_nocase(head->fields[i].name, "Content-Type"))
            type = head->fields[i].value;
    block = at = malloc(head->method.len + path.len + query.len + type.len + 4);
    for (size_t i = 0; block && i < 4; i++) {
        memcpy(at, all[i]->at, all[i]->len);
        at[all[i]->len] = '\0';
        *to[i] = at;
        at += all[i]->len + 1;
    }
    return block;
}

/* What a handler may not put into a header. */
static int is_field_text(const char *text)
{
    if (!text || strlen(text) > 128)
        return 0;
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return 0;
    return 1;
}

int ek_handlers_answer(const ek_handlers *handlers, const ek_head *head, ek_slice path, struct evbuffer *body,
                       const ekmotp_verdict *verdict, ek_answer *answer)
{
    const loaded *l = find(handlers, path);
    ekmotp_handler_request request = {.client_id = verdict->id,
                                      .client_id_len = verdict->id_len,
                                      .profile = ekmotp_profile_name(verdict->profile),
                                      .claims = verdict->claims,
                                      .body_len = body ? evbuffer_get_length(body) : 0};
    ekmotp_handler_answer given = {200, "text/plain; charset=utf-8", write_body, NULL};
    char *texts;

    if (!l)
        return 0;
    ek_answer_init(answer, 500);
    request.body = body && request.body_len > 0 ? evbuffer_pullup(body, -1) : (const uint8_t *)"";
    texts = copy_texts(head, path, &request);
    given.internal = evbuffer_new();
    if (texts && given.internal && request.body) {
        l->handler->answer(l->ctx, &request, &given);
        if (given.status >= 200 && given.status <= 599 && is_field_text(given.content_type)) {
            answer->status = given.status;
            answer->type = given.content_type;
            answer->body = given.internal;
            given.internal = NULL;
        }
    }
    if (given.internal)
        evbuffer_free(given.internal);
    free(texts);
    return 1;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/token_opener.h"

#include <ekmotp/p11.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* A token that refused its PIN. */
typedef struct refusal {
    struct refusal *next;
    int code;
    char token[]; /* as token_part() writes it */
} refusal;

struct ek_token_opener {
    char *agent_socket;
    char *agent_program;
    char *pin_source;
    unsigned timeout_ms;
    ekmotp_pin_callback pin;
    pthread_mutex_t lock; /* one key is opened at a time: the agent is started, a PIN asked for, once */
    ekmotp_agent *agent;
    refusal *refusals;
};

static int copy(const char *from, char **to)
{
    *to = from ? strdup(from) : NULL;
    return from && !*to ? -1 : 0;
}

int ek_token_opener_new(const ek_token_opener_options *options, ek_token_opener **out, ekmotp_error *err)
{
    ek_token_opener *o = calloc(1, sizeof(*o));

    if (!o)
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory");
    pthread_mutex_init(&o->lock, NULL);
    o->pin = options->pin;
    o->timeout_ms = options->timeout_ms;
    if (copy(options->agent, &o->agent_socket) != 0 || copy(options->agent_program, &o->agent_program) != 0 ||
        copy(options->pin_source, &o->pin_source) != 0) {
        ek_token_opener_free(&o);
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory");
    }
    *out = o;
    return 0;
}

void ek_token_opener_free(ek_token_opener **opener)
{
    ek_token_opener *o;

    if (!opener || !(o = *opener))
        return;
    *opener = NULL;
    ekmotp_agent_free(&o->agent);
    while (o->refusals) {
        refusal *next = o->refusals->next;

        free(o->refusals);
        o->refusals = next;
    }
    pthread_mutex_destroy(&o->lock);
    free(o->agent_socket);
    free(o->agent_program);
    free(o->pin_source);
    free(o);
}

/* The URI without what names an object in the token: two keys of one token give the same text. */
static char *token_part(const char *uri)
{
    static const char *const of_objects[] = {"object=", "id=", "type="};
    size_t len = strcspn(uri, "?");
    char *part = calloc(1, len + 2), *at = part;

    for (size_t i = 0; part && i < len;) {
        size_t n = strcspn(uri + i, ";?"), skip = 0;
        const char *attribute = uri + i + (i == 0 ? strlen("pkcs11:") : 0);

        for (size_t k = 0; k < sizeof(of_objects) / sizeof(of_objects[0]); k++)
            skip |= strncmp(attribute, of_objects[k], strlen(of_objects[k])) == 0;
        if (!skip) {
            memcpy(at, uri + i, n);
            at += n;
            *at++ = ';';
        }
        i += n + 1;
    }
    return part;
}

static int was_refused(const ek_token_opener *o, const char *token, ekmotp_error *err)
{
    for (const refusal *r = o->refusals; r; r = r->next)
        if (strcmp(r->token, token) == 0)
            return ekmotp_error_set(err, r->code,
                                    "the token refused its PIN before (%s); it is not tried again until the "
                                    "program is started again",
                                    ekmotp_strerror(r->code));
    return 0;
}

static void remember_refusal(ek_token_opener *o, const char *token, int code)
{
    refusal *r = calloc(1, sizeof(*r) + strlen(token) + 1);

    if (!r)
        return;
    r->code = code;
    memcpy(r->token, token, strlen(token) + 1);
    r->next = o->refusals;
    o->refusals = r;
}

static int need_agent(ek_token_opener *o, ekmotp_error *err)
{
    if (o->agent)
        return 0;
    if (o->agent_socket)
        return ekmotp_agent_connect(o->agent_socket, &o->agent, err);
    return ekmotp_agent_spawn(o->agent_program, &o->agent, err);
}

int ek_token_opener_open(void *ctx, const char *uri, ekmotp_hash hash, ekmotp_key **out, ekmotp_error *err)
{
    ek_token_opener *o = ctx;
    ekmotp_p11_options options = {
        .hash = hash, .pin_source = o->pin_source, .pin = o->pin, .timeout_ms = o->timeout_ms};
    char *token = token_part(uri);
    int rc;

    if (!token)
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory");
    pthread_mutex_lock(&o->lock);
    if ((rc = was_refused(o, token, err)) != 0 || (rc = need_agent(o, err)) != 0)
        goto out;
    rc = ekmotp_agent_key_open(o->agent, uri, &options, out, err);
    if (rc == EKMOTP_E_PIN_INCORRECT || rc == EKMOTP_E_PIN_LOCKED)
        remember_refusal(o, token, rc);
out:
    pthread_mutex_unlock(&o->lock);
    free(token);
    return rc;
}

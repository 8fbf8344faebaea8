/* SPDX-License-Identifier: Apache-2.0 */
/* front_keys.c: the list of keys, and who holds them. */
#include "config.h"

#include "p11/agent/front.h"
#include "p11/agent/uri_text.h"

#include <stdlib.h>
#include <string.h>

void ek_front_key_send_close(front *f, const front_key *k)
{
    ek_wire_message m = {.type = EK_WIRE_CLOSE, .timeout_ms = EK_FRONT_OPEN_MIN_MS};
    front_request *r = ek_front_request_new(f, NULL, &m, NULL);

    if (!r)
        return;
    r->close_key = k->handle;
    ek_front_worker_ask(f, k->worker, r);
}

static void key_free(front *f, front_key *k)
{
    if (k->state == FRONT_KEY_OPEN)
        ek_front_key_send_close(f, k);
    TAILQ_REMOVE(&f->keys, k, link);
    f->key_count--;
    ek_secret_free(&k->candidate);
    free(k->uri);
    free(k->token);
    free(k->module);
    free(k);
}

/* Makes room by forgetting a key that nobody has open. A shared agent keeps those as long as it can. */
static int make_room(front *f)
{
    front_key *k;

    if (f->key_count < EK_FRONT_KEYS_MAX)
        return 1;
    TAILQ_FOREACH(k, &f->keys, link)
    {
        if (k->refs > 0)
            continue;
        key_free(f, k);
        return 1;
    }
    return 0;
}

front_key *ek_front_key_find_or_add(front *f, const char *uri, ekmotp_hash hash, ekmotp_error *err)
{
    front_key *k;

    TAILQ_FOREACH(k, &f->keys, link)
    if (k->hash == hash && strcmp(k->uri, uri) == 0)
        return k;
    if (!make_room(f)) {
        ekmotp_error_set(err, EKMOTP_E_LIMIT, "agent: %d keys are open already", EK_FRONT_KEYS_MAX);
        return NULL;
    }
    k = calloc(1, sizeof(*k));
    if (k) {
        k->uri = strdup(uri);
        k->token = ek_uri_text_token(uri);
        k->module = ek_uri_text_module(uri);
    }
    if (!k || !k->uri || !k->token || !k->module) {
        if (k) {
            free(k->uri);
            free(k->token);
            free(k->module);
        }
        free(k);
        ekmotp_error_set(err, EKMOTP_E_NOMEM, "agent: out of memory");
        return NULL;
    }
    k->hash = hash;
    TAILQ_INIT(&k->waiting);
    TAILQ_INSERT_TAIL(&f->keys, k, link);
    f->key_count++;
    return k;
}

void ek_front_key_unref(front *f, front_key *k)
{
    /* A shared agent stays warm; a private one has one user, who is done with the key. */
    if (--k->refs == 0 && (!f->options->shared || k->probe_len == 0))
        key_free(f, k);
}

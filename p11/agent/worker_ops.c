/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "lib/common/secret.h"
#include "p11/admin.h"
#include "p11/agent/module_policy.h"
#include "p11/agent/worker_ops.h"

#include <ekmotp/p11.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define KEYS_MAX 256

/*
 * What the probe MAC is made of. It is neither a message of any profile (all of those begin with a counter
 * or are an exporter's output of a whole hash), nor secret.
 */
static const uint8_t probe_message[] = "ekmotp agent probe";

struct ek_worker_ops {
    const ek_agent_options *options;
    pthread_mutex_t lock;
    ekmotp_key *keys[KEYS_MAX];
};

ek_worker_ops *ek_worker_ops_new(const ek_agent_options *options)
{
    ek_worker_ops *ops = calloc(1, sizeof(*ops));

    if (ops) {
        ops->options = options;
        pthread_mutex_init(&ops->lock, NULL);
    }
    return ops;
}

static void answer_error(ek_wire_message *reply, int code, const char *text, uint8_t *small)
{
    size_t len = strlen(text);

    if (len > EKMOTP_ERROR_MESSAGE_SIZE - 1)
        len = EKMOTP_ERROR_MESSAGE_SIZE - 1;
    memcpy(small, text, len);
    reply->type = EK_WIRE_ERROR;
    reply->code = code < 0 ? code : EKMOTP_E_AGENT;
    reply->data = small;
    reply->len = len;
}

/* The PIN that came with the request, and what became of the token's question for it. */
typedef struct pin_ask {
    const ek_wire_message *request;
    int asked;
    char token[256];
} pin_ask;

static int give_pin(void *ctx, const char *token, char *pin, size_t size, ekmotp_error *err)
{
    pin_ask *ask = ctx;
    size_t len = strnlen(token, sizeof(ask->token) - 1);

    ask->asked = 1;
    memcpy(ask->token, token, len);
    ask->token[len] = '\0';
    if (!(ask->request->flags & EK_WIRE_HAS_PIN))
        return ekmotp_error_set(err, EKMOTP_E_PIN_MISSING, "token '%s': it wants a PIN", ask->token);
    if (ask->request->len2 > size)
        return ekmotp_error_set(err, EKMOTP_E_LIMIT, "token '%s': the PIN is too long", ask->token);
    if (ask->request->len2 > 0)
        memcpy(pin, ask->request->data2, ask->request->len2);
    return (int)ask->request->len2;
}

static int keep_key(ek_worker_ops *ops, ekmotp_key *key, uint32_t *handle, ekmotp_error *err)
{
    int rc = ekmotp_error_set(err, EKMOTP_E_LIMIT, "agent: at most %d keys are open at a time", KEYS_MAX);

    pthread_mutex_lock(&ops->lock);
    for (uint32_t i = 0; i < KEYS_MAX && rc != 0; i++) {
        if (ops->keys[i])
            continue;
        ops->keys[i] = key;
        *handle = i + 1;
        rc = 0;
    }
    pthread_mutex_unlock(&ops->lock);
    return rc;
}

static void answer_open(ek_worker_ops *ops, const ek_wire_message *request, ek_wire_message *reply,
                        uint8_t *small)
{
    pin_ask ask = {.request = request};
    ekmotp_p11_options o = {.hash = (ekmotp_hash)request->hash,
                            .pin = give_pin,
                            .pin_ctx = &ask,
                            .timeout_ms = request->timeout_ms};
    char *uri = strndup((const char *)request->data, request->len);
    ekmotp_key *key = NULL;
    ekmotp_error err = {0};
    uint32_t handle = 0;
    int rc;

    if (!uri)
        rc = ekmotp_error_set(&err, EKMOTP_E_NOMEM, "agent: out of memory");
    else
        rc = ek_module_policy_check(ops->options, uri, (request->flags & EK_WIRE_OTHER_USER) != 0, &err);
    if (rc == 0)
        rc = ekmotp_p11_key_open(uri, &o, &key, &err);
    if (rc == 0)
        rc = ekmotp_key_mac(key, probe_message, sizeof(probe_message) - 1, small, EKMOTP_HASH_MAX_SIZE, &err);
    if (rc == 0)
        rc = keep_key(ops, key, &handle, &err);
    free(uri);
    if (rc == 0) {
        reply->type = EK_WIRE_OPENED;
        reply->flags = ask.asked ? EK_WIRE_PIN_USED : 0;
        reply->key = handle;
        reply->data = small;
        reply->len = ekmotp_hash_size((ekmotp_hash)request->hash);
        return;
    }
    ekmotp_key_free(&key);
    if (rc == EKMOTP_E_PIN_MISSING && ask.asked && !(request->flags & EK_WIRE_HAS_PIN)) {
        reply->type = EK_WIRE_PIN_NEEDED;
        reply->len = strlen(ask.token);
        reply->data = memcpy(small, ask.token, reply->len);
    } else {
        answer_error(reply, rc, err.code ? err.message : ekmotp_strerror(rc), small);
    }
}

static ekmotp_key *find_key(ek_worker_ops *ops, uint32_t handle, int forget)
{
    ekmotp_key *key = NULL;

    pthread_mutex_lock(&ops->lock);
    if (handle >= 1 && handle <= KEYS_MAX && ops->keys[handle - 1]) {
        key = ops->keys[handle - 1];
        if (forget)
            ops->keys[handle - 1] = NULL;
        else
            ekmotp_key_ref(key);
    }
    pthread_mutex_unlock(&ops->lock);
    return key;
}

static void answer_mac(ek_worker_ops *ops, const ek_wire_message *request, ek_wire_message *reply,
                       uint8_t *small)
{
    ekmotp_key *key = find_key(ops, request->key, 0);
    ekmotp_error err = {0};
    int rc;

    if (!key) {
        answer_error(reply, EKMOTP_E_INVAL, "agent: the worker holds no such key", small);
        return;
    }
    rc = ekmotp_key_mac(key, request->data, request->len, small, EKMOTP_HASH_MAX_SIZE, &err);
    if (rc == 0) {
        reply->type = EK_WIRE_MAC_IS;
        reply->data = small;
        reply->len = ekmotp_hash_size(ekmotp_key_hash(key));
    } else {
        answer_error(reply, rc, err.code ? err.message : ekmotp_strerror(rc), small);
    }
    ekmotp_key_free(&key);
}

static void answer_admin(const ek_wire_message *request, ek_wire_message *reply, uint8_t *small, char **text)
{
    ek_secret *json = ek_secret_new(NULL, request->len + 1);
    ekmotp_error err = {0};
    int rc;

    if (json && request->len > 0)
        memcpy(json->bytes, request->data, request->len);
    rc = json ? ek_p11_admin((const char *)json->bytes, text, &err) : EKMOTP_E_NOMEM;
    ek_secret_free(&json);
    if (rc != 0) {
        answer_error(reply, rc, err.code ? err.message : ekmotp_strerror(rc), small);
        return;
    }
    reply->type = EK_WIRE_TEXT;
    reply->data = (const uint8_t *)*text;
    reply->len = strlen(*text);
}

void ek_worker_answer(ek_worker_ops *ops, const ek_wire_message *request, ek_wire_message *reply,
                      uint8_t small[EKMOTP_ERROR_MESSAGE_SIZE], char **text)
{
    ekmotp_key *key;

    memset(reply, 0, sizeof(*reply));
    reply->id = request->id;
    *text = NULL;
    switch (request->type) {
    case EK_WIRE_OPEN:
        answer_open(ops, request, reply, small);
        break;
    case EK_WIRE_MAC:
        answer_mac(ops, request, reply, small);
        break;
    case EK_WIRE_CLOSE:
        key = find_key(ops, request->key, 1);
        ekmotp_key_free(&key);
        reply->type = EK_WIRE_DONE;
        break;
    case EK_WIRE_ADMIN:
        answer_admin(request, reply, small, text);
        break;
    default:
        answer_error(reply, EKMOTP_E_AGENT, "agent: a worker does not know this request", small);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* client_key.c: an ekmotp_key whose MACs an agent makes. */
#include "config.h"

#include "lib/common/secret.h"
#include "p11/agent/agent.h"
#include "p11/agent/deadline.h"
#include "p11/agent/uri_text.h"
#include "p11/clock.h"
#include "p11/pin.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

typedef struct agent_key {
    ekmotp_agent *agent;
    char *uri; /* without PIN */
    ekmotp_hash hash;
    unsigned timeout_ms;
    pthread_mutex_t lock;
    pthread_cond_t opened;
    int opening; /* by a thread, to which all that follows belongs meanwhile; else the lock guards it */
    uint64_t generation; /* of the link that knows the handle */
    uint32_t handle;
    ek_secret *pin; /* that the token took; NULL if it wanted none, or once it was refused */
    int pin_refused;
    char *pin_source; /* the file that the PIN is in; NULL: the callback was to be asked */
    uint8_t probe[EKMOTP_HASH_MAX_SIZE];
    size_t probe_len;
} agent_key;

/* Where the PIN comes from while a key is opened for the first time. */
typedef struct pin_origin {
    const ekmotp_p11_options *options;
    const ek_uri *uri;
} pin_origin;

static void key_free(void *ctx)
{
    agent_key *k = ctx;
    ek_wire_message request = {.type = EK_WIRE_CLOSE, .key = k->handle};
    uint64_t generation = k->generation;
    ek_reply reply;
    int stale;

    /* A courtesy: an agent that is not there any more needs to forget nothing. */
    if (generation != 0 &&
        ek_agent_call(k->agent, &request, ek_agent_deadline(1000), &generation, &stale, &reply, NULL) == 0)
        free(reply.text);
    ek_secret_free(&k->pin);
    free(k->pin_source);
    pthread_mutex_destroy(&k->lock);
    pthread_cond_destroy(&k->opened);
    free(k->uri);
    ek_wipe(k, sizeof(*k));
    free(k);
}

static int ask_open(agent_key *k, const ek_secret *pin, int64_t deadline, ek_reply *reply, ekmotp_error *err)
{
    ek_wire_message request = {.type = EK_WIRE_OPEN,
                               .timeout_ms = k->timeout_ms,
                               .hash = (uint8_t)k->hash,
                               .data = (const uint8_t *)k->uri,
                               .len = strlen(k->uri)};
    uint64_t generation = 0;
    int stale, rc;

    if (pin) {
        request.flags = EK_WIRE_HAS_PIN;
        request.data2 = pin->bytes;
        request.len2 = pin->len;
    }
    rc = ek_agent_call(k->agent, &request, deadline, &generation, &stale, reply, err);
    /* The agent ended since the last call, or under this one: one more, with a new one. */
    if (rc != 0 && stale) {
        generation = 0;
        rc = ek_agent_call(k->agent, &request, deadline, &generation, &stale, reply, err);
    }
    free(reply->text);
    if (rc == 0)
        k->generation = generation;
    return rc;
}

static int take_opened(agent_key *k, const ek_reply *reply, ekmotp_error *err)
{
    size_t size = ekmotp_hash_size(k->hash);

    if (reply->type != EK_WIRE_OPENED || reply->len != size)
        return ekmotp_error_set(err, EKMOTP_E_AGENT, "agent: an answer of type %u was not expected",
                                reply->type);
    if (k->probe_len > 0 && !ek_equal(k->probe, reply->data, size)) {
        k->generation = 0;
        return ekmotp_error_set(err, EKMOTP_E_TOKEN_CHANGED,
                                "key '%.200s': it gives another MAC than before; the token or the key was "
                                "exchanged. Open the key anew if that is what you did",
                                k->uri);
    }
    memcpy(k->probe, reply->data, size);
    k->probe_len = size;
    k->handle = reply->key;
    return 0;
}

/*
 * The PIN that the token wants: from origin the first time; from memory, or from the same file if it was not
 * needed then, when the key is opened again.
 */
static int get_pin(agent_key *k, const pin_origin *origin, const char *token, ekmotp_error *err)
{
    ekmotp_p11_options from_file = {.pin_source = k->pin_source};
    int rc;

    if (k->pin)
        return 0;
    if (k->pin_refused)
        return ekmotp_error_set(err, EKMOTP_E_PIN_INCORRECT,
                                "token '%s': it refused the PIN, which is not sent again; open the key anew",
                                token);
    if (origin)
        rc = ek_pin_get(origin->uri, origin->options, token, &k->pin, err);
    else if (k->pin_source)
        rc = ek_pin_get(NULL, &from_file, token, &k->pin, err);
    else
        rc = ekmotp_error_set(
            err, EKMOTP_E_PIN_MISSING,
            "token '%s': the agent wants its PIN again; open the key anew, or any key of the "
            "token in this agent",
            token);
    if (rc == 0)
        (void)!mlock(k->pin, sizeof(*k->pin) + k->pin->len);
    return rc;
}

/* Opens the key in the agent; origin is NULL when it is opened again. */
static int open_key(agent_key *k, const pin_origin *origin, int64_t deadline, ekmotp_error *err)
{
    char token[256];
    ek_reply reply;
    int rc = ask_open(k, NULL, deadline, &reply, err);

    if (rc == 0 && reply.type == EK_WIRE_PIN_NEEDED) {
        memcpy(token, reply.data, reply.len + 1);
        k->generation = 0;
        rc = get_pin(k, origin, token, err);
        if (origin)
            deadline = ek_agent_deadline(k->timeout_ms); /* people think longer than tokens */
        if (rc == 0)
            rc = ask_open(k, k->pin, deadline, &reply, err);
        if (rc == EKMOTP_E_PIN_INCORRECT || rc == EKMOTP_E_PIN_LOCKED) {
            ek_secret_free(&k->pin);
            k->pin_refused = 1;
        }
    }
    return rc == 0 ? take_opened(k, &reply, err) : rc;
}

/*
 * The handle of the key at the agent. Where the link is not the one that knew it (anew: the link of
 * generation seen is gone) the key is opened again: by one thread, for which the others wait.
 */
static int ensure_open(agent_key *k, int anew, uint64_t seen, int64_t deadline, uint32_t *handle,
                       uint64_t *generation, ekmotp_error *err)
{
    struct timespec until = ek_deadline_timespec(deadline);
    int rc = 0;

    pthread_mutex_lock(&k->lock);
    while (rc == 0 && k->opening)
        if (pthread_cond_timedwait(&k->opened, &k->lock, &until) == ETIMEDOUT)
            rc = ekmotp_error_set(err, EKMOTP_E_TOKEN_TIMEOUT,
                                  "agent: the key could not be opened again in time");
    if (rc == 0 && (k->generation == 0 || (anew && k->generation == seen))) {
        k->opening = 1;
        k->generation = 0;
        pthread_mutex_unlock(&k->lock);
        rc = open_key(k, NULL, deadline, err);
        pthread_mutex_lock(&k->lock);
        k->opening = 0;
        pthread_cond_broadcast(&k->opened);
    }
    *handle = k->handle;
    *generation = k->generation;
    pthread_mutex_unlock(&k->lock);
    return rc;
}

static int key_mac(void *ctx, const uint8_t *msg, size_t msg_len, uint8_t *out, ekmotp_error *err)
{
    agent_key *k = ctx;
    int64_t deadline = ek_agent_deadline(k->timeout_ms);
    uint64_t generation = 0;
    ek_reply reply;
    int stale = 0, rc;

    for (int attempt = 0;; attempt++) {
        ek_wire_message request = {
            .type = EK_WIRE_MAC, .timeout_ms = k->timeout_ms, .data = msg, .len = msg_len};

        rc = ensure_open(k, stale, generation, deadline, &request.key, &generation, err);
        if (rc != 0)
            return rc;
        rc = ek_agent_call(k->agent, &request, deadline, &generation, &stale, &reply, err);
        if (rc == 0 || !stale || attempt == 1)
            break;
    }
    if (rc != 0)
        return rc;
    if (reply.type != EK_WIRE_MAC_IS || reply.len != ekmotp_hash_size(k->hash)) {
        free(reply.text);
        return ekmotp_error_set(err, EKMOTP_E_AGENT, "agent: an answer of type %u was not expected",
                                reply.type);
    }
    memcpy(out, reply.data, reply.len);
    return 0;
}

static const ekmotp_key_ops agent_key_ops = {.mac = key_mac, .free = key_free, .slow = 1};

/* The URI as it is sent: without pin-source, which names a file of this program's, not of the agent's. */
static int plain_uri(const char *uri, char **out, ekmotp_error *err)
{
    char *plain = ek_uri_text_plain(uri);

    if (!plain)
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "PKCS#11 URI: out of memory");
    if (strlen(plain) > EK_WIRE_URI_MAX) {
        free(plain);
        return ekmotp_error_set(err, EKMOTP_E_URI, "PKCS#11 URI: it is longer than %d bytes",
                                EK_WIRE_URI_MAX);
    }
    *out = plain;
    return 0;
}

static int keep_pin_source(agent_key *k, const pin_origin *origin, ekmotp_error *err)
{
    const char *source = origin->options->pin_source;

    if (!source)
        source = ek_uri_pin_source(origin->uri);
    if (!source)
        return 0;
    k->pin_source = strdup(source);
    return k->pin_source ? 0 : ekmotp_error_set(err, EKMOTP_E_NOMEM, "agent: out of memory");
}

int ekmotp_agent_key_open(ekmotp_agent *agent, const char *uri, const ekmotp_p11_options *options,
                          ekmotp_key **out, ekmotp_error *err)
{
    static const ekmotp_p11_options defaults;
    pin_origin origin = {.options = options ? options : &defaults};
    ekmotp_hash hash = origin.options->hash ? origin.options->hash : EKMOTP_HASH_SHA256;
    ek_uri *parsed = NULL;
    agent_key *k;
    int rc;

    if (!agent || !uri || ekmotp_hash_size(hash) == 0)
        return ekmotp_error_set(err, EKMOTP_E_INVAL, "agent: no agent, no URI or no such hash");
    rc = ek_uri_parse(uri, &parsed, err);
    if (rc != 0)
        return rc;
    origin.uri = parsed;
    k = calloc(1, sizeof(*k));
    if (!k) {
        ek_uri_free(&parsed);
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "agent: out of memory");
    }
    pthread_mutex_init(&k->lock, NULL);
    ek_cond_init(&k->opened);
    k->agent = agent;
    k->hash = hash;
    k->timeout_ms = ek_agent_timeout(origin.options->timeout_ms);
    rc = plain_uri(uri, &k->uri, err);
    if (rc == 0)
        rc = keep_pin_source(k, &origin, err);
    if (rc == 0)
        rc = open_key(k, &origin, ek_agent_deadline(k->timeout_ms), err);
    ek_uri_free(&parsed);
    if (rc != 0) {
        key_free(k);
        return rc;
    }
    return ekmotp_key_new(k->hash, &agent_key_ops, k, out, err);
}

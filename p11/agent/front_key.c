/* SPDX-License-Identifier: Apache-2.0 */
/*
 * front_key.c: the life of a key: closed, being opened in a worker, open; and back whenever the worker goes.
 * Each opening sends the PIN once at most, and counts only if the key still gives the same MAC.
 */
#include "config.h"

#include "p11/agent/front.h"
#include "p11/agent/policy.h"
#include "p11/agent/uri_text.h"

#include <stdlib.h>
#include <string.h>

#define RETRY_MIN_MS 100
#define RETRY_MAX_MS 5000

/* Gives a client that asked to open the key its handle. */
static void grant(front *f, front_request *r, uint8_t flags)
{
    front_key *k = r->key;
    front_client *c = r->client;
    ek_wire_message m = {.type = EK_WIRE_OPENED, .flags = flags, .data = k->probe, .len = k->probe_len};
    uint32_t i = 0;

    if (!c) {
        ek_front_reply(f, r, &m);
        return;
    }
    while (i < EK_FRONT_HANDLES_MAX && c->handles[i])
        i++;
    if (i == EK_FRONT_HANDLES_MAX) {
        ek_front_reply_error(f, r, EKMOTP_E_LIMIT, "agent: this connection has too many keys open");
        return;
    }
    c->handles[i] = k;
    k->refs++;
    m.key = i + 1;
    ek_front_reply(f, r, &m);
}

/* All who wait for the key get an error. */
static void fail_waiting(front *f, front_key *k, int code, const char *text)
{
    front_request *r;

    while ((r = TAILQ_FIRST(&k->waiting))) {
        TAILQ_REMOVE(&k->waiting, r, link);
        ek_front_reply_error(f, r, code, text);
    }
}

static void close_key(front_key *k)
{
    k->state = FRONT_KEY_CLOSED;
    k->worker = NULL;
    k->handle = 0;
    ek_secret_free(&k->candidate);
}

/* The token refused the PIN: no healing of this key sends it again, nor any other. */
static void forget_pin(front *f, front_key *k, int code)
{
    ek_secret *pin =
        k->candidate ? ek_vault_copy(k->candidate) : ek_vault_copy(ek_vault_get(&f->vault, k->token));

    k->pin_refused = 1;
    ek_vault_drop(&f->vault, k->token);
    /* A locked token did not look at the PIN; it may be right once the token is unlocked. */
    if (pin && code == EKMOTP_E_PIN_INCORRECT)
        (void)!ek_vault_put(&f->vault, k->token, pin, 1);
    ek_secret_free(&pin);
}

void ek_front_key_failed(front *f, front_key *k, int code, const char *text)
{
    k->refs++; /* those who wait may be the last who hold it */
    if (code == EKMOTP_E_PIN_INCORRECT || code == EKMOTP_E_PIN_LOCKED)
        forget_pin(f, k, code);
    ekmotp_error_set(&k->failure, code, "%s", text);
    close_key(k);
    if (k->failures < 16)
        k->failures++;
    k->retry_at =
        f->now +
        (RETRY_MIN_MS << (k->failures - 1) < RETRY_MAX_MS ? RETRY_MIN_MS << (k->failures - 1) : RETRY_MAX_MS);
    fail_waiting(f, k, code, text);
    ek_front_key_unref(f, k);
}

/* Begins to open a closed key with a PIN (may be NULL; taken over). */
static void begin(front *f, front_key *k, ek_secret *pin, unsigned timeout_ms)
{
    ek_wire_message m = {.type = EK_WIRE_OPEN, .timeout_ms = timeout_ms};
    front_request *r = NULL;
    ekmotp_error err = {0};
    front_worker *w;

    ek_secret_free(&k->candidate);
    k->candidate = pin;
    if (m.timeout_ms < EK_FRONT_OPEN_MIN_MS)
        m.timeout_ms = EK_FRONT_OPEN_MIN_MS;
    if (ek_front_worker_get(f, k->module, 0, &w, &err) != 0) {
        ek_front_key_failed(f, k, err.code, err.message);
        return;
    }
    r = ek_front_request_new(f, NULL, &m, k);
    if (!r) {
        ek_front_key_failed(f, k, EKMOTP_E_NOMEM, "agent: out of memory");
        return;
    }
    r->is_opener = 1;
    k->state = FRONT_KEY_OPENING;
    k->worker = w;
    ek_front_worker_ask(f, w, r);
}

static void pin_needed(front *f, front_key *k, ek_wire_message *reply)
{
    front_request *r;
    ek_secret *pin = NULL;

    close_key(k);
    k->needs_pin = 1;
    k->failures = 0;
    k->retry_at = 0;
    /* Somebody may have come with the PIN while the key was tried without. */
    TAILQ_FOREACH(r, &k->waiting, link)
    {
        if (!r->pin)
            continue;
        pin = r->pin;
        r->pin = NULL;
        begin(f, k, pin, r->timeout_ms);
        return;
    }
    while ((r = TAILQ_FIRST(&k->waiting))) {
        TAILQ_REMOVE(&k->waiting, r, link);
        if (r->type == EK_WIRE_OPEN)
            ek_front_reply(f, r, reply);
        else
            ek_front_reply_error(
                f, r, EKMOTP_E_PIN_MISSING,
                "agent: the token wants its PIN again and the agent has none; open the key anew");
    }
}

/* A request that is ready to be worked on: the key is open. */
static void proceed(front *f, front_request *r)
{
    if (r->type == EK_WIRE_OPEN) {
        grant(f, r, 0);
        return;
    }
    r->key->macs++;
    ek_front_worker_ask(f, r->key->worker, r);
}

void ek_front_key_opened(front *f, front_key *k, const ek_wire_message *reply)
{
    front_request *r;

    if (reply->type == EK_WIRE_PIN_NEEDED) {
        ek_wire_message m = *reply;

        pin_needed(f, k, &m);
        return;
    }
    if (reply->type != EK_WIRE_OPENED || reply->len != ekmotp_hash_size(k->hash)) {
        ek_front_key_failed(f, k, EKMOTP_E_AGENT, "agent: a worker gave an answer that makes no sense");
        return;
    }
    k->state = FRONT_KEY_OPEN;
    k->handle = reply->key;
    if (k->probe_len > 0 && !ek_equal(k->probe, reply->data, k->probe_len)) {
        ek_front_key_send_close(f, k);
        ek_front_key_failed(
            f, k, EKMOTP_E_TOKEN_CHANGED,
            "agent: after the token came back the key gives another MAC; the token or the key was "
            "exchanged. Stop the agent (or restart the program) if that is what you did");
        return;
    }
    k->probe_len = reply->len;
    memcpy(k->probe, reply->data, reply->len);
    if (reply->flags & EK_WIRE_PIN_USED) {
        k->needs_pin = 1;
        if (k->candidate)
            (void)!ek_vault_put(&f->vault, k->token, k->candidate, 0);
    }
    ek_secret_free(&k->candidate);
    k->failures = 0;
    k->retry_at = 0;
    k->pin_refused = 0;
    while ((r = TAILQ_FIRST(&k->waiting))) {
        TAILQ_REMOVE(&k->waiting, r, link);
        proceed(f, r);
    }
}

void ek_front_key_lost(front_key *k)
{
    close_key(k);
}

void ek_front_key_lock(front *f)
{
    ek_vault_clear(&f->vault);
    while (!TAILQ_EMPTY(&f->workers))
        ek_front_worker_end(f, TAILQ_FIRST(&f->workers), EKMOTP_E_PIN_MISSING, "agent: it was locked");
}

static int check_uri(const char *uri, ekmotp_error *err)
{
    if (strncmp(uri, "pkcs11:", 7) != 0)
        return ekmotp_error_set(err, EKMOTP_E_URI, "agent: not a PKCS#11 URI");
    if (ek_uri_text_has(uri, "pin-value") || ek_uri_text_has(uri, "pin-source") ||
        ek_uri_text_has(uri, "pinfile"))
        return ekmotp_error_set(err, EKMOTP_E_URI, "agent: a PIN travels in its own field, not in the URI");
    return 0;
}

/* The PIN to open a key with: the one that came, else the one that the token took before. */
static int choose_pin(front *f, front_key *k, const ek_wire_message *m, ek_secret **pin, ekmotp_error *err)
{
    ek_secret *given = NULL;

    if (!(m->flags & EK_WIRE_HAS_PIN)) {
        *pin = ek_vault_copy(ek_vault_get(&f->vault, k->token));
        return 0;
    }
    given = ek_secret_new(m->data2, m->len2);
    *pin = ek_vault_copy(given);
    ek_secret_free(&given);
    if (!*pin)
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "agent: out of memory");
    if (ek_vault_was_refused(&f->vault, k->token, *pin)) {
        ek_secret_free(pin);
        return ekmotp_error_set(err, EKMOTP_E_PIN_INCORRECT,
                                "agent: the token refused this PIN before; it is not sent a second time");
    }
    return 0;
}

void ek_front_key_open(front *f, front_client *c, const ek_wire_message *m)
{
    char *uri = strndup((const char *)m->data, m->len);
    front_request *r = NULL;
    ekmotp_error err = {0};
    ek_secret *pin = NULL;
    front_key *k = NULL;
    int rc;

    if (!uri)
        rc = ekmotp_error_set(&err, EKMOTP_E_NOMEM, "agent: out of memory");
    else
        rc = check_uri(uri, &err);
    if (rc == 0) {
        k = ek_front_key_find_or_add(f, uri, (ekmotp_hash)m->hash, &err);
        if (k && k->refs == 0 && k->probe_len == 0)
            k->other_user = 1;
        if (k && c->own_user)
            k->other_user = 0;
        rc = k ? choose_pin(f, k, m, &pin, &err) : err.code;
    }
    free(uri);
    r = k ? ek_front_request_new(f, c, m, k) : NULL;
    if (rc == 0 && !r)
        rc = ekmotp_error_set(&err, EKMOTP_E_NOMEM, "agent: out of memory");
    if (rc != 0) {
        ek_secret_free(&pin);
        if (r)
            ek_front_reply_error(f, r, err.code, err.message);
        else
            ek_front_client_error(f, c, m->id, err.code, err.message);
        return;
    }
    if (k->state == FRONT_KEY_OPEN) {
        ek_secret_free(&pin);
        grant(f, r, 0);
        return;
    }
    TAILQ_INSERT_TAIL(&k->waiting, r, link);
    if (k->state == FRONT_KEY_CLOSED)
        begin(f, k, pin, m->timeout_ms);
    else
        r->pin = pin;
}

/* Whether a closed key may be opened for a MAC now; the error says why not. */
static int may_reopen(const front *f, const front_key *k, ekmotp_error *err)
{
    if (k->pin_refused)
        return ekmotp_error_set(err, k->failure.code, "%s", k->failure.message);
    if (f->now < k->retry_at)
        return ekmotp_error_set(
            err, k->failure.code == EKMOTP_E_TOKEN_CHANGED ? EKMOTP_E_TOKEN_CHANGED : EKMOTP_E_TOKEN_AWAY,
            "agent: the token is away and tried again soon: %.400s", k->failure.message);
    if (k->needs_pin && !ek_vault_get(&f->vault, k->token))
        return ekmotp_error_set(err, EKMOTP_E_PIN_MISSING,
                                "agent: it was locked; open the key with its PIN again");
    return 0;
}

void ek_front_key_mac(front *f, front_client *c, const ek_wire_message *m)
{
    front_key *k = m->key >= 1 && m->key <= EK_FRONT_HANDLES_MAX ? c->handles[m->key - 1] : NULL;
    ekmotp_error err = {0};
    front_request *r;
    int rc = 0;

    if (!k)
        rc = ekmotp_error_set(&err, EKMOTP_E_INVAL, "agent: no key has this handle on this connection");
    else if (f->options->shared)
        rc = ek_policy_check(f->options->policy, k->hash, m->data, m->len, &err);
    if (rc == 0 && k->state == FRONT_KEY_CLOSED)
        rc = may_reopen(f, k, &err);
    /* One caller waits while a token that was away is tried; the others get an answer at once. */
    if (rc == 0 && k->state == FRONT_KEY_OPENING && k->failures > 0)
        rc = ekmotp_error_set(&err, EKMOTP_E_TOKEN_AWAY, "agent: the token is away and being tried: %.400s",
                              k->failure.message);
    r = rc == 0 ? ek_front_request_new(f, c, m, k) : NULL;
    if (rc == 0 && !r)
        rc = ekmotp_error_set(&err, EKMOTP_E_NOMEM, "agent: out of memory");
    if (rc != 0) {
        ek_front_client_error(f, c, m->id, err.code, err.message);
        return;
    }
    if (k->state == FRONT_KEY_OPEN) {
        proceed(f, r);
        return;
    }
    TAILQ_INSERT_TAIL(&k->waiting, r, link);
    if (k->state == FRONT_KEY_CLOSED)
        begin(f, k, ek_vault_copy(ek_vault_get(&f->vault, k->token)), m->timeout_ms);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "p11/key.h"

#include "p11/rv.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DEFAULT_TIMEOUT_MS 10000

/* No message of any profile begins like this, so the probe's MAC is of no use to anyone. */
static const uint8_t probe_message[] = "ekmotp: is this the same key?";

CK_RV ek_key_sign(const ek_token_key *key, const ek_lease *lease, const uint8_t *msg, size_t len,
                  uint8_t *out, const char **step)
{
    CK_FUNCTION_LIST *f = key->sessions.functions;
    CK_MECHANISM mechanism = {key->mechanism, NULL, 0};
    uint8_t mac[EKMOTP_HASH_MAX_SIZE];
    CK_ULONG mac_len = sizeof(mac);
    CK_RV rv;

    *step = "C_SignInit";
    rv = f->C_SignInit(lease->session, &mechanism, lease->key);
    if (rv != CKR_OK)
        return rv;
    *step = "C_Sign";
    rv = f->C_Sign(lease->session, (CK_BYTE *)msg, len, mac, &mac_len);
    if (rv == CKR_OK && mac_len != ekmotp_hash_size(key->hash))
        rv = CKR_FUNCTION_FAILED;
    if (rv == CKR_OK)
        memcpy(out, mac, mac_len);
    ek_wipe(mac, sizeof(mac));
    return rv;
}

/* ---- opening ---- */

/* Another key of this process has logged in: its PIN is kept for a healing of this one. */
static void borrow_pin(ek_token_key *key, const ek_token *token)
{
    if (!key->pin)
        key->pin = ek_pin_taken_find(token->identity);
    if (key->pin && !key->taken)
        key->taken = ek_pin_taken_add(token->identity, key->pin);
}

static int log_in(ek_token_key *key, const ek_token *token, CK_SESSION_HANDLE session, ekmotp_error *err)
{
    ek_secret *pin = NULL;
    int rc;

    if (ek_token_is_logged_in(token, session)) {
        borrow_pin(key, token);
        return 0;
    }
    if (key->pin)
        return ek_token_login(token, session, key->pin, err);
    if (!ek_pin_named(key->uri, &key->pin_options)) {
        if (!ek_token_wants_pin(token))
            return 0;
        if (ek_token_has_keypad(token))
            return ek_token_login(token, session, NULL, err);
    }
    rc = ek_pin_get(key->uri, &key->pin_options, token->label, &pin, err);
    if (rc != 0)
        return rc;
    rc = ek_token_login(token, session, pin, err);
    if (rc == 0) {
        key->pin = pin;
        pin = NULL;
        borrow_pin(key, token);
    }
    ek_secret_free(&pin);
    return rc;
}

static const char *mechanism_hint(CK_RV rv)
{
    switch (rv) {
    case CKR_KEY_SIZE_RANGE:
        return "the key is too short for this token; remove it and import it again with 'ekmotp key import', "
               "which "
               "pads it with zeros (the MAC stays the same)";
    case CKR_MECHANISM_INVALID:
    case CKR_FUNCTION_NOT_SUPPORTED:
        return "the token has no HMAC with this hash; 'ekmotp token list' shows what it can do";
    case CKR_KEY_TYPE_INCONSISTENT:
        return "the key was made for another hash or another use; import it for this hash with 'ekmotp key "
               "import'";
    case CKR_KEY_FUNCTION_NOT_PERMITTED:
        return "the key may not sign (CKA_SIGN is false); import it again with 'ekmotp key import'";
    default:
        return "'ekmotp token doctor' finds out more";
    }
}

static int make_probe(ek_token_key *key, const ek_token *token, const ek_lease *lease, int first,
                      ekmotp_error *err)
{
    size_t size = ekmotp_hash_size(key->hash);
    uint8_t mac[EKMOTP_HASH_MAX_SIZE] = {0};
    const char *step;
    CK_RV rv = ek_key_sign(key, lease, probe_message, sizeof(probe_message) - 1, mac, &step);
    int rc = 0;

    if (rv != CKR_OK)
        return ek_token_error(err, 0, token, step, rv, mechanism_hint(rv));
    if (first)
        memcpy(key->probe, mac, size);
    else if (!ek_equal(key->probe, mac, size))
        rc = ekmotp_error_set(err, EKMOTP_E_TOKEN_CHANGED,
                              "token '%s' came back with another key under '%s': its MAC of the same message "
                              "differs, so it is not used; put the right key back, or open the new one",
                              token->label, key->uri->text);
    ek_wipe(mac, sizeof(mac));
    return rc;
}

int ek_key_open_on(ek_token_key *key, const ek_token *token, int first, ekmotp_error *err)
{
    unsigned generation;
    ek_lease lease = {0};
    int rc, open = 0;

    rc = ek_module_enter(token->module, &generation, err);
    if (rc != 0)
        return rc;
    if (generation != token->generation) {
        rc = ekmotp_error_set(err, EKMOTP_E_TOKEN_AWAY,
                              "token '%s': its module was started again; call again", token->label);
        goto out;
    }
    if ((rc = ek_token_session(token, 0, &lease.session, err)) != 0)
        goto out;
    open = 1;
    if ((rc = log_in(key, token, lease.session, err)) != 0)
        goto out;
    if ((rc = ek_object_find(key->uri, token, lease.session, &lease.key, err)) != 0)
        goto out;
    if ((rc = make_probe(key, token, &lease, first, err)) != 0)
        goto out;
    ek_sessions_start(&key->sessions, token, lease.session, lease.key);
    open = 0;
    rc = 0;
out:
    if (open)
        ek_module_functions(token->module)->C_CloseSession(lease.session);
    ek_module_leave(token->module);
    return rc;
}

/* Closes the sessions, unless a restart has ended them already. */
static void close_sessions(ek_token_key *key)
{
    unsigned generation;

    if (ek_module_enter(key->token.module, &generation, NULL) != 0)
        return;
    if (ek_sessions_running(&key->sessions, generation))
        ek_sessions_close(&key->sessions);
    ek_module_leave(key->token.module);
}

static void key_free(void *ctx)
{
    ek_token_key *key = ctx;

    if (!key)
        return;
    /* A fork frees the memory and lets sessions, module and locks be: they are its parent's. */
    if (key->token.module && ek_module_is_ours(key->token.module)) {
        close_sessions(key);
        ek_pin_taken_free(&key->taken);
    }
    if (key->token.module) {
        ek_sessions_destroy(&key->sessions);
        ek_token_clear(&key->token);
    }
    pthread_mutex_destroy(&key->lock);
    ek_wipe(key->probe, sizeof(key->probe));
    ek_secret_free(&key->pin);
    ek_uri_free(&key->uri);
    free((char *)key->pin_options.pin_source);
    free(key);
}

/* ---- one MAC ---- */

#define NEEDS_HEALING 1

/* One try. NEEDS_HEALING: failure tells what is wrong. */
static int attempt(ek_token_key *key, const uint8_t *msg, size_t len, uint8_t *out, ek_failure *failure,
                   ekmotp_error *err)
{
    ek_lease lease;
    int rc;

    *failure = (ek_failure){.step = "C_Initialize"};
    rc = ek_module_enter(key->token.module, &failure->generation, err);
    if (rc != 0)
        return rc == EKMOTP_E_MODULE ? NEEDS_HEALING : rc;
    failure->step = "C_OpenSession";
    rc = ek_sessions_take(&key->sessions, failure->generation, key->timeout_ms, &lease, &failure->rv, err);
    if (rc != 0)
        goto out;
    failure->rv = ek_key_sign(key, &lease, msg, len, out, &failure->step);
    /* The token has closed this session alone: nothing was computed, and a new one may do. */
    if (failure->rv == CKR_SESSION_HANDLE_INVALID || failure->rv == CKR_SESSION_CLOSED) {
        failure->step = "C_OpenSession";
        failure->rv = ek_sessions_renew(&key->sessions, &lease);
        if (failure->rv == CKR_OK)
            failure->rv = ek_key_sign(key, &lease, msg, len, out, &failure->step);
    }
    if (failure->rv == CKR_OK) {
        ek_sessions_give(&key->sessions, &lease);
    } else {
        ek_sessions_fail(&key->sessions, &lease);
        rc = NEEDS_HEALING;
    }
out:
    ek_module_leave(key->token.module);
    return rc == EK_SESSIONS_LOST ? NEEDS_HEALING : rc;
}

static int key_mac(void *ctx, const uint8_t *msg, size_t len, uint8_t *out, ekmotp_error *err)
{
    ek_token_key *key = ctx;
    ek_failure failure;
    int rc = attempt(key, msg, len, out, &failure, err);

    if (rc != NEEDS_HEALING)
        return rc;
    rc = ek_key_heal(key, &failure, err);
    if (rc != 0)
        return rc;
    rc = attempt(key, msg, len, out, &failure, err);
    if (rc == NEEDS_HEALING)
        rc = ek_token_error(
            err, EKMOTP_E_TOKEN_AWAY, &key->token, failure.step, failure.rv,
            "it was away, came back and failed again; the next call tries to open it once more");
    return rc;
}

static const ekmotp_key_ops token_ops = {.mac = key_mac, .free = key_free, .slow = 1};

/* ---- the public function ---- */

static int key_new(const char *uri, const ekmotp_p11_options *options, ek_token_key **out, ekmotp_error *err)
{
    ek_token_key *key = calloc(1, sizeof(*key));
    int rc;

    if (!key)
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory for a key");
    pthread_mutex_init(&key->lock, NULL);
    key->hash = options && options->hash ? options->hash : EKMOTP_HASH_SHA256;
    key->mechanism = ek_object_mechanism(key->hash);
    key->timeout_ms = options && options->timeout_ms ? options->timeout_ms : DEFAULT_TIMEOUT_MS;
    if (ekmotp_hash_size(key->hash) == 0) {
        rc = ekmotp_error_set(err, EKMOTP_E_INVAL, "%d is not the number of a known hash", (int)key->hash);
        goto out;
    }
    if (options) {
        key->pin_options.pin = options->pin;
        key->pin_options.pin_ctx = options->pin_ctx;
        if (options->pin_source && !(key->pin_options.pin_source = strdup(options->pin_source))) {
            rc = ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory for a key");
            goto out;
        }
    }
    if ((rc = ek_uri_parse(uri, &key->uri, err)) != 0)
        goto out;
    *out = key;
    key = NULL;
out:
    key_free(key);
    return rc;
}

/*
 * A token that another process writes at this moment (SoftHSM does at each login) cannot be read and looks as
 * if it were not there: it is missing only after two more looks, with the modules loaded anew.
 */
static int find_token(ek_token_key *key, ek_modules *modules, ekmotp_error *err)
{
    const struct timespec pause = {.tv_nsec = 50 * 1000 * 1000};
    int rc = ek_token_find(key->uri, modules, &key->token, err);

    for (int look = 0; look < 2 && rc == EKMOTP_E_TOKEN_NOT_FOUND; look++) {
        ek_modules_close(modules);
        nanosleep(&pause, NULL);
        rc = ek_modules_open(key->uri, modules, err);
        if (rc == 0)
            rc = ek_token_find(key->uri, modules, &key->token, err);
    }
    return rc;
}

int ekmotp_p11_key_open(const char *uri, const ekmotp_p11_options *options, ekmotp_key **out,
                        ekmotp_error *err)
{
    ek_modules modules = {0};
    ek_token_key *key = NULL;
    ekmotp_hash hash;
    int rc;

    if (!uri)
        return ekmotp_error_set(err, EKMOTP_E_INVAL, "no URI was given");
    if ((rc = key_new(uri, options, &key, err)) != 0)
        goto out;
    if ((rc = ek_modules_open(key->uri, &modules, err)) != 0)
        goto out;
    if ((rc = find_token(key, &modules, err)) != 0)
        goto out;
    ek_sessions_init(&key->sessions, &key->token);
    if ((rc = ek_key_open_on(key, &key->token, 1, err)) != 0)
        goto out;
    /* The caller's function was for this call. A healing has the PIN, or a file, or none. */
    key->pin_options.pin = NULL;
    hash = key->hash;
    rc = ekmotp_key_new(hash, &token_ops, key, out, err);
    key = NULL;
out:
    /* Modules in which the token is not are unloaded here. */
    ek_modules_close(&modules);
    key_free(key);
    return rc;
}

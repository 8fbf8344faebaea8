/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/directory/lazy_key.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct ek_lazy_source {
    atomic_uint owners;
    const ekmotp_crypto *crypto;
    ekmotp_directory_token_opener open_token;
    void *open_token_ctx;
    ekmotp_key *master;   /* NULL until the first derived key is made */
    pthread_mutex_t lock; /* of the states of all its keys; never held while one is opened */
    pthread_cond_t changed;
};

enum { CLOSED, OPENING, OPEN };

/* A million of them may stand in a snapshot: small. */
typedef struct lazy_key {
    ek_lazy_source *source;
    ekmotp_key *inner; /* set before state becomes OPEN, then left alone */
    atomic_int state;
    uint32_t generation; /* 0: the name is a URI; else it is the id of a derived key's client */
    uint8_t hash;
    uint8_t id_len;
    char name[];
} lazy_key;

int ek_lazy_source_new(ekmotp_directory *d, ek_lazy_source **out, ekmotp_error *err)
{
    ek_lazy_source *source = calloc(1, sizeof(*source));

    if (!source)
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "%s: out of memory", d->path);
    atomic_init(&source->owners, 1);
    source->crypto = d->crypto;
    source->open_token = d->open_token;
    source->open_token_ctx = d->open_token_ctx;
    pthread_mutex_init(&source->lock, NULL);
    pthread_cond_init(&source->changed, NULL);
    *out = source;
    return 0;
}

void ek_lazy_source_free(ek_lazy_source **source)
{
    ek_lazy_source *s;

    if (!source || !(s = *source))
        return;
    *source = NULL;
    if (atomic_fetch_sub_explicit(&s->owners, 1, memory_order_acq_rel) != 1)
        return;
    ekmotp_key_free(&s->master);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static int open_inner(lazy_key *key, ekmotp_key **out, ekmotp_error *err)
{
    uint8_t bytes[EKMOTP_KEY_MAX_SIZE];
    ekmotp_hash hash = (ekmotp_hash)key->hash;
    int rc;

    if (key->generation == 0)
        return key->source->open_token(key->source->open_token_ctx, key->name, hash, out, err);
    rc = ek_master_derive(key->source->master, (const uint8_t *)key->name, key->id_len, hash, key->generation,
                          bytes, err);
    if (rc == 0)
        rc = ekmotp_key_new_bytes(key->source->crypto, hash, bytes, ekmotp_hash_size(hash), 0, out, err);
    ek_wipe(bytes, sizeof(bytes));
    return rc;
}

/* Opens the key once, however many threads want it; those that waited for a failure do not try again. */
static int make_open(lazy_key *key, ekmotp_error *err)
{
    ek_lazy_source *source = key->source;
    int rc = 0, waited = 0;

    pthread_mutex_lock(&source->lock);
    while (atomic_load(&key->state) == OPENING) {
        waited = 1;
        pthread_cond_wait(&source->changed, &source->lock);
    }
    if (atomic_load(&key->state) == OPEN) {
        pthread_mutex_unlock(&source->lock);
        return 0;
    }
    if (waited) {
        pthread_mutex_unlock(&source->lock);
        return ekmotp_error_set(err, EKMOTP_E_TOKEN_AWAY, "the client's key could not be opened just now");
    }
    atomic_store(&key->state, OPENING);
    pthread_mutex_unlock(&source->lock);
    rc = open_inner(key, &key->inner, err);
    pthread_mutex_lock(&source->lock);
    atomic_store(&key->state, rc == 0 ? OPEN : CLOSED);
    pthread_cond_broadcast(&source->changed);
    pthread_mutex_unlock(&source->lock);
    return rc;
}

static int lazy_mac(void *ctx, const uint8_t *msg, size_t msg_len, uint8_t *out, ekmotp_error *err)
{
    lazy_key *key = ctx;
    int rc;

    if (atomic_load_explicit(&key->state, memory_order_acquire) != OPEN && (rc = make_open(key, err)) != 0)
        return rc;
    return ekmotp_key_mac(key->inner, msg, msg_len, out, ekmotp_hash_size((ekmotp_hash)key->hash), err);
}

static void lazy_free(void *ctx)
{
    lazy_key *key = ctx;

    ekmotp_key_free(&key->inner);
    ek_lazy_source_free(&key->source);
    free(key);
}

static const ekmotp_key_ops lazy_ops = {.mac = lazy_mac, .free = lazy_free, .slow = 1};

int ek_lazy_key_new(ek_lazy_source *source, ekmotp_key *master, const ek_record *record,
                    const ek_record_key *from, ekmotp_key **out, ekmotp_error *err)
{
    int derived = master != NULL;
    size_t len = derived ? record->id_len : strlen(from->uri);
    lazy_key *key;

    if (!derived && !source->open_token)
        return ekmotp_error_set(err, EKMOTP_E_URI, "its key is in a token, which this program cannot use");
    key = calloc(1, offsetof(lazy_key, name) + len + (derived ? 0 : 1));
    if (!key)
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory for a key");
    if (derived && !source->master)
        source->master = ekmotp_key_ref(master);
    atomic_fetch_add_explicit(&source->owners, 1, memory_order_relaxed);
    key->source = source;
    key->hash = (uint8_t)record->hash;
    memcpy(key->name, derived ? (const void *)record->id : from->uri, len);
    if (derived) {
        key->generation = from->generation;
        key->id_len = (uint8_t)record->id_len;
    }
    return ekmotp_key_new(record->hash, &lazy_ops, key, out, err);
}

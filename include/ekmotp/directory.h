/* SPDX-License-Identifier: Apache-2.0 */
/*
 * directory.h: the server's store of clients and their keys, in an SQLite file.
 *
 * Two halves. A server opens the directory, takes a snapshot, looks clients up in it without a lock, and
 * takes a new one when the file has changed. An administration tool changes it (ekmotp_directory_add ...),
 * each call one transaction.
 */
#ifndef EKMOTP_DIRECTORY_H
#define EKMOTP_DIRECTORY_H

#include <ekmotp/verifier.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EKMOTP_DIRECTORY_NOTE_MAX 1024 /* bytes of a client's note */

/* Opens a key in a token for the directory: its key-encryption key, the master key, a client's key. */
typedef int (*ekmotp_directory_token_opener)(void *ctx, const char *uri, ekmotp_hash hash, ekmotp_key **out,
                                             ekmotp_error *err);

typedef struct ekmotp_directory_options {
    const ekmotp_crypto *crypto; /* borrowed; needed */
    /* The key-encryption key: NULL for PATH.kek, a file's path, or a "pkcs11:" URI. */
    const char *kek;
    /* The HMAC key that derived client keys come from: NULL for none, a file's path, or a "pkcs11:" URI. */
    const char *master;
    ekmotp_directory_token_opener open_token; /* NULL: no key can be in a token */
    void *open_token_ctx;
    int read_only; /* a server's view: nothing is created or migrated */
} ekmotp_directory_options;

typedef struct ekmotp_directory ekmotp_directory;

/*
 * Opens the directory in an SQLite file. Without read_only the file is created where it is missing, and
 * with it, where options->kek is NULL, PATH.kek (mode 0600, 32 random bytes); *created (may be NULL) gets
 * EKMOTP_DIRECTORY_CREATED and EKMOTP_DIRECTORY_KEK_CREATED. EKMOTP_E_DIRECTORY, _KEK, _IO.
 */
#define EKMOTP_DIRECTORY_CREATED 1u
#define EKMOTP_DIRECTORY_KEK_CREATED 2u
int ekmotp_directory_open(const char *path, const ekmotp_directory_options *options, ekmotp_directory **out,
                          unsigned *created, ekmotp_error *err) __attribute__((warn_unused_result));
void ekmotp_directory_free(ekmotp_directory **directory);

/* ---- snapshots, for servers ---- */

typedef struct ekmotp_snapshot ekmotp_snapshot;

/*
 * Reads the whole directory into an immutable snapshot (one owner). All or nothing: a damaged record, a
 * wrong key-encryption key or an unknown schema is an error that names the client. Keys in tokens are
 * opened when they are first used, by the verifier's derive step. previous (may be NULL) lends its open
 * token keys and key serials.
 */
int ekmotp_snapshot_load(ekmotp_directory *directory, const ekmotp_snapshot *previous, ekmotp_snapshot **out,
                         ekmotp_error *err) __attribute__((warn_unused_result));
/* Another owner; never fails. Thread-safe. */
ekmotp_snapshot *ekmotp_snapshot_ref(ekmotp_snapshot *snapshot);
/* Gives up ownership; the last owner's call wipes and releases. NULL-safe. Thread-safe. */
void ekmotp_snapshot_free(ekmotp_snapshot **snapshot);
/* How many clients it holds. */
size_t ekmotp_snapshot_count(const ekmotp_snapshot *snapshot);
/* The lookup for ekmotp_verifier_verify; valid as long as the snapshot. No allocation, no lock. */
ekmotp_lookup ekmotp_snapshot_lookup(const ekmotp_snapshot *snapshot);
/* 1 if the file has changed since the snapshot was read (cheap: for a timer), 0 if not, or EKMOTP_E_*. */
int ekmotp_snapshot_stale(ekmotp_directory *directory, const ekmotp_snapshot *snapshot, ekmotp_error *err)
    __attribute__((warn_unused_result));

/* ---- clients, for administration ---- */

/* Where a client's key comes from. */
typedef enum ekmotp_key_source {
    EKMOTP_KEY_WRAPPED = 1, /* bytes, sealed under the key-encryption key in the database */
    EKMOTP_KEY_DERIVED,     /* KDF(master, "ekmotp v1 client key", id || generation); nothing stored */
    EKMOTP_KEY_TOKEN        /* a PKCS#11 URI */
} ekmotp_key_source;

typedef struct ekmotp_client_key {
    ekmotp_key_source source;
    const uint8_t *bytes; /* WRAPPED, when adding; never given out */
    size_t len;
    const char *uri;     /* TOKEN */
    uint32_t generation; /* DERIVED: 1, 2, ... as the directory gives it */
    int64_t not_before;  /* seconds since 1970-01-01 UTC, inclusive; INT64_MIN for none */
    int64_t not_after;   /* likewise; INT64_MAX for none */
} ekmotp_client_key;

typedef struct ekmotp_client_info {
    const uint8_t *id;
    size_t id_len;
    ekmotp_hash hash;
    unsigned profiles; /* set of EKMOTP_PROFILE_BIT */
    int disabled;
    const char *note; /* "" for none; UTF-8 */
    int64_t created;  /* seconds since 1970-01-01 UTC */
    int64_t changed;
    size_t key_count; /* 0 to 2: the current key first */
    ekmotp_client_key keys[2];
} ekmotp_client_info;

/* Adds a client with its first key (info->keys[0]). EKMOTP_E_CLIENT_EXISTS, _KEY_LENGTH, _KEK. */
int ekmotp_directory_add(ekmotp_directory *directory, const ekmotp_client_info *info, ekmotp_error *err)
    __attribute__((warn_unused_result));
/* Calls visit for the client, or gives EKMOTP_E_CLIENT_NOT_FOUND; info is valid during the call. */
typedef int (*ekmotp_directory_visit)(void *ctx, const ekmotp_client_info *info, ekmotp_error *err);
int ekmotp_directory_show(ekmotp_directory *directory, const uint8_t *id, size_t id_len,
                          ekmotp_directory_visit visit, void *ctx, ekmotp_error *err)
    __attribute__((warn_unused_result));
int ekmotp_directory_set_disabled(ekmotp_directory *directory, const uint8_t *id, size_t id_len, int disabled,
                                  ekmotp_error *err) __attribute__((warn_unused_result));
/* Gives a client a new current key; the old one becomes the previous, valid until previous_until. */
int ekmotp_directory_rotate(ekmotp_directory *directory, const uint8_t *id, size_t id_len,
                            const ekmotp_client_key *key, int64_t previous_until, ekmotp_error *err)
    __attribute__((warn_unused_result));
/* Drops the previous key. */
int ekmotp_directory_finish_rotation(ekmotp_directory *directory, const uint8_t *id, size_t id_len,
                                     ekmotp_error *err) __attribute__((warn_unused_result));
int ekmotp_directory_remove(ekmotp_directory *directory, const uint8_t *id, size_t id_len, ekmotp_error *err)
    __attribute__((warn_unused_result));

#ifdef __cplusplus
}
#endif
#endif

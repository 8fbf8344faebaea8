/* SPDX-License-Identifier: Apache-2.0 */
/*
 * directory.h: the server's store of clients and their keys, in an SQLite file.
 *
 * Two halves. A server opens the directory, takes a snapshot, looks clients up in it without a lock, and
 * takes a new one when the file has changed. An administration tool changes it (ekmotp_directory_add ...),
 * each call one transaction.
 *
 * One thread at a time per ekmotp_directory; a snapshot is for any number of threads. No secret can be
 * read from the file without the key-encryption key, and no record in it can be altered, swapped or
 * taken from another directory without being noticed when it is read.
 */
#ifndef EKMOTP_DIRECTORY_H
#define EKMOTP_DIRECTORY_H

#include <ekmotp/verifier.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EKMOTP_DIRECTORY_NOTE_MAX 1024 /* bytes of a client's note */
#define EKMOTP_DIRECTORY_URI_MAX 1024  /* bytes of a PKCS#11 URI */

/* Opens a key in a token for the directory: its key-encryption key, the master key, a client's key. */
typedef int (*ekmotp_directory_token_opener)(void *ctx, const char *uri, ekmotp_hash hash, ekmotp_key **out,
                                             ekmotp_error *err);

typedef struct ekmotp_directory_options {
    const ekmotp_crypto *crypto; /* borrowed; needed */
    /* The key-encryption key: NULL for PATH.kek, a file's path, or a "pkcs11:" URI (SHA-256). */
    const char *kek;
    /*
     * The HMAC key that derived client keys come from: NULL for none, a file's path, or a "pkcs11:" URI. The
     * first derived key ties the directory to it: another one is EKMOTP_E_KEK.
     */
    const char *master;
    ekmotp_directory_token_opener open_token; /* NULL: no key can be in a token */
    void *open_token_ctx; /* outlives the directory and every snapshot of it; thread-safe */
    int read_only;        /* a server's view: nothing is created, migrated or changed */
    unsigned wait_ms;     /* how long to wait for another program's lock; 0 means 10000 */
} ekmotp_directory_options;

typedef struct ekmotp_directory ekmotp_directory;

#define EKMOTP_DIRECTORY_CREATED 1u
#define EKMOTP_DIRECTORY_KEK_CREATED 2u
#define EKMOTP_DIRECTORY_MIGRATED 4u
/*
 * Opens the directory in an SQLite file. Without read_only the file (mode 0600) is created where it is
 * missing, and with it, where options->kek is NULL, PATH.kek (mode 0600, 32 random bytes); an older
 * schema is migrated. *created (may be NULL) gets a set of EKMOTP_DIRECTORY_*. options and its strings
 * are copied. EKMOTP_E_DIRECTORY for a damaged file or an unknown schema, EKMOTP_E_KEK for a missing or
 * wrong key-encryption key, EKMOTP_E_IO for a file that cannot be read, written or locked.
 */
int ekmotp_directory_open(const char *path, const ekmotp_directory_options *options, ekmotp_directory **out,
                          unsigned *created, ekmotp_error *err) __attribute__((warn_unused_result));
/* Releases; an open transaction is rolled back. Snapshots live on. NULL-safe. */
void ekmotp_directory_free(ekmotp_directory **directory);

/* ---- snapshots, for servers ---- */

typedef struct ekmotp_snapshot ekmotp_snapshot;

/*
 * Reads the whole directory into an immutable snapshot (one owner). All or nothing: a damaged record, a
 * wrong key-encryption key or an unknown schema is an error that names the client; a file that was
 * replaced is opened anew. Keys in tokens are opened when they are first used, by the verifier's derive
 * step; so are derived keys where the master key is slow. previous (may be NULL) lends its open keys.
 */
int ekmotp_snapshot_load(ekmotp_directory *directory, const ekmotp_snapshot *previous, ekmotp_snapshot **out,
                         ekmotp_error *err) __attribute__((warn_unused_result));
/* Another owner; never fails. Thread-safe. */
ekmotp_snapshot *ekmotp_snapshot_ref(ekmotp_snapshot *snapshot);
/* Gives up ownership; the last owner's call wipes and releases. NULL-safe. Thread-safe. */
void ekmotp_snapshot_free(ekmotp_snapshot **snapshot);
/* How many clients it holds. */
size_t ekmotp_snapshot_count(const ekmotp_snapshot *snapshot);
/* Bytes of memory that it holds, keys included, open token keys not. */
size_t ekmotp_snapshot_memory(const ekmotp_snapshot *snapshot);
/* The lookup for ekmotp_verifier_verify; valid as long as the snapshot. No allocation, no lock. */
ekmotp_lookup ekmotp_snapshot_lookup(const ekmotp_snapshot *snapshot);
/*
 * 1 if the file has changed since the snapshot was read, 0 if not, or EKMOTP_E_*. Cheap: for a timer. A
 * version that ekmotp_snapshot_load refused as damaged counts as seen, so that it is refused once.
 */
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
    const uint8_t *bytes; /* WRAPPED, when adding; never given out (NULL) */
    size_t len;           /* bytes of the key; 0 where a token holds it */
    const char *uri;      /* TOKEN; without pin-value. Else NULL */
    uint32_t generation;  /* DERIVED: 1, 2, ...; 0 when adding lets the directory choose the next one */
    int64_t not_before;   /* seconds since 1970-01-01 UTC, inclusive; INT64_MIN for none */
    int64_t not_after;    /* likewise; INT64_MAX for none */
} ekmotp_client_key;

typedef struct ekmotp_client_info {
    const uint8_t *id; /* 1 to EKMOTP_ID_MAX bytes */
    size_t id_len;
    ekmotp_hash hash;
    unsigned profiles; /* set of EKMOTP_PROFILE_BIT, not empty; SHA-256 only where one is a compat profile */
    int disabled;
    const char *note; /* "" or NULL for none; UTF-8 without control characters */
    int64_t created;  /* seconds since 1970-01-01 UTC; given by the directory */
    int64_t changed;  /* likewise */
    size_t key_count; /* 1 or 2: the current key first */
    ekmotp_client_key keys[2];
} ekmotp_client_info;

/*
 * Several changes as one transaction: all that stands between begin and commit, or nothing. After an
 * error in between, roll back. Begin waits for another program's lock; EKMOTP_E_IO where it lasts.
 */
int ekmotp_directory_begin(ekmotp_directory *directory, ekmotp_error *err)
    __attribute__((warn_unused_result));
int ekmotp_directory_commit(ekmotp_directory *directory, ekmotp_error *err)
    __attribute__((warn_unused_result));
void ekmotp_directory_rollback(ekmotp_directory *directory);

/*
 * Adds a client with its first key (info->keys[0]; key_count 1). Keys have 32 to 64 bytes, fewer only
 * where all profiles are compat profiles. EKMOTP_E_CLIENT_EXISTS, _KEY_LENGTH, _PROFILE, _INVAL, _SYNTAX.
 */
int ekmotp_directory_add(ekmotp_directory *directory, const ekmotp_client_info *info, ekmotp_error *err)
    __attribute__((warn_unused_result));

/* What ekmotp_directory_set changes. */
#define EKMOTP_CLIENT_DISABLED 1u   /* info->disabled */
#define EKMOTP_CLIENT_PROFILES 2u   /* info->profiles */
#define EKMOTP_CLIENT_NOTE 4u       /* info->note */
#define EKMOTP_CLIENT_NOT_BEFORE 8u /* info->keys[0].not_before, of the current key */
#define EKMOTP_CLIENT_NOT_AFTER 16u /* info->keys[0].not_after, of the current key */
/* Changes the named (what: set of EKMOTP_CLIENT_*) fields of the client info->id. */
int ekmotp_directory_set(ekmotp_directory *directory, const ekmotp_client_info *info, unsigned what,
                         ekmotp_error *err) __attribute__((warn_unused_result));
int ekmotp_directory_set_disabled(ekmotp_directory *directory, const uint8_t *id, size_t id_len, int disabled,
                                  ekmotp_error *err) __attribute__((warn_unused_result));
/*
 * Gives a client a new current key; the old one becomes the previous, valid until previous_until (or
 * its own not_after, whichever is earlier). EKMOTP_E_INVAL while the last rotation is not finished.
 */
int ekmotp_directory_rotate(ekmotp_directory *directory, const uint8_t *id, size_t id_len,
                            const ekmotp_client_key *key, int64_t previous_until, ekmotp_error *err)
    __attribute__((warn_unused_result));
/* Drops the previous key. EKMOTP_E_INVAL where there is none. */
int ekmotp_directory_finish_rotation(ekmotp_directory *directory, const uint8_t *id, size_t id_len,
                                     ekmotp_error *err) __attribute__((warn_unused_result));
/* Removes a client. The generations of its derived keys are never given out again. */
int ekmotp_directory_remove(ekmotp_directory *directory, const uint8_t *id, size_t id_len, ekmotp_error *err)
    __attribute__((warn_unused_result));

/* Gets one client; info is valid during the call. A value that is not 0 ends the walk and is returned. */
typedef int (*ekmotp_directory_visit)(void *ctx, const ekmotp_client_info *info, ekmotp_error *err);
/* Calls visit for the client, or gives EKMOTP_E_CLIENT_NOT_FOUND. */
int ekmotp_directory_show(ekmotp_directory *directory, const uint8_t *id, size_t id_len,
                          ekmotp_directory_visit visit, void *ctx, ekmotp_error *err)
    __attribute__((warn_unused_result));

/* Which clients to visit; zero-initialised: all. */
typedef struct ekmotp_directory_filter {
    int state;            /* 0: any, 1: enabled only, 2: disabled only */
    const char *match;    /* glob (* ? [...]) on the id as ekmotp_id_print writes it; NULL: any */
    const uint8_t *after; /* only ids that sort (by byte) after this one; NULL: from the first */
    size_t after_len;
    uint64_t offset; /* clients to pass over */
    uint64_t limit;  /* clients to visit at most; 0: no limit */
} ekmotp_directory_filter;
/* Calls visit for each client that the filter (NULL: all) lets through, in the order of their ids. */
int ekmotp_directory_list(ekmotp_directory *directory, const ekmotp_directory_filter *filter,
                          ekmotp_directory_visit visit, void *ctx, ekmotp_error *err)
    __attribute__((warn_unused_result));
/* How many clients the directory holds. */
int ekmotp_directory_count(ekmotp_directory *directory, uint64_t *count, ekmotp_error *err)
    __attribute__((warn_unused_result));

/*
 * The derived key of a client, to be handed over: its length (that of the hash) to *len. Needs the
 * master key. out is written on success only and is secret.
 */
int ekmotp_directory_derive(ekmotp_directory *directory, const uint8_t *id, size_t id_len, ekmotp_hash hash,
                            uint32_t generation, uint8_t out[EKMOTP_KEY_MAX_SIZE], size_t *len,
                            ekmotp_error *err) __attribute__((warn_unused_result));

/* ---- export and import ---- */

#define EKMOTP_EXPORT_SIZE 8192 /* bytes of an exported record, with the NUL: an upper bound */

/* Gets one exported client: a line of printable ASCII (no line end) with its keys wrapped. */
typedef int (*ekmotp_directory_line)(void *ctx, const char *line, ekmotp_error *err);
/*
 * Calls line for each client that the filter lets through. The keys in it are sealed under the
 * key-encryption key: worth nothing without it, and importable where it is the same.
 */
int ekmotp_directory_export(ekmotp_directory *directory, const ekmotp_directory_filter *filter,
                            ekmotp_directory_line line, void *ctx, ekmotp_error *err)
    __attribute__((warn_unused_result));
/*
 * Adds the client of one line: an exported one, or "ID KEY" (an id as ekmotp_id_print writes it, the
 * key in padded base64) with hash, profiles and validity from info. EKMOTP_E_SYNTAX, _KEK, and what
 * ekmotp_directory_add gives.
 */
int ekmotp_directory_import(ekmotp_directory *directory, const char *line, size_t len,
                            const ekmotp_client_info *info, ekmotp_error *err)
    __attribute__((warn_unused_result));

/* Gets one thing that is wrong with the directory. */
typedef void (*ekmotp_directory_problem)(void *ctx, const ekmotp_error *problem);
/*
 * Reads everything: SQLite's own integrity check, the seal and the rules of each record, the number of
 * records. with_tokens: opens each key in a token, too. Calls problem for each fault and goes on. 0 where
 * there is none, else EKMOTP_E_DIRECTORY; other codes where it could not be checked.
 */
int ekmotp_directory_check(ekmotp_directory *directory, int with_tokens, ekmotp_directory_problem problem,
                           void *ctx, ekmotp_error *err) __attribute__((warn_unused_result));

/* ---- client ids as text ---- */

#define EKMOTP_ID_TEXT_SIZE (3 * EKMOTP_ID_MAX + 1) /* bytes with the NUL */
/* Writes an id: visible ASCII but '%' as it is, other bytes as %XX. */
void ekmotp_id_print(const uint8_t *id, size_t id_len, char text[EKMOTP_ID_TEXT_SIZE]);
/* Reads it back: %XX (two hex digits) is a byte, other bytes stand for themselves. EKMOTP_E_SYNTAX. */
int ekmotp_id_parse(const char *text, size_t text_len, uint8_t id[EKMOTP_ID_MAX], size_t *id_len,
                    ekmotp_error *err) __attribute__((warn_unused_result));

#ifdef __cplusplus
}
#endif
#endif

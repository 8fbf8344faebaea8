/* SPDX-License-Identifier: Apache-2.0 */
/* fixture.h: directories in a folder of their own, clients made by number, a token of software keys. */
#ifndef TESTS_DIRECTORY_FIXTURE_H
#define TESTS_DIRECTORY_FIXTURE_H

#include <ekmotp/directory.h>
#include <stdatomic.h>

/* The call must give the code, and leave a message in the test's err that has the words. */
#define refused(call, want, words)                                                                           \
    do {                                                                                                     \
        memset(&err, 0, sizeof(err));                                                                        \
        ck_assert_int_eq(call, want);                                                                        \
        ck_assert_int_eq(err.code, want);                                                                    \
        ck_assert_msg(strstr(err.message, words) != NULL, "'%s' lacks '%s'", err.message, words);            \
    } while (0)

/* The path of a file in this process's temporary folder, which is removed when the process exits. */
const char *fx_path(const char *name);
void fx_copy(const char *from, const char *to);
/* Reads a file whole (malloc'ed). */
unsigned char *fx_read(const char *path, size_t *len);
void fx_write(const char *path, const void *bytes, size_t len);
/* Runs SQL on a database of its own connection; exits on errors. */
void fx_sql(const char *path, const char *sql);

/* What options are usual: OpenSSL, FILE.kek, the token below, a short wait. */
ekmotp_directory_options fx_options(void);
/* Opens (creates) a directory with the usual options; fails the test where it cannot. */
ekmotp_directory *fx_open(const char *name);

/* The 32 bytes of client n's key, and its id "client-N". */
void fx_key(unsigned n, uint8_t key[32]);
size_t fx_id(unsigned n, uint8_t id[EKMOTP_ID_MAX]);
/* A client with its id, key and v1; in static storage that the next call uses again. */
const ekmotp_client_info *fx_client(unsigned n);
/* Adds clients first to last. */
void fx_add(ekmotp_directory *directory, unsigned first, unsigned last);
/* Reads a snapshot; fails the test where it cannot. */
ekmotp_snapshot *fx_load(ekmotp_directory *directory, const ekmotp_snapshot *previous);
/* Looks an id up: what the snapshot's lookup returns. */
int fx_find(const ekmotp_snapshot *snapshot, const void *id, size_t id_len, ekmotp_record *record);
/* The record of client n; fails the test where there is none. */
ekmotp_record fx_get(const ekmotp_snapshot *snapshot, unsigned n);
/* 1 if the snapshot's client n has the key fx_key(key_n) as its key number i. */
int fx_has_key(const ekmotp_snapshot *snapshot, unsigned n, size_t i, unsigned key_n);

/* A token with keys "pkcs11:object=NAME": the key is NAME repeated to 32 bytes, slow. */
typedef struct fx_token {
    atomic_uint opened; /* how often a key was opened */
    atomic_uint macs;
    int away; /* opening gives EKMOTP_E_TOKEN_AWAY */
} fx_token;
extern fx_token fx_the_token;
int fx_open_token(void *ctx, const char *uri, ekmotp_hash hash, ekmotp_key **out, ekmotp_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* store.h: the SQLite file behind a directory: opening, schema, transactions, rows. */
#ifndef EK_DIRECTORY_STORE_H
#define EK_DIRECTORY_STORE_H

#include "lib/common/secret.h"
#include "lib/directory/record.h"

#include <sqlite3.h>
#include <sys/types.h>

#define EK_SCHEMA_VERSION 2
#define EK_UUID_SIZE 16
#define EK_MASTER_CHECK_SIZE 8

/* The one row of table directory: counted so that lost rows are noticed, sealed so that nobody forges it. */
typedef struct ek_meta {
    int version; /* of the schema */
    uint8_t uuid[EK_UUID_SIZE];
    uint64_t clients;
    uint64_t retired;
    int has_master; /* derived keys were made: by the master key with this check value */
    uint8_t master_check[EK_MASTER_CHECK_SIZE];
} ek_meta;

/* What the file was like at one time; equal ones mean that nothing has changed. */
typedef struct ek_version {
    uint64_t epoch;        /* counts openings: data_version means something within one only */
    uint64_t own;          /* changes made through this connection, which data_version leaves out */
    uint64_t data_version; /* SQLite's, of other connections' changes */
} ek_version;

/* Statements that are prepared once per connection. */
typedef enum ek_statement {
    EK_STMT_BEGIN,
    EK_STMT_BEGIN_WRITE,
    EK_STMT_COMMIT,
    EK_STMT_ROLLBACK,
    EK_STMT_DATA_VERSION,
    EK_STMT_META_GET,
    EK_STMT_META_SET,
    EK_STMT_CLIENT_GET,
    EK_STMT_CLIENT_INSERT,
    EK_STMT_CLIENT_UPDATE,
    EK_STMT_CLIENT_DELETE,
    EK_STMT_CLIENT_ALL,
    EK_STMT_RETIRED_GET,
    EK_STMT_RETIRED_SET,
    EK_STMT_COUNT
} ek_statement;

struct ekmotp_directory {
    const ekmotp_crypto *crypto;
    char *path; /* as the caller wrote it, for messages */
    char *file; /* absolute or with "./" before it: SQLite shall not take it for a URI */
    char *kek_name;
    char *master_name; /* NULL: none */
    ekmotp_directory_token_opener open_token;
    void *open_token_ctx;
    int read_only;
    unsigned wait_ms;
    ekmotp_key *kek;
    ekmotp_key *master;                         /* opened when it is first needed */
    uint8_t master_check[EK_MASTER_CHECK_SIZE]; /* of the open one */
    ek_secret *record_key;                      /* 32 bytes: seals the rows of this directory */
    ek_secret *export_key;                      /* 32 bytes: seals exported records */
    sqlite3 *db;                                /* NULL: to be opened anew */
    sqlite3_stmt *stmt[EK_STMT_COUNT];
    dev_t dev;
    ino_t ino;
    ek_meta meta;
    uint8_t meta_uuid_keyed[EK_UUID_SIZE]; /* whose record_key that is */
    int in_write;                          /* a write transaction is open */
    int user_begun;                        /* by ekmotp_directory_begin */
    int dirty;                             /* meta has to be written at commit */
    uint64_t epoch;
    uint64_t own;
    ek_version refused; /* the last version that a load refused as damaged */
    int has_refused;
};

/* ---- store.c ---- */

/* Opens (creates, migrates) the file; *created gets EKMOTP_DIRECTORY_CREATED and _MIGRATED added. */
int ek_store_open(ekmotp_directory *directory, unsigned *created, ekmotp_error *err)
    __attribute__((warn_unused_result));
void ek_store_close(ekmotp_directory *directory);
/* Opens the file anew if it was closed or replaced by another one. */
int ek_store_refresh(ekmotp_directory *directory, ekmotp_error *err) __attribute__((warn_unused_result));
/* Says what SQLite's result means and what to do about it; gives the EKMOTP_E_* for it. */
int ek_store_error(ekmotp_directory *directory, int sqlite_rc, ekmotp_error *err);
/* Runs SQL that gives no rows. */
int ek_store_exec(ekmotp_directory *directory, const char *sql, ekmotp_error *err)
    __attribute__((warn_unused_result));
/* The prepared statement, reset and without values. */
int ek_store_statement(ekmotp_directory *directory, ek_statement which, sqlite3_stmt **out, ekmotp_error *err)
    __attribute__((warn_unused_result));
/* Runs a prepared statement that gives no rows, and resets it. */
int ek_store_run(ekmotp_directory *directory, sqlite3_stmt *stmt, ekmotp_error *err)
    __attribute__((warn_unused_result));

/* A read transaction: one consistent view, with the meta row verified. */
int ek_store_begin_read(ekmotp_directory *directory, ekmotp_error *err) __attribute__((warn_unused_result));
void ek_store_end_read(ekmotp_directory *directory);
/* A write transaction; within ekmotp_directory_begin these join it. */
int ek_store_begin_write(ekmotp_directory *directory, ekmotp_error *err) __attribute__((warn_unused_result));
/* Ends it: commits where rc is 0, else rolls back. Returns rc, or why the commit failed. */
int ek_store_end_write(ekmotp_directory *directory, int rc, ekmotp_error *err)
    __attribute__((warn_unused_result));
/* In a transaction: what the file is like. */
int ek_store_version(ekmotp_directory *directory, ek_version *version, ekmotp_error *err)
    __attribute__((warn_unused_result));

/* ---- schema.c ---- */

/* Reads the schema's version; 0: an empty file. EKMOTP_E_DIRECTORY for another program's database. */
int ek_schema_version(ekmotp_directory *directory, int *version, ekmotp_error *err)
    __attribute__((warn_unused_result));
/* In a write transaction: makes or migrates the tables. */
int ek_schema_upgrade(ekmotp_directory *directory, int from, ekmotp_error *err)
    __attribute__((warn_unused_result));
/* Reads and verifies the meta row, and makes the directory's keys where its uuid is a new one. */
int ek_meta_read(ekmotp_directory *directory, ekmotp_error *err) __attribute__((warn_unused_result));
int ek_meta_write(ekmotp_directory *directory, ekmotp_error *err) __attribute__((warn_unused_result));

/* ---- kek.c ---- */

/* Opens the key-encryption key; makes the file where may_create and none was named. */
int ek_kek_open(ekmotp_directory *directory, int named, int may_create, unsigned *created, ekmotp_error *err)
    __attribute__((warn_unused_result));
/*
 * In a transaction: opens the master key. EKMOTP_E_INVAL where none was named, EKMOTP_E_KEK where it is
 * another one than the directory's derived keys were made with.
 */
int ek_master_open(ekmotp_directory *directory, ekmotp_error *err) __attribute__((warn_unused_result));
/* In a write transaction: opens it, and ties the directory to it where this is its first derived key. */
int ek_master_bind(ekmotp_directory *directory, ekmotp_error *err) __attribute__((warn_unused_result));
/* Derives a client's key from a master key: the length of hash to out. */
int ek_master_derive(const ekmotp_key *master, const uint8_t *id, size_t id_len, ekmotp_hash hash,
                     uint32_t generation, uint8_t out[EKMOTP_KEY_MAX_SIZE], ekmotp_error *err)
    __attribute__((warn_unused_result));
/* Makes record_key and export_key for the uuid. */
int ek_kek_derive(ekmotp_directory *directory, const uint8_t uuid[EK_UUID_SIZE], ekmotp_error *err)
    __attribute__((warn_unused_result));

/* ---- row.c ---- */

/* The columns of EK_STMT_CLIENT_GET and _ALL, in this order, for other statements that read clients. */
#define EK_CLIENT_COLUMNS                                                                                    \
    "id, hash, profiles, disabled, note, created, changed, generation, "                                     \
    "k1_serial, k1_source, k1_generation, k1_uri, k1_not_before, k1_not_after, "                             \
    "k2_serial, k2_source, k2_generation, k2_uri, k2_not_before, k2_not_after, sealed"

/* Reads a row of those columns, verifies its seal and rules. EKMOTP_E_DIRECTORY that names the client. */
int ek_row_read(ekmotp_directory *directory, sqlite3_stmt *stmt, ek_record *record, ekmotp_error *err)
    __attribute__((warn_unused_result));
/* Finds a client. EKMOTP_E_CLIENT_NOT_FOUND. */
int ek_row_find(ekmotp_directory *directory, const uint8_t *id, size_t id_len, ek_record *record,
                ekmotp_error *err) __attribute__((warn_unused_result));
/* In a write transaction: seals the record and writes it. EKMOTP_E_CLIENT_EXISTS. */
int ek_row_insert(ekmotp_directory *directory, const ek_record *record, ekmotp_error *err)
    __attribute__((warn_unused_result));
int ek_row_update(ekmotp_directory *directory, const ek_record *record, ekmotp_error *err)
    __attribute__((warn_unused_result));
int ek_row_delete(ekmotp_directory *directory, const ek_record *record, ekmotp_error *err)
    __attribute__((warn_unused_result));
/* The last generation that a removed client of this id had; 0: none. */
int ek_row_retired(ekmotp_directory *directory, const uint8_t *id, size_t id_len, uint32_t *generation,
                   ekmotp_error *err) __attribute__((warn_unused_result));

#endif

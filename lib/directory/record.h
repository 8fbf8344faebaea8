/* SPDX-License-Identifier: Apache-2.0 */
/* record.h: one client of the directory in memory, and its sealed form. */
#ifndef EK_DIRECTORY_RECORD_H
#define EK_DIRECTORY_RECORD_H

#include <ekmotp/directory.h>

#define EK_SEAL_NONCE 12
#define EK_SEAL_TAG 16
#define EK_SEAL_PLAIN_MAX (2 * (1 + EKMOTP_KEY_MAX_SIZE))
#define EK_SEAL_MAX (EK_SEAL_NONCE + EK_SEAL_PLAIN_MAX + EK_SEAL_TAG)
#define EK_RECORD_FIELDS_MAX 4096 /* bytes of ek_record_fields: an upper bound */

/* What a seal is for: the first byte of what it covers, so that no seal stands for another kind. */
typedef enum ek_seal_kind {
    EK_SEAL_DIRECTORY = 1,
    EK_SEAL_CLIENT,
    EK_SEAL_RETIRED,
    EK_SEAL_EXPORT
} ek_seal_kind;

typedef struct ek_record_key {
    uint64_t serial; /* random, 63 bits: no other key in any directory has it */
    ekmotp_key_source source;
    uint32_t generation;
    int64_t not_before;
    int64_t not_after;
    size_t len; /* of bytes; 0 for a token's key */
    uint8_t bytes[EKMOTP_KEY_MAX_SIZE];
    char uri[EKMOTP_DIRECTORY_URI_MAX + 1];
} ek_record_key;

/* Secret once its keys are opened: wipe it. */
typedef struct ek_record {
    size_t id_len;
    uint8_t id[EKMOTP_ID_MAX];
    ekmotp_hash hash;
    unsigned profiles;
    int disabled;
    int64_t created;
    int64_t changed;
    uint32_t generation; /* the last one that a derived key of this client had */
    size_t key_count;
    ek_record_key keys[2];
    char note[EKMOTP_DIRECTORY_NOTE_MAX + 1];
} ek_record;

/* Wipes the keys' bytes. */
void ek_record_wipe(ek_record *record);

/*
 * The rules that every record keeps: known hash and profiles, lengths, a note that is text, a URI
 * without a PIN, not_before <= not_after. The message names the field, not the client.
 */
int ek_record_check(const ek_record *record, ekmotp_error *err) __attribute__((warn_unused_result));

/*
 * All of a record but its keys' bytes, as one string of bytes: what its seal covers besides the keys.
 * Big-endian, each variable part after its length. Writes *len bytes.
 */
int ek_record_fields(ek_seal_kind kind, const ek_record *record, uint8_t out[EK_RECORD_FIELDS_MAX],
                     size_t *len, ekmotp_error *err) __attribute__((warn_unused_result));
/* Reads them back (of an export). EKMOTP_E_SYNTAX. */
int ek_record_parse(ek_seal_kind kind, const uint8_t *fields, size_t len, ek_record *record,
                    ekmotp_error *err) __attribute__((warn_unused_result));

/* nonce || AES-256-GCM(key, nonce, fields, keys' bytes): seals a record; *len bytes to out. */
int ek_record_seal(const ekmotp_crypto *crypto, const uint8_t key[32], ek_seal_kind kind,
                   const ek_record *record, uint8_t out[EK_SEAL_MAX], size_t *len, ekmotp_error *err)
    __attribute__((warn_unused_result));
/*
 * The inverse: checks the seal over the record's fields and fills in its keys' bytes.
 * EKMOTP_E_DIRECTORY where seal, fields or key-encryption key do not belong together.
 */
int ek_record_open(const ekmotp_crypto *crypto, const uint8_t key[32], ek_seal_kind kind,
                   const uint8_t *sealed, size_t len, ek_record *record, ekmotp_error *err)
    __attribute__((warn_unused_result));

/* The record as callers see it; borrows from it. Key bytes are left out. */
void ek_record_info(const ek_record *record, ekmotp_client_info *info);

#endif

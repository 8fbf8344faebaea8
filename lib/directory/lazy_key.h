/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lazy_key.h: keys that are opened when they are first used: a client's key in a token, or one that is
 * derived from a master key in a token. Slow keys: servers use them outside their event loop.
 */
#ifndef EK_DIRECTORY_LAZY_KEY_H
#define EK_DIRECTORY_LAZY_KEY_H

#include "lib/directory/store.h"

/* What the lazy keys of one snapshot share. */
typedef struct ek_lazy_source ek_lazy_source;

/* A source (one owner) with the directory's opener and cryptography. */
int ek_lazy_source_new(ekmotp_directory *directory, ek_lazy_source **out, ekmotp_error *err)
    __attribute__((warn_unused_result));
/* Gives up ownership; each lazy key is an owner too. NULL-safe. */
void ek_lazy_source_free(ek_lazy_source **source);

/*
 * The key of a record whose source is a token (master NULL) or this slow master key, the same for all keys
 * of a source; nothing is opened yet.
 */
int ek_lazy_key_new(ek_lazy_source *source, ekmotp_key *master, const ek_record *record,
                    const ek_record_key *key, ekmotp_key **out, ekmotp_error *err)
    __attribute__((warn_unused_result));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* client_command_key.c: add and rotate: the commands that give a client a key. */
#include "config.h"

#include "lib/common/file.h"
#include "server/client_command.h"

#include <ekmotp/openssl.h>
#include <string.h>
#include <time.h>

/* Checks what fits together, and fills in the key; *bytes holds it where it is wrapped. */
static int make_key(const ek_client_options *o, ekmotp_client_key *key, ek_secret **bytes, ekmotp_error *err)
{
    size_t len = ekmotp_hash_size(o->hash);

    memset(key, 0, sizeof(*key));
    key->source = o->source ? o->source : EKMOTP_KEY_WRAPPED;
    key->not_before = o->not_before;
    key->not_after = o->not_after;
    key->uri = o->token;
    key->generation = o->generation;
    if (o->generation && key->source != EKMOTP_KEY_DERIVED)
        return ekmotp_error_set(err, EKMOTP_E_INVAL, "--generation goes with --derive only");
    if (o->out && key->source == EKMOTP_KEY_TOKEN)
        return ekmotp_error_set(err, EKMOTP_E_INVAL, "a key in a token cannot be written to --out");
    if (key->source != EKMOTP_KEY_WRAPPED)
        return 0;
    if (o->key_file) {
        int rc = ek_file_read_secret(o->key_file, EKMOTP_KEY_MAX_SIZE, bytes, err);

        if (rc != 0)
            return rc;
    } else {
        if (!o->out)
            return ekmotp_error_set(
                err, EKMOTP_E_INVAL,
                "a new key has to be handed to the client: name a new file or a token for it with --out "
                "(or give a key with --key-file, --derive or --token)");
        if (!(*bytes = ek_secret_new(NULL, len)))
            return ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory");
        if (ekmotp_openssl_crypto()->random((*bytes)->bytes, len) != 0)
            return ekmotp_error_set(err, EKMOTP_E_CRYPTO, "OpenSSL gives no random bytes");
    }
    key->bytes = (*bytes)->bytes;
    key->len = (*bytes)->len;
    return 0;
}

/* What the directory made of the client within the transaction. */
typedef struct current_key {
    ekmotp_hash hash;
    ekmotp_key_source source;
    uint32_t generation;
} current_key;

static int note_current(void *ctx, const ekmotp_client_info *info, ekmotp_error *err)
{
    current_key *current = ctx;

    (void)err;
    current->hash = info->hash;
    current->source = info->keys[0].source;
    current->generation = info->keys[0].generation;
    return 0;
}

/*
 * Brings the client's key to --out, before the change is committed: a key that could not be handed over is
 * not the client's.
 */
static int hand_over(const ek_client_options *o, ekmotp_directory *directory, const ek_secret *bytes,
                     ekmotp_error *err)
{
    uint8_t derived[EKMOTP_KEY_MAX_SIZE];
    current_key current;
    size_t len;
    int rc;

    if ((rc = ekmotp_directory_show(directory, o->id, o->id_len, note_current, &current, err)) != 0)
        return rc;
    if (bytes)
        return ek_client_hand_over(o, current.hash, bytes->bytes, bytes->len, err);
    if ((rc = ekmotp_directory_derive(directory, o->id, o->id_len, current.hash, current.generation, derived,
                                      &len, err)) == 0)
        rc = ek_client_hand_over(o, current.hash, derived, len, err);
    ek_wipe(derived, sizeof(derived));
    return rc;
}

static int print_result(const ek_client_options *o, ekmotp_directory *directory, const char *what,
                        ekmotp_error *err)
{
    char id[EKMOTP_ID_TEXT_SIZE];

    if (o->json)
        return ekmotp_directory_show(directory, o->id, o->id_len, ek_client_print, (void *)o, err);
    ekmotp_id_print(o->id, o->id_len, id);
    printf("client %s: %s\n", id, what);
    if (o->out)
        ek_client_tell_handed_over(o);
    return 0;
}

int ek_client_add(const ek_client_options *o, ekmotp_directory *directory, ekmotp_error *err)
{
    ekmotp_client_info info = {.id = o->id,
                               .id_len = o->id_len,
                               .hash = o->hash,
                               .profiles = o->profiles ? o->profiles : EKMOTP_PROFILE_BIT(EKMOTP_PROFILE_V1),
                               .disabled = o->disabled,
                               .note = o->note,
                               .key_count = 1};
    ek_secret *bytes = NULL;
    int rc, written = 0;

    if ((rc = make_key(o, &info.keys[0], &bytes, err)) != 0 ||
        (rc = ekmotp_directory_begin(directory, err)) != 0)
        goto out;
    if ((rc = ekmotp_directory_add(directory, &info, err)) == 0 && o->out &&
        (rc = hand_over(o, directory, bytes, err)) == 0)
        written = 1;
    if (rc == 0)
        rc = ekmotp_directory_commit(directory, err);
    ekmotp_directory_rollback(directory);
    if (rc != 0 && written)
        ek_client_take_back(o);
    if (rc == 0)
        rc = print_result(o, directory, "added", err);
out:
    ek_secret_free(&bytes);
    return rc;
}

int ek_client_rotate(const ek_client_options *o, ekmotp_directory *directory, ekmotp_error *err)
{
    ek_client_options with_hash = *o;
    current_key current;
    ekmotp_client_key key;
    ek_secret *bytes = NULL;
    int rc, written = 0;

    if ((rc = ekmotp_directory_begin(directory, err)) != 0)
        return rc;
    if ((rc = ekmotp_directory_show(directory, o->id, o->id_len, note_current, &current, err)) != 0)
        goto out;
    /* Without another word the new key comes from where the old one came from. */
    with_hash.hash = current.hash;
    if (with_hash.source == 0 && current.source != EKMOTP_KEY_TOKEN)
        with_hash.source = current.source;
    if ((rc = make_key(&with_hash, &key, &bytes, err)) != 0 ||
        (rc = ekmotp_directory_rotate(directory, o->id, o->id_len, &key, (int64_t)time(NULL) + o->overlap,
                                      err)) != 0)
        goto out;
    if (o->out && (rc = hand_over(o, directory, bytes, err)) == 0)
        written = 1;
    if (rc == 0)
        rc = ekmotp_directory_commit(directory, err);
out:
    ekmotp_directory_rollback(directory);
    if (rc != 0 && written)
        ek_client_take_back(o);
    ek_secret_free(&bytes);
    return rc != 0
               ? rc
               : print_result(o, directory, "has a new key; the old one stays valid for the overlap", err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* rules.c: what every record of the directory keeps, whoever wrote it. */
#include "config.h"

#include "lib/directory/record.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

/* Bytes of the well-formed UTF-8 sequence (RFC 3629) at text, or 0; control characters are none. */
static size_t text_character(const unsigned char *text)
{
    unsigned c = text[0];

    if (c >= 0x20 && c < 0x7f)
        return 1;
    if (c >= 0xc2 && c <= 0xdf && (text[1] & 0xc0) == 0x80)
        return c == 0xc2 && text[1] < 0xa0 ? 0 : 2; /* U+0080 to U+009F are controls */
    if (c >= 0xe0 && c <= 0xef && (text[1] & 0xc0) == 0x80 && (text[2] & 0xc0) == 0x80)
        return (c == 0xe0 && text[1] < 0xa0) || (c == 0xed && text[1] >= 0xa0) ? 0 : 3;
    if (c >= 0xf0 && c <= 0xf4 && (text[1] & 0xc0) == 0x80 && (text[2] & 0xc0) == 0x80 &&
        (text[3] & 0xc0) == 0x80)
        return (c == 0xf0 && text[1] < 0x90) || (c == 0xf4 && text[1] >= 0x90) ? 0 : 4;
    return 0;
}

static int check_note(const char *note, ekmotp_error *err)
{
    const unsigned char *at = (const unsigned char *)note;

    while (*at) {
        size_t n = text_character(at);

        if (n == 0)
            return ekmotp_error_set(err, EKMOTP_E_SYNTAX,
                                    "note: byte %zu is no UTF-8 text (control characters are not allowed)",
                                    (size_t)(at - (const unsigned char *)note) + 1);
        at += n;
    }
    return 0;
}

static int check_uri(const char *uri, ekmotp_error *err)
{
    if (strncmp(uri, "pkcs11:", 7) != 0)
        return ekmotp_error_set(err, EKMOTP_E_URI, "the key's URI does not start with pkcs11:");
    for (const char *at = uri; *at; at++)
        if (*at <= 0x20 || *at >= 0x7f)
            return ekmotp_error_set(err, EKMOTP_E_URI,
                                    "the key's URI: byte %zu is not visible ASCII; write it as %%XX",
                                    (size_t)(at - uri) + 1);
    if (strcasestr(uri, "pin-value"))
        return ekmotp_error_set(err, EKMOTP_E_URI,
                                "the key's URI holds a PIN (pin-value), which would stand unprotected in the "
                                "directory; name a file with pin-source instead");
    return 0;
}

static int check_key(const ek_record *record, const ek_record_key *key, ekmotp_error *err)
{
    int short_ok = !(record->profiles & EKMOTP_PROFILE_BIT(EKMOTP_PROFILE_V1));

    if (key->not_before > key->not_after)
        return ekmotp_error_set(err, EKMOTP_E_INVAL, "the key's not-before lies after its not-after");
    switch (key->source) {
    case EKMOTP_KEY_WRAPPED:
        if (key->len < (short_ok ? 1 : EKMOTP_KEY_MIN_SIZE) || key->len > EKMOTP_KEY_MAX_SIZE)
            return ekmotp_error_set(err, EKMOTP_E_KEY_LENGTH, "the key has %zu bytes; %d to %d are allowed%s",
                                    key->len, short_ok ? 1 : EKMOTP_KEY_MIN_SIZE, EKMOTP_KEY_MAX_SIZE,
                                    short_ok ? "" : " (fewer only where all profiles are compat profiles)");
        break;
    case EKMOTP_KEY_DERIVED:
        if (key->generation == 0 || key->generation > record->generation)
            return ekmotp_error_set(err, EKMOTP_E_INVAL, "the derived key has no generation");
        break;
    case EKMOTP_KEY_TOKEN:
        return check_uri(key->uri, err);
    default:
        return ekmotp_error_set(err, EKMOTP_E_INVAL, "unknown source %d of a key", (int)key->source);
    }
    if (key->uri[0])
        return ekmotp_error_set(err, EKMOTP_E_INVAL, "a key that is in no token has a URI");
    return 0;
}

int ek_record_check(const ek_record *record, ekmotp_error *err)
{
    const unsigned known = EKMOTP_PROFILE_BIT(EKMOTP_PROFILE_COUNT) - 1;
    int rc;

    if (record->id_len < 1 || record->id_len > EKMOTP_ID_MAX)
        return ekmotp_error_set(err, EKMOTP_E_INVAL, "a client id has 1 to %d bytes", EKMOTP_ID_MAX);
    if (ekmotp_hash_size(record->hash) == 0)
        return ekmotp_error_set(err, EKMOTP_E_INVAL, "unknown hash %d", (int)record->hash);
    if (record->profiles == 0 || (record->profiles & ~known) != 0)
        return ekmotp_error_set(err, EKMOTP_E_PROFILE, "%s",
                                record->profiles == 0 ? "a client needs at least one profile"
                                                      : "unknown profile, perhaps of a newer version");
    if (record->profiles != EKMOTP_PROFILE_BIT(EKMOTP_PROFILE_V1) && record->hash != EKMOTP_HASH_SHA256)
        return ekmotp_error_set(err, EKMOTP_E_PROFILE, "the compat profiles take SHA-256 only, not %s",
                                ekmotp_hash_name(record->hash));
    if ((rc = check_note(record->note, err)) != 0)
        return rc;
    if (record->key_count < 1 || record->key_count > 2)
        return ekmotp_error_set(err, EKMOTP_E_INVAL, "a client has one or two keys, not %zu",
                                record->key_count);
    for (size_t i = 0; i < record->key_count; i++)
        if ((rc = check_key(record, &record->keys[i], err)) != 0)
            return rc;
    return 0;
}

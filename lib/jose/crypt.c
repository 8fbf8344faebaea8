/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/jose/crypt.h"

#include "lib/common/base64.h"
#include "lib/common/secret.h"

#include <jose/b64.h>
#include <jose/cfg.h>
#include <jose/jwe.h>
#include <jose/jws.h>
#include <stdlib.h>
#include <string.h>

/* libjose's own handler prints to standard error, which a library must not. */
static void silent(void *misc, const char *file, int line, uint64_t err, const char *fmt, va_list ap)
{
    (void)misc;
    (void)file;
    (void)line;
    (void)err;
    (void)fmt;
    (void)ap;
}

static jose_cfg_t *silent_cfg(void)
{
    jose_cfg_t *cfg = jose_cfg();

    if (cfg)
        jose_cfg_set_err_func(cfg, silent, NULL);
    return cfg;
}

const char *ek_jws_alg(ekmotp_hash hash)
{
    switch (hash) {
    case EKMOTP_HASH_SHA256:
        return "HS256";
    case EKMOTP_HASH_SHA384:
        return "HS384";
    case EKMOTP_HASH_SHA512:
        return "HS512";
    }
    return NULL;
}

/* A JWK of secret bytes; to be released by free_key. */
static json_t *new_key(const uint8_t *key, size_t len, const char *alg)
{
    char text[EK_BASE64_SIZE(EKMOTP_HASH_MAX_SIZE)];
    json_t *jwk = NULL;

    if (ek_base64_encode(EK_BASE64URL, key, len, text, sizeof(text)) == 0)
        jwk = json_pack("{s:s, s:s, s:s}", "kty", "oct", "alg", alg, "k", text);
    ek_wipe(text, sizeof(text));
    return jwk;
}

/* jansson does not wipe: it is done in its string, which nobody else has seen. */
static void free_key(json_t *jwk)
{
    json_t *k = json_object_get(jwk, "k");

    if (k)
        ek_wipe((char *)json_string_value(k), json_string_length(k));
    json_decref(jwk);
}

static json_t *base64_string(const char *text)
{
    return jose_b64_enc(text, strlen(text));
}

/* The members of a flattened JSON serialisation, joined by dots; NULL: no memory, or one is missing. */
static char *join(const json_t *from, const char *const *members, size_t count)
{
    size_t len = 0;
    char *token, *at;

    for (size_t i = 0; i < count; i++) {
        const json_t *part = members[i] ? json_object_get(from, members[i]) : NULL;

        if (members[i] && !json_is_string(part))
            return NULL;
        len += json_string_length(part) + 1;
    }
    at = token = malloc(len);
    for (size_t i = 0; token && i < count; i++) {
        const json_t *part = members[i] ? json_object_get(from, members[i]) : NULL;
        size_t n = json_string_length(part);

        if (n > 0)
            memcpy(at, json_string_value(part), n);
        at[n] = i + 1 < count ? '.' : '\0';
        at += n + 1;
    }
    return token;
}

int ek_jws_sign(const char *header, const char *payload, ekmotp_hash hash, const uint8_t *key, size_t key_len,
                char **token, ekmotp_error *err)
{
    static const char *const members[] = {"protected", "payload", "signature"};
    jose_cfg_t *cfg = silent_cfg();
    json_t *jwk = new_key(key, key_len, ek_jws_alg(hash));
    json_t *jws = json_pack("{s:o?}", "payload", base64_string(payload));
    json_t *sig = json_pack("{s:o?}", "protected", base64_string(header));
    char *made = NULL;
    int rc;

    if (!cfg || !jwk || !jws || !sig) {
        rc = ekmotp_error_set(err, EKMOTP_E_NOMEM, "JWS: out of memory");
        goto out;
    }
    if (!jose_jws_sig(cfg, jws, sig, jwk) || !(made = join(jws, members, 3))) {
        rc = ekmotp_error_set(err, EKMOTP_E_CRYPTO, "JWS: libjose could not sign with %s", ek_jws_alg(hash));
        goto out;
    }
    *token = made;
    rc = 0;
out:
    json_decref(sig);
    json_decref(jws);
    free_key(jwk);
    jose_cfg_decref(cfg);
    return rc;
}

static json_t *part_string(const struct ek_compact_part *part)
{
    return json_stringn(part->text, part->len);
}

int ek_jws_verify(const ek_compact *jws, ekmotp_hash hash, const uint8_t *key, size_t key_len,
                  ekmotp_error *err)
{
    jose_cfg_t *cfg = silent_cfg();
    json_t *jwk = new_key(key, key_len, ek_jws_alg(hash));
    json_t *flat = json_pack("{s:o?, s:o?, s:o?}", "protected", part_string(&jws->part[EK_JWS_HEADER]),
                             "payload", part_string(&jws->part[EK_JWS_PAYLOAD]), "signature",
                             part_string(&jws->part[EK_JWS_SIGNATURE]));
    int rc;

    if (!cfg || !jwk || !flat)
        rc = ekmotp_error_set(err, EKMOTP_E_NOMEM, "JWS: out of memory");
    else if (!jose_jws_ver(cfg, flat, NULL, jwk, false))
        rc = ekmotp_error_set(err, EKMOTP_E_CRYPTO, "JWS: the signature is wrong");
    else
        rc = 0;
    json_decref(flat);
    free_key(jwk);
    jose_cfg_decref(cfg);
    return rc;
}

int ek_jwe_encrypt(const char *header, const char *plain, const uint8_t key[EK_JWE_KEY_SIZE], char **token,
                   ekmotp_error *err)
{
    /* "dir" has no encrypted key: an empty part (RFC 7516 section 5.1). */
    static const char *const members[] = {"protected", NULL, "iv", "ciphertext", "tag"};
    jose_cfg_t *cfg = silent_cfg();
    json_t *cek = new_key(key, EK_JWE_KEY_SIZE, "A256GCM");
    json_t *want = base64_string(header);
    /* libjose takes no encoded header here; it encodes this object with sorted members and no white space. */
    json_t *jwe = json_pack("{s:o?}", "protected", json_loads(header, JSON_REJECT_DUPLICATES, NULL));
    char *made = NULL;
    int rc;

    if (!cfg || !cek || !want || !jwe) {
        rc = ekmotp_error_set(err, EKMOTP_E_NOMEM, "JWE: out of memory");
        goto out;
    }
    if (!jose_jwe_enc_cek(cfg, jwe, cek, plain, strlen(plain)) ||
        !json_equal(json_object_get(jwe, "protected"), want) || !(made = join(jwe, members, 5))) {
        rc = ekmotp_error_set(err, EKMOTP_E_CRYPTO, "JWE: libjose could not encrypt with A256GCM");
        goto out;
    }
    *token = made;
    rc = 0;
out:
    json_decref(want);
    json_decref(jwe);
    free_key(cek);
    jose_cfg_decref(cfg);
    return rc;
}

/*
 * Through libjose's streams: jose_jwe_dec_cek of libjose 14 looks for "zip" in the protected header and leaks
 * what it parsed. The plaintext counts only once "done" has checked the tag.
 */
static int decrypt_stream(jose_cfg_t *cfg, const json_t *jwe, const json_t *cek,
                          const struct ek_compact_part *ciphertext, char **plain, size_t *len,
                          ekmotp_error *err)
{
    uint8_t *bytes = malloc(ciphertext->len + 1);
    void *made = NULL;
    size_t bytes_len = 0;
    jose_io_t *sink = jose_io_malloc(cfg, &made, len);
    jose_io_t *io = sink ? jose_jwe_dec_cek_io(cfg, jwe, cek, sink) : NULL;
    int rc;

    if (!bytes || !sink || !io)
        rc = ekmotp_error_set(err, EKMOTP_E_NOMEM, "JWE: out of memory");
    else if (ek_base64_decode(EK_BASE64URL, ciphertext->text, ciphertext->len, bytes, ciphertext->len + 1,
                              &bytes_len) != 0 ||
             !io->feed(io, bytes, bytes_len) || !io->done(io))
        rc = ekmotp_error_set(err, EKMOTP_E_CRYPTO, "JWE: the tag is wrong");
    else if (!(*plain = jose_io_malloc_steal(&made)))
        rc = ekmotp_error_set(err, EKMOTP_E_NOMEM, "JWE: out of memory");
    else
        rc = 0;
    jose_io_decref(io);
    jose_io_decref(sink);
    free(bytes);
    return rc;
}

int ek_jwe_decrypt(const ek_compact *jwe, const uint8_t key[EK_JWE_KEY_SIZE], char **plain, size_t *len,
                   ekmotp_error *err)
{
    jose_cfg_t *cfg = silent_cfg();
    json_t *cek = new_key(key, EK_JWE_KEY_SIZE, "A256GCM");
    json_t *flat = json_pack("{s:o?, s:o?, s:o?}", "protected", part_string(&jwe->part[EK_JWE_HEADER]), "iv",
                             part_string(&jwe->part[EK_JWE_IV]), "tag", part_string(&jwe->part[EK_JWE_TAG]));
    int rc;

    if (!cfg || !cek || !flat)
        rc = ekmotp_error_set(err, EKMOTP_E_NOMEM, "JWE: out of memory");
    else
        rc = decrypt_stream(cfg, flat, cek, &jwe->part[EK_JWE_CIPHERTEXT], plain, len, err);
    json_decref(flat);
    free_key(cek);
    jose_cfg_decref(cfg);
    return rc;
}

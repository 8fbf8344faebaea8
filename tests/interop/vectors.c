/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vectors: runs the libraries over the files of docs/vectors (the folder is the argument). The files come
 * from a program that shares no code with us, so each agreement is one between two implementations.
 */
#include "tests/interop/vector_server.h"

#include <ekmotp/client.h>
#include <ekmotp/jose.h>
#include <ekmotp/kdf.h>
#include <ekmotp/openssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- vectors that are accepted ---- */

static ekmotp_client *new_client(const json_t *vector, ekmotp_profile profile)
{
    const json_t *c = json_object_get(vector, "client");
    uint8_t bytes[64], id[EKMOTP_ID_MAX];
    size_t len = unhex(text_of(c, "key"), bytes, sizeof(bytes));
    size_t id_len = unhex(text_of(c, "id"), id, sizeof(id));
    unsigned flags = profile == EKMOTP_PROFILE_V1 ? 0 : EKMOTP_KEY_ALLOW_SHORT;
    ekmotp_client *client = NULL;
    ekmotp_key *key = NULL;
    ekmotp_error err = {0};

    if (ekmotp_key_new_bytes(ekmotp_openssl_crypto(), hash_of(c), bytes, len, flags, &key, &err) != 0 ||
        ekmotp_client_new(ekmotp_openssl_crypto(), key, id, id_len, profile, &client, &err) != 0)
        fail("no client: %s", err.message);
    ekmotp_key_free(&key);
    return client;
}

/* The key schedule of v1, value by value, so that a difference shows where it begins. */
static void check_schedule(const json_t *vector)
{
    const json_t *c = json_object_get(vector, "client");
    const struct {
        const char *label, *name;
        size_t len;
    } derived[] = {{"ekmotp v1 jws", "jws_key", ekmotp_hash_size(hash_of(c))},
                   {"ekmotp v1 jwe", "jwe_key", 32}};
    uint8_t bytes[64], ekm[64], out[64];
    size_t len = unhex(text_of(c, "key"), bytes, sizeof(bytes));
    size_t ekm_len = unhex(text_of(vector, "ekm"), ekm, sizeof(ekm));
    ekmotp_key *key = NULL, *secret = NULL;
    ekmotp_error err = {0};

    if (ekmotp_key_new_bytes(ekmotp_openssl_crypto(), hash_of(c), bytes, len, 0, &key, &err) != 0 ||
        ekmotp_kdf(key, "ekmotp v1 channel", ekm, ekm_len, out, ekm_len, &err) != 0 ||
        ekmotp_key_new_bytes(ekmotp_openssl_crypto(), hash_of(c), out, ekm_len, 0, &secret, &err) != 0) {
        fail("key schedule: %s", err.message);
        goto out;
    }
    expect(is_hex(text_of(vector, "channel_secret"), out, ekm_len), "channel_secret", NULL);
    for (size_t i = 0; i < 2; i++) {
        int rc = ekmotp_kdf(secret, derived[i].label, NULL, 0, out, derived[i].len, &err);

        expect(rc == 0 && is_hex(text_of(vector, derived[i].name), out, derived[i].len), derived[i].name,
               NULL);
    }
out:
    ekmotp_key_free(&key);
    ekmotp_key_free(&secret);
}

static int same_fields(const json_t *fields, const ekmotp_header *headers, size_t count)
{
    int same = json_array_size(fields) == count;

    for (size_t i = 0; same && i < count; i++) {
        const json_t *field = json_array_get(fields, i);

        same = strcmp(json_string_value(json_array_get(field, 0)), headers[i].name) == 0 &&
               strcmp(json_string_value(json_array_get(field, 1)), headers[i].value) == 0;
    }
    return same;
}

static void check_requests(const json_t *vector, ekmotp_client *client, server *s)
{
    size_t i;
    json_t *request;

    json_array_foreach(json_object_get(vector, "requests"), i, request)
    {
        const json_t *fields = json_object_get(request, "fields");
        const char *info = text_of(request, "authentication_info");
        const char *n_text = text_of(request, "n");
        uint64_t wanted_n = strtoull(*n_text ? n_text : "0", NULL, 10);
        ekmotp_header headers[EKMOTP_HEADERS_MAX];
        ekmotp_error err = {0};
        ekmotp_verdict verdict;
        size_t count = 0;
        uint64_t n = 0;

        /* A client counts from 1: what lies beyond is for the server alone. */
        if (wanted_n <= i + 1) {
            int rc = ekmotp_client_headers(client, s->channel, headers, &count, &n, &err);

            expect(rc == 0 && n == wanted_n && same_fields(fields, headers, count), "the client's fields",
                   err.message);
            if (*info) {
                expect(ekmotp_client_check_server(client, n, info, strlen(info), &err) == 0,
                       "the client takes the server's proof", err.message);
                expect(ekmotp_client_check_server(client, n + 1, info, strlen(info), NULL) != 0,
                       "the client refuses the server's proof for another n", NULL);
            }
        }
        expect(server_verify(s, fields, &verdict) == EKMOTP_REASON_OK, "the server accepts",
               verdict.detail.message);
        expect(verdict.n == wanted_n && strcmp(verdict.authentication_info, info) == 0, "the server's proof",
               verdict.authentication_info);
        ekmotp_verdict_clear(&verdict);
    }
}

/* A JWS must be ours byte for byte. A JWE has a random IV: the server reads it. */
static void check_token(const json_t *vector, ekmotp_profile profile, const char *name, unsigned profiles)
{
    const json_t *v = json_object_get(vector, name);
    ekmotp_bearer_kind kind = strcmp(name, "jws") == 0 ? EKMOTP_BEARER_JWS : EKMOTP_BEARER_JWE;
    const char *claims = json_string_value(json_object_get(v, "claims"));
    ekmotp_client *client = new_client(vector, profile);
    json_t *fields = json_sprintf("Bearer %s", text_of(v, "token"));
    ekmotp_error err = {0};
    ekmotp_verdict verdict;
    char *token = NULL;
    uint64_t n;
    server s;

    server_start(&s, vector, profiles);
    add_client(&s.clients, json_object_get(vector, "client"));
    if (client && kind == EKMOTP_BEARER_JWS) {
        int rc = ekmotp_jose_token(client, s.channel, kind, claims,
                                   json_integer_value(json_object_get(v, "now")), &token, &n, &err);

        expect(rc == 0 && strcmp(token, text_of(v, "token")) == 0, "the client's JWS",
               rc ? err.message : token);
    }
    expect(server_verify(&s, fields, &verdict) == EKMOTP_REASON_OK, name, verdict.detail.message);
    ekmotp_verdict_clear(&verdict);
    free(token);
    json_decref(fields);
    ekmotp_client_free(&client);
    server_stop(&s);
}

static void check_accepted(const json_t *vector)
{
    unsigned profiles;
    ekmotp_profile profile;
    ekmotp_client *client;
    server s;

    if (ekmotp_profile_parse(text_of(vector, "profile"), &profile, NULL) != 0) {
        fail("no profile");
        return;
    }
    profiles = EKMOTP_PROFILE_BIT(profile);
    if (profile == EKMOTP_PROFILE_V1)
        check_schedule(vector);
    if (json_object_get(vector, "requests")) {
        client = new_client(vector, profile);
        server_start(&s, vector, profiles);
        add_client(&s.clients, json_object_get(vector, "client"));
        check_requests(vector, client, &s);
        server_stop(&s);
        ekmotp_client_free(&client);
    }
    for (const char *const *name = (const char *const[]){"jws", "jwe", NULL}; *name; name++)
        if (json_object_get(vector, *name))
            check_token(vector, profile, *name, profiles);
}

/* ---- vectors that are refused ---- */

static void check_refused(const json_t *vector)
{
    const json_t *now = json_object_get(vector, "now");
    const char *wanted = text_of(vector, "reason");
    ekmotp_verdict verdict;
    ekmotp_reason reason;
    size_t i;
    json_t *item;
    server s;

    server_start(&s, vector, profiles_of(json_object_get(vector, "offered")));
    if (now)
        s.now = json_integer_value(now);
    json_array_foreach(json_object_get(vector, "directory"), i, item) add_client(&s.clients, item);
    json_array_foreach(json_object_get(vector, "before"), i, item)
    {
        expect(server_verify(&s, item, &verdict) == EKMOTP_REASON_OK, "the request before is accepted",
               verdict.detail.message);
        ekmotp_verdict_clear(&verdict);
    }
    reason = server_verify(&s, json_object_get(vector, "fields"), &verdict);
    checks++;
    if (verdict.status != EKMOTP_VERDICT_REFUSED || strcmp(ekmotp_reason_name(reason), wanted) != 0)
        fail("the reason is %s, not %s (%s)", ekmotp_reason_name(reason), wanted, verdict.detail.message);
    expect(verdict.authentication_info[0] == '\0' && !verdict.claims && verdict.proof_len == 0,
           "a refusal gives nothing away", NULL);
    ekmotp_verdict_clear(&verdict);
    server_stop(&s);
}

static void run_file(const char *folder, const char *name, void (*check)(const json_t *), size_t at_least)
{
    char path[4096];
    json_error_t error;
    json_t *root, *vector;
    size_t i;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    current = name;
    root = json_load_file(path, 0, &error);
    if (!root) {
        fail("%s (line %d)", error.text, error.line);
        return;
    }
    expect(json_array_size(json_object_get(root, "cases")) >= at_least, "too few vectors", NULL);
    json_array_foreach(json_object_get(root, "cases"), i, vector)
    {
        current = text_of(vector, "name");
        check(vector);
    }
    printf("%s: %zu vectors\n", name, i);
    json_decref(root);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: vectors FOLDER\n");
        return 2;
    }
    run_file(argv[1], "v1.json", check_accepted, 10);
    run_file(argv[1], "compat.json", check_accepted, 8);
    run_file(argv[1], "refused.json", check_refused, 80);
    printf("%d checks, %d failures\n", checks, failures);
    return failures != 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JWTs. The first byte says what the rest is:
 *   t  a token
 *   s  header, newline, payload of a JWS, which is signed with the right key
 *   e  header of a JWE, newline, its plaintext, which is encrypted with the right key
 *   n  header of a JWE, newline, header of the JWS inside, newline, its payload
 *   c  the claims that a client is asked to send
 */
#include "config.h"

#include "tests/fuzz/target.h"
#include "tests/jose/fixture.h"

#include <string.h>

static const uint8_t jws_key[32] = "the key of the JWS: 32 bytes ..";
static const uint8_t jwe_key[32] = "the key of the JWE: 32 bytes ..";

static void open_as(const char *token, ekmotp_profile profile, ekmotp_bearer_kind kind)
{
    static ekmotp_jose_policy policy = {.leeway = 60, .audience = "us"};
    ekmotp_bearer_request request = {.profile = profile,
                                     .kind = kind,
                                     .hash = EKMOTP_HASH_SHA256,
                                     .id = (const uint8_t *)FIXTURE_ID,
                                     .id_len = strlen(FIXTURE_ID),
                                     .jws_key = jws_key,
                                     .jws_key_len = sizeof(jws_key),
                                     .jwe_key = kind == EKMOTP_BEARER_JWE ? jwe_key : NULL,
                                     .now = FIXTURE_NOW};

    for (int i = 0; i < 2; i++) {
        ekmotp_bearer_result result = {.reason = EKMOTP_REASON_COUNT};
        ekmotp_error err = {0};
        int rc =
            ekmotp_jose_bearer()->open(i ? &policy : NULL, token, strlen(token), &request, &result, &err);

        PROMISE((rc == 0) == (result.reason == EKMOTP_REASON_OK));
        PROMISE((rc == 0) == (result.claims != NULL));
        PROMISE(rc == 0 || err.message[0] != '\0');
        PROMISE(result.reason == EKMOTP_REASON_OK || result.reason == EKMOTP_REASON_MALFORMED ||
                result.reason == EKMOTP_REASON_WRONG_PROOF || result.reason == EKMOTP_REASON_TOKEN_CLAIMS);
        PROMISE(rc != 0 || profile != EKMOTP_PROFILE_V1 || result.n > 0);
        /* What is handed on is one line. */
        PROMISE(rc != 0 || strpbrk(result.claims, "\r\n\t") == NULL);
        free(result.claims);
    }
}

static void open_token(const char *token)
{
    uint8_t id[EKMOTP_ID_MAX];
    ekmotp_bearer_kind kind = 0;
    size_t id_len = 0;
    ekmotp_error err = {0};
    int rc = ekmotp_jose_bearer()->peek(NULL, token, strlen(token), &kind, id, &id_len, &err);

    PROMISE(rc == 0 ? (kind == EKMOTP_BEARER_JWS || kind == EKMOTP_BEARER_JWE) && id_len <= EKMOTP_ID_MAX
                    : err.message[0] != '\0');
    open_as(token, EKMOTP_PROFILE_V1, EKMOTP_BEARER_JWS);
    open_as(token, EKMOTP_PROFILE_V1, EKMOTP_BEARER_JWE);
    open_as(token, EKMOTP_PROFILE_COMPAT_JWS, EKMOTP_BEARER_JWS);
    open_as(token, EKMOTP_PROFILE_COMPAT_JWE, EKMOTP_BEARER_JWE);
}

/* Whatever claims a client takes, its own verifier must take. */
static void send_claims(const char *claims)
{
    static ekmotp_channel *channel;
    static ekmotp_verifier *verifier;
    static const fixture_directory directory = {EKMOTP_HASH_SHA256};
    static const ekmotp_bearer_kind kinds[] = {EKMOTP_BEARER_JWS, EKMOTP_BEARER_JWE};
    ekmotp_lookup lookup = fixture_lookup(&directory);

    if (!channel) {
        channel = fixture_channel("fuzz");
        verifier = fixture_verifier(EKMOTP_PROFILE_BIT(EKMOTP_PROFILE_V1), NULL);
    }
    for (int i = 0; i < 2; i++) {
        ekmotp_client *client = fixture_client(EKMOTP_PROFILE_V1, EKMOTP_HASH_SHA256, NULL);
        char *token = NULL, *value;
        ekmotp_credentials credentials = {0};
        ekmotp_verifier_state *state = NULL;
        ekmotp_verdict verdict;
        ekmotp_error err = {0};

        if (ekmotp_jose_token(client, channel, kinds[i], claims, FIXTURE_NOW, &token, NULL, &err) == 0) {
            if (asprintf(&value, "Bearer %s", token) < 0 || ekmotp_verifier_state_new(&state, NULL) != 0)
                abort();
            ekmotp_credentials_add(&credentials, "Authorization", 13, value, strlen(value));
            ekmotp_verifier_verify(verifier, state, channel, &credentials, &lookup, FIXTURE_NOW, 0, &verdict);
            PROMISE(verdict.reason == EKMOTP_REASON_OK || verdict.reason == EKMOTP_REASON_TOKEN_CLAIMS);
            ekmotp_verdict_clear(&verdict);
            ekmotp_verifier_state_free(&state);
            free(value);
        } else {
            PROMISE(token == NULL && err.message[0] != '\0');
        }
        free(token);
        ekmotp_client_free(&client);
    }
}

/* Cuts text at its first newline. */
static char *rest_of(char *text)
{
    char *end = text + strcspn(text, "\n");

    if (*end != '\0')
        *end++ = '\0';
    return end;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text, *second, *token = NULL, *inner = NULL;

    if (size == 0 || size > 4096)
        return 0;
    text = strndup((const char *)data + 1, size - 1);
    if (!text)
        abort();
    switch (data[0]) {
    case 't':
        open_token(text);
        break;
    case 's':
        second = rest_of(text);
        token = fixture_jws(text, second, EKMOTP_HASH_SHA256, jws_key, sizeof(jws_key));
        break;
    case 'e':
        second = rest_of(text);
        token = fixture_jwe(text, second, jwe_key);
        break;
    case 'n':
        second = rest_of(text);
        inner = fixture_jws(second, rest_of(second), EKMOTP_HASH_SHA256, jws_key, sizeof(jws_key));
        token = fixture_jwe(text, inner, jwe_key);
        break;
    case 'c':
        send_claims(text);
        break;
    default:
        break;
    }
    if (token)
        open_token(token);
    free(inner);
    free(token);
    free(text);
    return 0;
}

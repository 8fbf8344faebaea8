/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header fields of a request, as "name: value" lines, through the verifier with every profile offered;
 * then the whole input as the server's Authentication-Info, through the client.
 */
#include "tests/fuzz/target.h"
#include "tests/jose/fixture.h"

#include <string.h>

static void read_lines(const char *text, size_t size, ekmotp_credentials *credentials)
{
    while (size > 0) {
        const char *end = memchr(text, '\n', size), *colon;
        size_t len = end ? (size_t)(end - text) : size;

        colon = memchr(text, ':', len);
        if (colon) {
            const char *value = colon + 1;
            size_t value_len = len - (size_t)(value - text);

            while (value_len > 0 && *value == ' ') {
                value++;
                value_len--;
            }
            ekmotp_credentials_add(credentials, text, (size_t)(colon - text), value, value_len);
        }
        text += len + (end != NULL);
        size -= len + (end != NULL);
    }
}

static void check_verdict(ekmotp_verdict_status status, const ekmotp_verdict *verdict)
{
    PROMISE(status == verdict->status);
    PROMISE(ekmotp_reason_name(verdict->reason) != NULL);
    PROMISE((status == EKMOTP_VERDICT_ACCEPTED) == (verdict->reason == EKMOTP_REASON_OK));
    PROMISE(status == EKMOTP_VERDICT_ACCEPTED || status == EKMOTP_VERDICT_REFUSED);
    PROMISE(verdict->reason != EKMOTP_REASON_INTERNAL);
    PROMISE(verdict->id_len <= EKMOTP_ID_MAX);
    PROMISE(memchr(verdict->detail.message, '\0', sizeof(verdict->detail.message)) != NULL);
    if (status == EKMOTP_VERDICT_REFUSED)
        PROMISE(!verdict->claims && verdict->authentication_info[0] == '\0' && verdict->proof_len == 0);
    else
        PROMISE(verdict->id_len == strlen(FIXTURE_ID) &&
                memcmp(verdict->id, FIXTURE_ID, verdict->id_len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static ekmotp_verifier *verifier;
    static ekmotp_channel *channel;
    static ekmotp_client *client;
    static const fixture_directory directory = {EKMOTP_HASH_SHA256};
    ekmotp_lookup lookup = fixture_lookup(&directory);
    ekmotp_credentials credentials = {0};
    ekmotp_verifier_state *state = NULL;
    ekmotp_verdict verdict;
    ekmotp_verdict_status status;
    ekmotp_error err = {0};
    int rc;

    if (!verifier) {
        fixture_request request;

        verifier = fixture_verifier((1u << EKMOTP_PROFILE_COUNT) - 1, NULL);
        channel = fixture_channel("fuzz");
        client = fixture_client(EKMOTP_PROFILE_V1, EKMOTP_HASH_SHA256, NULL);
        fixture_make_request(client, channel, 0, NULL, FIXTURE_NOW, &request);
        fixture_request_clear(&request);
    }
    read_lines((const char *)data, size, &credentials);
    if (ekmotp_verifier_state_new(&state, NULL) != 0)
        abort();
    for (int i = 0; i < 2; i++) {
        status =
            ekmotp_verifier_verify(verifier, state, channel, &credentials, &lookup, FIXTURE_NOW, 0, &verdict);
        check_verdict(status, &verdict);
        /* What v1 accepts it accepts once. */
        PROMISE(i == 0 || verdict.profile != EKMOTP_PROFILE_V1 || status == EKMOTP_VERDICT_REFUSED);
        ekmotp_verdict_clear(&verdict);
    }
    ekmotp_verifier_state_free(&state);

    rc = ekmotp_client_check_server(client, 1, (const char *)data, size, &err);
    PROMISE(rc == 0 || (rc == EKMOTP_E_SERVER_PROOF && err.message[0] != '\0'));
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/fake_channel.h"

#include <ekmotp/openssl.h>
#include <stdlib.h>
#include <string.h>

static int check(void *ctx, ekmotp_error *err)
{
    fake_session *session = ctx;

    return session->check == 0 ? 0 : ekmotp_error_set(err, session->check, "a broken rule");
}

static int export_key(void *ctx, const char *label, size_t label_len, const uint8_t *context,
                      size_t context_len, uint8_t *out, size_t out_len, ekmotp_error *err)
{
    fake_session *session = ctx;
    uint8_t message[1024], block[64];
    size_t len = 0;

    session->exports++;
    memcpy(message, label, label_len);
    len += label_len;
    message[len++] = 0;
    memcpy(message + len, context, context_len);
    len += context_len;
    message[len++] = (uint8_t)out_len;
    message[len++] = 0;
    for (size_t done = 0; done < out_len; done += sizeof(block)) {
        size_t n = out_len - done < sizeof(block) ? out_len - done : sizeof(block);

        message[len - 1] = (uint8_t)done;
        if (ekmotp_crypto_hmac(ekmotp_openssl_crypto(), EKMOTP_HASH_SHA512, session->seed,
                               sizeof(session->seed), message, len, block) != 0)
            return ekmotp_error_set(err, EKMOTP_E_CHANNEL_EXPORT, "HMAC failed");
        memcpy(out + done, block, n);
    }
    return 0;
}

static const ekmotp_channel_ops ops = {.check = check, .export_key = export_key};

fake_session fake_session_make(uint8_t seed)
{
    fake_session session = {.check = 0};

    memset(session.seed, seed, sizeof(session.seed));
    return session;
}

ekmotp_channel *fake_channel_new(fake_session *session)
{
    ekmotp_channel *channel = NULL;

    if (ekmotp_channel_new(&ops, session, &channel, NULL) != 0)
        abort();
    return channel;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <ekmotp/channel.h>

#include "lib/common/secret.h"

#include <stdlib.h>
#include <string.h>

struct ekmotp_channel {
    const ekmotp_channel_ops *ops;
    void *ctx;
};

int ekmotp_channel_new(const ekmotp_channel_ops *ops, void *ctx, ekmotp_channel **out, ekmotp_error *err)
{
    ekmotp_channel *channel = calloc(1, sizeof(*channel));

    if (!channel) {
        if (ops->free)
            ops->free(ctx);
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory for a channel");
    }
    channel->ops = ops;
    channel->ctx = ctx;
    *out = channel;
    return 0;
}

void ekmotp_channel_free(ekmotp_channel **channel)
{
    if (!channel || !*channel)
        return;
    if ((*channel)->ops->free)
        (*channel)->ops->free((*channel)->ctx);
    free(*channel);
    *channel = NULL;
}

int ekmotp_channel_check(const ekmotp_channel *channel, ekmotp_error *err)
{
    return channel->ops->check(channel->ctx, err);
}

int ekmotp_channel_export(const ekmotp_channel *channel, const char *label, const uint8_t *context,
                          size_t context_len, uint8_t *out, size_t out_len, ekmotp_error *err)
{
    size_t label_len = strnlen(label, EKMOTP_CHANNEL_LABEL_MAX + 1);
    int rc;

    if (!context)
        return ekmotp_error_set(err, EKMOTP_E_CHANNEL_CONTEXT,
                                "an export needs a context, at least an empty one (rule 4)");
    if (label_len == 0 || label_len > EKMOTP_CHANNEL_LABEL_MAX)
        return ekmotp_error_set(err, EKMOTP_E_INVAL, "an exporter label has 1 to %d bytes",
                                EKMOTP_CHANNEL_LABEL_MAX);
    if (context_len > EKMOTP_CHANNEL_CONTEXT_MAX)
        return ekmotp_error_set(err, EKMOTP_E_LIMIT, "an exporter context of %zu bytes; %d are allowed",
                                context_len, EKMOTP_CHANNEL_CONTEXT_MAX);
    rc = ekmotp_channel_check(channel, err);
    if (rc != 0)
        return rc;
    rc = channel->ops->export_key(channel->ctx, label, label_len, context, context_len, out, out_len, err);
    if (rc != 0)
        ek_wipe(out, out_len);
    return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept per connection hangs on its SSL object, and goes with it (rule 9). */
#include "ekmotp_nginx.h"

static int ssl_index = -1;
static ngx_uint_t store_count;

static void free_channels(void *parent, void *ptr, CRYPTO_EX_DATA *data, int idx, long argl, void *argp)
{
    ek_nginx_channel **channels = ptr;

    (void)parent, (void)data, (void)idx, (void)argl, (void)argp;
    if (!channels)
        return;
    for (ngx_uint_t i = 0; channels[i] != (void *)channels; i++) {
        if (channels[i]) {
            ekmotp_channel_free(&channels[i]->channel);
            ek_nginx_channel_release(channels[i]);
        }
    }
    free(channels);
}

ngx_int_t ek_nginx_channel_init(ngx_conf_t *cf, ngx_uint_t stores)
{
    store_count = stores;
    if (ssl_index < 0)
        ssl_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, free_channels);
    if (ssl_index < 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "ekmotp: OpenSSL has no room for the module's data");
        return NGX_ERROR;
    }
    return NGX_OK;
}

static ek_nginx_channel *new_channel(SSL *ssl)
{
    ek_nginx_channel *channel = calloc(1, sizeof(*channel));

    if (!channel)
        return NULL;
    channel->owners = 1;
    ngx_queue_init(&channel->waiting);
    if (ekmotp_openssl_channel_new(ssl, &channel->channel, NULL) != 0 ||
        ekmotp_verifier_state_new(&channel->state, NULL) != 0) {
        ekmotp_channel_free(&channel->channel);
        free(channel);
        return NULL;
    }
    return channel;
}

ek_nginx_channel *ek_nginx_channel_of(ngx_connection_t *c, ngx_uint_t store)
{
    SSL *ssl = c->ssl->connection;
    ek_nginx_channel **channels = SSL_get_ex_data(ssl, ssl_index);

    if (!channels) {
        channels = calloc(store_count + 1, sizeof(*channels));
        if (!channels)
            return NULL;
        /* The end of the list: after a reload, a connection can meet another number of stores. */
        channels[store_count] = (void *)channels;
        if (SSL_set_ex_data(ssl, ssl_index, channels) != 1) {
            free(channels);
            return NULL;
        }
    }
    if (!channels[store])
        channels[store] = new_channel(ssl);
    return channels[store];
}

void ek_nginx_channel_release(ek_nginx_channel *channel)
{
    if (--channel->owners > 0)
        return;
    ekmotp_verifier_state_free(&channel->state);
    free(channel);
}

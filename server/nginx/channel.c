/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept per connection hangs on its SSL object, and goes with it (rule 9). */
#include "ekmotp_nginx.h"

static int ssl_index = -1;

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

ngx_int_t ek_nginx_channel_init(ngx_conf_t *cf)
{
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

/* How many stores there are is the business of the request's configuration, not of the one read last: that
 * one may have been refused. */
ek_nginx_channel *ek_nginx_channel_of(ngx_http_request_t *r, const ek_nginx_store *store)
{
    const ek_nginx_main_conf *conf = ngx_http_get_module_main_conf(r, ngx_http_ekmotp_module);
    SSL *ssl = r->connection->ssl->connection;
    ek_nginx_channel **channels = SSL_get_ex_data(ssl, ssl_index);

    if (!channels) {
        channels = calloc(conf->stores.nelts + 1, sizeof(*channels));
        if (!channels)
            return NULL;
        channels[conf->stores.nelts] = (void *)channels; /* the end of the list, for free_channels */
        if (SSL_set_ex_data(ssl, ssl_index, channels) != 1) {
            free(channels);
            return NULL;
        }
    }
    if (!channels[store->index])
        channels[store->index] = new_channel(ssl);
    return channels[store->index];
}

void ek_nginx_channel_release(ek_nginx_channel *channel)
{
    if (--channel->owners > 0)
        return;
    ekmotp_verifier_state_free(&channel->state);
    free(channel);
}

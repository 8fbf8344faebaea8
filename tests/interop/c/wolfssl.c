/* SPDX-License-Identifier: Apache-2.0 */
/* wolfssl.c: peer.c on wolfSSL: its TLS, its exporter, its HMAC. */
#include "peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/hmac.h>

struct connection {
    WOLFSSL *ssl;
    int fd;
};

static WOLFSSL_CTX *ctx;

const char *stack_name(void)
{
    return "wolfSSL " LIBWOLFSSL_VERSION_STRING;
}

void stack_start(const char *ca, const char *version)
{
    wolfSSL_Init();
    ctx = wolfSSL_CTX_new(strcmp(version, "1.2") == 0 ? wolfTLSv1_2_client_method()
                                                      : wolfTLSv1_3_client_method());
    if (!ctx || wolfSSL_CTX_load_verify_locations(ctx, ca, NULL) != WOLFSSL_SUCCESS)
        die("%s cannot be loaded", ca);
}

connection *stack_connect(const char *host, unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    connection *c = calloc(1, sizeof(*c));

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (!c || (c->fd = socket(AF_INET, SOCK_STREAM, 0)) < 0 ||
        connect(c->fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        die("connect");
    c->ssl = wolfSSL_new(ctx);
    if (!c->ssl)
        die("wolfSSL_new");
    /* The exporter of TLS 1.2 needs what the library would forget after the handshake. */
    wolfSSL_KeepArrays(c->ssl);
    if (wolfSSL_check_domain_name(c->ssl, host) != WOLFSSL_SUCCESS ||
        wolfSSL_UseSNI(c->ssl, WOLFSSL_SNI_HOST_NAME, host, (unsigned short)strlen(host)) !=
            WOLFSSL_SUCCESS ||
        wolfSSL_set_fd(c->ssl, c->fd) != WOLFSSL_SUCCESS || wolfSSL_connect(c->ssl) != WOLFSSL_SUCCESS)
        die("handshake: error %d", wolfSSL_get_error(c->ssl, 0));
    return c;
}

void stack_close(connection *c)
{
    wolfSSL_free(c->ssl);
    close(c->fd);
    free(c);
}

void stack_export(connection *c, const char *label, const uint8_t *context, size_t context_len, uint8_t *out,
                  size_t out_len)
{
    if (wolfSSL_export_keying_material(c->ssl, out, out_len, label, strlen(label), context, context_len, 1) !=
        WOLFSSL_SUCCESS)
        die("wolfSSL_export_keying_material");
}

void stack_hmac(int bits, const uint8_t *key, size_t key_len, const uint8_t *data, size_t len, uint8_t *out)
{
    int type = bits == 256 ? WC_SHA256 : bits == 384 ? WC_SHA384 : WC_SHA512;
    Hmac hmac;

    if (wc_HmacInit(&hmac, NULL, INVALID_DEVID) != 0 ||
        wc_HmacSetKey(&hmac, type, key, (word32)key_len) != 0 ||
        wc_HmacUpdate(&hmac, data, (word32)len) != 0 || wc_HmacFinal(&hmac, out) != 0)
        die("HMAC");
    wc_HmacFree(&hmac);
}

void stack_write(connection *c, const void *data, size_t len)
{
    if (wolfSSL_write(c->ssl, data, (int)len) != (int)len)
        die("write");
}

size_t stack_read(connection *c, void *data, size_t size)
{
    int n = wolfSSL_read(c->ssl, data, (int)size);

    if (n < 0)
        die("read: error %d", wolfSSL_get_error(c->ssl, n));
    return (size_t)n;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* wolfssl.c: client.c and v1.c on wolfSSL: its TLS, its exporter, its HMAC. */
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
static int tls13;

const char *stack_name(void)
{
    return "wolfSSL " LIBWOLFSSL_VERSION_STRING;
}

void stack_start(const options *o)
{
    const struct {
        const char *name, *tls13, *tls12;
    } ciphers[] = {{"aes128", "TLS13-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"},
                   {"aes256", "TLS13-AES256-GCM-SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"},
                   {"chacha20", "TLS13-CHACHA20-POLY1305-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"}};
    int groups[] = {WOLFSSL_ECC_SECP256R1, WOLFSSL_ECC_SECP384R1, WOLFSSL_ECC_SECP521R1};

    tls13 = strcmp(o->tls, "1.3") == 0;
    wolfSSL_Init();
    ctx = wolfSSL_CTX_new(tls13 ? wolfTLSv1_3_client_method() : wolfTLSv1_2_client_method());
    if (!ctx || wolfSSL_CTX_load_verify_locations(ctx, o->ca, NULL) != WOLFSSL_SUCCESS)
        die("%s cannot be loaded", o->ca);
    wolfSSL_CTX_UseSessionTicket(ctx);
    /* Its own first choice, P-521, costs a HelloRetryRequest with servers that let the client choose. */
    if (tls13 && wolfSSL_CTX_set_groups(ctx, groups, 3) != WOLFSSL_SUCCESS)
        die("groups");
    for (size_t i = 0; i < sizeof(ciphers) / sizeof(ciphers[0]); i++)
        if (strcmp(o->cipher, ciphers[i].name) == 0 &&
            wolfSSL_CTX_set_cipher_list(ctx, tls13 ? ciphers[i].tls13 : ciphers[i].tls12) != WOLFSSL_SUCCESS)
            die("cipher %s", o->cipher);
}

connection *stack_connect(const char *host, unsigned port, connection *earlier)
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
    if (earlier && wolfSSL_set_session(c->ssl, wolfSSL_get_session(earlier->ssl)) != WOLFSSL_SUCCESS)
        die("there is no session to resume");
    if (wolfSSL_check_domain_name(c->ssl, host) != WOLFSSL_SUCCESS ||
        wolfSSL_UseSNI(c->ssl, WOLFSSL_SNI_HOST_NAME, host, (unsigned short)strlen(host)) !=
            WOLFSSL_SUCCESS ||
        wolfSSL_set_fd(c->ssl, c->fd) != WOLFSSL_SUCCESS || wolfSSL_connect(c->ssl) != WOLFSSL_SUCCESS)
        die("handshake: error %d", wolfSSL_get_error(c->ssl, 0));
    return c;
}

int stack_connect_early(const char *host, unsigned port, connection *earlier, const void *data, size_t len,
                        connection **c)
{
    (void)host, (void)port, (void)earlier, (void)data, (void)len, (void)c;
    die("no early data");
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

void stack_key_update(connection *c)
{
    if (wolfSSL_update_keys(c->ssl) != WOLFSSL_SUCCESS)
        die("wolfSSL_update_keys");
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

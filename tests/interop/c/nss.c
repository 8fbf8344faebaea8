/* SPDX-License-Identifier: Apache-2.0 */
/* nss.c: peer.c on NSS: its TLS, its exporter, its HMAC. */
#include "peer.h"

#include <cert.h>
#include <certdb.h>
#include <nspr.h>
#include <nss.h>
#include <pk11pub.h>
#include <ssl.h>
#include <sslproto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct connection {
    PRFileDesc *fd;
};

static PRUint16 version;

const char *stack_name(void)
{
    return "NSS " NSS_VERSION;
}

static void fail(const char *what)
{
    die("%s: %s", what, PR_ErrorToName(PR_GetError()));
}

static void trust(const char *ca)
{
    char pem[16384];
    FILE *f = fopen(ca, "rb");
    size_t len = f ? fread(pem, 1, sizeof(pem) - 1, f) : 0;
    CERTCertTrust flags = {0};
    CERTCertificate *cert;

    if (f)
        fclose(f);
    cert = CERT_DecodeCertFromPackage(pem, (int)len);
    flags.sslFlags = CERTDB_VALID_CA | CERTDB_TRUSTED_CA;
    if (!cert || CERT_ChangeCertTrust(CERT_GetDefaultCertDB(), cert, &flags) != SECSuccess)
        fail(ca);
}

void stack_start(const char *ca, const char *wanted)
{
    if (NSS_NoDB_Init(NULL) != SECSuccess || NSS_SetDomesticPolicy() != SECSuccess)
        fail("NSS_NoDB_Init");
    version = strcmp(wanted, "1.2") == 0 ? SSL_LIBRARY_VERSION_TLS_1_2 : SSL_LIBRARY_VERSION_TLS_1_3;
    trust(ca);
}

connection *stack_connect(const char *host, unsigned port)
{
    connection *c = calloc(1, sizeof(*c));
    SSLVersionRange range = {version, version};
    PRNetAddr address;
    PRFileDesc *tcp = PR_OpenTCPSocket(PR_AF_INET);

    PR_InitializeNetAddr(PR_IpAddrLoopback, (PRUint16)port, &address);
    if (!c || !tcp || PR_Connect(tcp, &address, PR_SecondsToInterval(10)) != PR_SUCCESS)
        fail("connect");
    c->fd = SSL_ImportFD(NULL, tcp);
    if (!c->fd || SSL_OptionSet(c->fd, SSL_SECURITY, PR_TRUE) != SECSuccess ||
        SSL_OptionSet(c->fd, SSL_HANDSHAKE_AS_CLIENT, PR_TRUE) != SECSuccess ||
        SSL_OptionSet(c->fd, SSL_ENABLE_EXTENDED_MASTER_SECRET, PR_TRUE) != SECSuccess ||
        SSL_OptionSet(c->fd, SSL_ENABLE_RENEGOTIATION, SSL_RENEGOTIATE_NEVER) != SECSuccess ||
        /* NSS's exporter of TLS 1.2 works for suites with SHA-256 only (its bug 1312976). */
        SSL_CipherPrefSet(c->fd, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, PR_FALSE) != SECSuccess ||
        SSL_CipherPrefSet(c->fd, TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, PR_FALSE) != SECSuccess ||
        SSL_VersionRangeSet(c->fd, &range) != SECSuccess || SSL_SetURL(c->fd, host) != SECSuccess ||
        SSL_ResetHandshake(c->fd, PR_FALSE) != SECSuccess || SSL_ForceHandshake(c->fd) != SECSuccess)
        fail("handshake");
    return c;
}

void stack_close(connection *c)
{
    PR_Close(c->fd);
    free(c);
}

void stack_export(connection *c, const char *label, const uint8_t *context, size_t context_len, uint8_t *out,
                  size_t out_len)
{
    if (SSL_ExportKeyingMaterial(c->fd, label, (unsigned)strlen(label), PR_TRUE, context,
                                 (unsigned)context_len, out, (unsigned)out_len) != SECSuccess)
        fail("SSL_ExportKeyingMaterial");
}

void stack_hmac(int bits, const uint8_t *key, size_t key_len, const uint8_t *data, size_t len, uint8_t *out)
{
    CK_MECHANISM_TYPE mechanism = bits == 256   ? CKM_SHA256_HMAC
                                  : bits == 384 ? CKM_SHA384_HMAC
                                                : CKM_SHA512_HMAC;
    PK11SlotInfo *slot = PK11_GetInternalSlot();
    SECItem bytes = {siBuffer, (unsigned char *)key, (unsigned)key_len}, none = {siBuffer, NULL, 0};
    SECItem message = {siBuffer, (unsigned char *)data, (unsigned)len},
            mac = {siBuffer, out, (unsigned)bits / 8};
    PK11SymKey *k = PK11_ImportSymKey(slot, mechanism, PK11_OriginUnwrap, CKA_SIGN, &bytes, NULL);

    if (!k || PK11_SignWithSymKey(k, mechanism, &none, &mac, &message) != SECSuccess)
        fail("HMAC");
    PK11_FreeSymKey(k);
    PK11_FreeSlot(slot);
}

void stack_write(connection *c, const void *data, size_t len)
{
    if (PR_Write(c->fd, data, (PRInt32)len) != (PRInt32)len)
        fail("write");
}

size_t stack_read(connection *c, void *data, size_t size)
{
    PRInt32 n = PR_Recv(c->fd, data, (PRInt32)size, 0, PR_SecondsToInterval(20));

    if (n < 0)
        fail("read");
    return (size_t)n;
}

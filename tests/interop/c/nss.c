/* SPDX-License-Identifier: Apache-2.0 */
/* nss.c: client.c and v1.c on NSS: its TLS, its exporter, its HMAC. */
#include "peer.h"

#include <cert.h>
#include <certdb.h>
#include <nspr.h>
#include <nss.h>
#include <pk11pub.h>
#include <ssl.h>
#include <sslexp.h>
#include <sslproto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct connection {
    PRFileDesc *fd;
};

static PRUint16 version;
static const char *cipher;

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

void stack_start(const options *o)
{
    if (NSS_NoDB_Init(NULL) != SECSuccess || NSS_SetDomesticPolicy() != SECSuccess)
        fail("NSS_NoDB_Init");
    version = strcmp(o->tls, "1.2") == 0 ? SSL_LIBRARY_VERSION_TLS_1_2 : SSL_LIBRARY_VERSION_TLS_1_3;
    cipher = o->cipher;
    trust(o->ca);
}

/* Leaves one kind of cipher suite where one is asked for. */
static void choose_ciphers(PRFileDesc *fd)
{
    const char *wanted = strcmp(cipher, "aes128") == 0   ? "AES_128_GCM"
                         : strcmp(cipher, "aes256") == 0 ? "AES_256_GCM"
                                                         : "CHACHA20_POLY1305";
    SSLCipherSuiteInfo info;

    for (int i = 0; i < SSL_NumImplementedCiphers; i++) {
        PRUint16 suite = SSL_ImplementedCiphers[i];
        int tls13 = suite >> 8 == 0x13, on;

        if (SSL_GetCipherSuiteInfo(suite, &info, sizeof(info)) != SECSuccess)
            fail("cipher suites");
        on = strstr(info.cipherSuiteName, wanted) && (tls13 || strcmp(info.keaTypeName, "ECDHE") == 0);
        /* NSS's exporter of TLS 1.2 works for suites with SHA-256 only (its bug 1312976). */
        if (!cipher[0])
            on = tls13 || (strcmp(info.keaTypeName, "ECDHE") == 0 && !strstr(info.cipherSuiteName, "SHA384"));
        if (SSL_CipherPrefSet(fd, suite, on) != SECSuccess)
            fail(info.cipherSuiteName);
    }
}

/* Shares for the two groups that servers like best, so that they ask for no second hello. */
static void choose_groups(PRFileDesc *fd)
{
    /* X25519MLKEM768 has no name in older versions, which do not take it. */
    static const SSLNamedGroup groups[] = {0x11ec, ssl_grp_ec_curve25519, ssl_grp_ec_secp256r1,
                                           ssl_grp_ec_secp384r1};

    if ((SSL_NamedGroupConfig(fd, groups, 4) != SECSuccess &&
         SSL_NamedGroupConfig(fd, groups + 1, 3) != SECSuccess) ||
        SSL_SendAdditionalKeyShares(fd, 1) != SECSuccess)
        fail("groups");
}

/* NSS keeps sessions by itself, and resumes what it knows of a peer. */
connection *stack_connect(const char *host, unsigned port, connection *earlier)
{
    connection *c = calloc(1, sizeof(*c));
    SSLVersionRange range = {version, version};
    PRNetAddr address;
    PRFileDesc *tcp = PR_OpenTCPSocket(PR_AF_INET);

    PR_InitializeNetAddr(PR_IpAddrLoopback, (PRUint16)port, &address);
    if (!c || !tcp || PR_Connect(tcp, &address, PR_SecondsToInterval(10)) != PR_SUCCESS)
        fail("connect");
    if (!earlier)
        SSL_ClearSessionCache();
    c->fd = SSL_ImportFD(NULL, tcp);
    if (!c->fd || SSL_OptionSet(c->fd, SSL_SECURITY, PR_TRUE) != SECSuccess ||
        SSL_OptionSet(c->fd, SSL_HANDSHAKE_AS_CLIENT, PR_TRUE) != SECSuccess ||
        SSL_OptionSet(c->fd, SSL_ENABLE_EXTENDED_MASTER_SECRET, PR_TRUE) != SECSuccess ||
        SSL_OptionSet(c->fd, SSL_ENABLE_SESSION_TICKETS, PR_TRUE) != SECSuccess ||
        SSL_OptionSet(c->fd, SSL_ENABLE_RENEGOTIATION, SSL_RENEGOTIATE_NEVER) != SECSuccess ||
        SSL_VersionRangeSet(c->fd, &range) != SECSuccess || SSL_SetURL(c->fd, host) != SECSuccess)
        fail("connection");
    choose_ciphers(c->fd);
    choose_groups(c->fd);
    if (SSL_ResetHandshake(c->fd, PR_FALSE) != SECSuccess || SSL_ForceHandshake(c->fd) != SECSuccess)
        fail("handshake");
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

void stack_key_update(connection *c)
{
    if (SSL_KeyUpdate(c->fd, PR_TRUE) != SECSuccess)
        fail("SSL_KeyUpdate");
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

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * count_calls.c: preloaded into a server, counts what libekmotp-openssl asks of OpenSSL: exporter calls and
 * MACs. The numbers go to the file that EKMOTP_COUNT_FILE names when the process ends.
 */
#include "config.h"

#include <dlfcn.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int (*exporter)(SSL *, unsigned char *, size_t, const char *, size_t, const unsigned char *, size_t,
                        int);
typedef int (*mac_final)(EVP_MAC_CTX *, unsigned char *, size_t *, size_t);

static atomic_ullong exports, macs;

/* OpenSSL itself makes MACs for session tickets: those are not counted. */
static int is_ours(void *caller)
{
    Dl_info info;

    return dladdr(caller, &info) != 0 && info.dli_fname && strstr(info.dli_fname, "libekmotp") != NULL;
}

int SSL_export_keying_material(SSL *ssl, unsigned char *out, size_t out_len, const char *label,
                               size_t label_len, const unsigned char *context, size_t context_len,
                               int use_context)
{
    static exporter real;

    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "SSL_export_keying_material");
    exports++;
    return real(ssl, out, out_len, label, label_len, context, context_len, use_context);
}

int EVP_MAC_final(EVP_MAC_CTX *ctx, unsigned char *out, size_t *len, size_t size)
{
    static mac_final real;

    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "EVP_MAC_final");
    if (is_ours(__builtin_return_address(0)))
        macs++;
    return real(ctx, out, len, size);
}

__attribute__((destructor)) static void report(void)
{
    const char *path = getenv("EKMOTP_COUNT_FILE");
    FILE *f = path ? fopen(path, "w") : NULL;

    if (f) {
        fprintf(f, "{\"exports\": %llu, \"macs\": %llu}\n", exports, macs);
        fclose(f);
    }
}

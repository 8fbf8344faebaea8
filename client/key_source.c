/* SPDX-License-Identifier: Apache-2.0 */
#include "client/key_source.h"
#include "client/pin.h"
#include "lib/common/file.h"

#include <ekmotp/gnutls.h>
#include <string.h>

#define FILE_PREFIX "file:"
#define URI_PREFIX "pkcs11:"

static int open_file(const ek_key_options *options, ekmotp_key **out, ekmotp_error *err)
{
    const char *path = options->key + strlen(FILE_PREFIX);
    ek_secret *secret = NULL;
    ekmotp_error why = {0};
    int rc;

    rc = ek_file_read_secret(path, EKMOTP_KEY_MAX_SIZE, &secret, &why);
    if (rc == EKMOTP_E_LIMIT) /* an empty or too long key file is a bad key */
        rc = EKMOTP_E_KEY_LENGTH;
    if (rc == 0) {
        rc = ekmotp_key_new_bytes(ekmotp_gnutls_crypto(), options->hash, secret->bytes, secret->len,
                                  options->profile == EKMOTP_PROFILE_V1 ? 0 : EKMOTP_KEY_ALLOW_SHORT, out,
                                  &why);
        if (rc != 0)
            rc = ekmotp_error_set(err, rc, "%.200s: %.250s", path, why.message);
    } else {
        rc = ekmotp_error_set(err, rc, "key %s", why.message);
    }
    ek_secret_free(&secret);
    return rc;
}

int ek_key_source_open(const ek_key_options *options, ek_key_source *out, ekmotp_error *err)
{
    ek_key_source source = {NULL, NULL};
    int rc;

    if (strncmp(options->key, FILE_PREFIX, strlen(FILE_PREFIX)) == 0)
        rc = open_file(options, &source.key, err);
    else
        rc = ekmotp_error_set(err, EKMOTP_E_URI,
                              "--key '%.200s' is neither file:PATH nor a pkcs11: URI (RFC 7512)",
                              options->key);
    if (rc == 0)
        *out = source;
    return rc;
}

void ek_key_source_close(ek_key_source *source)
{
    ekmotp_key_free(&source->key);
}

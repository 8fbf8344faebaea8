/* SPDX-License-Identifier: Apache-2.0 */
#include "client/key_source.h"
#include "client/pin.h"
#include "client/tls.h"
#include "lib/common/file.h"

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
        rc = ekmotp_key_new_bytes(ek_tls_crypto(), options->hash, secret->bytes, secret->len,
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

/*
 * A PIN in the URI stands where every process of this machine can read it. (In RFC 7512 pin-value is a query
 * attribute; a path attribute cannot hold an unescaped '=' elsewhere.)
 */
static int has_pin_value(const char *uri)
{
    for (const char *at = uri; (at = strstr(at, "pin-value=")) != NULL; at++)
        if (at > uri && strchr("?&;:", at[-1]))
            return 1;
    return 0;
}

static int open_token(const ek_key_options *options, ek_key_source *source, ekmotp_error *err)
{
    const ekmotp_p11_options token = {
        .hash = options->hash, .pin_source = options->pin_source, .pin = ek_pin_ask};
    int rc;

    if (has_pin_value(options->key))
        return ekmotp_error_set(err, EKMOTP_E_URI,
                                "a PIN in the URI is seen by others; use --pin-source FILE or pin-source=");
    if (options->agent_socket)
        rc = ekmotp_agent_connect(options->agent_socket, &source->agent, err);
    else
        rc = ekmotp_agent_spawn(options->agent_program, &source->agent, err);
    if (rc == 0)
        rc = ekmotp_agent_key_open(source->agent, options->key, &token, &source->key, err);
    return rc;
}

int ek_key_source_open(const ek_key_options *options, ek_key_source *out, ekmotp_error *err)
{
    ek_key_source source = {NULL, NULL};
    int rc;

    if (strncmp(options->key, FILE_PREFIX, strlen(FILE_PREFIX)) == 0)
        rc = open_file(options, &source.key, err);
    else if (strncmp(options->key, URI_PREFIX, strlen(URI_PREFIX)) == 0)
        rc = open_token(options, &source, err);
    else
        rc = ekmotp_error_set(err, EKMOTP_E_URI,
                              "--key '%.200s' is neither file:PATH nor a pkcs11: URI (RFC 7512)",
                              options->key);
    if (rc == 0)
        *out = source;
    else
        ek_key_source_close(&source);
    return rc;
}

void ek_key_source_close(ek_key_source *source)
{
    ekmotp_key_free(&source->key);
    ekmotp_agent_free(&source->agent);
}

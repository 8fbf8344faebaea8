/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "lib/common/file.h"
#include "p11/agent/client_pin.h"

#include <string.h>

static int from_file(const char *path, ek_secret **out, ekmotp_error *err)
{
    ek_secret *file = NULL;
    size_t len;
    int rc = ek_file_read_secret(path, EKMOTP_PIN_MAX + 2, &file, err);

    if (rc != 0)
        return rc;
    len = file->len;
    if (len > 0 && file->bytes[len - 1] == '\n')
        len--;
    if (len > 0 && len < file->len && file->bytes[len - 1] == '\r')
        len--;
    if (len == 0 || len > EKMOTP_PIN_MAX || memchr(file->bytes, 0, len))
        rc = ekmotp_error_set(err, EKMOTP_E_PIN_MISSING, "%s: holds no PIN (one line of 1 to %d bytes)", path,
                              EKMOTP_PIN_MAX);
    else
        rc = (*out = ek_secret_new(file->bytes, len))
                 ? 0
                 : ekmotp_error_set(err, EKMOTP_E_NOMEM, "PIN: no memory");
    ek_secret_free(&file);
    return rc;
}

static int from_callback(const ekmotp_p11_options *o, const char *token, ek_secret **out, ekmotp_error *err)
{
    char pin[EKMOTP_PIN_MAX];
    int n = o->pin(o->pin_ctx, token, pin, sizeof(pin), err), rc;

    if (n < 0)
        rc = n;
    else if ((size_t)n > sizeof(pin) || memchr(pin, 0, (size_t)n))
        rc = ekmotp_error_set(err, EKMOTP_E_INVAL, "token '%s': the PIN that was given is malformed", token);
    else
        rc = (*out = ek_secret_new(pin, (size_t)n)) ? 0
                                                    : ekmotp_error_set(err, EKMOTP_E_NOMEM, "PIN: no memory");
    ek_wipe(pin, sizeof(pin));
    return rc;
}

int ek_client_pin_get(const ekmotp_p11_options *o, const char *pin_source, const char *token, ek_secret **out,
                      ekmotp_error *err)
{
    if (o->pin_source)
        return from_file(o->pin_source, out, err);
    if (pin_source && pin_source[0] == '|')
        return ekmotp_error_set(err, EKMOTP_E_URI,
                                "PKCS#11 URI: a pin-source that is a command is not run; name "
                                "a file");
    if (pin_source) {
        if (strncmp(pin_source, "file:", 5) == 0)
            pin_source += strncmp(pin_source + 5, "//", 2) == 0 ? 7 : 5;
        return from_file(pin_source, out, err);
    }
    if (o->pin)
        return from_callback(o, token, out, err);
    return ekmotp_error_set(err, EKMOTP_E_PIN_MISSING,
                            "token '%s': it wants a PIN and none was given; name a file that holds it "
                            "(pin-source)",
                            token);
}

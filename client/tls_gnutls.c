/* SPDX-License-Identifier: Apache-2.0 */
#include "client/tls.h"

#include <ekmotp/gnutls.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define PRIORITY_MAX 512 /* bytes */

curl_sslbackend ek_tls_backend(void)
{
    return CURLSSLBACKEND_GNUTLS;
}

const ekmotp_crypto *ek_tls_crypto(void)
{
    return ekmotp_gnutls_crypto();
}

int ek_tls_channel_new(void *session, ekmotp_channel **out, ekmotp_error *err)
{
    return ekmotp_gnutls_channel_new(session, out, err);
}

void ek_tls_describe(void *session, ek_tls_description *description)
{
    char *text = gnutls_session_get_desc(session);
    const char *version = gnutls_protocol_get_name(gnutls_protocol_get_version(session));
    const char *cipher = gnutls_cipher_get_name(gnutls_cipher_get(session));
    const char *group = gnutls_group_get_name(gnutls_group_get(session));

    snprintf(description->version, sizeof(description->version), "%s", version ? version : "unknown");
    snprintf(description->cipher, sizeof(description->cipher), "%s", cipher ? cipher : "unknown");
    snprintf(description->group, sizeof(description->group), "%s", group ? group : "none");
    snprintf(description->text, sizeof(description->text), "%s", text ? text : "unfinished");
    gnutls_free(text);
}

int ek_tls_has_group(const char *name)
{
    for (const gnutls_group_t *group = gnutls_group_list(); *group; group++)
        if (strcasecmp(gnutls_group_get_name(*group), name) == 0)
            return 1;
    return 0;
}

CURLcode ek_tls_set_up(CURL *curl, const char *groups)
{
    char priority[PRIORITY_MAX] = "-GROUP-ALL";
    size_t len = strlen(priority);

    if (!groups)
        return CURLE_OK;
    for (const char *at = groups; *at != '\0' && len < sizeof(priority);) {
        size_t name_len = strcspn(at, ":");

        len += (size_t)snprintf(priority + len, sizeof(priority) - len, ":+GROUP-%.*s", (int)name_len, at);
        at += name_len + (at[name_len] == ':');
    }
    if (len >= sizeof(priority))
        return CURLE_BAD_FUNCTION_ARGUMENT;
    /* Up to 7.88 libcurl takes this and does nothing with it: the binding looks at what came of it. */
    return curl_easy_setopt(curl, CURLOPT_SSL_CIPHER_LIST, priority);
}

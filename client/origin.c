/* SPDX-License-Identifier: Apache-2.0 */
#include "client/origin.h"

#include <ctype.h>
#include <curl/curl.h>
#include <string.h>

/* Copies one part of the URL in lower case; a part that is not there is an error. */
static int copy_part(CURLU *u, CURLUPart part, unsigned flags, char *out, size_t size)
{
    char *text = NULL;
    int rc = -1;

    if (curl_url_get(u, part, &text, flags) == CURLUE_OK && strlen(text) < size) {
        for (size_t i = 0; i <= strlen(text); i++)
            out[i] = (char)tolower((unsigned char)text[i]);
        rc = 0;
    }
    curl_free(text);
    return rc;
}

static int has_part(CURLU *u, CURLUPart part)
{
    char *text = NULL;
    int has = curl_url_get(u, part, &text, 0) == CURLUE_OK;

    curl_free(text);
    return has;
}

/* What a name server and a certificate know: which name letters of other scripts mean is not guessed here. */
static int is_ascii(const char *host)
{
    for (; *host; host++)
        if ((unsigned char)*host > 0x7f)
            return 0;
    return 1;
}

int ek_origin_parse(const char *url, ek_origin *out, ekmotp_error *err)
{
    CURLU *u = curl_url();
    ek_origin origin;
    char scheme[16];
    CURLUcode bad;
    int rc;

    if (!u)
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory for a URL");
    bad = curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME);
    if (bad != CURLUE_OK)
        rc =
            ekmotp_error_set(err, EKMOTP_E_INVAL, "'%.200s' is not a URL (%s); give https://HOST[:PORT]/PATH",
                             url, curl_url_strerror(bad));
    else if (copy_part(u, CURLUPART_SCHEME, 0, scheme, sizeof(scheme)) != 0 || strcmp(scheme, "https") != 0)
        rc = ekmotp_error_set(err, EKMOTP_E_INVAL,
                              "'%.200s': only https URLs can be used, a proof is bound to a TLS connection",
                              url);
    else if (has_part(u, CURLUPART_USER) || has_part(u, CURLUPART_PASSWORD))
        rc = ekmotp_error_set(err, EKMOTP_E_INVAL,
                              "a user or password in the URL cannot be used; --id and --key say who you are");
    else if (copy_part(u, CURLUPART_HOST, 0, origin.host, sizeof(origin.host)) != 0 ||
             copy_part(u, CURLUPART_PORT, CURLU_DEFAULT_PORT, origin.port, sizeof(origin.port)) != 0)
        rc = ekmotp_error_set(err, EKMOTP_E_INVAL, "'%.200s' names no host", url);
    else if (!is_ascii(origin.host))
        rc = ekmotp_error_set(err, EKMOTP_E_INVAL,
                              "'%.200s': give the host in its ASCII form, as https://xn--bcher-kva.example/ "
                              "(idn2 NAME prints it)",
                              url);
    else {
        *out = origin;
        rc = 0;
    }
    curl_url_cleanup(u);
    return rc;
}

int ek_origin_same(const ek_origin *a, const ek_origin *b)
{
    return strcmp(a->host, b->host) == 0 && strcmp(a->port, b->port) == 0;
}

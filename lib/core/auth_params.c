/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/core/auth_params.h"

#include "lib/common/tchar.h"

#include <string.h>
#include <strings.h>

/* qdtext and what may follow a backslash, RFC 9110 section 5.6.4: no controls but HTAB. */
static int is_quotable(char c)
{
    return c == '\t' || ((unsigned char)c >= 0x20 && c != 0x7f);
}

static void skip_space(ek_auth_params *p)
{
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\t'))
        p->at++;
}

static size_t token_length(const ek_auth_params *p)
{
    const char *at = p->at;

    while (at < p->end && ek_is_tchar(*at))
        at++;
    return (size_t)(at - p->at);
}

static int syntax(const ek_auth_params *p, const char *what, ekmotp_error *err)
{
    return ekmotp_error_set(err, EKMOTP_E_SYNTAX, "%s at byte %zu", what, (size_t)(p->at - p->start) + 1);
}

void ek_auth_params_init(ek_auth_params *params, const char *text, size_t len)
{
    params->start = text;
    params->at = text;
    params->end = text + len;
    params->first = 1;
}

int ek_auth_params_scheme(const char *text, size_t len, size_t *scheme_len, ek_auth_params *params,
                          ekmotp_error *err)
{
    ek_auth_params_init(params, text, len);
    *scheme_len = token_length(params);
    if (*scheme_len == 0)
        return syntax(params, "an authentication scheme is missing", err);
    params->at += *scheme_len;
    if (params->at == params->end || *params->at != ' ')
        return syntax(params, "credentials are missing", err);
    while (params->at < params->end && *params->at == ' ')
        params->at++;
    return 0;
}

static int too_long(const ek_auth_params *p, ekmotp_error *err)
{
    return ekmotp_error_set(err, EKMOTP_E_LIMIT, "a value over %d bytes at byte %zu", EK_AUTH_PARAM_MAX,
                            (size_t)(p->at - p->start) + 1);
}

static int read_quoted(ek_auth_params *p, ek_auth_param *param, ekmotp_error *err)
{
    for (p->at++; p->at < p->end && *p->at != '"'; p->at++) {
        if (*p->at == '\\' && ++p->at == p->end)
            break;
        if (!is_quotable(*p->at))
            return syntax(p, "a control character in a quoted string", err);
        if (param->len == sizeof(param->value))
            return too_long(p, err);
        param->value[param->len++] = *p->at;
    }
    if (p->at == p->end)
        return syntax(p, "a quoted string does not end", err);
    p->at++;
    return 0;
}

static int read_value(ek_auth_params *p, ek_auth_param *param, ekmotp_error *err)
{
    size_t len;

    param->len = 0;
    if (p->at < p->end && *p->at == '"')
        return read_quoted(p, param, err);
    len = token_length(p);
    if (len == 0)
        return syntax(p, "a value is missing", err);
    if (len > sizeof(param->value)) {
        p->at += sizeof(param->value);
        return too_long(p, err);
    }
    memcpy(param->value, p->at, len);
    param->len = len;
    p->at += len;
    return 0;
}

int ek_auth_params_next(ek_auth_params *p, ek_auth_param *param, ekmotp_error *err)
{
    int comma = p->first;
    int rc;

    p->first = 0;
    /* Empty list elements are skipped, RFC 9110 section 5.6.1.2. */
    for (skip_space(p); p->at < p->end && *p->at == ','; skip_space(p)) {
        comma = 1;
        p->at++;
    }
    if (p->at == p->end)
        return 0;
    if (!comma)
        return syntax(p, "a comma is missing", err);
    param->name = p->at;
    param->name_len = token_length(p);
    if (param->name_len == 0)
        return syntax(p, "a parameter name is missing", err);
    p->at += param->name_len;
    skip_space(p);
    if (p->at == p->end || *p->at != '=')
        return syntax(p, "'=' is missing", err);
    p->at++;
    skip_space(p);
    rc = read_value(p, param, err);
    return rc != 0 ? rc : 1;
}

int ek_auth_param_is(const ek_auth_param *param, const char *name)
{
    return strlen(name) == param->name_len && strncasecmp(name, param->name, param->name_len) == 0;
}

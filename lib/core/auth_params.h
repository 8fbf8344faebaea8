/* SPDX-License-Identifier: Apache-2.0 */
/* auth_params.h: the auth-params of RFC 9110 section 11.2, of credentials and of Authentication-Info. */
#ifndef EK_AUTH_PARAMS_H
#define EK_AUTH_PARAMS_H

#include <ekmotp/error.h>
#include <stddef.h>

#define EK_AUTH_PARAM_MAX 400 /* bytes of the longest value that is read */

typedef struct ek_auth_params {
    const char *start;
    const char *at;
    const char *end;
    int first;
} ek_auth_params;

typedef struct ek_auth_param {
    const char *name; /* not NUL-terminated; compare in any case */
    size_t name_len;
    size_t len;
    char value[EK_AUTH_PARAM_MAX]; /* without quotes; not NUL-terminated */
} ek_auth_param;

/*
 * Splits "scheme SP 1*SP params" (RFC 9110 section 11.4): *scheme_len gets the length of the scheme, which
 * starts at text, and params stands at what follows. EKMOTP_E_SYNTAX where text is no credentials.
 */
int ek_auth_params_scheme(const char *text, size_t len, size_t *scheme_len, ek_auth_params *params,
                          ekmotp_error *err) __attribute__((warn_unused_result));
/* Starts at a bare list of params (Authentication-Info). */
void ek_auth_params_init(ek_auth_params *params, const char *text, size_t len);
/* The next param: 1, or 0 at the end, or EKMOTP_E_SYNTAX or _LIMIT with the byte in the message. */
int ek_auth_params_next(ek_auth_params *params, ek_auth_param *param, ekmotp_error *err)
    __attribute__((warn_unused_result));
/* 1 if the param has this (lower-case) name. */
int ek_auth_param_is(const ek_auth_param *param, const char *name);

#endif

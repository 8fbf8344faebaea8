/* SPDX-License-Identifier: Apache-2.0 */
#include "client/command.h"

#include <stdio.h>

int ek_exit_of(int code)
{
    switch (code) {
    case EKMOTP_OK:
        return EK_EXIT_OK;
    case EKMOTP_E_INVAL:
    case EKMOTP_E_SYNTAX:
    case EKMOTP_E_LIMIT:
    case EKMOTP_E_PROFILE:
    case EKMOTP_E_URI:
        return EK_EXIT_USAGE;
    case EKMOTP_E_IO:
    case EKMOTP_E_KEY_LENGTH:
        return EK_EXIT_TOKEN;
    case EKMOTP_E_COUNTER:
        return EK_EXIT_TLS;
    case EKMOTP_E_SERVER_PROOF:
        return EK_EXIT_SERVER_PROOF;
    default:
        break;
    }
    if (code <= EKMOTP_E_CHANNEL_VERSION && code >= EKMOTP_E_CHANNEL_EXPORT)
        return EK_EXIT_TLS;
    if (code <= EKMOTP_E_MODULE && code >= EKMOTP_E_AGENT_POLICY)
        return EK_EXIT_TOKEN;
    return EK_EXIT_INTERNAL;
}

int ek_complain(const char *command, const ekmotp_error *err)
{
    fprintf(stderr, "%s: %s\n", command, err->message[0] ? err->message : ekmotp_strerror(err->code));
    return ek_exit_of(err->code);
}

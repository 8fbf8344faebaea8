/* SPDX-License-Identifier: Apache-2.0 */
/* redact.h: what is shown of header fields that carry proofs: their names (rule 10). */
#ifndef EK_CLIENT_REDACT_H
#define EK_CLIENT_REDACT_H

#include <stddef.h>

#define EK_REDACTED " [hidden]"

/*
 * How much of a line may be shown: all of it, or up to and with the colon of a field that carries a proof
 * or a password, wherever in the line it stands (libcurl's own trace puts fields in brackets).
 */
size_t ek_redact_length(const char *line, size_t len);

#endif

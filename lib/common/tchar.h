/* SPDX-License-Identifier: Apache-2.0 */
/* tchar.h: the bytes of an HTTP token, RFC 9110 section 5.6.2. */
#ifndef EK_TCHAR_H
#define EK_TCHAR_H

int ek_is_tchar(char c);

#endif

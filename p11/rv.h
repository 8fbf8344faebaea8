/* SPDX-License-Identifier: Apache-2.0 */
/* rv.h: CK_RV values, their names, and the one place where they become codes of ekmotp. */
#ifndef EK_P11_RV_H
#define EK_P11_RV_H

#include <p11-kit/pkcs11.h>
#include <stddef.h>

#define EK_RV_NAME_SIZE 48

/*
 * The name of a CK_RV as PKCS#11 spells it ("CKR_PIN_INCORRECT"). One that has no name is written to buf
 * as a number; buf holds at least EK_RV_NAME_SIZE bytes.
 */
const char *ek_rv_name(CK_RV rv, char *buf, size_t size);

/*
 * The EKMOTP_E_* that a CK_RV means when a login, a search or a trial MAC returned it. Everything that has
 * no meaning of its own is EKMOTP_E_TOKEN_AWAY: tokens report a loss with whatever comes to hand.
 */
int ek_rv_code(CK_RV rv);

#endif

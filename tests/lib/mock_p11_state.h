/* SPDX-License-Identifier: Apache-2.0 */
/* mock_p11_state.h: what the two halves of the mock module share. */
#ifndef MOCK_P11_STATE_H
#define MOCK_P11_STATE_H

#include "tests/lib/mock_p11.h"

#include <pthread.h>

#define MOCK_TOKENS 4

typedef struct session {
    int open;
    CK_SLOT_ID slot;
    CK_FLAGS flags;
    int finding;
    CK_ULONG found_from, found_until;
    atomic_int busy;
    CK_MECHANISM_TYPE mechanism;
    int signing;
} session;

extern mock *mock_state;
extern pthread_mutex_t mock_lock;
extern int mock_logged_in[MOCK_TOKENS];
extern int mock_initialized;

/* Counts the call, and returns what it must fail with. */
CK_RV mock_enter(enum mock_call call);
/* 1 if the tokens have lost what they knew. */
int mock_is_lost(void);
session *mock_session(CK_SESSION_HANDLE handle);

/* The second half, for the table of functions. */
CK_RV mock_FindObjectsInit(CK_SESSION_HANDLE handle, CK_ATTRIBUTE *template, CK_ULONG count);
CK_RV mock_FindObjects(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE *out, CK_ULONG max, CK_ULONG *count);
CK_RV mock_FindObjectsFinal(CK_SESSION_HANDLE handle);
CK_RV mock_GetAttributeValue(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *template,
                             CK_ULONG count);
CK_RV mock_SignInit(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key);
CK_RV mock_Sign(CK_SESSION_HANDLE handle, CK_BYTE *data, CK_ULONG len, CK_BYTE *out, CK_ULONG *out_len);

#endif

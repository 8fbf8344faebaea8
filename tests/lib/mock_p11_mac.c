/* SPDX-License-Identifier: Apache-2.0 */
/* mock_p11_mac.c: the mock module's keys and MACs. */
#include "tests/lib/mock_p11_state.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>
#include <unistd.h>

#define FIRST_KEY 10

/* ---- objects: the handle of key n of every token is FIRST_KEY + n ---- */

CK_RV mock_FindObjectsInit(CK_SESSION_HANDLE handle, CK_ATTRIBUTE *template, CK_ULONG count)
{
    CK_RV rv = mock_enter(MOCK_FIND_INIT);
    session *s = mock_session(handle);

    if (rv != CKR_OK)
        return rv;
    if (!s)
        return CKR_SESSION_HANDLE_INVALID;
    if (s->finding)
        return CKR_OPERATION_ACTIVE;
    s->finding = 1;
    s->found_from = 0;
    s->found_until = mock_logged_in[s->slot] ? (CK_ULONG)atomic_load(&mock_state->keys) : 0;
    for (CK_ULONG i = 0; i < count; i++) {
        const CK_ATTRIBUTE *a = &template[i];

        if (a->type == CKA_LABEL && (a->ulValueLen != 1 || memcmp(a->pValue, "k", 1) != 0))
            s->found_until = 0;
        if (a->type == CKA_ID && a->ulValueLen == 1) {
            CK_ULONG n = *(CK_BYTE *)a->pValue;

            s->found_from = n - 1;
            s->found_until = n <= s->found_until ? n : n - 1;
        }
    }
    return CKR_OK;
}

CK_RV mock_FindObjects(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE *out, CK_ULONG max, CK_ULONG *count)
{
    CK_RV rv = mock_enter(MOCK_FIND);
    session *s = mock_session(handle);

    if (rv != CKR_OK)
        return rv;
    if (!s || !s->finding)
        return CKR_OPERATION_NOT_INITIALIZED;
    for (*count = 0; *count < max && s->found_from < s->found_until; (*count)++)
        out[*count] = FIRST_KEY + s->found_from++;
    return CKR_OK;
}

CK_RV mock_FindObjectsFinal(CK_SESSION_HANDLE handle)
{
    session *s = mock_session(handle);

    if (!s)
        return CKR_SESSION_HANDLE_INVALID;
    s->finding = 0;
    return CKR_OK;
}

CK_RV mock_GetAttributeValue(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *template,
                             CK_ULONG count)
{
    (void)handle;
    (void)object;
    for (CK_ULONG i = 0; i < count; i++)
        template[i].ulValueLen = CK_UNAVAILABLE_INFORMATION;
    return CKR_ATTRIBUTE_TYPE_INVALID;
}

/* ---- MACs ---- */

static const EVP_MD *digest_of(CK_MECHANISM_TYPE type)
{
    switch (type) {
    case CKM_SHA256_HMAC:
        return EVP_sha256();
    case CKM_SHA384_HMAC:
        return EVP_sha384();
    case CKM_SHA512_HMAC:
        return EVP_sha512();
    default:
        return NULL;
    }
}

/* What both halves of a MAC begin with: the session is this caller's alone. */
static CK_RV begin(enum mock_call call, CK_SESSION_HANDLE handle, session **out)
{
    CK_RV rv = mock_enter(call);
    session *s;

    if (rv != CKR_OK)
        return rv;
    if (!mock_initialized)
        return CKR_CRYPTOKI_NOT_INITIALIZED;
    pthread_mutex_lock(&mock_lock);
    s = mock_session(handle);
    if (s && !mock_logged_in[s->slot])
        rv = CKR_USER_NOT_LOGGED_IN;
    pthread_mutex_unlock(&mock_lock);
    if (!s)
        return CKR_SESSION_HANDLE_INVALID;
    if (atomic_fetch_add(&s->busy, 1) > 0)
        atomic_fetch_add(&mock_state->collisions, 1);
    if (call == MOCK_SIGN_INIT && mock_is_lost() && !atomic_load(&mock_state->is_tpm))
        rv = atomic_load(&mock_state->lost_rv);
    *out = s;
    if (rv != CKR_OK)
        atomic_fetch_sub(&s->busy, 1);
    return rv;
}

CK_RV mock_SignInit(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    session *s = NULL;
    CK_RV rv = begin(MOCK_SIGN_INIT, handle, &s);

    if (rv != CKR_OK)
        return rv;
    if (s->signing)
        rv = CKR_OPERATION_ACTIVE;
    else if (key < FIRST_KEY || key >= FIRST_KEY + (CK_ULONG)atomic_load(&mock_state->keys))
        rv = CKR_KEY_HANDLE_INVALID;
    else if (!digest_of(mechanism->mechanism))
        rv = CKR_MECHANISM_INVALID;
    if (rv == CKR_OK) {
        s->signing = 1;
        s->mechanism = mechanism->mechanism;
    }
    atomic_fetch_sub(&s->busy, 1);
    return rv;
}

/* The time that a C_Sign takes, and how many take it at once. */
static void take_time(void)
{
    unsigned now = atomic_fetch_add(&mock_state->working, 1) + 1;
    unsigned most = atomic_load(&mock_state->most_working);

    while (now > most && !atomic_compare_exchange_weak(&mock_state->most_working, &most, now))
        ;
    usleep((unsigned)atomic_load(&mock_state->sign_us));
    atomic_fetch_sub(&mock_state->working, 1);
}

CK_RV mock_Sign(CK_SESSION_HANDLE handle, CK_BYTE *data, CK_ULONG len, CK_BYTE *out, CK_ULONG *out_len)
{
    unsigned char key[MOCK_KEY_SIZE];
    unsigned int mac_len = 0;
    session *s = NULL;
    CK_RV rv = begin(MOCK_SIGN, handle, &s);

    if (rv != CKR_OK) {
        if (s)
            s->signing = 0;
        return rv;
    }
    if (!s->signing) {
        atomic_fetch_sub(&s->busy, 1);
        return CKR_OPERATION_NOT_INITIALIZED;
    }
    if (atomic_load(&mock_state->sign_us) > 0)
        take_time();
    if (mock_is_lost()) {
        atomic_fetch_add(&mock_state->signs_while_lost, 1);
        s->signing = 0;
        atomic_fetch_sub(&s->busy, 1);
        return atomic_load(&mock_state->lost_rv);
    }
    memcpy(key, MOCK_KEY, sizeof(key));
    key[0] = (unsigned char)(key[0] + atomic_load(&mock_state->key_seed));
    HMAC(digest_of(s->mechanism), key, sizeof(key), data, len, out, &mac_len);
    *out_len = mac_len - (CK_ULONG)atomic_load(&mock_state->mac_short);
    s->signing = 0;
    atomic_fetch_sub(&s->busy, 1);
    return CKR_OK;
}

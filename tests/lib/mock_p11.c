/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mock_p11.c: a PKCS#11 module that makes real HMACs and fails on command (see mock_p11.h): the module, its
 * tokens and sessions.
 */
#include "tests/lib/mock_p11_state.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SESSIONS 64
#define FIRST_SESSION 100

mock *mock_state;
pthread_mutex_t mock_lock = PTHREAD_MUTEX_INITIALIZER;
static session sessions[SESSIONS];
int mock_logged_in[MOCK_TOKENS];
int mock_initialized;
static unsigned known; /* the value of mock_state->lost at C_Initialize */

/* ---- faults ---- */

static mock *attach(void)
{
    const char *path = getenv("EKMOTP_MOCK");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *map = fd >= 0 ? mmap(NULL, sizeof(mock), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;

    if (fd >= 0)
        close(fd);
    return map == MAP_FAILED ? NULL : map;
}

/* Takes one from a counter that is above 0. */
static int take_one(atomic_int *counter)
{
    int n = atomic_load(counter);

    while (n > 0)
        if (atomic_compare_exchange_weak(counter, &n, n - 1))
            return 1;
    return 0;
}

/* Counts the call, and returns what it must fail with. */
CK_RV mock_enter(enum mock_call call)
{
    mock_fault *fault = &mock_state->fault[call];
    CK_RV rv = atomic_load(&fault->rv);

    atomic_fetch_add(&mock_state->calls[call], 1);
    if (rv == CKR_OK || take_one(&fault->skip) ||
        (atomic_load(&fault->times) >= 0 && !take_one(&fault->times)))
        return CKR_OK;
    if (rv == MOCK_CRASH)
        raise(SIGSEGV);
    if (rv == MOCK_HANG) {
        while (!atomic_load(&mock_state->release))
            usleep(1000);
        return CKR_OK;
    }
    return rv;
}

int mock_is_lost(void)
{
    return atomic_load(&mock_state->lost) != known;
}

/* ---- module, slots, tokens ---- */

static void pad(CK_UTF8CHAR *out, size_t size, const char *text)
{
    memset(out, ' ', size);
    memcpy(out, text, strlen(text));
}

static CK_RV mock_Initialize(CK_VOID_PTR args)
{
    CK_C_INITIALIZE_ARGS *a = args;
    CK_RV rv;

    if (!mock_state && !(mock_state = attach()))
        return CKR_GENERAL_ERROR;
    if (!a || !(a->flags & CKF_OS_LOCKING_OK))
        atomic_fetch_add(&mock_state->no_locking, 1);
    rv = mock_enter(MOCK_INITIALIZE);
    if (rv != CKR_OK)
        return rv;
    if (mock_initialized)
        return CKR_CRYPTOKI_ALREADY_INITIALIZED;
    memset(sessions, 0, sizeof(sessions));
    memset(mock_logged_in, 0, sizeof(mock_logged_in));
    atomic_store(&mock_state->open_sessions, 0);
    known = atomic_load(&mock_state->lost);
    mock_initialized = 1;
    return CKR_OK;
}

static CK_RV mock_Finalize(CK_VOID_PTR reserved)
{
    CK_RV rv;

    (void)reserved;
    if (!mock_initialized)
        return CKR_CRYPTOKI_NOT_INITIALIZED;
    for (int i = 0; i < SESSIONS; i++)
        if (atomic_load(&sessions[i].busy) > 0)
            atomic_fetch_add(&mock_state->finalized_inside, 1);
    rv = mock_enter(MOCK_FINALIZE);
    mock_initialized = 0;
    return rv;
}

static CK_RV mock_GetInfo(CK_INFO *info)
{
    memset(info, 0, sizeof(*info));
    info->cryptokiVersion.major = 2;
    info->cryptokiVersion.minor = 40;
    pad(info->manufacturerID, sizeof(info->manufacturerID), "ekmotp");
    pad(info->libraryDescription, sizeof(info->libraryDescription),
        atomic_load(&mock_state->is_tpm) ? "TPM2.0 mock" : "mock");
    return CKR_OK;
}

static CK_RV mock_GetSlotList(CK_BBOOL present, CK_SLOT_ID *list, CK_ULONG *count)
{
    CK_ULONG tokens = (CK_ULONG)atomic_load(&mock_state->tokens);
    CK_RV rv = mock_enter(MOCK_GET_SLOT_LIST);

    (void)present;
    if (rv != CKR_OK)
        return rv;
    for (CK_ULONG i = 0; list && i < tokens && i < *count; i++)
        list[i] = i;
    *count = tokens;
    return CKR_OK;
}

static CK_RV mock_GetSlotInfo(CK_SLOT_ID slot, CK_SLOT_INFO *info)
{
    (void)slot;
    memset(info, 0, sizeof(*info));
    pad(info->slotDescription, sizeof(info->slotDescription), "mock slot");
    pad(info->manufacturerID, sizeof(info->manufacturerID), "ekmotp");
    info->flags = CKF_TOKEN_PRESENT;
    return CKR_OK;
}

static CK_RV mock_GetTokenInfo(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
    char serial[16];
    CK_RV rv = mock_enter(MOCK_GET_TOKEN_INFO);

    if (rv != CKR_OK)
        return rv;
    memset(info, 0, sizeof(*info));
    pad(info->label, sizeof(info->label), "mock");
    pad(info->manufacturerID, sizeof(info->manufacturerID), "ekmotp");
    pad(info->model, sizeof(info->model), "mock");
    snprintf(serial, sizeof(serial), "%d", (int)slot + 1 + atomic_load(&mock_state->serial_base));
    pad(info->serialNumber, sizeof(info->serialNumber), serial);
    info->flags = CKF_TOKEN_INITIALIZED | CKF_USER_PIN_INITIALIZED | atomic_load(&mock_state->token_flags);
    if (atomic_load(&mock_state->login_required))
        info->flags |= CKF_LOGIN_REQUIRED;
    info->ulMaxSessionCount = atomic_load(&mock_state->sessions_said);
    return CKR_OK;
}

static CK_RV mock_GetMechanismInfo(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info)
{
    (void)slot;
    if (type != CKM_SHA256_HMAC && type != CKM_SHA384_HMAC && type != CKM_SHA512_HMAC)
        return CKR_MECHANISM_INVALID;
    *info = (CK_MECHANISM_INFO){.ulMinKeySize = 32, .ulMaxKeySize = 512, .flags = CKF_SIGN};
    return CKR_OK;
}

/* ---- sessions ---- */

session *mock_session(CK_SESSION_HANDLE handle)
{
    if (handle < FIRST_SESSION || handle >= FIRST_SESSION + SESSIONS ||
        !sessions[handle - FIRST_SESSION].open)
        return NULL;
    return &sessions[handle - FIRST_SESSION];
}

static CK_RV mock_OpenSession(CK_SLOT_ID slot, CK_FLAGS flags, CK_VOID_PTR application, CK_NOTIFY notify,
                              CK_SESSION_HANDLE *out)
{
    CK_RV rv = mock_enter(MOCK_OPEN_SESSION);
    int limit = atomic_load(&mock_state->session_limit);

    (void)application;
    (void)notify;
    if (rv != CKR_OK)
        return rv;
    if (!mock_initialized)
        return CKR_CRYPTOKI_NOT_INITIALIZED;
    pthread_mutex_lock(&mock_lock);
    rv = CKR_SESSION_COUNT;
    for (int i = 0; i < SESSIONS && (limit == 0 || (int)atomic_load(&mock_state->open_sessions) < limit);
         i++) {
        if (sessions[i].open)
            continue;
        memset(&sessions[i], 0, sizeof(sessions[i]));
        sessions[i].open = 1;
        sessions[i].slot = slot;
        sessions[i].flags = flags;
        *out = FIRST_SESSION + (CK_ULONG)i;
        atomic_fetch_add(&mock_state->open_sessions, 1);
        rv = CKR_OK;
        break;
    }
    pthread_mutex_unlock(&mock_lock);
    return rv;
}

static CK_RV mock_CloseSession(CK_SESSION_HANDLE handle)
{
    CK_RV rv = mock_enter(MOCK_CLOSE_SESSION);
    session *s;
    int others = 0;

    if (rv != CKR_OK)
        return rv;
    pthread_mutex_lock(&mock_lock);
    s = mock_session(handle);
    if (s) {
        s->open = 0;
        atomic_fetch_sub(&mock_state->open_sessions, 1);
        for (int i = 0; i < SESSIONS; i++)
            others += sessions[i].open && sessions[i].slot == s->slot;
        if (others == 0)
            mock_logged_in[s->slot] = 0;
    }
    pthread_mutex_unlock(&mock_lock);
    return s ? CKR_OK : CKR_SESSION_HANDLE_INVALID;
}

static CK_RV mock_GetSessionInfo(CK_SESSION_HANDLE handle, CK_SESSION_INFO *info)
{
    CK_RV rv = mock_enter(MOCK_GET_SESSION_INFO);
    session *s;

    if (rv != CKR_OK)
        return rv;
    pthread_mutex_lock(&mock_lock);
    s = mock_session(handle);
    if (s) {
        int rw = (s->flags & CKF_RW_SESSION) != 0;

        *info = (CK_SESSION_INFO){.slotID = s->slot, .flags = s->flags};
        info->state = mock_logged_in[s->slot] ? (rw ? CKS_RW_USER_FUNCTIONS : CKS_RO_USER_FUNCTIONS)
                                              : (rw ? CKS_RW_PUBLIC_SESSION : CKS_RO_PUBLIC_SESSION);
    }
    pthread_mutex_unlock(&mock_lock);
    return s ? CKR_OK : CKR_SESSION_HANDLE_INVALID;
}

static CK_RV log_in(session *s, const CK_UTF8CHAR *pin, CK_ULONG len)
{
    if (mock_logged_in[s->slot])
        return CKR_USER_ALREADY_LOGGED_IN;
    if (atomic_load(&mock_state->tries) == 0)
        return CKR_PIN_LOCKED;
    if (len != strlen(mock_state->pin) || memcmp(pin, mock_state->pin, len) != 0) {
        if (atomic_load(&mock_state->tries) > 0)
            atomic_fetch_sub(&mock_state->tries, 1);
        return CKR_PIN_INCORRECT;
    }
    mock_logged_in[s->slot] = 1;
    return CKR_OK;
}

static CK_RV mock_Login(CK_SESSION_HANDLE handle, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG len)
{
    CK_RV rv = mock_enter(MOCK_LOGIN);
    session *s;

    (void)user;
    if (rv != CKR_OK)
        return rv;
    if (!pin) {
        atomic_fetch_add(&mock_state->null_pins, 1);
        return CKR_ARGUMENTS_BAD;
    }
    pthread_mutex_lock(&mock_lock);
    s = mock_session(handle);
    rv = s ? log_in(s, pin, len) : CKR_SESSION_HANDLE_INVALID;
    pthread_mutex_unlock(&mock_lock);
    return rv;
}

static CK_RV mock_Logout(CK_SESSION_HANDLE handle)
{
    session *s;

    pthread_mutex_lock(&mock_lock);
    s = mock_session(handle);
    if (s)
        mock_logged_in[s->slot] = 0;
    pthread_mutex_unlock(&mock_lock);
    return s ? CKR_OK : CKR_SESSION_HANDLE_INVALID;
}

/* ---- the table ---- */

static CK_RV unsupported(void)
{
    return CKR_FUNCTION_NOT_SUPPORTED;
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list);

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list)
{
    static CK_FUNCTION_LIST functions;
    void (**slot)(void) = (void (**)(void))(void *)&functions.C_Initialize;
    void (**end)(void) = (void (**)(void))(void *)(&functions + 1);

    for (; slot < end; slot++)
        *slot = (void (*)(void))unsupported;
    functions.version.major = 2;
    functions.version.minor = 40;
    functions.C_Initialize = mock_Initialize;
    functions.C_Finalize = mock_Finalize;
    functions.C_GetInfo = mock_GetInfo;
    functions.C_GetFunctionList = C_GetFunctionList;
    functions.C_GetSlotList = mock_GetSlotList;
    functions.C_GetSlotInfo = mock_GetSlotInfo;
    functions.C_GetTokenInfo = mock_GetTokenInfo;
    functions.C_GetMechanismInfo = mock_GetMechanismInfo;
    functions.C_OpenSession = mock_OpenSession;
    functions.C_CloseSession = mock_CloseSession;
    functions.C_GetSessionInfo = mock_GetSessionInfo;
    functions.C_Login = mock_Login;
    functions.C_Logout = mock_Logout;
    functions.C_FindObjectsInit = mock_FindObjectsInit;
    functions.C_FindObjects = mock_FindObjects;
    functions.C_FindObjectsFinal = mock_FindObjectsFinal;
    functions.C_GetAttributeValue = mock_GetAttributeValue;
    functions.C_SignInit = mock_SignInit;
    functions.C_Sign = mock_Sign;
    *list = &functions;
    return CKR_OK;
}

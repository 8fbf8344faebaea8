/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mock_p11.h: what a test and the mock PKCS#11 module share: a struct in a file that both map. The test
 * writes what the tokens are and which calls fail, the module counts what is called.
 *
 * Tokens are labelled "mock" (serial numbers "1", "2" ...), keys "k" (ids 01, 02 ...), all of them private.
 * The bytes of every key are MOCK_KEY with key_seed added to the first one. The module finds the file by the
 * variable EKMOTP_MOCK.
 */
#ifndef MOCK_P11_H
#define MOCK_P11_H

#include <p11-kit/pkcs11.h>
#include <stdatomic.h>
#include <stdint.h>

#define MOCK_KEY "0123456789abcdef0123456789abcdef"
#define MOCK_KEY_SIZE 32
#define MOCK_PIN_MAX 32

/* The calls that can fail on command and are counted. */
enum mock_call {
    MOCK_INITIALIZE,
    MOCK_FINALIZE,
    MOCK_GET_SLOT_LIST,
    MOCK_GET_TOKEN_INFO,
    MOCK_OPEN_SESSION,
    MOCK_CLOSE_SESSION,
    MOCK_GET_SESSION_INFO,
    MOCK_LOGIN,
    MOCK_FIND_INIT,
    MOCK_FIND,
    MOCK_SIGN_INIT,
    MOCK_SIGN,
    MOCK_CREATE_OBJECT,
    MOCK_DESTROY_OBJECT,
    MOCK_CALLS
};

/* In place of a CK_RV: the call does not return until mock.release is set, or the process is killed. */
#define MOCK_HANG (CKR_VENDOR_DEFINED | 0xff01UL)
#define MOCK_CRASH (CKR_VENDOR_DEFINED | 0xff02UL)

typedef struct mock_fault {
    atomic_ulong rv;  /* CKR_OK: none */
    atomic_int skip;  /* so many calls go well first */
    atomic_int times; /* so many fail then; below 0: all */
} mock_fault;

typedef struct mock {
    /* What is there. */
    atomic_int tokens;         /* with the label "mock" */
    atomic_int keys;           /* with the label "k", in each token */
    atomic_int key_seed;       /* another one: another key */
    atomic_int serial_base;    /* added to the serial numbers: another one: other tokens */
    atomic_int login_required; /* the tokens' flag; private keys are hidden without a login all the same */
    atomic_int is_tpm;         /* the library says that it is tpm2-pkcs11 */
    atomic_ulong token_flags;  /* CKF_USER_PIN_* to show */
    atomic_int tries;          /* wrong PINs that are left before PIN_LOCKED; below 0: no end */
    char pin[MOCK_PIN_MAX];
    atomic_int session_limit;   /* 0: none */
    atomic_ulong sessions_said; /* ulMaxSessionCount */
    atomic_int mac_short;       /* MACs lose so many bytes */
    atomic_int sign_us;         /* how long a C_Sign takes, in microseconds */
    /* Each new value: the tokens lose what they knew, and fail with lost_rv until they are initialised again.
     */
    atomic_uint lost;
    atomic_ulong lost_rv;
    mock_fault fault[MOCK_CALLS];
    atomic_int release;
    /* What happened. */
    atomic_uint calls[MOCK_CALLS];
    atomic_uint signs_while_lost; /* what a TPM counts towards its lockout */
    atomic_uint working;          /* C_Sign calls that take their time just now */
    atomic_uint most_working;     /* the most of them at once */
    atomic_uint collisions;       /* two operations on one session at once */
    atomic_uint finalized_inside; /* C_Finalize while an operation was under way */
    atomic_uint no_locking;       /* C_Initialize without CKF_OS_LOCKING_OK */
    atomic_uint null_pins;
    atomic_uint open_sessions;
} mock;

#endif

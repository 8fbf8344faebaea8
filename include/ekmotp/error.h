/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error.h: how every function of ekmotp reports a failure.
 *
 * A function that can fail returns 0, or one of the negative codes below. The code is for programs;
 * the sentence for people (what is wrong, where, and what to do) is written into the ekmotp_error that
 * the caller passes as the last argument. That argument may be NULL.
 */
#ifndef EKMOTP_ERROR_H
#define EKMOTP_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

#define EKMOTP_ERROR_MESSAGE_SIZE 512

enum {
    EKMOTP_OK = 0,
    /* general */
    EKMOTP_E_INVAL = -1,         /* an argument is outside what the function takes */
    EKMOTP_E_NOMEM = -2,         /* memory ran out */
    EKMOTP_E_SYNTAX = -3,        /* input is malformed; the message names the place */
    EKMOTP_E_LIMIT = -4,         /* input is longer or larger than allowed */
    EKMOTP_E_CRYPTO = -5,        /* the cryptographic library failed */
    EKMOTP_E_IO = -6,            /* a file or socket failed */
    EKMOTP_E_KEY_LENGTH = -7,    /* a client key outside 32 to 64 bytes (rule 11) */
    EKMOTP_E_PROFILE = -8,       /* an unknown profile, or one that cannot do this */
    EKMOTP_E_COUNTER = -9,       /* n is at its end: make a new connection */
    EKMOTP_E_SERVER_PROOF = -10, /* the server's proof is missing or wrong */
    /* channel: rules 1 to 4 of the protocol, each with a code of its own */
    EKMOTP_E_CHANNEL_VERSION = -20,       /* neither TLS 1.3 nor TLS 1.2 (rule 1) */
    EKMOTP_E_CHANNEL_EMS = -21,           /* TLS 1.2 without extended master secret, RFC 7627 (rule 1) */
    EKMOTP_E_CHANNEL_RENEGOTIATION = -22, /* renegotiated, or could be (rule 1) */
    EKMOTP_E_CHANNEL_HANDSHAKE = -23,     /* the handshake is not finished on our side (rule 2) */
    EKMOTP_E_CHANNEL_EARLY_DATA = -24,    /* the connection carried early data (rule 3) */
    EKMOTP_E_CHANNEL_CONTEXT = -25,       /* an export without a context was asked for (rule 4) */
    EKMOTP_E_CHANNEL_EXPORT = -26,        /* the TLS library refused to export */
    /* token */
    EKMOTP_E_URI = -40,    /* not a PKCS#11 URI (RFC 7512), or one that names nothing usable */
    EKMOTP_E_MODULE = -41, /* no such PKCS#11 module, or it does not start */
    EKMOTP_E_TOKEN_NOT_FOUND = -42,
    EKMOTP_E_TOKEN_AMBIGUOUS = -43, /* more than one token matches: nothing was sent to any */
    EKMOTP_E_KEY_NOT_FOUND = -44,
    EKMOTP_E_KEY_AMBIGUOUS = -45, /* more than one key matches: none was used */
    EKMOTP_E_PIN_MISSING = -46,   /* the token wants a PIN and none was given */
    EKMOTP_E_PIN_INCORRECT = -47, /* refused; it is not tried again */
    EKMOTP_E_PIN_LOCKED = -48,
    EKMOTP_E_TOKEN_AWAY = -49,      /* the token does not answer now; a later call may work */
    EKMOTP_E_TOKEN_TIMEOUT = -50,   /* no answer within the time that the caller set */
    EKMOTP_E_TOKEN_MECHANISM = -51, /* the token cannot make this HMAC with this key */
    EKMOTP_E_TOKEN_CHANGED = -52,   /* after it came back the key gives another MAC */
    EKMOTP_E_AGENT = -53,           /* the agent is not there or speaks another protocol */
    EKMOTP_E_AGENT_POLICY = -54,    /* the agent's policy forbids this message */
    /* directory */
    EKMOTP_E_DIRECTORY = -60, /* the directory cannot be read or is damaged */
    EKMOTP_E_CLIENT_EXISTS = -61,
    EKMOTP_E_CLIENT_NOT_FOUND = -62,
    EKMOTP_E_KEK = -63 /* the key-encryption key is missing or not the right one */
};

/* What went wrong, for a caller to show. Owned by the caller; holds no secret. */
typedef struct ekmotp_error {
    int code;                                /* 0 or EKMOTP_E_* */
    char message[EKMOTP_ERROR_MESSAGE_SIZE]; /* one line, UTF-8, no line end; "" while code is 0 */
} ekmotp_error;

/* A short English phrase for a code, in static storage; never NULL. */
const char *ekmotp_strerror(int code);

/*
 * Fills err (which may be NULL) with a code and a formatted message and returns the code, so that a
 * failing function can say "return ekmotp_error_set(err, EKMOTP_E_..., ...)". Too long a message is cut.
 */
int ekmotp_error_set(ekmotp_error *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.h: the messages between a program, the agent's front and its workers (docs/agent-protocol.md).
 *
 * A frame is: u32 length of what follows, u8 version, u8 type, u32 request id, body. Integers are
 * big-endian. Parsing is pure: it looks at bytes only and keeps nothing.
 */
#ifndef EK_AGENT_WIRE_H
#define EK_AGENT_WIRE_H

#include "lib/common/cursor.h"

#include <ekmotp/error.h>
#include <stddef.h>
#include <stdint.h>

#define EK_WIRE_VERSION 1
#define EK_WIRE_HEADER 10               /* bytes of length, version, type and request id */
#define EK_WIRE_FRAME_MAX (1024 * 1024) /* bytes of a whole frame that carries JSON */
#define EK_WIRE_SMALL_MAX 8192          /* bytes of a whole frame of any other type */
#define EK_WIRE_URI_MAX 4096            /* bytes */
#define EK_WIRE_ADMIN_MAX 60000         /* bytes of the JSON of an ADMIN request */

typedef enum ek_wire_type {
    /* requests */
    EK_WIRE_HELLO = 1,
    EK_WIRE_OPEN = 2,   /* timeout, hash, data = URI, data2 = PIN (flag EK_WIRE_HAS_PIN) */
    EK_WIRE_MAC = 3,    /* timeout, key, data = message */
    EK_WIRE_CLOSE = 4,  /* key */
    EK_WIRE_STATUS = 5, /* answered with TEXT */
    EK_WIRE_LOCK = 6,
    EK_WIRE_STOP = 7,
    EK_WIRE_ADMIN = 8, /* timeout, data = JSON; answered with TEXT */
    /* replies */
    EK_WIRE_ERROR = 128,      /* code, data = a sentence for people */
    EK_WIRE_WELCOME = 129,    /* flags = EK_WIRE_SHARED | policy, data = version of the agent */
    EK_WIRE_OPENED = 130,     /* key, flags = EK_WIRE_PIN_USED, data = probe MAC */
    EK_WIRE_PIN_NEEDED = 131, /* data = label of the token */
    EK_WIRE_MAC_IS = 132,     /* data = MAC */
    EK_WIRE_DONE = 133,
    EK_WIRE_TEXT = 134 /* data = JSON */
} ek_wire_type;

/* Flags, by the type that carries them. */
#define EK_WIRE_HAS_PIN 1u       /* OPEN: a PIN follows, also when it is empty */
#define EK_WIRE_OTHER_USER 2u    /* OPEN, from the front to a worker: not the agent's own user asks */
#define EK_WIRE_PIN_USED 1u      /* OPENED: the token asked for the PIN */
#define EK_WIRE_SHARED 1u        /* WELCOME */
#define EK_WIRE_ALLOWS_COMPAT 2u /* WELCOME */
#define EK_WIRE_ALLOWS_RAW 4u    /* WELCOME */

typedef struct ek_wire_message {
    uint8_t type; /* ek_wire_type */
    uint8_t flags;
    uint8_t hash; /* ekmotp_hash */
    int32_t code; /* EKMOTP_E_* */
    uint32_t id;  /* chosen by who asks; the reply repeats it */
    uint32_t key;
    uint32_t timeout_ms;
    const uint8_t *data; /* points into the parsed bytes */
    size_t len;
    const uint8_t *data2;
    size_t len2;
} ek_wire_message;

#define EK_WIRE_MORE 1 /* not an error: the frame is not complete yet */

/*
 * Reads the frame at the start of bytes. Returns 0 and fills *out and *used (bytes of the frame), or
 * EK_WIRE_MORE, or EKMOTP_E_AGENT for another version (out->id is set then, so that it can be answered),
 * EKMOTP_E_LIMIT for a frame longer than its type allows, EKMOTP_E_SYNTAX for anything else that is wrong.
 * After an error the stream cannot go on.
 */
int ek_wire_parse(const uint8_t *bytes, size_t len, ek_wire_message *out, size_t *used, ekmotp_error *err)
    __attribute__((warn_unused_result));

/* Appends the frame of a message; a message that is out of bounds or does not fit fails the writer. */
void ek_wire_write(ek_writer *w, const ek_wire_message *message);

/* Bytes that ek_wire_write will take at most. */
size_t ek_wire_size(const ek_wire_message *message);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "p11/agent/wire.h"

#include <ekmotp/key.h>
#include <ekmotp/p11.h>
#include <string.h>

/* Which fields a type has, in the order in which they are sent. */
enum { TIMEOUT = 1, HASH = 2, KEY = 4, CODE = 8, FLAGS = 16, DATA16 = 32, DATA32 = 64, PIN = 128 };

typedef struct shape {
    uint8_t type;
    uint8_t fields;
    uint8_t flags; /* allowed ones */
    uint32_t min;  /* bounds of data, bytes */
    uint32_t max;
} shape;

#define JSON_MAX (EK_WIRE_FRAME_MAX - 64)

static const shape shapes[] = {
    {EK_WIRE_HELLO, 0, 0, 0, 0},
    {EK_WIRE_OPEN, TIMEOUT | HASH | FLAGS | DATA16 | PIN, EK_WIRE_HAS_PIN | EK_WIRE_OTHER_USER, 1,
     EK_WIRE_URI_MAX},
    {EK_WIRE_MAC, TIMEOUT | KEY | DATA16, 0, 1, EKMOTP_MAC_MESSAGE_MAX},
    {EK_WIRE_CLOSE, KEY, 0, 0, 0},
    {EK_WIRE_STATUS, 0, 0, 0, 0},
    {EK_WIRE_LOCK, 0, 0, 0, 0},
    {EK_WIRE_STOP, 0, 0, 0, 0},
    {EK_WIRE_ADMIN, TIMEOUT | DATA32, 0, 1, EK_WIRE_ADMIN_MAX},
    {EK_WIRE_ERROR, CODE | DATA16, 0, 0, EKMOTP_ERROR_MESSAGE_SIZE - 1},
    {EK_WIRE_WELCOME, FLAGS | DATA16, EK_WIRE_SHARED | EK_WIRE_ALLOWS_COMPAT | EK_WIRE_ALLOWS_RAW, 1, 255},
    {EK_WIRE_OPENED, KEY | FLAGS | DATA16, EK_WIRE_PIN_USED, 32, EKMOTP_HASH_MAX_SIZE},
    {EK_WIRE_PIN_NEEDED, DATA16, 0, 0, 255},
    {EK_WIRE_MAC_IS, DATA16, 0, 32, EKMOTP_HASH_MAX_SIZE},
    {EK_WIRE_DONE, 0, 0, 0, 0},
    {EK_WIRE_TEXT, DATA32, 0, 0, JSON_MAX},
};

static const shape *shape_of(uint8_t type)
{
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
        if (shapes[i].type == type)
            return &shapes[i];
    return NULL;
}

/* Whether the values of a message are what its type allows; asked on both ends. */
static int is_sound(const shape *s, const ek_wire_message *m)
{
    if ((m->flags & ~s->flags) != 0 || m->len < s->min || m->len > s->max)
        return 0;
    if ((s->fields & HASH) && ekmotp_hash_size((ekmotp_hash)m->hash) == 0)
        return 0;
    if ((s->fields & CODE) && m->code >= 0)
        return 0;
    if ((s->fields & PIN) && (m->len2 > EKMOTP_PIN_MAX || (m->len2 > 0 && !(m->flags & EK_WIRE_HAS_PIN))))
        return 0;
    /* A NUL inside would cut the text when it becomes a C string. */
    if ((s->type == EK_WIRE_OPEN || s->type == EK_WIRE_ADMIN || s->type == EK_WIRE_TEXT) && m->len > 0 &&
        memchr(m->data, 0, m->len))
        return 0;
    return !((s->fields & PIN) && m->len2 > 0 && memchr(m->data2, 0, m->len2));
}

static int parse_fields(ek_cursor *c, const shape *s, ek_wire_message *m)
{
    int rc = 0;
    uint32_t n32 = 0;
    uint16_t n16 = 0;

    if (s->fields & TIMEOUT)
        rc |= ek_cursor_u32(c, &m->timeout_ms);
    if (s->fields & HASH)
        rc |= ek_cursor_u8(c, &m->hash);
    if (s->fields & KEY)
        rc |= ek_cursor_u32(c, &m->key);
    if (s->fields & CODE) {
        rc |= ek_cursor_u32(c, &n32);
        m->code = (int32_t)n32;
    }
    if (s->fields & FLAGS)
        rc |= ek_cursor_u8(c, &m->flags);
    if (s->fields & DATA16) {
        rc |= ek_cursor_u16(c, &n16);
        m->len = n16;
    }
    if (s->fields & DATA32) {
        rc |= ek_cursor_u32(c, &n32);
        m->len = n32;
    }
    if (rc == 0 && (s->fields & (DATA16 | DATA32)))
        rc = ek_cursor_bytes(c, m->len, &m->data);
    if (rc == 0 && (s->fields & PIN)) {
        rc = ek_cursor_u16(c, &n16);
        m->len2 = n16;
        if (rc == 0)
            rc = ek_cursor_bytes(c, m->len2, &m->data2);
    }
    return rc != 0 ? EKMOTP_E_SYNTAX : ek_cursor_end(c);
}

int ek_wire_parse(const uint8_t *bytes, size_t len, ek_wire_message *out, size_t *used, ekmotp_error *err)
{
    ek_wire_message m = {0};
    ek_cursor c, body;
    const uint8_t *at;
    const shape *s;
    uint32_t frame;
    uint8_t version;

    ek_cursor_init(&c, bytes, len);
    if (ek_cursor_u32(&c, &frame) != 0)
        return EK_WIRE_MORE;
    /* The bound holds before the rest has come: nobody can make the receiver wait for, or keep, 4 GiB. */
    if (frame < EK_WIRE_HEADER - 4 || frame > EK_WIRE_FRAME_MAX - 4)
        return ekmotp_error_set(err, EKMOTP_E_LIMIT, "agent protocol: a frame of %u bytes", (unsigned)frame);
    if (ek_cursor_u8(&c, &version) != 0 || ek_cursor_u8(&c, &m.type) != 0 || ek_cursor_u32(&c, &m.id) != 0)
        return EK_WIRE_MORE;
    if (version != EK_WIRE_VERSION) {
        *out = m;
        return ekmotp_error_set(err, EKMOTP_E_AGENT,
                                "agent protocol: version %u was spoken, this program knows version %u only",
                                version, EK_WIRE_VERSION);
    }
    s = shape_of(m.type);
    if (!s)
        return ekmotp_error_set(err, EKMOTP_E_SYNTAX, "agent protocol: no message has the type %u", m.type);
    if (!(s->fields & DATA32) && frame > EK_WIRE_SMALL_MAX - 4)
        return ekmotp_error_set(err, EKMOTP_E_LIMIT, "agent protocol: a frame of %u bytes for the type %u",
                                (unsigned)frame, m.type);
    if (ek_cursor_bytes(&c, frame - (EK_WIRE_HEADER - 4), &at) != 0)
        return EK_WIRE_MORE;
    ek_cursor_init(&body, at, frame - (EK_WIRE_HEADER - 4));
    if (parse_fields(&body, s, &m) != 0 || !is_sound(s, &m))
        return ekmotp_error_set(err, EKMOTP_E_SYNTAX, "agent protocol: a malformed message of type %u",
                                m.type);
    *out = m;
    *used = 4 + (size_t)frame;
    return 0;
}

size_t ek_wire_size(const ek_wire_message *message)
{
    return EK_WIRE_HEADER + 16 + message->len + message->len2;
}

void ek_wire_write(ek_writer *w, const ek_wire_message *m)
{
    const shape *s = shape_of(m->type);
    size_t start = w->len, end;
    uint32_t frame;

    if (!s || !is_sound(s, m)) {
        w->failed = 1;
        return;
    }
    ek_writer_u32(w, 0);
    ek_writer_u8(w, EK_WIRE_VERSION);
    ek_writer_u8(w, m->type);
    ek_writer_u32(w, m->id);
    if (s->fields & TIMEOUT)
        ek_writer_u32(w, m->timeout_ms);
    if (s->fields & HASH)
        ek_writer_u8(w, m->hash);
    if (s->fields & KEY)
        ek_writer_u32(w, m->key);
    if (s->fields & CODE)
        ek_writer_u32(w, (uint32_t)m->code);
    if (s->fields & FLAGS)
        ek_writer_u8(w, m->flags);
    if (s->fields & DATA16)
        ek_writer_u16(w, (uint16_t)m->len);
    if (s->fields & DATA32)
        ek_writer_u32(w, (uint32_t)m->len);
    if (s->fields & (DATA16 | DATA32))
        ek_writer_bytes(w, m->data, m->len);
    if (s->fields & PIN) {
        ek_writer_u16(w, (uint16_t)m->len2);
        ek_writer_bytes(w, m->data2, m->len2);
    }
    if (w->failed)
        return;
    end = w->len;
    frame = (uint32_t)(end - start - 4);
    w->len = start;
    ek_writer_u32(w, frame);
    w->len = end;
}

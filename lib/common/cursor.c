/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/common/cursor.h"

#include <ekmotp/error.h>
#include <string.h>

void ek_cursor_init(ek_cursor *c, const void *bytes, size_t len)
{
    c->at = bytes;
    c->left = len;
}

static int read_integer(ek_cursor *c, size_t size, uint64_t *out)
{
    uint64_t v = 0;

    if (c->left < size)
        return EKMOTP_E_SYNTAX;
    for (size_t i = 0; i < size; i++)
        v = v << 8 | c->at[i];
    c->at += size;
    c->left -= size;
    *out = v;
    return 0;
}

int ek_cursor_u8(ek_cursor *c, uint8_t *out)
{
    uint64_t v;
    int rc = read_integer(c, 1, &v);

    if (rc == 0)
        *out = (uint8_t)v;
    return rc;
}

int ek_cursor_u16(ek_cursor *c, uint16_t *out)
{
    uint64_t v;
    int rc = read_integer(c, 2, &v);

    if (rc == 0)
        *out = (uint16_t)v;
    return rc;
}

int ek_cursor_u32(ek_cursor *c, uint32_t *out)
{
    uint64_t v;
    int rc = read_integer(c, 4, &v);

    if (rc == 0)
        *out = (uint32_t)v;
    return rc;
}

int ek_cursor_u64(ek_cursor *c, uint64_t *out)
{
    return read_integer(c, 8, out);
}

int ek_cursor_bytes(ek_cursor *c, size_t len, const uint8_t **out)
{
    if (c->left < len)
        return EKMOTP_E_SYNTAX;
    *out = c->at;
    c->at += len;
    c->left -= len;
    return 0;
}

int ek_cursor_end(const ek_cursor *c)
{
    return c->left == 0 ? 0 : EKMOTP_E_SYNTAX;
}

void ek_writer_init(ek_writer *w, void *bytes, size_t size)
{
    w->bytes = bytes;
    w->size = size;
    w->len = 0;
    w->failed = 0;
}

static void write_integer(ek_writer *w, size_t size, uint64_t value)
{
    if (w->failed || w->size - w->len < size) {
        w->failed = 1;
        return;
    }
    for (size_t i = 0; i < size; i++)
        w->bytes[w->len + i] = (uint8_t)(value >> (8 * (size - 1 - i)));
    w->len += size;
}

void ek_writer_u8(ek_writer *w, uint8_t value)
{
    write_integer(w, 1, value);
}

void ek_writer_u16(ek_writer *w, uint16_t value)
{
    write_integer(w, 2, value);
}

void ek_writer_u32(ek_writer *w, uint32_t value)
{
    write_integer(w, 4, value);
}

void ek_writer_u64(ek_writer *w, uint64_t value)
{
    write_integer(w, 8, value);
}

void ek_writer_bytes(ek_writer *w, const void *bytes, size_t len)
{
    if (w->failed || w->size - w->len < len) {
        w->failed = 1;
        return;
    }
    if (len > 0)
        memcpy(w->bytes + w->len, bytes, len);
    w->len += len;
}

int ek_writer_end(const ek_writer *w, size_t *len)
{
    if (w->failed)
        return EKMOTP_E_LIMIT;
    *len = w->len;
    return 0;
}

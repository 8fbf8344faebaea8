/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cursor.h: bounded reading and writing of bytes; integers are big-endian. A read takes all it wants or
 * nothing; a write that does not fit makes the writer failed for good.
 */
#ifndef EK_CURSOR_H
#define EK_CURSOR_H

#include <stddef.h>
#include <stdint.h>

typedef struct ek_cursor {
    const uint8_t *at;
    size_t left;
} ek_cursor;

void ek_cursor_init(ek_cursor *c, const void *bytes, size_t len);
/* Each returns 0, or EKMOTP_E_SYNTAX where too little is left. */
int ek_cursor_u8(ek_cursor *c, uint8_t *out) __attribute__((warn_unused_result));
int ek_cursor_u16(ek_cursor *c, uint16_t *out) __attribute__((warn_unused_result));
int ek_cursor_u32(ek_cursor *c, uint32_t *out) __attribute__((warn_unused_result));
int ek_cursor_u64(ek_cursor *c, uint64_t *out) __attribute__((warn_unused_result));
/* Points *out at the next len bytes and passes them. */
int ek_cursor_bytes(ek_cursor *c, size_t len, const uint8_t **out) __attribute__((warn_unused_result));
/* 0 if everything was read, else EKMOTP_E_SYNTAX: trailing bytes are errors. */
int ek_cursor_end(const ek_cursor *c) __attribute__((warn_unused_result));

typedef struct ek_writer {
    uint8_t *bytes;
    size_t size;
    size_t len;
    int failed;
} ek_writer;

void ek_writer_init(ek_writer *w, void *bytes, size_t size);
void ek_writer_u8(ek_writer *w, uint8_t value);
void ek_writer_u16(ek_writer *w, uint16_t value);
void ek_writer_u32(ek_writer *w, uint32_t value);
void ek_writer_u64(ek_writer *w, uint64_t value);
void ek_writer_bytes(ek_writer *w, const void *bytes, size_t len);
/* 0 and *len, or EKMOTP_E_LIMIT if something did not fit. */
int ek_writer_end(const ek_writer *w, size_t *len) __attribute__((warn_unused_result));

#endif

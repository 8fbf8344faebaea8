/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buffer.h: a queue of bytes between a socket and the wire's parser. What was taken out, moved or given
 * back to the heap is wiped: frames can carry PINs.
 */
#ifndef EK_AGENT_BUFFER_H
#define EK_AGENT_BUFFER_H

#include "p11/agent/wire.h"

typedef struct ek_buffer {
    uint8_t *bytes;
    size_t start; /* of the first byte that was not taken yet */
    size_t end;
    size_t size;
} ek_buffer;

/* A buffer of zeros is an empty one. */
void ek_buffer_free(ek_buffer *b);

/* Room for at least len more bytes, at b->bytes + b->end. EKMOTP_E_NOMEM. */
int ek_buffer_reserve(ek_buffer *b, size_t len) __attribute__((warn_unused_result));
/* Takes len bytes from the start. */
void ek_buffer_consume(ek_buffer *b, size_t len);
size_t ek_buffer_len(const ek_buffer *b);

/* Appends bytes. EKMOTP_E_NOMEM. */
int ek_buffer_append(ek_buffer *b, const uint8_t *bytes, size_t len) __attribute__((warn_unused_result));
/* Appends the frame of a message. EKMOTP_E_NOMEM, or EKMOTP_E_LIMIT for a message that is out of bounds. */
int ek_buffer_put(ek_buffer *b, const ek_wire_message *message) __attribute__((warn_unused_result));

/*
 * Reads what a socket has now; with wait set it waits for something first (as long as the socket's
 * SO_RCVTIMEO lets it). Returns the number of bytes, 0 where there was nothing, EKMOTP_E_IO at the end of the
 * stream or on a failure, EKMOTP_E_NOMEM.
 */
int ek_buffer_read(ek_buffer *b, int fd, int wait) __attribute__((warn_unused_result));
/* Writes as much as a socket takes now. 0 (look at ek_buffer_len), or EKMOTP_E_IO. Never raises SIGPIPE. */
int ek_buffer_write(ek_buffer *b, int fd) __attribute__((warn_unused_result));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "lib/common/secret.h"
#include "p11/agent/buffer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define READ_SIZE 16384
#define KEEP_SIZE 65536 /* an empty buffer larger than this is given back */

void ek_buffer_free(ek_buffer *b)
{
    ek_wipe(b->bytes, b->size);
    free(b->bytes);
    memset(b, 0, sizeof(*b));
}

size_t ek_buffer_len(const ek_buffer *b)
{
    return b->end - b->start;
}

int ek_buffer_reserve(ek_buffer *b, size_t len)
{
    size_t have = ek_buffer_len(b), size = b->size ? b->size : 1024;
    uint8_t *bytes;

    if (b->size - b->end >= len && b->bytes)
        return 0;
    while (size < have + len)
        size *= 2;
    if (size == b->size) {
        memmove(b->bytes, b->bytes + b->start, have);
        ek_wipe(b->bytes + have, b->end - have);
    } else {
        bytes = malloc(size);
        if (!bytes)
            return EKMOTP_E_NOMEM;
        if (have > 0)
            memcpy(bytes, b->bytes + b->start, have);
        ek_wipe(b->bytes, b->size);
        free(b->bytes);
        b->bytes = bytes;
        b->size = size;
    }
    b->start = 0;
    b->end = have;
    return 0;
}

void ek_buffer_consume(ek_buffer *b, size_t len)
{
    ek_wipe(b->bytes + b->start, len);
    b->start += len;
    if (b->start == b->end) {
        b->start = b->end = 0;
        if (b->size > KEEP_SIZE)
            ek_buffer_free(b);
    }
}

int ek_buffer_append(ek_buffer *b, const uint8_t *bytes, size_t len)
{
    int rc = ek_buffer_reserve(b, len);

    if (rc == 0 && len > 0)
        memcpy(b->bytes + b->end, bytes, len);
    if (rc == 0)
        b->end += len;
    return rc;
}

int ek_buffer_put(ek_buffer *b, const ek_wire_message *message)
{
    size_t size = ek_wire_size(message), len;
    ek_writer w;
    int rc;

    if (size > EK_WIRE_FRAME_MAX)
        return EKMOTP_E_LIMIT;
    rc = ek_buffer_reserve(b, size);
    if (rc != 0)
        return rc;
    ek_writer_init(&w, b->bytes + b->end, size);
    ek_wire_write(&w, message);
    rc = ek_writer_end(&w, &len);
    if (rc == 0)
        b->end += len;
    return rc;
}

int ek_buffer_read(ek_buffer *b, int fd, int wait)
{
    ssize_t n;

    if (ek_buffer_reserve(b, READ_SIZE) != 0)
        return EKMOTP_E_NOMEM;
    do {
        n = recv(fd, b->bytes + b->end, b->size - b->end, wait ? 0 : MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    if (n <= 0)
        return EKMOTP_E_IO;
    b->end += (size_t)n;
    return (int)n;
}

int ek_buffer_write(ek_buffer *b, int fd)
{
    while (ek_buffer_len(b) > 0) {
        ssize_t n = send(fd, b->bytes + b->start, ek_buffer_len(b), MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return 0;
        if (n <= 0)
            return EKMOTP_E_IO;
        ek_buffer_consume(b, (size_t)n);
    }
    return 0;
}

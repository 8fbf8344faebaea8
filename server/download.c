/* SPDX-License-Identifier: Apache-2.0 */
#include "server/download.h"

#include <errno.h>
#include <event2/buffer.h>
#include <string.h>
#include <unistd.h>

#define PIECE 32768 /* bytes of a file that a connection holds in memory */

void ek_download_start(ek_connection *c, ek_answer *answer)
{
    c->file = (ek_file){1, answer->file, answer->close, answer->file_size};
    answer->file = -1;
    ek_connection_enter(c, EK_PHASE_FILE, ek_connection_send_time(c));
}

void ek_download_drop(ek_connection *c)
{
    if (c->file.open)
        close(c->file.fd);
    c->file.open = 0;
}

/* Appends up to PIECE bytes of the file. 0, or -1 and *why. */
static int read_piece(ek_file *file, struct evbuffer *out, const char **why)
{
    size_t want = file->left < PIECE ? (size_t)file->left : PIECE;
    struct evbuffer_iovec space;
    ssize_t n;

    if (evbuffer_reserve_space(out, (ev_ssize_t)want, &space, 1) != 1) {
        *why = "out of memory";
        return -1;
    }
    do
        n = read(file->fd, space.iov_base, want);
    while (n < 0 && errno == EINTR);
    if (n <= 0) {
        *why = n < 0 ? strerror(errno) : "it became shorter while it was sent";
        return -1;
    }
    space.iov_len = (size_t)n;
    file->left -= (uint64_t)n;
    return evbuffer_commit_space(out, &space, 1);
}

static void cut(ek_connection *c, const char *why)
{
    ek_log_line line;

    ek_log_begin(&line, EK_LOG_ERROR, "file-cut");
    ek_log_string(&line, "peer", c->peer);
    ek_log_number(&line, "connection", c->serial);
    ek_log_string(&line, "why", why);
    ek_log_end(&line);
    ek_download_drop(c);
    ek_connection_enter(c, EK_PHASE_LINGER, 0); /* the next sweep ends it, without a close_notify */
}

void ek_download_continue(ek_connection *c)
{
    const char *why = NULL;

    if (c->file.left > 0 && read_piece(&c->file, bufferevent_get_output(c->bev), &why) != 0) {
        cut(c, why ? why : "out of memory");
        return;
    }
    if (c->file.left > 0) {
        ek_connection_enter(c, EK_PHASE_FILE, ek_connection_send_time(c)); /* each piece has its time */
        return;
    }
    ek_download_drop(c);
    ek_connection_answered(c, c->file.close);
}

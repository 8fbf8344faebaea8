/* SPDX-License-Identifier: Apache-2.0 */
#include "server/connection.h"

#include "server/exchange.h"
#include "server/tls.h"

#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINGER_SECONDS 1

static int ex_index = -1;
static uint64_t last_serial; /* over all loops; atomic */

int ek_connection_global_init(ekmotp_error *err)
{
    if (ex_index < 0)
        ex_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    return ex_index >= 0 ? 0
                         : ekmotp_error_set(err, EKMOTP_E_CRYPTO, "OpenSSL gives no place for connections");
}

ek_connection *ek_connection_of(const SSL *ssl)
{
    return SSL_get_ex_data(ssl, ex_index);
}

/* Called by OpenSSL; the reason must be read here, before libevent empties OpenSSL's queue. */
static void on_info(const SSL *ssl, int where, int ret)
{
    ek_connection *c = ek_connection_of(ssl);

    if (c && c->phase == EK_PHASE_HANDSHAKE && (where & SSL_CB_EXIT) && ret <= 0)
        c->failure = (unsigned)ERR_peek_error();
}

void ek_connection_watch(SSL_CTX *ctx)
{
    SSL_CTX_set_info_callback(ctx, on_info);
}

void ek_connection_enter(ek_connection *c, ek_phase phase, unsigned seconds)
{
    c->phase = phase;
    c->deadline = ek_loop_now() + (uint64_t)seconds * 1000;
}

/* 1 if a line of this level, about one who was not let in, may be written. */
static int may_log(const ek_connection *c, ek_log_level level, unsigned about)
{
    return ek_log_enabled(level) && ek_quota_take(c->loop->shared->quota, about, ek_loop_now());
}

static void log_limit(ek_connection *c, const char *limit)
{
    ek_log_line line;

    if (!may_log(c, EK_LOG_WARNING, EK_QUOTA_CONNECTION))
        return;
    ek_log_begin(&line, EK_LOG_WARNING, "connection-refused");
    ek_log_string(&line, "peer", c->peer);
    ek_log_string(&line, "limit", limit);
    ek_log_end(&line);
}

/* 1 if the limits let the connection in. */
static int enter_limits(ek_connection *c, const struct sockaddr *peer)
{
    ek_counts *counts = &c->loop->counts;

    ek_limits_key_of(peer, &c->limits_key);
    switch (ek_limits_enter(c->loop->shared->limits, &c->limits_key)) {
    case EK_LIMITS_OK:
        c->counted = 1;
        return 1;
    case EK_LIMITS_ALL:
        ek_count(&counts->over_all);
        log_limit(c, "connections");
        return 0;
    case EK_LIMITS_ADDRESS:
    default:
        ek_count(&counts->over_address);
        log_limit(c, "connections-per-address");
        return 0;
    }
}

static void log_handshake_failure(const ek_connection *c, const char *reason)
{
    ek_log_line line;

    if (!may_log(c, EK_LOG_INFO, EK_QUOTA_HANDSHAKE))
        return;
    ek_log_begin(&line, EK_LOG_INFO, "handshake-failed");
    ek_log_string(&line, "peer", c->peer);
    ek_log_number(&line, "connection", c->serial);
    ek_log_string(&line, "reason", reason);
    ek_log_end(&line);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    ek_connection *c = arg;

    (void)bev;
    if (what & BEV_EVENT_CONNECTED) {
        ek_count(&c->loop->counts.handshakes);
        ek_connection_enter(c, EK_PHASE_IDLE, c->loop->shared->config->header_timeout);
        if (c->loop->draining)
            ek_connection_finish(c);
        return;
    }
    if (c->phase == EK_PHASE_HANDSHAKE) {
        ek_count(&c->loop->counts.handshakes_failed);
        log_handshake_failure(c, ek_tls_failure(c->failure));
    }
    ek_connection_free(c);
}

static void on_read(struct bufferevent *bev, void *arg)
{
    ek_connection *c = arg;

    (void)bev;
    ek_exchange_run(c);
}

/* The output buffer is empty: go on with what waits in the input, or end. */
static void on_write(struct bufferevent *bev, void *arg)
{
    ek_connection *c = arg;

    if (c->phase != EK_PHASE_CLOSING) {
        if (c->phase == EK_PHASE_IDLE && c->requests > 0)
            ek_connection_enter(c, EK_PHASE_IDLE, c->loop->shared->config->idle_timeout);
        ek_exchange_run(c);
        if (c->loop->draining)
            ek_connection_drain(c);
        return;
    }
    /* close_notify, and the end of our half; a close with unread input would reset what was just sent. */
    SSL_shutdown(c->ssl);
    ERR_clear_error();
    shutdown(bufferevent_getfd(bev), SHUT_WR);
    ek_connection_enter(c, EK_PHASE_LINGER, LINGER_SECONDS);
    evbuffer_drain(bufferevent_get_input(bev), evbuffer_get_length(bufferevent_get_input(bev)));
    bufferevent_enable(bev, EV_READ);
}

unsigned ek_connection_send_time(const ek_connection *c)
{
    size_t left = evbuffer_get_length(bufferevent_get_output(c->bev));

    return c->loop->shared->config->send_timeout + (unsigned)(left / EK_SEND_BYTES_PER_SECOND);
}

void ek_connection_finish(ek_connection *c)
{
    size_t left = evbuffer_get_length(bufferevent_get_output(c->bev));

    ek_connection_enter(c, EK_PHASE_CLOSING, ek_connection_send_time(c));
    bufferevent_disable(c->bev, EV_READ);
    if (left == 0)
        bufferevent_trigger(c->bev, EV_WRITE, BEV_OPT_DEFER_CALLBACKS);
}

void ek_connection_answered(ek_connection *c, int close)
{
    if (close)
        ek_connection_finish(c);
    else /* the idle time begins when all is sent */
        ek_connection_enter(c, EK_PHASE_IDLE, ek_connection_send_time(c));
}

void ek_connection_drain(ek_connection *c)
{
    if (c->phase == EK_PHASE_IDLE && evbuffer_get_length(bufferevent_get_output(c->bev)) == 0)
        ek_connection_finish(c);
}

static void link_in(ek_connection *c)
{
    c->next = c->loop->connections;
    if (c->next)
        c->next->previous = c;
    c->loop->connections = c;
    c->serial = __atomic_add_fetch(&last_serial, 1, __ATOMIC_RELAXED);
    ek_count(&c->loop->counts.opened);
}

static void unlink_from(ek_connection *c)
{
    if (c->next)
        c->next->previous = c->previous;
    if (c->previous)
        c->previous->next = c->next;
    else
        c->loop->connections = c->next;
    ek_count(&c->loop->counts.closed);
}

void ek_connection_accept(ek_loop *loop, int fd, const struct sockaddr *peer, int peer_len)
{
    ek_connection *c = calloc(1, sizeof(*c));
    ek_address address = {.len = (socklen_t)peer_len};
    SSL *ssl = NULL;

    if (!c) {
        close(fd);
        return;
    }
    c->loop = loop;
    memcpy(&address.at, peer, (size_t)peer_len < sizeof(address.at) ? (size_t)peer_len : sizeof(address.at));
    ek_address_format(&address, c->peer);
    if (!enter_limits(c, peer))
        goto fail;
    ssl = SSL_new(loop->tls);
    if (!ssl || SSL_set_ex_data(ssl, ex_index, c) != 1 || ekmotp_verifier_state_new(&c->state, NULL) != 0)
        goto fail;
    c->ssl = ssl;
    c->bev =
        bufferevent_openssl_socket_new(loop->base, fd, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
    if (!c->bev) {
        ssl = NULL; /* freed with BEV_OPT_CLOSE_ON_FREE, also on failure */
        goto fail;
    }
    link_in(c);
    ek_connection_enter(c, EK_PHASE_HANDSHAKE, loop->shared->config->handshake_timeout);
    bufferevent_setcb(c->bev, on_read, on_write, on_event, c);
    bufferevent_enable(c->bev, EV_READ | EV_WRITE);
    return;
fail:
    if (c->counted)
        ek_limits_leave(loop->shared->limits, &c->limits_key);
    ekmotp_verifier_state_free(&c->state);
    SSL_free(ssl);
    close(fd);
    free(c);
}

void ek_connection_leave_job(ek_connection *c)
{
    if (!c->job)
        return;
    c->job->connection = NULL; /* a thread still works on the state: the job frees it */
    c->job = NULL;
    c->state = NULL;
}

void ek_connection_free(ek_connection *c)
{
    ek_loop *loop = c->loop;

    unlink_from(c);
    ek_connection_leave_job(c);
    ekmotp_channel_free(&c->channel);
    ekmotp_verifier_state_free(&c->state);
    ek_exchange_drop(c);
    if (c->counted)
        ek_limits_leave(loop->shared->limits, &c->limits_key);
    SSL_set_ex_data(c->ssl, ex_index, NULL);
    bufferevent_free(c->bev);
    free(c);
    ek_loop_forget(loop);
}

/* The deadline that a phase keeps; -1 for those that just end. */
static int deadline_of(const ek_connection *c)
{
    switch (c->phase) {
    case EK_PHASE_HANDSHAKE:
        return EK_DEADLINE_HANDSHAKE;
    case EK_PHASE_IDLE:
        if (evbuffer_get_length(bufferevent_get_output(c->bev)) > 0)
            return EK_DEADLINE_SEND;
        return c->requests > 0 ? EK_DEADLINE_IDLE : EK_DEADLINE_HEADER;
    case EK_PHASE_HEAD:
        return EK_DEADLINE_HEADER;
    case EK_PHASE_VERIFY:
        return EK_DEADLINE_TOKEN;
    case EK_PHASE_BODY:
        return EK_DEADLINE_BODY;
    case EK_PHASE_FILE:
    case EK_PHASE_CLOSING:
        return EK_DEADLINE_SEND;
    case EK_PHASE_LINGER:
    default:
        return -1;
    }
}

static void log_deadline(const ek_connection *c, int missed)
{
    static const char *const names[] = {"handshake", "header", "body", "send", "idle", "token"};
    ek_log_level level = missed == EK_DEADLINE_IDLE ? EK_LOG_DEBUG : EK_LOG_INFO;
    ek_log_line line;

    if (!may_log(c, level, EK_QUOTA_DEADLINE))
        return;
    ek_log_begin(&line, level, "deadline");
    ek_log_string(&line, "peer", c->peer);
    ek_log_number(&line, "connection", c->serial);
    ek_log_string(&line, "limit", names[missed]);
    ek_log_end(&line);
}

void ek_connection_sweep(ek_connection *c, uint64_t now)
{
    int missed;

    if (now < c->deadline)
        return;
    missed = deadline_of(c);
    if (missed >= 0) {
        ek_count(&c->loop->counts.missed[missed]);
        if (c->phase == EK_PHASE_HANDSHAKE)
            ek_count(&c->loop->counts.handshakes_failed);
        log_deadline(c, missed);
    }
    if (missed == EK_DEADLINE_IDLE)
        ek_connection_finish(c); /* with a close_notify */
    else if (missed == EK_DEADLINE_TOKEN)
        ek_exchange_give_up(c);
    else
        ek_connection_free(c);
}

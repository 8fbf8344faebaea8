/* SPDX-License-Identifier: Apache-2.0 */
/* front_client.c: the programs that are connected, and what they may ask. */
#include "config.h"

#include "p11/agent/front.h"
#include "p11/agent/peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void ek_front_client_add(front *f, int fd, uid_t user)
{
    front_client *c = calloc(1, sizeof(*c));

    if (!c) {
        close(fd);
        return;
    }
    c->fd = fd;
    c->user = user;
    c->own_user = user == geteuid();
    c->stalled_at = f->now + EK_FRONT_PATIENCE_MS;
    ek_front_expect(f, c->stalled_at);
    TAILQ_INSERT_TAIL(&f->clients, c, link);
    f->client_count++;
}

static void forget_client(front_requests *list, const front_client *c)
{
    front_request *r;

    TAILQ_FOREACH(r, list, link)
    if (r->client == c)
        r->client = NULL;
}

void ek_front_client_remove(front *f, front_client *c)
{
    front_worker *w;
    front_key *k;

    TAILQ_FOREACH(w, &f->workers, link)
    {
        forget_client(&w->queue, c);
        forget_client(&w->flight, c);
    }
    TAILQ_FOREACH(k, &f->keys, link)
    forget_client(&k->waiting, c);
    for (size_t i = 0; i < EK_FRONT_HANDLES_MAX; i++)
        if (c->handles[i])
            ek_front_key_unref(f, c->handles[i]);
    TAILQ_REMOVE(&f->clients, c, link);
    f->client_count--;
    close(c->fd);
    ek_buffer_free(&c->in);
    ek_buffer_free(&c->out);
    free(c);
}

void ek_front_client_send(front *f, front_client *c, const ek_wire_message *m)
{
    if (c->doomed == 2)
        return;
    if (ek_buffer_put(&c->out, m) != 0) {
        c->doomed = 2; /* an answer that cannot be given must not leave its caller waiting */
        return;
    }
    if (c->stalled_at == 0) {
        c->stalled_at = f->now + EK_FRONT_PATIENCE_MS;
        ek_front_expect(f, c->stalled_at);
    }
}

void ek_front_client_error(front *f, front_client *c, uint32_t id, int code, const char *text)
{
    ek_wire_message m = {
        .type = EK_WIRE_ERROR, .id = id, .code = code, .data = (const uint8_t *)text, .len = strlen(text)};

    ek_front_client_send(f, c, &m);
}

/* A program of a group's member that is one too many; the others, and the owner, are to have their turn. */
static int check_guests(const front *f, uid_t user, ekmotp_error *err)
{
    const front_client *c;
    size_t guests = 0, same = 0;

    if (user == geteuid())
        return 0;
    TAILQ_FOREACH(c, &f->clients, link)
    {
        guests += !c->own_user;
        same += c->user == user;
    }
    if (same >= EK_FRONT_GUEST_SHARE)
        return ekmotp_error_set(err, EKMOTP_E_LIMIT,
                                "agent: %d programs of the user %u are connected, no more are taken",
                                EK_FRONT_GUEST_SHARE, (unsigned)user);
    return guests < EK_FRONT_GUESTS_MAX
               ? 0
               : ekmotp_error_set(err, EKMOTP_E_LIMIT,
                                  "agent: %d programs of other users are connected, no more are taken",
                                  EK_FRONT_GUESTS_MAX);
}

void ek_front_accept(front *f)
{
    ekmotp_error err = {0};
    int fd = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    uid_t user = 0;

    if (fd < 0) {
        /* The connection stays in the queue: to be told of it again at once would be a busy loop. */
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            f->accept_at = f->now + EK_FRONT_ACCEPT_PAUSE_MS;
        return;
    }
    if (ek_peer_check(fd, f->options, &user, &err) != 0 || check_guests(f, user, &err) != 0) {
        /* With the id 0 it concerns the connection, not a request. */
        ek_wire_message m = {.type = EK_WIRE_ERROR,
                             .code = err.code,
                             .data = (const uint8_t *)err.message,
                             .len = strlen(err.message)};
        ek_buffer b = {0};

        if (ek_buffer_put(&b, &m) == 0)
            (void)!ek_buffer_write(&b, fd);
        ek_buffer_free(&b);
        close(fd);
        return;
    }
    ek_front_client_add(f, fd, user);
}

static void welcome(front *f, front_client *c, uint32_t id)
{
    unsigned policy = f->options->shared ? f->options->policy : EK_AGENT_COMPAT | EK_AGENT_RAW;
    ek_wire_message m = {.type = EK_WIRE_WELCOME,
                         .id = id,
                         .data = (const uint8_t *)PACKAGE_VERSION,
                         .len = strlen(PACKAGE_VERSION)};

    m.flags = (uint8_t)((f->options->shared ? EK_WIRE_SHARED : 0) |
                        ((policy & EK_AGENT_COMPAT) ? EK_WIRE_ALLOWS_COMPAT : 0) |
                        ((policy & EK_AGENT_RAW) ? EK_WIRE_ALLOWS_RAW : 0));
    c->greeted = 1;
    ek_front_client_send(f, c, &m);
}

static void done(front *f, front_client *c, uint32_t id)
{
    ek_wire_message m = {.type = EK_WIRE_DONE, .id = id};

    ek_front_client_send(f, c, &m);
}

static void close_handle(front *f, front_client *c, const ek_wire_message *m)
{
    if (m->key < 1 || m->key > EK_FRONT_HANDLES_MAX || !c->handles[m->key - 1]) {
        ek_front_client_error(f, c, m->id, EKMOTP_E_INVAL,
                              "agent: no key has this handle on this connection");
        return;
    }
    ek_front_key_unref(f, c->handles[m->key - 1]);
    c->handles[m->key - 1] = NULL;
    done(f, c, m->id);
}

static void status(front *f, front_client *c, uint32_t id)
{
    char *json = ek_front_status(f);
    ek_wire_message m = {.type = EK_WIRE_TEXT, .id = id, .data = (const uint8_t *)json};

    if (!json) {
        ek_front_client_error(f, c, id, EKMOTP_E_NOMEM, "agent: out of memory");
        return;
    }
    m.len = strlen(json);
    ek_front_client_send(f, c, &m);
    free(json);
}

static void admin(front *f, front_client *c, const ek_wire_message *m)
{
    front_request *r = ek_front_request_new(f, c, m, NULL);
    ekmotp_error err = {0};
    front_worker *w;

    if (!r)
        ek_front_client_error(f, c, m->id, EKMOTP_E_NOMEM, "agent: out of memory");
    else if (ek_front_worker_get(f, "", 1, &w, &err) != 0)
        ek_front_reply_error(f, r, err.code, err.message);
    else
        ek_front_worker_ask(f, w, r);
}

/* What only the agent's own user may ask. */
static void handle_owner(front *f, front_client *c, const ek_wire_message *m)
{
    if (!c->own_user) {
        ek_front_client_error(f, c, m->id, EKMOTP_E_AGENT_POLICY,
                              "agent: only the user that runs it may do this");
    } else if (m->type == EK_WIRE_ADMIN) {
        admin(f, c, m);
    } else if (m->type == EK_WIRE_LOCK) {
        ek_front_key_lock(f);
        done(f, c, m->id);
    } else {
        done(f, c, m->id);
        f->stopping = 1;
    }
}

static void handle(front *f, front_client *c, ek_wire_message *m)
{
    if (m->timeout_ms == 0)
        m->timeout_ms = 10000;
    if (m->timeout_ms > 3600000)
        m->timeout_ms = 3600000;
    if (!c->greeted && m->type != EK_WIRE_HELLO) {
        ek_front_client_error(f, c, m->id, EKMOTP_E_AGENT, "agent: a connection begins with HELLO");
        c->doomed = 1;
        return;
    }
    switch (m->type) {
    case EK_WIRE_HELLO:
        welcome(f, c, m->id);
        break;
    case EK_WIRE_OPEN:
        ek_front_key_open(f, c, m);
        break;
    case EK_WIRE_MAC:
        ek_front_key_mac(f, c, m);
        break;
    case EK_WIRE_CLOSE:
        close_handle(f, c, m);
        break;
    case EK_WIRE_STATUS:
        status(f, c, m->id);
        break;
    case EK_WIRE_LOCK:
    case EK_WIRE_STOP:
    case EK_WIRE_ADMIN:
        handle_owner(f, c, m);
        break;
    default:
        ek_front_client_error(f, c, m->id, EKMOTP_E_AGENT, "agent: this message is not a request");
        c->doomed = 1;
    }
}

void ek_front_client_read(front *f, front_client *c)
{
    int rc = 0;

    while (!c->doomed && c->pending < EK_FRONT_PENDING_MAX && ek_buffer_len(&c->out) < EK_FRONT_OUT_MAX) {
        ek_wire_message m = {0};
        ekmotp_error err = {0};
        size_t used = 0;

        rc = ek_wire_parse(c->in.bytes + c->in.start, ek_buffer_len(&c->in), &m, &used, &err);
        if (rc == EK_WIRE_MORE)
            break;
        if (rc != 0) {
            ek_front_client_error(f, c, m.id, err.code, err.message);
            c->doomed = 1;
            break;
        }
        handle(f, c, &m);
        ek_buffer_consume(&c->in, used);
        c->stalled_at = 0;
    }
    /* It owes us a greeting or the rest of a frame, or it must read: all within bounded time. */
    if (c->stalled_at == 0 &&
        (!c->greeted || ek_buffer_len(&c->out) > 0 || (rc == EK_WIRE_MORE && ek_buffer_len(&c->in) > 0))) {
        c->stalled_at = f->now + EK_FRONT_PATIENCE_MS;
        ek_front_expect(f, c->stalled_at);
    }
}

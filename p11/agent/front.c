/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "p11/agent/deadline.h"
#include "p11/agent/front.h"
#include "p11/agent/harden.h"
#include "p11/agent/peer.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void ek_front_expect(front *f, int64_t deadline)
{
    if (deadline < f->next_scan)
        f->next_scan = deadline;
}

front_request *ek_front_request_new(front *f, front_client *c, const ek_wire_message *m, front_key *key)
{
    front_request *r = calloc(1, sizeof(*r) + m->len);

    if (!r)
        return NULL;
    r->client = c;
    r->key = key;
    r->client_id = m->id;
    r->type = m->type;
    r->timeout_ms = m->timeout_ms;
    r->deadline = f->now + m->timeout_ms;
    r->len = m->len;
    if (m->len > 0)
        memcpy(r->data, m->data, m->len);
    if (c)
        c->pending++;
    if (key)
        key->refs++;
    ek_front_expect(f, r->deadline);
    return r;
}

void ek_front_request_free(front *f, front_request *r)
{
    if (r->client)
        r->client->pending--;
    if (r->key)
        ek_front_key_unref(f, r->key);
    ek_secret_free(&r->pin);
    ek_wipe(r->data, r->len);
    free(r);
}

void ek_front_reply(front *f, front_request *r, ek_wire_message *reply)
{
    reply->id = r->client_id;
    if (r->client)
        ek_front_client_send(f, r->client, reply);
    ek_front_request_free(f, r);
}

void ek_front_reply_error(front *f, front_request *r, int code, const char *text)
{
    ek_wire_message m = {
        .type = EK_WIRE_ERROR, .code = code, .data = (const uint8_t *)text, .len = strlen(text)};

    ek_front_reply(f, r, &m);
}

/* The descriptors of one turn; clients and workers follow in the order of their lists. */
typedef struct turn {
    struct pollfd polled[2 + EK_FRONT_CLIENTS_MAX + EK_FRONT_WORKERS_MAX];
    nfds_t count;
    nfds_t workers_end; /* workers that start during the turn were not polled */
} turn;

static void add_polled(turn *t, int fd, short events)
{
    t->polled[t->count++] = (struct pollfd){.fd = fd, .events = events};
}

static short client_events(const front_client *c)
{
    short events = ek_buffer_len(&c->out) > 0 ? POLLOUT : 0;

    if (!c->doomed && c->pending < EK_FRONT_PENDING_MAX && ek_buffer_len(&c->out) < EK_FRONT_OUT_MAX)
        events |= POLLIN;
    return events;
}

/* Whether connections are taken now; else they wait in the listener's queue. */
static int may_accept(front *f)
{
    if (f->now < f->accept_at) {
        ek_front_expect(f, f->accept_at);
        return 0;
    }
    return f->client_count < EK_FRONT_CLIENTS_MAX;
}

static void prepare(front *f, turn *t)
{
    front_client *c;
    front_worker *w;

    t->count = 0;
    add_polled(t, f->control, POLLIN);
    if (f->listener < 0)
        add_polled(t, f->parent, POLLIN);
    else
        add_polled(t, may_accept(f) ? f->listener : -1, POLLIN);
    TAILQ_FOREACH(w, &f->workers, link)
    add_polled(t, w->fd, (short)(POLLIN | (ek_buffer_len(&w->out) > 0 ? POLLOUT : 0)));
    t->workers_end = t->count;
    TAILQ_FOREACH(c, &f->clients, link)
    add_polled(t, c->fd, client_events(c));
}

static void handle_workers(front *f, const turn *t)
{
    front_worker *w = TAILQ_FIRST(&f->workers), *next;

    for (nfds_t at = 2; at < t->workers_end; at++, w = next) {
        short got = t->polled[at].revents;

        next = TAILQ_NEXT(w, link);
        if ((got & ~POLLOUT) && ek_front_worker_read(f, w) != 0)
            ek_front_worker_end(
                f, w, EKMOTP_E_TOKEN_AWAY,
                "agent: the worker that holds the module ended; the next call starts another");
    }
}

static void handle_clients(front *f, const turn *t)
{
    front_client *c = TAILQ_FIRST(&f->clients);

    for (nfds_t at = t->workers_end; at < t->count; at++, c = TAILQ_NEXT(c, link)) {
        short got = t->polled[at].revents;

        if (got & POLLIN) {
            int n = ek_buffer_read(&c->in, c->fd, 0);

            if (n < 0)
                c->doomed = 2;
        } else if (got & (POLLERR | POLLHUP | POLLNVAL)) {
            c->doomed = 2;
        }
    }
}

/* Works on what has come, and writes all that there is to say at once. */
static void finish(front *f)
{
    front_client *c, *next;
    front_worker *w, *next_worker;

    TAILQ_FOREACH(c, &f->clients, link)
    ek_front_client_read(f, c);
    for (w = TAILQ_FIRST(&f->workers); w; w = next_worker) {
        next_worker = TAILQ_NEXT(w, link);
        if (ek_buffer_write(&w->out, w->fd) != 0)
            ek_front_worker_end(
                f, w, EKMOTP_E_TOKEN_AWAY,
                "agent: the worker that holds the module ended; the next call starts another");
    }
    for (c = TAILQ_FIRST(&f->clients); c; c = next) {
        size_t before = ek_buffer_len(&c->out);

        next = TAILQ_NEXT(c, link);
        if (c->doomed < 2 && ek_buffer_write(&c->out, c->fd) != 0)
            c->doomed = 2;
        if (c->greeted && ek_buffer_len(&c->out) < before)
            c->stalled_at = 0;
        if (c->doomed == 2 || (c->doomed && ek_buffer_len(&c->out) == 0))
            ek_front_client_remove(f, c);
    }
}

static void loop(front *f)
{
    turn t;

    while (!f->stopping && (f->listener >= 0 || f->client_count > 0)) {
        int ready;

        prepare(f, &t);
        f->now = ek_time_ms();
        ready = poll(t.polled, t.count, f->next_scan == INT64_MAX ? -1 : ek_left_ms(f->next_scan, f->now));
        f->now = ek_time_ms();
        if (ready > 0) {
            /* The supervisor is gone, and with it every worker; or the parent, while a child of it lives. */
            if (t.polled[0].revents || (f->listener < 0 && t.polled[1].revents))
                return;
            handle_workers(f, &t);
            handle_clients(f, &t);
            if (t.polled[1].revents)
                ek_front_accept(f);
        }
        if (f->now >= f->next_scan)
            ek_front_scan(f);
        finish(f);
    }
}

int ek_front_run(const ek_agent_options *options, int control, int socket)
{
    front f = {.options = options,
               .control = control,
               .listener = options->shared ? socket : -1,
               .parent = options->shared ? -1 : ek_peer_pidfd(socket),
               .started = ek_time_ms(),
               .next_scan = INT64_MAX};

    TAILQ_INIT(&f.clients);
    TAILQ_INIT(&f.workers);
    TAILQ_INIT(&f.keys);
    ek_vault_init(&f.vault);
    f.now = f.started;
    if (ek_harden_front() != 0)
        return EXIT_FAILURE;
    if (!options->shared)
        ek_front_client_add(&f, socket, geteuid());
    loop(&f);
    while (!TAILQ_EMPTY(&f.workers))
        ek_front_worker_end(&f, TAILQ_FIRST(&f.workers), EKMOTP_E_AGENT, "agent: it was stopped");
    while (!TAILQ_EMPTY(&f.clients)) {
        (void)!ek_buffer_write(&TAILQ_FIRST(&f.clients)->out, TAILQ_FIRST(&f.clients)->fd);
        ek_front_client_remove(&f, TAILQ_FIRST(&f.clients));
    }
    ek_front_key_lock(&f);
    return EXIT_SUCCESS;
}

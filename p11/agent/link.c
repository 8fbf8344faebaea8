/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "lib/common/secret.h"
#include "p11/agent/deadline.h"
#include "p11/agent/link.h"
#include "p11/clock.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define READ_SLICE_MS 500

typedef struct ek_call {
    struct ek_call *next;
    pthread_cond_t wake;
    uint32_t id;
    int done;
    ek_reply *reply;
} ek_call;

ek_link *ek_link_new(int fd, pthread_mutex_t *lock, uint64_t generation)
{
    const struct timeval slice = {.tv_usec = READ_SLICE_MS * 1000};
    ek_link *l = calloc(1, sizeof(*l));

    if (!l || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &slice, sizeof(slice)) != 0) {
        free(l);
        close(fd);
        return NULL;
    }
    l->lock = lock;
    l->generation = generation;
    l->fd = fd;
    l->refs = 1;
    l->calls_end = &l->calls;
    return l;
}

void ek_link_unref(ek_link **link)
{
    ek_link *l = *link;

    *link = NULL;
    if (!l || --l->refs > 0)
        return;
    close(l->fd);
    ek_buffer_free(&l->in);
    ek_buffer_free(&l->out);
    free(l);
}

void ek_link_break(ek_link *l)
{
    if (l->broken)
        return;
    l->broken = 1;
    /* Wakes the thread that reads; the descriptor itself stays until nobody uses it. */
    shutdown(l->fd, SHUT_RDWR);
    for (ek_call *c = l->calls; c; c = c->next)
        pthread_cond_signal(&c->wake);
}

static void call_insert(ek_link *l, ek_call *c)
{
    *l->calls_end = c;
    l->calls_end = &c->next;
}

static void call_remove(ek_link *l, const ek_call *c)
{
    for (ek_call **at = &l->calls; *at; at = &(*at)->next) {
        if (*at != c)
            continue;
        *at = c->next;
        if (l->calls_end == &c->next)
            l->calls_end = at;
        return;
    }
}

static int take_reply(ek_reply *r, const ek_wire_message *m)
{
    r->type = m->type;
    r->flags = m->flags;
    r->code = m->code;
    r->key = m->key;
    r->len = m->len;
    if (m->type == EK_WIRE_TEXT) {
        r->text = malloc(m->len + 1);
        if (!r->text)
            return EKMOTP_E_NOMEM;
        memcpy(r->text, m->data, m->len);
        r->text[m->len] = '\0';
        return 0;
    }
    if (m->len >= sizeof(r->data))
        return EKMOTP_E_LIMIT;
    if (m->len > 0)
        memcpy(r->data, m->data, m->len);
    r->data[m->len] = '\0';
    return 0;
}

/* Gives each reply that has come to the call that waits for it; one that nobody waits for came too late. */
static int dispatch(ek_link *l)
{
    for (;;) {
        ek_wire_message m;
        size_t used = 0;
        int rc = ek_wire_parse(l->in.bytes + l->in.start, ek_buffer_len(&l->in), &m, &used, NULL);

        if (rc == EK_WIRE_MORE)
            return 0;
        if (rc != 0)
            return rc;
        for (ek_call *c = l->calls; c; c = c->next) {
            if (c->id != m.id)
                continue;
            rc = take_reply(c->reply, &m);
            if (rc != 0)
                return rc;
            c->done = 1;
            call_remove(l, c);
            pthread_cond_signal(&c->wake);
            break;
        }
        ek_buffer_consume(&l->in, used);
    }
}

/*
 * Reads for every caller, until deadline at most. The socket itself ends a read after READ_SLICE_MS, which
 * saves a poll for each reply as long as the deadline is further away.
 */
static void read_for_all(ek_link *l, int64_t deadline)
{
    struct pollfd p = {.fd = l->fd, .events = POLLIN};
    int64_t left = deadline - ek_time_ms();
    int n = 0;

    l->reading = 1;
    pthread_mutex_unlock(l->lock);
    if (left > READ_SLICE_MS || poll(&p, 1, ek_left_ms(deadline, ek_time_ms())) > 0)
        n = ek_buffer_read(&l->in, p.fd, left > READ_SLICE_MS);
    pthread_mutex_lock(l->lock);
    l->reading = 0;
    if (n < 0 || (n > 0 && dispatch(l) != 0))
        ek_link_break(l);
}

static void write_for_all(ek_link *l, int64_t deadline)
{
    if (l->writing)
        return;
    l->writing = 1;
    while (!l->broken && ek_buffer_len(&l->out) > 0) {
        struct pollfd p = {.fd = l->fd, .events = POLLOUT};
        ek_buffer mine = l->out;
        int rc;

        memset(&l->out, 0, sizeof(l->out));
        pthread_mutex_unlock(l->lock);
        while ((rc = ek_buffer_write(&mine, p.fd)) == 0 && ek_buffer_len(&mine) > 0) {
            if (poll(&p, 1, ek_left_ms(deadline, ek_time_ms())) == 0) {
                rc = EKMOTP_E_IO; /* a part of a frame is out: nobody can go on from here */
                break;
            }
        }
        pthread_mutex_lock(l->lock);
        if (rc != 0)
            ek_link_break(l);
        if (rc == 0 && l->out.size == 0)
            l->out = mine; /* its room serves again */
        else
            ek_buffer_free(&mine);
    }
    l->writing = 0;
}

static void wait_for_reply(ek_link *l, ek_call *c, int64_t deadline)
{
    struct timespec until = ek_deadline_timespec(deadline);

    while (!c->done && !l->broken && ek_time_ms() < deadline) {
        if (!l->reading)
            read_for_all(l, deadline);
        else
            pthread_cond_timedwait(&c->wake, l->lock, &until);
    }
    if (!c->done)
        call_remove(l, c);
    if (!l->reading && l->calls)
        pthread_cond_signal(&l->calls->wake); /* somebody else must read now */
}

static int reply_error(const ek_reply *r, ekmotp_error *err)
{
    return ekmotp_error_set(err, r->code, "%s",
                            r->len > 0 ? (const char *)r->data : ekmotp_strerror(r->code));
}

int ek_link_call(ek_link *l, ek_wire_message *request, int64_t deadline, ek_reply *reply, ekmotp_error *err)
{
    ek_call c = {.reply = reply};
    int rc;

    memset(reply, 0, sizeof(*reply));
    request->id = c.id = ++l->next_id;
    rc = ek_buffer_put(&l->out, request);
    if (rc != 0)
        return ekmotp_error_set(err, rc, "agent: the request cannot be sent: %s", ekmotp_strerror(rc));
    ek_cond_init(&c.wake);
    l->refs++;
    call_insert(l, &c);
    write_for_all(l, deadline);
    wait_for_reply(l, &c, deadline);
    pthread_cond_destroy(&c.wake);
    if (c.done) {
        rc = reply->type == EK_WIRE_ERROR ? reply_error(reply, err) : 0;
    } else if (l->broken) {
        rc = ekmotp_error_set(err, EKMOTP_E_AGENT,
                              "agent: it ended while it was asked; the next call reaches "
                              "for it anew");
    } else {
        /* An agent that says nothing even after the time it was given is stuck itself. */
        ek_link_break(l);
        rc = ekmotp_error_set(err, EKMOTP_E_TOKEN_TIMEOUT, "agent: it gave no answer in time");
    }
    ek_link_unref(&l);
    return rc;
}

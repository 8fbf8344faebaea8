/* SPDX-License-Identifier: Apache-2.0 */
/* front_worker.c: the processes that hold modules, what each has to do, and the end of those that hang. */
#include "config.h"

#include "p11/agent/front.h"
#include "p11/agent/supervisor.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int ek_front_worker_get(front *f, const char *module, int once, front_worker **out, ekmotp_error *err)
{
    front_worker *w;
    int rc;

    TAILQ_FOREACH(w, &f->workers, link)
    {
        if (!once && !w->once && strcmp(w->module, module) == 0) {
            *out = w;
            return 0;
        }
    }
    if (f->worker_count == EK_FRONT_WORKERS_MAX)
        return ekmotp_error_set(err, EKMOTP_E_LIMIT, "agent: %d modules are in use already",
                                EK_FRONT_WORKERS_MAX);
    w = calloc(1, sizeof(*w));
    if (w)
        w->module = strdup(module);
    if (!w || !w->module) {
        free(w);
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "agent: out of memory");
    }
    rc = ek_supervisor_ask_worker(f->control, &w->fd, &w->pidfd, &w->pid, err);
    if (rc != 0) {
        free(w->module);
        free(w);
        return rc;
    }
    w->once = once;
    w->since = f->now;
    TAILQ_INIT(&w->queue);
    TAILQ_INIT(&w->flight);
    TAILQ_INSERT_TAIL(&f->workers, w, link);
    f->worker_count++;
    *out = w;
    return 0;
}

/* The oldest requests of a worker are the ones that its threads work on; their time runs from now. */
static void mark_started(front *f, front_worker *w)
{
    front_request *r;
    int n = 0;

    TAILQ_FOREACH(r, &w->flight, link)
    {
        if (n++ == EK_AGENT_THREADS)
            break;
        if (r->started == 0)
            r->started = f->now;
    }
}

static int put_request(front_worker *w, front_request *r)
{
    ek_wire_message m = {
        .type = r->type, .id = r->worker_id, .timeout_ms = r->timeout_ms, .data = r->data, .len = r->len};

    if (r->type == EK_WIRE_MAC) {
        m.key = r->key->handle;
    } else if (r->type == EK_WIRE_CLOSE) {
        m.key = r->close_key;
    } else if (r->is_opener) {
        m.hash = (uint8_t)r->key->hash;
        m.data = (const uint8_t *)r->key->uri;
        m.len = strlen(r->key->uri);
        m.flags = r->key->other_user ? EK_WIRE_OTHER_USER : 0;
        if (r->key->candidate) {
            m.flags |= EK_WIRE_HAS_PIN;
            m.data2 = r->key->candidate->bytes;
            m.len2 = r->key->candidate->len;
        }
    }
    return ek_buffer_put(&w->out, &m);
}

static void request_failed(front *f, front_request *r, int code, const char *text)
{
    if (r->is_opener)
        ek_front_key_failed(f, r->key, code, text);
    ek_front_reply_error(f, r, code, text);
}

static void fill_flight(front *f, front_worker *w)
{
    front_request *r;

    while (w->flying < EK_FRONT_FLIGHT_MAX && (r = TAILQ_FIRST(&w->queue))) {
        TAILQ_REMOVE(&w->queue, r, link);
        r->worker_id = ++w->next_id;
        if (put_request(w, r) != 0) {
            request_failed(f, r, EKMOTP_E_NOMEM, "agent: out of memory");
            continue;
        }
        TAILQ_INSERT_TAIL(&w->flight, r, link);
        w->flying++;
    }
    mark_started(f, w);
}

void ek_front_worker_ask(front *f, front_worker *w, front_request *r)
{
    TAILQ_INSERT_TAIL(&w->queue, r, link);
    fill_flight(f, w);
}

/* The worker healed by itself, and the token refused the PIN while it did. */
static void see_refusal(front *f, const front_request *r, const ek_wire_message *m)
{
    char text[EKMOTP_ERROR_MESSAGE_SIZE];

    if (m->type != EK_WIRE_ERROR || r->type != EK_WIRE_MAC || r->key->state != FRONT_KEY_OPEN ||
        (m->code != EKMOTP_E_PIN_INCORRECT && m->code != EKMOTP_E_PIN_LOCKED))
        return;
    memcpy(text, m->data, m->len);
    text[m->len] = '\0';
    ek_front_key_send_close(f, r->key);
    ek_front_key_failed(f, r->key, m->code, text);
}

static int handle_reply(front *f, front_worker *w, ek_wire_message *m)
{
    front_request *r;

    TAILQ_FOREACH(r, &w->flight, link)
    if (r->worker_id == m->id)
        break;
    if (!r || m->type < EK_WIRE_ERROR)
        return EKMOTP_E_SYNTAX;
    TAILQ_REMOVE(&w->flight, r, link);
    w->flying--;
    if (r->is_opener) {
        front_key *k = r->key;
        char text[EKMOTP_ERROR_MESSAGE_SIZE];

        if (m->type == EK_WIRE_ERROR) {
            memcpy(text, m->data, m->len);
            text[m->len] = '\0';
            ek_front_key_failed(f, k, m->code, text);
        } else {
            ek_front_key_opened(f, k, m);
        }
        ek_front_request_free(f, r);
    } else {
        see_refusal(f, r, m);
        ek_front_reply(f, r, m);
    }
    return 0;
}

int ek_front_worker_read(front *f, front_worker *w)
{
    int n = ek_buffer_read(&w->in, w->fd, 0), rc = 0;

    while (n >= 0 && rc == 0) {
        ek_wire_message m;
        size_t used = 0;

        rc = ek_wire_parse(w->in.bytes + w->in.start, ek_buffer_len(&w->in), &m, &used, NULL);
        if (rc == EK_WIRE_MORE)
            break;
        if (rc == 0)
            rc = handle_reply(f, w, &m);
        if (rc == 0)
            ek_buffer_consume(&w->in, used);
    }
    if (n < 0 || rc < 0)
        return EKMOTP_E_IO;
    if (w->once && w->flying == 0 && TAILQ_EMPTY(&w->queue))
        ek_front_worker_end(f, w, EKMOTP_E_AGENT, "");
    else
        fill_flight(f, w);
    return 0;
}

void ek_front_worker_end(front *f, front_worker *w, int code, const char *text)
{
    front_requests requests = TAILQ_HEAD_INITIALIZER(requests);
    front_request *r;
    front_key *k;

    (void)syscall(SYS_pidfd_send_signal, w->pidfd, SIGKILL, NULL, 0);
    close(w->pidfd);
    close(w->fd);
    TAILQ_REMOVE(&f->workers, w, link);
    f->worker_count--;
    f->workers_replaced += !w->once;
    TAILQ_CONCAT(&requests, &w->flight, link);
    TAILQ_CONCAT(&requests, &w->queue, link);
    /* The keys that were open close first, so that nothing below asks the worker again. */
    TAILQ_FOREACH(k, &f->keys, link)
    if (k->worker == w && k->state == FRONT_KEY_OPEN)
        ek_front_key_lost(k);
    while ((r = TAILQ_FIRST(&requests))) {
        TAILQ_REMOVE(&requests, r, link);
        request_failed(f, r, code, text);
    }
    ek_buffer_free(&w->in);
    ek_buffer_free(&w->out);
    free(w->module);
    free(w);
}

/* When a request that a worker works on proves that it hangs. */
static int64_t hangs_at(const front_request *r)
{
    unsigned least = r->is_opener               ? EK_FRONT_OPEN_MIN_MS
                     : r->type == EK_WIRE_ADMIN ? 0
                                                : EK_FRONT_HANG_MIN_MS;

    return r->started + (r->timeout_ms > least ? r->timeout_ms : least);
}

static void scan_list(front *f, front_requests *list, int in_worker)
{
    front_request *r, *next;

    for (r = TAILQ_FIRST(list); r; r = next) {
        next = TAILQ_NEXT(r, link);
        if (r->client && f->now >= r->deadline) {
            ek_wire_message m = {.type = EK_WIRE_ERROR,
                                 .id = r->client_id,
                                 .code = EKMOTP_E_TOKEN_TIMEOUT,
                                 .data = (const uint8_t *)"agent: the token gave no answer in time",
                                 .len = 39};

            r->client->pending--;
            ek_front_client_send(f, r->client, &m);
            r->client = NULL;
        }
        if (r->client) {
            ek_front_expect(f, r->deadline);
        } else if (!in_worker && !r->is_opener && r->type != EK_WIRE_CLOSE) {
            TAILQ_REMOVE(list, r, link);
            ek_front_reply_error(f, r, EKMOTP_E_TOKEN_TIMEOUT, "");
        }
    }
}

static int worker_hangs(front *f, front_worker *w)
{
    front_request *r;

    TAILQ_FOREACH(r, &w->flight, link)
    {
        if (r->started == 0)
            break;
        if (f->now >= hangs_at(r))
            return 1;
        ek_front_expect(f, hangs_at(r));
    }
    return 0;
}

void ek_front_scan(front *f)
{
    front_worker *w, *next;
    front_client *c;
    front_key *k, *next_key;

    f->next_scan = INT64_MAX;
    for (w = TAILQ_FIRST(&f->workers); w; w = next) {
        next = TAILQ_NEXT(w, link);
        scan_list(f, &w->queue, 0);
        scan_list(f, &w->flight, 1);
        if (worker_hangs(f, w)) {
            for (k = TAILQ_FIRST(&f->keys); k; k = next_key) {
                next_key = TAILQ_NEXT(k, link);
                if (k->worker == w && k->state == FRONT_KEY_OPEN)
                    ek_front_key_failed(f, k, EKMOTP_E_TOKEN_TIMEOUT,
                                        "the token did not answer, its module hung");
            }
            ek_front_worker_end(f, w, EKMOTP_E_TOKEN_AWAY,
                                "agent: the module hung and was ended; the next call starts it anew");
        }
    }
    for (k = TAILQ_FIRST(&f->keys); k; k = next_key) {
        k->refs++; /* the last one who waits may be the last who holds it */
        scan_list(f, &k->waiting, 0);
        next_key = TAILQ_NEXT(k, link);
        ek_front_key_unref(f, k);
    }
    TAILQ_FOREACH(c, &f->clients, link)
    {
        if (c->stalled_at == 0)
            continue;
        if (f->now >= c->stalled_at)
            c->doomed = 2;
        else
            ek_front_expect(f, c->stalled_at);
    }
}

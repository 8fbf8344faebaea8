/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "p11/agent/buffer.h"
#include "p11/agent/deadline.h"
#include "p11/agent/worker.h"
#include "p11/agent/worker_ops.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BATCH_US 400 /* of work that one thread takes at a time from a token in software */
#define BATCH_MAX 16
#define SERIAL_US 60 /* a token whose MACs are over by then does not get faster by several threads */

/*
 * Each thread takes what comes next, works on it and answers. Where a MAC takes milliseconds each request is
 * taken by a thread of its own. While it is a matter of microseconds a thread takes several requests at once,
 * because waking threads for each would cost more than the MACs; and with the quickest tokens one thread does
 * all (two threads in SoftHSM make fewer MACs than one). A thread that answers while another one writes
 * leaves its answers for that one to write.
 */
typedef struct worker {
    ek_worker_ops *ops;
    pthread_mutex_t in_lock;
    ek_buffer in;
    pthread_mutex_t out_lock;
    ek_buffer out;
    int writing;
    _Atomic unsigned mac_us; /* how long a MAC takes */
} worker;

/* What one thread has taken, and its answers. */
typedef struct share {
    worker *worker;
    int leads; /* holds in_lock: it is the thread that reads */
    ek_buffer in, out;
} share;

static int parse(const ek_buffer *b, ek_wire_message *m, size_t *used)
{
    return ek_wire_parse(b->bytes + b->start, ek_buffer_len(b), m, used, NULL);
}

/*
 * Waits for the next frame, and takes those that came with it as long as they are quick MACs. The thread
 * stays the one that reads if nothing else is there to be woken for. -1 at the end.
 */
static int take(share *s)
{
    worker *w = s->worker;
    unsigned quick = w->mac_us < BATCH_US ? BATCH_US / (w->mac_us + 1) : 0;
    ek_wire_message m;
    size_t used = 0;
    int rc, all_quick = 1;

    if (!s->leads)
        pthread_mutex_lock(&w->in_lock);
    while ((rc = parse(&w->in, &m, &used)) == EK_WIRE_MORE)
        if (ek_buffer_read(&w->in, EK_AGENT_FD, 1) < 0)
            break;
    for (unsigned n = 0; rc == 0 && all_quick && n < BATCH_MAX && (n == 0 || n < quick); n++) {
        all_quick = quick > 0 && m.type == EK_WIRE_MAC;
        if (ek_buffer_append(&s->in, w->in.bytes + w->in.start, used) != 0)
            rc = -1;
        ek_buffer_consume(&w->in, used);
        if (rc == 0)
            rc = parse(&w->in, &m, &used);
    }
    s->leads = all_quick && (rc == EK_WIRE_MORE || (rc == 0 && w->mac_us < SERIAL_US));
    if (!s->leads)
        pthread_mutex_unlock(&w->in_lock);
    return ek_buffer_len(&s->in) > 0 ? 0 : -1;
}

static int send_answers(share *s)
{
    worker *w = s->worker;
    int rc;

    pthread_mutex_lock(&w->out_lock);
    rc = ek_buffer_append(&w->out, s->out.bytes + s->out.start, ek_buffer_len(&s->out));
    ek_buffer_consume(&s->out, ek_buffer_len(&s->out));
    if (w->writing) {
        pthread_mutex_unlock(&w->out_lock);
        return rc;
    }
    w->writing = 1;
    while (rc == 0 && ek_buffer_len(&w->out) > 0) {
        struct pollfd p = {.fd = EK_AGENT_FD, .events = POLLOUT};
        ek_buffer mine = w->out;

        memset(&w->out, 0, sizeof(w->out));
        pthread_mutex_unlock(&w->out_lock);
        while ((rc = ek_buffer_write(&mine, EK_AGENT_FD)) == 0 && ek_buffer_len(&mine) > 0)
            (void)poll(&p, 1, -1);
        pthread_mutex_lock(&w->out_lock);
        if (w->out.size == 0)
            w->out = mine;
        else
            ek_buffer_free(&mine);
    }
    w->writing = 0;
    pthread_mutex_unlock(&w->out_lock);
    return rc;
}

/*
 * Learns how long a MAC takes. What makes one longer (other threads, other processes) is not the token, so
 * that a shorter one counts for more.
 */
static void learn(worker *w, int64_t us)
{
    int64_t known = w->mac_us;

    w->mac_us = (unsigned)(us < known ? (known + us) / 2 : known + (us - known + 63) / 64);
}

/* Answers one request. */
static int answer(share *s, const ek_wire_message *request)
{
    uint8_t small[EKMOTP_ERROR_MESSAGE_SIZE];
    worker *w = s->worker;
    ek_wire_message reply;
    char *text = NULL;
    int64_t start = ek_time_us();
    int rc;

    ek_worker_answer(w->ops, request, &reply, small, &text);
    if (request->type == EK_WIRE_MAC)
        learn(w, ek_time_us() - start);
    rc = ek_buffer_put(&s->out, &reply);
    free(text);
    if (rc == EKMOTP_E_LIMIT) {
        static const char too_long[] = "agent: the answer is longer than the agent's protocol allows";

        reply = (ek_wire_message){.type = EK_WIRE_ERROR,
                                  .id = request->id,
                                  .code = EKMOTP_E_LIMIT,
                                  .data = (const uint8_t *)too_long,
                                  .len = sizeof(too_long) - 1};
        rc = ek_buffer_put(&s->out, &reply);
    }
    return rc;
}

static void *serve(void *ctx)
{
    share s = {.worker = ctx};
    ek_wire_message request;
    size_t used = 0;
    int rc = 0;

    while (rc == 0 && take(&s) == 0) {
        while (rc == 0 && ek_buffer_len(&s.in) > 0) {
            rc = parse(&s.in, &request, &used);
            if (rc == 0)
                rc = answer(&s, &request);
            if (rc == 0)
                ek_buffer_consume(&s.in, used);
        }
        if (rc == 0)
            rc = send_answers(&s);
    }
    /*
     * The front is gone. Other threads may hang inside a module, and modules' exit handlers may hang too:
     * nothing is worth waiting for.
     */
    _exit(0);
}

int ek_worker_run(const ek_agent_options *options)
{
    static worker w = {
        .in_lock = PTHREAD_MUTEX_INITIALIZER, .out_lock = PTHREAD_MUTEX_INITIALIZER, .mac_us = 10 * BATCH_US};
    pthread_t thread;

    w.ops = ek_worker_ops_new(options);
    if (!w.ops)
        return EXIT_FAILURE;
    for (int i = 1; i < EK_AGENT_THREADS; i++)
        if (pthread_create(&thread, NULL, serve, &w) == 0)
            pthread_detach(thread);
    serve(&w);
    return EXIT_SUCCESS;
}

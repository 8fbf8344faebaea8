/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "lib/common/secret.h"
#include "p11/agent/buffer.h"
#include "p11/agent/deadline.h"
#include "p11/agent/worker.h"
#include "p11/agent/worker_ops.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define QUICK_US 200 /* a MAC of a token in software is over by then, one of a TPM takes 3000 */

/*
 * Each thread takes the next request, works on it and answers. A thread that answers while another one
 * writes leaves its answer for that one to write.
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

/* Copies the frame's bytes, so that others can go on reading while it is worked on. */
static int copy_request(ek_buffer *in, ek_wire_message *m, size_t used, ek_secret **bytes)
{
    const uint8_t *frame = in->bytes + in->start;

    if (!*bytes || used > (*bytes)->len) {
        ek_secret_free(bytes);
        *bytes = ek_secret_new(NULL, used < EK_WIRE_SMALL_MAX ? EK_WIRE_SMALL_MAX : used);
        if (!*bytes)
            return -1;
    }
    memcpy((*bytes)->bytes, frame, used);
    m->data = m->data ? (*bytes)->bytes + (m->data - frame) : NULL;
    m->data2 = m->data2 ? (*bytes)->bytes + (m->data2 - frame) : NULL;
    ek_buffer_consume(in, used);
    return 0;
}

/*
 * Waits for the next frame, as the one thread that reads (in_lock). It stays that thread, and *leads is 1, if
 * nothing else has come and a MAC is over so soon that waking another thread to read would cost more than it
 * brings. -1 at the end.
 */
static int take_request(worker *w, ek_wire_message *m, ek_secret **bytes, int *leads)
{
    ek_wire_message following;
    size_t used = 0;
    int rc;

    if (!*leads)
        pthread_mutex_lock(&w->in_lock);
    while ((rc = ek_wire_parse(w->in.bytes + w->in.start, ek_buffer_len(&w->in), m, &used, NULL)) ==
           EK_WIRE_MORE)
        if (ek_buffer_read(&w->in, EK_AGENT_FD, 1) < 0)
            break;
    if (rc == 0)
        rc = copy_request(&w->in, m, used, bytes);
    *leads = rc == 0 && m->type == EK_WIRE_MAC && w->mac_us < QUICK_US &&
             ek_wire_parse(w->in.bytes + w->in.start, ek_buffer_len(&w->in), &following, &used, NULL) != 0;
    if (!*leads)
        pthread_mutex_unlock(&w->in_lock);
    return rc == 0 ? 0 : -1;
}

static int put_reply(worker *w, const ek_wire_message *m)
{
    int rc;

    pthread_mutex_lock(&w->out_lock);
    rc = ek_buffer_put(&w->out, m);
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

/* Answers one request, and learns from a MAC how long they take (a moving average). */
static int answer(worker *w, const ek_wire_message *request)
{
    uint8_t small[EKMOTP_ERROR_MESSAGE_SIZE];
    ek_wire_message reply;
    char *text = NULL;
    int64_t start = ek_time_us();
    int rc;

    ek_worker_answer(w->ops, request, &reply, small, &text);
    if (request->type == EK_WIRE_MAC)
        w->mac_us = (unsigned)((7 * (int64_t)w->mac_us + ek_time_us() - start) / 8);
    rc = put_reply(w, &reply);
    free(text);
    return rc;
}

static void *serve(void *ctx)
{
    worker *w = ctx;
    ek_secret *bytes = NULL;
    ek_wire_message request;
    int leads = 0;

    while (take_request(w, &request, &bytes, &leads) == 0) {
        int rc = answer(w, &request);

        if (request.type == EK_WIRE_OPEN || request.type == EK_WIRE_ADMIN)
            ek_wipe(bytes->bytes, bytes->len);
        if (rc != 0)
            break;
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
        .in_lock = PTHREAD_MUTEX_INITIALIZER, .out_lock = PTHREAD_MUTEX_INITIALIZER, .mac_us = 10 * QUICK_US};
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

/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "lib/common/secret.h"
#include "p11/agent/buffer.h"
#include "p11/agent/worker.h"
#include "p11/agent/worker_ops.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
} worker;

/* Waits for the next frame and copies its bytes, so that others can go on reading. -1 at the end. */
static int take_request(worker *w, ek_wire_message *m, ek_secret **bytes)
{
    size_t used = 0;
    int rc;

    pthread_mutex_lock(&w->in_lock);
    while ((rc = ek_wire_parse(w->in.bytes + w->in.start, ek_buffer_len(&w->in), m, &used, NULL)) ==
           EK_WIRE_MORE) {
        struct pollfd p = {.fd = EK_AGENT_FD, .events = POLLIN};

        int n = ek_buffer_read(&w->in, EK_AGENT_FD);

        if (n < 0)
            break;
        if (n == 0)
            (void)poll(&p, 1, -1);
    }
    if (rc == 0) {
        const uint8_t *frame = w->in.bytes + w->in.start;

        if (used > (*bytes ? (*bytes)->len : 0)) {
            ek_secret_free(bytes);
            *bytes = ek_secret_new(NULL, used < EK_WIRE_SMALL_MAX ? EK_WIRE_SMALL_MAX : used);
        }
        if (*bytes) {
            memcpy((*bytes)->bytes, frame, used);
            m->data = m->data ? (*bytes)->bytes + (m->data - frame) : NULL;
            m->data2 = m->data2 ? (*bytes)->bytes + (m->data2 - frame) : NULL;
        } else {
            rc = -1;
        }
        ek_buffer_consume(&w->in, used);
    }
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

static void *serve(void *ctx)
{
    worker *w = ctx;
    ek_secret *bytes = NULL;
    ek_wire_message request, reply;

    while (take_request(w, &request, &bytes) == 0) {
        char *text = NULL;
        uint8_t small[EKMOTP_ERROR_MESSAGE_SIZE];

        ek_worker_answer(w->ops, &request, &reply, small, &text);
        if (request.type == EK_WIRE_OPEN || request.type == EK_WIRE_ADMIN)
            ek_wipe(bytes->bytes, bytes->len);
        if (put_reply(w, &reply) != 0)
            break;
        free(text);
    }
    /*
     * The front is gone. Other threads may hang inside a module, and modules' exit handlers may hang too:
     * nothing is worth waiting for.
     */
    _exit(0);
}

int ek_worker_run(const ek_agent_options *options)
{
    static worker w = {.in_lock = PTHREAD_MUTEX_INITIALIZER, .out_lock = PTHREAD_MUTEX_INITIALIZER};
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

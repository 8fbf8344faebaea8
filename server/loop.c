/* SPDX-License-Identifier: Apache-2.0 */
#include "server/loop.h"

#include "server/connection.h"
#include "server/exchange.h"

#include <errno.h>
#include <event2/listener.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define LISTENERS_MAX 64
#define SWEEP_MS 200        /* how late a deadline may be noticed */
#define ACCEPT_PAUSE_MS 100 /* after accept() failed for want of descriptors or memory */

struct ek_loop_private {
    struct evconnlistener *listeners[LISTENERS_MAX];
    size_t listener_count;
    struct event *sweep, *wake, *resume_accept;
    int wake_fd;
    int started;
    int ended; /* atomic */
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows */
    SSL_CTX *new_tls;
    ekmotp_snapshot *new_snapshot;
    int drain, stop;
    ek_derive_job *jobs;
};

void ek_loop_forget(ek_loop *loop)
{
    if (loop->draining && !loop->connections)
        event_base_loopbreak(loop->base);
}

/* ---- accepting ---- */

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *peer, int len,
                      void *arg)
{
    (void)listener;
    ek_connection_accept(arg, fd, peer, len);
}

static void on_accept_error(struct evconnlistener *listener, void *arg)
{
    ek_loop *loop = arg;
    struct timeval pause = {0, ACCEPT_PAUSE_MS * 1000};

    (void)listener;
    ek_log_message(EK_LOG_ERROR, "accept-failed", "%s; raise LimitNOFILE or lower --connections",
                   strerror(errno));
    for (size_t i = 0; i < loop->private->listener_count; i++)
        evconnlistener_disable(loop->private->listeners[i]);
    evtimer_add(loop->private->resume_accept, &pause);
}

static void on_resume_accept(evutil_socket_t fd, short what, void *arg)
{
    ek_loop *loop = arg;

    (void)fd;
    (void)what;
    for (size_t i = 0; i < loop->private->listener_count; i++)
        evconnlistener_enable(loop->private->listeners[i]);
}

static void close_listeners(ek_loop *loop)
{
    struct ek_loop_private *p = loop->private;

    if (p->resume_accept)
        evtimer_del(p->resume_accept);
    while (p->listener_count > 0)
        evconnlistener_free(p->listeners[--p->listener_count]);
}

int ek_loop_listen(ek_loop *loop, int fd, ekmotp_error *err)
{
    struct ek_loop_private *p = loop->private;
    struct evconnlistener *l = NULL;

    if (p->listener_count < LISTENERS_MAX)
        l = evconnlistener_new(loop->base, on_accept, loop, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0,
                               fd);
    if (!l) {
        close(fd);
        return ekmotp_error_set(err, EKMOTP_E_LIMIT, "too many addresses to listen on; %d are allowed",
                                LISTENERS_MAX);
    }
    evconnlistener_set_error_cb(l, on_accept_error);
    p->listeners[p->listener_count++] = l;
    return 0;
}

/* ---- deadlines ---- */

static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
    ek_loop *loop = arg;
    uint64_t now = ek_loop_now();
    ek_connection *next;

    (void)fd;
    (void)what;
    ek_count(&loop->counts.sweeps);
    if (loop->index == 0)
        ek_quota_tell(loop->shared->quota, now);
    for (ek_connection *c = loop->connections; c; c = next) {
        next = c->next;
        ek_connection_sweep(c, now);
    }
}

/* ---- messages from other threads ---- */

static void wake(ek_loop *loop)
{
    uint64_t one = 1;
    ssize_t n = write(loop->private->wake_fd, &one, sizeof(one));

    (void)n; /* a full counter wakes as well */
}

void ek_loop_post_tls(ek_loop *loop, SSL_CTX *tls)
{
    SSL_CTX *old;

    SSL_CTX_up_ref(tls);
    pthread_mutex_lock(&loop->private->lock);
    old = loop->private->new_tls;
    loop->private->new_tls = tls;
    pthread_mutex_unlock(&loop->private->lock);
    SSL_CTX_free(old);
    wake(loop);
}

void ek_loop_post_snapshot(ek_loop *loop, ekmotp_snapshot *snapshot)
{
    ekmotp_snapshot *old;

    snapshot = ekmotp_snapshot_ref(snapshot);
    pthread_mutex_lock(&loop->private->lock);
    old = loop->private->new_snapshot;
    loop->private->new_snapshot = snapshot;
    pthread_mutex_unlock(&loop->private->lock);
    ekmotp_snapshot_free(&old);
    wake(loop);
}

static void post_flag(ek_loop *loop, int *flag)
{
    pthread_mutex_lock(&loop->private->lock);
    *flag = 1;
    pthread_mutex_unlock(&loop->private->lock);
    wake(loop);
}

void ek_loop_post_drain(ek_loop *loop)
{
    post_flag(loop, &loop->private->drain);
}

void ek_loop_post_stop(ek_loop *loop)
{
    post_flag(loop, &loop->private->stop);
}

void ek_loop_post_job(ek_loop *loop, ek_derive_job *job)
{
    pthread_mutex_lock(&loop->private->lock);
    job->next = loop->private->jobs;
    loop->private->jobs = job;
    pthread_mutex_unlock(&loop->private->lock);
    wake(loop);
}

static void set_snapshot(ek_loop *loop, ekmotp_snapshot *snapshot)
{
    ekmotp_snapshot *old = loop->snapshot;

    loop->snapshot = snapshot;
    loop->lookup = ekmotp_snapshot_lookup(snapshot);
    ekmotp_snapshot_free(&old);
}

static void start_drain(ek_loop *loop)
{
    ek_connection *next;

    loop->draining = 1;
    close_listeners(loop);
    for (ek_connection *c = loop->connections; c; c = next) {
        next = c->next;
        ek_connection_drain(c);
    }
    ek_loop_forget(loop);
}

static void take_jobs(ek_derive_job *jobs)
{
    while (jobs) {
        ek_derive_job *job = jobs;

        jobs = job->next;
        ek_exchange_resume(job);
    }
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    ek_loop *loop = arg;
    struct ek_loop_private *p = loop->private;
    SSL_CTX *tls;
    ekmotp_snapshot *snapshot;
    ek_derive_job *jobs;
    int drain, stop;
    uint64_t count;
    ssize_t n = read(fd, &count, sizeof(count));

    (void)n;
    (void)what;
    pthread_mutex_lock(&p->lock);
    tls = p->new_tls;
    snapshot = p->new_snapshot;
    jobs = p->jobs;
    drain = p->drain;
    stop = p->stop;
    p->new_tls = NULL;
    p->new_snapshot = NULL;
    p->jobs = NULL;
    pthread_mutex_unlock(&p->lock);
    if (tls) {
        SSL_CTX_free(loop->tls);
        loop->tls = tls;
    }
    if (snapshot)
        set_snapshot(loop, snapshot);
    take_jobs(jobs);
    if (drain && !loop->draining)
        start_drain(loop);
    if (stop)
        event_base_loopbreak(loop->base);
}

/* ---- life ---- */

static struct event_base *new_base(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base = NULL;

    if (!config)
        return NULL;
    /* One thread per base: no locks. */
    if (event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK) == 0)
        base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

static int set_up_events(ek_loop *loop)
{
    struct ek_loop_private *p = loop->private;
    struct timeval every = {0, SWEEP_MS * 1000};

    p->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    loop->base = new_base();
    if (p->wake_fd < 0 || !loop->base)
        return -1;
    p->wake = event_new(loop->base, p->wake_fd, EV_READ | EV_PERSIST, on_wake, loop);
    p->sweep = event_new(loop->base, -1, EV_PERSIST, on_sweep, loop);
    p->resume_accept = evtimer_new(loop->base, on_resume_accept, loop);
    return p->wake && p->sweep && p->resume_accept && event_add(p->wake, NULL) == 0 &&
                   event_add(p->sweep, &every) == 0
               ? 0
               : -1;
}

int ek_loop_new(const ek_shared *shared, unsigned index, SSL_CTX *tls, ekmotp_snapshot *snapshot,
                ek_loop **out, ekmotp_error *err)
{
    ek_loop *loop = calloc(1, sizeof(*loop));

    if (loop)
        loop->private = calloc(1, sizeof(*loop->private));
    if (!loop || !loop->private) {
        free(loop);
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory");
    }
    pthread_mutex_init(&loop->private->lock, NULL);
    loop->private->wake_fd = -1;
    loop->shared = shared;
    loop->index = index;
    if (set_up_events(loop) != 0) {
        ek_loop_free(&loop);
        return ekmotp_error_set(err, EKMOTP_E_IO, "cannot set up an event loop: %s", strerror(errno));
    }
    SSL_CTX_up_ref(tls);
    loop->tls = tls;
    if (snapshot)
        set_snapshot(loop, ekmotp_snapshot_ref(snapshot));
    *out = loop;
    return 0;
}

static void *run(void *arg)
{
    ek_loop *loop = arg;

    event_base_dispatch(loop->base);
    __atomic_store_n(&loop->private->ended, 1, __ATOMIC_RELEASE);
    return NULL;
}

int ek_loop_ended(const ek_loop *loop)
{
    return __atomic_load_n(&loop->private->ended, __ATOMIC_ACQUIRE);
}

int ek_loop_start(ek_loop *loop, ekmotp_error *err)
{
    if (pthread_create(&loop->private->thread, NULL, run, loop) != 0)
        return ekmotp_error_set(err, EKMOTP_E_IO, "cannot start the thread of an event loop");
    loop->private->started = 1;
    return 0;
}

void ek_loop_join(ek_loop *loop)
{
    if (loop->private->started)
        pthread_join(loop->private->thread, NULL);
    loop->private->started = 0;
    /* What is still open was not wanted any more. */
    while (loop->connections)
        ek_connection_free(loop->connections);
}

void ek_loop_free(ek_loop **loop)
{
    ek_loop *l = loop ? *loop : NULL;
    struct ek_loop_private *p;

    if (!l)
        return;
    p = l->private;
    while (l->connections)
        ek_connection_free(l->connections);
    take_jobs(p->jobs);
    close_listeners(l);
    if (p->wake)
        event_free(p->wake);
    if (p->sweep)
        event_free(p->sweep);
    if (p->resume_accept)
        event_free(p->resume_accept);
    if (l->base)
        event_base_free(l->base);
    if (p->wake_fd >= 0)
        close(p->wake_fd);
    SSL_CTX_free(p->new_tls);
    SSL_CTX_free(l->tls);
    ekmotp_snapshot_free(&p->new_snapshot);
    ekmotp_snapshot_free(&l->snapshot);
    pthread_mutex_destroy(&p->lock);
    free(p);
    free(l);
    *loop = NULL;
}

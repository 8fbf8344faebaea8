/* SPDX-License-Identifier: Apache-2.0 */
#include "server/server.h"

#include "client/pin.h"
#include "server/admin.h"
#include "server/authenticate.h"
#include "server/clients.h"
#include "server/connection.h"
#include "server/content.h"
#include "server/notify.h"
#include "server/process.h"
#include "server/sockets.h"
#include "server/tls.h"
#include "server/token_opener.h"

#include <ekmotp/jose.h>
#include <ekmotp/openssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DRAIN_POLL_MS 20
#define SPARE_FILES 128 /* descriptors beside those of connections */

typedef struct server {
    const ek_config *config;
    const ek_server_hooks *hooks;
    ek_shared shared;
    ekmotp_verifier *verifier;
    ekmotp_jose_policy policy;
    ek_content *content;
    ek_token_opener *tokens; /* outlives the clients, whose keys it opens */
    ek_clients *clients;
    SSL_CTX *tls;
    ek_loop **loops;
    size_t loop_count;
    struct event_base *base;
    ek_admin *admin;
    ek_metrics_source metrics;
    struct event *on_term, *on_int, *on_hup, *watchdog, *drain;
    uint64_t *beats; /* of each loop at the last sign of life */
    int stopping;
    uint64_t drain_until;
} server;

/* ---- what is loaded ---- */

static int load_tls(const server *s, SSL_CTX **out, ekmotp_error *err)
{
    SSL_CTX *ctx = NULL;
    int rc = ek_tls_context_new(s->config, &ctx, err);

    if (rc != 0)
        return rc;
    ek_connection_watch(ctx);
    if (s->hooks && s->hooks->prepare_tls && s->hooks->prepare_tls(ctx) != 0) {
        SSL_CTX_free(ctx);
        return ekmotp_error_set(err, EKMOTP_E_CRYPTO, "the TLS context cannot be prepared");
    }
    *out = ctx;
    return 0;
}

static int make_verifier(server *s, ekmotp_error *err)
{
    const ek_config *config = s->config;
    int rc = ekmotp_verifier_new(ekmotp_openssl_crypto(), config->profiles, config->realm, &s->verifier, err);

    if (rc != 0)
        return rc;
    s->policy = (ekmotp_jose_policy){config->leeway, config->audience};
    ekmotp_verifier_set_bearer(s->verifier, ekmotp_jose_bearer(), &s->policy);
    if (config->compat_client)
        rc = ekmotp_verifier_set_compat_client(s->verifier, (const uint8_t *)config->compat_client,
                                               strlen(config->compat_client), err);
    return rc;
}

/* Everything that can be wrong with the configuration is found here. */
static int load(server *s, ekmotp_error *err)
{
    const ek_token_opener_options tokens = {.agent = s->config->agent,
                                            .agent_program = s->config->agent_program,
                                            .pin = ek_pin_credential,
                                            .pin_source = s->config->pin_source,
                                            .timeout_ms = s->config->token_timeout * 1000};
    int rc = ek_connection_global_init(err);

    if (rc == 0)
        rc = load_tls(s, &s->tls, err);
    if (rc == 0)
        rc = make_verifier(s, err);
    if (rc == 0)
        rc = ek_content_new(s->config, &s->content, err);
    if (rc == 0)
        rc = ek_token_opener_new(&tokens, &s->tokens, err);
    if (rc == 0 && s->config->directory)
        rc = ek_clients_new(s->config, ek_token_opener_open, s->tokens, &s->clients, err);
    return rc;
}

static int make_shared(server *s, ekmotp_error *err)
{
    const ek_config *config = s->config;

    s->shared = (ek_shared){.config = config, .verifier = s->verifier, .content = s->content};
    s->shared.authenticate = s->hooks && s->hooks->authenticate ? s->hooks->authenticate : ek_authenticate;
    s->shared.limits = ek_limits_new(config->connections, config->connections_per_address);
    if (!s->shared.limits)
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory for %u connections", config->connections);
    s->shared.quota = ek_quota_new(config->log_refusals, ek_loop_now());
    if (!s->shared.quota)
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory");
    return ek_derive_new(config->token_threads, &s->shared.derive, err);
}

static int make_loops(server *s, ekmotp_error *err)
{
    size_t count = s->config->threads ? s->config->threads : ek_process_cores();
    ekmotp_snapshot *snapshot = s->clients ? ek_clients_snapshot(s->clients) : NULL;
    int rc = 0;

    s->loops = calloc(count, sizeof(*s->loops));
    s->beats = calloc(count, sizeof(*s->beats));
    if (!s->loops || !s->beats)
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory");
    while (rc == 0 && s->loop_count < count) {
        rc =
            ek_loop_new(&s->shared, (unsigned)s->loop_count, s->tls, snapshot, &s->loops[s->loop_count], err);
        if (rc == 0)
            s->loop_count++;
    }
    return rc;
}

/* ---- events of the main thread ---- */

static void on_changed(void *ctx, ekmotp_snapshot *snapshot)
{
    server *s = ctx;

    for (size_t i = 0; i < s->loop_count; i++)
        ek_loop_post_snapshot(s->loops[i], snapshot);
}

static void on_reloaded(void *ctx)
{
    (void)ctx;
    ek_log_message(EK_LOG_INFO, "reloaded", "certificate and directory were read again");
    ek_notify_ready("Serving");
}

static void on_reload(evutil_socket_t number, short what, void *arg)
{
    server *s = arg;
    SSL_CTX *fresh = NULL;
    ekmotp_error err = {0};

    (void)number;
    (void)what;
    ek_notify_reloading();
    if (load_tls(s, &fresh, &err) == 0) {
        for (size_t i = 0; i < s->loop_count; i++)
            ek_loop_post_tls(s->loops[i], fresh);
        SSL_CTX_free(s->tls);
        s->tls = fresh;
    } else {
        ek_log_message(EK_LOG_ERROR, "certificate-refused", "%s; the old one stays in use", err.message);
    }
    if (s->clients)
        ek_clients_reload(s->clients);
    else
        on_reloaded(s);
}

static void on_stop(evutil_socket_t number, short what, void *arg)
{
    server *s = arg;
    struct timeval poll = {0, DRAIN_POLL_MS * 1000};

    (void)what;
    if (s->stopping) { /* asked twice: at once */
        s->drain_until = 0;
        return;
    }
    s->stopping = 1;
    ek_log_message(EK_LOG_INFO, "stopping", "signal %d: requests have %u seconds to end", (int)number,
                   s->config->drain_timeout);
    ek_notify_stopping();
    ek_admin_set_stopping(s->admin);
    s->drain_until = ek_loop_now() + (uint64_t)s->config->drain_timeout * 1000;
    for (size_t i = 0; i < s->loop_count; i++)
        ek_loop_post_drain(s->loops[i]);
    evtimer_add(s->drain, &poll);
}

static void on_drain(evutil_socket_t fd, short what, void *arg)
{
    server *s = arg;
    size_t running = 0;

    (void)fd;
    (void)what;
    for (size_t i = 0; i < s->loop_count; i++)
        running += !ek_loop_ended(s->loops[i]);
    if (running > 0 && ek_loop_now() < s->drain_until) {
        struct timeval poll = {0, DRAIN_POLL_MS * 1000};

        evtimer_add(s->drain, &poll);
        return;
    }
    event_base_loopbreak(s->base);
}

/* A sign of life for systemd, only if every loop has moved since the last one. */
static void on_watchdog(evutil_socket_t fd, short what, void *arg)
{
    server *s = arg;
    int alive = 1;

    (void)fd;
    (void)what;
    for (size_t i = 0; i < s->loop_count; i++) {
        uint64_t beat = ek_count_read(&s->loops[i]->counts.sweeps);

        alive &= beat != s->beats[i] || ek_loop_ended(s->loops[i]);
        s->beats[i] = beat;
    }
    if (alive)
        ek_notify_watchdog();
    else
        ek_log_message(EK_LOG_ERROR, "loop-stuck", "an event loop does not move; no sign of life is given");
}

static int make_events(server *s, ekmotp_error *err)
{
    uint64_t interval = ek_notify_watchdog_interval() / 2;
    struct timeval every = {(time_t)(interval / 1000000), (suseconds_t)(interval % 1000000)};

    s->on_term = evsignal_new(s->base, SIGTERM, on_stop, s);
    s->on_int = evsignal_new(s->base, SIGINT, on_stop, s);
    s->on_hup = evsignal_new(s->base, SIGHUP, on_reload, s);
    s->drain = evtimer_new(s->base, on_drain, s);
    s->watchdog = event_new(s->base, -1, EV_PERSIST, on_watchdog, s);
    if (!s->on_term || !s->on_int || !s->on_hup || !s->drain || !s->watchdog ||
        event_add(s->on_term, NULL) != 0 || event_add(s->on_int, NULL) != 0 ||
        event_add(s->on_hup, NULL) != 0 || (interval > 0 && event_add(s->watchdog, &every) != 0))
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory for events");
    return 0;
}

/* ---- life ---- */

static int set_up(server *s, ekmotp_error *err)
{
    struct timespec now;
    int rc;

    s->base = event_base_new();
    if (!s->base)
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory");
    if ((rc = load(s, err)) != 0 || (rc = make_shared(s, err)) != 0 || (rc = make_loops(s, err)) != 0 ||
        (rc = ek_sockets_open(s->config, s->loops, s->loop_count, err)) != 0)
        return rc;
    clock_gettime(CLOCK_REALTIME, &now);
    s->metrics = (ek_metrics_source){s->loops, s->loop_count, s->clients,
                                     (double)now.tv_sec + (double)now.tv_nsec / 1e9};
    if (s->config->admin_listen.count > 0 &&
        (rc = ek_admin_new(s->config, s->base, &s->metrics, &s->admin, err)) != 0)
        return rc;
    return make_events(s, err);
}

/* Threads start with all signals blocked: the main thread takes them. */
static int start_threads(server *s, ekmotp_error *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < s->loop_count; i++)
        rc = ek_loop_start(s->loops[i], err);
    if (rc == 0 && s->clients)
        rc = ek_clients_start(s->clients, on_changed, on_reloaded, s, err);
    return rc;
}

static void free_event(struct event *event)
{
    if (event)
        event_free(event);
}

static void tear_down(server *s)
{
    /* The clients' thread posts to loops, and derive jobs return to them: both end first. */
    for (size_t i = 0; i < s->loop_count; i++)
        ek_loop_post_stop(s->loops[i]);
    for (size_t i = 0; i < s->loop_count; i++)
        ek_loop_join(s->loops[i]);
    ek_derive_free(&s->shared.derive);
    if (s->shared.quota)
        ek_quota_tell(s->shared.quota, UINT64_MAX); /* the last second's */
    if (s->clients)
        ek_clients_stop(s->clients);
    for (size_t i = 0; i < s->loop_count; i++)
        ek_loop_free(&s->loops[i]);
    ek_clients_free(&s->clients);
    ek_token_opener_free(&s->tokens);
    ek_admin_free(&s->admin);
    free_event(s->on_term);
    free_event(s->on_int);
    free_event(s->on_hup);
    free_event(s->drain);
    free_event(s->watchdog);
    ek_limits_free(&s->shared.limits);
    ek_quota_free(&s->shared.quota);
    ek_content_free(&s->content);
    ekmotp_verifier_free(&s->verifier);
    SSL_CTX_free(s->tls);
    if (s->base)
        event_base_free(s->base);
    free(s->loops);
    free(s->beats);
}

int ek_server_check(const ek_config *config, ekmotp_error *err)
{
    server s = {.config = config};
    int rc = load(&s, err);

    if (rc == 0)
        rc = ek_sockets_check(config, err);
    if (rc == 0)
        rc = ek_admin_check(config, err);
    tear_down(&s);
    return rc;
}

static void check_files(const ek_config *config)
{
    unsigned long each = config->static_folder ? 2 : 1; /* its socket, and a file that is being sent */
    unsigned long wanted = each * config->connections + SPARE_FILES;
    unsigned long granted = ek_process_allow_files(wanted);

    if (granted < wanted)
        ek_log_message(
            EK_LOG_WARNING, "few-descriptors",
            "the system allows %lu open files, %u connections need %lu: raise LimitNOFILE or lower "
            "--connections",
            granted, config->connections, wanted);
}

int ek_server_run(const ek_config *config, const ek_server_hooks *hooks, ekmotp_error *err)
{
    server s = {.config = config, .hooks = hooks};
    sigset_t all, before;
    int rc;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    check_files(config);
    rc = set_up(&s, err);
    if (rc == 0)
        rc = start_threads(&s, err);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc == 0) {
        printf("ready\n");
        fflush(stdout);
        ek_notify_ready("Serving");
        event_base_dispatch(s.base);
        ek_log_message(EK_LOG_INFO, "stopped", "all loops have ended");
    }
    tear_down(&s);
    return rc;
}

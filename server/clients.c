/* SPDX-License-Identifier: Apache-2.0 */
#include "server/clients.h"

#include <ekmotp/openssl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define POLL_MS 250 /* a change is seen within a second, the reading included */
#define BLIND_MAX 4
#define RETRY_MS 2000 /* a broken directory is looked at again */

struct ek_clients {
    const char *path;
    ekmotp_directory *directory;
    ekmotp_snapshot *snapshot;
    ek_clients_counts counts;
    unsigned blind;                            /* looks in a row that failed */
    char complaint[EKMOTP_ERROR_MESSAGE_SIZE]; /* the last one, so that it is not repeated */
    ek_clients_changed changed;
    ek_clients_reloaded reloaded;
    void *ctx;
    int started;
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t wake;
    int reload, stopping;
};

static void store(uint64_t *to, uint64_t value)
{
    __atomic_store_n(to, value, __ATOMIC_RELAXED);
}

static int load(ek_clients *c, ekmotp_error *err)
{
    ekmotp_snapshot *fresh = NULL;
    int rc = ekmotp_snapshot_load(c->directory, c->snapshot, &fresh, err);

    if (rc != 0)
        return rc;
    ekmotp_snapshot_free(&c->snapshot);
    c->snapshot = fresh;
    store(&c->counts.loads, c->counts.loads + 1);
    store(&c->counts.clients, ekmotp_snapshot_count(fresh));
    return 0;
}

int ek_clients_new(const ek_config *config, ekmotp_directory_token_opener open_token, void *token_ctx,
                   ek_clients **out, ekmotp_error *err)
{
    ekmotp_directory_options options = {.crypto = ekmotp_openssl_crypto(),
                                        .kek = config->kek,
                                        .master = config->master,
                                        .open_token = open_token,
                                        .open_token_ctx = token_ctx,
                                        .read_only = 1};
    ek_clients *c = calloc(1, sizeof(*c));
    pthread_condattr_t attr;
    int rc;

    if (!c)
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory");
    pthread_mutex_init(&c->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&c->wake, &attr);
    pthread_condattr_destroy(&attr);
    c->path = config->directory;
    rc = ekmotp_directory_open(config->directory, &options, &c->directory, NULL, err);
    if (rc == 0)
        rc = load(c, err);
    if (rc != 0)
        ek_clients_free(&c);
    else
        *out = c;
    return rc;
}

ekmotp_snapshot *ek_clients_snapshot(ek_clients *clients)
{
    return clients->snapshot;
}

void ek_clients_read_counts(const ek_clients *clients, ek_clients_counts *counts)
{
    counts->clients = __atomic_load_n(&clients->counts.clients, __ATOMIC_RELAXED);
    counts->loads = __atomic_load_n(&clients->counts.loads, __ATOMIC_RELAXED);
    counts->failures = __atomic_load_n(&clients->counts.failures, __ATOMIC_RELAXED);
}

static void complain(ek_clients *c, const char *message)
{
    if (strcmp(c->complaint, message) == 0)
        return;
    snprintf(c->complaint, sizeof(c->complaint), "%s", message);
    ek_log_message(EK_LOG_ERROR, "directory-refused", "%s; the clients as they were stay in force", message);
}

static void swap(ek_clients *c)
{
    ek_log_line line;

    c->complaint[0] = '\0';
    ek_log_begin(&line, EK_LOG_INFO, "directory-loaded");
    ek_log_string(&line, "file", c->path);
    ek_log_number(&line, "clients", c->counts.clients);
    ek_log_end(&line);
    c->changed(c->ctx, c->snapshot);
}

static void count_failure(ek_clients *c)
{
    store(&c->counts.failures, c->counts.failures + 1);
}

/*
 * One look at the file. Returns the milliseconds until the next. That it cannot be looked at may be because
 * another program is writing: only if that lasts it is worth a complaint.
 */
static unsigned look(ek_clients *c, int forced)
{
    ekmotp_error err = {0};
    int stale = forced ? 1 : ekmotp_snapshot_stale(c->directory, c->snapshot, &err);

    if (stale < 0 && ++c->blind < BLIND_MAX)
        return POLL_MS;
    if (stale < 0) {
        count_failure(c);
        complain(c, err.message);
        return RETRY_MS;
    }
    c->blind = 0;
    if (stale > 0 && load(c, &err) == 0) {
        swap(c);
    } else if (stale > 0) {
        count_failure(c);
        complain(c, err.message);
        return RETRY_MS;
    }
    return POLL_MS;
}

/* Waits; returns 1 if a reload was asked for, -1 to stop, else 0. */
static int wait_for_work(ek_clients *c, unsigned ms)
{
    struct timespec until;
    int answer, rc = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&c->lock);
    while (!c->reload && !c->stopping && rc == 0)
        rc = pthread_cond_timedwait(&c->wake, &c->lock, &until);
    answer = c->stopping ? -1 : c->reload;
    c->reload = 0;
    pthread_mutex_unlock(&c->lock);
    return answer;
}

static void *watch(void *arg)
{
    ek_clients *c = arg;
    unsigned ms = POLL_MS;
    int forced;

    while ((forced = wait_for_work(c, ms)) >= 0) {
        ms = look(c, forced);
        if (forced)
            c->reloaded(c->ctx);
    }
    return NULL;
}

int ek_clients_start(ek_clients *clients, ek_clients_changed changed, ek_clients_reloaded reloaded, void *ctx,
                     ekmotp_error *err)
{
    clients->changed = changed;
    clients->reloaded = reloaded;
    clients->ctx = ctx;
    if (pthread_create(&clients->thread, NULL, watch, clients) != 0)
        return ekmotp_error_set(err, EKMOTP_E_IO, "cannot start the thread that watches the directory");
    clients->started = 1;
    return 0;
}

static void post(ek_clients *c, int *flag)
{
    pthread_mutex_lock(&c->lock);
    *flag = 1;
    pthread_cond_signal(&c->wake);
    pthread_mutex_unlock(&c->lock);
}

void ek_clients_reload(ek_clients *clients)
{
    post(clients, &clients->reload);
}

void ek_clients_stop(ek_clients *clients)
{
    if (!clients->started)
        return;
    post(clients, &clients->stopping);
    pthread_join(clients->thread, NULL);
    clients->started = 0;
}

void ek_clients_free(ek_clients **clients)
{
    ek_clients *c = clients ? *clients : NULL;

    if (!c)
        return;
    ek_clients_stop(c);
    ekmotp_snapshot_free(&c->snapshot);
    ekmotp_directory_free(&c->directory);
    pthread_cond_destroy(&c->wake);
    pthread_mutex_destroy(&c->lock);
    free(c);
    *clients = NULL;
}

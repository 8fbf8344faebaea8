/* SPDX-License-Identifier: Apache-2.0 */
/* The directory in a worker: read in a thread, swapped whole in the event loop. */
#include "ekmotp_nginx.h"

#define POLL_MS 500

typedef struct load_job {
    ek_nginx_store *store;
    ekmotp_snapshot *previous; /* held while the thread runs */
    ekmotp_snapshot *loaded;   /* NULL: nothing new */
    ekmotp_error err;
} load_job;

static int open_directory(ek_nginx_store *store, ekmotp_directory **out, ekmotp_error *err)
{
    ek_token_opener_options token_options = {
        .agent_program = store->agent.len > 0 ? (const char *)store->agent.data : NULL};
    ekmotp_directory_options options = {
        .crypto = ekmotp_openssl_crypto(),
        .kek = store->kek.len > 0 ? (const char *)store->kek.data : NULL,
        .master = store->master.len > 0 ? (const char *)store->master.data : NULL,
        .open_token = ek_token_opener_open,
        .read_only = 1,
        .wait_ms = 1000,
    };
    int rc;

    /* It starts an agent when a key in a token is first used, and only then. */
    if (!store->opener && (rc = ek_token_opener_new(&token_options, &store->opener, err)) != 0)
        return rc;
    options.open_token_ctx = store->opener;
    return ekmotp_directory_open((const char *)store->path.data, &options, out, NULL, err);
}

static int is_token(const ngx_str_t *name)
{
    return name->len >= 7 && ngx_strncasecmp(name->data, (u_char *)"pkcs11:", 7) == 0;
}

ngx_int_t ek_nginx_store_check(ngx_conf_t *cf, ek_nginx_store *store)
{
    ekmotp_directory *directory = NULL;
    ekmotp_snapshot *snapshot = NULL;
    ekmotp_error err = {0};
    int rc;

    /* No agent in the master: nginx forks its workers from it. */
    if (is_token(&store->kek) || is_token(&store->master))
        return NGX_OK;
    rc = open_directory(store, &directory, &err);
    if (rc == 0)
        rc = ekmotp_snapshot_load(directory, NULL, &snapshot, &err);
    if (rc != 0)
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "ekmotp_directory %V: %s", &store->path, err.message);
    ekmotp_snapshot_free(&snapshot);
    ekmotp_directory_free(&directory);
    ek_token_opener_free(&store->opener);
    return rc == 0 ? NGX_OK : NGX_ERROR;
}

static void load(void *data, ngx_log_t *log)
{
    load_job *job = data;
    ek_nginx_store *store = job->store;
    int fresh = !store->directory, rc = 0;

    (void)log;
    if (fresh)
        rc = open_directory(store, &store->directory, &job->err);
    /* What was read through another opening cannot be compared. */
    if (rc == 0 && job->previous && !fresh) {
        rc = ekmotp_snapshot_stale(store->directory, job->previous, &job->err);
        if (rc == 0)
            return;
    }
    if (rc >= 0)
        rc = ekmotp_snapshot_load(store->directory, job->previous, &job->loaded, &job->err);
    if (rc < 0)
        ekmotp_directory_free(&store->directory);
}

static void loaded(ngx_event_t *ev)
{
    load_job *job = ev->data;
    ek_nginx_store *store = job->store;

    if (job->loaded) {
        ekmotp_snapshot_free(&store->snapshot);
        store->snapshot = job->loaded;
        store->complaint.message[0] = '\0';
        ngx_log_error(NGX_LOG_NOTICE, store->log, 0, "ekmotp_directory %V: read, %uz clients", &store->path,
                      ekmotp_snapshot_count(store->snapshot));
    } else if (job->err.code != 0 && ngx_strcmp(job->err.message, store->complaint.message) != 0) {
        store->complaint = job->err;
        ngx_log_error(NGX_LOG_ERR, store->log, 0, "ekmotp_directory %V: %s; %s", &store->path,
                      job->err.message,
                      store->snapshot ? "the version read before stays in use" : "every client is refused");
    }
    job->loaded = NULL;
    job->err.code = 0;
    ekmotp_snapshot_free(&job->previous);
    if (!ngx_exiting && !ngx_quit && !ngx_terminate)
        ngx_add_timer(&store->timer, POLL_MS);
}

static void poll_directory(ngx_event_t *ev)
{
    ek_nginx_store *store = ev->data;
    load_job *job = store->task->ctx;

    if (store->snapshot)
        job->previous = ekmotp_snapshot_ref(store->snapshot);
    if (ngx_thread_task_post(store->pool, store->task) != NGX_OK) {
        ekmotp_snapshot_free(&job->previous);
        ngx_add_timer(&store->timer, POLL_MS);
    }
}

ngx_int_t ek_nginx_store_start(ngx_cycle_t *cycle, ek_nginx_store *store)
{
    load_job *job;

    store->log = cycle->log;
    store->task = ngx_thread_task_alloc(cycle->pool, sizeof(load_job));
    if (!store->task)
        return NGX_ERROR;
    job = store->task->ctx;
    job->store = store;
    store->task->handler = load;
    store->task->event.handler = loaded;
    store->task->event.data = job;
    store->timer.handler = poll_directory;
    store->timer.data = store;
    store->timer.log = cycle->log;
    store->timer.cancelable = 1; /* does not keep a worker that is told to leave */
    /* The first time here and now: a worker that serves has a directory. */
    load(job, cycle->log);
    loaded(&store->task->event);
    return NGX_OK;
}

void ek_nginx_store_stop(ek_nginx_store *store)
{
    ekmotp_snapshot_free(&store->snapshot);
    ekmotp_directory_free(&store->directory);
    ek_token_opener_free(&store->opener);
}

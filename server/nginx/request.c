/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request is verified once, before the first thing that could answer it: in the rewrite phase, ahead of
 * nginx's own "return" and "rewrite" (the access phase, which those skip, would be too late, and "satisfy
 * any" could overrule it).
 */
#include "ekmotp_nginx.h"

static ngx_http_output_header_filter_pt next_header_filter;

/* Marks a request's memory: nginx forgets a module's context at an internal redirect, cleanups stay. */
static void forget(void *data)
{
    ek_nginx_request *v = data;

    if (v->waiting) {
        ngx_queue_remove(&v->queue);
    }
    ekmotp_snapshot_free(&v->snapshot);
}

ek_nginx_request *ek_nginx_request_get(ngx_http_request_t *r)
{
    ek_nginx_request *v = ngx_http_get_module_ctx(r->main, ngx_http_ekmotp_module);

    if (v)
        return v;
    for (ngx_pool_cleanup_t *cln = r->main->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == forget) {
            v = cln->data;
            ngx_http_set_ctx(r->main, v, ngx_http_ekmotp_module);
            return v;
        }
    }
    return NULL;
}

static ek_nginx_request *new_request(ngx_http_request_t *r, ek_nginx_loc_conf *conf)
{
    ngx_pool_cleanup_t *cln = ngx_pool_cleanup_add(r->main->pool, sizeof(ek_nginx_request));
    ek_nginx_request *v;

    if (!cln)
        return NULL;
    v = cln->data;
    ngx_memzero(v, sizeof(*v));
    v->request = r;
    v->conf = conf;
    cln->handler = forget;
    ngx_http_set_ctx(r->main, v, ngx_http_ekmotp_module);
    return v;
}

static void read_credentials(ngx_http_request_t *r, ekmotp_credentials *credentials)
{
    for (ngx_list_part_t *part = &r->headers_in.headers.part; part; part = part->next) {
        ngx_table_elt_t *field = part->elts;

        for (ngx_uint_t i = 0; i < part->nelts; i++)
            ekmotp_credentials_add(credentials, (char *)field[i].key.data, field[i].key.len,
                                   (char *)field[i].value.data, field[i].value.len);
    }
}

static ngx_int_t keep_text(ngx_http_request_t *r, ngx_str_t *to, const char *text)
{
    to->len = ngx_strlen(text);
    to->data = ngx_pnalloc(r->main->pool, to->len + 1);
    if (!to->data)
        return NGX_ERROR;
    ngx_memcpy(to->data, text, to->len + 1);
    return NGX_OK;
}

/*
 * Ends a connection that has served its share. On HTTP/2 nginx says so with the next request, which it still
 * answers: it is told one request earlier.
 */
static void limit_requests(ngx_http_request_t *r, ek_nginx_request *v)
{
    ngx_uint_t verified = ++v->channel->verified, max = v->conf->max_requests;

    if (max == 0)
        return;
    if (verified >= max)
        r->main->keepalive = 0;
#if (NGX_HTTP_V2)
    if (r->main->stream && verified + 1 >= max)
        r->main->stream->connection->connection->requests = NGX_MAX_INT32_VALUE;
#endif
}

static ngx_int_t conclude(ngx_http_request_t *r, ek_nginx_request *v, const ekmotp_verdict *verdict)
{
    char id[EKMOTP_ID_TEXT_SIZE];

    v->done = 1;
    v->status = verdict->status;
    v->reason = verdict->reason;
    v->n = verdict->n;
    v->profile = verdict->profile;
    ekmotp_snapshot_free(&v->snapshot);
    ekmotp_id_print(verdict->id, verdict->id_len, id);
    if (verdict->status == EKMOTP_VERDICT_ACCEPTED) {
        limit_requests(r, v);
        if (keep_text(r, &v->id, id) != NGX_OK ||
            keep_text(r, &v->authentication_info, verdict->authentication_info) != NGX_OK)
            return NGX_ERROR;
    } else if (v->reason != EKMOTP_REASON_NO_CREDENTIALS || v->conf->mode == EK_NGINX_ON) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0, "ekmotp: reason=%s client=\"%s\": %s%s%s",
                      ekmotp_reason_name(v->reason), id, ekmotp_reason_text(v->reason),
                      verdict->detail.code ? ": " : "", verdict->detail.message);
    }
    return NGX_OK;
}

static void derive(void *data, ngx_log_t *log)
{
    ek_nginx_request *v = *(ek_nginx_request **)data;

    (void)log;
    ekmotp_verifier_derive(v->channel->state);
}

static void resume(ngx_http_request_t *r)
{
    ngx_connection_t *c = r->connection;

    r->main->blocked--;
    r->write_event_handler(r);
    ngx_http_run_posted_requests(c);
}

/* In the event loop again: this request goes on, and those that waited for the same channel. */
static void derived(ngx_event_t *ev)
{
    ek_nginx_request *v = *(ek_nginx_request **)ev->data;
    ek_nginx_channel *channel = v->channel;
    ngx_queue_t waiting;

    channel->busy = 0;
    ngx_queue_init(&waiting);
    if (!ngx_queue_empty(&channel->waiting)) {
        ngx_queue_add(&waiting, &channel->waiting);
        ngx_queue_init(&channel->waiting);
    }
    resume(v->request);
    while (!ngx_queue_empty(&waiting)) {
        ek_nginx_request *other = ngx_queue_data(ngx_queue_head(&waiting), ek_nginx_request, queue);

        ngx_queue_remove(&other->queue);
        other->waiting = 0;
        resume(other->request);
    }
    ek_nginx_channel_release(channel);
}

/* Makes the channel secret in a thread: a token may take milliseconds, or not answer. */
static ngx_int_t start_derive(ngx_http_request_t *r, ek_nginx_request *v)
{
    ek_nginx_main_conf *main_conf = ngx_http_get_module_main_conf(r, ngx_http_ekmotp_module);
    ngx_thread_task_t *task = ngx_thread_task_alloc(r->main->pool, sizeof(v));

    if (!task)
        return NGX_ERROR;
    *(ek_nginx_request **)task->ctx = v;
    task->handler = derive;
    task->event.handler = derived;
    task->event.data = task->ctx;
    if (ngx_thread_task_post(main_conf->pool, task) != NGX_OK)
        return NGX_ERROR;
    v->channel->busy = 1;
    v->channel->owners++;
    r->main->blocked++;
    return NGX_DONE;
}

static ngx_int_t wait_for_channel(ngx_http_request_t *r, ek_nginx_request *v)
{
    v->waiting = 1;
    ngx_queue_insert_tail(&v->channel->waiting, &v->queue);
    r->main->blocked++;
    return NGX_DONE;
}

static ngx_int_t run_verifier(ngx_http_request_t *r, ek_nginx_request *v)
{
    ekmotp_credentials credentials = {0};
    ekmotp_verdict verdict;
    ekmotp_lookup lookup;
    ngx_int_t rc;

    if (!v->snapshot)
        v->snapshot = ekmotp_snapshot_ref(v->conf->store->snapshot);
    read_credentials(r, &credentials);
    lookup = ekmotp_snapshot_lookup(v->snapshot);
    if (ekmotp_verifier_verify(v->conf->verifier, v->channel->state, v->channel->channel, &credentials,
                               &lookup, ngx_time(), EKMOTP_VERIFY_ASYNC, &verdict) == EKMOTP_VERDICT_PENDING)
        rc = start_derive(r, v);
    else
        rc = conclude(r, v, &verdict);
    ekmotp_verdict_clear(&verdict);
    return rc;
}

/* A verdict that needs no verifier; not in verify, which would clear the large struct for each request. */
static ngx_int_t conclude_without(ngx_http_request_t *r, ek_nginx_request *v, ekmotp_verdict_status status,
                                  ekmotp_reason reason, int code, const char *why)
{
    ekmotp_verdict verdict = {.status = status, .reason = reason};

    ekmotp_error_set(&verdict.detail, code, "%s", why);
    return conclude(r, v, &verdict);
}

/* NGX_OK when the verdict is there, NGX_DONE when it will be, NGX_ERROR. */
static ngx_int_t verify(ngx_http_request_t *r, ek_nginx_loc_conf *conf)
{
    ek_nginx_request *v = ek_nginx_request_get(r);

    /* Another location may have another directory: that is another question. */
    if (v && v->done && v->conf->store == conf->store)
        return NGX_OK;
    if (!v || v->done || v->request != r)
        v = new_request(r, conf);
    if (!v)
        return NGX_ERROR;
    if (!r->connection->ssl)
        return conclude_without(r, v, EKMOTP_VERDICT_REFUSED, EKMOTP_REASON_CHANNEL_VERSION,
                                EKMOTP_E_CHANNEL_VERSION, "plain HTTP: this listener has no TLS");
    if (!conf->store->snapshot)
        return conclude_without(r, v, EKMOTP_VERDICT_UNAVAILABLE, EKMOTP_REASON_INTERNAL, EKMOTP_E_DIRECTORY,
                                "the directory could not be read");
    if (!v->channel)
        v->channel = ek_nginx_channel_of(r, conf->store);
    if (!v->channel)
        return NGX_ERROR;
    return v->channel->busy ? wait_for_channel(r, v) : run_verifier(r, v);
}

static ngx_table_elt_t *add_header(ngx_http_request_t *r, const char *name, ngx_str_t value)
{
    ngx_table_elt_t *header = ngx_list_push(&r->headers_out.headers);

    if (!header)
        return NULL;
    header->hash = 1;
#if (nginx_version >= 1023000)
    header->next = NULL;
#endif
    header->key.data = (u_char *)name;
    header->key.len = ngx_strlen(name);
    header->value = value;
    return header;
}

/* The uniform refusal: nothing in it depends on the reason. */
static ngx_int_t refuse(ngx_http_request_t *r, const ek_nginx_loc_conf *conf, ek_nginx_request *v)
{
    ngx_str_t challenge;

    if (r == r->main)
        v->refused = 1;
    if (v->status == EKMOTP_VERDICT_UNAVAILABLE) {
        ngx_str_t seconds = ngx_string("5");

        return add_header(r, "Retry-After", seconds) ? NGX_HTTP_SERVICE_UNAVAILABLE : NGX_ERROR;
    }
    challenge.data = (u_char *)ekmotp_verifier_challenge(conf->verifier);
    challenge.len = ngx_strlen(challenge.data);
    r->headers_out.www_authenticate = add_header(r, "WWW-Authenticate", challenge);
    return r->headers_out.www_authenticate ? NGX_HTTP_UNAUTHORIZED : NGX_ERROR;
}

static ngx_int_t handle(ngx_http_request_t *r, ek_nginx_loc_conf *conf)
{
    ngx_int_t rc = verify(r, conf);
    ek_nginx_request *v;

    if (rc == NGX_ERROR)
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    if (rc == NGX_DONE)
        return NGX_DONE;
    v = ek_nginx_request_get(r);
    if (conf->mode == EK_NGINX_OPTIONAL ||
        (v->status == EKMOTP_VERDICT_ACCEPTED && conf->profiles & EKMOTP_PROFILE_BIT(v->profile)))
        return NGX_DECLINED;
    return refuse(r, conf, v);
}

/* The page that error_page has for our refusal. (Pages of other errors are verified as anything else.) */
static int shows_refusal(ngx_http_request_t *r)
{
    ek_nginx_request *v = r->error_page && r == r->main ? ek_nginx_request_get(r) : NULL;

    return v && v->refused;
}

ngx_int_t ek_nginx_rewrite_handler(ngx_http_request_t *r)
{
    ek_nginx_loc_conf *conf = ngx_http_get_module_loc_conf(r, ngx_http_ekmotp_module);

    if (conf->mode == EK_NGINX_OFF || shows_refusal(r))
        return NGX_DECLINED;
    return handle(r, conf);
}

/* Before a location is known, for "return" and "rewrite" of the server block itself. */
ngx_int_t ek_nginx_server_rewrite_handler(ngx_http_request_t *r)
{
    ek_nginx_loc_conf *conf = ngx_http_get_module_loc_conf(r, ngx_http_ekmotp_module);

    if (conf->mode == EK_NGINX_OFF || conf->exceptions || shows_refusal(r))
        return NGX_DECLINED;
    return handle(r, conf);
}

/* The server's proof; a backend's field of that name would make two. */
static ngx_int_t header_filter(ngx_http_request_t *r)
{
    static const char name[] = "Authentication-Info";
    ek_nginx_request *v = r == r->main ? ek_nginx_request_get(r) : NULL;

    if (!v || v->status != EKMOTP_VERDICT_ACCEPTED || v->authentication_info.len == 0)
        return next_header_filter(r);
    for (ngx_list_part_t *part = &r->headers_out.headers.part; part; part = part->next) {
        ngx_table_elt_t *field = part->elts;

        for (ngx_uint_t i = 0; i < part->nelts; i++)
            if (field[i].key.len == sizeof(name) - 1 &&
                ngx_strncasecmp(field[i].key.data, (u_char *)name, sizeof(name) - 1) == 0)
                field[i].hash = 0;
    }
    if (!add_header(r, name, v->authentication_info))
        return NGX_ERROR;
    return next_header_filter(r);
}

void ek_nginx_header_filter_init(void)
{
    next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = header_filter;
}

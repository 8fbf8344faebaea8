/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ekmotp_nginx.h: the parts of the nginx module. module.c has the directives and variables, request.c what
 * becomes of a request, channel.c what is kept per connection, store.c the directory in each worker.
 */
#ifndef EKMOTP_NGINX_H
#define EKMOTP_NGINX_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <ekmotp/directory.h>
#include <ekmotp/jose.h>
#include <ekmotp/openssl.h>
#include <ekmotp/verifier.h>

#include "server/token_opener.h"

extern ngx_module_t ngx_http_ekmotp_module;

/* ---- store.c: a directory, read again by each worker when it has changed ---- */

typedef struct ek_nginx_store {
    ngx_str_t path;   /* NUL-terminated, as kek and master */
    ngx_str_t kek;    /* len 0: FILE.kek */
    ngx_str_t master; /* len 0: none */
    ngx_uint_t index; /* among the stores of the configuration */
    ngx_str_t agent;  /* program of the agent; len 0: the installed one */
    /* of this worker: */
    ekmotp_directory *directory;
    ekmotp_snapshot *snapshot; /* NULL until the first one is read */
    ekmotp_error complaint;    /* the last one that was logged since it could be read */
    ek_token_opener *opener;
    ngx_event_t timer;
    ngx_thread_pool_t *pool;
    ngx_thread_task_t *task;
    ngx_log_t *log;
} ek_nginx_store;

/* Reads the directory once while the configuration is loaded, so that nginx -t tells what is wrong with it.
 */
ngx_int_t ek_nginx_store_check(ngx_conf_t *cf, ek_nginx_store *store);
/* In a worker: reads the directory and watches it. */
ngx_int_t ek_nginx_store_start(ngx_cycle_t *cycle, ek_nginx_store *store);
void ek_nginx_store_stop(ek_nginx_store *store);

/* ---- configuration ---- */

#define EK_NGINX_OFF 0
#define EK_NGINX_ON 1
#define EK_NGINX_OPTIONAL 2

typedef struct ek_nginx_main_conf {
    ngx_array_t stores; /* of ek_nginx_store * */
    ngx_thread_pool_t *pool;
    ngx_str_t agent;
} ek_nginx_main_conf;

typedef struct ek_nginx_loc_conf ek_nginx_loc_conf;
struct ek_nginx_loc_conf {
    ngx_uint_t mode;
    ek_nginx_store *store;
    ngx_uint_t profiles; /* set of EKMOTP_PROFILE_BIT */
    ngx_str_t realm;
    ngx_uint_t max_requests;
    ekmotp_verifier *verifier;
    ek_nginx_loc_conf *outer; /* the block around this one */
    unsigned exceptions : 1;  /* a block in this one is not "on", or with another directory or profiles */
};

/* ---- channel.c: what is kept per TLS connection and store ---- */

typedef struct ek_nginx_channel {
    ekmotp_channel *channel;
    ekmotp_verifier_state *state;
    ngx_uint_t verified; /* requests that were accepted */
    ngx_uint_t owners;   /* the connection, and a thread that makes a channel secret */
    ngx_queue_t waiting; /* of ek_nginx_request: while such a thread runs */
    unsigned busy : 1;
} ek_nginx_channel;

ngx_int_t ek_nginx_channel_init(ngx_conf_t *cf);
/* The channel of a request's connection for a store, made at its first use; NULL when memory ran out. */
ek_nginx_channel *ek_nginx_channel_of(ngx_http_request_t *r, const ek_nginx_store *store);
void ek_nginx_channel_release(ek_nginx_channel *channel);

/* ---- request.c ---- */

typedef struct ek_nginx_request {
    ngx_http_request_t *request; /* that asked for the verdict: the main one, or a subrequest */
    ek_nginx_loc_conf *conf;
    ek_nginx_channel *channel;
    ekmotp_snapshot *snapshot; /* held while a secret is made */
    ngx_queue_t queue;         /* in channel->waiting */
    unsigned done : 1;
    unsigned waiting : 1;
    unsigned refused : 1; /* and answered so: what shows the refusal is not refused again */
    ekmotp_verdict_status status;
    ekmotp_reason reason;
    ekmotp_profile profile;
    uint64_t n;
    ngx_str_t id; /* as ekmotp_id_print writes it; of an accepted request */
    ngx_str_t authentication_info;
} ek_nginx_request;

/* The verdict on the main request, NULL where none was asked for. */
ek_nginx_request *ek_nginx_request_get(ngx_http_request_t *r);
ngx_int_t ek_nginx_server_rewrite_handler(ngx_http_request_t *r);
ngx_int_t ek_nginx_rewrite_handler(ngx_http_request_t *r);
void ek_nginx_header_filter_init(void);

#endif

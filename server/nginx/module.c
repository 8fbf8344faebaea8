/* SPDX-License-Identifier: Apache-2.0 */
/* Directives, variables and phases. */
#include "ekmotp_nginx.h"

#define DEFAULT_REALM "ekmotp"

static ngx_conf_enum_t modes[] = {
    {ngx_string("off"), EK_NGINX_OFF},
    {ngx_string("on"), EK_NGINX_ON},
    {ngx_string("optional"), EK_NGINX_OPTIONAL},
    {ngx_null_string, 0},
};

static void *create_main_conf(ngx_conf_t *cf)
{
    ek_nginx_main_conf *conf = ngx_pcalloc(cf->pool, sizeof(*conf));

    if (!conf || ngx_array_init(&conf->stores, cf->pool, 1, sizeof(ek_nginx_store *)) != NGX_OK)
        return NULL;
    return conf;
}

static void *create_loc_conf(ngx_conf_t *cf)
{
    ek_nginx_loc_conf *conf = ngx_pcalloc(cf->pool, sizeof(*conf));

    if (!conf)
        return NULL;
    conf->mode = NGX_CONF_UNSET_UINT;
    conf->store = NGX_CONF_UNSET_PTR;
    conf->max_requests = NGX_CONF_UNSET_UINT;
    return conf;
}

static void free_verifier(void *data)
{
    ekmotp_verifier *verifier = data;

    ekmotp_verifier_free(&verifier);
}

static char *make_verifier(ngx_conf_t *cf, ek_nginx_loc_conf *conf)
{
    ngx_pool_cleanup_t *cln = ngx_pool_cleanup_add(cf->pool, 0);
    ekmotp_error err = {0};

    if (!cln)
        return NGX_CONF_ERROR;
    if (ekmotp_verifier_new(ekmotp_openssl_crypto(), (unsigned)conf->profiles, (const char *)conf->realm.data,
                            &conf->verifier, &err) != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "ekmotp: %s", err.message);
        return NGX_CONF_ERROR;
    }
    ekmotp_verifier_set_bearer(conf->verifier, ekmotp_jose_bearer(), NULL);
    cln->handler = free_verifier;
    cln->data = conf->verifier;
    return NGX_CONF_OK;
}

/* A verdict by the block around would be another one. */
static int is_exception(const ek_nginx_loc_conf *conf, const ek_nginx_loc_conf *outer)
{
    return conf->mode != EK_NGINX_ON || conf->store != outer->store || conf->profiles != outer->profiles;
}

static char *merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ek_nginx_loc_conf *prev = parent, *conf = child;
    int inherited = conf->profiles == 0 && conf->realm.data == NULL && prev->verifier != NULL;

    ngx_conf_merge_uint_value(conf->mode, prev->mode, EK_NGINX_OFF);
    ngx_conf_merge_ptr_value(conf->store, prev->store, NULL);
    ngx_conf_merge_uint_value(conf->max_requests, prev->max_requests, 0);
    ngx_conf_merge_str_value(conf->realm, prev->realm, DEFAULT_REALM);
    if (conf->profiles == 0)
        conf->profiles = prev->profiles != 0 ? prev->profiles : EKMOTP_PROFILE_BIT(EKMOTP_PROFILE_V1);
    conf->outer = prev;
    for (ek_nginx_loc_conf *outer = prev; outer; outer = outer->outer)
        outer->exceptions |= is_exception(conf, outer);
    if (conf->mode == EK_NGINX_OFF)
        return NGX_CONF_OK;
    if (!conf->store) {
        ngx_conf_log_error(
            NGX_LOG_EMERG, cf, 0,
            "\"ekmotp on\" or \"optional\" needs an \"ekmotp_directory\" in this block or around it");
        return NGX_CONF_ERROR;
    }
    if (inherited) {
        conf->verifier = prev->verifier;
        return NGX_CONF_OK;
    }
    return make_verifier(cf, conf);
}

static int same_text(const ngx_str_t *a, const ngx_str_t *b)
{
    return a->len == b->len && ngx_strncmp(a->data, b->data, a->len) == 0;
}

/* One store for one directory, however often it is named. */
static ek_nginx_store *intern_store(ngx_conf_t *cf, const ek_nginx_store *wanted)
{
    ek_nginx_main_conf *main_conf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ekmotp_module);
    ek_nginx_store **stores = main_conf->stores.elts, *store;

    for (ngx_uint_t i = 0; i < main_conf->stores.nelts; i++)
        if (same_text(&stores[i]->path, &wanted->path) && same_text(&stores[i]->kek, &wanted->kek) &&
            same_text(&stores[i]->master, &wanted->master))
            return stores[i];
    store = ngx_pcalloc(cf->pool, sizeof(*store));
    stores = ngx_array_push(&main_conf->stores);
    if (!store || !stores)
        return NULL;
    *store = *wanted;
    store->index = main_conf->stores.nelts - 1;
    *stores = store;
    return store;
}

static ngx_int_t read_name(ngx_conf_t *cf, const ngx_str_t *word, size_t skip, ngx_str_t *name)
{
    name->data = word->data + skip;
    name->len = word->len - skip;
    if (name->len > 0 && ngx_strncasecmp(name->data, (u_char *)"pkcs11:", 7) == 0)
        return NGX_OK;
    return ngx_conf_full_name(cf->cycle, name, 1);
}

static char *set_directory(ngx_conf_t *cf, ngx_command_t *cmd, void *data)
{
    ek_nginx_loc_conf *conf = data;
    ngx_str_t *words = cf->args->elts;
    ek_nginx_store wanted;
    ngx_int_t rc;

    (void)cmd;
    if (conf->store != NGX_CONF_UNSET_PTR)
        return "is duplicate";
    ngx_memzero(&wanted, sizeof(wanted));
    rc = read_name(cf, &words[1], 0, &wanted.path);
    for (ngx_uint_t i = 2; i < cf->args->nelts && rc == NGX_OK; i++) {
        if (ngx_strncmp(words[i].data, "kek=", 4) == 0 && words[i].len > 4) {
            rc = read_name(cf, &words[i], 4, &wanted.kek);
        } else if (ngx_strncmp(words[i].data, "master=", 7) == 0 && words[i].len > 7) {
            rc = read_name(cf, &words[i], 7, &wanted.master);
        } else {
            ngx_conf_log_error(
                NGX_LOG_EMERG, cf, 0,
                "invalid parameter \"%V\": ekmotp_directory takes FILE, kek=FILE|pkcs11:URI and "
                "master=FILE|pkcs11:URI",
                &words[i]);
            return NGX_CONF_ERROR;
        }
    }
    conf->store = rc == NGX_OK ? intern_store(cf, &wanted) : NULL;
    return conf->store ? NGX_CONF_OK : NGX_CONF_ERROR;
}

#define NGINX_PROFILES                                                                                       \
    (EKMOTP_PROFILE_BIT(EKMOTP_PROFILE_V1) | EKMOTP_PROFILE_BIT(EKMOTP_PROFILE_COMPAT_APIKEY) |              \
     EKMOTP_PROFILE_BIT(EKMOTP_PROFILE_COMPAT_APIKEY_HMAC))

static char *set_profile(ngx_conf_t *cf, ngx_command_t *cmd, void *data)
{
    ek_nginx_loc_conf *conf = data;
    ngx_str_t *words = cf->args->elts;
    ekmotp_error err = {0};

    (void)cmd;
    if (conf->profiles != 0)
        return "is duplicate";
    for (ngx_uint_t i = 1; i < cf->args->nelts; i++) {
        ekmotp_profile profile = EKMOTP_PROFILE_COUNT;
        int rc = ekmotp_profile_parse((const char *)words[i].data, &profile, &err);

        if (rc == 0 && !(NGINX_PROFILES & EKMOTP_PROFILE_BIT(profile)))
            rc = ekmotp_error_set(&err, EKMOTP_E_PROFILE, "profile %s is not for nginx; ekmotpd offers it",
                                  ekmotp_profile_name(profile));
        if (rc == 0 && conf->profiles & EKMOTP_PROFILE_BIT(profile))
            rc = ekmotp_error_set(&err, EKMOTP_E_PROFILE, "profile %s stands twice",
                                  ekmotp_profile_name(profile));
        if (rc != 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "ekmotp_profile: %s", err.message);
            return NGX_CONF_ERROR;
        }
        conf->profiles |= EKMOTP_PROFILE_BIT(profile);
    }
    return NGX_CONF_OK;
}

#define EVERYWHERE (NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF)

static ngx_command_t commands[] = {
    {ngx_string("ekmotp"), EVERYWHERE | NGX_CONF_TAKE1, ngx_conf_set_enum_slot, NGX_HTTP_LOC_CONF_OFFSET,
     offsetof(ek_nginx_loc_conf, mode), modes},
    {ngx_string("ekmotp_directory"), EVERYWHERE | NGX_CONF_TAKE123, set_directory, NGX_HTTP_LOC_CONF_OFFSET,
     0, NULL},
    {ngx_string("ekmotp_profile"), EVERYWHERE | NGX_CONF_1MORE, set_profile, NGX_HTTP_LOC_CONF_OFFSET, 0,
     NULL},
    {ngx_string("ekmotp_realm"), EVERYWHERE | NGX_CONF_TAKE1, ngx_conf_set_str_slot, NGX_HTTP_LOC_CONF_OFFSET,
     offsetof(ek_nginx_loc_conf, realm), NULL},
    {ngx_string("ekmotp_max_requests"), EVERYWHERE | NGX_CONF_TAKE1, ngx_conf_set_num_slot,
     NGX_HTTP_LOC_CONF_OFFSET, offsetof(ek_nginx_loc_conf, max_requests), NULL},
    {ngx_string("ekmotp_agent_program"), NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1, ngx_conf_set_str_slot,
     NGX_HTTP_MAIN_CONF_OFFSET, offsetof(ek_nginx_main_conf, agent), NULL},
    ngx_null_command,
};

/* ---- variables ---- */

enum { VAR_CLIENT, VAR_STATUS, VAR_REASON, VAR_N };

static const char *status_word(const ek_nginx_request *v)
{
    if (!v || !v->done)
        return "off";
    switch (v->status) {
    case EKMOTP_VERDICT_ACCEPTED:
        return "accepted";
    case EKMOTP_VERDICT_UNAVAILABLE:
        return "unavailable";
    default:
        return v->reason == EKMOTP_REASON_NO_CREDENTIALS ? "none" : "refused";
    }
}

static ngx_int_t get_variable(ngx_http_request_t *r, ngx_http_variable_value_t *value, uintptr_t which)
{
    ek_nginx_request *v = ek_nginx_request_get(r);
    ngx_str_t text = ngx_null_string;
    u_char number[NGX_INT64_LEN];

    if (which == VAR_CLIENT && v && v->status == EKMOTP_VERDICT_ACCEPTED) {
        text = v->id;
    } else if (which == VAR_STATUS) {
        text.data = (u_char *)status_word(v);
        text.len = ngx_strlen(text.data);
    } else if (which == VAR_REASON && v && v->done) {
        text.data = (u_char *)ekmotp_reason_name(v->reason);
        text.len = ngx_strlen(text.data);
    } else if (which == VAR_N && v && v->status == EKMOTP_VERDICT_ACCEPTED && v->n > 0) {
        text.len = (size_t)(ngx_sprintf(number, "%uL", v->n) - number);
        text.data = ngx_pnalloc(r->pool, text.len);
        if (!text.data)
            return NGX_ERROR;
        ngx_memcpy(text.data, number, text.len);
    }
    value->data = text.data;
    value->len = (unsigned)text.len;
    value->not_found = text.data == NULL;
    value->valid = 1;
    value->no_cacheable = 1;
    return NGX_OK;
}

static ngx_int_t add_variables(ngx_conf_t *cf)
{
    static ngx_str_t names[] = {ngx_string("ekmotp_client"), ngx_string("ekmotp_status"),
                                ngx_string("ekmotp_reason"), ngx_string("ekmotp_n")};

    for (uintptr_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        ngx_http_variable_t *var = ngx_http_add_variable(cf, &names[i], NGX_HTTP_VAR_NOCACHEABLE);

        if (!var)
            return NGX_ERROR;
        var->get_handler = get_variable;
        var->data = i;
    }
    return NGX_OK;
}

/* ---- start ---- */

/* The first member of nginx's own configuration of "return", "rewrite", "if" and "set": what is to be run. */
static int has_rewrite_codes(ngx_conf_t *cf, ngx_http_core_srv_conf_t *server)
{
    for (ngx_uint_t i = 0; cf->cycle->modules[i]; i++) {
        ngx_module_t *module = cf->cycle->modules[i];

        if (ngx_strcmp(module->name, "ngx_http_rewrite_module") == 0) {
            ngx_array_t **conf = server->ctx->loc_conf[module->ctx_index];

            return *conf != NULL && (void *)*conf != NGX_CONF_UNSET_PTR;
        }
    }
    return 0;
}

/*
 * "return" in the server block answers before nginx knows the location. That is covered where the whole
 * server is "on" alike; where a location in it is not, it cannot be, and is refused.
 */
static ngx_int_t check_server(ngx_conf_t *cf, ngx_http_core_srv_conf_t *server)
{
    ek_nginx_loc_conf *conf = server->ctx->loc_conf[ngx_http_ekmotp_module.ctx_index];
    ngx_http_ssl_srv_conf_t *ssl = server->ctx->srv_conf[ngx_http_ssl_module.ctx_index];

    if (conf->mode == EK_NGINX_ON && conf->exceptions && has_rewrite_codes(cf, server)) {
        ngx_log_error(
            NGX_LOG_EMERG, cf->log, 0,
            "ekmotp: server \"%V\" is \"ekmotp on\", has a location that is not, or with a directory or "
            "profiles of its own, and has \"return\", \"rewrite\", \"if\" or \"set\" outside of its "
            "locations, which nginx runs before it knows the location: move them into locations, or say "
            "\"ekmotp on\" in each location instead",
            &server->server_name);
        return NGX_ERROR;
    }
    /* Rule 1: a renegotiation, even one that is refused, parts the two exporters. */
    if (ssl && ssl->ssl.ctx)
        SSL_CTX_set_options(ssl->ssl.ctx, SSL_OP_NO_RENEGOTIATION);
    return NGX_OK;
}

static ngx_int_t add_handler(ngx_http_core_main_conf_t *core, ngx_uint_t phase, ngx_http_handler_pt handler)
{
    ngx_http_handler_pt *slot = ngx_array_push(&core->phases[phase].handlers);

    if (!slot)
        return NGX_ERROR;
    *slot = handler;
    return NGX_OK;
}

static ngx_int_t postconfiguration(ngx_conf_t *cf)
{
    ngx_http_core_main_conf_t *core = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    ek_nginx_main_conf *conf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ekmotp_module);
    ngx_http_core_srv_conf_t **servers = core->servers.elts;
    ek_nginx_store **stores = conf->stores.elts;

    if (conf->stores.nelts == 0)
        return NGX_OK;
    conf->pool = ngx_thread_pool_add(cf, NULL);
    if (!conf->pool || ek_nginx_channel_init(cf) != NGX_OK)
        return NGX_ERROR;
    for (ngx_uint_t i = 0; i < conf->stores.nelts; i++) {
        stores[i]->pool = conf->pool;
        stores[i]->agent = conf->agent;
        if (ek_nginx_store_check(cf, stores[i]) != NGX_OK)
            return NGX_ERROR;
    }
    for (ngx_uint_t i = 0; i < core->servers.nelts; i++)
        if (check_server(cf, servers[i]) != NGX_OK)
            return NGX_ERROR;
    if (add_handler(core, NGX_HTTP_SERVER_REWRITE_PHASE, ek_nginx_server_rewrite_handler) != NGX_OK ||
        add_handler(core, NGX_HTTP_REWRITE_PHASE, ek_nginx_rewrite_handler) != NGX_OK)
        return NGX_ERROR;
    ek_nginx_header_filter_init();
    return NGX_OK;
}

static ek_nginx_main_conf *cycle_conf(ngx_cycle_t *cycle)
{
    return ngx_http_cycle_get_module_main_conf(cycle, ngx_http_ekmotp_module);
}

static ngx_int_t init_process(ngx_cycle_t *cycle)
{
    ek_nginx_main_conf *conf = cycle_conf(cycle);

    if (!conf || (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE))
        return NGX_OK;
    for (ngx_uint_t i = 0; i < conf->stores.nelts; i++)
        if (ek_nginx_store_start(cycle, ((ek_nginx_store **)conf->stores.elts)[i]) != NGX_OK)
            return NGX_ERROR;
    return NGX_OK;
}

static void exit_process(ngx_cycle_t *cycle)
{
    ek_nginx_main_conf *conf = cycle_conf(cycle);

    for (ngx_uint_t i = 0; conf && i < conf->stores.nelts; i++)
        ek_nginx_store_stop(((ek_nginx_store **)conf->stores.elts)[i]);
}

static ngx_http_module_t module_ctx = {
    .preconfiguration = add_variables,
    .postconfiguration = postconfiguration,
    .create_main_conf = create_main_conf,
    .create_loc_conf = create_loc_conf,
    .merge_loc_conf = merge_loc_conf,
};

ngx_module_t ngx_http_ekmotp_module = {
    NGX_MODULE_V1, &module_ctx, commands, NGX_HTTP_MODULE, NULL, NULL,
    init_process,  NULL,        NULL,     exit_process,    NULL, NGX_MODULE_V1_PADDING,
};

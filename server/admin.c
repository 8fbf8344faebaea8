/* SPDX-License-Identifier: Apache-2.0 */
#include "server/admin.h"

#include "server/address.h"

#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TIMEOUT_SECONDS 10
#define HEADERS_MAX 4096

struct ek_admin {
    struct evhttp *http;
    const ek_metrics_source *source;
    int stopping;
};

static void send_reply(struct evhttp_request *req, int status, const char *phrase, const char *type,
                       struct evbuffer *body)
{
    evhttp_add_header(evhttp_request_get_output_headers(req), "Content-Type", type);
    evhttp_add_header(evhttp_request_get_output_headers(req), "Cache-Control", "no-store");
    evhttp_send_reply(req, status, phrase, body);
}

static void on_metrics(struct evhttp_request *req, void *arg)
{
    ek_admin *admin = arg;
    struct evbuffer *body = evbuffer_new();

    if (!body || ek_metrics_write(admin->source, body) != 0)
        evhttp_send_error(req, 503, "Service Unavailable");
    else
        send_reply(req, 200, "OK", EK_METRICS_TYPE, body);
    if (body)
        evbuffer_free(body);
}

static void on_health(struct evhttp_request *req, void *arg)
{
    ek_admin *admin = arg;
    struct evbuffer *body = evbuffer_new();

    if (!body) {
        evhttp_send_error(req, 503, "Service Unavailable");
        return;
    }
    evbuffer_add_printf(body, admin->stopping ? "stopping\n" : "ok\n");
    if (admin->stopping)
        send_reply(req, 503, "Service Unavailable", "text/plain", body);
    else
        send_reply(req, 200, "OK", "text/plain", body);
    evbuffer_free(body);
}

/* Where to listen, if it may be there. */
static int read_address(const ek_config *config, const char *where, ek_address *address, ekmotp_error *err)
{
    int rc = ek_address_parse(where, address, err);

    if (rc == 0 && !ek_address_is_loopback(address) && !config->admin_remote)
        rc = ekmotp_error_set(
            err, EKMOTP_E_INVAL,
            "--admin-listen %s is not loopback, and everybody who reaches it reads the metrics: "
            "add --admin-remote if that is meant",
            where);
    return rc;
}

int ek_admin_check(const ek_config *config, ekmotp_error *err)
{
    ek_address address;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < config->admin_listen.count; i++)
        rc = read_address(config, config->admin_listen.items[i], &address, err);
    return rc;
}

static int listen_on(ek_admin *admin, const ek_config *config, const char *where, ekmotp_error *err)
{
    char text[EK_ADDRESS_SIZE];
    ek_address address;
    int fd, rc = read_address(config, where, &address, err);

    if (rc != 0)
        return rc;
    rc = ek_address_listen(&address, 1, &fd, err);
    if (rc != 0)
        return rc;
    if (evhttp_accept_socket(admin->http, fd) != 0) {
        close(fd);
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "cannot take connections on %s", where);
    }
    ek_address_format(&address, text);
    printf("metrics on http://%s/metrics\n", text);
    return 0;
}

int ek_admin_new(const ek_config *config, struct event_base *base, const ek_metrics_source *source,
                 ek_admin **out, ekmotp_error *err)
{
    ek_admin *admin = calloc(1, sizeof(*admin));
    int rc = 0;

    if (admin)
        admin->http = evhttp_new(base);
    if (!admin || !admin->http) {
        free(admin);
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory");
    }
    admin->source = source;
    evhttp_set_allowed_methods(admin->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
    evhttp_set_timeout(admin->http, TIMEOUT_SECONDS);
    evhttp_set_max_headers_size(admin->http, HEADERS_MAX);
    evhttp_set_max_body_size(admin->http, 0);
    evhttp_set_cb(admin->http, "/metrics", on_metrics, admin);
    evhttp_set_cb(admin->http, "/healthz", on_health, admin);
    for (size_t i = 0; rc == 0 && i < config->admin_listen.count; i++)
        rc = listen_on(admin, config, config->admin_listen.items[i], err);
    if (rc != 0)
        ek_admin_free(&admin);
    else
        *out = admin;
    return rc;
}

void ek_admin_free(ek_admin **admin)
{
    if (!admin || !*admin)
        return;
    evhttp_free((*admin)->http);
    free(*admin);
    *admin = NULL;
}

void ek_admin_set_stopping(ek_admin *admin)
{
    if (admin)
        admin->stopping = 1;
}

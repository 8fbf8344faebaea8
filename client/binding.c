/* SPDX-License-Identifier: Apache-2.0 */
#include "client/binding.h"
#include "lib/common/secret.h"

#include <ekmotp/jose.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define LINE_SIZE (EKMOTP_HEADER_NAME_SIZE + sizeof(": Bearer ") + EKMOTP_JOSE_TOKEN_MAX)

/* A header list entry that is ours: libcurl reads it again for each request. */
typedef struct slot {
    struct curl_slist entry;
    const char *name;
    char line[LINE_SIZE];
} slot;

struct ek_binding {
    ek_binding_options options;
    CURL *curl;
    ek_origin origin;
    long connects;          /* how many connections libcurl had made in this transfer when it asked last */
    ek_connection *current; /* of the last bound request */
    slot slots[EKMOTP_HEADERS_MAX];
    size_t slot_count;
    ek_binding_state state;
    char *derived;
    size_t derived_size;
};

static int is_apikey(ekmotp_profile profile)
{
    return profile == EKMOTP_PROFILE_COMPAT_APIKEY || profile == EKMOTP_PROFILE_COMPAT_APIKEY_HMAC;
}

/* A name without a value is what libcurl leaves out of the request. */
static void blank_slots(ek_binding *binding)
{
    for (size_t i = 0; i < binding->slot_count; i++) {
        slot *s = &binding->slots[i];

        ek_wipe(s->line, sizeof(s->line));
        snprintf(s->line, sizeof(s->line), "%s:", s->name);
    }
}

int ek_binding_new(const ek_binding_options *options, ek_binding **out, ekmotp_error *err)
{
    ek_binding *binding = calloc(1, sizeof(*binding));
    size_t derived_size = options->show_derived ? LINE_SIZE : 1;

    if (binding)
        binding->derived = calloc(1, derived_size);
    if (!binding || !binding->derived) {
        free(binding);
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory for a request");
    }
    binding->options = *options;
    binding->derived_size = derived_size;
    if (is_apikey(options->profile)) {
        binding->slot_count = 2;
        binding->slots[0].name = "client";
        binding->slots[1].name = "apikey";
    } else {
        binding->slot_count = 1;
        binding->slots[0].name = "Authorization";
    }
    blank_slots(binding);
    *out = binding;
    return 0;
}

void ek_binding_free(ek_binding **binding)
{
    if (!binding || !*binding)
        return;
    ek_connection_release(&(*binding)->current);
    ek_wipe((*binding)->derived, (*binding)->derived_size);
    free((*binding)->derived);
    ek_wipe(*binding, sizeof(**binding));
    free(*binding);
    *binding = NULL;
}

struct curl_slist *ek_binding_list(ek_binding *binding, struct curl_slist *rest)
{
    for (size_t i = binding->slot_count; i-- > 0;) {
        slot *s = &binding->slots[i];

        s->entry.data = s->line;
        s->entry.next = rest;
        rest = &s->entry;
    }
    return rest;
}

void ek_binding_begin(ek_binding *binding, CURL *curl, const ek_origin *origin)
{
    binding->curl = curl;
    binding->origin = *origin;
    binding->connects = 0;
    ek_connection_release(&binding->current);
    ek_wipe(binding->derived, binding->derived_size);
    memset(&binding->state, 0, sizeof(binding->state));
    blank_slots(binding);
}

void ek_binding_end(ek_binding *binding)
{
    ek_connection_release(&binding->current);
    blank_slots(binding);
}

void ek_binding_sent(ek_binding *binding)
{
    blank_slots(binding);
}

/* The session that will carry the request. Behind a proxy libcurl gives the proxy's for an http URL. */
static int find_session(const ek_binding *binding, void **session, ekmotp_error *err)
{
    const struct curl_tlssessioninfo *info = NULL;
    const char *scheme = NULL;

    if (curl_easy_getinfo(binding->curl, CURLINFO_SCHEME, &scheme) != CURLE_OK || !scheme ||
        strcasecmp(scheme, "https") != 0)
        return ekmotp_error_set(err, EKMOTP_E_CHANNEL_HANDSHAKE,
                                "the request would leave without TLS (scheme %s)",
                                scheme ? scheme : "unknown");
    if (curl_easy_getinfo(binding->curl, CURLINFO_TLS_SSL_PTR, &info) != CURLE_OK || !info ||
        !info->internals)
        return ekmotp_error_set(err, EKMOTP_E_CHANNEL_HANDSHAKE, "libcurl shows no TLS session");
    if (info->backend != ek_tls_backend())
        return ekmotp_error_set(err, EKMOTP_E_CHANNEL_EXPORT,
                                "libcurl runs on another TLS library than %s, which ekmotp was built for",
                                ek_tls_crypto()->name);
    *session = info->internals;
    return 0;
}

/* groups is a list with ':' between the names. */
static int is_group_allowed(const char *groups, const char *group)
{
    size_t len = strlen(group);

    for (const char *at = groups; at; at = strchr(at, ':')) {
        at += *at == ':';
        if (strncasecmp(at, group, len) == 0 && (at[len] == ':' || at[len] == '\0'))
            return 1;
    }
    return 0;
}

/* Where redirects lead: 1 if it is where the credentials belong. */
static int is_at_home(const ek_binding *binding)
{
    const char *url = NULL;
    ek_origin here;

    return curl_easy_getinfo(binding->curl, CURLINFO_EFFECTIVE_URL, &url) == CURLE_OK && url &&
           ek_origin_parse(url, &here, NULL) == 0 && ek_origin_same(&here, &binding->origin);
}

static void keep_derived(ek_binding *binding, const char *value)
{
    const char *end, *proof = strstr(value, ", p=");

    if (!binding->options.show_derived)
        return;
    if (binding->options.profile == EKMOTP_PROFILE_V1 && binding->options.carrier == EK_CARRIER_HEADER &&
        proof) {
        value = proof + strlen(", p=");
        end = strchr(value, ',');
    } else {
        end = NULL;
    }
    snprintf(binding->derived, binding->derived_size, "%.*s", end ? (int)(end - value) : (int)strlen(value),
             value);
    binding->state.derived = binding->derived;
}

static int write_headers(ek_binding *binding, ek_connection *connection, ekmotp_error *err)
{
    ekmotp_header headers[EKMOTP_HEADERS_MAX];
    size_t count = 0;
    int rc;

    rc = ekmotp_client_headers(connection->client, connection->channel, headers, &count, &binding->state.n,
                               err);
    if (rc == 0 && count != binding->slot_count)
        rc = ekmotp_error_set(err, EKMOTP_E_INVAL, "%zu header fields where %zu were expected", count,
                              binding->slot_count);
    for (size_t i = 0; rc == 0 && i < count; i++)
        snprintf(binding->slots[i].line, LINE_SIZE, "%s: %s", headers[i].name, headers[i].value);
    if (rc == 0)
        keep_derived(binding, headers[count - 1].value);
    ek_wipe(headers, sizeof(headers));
    return rc;
}

static int write_token(ek_binding *binding, ek_connection *connection, ekmotp_error *err)
{
    ekmotp_bearer_kind kind =
        binding->options.carrier == EK_CARRIER_JWE ? EKMOTP_BEARER_JWE : EKMOTP_BEARER_JWS;
    char *token = NULL;
    int rc = ekmotp_jose_token(connection->client, connection->channel, kind, binding->options.claims,
                               (int64_t)time(NULL), &token, &binding->state.n, err);

    if (rc != 0)
        return rc;
    if ((size_t)snprintf(binding->slots[0].line, LINE_SIZE, "Authorization: Bearer %s", token) >= LINE_SIZE)
        rc = ekmotp_error_set(err, EKMOTP_E_LIMIT, "the token has more than %d bytes; use fewer claims",
                              EKMOTP_JOSE_TOKEN_MAX);
    else
        keep_derived(binding, token);
    ek_wipe(token, strlen(token));
    free(token);
    return rc;
}

static int bind_request(ek_binding *binding, int local_port, ekmotp_error *err)
{
    const ek_binding_options *options = &binding->options;
    void *session = NULL;
    ek_connection *connection = NULL;
    long connects = 0;
    int rc = find_session(binding, &session, err);

    if (rc != 0)
        return rc;
    ek_tls_describe(session, &binding->state.tls);
    if (curl_easy_getinfo(binding->curl, CURLINFO_NUM_CONNECTS, &connects) != CURLE_OK)
        return ekmotp_error_set(err, EKMOTP_E_INVAL, "libcurl does not count its connections");
    binding->state.new_connection = connects != binding->connects;
    binding->connects = connects;
    if (!is_at_home(binding)) {
        if (options->require_server_proof)
            return ekmotp_error_set(
                err, EKMOTP_E_SERVER_PROOF,
                "redirected to another origin, which gets no credentials and so cannot prove "
                "anything; nothing was sent there");
        return 0;
    }
    if (options->groups && !is_group_allowed(options->groups, binding->state.tls.group))
        return ekmotp_error_set(err, EKMOTP_E_CHANNEL_VERSION, "group %s was negotiated, --groups allows %s",
                                binding->state.tls.group, options->groups);
    rc = ek_connections_get(options->connections, session, local_port, binding->state.new_connection,
                            options->key, options->id, options->id_len, options->profile, &connection, err);
    if (rc != 0)
        return rc;
    binding->current = connection;
    rc = options->carrier == EK_CARRIER_HEADER ? write_headers(binding, connection, err)
                                               : write_token(binding, connection, err);
    binding->state.bound = rc == 0;
    return rc;
}

int ek_binding_prereq(void *clientp, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
    ek_binding *binding = clientp;

    (void)remote_ip;
    (void)local_ip;
    (void)remote_port;
    memset(&binding->state, 0, sizeof(binding->state));
    binding->state.called = 1;
    ek_connection_release(&binding->current);
    blank_slots(binding);
    if (bind_request(binding, local_port, &binding->state.err) == 0)
        return CURL_PREREQFUNC_OK;
    blank_slots(binding);
    return CURL_PREREQFUNC_ABORT;
}

int ek_binding_check_answer(ek_binding *binding, const char *value, size_t len, ekmotp_error *err)
{
    if (!binding->current)
        return ekmotp_error_set(err, EKMOTP_E_SERVER_PROOF,
                                "the request carried no credentials to prove against");
    return ekmotp_client_check_server(binding->current->client, binding->state.n, value, len, err);
}

const ek_binding_state *ek_binding_last(const ek_binding *binding)
{
    return &binding->state;
}

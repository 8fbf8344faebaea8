/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gnutls_server.c: a server for the matrix on the public libraries and the GnuTLS adapter: the options and
 * the lines that it prints are those of ../node/server.js. --event keyupdate: it asks for new traffic keys
 * before its first answer. --event early-data: it takes early data, which the verifier has to refuse.
 */
#include <arpa/inet.h>
#include <ekmotp/gnutls.h>
#include <ekmotp/jose.h>
#include <ekmotp/verifier.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char *cert = "", *cert_key = "", *client_key = "", *id = "client1", *hash = "SHA-256",
                  *profile = "v1", *tls = "", *groups = "", *ems = "", *event = "", *closing = "", *lie = "";
static uint8_t key[EKMOTP_KEY_MAX_SIZE];
static size_t key_len;
static ekmotp_hash key_hash;
static ekmotp_profile offered;
static ekmotp_verifier *verifier;
static gnutls_certificate_credentials_t credentials;
static gnutls_priority_t priority;
static gnutls_datum_t ticket_key;
static gnutls_anti_replay_t anti_replay;

static void must(int ok, const char *what, const char *why)
{
    if (ok)
        return;
    fprintf(stderr, "gnutls_server: %s: %s\n", what, why);
    exit(1);
}

/* Every early data is taken for new: what refuses it is the verifier. */
static int add_early(void *ptr, time_t expires, const gnutls_datum_t *id_of, const gnutls_datum_t *data)
{
    (void)ptr, (void)expires, (void)id_of, (void)data;
    return 0;
}

static int find(const void *ctx, const uint8_t *wanted, size_t len, ekmotp_record *record)
{
    (void)ctx;
    if (len != strlen(id) || memcmp(wanted, id, len) != 0)
        return EKMOTP_E_CLIENT_NOT_FOUND;
    *record = (ekmotp_record){key_hash, EKMOTP_PROFILE_BIT(offered), .key_count = 1};
    record->keys[0] = (ekmotp_record_key){NULL, key, key_len, 1, INT64_MIN, INT64_MAX};
    return 0;
}

/* One connection. */
typedef struct peer {
    gnutls_session_t session;
    ekmotp_channel *channel;
    ekmotp_verifier_state *state;
    char text[16384];
    size_t len;
    int last; /* the connection ends after this request */
} peer;

/* The head of the next request, without a body; 0 at the end. */
static int read_head(peer *p)
{
    p->len = 0;
    p->text[0] = '\0';
    while (!strstr(p->text, "\r\n\r\n")) {
        ssize_t n = 0;

        if (gnutls_session_get_flags(p->session) & GNUTLS_SFLAGS_EARLY_DATA)
            n = gnutls_record_recv_early_data(p->session, p->text + p->len, sizeof(p->text) - 1 - p->len);
        if (n <= 0)
            n = gnutls_record_recv(p->session, p->text + p->len, sizeof(p->text) - 1 - p->len);
        if (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED)
            continue;
        if (n <= 0)
            return 0;
        p->len += (size_t)n;
        p->text[p->len] = '\0';
    }
    return 1;
}

static void answer(peer *p)
{
    ekmotp_credentials found = {0};
    ekmotp_verdict verdict = {0};
    char out[512], seen[8192] = "", *rest = NULL, *info = verdict.authentication_info;
    int n;

    for (char *line = strtok_r(p->text, "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest)) {
        size_t name_len = strcspn(line, ":");
        const char *value = line + name_len + strspn(line + name_len, ": ");

        if (strcasecmp(line, "connection: close") == 0)
            p->last = 1;
        ekmotp_credentials_add(&found, line, name_len, value, strlen(value));
        if (strncasecmp(line, "authorization:", 14) == 0 || strncasecmp(line, "apikey:", 7) == 0)
            snprintf(seen, sizeof(seen), "%s", value);
    }
    if (ekmotp_verifier_verify(verifier, p->state, p->channel, &found, &(ekmotp_lookup){find, NULL},
                               time(NULL), 0, &verdict) == EKMOTP_VERDICT_ACCEPTED) {
        if (lie[0])
            info[2] = info[2] == 'A' ? 'B' : 'A';
        n = snprintf(out, sizeof(out), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n%s%s%s%s\r\nok",
                     closing[0] ? "Connection: close\r\n" : "", info[0] ? "Authentication-Info: " : "", info,
                     info[0] ? "\r\n" : "");
        printf("accepted %s %s\n", gnutls_protocol_get_name(gnutls_protocol_get_version(p->session)), seen);
    } else {
        n = snprintf(out, sizeof(out),
                     "HTTP/1.1 401 Unauthorized\r\nContent-Length: 7\r\nWWW-Authenticate: "
                     "%s\r\n\r\nrefused",
                     ekmotp_verifier_challenge(verifier));
        printf("refused reason=%s %s\n", ekmotp_reason_name(verdict.reason), verdict.detail.message);
    }
    gnutls_record_send(p->session, out, (size_t)n);
    ekmotp_verdict_clear(&verdict);
}

static void start_tls(peer *p, int fd)
{
    gnutls_init(&p->session,
                GNUTLS_SERVER | (strcmp(event, "early-data") == 0 ? GNUTLS_ENABLE_EARLY_DATA : 0));
    gnutls_priority_set(p->session, priority);
    gnutls_credentials_set(p->session, GNUTLS_CRD_CERTIFICATE, credentials);
    gnutls_session_ticket_enable_server(p->session, &ticket_key);
    if (strcmp(event, "early-data") == 0) {
        gnutls_anti_replay_enable(p->session, anti_replay);
        gnutls_record_set_max_early_data_size(p->session, 16384);
    }
    gnutls_transport_set_int(p->session, fd);
    gnutls_handshake_set_timeout(p->session, 20000);
}

static void *serve(void *arg)
{
    peer p = {0};
    int fd = (int)(intptr_t)arg, rc, updated = strcmp(event, "keyupdate") != 0;

    start_tls(&p, fd);
    do
        rc = gnutls_handshake(p.session);
    while (rc < 0 && !gnutls_error_is_fatal(rc));
    if (rc < 0)
        printf("connection ended: %s\n", gnutls_strerror(rc));
    else if (ekmotp_gnutls_channel_new(p.session, &p.channel, NULL) == 0 &&
             ekmotp_verifier_state_new(&p.state, NULL) == 0)
        while (read_head(&p)) {
            if (!updated) {
                rc = gnutls_session_key_update(p.session, GNUTLS_KU_PEER);
                printf("key update: %s\n", gnutls_strerror(rc));
                updated = 1;
            }
            answer(&p);
            if (p.last || closing[0])
                break;
        }
    ekmotp_verifier_state_free(&p.state);
    ekmotp_channel_free(&p.channel);
    gnutls_bye(p.session, GNUTLS_SHUT_WR);
    gnutls_deinit(p.session);
    close(fd);
    return NULL;
}

static void read_options(int argc, char **argv)
{
    const struct {
        const char *name;
        const char **to;
    } known[] = {{"--cert", &cert},   {"--cert-key", &cert_key}, {"--client-key", &client_key},
                 {"--id", &id},       {"--hash", &hash},         {"--profile", &profile},
                 {"--tls", &tls},     {"--groups", &groups},     {"--ems", &ems},
                 {"--event", &event}, {"--close", &closing},     {"--lie", &lie}};
    FILE *f;

    for (int i = 1; i + 1 < argc; i += 2)
        for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++)
            if (strcmp(argv[i], known[k].name) == 0)
                *known[k].to = argv[i + 1];
    f = fopen(client_key, "rb");
    must(f != NULL, client_key, "cannot be read");
    key_len = fread(key, 1, sizeof(key), f);
    fclose(f);
}

static void set_up(void)
{
    const char *name = strncmp(profile, "v1", 2) == 0 ? "v1" : profile, *at = NULL;
    ekmotp_error err = {0};
    char list[256];

    snprintf(list, sizeof(list), "NORMAL:-VERS-ALL%s%s%s%s%s",
             strcmp(tls, "1.2") == 0 ? ":+VERS-TLS1.2" : ":+VERS-TLS1.3", tls[0] ? "" : ":+VERS-TLS1.2",
             groups[0] ? ":-GROUP-ALL:+GROUP-" : "",
             strcmp(groups, "P-384") == 0 ? "SECP384R1"
             : groups[0]                  ? "X25519-MLKEM768"
                                          : "",
             strcmp(ems, "no") == 0 ? ":%NO_SESSION_HASH" : "");
    must(gnutls_priority_init(&priority, list, &at) == 0, list, at ? at : "");
    gnutls_certificate_allocate_credentials(&credentials);
    must(gnutls_certificate_set_x509_key_file(credentials, cert, cert_key, GNUTLS_X509_FMT_PEM) == 0, cert,
         "no certificate");
    gnutls_session_ticket_key_generate(&ticket_key);
    gnutls_anti_replay_init(&anti_replay);
    gnutls_anti_replay_set_add_function(anti_replay, add_early);
    must(ekmotp_profile_parse(name, &offered, &err) == 0 && ekmotp_hash_parse(hash, &key_hash, &err) == 0 &&
             ekmotp_verifier_new(ekmotp_gnutls_crypto(), EKMOTP_PROFILE_BIT(offered), "gnutls", &verifier,
                                 &err) == 0 &&
             ekmotp_verifier_set_compat_client(verifier, (const uint8_t *)id, strlen(id), &err) == 0,
         "ekmotp", err.message);
    ekmotp_verifier_set_bearer(verifier, ekmotp_jose_bearer(), NULL);
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0), fd;
    pthread_t thread;

    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    read_options(argc, argv);
    set_up();
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    must(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(listener, 16) == 0 &&
             getsockname(listener, (struct sockaddr *)&address, &len) == 0,
         "127.0.0.1", "cannot listen");
    printf("listening %d\n", ntohs(address.sin_port));
    while ((fd = accept(listener, NULL, NULL)) >= 0)
        if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd) == 0)
            pthread_detach(thread);
        else
            close(fd);
    return 1;
}

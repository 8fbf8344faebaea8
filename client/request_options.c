/* SPDX-License-Identifier: Apache-2.0 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "client/command.h"
#include "client/request_options.h"
#include "client/request_values.h"
#include "client/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPEAT_MAX 1000000000UL
/* Half the window of a server: a request that is overtaken by fewer is not too old (RFC 4303 section 3.4.3).
 */
#define PARALLEL_MAX 32UL

enum {
    OPT_ID = 256,
    OPT_KEY,
    OPT_PROFILE,
    OPT_HASH,
    OPT_CARRIER,
    OPT_CLAIMS,
    OPT_PIN_SOURCE,
    OPT_AGENT,
    OPT_AGENT_PROGRAM,
    OPT_REQUIRE_SERVER_PROOF,
    OPT_SHOW_DERIVED,
    OPT_REPEAT,
    OPT_PARALLEL,
    OPT_DATA_BINARY,
    OPT_CACERT,
    OPT_CONNECT_TO,
    OPT_RESOLVE,
    OPT_CONNECT_TIMEOUT,
    OPT_TLS12,
    OPT_TLS13,
    OPT_GROUPS,
    OPT_HTTP11,
    OPT_HTTP2,
    OPT_PROXY_CACERT,
    OPT_NOPROXY,
    OPT_REPORT
};

static const struct argp_option option_list[] = {
    {0, 0, 0, 0, "Who you are:", 1},
    {"id", OPT_ID, "ID", 0, "client id, under which the server has your key (%XX for odd bytes)", 0},
    {"key", OPT_KEY, "KEY", 0, "client key: a pkcs11: URI that names one token and one key, or file:PATH", 0},
    {"pin-source", OPT_PIN_SOURCE, "FILE", 0,
     "file with the token's PIN; otherwise the URI's pin-source, the systemd credential ekmotp.pin, a prompt",
     0},
    {"profile", OPT_PROFILE, "NAME", 0,
     "v1 (default), compat-apikey, compat-apikey-hmac, compat-jws, compat-jwe", 0},
    {"carrier", OPT_CARRIER, "HOW", 0, "v1 in a header field (default), or in a token: header, jws, jwe", 0},
    {"claims", OPT_CLAIMS, "FILE", 0, "JSON object with more claims for the token", 0},
    {"hash", OPT_HASH, "NAME", 0, "hash of the key: sha256 (default), sha384, sha512", 0},
    {"agent", OPT_AGENT, "SOCKET", 0, "use the agent on this socket ($EKMOTP_AGENT_SOCK), not a private one",
     0},
    {"agent-program", OPT_AGENT_PROGRAM, "PATH", 0, "start this program as the private agent", 0},
    {0, 0, 0, 0, "Whom you trust:", 2},
    {"require-server-proof", OPT_REQUIRE_SERVER_PROOF, 0, 0,
     "take no answer from a server that does not prove that it knows the key", 0},
    {"cacert", OPT_CACERT, "FILE", 0, "certificates that are trusted, instead of the system's", 0},
    {"tls12", OPT_TLS12, 0, 0, "TLS 1.2 only", 0},
    {"tls13", OPT_TLS13, 0, 0, "TLS 1.3 only", 0},
    {"groups", OPT_GROUPS, "LIST", 0, "key exchange groups that may be used: X25519,SECP256R1 ...", 0},
    {0, 0, 0, 0, "The request:", 3},
    {"request", 'X', "METHOD", 0, "method; otherwise GET, or POST where there is data", 0},
    {"data", 'd', "DATA", 0, "body, or @FILE (@- is standard input) without its line ends; joined by &", 0},
    {"data-binary", OPT_DATA_BINARY, "DATA", 0, "the same, as it is", 0},
    {"header", 'H', "LINE", 0, "header field 'Name: value' to add", 0},
    {"location", 'L', 0, 0, "follow redirects; credentials go to the origin that you named only", 0},
    {"parallel", OPT_PARALLEL, "N", 0,
     "up to N requests (1 to 32) at once, on one connection where it is HTTP/2", 0},
    {"repeat", OPT_REPEAT, "N", 0, "do it all N times; the connection is used again where it can be", 0},
    {0, 0, 0, 0, "The way there:", 4},
    {"http1.1", OPT_HTTP11, 0, 0, "HTTP/1.1 only", 0},
    {"http2", OPT_HTTP2, 0, 0, "HTTP/2 where the server has it (default)", 0},
    {"connect-to", OPT_CONNECT_TO, "HOST1:PORT1:HOST2:PORT2", 0, "connect to HOST2:PORT2 instead", 0},
    {"resolve", OPT_RESOLVE, "HOST:PORT:ADDRESS", 0, "the address of a host", 0},
    {"proxy", 'x', "URL", 0, "go through this proxy; TLS ends behind it, at the server", 0},
    {"proxy-cacert", OPT_PROXY_CACERT, "FILE", 0, "certificates that are trusted for an https proxy", 0},
    {"noproxy", OPT_NOPROXY, "LIST", 0, "hosts that are reached without one", 0},
    {"connect-timeout", OPT_CONNECT_TIMEOUT, "SECONDS", 0, "give up connecting after that", 0},
    {"max-time", 'm', "SECONDS", 0, "give up each request after that", 0},
    {0, 0, 0, 0, "What you see:", 5},
    {"output", 'o', "FILE", 0, "write the body to FILE", 0},
    {"include", 'i', 0, 0, "write the answer's header fields too", 0},
    {"verbose", 'v', 0, 0, "tell what happens; proofs are not shown", 0},
    {"silent", 's', 0, 0, "no messages", 0},
    {"show-error", 'S', 0, 0, "with -s: error messages all the same", 0},
    {"show-derived", OPT_SHOW_DERIVED, 0, 0, "for demonstrations: print the derived value, which is a SECRET",
     0},
    {"report", OPT_REPORT, "FILE", 0, "write a line of JSON about each request (- is standard error)", 0},
    {0}};

static const char doc[] =
    "Sends a request that carries a one-time proof, made for the TLS connection that carries it."
    "\vFor example, with a key in a TPM, and one in a file (32 to 64 random bytes, mode 0600):\n"
    "  ekmotp request --id client1 --key 'pkcs11:token=ekmotp;object=client1' https://host/get\n"
    "  ekmotp request --id client1 --key file:client1.key https://host/get\n\n"
    "Body on standard output, messages on standard error. Exit codes: 0 = 2xx, 1 = another status, 2 = "
    "usage, "
    "3 = token or key, 4 = TLS or network, 5 = refused (401), 6 = server proof missing or wrong, 7 = "
    "internal. "
    "A PIN is never taken from the command line or the environment.";

static void set_version(struct argp_state *state, long *where, long value, const char *other)
{
    if (*where != 0 && *where != value)
        argp_error(state, "%s exclude each other", other);
    *where = value;
}

static error_t parse_identity(int key, char *arg, struct argp_state *state, ek_request_options *options)
{
    ekmotp_error err = {0};

    switch (key) {
    case OPT_ID:
        ek_value_check(state, "--id", ek_text_id(arg, options->id, &options->id_len, &err), &err);
        return 0;
    case OPT_KEY:
        options->key.key = arg;
        return 0;
    case OPT_PIN_SOURCE:
        options->key.pin_source = arg;
        return 0;
    case OPT_PROFILE:
        ek_value_check(state, "--profile", ekmotp_profile_parse(arg, &options->key.profile, &err), &err);
        return 0;
    case OPT_HASH:
        ek_value_check(state, "--hash", ekmotp_hash_parse(arg, &options->key.hash, &err), &err);
        return 0;
    case OPT_CARRIER:
        ek_value_carrier(state, options, arg);
        return 0;
    case OPT_CLAIMS:
        ek_value_claims(state, options, arg);
        return 0;
    case OPT_AGENT:
        options->key.agent_socket = arg;
        return 0;
    case OPT_AGENT_PROGRAM:
        options->key.agent_program = arg;
        return 0;
    case OPT_REQUIRE_SERVER_PROOF:
        options->require_server_proof = 1;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_way(int key, char *arg, struct argp_state *state, ek_request_options *options)
{
    ekmotp_error err = {0};

    switch (key) {
    case OPT_CACERT:
        options->ca_file = arg;
        return 0;
    case OPT_TLS12:
        set_version(state, &options->tls, CURL_SSLVERSION_TLSv1_2 | CURL_SSLVERSION_MAX_TLSv1_2,
                    "--tls12, --tls13");
        return 0;
    case OPT_TLS13:
        set_version(state, &options->tls, CURL_SSLVERSION_TLSv1_3 | CURL_SSLVERSION_MAX_TLSv1_3,
                    "--tls12, --tls13");
        return 0;
    case OPT_GROUPS:
        ek_value_groups(state, options, arg);
        return 0;
    case OPT_HTTP11:
        set_version(state, &options->http, CURL_HTTP_VERSION_1_1, "--http1.1, --http2");
        return 0;
    case OPT_HTTP2:
        set_version(state, &options->http, CURL_HTTP_VERSION_2TLS, "--http1.1, --http2");
        return 0;
    case OPT_CONNECT_TO:
        ek_value_connect_to(state, options, arg);
        return 0;
    case OPT_RESOLVE:
        ek_value_append(state, &options->resolve, arg);
        return 0;
    case 'x':
        options->proxy = arg;
        return 0;
    case OPT_PROXY_CACERT:
        options->proxy_ca_file = arg;
        return 0;
    case OPT_NOPROXY:
        options->no_proxy = arg;
        return 0;
    case OPT_CONNECT_TIMEOUT:
        ek_value_check(state, "--connect-timeout", ek_text_seconds(arg, &options->connect_timeout_ms, &err),
                       &err);
        return 0;
    case 'm':
        ek_value_check(state, "--max-time", ek_text_seconds(arg, &options->max_time_ms, &err), &err);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_request(int key, char *arg, struct argp_state *state, ek_request_options *options)
{
    ekmotp_error err = {0};

    switch (key) {
    case 'X':
        if (arg[0] == '\0' || arg[strcspn(arg, " \t\r\n")] != '\0')
            argp_error(state, "-X '%.100s': not a method", arg);
        options->method = arg;
        return 0;
    case 'd':
        ek_value_data(state, options, arg, 0);
        return 0;
    case OPT_DATA_BINARY:
        ek_value_data(state, options, arg, 1);
        return 0;
    case 'H':
        ek_value_header(state, options, arg);
        return 0;
    case 'L':
        options->follow = 1;
        return 0;
    case OPT_REPEAT:
        ek_value_check(state, "--repeat", ek_text_count(arg, REPEAT_MAX, &options->repeat, &err), &err);
        return 0;
    case OPT_PARALLEL:
        ek_value_check(state, "--parallel", ek_text_count(arg, PARALLEL_MAX, &options->parallel, &err), &err);
        return 0;
    case 'o':
        options->output = arg;
        return 0;
    case 'i':
        options->include = 1;
        return 0;
    case 'v':
        options->verbose = 1;
        return 0;
    case 's':
        options->silent = 1;
        return 0;
    case 'S':
        options->show_error = 1;
        return 0;
    case OPT_SHOW_DERIVED:
        options->show_derived = 1;
        return 0;
    case OPT_REPORT:
        options->report = arg;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* The JWT profiles say how they are carried; elsewhere --carrier does. */
static void settle_carrier(struct argp_state *state, ek_request_options *options)
{
    ekmotp_profile profile = options->key.profile;

    if (profile == EKMOTP_PROFILE_V1)
        return;
    if (options->carrier_given)
        argp_error(state, "--carrier is for profile v1; %s has one of its own", ekmotp_profile_name(profile));
    if (profile == EKMOTP_PROFILE_COMPAT_JWS)
        options->carrier = EK_CARRIER_JWS;
    if (profile == EKMOTP_PROFILE_COMPAT_JWE)
        options->carrier = EK_CARRIER_JWE;
}

/* What the options say together. */
static void check_all(struct argp_state *state, ek_request_options *options)
{
    if (options->url_count == 0)
        argp_error(state, "a URL is missing");
    if (options->id_len == 0)
        argp_error(state, "--id is missing: under which name does the server know you?");
    if (!options->key.key)
        argp_error(state, "--key is missing: a pkcs11: URI, or file:PATH");
    settle_carrier(state, options);
    if (options->claims && options->carrier == EK_CARRIER_HEADER)
        argp_error(state, "--claims wants --carrier jws or jwe: a header field carries none");
    if (options->require_server_proof && options->key.profile != EKMOTP_PROFILE_V1)
        argp_error(state, "--require-server-proof wants profile v1: %s has no server proof",
                   ekmotp_profile_name(options->key.profile));
    if (options->key.profile != EKMOTP_PROFILE_V1 && options->key.hash != EKMOTP_HASH_SHA256)
        argp_error(state, "profile %s knows SHA-256 only", ekmotp_profile_name(options->key.profile));
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    ek_request_options *options = state->input;
    error_t rc;

    switch (key) {
    case ARGP_KEY_ARG:
        ek_value_url(state, options, arg);
        return 0;
    case ARGP_KEY_END:
        check_all(state, options);
        return 0;
    default:
        break;
    }
    rc = parse_identity(key, arg, state, options);
    if (rc == ARGP_ERR_UNKNOWN)
        rc = parse_way(key, arg, state, options);
    return rc == ARGP_ERR_UNKNOWN ? parse_request(key, arg, state, options) : rc;
}

void ek_request_options_parse(int argc, char **argv, ek_request_options *options)
{
    static const struct argp argp = {option_list, parse, "URL...", doc, NULL, NULL, NULL};

    memset(options, 0, sizeof(*options));
    options->repeat = 1;
    options->parallel = 1;
    options->key.hash = EKMOTP_HASH_SHA256;
    options->key.profile = EKMOTP_PROFILE_V1;
    options->key.agent_socket = getenv("EKMOTP_AGENT_SOCK");
    argp_program_version = PACKAGE_STRING;
    argp_err_exit_status = EK_EXIT_USAGE;
    if (argp_parse(&argp, argc, argv, 0, NULL, options) != 0)
        exit(EK_EXIT_USAGE);
    if (options->tls == 0)
        options->tls = CURL_SSLVERSION_TLSv1_2;
    if (options->http == 0)
        options->http = CURL_HTTP_VERSION_2TLS;
}

void ek_request_options_clear(ek_request_options *options)
{
    free(options->data);
    free(options->claims);
    free(options->groups);
    curl_slist_free_all(options->headers);
    curl_slist_free_all(options->connect_to);
    curl_slist_free_all(options->resolve);
}

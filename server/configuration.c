/* SPDX-License-Identifier: Apache-2.0 */
#include "server/configuration.h"

#include <ekmotp/profile.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef enum kind {
    KIND_TEXT,
    KIND_NUMBER,
    KIND_YES,
    KIND_LIST,
    KIND_PROFILES,
    KIND_LEVEL,
    KIND_FORMAT
} kind;

struct ek_setting {
    const char *section;
    const char *name;
    const char *option;
    kind kind;
    size_t offset;
    const char *argument;
    const char *help;
    unsigned min, max, initial; /* KIND_NUMBER */
};

#define AT(member) offsetof(ek_config, member)
#define DAY 86400

static const ek_setting settings[] = {
    {"server", "listen", "listen", KIND_LIST, AT(listen), "ADDR:PORT",
     "take TLS connections there; [ADDR]:PORT for IPv6; port 0 finds a free one; may be repeated", 0, 0, 0},
    {"server", "threads", "threads", KIND_NUMBER, AT(threads), "N", "event loops; 0: one per core", 0, 256,
     0},
    {"server", "drain-timeout", "drain-timeout", KIND_NUMBER, AT(drain_timeout), "SECONDS",
     "how long requests may go on after SIGTERM (30)", 0, DAY, 30},
    {"tls", "cert", "cert", KIND_TEXT, AT(cert), "FILE", "certificate chain, PEM", 0, 0, 0},
    {"tls", "key", "key", KIND_TEXT, AT(key), "FILE", "the certificate's private key, PEM", 0, 0, 0},
    {"tls", "groups", "groups", KIND_TEXT, AT(groups), "LIST",
     "key exchange groups as OpenSSL names them, e.g. X25519:P-256", 0, 0, 0},
    {"directory", "file", "directory", KIND_TEXT, AT(directory), "FILE",
     "the clients and their keys, made by 'ekmotpd client'", 0, 0, 0},
    {"directory", "kek", "kek", KIND_TEXT, AT(kek), "KEY",
     "key-encryption key of the directory: a file or a pkcs11: URI (FILE.kek)", 0, 0, 0},
    {"directory", "master", "master", KIND_TEXT, AT(master), "KEY",
     "key that derived client keys come from: a file or a pkcs11: URI", 0, 0, 0},
    {"auth", "profile", "profile", KIND_PROFILES, AT(profiles), "LIST",
     "profiles to offer: v1, compat-apikey, compat-apikey-hmac, compat-jws, compat-jwe (v1)", 0, 0, 0},
    {"auth", "realm", "realm", KIND_TEXT, AT(realm), "TEXT", "realm that a refusal names (ekmotp)", 0, 0, 0},
    {"auth", "compat-client", "compat-client", KIND_TEXT, AT(compat_client), "ID",
     "whose key verifies compat-jws and compat-jwe, which name nobody", 0, 0, 0},
    {"auth", "audience", "audience", KIND_TEXT, AT(audience), "TEXT", "what a JWT's aud must hold", 0, 0, 0},
    {"auth", "leeway", "leeway", KIND_NUMBER, AT(leeway), "SECONDS", "on a JWT's exp, nbf and iat (30)", 0,
     3600, 30},
    {"auth", "show-derived", "show-derived", KIND_YES, AT(show_derived), NULL,
     "log the one-time value of accepted requests: for demonstrations only", 0, 0, 0},
    {"token", "agent", "agent", KIND_TEXT, AT(agent), "SOCKET",
     "use the shared ekmotp-agent there instead of starting one", 0, 0, 0},
    {"token", "agent-program", "agent-program", KIND_TEXT, AT(agent_program), "FILE",
     "the ekmotp-agent to start (the installed one)", 0, 0, 0},
    {"token", "pin-source", "pin-source", KIND_TEXT, AT(pin_source), "FILE", "file with the tokens' PIN", 0,
     0, 0},
    {"token", "timeout", "token-timeout", KIND_NUMBER, AT(token_timeout), "SECONDS",
     "how long a token may take for one answer (10)", 1, 3600, 10},
    {"token", "threads", "token-threads", KIND_NUMBER, AT(token_threads), "N",
     "requests that wait for tokens side by side (4)", 1, 64, 4},
    {"limits", "header-size", "header-size", KIND_NUMBER, AT(header_size), "BYTES",
     "of a request's head (16384)", 1024, 1048576, 16384},
    {"limits", "body-size", "body-size", KIND_NUMBER, AT(body_size), "BYTES", "of a request's body (65536)",
     0, 1073741824, 65536},
    {"limits", "handshake-timeout", "handshake-timeout", KIND_NUMBER, AT(handshake_timeout), "SECONDS",
     "from the connection to the end of the TLS handshake (10)", 1, DAY, 10},
    {"limits", "header-timeout", "header-timeout", KIND_NUMBER, AT(header_timeout), "SECONDS",
     "for a whole head (10)", 1, DAY, 10},
    {"limits", "body-timeout", "body-timeout", KIND_NUMBER, AT(body_timeout), "SECONDS",
     "for a whole body (30)", 1, DAY, 30},
    {"limits", "send-timeout", "send-timeout", KIND_NUMBER, AT(send_timeout), "SECONDS",
     "for an answer, and a second more for each 4096 bytes of it (30)", 1, DAY, 30},
    {"limits", "idle-timeout", "idle-timeout", KIND_NUMBER, AT(idle_timeout), "SECONDS",
     "between two requests (75)", 1, DAY, 75},
    {"limits", "connections", "connections", KIND_NUMBER, AT(connections), "N", "in all (16384)", 1, 10000000,
     16384},
    {"limits", "connections-per-address", "connections-per-address", KIND_NUMBER, AT(connections_per_address),
     "N", "per IPv4 address or IPv6 /64 network (1024)", 1, 10000000, 1024},
    {"limits", "requests-per-connection", "requests-per-connection", KIND_NUMBER, AT(requests_per_connection),
     "N", "before the connection is closed; 0: any number (0)", 0, 1000000000, 0},
    {"log", "level", "log-level", KIND_LEVEL, AT(log_level), "LEVEL", "error, warning, info or debug (info)",
     0, 0, 0},
    {"log", "format", "log-format", KIND_FORMAT, AT(log_format), "FORMAT", "logfmt or json (logfmt)", 0, 0,
     0},
    {"log", "refusals", "log-refusals", KIND_NUMBER, AT(log_refusals), "N",
     "lines a second about peers that are refused; 0: any number (20)", 0, 1000000, 20},
    {"admin", "listen", "admin-listen", KIND_LIST, AT(admin_listen), "ADDR:PORT",
     "plain HTTP for /metrics and /healthz; loopback only; may be repeated", 0, 0, 0},
    {"admin", "remote", "admin-remote", KIND_YES, AT(admin_remote), NULL,
     "let --admin-listen be another address than loopback", 0, 0, 0},
    {"content", "static", "static", KIND_TEXT, AT(static_folder), "FOLDER",
     "files to serve under /static/ to verified clients", 0, 0, 0},
    {"content", "handler", "handler", KIND_LIST, AT(handlers), "PATH=FILE[,ARG]",
     "a shared object that answers PATH and what is below it; may be repeated", 0, 0, 0},
};

#define COUNT (sizeof(settings) / sizeof(settings[0]))

static void *place(const ek_setting *s, ek_config *config)
{
    return (char *)config + s->offset;
}

const ek_setting *ek_setting_at(size_t index)
{
    return index < COUNT ? &settings[index] : NULL;
}

const char *ek_setting_section(const ek_setting *setting)
{
    return setting->section;
}

const char *ek_setting_option(const ek_setting *setting)
{
    return setting->option;
}

const char *ek_setting_argument(const ek_setting *setting)
{
    return setting->argument;
}

const char *ek_setting_help(const ek_setting *setting)
{
    return setting->help;
}

int ek_setting_is_list(const ek_setting *setting)
{
    return setting->kind == KIND_LIST;
}

const ek_setting *ek_setting_find(const char *section, const char *name)
{
    for (size_t i = 0; i < COUNT; i++)
        if (strcmp(settings[i].section, section) == 0 && strcmp(settings[i].name, name) == 0)
            return &settings[i];
    return NULL;
}

int ek_setting_section_known(const char *section)
{
    for (size_t i = 0; i < COUNT; i++)
        if (strcmp(settings[i].section, section) == 0)
            return 1;
    return 0;
}

static int set_text(char **to, const char *text, ekmotp_error *err)
{
    char *copy = strdup(text);

    if (!copy)
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory");
    free(*to);
    *to = copy;
    return 0;
}

static int add_text(ek_list *list, const char *text, ekmotp_error *err)
{
    char **items = realloc(list->items, (list->count + 1) * sizeof(*items));

    if (!items)
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory");
    list->items = items;
    items[list->count] = NULL;
    if (set_text(&items[list->count], text, err) != 0)
        return EKMOTP_E_NOMEM;
    list->count++;
    return 0;
}

static int set_number(const ek_setting *s, unsigned *to, const char *text, ekmotp_error *err)
{
    char *end;
    unsigned long long n;

    errno = 0;
    n = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || errno || n < s->min || n > s->max)
        return ekmotp_error_set(err, EKMOTP_E_SYNTAX, "'%s' is not a whole number from %u to %u", text,
                                s->min, s->max);
    *to = (unsigned)n;
    return 0;
}

static int set_yes(int *to, const char *text, ekmotp_error *err)
{
    if (!text || strcasecmp(text, "yes") == 0)
        *to = 1;
    else if (strcasecmp(text, "no") == 0)
        *to = 0;
    else
        return ekmotp_error_set(err, EKMOTP_E_SYNTAX, "'%s' is neither yes nor no", text);
    return 0;
}

/* The index of text among words, or an error that lists them. */
static int set_word(unsigned *to, const char *text, const char *const *words, size_t count, ekmotp_error *err)
{
    char all[128] = "";

    for (size_t i = 0; i < count; i++) {
        if (strcmp(words[i], text) == 0) {
            *to = (unsigned)i;
            return 0;
        }
        strncat(all, i > 0 ? ", " : "", sizeof(all) - strlen(all) - 1);
        strncat(all, words[i], sizeof(all) - strlen(all) - 1);
    }
    return ekmotp_error_set(err, EKMOTP_E_SYNTAX, "'%s' is none of: %s", text, all);
}

int ek_setting_set(const ek_setting *setting, ek_config *config, const char *text, ekmotp_error *err)
{
    static const char *const levels[] = {"error", "warning", "info", "debug"};
    static const char *const formats[] = {"logfmt", "json"};
    void *to = place(setting, config);
    unsigned word = 0;
    int rc;

    if (setting->kind != KIND_YES && text[0] == '\0')
        return ekmotp_error_set(err, EKMOTP_E_SYNTAX, "the value is missing");
    switch (setting->kind) {
    case KIND_TEXT:
        return set_text(to, text, err);
    case KIND_LIST:
        return add_text(to, text, err);
    case KIND_NUMBER:
        return set_number(setting, to, text, err);
    case KIND_YES:
        return set_yes(to, text, err);
    case KIND_PROFILES:
        return ekmotp_profile_parse_set(text, to, err);
    case KIND_LEVEL:
        rc = set_word(&word, text, levels, sizeof(levels) / sizeof(levels[0]), err);
        if (rc == 0)
            config->log_level = (ek_log_level)word;
        return rc;
    case KIND_FORMAT:
    default:
        rc = set_word(&word, text, formats, sizeof(formats) / sizeof(formats[0]), err);
        if (rc == 0)
            config->log_format = (ek_log_format)word;
        return rc;
    }
}

void ek_setting_reset(const ek_setting *setting, ek_config *config)
{
    ek_list *list = place(setting, config);

    if (setting->kind != KIND_LIST)
        return;
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (ek_list){0, NULL};
}

int ek_config_init(ek_config *config, ekmotp_error *err)
{
    memset(config, 0, sizeof(*config));
    for (size_t i = 0; i < COUNT; i++)
        if (settings[i].kind == KIND_NUMBER)
            *(unsigned *)place(&settings[i], config) = settings[i].initial;
    config->profiles = EKMOTP_PROFILE_BIT(EKMOTP_PROFILE_V1);
    config->log_level = EK_LOG_INFO;
    return set_text(&config->realm, "ekmotp", err);
}

void ek_config_clear(ek_config *config)
{
    for (size_t i = 0; i < COUNT; i++) {
        if (settings[i].kind == KIND_TEXT) {
            char **text = place(&settings[i], config);

            free(*text);
            *text = NULL;
        }
        ek_setting_reset(&settings[i], config);
    }
}

int ek_config_check(const ek_config *config, ekmotp_error *err)
{
    unsigned jwt =
        EKMOTP_PROFILE_BIT(EKMOTP_PROFILE_COMPAT_JWS) | EKMOTP_PROFILE_BIT(EKMOTP_PROFILE_COMPAT_JWE);
    const char *missing = !config->cert ? "cert" : !config->key ? "key" : NULL;

    if (!missing && !config->directory)
        missing = "directory";
    if (missing)
        return ekmotp_error_set(err, EKMOTP_E_INVAL,
                                "--%s is missing: a server needs --cert, --key and --directory, as options "
                                "or in a file that --config names",
                                missing);
    if ((config->profiles & jwt) && !config->compat_client)
        return ekmotp_error_set(
            err, EKMOTP_E_INVAL,
            "compat-jws and compat-jwe name no client: say with --compat-client ID whose key "
            "verifies them");
    return 0;
}

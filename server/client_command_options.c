/* SPDX-License-Identifier: Apache-2.0 */
/* client_command_options.c: the command lines of "ekmotpd client". */
#include "config.h"

#include "server/client_command.h"
#include "server/command.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_OPTIONS 32 /* of one command, the common ones and the end included */

enum {
    OPT_DIRECTORY = 'd',
    OPT_KEK = 'k',
    OPT_MASTER = 'm',
    OPT_JSON = 'j',
    OPT_OUT = 'o',
    OPT_AGENT_PROGRAM = 0x100,
    OPT_PIN_SOURCE,
    OPT_GENERATE,
    OPT_KEY_FILE,
    OPT_DERIVE,
    OPT_GENERATION,
    OPT_TOKEN,
    OPT_HASH,
    OPT_PROFILE,
    OPT_NOTE,
    OPT_NOT_BEFORE,
    OPT_NOT_AFTER,
    OPT_DISABLED,
    OPT_OVERLAP,
    OPT_STATE,
    OPT_MATCH,
    OPT_LIMIT,
    OPT_OFFSET,
    OPT_AFTER,
    OPT_TOKENS
};

static const struct argp_option common_options[] = {
    {"directory", OPT_DIRECTORY, "FILE", 0, "The directory: an SQLite file (needed)", 90},
    {"kek", OPT_KEK, "FILE|URI", 0, "Its key-encryption key: a file (mode 0600) or a pkcs11: URI [FILE.kek]",
     90},
    {"master", OPT_MASTER, "FILE|URI", 0, "The master key that derived client keys come from", 90},
    {"json", OPT_JSON, NULL, 0, "Write JSON to standard output", 90},
    {"pin-source", OPT_PIN_SOURCE, "FILE", 0, "File with the token's PIN, where the URI names none", 91},
    {"agent-program", OPT_AGENT_PROGRAM, "PATH", 0, "ekmotp-agent to start for keys in tokens", 91},
    {0},
};

#define KEY_OPTIONS                                                                                          \
    {"generate", OPT_GENERATE, NULL, 0, "Make a random key; hand it over with --out (default)", 1},          \
        {"key-file", OPT_KEY_FILE, "FILE", 0, "Take the key from a file of 32 to 64 bytes ('-': stdin)", 1}, \
        {"derive", OPT_DERIVE, NULL, 0, "Derive the key from the master key; nothing secret is stored", 1},  \
        {"generation", OPT_GENERATION, "N", 0, "With --derive: the key's generation [the next one]", 1},     \
        {"token", OPT_TOKEN, "URI", 0, "The key is in a token of the server, named by a pkcs11: URI", 1},    \
        {"out",                                                                                              \
         OPT_OUT,                                                                                            \
         "FILE|URI",                                                                                         \
         0,                                                                                                  \
         "Hand the client's key over: to a new file with mode 0600, or into the token that a pkcs11: URI "   \
         "names",                                                                                            \
         2},                                                                                                 \
        {"not-before", OPT_NOT_BEFORE, "TIME", 0, "The key is valid from TIME on", 3},                       \
    {                                                                                                        \
        "not-after", OPT_NOT_AFTER, "TIME", 0,                                                               \
            "The key is valid until TIME (2027-01-31, 2027-01-31T12:00:00Z, +90d, @SECONDS, none)", 3        \
    }

const struct argp_option ek_client_add_options[] = {
    KEY_OPTIONS,
    {"hash", OPT_HASH, "NAME", 0, "SHA-256 (default), SHA-384 or SHA-512", 3},
    {"profile", OPT_PROFILE, "LIST", 0, "Profiles that the client may use, with commas between [v1]", 3},
    {"note", OPT_NOTE, "TEXT", 0, "A note for people", 3},
    {"disabled", OPT_DISABLED, NULL, 0, "Add the client disabled", 3},
    {0},
};
const struct argp_option ek_client_rotate_options[] = {
    KEY_OPTIONS,
    {"overlap", OPT_OVERLAP, "TIME", 0, "How long the old key stays valid: 90s, 15m, 12h, 7d, 4w [7d]", 3},
    {0},
};
const struct argp_option ek_client_set_options[] = {
    {"profile", OPT_PROFILE, "LIST", 0, "Profiles that the client may use, with commas between", 1},
    {"note", OPT_NOTE, "TEXT", 0, "A note for people; \"\" removes it", 1},
    {"not-before", OPT_NOT_BEFORE, "TIME", 0, "The current key is valid from TIME on", 1},
    {"not-after", OPT_NOT_AFTER, "TIME", 0, "The current key is valid until TIME", 1},
    {0},
};
const struct argp_option ek_client_list_options[] = {
    {"state", OPT_STATE, "WORD", 0, "Only enabled or only disabled clients", 1},
    {"match", OPT_MATCH, "GLOB", 0, "Only ids that match (* ? [...])", 1},
    {"limit", OPT_LIMIT, "N", 0, "At most N clients", 2},
    {"offset", OPT_OFFSET, "N", 0, "Pass over the first N", 2},
    {"after", OPT_AFTER, "ID", 0, "Only ids that sort after ID: the next page", 2},
    {0},
};
const struct argp_option ek_client_export_options[] = {
    {"state", OPT_STATE, "WORD", 0, "Only enabled or only disabled clients", 1},
    {"match", OPT_MATCH, "GLOB", 0, "Only ids that match (* ? [...])", 1},
    {"out", OPT_OUT, "FILE", 0, "Write to a new file with mode 0600 instead of standard output", 1},
    {0},
};
const struct argp_option ek_client_import_options[] = {
    {"hash", OPT_HASH, "NAME", 0, "For lines with a plain key: SHA-256 (default), SHA-384 or SHA-512", 1},
    {"profile", OPT_PROFILE, "LIST", 0, "For lines with a plain key: profiles [v1]", 1},
    {"note", OPT_NOTE, "TEXT", 0, "For lines with a plain key: a note", 1},
    {"not-before", OPT_NOT_BEFORE, "TIME", 0, "For lines with a plain key: valid from TIME on", 1},
    {"not-after", OPT_NOT_AFTER, "TIME", 0, "For lines with a plain key: valid until TIME", 1},
    {"disabled", OPT_DISABLED, NULL, 0, "For lines with a plain key: add the clients disabled", 1},
    {0},
};
const struct argp_option ek_client_check_options[] = {
    {"tokens", OPT_TOKENS, NULL, 0, "Open each key in a token, too", 1},
    {0},
};
const struct argp_option ek_client_no_options[] = {{0}};

/* Seconds in "90s", "15m", "12h", "7d", "4w"; -1: malformed. */
static int64_t parse_duration(const char *text)
{
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 7 * 86400}};
    char *end;
    long long n;

    if (text[0] < '0' || text[0] > '9')
        return -1;
    errno = 0;
    n = strtoll(text, &end, 10);
    if (errno != 0 || n > 1000000000 || end[0] == '\0' || end[1] != '\0')
        return -1;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (units[i].unit == end[0])
            return n * units[i].seconds;
    return -1;
}

/* The forms of --not-before and --not-after. */
static int parse_time(const char *text, int64_t none, int64_t *out)
{
    static const char *const forms[] = {"%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ", "%Y-%m-%d"};
    char *end;

    if (strcmp(text, "none") == 0) {
        *out = none;
        return 0;
    }
    if (text[0] == '@') {
        errno = 0;
        *out = strtoll(text + 1, &end, 10);
        return errno == 0 && end != text + 1 && *end == '\0' ? 0 : -1;
    }
    if (text[0] == '+') {
        int64_t seconds = parse_duration(text + 1);

        *out = (int64_t)time(NULL) + seconds;
        return seconds < 0 ? -1 : 0;
    }
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct tm tm = {0}, again;
        const char *stop = strptime(text, forms[i], &tm);
        time_t t;

        if (!stop || *stop != '\0')
            continue;
        again = tm;
        t = timegm(&again);
        /* The 31st of a month that has no such day is somebody's mistake. */
        if (again.tm_mday != tm.tm_mday || again.tm_mon != tm.tm_mon)
            return -1;
        *out = (int64_t)t;
        return 0;
    }
    return -1;
}

static uint64_t parse_number(struct argp_state *state, const char *option, const char *text, uint64_t max)
{
    char *end;
    uint64_t n;

    errno = 0;
    n = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || errno != 0 || *end != '\0' || n > max)
        argp_error(state, "--%s: '%s' is no number from 0 to %" PRIu64, option, text, max);
    return n;
}

static void set_source(struct argp_state *state, ek_client_options *o, ekmotp_key_source source)
{
    if (o->source != 0)
        argp_error(state, "only one of --generate, --key-file, --derive and --token can be given");
    o->source = source;
}

static void set_time(struct argp_state *state, ek_client_options *o, int key, const char *text)
{
    int after = key == OPT_NOT_AFTER;

    if (parse_time(text, after ? INT64_MAX : INT64_MIN, after ? &o->not_after : &o->not_before) != 0)
        argp_error(
            state,
            "--not-%s: '%s' is no time; write 2027-01-31, 2027-01-31T12:00:00Z, +90d, @SECONDS or none",
            after ? "after" : "before", text);
    o->what |= after ? EKMOTP_CLIENT_NOT_AFTER : EKMOTP_CLIENT_NOT_BEFORE;
}

/* The options that say what a key is. */
static int parse_key_option(int key, char *arg, struct argp_state *state, ek_client_options *o)
{
    switch (key) {
    case OPT_GENERATE:
        set_source(state, o, EKMOTP_KEY_WRAPPED);
        o->generate = 1;
        return 0;
    case OPT_KEY_FILE:
        set_source(state, o, EKMOTP_KEY_WRAPPED);
        o->key_file = arg;
        return 0;
    case OPT_DERIVE:
        set_source(state, o, EKMOTP_KEY_DERIVED);
        return 0;
    case OPT_TOKEN:
        set_source(state, o, EKMOTP_KEY_TOKEN);
        o->token = arg;
        return 0;
    case OPT_GENERATION:
        o->generation = (uint32_t)parse_number(state, "generation", arg, UINT32_MAX);
        return 0;
    case OPT_OVERLAP:
        if ((o->overlap = parse_duration(arg)) < 0)
            argp_error(state, "--overlap: '%s' is no duration; write 90s, 15m, 12h, 7d or 4w", arg);
        return 0;
    case OPT_NOT_BEFORE:
    case OPT_NOT_AFTER:
        set_time(state, o, key, arg);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* The options that say what a client is, or which clients are meant. */
static int parse_client_option(int key, char *arg, struct argp_state *state, ek_client_options *o)
{
    ekmotp_error err = {0};

    switch (key) {
    case OPT_HASH:
        if (ekmotp_hash_parse(arg, &o->hash, &err) != 0)
            argp_error(state, "--hash: %s", err.message);
        return 0;
    case OPT_PROFILE:
        if (ekmotp_profile_parse_set(arg, &o->profiles, &err) != 0)
            argp_error(state, "--profile: %s", err.message);
        o->what |= EKMOTP_CLIENT_PROFILES;
        return 0;
    case OPT_NOTE:
        o->note = arg;
        o->what |= EKMOTP_CLIENT_NOTE;
        return 0;
    case OPT_DISABLED:
        o->disabled = 1;
        return 0;
    case OPT_STATE:
        o->filter.state = strcmp(arg, "enabled") == 0 ? 1 : strcmp(arg, "disabled") == 0 ? 2 : 0;
        if (o->filter.state == 0)
            argp_error(state, "--state: '%s' is neither enabled nor disabled", arg);
        return 0;
    case OPT_MATCH:
        o->filter.match = arg;
        return 0;
    case OPT_LIMIT:
        o->filter.limit = parse_number(state, "limit", arg, INT64_MAX);
        return 0;
    case OPT_OFFSET:
        o->filter.offset = parse_number(state, "offset", arg, INT64_MAX);
        return 0;
    case OPT_AFTER:
        if (ekmotp_id_parse(arg, strlen(arg), o->after, &o->filter.after_len, &err) != 0)
            argp_error(state, "--after: %s", err.message);
        o->filter.after = o->after;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* What the parser works with. */
typedef struct parser {
    const ek_client_command *command;
    ek_client_options *options;
} parser;

static void take_argument(struct argp_state *state, const parser *p, const char *arg)
{
    ek_client_options *o = p->options;
    ekmotp_error err = {0};

    if (p->command->takes == EK_TAKES_NOTHING || o->argument)
        argp_error(state, "there is no place for '%s'", arg);
    o->argument = arg;
    if (p->command->takes == EK_TAKES_ID && ekmotp_id_parse(arg, strlen(arg), o->id, &o->id_len, &err) != 0)
        argp_error(state, "%s", err.message);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    const parser *p = state->input;
    ek_client_options *o = p->options;

    switch (key) {
    case OPT_DIRECTORY:
        o->directory = arg;
        return 0;
    case OPT_KEK:
        o->kek = arg;
        return 0;
    case OPT_MASTER:
        o->master = arg;
        return 0;
    case OPT_JSON:
        o->json = 1;
        return 0;
    case OPT_PIN_SOURCE:
        o->pin_source = arg;
        return 0;
    case OPT_AGENT_PROGRAM:
        o->agent_program = arg;
        return 0;
    case OPT_OUT:
        o->out = arg;
        return 0;
    case OPT_TOKENS:
        o->tokens = 1;
        return 0;
    case ARGP_KEY_ARG:
        take_argument(state, p, arg);
        return 0;
    case ARGP_KEY_END:
        if (!o->argument && p->command->takes != EK_TAKES_NOTHING)
            argp_error(state, "%s is missing",
                       p->command->takes == EK_TAKES_ID ? "the client's ID" : "the FILE");
        if (!o->directory)
            argp_error(state, "--directory FILE is missing");
        return 0;
    default:
        return parse_key_option(key, arg, state, o) == 0 ? 0 : parse_client_option(key, arg, state, o);
    }
}

void ek_client_options_parse(const ek_client_command *command, int argc, char **argv,
                             ek_client_options *options)
{
    struct argp_option all[MAX_OPTIONS] = {0};
    parser p = {command, options};
    const struct argp argp = {
        .options = all, .parser = parse, .args_doc = command->args_doc, .doc = command->doc};
    size_t n = 0;

    for (const struct argp_option *from = command->options; from->key != 0; from++)
        all[n++] = *from;
    for (const struct argp_option *from = common_options; from->key != 0 && n + 1 < MAX_OPTIONS; from++)
        all[n++] = *from;
    memset(options, 0, sizeof(*options));
    options->hash = EKMOTP_HASH_SHA256;
    options->not_before = INT64_MIN;
    options->not_after = INT64_MAX;
    options->overlap = 7 * 86400;
    argp_err_exit_status = EK_EXIT_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &p);
}

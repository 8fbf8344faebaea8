/* SPDX-License-Identifier: Apache-2.0 */
/* serve_command.c: "ekmotpd serve": options and file become a configuration, and that a server. */
#include "server/command.h"
#include "server/configuration.h"
#include "server/process.h"
#include "server/server.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_CONFIG 500
#define KEY_CHECK 501
#define KEY_SETTING 1000 /* plus the setting's index */
#define TABLE_SIZE 96    /* options, titles of groups, and the end */

/* An option as it was given; it is applied after the file that --config names. */
typedef struct given {
    const ek_setting *setting;
    const char *text;
} given;

typedef struct options {
    const char *config;
    int check;
    given *given;
    size_t given_count;
} options;

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    options *o = state->input;

    switch (key) {
    case KEY_CONFIG:
        o->config = arg;
        return 0;
    case KEY_CHECK:
        o->check = 1;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "'%s' is no option", arg);
        return EINVAL;
    default:
        if (key < KEY_SETTING || !ek_setting_at((size_t)(key - KEY_SETTING)))
            return ARGP_ERR_UNKNOWN;
        o->given[o->given_count++] = (given){ek_setting_at((size_t)(key - KEY_SETTING)), arg};
        return 0;
    }
}

static const char doc[] =
    "Serves HTTPS to clients that prove themselves with a one-time value bound to their TLS connection: GET "
    "/get "
    "answers 'ok', GET /whoami the client's id. Everybody else gets the same 401.\v"
    "Every option can stand in the file that --config names (ekmotpd.conf(5)); an option here wins over the "
    "file. "
    "Defaults are in parentheses.\n\n"
    "SIGTERM lets requests end and exits with 0; SIGHUP reads certificate and directory again. The directory "
    "is also "
    "read again by itself within a second of a change.\n\n"
    "Example:\n"
    "  ekmotpd client add alice --directory clients.db --generate --out alice.key\n"
    "  ekmotpd serve --listen 127.0.0.1:8443 --cert cert.pem --key key.pem --directory clients.db";

/* The title of a section's options in --help. */
static const char *title_of(const char *section)
{
    static const char *const titles[][2] = {
        {"server", "Where and how it runs:"},
        {"tls", "TLS:"},
        {"directory", "Clients:"},
        {"auth", "What is verified:"},
        {"token", "Keys in tokens:"},
        {"limits", "Limits:"},
        {"log", "The log, on standard error:"},
        {"admin", "Metrics and health:"},
        {"content", "What is served beside /get and /whoami:"},
    };

    for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]); i++)
        if (strcmp(titles[i][0], section) == 0)
            return titles[i][1];
    return section;
}

/* The options, made of the settings; each section is a group with a title. */
static void fill_options(struct argp_option table[TABLE_SIZE])
{
    const char *section = "";
    size_t n = 0;
    int group = 1;

    table[n++] =
        (struct argp_option){"config", KEY_CONFIG, "FILE", 0, "read this file, see ekmotpd.conf(5)", 1};
    table[n++] = (struct argp_option){
        "check-config", KEY_CHECK, NULL, 0, "load everything, say whether it is fine, and serve nothing", 1};
    for (size_t i = 0; ek_setting_at(i) && n + 2 < TABLE_SIZE; i++) {
        const ek_setting *s = ek_setting_at(i);

        if (strcmp(section, ek_setting_section(s)) != 0) {
            section = ek_setting_section(s);
            table[n++] = (struct argp_option){NULL, 0, NULL, 0, title_of(section), ++group};
        }
        table[n++] = (struct argp_option){
            ek_setting_option(s), KEY_SETTING + (int)i, ek_setting_argument(s), 0, ek_setting_help(s), group};
    }
    table[n] = (struct argp_option){0};
}

static int apply(ek_config *config, const options *o, ekmotp_error *err)
{
    int rc = o->config ? ek_config_read(config, o->config, err) : 0;

    /* A list given by options replaces the file's. */
    for (size_t i = 0; i < o->given_count; i++)
        ek_setting_reset(o->given[i].setting, config);
    for (size_t i = 0; rc == 0 && i < o->given_count; i++) {
        ekmotp_error detail = {0};

        rc = ek_setting_set(o->given[i].setting, config, o->given[i].text, &detail);
        if (rc != 0)
            ekmotp_error_set(err, rc, "--%s: %s", ek_setting_option(o->given[i].setting), detail.message);
    }
    return rc == 0 ? ek_config_check(config, err) : rc;
}

static int run(ek_config *config, const options *o, ekmotp_error *err)
{
    int rc;

    ek_log_init(config->log_level, config->log_format);
    ek_process_harden();
    if (!o->check)
        return ek_server_run(config, NULL, err);
    rc = ek_server_check(config, err);
    if (rc == 0)
        printf("the configuration is fine\n");
    return rc;
}

int ek_command_serve(int argc, char **argv)
{
    static char name[] = "ekmotpd serve";
    struct argp_option table[TABLE_SIZE];
    struct argp argp = {table, parse_option, NULL, doc, NULL, NULL, NULL};
    options o = {0};
    ek_config config;
    ekmotp_error err = {0};
    int rc = EK_EXIT_USAGE;

    fill_options(table);
    argv[0] = name;
    argp_err_exit_status = EK_EXIT_USAGE;
    o.given = calloc((size_t)argc, sizeof(*o.given));
    if (!o.given || ek_config_init(&config, &err) != 0) {
        free(o.given);
        fprintf(stderr, "%s: out of memory\n", name);
        return EK_EXIT_FAILED;
    }
    if (argp_parse(&argp, argc, argv, 0, NULL, &o) != 0)
        goto out;
    if (apply(&config, &o, &err) != 0) {
        fprintf(stderr, "%s: %s\n", name, err.message);
        goto out;
    }
    if (run(&config, &o, &err) != 0) {
        fprintf(stderr, "%s: %s\n", name, err.message);
        rc = err.code == EKMOTP_E_INVAL || err.code == EKMOTP_E_SYNTAX ? EK_EXIT_USAGE : EK_EXIT_FAILED;
        goto out;
    }
    rc = EK_EXIT_OK;
out:
    ek_config_clear(&config);
    free(o.given);
    return rc;
}

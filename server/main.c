/* SPDX-License-Identifier: Apache-2.0 */
/* main.c: ekmotpd, the server. Hands over to the command that the first argument names. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "lib/common/streams.h"
#include "server/command.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

typedef struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} command;

static int run_version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    printf("ekmotpd %s\n", PACKAGE_VERSION);
    return EK_EXIT_OK;
}

static const command commands[] = {
    {"serve", ek_command_serve, "run the server"},
    {"client", ek_command_client, "administer the directory of clients"},
    {"version", run_version, "print the version"},
};

static void print_help(FILE *to)
{
    fprintf(
        to,
        "Usage: ekmotpd COMMAND [OPTION...]\n"
        "The ekmotp server: lets a request in on a one-time value that is bound to its TLS connection.\n\n"
        "Commands:\n");
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].help);
    fprintf(to,
            "\nA server in one line, once a client is in the directory:\n"
            "  ekmotpd serve --listen 127.0.0.1:8443 --cert cert.pem --key key.pem --directory clients.db\n\n"
            "'ekmotpd COMMAND --help' tells more; see also ekmotpd(8) and ekmotpd.conf(5).\n");
}

int main(int argc, char **argv)
{
    if (ek_streams_open() != 0)
        return EK_EXIT_FAILED;
    if (argc < 2) {
        print_help(stderr);
        return EK_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return EK_EXIT_OK;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
        return run_version(argc, argv);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    fprintf(stderr, "ekmotpd: there is no command '%s'; 'ekmotpd --help' lists them\n", argv[1]);
    return EK_EXIT_USAGE;
}

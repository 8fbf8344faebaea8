/* SPDX-License-Identifier: Apache-2.0 */
/* main.c: ekmotp, the client. Hands over to the command that the first argument names. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "client/command.h"
#include "lib/common/streams.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

typedef struct command {
    const char *name;
    char *title; /* argv[0] of the command: what its messages begin with */
    int (*run)(int argc, char **argv);
    const char *help;
} command;

static int run_version(int argc, char **argv);
static int run_help(int argc, char **argv);

static const command commands[] = {
    {"request", "ekmotp request", ek_command_request, "send a request that carries a one-time proof"},
    {"token", "ekmotp token", ek_command_token, "show tokens, find out what is wrong with one"},
    {"key", "ekmotp key", ek_command_key, "put client keys into a token, show and remove them"},
    {"agent", "ekmotp agent", ek_command_agent, "look at, lock or stop a shared agent"},
    {"version", "ekmotp version", run_version, "print the version"},
    {"help", "ekmotp help", run_help, "print this text, or 'help COMMAND' the options of a command"},
};

static const command *find_command(const char *name)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(name, commands[i].name) == 0)
            return &commands[i];
    fprintf(stderr, "ekmotp: there is no command '%s'; 'ekmotp help' lists them\n", name);
    return NULL;
}

static void print_help(FILE *to)
{
    fprintf(to,
            "Usage: ekmotp COMMAND [OPTION...]\n"
            "Proves who you are with a one-time value that is worth nothing outside the TLS connection it\n"
            "was made for. The key can stay in a PKCS#11 token: a TPM, an HSM, a smart card.\n\n"
            "Commands:\n");
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].help);
    fprintf(to,
            "\nFor example:\n"
            "  ekmotp request --id client1 --key 'pkcs11:token=ekmotp;object=client1' https://host/get\n\n"
            "'ekmotp COMMAND --help' tells more; see also ekmotp(1), which lists the exit codes.\n");
}

static int run_version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    printf("ekmotp %s\n", PACKAGE_VERSION);
    return EK_EXIT_OK;
}

static int run_help(int argc, char **argv)
{
    const command *found;
    char *args[] = {NULL, "--help", NULL};

    (void)argv;
    if (argc < 2) {
        print_help(stdout);
        return EK_EXIT_OK;
    }
    found = find_command(argv[1]);
    if (!found)
        return EK_EXIT_USAGE;
    args[0] = found->title;
    return found->run == run_help ? run_help(1, args) : found->run(2, args);
}

/* Keys and PINs pass through this process: no core file, and no other process of this user may look in. */
static void harden(void)
{
    const struct rlimit none = {0, 0};

    setrlimit(RLIMIT_CORE, &none);
#ifndef __SANITIZE_ADDRESS__ /* its leak check must look in */
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
    /* A reader that goes away is a write error with a message, not a silent end. */
    signal(SIGPIPE, SIG_IGN);
}

int main(int argc, char **argv)
{
    const command *found;

    if (ek_streams_open() != 0)
        return EK_EXIT_INTERNAL;
    harden();
    if (argc < 2) {
        print_help(stderr);
        return EK_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return run_help(1, argv);
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
        return run_version(1, argv);
    found = find_command(argv[1]);
    if (!found)
        return EK_EXIT_USAGE;
    argv[1] = found->title;
    return found->run(argc - 1, argv + 1);
}

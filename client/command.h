/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command.h: the commands of ekmotp, their exit codes, and what they share. A new command is a file
 * X_command.c in module.am, a line here and a line in the table of main.c.
 */
#ifndef EK_CLIENT_COMMAND_H
#define EK_CLIENT_COMMAND_H

#include <ekmotp/error.h>

/* Exit codes, the same for every command; ekmotp(1) lists them. */
enum {
    EK_EXIT_OK = 0,
    EK_EXIT_STATUS = 1,       /* the server answered with a status other than 2xx and 401 */
    EK_EXIT_USAGE = 2,        /* an option or other input is wrong */
    EK_EXIT_TOKEN = 3,        /* token, key, PIN, agent */
    EK_EXIT_TLS = 4,          /* TLS or network */
    EK_EXIT_REFUSED = 5,      /* 401 */
    EK_EXIT_SERVER_PROOF = 6, /* the server's proof is missing or wrong */
    EK_EXIT_INTERNAL = 7      /* memory, a file that cannot be written, a bug */
};

/* Each gets its own name as argv[0] ("ekmotp request") and returns the exit code. */
int ek_command_request(int argc, char **argv);
int ek_command_key(int argc, char **argv);
int ek_command_token(int argc, char **argv);
int ek_command_agent(int argc, char **argv);

/* The exit code that stands for an EKMOTP_E_* (0 for 0). */
int ek_exit_of(int code);
/* Prints "COMMAND: message" on standard error and returns the exit code for err. */
int ek_complain(const char *command, const ekmotp_error *err);

#endif

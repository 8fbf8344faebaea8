/* SPDX-License-Identifier: Apache-2.0 */
/* command.h: the commands of ekmotpd; each gets its own name as argv[0] and returns the exit code. */
#ifndef EK_SERVER_COMMAND_H
#define EK_SERVER_COMMAND_H

#define EK_EXIT_OK 0
#define EK_EXIT_FAILED 1 /* the work could not be done; standard error says why */
#define EK_EXIT_USAGE 2  /* an option, the configuration or other input is wrong */

/* "ekmotpd serve": runs the server (serve_command.c). */
int ek_command_serve(int argc, char **argv);
/* "ekmotpd client ...": administers the directory (client_command.c). */
int ek_command_client(int argc, char **argv);

#endif

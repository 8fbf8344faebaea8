/* SPDX-License-Identifier: Apache-2.0 */
/* client_command.c: "ekmotpd client COMMAND": administers the directory of clients. */
#include "config.h"

#include "client/pin.h"
#include "server/client_command.h"
#include "server/command.h"

#include <ekmotp/openssl.h>
#include <string.h>
#include <unistd.h>

#define ID_TEXT "An ID is 1 to 255 bytes; write odd bytes as %XX (a space: %20, a '%': %25)."

static const ek_client_command commands[] = {
    {"add", "add a client with its key", "ID",
     "Adds a client. Its key is made at random (--out says where it goes), read from a file, derived from "
     "the "
     "master key, or stays in a token. " ID_TEXT "\v"
     "A new client whose key goes to alice.key:\n"
     "  ekmotpd client add alice --directory clients.db --out alice.key\n\n"
     "The first client makes the directory, and FILE.kek beside it: the key that all client keys are sealed "
     "under. Keep a copy of it in another place.",
     ek_client_add_options, EK_TAKES_ID, 1, 0, ek_client_add},
    {"list", "list clients, by page", "", "Lists the clients in the order of their ids.",
     ek_client_list_options, EK_TAKES_NOTHING, 0, 1, ek_client_list},
    {"show", "show one client", "ID", "Shows everything about a client but its keys.", ek_client_no_options,
     EK_TAKES_ID, 0, 1, ek_client_show},
    {"set", "change a client's profiles, note, validity", "ID", "Changes what is named, and leaves the rest.",
     ek_client_set_options, EK_TAKES_ID, 0, 0, ek_client_set},
    {"disable", "refuse a client from now on", "ID",
     "Refuses the client's requests until it is enabled again.", ek_client_no_options, EK_TAKES_ID, 0, 0,
     ek_client_disable},
    {"enable", "let a disabled client in again", "ID", "Lets a disabled client in again.",
     ek_client_no_options, EK_TAKES_ID, 0, 0, ek_client_enable},
    {"rotate", "give a client a new key beside the old one", "ID",
     "Gives a client a new key. The old one stays valid for the overlap, so that the client can change over "
     "without a gap.\v"
     "  ekmotpd client rotate alice --directory clients.db --overlap 2d --out alice-2.key\n"
     "  ekmotpd client finish-rotation alice --directory clients.db",
     ek_client_rotate_options, EK_TAKES_ID, 0, 0, ek_client_rotate},
    {"finish-rotation", "drop a client's previous key", "ID",
     "Drops the previous key, before its overlap ends.", ek_client_no_options, EK_TAKES_ID, 0, 0,
     ek_client_finish_rotation},
    {"remove", "remove a client", "ID", "Removes a client and its keys.", ek_client_no_options, EK_TAKES_ID,
     0, 0, ek_client_remove},
    {"import", "add many clients from a file", "FILE",
     "Adds the clients of a file ('-': standard input), all or none. Each line is an ID, a space, and the "
     "key in "
     "base64; or what export wrote. " ID_TEXT,
     ek_client_import_options, EK_TAKES_FILE, 1, 0, ek_client_import},
    {"export", "write clients with wrapped keys", "",
     "Writes clients in the form that import reads. The keys in it are sealed under the key-encryption key.",
     ek_client_export_options, EK_TAKES_NOTHING, 0, 1, ek_client_export},
    {"check", "look for damage", "",
     "Reads every page and record of the directory, and tells what is wrong. Migrates an older directory.",
     ek_client_check_options, EK_TAKES_NOTHING, 0, 0, ek_client_check},
};

static void print_help(FILE *to)
{
    fprintf(to, "Usage: ekmotpd client COMMAND --directory FILE [OPTION...] [ID]\n"
                "Administers the directory: who may come in, and with which keys.\n\n"
                "Commands:\n");
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        fprintf(to, "  %-16s %s\n", commands[i].name, commands[i].summary);
    fprintf(to, "\nThe first client, its key in a file for it:\n"
                "  ekmotpd client add alice --directory clients.db --out alice.key\n\n"
                "'ekmotpd client COMMAND --help' tells more; see also ekmotpd-client(8).\n");
}

static int exit_code(int rc)
{
    switch (rc) {
    case 0:
        return EK_EXIT_OK;
    case EKMOTP_E_INVAL:
    case EKMOTP_E_SYNTAX:
    case EKMOTP_E_LIMIT:
    case EKMOTP_E_KEY_LENGTH:
    case EKMOTP_E_PROFILE:
    case EKMOTP_E_URI:
        return EK_EXIT_USAGE;
    default:
        return EK_EXIT_FAILED;
    }
}

/* Says what was made beside what was asked for, and what that means. */
static void tell_created(const ek_client_options *o, unsigned created)
{
    if (created & EKMOTP_DIRECTORY_CREATED)
        fprintf(stderr, "ekmotpd: made the directory %s\n", o->directory);
    if (created & EKMOTP_DIRECTORY_MIGRATED)
        fprintf(stderr, "ekmotpd: %s had an older schema and was migrated\n", o->directory);
    if (created & EKMOTP_DIRECTORY_KEK_CREATED)
        fprintf(stderr,
                "ekmotpd: made %s.kek (mode 0600), the key-encryption key of the directory: the client keys "
                "in %s "
                "are sealed under it. Who has both files has every key; without it the directory is worth "
                "nothing. "
                "Keep a copy in another place, apart from copies of the directory.\n",
                o->directory, o->directory);
}

static int run(const ek_client_command *command, const ek_client_options *o, ekmotp_error *err)
{
    const ek_token_opener_options token_options = {
        .agent_program = o->agent_program, .pin_source = o->pin_source, .pin = ek_pin_ask};
    ekmotp_directory_options options = {.crypto = ekmotp_openssl_crypto(),
                                        .kek = o->kek,
                                        .master = o->master,
                                        .open_token = ek_token_opener_open,
                                        .read_only = command->reads};
    ekmotp_directory *directory = NULL;
    ek_token_opener *opener = NULL;
    unsigned created = 0;
    int rc;

    if (!command->creates && access(o->directory, F_OK) != 0)
        return ekmotp_error_set(err, EKMOTP_E_IO,
                                "%s: there is no such directory; the first client makes it: "
                                "ekmotpd client add ID --directory '%s'",
                                o->directory, o->directory);
    if ((rc = ek_token_opener_new(&token_options, &opener, err)) != 0)
        return rc;
    options.open_token_ctx = opener;
    if ((rc = ekmotp_directory_open(o->directory, &options, &directory, &created, err)) == 0) {
        tell_created(o, created);
        rc = command->run(o, directory, err);
    }
    ekmotp_directory_free(&directory);
    ek_token_opener_free(&opener);
    if (rc == 0 && (fflush(stdout) != 0 || ferror(stdout)))
        rc = ekmotp_error_set(err, EKMOTP_E_IO, "standard output cannot be written");
    return rc;
}

int ek_command_client(int argc, char **argv)
{
    ek_client_options options;
    ekmotp_error err = {0};
    char name[64];
    int rc;

    if (argc < 2) {
        print_help(stderr);
        return EK_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-?") == 0 || strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return EK_EXIT_OK;
    }
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(argv[1], commands[i].name) != 0)
            continue;
        snprintf(name, sizeof(name), "ekmotpd client %s", commands[i].name);
        argv[1] = name; /* cppcheck-suppress autoVariables ; argv is not used after this returns */
        ek_client_options_parse(&commands[i], argc - 1, argv + 1, &options);
        if ((rc = run(&commands[i], &options, &err)) != 0)
            fprintf(stderr, "%s: %s\n", name, err.message);
        return exit_code(rc);
    }
    fprintf(stderr, "ekmotpd client: there is no command '%s'; 'ekmotpd client --help' lists them\n",
            argv[1]);
    return EK_EXIT_USAGE;
}

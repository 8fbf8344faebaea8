/* SPDX-License-Identifier: Apache-2.0 */
/* client_command.h: what the "ekmotpd client" commands share. */
#ifndef EK_SERVER_CLIENT_COMMAND_H
#define EK_SERVER_CLIENT_COMMAND_H

#include "server/token_opener.h"

#include <argp.h>
#include <ekmotp/directory.h>
#include <jansson.h>
#include <stdio.h>

/* What the command line says. Strings are borrowed from it. */
typedef struct ek_client_options {
    const char *directory;
    const char *kek;
    const char *master;
    const char *agent_program;
    const char *pin_source;
    int json;
    /* add, rotate */
    ekmotp_key_source source; /* 0: none named */
    int generate;
    const char *key_file;
    const char *token;
    const char *out;
    uint32_t generation;
    int64_t overlap; /* seconds */
    /* add, set, import */
    ekmotp_hash hash;
    unsigned profiles; /* 0: not given */
    const char *note;
    int64_t not_before;
    int64_t not_after;
    int disabled;
    unsigned what; /* EKMOTP_CLIENT_*: the fields that were named */
    /* list, export */
    ekmotp_directory_filter filter;
    uint8_t after[EKMOTP_ID_MAX];
    /* check */
    int tokens;
    /* the arguments */
    const char *argument; /* an ID, or import's FILE; NULL: none */
    uint8_t id[EKMOTP_ID_MAX];
    size_t id_len;
} ek_client_options;

/* One command: its name, options and work. */
typedef struct ek_client_command {
    const char *name;
    const char *summary;
    const char *args_doc;
    const char *doc;
    const struct argp_option *options;
    int takes;   /* EK_TAKES_* */
    int creates; /* makes the directory where there is none; else that is an error */
    int reads;   /* changes nothing */
    int (*run)(const ek_client_options *options, ekmotp_directory *directory, ekmotp_error *err);
} ek_client_command;

enum { EK_TAKES_NOTHING, EK_TAKES_ID, EK_TAKES_FILE };

/* Reads the command line; exits with status 2 where it is wrong (argp's way), or 0 after --help. */
void ek_client_options_parse(const ek_client_command *command, int argc, char **argv,
                             ek_client_options *options);

/* The options of each command (client_command_options.c), ended as argp wants it. */
extern const struct argp_option ek_client_add_options[], ek_client_set_options[], ek_client_rotate_options[],
    ek_client_list_options[], ek_client_import_options[], ek_client_export_options[],
    ek_client_check_options[], ek_client_no_options[];

/* The work: client_command_key.c, _change.c, _list.c, _transfer.c. */
int ek_client_add(const ek_client_options *options, ekmotp_directory *directory, ekmotp_error *err);
int ek_client_rotate(const ek_client_options *options, ekmotp_directory *directory, ekmotp_error *err);
int ek_client_set(const ek_client_options *options, ekmotp_directory *directory, ekmotp_error *err);
int ek_client_disable(const ek_client_options *options, ekmotp_directory *directory, ekmotp_error *err);
int ek_client_enable(const ek_client_options *options, ekmotp_directory *directory, ekmotp_error *err);
int ek_client_finish_rotation(const ek_client_options *options, ekmotp_directory *directory,
                              ekmotp_error *err);
int ek_client_remove(const ek_client_options *options, ekmotp_directory *directory, ekmotp_error *err);
int ek_client_list(const ek_client_options *options, ekmotp_directory *directory, ekmotp_error *err);
int ek_client_show(const ek_client_options *options, ekmotp_directory *directory, ekmotp_error *err);
int ek_client_check(const ek_client_options *options, ekmotp_directory *directory, ekmotp_error *err);
int ek_client_import(const ek_client_options *options, ekmotp_directory *directory, ekmotp_error *err);
int ek_client_export(const ek_client_options *options, ekmotp_directory *directory, ekmotp_error *err);

/*
 * Hands a client's key over to where --out says: a new file with mode 0600, or the token that a pkcs11:
 * URI names (through "ekmotp key import", which sees to every kind of token). client_command_handover.c.
 */
int ek_client_hand_over(const ek_client_options *options, ekmotp_hash hash, const uint8_t *bytes, size_t len,
                        ekmotp_error *err);
/* Takes back what was handed over, where that can be done: the file. */
void ek_client_take_back(const ek_client_options *options);
/* Says on standard output where the key is. */
void ek_client_tell_handed_over(const ek_client_options *options);

/* ---- output: client_command_output.c ---- */

/* A client as JSON (one reference, the caller's); NULL: out of memory. */
json_t *ek_client_json(const ekmotp_client_info *info);
/* Prints a JSON value and a line end, and gives up the reference. */
int ek_client_print_json(json_t *value, ekmotp_error *err);
/* An ekmotp_directory_visit: prints a client in full; ctx is the ek_client_options. */
int ek_client_print(void *ctx, const ekmotp_client_info *info, ekmotp_error *err);
/* A client in one line of a table. */
void ek_client_print_line(const ekmotp_client_info *info);
/* "2026-01-31T12:00:00Z", or otherwise where it is the limit that means none. */
#define EK_TIME_SIZE 32
void ek_client_time_text(int64_t time, const char *otherwise, char text[EK_TIME_SIZE]);

#endif

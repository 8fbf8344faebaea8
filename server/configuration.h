/* SPDX-License-Identifier: Apache-2.0 */
/* configuration.h: what ekmotpd is told, by its file (ekmotpd.conf(5)) and by options. */
#ifndef EK_SERVER_CONFIGURATION_H
#define EK_SERVER_CONFIGURATION_H

#include "server/log.h"

#include <ekmotp/error.h>
#include <stddef.h>

/* A list of strings, owned. */
typedef struct ek_list {
    size_t count;
    char **items;
} ek_list;

typedef struct ek_config {
    /* [server] */
    ek_list listen;
    unsigned threads; /* 0: one per core */
    unsigned drain_timeout;
    /* [tls] */
    char *cert;
    char *key;
    char *groups; /* NULL: OpenSSL's */
    /* [directory] */
    char *directory;
    char *kek;
    char *master;
    /* [auth] */
    unsigned profiles; /* set of EKMOTP_PROFILE_BIT */
    char *realm;
    char *compat_client;
    char *audience;
    unsigned leeway;
    int show_derived;
    /* [token] */
    char *agent;         /* socket of a shared agent; NULL: start a private one */
    char *agent_program; /* NULL: the installed one */
    char *pin_source;
    unsigned token_timeout;
    unsigned token_threads;
    /* [limits]; times in seconds */
    unsigned header_size;
    unsigned body_size;
    unsigned handshake_timeout;
    unsigned header_timeout;
    unsigned body_timeout;
    unsigned send_timeout;
    unsigned idle_timeout;
    unsigned connections;
    unsigned connections_per_address;
    unsigned requests_per_connection; /* 0: any number */
    /* [log] */
    ek_log_level log_level;
    ek_log_format log_format;
    unsigned log_refusals; /* lines a second; 0: any number */
    /* [admin] */
    ek_list admin_listen;
    int admin_remote;
    /* [content] */
    char *static_folder;
    ek_list handlers;
} ek_config;

typedef struct ek_setting ek_setting;

/* The defaults; ek_config_clear releases what a configuration owns. */
int ek_config_init(ek_config *config, ekmotp_error *err) __attribute__((warn_unused_result));
void ek_config_clear(ek_config *config);

/* The settings, in the order of the documentation; NULL behind the last. */
const ek_setting *ek_setting_at(size_t index);
/* Its section in the file, which groups the options too. */
const char *ek_setting_section(const ek_setting *setting);
/* Its name as an option ("header-timeout", "admin-listen"), its value's name and its help. */
const char *ek_setting_option(const ek_setting *setting);
const char *ek_setting_argument(const ek_setting *setting); /* NULL: the option alone means yes */
const char *ek_setting_help(const ek_setting *setting);
/*
 * Sets one value, read from text (NULL where ek_setting_argument is NULL). A list grows. EKMOTP_E_SYNTAX
 * with what is allowed.
 */
int ek_setting_set(const ek_setting *setting, ek_config *config, const char *text, ekmotp_error *err)
    __attribute__((warn_unused_result));
/* Empties a list, so that options replace what the file says. */
void ek_setting_reset(const ek_setting *setting, ek_config *config);

/* Reads a file over the configuration. Errors name file and line. */
int ek_config_read(ek_config *config, const char *path, ekmotp_error *err)
    __attribute__((warn_unused_result));
/* What must be there, and what contradicts itself. */
int ek_config_check(const ek_config *config, ekmotp_error *err) __attribute__((warn_unused_result));

/* For configuration_file.c: the setting of a section and name; NULL if there is none. */
const ek_setting *ek_setting_find(const char *section, const char *name);
int ek_setting_is_list(const ek_setting *setting);
/* 1 if some setting is in this section. */
int ek_setting_section_known(const char *section);

#endif

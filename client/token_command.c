/* SPDX-License-Identifier: Apache-2.0 */
/* token_command.c: 'ekmotp token': which tokens are there, and what is wrong with one. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "client/command.h"
#include "client/token_admin.h"
#include "client/tpm.h"

#include <stdio.h>
#include <string.h>

static const char doc[] =
    "Shows the PKCS#11 modules and tokens of this machine, or finds out what is wrong with one."
    "\v  list    modules that are registered with p11-kit, their tokens, and what each can do. Sends no PIN. "
    "With a "
    "URI: the modules and tokens that it names.\n"
    "  doctor  walks from the URI to a MAC: module, token, login, key, mechanism, MAC, attributes, a TPM's "
    "lockout; "
    "says for each step fine, warning or broken, and the command that mends it. Sends the PIN once.\n\n"
    "For example:\n"
    "  ekmotp token list\n"
    "  ekmotp token doctor --pin-source pin 'pkcs11:token=ekmotp;object=client1'\n\n"
    "Exit codes: 0 = fine or warnings, 2 = usage, 3 = something is broken, 7 = internal.";

typedef struct token_options {
    ek_token_admin admin;
    const char *verb;
} token_options;

static error_t parse(int key, char *arg, struct argp_state *state)
{
    token_options *options = state->input;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->admin;
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num == 0)
            options->verb = arg;
        else if (state->arg_num == 1)
            options->admin.uri = arg;
        else
            argp_error(state, "one URI at a time");
        return 0;
    case ARGP_KEY_END:
        if (!options->verb)
            argp_error(state, "say what to do: list, or doctor URI");
        else if (strcmp(options->verb, "list") != 0 && strcmp(options->verb, "doctor") != 0)
            argp_error(state, "'%s' is neither list nor doctor", options->verb);
        else if (strcmp(options->verb, "doctor") == 0 && !options->admin.uri)
            argp_error(state, "doctor needs the URI of a key, for example 'pkcs11:token=LABEL;object=NAME'");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- list ---- */

static void print_token(const json_t *token)
{
    const json_t *macs = json_object_get(token, "macs"), *mac;
    size_t i;

    printf("  token '%s': %s %s, serial number %s\n", ek_token_text(token, "label"),
           ek_token_text(token, "manufacturer"), ek_token_text(token, "model"),
           ek_token_text(token, "serial"));
    printf("    PIN: %s%s\n", json_is_true(json_object_get(token, "login")) ? "" : "not asked for, ",
           ek_token_text(token, "pin"));
    printf("    HMAC:");
    json_array_foreach(macs, i, mac) printf("%s %s", i ? "," : "", json_string_value(mac));
    printf("%s\n    %s\n", json_array_size(macs) ? "" : " none, so it cannot hold a client key",
           ek_token_text(token, "uri"));
}

static void print_module(const json_t *module)
{
    const json_t *tokens = json_object_get(module, "tokens"), *token;
    size_t i;

    printf("module %s%s%s", ek_token_text(module, "name"), ek_token_text(module, "name")[0] ? ": " : "",
           ek_token_text(module, "path"));
    if (ek_token_text(module, "description")[0])
        printf(" (%s %s)", ek_token_text(module, "description"), ek_token_text(module, "version"));
    putchar('\n');
    json_array_foreach(tokens, i, token) print_token(token);
    if (ek_token_text(module, "error")[0])
        printf("  does not answer: %s\n", ek_token_text(module, "error"));
    else if (json_array_size(tokens) == 0)
        printf("  no token\n");
}

/*
 * Each module is asked by a request of its own, so that one whose device is dead costs its time and no
 * more.
 */
static int list_registered(ek_token_admin *admin, json_t *all, ekmotp_error *err)
{
    json_t *reply = NULL, *entry;
    int rc = ek_token_admin_call(admin, "modules", NULL, &reply, err);
    size_t i;

    if (rc != 0)
        return rc;
    json_array_foreach(json_object_get(reply, "modules"), i, entry)
    {
        json_t *one = NULL;
        ekmotp_error why = {0};

        admin->uri = ek_token_text(entry, "uri");
        if (ek_token_admin_call(admin, "tokens", NULL, &one, &why) == 0) {
            json_array_extend(all, json_object_get(one, "modules"));
        } else {
            json_t *copy = json_copy(entry);

            json_object_set_new(copy, "error", json_string(why.message));
            json_array_append_new(all, copy);
        }
        json_decref(one);
    }
    admin->uri = NULL;
    json_decref(reply);
    return 0;
}

static int list(ek_token_admin *admin, ekmotp_error *err)
{
    json_t *reply = json_object(), *modules = json_array(), *module, *one = NULL;
    size_t i;
    int rc;

    json_object_set_new(reply, "modules", modules);
    if (admin->uri) {
        rc = ek_token_admin_call(admin, "tokens", NULL, &one, err);
        json_array_extend(modules, json_object_get(one, "modules"));
        if (rc == 0 && json_object_get(one, "failed"))
            json_object_set(reply, "failed", json_object_get(one, "failed"));
        json_decref(one);
    } else {
        rc = list_registered(admin, modules, err);
    }
    if (rc == 0 && admin->json)
        ek_token_admin_print(reply);
    if (rc == 0 && !admin->json) {
        json_array_foreach(modules, i, module) print_module(module);
        if (ek_token_text(reply, "failed")[0])
            printf("%s\n", ek_token_text(reply, "failed"));
        if (json_array_size(modules) == 0)
            printf("no module is registered with p11-kit, see pkcs11.conf(5); 'ekmotp token list "
                   "\"pkcs11:?module-path=FILE\"' looks at one that is not\n");
    }
    json_decref(reply);
    return rc;
}

/* ---- doctor ---- */

static json_t *step_of(const char *verdict, const char *text, const char *fix)
{
    json_t *step = json_pack("{s:s, s:s, s:s}", "step", "lockout", "verdict", verdict, "text", text);

    if (fix)
        json_object_set_new(step, "fix", json_string(fix));
    return step;
}

static void add_lockout(json_t *steps)
{
    static const char clear[] = "tpm2_dictionarylockout --clear-lockout";
    ek_tpm_lockout lockout;
    ekmotp_error why = {0};
    char text[256];

    if (ek_tpm_lockout_get(&lockout, &why) != 0) {
        snprintf(text, sizeof(text), "the state of the TPM's lockout is not known: %.180s", why.message);
        json_array_append_new(steps, step_of("warning", text, NULL));
        return;
    }
    if (lockout.locked)
        snprintf(text, sizeof(text),
                 "the TPM takes no PIN now: %lu failures of %lu; one is forgotten every %lu seconds",
                 lockout.counter, lockout.max, lockout.interval);
    else
        snprintf(text, sizeof(text), "%lu of %lu failures count, one is forgotten every %lu seconds",
                 lockout.counter, lockout.max, lockout.interval);
    json_array_append_new(steps, step_of(lockout.locked         ? "broken"
                                         : lockout.counter == 0 ? "fine"
                                                                : "warning",
                                         text, lockout.locked ? clear : NULL));
}

/* Prints the steps; 1 if one is broken. */
static int print_steps(const json_t *steps, int print)
{
    const json_t *step;
    int is_broken = 0;
    size_t i;

    json_array_foreach(steps, i, step)
    {
        if (print)
            printf("%-8s %-10s %s\n", ek_token_text(step, "verdict"), ek_token_text(step, "step"),
                   ek_token_text(step, "text"));
        if (print && ek_token_text(step, "fix")[0])
            printf("%-8s %-10s %s\n", "", "mend it:", ek_token_text(step, "fix"));
        if (strcmp(ek_token_text(step, "verdict"), "broken") == 0)
            is_broken = 1;
    }
    return is_broken;
}

static int doctor(ek_token_admin *admin, int *exit_code, ekmotp_error *err)
{
    json_t *reply = NULL;
    int rc = ek_token_admin_call(admin, "doctor", NULL, &reply, err);

    if (rc != 0)
        return rc;
    if (json_is_true(json_object_get(reply, "tpm")))
        add_lockout(json_object_get(reply, "steps"));
    if (admin->json)
        ek_token_admin_print(reply);
    if (print_steps(json_object_get(reply, "steps"), !admin->json))
        *exit_code = EK_EXIT_TOKEN;
    json_decref(reply);
    return 0;
}

int ek_command_token(int argc, char **argv)
{
    static const struct argp_child children[] = {{&ek_token_admin_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {
        .parser = parse, .args_doc = "list [URI]\ndoctor URI", .doc = doc, .children = children};
    token_options options = {0};
    ekmotp_error err = {0};
    int rc, exit_code = EK_EXIT_OK;

    argp_err_exit_status = EK_EXIT_USAGE;
    if (argp_parse(&argp, argc, argv, 0, NULL, &options) != 0)
        return EK_EXIT_USAGE;
    if (strcmp(options.verb, "list") == 0)
        rc = list(&options.admin, &err);
    else
        rc = doctor(&options.admin, &exit_code, &err);
    ek_token_admin_close(&options.admin);
    return rc == 0 ? exit_code : ek_complain(argv[0], &err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* key_command.c: 'ekmotp key': the client keys in a token. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "client/command.h"
#include "client/tls.h"
#include "client/token_admin.h"
#include "client/tpm.h"
#include "lib/common/base64.h"
#include "lib/common/file.h"
#include "p11/admin.h"
#include "p11/agent/uri_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char doc[] =
    "Puts client keys into a PKCS#11 token, shows and removes them."
    "\v  list      the secret keys that the URI names\n"
    "  import    puts the raw bytes of a file into the token under the name in the URI, then compares a MAC "
    "that the "
    "token makes with one made here\n"
    "  generate  the same with fresh random bytes, which are also written to a new file for the server "
    "('ekmotpd "
    "client add'): client and server share this key. Remove the file once it is enrolled\n"
    "  remove    removes the one key that the URI names\n\n"
    "Keys are made private, sensitive and not extractable; a token that does not honour this is named. A key "
    "is "
    "never taken from the command line.\n\n"
    "For example:\n"
    "  ekmotp key generate --out client1.key 'pkcs11:token=ekmotp;object=client1'\n"
    "  ekmotp key import --from client1.key 'pkcs11:token=ekmotp;object=client1'\n\n"
    "Exit codes: 0 = done, 2 = usage, 3 = token or key, 7 = internal.";

enum { OPT_FROM = 256, OPT_OUT, OPT_LENGTH, OPT_ALLOW_SHORT };

static const struct argp_option option_list[] = {
    {0, 0, 0, 0, "The key:", 10},
    {"from", OPT_FROM, "FILE", 0, "import: raw bytes of the key, 32 to 64 (- is standard input, the default)",
     0},
    {"allow-short", OPT_ALLOW_SHORT, 0, 0, "import: 1 to 31 bytes too, for the compat profiles only", 0},
    {"out", OPT_OUT, "FILE", 0, "generate: write the bytes to this new file (mode 0600)", 0},
    {"length", OPT_LENGTH, "BYTES", 0, "generate: 32 to 64 bytes (the length of the hash)", 0},
    {0}};

typedef struct key_options {
    ek_token_admin admin;
    const char *verb, *from, *out;
    size_t length;
    int allow_short;
} key_options;

static void check_verb(const key_options *options, struct argp_state *state)
{
    static const char *const verbs[] = {"list", "import", "generate", "remove"};
    int known = 0;

    if (!options->verb)
        argp_error(state, "say what to do: list, import, generate or remove, and the URI");
    for (size_t i = 0; options->verb && i < sizeof(verbs) / sizeof(verbs[0]); i++)
        known |= strcmp(options->verb, verbs[i]) == 0;
    if (!known)
        argp_error(state, "'%s' is none of list, import, generate, remove", options->verb);
    if (!options->admin.uri)
        argp_error(state, "the URI is missing, for example 'pkcs11:token=LABEL;object=NAME'");
    if (strcmp(options->verb, "generate") == 0 && !options->out)
        argp_error(state, "generate needs --out FILE: a key that the server does not know is of no use");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    key_options *options = state->input;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->admin;
        return 0;
    case OPT_FROM:
        options->from = arg;
        return 0;
    case OPT_OUT:
        options->out = arg;
        return 0;
    case OPT_ALLOW_SHORT:
        options->allow_short = 1;
        return 0;
    case OPT_LENGTH:
        options->length = strtoul(arg, NULL, 10);
        if (options->length < EKMOTP_KEY_MIN_SIZE || options->length > EKMOTP_KEY_MAX_SIZE)
            argp_error(state, "--length %s: a key has %d to %d bytes", arg, EKMOTP_KEY_MIN_SIZE,
                       EKMOTP_KEY_MAX_SIZE);
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
        check_verb(options, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- list, remove ---- */

static const char *yes_no(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    return json_is_true(value) ? "yes" : json_is_false(value) ? "no" : "?";
}

static int list(ek_token_admin *admin, ekmotp_error *err)
{
    json_t *reply = NULL, *key;
    int rc = ek_token_admin_call(admin, "keys", NULL, &reply, err);
    size_t i;

    if (rc != 0)
        return rc;
    if (admin->json)
        ek_token_admin_print(reply);
    else
        json_array_foreach(json_object_get(reply, "keys"), i, key)
        {
            printf("key '%s': %s, private %s, sensitive %s, extractable %s, sign %s",
                   ek_token_text(key, "label"), ek_token_text(key, "type"), yes_no(key, "private"),
                   yes_no(key, "sensitive"), yes_no(key, "extractable"), yes_no(key, "sign"));
            printf("\n  %s\n", ek_token_text(key, "uri"));
        }
    if (!admin->json && json_array_size(json_object_get(reply, "keys")) == 0)
        printf("token '%s' has no such key\n", ek_token_text(reply, "token"));
    json_decref(reply);
    return 0;
}

static int remove_key(ek_token_admin *admin, ekmotp_error *err)
{
    json_t *reply = NULL;
    int rc = ek_token_admin_call(admin, "remove", NULL, &reply, err);

    if (rc != 0)
        return rc;
    if (admin->json)
        ek_token_admin_print(reply);
    else
        printf("removed key '%s' from token '%s'\n", ek_token_text(reply, "removed"),
               ek_token_text(reply, "token"));
    json_decref(reply);
    return 0;
}

/* ---- import ---- */

/* What the token made of the check message must be what these bytes make of it. */
static int compare(const ek_token_admin *admin, const ek_secret *key, const json_t *reply, ekmotp_error *err)
{
    uint8_t wanted[EKMOTP_HASH_MAX_SIZE], got[EKMOTP_HASH_MAX_SIZE];
    const char *text = ek_token_text(reply, "check");
    size_t len = 0, size = ekmotp_hash_size(admin->hash);
    int rc = 0;

    if (ekmotp_crypto_hmac(ek_tls_crypto(), admin->hash, key->bytes, key->len,
                           (const uint8_t *)EK_ADMIN_CHECK, strlen(EK_ADMIN_CHECK), wanted) != 0)
        return ekmotp_error_set(err, EKMOTP_E_CRYPTO, "HMAC failed in %s", ek_tls_crypto()->name);
    if (ek_base64_decode(EK_BASE64, text, strlen(text), got, sizeof(got), &len) != 0 || len != size ||
        !ek_equal(wanted, got, size))
        rc = ekmotp_error_set(
            err, EKMOTP_E_TOKEN_CHANGED,
            "token '%s' took the key, but its MAC is not that of these bytes; remove the key and do "
            "not use this token",
            ek_token_text(reply, "token"));
    ek_wipe(wanted, sizeof(wanted));
    return rc;
}

/* Through tpm2_ptool, and then asks the token for the check. */
static int import_by_ptool(ek_token_admin *admin, const char *token, const ek_secret *key, json_t **reply,
                           ekmotp_error *err)
{
    char *name = NULL;
    int rc = ek_uri_text_value(admin->uri, "object", &name, err);

    if (rc == 0 && !name)
        rc = ekmotp_error_set(err, EKMOTP_E_URI,
                              "a key in a TPM is found by its label: add object=NAME to the URI");
    if (rc == 0 && !admin->pin)
        rc = ekmotp_error_set(err, EKMOTP_E_PIN_MISSING, "token '%s' needs its PIN for this", token);
    if (rc == 0)
        rc = ek_tpm_import(token, admin->pin, name, admin->hash, key, err);
    if (rc == 0)
        rc = ek_token_admin_call(admin, "check", NULL, reply, err);
    free(name);
    return rc;
}

static json_t *value_of(const ek_secret *key)
{
    char text[EK_BASE64_SIZE(EKMOTP_KEY_MAX_SIZE)];
    json_t *value = NULL;

    if (ek_base64_encode(EK_BASE64, key->bytes, key->len, text, sizeof(text)) == 0)
        value = json_pack("{s:s}", "value", text);
    ek_wipe(text, sizeof(text));
    return value;
}

static int import_bytes(ek_token_admin *admin, const ek_secret *key, ekmotp_error *err)
{
    json_t *reply = NULL, *warning;
    size_t i;
    int rc = ek_token_admin_call(admin, "import", value_of(key), &reply, err);

    if (rc == 0 && json_object_get(reply, "ptool")) {
        json_t *first = reply;

        reply = NULL;
        rc = import_by_ptool(admin, ek_token_text(first, "ptool"), key, &reply, err);
        json_decref(first);
    }
    if (rc == 0)
        rc = compare(admin, key, reply, err);
    if (rc != 0)
        goto out;
    if (admin->json) {
        ek_token_admin_print(reply);
        goto out;
    }
    printf("token '%s' has the key, and its MAC is right%s\n", ek_token_text(reply, "token"),
           json_is_true(json_object_get(reply, "padded")) ? " (padded with zeros, which is the same HMAC key)"
                                                          : "");
    json_array_foreach(json_object_get(reply, "warnings"), i, warning)
        printf("warning: %s\n", json_string_value(warning));
out:
    json_decref(reply);
    return rc;
}

static int import(key_options *options, ekmotp_error *err)
{
    const char *from = options->from ? options->from : "-";
    ek_secret *key = NULL;
    int rc = ek_file_read_secret(from, EKMOTP_KEY_MAX_SIZE, &key, err);

    if (rc == 0 && key->len < EKMOTP_KEY_MIN_SIZE && !options->allow_short)
        rc = ekmotp_error_set(
            err, EKMOTP_E_KEY_LENGTH,
            "the key has %zu bytes, %d to %d are needed (the file holds raw bytes; --allow-short "
            "takes fewer, for the compat profiles)",
            key->len, EKMOTP_KEY_MIN_SIZE, EKMOTP_KEY_MAX_SIZE);
    if (rc == 0)
        rc = import_bytes(&options->admin, key, err);
    ek_secret_free(&key);
    return rc;
}

static int generate(key_options *options, ekmotp_error *err)
{
    size_t len = options->length ? options->length : ekmotp_hash_size(options->admin.hash);
    ek_secret *key = ek_secret_new(NULL, len);
    int rc;

    if (!key)
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory for a key");
    rc = ek_tls_crypto()->random(key->bytes, key->len);
    if (rc != 0)
        rc = ekmotp_error_set(err, EKMOTP_E_CRYPTO, "no random bytes from %s", ek_tls_crypto()->name);
    /* The file first: a key that is only in the token could never be enrolled. */
    if (rc == 0)
        rc = ek_file_write_secret(options->out, key->bytes, key->len, err);
    if (rc == 0) {
        rc = import_bytes(&options->admin, key, err);
        if (rc != 0)
            remove(options->out);
    }
    if (rc == 0 && !options->admin.json)
        printf("its bytes for the server are in %s: enrol them with 'ekmotpd client add', then remove the "
               "file\n",
               options->out);
    ek_secret_free(&key);
    return rc;
}

int ek_command_key(int argc, char **argv)
{
    static const struct argp_child children[] = {{&ek_token_admin_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {.options = option_list,
                                     .parser = parse,
                                     .args_doc = "list|import|generate|remove URI",
                                     .doc = doc,
                                     .children = children};
    key_options options = {0};
    ekmotp_error err = {0};
    int rc;

    argp_err_exit_status = EK_EXIT_USAGE;
    if (argp_parse(&argp, argc, argv, 0, NULL, &options) != 0)
        return EK_EXIT_USAGE;
    if (strcmp(options.verb, "list") == 0)
        rc = list(&options.admin, &err);
    else if (strcmp(options.verb, "remove") == 0)
        rc = remove_key(&options.admin, &err);
    else if (strcmp(options.verb, "import") == 0)
        rc = import(&options, &err);
    else
        rc = generate(&options, &err);
    ek_token_admin_close(&options.admin);
    return rc == 0 ? EK_EXIT_OK : ek_complain(argv[0], &err);
}

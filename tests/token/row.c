/* SPDX-License-Identifier: Apache-2.0 */
/*
 * row.c: what every token must do, for the shell tests of this folder. One step in one process:
 *
 *   row import URI KEYFILE [HASH]     puts the key in (C_CreateObject)
 *   row unsafe URI                    makes a key as no key should be: public, readable, extractable
 *   row suite URI KEYFILE [HASH]      MACs of every length, threads, a logout, a fork: all right
 *   row open URI                      opens the key; prints "opened", or the code and the message
 *   row stream URI KEYFILE COUNT      until COUNT MACs were made by 4 threads, whatever happens to the token;
 *                                     says "step" on standard output after each fifth of them, goes on with
 *                                     the next fifth, and to the one after it once a line came on standard
 *                                     input. Prints "right R wrong W failed F"
 *
 * NO_LOGOUT leaves the logout out. PIN_FILE is the PIN's file, MODULES a folder with p11-kit's module files
 * to use in place of the system's.
 */
#define P11_KIT_FUTURE_UNSTABLE_API
#include "tests/token/row.h"

#include "lib/common/base64.h"
#include "lib/common/file.h"
#include "p11/admin.h"
#include "p11/pin.h"
#include "p11/token.h"

#include <p11-kit/p11-kit.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int admin(const char *op, const char *uri, const char *value, ekmotp_hash hash)
{
    char request[2048], pin[512] = "", *reply = NULL;
    const char *file = getenv("PIN_FILE");
    ekmotp_error err = {0};
    ek_secret *text = NULL;

    if (file && ek_file_read_secret(file, 255, &text, &err) == 0) {
        size_t len = text->bytes[text->len - 1] == '\n' ? text->len - 1 : text->len;

        if (ek_base64_encode(EK_BASE64, text->bytes, len, pin, sizeof(pin)) != 0)
            return 1;
    }
    snprintf(request, sizeof(request),
             "{\"op\":\"%s\",\"uri\":\"%s\",\"pin\":\"%s\",\"value\":\"%s\",\"hash\":\"%s\"}", op, uri, pin,
             value, ekmotp_hash_name(hash));
    ek_secret_free(&text);
    if (ek_p11_admin(request, &reply, &err) != 0) {
        printf("%d %s\n", err.code, err.message);
        return 1;
    }
    printf("%s\n", reply);
    free(reply);
    return 0;
}

static int import(const char *uri, const char *path, ekmotp_hash hash)
{
    char text[EK_BASE64_SIZE(64)];
    ek_secret *key = NULL;
    ekmotp_error err = {0};

    if (ek_file_read_secret(path, 64, &key, &err) != 0 ||
        ek_base64_encode(EK_BASE64, key->bytes, key->len, text, sizeof(text)) != 0) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    ek_secret_free(&key);
    return admin("import", uri, text, hash);
}

static int make_unsafe(const char *text)
{
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_GENERIC_SECRET;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_BYTE value[32] = {1};
    CK_ATTRIBUTE template[] = {
        {CKA_CLASS, &class, sizeof(class)}, {CKA_KEY_TYPE, &type, sizeof(type)},
        {CKA_TOKEN, &yes, sizeof(yes)},     {CKA_PRIVATE, &no, sizeof(no)},
        {CKA_SENSITIVE, &no, sizeof(no)},   {CKA_EXTRACTABLE, &yes, sizeof(yes)},
        {CKA_SIGN, &yes, sizeof(yes)},      {CKA_VALUE, value, sizeof(value)},
        {CKA_LABEL, "unsafe", 6},
    };
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE object;
    ek_modules modules = {0};
    ekmotp_error err = {0};
    ek_token token = {0};
    ek_secret *pin = NULL;
    ek_uri *uri = NULL;
    CK_RV rv;

    if (ek_uri_parse(text, &uri, &err) != 0 || ek_modules_open(uri, &modules, &err) != 0 ||
        ek_token_find(uri, &modules, &token, &err) != 0 ||
        ek_token_session(&token, CKF_RW_SESSION, &session, &err) != 0 ||
        ek_pin_get(uri, NULL, "row", &pin, &err) != 0 || ek_token_login(&token, session, pin, &err) != 0) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    rv = ek_module_functions(token.module)
             ->C_CreateObject(session, template, sizeof(template) / sizeof(template[0]), &object);
    ek_secret_free(&pin);
    ek_token_clear(&token);
    ek_modules_close(&modules);
    ek_uri_free(&uri);
    return rv == CKR_OK ? 0 : 1;
}

static int open_only(const char *uri)
{
    ekmotp_error err = {0};
    ekmotp_key *key = NULL;

    if (row_open(uri, EKMOTP_HASH_SHA256, &key, &err) != 0) {
        printf("%d %s\n", err.code, err.message);
        return 0;
    }
    printf("opened\n");
    ekmotp_key_free(&key);
    return 0;
}

int main(int argc, char **argv)
{
    const char *modules = getenv("MODULES");
    ekmotp_hash hash = EKMOTP_HASH_SHA256;
    const char *verb = argc > 2 ? argv[1] : "";

    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (modules)
        p11_kit_override_system_files("/nonexistent", "/nonexistent", modules, "/nonexistent",
                                      "/nonexistent");
    if (argc > 4 && ekmotp_hash_parse(argv[4], &hash, NULL) != 0)
        hash = EKMOTP_HASH_SHA256;
    if (strcmp(verb, "import") == 0 && argc >= 4)
        return import(argv[2], argv[3], hash);
    if (strcmp(verb, "unsafe") == 0)
        return make_unsafe(argv[2]);
    if (strcmp(verb, "suite") == 0 && argc >= 4)
        return row_suite(argv[2], argv[3], hash);
    if (strcmp(verb, "stream") == 0 && argc == 5)
        return row_stream(argv[2], argv[3], atoi(argv[4]));
    if (strcmp(verb, "open") == 0)
        return open_only(argv[2]);
    fprintf(stderr, "usage: row import|unsafe|suite|stream|open URI ...\n");
    return 2;
}

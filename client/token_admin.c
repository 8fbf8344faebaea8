/* SPDX-License-Identifier: Apache-2.0 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "client/token_admin.h"

#include "client/pin.h"
#include "client/request_values.h"
#include "client/text.h"
#include "lib/common/base64.h"
#include "lib/common/file.h"
#include "p11/agent/uri_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_TIMEOUT_MS 10000

enum { OPT_PIN_SOURCE = 512, OPT_AGENT, OPT_AGENT_PROGRAM, OPT_HASH, OPT_JSON, OPT_TIMEOUT };

static const struct argp_option option_list[] = {
    {0, 0, 0, 0, "The token:", 20},
    {"pin-source", OPT_PIN_SOURCE, "FILE", 0,
     "file with the token's PIN; otherwise the URI's pin-source, the systemd credential ekmotp.pin, a prompt",
     0},
    {"hash", OPT_HASH, "NAME", 0, "hash of the key: sha256 (default), sha384, sha512", 0},
    {"agent", OPT_AGENT, "SOCKET", 0, "use the agent on this socket ($EKMOTP_AGENT_SOCK), not a private one",
     0},
    {"agent-program", OPT_AGENT_PROGRAM, "PATH", 0, "start this program as the private agent", 0},
    {"timeout", OPT_TIMEOUT, "SECONDS", 0, "wait no longer for a module (10)", 0},
    {"json", OPT_JSON, 0, 0, "print JSON, for programs", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    ek_token_admin *admin = state->input;
    ekmotp_error err = {0};
    long ms = 0;

    switch (key) {
    case ARGP_KEY_INIT:
        admin->agent_socket = getenv("EKMOTP_AGENT_SOCK");
        admin->hash = EKMOTP_HASH_SHA256;
        admin->timeout_ms = DEFAULT_TIMEOUT_MS;
        return 0;
    case OPT_PIN_SOURCE:
        admin->pin_source = arg;
        return 0;
    case OPT_HASH:
        ek_value_check(state, "--hash", ekmotp_hash_parse(arg, &admin->hash, &err), &err);
        return 0;
    case OPT_AGENT:
        admin->agent_socket = arg;
        return 0;
    case OPT_AGENT_PROGRAM:
        admin->agent_program = arg;
        return 0;
    case OPT_TIMEOUT:
        ek_value_check(state, "--timeout", ek_text_seconds(arg, &ms, &err), &err);
        admin->timeout_ms = (unsigned)ms;
        return 0;
    case OPT_JSON:
        admin->json = 1;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp ek_token_admin_argp = {.options = option_list, .parser = parse};

/* ---- the PIN ---- */

static int read_pin_file(const char *source, ek_secret **out, ekmotp_error *err)
{
    const char *path = strncmp(source, "file:", 5) == 0 ? source + 5 : source;
    ek_secret *text = NULL;
    int rc;

    if (strncmp(path, "///", 3) == 0)
        path += 2;
    rc = ek_file_read_secret(path, EKMOTP_PIN_MAX + 2, &text, err);
    if (rc != 0)
        return rc;
    if (text->len > 0 && text->bytes[text->len - 1] == '\n')
        text->len--;
    if (text->len > 0 && text->bytes[text->len - 1] == '\r')
        text->len--;
    if (text->len == 0 || text->len > EKMOTP_PIN_MAX) {
        ek_secret_free(&text);
        return ekmotp_error_set(err, EKMOTP_E_PIN_MISSING, "%s: a PIN has 1 to %d bytes", path,
                                EKMOTP_PIN_MAX);
    }
    *out = text;
    return 0;
}

static int ask_pin(const char *token, ek_secret **out, ekmotp_error *err)
{
    char pin[EKMOTP_PIN_MAX];
    int rc = ek_pin_ask(NULL, token, pin, sizeof(pin), err);

    if (rc >= 0) {
        *out = ek_secret_new(pin, (size_t)rc);
        rc = *out ? 0 : ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory for a PIN");
    }
    ek_wipe(pin, sizeof(pin));
    return rc;
}

static int get_pin(ek_token_admin *admin, const char *token, ekmotp_error *err)
{
    char *source = NULL;
    int rc;

    if (admin->pin_source)
        return read_pin_file(admin->pin_source, &admin->pin, err);
    rc = admin->uri ? ek_uri_text_value(admin->uri, "pin-source", &source, err) : 0;
    if (rc == 0)
        rc = source ? read_pin_file(source, &admin->pin, err) : ask_pin(token, &admin->pin, err);
    free(source);
    return rc;
}

/* ---- the call ---- */

static int reach_agent(ek_token_admin *admin, ekmotp_error *err)
{
    if (admin->agent)
        return 0;
    if (admin->agent_socket)
        return ekmotp_agent_connect(admin->agent_socket, &admin->agent, err);
    return ekmotp_agent_spawn(admin->agent_program, &admin->agent, err);
}

static int send_request(const ek_token_admin *admin, const json_t *request, json_t **reply, ekmotp_error *err)
{
    char *text = json_dumps(request, JSON_COMPACT), *answer = NULL;
    int rc;

    if (!text)
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory for a request");
    rc = ekmotp_agent_admin(admin->agent, text, admin->timeout_ms, &answer, err);
    ek_wipe(text, strlen(text));
    free(text);
    if (rc != 0)
        return rc;
    *reply = json_loads(answer, 0, NULL);
    free(answer);
    if (*reply)
        return 0;
    return ekmotp_error_set(err, EKMOTP_E_AGENT, "the agent's answer is not JSON; is it of this version?");
}

static int add_pin(const ek_token_admin *admin, json_t *request, ekmotp_error *err)
{
    char text[EK_BASE64_SIZE(EKMOTP_PIN_MAX)];
    int rc = ek_base64_encode(EK_BASE64, admin->pin->bytes, admin->pin->len, text, sizeof(text));

    if (rc != 0 || json_object_set_new(request, "pin", json_string(text)) != 0)
        rc = ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory for a PIN");
    ek_wipe(text, sizeof(text));
    return rc;
}

/* The URI without pin-source: the PIN's file is this program's business. */
static int add_uri(const ek_token_admin *admin, json_t *request, ekmotp_error *err)
{
    char *plain;
    int rc;

    if (!admin->uri)
        return 0;
    plain = ek_uri_text_plain(admin->uri);
    rc = plain ? json_object_set_new(request, "uri", json_string(plain)) : -1;
    free(plain);
    if (rc == 0)
        return 0;
    return ekmotp_error_set(err, EKMOTP_E_URI, "the URI is not text in UTF-8");
}

int ek_token_admin_call(ek_token_admin *admin, const char *op, json_t *more, json_t **reply,
                        ekmotp_error *err)
{
    json_t *request = more ? more : json_object(), *first = NULL;
    const char *token;
    int rc;

    json_object_set_new(request, "op", json_string(op));
    json_object_set_new(request, "hash", json_string(ekmotp_hash_name(admin->hash)));
    if ((rc = add_uri(admin, request, err)) != 0 || (rc = reach_agent(admin, err)) != 0)
        goto out;
    if (admin->pin && (rc = add_pin(admin, request, err)) != 0)
        goto out;
    if ((rc = send_request(admin, request, &first, err)) != 0)
        goto out;
    token = json_string_value(json_object_get(first, "needs_pin"));
    if (!token) {
        *reply = json_incref(first);
        goto out;
    }
    if ((rc = get_pin(admin, token, err)) != 0 || (rc = add_pin(admin, request, err)) != 0)
        goto out;
    rc = send_request(admin, request, reply, err);
out:
    json_decref(first);
    json_decref(request);
    return rc;
}

void ek_token_admin_close(ek_token_admin *admin)
{
    ekmotp_agent_free(&admin->agent);
    ek_secret_free(&admin->pin);
}

void ek_token_admin_print(const json_t *reply)
{
    json_dumpf(reply, stdout, JSON_INDENT(2));
    putchar('\n');
}

const char *ek_token_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "";
}

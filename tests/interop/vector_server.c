/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/interop/vector_server.h"

#include <ekmotp/jose.h>
#include <ekmotp/openssl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_NOW 1700000000 /* seconds since 1970 */

const char *current = "";
int failures;
int checks;

void fail(const char *format, ...)
{
    va_list args;

    fprintf(stderr, "FAILED: %s: ", current);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    failures++;
}

void expect(int holds, const char *what, const char *detail)
{
    checks++;
    if (!holds)
        fail("%s%s%s", what, detail && *detail ? ": " : "", detail ? detail : "");
}

const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "";
}

size_t unhex(const char *hex, uint8_t *out, size_t size)
{
    size_t len = strlen(hex) / 2;

    for (size_t i = 0; i < len && i < size; i++) {
        unsigned byte = 0;

        if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
            fail("not hexadecimal: %s", hex);
        out[i] = (uint8_t)byte;
    }
    if (len > size)
        fail("%zu bytes do not fit in %zu", len, size);
    return len;
}

int is_hex(const char *hex, const uint8_t *bytes, size_t len)
{
    uint8_t wanted[512];

    return unhex(hex, wanted, sizeof(wanted)) == len && memcmp(wanted, bytes, len) == 0;
}

/* ---- the channel ---- */

static int channel_check(void *ctx, ekmotp_error *err)
{
    (void)ctx;
    (void)err;
    return 0;
}

static int channel_export(void *ctx, const char *label, size_t label_len, const uint8_t *context,
                          size_t context_len, uint8_t *out, size_t out_len, ekmotp_error *err)
{
    size_t i;
    json_t *call;

    json_array_foreach((json_t *)ctx, i, call)
    {
        const char *wanted = text_of(call, "label");

        if (strlen(wanted) == label_len && memcmp(wanted, label, label_len) == 0 &&
            is_hex(text_of(call, "context"), context, context_len) &&
            (size_t)json_integer_value(json_object_get(call, "length")) == out_len) {
            unhex(text_of(call, "value"), out, out_len);
            return 0;
        }
    }
    return ekmotp_error_set(err, EKMOTP_E_CHANNEL_EXPORT, "the vector has no such exporter call");
}

ekmotp_channel *new_channel(const json_t *vector)
{
    static const ekmotp_channel_ops ops = {.check = channel_check, .export_key = channel_export};
    ekmotp_channel *channel = NULL;

    if (ekmotp_channel_new(&ops, json_object_get(vector, "exports"), &channel, NULL) != 0)
        abort();
    return channel;
}

/* ---- the directory: client objects of a vector ---- */

static int64_t time_of(const json_t *client, const char *name, int64_t otherwise)
{
    const json_t *value = json_object_get(client, name);

    return value ? json_integer_value(value) : otherwise;
}

unsigned profiles_of(const json_t *names)
{
    unsigned set = 0;
    size_t i;
    json_t *name;

    json_array_foreach(names, i, name)
    {
        ekmotp_profile profile;

        if (ekmotp_profile_parse(json_string_value(name), &profile, NULL) != 0)
            fail("no profile: %s", json_string_value(name));
        else
            set |= EKMOTP_PROFILE_BIT(profile);
    }
    return set;
}

ekmotp_hash hash_of(const json_t *client)
{
    ekmotp_hash hash = EKMOTP_HASH_SHA256;

    if (ekmotp_hash_parse(text_of(client, "hash"), &hash, NULL) != 0)
        fail("no hash: %s", text_of(client, "hash"));
    return hash;
}

static int find(const void *ctx, const uint8_t *id, size_t id_len, ekmotp_record *record)
{
    const directory *d = ctx;

    for (size_t i = 0; i < d->count; i++) {
        const json_t *client = d->clients[i];

        if (!is_hex(text_of(client, "id"), id, id_len))
            continue;
        *record = (ekmotp_record){.hash = hash_of(client),
                                  .profiles = profiles_of(json_object_get(client, "profiles")),
                                  .disabled = json_is_true(json_object_get(client, "disabled")),
                                  .key_count = 1};
        record->keys[0] = (ekmotp_record_key){.bytes = d->keys[i],
                                              .len = strlen(text_of(client, "key")) / 2,
                                              .serial = i + 1,
                                              .not_before = time_of(client, "not_before", INT64_MIN),
                                              .not_after = time_of(client, "not_after", INT64_MAX)};
        return 0;
    }
    return EKMOTP_E_CLIENT_NOT_FOUND;
}

void add_client(directory *d, const json_t *client)
{
    unhex(text_of(client, "key"), d->keys[d->count], sizeof(d->keys[0]));
    d->clients[d->count++] = client;
}

/* ---- the server ---- */

void server_start(server *s, const json_t *vector, unsigned profiles)
{
    memset(s, 0, sizeof(*s));
    s->now = DEFAULT_NOW;
    s->lookup = (ekmotp_lookup){.find = find, .ctx = &s->clients};
    s->channel = new_channel(vector);
    if (ekmotp_verifier_new(ekmotp_openssl_crypto(), profiles, "vectors", &s->verifier, NULL) != 0 ||
        ekmotp_verifier_state_new(&s->state, NULL) != 0 ||
        ekmotp_verifier_set_compat_client(s->verifier, (const uint8_t *)"client1", 7, NULL) != 0)
        abort();
    ekmotp_verifier_set_bearer(s->verifier, ekmotp_jose_bearer(), NULL);
}

void server_stop(server *s)
{
    ekmotp_verifier_free(&s->verifier);
    ekmotp_verifier_state_free(&s->state);
    ekmotp_channel_free(&s->channel);
}

ekmotp_reason server_verify(server *s, const json_t *fields, ekmotp_verdict *verdict)
{
    ekmotp_credentials credentials = {0};
    size_t i;
    json_t *field;

    if (json_is_string(fields))
        ekmotp_credentials_add(&credentials, "Authorization", 13, json_string_value(fields),
                               json_string_length(fields));
    json_array_foreach(fields, i, field)
    {
        const json_t *name = json_array_get(field, 0), *value = json_array_get(field, 1);

        ekmotp_credentials_add(&credentials, json_string_value(name), json_string_length(name),
                               json_string_value(value), json_string_length(value));
    }
    (void)ekmotp_verifier_verify(s->verifier, s->state, s->channel, &credentials, &s->lookup, s->now, 0,
                                 verdict);
    return verdict->reason;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* client_command_output.c: clients as text and as JSON. */
#include "config.h"

#include "server/client_command.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

void ek_client_time_text(int64_t time, const char *otherwise, char text[EK_TIME_SIZE])
{
    time_t t = (time_t)time;
    struct tm tm;

    if (time == INT64_MIN || time == INT64_MAX)
        snprintf(text, EK_TIME_SIZE, "%s", otherwise);
    else if (!gmtime_r(&t, &tm) || strftime(text, EK_TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        snprintf(text, EK_TIME_SIZE, "@%lld", (long long)time);
}

static const char *source_name(ekmotp_key_source source)
{
    switch (source) {
    case EKMOTP_KEY_WRAPPED:
        return "wrapped";
    case EKMOTP_KEY_DERIVED:
        return "derived";
    default:
        return "token";
    }
}

/* The names of a set of profiles, with commas between. */
static void profile_names(unsigned set, char *text, size_t size)
{
    text[0] = '\0';
    for (int p = 0; p < EKMOTP_PROFILE_COUNT; p++) {
        size_t at = strlen(text);

        if (set & EKMOTP_PROFILE_BIT(p))
            snprintf(text + at, size - at, "%s%s", at ? "," : "", ekmotp_profile_name((ekmotp_profile)p));
    }
}

/* A time, or null where it is the limit that means none. */
static json_t *json_time(int64_t time)
{
    char text[EK_TIME_SIZE];

    ek_client_time_text(time, "", text);
    return text[0] ? json_string(text) : json_null();
}

static json_t *json_key(const ekmotp_client_key *key, const char *role)
{
    json_t *value =
        json_pack("{s:s, s:s, s:o, s:o}", "role", role, "source", source_name(key->source), "not_before",
                  json_time(key->not_before), "not_after", json_time(key->not_after));

    if (value && key->len > 0)
        json_object_set_new(value, "length", json_integer((json_int_t)key->len));
    if (value && key->source == EKMOTP_KEY_DERIVED)
        json_object_set_new(value, "generation", json_integer(key->generation));
    if (value && key->source == EKMOTP_KEY_TOKEN)
        json_object_set_new(value, "uri", json_string(key->uri));
    return value;
}

json_t *ek_client_json(const ekmotp_client_info *info)
{
    json_t *profiles = json_array(), *keys = json_array();
    char id[EKMOTP_ID_TEXT_SIZE];

    ekmotp_id_print(info->id, info->id_len, id);
    for (int p = 0; p < EKMOTP_PROFILE_COUNT; p++)
        if (info->profiles & EKMOTP_PROFILE_BIT(p))
            json_array_append_new(profiles, json_string(ekmotp_profile_name((ekmotp_profile)p)));
    for (size_t i = 0; i < info->key_count; i++)
        json_array_append_new(keys, json_key(&info->keys[i], i == 0 ? "current" : "previous"));
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:s, s:o, s:o}", "id", id, "state",
                     info->disabled ? "disabled" : "enabled", "hash", ekmotp_hash_name(info->hash),
                     "profiles", profiles, "keys", keys, "note", info->note, "created",
                     json_time(info->created), "changed", json_time(info->changed));
}

int ek_client_print_json(json_t *value, ekmotp_error *err)
{
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

    json_decref(value);
    if (!text)
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory");
    puts(text);
    free(text);
    return 0;
}

static void print_key(const ekmotp_client_key *key, const char *role)
{
    char from[EK_TIME_SIZE], until[EK_TIME_SIZE];

    ek_client_time_text(key->not_before, "any time", from);
    ek_client_time_text(key->not_after, "any time", until);
    printf("%-12s%s", role, source_name(key->source));
    if (key->source == EKMOTP_KEY_DERIVED)
        printf(", generation %u", key->generation);
    if (key->len > 0)
        printf(", %zu bytes", key->len);
    if (key->source == EKMOTP_KEY_TOKEN)
        printf(", %s", key->uri);
    printf("; valid from %s until %s\n", from, until);
}

int ek_client_print(void *ctx, const ekmotp_client_info *info, ekmotp_error *err)
{
    const ek_client_options *options = ctx;
    char id[EKMOTP_ID_TEXT_SIZE], profiles[256], created[EK_TIME_SIZE], changed[EK_TIME_SIZE];

    if (options->json)
        return ek_client_print_json(ek_client_json(info), err);
    ekmotp_id_print(info->id, info->id_len, id);
    profile_names(info->profiles, profiles, sizeof(profiles));
    ek_client_time_text(info->created, "-", created);
    ek_client_time_text(info->changed, "-", changed);
    printf("%-12s%s\n", "client", id);
    printf("%-12s%s\n", "state", info->disabled ? "disabled" : "enabled");
    printf("%-12s%s\n", "hash", ekmotp_hash_name(info->hash));
    printf("%-12s%s\n", "profiles", profiles);
    for (size_t i = 0; i < info->key_count; i++)
        print_key(&info->keys[i], i == 0 ? "key" : "previous");
    if (info->note[0])
        printf("%-12s%s\n", "note", info->note);
    printf("%-12s%s\n%-12s%s\n", "created", created, "changed", changed);
    return 0;
}

void ek_client_print_line(const ekmotp_client_info *info)
{
    char id[EKMOTP_ID_TEXT_SIZE], profiles[256], until[EK_TIME_SIZE];

    ekmotp_id_print(info->id, info->id_len, id);
    profile_names(info->profiles, profiles, sizeof(profiles));
    ek_client_time_text(info->keys[0].not_after, "-", until);
    printf("%-24s %-8s %-7s %-8s %-4zu %-20s %s\n", id, info->disabled ? "disabled" : "enabled",
           ekmotp_hash_name(info->hash), source_name(info->keys[0].source), info->key_count, until, profiles);
}

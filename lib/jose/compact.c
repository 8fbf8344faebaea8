/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/jose/compact.h"

#include "lib/common/base64.h"

#include <ekmotp/jose.h>
#include <stdlib.h>
#include <string.h>

int ek_compact_split(const char *place, const char *token, size_t len, ek_compact *compact, ekmotp_error *err)
{
    ek_compact c = {0};
    size_t count = 0;
    size_t start = 0;

    if (len == 0)
        return ekmotp_error_set(err, EKMOTP_E_SYNTAX, "%s: is empty", place);
    if (len > EKMOTP_JOSE_TOKEN_MAX)
        return ekmotp_error_set(err, EKMOTP_E_LIMIT, "%s: %zu characters; at most %d are taken", place, len,
                                EKMOTP_JOSE_TOKEN_MAX);
    if (token[0] == '{')
        return ekmotp_error_set(err, EKMOTP_E_SYNTAX,
                                "%s: JSON serialisation; only the compact serialisation is taken", place);
    for (size_t i = 0; i <= len; i++) {
        if (i < len && token[i] != '.')
            continue;
        if (count < EK_COMPACT_PARTS_MAX) {
            c.part[count].text = token + start;
            c.part[count].len = i - start;
        }
        count++;
        start = i + 1;
    }
    if (count != 3 && count != 5)
        return ekmotp_error_set(err, EKMOTP_E_SYNTAX, "%s: %zu parts; a JWS has 3 and a JWE 5", place, count);
    c.kind = count == 3 ? EKMOTP_BEARER_JWS : EKMOTP_BEARER_JWE;
    *compact = c;
    return 0;
}

int ek_compact_decode(const char *place, const struct ek_compact_part *part, char **bytes, size_t *len,
                      ekmotp_error *err)
{
    size_t size = part->len / 4 * 3 + 3;
    uint8_t *out = malloc(size + 1);

    if (!out)
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "%s: out of memory", place);
    if (ek_base64_decode(EK_BASE64URL, part->text, part->len, out, size, len) != 0) {
        free(out);
        return ekmotp_error_set(err, EKMOTP_E_SYNTAX, "%s: is not unpadded base64url (RFC 4648 section 5)",
                                place);
    }
    out[*len] = '\0';
    *bytes = (char *)out;
    return 0;
}

/* What a header may hold; RFC 7515 section 4.1 and RFC 7516 section 4.1 have more, all of it refused. */
static int check_members(const char *place, ekmotp_bearer_kind kind, json_t *object, ekmotp_error *err)
{
    static const struct {
        const char *name;
        int jws;
        const char *only; /* the one value that is taken; NULL: checked by the caller */
    } known[] = {{"alg", 1, NULL}, {"kid", 1, NULL}, {"typ", 1, "JWT"}, {"enc", 0, NULL}, {"cty", 0, "JWT"}};
    char shown[EK_JSON_SHOWN_SIZE];
    const char *name;
    json_t *value;

    json_object_foreach(object, name, value)
    {
        size_t i = 0;

        while (i < sizeof(known) / sizeof(known[0]) &&
               (strcmp(known[i].name, name) != 0 || (kind == EKMOTP_BEARER_JWS && !known[i].jws)))
            i++;
        if (i == sizeof(known) / sizeof(known[0])) {
            json_t *key = json_string(name);
            const char *text = key ? ek_json_shown(key, shown) : "?";
            int rc = ekmotp_error_set(err, EKMOTP_E_SYNTAX, "%s: member %s is not taken", place, text);

            json_decref(key);
            return rc;
        }
        if (!json_is_string(value))
            return ekmotp_error_set(err, EKMOTP_E_SYNTAX, "%s: member %s is not a string", place, name);
        if (known[i].only && !ek_json_is_string(value, known[i].only, strlen(known[i].only)))
            return ekmotp_error_set(err, EKMOTP_E_SYNTAX, "%s: member %s is %s; only %s is taken", place,
                                    name, ek_json_shown(value, shown), known[i].only);
    }
    if (!json_object_get(object, "alg"))
        return ekmotp_error_set(err, EKMOTP_E_SYNTAX, "%s: member alg is missing", place);
    return 0;
}

int ek_compact_header(const char *place, const ek_compact *compact, ek_json *header, ekmotp_error *err)
{
    const struct ek_compact_part *part = &compact->part[EK_JWS_HEADER];
    ek_json json = {0};
    char *text = NULL;
    size_t len = 0;
    int rc;

    if (part->len > EK_BASE64_SIZE(EK_COMPACT_HEADER_MAX))
        return ekmotp_error_set(err, EKMOTP_E_LIMIT, "%s: longer than %d bytes", place,
                                EK_COMPACT_HEADER_MAX);
    if ((rc = ek_compact_decode(place, part, &text, &len, err)) != 0 ||
        (rc = ek_json_read(place, text, len, &json, err)) != 0 ||
        (rc = check_members(place, compact->kind, json.object, err)) != 0)
        goto out;
    *header = json;
    memset(&json, 0, sizeof(json));
out:
    ek_json_clear(&json);
    free(text);
    return rc;
}

int ek_compact_expect(const char *place, const ek_json *header, const char *member, const void *value,
                      size_t len, ekmotp_error *err)
{
    const json_t *found = json_object_get(header->object, member);
    char shown[EK_JSON_SHOWN_SIZE], wanted[EK_JSON_SHOWN_SIZE];
    json_t *want;
    int rc;

    if (value ? ek_json_is_string(found, value, len) : !found)
        return 0;
    want = value ? json_stringn(value, len) : NULL;
    rc = ekmotp_error_set(err, EKMOTP_E_SYNTAX, "%s: member %s is %s, not %s", place, member,
                          ek_json_shown(found, shown), ek_json_shown(want, wanted));
    json_decref(want);
    return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <ekmotp/key.h>

#include <string.h>
#include <strings.h>

static const struct {
    ekmotp_hash hash;
    size_t size;
    const char *name;
    const char *plain;
} hashes[] = {
    {EKMOTP_HASH_SHA256, 32, "SHA-256", "sha256"},
    {EKMOTP_HASH_SHA384, 48, "SHA-384", "sha384"},
    {EKMOTP_HASH_SHA512, 64, "SHA-512", "sha512"},
};

#define HASH_COUNT (sizeof(hashes) / sizeof(hashes[0]))

size_t ekmotp_hash_size(ekmotp_hash hash)
{
    for (size_t i = 0; i < HASH_COUNT; i++)
        if (hashes[i].hash == hash)
            return hashes[i].size;
    return 0;
}

const char *ekmotp_hash_name(ekmotp_hash hash)
{
    for (size_t i = 0; i < HASH_COUNT; i++)
        if (hashes[i].hash == hash)
            return hashes[i].name;
    return NULL;
}

int ekmotp_hash_parse(const char *name, ekmotp_hash *hash, ekmotp_error *err)
{
    for (size_t i = 0; name && i < HASH_COUNT; i++) {
        if (strcasecmp(name, hashes[i].name) == 0 || strcasecmp(name, hashes[i].plain) == 0) {
            *hash = hashes[i].hash;
            return 0;
        }
    }
    return ekmotp_error_set(err, EKMOTP_E_SYNTAX, "unknown hash '%.40s': use SHA-256, SHA-384 or SHA-512",
                            name ? name : "");
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/directory/table.h"

#include "lib/common/secret.h"
#include "lib/directory/siphash.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ALIGN 8
#define HUGE_PAGE ((size_t)2 << 20)

struct ek_slot {
    uint32_t tag; /* of the hash */
    uint32_t at;  /* entry's offset / ALIGN + 1; 0: empty */
};

/* In the region: entry, its keys, the id, then what the keys are made of; each part aligned. */
typedef struct entry {
    uint8_t id_len;
    uint8_t hash;
    uint8_t profiles;
    uint8_t disabled;
    uint8_t key_count;
    uint8_t len[2]; /* bytes of the key; 0: a pointer to an ekmotp_key */
    uint8_t unused;
} entry;

typedef struct entry_key {
    uint64_t serial;
    int64_t not_before;
    int64_t not_after;
} entry_key;

_Static_assert(sizeof(entry) == ALIGN && sizeof(entry_key) % ALIGN == 0, "parts are aligned");
_Static_assert(EKMOTP_PROFILE_COUNT <= 8, "a set of profiles fits");

#define ROUND(n) (((size_t)(n) + ALIGN - 1) / ALIGN * ALIGN)
#define ENTRY_MAX (sizeof(entry) + 2 * sizeof(entry_key) + ROUND(EKMOTP_ID_MAX) + 2 * EKMOTP_KEY_MAX_SIZE)

int ek_table_init(ek_table *t, size_t count, const uint64_t seed[2])
{
    size_t slots = 16;

    memset(t, 0, sizeof(*t));
    if (count > SIZE_MAX / (2 * ENTRY_MAX))
        return EKMOTP_E_NOMEM;
    while (slots < 2 * count)
        slots *= 2;
    t->seed[0] = seed[0];
    t->seed[1] = seed[1];
    t->slots = calloc(slots, sizeof(*t->slots));
    if (!t->slots)
        return EKMOTP_E_NOMEM;
    t->mask = slots - 1;
    /* Address space for the longest ids and keys; memory is taken only where it is written to. */
    t->size = (count * ENTRY_MAX + HUGE_PAGE) / HUGE_PAGE * HUGE_PAGE;
    t->region =
        mmap(NULL, t->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (t->region == MAP_FAILED) {
        t->region = NULL;
        ek_table_clear(t);
        return EKMOTP_E_NOMEM;
    }
    /* Both are help, not needs: keys out of core dumps, fewer page walks in a large table. */
    (void)madvise(t->region, t->size, MADV_DONTDUMP);
    if (t->size > 4 * HUGE_PAGE)
        (void)madvise(t->region, t->size, MADV_HUGEPAGE);
    return 0;
}

static const entry_key *keys_of(const entry *e)
{
    return (const entry_key *)(const void *)(e + 1);
}

static const uint8_t *id_of(const entry *e)
{
    return (const uint8_t *)(keys_of(e) + e->key_count);
}

static const uint8_t *material_of(const entry *e)
{
    return id_of(e) + ROUND(e->id_len);
}

static size_t material_size(const entry *e, size_t i)
{
    return e->len[i] ? ROUND(e->len[i]) : ROUND(sizeof(ekmotp_key *));
}

static size_t size_of(const entry *e)
{
    size_t size = (size_t)(material_of(e) - (const uint8_t *)e);

    for (size_t i = 0; i < e->key_count; i++)
        size += material_size(e, i);
    return size;
}

static void free_objects(ek_table *t)
{
    for (size_t at = 0; at < t->used;) {
        const entry *e = (const entry *)(const void *)(t->region + at);
        const uint8_t *material = material_of(e);

        for (size_t i = 0; i < e->key_count; i++) {
            if (e->len[i] == 0) {
                ekmotp_key *key;

                memcpy(&key, material, sizeof(key));
                ekmotp_key_free(&key);
            }
            material += material_size(e, i);
        }
        at += size_of(e);
    }
}

void ek_table_clear(ek_table *t)
{
    if (t->objects > 0)
        free_objects(t);
    if (t->region) {
        ek_wipe(t->region, t->used);
        munmap(t->region, t->size);
    }
    free(t->slots);
    memset(t, 0, sizeof(*t));
}

/* The first slot to look at, and the tag: from different bits of the hash. */
static size_t home(const ek_table *t, uint64_t hash)
{
    return (size_t)(hash >> 32) & t->mask;
}

int ek_table_add(ek_table *t, const ek_record *r, ekmotp_key *const objects[2])
{
    uint64_t hash = ek_siphash(t->seed, r->id, r->id_len);
    size_t i = home(t, hash);
    uint8_t *material;
    entry_key *keys;
    entry *e;

    if (t->size - t->used < ENTRY_MAX || t->count * 2 > t->mask || t->used / ALIGN >= UINT32_MAX)
        return EKMOTP_E_LIMIT;
    e = (entry *)(void *)(t->region + t->used);
    e->id_len = (uint8_t)r->id_len;
    e->hash = (uint8_t)r->hash;
    e->profiles = (uint8_t)r->profiles;
    e->disabled = r->disabled != 0;
    e->key_count = (uint8_t)r->key_count;
    keys = (entry_key *)(void *)(e + 1);
    memcpy((uint8_t *)(keys + e->key_count), r->id, r->id_len);
    material = (uint8_t *)(keys + e->key_count) + ROUND(r->id_len);
    for (size_t k = 0; k < r->key_count; k++) {
        keys[k] = (entry_key){r->keys[k].serial, r->keys[k].not_before, r->keys[k].not_after};
        e->len[k] = objects[k] ? 0 : (uint8_t)r->keys[k].len;
        memcpy(material, objects[k] ? (const void *)&objects[k] : r->keys[k].bytes,
               objects[k] ? sizeof(objects[k]) : r->keys[k].len);
        material += material_size(e, k);
        t->objects += objects[k] ? 1 : 0;
    }
    while (t->slots[i].at != 0)
        i = (i + 1) & t->mask;
    t->slots[i] = (struct ek_slot){(uint32_t)hash, (uint32_t)(t->used / ALIGN + 1)};
    t->used += size_of(e);
    t->count++;
    return 0;
}

void ek_table_finish(ek_table *t)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t keep = (t->used + page) / page * page;

    if (keep < t->size && munmap(t->region + keep, t->size - keep) == 0)
        t->size = keep;
    /* Keys out of the swap as far as RLIMIT_MEMLOCK lets us. */
    (void)mlock(t->region, t->size);
}

int ek_table_find(const void *ctx, const uint8_t *id, size_t id_len, ekmotp_record *record)
{
    const ek_table *t = ctx;
    uint64_t hash = ek_siphash(t->seed, id, id_len);
    const uint8_t *material;
    const entry_key *keys;
    const entry *e = NULL;

    for (size_t i = home(t, hash); t->slots[i].at != 0; i = (i + 1) & t->mask) {
        if (t->slots[i].tag != (uint32_t)hash)
            continue;
        e = (const entry *)(const void *)(t->region + (size_t)(t->slots[i].at - 1) * ALIGN);
        if (e->id_len == id_len && memcmp(id_of(e), id, id_len) == 0)
            break;
        e = NULL;
    }
    if (!e)
        return EKMOTP_E_CLIENT_NOT_FOUND;
    record->hash = (ekmotp_hash)e->hash;
    record->profiles = e->profiles;
    record->disabled = e->disabled;
    record->key_count = e->key_count;
    keys = keys_of(e);
    material = material_of(e);
    for (size_t k = 0; k < e->key_count; k++) {
        ekmotp_record_key *out = &record->keys[k];

        *out = (ekmotp_record_key){.bytes = material,
                                   .len = e->len[k],
                                   .serial = keys[k].serial,
                                   .not_before = keys[k].not_before,
                                   .not_after = keys[k].not_after};
        if (e->len[k] == 0) {
            ekmotp_key *key;

            memcpy(&key, material, sizeof(key));
            out->key = key;
            out->bytes = NULL;
        }
        material += material_size(e, k);
    }
    return 0;
}

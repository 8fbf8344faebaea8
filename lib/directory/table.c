/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/directory/table.h"

#include "lib/common/secret.h"
#include "lib/directory/siphash.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ALIGN 8
#define HUGE_PAGE ((size_t)2 << 20)
#define ROUND(n) (((size_t)(n) + ALIGN - 1) / ALIGN * ALIGN)

#define INLINE_ID 16
#define INLINE_KEY 32

/* One cache line. */
struct ek_slot {
    uint32_t tag;          /* of the hash */
    uint8_t state;         /* of USED, LONG, DISABLED; 0: an empty slot */
    uint8_t hash_profiles; /* profiles; the hash above them */
    uint8_t id_len;
    uint8_t key_len; /* 0: the key is a pointer to an ekmotp_key */
    uint64_t serial;
    uint8_t id[INLINE_ID];
    uint8_t key[INLINE_KEY]; /* LONG: the offset of the entry in the region */
};

enum { USED = 1, LONG = 2, DISABLED = 4 };

/* In the region: entry, its keys, the id, then what the keys are made of; each part aligned. */
typedef struct entry {
    uint8_t key_count;
    uint8_t len[2]; /* bytes of the key; 0: a pointer to an ekmotp_key */
    uint8_t id_len;
    uint8_t unused[4];
} entry;

typedef struct entry_key {
    uint64_t serial;
    int64_t not_before;
    int64_t not_after;
} entry_key;

_Static_assert(sizeof(struct ek_slot) == 64, "a slot is a cache line");
_Static_assert(sizeof(entry) == ALIGN && sizeof(entry_key) % ALIGN == 0, "parts are aligned");
_Static_assert(EKMOTP_PROFILE_COUNT <= 6 && EKMOTP_HASH_SHA512 - EKMOTP_HASH_SHA256 < 4,
               "both fit in a byte");

#define ENTRY_MAX (sizeof(entry) + 2 * sizeof(entry_key) + ROUND(EKMOTP_ID_MAX) + 2 * EKMOTP_KEY_MAX_SIZE)

/*
 * Address space of size bytes, zeros, on a boundary of huge pages: memory is taken only where it is
 * written to. Huge pages spare a large table its page walks, which cost more than the lookup itself.
 */
static void *map(size_t size)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    uint8_t *got, *start;
    size_t head;

    /* cppcheck-suppress invalidFunctionArg ; -1 is the file of anonymous memory */
    got = mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (got == MAP_FAILED)
        return NULL;
    head = (HUGE_PAGE - (uintptr_t)got % HUGE_PAGE) % HUGE_PAGE;
    start = got + head;
    if (head > 0)
        munmap(got, head);
    munmap(start + size, HUGE_PAGE - head);
    (void)madvise(start, size, MADV_DONTDUMP); /* keys out of core dumps */
    if (size >= 4 * HUGE_PAGE)
        (void)madvise(start, size, MADV_HUGEPAGE);
    return start;
}

static size_t whole_pages(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    return (size + page - 1) / page * page;
}

static size_t slots_size(const ek_table *t)
{
    return whole_pages(t->slot_count * sizeof(struct ek_slot));
}

int ek_table_init(ek_table *t, size_t count, const uint64_t seed[2])
{
    memset(t, 0, sizeof(*t));
    if (count > UINT32_MAX / 2)
        return EKMOTP_E_NOMEM;
    t->seed[0] = seed[0];
    t->seed[1] = seed[1];
    t->max = count;
    /* Two of five slots are used: a client stands in its first slot, most often. */
    t->slot_count = count * 5 / 2 + 16;
    t->slots = map(slots_size(t));
    t->size = whole_pages(count * ENTRY_MAX + 1);
    t->region = map(t->size);
    if (t->slots && t->region)
        return 0;
    ek_table_clear(t);
    return EKMOTP_E_NOMEM;
}

static const entry *entry_of(const ek_table *t, const struct ek_slot *slot)
{
    uint64_t at;

    memcpy(&at, slot->key, sizeof(at));
    return (const entry *)(const void *)(t->region + at);
}

static const entry_key *keys_of(const entry *e)
{
    return (const entry_key *)(const void *)(e + 1);
}

static const uint8_t *id_of(const entry *e)
{
    return (const uint8_t *)(keys_of(e) + e->key_count);
}

/* The key's object, where it has no bytes. */
static ekmotp_key *object_of(size_t len, const uint8_t *material)
{
    ekmotp_key *key = NULL;

    if (len == 0)
        memcpy(&key, material, sizeof(key));
    return key;
}

static size_t material_size(size_t len)
{
    return len ? ROUND(len) : ROUND(sizeof(ekmotp_key *));
}

static void free_objects(ek_table *t)
{
    for (size_t i = 0; i < t->slot_count; i++) {
        const struct ek_slot *slot = &t->slots[i];
        const uint8_t *material;
        const entry *e;
        ekmotp_key *key;

        if (!slot->state)
            continue;
        if (!(slot->state & LONG)) {
            key = object_of(slot->key_len, slot->key);
            ekmotp_key_free(&key);
            continue;
        }
        e = entry_of(t, slot);
        material = id_of(e) + ROUND(e->id_len);
        for (size_t k = 0; k < e->key_count; k++) {
            key = object_of(e->len[k], material);
            ekmotp_key_free(&key);
            material += material_size(e->len[k]);
        }
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
    if (t->slots) {
        ek_wipe(t->slots, slots_size(t));
        munmap(t->slots, slots_size(t));
    }
    memset(t, 0, sizeof(*t));
}

/* The first slot to look at, from the upper half of the hash; the tag is the lower one. */
static size_t home(const ek_table *t, uint64_t hash)
{
    return (size_t)(((hash >> 32) * t->slot_count) >> 32);
}

static size_t next(const ek_table *t, size_t i)
{
    return i + 1 == t->slot_count ? 0 : i + 1;
}

static int fits_slot(const ek_record *r, ekmotp_key *const objects[2])
{
    const ek_record_key *key = &r->keys[0];

    return r->key_count == 1 && r->id_len <= INLINE_ID && (objects[0] || key->len <= INLINE_KEY) &&
           key->not_before == INT64_MIN && key->not_after == INT64_MAX;
}

/* Copies a key's bytes or its object's address. */
static size_t put_key(ek_table *t, const ek_record_key *key, ekmotp_key *object, uint8_t *to)
{
    if (!object) {
        memcpy(to, key->bytes, key->len);
        return key->len;
    }
    memcpy(to, &object, sizeof(object));
    t->objects++;
    return 0;
}

static void put_entry(ek_table *t, const ek_record *r, ekmotp_key *const objects[2])
{
    entry *e = (entry *)(void *)(t->region + t->used);
    entry_key *keys = (entry_key *)(void *)(e + 1);
    uint8_t *id = (uint8_t *)(keys + r->key_count), *material = id + ROUND(r->id_len);

    e->key_count = (uint8_t)r->key_count;
    e->id_len = (uint8_t)r->id_len;
    memcpy(id, r->id, r->id_len);
    for (size_t k = 0; k < r->key_count; k++) {
        keys[k] = (entry_key){r->keys[k].serial, r->keys[k].not_before, r->keys[k].not_after};
        e->len[k] = (uint8_t)put_key(t, &r->keys[k], objects[k], material);
        material += material_size(e->len[k]);
    }
    t->used += (size_t)(material - (uint8_t *)e);
}

int ek_table_add(ek_table *t, const ek_record *r, ekmotp_key *const objects[2])
{
    uint64_t hash = ek_siphash(t->seed, r->id, r->id_len), at = t->used;
    size_t i = home(t, hash);
    struct ek_slot *slot;

    if (t->count == t->max)
        return EKMOTP_E_LIMIT;
    while (t->slots[i].state)
        i = next(t, i);
    slot = &t->slots[i];
    slot->tag = (uint32_t)hash;
    slot->state = (uint8_t)(USED | (r->disabled ? DISABLED : 0));
    slot->hash_profiles = (uint8_t)(r->profiles | (unsigned)(r->hash - EKMOTP_HASH_SHA256) << 6);
    slot->id_len = (uint8_t)r->id_len;
    if (fits_slot(r, objects)) {
        slot->serial = r->keys[0].serial;
        memcpy(slot->id, r->id, r->id_len);
        slot->key_len = (uint8_t)put_key(t, &r->keys[0], objects[0], slot->key);
    } else {
        put_entry(t, r, objects);
        memcpy(slot->key, &at, sizeof(at));
        slot->state |= LONG;
    }
    t->count++;
    return 0;
}

void ek_table_finish(ek_table *t)
{
    size_t keep = whole_pages(t->used + 1);

    if (keep < t->size && munmap(t->region + keep, t->size - keep) == 0)
        t->size = keep;
    /* Keys out of the swap, as far as RLIMIT_MEMLOCK lets us. */
    (void)mlock(t->region, t->size);
    (void)mlock(t->slots, slots_size(t));
}

size_t ek_table_memory(const ek_table *t)
{
    return t->size + slots_size(t);
}

static void get_key(const uint8_t *material, size_t len, uint64_t serial, int64_t not_before,
                    int64_t not_after, ekmotp_record_key *out)
{
    out->key = object_of(len, material);
    out->bytes = len ? material : NULL;
    out->len = len;
    out->serial = serial;
    out->not_before = not_before;
    out->not_after = not_after;
}

static void get_entry(const entry *e, ekmotp_record *record)
{
    const entry_key *keys = keys_of(e);
    const uint8_t *material = id_of(e) + ROUND(e->id_len);

    record->key_count = e->key_count;
    for (size_t k = 0; k < e->key_count; k++) {
        get_key(material, e->len[k], keys[k].serial, keys[k].not_before, keys[k].not_after, &record->keys[k]);
        material += material_size(e->len[k]);
    }
}

int ek_table_find(const void *ctx, const uint8_t *id, size_t id_len, ekmotp_record *record)
{
    const ek_table *t = ctx;
    uint64_t hash = ek_siphash(t->seed, id, id_len);
    const struct ek_slot *slot;

    for (size_t i = home(t, hash);; i = next(t, i)) {
        slot = &t->slots[i];
        if (!slot->state)
            return EKMOTP_E_CLIENT_NOT_FOUND;
        if (slot->tag == (uint32_t)hash && slot->id_len == id_len &&
            memcmp(slot->state & LONG ? id_of(entry_of(t, slot)) : slot->id, id, id_len) == 0)
            break;
    }
    record->hash = (ekmotp_hash)(EKMOTP_HASH_SHA256 + (slot->hash_profiles >> 6));
    record->profiles = slot->hash_profiles & 63u;
    record->disabled = (slot->state & DISABLED) != 0;
    if (slot->state & LONG) {
        get_entry(entry_of(t, slot), record);
    } else {
        record->key_count = 1;
        get_key(slot->key, slot->key_len, slot->serial, INT64_MIN, INT64_MAX, &record->keys[0]);
    }
    return 0;
}

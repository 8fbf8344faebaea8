/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table.h: the clients of a snapshot, as a hash table whose slots are cache lines. A usual client (id up
 * to 16 bytes, one key up to 32 bytes, no limits of validity) is one slot: a lookup costs one line of
 * memory however many clients there are. Others have a slot that points at a longer entry. Keys lie in
 * this memory: it is left out of core dumps and wiped when it is given back.
 */
#ifndef EK_DIRECTORY_TABLE_H
#define EK_DIRECTORY_TABLE_H

#include "lib/directory/record.h"

typedef struct ek_table {
    uint64_t seed[2];
    struct ek_slot *slots;
    size_t slot_count;
    uint8_t *region; /* of the longer entries */
    size_t size;     /* of the region, bytes */
    size_t used;
    size_t count;
    size_t max;     /* clients that it was made for */
    size_t objects; /* keys that are ekmotp_key objects; owned */
} ek_table;

/* An empty table for at most count clients; seed: 16 random bytes. EKMOTP_E_NOMEM. */
int ek_table_init(ek_table *table, size_t count, const uint64_t seed[2]) __attribute__((warn_unused_result));
/* Wipes and releases everything. */
void ek_table_clear(ek_table *table);
/*
 * Adds a client. objects[i], where not NULL, is the key i as an object, which is the table's from then
 * on; else the record's bytes are copied. Ids must differ. EKMOTP_E_LIMIT where it is full.
 */
int ek_table_add(ek_table *table, const ek_record *record, ekmotp_key *const objects[2])
    __attribute__((warn_unused_result));
/* Gives back the memory that count clients might have needed and these did not. */
void ek_table_finish(ek_table *table);
/* Bytes of memory that it holds. */
size_t ek_table_memory(const ek_table *table);
/* ekmotp_lookup.find: ctx is the table. */
int ek_table_find(const void *ctx, const uint8_t *id, size_t id_len, ekmotp_record *record);

#endif

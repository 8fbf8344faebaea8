/* SPDX-License-Identifier: Apache-2.0 */
/* snapshot.c: the whole directory in memory. */
#include "lib/directory/lazy_key.h"
#include "lib/directory/table.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct ekmotp_snapshot {
    atomic_uint owners;
    ek_version version;
    ek_table table;
};

/* What a load works with. */
typedef struct loader {
    ekmotp_directory *directory;
    const ekmotp_snapshot *previous;
    ekmotp_snapshot *snapshot;
    ek_lazy_source *lazy; /* made when it is first needed */
} loader;

/* The same key, open perhaps, in the previous snapshot. */
static ekmotp_key *lend(const loader *l, const ek_record *r, uint64_t serial)
{
    ekmotp_record before;

    if (!l->previous || ek_table_find(&l->previous->table, r->id, r->id_len, &before) != 0)
        return NULL;
    for (size_t i = 0; i < before.key_count; i++)
        if (before.keys[i].key && before.keys[i].serial == serial)
            return ekmotp_key_ref((ekmotp_key *)before.keys[i].key);
    return NULL;
}

/* Makes a key usable: its bytes in the record, or an object. */
static int make_key(loader *l, ek_record *r, ek_record_key *key, ekmotp_key **object, ekmotp_error *err)
{
    ekmotp_directory *d = l->directory;
    int rc;

    if (key->source == EKMOTP_KEY_WRAPPED)
        return 0;
    if (key->source == EKMOTP_KEY_DERIVED) {
        if ((rc = ek_master_open(d, err)) != 0)
            return rc;
        if (!ekmotp_key_is_slow(d->master)) {
            key->len = ekmotp_hash_size(r->hash);
            return ek_master_derive(d->master, r->id, r->id_len, r->hash, key->generation, key->bytes, err);
        }
    }
    if ((*object = lend(l, r, key->serial)))
        return 0;
    if (!l->lazy && (rc = ek_lazy_source_new(d, &l->lazy, err)) != 0)
        return rc;
    return ek_lazy_key_new(l->lazy, key->source == EKMOTP_KEY_DERIVED ? d->master : NULL, r, key, object,
                           err);
}

static int load_record(loader *l, ek_record *r, ekmotp_error *err)
{
    ekmotp_key *objects[2] = {NULL, NULL};
    char id[EKMOTP_ID_TEXT_SIZE];
    ekmotp_error why = {0};
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < r->key_count; i++)
        rc = make_key(l, r, &r->keys[i], &objects[i], &why);
    if (rc == 0 && (rc = ek_table_add(&l->snapshot->table, r, objects)) != 0)
        ekmotp_error_set(&why, rc = EKMOTP_E_DIRECTORY, "is one more than the directory counts");
    if (rc != 0) {
        ekmotp_key_free(&objects[0]);
        ekmotp_key_free(&objects[1]);
        ekmotp_id_print(r->id, r->id_len, id);
        ekmotp_error_set(err, rc, "%s: client %s: %s", l->directory->path, id, why.message);
    }
    return rc;
}

static int load_all(loader *l, ekmotp_error *err)
{
    ekmotp_directory *d = l->directory;
    sqlite3_stmt *stmt;
    uint64_t seed[2];
    ek_record r;
    int rc, step;

    if (d->crypto->random((uint8_t *)seed, sizeof(seed)) != 0)
        return ekmotp_error_set(err, EKMOTP_E_CRYPTO, "%s gives no random bytes", d->crypto->name);
    if (ek_table_init(&l->snapshot->table, d->meta.clients, seed) != 0)
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "%s: out of memory for %llu clients", d->path,
                                (unsigned long long)d->meta.clients);
    if ((rc = ek_store_statement(d, EK_STMT_CLIENT_ALL, &stmt, err)) != 0)
        return rc;
    while ((step = sqlite3_step(stmt)) == SQLITE_ROW)
        if ((rc = ek_row_read(d, stmt, &r, err)) != 0 || (rc = load_record(l, &r, err)) != 0)
            break;
    if (rc == 0 && step != SQLITE_DONE)
        rc = ek_store_error(d, step, err);
    if (rc == 0 && l->snapshot->table.count != d->meta.clients)
        rc = ekmotp_error_set(err, EKMOTP_E_DIRECTORY,
                              "%s: is damaged: it holds %zu clients and counts %llu; restore a backup",
                              d->path, l->snapshot->table.count, (unsigned long long)d->meta.clients);
    sqlite3_reset(stmt);
    ek_record_wipe(&r);
    ek_table_finish(&l->snapshot->table);
    return rc;
}

int ekmotp_snapshot_load(ekmotp_directory *d, const ekmotp_snapshot *previous, ekmotp_snapshot **out,
                         ekmotp_error *err)
{
    loader l = {.directory = d, .previous = previous};
    int rc;

    l.snapshot = calloc(1, sizeof(*l.snapshot));
    if (!l.snapshot)
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "%s: out of memory", d->path);
    atomic_init(&l.snapshot->owners, 1);
    if ((rc = ek_store_begin_read(d, err)) != 0)
        goto out;
    if ((rc = ek_store_version(d, &l.snapshot->version, err)) == 0)
        rc = load_all(&l, err);
    ek_store_end_read(d);
    if (rc == EKMOTP_E_DIRECTORY) {
        d->refused = l.snapshot->version;
        d->has_refused = 1;
    }
    if (rc == 0) {
        *out = l.snapshot;
        l.snapshot = NULL;
    }
out:
    ek_lazy_source_free(&l.lazy);
    ekmotp_snapshot_free(&l.snapshot);
    return rc;
}

ekmotp_snapshot *ekmotp_snapshot_ref(ekmotp_snapshot *snapshot)
{
    atomic_fetch_add_explicit(&snapshot->owners, 1, memory_order_relaxed);
    return snapshot;
}

void ekmotp_snapshot_free(ekmotp_snapshot **snapshot)
{
    ekmotp_snapshot *s;

    if (!snapshot || !(s = *snapshot))
        return;
    *snapshot = NULL;
    if (atomic_fetch_sub_explicit(&s->owners, 1, memory_order_acq_rel) != 1)
        return;
    ek_table_clear(&s->table);
    free(s);
}

size_t ekmotp_snapshot_count(const ekmotp_snapshot *snapshot)
{
    return snapshot->table.count;
}

size_t ekmotp_snapshot_memory(const ekmotp_snapshot *snapshot)
{
    return sizeof(*snapshot) + ek_table_memory(&snapshot->table);
}

ekmotp_lookup ekmotp_snapshot_lookup(const ekmotp_snapshot *snapshot)
{
    return (ekmotp_lookup){ek_table_find, &snapshot->table};
}

int ekmotp_snapshot_stale(ekmotp_directory *d, const ekmotp_snapshot *snapshot, ekmotp_error *err)
{
    ek_version version;
    struct stat st;
    int rc, busy;

    if (stat(d->file, &st) != 0)
        return ekmotp_error_set(err, EKMOTP_E_IO, "%s: %s", d->path, strerror(errno));
    if (!d->db || st.st_dev != d->dev || st.st_ino != d->ino)
        return 1;
    /* A timer does not wait while another program writes: it asks again, when there is something to see. */
    sqlite3_busy_timeout(d->db, 0);
    rc = ek_store_version(d, &version, err);
    busy = sqlite3_errcode(d->db) == SQLITE_BUSY;
    sqlite3_busy_timeout(d->db, (int)d->wait_ms);
    if (rc != 0)
        return busy ? 0 : rc;
    if (d->has_refused && memcmp(&version, &d->refused, sizeof(version)) == 0)
        return 0;
    return memcmp(&version, &snapshot->version, sizeof(version)) != 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* list.c: walks over clients. */
#include "config.h"

#include "lib/directory/list.h"

#include <fnmatch.h>
#include <string.h>

int ekmotp_directory_show(ekmotp_directory *d, const uint8_t *id, size_t id_len, ekmotp_directory_visit visit,
                          void *ctx, ekmotp_error *err)
{
    ekmotp_client_info info;
    ek_record r;
    int rc;

    if ((rc = ek_store_begin_read(d, err)) != 0)
        return rc;
    if ((rc = ek_row_find(d, id, id_len, &r, err)) == 0) {
        ek_record_info(&r, &info);
        rc = visit(ctx, &info, err);
    }
    ek_store_end_read(d);
    ek_record_wipe(&r);
    return rc;
}

static int lets_through(const ekmotp_directory_filter *filter, const ek_record *r)
{
    char id[EKMOTP_ID_TEXT_SIZE];

    if ((filter->state == 1 && r->disabled) || (filter->state == 2 && !r->disabled))
        return 0;
    if (!filter->match)
        return 1;
    ekmotp_id_print(r->id, r->id_len, id);
    return fnmatch(filter->match, id, FNM_NOESCAPE) == 0;
}

int ek_list_walk(ekmotp_directory *d, const ekmotp_directory_filter *filter, ek_list_visit visit, void *ctx,
                 ekmotp_error *err)
{
    static const ekmotp_directory_filter all = {0};
    sqlite3_stmt *stmt = NULL;
    uint64_t passed = 0, visited = 0;
    ek_record r;
    int rc, step = SQLITE_DONE;

    if (!filter)
        filter = &all;
    if ((rc = ek_store_begin_read(d, err)) != 0)
        return rc;
    rc = sqlite3_prepare_v2(d->db, "SELECT " EK_CLIENT_COLUMNS " FROM client WHERE id > ?1 ORDER BY id", -1,
                            &stmt, NULL);
    if (rc != SQLITE_OK) {
        rc = ek_store_error(d, rc, err);
        goto out;
    }
    /* The empty blob sorts before every id. */
    sqlite3_bind_blob(stmt, 1, filter->after ? (const void *)filter->after : "", (int)filter->after_len,
                      SQLITE_STATIC);
    while (rc == 0 && (filter->limit == 0 || visited < filter->limit) &&
           (step = sqlite3_step(stmt)) == SQLITE_ROW) {
        if ((rc = ek_row_read(d, stmt, &r, err)) != 0)
            break;
        if (lets_through(filter, &r) && passed++ >= filter->offset) {
            rc = visit(ctx, d, &r, err);
            visited++;
        }
    }
    if (rc == 0 && step != SQLITE_ROW && step != SQLITE_DONE)
        rc = ek_store_error(d, step, err);
out:
    sqlite3_finalize(stmt);
    ek_store_end_read(d);
    ek_record_wipe(&r);
    return rc;
}

typedef struct visitor {
    ekmotp_directory_visit visit;
    void *ctx;
} visitor;

static int visit_info(void *ctx, ekmotp_directory *d, const ek_record *r, ekmotp_error *err)
{
    const visitor *v = ctx;
    ekmotp_client_info info;

    (void)d;
    ek_record_info(r, &info);
    return v->visit(v->ctx, &info, err);
}

int ekmotp_directory_list(ekmotp_directory *d, const ekmotp_directory_filter *filter,
                          ekmotp_directory_visit visit, void *ctx, ekmotp_error *err)
{
    visitor v = {visit, ctx};

    return ek_list_walk(d, filter, visit_info, &v, err);
}

int ekmotp_directory_count(ekmotp_directory *d, uint64_t *count, ekmotp_error *err)
{
    int rc = ek_store_begin_read(d, err);

    if (rc != 0)
        return rc;
    *count = d->meta.clients;
    ek_store_end_read(d);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* check.c: everything that can be wrong with a directory, told at once. */
#include "lib/directory/store.h"

#include <string.h>

typedef struct checker {
    ekmotp_directory *directory;
    int with_tokens;
    ekmotp_directory_problem problem;
    void *ctx;
    uint64_t problems;
} checker;

static void tell(checker *c, const ekmotp_error *problem)
{
    c->problems++;
    c->problem(c->ctx, problem);
}

/* SQLite's own check: pages, b-trees, order, the not-null columns. */
static int check_file(checker *c, ekmotp_error *err)
{
    ekmotp_directory *d = c->directory;
    sqlite3_stmt *stmt = NULL;
    ekmotp_error problem;
    int rc, step;

    rc = sqlite3_prepare_v2(d->db, "PRAGMA integrity_check", -1, &stmt, NULL);
    if (rc != SQLITE_OK)
        return ek_store_error(d, rc, err);
    while ((step = sqlite3_step(stmt)) == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(stmt, 0);

        if (!text || strcmp(text, "ok") == 0)
            continue;
        ekmotp_error_set(&problem, EKMOTP_E_DIRECTORY, "%s: the file is damaged: %s", d->path, text);
        tell(c, &problem);
    }
    rc = 0;
    if (step == SQLITE_CORRUPT) {
        ek_store_error(d, step, &problem);
        tell(c, &problem);
    } else if (step != SQLITE_DONE) {
        rc = ek_store_error(d, step, err);
    }
    sqlite3_finalize(stmt);
    return rc;
}

/* Opens what the record's keys need: the master key, tokens. */
static void check_keys(checker *c, const ek_record *r)
{
    ekmotp_directory *d = c->directory;

    for (size_t i = 0; i < r->key_count; i++) {
        const ek_record_key *from = &r->keys[i];
        char id[EKMOTP_ID_TEXT_SIZE];
        ekmotp_error why = {0}, problem;
        ekmotp_key *key = NULL;
        int rc = 0;

        if (from->source == EKMOTP_KEY_DERIVED)
            rc = ek_master_open(d, &why);
        else if (from->source == EKMOTP_KEY_TOKEN && !d->open_token)
            rc = ekmotp_error_set(&why, EKMOTP_E_URI, "its key is in a token, which this program cannot use");
        else if (from->source == EKMOTP_KEY_TOKEN && c->with_tokens)
            rc = d->open_token(d->open_token_ctx, from->uri, r->hash, &key, &why);
        ekmotp_key_free(&key);
        if (rc == 0)
            continue;
        ekmotp_id_print(r->id, r->id_len, id);
        ekmotp_error_set(&problem, rc, "%s: client %s: %s", d->path, id, why.message);
        tell(c, &problem);
    }
}

static int check_clients(checker *c, ekmotp_error *err)
{
    ekmotp_directory *d = c->directory;
    ekmotp_error problem;
    sqlite3_stmt *stmt;
    uint64_t count = 0;
    ek_record r;
    int rc, step;

    if ((rc = ek_store_statement(d, EK_STMT_CLIENT_ALL, &stmt, err)) != 0)
        return rc;
    while ((step = sqlite3_step(stmt)) == SQLITE_ROW) {
        count++;
        if (ek_row_read(d, stmt, &r, &problem) != 0)
            tell(c, &problem);
        else
            check_keys(c, &r);
    }
    ek_record_wipe(&r);
    if (step != SQLITE_DONE) {
        ek_store_error(d, step, &problem);
        tell(c, &problem);
    } else if (count != d->meta.clients) {
        ekmotp_error_set(&problem, EKMOTP_E_DIRECTORY,
                         "%s: is damaged: it holds %llu clients and counts %llu", d->path,
                         (unsigned long long)count, (unsigned long long)d->meta.clients);
        tell(c, &problem);
    }
    sqlite3_reset(stmt);
    return 0;
}

static int check_retired(checker *c, ekmotp_error *err)
{
    ekmotp_directory *d = c->directory;
    sqlite3_stmt *stmt = NULL;
    ekmotp_error problem;
    uint64_t count = 0;
    uint32_t generation;
    int rc, step;

    if (d->meta.version < 2)
        return 0;
    rc = sqlite3_prepare_v2(d->db, "SELECT id FROM retired", -1, &stmt, NULL);
    if (rc != SQLITE_OK)
        return ek_store_error(d, rc, err);
    while ((step = sqlite3_step(stmt)) == SQLITE_ROW) {
        const uint8_t *id = sqlite3_column_blob(stmt, 0);
        size_t id_len = (size_t)sqlite3_column_bytes(stmt, 0);

        count++;
        if (!id || id_len < 1 || id_len > EKMOTP_ID_MAX)
            ekmotp_error_set(&problem, EKMOTP_E_DIRECTORY, "%s: is damaged: a removed client has no id",
                             d->path);
        else if (ek_row_retired(d, id, id_len, &generation, &problem) == 0)
            continue;
        tell(c, &problem);
    }
    if (step != SQLITE_DONE || count != d->meta.retired) {
        ekmotp_error_set(&problem, EKMOTP_E_DIRECTORY,
                         "%s: is damaged: it holds %llu removed clients and counts %llu", d->path,
                         (unsigned long long)count, (unsigned long long)d->meta.retired);
        tell(c, &problem);
    }
    sqlite3_finalize(stmt);
    return 0;
}

int ekmotp_directory_check(ekmotp_directory *d, int with_tokens, ekmotp_directory_problem problem, void *ctx,
                           ekmotp_error *err)
{
    checker c = {.directory = d, .with_tokens = with_tokens, .problem = problem, .ctx = ctx};
    int rc;

    if ((rc = ek_store_begin_read(d, err)) != 0)
        return rc;
    if ((rc = check_file(&c, err)) == 0 && (rc = check_clients(&c, err)) == 0)
        rc = check_retired(&c, err);
    ek_store_end_read(d);
    if (rc == 0 && c.problems > 0)
        rc = ekmotp_error_set(err, EKMOTP_E_DIRECTORY, "%s: %llu fault%s found", d->path,
                              (unsigned long long)c.problems, c.problems == 1 ? "" : "s");
    return rc;
}

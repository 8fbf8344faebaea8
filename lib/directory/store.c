/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/directory/store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CLIENT_VALUES "?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21"

static const char *const sql_text[EK_STMT_COUNT] = {
    [EK_STMT_BEGIN] = "BEGIN",
    [EK_STMT_BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [EK_STMT_COMMIT] = "COMMIT",
    [EK_STMT_ROLLBACK] = "ROLLBACK",
    [EK_STMT_DATA_VERSION] = "PRAGMA data_version",
    [EK_STMT_META_GET] = "SELECT * FROM directory WHERE one = 1",
    [EK_STMT_META_SET] =
        "REPLACE INTO directory (one, uuid, clients, sealed, retired, master) VALUES (1, ?1, ?2, ?3, ?4, ?5)",
    [EK_STMT_CLIENT_GET] = "SELECT " EK_CLIENT_COLUMNS " FROM client WHERE id = ?1",
    [EK_STMT_CLIENT_INSERT] = "INSERT INTO client (" EK_CLIENT_COLUMNS ") VALUES (" CLIENT_VALUES ")",
    [EK_STMT_CLIENT_UPDATE] = "REPLACE INTO client (" EK_CLIENT_COLUMNS ") VALUES (" CLIENT_VALUES ")",
    [EK_STMT_CLIENT_DELETE] = "DELETE FROM client WHERE id = ?1",
    [EK_STMT_CLIENT_ALL] = "SELECT " EK_CLIENT_COLUMNS " FROM client ORDER BY id",
    [EK_STMT_RETIRED_GET] = "SELECT generation, sealed FROM retired WHERE id = ?1",
    [EK_STMT_RETIRED_SET] = "REPLACE INTO retired (id, generation, sealed) VALUES (?1, ?2, ?3)",
};

int ek_store_error(ekmotp_directory *d, int sqlite_rc, ekmotp_error *err)
{
    const char *why = d->db ? sqlite3_errmsg(d->db) : sqlite3_errstr(sqlite_rc);

    switch (sqlite_rc & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ekmotp_error_set(err, EKMOTP_E_IO,
                                "%s: another program holds it locked (waited %u ms); try again, or see who: "
                                "fuser -v '%s'",
                                d->path, d->wait_ms, d->path);
    case SQLITE_FULL:
        return ekmotp_error_set(err, EKMOTP_E_IO, "%s: the disk is full; nothing was changed", d->path);
    case SQLITE_READONLY:
        if (d->read_only)
            return ekmotp_error_set(
                err, EKMOTP_E_IO,
                "%s: an interrupted change waits to be rolled back, which this user may not do; "
                "run as its owner: ekmotpd client check --directory '%s'",
                d->path, d->path);
        return ekmotp_error_set(
            err, EKMOTP_E_IO,
            "%s: cannot be written (%s); its file and folder must be writable for this user", d->path, why);
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        return ekmotp_error_set(err, EKMOTP_E_IO, "%s: %s", d->path, why);
    case SQLITE_NOMEM:
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "%s: out of memory", d->path);
    default:
        return ekmotp_error_set(err, EKMOTP_E_DIRECTORY,
                                "%s: is damaged, or no directory (%s); restore a backup", d->path, why);
    }
}

int ek_store_exec(ekmotp_directory *d, const char *sql, ekmotp_error *err)
{
    int rc = sqlite3_exec(d->db, sql, NULL, NULL, NULL);

    return rc == SQLITE_OK ? 0 : ek_store_error(d, rc, err);
}

int ek_store_statement(ekmotp_directory *d, ek_statement which, sqlite3_stmt **out, ekmotp_error *err)
{
    int rc;

    if (!d->stmt[which]) {
        rc = sqlite3_prepare_v3(d->db, sql_text[which], -1, SQLITE_PREPARE_PERSISTENT, &d->stmt[which], NULL);
        if (rc != SQLITE_OK)
            return ek_store_error(d, rc, err);
    }
    sqlite3_reset(d->stmt[which]);
    sqlite3_clear_bindings(d->stmt[which]);
    *out = d->stmt[which];
    return 0;
}

int ek_store_run(ekmotp_directory *d, sqlite3_stmt *stmt, ekmotp_error *err)
{
    int step = sqlite3_step(stmt), rc = 0;

    if (step != SQLITE_DONE)
        rc = step == SQLITE_CONSTRAINT ? EKMOTP_E_CLIENT_EXISTS : ek_store_error(d, step, err);
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt);
    return rc;
}

static int run(ekmotp_directory *d, ek_statement which, ekmotp_error *err)
{
    sqlite3_stmt *stmt;
    int rc = ek_store_statement(d, which, &stmt, err);

    return rc != 0 ? rc : ek_store_run(d, stmt, err);
}

/* Where SQLite has rolled back by itself (disk full), ROLLBACK would be an error of its own. */
static void roll_back(ekmotp_directory *d)
{
    if (d->db && !sqlite3_get_autocommit(d->db))
        sqlite3_exec(d->db, "ROLLBACK", NULL, NULL, NULL);
    d->in_write = 0;
    d->user_begun = 0;
    d->dirty = 0;
}

int ek_store_begin_read(ekmotp_directory *d, ekmotp_error *err)
{
    int rc;

    if (d->in_write)
        return 0;
    if ((rc = ek_store_refresh(d, err)) != 0 || (rc = run(d, EK_STMT_BEGIN, err)) != 0)
        return rc;
    if ((rc = ek_meta_read(d, err)) != 0)
        roll_back(d);
    return rc;
}

void ek_store_end_read(ekmotp_directory *d)
{
    if (!d->in_write)
        roll_back(d);
}

static int begin_write(ekmotp_directory *d, ekmotp_error *err)
{
    int rc;

    if (d->read_only)
        return ekmotp_error_set(err, EKMOTP_E_INVAL, "%s: was opened to be read only", d->path);
    if ((rc = ek_store_refresh(d, err)) != 0 || (rc = run(d, EK_STMT_BEGIN_WRITE, err)) != 0)
        return rc;
    d->in_write = 1;
    d->dirty = 0;
    if ((rc = ek_meta_read(d, err)) != 0)
        roll_back(d);
    return rc;
}

static int commit(ekmotp_directory *d, ekmotp_error *err)
{
    int rc;

    if ((d->dirty && (rc = ek_meta_write(d, err)) != 0) || (rc = run(d, EK_STMT_COMMIT, err)) != 0) {
        roll_back(d);
        return rc;
    }
    d->own++;
    d->in_write = 0;
    d->user_begun = 0;
    d->dirty = 0;
    return 0;
}

int ek_store_begin_write(ekmotp_directory *d, ekmotp_error *err)
{
    return d->user_begun ? 0 : begin_write(d, err);
}

int ek_store_end_write(ekmotp_directory *d, int rc, ekmotp_error *err)
{
    if (d->user_begun)
        return rc;
    if (rc == 0)
        return commit(d, err);
    roll_back(d);
    return rc;
}

int ekmotp_directory_begin(ekmotp_directory *d, ekmotp_error *err)
{
    int rc;

    if (d->in_write)
        return ekmotp_error_set(err, EKMOTP_E_INVAL, "%s: a transaction is open already", d->path);
    if ((rc = begin_write(d, err)) == 0)
        d->user_begun = 1;
    return rc;
}

int ekmotp_directory_commit(ekmotp_directory *d, ekmotp_error *err)
{
    if (!d->user_begun)
        return ekmotp_error_set(err, EKMOTP_E_INVAL, "%s: no transaction is open", d->path);
    if (sqlite3_get_autocommit(d->db)) {
        roll_back(d);
        return ekmotp_error_set(err, EKMOTP_E_IO, "%s: the transaction was given up; nothing was changed",
                                d->path);
    }
    return commit(d, err);
}

void ekmotp_directory_rollback(ekmotp_directory *d)
{
    if (d->user_begun)
        roll_back(d);
}

int ek_store_version(ekmotp_directory *d, ek_version *version, ekmotp_error *err)
{
    sqlite3_stmt *stmt;
    int rc, step;

    if ((rc = ek_store_statement(d, EK_STMT_DATA_VERSION, &stmt, err)) != 0)
        return rc;
    if ((step = sqlite3_step(stmt)) == SQLITE_ROW) {
        memset(version, 0, sizeof(*version));
        version->epoch = d->epoch;
        version->own = d->own;
        version->data_version = (uint64_t)sqlite3_column_int64(stmt, 0);
    } else {
        rc = ek_store_error(d, step, err);
    }
    sqlite3_reset(stmt);
    return rc;
}

/* Makes the file itself, so that nobody else can read it at any time; *made: it was not there. */
static int create_file(ekmotp_directory *d, ekmotp_error *err)
{
    int fd = open(d->file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd >= 0)
        close(fd);
    else if (errno != EEXIST)
        return ekmotp_error_set(err, EKMOTP_E_IO, "%s: cannot be made: %s", d->path, strerror(errno));
    return 0;
}

/* An empty file that was there is made a directory only where it can be made private. */
static int make_private(const ekmotp_directory *d, const struct stat *st, ekmotp_error *err)
{
    if (st->st_uid != geteuid())
        return ekmotp_error_set(
            err, EKMOTP_E_IO,
            "%s: is empty and belongs to another user (uid %lu), who could read what comes "
            "into it; remove it, or make the directory as that user",
            d->path, (unsigned long)st->st_uid);
    if ((st->st_mode & 07777) != 0600 && chmod(d->file, 0600) != 0)
        return ekmotp_error_set(err, EKMOTP_E_IO, "%s: cannot be given mode 0600: %s", d->path,
                                strerror(errno));
    return 0;
}

/* A connection that trusts nothing in the file and is not fooled by it. */
static int connect_file(ekmotp_directory *d, ekmotp_error *err)
{
    const int flags = SQLITE_OPEN_NOMUTEX; /* one thread at a time per directory */
    /* A reader opens for writing where it may: a journal that a crash left can be rolled back then. */
    int rc = sqlite3_open_v2(d->file, &d->db, SQLITE_OPEN_READWRITE | flags, NULL);

    if (rc == SQLITE_CANTOPEN && d->read_only) {
        sqlite3_close(d->db);
        d->db = NULL;
        rc = sqlite3_open_v2(d->file, &d->db, SQLITE_OPEN_READONLY | flags, NULL);
    }
    if (rc != SQLITE_OK)
        return ek_store_error(d, rc, err);
    sqlite3_extended_result_codes(d->db, 0);
    sqlite3_busy_timeout(d->db, (int)d->wait_ms);
    sqlite3_db_config(d->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(d->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    /* mmap_size 0: a file that is cut off while it is mapped would be a SIGBUS. */
    return ek_store_exec(d,
                         d->read_only
                             ? "PRAGMA mmap_size = 0; PRAGMA cell_size_check = ON; PRAGMA query_only = ON"
                             : "PRAGMA mmap_size = 0; PRAGMA cell_size_check = ON; PRAGMA secure_delete = "
                               "ON; PRAGMA synchronous = FULL",
                         err);
}

static int upgrade(ekmotp_directory *d, unsigned *created, ekmotp_error *err)
{
    int rc, version;

    if ((rc = run(d, EK_STMT_BEGIN_WRITE, err)) != 0)
        return rc;
    /* Read again: another program may have been faster. */
    if ((rc = ek_schema_version(d, &version, err)) == 0 && version < EK_SCHEMA_VERSION &&
        (rc = ek_schema_upgrade(d, version, err)) == 0)
        *created |= version == 0 ? EKMOTP_DIRECTORY_CREATED : EKMOTP_DIRECTORY_MIGRATED;
    if (rc != 0 || (rc = run(d, EK_STMT_COMMIT, err)) != 0)
        roll_back(d);
    return rc;
}

int ek_store_open(ekmotp_directory *d, unsigned *created, ekmotp_error *err)
{
    struct stat st;
    int rc, version;

    if (!d->read_only && (rc = create_file(d, err)) != 0)
        return rc;
    if (stat(d->file, &st) != 0)
        return ekmotp_error_set(err, EKMOTP_E_IO, "%s: %s", d->path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return ekmotp_error_set(err, EKMOTP_E_IO, "%s: is not a file", d->path);
    if (st.st_size == 0 && !d->read_only && (rc = make_private(d, &st, err)) != 0)
        return rc;
    d->dev = st.st_dev;
    d->ino = st.st_ino;
    d->epoch++;
    if ((rc = connect_file(d, err)) != 0 || (rc = ek_schema_version(d, &version, err)) != 0)
        goto fail;
    if (version == 0 && d->read_only) {
        rc = ekmotp_error_set(err, EKMOTP_E_DIRECTORY,
                              "%s: is empty; make the directory with: ekmotpd client add ID --directory '%s'",
                              d->path, d->path);
        goto fail;
    }
    if (version < EK_SCHEMA_VERSION && !d->read_only && (rc = upgrade(d, created, err)) != 0)
        goto fail;
    if ((rc = run(d, EK_STMT_BEGIN, err)) != 0)
        goto fail;
    rc = ek_meta_read(d, err);
    roll_back(d);
    if (rc == 0)
        return 0;
fail:
    ek_store_close(d);
    return rc;
}

void ek_store_close(ekmotp_directory *d)
{
    roll_back(d);
    for (size_t i = 0; i < EK_STMT_COUNT; i++) {
        sqlite3_finalize(d->stmt[i]);
        d->stmt[i] = NULL;
    }
    sqlite3_close(d->db);
    d->db = NULL;
}

int ek_store_refresh(ekmotp_directory *d, ekmotp_error *err)
{
    unsigned created = 0;
    struct stat st;

    if (stat(d->file, &st) != 0)
        return ekmotp_error_set(err, EKMOTP_E_IO, "%s: %s", d->path, strerror(errno));
    if (d->db && st.st_dev == d->dev && st.st_ino == d->ino)
        return 0;
    ek_store_close(d);
    return ek_store_open(d, &created, err);
}

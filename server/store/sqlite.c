/* sqlite - the store in one file. Write-ahead log, synced at each commit; secure_delete, so that what was erased is gone from
 * the file, too. This file and sqlite_copy.c are all of the server that names SQLite; CMake leaves them out where there is none.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "log.h"
#include "migrations.h"
#include "sqlite_copy.h"
#include "store.h"

#define SQLITE_BUSY_MS 1000 /* another process has the file */

typedef enum sqlite_statement {
    SQL_BEGIN,
    SQL_COMMIT,
    SQL_ROLL_BACK,
    SQL_SAVE,
    SQL_SAVED,
    SQL_UNDO,
    SQL_VERSION,
    SQL_PUT,
    SQL_NAME,
    SQL_UNNAME,
    SQL_REMOVE,
    SQL_GET,
    SQL_SUBJECTS,
    SQL_LIST,
    SQL_LIST_BACK,
    SQL_LIST_OF,
    SQL_LIST_OF_BACK,
    SQL_NAMING,
    SQL_ERASE,
    SQL_ERASE_NAMES,
    SQL_EXPIRE_NAMES,
    SQL_EXPIRE,
    SQL_COUNT
} sqlite_statement;

#define SQL_COLUMNS "SELECT r.collection, r.id, r.version, r.expires_us, r.body FROM records r "
#define SQL_LIVES "(r.expires_us = 0 OR r.expires_us > ?1) "
#define SQL_OF \
    "EXISTS (SELECT 1 FROM record_subjects s WHERE s.subject = ?5 AND s.collection = r.collection AND s.id = r.id) "

static const char* const sqlite_texts[SQL_COUNT] = {
    "BEGIN IMMEDIATE",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT job",
    "RELEASE job",
    "ROLLBACK TO job",
    "SELECT version, expires_us FROM records WHERE collection = ?1 AND id = ?2",
    "INSERT INTO records (collection, id, version, expires_us, body) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT "
    "(collection, id) "
    "DO UPDATE SET version = excluded.version, expires_us = excluded.expires_us, body = excluded.body",
    "INSERT INTO record_subjects (subject, collection, id, place) VALUES (?1, ?2, ?3, ?4)",
    "DELETE FROM record_subjects WHERE collection = ?1 AND id = ?2",
    "DELETE FROM records WHERE collection = ?1 AND id = ?2",
    SQL_COLUMNS "WHERE " SQL_LIVES "AND r.collection = ?2 AND r.id = ?3",
    "SELECT subject FROM record_subjects WHERE collection = ?1 AND id = ?2 ORDER BY place",
    SQL_COLUMNS "WHERE " SQL_LIVES "AND r.collection = ?2 AND r.id > ?3 ORDER BY r.id LIMIT ?4",
    SQL_COLUMNS "WHERE " SQL_LIVES "AND r.collection = ?2 AND r.id < ?3 ORDER BY r.id DESC LIMIT ?4",
    SQL_COLUMNS "WHERE " SQL_LIVES "AND r.collection = ?2 AND r.id > ?3 AND " SQL_OF "ORDER BY r.id LIMIT ?4",
    SQL_COLUMNS "WHERE " SQL_LIVES "AND r.collection = ?2 AND r.id < ?3 AND " SQL_OF "ORDER BY r.id DESC LIMIT ?4",
    SQL_COLUMNS "WHERE " SQL_LIVES "AND r.collection || '/' || r.id > ?3 AND " SQL_OF
                "ORDER BY r.collection, r.id LIMIT ?4",
    "DELETE FROM records WHERE (collection, id) IN (SELECT collection, id FROM record_subjects WHERE subject = ?1)",
    "DELETE FROM record_subjects WHERE (collection, id) IN (SELECT collection, id FROM record_subjects WHERE subject = "
    "?1)",
    "DELETE FROM record_subjects WHERE (collection, id) IN (SELECT collection, id FROM records WHERE expires_us > 0 "
    "AND "
    "expires_us <= ?1)",
    "DELETE FROM records WHERE expires_us > 0 AND expires_us <= ?1",
};

typedef struct sqlite_backend {
    sqlite3* database;
    sqlite3_stmt* statements[SQL_COUNT];
} sqlite_backend;

static bool sqlite_complain(const sqlite_backend* at)
{
    LOG(NECPNET_LOG_ERROR, "sqlite", sqlite3_errmsg(at->database), LOG_NUMBER("code", sqlite3_errcode(at->database)),
        LOG_END);
    return false;
}

/* A statement, ready for its values. */
static sqlite3_stmt* sqlite_ready(sqlite_backend* at, sqlite_statement which)
{
    sqlite3_stmt* statement = at->statements[which];
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return statement;
}

static void sqlite_bind(sqlite3_stmt* statement, int place, const char* value)
{
    sqlite3_bind_text(statement, place, value, -1, SQLITE_STATIC);
}

/* A statement without rows. */
static bool sqlite_do(sqlite_backend* at, sqlite3_stmt* statement)
{
    int code = sqlite3_step(statement);
    sqlite3_reset(statement);
    return code == SQLITE_DONE || sqlite_complain(at);
}

static bool sqlite_do_one(sqlite_backend* at, sqlite_statement which)
{
    return sqlite_do(at, sqlite_ready(at, which));
}

/* ------------------------------------------------------------------------------------------------------ writes -- */

/* The version that stands there; 0: none, or it has expired. Fails with false. */
static bool sqlite_version(sqlite_backend* at, const store_record* record, uint64_t now_us, uint64_t* out_version)
{
    sqlite3_stmt* statement = sqlite_ready(at, SQL_VERSION);
    sqlite_bind(statement, 1, record->collection);
    sqlite_bind(statement, 2, record->id);
    int code = sqlite3_step(statement);
    *out_version = 0;
    if (code == SQLITE_ROW) {
        uint64_t expires_us = (uint64_t)sqlite3_column_int64(statement, 1);
        if (expires_us == 0 || expires_us > now_us) *out_version = (uint64_t)sqlite3_column_int64(statement, 0);
    }
    sqlite3_reset(statement);
    return code == SQLITE_ROW || code == SQLITE_DONE || sqlite_complain(at);
}

static bool sqlite_remove(sqlite_backend* at, sqlite_statement which, const store_record* record)
{
    sqlite3_stmt* statement = sqlite_ready(at, which);
    sqlite_bind(statement, 1, record->collection);
    sqlite_bind(statement, 2, record->id);
    return sqlite_do(at, statement);
}

static bool sqlite_put(sqlite_backend* at, const store_record* record, uint64_t version)
{
    sqlite3_stmt* statement = sqlite_ready(at, SQL_PUT);
    sqlite_bind(statement, 1, record->collection);
    sqlite_bind(statement, 2, record->id);
    sqlite3_bind_int64(statement, 3, (sqlite3_int64)version);
    sqlite3_bind_int64(statement, 4, (sqlite3_int64)record->expires_us);
    sqlite3_bind_blob64(statement, 5, record->body_bytes ? record->body : "", record->body_bytes, SQLITE_STATIC);
    if (!sqlite_do(at, statement) || !sqlite_remove(at, SQL_UNNAME, record)) return false;
    for (int i = 0; i < STORE_SUBJECTS_MAX && record->subjects[i]; i++) {
        statement = sqlite_ready(at, SQL_NAME);
        sqlite_bind(statement, 1, record->subjects[i]);
        sqlite_bind(statement, 2, record->collection);
        sqlite_bind(statement, 3, record->id);
        sqlite3_bind_int(statement, 4, i);
        if (!sqlite_do(at, statement)) return false;
    }
    return true;
}

static desk_result sqlite_write(sqlite_backend* at, const store_write* write, uint64_t now_us, uint64_t* out_version)
{
    uint64_t there = 0;
    if (!sqlite_version(at, &write->record, now_us, &there)) return DESK_DOWN;
    if (write->expected != STORE_ANY && write->expected != there) return DESK_CONFLICT;
    if (write->remove) {
        if (there == 0) return DESK_NOT_FOUND;
        bool gone = sqlite_remove(at, SQL_UNNAME, &write->record) && sqlite_remove(at, SQL_REMOVE, &write->record);
        return gone ? DESK_OK : DESK_DOWN;
    }
    *out_version = there + 1;
    return sqlite_put(at, &write->record, there + 1) ? DESK_OK : DESK_DOWN;
}

/* ------------------------------------------------------------------------------------------------------- reads -- */

/* The row that statement stands on, with its subjects, becomes a record of the answer. */
static bool sqlite_take(sqlite_backend* at, sqlite3_stmt* statement, store_job* job)
{
    char subjects[STORE_SUBJECTS_MAX][STORE_SUBJECT_BYTES_MAX + 1];
    int count = 0;
    store_record record = {.collection = (const char*)sqlite3_column_text(statement, 0),
                           .id = (const char*)sqlite3_column_text(statement, 1),
                           .version = (uint64_t)sqlite3_column_int64(statement, 2),
                           .expires_us = (uint64_t)sqlite3_column_int64(statement, 3)};
    record.body = sqlite3_column_blob(statement, 4);
    record.body_bytes = (size_t)sqlite3_column_bytes(statement, 4);
    if (!record.collection || !record.id) return false;
    sqlite3_stmt* names = sqlite_ready(at, SQL_SUBJECTS);
    sqlite_bind(names, 1, record.collection);
    sqlite_bind(names, 2, record.id);
    while (count < STORE_SUBJECTS_MAX && sqlite3_step(names) == SQLITE_ROW) {
        const char* name = (const char*)sqlite3_column_text(names, 0);
        snprintf(subjects[count], sizeof(subjects[count]), "%s", name ? name : "");
        record.subjects[count] = subjects[count];
        count++;
    }
    sqlite3_reset(names);
    return store_answer_add(job, &record);
}

static desk_result sqlite_read(sqlite_backend* at, store_job* job, sqlite3_stmt* statement)
{
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        if (sqlite_take(at, statement, job)) continue;
        sqlite3_reset(statement);
        return DESK_DOWN;
    }
    if (code != SQLITE_DONE) (void)sqlite_complain(at);
    sqlite3_reset(statement);
    return code == SQLITE_DONE ? DESK_OK : DESK_DOWN;
}

static desk_result sqlite_get(sqlite_backend* at, store_job* job)
{
    sqlite3_stmt* statement = sqlite_ready(at, SQL_GET);
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)job->now_us);
    sqlite_bind(statement, 2, job->query.collection);
    sqlite_bind(statement, 3, job->query.id);
    desk_result result = sqlite_read(at, job, statement);
    return result == DESK_OK && job->answer.count == 0 ? DESK_NOT_FOUND : result;
}

static desk_result sqlite_list(sqlite_backend* at, store_job* job)
{
    const store_query* query = &job->query;
    bool back = query->newest_first && query->kind == STORE_LIST;
    sqlite_statement which = query->kind == STORE_NAMING ? SQL_NAMING
                             : query->subject            ? (back ? SQL_LIST_OF_BACK : SQL_LIST_OF)
                                                         : (back ? SQL_LIST_BACK : SQL_LIST);
    sqlite3_stmt* statement = sqlite_ready(at, which);
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)job->now_us);
    if (query->kind == STORE_LIST) sqlite_bind(statement, 2, query->collection);
    sqlite_bind(statement, 3, query->after ? query->after : back ? "\xf4\x8f\xbf\xbf" : "");
    sqlite3_bind_int64(statement, 4, query->limit);
    if (query->subject) sqlite_bind(statement, 5, query->subject);
    return sqlite_read(at, job, statement);
}

static desk_result sqlite_erase(sqlite_backend* at, store_job* job)
{
    sqlite3_stmt* statement = sqlite_ready(at, SQL_ERASE);
    sqlite_bind(statement, 1, job->query.subject);
    if (!sqlite_do(at, statement)) return DESK_DOWN;
    job->answer.count = (uint32_t)sqlite3_changes(at->database);
    statement = sqlite_ready(at, SQL_ERASE_NAMES);
    sqlite_bind(statement, 1, job->query.subject);
    return sqlite_do(at, statement) ? DESK_OK : DESK_DOWN;
}

static desk_result sqlite_expire(sqlite_backend* at, store_job* job)
{
    sqlite3_stmt* statement = sqlite_ready(at, SQL_EXPIRE_NAMES);
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)job->now_us);
    if (!sqlite_do(at, statement)) return DESK_DOWN;
    statement = sqlite_ready(at, SQL_EXPIRE);
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)job->now_us);
    if (!sqlite_do(at, statement)) return DESK_DOWN;
    job->answer.count = (uint32_t)sqlite3_changes(at->database);
    return DESK_OK;
}

/* --------------------------------------------------------------------------------------------------------- run -- */

static bool sqlite_begin(void* backend)
{
    return sqlite_do_one(backend, SQL_BEGIN);
}

static bool sqlite_commit(void* backend)
{
    return sqlite_do_one(backend, SQL_COMMIT);
}

static void sqlite_roll_back(void* backend)
{
    sqlite_backend* at = backend;
    if (!sqlite3_get_autocommit(at->database)) (void)sqlite_do_one(at, SQL_ROLL_BACK);
}

static desk_result sqlite_query(sqlite_backend* at, store_job* job)
{
    switch (job->query.kind) {
    case STORE_GET: return sqlite_get(at, job);
    case STORE_LIST:
    case STORE_NAMING: return sqlite_list(at, job);
    case STORE_ERASE: return sqlite_erase(at, job);
    case STORE_EXPIRE: return sqlite_expire(at, job);
    case STORE_PING: return DESK_OK; /* a transaction was begun: the file is there and can be written */
    default: return DESK_INVALID;
    }
}

static void sqlite_run(void* backend, store_job* job)
{
    sqlite_backend* at = backend;
    desk_result result = DESK_OK;
    if (!job->writes) {
        job->answer.result = sqlite_query(at, job);
        return;
    }
    if (!sqlite_do_one(at, SQL_SAVE)) result = DESK_DOWN;
    for (uint32_t i = 0; i < job->write_count && result == DESK_OK; i++) {
        result = sqlite_write(at, &job->writes[i], job->now_us, &job->answer.version);
    }
    if (result != DESK_OK) (void)sqlite_do_one(at, SQL_UNDO);
    if (!sqlite_do_one(at, SQL_SAVED)) result = DESK_DOWN;
    job->answer.result = result;
}

/* What was erased still stands in the log until it is emptied. */
static bool sqlite_purge(void* backend)
{
    sqlite_backend* at = backend;
    return sqlite3_wal_checkpoint_v2(at->database, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) == SQLITE_OK ||
           sqlite_complain(at);
}

/* -------------------------------------------------------------------------------------------------- migrations -- */

static bool sqlite_execute(sqlite_backend* at, const char* sql)
{
    return sqlite3_exec(at->database, sql, NULL, NULL, NULL) == SQLITE_OK;
}

/* The newest migration that was applied; -1: the database cannot be read. */
static int sqlite_schema_version(sqlite_backend* at)
{
    sqlite3_stmt* statement = NULL;
    int version = 0;
    int code = sqlite3_prepare_v2(at->database, "SELECT count(*) FROM sqlite_master WHERE name = 'migrations'", -1,
                                  &statement, NULL);
    if (code == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW) version = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    if (code != SQLITE_OK) return -1;
    if (version == 0) return 0;
    code = sqlite3_prepare_v2(at->database, "SELECT coalesce(max(version), 0) FROM migrations", -1, &statement, NULL);
    if (code == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW) version = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    return code == SQLITE_OK ? version : -1;
}

/* What {bytes} and {json:name} are in SQLite. */
static void sqlite_translate(text* out, const char* sql)
{
    for (const char* mark; (mark = strchr(sql, '{')) != NULL;) {
        size_t bytes = strcspn(mark, "}");
        text_put_bytes(out, sql, (size_t)(mark - sql));
        if (strncmp(mark, "{json:", 6) == 0) {
            text_format(out, "json_extract(CAST(r.body AS TEXT), '$.%.*s')", (int)(bytes - 6), mark + 6);
        } else {
            text_put(out, "BLOB");
        }
        sql = mark + bytes + 1;
    }
    text_put(out, sql);
}

static bool sqlite_migrate_step(sqlite_backend* at, const store_migration* step)
{
    text sql;
    text_begin_growing(&sql);
    text_put(&sql, "BEGIN IMMEDIATE;");
    sqlite_translate(&sql, step->sql);
    text_format(&sql, "INSERT INTO migrations VALUES (%d, '%s', strftime('%%Y-%%m-%%dT%%H:%%M:%%SZ', 'now'));COMMIT;",
                step->version, step->name);
    bool right = !sql.failed && sqlite_execute(at, sql.to);
    text_end(&sql);
    if (right) return true;
    (void)sqlite_complain(at);
    if (!sqlite3_get_autocommit(at->database)) (void)sqlite_execute(at, "ROLLBACK");
    return false;
}

static bool sqlite_migrate(sqlite_backend* at, int version)
{
    if (!sqlite_execute(at, "CREATE TABLE IF NOT EXISTS migrations (version BIGINT PRIMARY KEY, name TEXT NOT NULL, "
                            "applied_at TEXT NOT NULL)"))
        return sqlite_complain(at);
    for (int i = 0; i < STORE_MIGRATIONS; i++) {
        const store_migration* step = &store_migration_steps[i];
        if (step->version <= version) continue;
        if (!sqlite_migrate_step(at, step)) return false;
        LOG(NECPNET_LOG_INFO, "migrated", step->name, LOG_NUMBER("version", step->version), LOG_END);
    }
    return true;
}

static bool sqlite_migrations(void* backend, text* out)
{
    sqlite_backend* at = backend;
    int version = sqlite_schema_version(at);
    if (version < 0) return sqlite_complain(at);
    for (int i = 0; i < STORE_MIGRATIONS; i++) {
        const store_migration* step = &store_migration_steps[i];
        text_format(out, "%d %-20s %s\n", step->version, step->name, step->version <= version ? "applied" : "pending");
    }
    if (version > STORE_MIGRATIONS)
        text_format(out, "%d                      of a newer program than this one\n", version);
    return true;
}

/* -------------------------------------------------------------------------------------------------------- life -- */

static void sqlite_close(void* backend)
{
    sqlite_backend* at = backend;
    for (int i = 0; i < SQL_COUNT; i++) sqlite3_finalize(at->statements[i]);
    sqlite3_close(at->database);
    free(at);
}

static necpnet_result sqlite_prepare(sqlite_backend* at, bool migrate, char* what, size_t what_bytes)
{
    bool right = sqlite_execute(
        at, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; "
            "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA journal_size_limit = 16777216");
    int version = right ? sqlite_schema_version(at) : -1;
    snprintf(what, what_bytes, "%s", sqlite3_errmsg(at->database));
    if (version < 0) return NECPNET_ERR_IO;
    snprintf(what, what_bytes, "its schema is version %d and this program knows %d: use a newer program", version,
             STORE_MIGRATIONS);
    if (version > STORE_MIGRATIONS) return NECPNET_ERR_INVALID_STATE;
    snprintf(what, what_bytes, "a migration failed; the log says why");
    if (migrate && !sqlite_migrate(at, version)) return NECPNET_ERR_IO;
    if (!migrate && version < STORE_MIGRATIONS) return NECPNET_OK; /* to be looked at alone */
    for (int i = 0; i < SQL_COUNT; i++) {
        if (sqlite3_prepare_v3(at->database, sqlite_texts[i], -1, SQLITE_PREPARE_PERSISTENT, &at->statements[i],
                               NULL) != SQLITE_OK) {
            snprintf(what, what_bytes, "%s", sqlite3_errmsg(at->database));
            return NECPNET_ERR_IO;
        }
    }
    return NECPNET_OK;
}

static necpnet_result sqlite_open(const char* url, bool migrate, void** out_backend, char* what, size_t what_bytes)
{
    sqlite_backend* at = calloc(1, sizeof(*at));
    snprintf(what, what_bytes, "out of memory");
    if (!at) return NECPNET_ERR_OUT_OF_MEMORY;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(url, &at->database, flags, NULL) != SQLITE_OK) {
        snprintf(what, what_bytes, "%s", at->database ? sqlite3_errmsg(at->database) : "out of memory");
        sqlite_close(at);
        return NECPNET_ERR_IO;
    }
    sqlite3_busy_timeout(at->database, SQLITE_BUSY_MS);
    necpnet_result result = sqlite_prepare(at, migrate, what, what_bytes);
    if (result != NECPNET_OK) {
        sqlite_close(at);
        return result;
    }
    *out_backend = at;
    return NECPNET_OK;
}

const store_backend store_sqlite = {.name = "sqlite",
                                    .lasts = true,
                                    .open = sqlite_open,
                                    .close = sqlite_close,
                                    .begin = sqlite_begin,
                                    .commit = sqlite_commit,
                                    .roll_back = sqlite_roll_back,
                                    .run = sqlite_run,
                                    .purge = sqlite_purge,
                                    .migrations = sqlite_migrations,
                                    .back_up = sqlite_back_up,
                                    .restore = sqlite_restore};

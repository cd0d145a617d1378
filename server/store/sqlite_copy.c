/* sqlite_copy - back-ups of the store's file, and their way back.
 *
 * The copy is made beside its place, checked, synced, and renamed: what stands under a back-up's name is whole. VACUUM INTO reads one
 * moment of the database while others write to it, and leaves out what was erased. Neither SQLite nor a file system says that a
 * byte of a record was changed on a disk or a wire; the digest does.
 */
#include "sqlite_copy.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "migrations.h"

#define SQLITE_COPY_BUSY_MS 10000
#define SQLITE_COPY_PATH_MAX 4096

typedef struct sqlite_copy {
    sqlite3* database;
    char part[SQLITE_COPY_PATH_MAX]; /* the copy until it has its name */
    char* what;
    size_t what_bytes;
} sqlite_copy;

static necpnet_result copy_fail(sqlite_copy* at, necpnet_result result, const char* file, const char* why)
{
    snprintf(at->what, at->what_bytes, "%s %s", file, why);
    return result;
}

static bool copy_exists(const char* file, const char* tail)
{
    char path[SQLITE_COPY_PATH_MAX];
    struct stat facts;
    snprintf(path, sizeof(path), "%s%s", file, tail);
    return stat(path, &facts) == 0 && (tail[0] == 0 || facts.st_size > 0);
}

static void copy_close(sqlite_copy* at)
{
    (void)sqlite3_close(at->database);
    at->database = NULL;
}

/* The database in a file that is there, or whose beginning is wrong already. as: how it is opened, in SQLite's words. */
static necpnet_result copy_open(sqlite_copy* at, const char* file, const char* as, int flags)
{
    char url[SQLITE_COPY_PATH_MAX * 3 + 32];
    size_t bytes = (size_t)snprintf(url, sizeof(url), "file:");
    if (!copy_exists(file, "")) return copy_fail(at, NECPNET_ERR_FILE, file, "is not there");
    for (const char* byte = file; *byte && bytes + 4 < sizeof(url) - 24; byte++) {
        bytes += (size_t)snprintf(url + bytes, 4, strchr("?#%", *byte) ? "%%%02X" : "%c", (unsigned char)*byte);
    }
    snprintf(url + bytes, sizeof(url) - bytes, "?%s", as);
    int code = sqlite3_open_v2(url, &at->database, flags | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL);
    if (code == SQLITE_OK) {
        sqlite3_busy_timeout(at->database, SQLITE_COPY_BUSY_MS);
        return NECPNET_OK;
    }
    (void)copy_fail(at, NECPNET_ERR_IO, file, at->database ? sqlite3_errmsg(at->database) : "out of memory");
    copy_close(at);
    return NECPNET_ERR_IO;
}

/* The first value of the first row, or fallback where there is no row. Fails with false. */
static bool copy_ask(sqlite_copy* at, const char* sql, int64_t* out_number, char words[160])
{
    sqlite3_stmt* statement = NULL;
    int code = sqlite3_prepare_v2(at->database, sql, -1, &statement, NULL);
    if (code == SQLITE_OK) code = sqlite3_step(statement);
    if (code == SQLITE_ROW && out_number) *out_number = sqlite3_column_int64(statement, 0);
    if (code == SQLITE_ROW && words) {
        const char* value = (const char*)sqlite3_column_text(statement, 0);
        snprintf(words, 160, "%s", value ? value : "");
    }
    (void)sqlite3_finalize(statement);
    return code == SQLITE_ROW || code == SQLITE_DONE;
}

/* ------------------------------------------------------------------------------------------------------ digest -- */

static uint64_t copy_mix(uint64_t digest, const void* data, size_t bytes) /* FNV-1a, 64 bits */
{
    const uint8_t* at = data;
    for (size_t i = 0; i < bytes; i++) digest = (digest ^ at[i]) * UINT64_C(1099511628211);
    return digest;
}

/* Every value of every row, each behind its length. */
static bool copy_digest_rows(sqlite_copy* at, const char* sql, uint64_t* digest, uint64_t* rows)
{
    sqlite3_stmt* statement = NULL;
    int code = sqlite3_prepare_v2(at->database, sql, -1, &statement, NULL);
    while (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(statement); i++) {
            const void* value = sqlite3_column_blob(statement, i);
            int bytes = sqlite3_column_bytes(statement, i);
            uint8_t length[4] = {(uint8_t)bytes, (uint8_t)(bytes >> 8), (uint8_t)(bytes >> 16), (uint8_t)(bytes >> 24)};
            *digest = copy_mix(*digest, length, sizeof(length));
            *digest = copy_mix(*digest, value, value ? (size_t)bytes : 0);
        }
        ++*rows;
        code = SQLITE_OK;
    }
    (void)sqlite3_finalize(statement);
    return code == SQLITE_DONE;
}

static bool copy_digest(sqlite_copy* at, store_copied* out)
{
    uint64_t names = 0;
    out->records = 0;
    out->digest = UINT64_C(14695981039346656037);
    return copy_digest_rows(at, "SELECT collection, id, version, expires_us, body FROM records ORDER BY collection, id",
                            &out->digest, &out->records) &&
           copy_digest_rows(at,
                            "SELECT collection, id, place, subject FROM record_subjects ORDER BY collection, id, place",
                            &out->digest, &names);
}

/* Its pages, its schema, and what is in it. */
static necpnet_result copy_check(sqlite_copy* at, const char* file, store_copied* out)
{
    char said[160] = "";
    char damage[224];
    int64_t version = 0;
    if (!copy_ask(at, "PRAGMA integrity_check(1)", NULL, said))
        snprintf(said, sizeof(said), "%s", sqlite3_errmsg(at->database));
    if (strcmp(said, "ok") != 0) {
        const char* why = said[0] == '*' && strchr(said, '\n') ? strchr(said, '\n') + 1 : said; /* behind the heading */
        snprintf(damage, sizeof(damage), "is damaged, or no database: %.*s", (int)strcspn(why, "\n"), why);
        return copy_fail(at, NECPNET_ERR_IO, file, damage);
    }
    if (!copy_ask(at, "SELECT coalesce(max(version), 0) FROM migrations", &version, NULL))
        return copy_fail(at, NECPNET_ERR_IO, file, "is a database, but not of necpnet-server: it has no migrations");
    out->schema_version = (int)version;
    if (version > STORE_MIGRATIONS)
        return copy_fail(at, NECPNET_ERR_INVALID_STATE, file,
                         "has a newer schema than this program knows: use a newer one");
    if (!copy_digest(at, out)) return copy_fail(at, NECPNET_ERR_IO, file, sqlite3_errmsg(at->database));
    return NECPNET_OK;
}

/* -------------------------------------------------------------------------------------------------------- copy -- */

/* What is open becomes the file `part`, which is then open instead. */
static necpnet_result copy_into_part(sqlite_copy* at, const char* to)
{
    sqlite3_stmt* statement = NULL;
    if (snprintf(at->part, sizeof(at->part), "%s.part", to) >= (int)sizeof(at->part) - 16)
        return copy_fail(at, NECPNET_ERR_INVALID_ARGUMENT, to, "is too long a name");
    (void)unlink(at->part);
    int code = sqlite3_prepare_v2(at->database, "VACUUM INTO ?1", -1, &statement, NULL);
    if (code == SQLITE_OK) code = sqlite3_bind_text(statement, 1, at->part, -1, SQLITE_STATIC);
    if (code == SQLITE_OK) code = sqlite3_step(statement);
    (void)sqlite3_finalize(statement);
    if (code != SQLITE_DONE) return copy_fail(at, NECPNET_ERR_IO, at->part, sqlite3_errmsg(at->database));
    copy_close(at);
    return copy_open(at, at->part, "mode=rw", SQLITE_OPEN_READWRITE);
}

/* The copy is on the disk, and has its name. */
static necpnet_result copy_finish(sqlite_copy* at, const char* to)
{
    char folder[SQLITE_COPY_PATH_MAX];
    copy_close(at);
    int file = open(at->part, O_RDONLY | O_CLOEXEC);
    bool right = file >= 0 && fsync(file) == 0;
    if (file >= 0) close(file);
    if (!right || rename(at->part, to) != 0) return copy_fail(at, NECPNET_ERR_IO, to, "could not be written");
    snprintf(folder, sizeof(folder), "%s", to);
    char* slash = strrchr(folder, '/');
    if (slash) slash[slash == folder] = 0;
    file = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file >= 0) {
        (void)fsync(file);
        close(file);
    }
    return NECPNET_OK;
}

static necpnet_result copy_end(sqlite_copy* at, necpnet_result result)
{
    if (at->database) copy_close(at);
    if (result != NECPNET_OK && at->part[0]) (void)unlink(at->part);
    return result;
}

static necpnet_result copy_seal(sqlite_copy* at, const store_copied* copied)
{
    char sql[256];
    snprintf(sql, sizeof(sql),
             "CREATE TABLE back_up (made_at TEXT NOT NULL, records BIGINT NOT NULL, digest TEXT NOT NULL);"
             "INSERT INTO back_up VALUES (strftime('%%Y-%%m-%%dT%%H:%%M:%%SZ', 'now'), %llu, '%016llx')",
             (unsigned long long)copied->records, (unsigned long long)copied->digest);
    if (sqlite3_exec(at->database, sql, NULL, NULL, NULL) == SQLITE_OK) return NECPNET_OK;
    return copy_fail(at, NECPNET_ERR_IO, at->part, sqlite3_errmsg(at->database));
}

necpnet_result sqlite_back_up(const char* database, const char* file, store_copied* out_copied, char* what,
                              size_t what_bytes)
{
    sqlite_copy at = {.what = what, .what_bytes = what_bytes};
    if (copy_exists(file, ""))
        return copy_fail(&at, NECPNET_ERR_INVALID_STATE, file, "is there already; a back-up is never written over");
    necpnet_result result = copy_open(&at, database, "mode=rw", SQLITE_OPEN_READWRITE);
    if (result == NECPNET_OK) result = copy_into_part(&at, file);
    if (result == NECPNET_OK) result = copy_check(&at, database, out_copied);
    if (result == NECPNET_OK) result = copy_seal(&at, out_copied);
    if (result == NECPNET_OK) result = copy_finish(&at, file);
    return copy_end(&at, result);
}

/* What the file says of itself; one that SQLite's own tools made says nothing. */
static necpnet_result copy_check_seal(sqlite_copy* at, const char* file, const store_copied* found)
{
    char said[160] = "";
    char mine[32];
    int64_t is_sealed = 0;
    (void)copy_ask(at, "SELECT count(*) FROM sqlite_master WHERE name = 'back_up'", &is_sealed, NULL);
    if (!is_sealed) return NECPNET_OK;
    snprintf(mine, sizeof(mine), "%016llx", (unsigned long long)found->digest);
    if (copy_ask(at, "SELECT digest FROM back_up", NULL, said) && strcmp(said, mine) == 0) return NECPNET_OK;
    return copy_fail(at, NECPNET_ERR_IO, file, "is damaged: its records are not those that were backed up");
}

necpnet_result sqlite_restore(const char* database, const char* file, store_copied* out_copied, char* what,
                              size_t what_bytes)
{
    static const char* const tails[] = {"", "-wal", "-shm"};
    sqlite_copy at = {.what = what, .what_bytes = what_bytes};
    for (int i = 0; i < 3; i++) {
        char name[SQLITE_COPY_PATH_MAX];
        if (!copy_exists(database, tails[i])) continue;
        snprintf(name, sizeof(name), "%s%s", database, tails[i]);
        return copy_fail(&at, NECPNET_ERR_INVALID_STATE, name, "is there: stop the server and move it away first");
    }
    if (copy_exists(file, "-wal"))
        return copy_fail(&at, NECPNET_ERR_INVALID_STATE, file,
                         "has a write-ahead log beside it: it is the file of a server, not a back-up");
    necpnet_result result = copy_open(&at, file, "mode=ro&immutable=1", SQLITE_OPEN_READONLY);
    if (result == NECPNET_OK) result = copy_check(&at, file, out_copied);
    if (result == NECPNET_OK) result = copy_check_seal(&at, file, out_copied);
    if (result == NECPNET_OK) result = copy_into_part(&at, database);
    if (result == NECPNET_OK &&
        sqlite3_exec(at.database, "DROP TABLE IF EXISTS back_up", NULL, NULL, NULL) != SQLITE_OK)
        result = copy_fail(&at, NECPNET_ERR_IO, at.part, sqlite3_errmsg(at.database));
    if (result == NECPNET_OK) result = copy_finish(&at, database);
    return copy_end(&at, result);
}

/* migrations.h - the schema of the store, step by step; the same steps for every SQL backend. {bytes} becomes the backend's type
 * for bytes; texts are compared byte by byte (the backend sees to it). A step that was released is never changed.
 */
#ifndef SERVER_STORE_MIGRATIONS_H
#define SERVER_STORE_MIGRATIONS_H

typedef struct store_migration {
    int version; /* 1, 2, .. */
    const char* name;
    const char* sql;
} store_migration;

static const store_migration store_migration_steps[] = {
    {1, "records",
     "CREATE TABLE records (collection TEXT NOT NULL, id TEXT NOT NULL, version BIGINT NOT NULL, expires_us BIGINT NOT "
     "NULL, "
     "body {bytes} NOT NULL, PRIMARY KEY (collection, id));"
     "CREATE TABLE record_subjects (subject TEXT NOT NULL, collection TEXT NOT NULL, id TEXT NOT NULL, place BIGINT "
     "NOT NULL, "
     "PRIMARY KEY (collection, id, place));"
     "CREATE INDEX record_subjects_by_subject ON record_subjects (subject, collection, id);"
     "CREATE INDEX records_by_expiry ON records (expires_us);"},
};

#define STORE_MIGRATIONS ((int)(sizeof(store_migration_steps) / sizeof(store_migration_steps[0])))

#endif

/* migrations.h - the schema of the store, step by step; the same steps for every SQL backend. {bytes} becomes the backend's type
 * for bytes, {json:name} a member of the JSON object in r.body; texts are compared byte by byte (the backend sees to it). A step that was released is never changed.
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
    /* The voice tables of the signalling service, as readers know them. Rows are records; who is in a channel is counted, so that
       current_users is never anything else. */
    {2, "voice tables",
     "CREATE VIEW voice_participants AS SELECT {json:id} AS id, {json:channel_id} AS channel_id, {json:user_id} AS "
     "user_id, {json:role} AS role, {json:is_muted} AS is_muted, {json:is_deafened} AS is_deafened, {json:joined_at} "
     "AS "
     "joined_at FROM records r WHERE collection = 'voice_participants';"
     "CREATE VIEW voice_channels AS SELECT {json:id} AS id, {json:name} AS name, {json:type} AS type, {json:guild_id} "
     "AS "
     "guild_id, {json:owner_id} AS owner_id, {json:max_users} AS max_users, (SELECT COUNT(*) FROM records p WHERE "
     "p.collection = 'voice_participants' AND p.id > r.id || '/' AND p.id < r.id || '0') AS current_users, "
     "{json:is_active} AS is_active, {json:created_at} AS created_at, {json:updated_at} AS updated_at FROM records r "
     "WHERE collection = 'voice_channels';"
     "CREATE VIEW voice_quality_reports AS SELECT {json:id} AS id, {json:channel_id} AS channel_id, {json:user_id} AS "
     "user_id, {json:bitrate} AS bitrate, {json:packet_loss} AS packet_loss, {json:jitter} AS jitter, {json:latency} "
     "AS "
     "latency, {json:quality} AS quality, {json:reported_at} AS reported_at FROM records r WHERE collection = "
     "'voice_quality_reports';"},
};

#define STORE_MIGRATIONS ((int)(sizeof(store_migration_steps) / sizeof(store_migration_steps[0])))

#endif

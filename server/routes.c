/* routes - the one table of routes, and how a request finds its row. */
#include "routes.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/api.h"
#include "connections.h"
#include "crafting.h"
#include "voice/switchboard.h"

#define PLAYERS (ROLE_PLAYER | ROLE_SERVICE | ROLE_ADMIN)
#define OPERATORS (ROLE_SERVICE | ROLE_ADMIN)

/* ------------------------------------------------------------------------------------------------- parameters -- */

static const field connect_token_fields[] = {
    QUERY_CHOICE("transport", "any|udp|websocket"),
    BODY_FIELD("player", FIELD_TEXT, false, 0, 24),
    BODY_CHOICE("transport", false, "any|udp|websocket"),
    BODY_FIELD("subject", FIELD_TEXT, false, 1, 63),
    FIELDS_END,
};

/* A span back from now, "15m", and its cut; region: this node's, or 404. */
#define ANALYSIS_FRAME \
    QUERY_ID("timeframe", 8), QUERY_CHOICE("granularity", "second|minute|hour|day"), QUERY_ID("region", 63)

static const field analysis_fields[] = {ANALYSIS_FRAME, QUERY_CHOICE("protocol", "any|udp|websocket"), FIELDS_END};
static const field analysis_route_fields[] = {ANALYSIS_FRAME, QUERY_CHOICE("route_type", "any|http|websocket|udp"),
                                              FIELDS_END};
static const field analysis_capacity_fields[] = {ANALYSIS_FRAME, FIELDS_END};

static const field health_batch_fields[] = {
    BODY_TEXTS("services", true, 64, 32),
    FIELDS_END,
};

static const field connections_fields[] = {
    QUERY_CHOICE("status", "active|idle|closing"),
    QUERY_INTEGER("limit", 1, CONNECTIONS_LIST_MAX),
    QUERY_ID("cursor", CONNECTION_ID_BYTES - 1),
    FIELDS_END,
};

static const field connection_fields[] = {
    PATH_ID("connection_id", CONNECTION_ID_BYTES - 1),
    FIELDS_END,
};

static const field connection_topics_fields[] = {
    PATH_ID("connection_id", CONNECTION_ID_BYTES - 1),
    BODY_TEXTS("topics", true, CONNECTION_TOPIC_BYTES - 1, 32),
    FIELDS_END,
};

static const field udp_connect_fields[] = {
    PATH_ID("session_id", 64),
    BODY_FIELD("player", FIELD_TEXT, false, 0, 24),
    FIELDS_END,
};

static const field rotate_fields[] = {
    BODY_FIELD("lifetime_s", FIELD_INTEGER, false, 60, 86400),
    FIELDS_END,
};

static const field revoke_fields[] = {
    BODY_FIELD("token", FIELD_TEXT, false, 1, IDENTITY_JWT_BYTES_MAX),
    BODY_FIELD("connect_token", FIELD_TEXT, false, 1, NECPNET_TOKEN_TEXT_BYTES_MAX),
    BODY_FIELD("player_id", FIELD_TEXT, false, 1, IDENTITY_SUBJECT_BYTES_MAX),
    FIELDS_END,
};

static const field service_token_fields[] = {
    BODY_FIELD("service", FIELD_ID, true, 1, 64),
    BODY_FIELD("lifetime_s", FIELD_INTEGER, false, 60, 86400),
    FIELDS_END,
};

static const field audit_fields[] = {
    QUERY_INTEGER("limit", 1, STORE_LIST_MAX),
    QUERY_ID("cursor", 48),
    {"player_id", FIELD_IN_QUERY, FIELD_TEXT, false, 1, IDENTITY_SUBJECT_BYTES_MAX, NULL, 0},
    FIELDS_END,
};

static const field token_epoch_fields[] = {
    BODY_FIELD("epoch", FIELD_INTEGER, true, 0, UINT32_MAX),
    FIELDS_END,
};

static const field player_fields[] = {
    {"player_id", FIELD_IN_PATH, FIELD_TEXT, true, 1, IDENTITY_SUBJECT_BYTES_MAX, NULL, 0},
    FIELDS_END,
};

static const field presence_fields[] = {
    {"player_id", FIELD_IN_PATH, FIELD_TEXT, true, 1, IDENTITY_SUBJECT_BYTES_MAX, NULL, 0},
    BODY_CHOICE("status", true, "online|away|busy|invisible|in-game"),
    BODY_FIELD("zone", FIELD_INTEGER, false, 0, UINT32_MAX),
    BODY_FIELD("location", FIELD_TEXT, false, 0, NECPNET_PRESENCE_LOCATION_BYTES_MAX),
    FIELDS_END,
};

#define CRAFTING_SESSION_FIELD PATH_ID("session_id", CRAFTING_ID_BYTES - 1)

static const field crafting_list_fields[] = {
    {"player_id", FIELD_IN_QUERY, FIELD_TEXT, false, 1, IDENTITY_SUBJECT_BYTES_MAX, NULL, 0},
    QUERY_CHOICE("status", CRAFTING_STATUSES),
    QUERY_INTEGER("limit", 1, 1000),
    QUERY_INTEGER("cursor", 0, INT64_C(9007199254740991)),
    FIELDS_END,
};

static const field crafting_begin_fields[] = {
    BODY_FIELD("player_id", FIELD_TEXT, true, 1, IDENTITY_SUBJECT_BYTES_MAX),
    BODY_FIELD("recipe", FIELD_ID, true, 1, CRAFTING_RECIPE_BYTES - 1),
    BODY_FIELD("duration_ms", FIELD_INTEGER, true, 100, CRAFTING_DURATION_MS_MAX),
    BODY_FIELD("quantity", FIELD_INTEGER, false, 1, CRAFTING_QUANTITY_MAX),
    BODY_FIELD("speed_permille", FIELD_INTEGER, false, 0, CRAFTING_SPEED_MAX),
    BODY_FIELD("session_id", FIELD_ID, false, 1, CRAFTING_ID_BYTES - 1),
    BODY_FIELD("materials", FIELD_OBJECT, false, 0, 4096),
    FIELDS_END,
};

static const field crafting_session_fields[] = {CRAFTING_SESSION_FIELD, FIELDS_END};

static const field crafting_progress_fields[] = {
    CRAFTING_SESSION_FIELD,
    BODY_FIELD("progress_ppm", FIELD_INTEGER, false, 0, CRAFTING_WHOLE_PPM),
    BODY_FIELD("speed_permille", FIELD_INTEGER, false, 0, CRAFTING_SPEED_MAX),
    BODY_CHOICE("status", false, "active|paused|completed|cancelled|failed"),
    FIELDS_END,
};

static const field crafting_materials_fields[] = {
    CRAFTING_SESSION_FIELD,
    BODY_FIELD("available", FIELD_OBJECT, false, 0, 4096),
    FIELDS_END,
};

/* Of a WebSocket: access_token because browsers set no headers; player and role count in development alone. */
#define SOCKET_FIELDS \
    QUERY_CHOICE("compression", "gzip|none"), \
        {"access_token", FIELD_IN_QUERY, FIELD_TEXT, false, 1, IDENTITY_JWT_BYTES_MAX, NULL, 0}, \
        {"player", FIELD_IN_QUERY, FIELD_TEXT, false, 1, 63, NULL, 0}, QUERY_CHOICE("role", "player|service|admin")

static const field crafting_socket_fields[] = {CRAFTING_SESSION_FIELD, QUERY_INTEGER("hz", 1, 60), SOCKET_FIELDS,
                                               FIELDS_END};
static const field queue_socket_fields[] = {
    {"player_id", FIELD_IN_PATH, FIELD_TEXT, true, 1, IDENTITY_SUBJECT_BYTES_MAX, NULL, 0}, SOCKET_FIELDS, FIELDS_END};

/* Ids of channels stand in names of topics. A sub is any text. */
#define PATH_CHANNEL PATH_ID("channel_id", CHANNELS_ID_BYTES_MAX)
#define PATH_STREAM PATH_ID("stream_id", CHANNELS_ID_BYTES_MAX)
#define BODY_USER(required) BODY_FIELD("user_id", FIELD_TEXT, required, 1, CHANNELS_USER_BYTES_MAX)
#define CHANNEL_TYPES "guild|party|global|private"

static const field voice_channels_fields[] = {
    QUERY_CHOICE("type", CHANNEL_TYPES),        QUERY_CHOICE("status", "active|inactive"), QUERY_ID("guild_id", 64),
    QUERY_INTEGER("limit", 1, SWITCH_LIST_MAX), QUERY_ID("cursor", CHANNELS_ID_BYTES_MAX), FIELDS_END,
};

static const field voice_channel_create_fields[] = {
    BODY_FIELD("name", FIELD_TEXT, true, 1, CHANNELS_NAME_BYTES_MAX),
    BODY_CHOICE("type", true, CHANNEL_TYPES),
    BODY_FIELD("guild_id", FIELD_ID, false, 1, 64),
    BODY_FIELD("max_users", FIELD_INTEGER, false, 1, CHANNELS_MEMBERS_MAX),
    BODY_FIELD("id", FIELD_ID, false, 1, CHANNELS_ID_BYTES_MAX),
    BODY_FIELD("owner_id", FIELD_TEXT, false, 1, CHANNELS_USER_BYTES_MAX),
    FIELDS_END,
};

static const field voice_channel_fields[] = {PATH_CHANNEL, FIELDS_END};

static const field voice_channel_change_fields[] = {
    PATH_CHANNEL,
    BODY_FIELD("name", FIELD_TEXT, false, 1, CHANNELS_NAME_BYTES_MAX),
    BODY_FIELD("max_users", FIELD_INTEGER, false, 1, CHANNELS_MEMBERS_MAX),
    BODY_FIELD("is_active", FIELD_BOOL, false, 0, 0),
    FIELDS_END,
};

static const field voice_join_fields[] = {PATH_CHANNEL, BODY_USER(false), FIELDS_END};
static const field voice_invite_fields[] = {PATH_CHANNEL, BODY_USER(true), FIELDS_END};

static const field voice_participant_fields[] = {
    PATH_CHANNEL,
    {"user_id", FIELD_IN_PATH, FIELD_TEXT, true, 1, CHANNELS_USER_BYTES_MAX, NULL, 0},
    FIELDS_END,
};

static const field voice_participant_change_fields[] = {
    PATH_CHANNEL,
    {"user_id", FIELD_IN_PATH, FIELD_TEXT, true, 1, CHANNELS_USER_BYTES_MAX, NULL, 0},
    BODY_CHOICE("role", false, "member|moderator|owner"),
    BODY_FIELD("is_muted", FIELD_BOOL, false, 0, 0),
    BODY_FIELD("is_deafened", FIELD_BOOL, false, 0, 0),
    FIELDS_END,
};

static const field voice_signal_fields[] = {
    PATH_CHANNEL,
    BODY_FIELD("channel_id", FIELD_ID, false, 1, CHANNELS_ID_BYTES_MAX), /* the second: the handler counts on it */
    BODY_CHOICE("type", true, SIGNALS_TYPES),
    BODY_FIELD("session_id", FIELD_TEXT, false, 1, SIGNALS_SESSION_BYTES_MAX),
    BODY_FIELD("from_user_id", FIELD_TEXT, true, 1, CHANNELS_USER_BYTES_MAX),
    BODY_FIELD("to_user_id", FIELD_TEXT, true, 1, CHANNELS_USER_BYTES_MAX),
    BODY_FIELD("offer", FIELD_OBJECT, false, 0, SIGNALS_PAYLOAD_BYTES_MAX),
    BODY_FIELD("answer", FIELD_OBJECT, false, 0, SIGNALS_PAYLOAD_BYTES_MAX),
    BODY_FIELD("candidate", FIELD_OBJECT, false, 0, SIGNALS_PAYLOAD_BYTES_MAX),
    FIELDS_END,
};

static const field voice_report_fields[] = {
    PATH_CHANNEL,
    BODY_USER(false),
    BODY_FIELD("bitrate", FIELD_INTEGER, true, 0, 10000000),
    BODY_FIELD("packet_loss", FIELD_NUMBER, true, 0, 1),
    BODY_FIELD("jitter", FIELD_NUMBER, true, 0, 9),
    BODY_FIELD("latency", FIELD_NUMBER, true, 0, 9),
    BODY_CHOICE("quality", false, SWITCH_QUALITIES),
    FIELDS_END,
};

static const field audio_streams_fields[] = {
    QUERY_CHOICE("type", "voice|game"),
    QUERY_CHOICE("status", "active|inactive"),
    QUERY_INTEGER("limit", 1, SWITCH_LIST_MAX),
    QUERY_ID("cursor", CHANNELS_ID_BYTES_MAX),
    FIELDS_END,
};

static const field audio_stream_create_fields[] = {
    BODY_FIELD("name", FIELD_TEXT, true, 1, CHANNELS_NAME_BYTES_MAX),
    BODY_CHOICE("type", true, "voice|game"),
    BODY_CHOICE("access", false, CHANNEL_TYPES),
    BODY_FIELD("guild_id", FIELD_ID, false, 1, 64),
    BODY_FIELD("sample_rate", FIELD_INTEGER, false, 8000, 96000),
    BODY_FIELD("channels", FIELD_INTEGER, false, 1, 2),
    BODY_FIELD("bitrate", FIELD_INTEGER, false, 6000, 510000),
    BODY_FIELD("max_participants", FIELD_INTEGER, false, 1, CHANNELS_MEMBERS_MAX),
    FIELDS_END,
};

static const field audio_stream_fields[] = {PATH_STREAM, FIELDS_END};
static const field audio_participant_fields[] = {
    PATH_STREAM,
    BODY_USER(false),
    BODY_CHOICE("role", false, "member|moderator"),
    FIELDS_END,
};

/* ------------------------------------------------------------------------------------------------------ routes -- */

#define CHANNEL_RULE(limit) \
    { \
        PLAYERS, rules_owner_channel, "channel_id", limit \
    }
#define STREAM_RULE(limit) \
    { \
        PLAYERS, rules_owner_channel, "stream_id", limit \
    }

/* clang-format off */
static const route routes_table[] = {
    /* health and figures */
    {"GET", "/health", ROUTE_SEED, {ROLE_ANYONE, NULL, NULL, LIMIT_HEALTH}, NULL, api_health},
    {"POST", "/health/batch", ROUTE_SEED, {ROLE_ANYONE, NULL, NULL, LIMIT_HEALTH}, health_batch_fields, api_health_batch},
    {"GET", "/health/ws", ROUTE_SEED | ROUTE_UPGRADE, {ROLE_ANYONE, NULL, NULL, LIMIT_HEALTH}, NULL, NULL},
    {"GET", "/metrics", ROUTE_SEED, {ROLE_ANYONE, NULL, NULL, LIMIT_HEALTH}, NULL, api_metrics},
    {"GET", "/api/v1/game", 0, {ROLE_ANYONE, NULL, NULL, LIMIT_READ}, NULL, api_game},

    {"GET", "/network/analysis/traffic", ROUTE_SEED, {OPERATORS, NULL, NULL, LIMIT_READ}, analysis_fields, api_analysis_traffic},
    {"GET", "/network/analysis/connections", ROUTE_SEED, {OPERATORS, NULL, NULL, LIMIT_READ}, analysis_fields, api_analysis_connections},
    {"GET", "/network/analysis/routes", ROUTE_SEED, {OPERATORS, NULL, NULL, LIMIT_READ}, analysis_route_fields, api_analysis_routes},
    {"GET", "/network/analysis/capacity", ROUTE_SEED, {OPERATORS, NULL, NULL, LIMIT_READ}, analysis_capacity_fields, api_analysis_capacity},

    /* the API about itself */
    {"GET", "/openapi.yaml", ROUTE_SEED, {ROLE_ANYONE, NULL, NULL, LIMIT_READ}, NULL, api_openapi},
    {"GET", "/docs", ROUTE_SEED, {ROLE_ANYONE, NULL, NULL, LIMIT_READ}, NULL, api_docs},

    /* connections; the path of the WebSocket itself is ws_path */
    {"GET", "/ws", ROUTE_SEED | ROUTE_UPGRADE, {ROLE_ANYONE, NULL, NULL, LIMIT_WRITE}, NULL, NULL},
    {"GET", "/ws/connections", ROUTE_SEED, {PLAYERS, NULL, NULL, LIMIT_READ}, connections_fields, api_connections},
    {"GET", "/ws/connections/{connection_id}", ROUTE_SEED,
     {PLAYERS, rules_owner_connection, "connection_id", LIMIT_READ}, connection_fields, api_connection},
    {"DELETE", "/ws/connections/{connection_id}", ROUTE_SEED,
     {PLAYERS, rules_owner_connection, "connection_id", LIMIT_WRITE}, connection_fields, api_connection_close},

    {"POST", "/connections/{connection_id}/subscribe", ROUTE_SEED,
     {PLAYERS, rules_owner_connection, "connection_id", LIMIT_WRITE}, connection_topics_fields, api_connection_subscribe},
    {"POST", "/connections/{connection_id}/unsubscribe", ROUTE_SEED,
     {PLAYERS, rules_owner_connection, "connection_id", LIMIT_WRITE}, connection_topics_fields, api_connection_unsubscribe},

    /* voice channels, and the same as audio streams; more is said by the switchboard, which knows their members */
    {"GET", "/api/v1/voice-channels", 0, {PLAYERS, NULL, NULL, LIMIT_READ}, voice_channels_fields, api_voice_channels},
    {"POST", "/api/v1/voice-channels", 0, {PLAYERS, NULL, NULL, LIMIT_WRITE}, voice_channel_create_fields, api_voice_channel_create},
    {"GET", "/api/v1/voice-channels/{channel_id}", 0, CHANNEL_RULE(LIMIT_READ), voice_channel_fields, api_voice_channel},
    {"PUT", "/api/v1/voice-channels/{channel_id}", 0, CHANNEL_RULE(LIMIT_WRITE), voice_channel_change_fields, api_voice_channel_change},
    {"DELETE", "/api/v1/voice-channels/{channel_id}", 0, CHANNEL_RULE(LIMIT_WRITE), voice_channel_fields, api_voice_channel_delete},
    {"POST", "/api/v1/voice-channels/{channel_id}/join", 0, CHANNEL_RULE(LIMIT_WRITE), voice_join_fields, api_voice_channel_join},
    {"POST", "/api/v1/voice-channels/{channel_id}/invitations", 0, CHANNEL_RULE(LIMIT_WRITE), voice_invite_fields, api_voice_channel_invite},
    {"GET", "/api/v1/voice-channels/{channel_id}/participants", 0, CHANNEL_RULE(LIMIT_READ), voice_channel_fields, api_voice_participants},
    {"PUT", "/api/v1/voice-channels/{channel_id}/participants/{user_id}", 0, CHANNEL_RULE(LIMIT_WRITE), voice_participant_change_fields, api_voice_participant_change},
    {"DELETE", "/api/v1/voice-channels/{channel_id}/participants/{user_id}", 0, CHANNEL_RULE(LIMIT_WRITE), voice_participant_fields, api_voice_participant_expel},
    {"POST", "/api/v1/voice-channels/{channel_id}/signal", 0, CHANNEL_RULE(LIMIT_WRITE), voice_signal_fields, api_voice_channel_signal},
    {"POST", "/api/v1/voice-quality/{channel_id}/report", 0, CHANNEL_RULE(LIMIT_WRITE), voice_report_fields, api_voice_quality_report},
    {"GET", "/audio/streams", ROUTE_SEED, {PLAYERS, NULL, NULL, LIMIT_READ}, audio_streams_fields, api_audio_streams},
    {"POST", "/audio/streams", ROUTE_SEED, {PLAYERS, NULL, NULL, LIMIT_WRITE}, audio_stream_create_fields, api_audio_stream_create},
    {"GET", "/audio/streams/{stream_id}", ROUTE_SEED, STREAM_RULE(LIMIT_READ), audio_stream_fields, api_audio_stream},
    {"DELETE", "/audio/streams/{stream_id}", ROUTE_SEED, STREAM_RULE(LIMIT_WRITE), audio_stream_fields, api_audio_stream_close},
    {"POST", "/audio/streams/{stream_id}/participants", ROUTE_SEED, STREAM_RULE(LIMIT_WRITE), audio_participant_fields, api_audio_participant_add},
    {"GET", "/audio/streams/{stream_id}/participants", ROUTE_SEED, STREAM_RULE(LIMIT_READ), audio_stream_fields, api_audio_participants},
    {"POST", "/api/v1/voice-channels/{channel_id}/leave", 0, {PLAYERS, NULL, NULL, LIMIT_WRITE}, voice_join_fields, api_voice_channel_leave},
    {"GET", "/api/v1/ice-servers", 0, {PLAYERS, NULL, NULL, LIMIT_TOKEN}, NULL, api_ice_servers},

    /* credentials */
    {"POST", "/api/v1/connect-tokens", 0, {PLAYERS, NULL, NULL, LIMIT_TOKEN}, connect_token_fields, api_connect_tokens},
    {"POST", "/udp/sessions/{session_id}/connect", ROUTE_SEED,
     {PLAYERS, rules_owner_udp_session, "session_id", LIMIT_TOKEN}, udp_connect_fields, api_udp_connect},
    {"POST", "/api/v1/tokens/rotate", 0, {PLAYERS, NULL, NULL, LIMIT_TOKEN}, rotate_fields, api_tokens_rotate},
    {"POST", "/api/v1/tokens/revoke", 0, {PLAYERS, NULL, NULL, LIMIT_TOKEN}, revoke_fields, api_tokens_revoke},
    {"POST", "/api/v1/service-tokens", 0, {ROLE_ADMIN, NULL, NULL, LIMIT_TOKEN}, service_token_fields, api_service_tokens},

    /* presence */
    {"GET", "/api/v1/presence/{player_id}", 0, {PLAYERS, NULL, NULL, LIMIT_READ}, player_fields, api_presence},
    {"PUT", "/api/v1/presence/{player_id}", 0, {PLAYERS, rules_owner_player, "player_id", LIMIT_WRITE}, presence_fields,
     api_presence_set},
    {"GET", "/api/v1/presence/{player_id}/friends", 0, {PLAYERS, rules_owner_player, "player_id", LIMIT_READ}, player_fields,
     api_presence_friends},

    /* crafting; progress and materials are the crafting service's to write, and their player's to read */
    {"GET", "/ws/crafting/{session_id}", ROUTE_SEED | ROUTE_UPGRADE,
     {PLAYERS, rules_owner_crafting, "session_id", LIMIT_WRITE}, crafting_socket_fields, NULL},
    {"GET", "/ws/queue/{player_id}", ROUTE_SEED | ROUTE_UPGRADE,
     {PLAYERS, rules_owner_player, "player_id", LIMIT_WRITE}, queue_socket_fields, NULL},
    {"POST", "/udp/sessions/{session_id}/progress", ROUTE_SEED,
     {PLAYERS, rules_owner_crafting, "session_id", LIMIT_WRITE}, crafting_progress_fields, api_udp_progress},
    {"POST", "/udp/sessions/{session_id}/materials", ROUTE_SEED,
     {PLAYERS, rules_owner_crafting, "session_id", LIMIT_WRITE}, crafting_materials_fields, api_udp_materials},
    {"GET", "/api/v1/crafting/sessions", 0, {PLAYERS, NULL, NULL, LIMIT_READ}, crafting_list_fields, api_crafting_sessions},
    {"POST", "/api/v1/crafting/sessions", 0, {OPERATORS, NULL, NULL, LIMIT_WRITE}, crafting_begin_fields, api_crafting_begin},
    {"GET", "/api/v1/crafting/sessions/{session_id}", 0,
     {PLAYERS, rules_owner_crafting, "session_id", LIMIT_READ}, crafting_session_fields, api_crafting_session},
    {"DELETE", "/api/v1/crafting/sessions/{session_id}", 0,
     {PLAYERS, rules_owner_crafting, "session_id", LIMIT_WRITE}, crafting_session_fields, api_crafting_cancel},
    {"POST", "/api/v1/crafting/sessions/{session_id}/pause", 0,
     {PLAYERS, rules_owner_crafting, "session_id", LIMIT_WRITE}, crafting_session_fields, api_crafting_pause},
    {"POST", "/api/v1/crafting/sessions/{session_id}/resume", 0,
     {PLAYERS, rules_owner_crafting, "session_id", LIMIT_WRITE}, crafting_session_fields, api_crafting_resume},
    {"GET", "/api/v1/crafting/queue/{player_id}", 0,
     {PLAYERS, rules_owner_player, "player_id", LIMIT_READ}, player_fields, api_crafting_queue},

    /* administration */
    {"GET", "/api/v1/admin/sessions", 0, {ROLE_ADMIN, NULL, NULL, LIMIT_ADMIN}, connections_fields, api_connections},
    {"GET", "/api/v1/admin/configuration", 0, {ROLE_ADMIN, NULL, NULL, LIMIT_ADMIN}, NULL, api_admin_configuration},
    {"GET", "/api/v1/admin/audit", 0, {ROLE_ADMIN, NULL, NULL, LIMIT_ADMIN}, audit_fields, api_admin_audit},
    {"POST", "/api/v1/admin/drain", 0, {ROLE_ADMIN, NULL, NULL, LIMIT_ADMIN}, NULL, api_admin_drain},
    {"POST", "/api/v1/admin/token-epoch", 0, {ROLE_ADMIN, NULL, NULL, LIMIT_ADMIN}, token_epoch_fields,
     api_admin_token_epoch},

    /* what is stored about a player */
    {"GET", "/api/v1/players/{player_id}/data", 0,
     {ROLE_PLAYER | ROLE_ADMIN, rules_owner_player, "player_id", LIMIT_ADMIN}, player_fields, api_player_data},
    {"DELETE", "/api/v1/players/{player_id}/data", 0,
     {ROLE_PLAYER | ROLE_ADMIN, rules_owner_player, "player_id", LIMIT_ADMIN}, player_fields, api_player_data_erase},

    {NULL, NULL, 0, {0, NULL, NULL, LIMIT_NONE}, NULL, NULL},
};
/* clang-format on */

/* Every other path is a file of the page, or missing. */
static const route routes_files = {"GET", NULL, 0, {ROLE_ANYONE, NULL, NULL, LIMIT_NONE}, NULL, api_files};

/* ------------------------------------------------------------------------------------------------------ lookup -- */

/* Whether a path fits a template; the parameters' places are noted. */
static bool route_fits(const char* template_, const char* path, route_match* match)
{
    int count = 0;
    while (*template_) {
        if (*template_ == '{') {
            size_t bytes = strcspn(path, "/");
            if (bytes == 0 || count == FIELDS_MAX) return false;
            match->parts[count] = path;
            match->part_bytes[count++] = bytes;
            path += bytes;
            template_ += strcspn(template_, "}") + 1;
        } else if (*template_++ != *path++) {
            return false;
        }
    }
    return *path == 0;
}

static bool route_is(const route* row, const char* path, route_match* match)
{
    const size_t prefix = sizeof(ROUTES_PREFIX) - 1;
    if (route_fits(row->path, path, match)) return true;
    return (row->flags & ROUTE_SEED) && strncmp(path, ROUTES_PREFIX, prefix) == 0 &&
           route_fits(row->path, path + prefix, match);
}

static void route_allow(route_match* match, const char* method)
{
    size_t bytes = strlen(match->methods);
    bool get = strcmp(method, "GET") == 0;
    snprintf(match->methods + bytes, sizeof(match->methods) - bytes, "%s%s", method, get ? ", HEAD, " : ", ");
}

void routes_find(const char* method, const char* path, route_match* out_match)
{
    const char* wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
    route_match row_match;
    memset(out_match, 0, sizeof(*out_match));
    for (const route* row = routes_table; row->path; row++) {
        memset(&row_match, 0, sizeof(row_match));
        if (!route_is(row, path, &row_match)) continue;
        route_allow(out_match, row->method);
        if (out_match->found || strcmp(row->method, wanted) != 0) continue;
        memcpy(out_match->parts, row_match.parts, sizeof(row_match.parts));
        memcpy(out_match->part_bytes, row_match.part_bytes, sizeof(row_match.part_bytes));
        out_match->found = row;
    }
    if (out_match->methods[0] == 0) {
        route_allow(out_match, routes_files.method);
        if (strcmp(wanted, "GET") == 0) out_match->found = &routes_files;
    }
    size_t bytes = strlen(out_match->methods);
    snprintf(out_match->methods + bytes, sizeof(out_match->methods) - bytes, "OPTIONS");
}

bool routes_take_path(const route_match* match, field_values* values, field_fault* fault)
{
    const char* at = match->found->path;
    for (int i = 0; at && (at = strchr(at, '{')) != NULL; i++) {
        char name[64];
        size_t bytes = strcspn(++at, "}");
        snprintf(name, sizeof(name), "%.*s", (int)bytes, at);
        if (!fields_take_path(values, name, match->parts[i], match->part_bytes[i], fault)) return false;
    }
    return true;
}

/* ------------------------------------------------------------------------------------------------- description -- */

const route* routes_list(void)
{
    return routes_table;
}

static void route_describe_fields(text* out, const field* fields)
{
    static const char* const places[] = {"", "path", "query", "body"};
    static const char* const kinds[] = {"text", "id", "integer", "bool", "choice", "texts", "object", "number"};
    for (const field* row = fields; row && row->name; row++) {
        text_format(out, "%s{\"name\":\"%s\",\"in\":\"%s\",\"kind\":\"%s\",\"required\":%s", row == fields ? "" : ",",
                    row->name, places[row->place], kinds[row->kind], row->required ? "true" : "false");
        if (row->choices) text_format(out, ",\"choices\":\"%s\"", row->choices);
        if (row->kind != FIELD_CHOICE && row->kind != FIELD_BOOL)
            text_format(out, ",\"low\":%" PRId64 ",\"high\":%" PRId64, row->low, row->high);
        if (row->count_max) text_format(out, ",\"count_max\":%d", row->count_max);
        text_put(out, "}");
    }
}

void routes_describe(text* out)
{
    static const char* const roles[] = {"anyone", "player", "service", "admin"};
    text_put(out, "[");
    for (const route* row = routes_table; row->path; row++) {
        bool first = true;
        text_format(out, "%s{\"method\":\"%s\",\"path\":\"%s\",\"seed\":%s,\"upgrade\":%s,\"roles\":[",
                    row == routes_table ? "" : ",\n ", row->method, row->path,
                    row->flags & ROUTE_SEED ? "true" : "false", row->flags & ROUTE_UPGRADE ? "true" : "false");
        for (unsigned i = 0; i < 4; i++) {
            if (!(row->rule.roles & 1u << i)) continue;
            text_format(out, "%s\"%s\"", first ? "" : ",", roles[i]);
            first = false;
        }
        text_put(out, "],\"object\":");
        text_json(out, row->rule.owner ? row->rule.object : NULL);
        text_format(out, ",\"limit\":\"%s\",\"fields\":[", limits_class_name(row->rule.limit));
        route_describe_fields(out, row->fields);
        text_put(out, "]}");
    }
    text_put(out, "]\n");
}

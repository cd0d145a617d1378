/* config - one table of keys drives file, environment, flags, --help and --check-config. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "json.h"

typedef enum config_kind {
    CONFIG_BOOL,
    CONFIG_INTEGER,
    CONFIG_CHOICE, /* int64_t: the index in the choices */
    CONFIG_TEXT,
    CONFIG_LIST, /* of texts; in one text separated by commas */
    CONFIG_KEYS  /* of token keys; in one text "id:key,id:key" */
} config_kind;

typedef struct config_row {
    const char* key; /* --port and NECPNET_PORT for "port" */
    config_kind kind;
    size_t offset;
    int64_t low; /* TEXT: bytes at most in high */
    int64_t high;
    const char* preset;
    const char* choices;   /* CHOICE: "a|b|c" */
    const char* seed_name; /* another environment variable, or NULL; NECPNET_... wins over it */
    bool secret;
    const char* help;
} config_row;

#define ROW_NUMBER(key, low, high, preset, seed, help) \
    { \
#key, CONFIG_INTEGER, offsetof(config, key), (low), (high), (preset), NULL, (seed), false, (help) \
    }
#define ROW_CHOICE(key, choices, preset, seed, help) \
    { \
#key, CONFIG_CHOICE, offsetof(config, key), 0, 0, (preset), (choices), (seed), false, (help) \
    }
#define ROW_TEXT(key, high, preset, seed, secret, help) \
    { \
#key, CONFIG_TEXT, offsetof(config, key), 0, (high), (preset), NULL, (seed), (secret), (help) \
    }
#define ROW_BOOL(key, preset, seed, help) \
    { \
#key, CONFIG_BOOL, offsetof(config, key), 0, 0, (preset), NULL, (seed), false, (help) \
    }
#define ROW_LIST(key, seed, help) \
    { \
#key, CONFIG_LIST, offsetof(config, key), 0, 0, "", NULL, (seed), false, (help) \
    }
#define ROW_KEYS(key, help) \
    { \
#key, CONFIG_KEYS, offsetof(config, key), 0, 0, "", NULL, NULL, true, (help) \
    }

#define CONFIG_PATH_BYTES_MAX 4095

static const config_row config_rows[] = {
    ROW_CHOICE(mode, "automatic|development|production", "automatic", NULL,
               "development: loopback only, random token key, anyone gets a token. automatic: development unless there "
               "is a configuration file, a token key or a JWT secret"),
    ROW_TEXT(server_name, 63, "necpnet", NULL, false, "told to clients that ask before they connect"),
    ROW_TEXT(region, 63, "local", NULL, false, "where this node is, as answers and figures say it"),
    ROW_NUMBER(server_id, 1, INT64_MAX, "1", NULL, "names this process in connect tokens"),
    ROW_TEXT(
        bind_address, 63, "", "SERVER_ADDR", false,
        "numeric address to listen on (SERVER_ADDR may say address:port); empty: 127.0.0.1 in development, else ::"),
    ROW_NUMBER(port, 0, 65535, "8080", "SERVER_PORT", "TCP: HTTP and WebSocket; 0: any free port"),
    ROW_NUMBER(udp_port, -1, 65535, "7777", NULL, "UDP; 0: any free port; -1: none"),
    ROW_TEXT(ws_path, 128, "/ws", NULL, false, "path of the WebSocket"),
    ROW_CHOICE(ws_deflate, "off|on|context", "off", NULL,
               "permessage-deflate for WebSockets: each message for itself, or with windows kept between messages (40 "
               "KB a connection)"),
    ROW_LIST(
        public_urls, NULL,
        "what clients connect to, as connect tokens say it: udp://host:port, ws:// or wss://host:port/path; empty: the "
        "host of the request's Host header"),
    ROW_TEXT(certificate_file, CONFIG_PATH_BYTES_MAX, "", NULL, false,
             "PEM chain; with key_file: the TCP port speaks TLS"),
    ROW_TEXT(key_file, CONFIG_PATH_BYTES_MAX, "", NULL, false, "PEM private key of the certificate"),
    ROW_CHOICE(security, "token|open", "token", NULL, "who may join: holders of a connect token, or anyone"),
    ROW_TEXT(passphrase, 128, "", NULL, true, "with security open: what clients must know"),
    ROW_KEYS(token_keys,
             "keys that open connect tokens: [{\"id\": 1, \"key\": \"64 hex digits or base64\"}], or 1:KEY,2:KEY "
             "outside the file; the first one seals"),
    ROW_TEXT(token_key_file, CONFIG_PATH_BYTES_MAX, "", NULL, false, "JSON file that holds the list of token_keys"),
    ROW_NUMBER(token_epoch, 0, UINT32_MAX, "0", NULL, "connect tokens of an older epoch are refused"),
    ROW_NUMBER(token_lifetime_s, 1, 45, "45", NULL, "how long a connect token may wait to be used"),
    ROW_TEXT(jwt_secret, 1024, "", "JWT_SECRET", true,
             "HS256 key, at least 32 bytes, of the JWTs that callers of the API and WebSocket clients show"),
    ROW_TEXT(jwt_secret_file, CONFIG_PATH_BYTES_MAX, "", "JWT_SECRET_FILE", false,
             "the same key as the raw bytes of a file, instead of jwt_secret"),
    ROW_TEXT(
        jwks_file, CONFIG_PATH_BYTES_MAX, "", NULL, false,
        "JWK set (RFC 7517) of the keys that sign JWTs, found by kid: RSA (RS256), P-256 (ES256), oct (HS256); read "
        "again when it changes"),
    ROW_TEXT(jwt_issuer, 255, "", NULL, false, "the only iss that is taken; empty: any"),
    ROW_TEXT(jwt_audience, 255, "", NULL, false, "the only aud that is taken; empty: any"),
    ROW_NUMBER(jwt_lifetime_s, 60, 86400, "3600", NULL, "of JWTs that this server makes: rotation, service tokens"),
    ROW_LIST(cors_origins, "CORS_ORIGINS", "origins whose pages may call the API, or *"),
    ROW_TEXT(
        store, CONFIG_PATH_BYTES_MAX, "automatic", "DATABASE_URL", true,
        "memory:, or sqlite:FILE; automatic: memory: in development, else sqlite:necpnet.db where SQLite is built in"),
    ROW_TEXT(cache, 1024, "memory:", "REDIS_URL", true, "memory:"),
    ROW_TEXT(bus, 1024, "local:", "NATS_URL", true, "local:"),
    ROW_NUMBER(audit_days, 1, 3650, "90", NULL, "how long records of security events are kept"),
    ROW_NUMBER(rate_health, 0, 1000000, "5000", NULL,
               "requests a second of one address for /health and /metrics, twice as many at once; 0: any number"),
    ROW_NUMBER(rate_read, 0, 1000000, "200", NULL, "the same for reading, of one address and of one player"),
    ROW_NUMBER(rate_write, 0, 1000000, "100", NULL, "the same for changing"),
    ROW_NUMBER(rate_token, 0, 1000000, "100", NULL, "the same for making credentials, and for showing wrong ones"),
    ROW_NUMBER(rate_admin, 0, 1000000, "100", NULL, "the same for the routes of administrators"),
    ROW_BOOL(metrics_enabled, "true", "METRICS_ENABLED", "whether GET /metrics is there"),
    ROW_TEXT(web_directory, CONFIG_PATH_BYTES_MAX, "", NULL, false,
             "files of the demo page; empty: found beside the program or where it was installed"),
    ROW_NUMBER(http_threads, 1, 64, "4", NULL, "threads for REST requests; WebSockets need none"),
    ROW_NUMBER(http_connections_max, 1, 4096, "256", NULL, "REST requests at once; more are answered 503"),
    ROW_NUMBER(http_body_bytes_max, 1024, 1048576, "65536", NULL, "of one request; more is answered 413"),
    ROW_NUMBER(http_timeout_ms, 100, 600000, "15000", NULL,
               "for a request's body, for its answer, and for a slow reader"),
    ROW_NUMBER(workers, 1, 64, "1", NULL, "threads that serve the same ports, each with a world of its own"),
    ROW_NUMBER(peers_max, 1, 8000000, "4096", NULL, "sessions at once, of each worker"),
    ROW_NUMBER(peers_per_address_max, 1, 16777215, "4096", NULL, "sessions at once from one address, of each worker"),
    ROW_NUMBER(resume_window_ms, 0, 3600000, "30000", NULL,
               "how long a session outlives its connection; 0: it does not"),
    ROW_CHOICE(take_over, "replace|refuse|allow", "replace", NULL,
               "when a user who is here joins again: the first ends, the second is refused, or both play"),
    ROW_NUMBER(rpc_connections_max, 0, 1000000, "16384", NULL, "WebSockets of JSON-RPC at once, of each worker"),
    ROW_NUMBER(rpc_rate, 1, 1000000, "1000", NULL,
               "calls and events a second from one player; services and admins may ten times as many"),
    ROW_NUMBER(rpc_idle_s, 0, 86400, "0", NULL, "a JSON-RPC client that says nothing for so long is closed; 0: never"),
    ROW_TEXT(event_directory, CONFIG_PATH_BYTES_MAX, "", NULL, false,
             "more event schemas: *.json, as in schemas/events"),
    ROW_TEXT(partner_crafting_url, 512, "", NULL, false,
             "the service of crafting recipes and materials: http:// or https://, or bus:; empty: none"),
    ROW_TEXT(partner_player_url, 512, "", NULL, false,
             "the service that knows players' friends: http:// or https://, or bus:; empty: none"),
    ROW_TEXT(partner_guild_url, 512, "", NULL, false,
             "the service that knows guilds and rights: http:// or https://, or bus:; empty: none"),
    ROW_TEXT(partner_analytics_url, 512, "", NULL, false,
             "the service that is told of sessions: http:// or https://, or bus:; empty: none"),
    ROW_TEXT(partner_notification_url, 512, "", NULL, false,
             "the service that tells players who are not here: http:// or https://, or bus:; empty: none"),
    ROW_TEXT(partner_token, 1024, "", NULL, true, "shown to partner services as Authorization: Bearer"),
    ROW_NUMBER(partner_timeout_ms, 50, 60000, "2000", NULL, "for a partner service's answer"),
    ROW_NUMBER(bandwidth_limit, 1000, UINT32_MAX, "4294967295", NULL, "bytes a second sent to one client"),
    ROW_NUMBER(history_minutes, 1, 44640, "1440", NULL,
               "how far back /network/analysis looks; a day of it takes about 8 MB"),
    ROW_NUMBER(
        players_remembered, 1, 8000000, "65536", NULL,
        "players who left whose name and presence are still known, beside those who are here; about 100 bytes each"),
    ROW_NUMBER(state_hz, 1, 120, "20", NULL, "states of the world sent to a client a second"),
    ROW_NUMBER(state_bytes_per_s, 1000, UINT32_MAX, "32000", NULL, "budget of state for one client"),
    ROW_CHOICE(game, "arena|none", "arena", NULL,
               "the game that sessions join; none: no world, messages and services alone"),
    ROW_NUMBER(bots, 0, 1000, "200", NULL, "wanderers in the arena"),
    ROW_NUMBER(crafting_slots, 1, 16, "1", NULL, "crafting sessions of a player that run at once; the others wait"),
    ROW_NUMBER(crafting_sessions_max, 0, 1000000, "65536", NULL, "crafting sessions at once, ended ones too"),
    ROW_NUMBER(crafting_keep_s, 0, 31536000, "86400", NULL, "how long a crafting session that ended is kept"),
    ROW_CHOICE(voice, "off|all|near|both|channels", "both", NULL,
               "who hears whom beside those who are in a voice channel together: everybody, who is near, both (as the "
               "speaker chooses), or nobody (channels); off: no voice at all over necpnet.v1"),
    ROW_NUMBER(voice_radius, 1, 1000000, "15", NULL, "how far a voice is heard, in the game's units"),
    ROW_NUMBER(voice_loudest, 1, 16, "6", NULL, "voices that one player hears at a time"),
    ROW_NUMBER(voice_channels_max, 1, 1000000, "16384", NULL, "voice channels at once"),
    ROW_NUMBER(voice_idle_s, 10, 86400, "900", NULL,
               "who is in a voice channel without a connection, and does nothing there for so long, leaves it"),
    ROW_NUMBER(voice_report_days, 1, 3650, "30", NULL, "how long reports of voice quality are kept"),
    ROW_LIST(stun_urls, "STUN_SERVER", "stun: URLs that WebRTC clients are told (RFC 7064)"),
    ROW_LIST(turn_urls, "TURN_SERVER", "turn: and turns: URLs that they are told (RFC 7065), with credentials"),
    ROW_TEXT(turn_secret, 255, "", "TURN_SECRET", true,
             "what this server shares with the TURN servers: coturn's static-auth-secret"),
    ROW_NUMBER(turn_lifetime_s, 60, 86400, "3600", NULL, "how long credentials for a TURN server hold"),
    ROW_NUMBER(drain_ms, 0, 3600000, "10000", NULL, "after the first SIGTERM or SIGINT: exit when empty, or then"),
    ROW_CHOICE(log_level, "trace|debug|info|warning|error|off", "info", "LOG_LEVEL", "lines below are not written"),
    ROW_CHOICE(log_format, "automatic|json|plain", "automatic", NULL,
               "automatic: plain on a terminal, else JSON lines"),
    ROW_TEXT(ready_file, CONFIG_PATH_BYTES_MAX, "", NULL, false,
             "once ready, written with {\"pid\", \"tcp_port\", \"udp_port\", \"url\"}; removed at exit"),
};

#define CONFIG_ROW_COUNT (sizeof(config_rows) / sizeof(config_rows[0]))
_Static_assert(CONFIG_ROW_COUNT <= CONFIG_KEYS_MAX, "config.sources has one place a key");

typedef struct config_reader {
    config* out;
    text* report;
    int mistakes;
    bool unreadable;
    bool has_file;
} config_reader;

/* ------------------------------------------------------------------------------------------------- one value -- */

static void* config_at(config* out, const config_row* row)
{
    return (char*)out + row->offset;
}

static const void* config_at_const(const config* out, const config_row* row)
{
    return (const char*)out + row->offset;
}

static void config_clear(config* out, const config_row* row)
{
    if (row->kind == CONFIG_TEXT) {
        char** value = config_at(out, row);
        free(*value);
        *value = NULL;
    } else if (row->kind == CONFIG_LIST) {
        config_list* list = config_at(out, row);
        for (int i = 0; i < list->count; i++) free(list->items[i]);
        *list = (config_list){0};
    } else if (row->kind == CONFIG_KEYS) {
        memset(config_at(out, row), 0, sizeof(config_keys));
    }
}

/* Begins a line of the report: "port (flag --port): ". */
static void config_complain(config_reader* reader, const char* key, const char* source)
{
    reader->mistakes++;
    text_format(reader->report, "%s (%s): ", key, source);
}

static bool config_read_integer(const char* digits, int64_t* out_value)
{
    char* end = NULL;
    if (!((digits[0] >= '0' && digits[0] <= '9') || digits[0] == '-')) return false;
    errno = 0;
    *out_value = strtoll(digits, &end, 10);
    return errno == 0 && end != digits && *end == 0;
}

static void config_set_integer(config_reader* reader, const config_row* row, int64_t value, const char* source)
{
    if (value < row->low || value > row->high) {
        config_complain(reader, row->key, source);
        text_format(reader->report, "%" PRId64 " is out of range; %" PRId64 " .. %" PRId64 " is allowed\n", value,
                    row->low, row->high);
        return;
    }
    *(int64_t*)config_at(reader->out, row) = value;
}

static void config_set_choice(config_reader* reader, const config_row* row, const char* value, const char* source)
{
    const char* wanted = strcasecmp(value, "warn") == 0 ? "warning" : value;
    size_t wanted_bytes = strlen(wanted);
    int64_t index = 0;
    for (const char* at = row->choices;; index++) {
        size_t bytes = strcspn(at, "|");
        if (bytes == wanted_bytes && strncasecmp(at, wanted, bytes) == 0) {
            *(int64_t*)config_at(reader->out, row) = index;
            return;
        }
        if (at[bytes] == 0) break;
        at += bytes + 1;
    }
    config_complain(reader, row->key, source);
    text_json(reader->report, value);
    text_format(reader->report, " is none of %s\n", row->choices);
}

static void config_set_bool(config_reader* reader, const config_row* row, const char* value, const char* source)
{
    static const char* const names[2][5] = {{"false", "0", "no", "off", NULL}, {"true", "1", "yes", "on", NULL}};
    for (int truth = 0; truth < 2; truth++) {
        for (int i = 0; names[truth][i]; i++) {
            if (strcasecmp(value, names[truth][i]) != 0) continue;
            *(bool*)config_at(reader->out, row) = truth == 1;
            return;
        }
    }
    config_complain(reader, row->key, source);
    text_json(reader->report, value);
    text_put(reader->report, " is neither true nor false\n");
}

static void config_set_string(config_reader* reader, const config_row* row, const char* value, const char* source)
{
    if (strlen(value) > (size_t)row->high) {
        config_complain(reader, row->key, source);
        text_format(reader->report, "longer than %" PRId64 " bytes\n", row->high);
        return;
    }
    if (!text_is_printable(value, strlen(value))) {
        config_complain(reader, row->key, source);
        text_put(reader->report, "holds control characters or is not UTF-8\n");
        return;
    }
    char** to = config_at(reader->out, row);
    free(*to);
    *to = text_copy(value);
}

static void config_add_item(config_reader* reader, const config_row* row, const char* item, size_t bytes,
                            const char* source)
{
    config_list* list = config_at(reader->out, row);
    while (bytes > 0 && item[0] == ' ') item++, bytes--;
    while (bytes > 0 && item[bytes - 1] == ' ') bytes--;
    if (bytes == 0) return;
    if (list->count == CONFIG_LIST_MAX || bytes > NECPNET_URL_BYTES_MAX) {
        config_complain(reader, row->key, source);
        text_format(reader->report, "more than %d items, or one longer than %d bytes\n", CONFIG_LIST_MAX,
                    NECPNET_URL_BYTES_MAX);
        return;
    }
    list->items[list->count++] = strndup(item, bytes);
}

bool config_key_parse(const char* digits, uint8_t key[NECPNET_TOKEN_KEY_BYTES])
{
    static const char hex[] = "0123456789abcdef";
    static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t bytes = strlen(digits);
    if (bytes == 2 * NECPNET_TOKEN_KEY_BYTES) {
        for (size_t i = 0; i < bytes; i++) {
            const char* at = strchr(hex, digits[i] >= 'A' && digits[i] <= 'F' ? digits[i] + 32 : digits[i]);
            if (!at) return false;
            key[i / 2] = (uint8_t)(i % 2 ? key[i / 2] | (at - hex) : (at - hex) << 4);
        }
        return true;
    }
    if (bytes == 44 && digits[43] == '=') bytes = 43;
    if (bytes != 43) return false;
    uint32_t bits = 0;
    size_t made = 0;
    for (size_t i = 0; i < bytes; i++) {
        char c = digits[i] == '-' ? '+' : digits[i] == '_' ? '/' : digits[i];
        const char* at = strchr(base64, c);
        if (!at) return false;
        bits = bits << 6 | (uint32_t)(at - base64);
        if (i % 4 == 0) continue;
        key[made++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
    }
    return made == NECPNET_TOKEN_KEY_BYTES && (bits & 3) == 0;
}

static void config_add_key(config_reader* reader, int64_t id, const char* digits, const char* source)
{
    config_keys* keys = &reader->out->token_keys;
    necpnet_token_key key = {.id = (uint32_t)id};
    const char* wrong = NULL;
    if (id < 0 || id > UINT32_MAX) wrong = "an id is out of range; 0 .. 4294967295 is allowed";
    if (!wrong && !config_key_parse(digits, key.bytes)) {
        wrong = "a key is neither 64 hexadecimal digits nor base64 of 32 bytes; make one with: openssl rand -hex 32";
    }
    if (!wrong && keys->count == CONFIG_TOKEN_KEYS_MAX) wrong = "more than 16 keys";
    for (int i = 0; !wrong && i < keys->count; i++) {
        if (keys->items[i].id == key.id) wrong = "two keys have the same id";
    }
    if (wrong) {
        config_complain(reader, "token_keys", source);
        text_format(reader->report, "%s\n", wrong);
        return;
    }
    keys->items[keys->count++] = key;
}

/* "1:KEY" */
static void config_add_key_text(config_reader* reader, const char* item, size_t bytes, const char* source)
{
    char buffer[128];
    if (bytes == 0) return;
    snprintf(buffer, sizeof(buffer), "%.*s", (int)(bytes < 127 ? bytes : 127), item);
    char* colon = strchr(buffer, ':');
    int64_t id = -1;
    if (colon) *colon = 0;
    if (!colon || !config_read_integer(buffer, &id)) {
        config_complain(reader, "token_keys", source);
        text_put(reader->report, "a key is written id:key, for example 1:64-hex-digits\n");
        return;
    }
    config_add_key(reader, id, colon + 1, source);
}

/* A value as text: from the environment, a flag, or the preset. */
static void config_set(config_reader* reader, const config_row* row, const char* value, const char* source)
{
    int64_t number = 0;
    reader->out->sources[row - config_rows] = row->preset == value ? CONFIG_FROM_PRESET : CONFIG_FROM_FLAG;
    switch (row->kind) {
    case CONFIG_BOOL: config_set_bool(reader, row, value, source); break;
    case CONFIG_CHOICE: config_set_choice(reader, row, value, source); break;
    case CONFIG_TEXT: config_set_string(reader, row, value, source); break;
    case CONFIG_INTEGER:
        if (config_read_integer(value, &number)) {
            config_set_integer(reader, row, number, source);
        } else {
            config_complain(reader, row->key, source);
            text_json(reader->report, value);
            text_put(reader->report, " is no whole number\n");
        }
        break;
    case CONFIG_LIST:
    case CONFIG_KEYS:
        config_clear(reader->out, row);
        for (const char* at = value;; at++) {
            size_t bytes = strcspn(at, ",");
            if (row->kind == CONFIG_LIST) {
                config_add_item(reader, row, at, bytes, source);
            } else {
                config_add_key_text(reader, at, bytes, source);
            }
            at += bytes;
            if (*at == 0) break;
        }
        break;
    }
}

/* -------------------------------------------------------------------------------------------------- the file -- */

static const config_row* config_find(const char* key)
{
    for (size_t i = 0; i < CONFIG_ROW_COUNT; i++) {
        if (strcmp(config_rows[i].key, key) == 0) return &config_rows[i];
    }
    return NULL;
}

/* Completes a line of the report: "unknown; did you mean port?" */
static void config_suggest(config_reader* reader, const char* key)
{
    const char* names[CONFIG_ROW_COUNT];
    for (size_t i = 0; i < CONFIG_ROW_COUNT; i++) names[i] = config_rows[i].key;
    const char* nearest = text_nearest(key, names, CONFIG_ROW_COUNT);
    if (nearest) {
        text_format(reader->report, "unknown key; did you mean %s?\n", nearest);
    } else {
        text_put(reader->report, "unknown key; --help lists all\n");
    }
}

static void config_set_json_keys(config_reader* reader, const cJSON* value, const char* source)
{
    const cJSON* item;
    if (!cJSON_IsArray(value)) {
        config_complain(reader, "token_keys", source);
        text_put(reader->report, "a list is wanted: [{\"id\": 1, \"key\": \"...\"}]\n");
        return;
    }
    reader->out->token_keys.count = 0;
    cJSON_ArrayForEach(item, value)
    {
        const cJSON* id = cJSON_GetObjectItemCaseSensitive(item, "id");
        const cJSON* key = cJSON_GetObjectItemCaseSensitive(item, "key");
        if (!cJSON_IsObject(item) || !cJSON_IsNumber(id) || !cJSON_IsString(key) || cJSON_GetArraySize(item) != 2 ||
            id->valuedouble != (double)(int64_t)id->valuedouble) {
            config_complain(reader, "token_keys", source);
            text_put(reader->report, "an item is not {\"id\": whole number, \"key\": \"text\"}\n");
            continue;
        }
        config_add_key(reader, (int64_t)id->valuedouble, key->valuestring, source);
    }
}

static void config_set_json_list(config_reader* reader, const config_row* row, const cJSON* value, const char* source)
{
    const cJSON* item;
    config_clear(reader->out, row);
    cJSON_ArrayForEach(item, value)
    {
        if (cJSON_IsString(item) && item->valuestring[0]) {
            config_add_item(reader, row, item->valuestring, strlen(item->valuestring), source);
        } else {
            config_complain(reader, row->key, source);
            text_put(reader->report, "an item is no text\n");
        }
    }
}

static void config_set_json(config_reader* reader, const config_row* row, const cJSON* value, const char* source)
{
    static const char* const wanted[] = {"true or false", "a whole number",  "a text",
                                         "a text",        "a list of texts", "a list of keys"};
    reader->out->sources[row - config_rows] = CONFIG_FROM_FILE;
    if (row->kind == CONFIG_BOOL && cJSON_IsBool(value)) {
        *(bool*)config_at(reader->out, row) = cJSON_IsTrue(value);
    } else if (row->kind == CONFIG_INTEGER && cJSON_IsNumber(value) && value->valuedouble >= -9007199254740991.0 &&
               value->valuedouble <= 9007199254740991.0 && value->valuedouble == (double)(int64_t)value->valuedouble) {
        config_set_integer(reader, row, (int64_t)value->valuedouble, source);
    } else if (row->kind == CONFIG_CHOICE && cJSON_IsString(value)) {
        config_set_choice(reader, row, value->valuestring, source);
    } else if (row->kind == CONFIG_TEXT && cJSON_IsString(value)) {
        config_set_string(reader, row, value->valuestring, source);
    } else if (row->kind == CONFIG_LIST && cJSON_IsArray(value)) {
        config_set_json_list(reader, row, value, source);
    } else if (row->kind == CONFIG_KEYS) {
        config_set_json_keys(reader, value, source);
    } else {
        config_complain(reader, row->key, source);
        text_format(reader->report, "%s is wanted\n", wanted[row->kind]);
    }
}

char* config_read_file(const char* path, size_t bytes_max, size_t* out_bytes)
{
    FILE* file = fopen(path, "rb");
    char* bytes = file ? malloc(bytes_max + 2) : NULL;
    size_t count = bytes ? fread(bytes, 1, bytes_max + 1, file) : 0;
    bool failed = !bytes || ferror(file) || count > bytes_max;
    if (bytes && !ferror(file) && count > bytes_max) errno = EFBIG;
    int error = errno;
    if (file) fclose(file);
    if (failed) {
        free(bytes);
        errno = error;
        return NULL;
    }
    bytes[count] = 0;
    *out_bytes = count;
    return bytes;
}

/* A file's JSON, or NULL with a line in the report. */
static cJSON* config_read_json(config_reader* reader, const char* path)
{
    char error[160];
    size_t bytes = 0;
    char* file = config_read_file(path, CONFIG_FILE_BYTES_MAX, &bytes);
    if (!file) {
        reader->unreadable = true;
        config_complain(reader, path, "file");
        text_format(reader->report, "cannot be read: %s; check the path and its permissions\n", strerror(errno));
        return NULL;
    }
    cJSON* json = json_parse(file, bytes, error, sizeof(error));
    memset(file, 0, bytes);
    free(file);
    if (!json) {
        config_complain(reader, path, "file");
        text_format(reader->report, "%s\n", error);
    }
    return json;
}

static void config_read_main_file(config_reader* reader, const char* path)
{
    const cJSON* item;
    cJSON* json = config_read_json(reader, path);
    if (json && !cJSON_IsObject(json)) {
        config_complain(reader, path, "file");
        text_put(reader->report, "one JSON object is wanted: {\"port\": 8080}\n");
    } else if (json) {
        cJSON_ArrayForEach(item, json)
        {
            const config_row* row = config_find(item->string);
            if (row) {
                config_set_json(reader, row, item, path);
            } else {
                config_complain(reader, item->string, path);
                config_suggest(reader, item->string);
            }
        }
    }
    cJSON_Delete(json);
}

/* ---------------------------------------------------------------------------------------- environment, flags -- */

static void config_environment_name(const config_row* row, char name[64])
{
    snprintf(name, 64, "NECPNET_%s", row->key);
    for (char* at = name; *at; at++) {
        if (*at >= 'a' && *at <= 'z') *at = (char)(*at - 32);
    }
}

/* SERVER_ADDR: "address", "address:port", "[address]:port" or ":port". */
static void config_set_server_address(config_reader* reader, const char* value)
{
    char host[64];
    const char* source = "environment SERVER_ADDR";
    const char* colon = strrchr(value, ':');
    necpnet_address address;
    if (colon && value[0] != '[' && strchr(value, ':') != colon) colon = NULL; /* bare IPv6 */
    if (colon && value[0] == '[' && colon[-1] != ']') colon = NULL;
    size_t bytes = colon ? (size_t)(colon - value) : strlen(value);
    if (bytes >= 2 && value[0] == '[' && value[bytes - 1] == ']') value++, bytes -= 2;
    snprintf(host, sizeof(host), "%.*s", (int)(bytes < 63 ? bytes : 63), value);
    if (host[0] && necpnet_address_parse(host, &address) != NECPNET_OK) {
        config_complain(reader, "bind_address", source);
        text_json(reader->report, host);
        text_put(reader->report, " is no numeric address; write 0.0.0.0:8080, [::]:8080 or :8080\n");
        return;
    }
    config_set(reader, config_find("bind_address"), host[0] ? host : "::", source);
    reader->out->sources[config_find("bind_address") - config_rows] = CONFIG_FROM_ENVIRONMENT;
    if (!colon) return;
    config_set(reader, config_find("port"), colon + 1, source);
    reader->out->sources[config_find("port") - config_rows] = CONFIG_FROM_ENVIRONMENT;
}

static void config_read_environment(config_reader* reader, const char* (*environment)(const char*))
{
    const char* address = environment("SERVER_ADDR");
    if (address && address[0]) config_set_server_address(reader, address);
    for (size_t i = 0; i < CONFIG_ROW_COUNT; i++) {
        char name[64];
        char source[96];
        const config_row* row = &config_rows[i];
        config_environment_name(row, name);
        const char* value = environment(name);
        const char* from = name;
        if (!value && row->seed_name && strcmp(row->seed_name, "SERVER_ADDR") != 0) {
            from = row->seed_name;
            value = environment(from);
        }
        if (value) {
            snprintf(source, sizeof(source), "environment %s", from);
            config_set(reader, row, value, source);
            reader->out->sources[i] = CONFIG_FROM_ENVIRONMENT;
        }
    }
}

/* One flag; returns how many arguments it took. */
static int config_read_flag(config_reader* reader, int left, char** arguments)
{
    char key[64];
    char source[80];
    const char* flag = arguments[0];
    const char* equals = strchr(flag, '=');
    size_t bytes = equals ? (size_t)(equals - flag) : strlen(flag);
    snprintf(source, sizeof(source), "flag %.*s", (int)(bytes < 64 ? bytes : 64), flag);
    if (strncmp(flag, "--", 2) != 0 || bytes < 3 || bytes > 60) {
        config_complain(reader, flag, "argument");
        text_put(reader->report, "not a flag; flags look like --port 8080, and --help lists all\n");
        return 1;
    }
    snprintf(key, sizeof(key), "%.*s", (int)(bytes - 2), flag + 2);
    for (char* at = key; *at; at++) *at = *at == '-' ? '_' : *at;
    const config_row* row = config_find(key);
    bool negated = !row && strncmp(key, "no_", 3) == 0;
    if (negated) row = config_find(key + 3);
    if (!row || (negated && row->kind != CONFIG_BOOL)) {
        config_complain(reader, source, "argument");
        config_suggest(reader, key);
        return left > 1 && !equals && strncmp(arguments[1], "--", 2) != 0 ? 2 : 1;
    }
    if (row->kind == CONFIG_BOOL && !equals) {
        bool spoken = !negated && left > 1 && strncmp(arguments[1], "--", 2) != 0;
        config_set(reader, row, negated ? "false" : spoken ? arguments[1] : "true", source);
        return spoken ? 2 : 1;
    }
    if (!equals && left < 2) {
        config_complain(reader, row->key, source);
        text_put(reader->report, "its value is missing\n");
        return 1;
    }
    config_set(reader, row, equals ? equals + 1 : arguments[1], source);
    return equals ? 1 : 2;
}

/* The flags that are no keys. Returns how many arguments it took, 0 if it is another flag. */
static int config_read_verb(config_result* verb, const char** path, int left, char** arguments)
{
    if (strcmp(arguments[0], "--help") == 0 || strcmp(arguments[0], "-h") == 0) {
        *verb = CONFIG_SHOW_HELP;
    } else if (strcmp(arguments[0], "--version") == 0) {
        *verb = CONFIG_SHOW_VERSION;
    } else if (strcmp(arguments[0], "--check-config") == 0) {
        *verb = CONFIG_SHOW_CHECK;
    } else if (strcmp(arguments[0], "--config") == 0 && left > 1) {
        *path = arguments[1];
        return 2;
    } else if (strncmp(arguments[0], "--config=", 9) == 0) {
        *path = arguments[0] + 9;
    } else {
        return 0;
    }
    return 1;
}

/* --------------------------------------------------------------------------------------------------- together -- */

static void config_check_urls(config_reader* reader)
{
    const config_list* urls = &reader->out->public_urls;
    for (int i = 0; i < urls->count; i++) {
        const char* url = urls->items[i];
        bool udp = strncmp(url, "udp://", 6) == 0;
        bool web = strncmp(url, "ws://", 5) == 0 || strncmp(url, "wss://", 6) == 0;
        const char* host = strstr(url, "://");
        if ((udp && strrchr(url, ':') > url + 6) || (web && host[3] && host[3] != '/' && host[3] != ':')) continue;
        config_complain(reader, "public_urls", "value");
        text_json(reader->report, url);
        text_put(reader->report, " is none of udp://host:port, ws://host:port/path, wss://host:port/path\n");
    }
}

static void config_check_origins(config_reader* reader)
{
    const config_list* origins = &reader->out->cors_origins;
    for (int i = 0; i < origins->count; i++) {
        const char* origin = origins->items[i];
        const char* host = strstr(origin, "://");
        if (strcmp(origin, "*") == 0 || (strncmp(origin, "http", 4) == 0 && host && host[3] && !strchr(host + 3, '/')))
            continue;
        config_complain(reader, "cors_origins", "value");
        text_json(reader->report, origin);
        text_put(reader->report, " is no origin; write https://host or https://host:port without a path, or *\n");
    }
}

/* ICE servers: each by its scheme; TURN needs the secret that makes credentials. */
static void config_check_ice(config_reader* reader, const char* key, const config_list* urls, const char* scheme)
{
    size_t bytes = strlen(scheme);
    for (int i = 0; i < urls->count; i++) {
        const char* rest = strncmp(urls->items[i], scheme, bytes) == 0 ? urls->items[i] + bytes : "";
        if (*rest == 's' && rest[1] == ':') rest++;
        if (*rest == ':' && rest[1] && rest[1] != '/') continue;
        config_complain(reader, key, "value");
        text_json(reader->report, urls->items[i]);
        text_format(reader->report, " is no %s:host:port\n", scheme);
    }
}

static bool config_is_loopback(const char* bind_address)
{
    necpnet_address address;
    static const uint8_t one[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    if (necpnet_address_parse(bind_address, &address) != NECPNET_OK) return false;
    return address.family == NECPNET_ADDRESS_IPV4 ? address.bytes[0] == 127 : memcmp(address.bytes, one, 16) == 0;
}

static void config_check_address(config_reader* reader)
{
    config* out = reader->out;
    necpnet_address address;
    if (out->bind_address[0] == 0) {
        free(out->bind_address);
        out->bind_address = text_copy(out->mode == CONFIG_DEVELOPMENT ? "127.0.0.1" : "::");
    }
    if (necpnet_address_parse(out->bind_address, &address) != NECPNET_OK) {
        config_complain(reader, "bind_address", "value");
        text_json(reader->report, out->bind_address);
        text_put(reader->report, " is no numeric address such as 0.0.0.0, 192.0.2.1 or ::\n");
    } else if (out->mode == CONFIG_DEVELOPMENT && !config_is_loopback(out->bind_address)) {
        config_complain(reader, "bind_address", "value");
        text_format(reader->report,
                    "%s can be reached from outside, and development mode gives everyone a token; set token_keys and "
                    "mode production, or bind 127.0.0.1\n",
                    out->bind_address);
    }
}

static void config_wrong(config_reader* reader, bool wrong, const char* key, const char* message)
{
    if (!wrong) return;
    config_complain(reader, key, "value");
    text_format(reader->report, "%s\n", message);
}

static void config_check_readable(config_reader* reader, const char* key, const char* path)
{
    FILE* file = path[0] ? fopen(path, "rb") : NULL;
    if (file) fclose(file);
    if (!path[0] || file) return;
    reader->unreadable = true;
    config_complain(reader, key, "value");
    text_format(reader->report, "%s cannot be read: %s\n", path, strerror(errno));
}

bool config_takes_jwt(const config* loaded)
{
    return loaded->jwt_secret[0] || loaded->jwt_secret_file[0] || loaded->jwks_file[0];
}

static void config_check_store(config_reader* reader)
{
    config* out = reader->out;
    if (strcmp(out->store, "automatic") == 0) {
        free(out->store);
        out->store = text_copy(SERVER_WITH_SQLITE && out->mode == CONFIG_PRODUCTION ? "sqlite:necpnet.db" : "memory:");
        if (!out->store) out->store = text_copy("");
    }
    bool sqlite = strncmp(out->store, "sqlite:", 7) == 0 && out->store[7];
    config_wrong(reader, !sqlite && strcmp(out->store, "memory:") != 0, "store", "neither memory: nor sqlite:FILE");
    config_wrong(reader, sqlite && !SERVER_WITH_SQLITE, "store", "this build has no SQLite; memory: is what it has");
    config_wrong(reader, strcmp(out->cache, "memory:") != 0, "cache", "memory: is the only cache of this build");
    config_wrong(reader, strcmp(out->bus, "local:") != 0, "bus", "local: is the only bus of this build");
}

static void config_check(config_reader* reader)
{
    config* out = reader->out;
    if (out->token_key_file[0]) {
        cJSON* json = config_read_json(reader, out->token_key_file);
        config_wrong(reader, out->token_keys.count > 0, "token_key_file", "token_keys is given, too; keep one of them");
        if (json) config_set_json_keys(reader, json, out->token_key_file);
        cJSON_Delete(json);
    }
    bool keyed = out->token_keys.count > 0 || out->token_key_file[0] != 0;
    if (out->mode == CONFIG_AUTOMATIC) {
        bool configured = reader->has_file || keyed || config_takes_jwt(out);
        out->mode = configured ? CONFIG_PRODUCTION : CONFIG_DEVELOPMENT;
    }
    config_wrong(
        reader,
        out->mode == CONFIG_PRODUCTION && out->security == NECPNET_SECURITY_TOKEN && !keyed && !config_takes_jwt(out),
        "token_keys",
        "missing: nobody could join. Production needs a key that the backend which makes connect tokens shares (make "
        "one with: openssl rand -hex 32), or a jwt_secret, so that this server makes them; or say mode development");
    config_check_address(reader);
    config_wrong(reader, (out->certificate_file[0] == 0) != (out->key_file[0] == 0),
                 out->key_file[0] ? "certificate_file" : "key_file", "missing: certificate and key come together");
    config_check_readable(reader, "certificate_file", out->certificate_file);
    config_check_readable(reader, "key_file", out->key_file);
    config_wrong(reader, out->passphrase[0] && out->security != NECPNET_SECURITY_OPEN, "passphrase",
                 "has a meaning with security open alone");
    config_wrong(reader, out->jwt_secret[0] && strlen(out->jwt_secret) < CONFIG_JWT_SECRET_BYTES_MIN, "jwt_secret",
                 "shorter than 32 bytes (RFC 7518 3.2); make one with: openssl rand -base64 48");
    config_wrong(reader, out->jwt_secret[0] && out->jwt_secret_file[0], "jwt_secret_file",
                 "jwt_secret is given, too; keep one of them");
    config_check_readable(reader, "jwt_secret_file", out->jwt_secret_file);
    config_check_readable(reader, "jwks_file", out->jwks_file);
    config_check_store(reader);
    config_wrong(reader, out->ws_path[0] != '/' || strpbrk(out->ws_path, "?# %") != NULL, "ws_path",
                 "a path is wanted that begins with / and has no ?, #, % or blank");
    config_check_urls(reader);
    config_check_origins(reader);
    config_check_ice(reader, "stun_urls", &out->stun_urls, "stun");
    config_check_ice(reader, "turn_urls", &out->turn_urls, "turn");
    config_wrong(reader, out->turn_urls.count > 0 && out->turn_secret[0] == 0, "turn_secret",
                 "missing: the TURN servers of turn_urls want credentials made with it (coturn: static-auth-secret)");
}

static config_result config_finish(config_reader* reader, config_result verb)
{
    for (size_t i = 0; i < CONFIG_ROW_COUNT; i++) { /* out of memory while a text was copied */
        if (config_rows[i].kind != CONFIG_TEXT) continue;
        char** value = config_at(reader->out, &config_rows[i]);
        if (!*value) {
            text_put(reader->report, "out of memory\n");
            return CONFIG_UNREADABLE;
        }
    }
    config_check(reader);
    if (reader->mistakes > 0) return reader->unreadable ? CONFIG_UNREADABLE : CONFIG_WRONG;
    if (verb == CONFIG_SHOW_CHECK) config_show(reader->out, reader->report);
    return verb;
}

config_result config_load(config* out, int argument_count, char** arguments, const char* (*environment)(const char*),
                          text* report)
{
    config_reader reader = {.out = out, .report = report};
    config_result verb = CONFIG_RUN;
    const char* path = environment("NECPNET_CONFIG");
    memset(out, 0, sizeof(*out));
    for (size_t i = 0; i < CONFIG_ROW_COUNT; i++) config_set(&reader, &config_rows[i], config_rows[i].preset, "preset");
    for (int i = 1; i < argument_count;) {
        int taken = config_read_verb(&verb, &path, argument_count - i, arguments + i);
        i += taken ? taken : 1;
    }
    if (verb == CONFIG_SHOW_HELP || verb == CONFIG_SHOW_VERSION) return verb;
    if (path && path[0]) {
        reader.has_file = true;
        config_read_main_file(&reader, path);
    }
    config_read_environment(&reader, environment);
    for (int i = 1; i < argument_count;) {
        config_result ignored;
        const char* same;
        int taken = config_read_verb(&ignored, &same, argument_count - i, arguments + i);
        if (taken == 0) taken = config_read_flag(&reader, argument_count - i, arguments + i);
        i += taken;
    }
    return config_finish(&reader, verb);
}

void config_release(config* loaded)
{
    for (size_t i = 0; i < CONFIG_ROW_COUNT; i++) {
        const config_row* row = &config_rows[i];
        if (row->secret && row->kind == CONFIG_TEXT) {
            char* value = *(char**)config_at(loaded, row);
            if (value) memset(value, 0, strlen(value));
        }
        config_clear(loaded, row);
    }
}

/* ------------------------------------------------------------------------------------------------------- shown -- */

static void config_show_value(const config* loaded, const config_row* row, text* out)
{
    const void* at = config_at_const(loaded, row);
    if (row->kind == CONFIG_BOOL) {
        text_put(out, *(const bool*)at ? "true" : "false");
    } else if (row->kind == CONFIG_INTEGER) {
        text_format(out, "%" PRId64, *(const int64_t*)at);
    } else if (row->kind == CONFIG_CHOICE) {
        const char* choice = row->choices;
        for (int64_t i = *(const int64_t*)at; i > 0; i--) choice += strcspn(choice, "|") + 1;
        text_format(out, "\"%.*s\"", (int)strcspn(choice, "|"), choice);
    } else if (row->kind == CONFIG_TEXT) {
        const char* value = *(char* const*)at;
        text_json(out, row->secret && value[0] ? "(hidden)" : value);
    } else if (row->kind == CONFIG_LIST) {
        const config_list* list = at;
        text_put(out, "[");
        for (int i = 0; i < list->count; i++) {
            if (i > 0) text_put(out, ", ");
            text_json(out, list->items[i]);
        }
        text_put(out, "]");
    } else {
        text_format(out, "\"(%d hidden)\"", ((const config_keys*)at)->count);
    }
}

void config_put_json(const config* loaded, text* out)
{
    for (size_t i = 0; i < CONFIG_ROW_COUNT; i++) {
        text_format(out, "%s\"%s\":", i ? "," : "{", config_rows[i].key);
        config_show_value(loaded, &config_rows[i], out);
    }
    text_put(out, "}");
}

void config_show(const config* loaded, text* out)
{
    static const char* const sources[] = {"preset", "file", "environment", "flag"};
    for (size_t i = 0; i < CONFIG_ROW_COUNT; i++) {
        text_format(out, "%-22s ", config_rows[i].key);
        config_show_value(loaded, &config_rows[i], out);
        text_format(out, "   (%s)\n", sources[loaded->sources[i]]);
    }
}

/* Help text, broken into lines of at most 100 columns behind a margin. */
static void config_put_help(text* out, const char* help)
{
    size_t column = 0;
    for (const char* at = help; *at;) {
        size_t bytes = strcspn(at, " ");
        if (column == 0 || column + bytes > 86) {
            text_put(out, column ? "\n            " : "            ");
            column = 0;
        } else {
            text_put(out, " ");
        }
        text_put_bytes(out, at, bytes);
        column += bytes + 1;
        at += bytes;
        while (*at == ' ') at++;
    }
    text_put(out, "\n");
}

void config_help(text* out)
{
    static const char* const wanted[] = {"[BOOL]", "N", "", "TEXT", "A,B,..", "ID:KEY,.."};
    text_put(
        out,
        "necpnet-server - one process for native games over UDP, browsers over WebSocket, and REST.\n\n"
        "usage: necpnet-server [--config FILE] [--KEY VALUE]...\n"
        "       necpnet-server migrate up|status [--config FILE] [--KEY VALUE]...   the schema of the store\n"
        "       necpnet-server routes                                               the table of routes, as JSON\n\n"
        "Without any configuration it starts in development mode: on loopback alone, with a token key of its own,\n"
        "and prints the address of the demo page and a test token.\n\n"
        "  --config FILE     one JSON object with the keys below (also: environment NECPNET_CONFIG)\n"
        "  --check-config    check file, environment and flags, show every setting and where it came from, and exit\n"
        "  --help, -h        this page\n"
        "  --version         version and built-in features\n\n"
        "Each key may stand in the file, in the environment, or be a flag; the last of these wins.\n\n");
    for (size_t i = 0; i < CONFIG_ROW_COUNT; i++) {
        char name[64];
        char flag[64];
        const config_row* row = &config_rows[i];
        config_environment_name(row, name);
        snprintf(flag, sizeof(flag), "%s", row->key);
        for (char* at = flag; *at; at++) *at = *at == '_' ? '-' : *at;
        text_format(out, "  --%s %s", flag, row->choices ? row->choices : wanted[row->kind]);
        text_format(out, "   (%s%s%s", name, row->seed_name ? ", " : "", row->seed_name ? row->seed_name : "");
        if (row->preset[0]) text_format(out, "; preset %s", row->preset);
        if (row->kind == CONFIG_INTEGER) text_format(out, "; %" PRId64 " .. %" PRId64, row->low, row->high);
        text_put(out, ")\n");
        config_put_help(out, row->help);
    }
    text_put(
        out,
        "\nSignals: the first SIGTERM or SIGINT drains (no new sessions; exit when empty or after drain_ms), a second\n"
        "one ends at once. Exit codes: 0 ended in good order, 1 the environment (a busy port, a file), 2 a mistake\n"
        "in the configuration, 3 ended by a second signal.\n");
}

/* config_rows - the table of keys. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_inside.h"

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

const config_row config_rows[] = {
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
        trusted_proxies, NULL,
        "addresses and networks (10.0.0.0/8, fd00::/8) of proxies before this server, which are believed when they "
        "say who the client is: limits, audit and logs count that address; empty: none"),
    ROW_CHOICE(proxy_header, "x-forwarded-for|forwarded", "x-forwarded-for", NULL,
               "the header in which they say it; one that they do not write themselves may come from anybody"),
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

const size_t config_row_count = sizeof(config_rows) / sizeof(config_rows[0]);
_Static_assert(sizeof(config_rows) / sizeof(config_rows[0]) <= CONFIG_KEYS_MAX, "config.sources has one place a key");

const config_row* config_find(const char* key)
{
    for (size_t i = 0; i < config_row_count; i++) {
        if (strcmp(config_rows[i].key, key) == 0) return &config_rows[i];
    }
    return NULL;
}

void* config_at(config* out, const config_row* row)
{
    return (char*)out + row->offset;
}

const void* config_at_const(const config* out, const config_row* row)
{
    return (const char*)out + row->offset;
}

void config_clear(config* out, const config_row* row)
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

void config_environment_name(const config_row* row, char name[64])
{
    snprintf(name, 64, "NECPNET_%s", row->key);
    for (char* at = name; *at; at++) {
        if (*at >= 'a' && *at <= 'z') *at = (char)(*at - 32);
    }
}

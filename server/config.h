/* config.h - the server's configuration: one table of keys, read from a JSON file, then the environment, then flags; the
 * last one wins. --help and --check-config come from the same table (config.c). */
#ifndef SERVER_CONFIG_H
#define SERVER_CONFIG_H

#include "necpnet.h"
#include "text.h"

#define CONFIG_LIST_MAX NECPNET_URLS_MAX
#define CONFIG_TOKEN_KEYS_MAX 16
#define CONFIG_KEYS_MAX 96 /* rows of the table */
#define CONFIG_WORKERS_MAX 64
#define CONFIG_FILE_BYTES_MAX ((size_t)1 << 20)
#define CONFIG_JWT_SECRET_BYTES_MIN 32 /* RFC 7518 3.2: an HS256 key is at least as long as its hash */

typedef struct config_list {
    char* items[CONFIG_LIST_MAX];
    int count;
} config_list;

typedef struct config_keys {
    necpnet_token_key items[CONFIG_TOKEN_KEYS_MAX];
    int count;
} config_keys;

/* Choices, in the order of their names in the table. */
typedef enum config_mode {
    CONFIG_AUTOMATIC = 0, /* development without a file and keys, else production; never after config_load */
    CONFIG_DEVELOPMENT = 1,
    CONFIG_PRODUCTION = 2
} config_mode;

typedef enum config_deflate {
    CONFIG_DEFLATE_OFF,
    CONFIG_DEFLATE_ON,
    CONFIG_DEFLATE_CONTEXT,
} config_deflate;

typedef enum config_proxy_header {
    CONFIG_PROXY_X_FORWARDED_FOR = 0,
    CONFIG_PROXY_FORWARDED = 1 /* RFC 7239 */
} config_proxy_header;

typedef enum config_game {
    CONFIG_GAME_ARENA = 0,
    CONFIG_GAME_NONE = 1 /* no world: a gateway, and what runs beside games */
} config_game;

typedef enum config_voice {
    CONFIG_VOICE_OFF = 0,
    CONFIG_VOICE_ALL = 1,     /* everybody hears everybody */
    CONFIG_VOICE_NEAR = 2,    /* who is near */
    CONFIG_VOICE_BOTH = 3,    /* a player chooses to whom he speaks */
    CONFIG_VOICE_CHANNELS = 4 /* who is in a channel together: the others have those, too */
} config_voice;

typedef enum config_log_format {
    CONFIG_LOG_AUTOMATIC = 0, /* plain on a terminal, else JSON */
    CONFIG_LOG_JSON = 1,
    CONFIG_LOG_PLAIN = 2
} config_log_format;

typedef enum config_source {
    CONFIG_FROM_PRESET = 0,
    CONFIG_FROM_FILE = 1,
    CONFIG_FROM_ENVIRONMENT = 2,
    CONFIG_FROM_FLAG = 3
} config_source;

/* Texts and list items are taken by malloc and never NULL; numbers are in the range that the table says. */
typedef struct config {
    int64_t mode;
    char* server_name;
    char* region;
    int64_t server_id;
    char* bind_address;
    int64_t port;
    int64_t udp_port;
    char* ws_path;
    int64_t ws_deflate; /* config_deflate */
    config_list trusted_proxies;
    int64_t proxy_header; /* config_proxy_header */
    config_list public_urls;
    char* certificate_file;
    char* key_file;
    int64_t security; /* necpnet_security */
    char* passphrase;
    config_keys token_keys;
    char* token_key_file;
    int64_t token_epoch;
    int64_t token_lifetime_s;
    char* jwt_secret;
    char* jwt_secret_file;
    char* jwks_file;
    char* jwt_issuer;
    char* jwt_audience;
    int64_t jwt_lifetime_s;
    config_list cors_origins;
    char* store;
    char* cache;
    char* bus;
    int64_t audit_days;
    int64_t rate_health;
    int64_t rate_read;
    int64_t rate_write;
    int64_t rate_token;
    int64_t rate_admin;
    bool metrics_enabled;
    char* web_directory;
    int64_t http_threads;
    int64_t http_connections_max;
    int64_t http_body_bytes_max;
    int64_t http_timeout_ms;
    int64_t workers;
    int64_t peers_max;
    int64_t peers_per_address_max;
    int64_t resume_window_ms;
    int64_t take_over; /* necpnet_take_over */
    int64_t rpc_connections_max;
    int64_t rpc_rate;
    int64_t rpc_idle_s;
    char* event_directory;
    char* partner_crafting_url;
    char* partner_player_url;
    char* partner_guild_url;
    char* partner_analytics_url;
    char* partner_notification_url;
    char* partner_token;
    int64_t partner_timeout_ms;
    int64_t bandwidth_limit;
    int64_t history_minutes;
    int64_t players_remembered;
    int64_t state_hz;
    int64_t state_bytes_per_s;
    int64_t game; /* config_game */
    int64_t bots;
    int64_t crafting_slots;
    int64_t crafting_sessions_max;
    int64_t crafting_keep_s;
    int64_t voice; /* config_voice */
    int64_t voice_radius;
    int64_t voice_loudest;
    int64_t voice_channels_max;
    int64_t voice_idle_s;
    int64_t voice_report_days;
    config_list stun_urls;
    config_list turn_urls;
    char* turn_secret;
    int64_t turn_lifetime_s;
    int64_t drain_ms;
    int64_t log_level;
    int64_t log_format;
    char* ready_file;
    uint8_t sources[CONFIG_KEYS_MAX]; /* config_source of each key, in the order of the table */
} config;

typedef enum config_result {
    CONFIG_RUN = 0,
    CONFIG_SHOW_HELP = 1,
    CONFIG_SHOW_VERSION = 2,
    CONFIG_SHOW_CHECK = 3, /* --check-config: everything is right; report holds the settings */
    CONFIG_WRONG = 4,      /* a mistake of whoever wrote it: exit code 2; report names each by its key */
    CONFIG_UNREADABLE = 5  /* a file cannot be read: exit code 1; report names it */
} config_result;

/* config_load - defaults, file, environment, flags, then what only all together can tell.
 *
 *   environment  getenv, or a test's own.
 *   report       gets one line a mistake, or the settings for --check-config; secrets never.
 *
 * out is to be released by config_release after any result. */
config_result config_load(config* out, int argument_count, char** arguments, const char* (*environment)(const char*),
                          text* report);

void config_release(config* loaded);

/* config_takes_jwt - whether some key for JWTs is configured. */
bool config_takes_jwt(const config* loaded);

/* config_help - the whole --help. */
void config_help(text* out);

/* config_show - every key, its value and where it came from; secrets are hidden. */
void config_show(const config* loaded, text* out);

/* config_put_json - every key and its value as one JSON object; secrets are "(hidden)". */
void config_put_json(const config* loaded, text* out);

/* config_read_file - a whole file as text with a NUL behind it; free it. NULL: errno says why (EFBIG: too large). */
char* config_read_file(const char* path, size_t bytes_max, size_t* out_bytes);

/* config_key_parse - 64 hexadecimal digits, or base64 of 32 bytes with or without its '='. */
bool config_key_parse(const char* digits, uint8_t key[NECPNET_TOKEN_KEY_BYTES]);

#endif

/* config_check - what only all settings together can tell. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_inside.h"
#include "proxies.h"

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

static void config_check_proxies(config_reader* reader)
{
    const config_list* networks = &reader->out->trusted_proxies;
    for (int i = 0; i < networks->count; i++) {
        proxy_network parsed;
        if (proxies_parse(networks->items[i], &parsed)) continue;
        config_complain(reader, "trusted_proxies", "value");
        text_json(reader->report, networks->items[i]);
        text_put(reader->report,
                 " is no address and no network such as 10.0.0.0/8 or fd00::/8 (no bits behind the prefix)\n");
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

void config_check(config_reader* reader)
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
    config_check_proxies(reader);
    config_check_urls(reader);
    config_check_origins(reader);
    config_check_ice(reader, "stun_urls", &out->stun_urls, "stun");
    config_check_ice(reader, "turn_urls", &out->turn_urls, "turn");
    config_wrong(reader, out->turn_urls.count > 0 && out->turn_secret[0] == 0, "turn_secret",
                 "missing: the TURN servers of turn_urls want credentials made with it (coturn: static-auth-secret)");
}

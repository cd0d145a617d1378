/* session - tokens and connecting, the same for every command. */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

static void print_log(necpnet_log_level level, const char* line, void* user)
{
    static const char* const names[] = {"trace", "debug", "info", "warning", "error"};
    (void)user;
    fprintf(stderr, "%s: %s\n", (int)level < 5 ? names[level] : "?", line);
}

static void print_errors(necpnet_log_level level, const char* line, void* user)
{
    (void)user;
    if (level >= NECPNET_LOG_ERROR) fprintf(stderr, "necpnet: %s\n", line);
}

void cli_client_config(const cli_options* options, necpnet_view* view, necpnet_client_config* out)
{
    necpnet_client_config_default(out);
    out->logger.write = options->verbose ? print_log : print_errors;
    out->logger.level = options->verbose ? NECPNET_LOG_DEBUG : NECPNET_LOG_ERROR;
    out->security = options->open ? NECPNET_SECURITY_OPEN : NECPNET_SECURITY_TOKEN;
    out->passphrase = options->passphrase;
    out->tls.ca_file = options->ca_file;
    out->tls.insecure = options->insecure;
    out->websocket_deflate = options->deflate;
    out->view = view;
}

static bool hex_key(const char* text, necpnet_token_key* out)
{
    char* end = NULL;
    unsigned long id = strtoul(text, &end, 10);
    if (end == text || *end != ':' || strlen(end + 1) != NECPNET_TOKEN_KEY_BYTES * 2) return false;
    out->id = (uint32_t)id;
    for (size_t i = 0; i < NECPNET_TOKEN_KEY_BYTES; i++) {
        char digits[3] = {end[1 + i * 2], end[2 + i * 2], '\0'};
        char* stop = NULL;
        out->bytes[i] = (uint8_t)strtoul(digits, &stop, 16);
        if (*stop) return false;
    }
    return true;
}

static bool make_token(const cli_options* options, char* text)
{
    necpnet_token_key key;
    necpnet_token_config config;
    char subject[80];
    if (!hex_key(options->key, &key)) {
        cli_fail("--key wants ID:HEX with 64 hexadecimal digits, as the server's token_keys have it");
        return false;
    }
    /* Each token is for a user of its own: a server may keep one session a user, and a load of many clients are many. */
    static unsigned tokens;
    snprintf(subject, sizeof subject, "%s %llu %u", options->name, (unsigned long long)necpnet_time_us(), tokens++);
    necpnet_token_config_default(&config);
    config.issued_us = necpnet_wall_time_us();
    config.server_id = options->server_id;
    config.client_id = necpnet_token_client_id("necpnet", subject);
    config.urls = options->urls;
    config.url_count = options->url_count;
    snprintf((char*)config.user_data, sizeof config.user_data, "%s", options->name);
    necpnet_result result = necpnet_token_create(&config, &key, text, NECPNET_TOKEN_TEXT_BYTES_MAX);
    if (result) cli_fail("no token: %s", necpnet_result_text(result));
    return result == NECPNET_OK;
}

static bool fetch_token(const cli_options* options, const char* transport, char* text)
{
    char answer[8192];
    cJSON* ask = cJSON_CreateObject();
    cJSON_AddStringToObject(ask, "player", options->name);
    if (transport) cJSON_AddStringToObject(ask, "transport", strcmp(transport, "ws") == 0 ? "websocket" : transport);
    char* body = cJSON_PrintUnformatted(ask);
    bool ok = cli_http_post(options->token_url, body, answer, sizeof answer);
    cJSON_free(body);
    cJSON_Delete(ask);
    if (!ok) return false;
    cJSON* json = cJSON_Parse(answer);
    const char* token = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "token"));
    ok = token && strlen(token) < NECPNET_TOKEN_TEXT_BYTES_MAX;
    if (ok) {
        memcpy(text, token, strlen(token) + 1);
    } else {
        cli_fail("%s answered without a \"token\": %.200s", options->token_url, answer);
    }
    cJSON_Delete(json);
    return ok;
}

bool cli_token(const cli_options* options, const char* transport, char* text)
{
    if (options->key) return make_token(options, text);
    if (!options->token) return fetch_token(options, transport, text);
    if (strlen(options->token) >= NECPNET_TOKEN_TEXT_BYTES_MAX) {
        cli_fail("--token: %s", necpnet_result_text(NECPNET_ERR_BAD_TOKEN_TEXT));
        return false;
    }
    memcpy(text, options->token, strlen(options->token) + 1);
    return true;
}

#define CLI_TOKEN_PATIENCE_US 30000000u
#define CLI_TOKEN_RETRY_US 500000u

static bool give_token(const cli_options* options, necpnet_client* client)
{
    char text[NECPNET_TOKEN_TEXT_BYTES_MAX];
    bool was_connected = necpnet_client_get_user_data(client) != NULL; /* see EVENT_CONNECTED below */
    uint64_t until_us = necpnet_time_us() + CLI_TOKEN_PATIENCE_US;
    while (!cli_token(options, options->transport, text)) {
        /* A server that restarts is away for a while; one that never answered is not there. */
        if (!was_connected || !options->token_url || necpnet_time_us() >= until_us) return false;
        uint64_t next_us = necpnet_time_us() + CLI_TOKEN_RETRY_US;
        while (necpnet_time_us() < next_us) necpnet_client_wait(client, CLI_TOKEN_RETRY_US);
    }
    necpnet_result result = necpnet_client_set_token(client, text, necpnet_wall_time_us());
    if (result) cli_fail("token: %s", necpnet_result_text(result));
    return result == NECPNET_OK;
}

bool cli_connect(const cli_options* options, necpnet_client* client)
{
    if (options->open && options->url_count == 0) {
        cli_fail("--open wants an address, for example udp://127.0.0.1:7777");
        return false;
    }
    necpnet_result result =
        necpnet_client_connect(client, options->url_count ? options->urls : NULL, options->url_count);
    if (result) cli_fail("connect: %s", necpnet_result_text(result));
    return result == NECPNET_OK;
}

const char* cli_plain(const char* from, size_t bytes, bool is_json, char* to, size_t to_bytes)
{
    size_t used = 0;
    for (size_t i = 0; i < bytes && from[i] && used + 2 < to_bytes; i++) {
        unsigned char c = (unsigned char)from[i];
        if (is_json && (c == '"' || c == '\\')) to[used++] = '\\';
        to[used++] = c < 32 || c == 127 ? '?' : (char)c;
    }
    to[used] = '\0';
    return to;
}

void cli_describe(const necpnet_client* client, char* text, size_t text_bytes)
{
    necpnet_address address;
    necpnet_statistics statistics;
    char at[NECPNET_ADDRESS_TEXT_BYTES_MAX] = "?";
    if (necpnet_client_get_address(client, &address) == NECPNET_OK) necpnet_address_format(&address, at, sizeof at);
    necpnet_client_get_statistics(client, &statistics);
    snprintf(text, text_bytes, "connected to %s over %s, %s", at,
             statistics.transport == NECPNET_TRANSPORT_UDP ? "udp" : "websocket",
             statistics.encrypted ? "encrypted" : "not encrypted");
}

bool cli_answer(const cli_options* options, necpnet_client* client, const necpnet_event* event)
{
    char text[160];
    switch (event->type) {
    case NECPNET_EVENT_TOKEN_NEEDED: return give_token(options, client);
    case NECPNET_EVENT_CONNECTED:
        necpnet_client_set_user_data(client, client);
        cli_describe(client, text, sizeof text);
        if (!options->json) printf("%s%s\n", event->resumed ? "the session goes on: " : "", text);
        break;
    case NECPNET_EVENT_MOVED:
        cli_describe(client, text, sizeof text);
        if (!options->json) printf("the session moved: %s\n", text);
        break;
    case NECPNET_EVENT_SUSPENDED:
        cli_fail("connection lost (%s): %s; the session waits", necpnet_result_name(event->reason),
                 event->text[0] ? event->text : necpnet_result_text(event->reason));
        break;
    case NECPNET_EVENT_CONNECT_FAILED:
        cli_fail("not connected (%s): %s%s", necpnet_result_name(event->reason), event->text,
                 event->will_reconnect && !options->token ? "; trying again" : "");
        return event->will_reconnect && !options->token;
    case NECPNET_EVENT_DISCONNECTED:
        cli_fail("disconnected (%s): %s%s", necpnet_result_name(event->reason),
                 event->text[0] ? event->text : necpnet_result_text(event->reason),
                 event->will_reconnect ? "; coming back" : "");
        return event->will_reconnect && !options->token;
    default: break;
    }
    fflush(stdout);
    return true;
}

/* tokens - the office that makes connect tokens. */
#include "tokens.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

bool tokens_random(void* to, size_t bytes)
{
    uint8_t* at = to;
    while (bytes > 0) {
        ssize_t got = getrandom(at, bytes, 0);
        if (got <= 0) return false;
        at += got;
        bytes -= (size_t)got;
    }
    return true;
}

necpnet_result tokens_begin(tokens* office, const config* settings)
{
    memset(office, 0, sizeof(*office));
    office->settings = settings;
    office->udp_port = -1;
    office->tls = settings->certificate_file[0] != 0;
    atomic_init(&office->epoch, (unsigned)settings->token_epoch);
    office->key_count = settings->token_keys.count;
    memcpy(office->keys, settings->token_keys.items, sizeof(office->keys));
    if (office->key_count > 0) return NECPNET_OK;
    office->key_count = 1;
    bool filled = tokens_random(office->keys[0].bytes, NECPNET_TOKEN_KEY_BYTES) &&
                  tokens_random(&office->keys[0].id, sizeof(office->keys[0].id));
    return filled ? NECPNET_OK : NECPNET_ERR_NO_ENTROPY;
}

static void tokens_add_url(tokens_grant* grant, const char* url)
{
    if (grant->url_count < NECPNET_URLS_MAX) {
        snprintf(grant->urls[grant->url_count++], NECPNET_URL_BYTES_MAX + 1, "%s", url);
    }
}

/* The addresses as the request reached us. */
static void tokens_add_own_urls(const tokens* office, const tokens_wish* wish, tokens_grant* grant)
{
    char url[NECPNET_URL_BYTES_MAX + 1];
    const char* host = wish->host;
    const char* bracket = host[0] == '[' ? strchr(host, ']') : NULL;
    const char* colon = strchr(bracket ? bracket : host, ':');
    int name_bytes = (int)(colon ? (size_t)(colon - host) : strlen(host));
    if (wish->transport != TOKENS_WEBSOCKET && office->udp_port > 0) {
        int bytes = snprintf(url, sizeof(url), "udp://%.*s:%d", name_bytes, host, office->udp_port);
        if (bytes < (int)sizeof(url)) tokens_add_url(grant, url);
    }
    if (wish->transport != TOKENS_UDP) {
        int bytes = snprintf(url, sizeof(url), "%s://%s%s", office->tls || wish->tls ? "wss" : "ws", host,
                             office->settings->ws_path);
        if (bytes < (int)sizeof(url)) tokens_add_url(grant, url);
    }
}

necpnet_result tokens_make(tokens* office, const tokens_wish* wish, tokens_grant* out_grant)
{
    const char* urls[NECPNET_URLS_MAX];
    const config_list* public_urls = &office->settings->public_urls;
    necpnet_token_config token;
    memset(out_grant, 0, sizeof(*out_grant));
    for (int i = 0; i < public_urls->count; i++) {
        bool udp = strncmp(public_urls->items[i], "udp:", 4) == 0;
        if (wish->transport == TOKENS_ANY || udp == (wish->transport == TOKENS_UDP))
            tokens_add_url(out_grant, public_urls->items[i]);
    }
    if (public_urls->count == 0) tokens_add_own_urls(office, wish, out_grant);
    if (out_grant->url_count == 0) return NECPNET_ERR_NOT_FOUND;
    for (int i = 0; i < out_grant->url_count; i++) urls[i] = out_grant->urls[i];

    necpnet_result result = necpnet_token_config_default(&token);
    if (result != NECPNET_OK) return result;
    token.client_id = wish->client_id;
    token.server_id = (uint64_t)office->settings->server_id;
    token.issued_us = necpnet_wall_time_us();
    token.lifetime_ms = (uint32_t)office->settings->token_lifetime_s * 1000u;
    token.epoch = atomic_load(&office->epoch);
    token.urls = urls;
    token.url_count = out_grant->url_count;
    snprintf((char*)token.user_data, sizeof(token.user_data), "%s", wish->name);
    out_grant->expires_us = token.issued_us + (uint64_t)token.lifetime_ms * 1000u;
    return necpnet_token_create(&token, &office->keys[0], out_grant->token, sizeof(out_grant->token));
}

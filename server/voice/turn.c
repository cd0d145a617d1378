/* turn - STUN and TURN servers and their credentials. */
#include "turn.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "moments.h"

#if NECPNET_WITH_MBEDTLS
#include <mbedtls/base64.h>
#include <mbedtls/md.h>

necpnet_result turn_make(const char* secret, uint64_t client_id, uint64_t until_s, turn_credentials* out)
{
    uint8_t mac[20];
    size_t bytes = 0;
    out->until_s = until_s;
    snprintf(out->name, sizeof(out->name), "%" PRIu64 ":%016" PRIx64, until_s, client_id);
    const mbedtls_md_info_t* sha1 = mbedtls_md_info_from_type(MBEDTLS_MD_SHA1);
    if (!sha1 || mbedtls_md_hmac(sha1, (const uint8_t*)secret, strlen(secret), (const uint8_t*)out->name,
                                 strlen(out->name), mac) != 0)
        return NECPNET_ERR_UNSUPPORTED;
    if (mbedtls_base64_encode((uint8_t*)out->password, sizeof(out->password), &bytes, mac, sizeof(mac)) != 0)
        return NECPNET_ERR_UNSUPPORTED;
    return NECPNET_OK;
}

#else

necpnet_result turn_make(const char* secret, uint64_t client_id, uint64_t until_s, turn_credentials* out)
{
    (void)secret;
    (void)client_id;
    (void)until_s;
    (void)out;
    return NECPNET_ERR_UNSUPPORTED;
}

#endif

static void turn_put_urls(text* out, const config_list* urls)
{
    text_put(out, "{\"urls\":[");
    for (int i = 0; i < urls->count; i++) {
        if (i > 0) text_put(out, ",");
        text_json(out, urls->items[i]);
    }
    text_put(out, "]");
}

necpnet_result turn_put(const config* settings, uint64_t client_id, uint64_t wall_us, text* out)
{
    turn_credentials made;
    char moment[MOMENT_BYTES];
    uint64_t until_s = wall_us / 1000000u + (uint64_t)settings->turn_lifetime_s;
    bool has_turn = settings->turn_urls.count > 0;
    if (has_turn) {
        necpnet_result result = turn_make(settings->turn_secret, client_id, until_s, &made);
        if (result != NECPNET_OK) return result;
    }
    text_put(out, "{\"ice_servers\":[");
    if (settings->stun_urls.count > 0) {
        turn_put_urls(out, &settings->stun_urls);
        text_put(out, has_turn ? "}," : "}");
    }
    if (has_turn) {
        turn_put_urls(out, &settings->turn_urls);
        text_put(out, ",\"username\":");
        text_json(out, made.name);
        text_put(out, ",\"credential\":");
        text_json(out, made.password);
        text_put(out, "}");
    }
    text_format(out, "],\"ttl_s\":%" PRId64 ",\"expires_at\":\"%s\"}", settings->turn_lifetime_s,
                moment_of(until_s * 1000000u, moment));
    return NECPNET_OK;
}

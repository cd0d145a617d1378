/* identity - JWTs through libjwt, which is used with an explicit list of algorithms alone. */
#include "identity.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

#if SERVER_WITH_JWT
#include <jwt.h>

#include "json.h"

/* Three parts of base64url. libjwt is milder. */
static bool identity_is_compact(const char* jwt)
{
    int parts = 0;
    if (strlen(jwt) > IDENTITY_JWT_BYTES_MAX) return false;
    for (const char* at = jwt;; at++) {
        size_t bytes = strspn(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
        if (bytes == 0) return false;
        parts++;
        at += bytes;
        if (*at == 0) return parts == 3;
        if (*at != '.') return false;
    }
}

/* The audience may be one text or a list. */
static bool identity_is_for(jwt_t* jwt, const char* audience)
{
    if (audience[0] == 0) return true;
    const char* one = jwt_get_grant(jwt, "aud");
    if (one) return strcmp(one, audience) == 0;
    bool found = false;
    char* list = jwt_get_grants_json(jwt, "aud");
    cJSON* json = list ? json_parse(list, strlen(list), NULL, 0) : NULL;
    const cJSON* item;
    cJSON_ArrayForEach(item, json)
    {
        if (cJSON_IsString(item) && strcmp(item->valuestring, audience) == 0) found = true;
    }
    cJSON_Delete(json);
    free(list);
    return found;
}

typedef enum identity_time {
    IDENTITY_TIME_ABSENT,
    IDENTITY_TIME_RIGHT,
    IDENTITY_TIME_WRONG /* no whole number above 0 */
} identity_time;

static identity_time identity_read_time(jwt_t* jwt, const char* claim, uint64_t* out_us)
{
    errno = 0;
    long seconds = jwt_get_grant_int(jwt, claim);
    if (errno == ENOENT) return IDENTITY_TIME_ABSENT;
    if (errno != 0 || seconds <= 0) return IDENTITY_TIME_WRONG;
    *out_us = (uint64_t)seconds > UINT64_MAX / 1000000u ? UINT64_MAX : (uint64_t)seconds * 1000000u;
    return IDENTITY_TIME_RIGHT;
}

static necpnet_result identity_judge(const config* settings, jwt_t* jwt, uint64_t wall_us, identity* out,
                                     const char** out_why)
{
    uint64_t not_before_us = 0;
    const char* subject = jwt_get_grant(jwt, "sub");
    const char* issuer = jwt_get_grant(jwt, "iss");
    const char* name = jwt_get_grant(jwt, "name");
    *out_why = "the JWT is not signed by HS256";
    if (jwt_get_alg(jwt) != JWT_ALG_HS256) return NECPNET_ERR_TOKEN_INVALID;
    *out_why = "the JWT has no sub of 1 to 255 bytes";
    if (!subject || subject[0] == 0 || strlen(subject) >= sizeof(out->subject)) return NECPNET_ERR_TOKEN_INVALID;
    *out_why = "the JWT has no exp";
    if (identity_read_time(jwt, "exp", &out->expires_us) != IDENTITY_TIME_RIGHT) return NECPNET_ERR_TOKEN_INVALID;
    *out_why = "the JWT has expired";
    if (out->expires_us <= wall_us) return NECPNET_ERR_TOKEN_EXPIRED;
    *out_why = "the JWT is not valid yet";
    identity_time not_before = identity_read_time(jwt, "nbf", &not_before_us);
    if (not_before == IDENTITY_TIME_WRONG || not_before_us > wall_us + IDENTITY_LEEWAY_S * 1000000u) {
        return NECPNET_ERR_TOKEN_INVALID;
    }
    *out_why = "the JWT is from another issuer";
    if ((settings->jwt_issuer[0] && (!issuer || strcmp(issuer, settings->jwt_issuer) != 0)) ||
        (issuer && strlen(issuer) >= sizeof(out->issuer))) {
        return NECPNET_ERR_TOKEN_FOREIGN;
    }
    *out_why = "the JWT is for another audience";
    if (!identity_is_for(jwt, settings->jwt_audience)) return NECPNET_ERR_TOKEN_FOREIGN;
    snprintf(out->subject, sizeof(out->subject), "%s", subject);
    snprintf(out->issuer, sizeof(out->issuer), "%s", issuer ? issuer : "");
    if (name && strlen(name) < sizeof(out->name) && text_is_printable(name, strlen(name))) {
        snprintf(out->name, sizeof(out->name), "%s", name);
    }
    *out_why = "";
    return NECPNET_OK;
}

necpnet_result identity_verify(const config* settings, const char* jwt, uint64_t wall_us, identity* out,
                               const char** out_why)
{
    jwt_t* decoded = NULL;
    memset(out, 0, sizeof(*out));
    *out_why = "this server takes no JWT: no jwt_secret is configured";
    if (settings->jwt_secret[0] == 0) return NECPNET_ERR_UNSUPPORTED;
    *out_why = "this is no JWT";
    if (!identity_is_compact(jwt)) return NECPNET_ERR_TOKEN_INVALID;
    *out_why = "the JWT's signature or form is wrong";
    if (jwt_decode(&decoded, jwt, (const unsigned char*)settings->jwt_secret, (int)strlen(settings->jwt_secret)) != 0) {
        return NECPNET_ERR_TOKEN_INVALID;
    }
    necpnet_result result = identity_judge(settings, decoded, wall_us, out, out_why);
    jwt_free(decoded);
    return result;
}

#else

necpnet_result identity_verify(const config* settings, const char* jwt, uint64_t wall_us, identity* out,
                               const char** out_why)
{
    (void)settings;
    (void)jwt;
    (void)wall_us;
    memset(out, 0, sizeof(*out));
    *out_why = "this server was built without libjwt";
    return NECPNET_ERR_UNSUPPORTED;
}

#endif

necpnet_result identity_authorize(const char* credential, const necpnet_address* from, necpnet_identity* out_identity,
                                  void* user)
{
    identity who;
    const char* why;
    char address[NECPNET_ADDRESS_TEXT_BYTES_MAX] = "";
    necpnet_result result = identity_verify(user, credential, necpnet_wall_time_us(), &who, &why);
    if (result != NECPNET_OK) {
        (void)necpnet_address_format(from, address, sizeof(address));
        LOG(NECPNET_LOG_WARNING, "credential_refused", why, LOG_TEXT("from", address), LOG_END);
        return result;
    }
    memset(out_identity, 0, sizeof(*out_identity));
    out_identity->client_id = necpnet_token_client_id(who.issuer, who.subject);
    out_identity->expires_us = who.expires_us;
    snprintf((char*)out_identity->user_data, sizeof(out_identity->user_data), "%s", who.name);
    return NECPNET_OK;
}

/* identity - JWTs. Header and claims are read by our own strict JSON reader, which refuses what libjwt's does not (a key twice,
 * NUL in a text, deep nesting), and the key is chosen by the algorithm that it was made for; libjwt then checks the signature.
 */
#include "identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fields.h"
#include "json.h"
#include "log.h"
#include "players.h"
#include "revocations.h"
#include "tokens.h"

#if SERVER_WITH_JWT
#include <jwt.h>
#endif

static const struct {
    unsigned role;
    const char* name;
} identity_roles[] = {
    {ROLE_ANYONE, "anyone"}, {ROLE_PLAYER, "player"}, {ROLE_SERVICE, "service"}, {ROLE_ADMIN, "admin"}};

const char* identity_role_name(unsigned role)
{
    for (size_t i = 0; i < sizeof(identity_roles) / sizeof(identity_roles[0]); i++) {
        if (identity_roles[i].role == role) return identity_roles[i].name;
    }
    return "anyone";
}

#if SERVER_WITH_JWT

/* The three parts of a compact JWT. */
typedef struct identity_parts {
    const char* at[3];
    size_t bytes[3];
} identity_parts;

/* Three parts of base64url. libjwt is milder. */
static bool identity_split(const char* jwt, identity_parts* parts)
{
    if (strlen(jwt) > IDENTITY_JWT_BYTES_MAX) return false;
    for (int i = 0; i < 3; i++) {
        parts->at[i] = jwt;
        parts->bytes[i] = strspn(jwt, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
        jwt += parts->bytes[i];
        if (parts->bytes[i] == 0 || *jwt != (i < 2 ? '.' : 0)) return false;
        jwt++;
    }
    return true;
}

/* A part as a JSON object, read strictly. */
static cJSON* identity_read_part(const identity_parts* parts, int index)
{
    uint8_t bytes[IDENTITY_JWT_BYTES_MAX];
    int count = keyring_base64url(parts->at[index], parts->bytes[index], bytes, sizeof(bytes));
    cJSON* json = count > 0 ? json_parse((const char*)bytes, (size_t)count, NULL, 0) : NULL;
    if (cJSON_IsObject(json)) return json;
    cJSON_Delete(json);
    return NULL;
}

/* The text of a claim. Returns "" where it is absent, NULL where it is no text. */
static const char* identity_claim(const cJSON* claims, const char* name)
{
    const cJSON* value = cJSON_GetObjectItemCaseSensitive(claims, name);
    if (!value) return "";
    return cJSON_IsString(value) ? value->valuestring : NULL;
}

/* The audience may be one text or a list. */
static bool identity_is_for(const cJSON* claims, const char* audience)
{
    const cJSON* value = cJSON_GetObjectItemCaseSensitive(claims, "aud");
    const cJSON* item;
    if (audience[0] == 0) return true;
    if (cJSON_IsString(value)) return strcmp(value->valuestring, audience) == 0;
    if (!cJSON_IsArray(value)) return false;
    cJSON_ArrayForEach(item, value)
    {
        if (cJSON_IsString(item) && strcmp(item->valuestring, audience) == 0) return true;
    }
    return false;
}

/* Seconds since 1970 (RFC 7519 2: a number, perhaps with a fraction). Returns false where it is wrong; 0 where it is absent. */
static bool identity_read_time(const cJSON* claims, const char* name, uint64_t* out_us)
{
    const cJSON* value = cJSON_GetObjectItemCaseSensitive(claims, name);
    *out_us = 0;
    if (!value) return true;
    if (!cJSON_IsNumber(value) || !(value->valuedouble > 0)) return false;
    *out_us = value->valuedouble > 1e12 ? UINT64_MAX : (uint64_t)(value->valuedouble * 1e6);
    return true;
}

static bool identity_read_role(const cJSON* claims, identity* out)
{
    const char* role = identity_claim(claims, "role");
    out->role = ROLE_PLAYER;
    if (!role) return false;
    if (role[0] == 0) return true;
    for (size_t i = 1; i < sizeof(identity_roles) / sizeof(identity_roles[0]); i++) {
        if (strcmp(identity_roles[i].name, role) != 0) continue;
        out->role = identity_roles[i].role;
        return true;
    }
    return false;
}

/* Who it is, by the claims alone. */
static necpnet_result identity_read_who(const cJSON* claims, identity* out, const char** out_why)
{
    const char* subject = identity_claim(claims, "sub");
    const char* issuer = identity_claim(claims, "iss");
    const char* name = identity_claim(claims, "name");
    const char* jti = identity_claim(claims, "jti");
    *out_why = "the JWT has no sub of 1 to 255 bytes without control characters";
    if (!subject || subject[0] == 0 || strlen(subject) >= sizeof(out->subject) ||
        !text_is_printable(subject, strlen(subject)))
        return NECPNET_ERR_TOKEN_INVALID;
    *out_why = "the JWT's iss is no text of at most 255 bytes";
    if (!issuer || strlen(issuer) >= sizeof(out->issuer)) return NECPNET_ERR_TOKEN_FOREIGN;
    *out_why = "the JWT's jti is no text of at most 63 bytes";
    if (!jti || strlen(jti) >= sizeof(out->jti)) return NECPNET_ERR_TOKEN_INVALID;
    *out_why = "the JWT's role is none of player, service, admin";
    if (!identity_read_role(claims, out)) return NECPNET_ERR_TOKEN_INVALID;
    snprintf(out->subject, sizeof(out->subject), "%s", subject);
    snprintf(out->issuer, sizeof(out->issuer), "%s", issuer);
    snprintf(out->jti, sizeof(out->jti), "%s", jti);
    if (name && strlen(name) < sizeof(out->name) && text_is_printable(name, strlen(name))) {
        snprintf(out->name, sizeof(out->name), "%s", name);
    }
    return NECPNET_OK;
}

static necpnet_result identity_judge_times(const cJSON* claims, uint64_t wall_us, identity* out, const char** out_why)
{
    const uint64_t leeway_us = IDENTITY_LEEWAY_S * 1000000u;
    uint64_t not_before_us = 0;
    *out_why = "the JWT has no exp";
    if (!identity_read_time(claims, "exp", &out->expires_us) || out->expires_us == 0) return NECPNET_ERR_TOKEN_INVALID;
    *out_why = "the JWT has expired";
    if (out->expires_us <= wall_us) return NECPNET_ERR_TOKEN_EXPIRED;
    *out_why = "the JWT is not valid yet";
    if (!identity_read_time(claims, "nbf", &not_before_us) || not_before_us > wall_us + leeway_us)
        return NECPNET_ERR_TOKEN_INVALID;
    *out_why = "the JWT's iat is no moment of the past";
    if (!identity_read_time(claims, "iat", &out->issued_us) || out->issued_us > wall_us + leeway_us)
        return NECPNET_ERR_TOKEN_INVALID;
    return NECPNET_OK;
}

static necpnet_result identity_judge(const identity_office* office, const cJSON* claims, uint64_t wall_us,
                                     identity* out, const char** out_why)
{
    const config* settings = office->settings;
    necpnet_result result = identity_read_who(claims, out, out_why);
    if (result == NECPNET_OK) result = identity_judge_times(claims, wall_us, out, out_why);
    if (result != NECPNET_OK) return result;
    *out_why = "the JWT is from another issuer";
    if (settings->jwt_issuer[0] && strcmp(out->issuer, settings->jwt_issuer) != 0) return NECPNET_ERR_TOKEN_FOREIGN;
    *out_why = "the JWT is for another audience";
    if (!identity_is_for(claims, settings->jwt_audience)) return NECPNET_ERR_TOKEN_FOREIGN;
    out->client_id = necpnet_token_client_id(out->issuer, out->subject);
    *out_why = "the JWT, or all of this user, was revoked; a new one is needed";
    if (office->revoked && revocations_hit(office->revoked, out)) return NECPNET_ERR_TOKEN_REVOKED;
    *out_why = "";
    return NECPNET_OK;
}

/* What names this JWT: its jti, or all that was signed. */
static uint64_t identity_token_key(const identity* who, const identity_parts* parts)
{
    char signed_text[IDENTITY_JWT_BYTES_MAX + 1];
    if (who->jti[0]) {
        snprintf(signed_text, sizeof(signed_text), "%s\n%s", who->issuer, who->jti);
        return necpnet_token_client_id("necpnet jti", signed_text);
    }
    snprintf(signed_text, sizeof(signed_text), "%.*s", (int)(parts->bytes[0] + 1 + parts->bytes[1]), parts->at[0]);
    return necpnet_token_client_id("necpnet jwt", signed_text);
}

/* The key that the header asks for, if the ring has it for just that algorithm. */
static bool identity_find_key(const identity_office* office, const identity_parts* parts, keyring_key* key,
                              const char** out_why)
{
    cJSON* header = identity_read_part(parts, 0);
    const char* algorithm = header ? identity_claim(header, "alg") : NULL;
    const char* kid = header ? identity_claim(header, "kid") : NULL;
    bool critical = header && cJSON_GetObjectItemCaseSensitive(header, "crit") != NULL;
    *out_why = "the JWT's header is no strict JSON object with alg, and perhaps kid";
    bool right = algorithm && kid && !critical;
    if (right) {
        *out_why = "the JWT is signed by no key and algorithm of this server (HS256, RS256, ES256)";
        right = keyring_find(office->keys, algorithm, kid, key);
    }
    cJSON_Delete(header);
    return right;
}

necpnet_result identity_verify(const identity_office* office, const char* jwt, uint64_t wall_us, identity* out,
                               const char** out_why)
{
    identity_parts parts;
    keyring_key key;
    jwt_t* decoded = NULL;
    memset(out, 0, sizeof(*out));
    out->role = ROLE_ANYONE;
    *out_why = "this server takes no JWT: neither jwt_secret nor jwks_file is configured";
    if (!office->keys || keyring_count(office->keys) == 0) return NECPNET_ERR_UNSUPPORTED;
    *out_why = "this is no JWT";
    if (!identity_split(jwt, &parts)) return NECPNET_ERR_TOKEN_INVALID;
    if (!identity_find_key(office, &parts, &key, out_why)) return NECPNET_ERR_TOKEN_INVALID;
    cJSON* claims = identity_read_part(&parts, 1);
    *out_why = "the JWT's claims are no strict JSON object";
    necpnet_result result = claims ? NECPNET_OK : NECPNET_ERR_TOKEN_INVALID;
    if (result == NECPNET_OK) {
        *out_why = "the JWT's signature is wrong";
        int length = (int)key.byte_count - (key.algorithm != KEYRING_HS256); /* PEM without its NUL */
        if (jwt_decode(&decoded, jwt, key.bytes, length) != 0) result = NECPNET_ERR_TOKEN_INVALID;
        jwt_free(decoded);
    }
    if (result == NECPNET_OK) {
        const char* jti = identity_claim(claims, "jti");
        const char* issuer = identity_claim(claims, "iss");
        snprintf(out->jti, sizeof(out->jti), "%s", jti ? jti : "");
        snprintf(out->issuer, sizeof(out->issuer), "%s", issuer ? issuer : "");
        out->token_key = identity_token_key(out, &parts);
        result = identity_judge(office, claims, wall_us, out, out_why);
    }
    memset(&key, 0, sizeof(key));
    cJSON_Delete(claims);
    if (result != NECPNET_OK) {
        memset(out, 0, sizeof(*out));
        out->role = ROLE_ANYONE;
    }
    return result;
}

/* The claims of a JWT of our own, as JSON. */
static void identity_put_claims(const identity_office* office, const identity* who, text* out)
{
    text_put(out, "{\"sub\":");
    text_json(out, who->subject);
    text_format(out, ",\"role\":\"%s\",\"jti\":\"%s\",\"iat\":%llu,\"exp\":%llu", identity_role_name(who->role),
                who->jti, (unsigned long long)(who->issued_us / 1000000u),
                (unsigned long long)(who->expires_us / 1000000u));
    if (who->issuer[0]) {
        text_put(out, ",\"iss\":");
        text_json(out, who->issuer);
    }
    if (office->settings->jwt_audience[0]) {
        text_put(out, ",\"aud\":");
        text_json(out, office->settings->jwt_audience);
    }
    if (who->name[0]) {
        text_put(out, ",\"name\":");
        text_json(out, who->name);
    }
    text_put(out, "}");
}

necpnet_result identity_issue(const identity_office* office, const identity* who, uint32_t lifetime_s, char** out_jwt,
                              identity* out_new)
{
    keyring_key key;
    uint8_t random[16];
    char buffer[1600];
    text claims;
    jwt_t* jwt = NULL;
    if (!office->keys || !keyring_secret(office->keys, &key)) return NECPNET_ERR_UNSUPPORTED;
    if (!tokens_random(random, sizeof(random))) return NECPNET_ERR_NO_ENTROPY;
    *out_new = *who;
    out_new->issued_us = necpnet_wall_time_us() / 1000000u * 1000000u;
    out_new->expires_us = out_new->issued_us + (uint64_t)lifetime_s * 1000000u;
    for (size_t i = 0; i < sizeof(random); i++) snprintf(out_new->jti + 2 * i, 3, "%02x", random[i]);
    text_begin(&claims, buffer, sizeof(buffer));
    identity_put_claims(office, out_new, &claims);
    necpnet_result result = NECPNET_ERR_OUT_OF_MEMORY;
    if (!claims.failed && jwt_new(&jwt) == 0 && jwt_add_grants_json(jwt, buffer) == 0 &&
        jwt_set_alg(jwt, JWT_ALG_HS256, key.bytes, (int)key.byte_count) == 0) {
        *out_jwt = jwt_encode_str(jwt);
        if (*out_jwt) result = NECPNET_OK;
    }
    if (jwt) jwt_free(jwt);
    memset(&key, 0, sizeof(key));
    return result;
}

#else

necpnet_result identity_verify(const identity_office* office, const char* jwt, uint64_t wall_us, identity* out,
                               const char** out_why)
{
    (void)office;
    (void)jwt;
    (void)wall_us;
    memset(out, 0, sizeof(*out));
    out->role = ROLE_ANYONE;
    *out_why = "this server was built without libjwt";
    return NECPNET_ERR_UNSUPPORTED;
}

necpnet_result identity_issue(const identity_office* office, const identity* who, uint32_t lifetime_s, char** out_jwt,
                              identity* out_new)
{
    (void)office;
    (void)lifetime_s;
    *out_jwt = NULL;
    *out_new = *who;
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
        identity_put_address(from, address, sizeof(address));
        LOG(NECPNET_LOG_WARNING, "credential_refused", why, LOG_TEXT("from", address), LOG_END);
        return result;
    }
    memset(out_identity, 0, sizeof(*out_identity));
    out_identity->client_id = who.client_id;
    out_identity->expires_us = who.expires_us;
    if (who.token_key) revocations_token_id(who.token_key, out_identity->token_id);
    const identity_office* office = user;
    if (office->names) players_note(office->names, who.client_id, who.subject);
    snprintf((char*)out_identity->user_data, sizeof(out_identity->user_data), "%s", who.name);
    return NECPNET_OK;
}

void identity_shorten_address(necpnet_address* address)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    address->port = 0;
    if (address->family == NECPNET_ADDRESS_IPV4) {
        address->bytes[3] = 0;
    } else if (memcmp(address->bytes, mapped, sizeof(mapped)) == 0) {
        address->bytes[15] = 0;
    } else {
        memset(address->bytes + 6, 0, 10);
    }
}

void identity_put_address(const necpnet_address* address, char* to, size_t to_bytes)
{
    char whole[NECPNET_ADDRESS_TEXT_BYTES_MAX];
    necpnet_address shortened = *address;
    identity_shorten_address(&shortened);
    snprintf(to, to_bytes, "unknown");
    if (necpnet_address_format(&shortened, whole, sizeof(whole)) != NECPNET_OK) return;
    char* end = whole[0] == '[' ? strchr(whole, ']') : strchr(whole, ':'); /* the port, 0, is left out */
    if (end) *end = 0;
    snprintf(to, to_bytes, "%s", whole[0] == '[' ? whole + 1 : whole);
}

/* -------------------------------------------------------------------------------------------------- upgrades -- */

/* What stands behind "Bearer " in the Authorization header, or NULL. */
static const char* identity_bearer(const necpnet_web_request* request)
{
    for (int i = 0; i < request->header_count; i++) {
        const char* value = request->headers[i].value;
        if (strcasecmp(request->headers[i].name, "Authorization") != 0) continue;
        return strncasecmp(value, "Bearer ", 7) == 0 ? value + 7 : NULL;
    }
    return NULL;
}

bool identity_upgrade_has(const necpnet_web_request* request)
{
    return identity_bearer(request) || strstr(request->query, "access_token=") ||
           strstr(request->subprotocols, "necpnet.bearer.");
}

/* Takes one of the ways; two of them are refused. */
static bool identity_take(char** found, const char* value, size_t bytes, bool decode)
{
    char* copy = decode ? fields_decode(value, bytes, true) : strndup(value, bytes);
    bool first = !*found && copy;
    if (first) {
        *found = copy;
    } else {
        free(copy);
    }
    return first;
}

char* identity_from_upgrade(const necpnet_web_request* request)
{
    static const char protocol[] = "necpnet.bearer.";
    const char* bearer = identity_bearer(request);
    char* found = NULL;
    bool right = !bearer || identity_take(&found, bearer, strlen(bearer), false);
    for (const char* at = request->query; right && *at;) {
        size_t bytes = strcspn(at, "&");
        if (bytes > 13 && strncmp(at, "access_token=", 13) == 0)
            right = identity_take(&found, at + 13, bytes - 13, true);
        at += bytes;
        if (*at == '&') at++;
    }
    for (const char* at = request->subprotocols; right && *at;) {
        at += strspn(at, ", \t");
        size_t bytes = strcspn(at, ", \t");
        if (bytes > sizeof(protocol) - 1 && strncmp(at, protocol, sizeof(protocol) - 1) == 0)
            right = identity_take(&found, at + sizeof(protocol) - 1, bytes - sizeof(protocol) + 1, false);
        at += bytes;
    }
    if (right) return found;
    free(found);
    return NULL;
}

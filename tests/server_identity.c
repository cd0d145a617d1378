/* server_identity - JWTs below the HTTP that carries them: sizes and depths that no head lets through, addresses that are shortened,
 * key sets that are wrong. That every algorithm and every hostile token is met as it should by a whole server is in
 * tests/e2e/server_tokens.test.mjs.
 */
#include "test.h"

#include "identity.h"
#include "revocations.h"

typedef struct bench {
    config settings;
    identity_office office;
} bench;

static void bench_begin(bench* at)
{
    char what[256];
    memset(at, 0, sizeof(*at));
    at->settings.jwt_secret = (char*)"a secret of more than thirty-two bytes!";
    at->settings.jwt_secret_file = at->settings.jwks_file = (char*)"";
    at->settings.jwt_issuer = at->settings.jwt_audience = (char*)"";
    at->office.settings = &at->settings;
    TEST_OK(keyring_create(&at->settings, &at->office.keys, what, sizeof(what)));
}

static void bench_end(bench* at)
{
    keyring_destroy(at->office.keys);
}

static size_t encode(const char* from, size_t bytes, char* to)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint32_t bits = 0;
    size_t made = 0;
    int held = 0;
    for (size_t i = 0; i < bytes; i++) {
        bits = bits << 8 | (uint8_t)from[i];
        for (held += 8; held >= 6; held -= 6) to[made++] = digits[bits >> (held - 6) & 63];
    }
    if (held > 0) to[made++] = digits[bits << (6 - held) & 63];
    to[made] = 0;
    return made;
}

TEST(test_identity_refuses_20000_levels_of_nesting_in_header_and_claims)
{
    bench at;
    identity who;
    const char* why = "";
    static char deep[40100];
    static char jwt[120000];
    bench_begin(&at);
    for (int part = 0; part < 2; part++) {
        size_t bytes = 0;
        memcpy(deep, "{\"alg\":\"HS256\",\"sub\":\"a\",\"x\":", 29);
        bytes = 29;
        memset(deep + bytes, '[', 20000);
        memset(deep + bytes + 20000, ']', 20000);
        deep[bytes + 40000] = '}';
        size_t made = part == 0 ? encode(deep, bytes + 40001, jwt) : encode("{\"alg\":\"HS256\"}", 15, jwt);
        jwt[made++] = '.';
        made += part == 0 ? encode("{}", 2, jwt + made) : encode(deep, bytes + 40001, jwt + made);
        memcpy(jwt + made, ".AAAA", 6);
        necpnet_result result = identity_verify(&at.office, jwt, 1000000, &who, &why);
        TEST_CHECK(result == NECPNET_ERR_TOKEN_INVALID || result == NECPNET_ERR_UNSUPPORTED);
        TEST_EQUAL(who.role, ROLE_ANYONE);
        TEST_CHECK(why[0] != 0);
    }
    bench_end(&at);
}

TEST(test_identity_shortens_addresses)
{
    static const char* const pairs[][2] = {
        {"192.0.2.77:9000", "192.0.2.0"}, {"[2001:db8:1:2:3:4:5:6]:80", "2001:db8:1::"}, {"127.0.0.1:1", "127.0.0.0"}};
    char shortened[64];
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        necpnet_address address;
        TEST_HINT("address %s", pairs[i][0]);
        TEST_OK(necpnet_address_parse(pairs[i][0], &address));
        identity_put_address(&address, shortened, sizeof(shortened));
        TEST_EQUAL_STRING(shortened, pairs[i][1]);
    }
}

TEST(test_keyring_takes_strict_base64url_alone)
{
    uint8_t bytes[8];
    TEST_EQUAL(keyring_base64url("", 0, bytes, 8), 0);
    TEST_EQUAL(keyring_base64url("AQ", 2, bytes, 8), 1);
    TEST_EQUAL(bytes[0], 1);
    TEST_EQUAL(keyring_base64url("_-8", 3, bytes, 8), 2);
    TEST_EQUAL(bytes[0], 0xff);
    TEST_EQUAL(keyring_base64url("A", 1, bytes, 8), -1);
    TEST_EQUAL(keyring_base64url("AR", 2, bytes, 8), -1); /* bits behind the last byte */
    TEST_EQUAL(keyring_base64url("AQ==", 4, bytes, 8), -1);
    TEST_EQUAL(keyring_base64url("A+AA", 4, bytes, 8), -1);
    TEST_EQUAL(keyring_base64url("AAAAAAAAAAAA", 12, bytes, 8), -1);
}

TEST(test_keyring_says_what_is_wrong_with_a_key_set)
{
    static const char* const wrong[] = {
        "",
        "[]",
        "{}",
        "{\"keys\":[1]}",
        "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}]}",
        "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}",
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAA\",\"y\":\"AAAA\"}]}",
    };
    keyring_key* keys = calloc(4, sizeof(*keys));
    char what[256];
    TEST_CHECK(keys != NULL);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        TEST_HINT("set %s", wrong[i]);
        what[0] = 0;
        TEST_EQUAL(keyring_parse(wrong[i], strlen(wrong[i]), keys, 4, what, sizeof(what)), -1);
        TEST_CHECK(what[0] != 0);
    }
    static const char other[] = "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AA\"}]}";
    TEST_EQUAL(keyring_parse(other, sizeof(other) - 1, keys, 4, what, sizeof(what)), 0);
    free(keys);
}

#if SERVER_WITH_JWT
/* A session that a JWT opened over necpnet.v1 carries the id under which it is revoked. */
TEST(test_identity_of_a_session_names_its_jwt_for_revocation)
{
    bench at;
    char* jwt = NULL;
    identity who = {.role = ROLE_PLAYER, .subject = "ada", .issuer = "studio"};
    identity made, read;
    const char* why = "";
    necpnet_identity opened;
    necpnet_address from = {.family = NECPNET_ADDRESS_IPV4};
    uint8_t id[NECPNET_TOKEN_ID_BYTES];
    bench_begin(&at);
    TEST_OK(identity_issue(&at.office, &who, 60, &jwt, &made));
    TEST_OK(identity_verify(&at.office, jwt, necpnet_wall_time_us(), &read, &why));
    TEST_OK(identity_authorize(jwt, &from, &opened, &at.office));
    TEST_NOT_EQUAL(read.token_key, 0);
    revocations_token_id(read.token_key, id);
    TEST_EQUAL_BYTES(opened.token_id, id, sizeof(id));
    TEST_EQUAL(opened.client_id, read.client_id);
    free(jwt);
    bench_end(&at);
}
#endif

static desk_result revoke(revocations* list, bus* events, revocation_kind kind, uint64_t key)
{
    revocation_news news = {.kind = kind, .key = key, .until_us = necpnet_wall_time_us() + 60000000u};
    return revocations_add(list, events, &news);
}

TEST(test_revocations_are_read_again_from_the_store)
{
    store* records = NULL;
    revocations* list = NULL;
    char what[256];
    identity who = {.token_key = 7, .client_id = 9, .issued_us = 1};
    identity other = {.token_key = 8, .client_id = 10, .issued_us = 1};
    TEST_OK(store_open("memory:", true, &records, what, sizeof(what)));
    TEST_OK(revocations_create(records, &list));
    TEST_CHECK(!revocations_hit(list, &who));
    TEST_EQUAL(revoke(list, NULL, REVOCATION_JWT, 7), DESK_OK);
    TEST_CHECK(revocations_hit(list, &who) && !revocations_hit(list, &other));
    TEST_EQUAL(revoke(list, NULL, REVOCATION_USER, 10), DESK_OK);
    TEST_CHECK(revocations_hit(list, &other));
    for (uint64_t i = 100; i < 1300; i++) TEST_EQUAL(revoke(list, NULL, REVOCATION_JWT, i), DESK_OK);
    revocations_destroy(list);
    TEST_OK(revocations_create(records, &list)); /* more than one page */
    TEST_CHECK(revocations_hit(list, &who) && revocations_hit(list, &other));
    other.issued_us = necpnet_wall_time_us() + 1000000u;
    TEST_CHECK(!revocations_hit(list, &other));
    who.token_key = 1299;
    TEST_CHECK(revocations_hit(list, &who));
    revocations_destroy(list);
    store_close(records);
}

/* Another node: a list and a store of its own, and one bus between them. */
typedef struct listening {
    revocations* list;
    revocation_news last;
    int heard;
} listening;

static void on_revoked(const char* topic, const void* data, size_t bytes, void* user)
{
    listening* at = user;
    (void)topic;
    at->heard += revocations_hear(at->list, data, bytes, &at->last);
}

TEST(test_revocations_travel_over_every_bus)
{
    static const char* const backends[] = {"local:"};
    for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++) {
        store* stores[2] = {NULL, NULL};
        revocations* here = NULL;
        bus* events = NULL;
        necpnet_loop* loop = NULL;
        bus_subscription* subscription = NULL;
        listening there = {0};
        char what[256];
        for (int k = 0; k < 2; k++) TEST_OK(store_open("memory:", true, &stores[k], what, sizeof(what)));
        TEST_OK(revocations_create(stores[0], &here));
        TEST_OK(revocations_create(stores[1], &there.list));
        TEST_OK(bus_open(backends[i], &events));
        TEST_OK(necpnet_loop_create(NULL, NECPNET_LOOP_BEST, &loop));
        TEST_OK(bus_subscribe(events, REVOCATIONS_TOPIC, loop, on_revoked, &there, &subscription));
        revocations* second = there.list;
        identity jwt = {.token_key = 7, .client_id = 9, .issued_us = 1};
        identity rotated = {.token_key = 8, .client_id = 9, .issued_us = 1};
        identity user = {.token_key = 5, .client_id = 10, .issued_us = 1};
        identity other = {.token_key = 6, .client_id = 11, .issued_us = 1};
        TEST_EQUAL(revoke(here, events, REVOCATION_JWT, 7), DESK_OK);
        TEST_EQUAL(revoke(here, events, REVOCATION_ROTATED, 8), DESK_OK);
        TEST_EQUAL(revoke(here, events, REVOCATION_USER, 10), DESK_OK);
        for (int n = 0; n < 1000 && there.heard < 3; n++) TEST_OK(necpnet_loop_step(loop, 1000));
        TEST_EQUAL(there.heard, 3);
        TEST_CHECK(revocations_hit(there.list, &jwt) && revocations_hit(there.list, &rotated));
        TEST_CHECK(revocations_hit(there.list, &user) && !revocations_hit(there.list, &other));
        TEST_CHECK(revocations_means(&there.last, 10, 5, 1));
        TEST_CHECK(!revocations_means(&there.last, 10, 5, necpnet_wall_time_us() + 1000000u)); /* issued later */
        TEST_CHECK(!revocations_means(&there.last, 11, 5, 1));
        revocation_news news = {.kind = REVOCATION_JWT, .key = 7};
        TEST_CHECK(revocations_means(&news, 1, 7, 0) && !revocations_means(&news, 1, 8, 0));
        news.key = 0; /* nobody's: who came without a JWT is not meant */
        TEST_CHECK(!revocations_means(&news, 1, 0, 0));
        news.kind = REVOCATION_ROTATED;
        TEST_CHECK(!revocations_means(&news, 1, 0, 0));
        /* rubbish */
        TEST_CHECK(!revocations_hear(there.list, "x", 1, &news));
        there.list = here; /* its own news are no news */
        int before = there.heard;
        TEST_EQUAL(revoke(here, events, REVOCATION_JWT, 99), DESK_OK);
        for (int n = 0; n < 10; n++) TEST_OK(necpnet_loop_step(loop, 1000));
        TEST_EQUAL(there.heard, before);
        there.list = second;
        uint8_t wrong[256] = {9};
        for (size_t bytes = 0; bytes < sizeof(wrong); bytes++)
            TEST_CHECK(!revocations_hear(there.list, wrong, bytes, &news));
        bus_unsubscribe(events, subscription);
        necpnet_loop_destroy(loop);
        bus_close(events);
        revocations_destroy(here);
        revocations_destroy(there.list);
        for (int k = 0; k < 2; k++) store_close(stores[k]);
    }
}

TEST_MAIN

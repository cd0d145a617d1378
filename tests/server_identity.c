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
    TEST_EQUAL(revocations_add_token(list, 7, necpnet_wall_time_us() + 60000000u), DESK_OK);
    TEST_CHECK(revocations_hit(list, &who) && !revocations_hit(list, &other));
    TEST_EQUAL(revocations_add_user(list, 10), DESK_OK);
    TEST_CHECK(revocations_hit(list, &other));
    for (uint64_t i = 100; i < 1300; i++)
        TEST_EQUAL(revocations_add_token(list, i, necpnet_wall_time_us() + 60000000u), DESK_OK);
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

TEST_MAIN

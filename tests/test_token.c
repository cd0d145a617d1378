/* Connect tokens: what a bundle says, that it is refused when cut or changed, and that only the right key opens. Also
 * what the server remembers of them. */
#include "nn_base64.h"
#include "nn_bytes.h"
#include "nn_handshake_cache.h"
#include "nn_handshake_server.h"
#include "nn_hash.h"
#include "nn_random.h"
#include "nn_token.h"
#include "test.h"

#define WALL_US UINT64_C(1790000000000000)

static bool fill(void* to, size_t bytes, void* user)
{
    for (size_t i = 0; i < bytes; i++) ((uint8_t*)to)[i] = (uint8_t)nn_random_u64((nn_random*)user);
    return true;
}

static bool fill_nothing(void* to, size_t bytes, void* user)
{
    (void)to;
    (void)bytes;
    (void)user;
    return false;
}

static nn_random token_random;
static const char* const token_urls[] = {"udp://127.0.0.1:7777", "wss://play.example.org/ws"};

static necpnet_token_config token_config(void)
{
    if (!nn_aead_suites()) TEST_SKIP("no crypto library");
    necpnet_token_config config;
    TEST_OK(necpnet_token_config_default(&config));
    nn_random_seed(&token_random, 5);
    config.entropy.fill = fill;
    config.entropy.user = &token_random;
    config.client_id = 0x1122334455667788;
    config.server_id = 42;
    config.issued_us = WALL_US;
    config.urls = token_urls;
    config.url_count = 2;
    config.epoch = 3;
    memset(config.user_data, 0xee, sizeof config.user_data);
    return config;
}

static necpnet_token_key token_key(uint32_t id)
{
    necpnet_token_key key = {id, {0}};
    memset(key.bytes, (int)id, sizeof key.bytes);
    return key;
}

TEST(test_token_says_in_clear_what_the_client_needs)
{
    necpnet_token_config config = token_config();
    necpnet_token_key key = token_key(9);
    char text[NECPNET_TOKEN_TEXT_BYTES_MAX];
    static necpnet_token_info info;
    TEST_OK(necpnet_token_create(&config, &key, text, sizeof text));
    TEST_EQUAL(strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"), strlen(text));
    TEST_OK(necpnet_token_read(text, &info));
    TEST_EQUAL(info.version, 1);
    TEST_EQUAL(info.server_id, 42);
    TEST_EQUAL(info.issued_us, WALL_US);
    TEST_EQUAL(info.expires_us, WALL_US + 45000000);
    TEST_EQUAL(info.url_count, 2);
    TEST_EQUAL_STRING(info.urls[0], token_urls[0]);
    TEST_EQUAL_STRING(info.urls[1], token_urls[1]);
    TEST_EQUAL_STRING(info.urls[2], "");
}

TEST(test_token_opens_with_its_key_and_no_other)
{
    necpnet_token_config config = token_config();
    necpnet_token_key keys[3] = {token_key(1), token_key(9), token_key(5)};
    char text[NECPNET_TOKEN_TEXT_BYTES_MAX];
    static nn_token_bundle bundle;
    nn_token token;
    TEST_OK(necpnet_token_create(&config, &keys[1], text, sizeof text));
    TEST_OK(nn_token_bundle_parse(text, &bundle));
    TEST_OK(nn_token_open(bundle.sealed, keys, 3, &token));
    TEST_EQUAL(token.client_id, config.client_id);
    TEST_EQUAL(token.issued_us, WALL_US);
    TEST_EQUAL(token.expires_us, WALL_US + 45000000);
    TEST_EQUAL(token.server_id, 42);
    TEST_EQUAL(token.epoch, 3);
    TEST_EQUAL(token.suite_min, NN_SUITE_CHACHA20_POLY1305);
    TEST_EQUAL_BYTES(token.user_data, config.user_data, sizeof token.user_data);
    TEST_EQUAL_BYTES(token.psk, bundle.psk, sizeof token.psk);
    TEST_EQUAL(nn_token_open(bundle.sealed, keys, 1, &token), NECPNET_ERR_TOKEN_INVALID);
    TEST_EQUAL(nn_token_open(bundle.sealed, NULL, 0, &token), NECPNET_ERR_TOKEN_INVALID);
    keys[1].bytes[0] ^= 1;
    TEST_EQUAL(nn_token_open(bundle.sealed, keys, 3, &token), NECPNET_ERR_TOKEN_INVALID);
    keys[1].bytes[0] ^= 1;
    for (size_t bit = 0; bit < sizeof bundle.sealed * 8; bit++) {
        bundle.sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
        TEST_HINT("bit %d", (int)bit);
        TEST_EQUAL(nn_token_open(bundle.sealed, keys, 3, &token), NECPNET_ERR_TOKEN_INVALID);
        bundle.sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

TEST(test_token_with_impossible_times_does_not_open)
{
    if (!nn_aead_suites()) TEST_SKIP("no crypto library");
    necpnet_token_key key = token_key(9);
    nn_token token, out;
    uint8_t salt[NN_TOKEN_SALT_BYTES] = {1};
    uint8_t sealed[NN_TOKEN_SEALED_BYTES];
    memset(&token, 0, sizeof token);
    token.issued_us = WALL_US;
    static const int64_t lives[] = {-1, 0, 45000001, 1, 45000000};
    for (size_t i = 0; i < NN_COUNT(lives); i++) {
        token.expires_us = WALL_US + (uint64_t)lives[i];
        TEST_OK(nn_token_seal(&token, &key, salt, sealed));
        TEST_EQUAL(nn_token_open(sealed, &key, 1, &out), i < 3 ? NECPNET_ERR_TOKEN_INVALID : NECPNET_OK);
    }
}

TEST(test_token_text_that_is_cut_or_changed_is_refused)
{
    necpnet_token_config config = token_config();
    necpnet_token_key key = token_key(9);
    char text[NECPNET_TOKEN_TEXT_BYTES_MAX], changed[NECPNET_TOKEN_TEXT_BYTES_MAX + 8];
    static nn_token_bundle bundle;
    TEST_OK(necpnet_token_create(&config, &key, text, sizeof text));
    size_t length = strlen(text);
    for (size_t cut = 0; cut < length; cut++) {
        memcpy(changed, text, cut);
        changed[cut] = '\0';
        TEST_EQUAL(nn_token_bundle_parse(changed, &bundle), NECPNET_ERR_BAD_TOKEN_TEXT);
    }
    for (size_t at = 0; at < length; at++) {
        memcpy(changed, text, length + 1);
        changed[at] = changed[at] == 'A' ? 'B' : 'A';
        necpnet_result result = nn_token_bundle_parse(changed, &bundle);
        TEST_CHECK(result == NECPNET_ERR_BAD_TOKEN_TEXT || result == NECPNET_ERR_VERSION_DIFFERS);
        changed[at] = '\n';
        TEST_EQUAL(nn_token_bundle_parse(changed, &bundle), NECPNET_ERR_BAD_TOKEN_TEXT);
    }
    memcpy(changed, text, length);
    memcpy(changed + length, "AAAA", 5);
    TEST_EQUAL(nn_token_bundle_parse(changed, &bundle), NECPNET_ERR_BAD_TOKEN_TEXT);
    char* endless = (char*)malloc(100001);
    memset(endless, 'A', 100000);
    endless[100000] = '\0';
    TEST_EQUAL(nn_token_bundle_parse(endless, &bundle), NECPNET_ERR_BAD_TOKEN_TEXT);
    free(endless);
    static necpnet_token_info info;
    TEST_EQUAL(necpnet_token_read("eyJhbGciOiJIUzI1NiJ9", &info), NECPNET_ERR_BAD_TOKEN_TEXT);
    TEST_EQUAL(necpnet_token_read(NULL, &info), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_token_read(text, NULL), NECPNET_ERR_INVALID_ARGUMENT);
}

/* A bundle of another version is told apart even if the rest is another form. */
TEST(test_token_text_of_another_version_says_so)
{
    uint8_t data[12] = {'N', 'N', 'C', 'T', 2, 0, 0, 0, 1, 2, 3, 4};
    char text[32];
    static nn_token_bundle bundle;
    nn_base64_encode(data, sizeof data, true, text, sizeof text);
    TEST_EQUAL(nn_token_bundle_parse(text, &bundle), NECPNET_ERR_VERSION_DIFFERS);
}

/* Right checksum, wrong contents: what a hostile issuer could make. */
TEST(test_token_text_with_hostile_addresses_is_refused)
{
    for (int form = 0; form < 5; form++) {
        uint8_t data[600];
        char text[900];
        static nn_token_bundle bundle;
        nn_writer writer = nn_writer_of(data, sizeof data);
        nn_write_bytes(&writer, "NNCT", 4);
        nn_write_u32(&writer, 1);
        nn_write_zeroes(&writer, 24 + 32 + 196);
        nn_write_u8(&writer, form == 0 ? 17 : form == 4 ? 0 : 1);
        nn_write_u8(&writer, form == 1 ? 0 : form == 2 ? 200 : 5);
        nn_write_bytes(&writer, form == 3 ? "ab\ncd" : "abcde", 5);
        nn_write_u64(&writer, nn_siphash64((const uint8_t[16]){0}, data, nn_writer_bytes(&writer)));
        nn_base64_encode(data, nn_writer_bytes(&writer), true, text, sizeof text);
        TEST_HINT("form %d", form);
        TEST_EQUAL(nn_token_bundle_parse(text, &bundle), NECPNET_ERR_BAD_TOKEN_TEXT);
    }
}

TEST(test_token_create_checks_its_config)
{
    necpnet_token_config good = token_config();
    necpnet_token_config config = good;
    necpnet_token_key key = token_key(9);
    char text[NECPNET_TOKEN_TEXT_BYTES_MAX] = "untouched";
    TEST_EQUAL(necpnet_token_create(NULL, &key, text, sizeof text), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_token_create(&config, NULL, text, sizeof text), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_token_create(&config, &key, NULL, 0), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_token_config_default(NULL), NECPNET_ERR_INVALID_ARGUMENT);
#define EXPECT(change, result) \
    config = good; \
    change; \
    TEST_EQUAL(necpnet_token_create(&config, &key, text, sizeof text), result)
    EXPECT(config.struct_bytes--, NECPNET_ERR_BAD_STRUCT_BYTES);
    EXPECT(config.lifetime_ms = 999, NECPNET_ERR_BAD_CONFIG);
    EXPECT(config.lifetime_ms = 45001, NECPNET_ERR_BAD_CONFIG);
    EXPECT(config.issued_us = 0, NECPNET_ERR_BAD_CONFIG);
    EXPECT(config.issued_us = UINT64_MAX, NECPNET_ERR_BAD_CONFIG);
    EXPECT(config.url_count = -1, NECPNET_ERR_BAD_CONFIG);
    EXPECT(config.url_count = 17, NECPNET_ERR_BAD_CONFIG);
    EXPECT(config.urls = NULL, NECPNET_ERR_BAD_CONFIG);
    const char* const bad_urls[] = {"udp://127.0.0.1:7777", "http://x"};
    EXPECT(config.urls = bad_urls, NECPNET_ERR_BAD_URL);
    EXPECT(config.entropy.fill = fill_nothing, NECPNET_ERR_NO_ENTROPY);
    TEST_EQUAL_STRING(text, "untouched");
    config = good;
    TEST_EQUAL(necpnet_token_create(&config, &key, text, 300), NECPNET_ERR_BUFFER_TOO_SMALL);
    /* four addresses of the largest size fit the documented buffer, sixteen a larger one */
    char url[NECPNET_URL_BYTES_MAX + 1] = "ws://host:1/";
    memset(url + 12, 'a', sizeof url - 13);
    url[sizeof url - 1] = '\0';
    const char* urls[16];
    for (int i = 0; i < 16; i++) urls[i] = url;
    config.urls = urls;
    config.url_count = 4;
    TEST_OK(necpnet_token_create(&config, &key, text, sizeof text));
    config.url_count = 16;
    TEST_EQUAL(necpnet_token_create(&config, &key, text, sizeof text), NECPNET_ERR_BUFFER_TOO_SMALL);
    char large[6000];
    static necpnet_token_info info;
    TEST_OK(necpnet_token_create(&config, &key, large, sizeof large));
    TEST_OK(necpnet_token_read(large, &info));
    TEST_EQUAL(info.url_count, 16);
    TEST_EQUAL_STRING(info.urls[15], url);
}

TEST(test_token_client_id_is_of_issuer_and_subject)
{
    TEST_EQUAL(necpnet_token_client_id(NULL, "a"), 0);
    TEST_EQUAL(necpnet_token_client_id("a", NULL), 0);
    if (!nn_aead_suites()) {
        TEST_EQUAL(necpnet_token_client_id("a", "b"), 0);
        return;
    }
    /* python3: hashlib.sha256(b"https://id.example\0player-1").digest()[:8] */
    TEST_EQUAL(necpnet_token_client_id("https://id.example", "player-1"), UINT64_C(0x3049515123972f6a));
    TEST_NOT_EQUAL(necpnet_token_client_id("ab", "c"), necpnet_token_client_id("a", "bc"));
}

TEST(test_token_on_a_stream_is_checked_and_spent)
{
    necpnet_token_config config = token_config();
    necpnet_token_key key = token_key(9);
    char text[NECPNET_TOKEN_TEXT_BYTES_MAX];
    static nn_token_bundle bundle;
    TEST_OK(necpnet_token_create(&config, &key, text, sizeof text));
    TEST_OK(nn_token_bundle_parse(text, &bundle));
    struct necpnet_allocator allocator = test_allocator();
    nn_alloc alloc;
    nn_alloc_init(&alloc, &allocator);
    nn_handshake_server_config server_config;
    memset(&server_config, 0, sizeof server_config);
    server_config.entropy = &config.entropy;
    server_config.token_keys = &key;
    server_config.token_key_count = 1;
    server_config.server_id = 42;
    server_config.token_epoch = 3;
    server_config.token_restart_guard = true;
    nn_handshake_server* server = NULL;
    TEST_OK(nn_handshake_server_create(&alloc, &server_config, 1, &server));
    nn_handshake_server_set_start(server, WALL_US - 5);
    uint8_t proof[16];
    necpnet_identity identity;
    nn_siphash128(bundle.psk, bundle.sealed, sizeof bundle.sealed, proof);
    proof[3] ^= 1;
    TEST_EQUAL(nn_handshake_server_check_token(server, bundle.sealed, proof, WALL_US + 1, &identity),
               NECPNET_ERR_TOKEN_INVALID);
    proof[3] ^= 1;
    TEST_EQUAL(nn_handshake_server_check_token(server, bundle.sealed, proof, WALL_US + 45000000, &identity),
               NECPNET_ERR_TOKEN_EXPIRED);
    TEST_EQUAL(nn_handshake_server_check_token(server, bundle.sealed, proof, 0, &identity), NECPNET_ERR_TOKEN_EXPIRED);
    TEST_OK(nn_handshake_server_check_token(server, bundle.sealed, proof, WALL_US + 44999999, &identity));
    TEST_EQUAL(identity.client_id, config.client_id);
    TEST_EQUAL(identity.user_data[0], 0xee);
    TEST_EQUAL(nn_handshake_server_check_token(server, bundle.sealed, proof, WALL_US + 1, &identity),
               NECPNET_ERR_TOKEN_SPENT);
    nn_handshake_server_destroy(server);
    server_config.server_id = 41;
    TEST_OK(nn_handshake_server_create(&alloc, &server_config, 1, &server));
    TEST_EQUAL(nn_handshake_server_check_token(server, bundle.sealed, proof, WALL_US + 1, &identity),
               NECPNET_ERR_TOKEN_FOREIGN);
    nn_handshake_server_destroy(server);
    server_config.server_id = 42;
    TEST_OK(nn_handshake_server_create(&alloc, &server_config, 1, &server));
    nn_handshake_server_set_start(server, WALL_US + 1);
    TEST_EQUAL(nn_handshake_server_check_token(server, bundle.sealed, proof, WALL_US + 2, &identity),
               NECPNET_ERR_TOKEN_EXPIRED); /* issued before this server began */
    nn_handshake_server_destroy(server);
}

TEST(test_spent_tokens_are_remembered_until_they_expire_and_no_more_than_allowed)
{
    struct necpnet_allocator allocator = test_allocator();
    nn_alloc alloc;
    nn_alloc_init(&alloc, &allocator);
    nn_spent spent;
    nn_spent_init(&spent, &alloc, 5000);
    struct test_random random = test_random_begin(3);
    static uint8_t ids[5000][16];
    TEST_CHECK(!nn_spent_has(&spent, ids[0]));
    for (size_t i = 0; i < 5000; i++) {
        test_random_bytes(&random, ids[i], 16);
        if (i % 3 == 0) memcpy(ids[i], "same....", 8); /* as if ids were chosen to collide */
        TEST_OK(nn_spent_reserve(&spent, WALL_US));
        TEST_CHECK(!nn_spent_has(&spent, ids[i]));
        nn_spent_add(&spent, ids[i], WALL_US + 1 + i);
        TEST_CHECK(nn_spent_has(&spent, ids[i]));
    }
    for (size_t i = 0; i < 5000; i++) TEST_CHECK(nn_spent_has(&spent, ids[i]));
    TEST_EQUAL(nn_spent_reserve(&spent, WALL_US + NN_SPENT_KEEP_US), NECPNET_ERR_LIMIT_REACHED);
    TEST_OK(nn_spent_reserve(&spent, WALL_US + NN_SPENT_KEEP_US + 1)); /* the first has gone */
    TEST_CHECK(!nn_spent_has(&spent, ids[0]));
    TEST_CHECK(nn_spent_has(&spent, ids[1]));
    TEST_LESS(alloc.bytes, 5000 * 4 * sizeof(nn_spent_entry));
    nn_spent_reset(&spent);
    TEST_EQUAL(alloc.bytes, 0);
}

TEST(test_accepts_are_found_by_key_for_their_life_and_the_oldest_go_first)
{
    TEST_EACH_ALLOCATION_FAILS {
        struct necpnet_allocator allocator = test_allocator();
        nn_alloc alloc;
        nn_alloc_init(&alloc, &allocator);
        nn_accepts accepts;
        uint8_t key[NN_ACCEPT_KEY_BYTES] = {0};
        uint8_t hash_key[16] = {1};
        size_t bytes = 0;
        nn_accepts_init(&accepts, &alloc, 256, 1000, hash_key);
        TEST_CHECK(!nn_accepts_find(&accepts, key, 5, &bytes));
        bool failed = false;
        for (uint32_t i = 0; i < 600 && !failed; i++) {
            nn_store_u32(key, i);
            necpnet_result result = nn_accepts_put(&accepts, key, (const uint8_t*)&i, sizeof i, 1000 + i);
            failed = result != NECPNET_OK;
            if (failed) TEST_EQUAL(result, NECPNET_ERR_OUT_OF_MEMORY);
            if (i == 599 && !failed) {
                for (uint32_t k = 0; k < 600; k++) {
                    nn_store_u32(key, k);
                    const uint8_t* found = nn_accepts_find(&accepts, key, 1599, &bytes);
                    TEST_HINT("entry %d", (int)k);
                    TEST_EQUAL(found != NULL, k >= 600 - 256);
                    if (found) TEST_EQUAL_BYTES(found, &k, sizeof k);
                }
                nn_store_u32(key, 400);
                TEST_CHECK(nn_accepts_find(&accepts, key, 2400, &bytes) != NULL);
                TEST_CHECK(nn_accepts_find(&accepts, key, 2401, &bytes) == NULL);
                TEST_EQUAL(accepts.count, 199);
            }
        }
        TEST_EQUAL(failed, test_allocation_failed());
        nn_accepts_reset(&accepts);
        TEST_EQUAL(alloc.bytes, 0);
    }
}

TEST_MAIN

/* The UDP handshake: client and server machines against each other.
 *
 * Aim: all three securities connect whatever single message is lost; nothing wrong is answered; what is answered is never
 * larger than what came; a token connects once. Method: a pair of machines under virtual time and seeded entropy, with a
 * hook that may lose or change each datagram. */
#include "nn_bytes.h"
#include "nn_handshake_client.h"
#include "nn_handshake_server.h"
#include "nn_hash.h"
#include "nn_random.h"
#include "test.h"

#define WALL_US UINT64_C(1790000000000000)
#define START_US UINT64_C(1000000)

static const char setup_text[] = "SETUP of the client";
static const char setup_ok_text[] = "SETUP_OK of the server";

typedef struct pair {
    nn_alloc alloc;
    nn_random random;
    necpnet_entropy entropy;
    necpnet_token_key keys[2];
    nn_handshake_server_config server_config;
    nn_handshake_client_config client_config;
    nn_token_bundle bundle;
    nn_handshake_server* server;
    nn_handshake_client client;
    necpnet_address from;
    nn_connection_keys server_keys;
    uint64_t now_us;
    uint64_t wall_us;
    int lose_up; /* number of the datagram to lose, 1 is the first; 0 none */
    int lose_down;
    int ups;
    int downs;
    int admits;
    necpnet_result refuse; /* OK: accept */
    necpnet_result accept_result;
    necpnet_drop last_drop;
    uint8_t last_auth[NN_HANDSHAKE_BYTES];
    uint8_t last_accept[NN_HANDSHAKE_BYTES];
    size_t last_accept_bytes;
    bool entropy_fails;
} pair;

static bool pair_fill(void* to, size_t bytes, void* user)
{
    pair* p = (pair*)user;
    for (size_t i = 0; i < bytes; i++) ((uint8_t*)to)[i] = (uint8_t)nn_random_u64(&p->random);
    return !p->entropy_fails;
}

static void pair_token(pair* p, uint64_t server_id, uint64_t issued_us)
{
    necpnet_token_config config;
    char text[NECPNET_TOKEN_TEXT_BYTES_MAX];
    TEST_OK(necpnet_token_config_default(&config));
    config.client_id = 77;
    config.server_id = server_id;
    config.issued_us = issued_us;
    config.entropy = p->entropy;
    memset(config.user_data, 0x5a, sizeof config.user_data);
    TEST_OK(necpnet_token_create(&config, &p->keys[0], text, sizeof text));
    TEST_OK(nn_token_bundle_parse(text, &p->bundle));
}

static void pair_init(pair* p, necpnet_security security, uint64_t seed)
{
    memset(p, 0, sizeof *p);
    struct necpnet_allocator allocator = test_allocator();
    nn_alloc_init(&p->alloc, &allocator);
    nn_random_seed(&p->random, seed);
    p->entropy.fill = pair_fill;
    p->entropy.user = p;
    p->now_us = START_US;
    p->wall_us = WALL_US;
    p->keys[0].id = 9;
    p->keys[1].id = 4;
    memset(p->keys[0].bytes, 3, sizeof p->keys[0].bytes);
    memset(p->keys[1].bytes, 7, sizeof p->keys[1].bytes);
    p->from.family = NECPNET_ADDRESS_IPV4;
    p->from.port = 5555;
    p->from.bytes[0] = 127;
    p->from.bytes[3] = 1;
    p->server_config.entropy = &p->entropy;
    p->server_config.security = security;
    p->server_config.token_keys = p->keys;
    p->server_config.token_key_count = 2;
    p->server_config.server_id = 42;
    p->server_config.token_restart_guard = true;
    p->client_config.alloc = &p->alloc;
    p->client_config.entropy = &p->entropy;
    p->client_config.security = security;
    p->client_config.setup = setup_text;
    p->client_config.setup_bytes = sizeof setup_text;
    p->client_config.client_connection_id = 0xc1c2c3c4;
    p->client_config.timeout_us = 5000000;
    p->client_config.wall_us = WALL_US;
    p->client_config.bundle = &p->bundle;
}

static void pair_begin(pair* p)
{
    TEST_OK(nn_handshake_server_create(&p->alloc, &p->server_config, p->now_us, &p->server));
    if (p->server_config.security == NECPNET_SECURITY_TOKEN && !p->bundle.info.version) {
        pair_token(p, 42, p->wall_us + 1000);
    }
    TEST_OK(nn_handshake_client_init(&p->client, &p->client_config, p->now_us));
}

static void pair_end(pair* p)
{
    nn_handshake_client_reset(&p->client);
    nn_handshake_server_destroy(p->server);
    nn_aead_destroy(p->server_keys.send);
    nn_aead_destroy(p->server_keys.receive);
    TEST_EQUAL(p->alloc.bytes, 0);
}

/* One datagram to the server and its answer back. */
static void pair_to_server(pair* p, const uint8_t* data, size_t bytes)
{
    uint8_t reply[NN_HANDSHAKE_BYTES];
    nn_handshake_outcome out;
    nn_handshake_server_read(p->server, &p->from, data, bytes, p->now_us, p->wall_us, reply, &out);
    p->last_drop = out.drop;
    size_t reply_bytes = out.kind == NN_HANDSHAKE_REPLY ? out.reply_bytes : 0;
    if (out.kind == NN_HANDSHAKE_ADMIT) {
        p->admits++;
        TEST_EQUAL(out.setup_bytes, p->client_config.setup_bytes);
        TEST_EQUAL_BYTES(out.setup, p->client_config.setup, out.setup_bytes);
        TEST_EQUAL(out.client_connection_id, 0xc1c2c3c4);
        if (p->server_config.security == NECPNET_SECURITY_TOKEN) {
            TEST_EQUAL(out.identity.client_id, 77);
            TEST_EQUAL(out.identity.user_data[63], 0x5a);
        }
        if (p->refuse) {
            nn_handshake_server_refuse(p->server, &out.pending, p->refuse, "because I say so", reply, &reply_bytes);
        } else {
            nn_aead_destroy(p->server_keys.send);
            nn_aead_destroy(p->server_keys.receive);
            memset(&p->server_keys, 0, sizeof p->server_keys);
            p->accept_result =
                nn_handshake_server_accept(p->server, &out.pending, &p->alloc, 0x51525354, setup_ok_text,
                                           sizeof setup_ok_text, NULL, reply, &reply_bytes, &p->server_keys);
            if (p->accept_result) reply_bytes = 0;
        }
    } else {
        static const nn_handshake_pending empty;
        TEST_EQUAL_BYTES(&out.pending, &empty, sizeof empty); /* no secret is left behind */
    }
    TEST_AT_MOST(reply_bytes, bytes); /* no amplification */
    if (!reply_bytes) return;
    if (reply[0] == NN_HANDSHAKE_ACCEPT) {
        memcpy(p->last_accept, reply, reply_bytes);
        p->last_accept_bytes = reply_bytes;
    }
    p->downs++;
    if (p->downs == p->lose_down) return;
    nn_handshake_client_read(&p->client, reply, reply_bytes, p->now_us);
}

static nn_handshake_state pair_run(pair* p)
{
    uint8_t datagram[NN_HANDSHAKE_BYTES];
    for (int i = 0; i < 200 && p->client.state == NN_HANDSHAKE_WAITING; i++) {
        uint64_t at_us = nn_handshake_client_deadline_us(&p->client);
        if (at_us > p->now_us) {
            p->wall_us += at_us - p->now_us;
            p->now_us = at_us;
        }
        size_t bytes = 0;
        nn_handshake_client_write(&p->client, p->now_us, datagram, &bytes);
        if (!bytes) continue;
        TEST_EQUAL(bytes, NN_HANDSHAKE_BYTES);
        if (datagram[0] == NN_HANDSHAKE_AUTH) memcpy(p->last_auth, datagram, bytes);
        p->ups++;
        if (p->ups != p->lose_up) pair_to_server(p, datagram, bytes);
    }
    TEST_NOT_EQUAL(p->client.state, NN_HANDSHAKE_WAITING);
    return p->client.state;
}

static void pair_check_open(pair* p)
{
    TEST_EQUAL(p->client.state, NN_HANDSHAKE_DONE);
    TEST_EQUAL(p->client.server_connection_id, 0x51525354);
    TEST_EQUAL(p->client.setup_ok_bytes, sizeof setup_ok_text);
    TEST_EQUAL_STRING((const char*)p->client.setup_ok, setup_ok_text);
    uint8_t header[7] = {0x80, 1, 2, 3, 4, 5, 6};
    uint8_t data[100];
    uint8_t tag[NN_AEAD_TAG_BYTES];
    memset(data, 0xab, sizeof data);
    nn_aead_seal(p->client.keys.send, 5, header, sizeof header, data, sizeof data, tag);
    TEST_CHECK(nn_aead_open(p->server_keys.receive, 5, header, sizeof header, data, sizeof data, tag));
    TEST_EQUAL(data[99], 0xab);
    nn_aead_seal(p->server_keys.send, 5, header, sizeof header, data, sizeof data, tag);
    TEST_CHECK(!nn_aead_open(p->server_keys.receive, 5, header, sizeof header, data, sizeof data, tag));
    memset(data, 0xab, sizeof data);
    nn_aead_seal(p->server_keys.send, 6, header, sizeof header, data, sizeof data, tag);
    TEST_CHECK(nn_aead_open(p->client.keys.receive, 6, header, sizeof header, data, sizeof data, tag));
    TEST_EQUAL(data[0], 0xab);
    TEST_EQUAL_BYTES(p->client.keys.send_secret, p->server_keys.receive_secret, NN_SECRET_BYTES);
    TEST_CHECK(memcmp(p->client.keys.send_secret, p->client.keys.receive_secret, NN_SECRET_BYTES) != 0);
}

static bool is_built(necpnet_security security)
{
    return security == NECPNET_SECURITY_NONE || nn_aead_suites() != 0;
}

TEST(test_handshake_connects_in_every_security_whatever_message_is_lost)
{
    for (int security = 0; security <= NECPNET_SECURITY_NONE; security++) {
        if (!is_built((necpnet_security)security)) continue;
        for (int lost = 0; lost <= 4; lost++) {
            TEST_HINT("security %d, lost %d", security, lost);
            pair p;
            pair_init(&p, (necpnet_security)security, 100 + (uint64_t)lost);
            p.lose_up = lost == 1 || lost == 2 ? lost : 0;
            p.lose_down = lost == 3 || lost == 4 ? lost - 2 : 0;
            pair_begin(&p);
            TEST_EQUAL(pair_run(&p), NN_HANDSHAKE_DONE);
            pair_check_open(&p);
            TEST_EQUAL(p.admits, 1);
            TEST_EQUAL(p.now_us - START_US, lost ? NN_HANDSHAKE_RESEND_US_MIN : 0);
            pair_end(&p);
        }
    }
}

TEST(test_handshake_offers_and_takes_each_suite)
{
    if (!is_built(NECPNET_SECURITY_OPEN)) TEST_SKIP("no crypto library");
    for (uint32_t suite = NN_SUITE_CHACHA20_POLY1305; suite <= NN_SUITE_AES_256_GCM; suite++) {
        pair p;
        pair_init(&p, NECPNET_SECURITY_OPEN, 5);
        p.client_config.suites = 1u << suite;
        pair_begin(&p);
        TEST_EQUAL(pair_run(&p), NN_HANDSHAKE_DONE);
        TEST_EQUAL(p.client.keys.suite, suite);
        pair_check_open(&p);
        pair_end(&p);
    }
    /* AES only where both sides say that it is fast. */
    for (int fast = 0; fast < 3; fast++) {
        pair p;
        uint32_t both = 1u << NN_SUITE_CHACHA20_POLY1305 | 1u << NN_SUITE_AES_256_GCM;
        pair_init(&p, NECPNET_SECURITY_OPEN, 5);
        p.client_config.suites = fast == 1 ? both : both | NN_SUITES_FAST_AES;
        p.server_config.suites = fast == 2 ? both : both | NN_SUITES_FAST_AES;
        pair_begin(&p);
        TEST_EQUAL(pair_run(&p), NN_HANDSHAKE_DONE);
        TEST_EQUAL(p.client.keys.suite, fast == 0 && nn_aead_suites() & NN_SUITES_FAST_AES
                                            ? NN_SUITE_AES_256_GCM
                                            : NN_SUITE_CHACHA20_POLY1305);
        pair_check_open(&p);
        pair_end(&p);
    }
    pair p;
    pair_init(&p, NECPNET_SECURITY_OPEN, 5);
    p.client_config.suites = 1u << NN_SUITE_AES_256_GCM;
    p.server_config.suites = 1u << NN_SUITE_CHACHA20_POLY1305;
    pair_begin(&p);
    TEST_EQUAL(pair_run(&p), NN_HANDSHAKE_FAILED);
    TEST_EQUAL(p.last_drop, NECPNET_DROP_MODE);
    pair_end(&p);
}

TEST(test_handshake_carries_the_largest_setup_and_none)
{
    static const uint8_t large[NN_HANDSHAKE_SETUP_BYTES_MAX] = {1, 2, 3};
    for (int i = 0; i < 2; i++) {
        pair p;
        pair_init(&p, NECPNET_SECURITY_NONE, 3);
        p.client_config.setup = large;
        p.client_config.setup_bytes = i ? sizeof large : 0;
        pair_begin(&p);
        TEST_EQUAL(pair_run(&p), NN_HANDSHAKE_DONE);
        pair_end(&p);
    }
    pair p;
    pair_init(&p, NECPNET_SECURITY_NONE, 3);
    p.client_config.setup_bytes = sizeof large + 1;
    TEST_EQUAL(nn_handshake_client_init(&p.client, &p.client_config, 0), NECPNET_ERR_INVALID_ARGUMENT);
}

TEST(test_handshake_with_another_passphrase_meets_silence_and_says_so)
{
    if (!is_built(NECPNET_SECURITY_OPEN)) TEST_SKIP("no crypto library");
    uint8_t right[NN_PSK_BYTES], wrong[NN_PSK_BYTES];
    TEST_OK(nn_key_of_passphrase("open sesame", right));
    TEST_OK(nn_key_of_passphrase("open barley", wrong));
    for (int i = 0; i < 3; i++) {
        pair p;
        pair_init(&p, NECPNET_SECURITY_OPEN, 8);
        p.server_config.psk = right;
        p.client_config.psk = i == 0 ? right : i == 1 ? wrong : NULL;
        pair_begin(&p);
        TEST_EQUAL(pair_run(&p), i == 0 ? NN_HANDSHAKE_DONE : NN_HANDSHAKE_FAILED);
        if (i) {
            TEST_EQUAL(p.last_drop, NECPNET_DROP_PROOF);
            TEST_EQUAL(p.client.result, NECPNET_ERR_NO_ANSWER);
            TEST_CHECK(strstr(p.client.text, "passphrase") != NULL);
            TEST_EQUAL(p.admits, 0);
            TEST_EQUAL(p.now_us, START_US + 5000000);
        }
        pair_end(&p);
    }
}

TEST(test_handshake_between_different_securities_meets_silence)
{
    for (int server = 0; server <= NECPNET_SECURITY_NONE; server++) {
        for (int client = 0; client <= NECPNET_SECURITY_NONE; client++) {
            if (client == server || !is_built((necpnet_security)server) || !is_built((necpnet_security)client))
                continue;
            pair p;
            pair_init(&p, (necpnet_security)server, 8);
            p.client_config.security = (necpnet_security)client;
            pair_token(&p, 42, WALL_US + 1000);
            pair_begin(&p);
            TEST_EQUAL(pair_run(&p), NN_HANDSHAKE_FAILED);
            TEST_EQUAL(p.last_drop, NECPNET_DROP_MODE);
            TEST_EQUAL(p.downs, 0);
            TEST_CHECK(strstr(p.client.text, "server down") != NULL);
            pair_end(&p);
        }
    }
}

/* One thing wrong with a token; what the server counts. */
static void expect_token_drop(necpnet_drop drop, void (*spoil)(pair* p))
{
    pair p;
    pair_init(&p, NECPNET_SECURITY_TOKEN, 21);
    TEST_HINT("expected %s", necpnet_drop_name(drop));
    pair_token(&p, 42, WALL_US + 1000);
    spoil(&p);
    pair_begin(&p);
    TEST_EQUAL(pair_run(&p), NN_HANDSHAKE_FAILED);
    TEST_EQUAL(p.last_drop, drop);
    TEST_EQUAL(p.client.result, NECPNET_ERR_NO_ANSWER);
    TEST_EQUAL(p.ups, 10);  /* HELLO, four AUTHs, and again */
    TEST_EQUAL(p.downs, 2); /* RETRYs alone came back */
    TEST_EQUAL(p.admits, 0);
    TEST_EQUAL(p.last_accept_bytes, 0);
    pair_end(&p);
}

static void spoil_server(pair* p)
{
    pair_token(p, 43, WALL_US + 1000);
}

static void spoil_key(pair* p)
{
    p->keys[0].bytes[31] ^= 1;
}

static void spoil_key_id(pair* p)
{
    p->keys[0].id = 10;
}

static void spoil_expired(pair* p)
{
    pair_token(p, 42, WALL_US - 45000000);
    p->client_config.wall_us = 0;
    p->server_config.token_restart_guard = false;
}

static void spoil_future(pair* p)
{
    pair_token(p, 42, WALL_US + NN_TOKEN_SKEW_US + 10000000);
}

static void spoil_stale(pair* p)
{
    pair_token(p, 42, WALL_US - 1);
}

static void spoil_epoch(pair* p)
{
    p->server_config.token_epoch = 1;
}

static void spoil_psk(pair* p)
{
    p->bundle.psk[0] ^= 1;
}

static void spoil_clock(pair* p)
{
    p->wall_us = 0; /* the server was never told the time; virtual time then only adds the seconds of the test */
    p->server_config.token_restart_guard = false;
}

TEST(test_handshake_meets_each_wrong_token_with_silence_and_counts_it)
{
    if (!is_built(NECPNET_SECURITY_TOKEN)) TEST_SKIP("no crypto library");
    expect_token_drop(NECPNET_DROP_TOKEN_SERVER, spoil_server);
    expect_token_drop(NECPNET_DROP_TOKEN_KEY, spoil_key);
    expect_token_drop(NECPNET_DROP_TOKEN_KEY, spoil_key_id);
    expect_token_drop(NECPNET_DROP_TOKEN_EXPIRED, spoil_expired);
    expect_token_drop(NECPNET_DROP_TOKEN_EXPIRED, spoil_future);
    expect_token_drop(NECPNET_DROP_TOKEN_STALE, spoil_stale);
    expect_token_drop(NECPNET_DROP_TOKEN_EPOCH, spoil_epoch);
    expect_token_drop(NECPNET_DROP_PROOF, spoil_psk);
    expect_token_drop(NECPNET_DROP_TOKEN_EXPIRED, spoil_clock);
}

TEST(test_handshake_client_checks_the_clear_companion_itself)
{
    if (!is_built(NECPNET_SECURITY_TOKEN)) TEST_SKIP("no crypto library");
    pair p;
    pair_init(&p, NECPNET_SECURITY_TOKEN, 1);
    pair_token(&p, 42, WALL_US - 45000000);
    TEST_EQUAL(nn_handshake_client_init(&p.client, &p.client_config, 0), NECPNET_ERR_TOKEN_EXPIRED);
    p.client_config.wall_us = WALL_US - 1;
    TEST_OK(nn_handshake_client_init(&p.client, &p.client_config, 0));
    p.bundle.info.version = 2;
    TEST_EQUAL(nn_handshake_client_init(&p.client, &p.client_config, 0), NECPNET_ERR_VERSION_DIFFERS);
    p.client_config.bundle = NULL;
    TEST_EQUAL(nn_handshake_client_init(&p.client, &p.client_config, 0), NECPNET_ERR_TOKEN_MISSING);
    p.client_config.security = NECPNET_SECURITY_NONE;
    p.entropy_fails = true;
    TEST_EQUAL(nn_handshake_client_init(&p.client, &p.client_config, 0), NECPNET_ERR_NO_ENTROPY);
    nn_handshake_client_reset(&p.client);
}

TEST(test_handshake_spends_a_token_once)
{
    if (!is_built(NECPNET_SECURITY_TOKEN)) TEST_SKIP("no crypto library");
    pair p;
    pair_init(&p, NECPNET_SECURITY_TOKEN, 30);
    pair_begin(&p);
    TEST_EQUAL(pair_run(&p), NN_HANDSHAKE_DONE);
    nn_handshake_client_reset(&p.client);
    TEST_OK(nn_handshake_client_init(&p.client, &p.client_config, p.now_us));
    TEST_EQUAL(pair_run(&p), NN_HANDSHAKE_FAILED);
    TEST_EQUAL(p.last_drop, NECPNET_DROP_TOKEN_SPENT);
    TEST_EQUAL(p.admits, 1);
    pair_end(&p);
}

TEST(test_handshake_refused_by_name_leaves_the_token_unspent)
{
    for (int security = 0; security <= NECPNET_SECURITY_NONE; security++) {
        if (!is_built((necpnet_security)security)) continue;
        pair p;
        pair_init(&p, (necpnet_security)security, 31);
        p.refuse = NECPNET_ERR_SERVER_FULL;
        pair_begin(&p);
        TEST_EQUAL(pair_run(&p), NN_HANDSHAKE_FAILED);
        TEST_EQUAL(p.client.result, NECPNET_ERR_SERVER_FULL);
        TEST_EQUAL_STRING(p.client.text, "because I say so");
        TEST_EQUAL(p.now_us, START_US);
        p.refuse = NECPNET_OK;
        nn_handshake_client_reset(&p.client);
        TEST_OK(nn_handshake_client_init(&p.client, &p.client_config, p.now_us));
        TEST_EQUAL(pair_run(&p), NN_HANDSHAKE_DONE);
        pair_check_open(&p);
        pair_end(&p);
    }
}

TEST(test_handshake_gives_a_repeated_auth_the_same_accept)
{
    for (int security = 0; security <= NECPNET_SECURITY_NONE; security++) {
        if (!is_built((necpnet_security)security)) continue;
        pair p;
        pair_init(&p, (necpnet_security)security, 40);
        pair_begin(&p);
        TEST_EQUAL(pair_run(&p), NN_HANDSHAKE_DONE);
        uint8_t first[NN_HANDSHAKE_BYTES];
        size_t first_bytes = p.last_accept_bytes;
        memcpy(first, p.last_accept, first_bytes);
        p.now_us += 5000000;
        int downs = p.downs;
        p.last_accept_bytes = 0;
        pair_to_server(&p, p.last_auth, sizeof p.last_auth);
        TEST_EQUAL(p.downs, downs + 1);
        TEST_EQUAL(p.admits, 1);
        TEST_EQUAL(p.last_accept_bytes, first_bytes);
        TEST_EQUAL_BYTES(p.last_accept, first, first_bytes);
        p.now_us += 5000001; /* the cookie is too old now */
        pair_to_server(&p, p.last_auth, sizeof p.last_auth);
        TEST_EQUAL(p.downs, downs + 1);
        TEST_EQUAL(p.last_drop, NECPNET_DROP_COOKIE);
        pair_end(&p);
    }
}

TEST(test_handshake_binds_the_cookie_to_address_port_and_fields)
{
    pair p;
    pair_init(&p, NECPNET_SECURITY_NONE, 50);
    pair_begin(&p);
    p.refuse = NECPNET_ERR_SERVER_FULL; /* so that no ACCEPT is remembered */
    pair_run(&p);
    TEST_EQUAL(p.admits, 1);
    static const size_t places[] = {3, 4, 8, 12, 43, 44, 51, 52, 67};
    for (size_t i = 0; i < NN_COUNT(places); i++) {
        uint8_t changed[NN_HANDSHAKE_BYTES];
        memcpy(changed, p.last_auth, sizeof changed);
        changed[places[i]] ^= 1;
        pair_to_server(&p, changed, sizeof changed);
        TEST_HINT("byte %d", (int)places[i]);
        TEST_EQUAL(p.last_drop, NECPNET_DROP_COOKIE);
    }
    p.from.port++;
    pair_to_server(&p, p.last_auth, sizeof p.last_auth);
    TEST_EQUAL(p.last_drop, NECPNET_DROP_COOKIE);
    p.from.port--;
    p.from.bytes[3]++;
    pair_to_server(&p, p.last_auth, sizeof p.last_auth);
    TEST_EQUAL(p.last_drop, NECPNET_DROP_COOKIE);
    p.from.bytes[3]--;
    TEST_EQUAL(p.admits, 1);
    pair_to_server(&p, p.last_auth, sizeof p.last_auth);
    TEST_EQUAL(p.admits, 2);
    pair_end(&p);
}

TEST(test_handshake_outlives_a_change_of_cookie_key)
{
    pair p;
    pair_init(&p, NECPNET_SECURITY_NONE, 51);
    pair_begin(&p);
    uint8_t datagram[NN_HANDSHAKE_BYTES];
    size_t bytes = 0;
    p.now_us = START_US + NN_COOKIE_KEY_US - 5000000;
    p.client_config.timeout_us = NN_NEVER;
    TEST_OK(nn_handshake_client_init(&p.client, &p.client_config, p.now_us));
    nn_handshake_client_write(&p.client, p.now_us, datagram, &bytes);
    pair_to_server(&p, datagram, bytes);
    nn_handshake_client_write(&p.client, p.now_us, datagram, &bytes);
    TEST_EQUAL(datagram[0], NN_HANDSHAKE_AUTH);
    p.now_us += NN_COOKIE_LIFE_US; /* the key has changed between */
    p.refuse = NECPNET_ERR_SERVER_FULL;
    pair_to_server(&p, datagram, bytes);
    TEST_EQUAL(p.admits, 1);
    p.now_us += 1;
    pair_to_server(&p, datagram, bytes);
    TEST_EQUAL(p.admits, 1);
    TEST_EQUAL(p.last_drop, NECPNET_DROP_COOKIE);
    pair_end(&p);
}

TEST(test_handshake_asks_for_a_new_cookie_when_auth_stays_unanswered)
{
    pair p;
    pair_init(&p, NECPNET_SECURITY_NONE, 52);
    pair_begin(&p);
    uint8_t datagram[NN_HANDSHAKE_BYTES];
    size_t bytes = 0;
    nn_handshake_client_write(&p.client, p.now_us, datagram, &bytes);
    pair_to_server(&p, datagram, bytes);
    for (unsigned i = 0; i < NN_HANDSHAKE_AUTHS_MAX; i++) {
        p.now_us = nn_handshake_client_deadline_us(&p.client);
        nn_handshake_client_write(&p.client, p.now_us, datagram, &bytes);
        TEST_EQUAL(datagram[0], NN_HANDSHAKE_AUTH);
    }
    TEST_EQUAL(p.now_us - START_US, 250000 + 500000 + 1000000);
    p.now_us = nn_handshake_client_deadline_us(&p.client);
    nn_handshake_client_write(&p.client, p.now_us, datagram, &bytes);
    TEST_EQUAL(datagram[0], NN_HANDSHAKE_HELLO);
    pair_to_server(&p, datagram, bytes);
    TEST_EQUAL(pair_run(&p), NN_HANDSHAKE_DONE);
    pair_check_open(&p);
    pair_end(&p);
}

TEST(test_handshake_server_is_silent_on_garbage)
{
    pair p;
    pair_init(&p, NECPNET_SECURITY_NONE, 60);
    pair_begin(&p);
    uint8_t hello[NN_HANDSHAKE_BYTES];
    size_t bytes = 0;
    nn_handshake_client_write(&p.client, p.now_us, hello, &bytes);
    uint8_t data[1500];
    memset(data, 0, sizeof data);
    for (size_t cut = 0; cut < sizeof hello; cut += cut < 16 ? 1 : 37) {
        pair_to_server(&p, hello, cut);
        TEST_EQUAL(p.last_drop, cut < 8 ? NECPNET_DROP_TOO_SHORT : NECPNET_DROP_NOT_PADDED);
    }
    memcpy(data, hello, sizeof hello);
    pair_to_server(&p, data, sizeof hello + 1);
    TEST_EQUAL(p.last_drop, NECPNET_DROP_MALFORMED);
    data[1199] = 1;
    pair_to_server(&p, data, sizeof hello);
    TEST_EQUAL(p.last_drop, NECPNET_DROP_MALFORMED);
    data[1199] = 0;
    data[1] = 2;
    pair_to_server(&p, data, sizeof hello);
    TEST_EQUAL(p.last_drop, NECPNET_DROP_VERSION);
    data[1] = 1;
    static const uint8_t types[] = {0, 2, 4, 5, 6, 7, 15};
    for (size_t i = 0; i < sizeof types; i++) {
        data[0] = types[i];
        pair_to_server(&p, data, sizeof hello);
        TEST_EQUAL(p.last_drop, NECPNET_DROP_MALFORMED);
    }
    struct test_random random = test_random_begin(7);
    for (int i = 0; i < 20000; i++) {
        size_t length = (i & 1) ? NN_HANDSHAKE_BYTES : (size_t)test_random_below(&random, 1500);
        test_random_bytes(&random, data, length);
        data[0] = (uint8_t)(1 + test_random_below(&random, 8));
        if (i & 2) data[1] = NN_HANDSHAKE_VERSION;
        pair_to_server(&p, data, length);
        nn_handshake_client_read(&p.client, data, length, p.now_us);
    }
    TEST_EQUAL(p.downs, 0);
    TEST_EQUAL(p.admits, 0);
    TEST_EQUAL(p.client.state, NN_HANDSHAKE_WAITING);
    pair_end(&p);
}

TEST(test_handshake_accepts_none_of_ten_thousand_changed_tokens)
{
    if (!is_built(NECPNET_SECURITY_TOKEN)) TEST_SKIP("no crypto library");
    pair p;
    pair_init(&p, NECPNET_SECURITY_TOKEN, 61);
    pair_begin(&p);
    uint8_t datagram[NN_HANDSHAKE_BYTES];
    size_t bytes = 0;
    nn_handshake_client_write(&p.client, p.now_us, datagram, &bytes);
    pair_to_server(&p, datagram, bytes);
    nn_handshake_client_write(&p.client, p.now_us, datagram, &bytes);
    TEST_EQUAL(datagram[0], NN_HANDSHAKE_AUTH);
    int downs = p.downs;
    size_t used = NN_AUTH_HEADER_BYTES + sizeof setup_text + NN_AEAD_TAG_BYTES;
    struct test_random random = test_random_begin(test_seed());
    for (int i = 0; i < 10000; i++) {
        uint8_t changed[NN_HANDSHAKE_BYTES];
        memcpy(changed, datagram, sizeof changed);
        /* each bit once, then several at random; half of the time in the token alone */
        size_t bit = (size_t)i < used * 8 ? (size_t)i : (size_t)test_random_below(&random, used * 8);
        changed[bit / 8] ^= (uint8_t)(1u << bit % 8);
        for (uint64_t more = (size_t)i < used * 8 ? 0 : test_random_below(&random, 8); more > 0; more--) {
            changed[100 + test_random_below(&random, 196)] ^= (uint8_t)(1 + test_random_below(&random, 255));
        }
        if (memcmp(changed, datagram, sizeof changed) == 0) continue;
        pair_to_server(&p, changed, sizeof changed);
        TEST_HINT("change %d", i);
        TEST_EQUAL(p.admits, 0);
        TEST_EQUAL(p.downs, downs);
    }
    pair_to_server(&p, datagram, bytes);
    TEST_EQUAL(p.admits, 1);
    pair_end(&p);
}

/* A HELLO of the connection id and nonce that an AUTH has, and its cookie put into that AUTH. */
static void renew_cookie(pair* p, uint8_t* auth)
{
    uint8_t hello[NN_HANDSHAKE_BYTES] = {NN_HANDSHAKE_HELLO, auth[1], auth[2]};
    uint8_t reply[NN_HANDSHAKE_BYTES];
    nn_handshake_outcome out;
    memcpy(hello + 4, auth + 4, 40); /* connection id, suites, nonce */
    nn_handshake_server_read(p->server, &p->from, hello, sizeof hello, p->now_us, p->wall_us, reply, &out);
    TEST_EQUAL(out.kind, NN_HANDSHAKE_REPLY);
    TEST_EQUAL(reply[0], NN_HANDSHAKE_RETRY);
    memcpy(auth + 44, reply + 8, 24);
}

/* quality.md "Safe": replayed, other address, other server, expired, cut: 0 of 10,000 accepted. Each has a right cookie but
 * those from another address, so that the token itself is judged. */
TEST(test_handshake_accepts_none_of_ten_thousand_tokens_replayed_foreign_expired_or_cut)
{
    if (!is_built(NECPNET_SECURITY_TOKEN)) TEST_SKIP("no crypto library");
    pair p;
    uint8_t auth[NN_HANDSHAKE_BYTES];
    pair_init(&p, NECPNET_SECURITY_TOKEN, 62);
    pair_begin(&p);
    TEST_EQUAL(pair_run(&p), NN_HANDSHAKE_DONE);
    TEST_EQUAL(p.admits, 1);
    memcpy(auth, p.last_auth, sizeof auth);
    p.now_us += 11000000; /* the answer is no longer kept for who lost it */
    p.wall_us += 11000000;
    renew_cookie(&p, auth);
    int downs = p.downs;
    for (int i = 0; i < 2000; i++) pair_to_server(&p, auth, sizeof auth);
    TEST_EQUAL(p.last_drop, NECPNET_DROP_TOKEN_SPENT);
    for (int i = 0; i < 2000; i++) {
        necpnet_address own = p.from;
        p.from.port = (uint16_t)(1 + i % 5000);
        p.from.bytes[i % 4] ^= (uint8_t)(1 + i % 255);
        pair_to_server(&p, auth, sizeof auth);
        p.from = own;
        TEST_EQUAL(p.last_drop, NECPNET_DROP_COOKIE);
    }
    for (int i = 0; i < 4000; i++) { /* the owner's proof over another of his tokens */
        bool expired = i % 2 == 1;
        pair_token(&p, expired ? 42 : 43 + (uint64_t)i, p.wall_us - (expired ? 45000001 + (uint64_t)i * 1000 : 1000));
        memcpy(auth + 100, p.bundle.sealed, sizeof p.bundle.sealed);
        pair_to_server(&p, auth, sizeof auth);
        TEST_EQUAL(p.last_drop, expired ? NECPNET_DROP_TOKEN_EXPIRED : NECPNET_DROP_TOKEN_SERVER);
    }
    pair_token(&p, 42, p.wall_us);
    for (size_t i = 0; i < 2000; i++) { /* the datagram cut, and the token in a whole one */
        memcpy(auth + 100, p.bundle.sealed, sizeof p.bundle.sealed);
        if (i < NN_HANDSHAKE_BYTES) {
            pair_to_server(&p, auth, i);
        } else {
            size_t kept = i % sizeof p.bundle.sealed;
            memset(auth + 100 + kept, 0, sizeof p.bundle.sealed - kept);
            pair_to_server(&p, auth, sizeof auth);
        }
    }
    TEST_EQUAL(p.downs, downs);
    TEST_EQUAL(p.admits, 1);
    pair_end(&p);
}

TEST(test_handshake_client_ignores_changed_answers)
{
    for (int security = 0; security <= NECPNET_SECURITY_NONE; security++) {
        if (!is_built((necpnet_security)security)) continue;
        for (int refuse = 0; refuse < 2; refuse++) {
            pair p;
            pair_init(&p, (necpnet_security)security, 62);
            pair_begin(&p);
            uint8_t datagram[NN_HANDSHAKE_BYTES];
            uint8_t reply[NN_HANDSHAKE_BYTES];
            size_t bytes = 0;
            nn_handshake_outcome out;
            nn_handshake_client_write(&p.client, p.now_us, datagram, &bytes);
            pair_to_server(&p, datagram, bytes);
            nn_handshake_client_write(&p.client, p.now_us, datagram, &bytes);
            nn_handshake_server_read(p.server, &p.from, datagram, bytes, p.now_us, p.wall_us, reply, &out);
            TEST_EQUAL(out.kind, NN_HANDSHAKE_ADMIT);
            size_t reply_bytes = 0;
            if (refuse) {
                nn_handshake_server_refuse(p.server, &out.pending, NECPNET_ERR_SERVER_FULL, "no\nroom", reply,
                                           &reply_bytes);
            } else {
                TEST_OK(nn_handshake_server_accept(p.server, &out.pending, &p.alloc, 1, "x", 1, NULL, reply,
                                                   &reply_bytes, &p.server_keys));
            }
            TEST_GREATER(reply_bytes, 0);
            /* Each change of an ACCEPT costs the client an X25519: fewer of them there. */
            size_t step = refuse || security == NECPNET_SECURITY_NONE ? 1 : 23;
            for (size_t bit = 0; bit < reply_bytes * 8; bit += step) {
                uint8_t changed[NN_HANDSHAKE_BYTES];
                memcpy(changed, reply, reply_bytes);
                changed[bit / 8] ^= (uint8_t)(1u << bit % 8);
                TEST_HINT("security %d refuse %d bit %d", security, refuse, (int)bit);
                TEST_EQUAL(nn_handshake_client_read(&p.client, changed, reply_bytes, p.now_us), NN_HANDSHAKE_WAITING);
            }
            for (size_t cut = 0; cut < reply_bytes; cut++) {
                TEST_EQUAL(nn_handshake_client_read(&p.client, reply, cut, p.now_us), NN_HANDSHAKE_WAITING);
            }
            TEST_EQUAL(nn_handshake_client_read(&p.client, reply, reply_bytes, p.now_us),
                       refuse ? NN_HANDSHAKE_FAILED : NN_HANDSHAKE_DONE);
            if (refuse) TEST_EQUAL_STRING(p.client.text, "no room");
            pair_end(&p);
        }
    }
}

TEST(test_handshake_server_limits_open_handshakes_by_a_budget)
{
    if (!is_built(NECPNET_SECURITY_OPEN)) TEST_SKIP("no crypto library");
    pair p;
    pair_init(&p, NECPNET_SECURITY_OPEN, 70);
    p.server_config.open_handshakes_per_s = 10;
    pair_begin(&p);
    int done = 0;
    for (int i = 0; i < 80; i++) {
        nn_handshake_client_reset(&p.client);
        TEST_OK(nn_handshake_client_init(&p.client, &p.client_config, p.now_us));
        uint8_t datagram[NN_HANDSHAKE_BYTES];
        size_t bytes = 0;
        nn_handshake_client_write(&p.client, p.now_us, datagram, &bytes);
        pair_to_server(&p, datagram, bytes);
        nn_handshake_client_write(&p.client, p.now_us, datagram, &bytes);
        pair_to_server(&p, datagram, bytes);
        if (p.client.state == NN_HANDSHAKE_DONE) {
            done++;
        } else {
            TEST_EQUAL(p.last_drop, NECPNET_DROP_BUSY);
        }
    }
    TEST_EQUAL(done, NN_OPEN_HANDSHAKES_BURST);
    TEST_EQUAL(pair_run(&p), NN_HANDSHAKE_DONE); /* a resend 250 ms later finds two places */
    TEST_EQUAL(p.now_us, START_US + NN_HANDSHAKE_RESEND_US_MIN);
    pair_end(&p);
}

TEST(test_handshake_server_with_no_room_for_spent_tokens_refuses_by_name)
{
    if (!is_built(NECPNET_SECURITY_TOKEN)) TEST_SKIP("no crypto library");
    pair p;
    pair_init(&p, NECPNET_SECURITY_TOKEN, 71);
    p.server_config.spent_tokens_max = 3;
    pair_begin(&p);
    for (int i = 0; i < 3; i++) {
        TEST_EQUAL(pair_run(&p), NN_HANDSHAKE_DONE);
        nn_handshake_client_reset(&p.client);
        pair_token(&p, 42, WALL_US + 1000);
        TEST_OK(nn_handshake_client_init(&p.client, &p.client_config, p.now_us));
    }
    TEST_EQUAL(pair_run(&p), NN_HANDSHAKE_FAILED);
    TEST_EQUAL(p.client.result, NECPNET_ERR_RATE_LIMITED);
    TEST_EQUAL(p.last_drop, NECPNET_DROP_BUSY);
    nn_handshake_client_reset(&p.client);
    p.now_us += 106000000; /* 45 s of life and 60 s more */
    p.wall_us += 106000000;
    p.client_config.wall_us = p.wall_us;
    pair_token(&p, 42, p.wall_us);
    TEST_OK(nn_handshake_client_init(&p.client, &p.client_config, p.now_us));
    TEST_EQUAL(pair_run(&p), NN_HANDSHAKE_DONE);
    pair_end(&p);
}

TEST(test_handshake_survives_each_failing_allocation_and_spends_nothing_then)
{
    for (int security = 0; security <= NECPNET_SECURITY_NONE; security++) {
        if (!is_built((necpnet_security)security)) continue;
        TEST_EACH_ALLOCATION_FAILS {
            pair p;
            pair_init(&p, (necpnet_security)security, 80);
            if (security == NECPNET_SECURITY_TOKEN) pair_token(&p, 42, WALL_US + 1000);
            necpnet_result result = nn_handshake_server_create(&p.alloc, &p.server_config, p.now_us, &p.server);
            TEST_CHECK(result == NECPNET_OK || (result == NECPNET_ERR_OUT_OF_MEMORY && !p.server));
            if (!result) {
                TEST_OK(nn_handshake_client_init(&p.client, &p.client_config, p.now_us));
                nn_handshake_state state = pair_run(&p);
                if (!test_allocation_failed()) TEST_EQUAL(state, NN_HANDSHAKE_DONE);
                if (state == NN_HANDSHAKE_DONE) pair_check_open(&p);
                if (p.accept_result) TEST_EQUAL(p.accept_result, NECPNET_ERR_OUT_OF_MEMORY);
                nn_handshake_client_reset(&p.client);
            }
            nn_handshake_server_destroy(p.server);
            nn_aead_destroy(p.server_keys.send);
            nn_aead_destroy(p.server_keys.receive);
            TEST_EQUAL(p.alloc.bytes, 0);
        }
    }
}

TEST(test_handshake_reports_missing_entropy)
{
    pair p;
    pair_init(&p, NECPNET_SECURITY_NONE, 90);
    p.entropy_fails = true;
    TEST_EQUAL(nn_handshake_server_create(&p.alloc, &p.server_config, 1, &p.server), NECPNET_ERR_NO_ENTROPY);
    TEST_EQUAL(p.alloc.bytes, 0);
}

TEST(test_handshake_is_a_pure_function_of_entropy_and_time)
{
    uint8_t first[NN_HANDSHAKE_BYTES];
    size_t first_bytes = 0;
    for (int i = 0; i < 2; i++) {
        pair p;
        pair_init(&p, is_built(NECPNET_SECURITY_TOKEN) ? NECPNET_SECURITY_TOKEN : NECPNET_SECURITY_NONE, 91);
        pair_begin(&p);
        TEST_EQUAL(pair_run(&p), NN_HANDSHAKE_DONE);
        if (i == 0) {
            first_bytes = p.last_accept_bytes;
            memcpy(first, p.last_accept, first_bytes);
        } else {
            TEST_EQUAL(p.last_accept_bytes, first_bytes);
            TEST_EQUAL_BYTES(p.last_accept, first, first_bytes);
        }
        pair_end(&p);
    }
}

/* -- the order of judgement: everything is wrong at first, and is put right one by one -- */

/* A sealed token whose first `right` properties are right and whose others are wrong. */
static void order_token(pair* p, int right)
{
    nn_token token;
    uint8_t salt[NN_TOKEN_SALT_BYTES];
    static const uint8_t spent_id[NN_TOKEN_ID_BYTES] = {1, 2, 3};
    memset(&token, 0, sizeof token);
    memset(salt, right, sizeof salt);
    memcpy(token.id, spent_id, sizeof token.id);
    if (right > 7) token.id[0] = 99;                                   /* not spent */
    token.client_id = right > 4 ? 77 : 66;                             /* 66 is revoked */
    token.issued_us = right > 6 ? WALL_US + 1000 : WALL_US - 30000000; /* before the server began */
    token.expires_us = right > 1 ? WALL_US + 10000000 : WALL_US - 1;
    token.server_id = right > 2 ? 42 : 43;
    token.epoch = right > 3 ? 5 : 4;
    token.suite_min = right > 5 ? NN_SUITE_CHACHA20_POLY1305 : 200;
    memset(token.psk, 0x11, sizeof token.psk);
    memset(token.user_data, 0x5a, sizeof token.user_data);
    necpnet_token_key key = p->keys[0];
    if (right < 1) key.bytes[0] ^= 1;
    TEST_OK(nn_token_seal(&token, &key, salt, p->bundle.sealed));
    memcpy(p->bundle.psk, token.psk, sizeof token.psk);
    if (right < 9) p->bundle.psk[0] ^= 1; /* the last thing that is looked at */
}

static void order_spend(pair* p)
{
    uint8_t proof[16];
    necpnet_identity identity;
    order_token(p, 7);
    p->bundle.psk[0] ^= 1;
    nn_siphash128(p->bundle.psk, p->bundle.sealed, NN_TOKEN_SEALED_BYTES, proof);
    TEST_OK(nn_handshake_server_check_token(p->server, p->bundle.sealed, proof, p->wall_us, &identity));
}

TEST(test_handshake_server_judges_in_the_order_of_the_protocol)
{
    static const necpnet_drop order[] = {
        NECPNET_DROP_TOKEN_KEY,   NECPNET_DROP_TOKEN_EXPIRED, NECPNET_DROP_TOKEN_SERVER,
        NECPNET_DROP_TOKEN_EPOCH, NECPNET_DROP_TOKEN_REVOKED, NECPNET_DROP_MODE,
        NECPNET_DROP_TOKEN_STALE, NECPNET_DROP_TOKEN_SPENT,   NECPNET_DROP_PROOF};
    if (!is_built(NECPNET_SECURITY_TOKEN)) TEST_SKIP("built without a crypto library");
    for (int i = 0; i < 10; i++) {
        pair p;
        pair_init(&p, NECPNET_SECURITY_TOKEN, 61);
        p.server_config.token_epoch = 5;
        pair_token(&p, 42, WALL_US + 1000);
        TEST_OK(nn_handshake_server_create(&p.alloc, &p.server_config, p.now_us, &p.server));
        nn_handshake_server_set_start(p.server, WALL_US);
        order_spend(&p);
        nn_handshake_server_revoke_client(p.server, 66, WALL_US + 5000);
        order_token(&p, i);
        TEST_OK(nn_handshake_client_init(&p.client, &p.client_config, p.now_us));
        TEST_HINT("%d properties are right", i);
        nn_handshake_state state = pair_run(&p);
        if (i < 9) {
            TEST_EQUAL(p.last_drop, order[i]);
            TEST_EQUAL(p.admits, 0);
            TEST_EQUAL(p.last_accept_bytes, 0); /* silence */
        } else {
            TEST_EQUAL(state, NN_HANDSHAKE_DONE);
        }
        pair_end(&p);
    }
}

TEST(test_handshake_server_judges_the_form_before_the_cookie_and_the_cookie_before_the_token)
{
    pair p;
    uint8_t data[NN_HANDSHAKE_BYTES + 1];
    if (!is_built(NECPNET_SECURITY_TOKEN)) TEST_SKIP("built without a crypto library");
    pair_init(&p, NECPNET_SECURITY_TOKEN, 62);
    pair_begin(&p);
    memset(data, 0, sizeof data); /* no token, no cookie .. */
    data[0] = NN_HANDSHAKE_AUTH;
    data[1] = 77; /* .. another version */
    data[2] = NECPNET_SECURITY_TOKEN;
    data[3] = NN_SUITE_CHACHA20_POLY1305;
    static const struct {
        size_t bytes;
        uint8_t version;
        necpnet_drop drop;
    } steps[] = {{4, 77, NECPNET_DROP_TOO_SHORT},
                 {NN_HANDSHAKE_BYTES - 1, 77, NECPNET_DROP_NOT_PADDED},
                 {NN_HANDSHAKE_BYTES + 1, 77, NECPNET_DROP_MALFORMED},
                 {NN_HANDSHAKE_BYTES, 77, NECPNET_DROP_VERSION},
                 {NN_HANDSHAKE_BYTES, NN_HANDSHAKE_VERSION, NECPNET_DROP_COOKIE}};
    for (size_t i = 0; i < NN_COUNT(steps); i++) {
        data[1] = steps[i].version;
        TEST_HINT("step %zu", i);
        pair_to_server(&p, data, steps[i].bytes);
        TEST_EQUAL(p.last_drop, steps[i].drop);
        TEST_EQUAL(p.downs, 0);
    }
    pair_end(&p);
}

TEST_MAIN

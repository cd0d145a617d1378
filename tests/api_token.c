/* api_token - aim: with connect tokens, and in open mode, the right clients come in and every other is refused, by name
 * where protocol.md allows a name. Method: net.h with real cryptography; both transports. */
#include "net.h"

static const necpnet_token_key key = {7, {1, 2, 3, 4, 5, 6, 7, 8, 9}};

struct issue {
    uint64_t server_id;
    uint32_t lifetime_ms;
    uint64_t issued_us; /* 0: now */
    uint32_t epoch;
    const necpnet_token_key* sealed_by;
};

static void make_token(struct net* net, const struct issue* issue, const char* url, char* text)
{
    necpnet_token_config config;
    TEST_OK(necpnet_token_config_default(&config));
    config.issued_us = issue->issued_us ? issue->issued_us : NET_WALL_US + net->now_us;
    config.server_id = issue->server_id;
    config.client_id = 4711;
    config.lifetime_ms = issue->lifetime_ms;
    config.epoch = issue->epoch;
    config.urls = &url;
    config.url_count = 1;
    config.entropy.fill = net_fill;
    config.entropy.user = &net->entropy;
    memcpy(config.user_data, "Ada", 4);
    TEST_OK(necpnet_token_create(&config, issue->sealed_by, text, NECPNET_TOKEN_TEXT_BYTES_MAX));
}

static const struct issue good = {1, 45000, 0, 0, &key};
static const char* const transports[] = {NET_URL_UDP, NET_URL_WEB};

static bool begin(struct net* net)
{
    net_begin(net);
    if (!strstr(necpnet_version(), "mbedtls")) return false;
    net->server_config.security = net->client_config.security = NECPNET_SECURITY_TOKEN;
    net->server_config.token_keys = &key;
    net->server_config.token_key_count = 1;
    net->client_config.reconnect = false;
    net->client_config.connect_timeout_ms = 1500;
    return true;
}

#define NEEDS_CRYPTO(net) \
    if (!begin(net)) TEST_SKIP("built without mbedTLS")

/* Join by a token; the wall clock of the client runs with the server's. */
static struct net_client* join(struct net* net, const char* text)
{
    struct net_client* client = net_add(net);
    TEST_OK(necpnet_client_connect(client->client, NULL, 0));
    net_step(net, NET_STEP_US);
    TEST_EQUAL(client->tokens_needed, 1);
    TEST_EQUAL(necpnet_client_get_state(client->client), NECPNET_CLIENT_WAITING_FOR_TOKEN);
    TEST_OK(necpnet_client_set_token(client->client, text, NET_WALL_US + net->now_us));
    return client;
}

TEST(test_token_brings_in_its_client_with_its_data)
{
    for (size_t t = 0; t < 2; t++) {
        struct net net;
        char text[NECPNET_TOKEN_TEXT_BYTES_MAX];
        NEEDS_CRYPTO(&net);
        net_serve(&net);
        make_token(&net, &good, transports[t], text);
        struct net_client* client = join(&net, text);
        NET_RUN_UNTIL(&net, 1000, client->connected && net.peer_count);
        TEST_EQUAL(client->connected, 1);
        necpnet_peer_info info;
        TEST_OK(necpnet_server_get_peer(net.server, net.peers[0], &info));
        TEST_EQUAL(info.identity.client_id, 4711);
        TEST_EQUAL_STRING((const char*)info.identity.user_data, "Ada");
        net_end(&net);
    }
}

TEST(test_token_connects_once)
{
    for (size_t t = 0; t < 2; t++) {
        struct net net;
        char text[NECPNET_TOKEN_TEXT_BYTES_MAX];
        NEEDS_CRYPTO(&net);
        net_serve(&net);
        make_token(&net, &good, transports[t], text);
        struct net_client* first = join(&net, text);
        NET_RUN_UNTIL(&net, 1000, first->connected);
        struct net_client* second = join(&net, text);
        net_run(&net, 3000);
        TEST_EQUAL(second->connected, 0);
        TEST_EQUAL(second->failed, 1);
        TEST_EQUAL(second->reason, t == 0 ? NECPNET_ERR_NO_ANSWER : NECPNET_ERR_TOKEN_SPENT);
        necpnet_server_statistics statistics;
        TEST_OK(necpnet_server_get_statistics(net.server, &statistics));
        TEST_AT_LEAST(statistics.drops[NECPNET_DROP_TOKEN_SPENT], 1);
        TEST_EQUAL(net.peer_count, 1);
        net_end(&net);
    }
}

TEST(test_token_spent_over_one_transport_is_spent_for_the_other)
{
    struct net net;
    char udp[NECPNET_TOKEN_TEXT_BYTES_MAX];
    NEEDS_CRYPTO(&net);
    net_serve(&net);
    make_token(&net, &good, NET_URL_UDP, udp);
    struct net_client* first = join(&net, udp);
    NET_RUN_UNTIL(&net, 1000, first->connected);
    struct net_client* second = net_add(&net);
    const char* web = NET_URL_WEB;
    TEST_OK(necpnet_client_connect(second->client, &web, 1));
    TEST_OK(necpnet_client_set_token(second->client, udp, NET_WALL_US + net.now_us));
    net_run(&net, 1000);
    TEST_EQUAL(second->reason, NECPNET_ERR_TOKEN_SPENT);
    net_end(&net);
}

/* What is wrong with a token, how the server counts it, and what a client is told where the server speaks. */
struct wrong {
    const char* name;
    struct issue issue;
    necpnet_drop drop;
    necpnet_result said;
};

static const necpnet_token_key other_key = {7, {9, 9, 9}};
static const necpnet_token_key unknown_key = {8, {1, 2, 3, 4, 5, 6, 7, 8, 9}};

TEST(test_wrong_token_meets_silence_over_udp_and_a_name_over_websocket)
{
    static const struct wrong wrongs[] = {
        {"another server", {2, 45000, 0, 0, &key}, NECPNET_DROP_TOKEN_SERVER, NECPNET_ERR_TOKEN_FOREIGN},
        {"a revoked epoch", {1, 45000, 0, 0, &key}, NECPNET_DROP_TOKEN_EPOCH, NECPNET_ERR_TOKEN_INVALID},
        {"another key", {1, 45000, 0, 5, &other_key}, NECPNET_DROP_TOKEN_KEY, NECPNET_ERR_TOKEN_INVALID},
        {"an unknown key", {1, 45000, 0, 5, &unknown_key}, NECPNET_DROP_TOKEN_KEY, NECPNET_ERR_TOKEN_INVALID},
        {"issued before the server started",
         {1, 45000, NET_WALL_US - 30000000, 5, &key},
         NECPNET_DROP_TOKEN_STALE,
         NECPNET_ERR_TOKEN_EXPIRED},
    };
    for (size_t i = 0; i < sizeof wrongs / sizeof wrongs[0]; i++) {
        for (size_t t = 0; t < 2; t++) {
            struct net net;
            char text[NECPNET_TOKEN_TEXT_BYTES_MAX];
            NEEDS_CRYPTO(&net);
            TEST_HINT("a token of %s, transport %zu", wrongs[i].name, t);
            net.server_config.token_epoch = 5;
            net_serve(&net);
            struct issue issue = wrongs[i].issue;
            if (wrongs[i].drop == NECPNET_DROP_TOKEN_SERVER) issue.epoch = 5;
            make_token(&net, &issue, transports[t], text);
            struct net_client* client = join(&net, text);
            net_run(&net, 2500);
            TEST_EQUAL(client->connected, 0);
            TEST_EQUAL(client->failed, 1);
            TEST_EQUAL(client->reason, t == 0 ? NECPNET_ERR_NO_ANSWER : wrongs[i].said);
            if (t == 0) TEST_CHECK(strstr(client->text, "token") != NULL); /* the likely causes */
            necpnet_server_statistics statistics;
            TEST_OK(necpnet_server_get_statistics(net.server, &statistics));
            if (t == 0) TEST_AT_LEAST(statistics.drops[wrongs[i].drop], 1);
            TEST_EQUAL(net.peer_count, 0);
            net_end(&net);
        }
    }
}

TEST(test_expired_token_is_noticed_by_the_client_itself)
{
    struct net net;
    char text[NECPNET_TOKEN_TEXT_BYTES_MAX];
    NEEDS_CRYPTO(&net);
    net_serve(&net);
    make_token(&net, &good, NET_URL_UDP, text);
    struct net_client* client = net_add(&net);
    TEST_OK(necpnet_client_connect(client->client, NULL, 0));
    TEST_EQUAL(necpnet_client_set_token(client->client, text, NET_WALL_US + net.now_us + 46000000),
               NECPNET_ERR_TOKEN_EXPIRED);
    TEST_EQUAL(necpnet_client_set_token(client->client, "not a token", NET_WALL_US), NECPNET_ERR_BAD_TOKEN_TEXT);
    text[strlen(text) / 2] = '\0';
    TEST_EQUAL(necpnet_client_set_token(client->client, text, NET_WALL_US), NECPNET_ERR_BAD_TOKEN_TEXT);
    TEST_EQUAL(necpnet_client_get_state(client->client), NECPNET_CLIENT_WAITING_FOR_TOKEN);
    net_end(&net);
}

TEST(test_no_token_is_refused_by_name_over_websocket)
{
    struct net net;
    NEEDS_CRYPTO(&net);
    net.client_config.security = NECPNET_SECURITY_OPEN;
    net_serve(&net);
    struct net_client* web = net_join(&net, NET_URL_WEB);
    struct net_client* udp = net_join(&net, NET_URL_UDP);
    net_run(&net, 2500);
    TEST_EQUAL(web->reason, NECPNET_ERR_TOKEN_MISSING);
    TEST_EQUAL(udp->reason, NECPNET_ERR_NO_ANSWER);
    TEST_EQUAL(net.peer_count, 0);
    net_end(&net);
}

TEST(test_a_token_is_asked_for_before_each_attempt)
{
    struct net net;
    char text[NECPNET_TOKEN_TEXT_BYTES_MAX];
    NEEDS_CRYPTO(&net);
    net.client_config.reconnect = true;
    net.client_config.udp_timeout_ms = 2000;
    net_serve(&net);
    make_token(&net, &good, NET_URL_UDP, text);
    struct net_client* client = join(&net, text);
    NET_RUN_UNTIL(&net, 1000, client->connected);
    net_crash(&net);
    net_serve(&net);
    NET_RUN_UNTIL(&net, 20000, client->tokens_needed == 2);
    TEST_EQUAL(client->tokens_needed, 2);
    make_token(&net, &good, NET_URL_UDP, text);
    TEST_OK(necpnet_client_set_token(client->client, text, NET_WALL_US + net.now_us));
    NET_RUN_UNTIL(&net, 5000, client->connected == 2);
    TEST_EQUAL(client->connected, 2);
    net_end(&net);
}

static necpnet_result authorize(const char* credential, const necpnet_address* from, necpnet_identity* out_identity,
                                void* user)
{
    (void)from;
    ++*(int*)user;
    if (strcmp(credential, "good jwt") != 0) return NECPNET_ERR_TOKEN_INVALID;
    out_identity->client_id = 99;
    return NECPNET_OK;
}

TEST(test_credential_is_judged_by_authorize)
{
    struct net net;
    int calls = 0;
    NEEDS_CRYPTO(&net);
    net.server_config.authorize = authorize;
    net.server_config.authorize_user = &calls;
    net_serve(&net);
    const char* url = NET_URL_WEB;
    struct net_client* right = net_add(&net);
    TEST_OK(necpnet_client_connect(right->client, &url, 1));
    TEST_OK(necpnet_client_set_credential(right->client, "good jwt"));
    struct net_client* wrong = net_add(&net);
    TEST_OK(necpnet_client_connect(wrong->client, &url, 1));
    TEST_OK(necpnet_client_set_credential(wrong->client, "bad jwt"));
    net_run(&net, 1000);
    TEST_EQUAL(calls, 2);
    TEST_EQUAL(right->connected, 1);
    TEST_EQUAL(wrong->connected, 0);
    TEST_EQUAL(wrong->reason, NECPNET_ERR_TOKEN_INVALID);
    net_end(&net);
}

TEST(test_open_mode_wants_the_passphrase)
{
    struct net net;
    NEEDS_CRYPTO(&net);
    net.server_config.security = net.client_config.security = NECPNET_SECURITY_OPEN;
    net.server_config.passphrase = "open sesame";
    net_serve(&net);
    net.client_config.passphrase = "open sesame";
    struct net_client* right = net_join(&net, NET_URL_UDP);
    net.client_config.passphrase = "open barley";
    struct net_client* wrong = net_join(&net, NET_URL_UDP);
    net.client_config.passphrase = NULL;
    struct net_client* without = net_join(&net, NET_URL_UDP);
    net_run(&net, 3000);
    TEST_EQUAL(right->connected, 1);
    TEST_EQUAL(wrong->connected, 0);
    TEST_EQUAL(without->connected, 0);
    TEST_EQUAL(wrong->reason, NECPNET_ERR_NO_ANSWER);
    necpnet_server_statistics statistics;
    TEST_OK(necpnet_server_get_statistics(net.server, &statistics));
    TEST_AT_LEAST(statistics.drops[NECPNET_DROP_PROOF], 1);
    net_end(&net);
}

TEST(test_ten_thousand_changed_tokens_are_all_refused)
{
    struct net net;
    char text[NECPNET_TOKEN_TEXT_BYTES_MAX], changed[NECPNET_TOKEN_TEXT_BYTES_MAX];
    NEEDS_CRYPTO(&net);
    net_serve(&net);
    make_token(&net, &good, NET_URL_WEB, text);
    struct net_client* client = net_add(&net);
    struct test_random random = test_random_begin(test_seed());
    size_t length = strlen(text);
    int parsed = 0;
    for (int i = 0; i < 10000; i++) {
        memcpy(changed, text, length + 1);
        size_t at = (size_t)test_random_below(&random, length);
        changed[at] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef"[test_random_below(&random, 32)];
        if (memcmp(changed, text, length) == 0) continue;
        if (necpnet_client_set_token(client->client, changed, NET_WALL_US + net.now_us) == NECPNET_OK) parsed++;
    }
    TEST_HINT("a bundle carries a check; what passes it must fail at the server");
    TEST_EQUAL(parsed, 0);
    net_end(&net);
}

TEST_MAIN

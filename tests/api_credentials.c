/* api_credentials - aim: a session lasts as long as its credential, which is renewed without a break; a revoked one ends and
 * does not come in again.
 *
 * Method: net.h with connect tokens and with text credentials, over both transports where both have them.
 */
#include "net.h"

static const necpnet_token_key key = {7, {1, 2, 3, 4, 5, 6, 7, 8, 9}};
static const char* const transports[] = {NET_URL_UDP, NET_URL_WEB};

static void make_token(struct net* net, uint64_t client_id, uint32_t epoch, char* text)
{
    necpnet_token_config config;
    TEST_OK(necpnet_token_config_default(&config));
    config.issued_us = NET_WALL_US + net->now_us;
    config.client_id = client_id;
    config.epoch = epoch;
    config.entropy.fill = net_fill;
    config.entropy.user = &net->entropy;
    TEST_OK(necpnet_token_create(&config, &key, text, NECPNET_TOKEN_TEXT_BYTES_MAX));
}

struct office {
    struct net net;
    struct net_client* client;
    char token[NECPNET_TOKEN_TEXT_BYTES_MAX];
    uint32_t asked; /* for renewal */
    necpnet_result reason;
    uint32_t left_ms;
    int judged;            /* by authorize */
    uint64_t text_life_us; /* of what it lets in */
};

static void office_event(struct net_client* client, const necpnet_event* event)
{
    struct office* office = (struct office*)client->user;
    if (event->type != NECPNET_EVENT_TOKEN_NEEDED || event->reason == NECPNET_OK) return;
    office->asked++;
    office->reason = event->reason;
    office->left_ms = event->retry_in_ms;
}

static necpnet_result office_authorize(const char* credential, const necpnet_address* from, necpnet_identity* out,
                                       void* user)
{
    struct office* office = (struct office*)user;
    (void)from;
    office->judged++;
    if (strncmp(credential, "jwt of ", 7) != 0) return NECPNET_ERR_TOKEN_INVALID;
    out->client_id = (uint64_t)credential[7];
    out->expires_us = NET_WALL_US + office->net.now_us + office->text_life_us;
    out->token_id[0] = (uint8_t)credential[7]; /* an id for text credentials, so that they can be revoked */
    return NECPNET_OK;
}

static bool office_begin(struct office* office)
{
    memset(office, 0, sizeof *office);
    net_begin(&office->net);
    if (!strstr(necpnet_version(), "mbedtls") && !strstr(necpnet_version(), "sodium")) return false;
    struct net* net = &office->net;
    net->server_config.security = net->client_config.security = NECPNET_SECURITY_TOKEN;
    net->server_config.token_keys = &key;
    net->server_config.token_key_count = 1;
    net->server_config.token_session_ms = 120000;
    net->server_config.authorize = office_authorize;
    net->server_config.authorize_user = office;
    net->client_config.reconnect = false;
    net->link_config.latency_us = 10000;
    office->text_life_us = 90000000;
    return true;
}

#define NEEDS_CRYPTO(office) \
    if (!office_begin(office)) TEST_SKIP("built without a crypto library")

static void office_step(struct office* office, uint32_t seconds)
{
    uint64_t until_us = office->net.now_us + (uint64_t)seconds * 1000000;
    while (office->net.now_us < until_us) net_step(&office->net, 5000);
}

static void office_join(struct office* office, const char* url, uint64_t client_id)
{
    struct net* net = &office->net;
    if (!net->server) net_serve(net);
    office->client = net_add(net);
    office->client->user = office;
    office->client->on_event = office_event;
    make_token(net, client_id, 0, office->token);
    int peers = net->peer_count;
    TEST_OK(necpnet_client_set_token(office->client->client, office->token, NET_WALL_US + net->now_us));
    TEST_OK(necpnet_client_connect(office->client->client, &url, 1));
    NET_RUN_UNTIL(net, 3000, office->client->connected && net->peer_count == peers + 1);
    TEST_EQUAL(office->client->connected, 1);
    TEST_EQUAL(office->asked, 0);
}

/* -- renewal -- */

TEST(test_session_is_renewed_in_band_by_a_connect_token_again_and_again)
{
    for (int t = 0; t < 2; t++) {
        struct office office;
        NEEDS_CRYPTO(&office);
        office_join(&office, transports[t], 5);
        for (uint32_t i = 1; i <= 5; i++) {
            office_step(&office, 59);
            TEST_EQUAL(office.asked, i - 1);
            office_step(&office, 2);
            TEST_EQUAL(office.asked, i);
            TEST_EQUAL(office.reason, NECPNET_ERR_TOKEN_EXPIRED);
            TEST_AT_MOST(office.left_ms, 60000);
            TEST_AT_LEAST(office.left_ms, 58000);
            make_token(&office.net, 5, 0, office.token);
            TEST_OK(necpnet_client_set_token(office.client->client, office.token, NET_WALL_US + office.net.now_us));
        }
        TEST_EQUAL(office.client->disconnected, 0);
        TEST_EQUAL(office.client->connected, 1);
        net_end(&office.net);
    }
}

TEST(test_session_is_renewed_by_a_text_credential_over_udp_too)
{
    struct office office;
    NEEDS_CRYPTO(&office);
    office_join(&office, NET_URL_UDP, 'A');
    office_step(&office, 62);
    TEST_EQUAL(office.asked, 1);
    office.text_life_us = UINT64_C(1000000000);
    TEST_OK(necpnet_client_set_credential(office.client->client, "jwt of A"));
    office_step(&office, 300);
    TEST_EQUAL(office.judged, 1);
    TEST_EQUAL(office.asked, 1);
    TEST_EQUAL(office.client->disconnected, 0);
    net_end(&office.net);
}

TEST(test_session_that_is_not_renewed_ends_by_name)
{
    for (int t = 0; t < 2; t++) {
        struct office office;
        NEEDS_CRYPTO(&office);
        office_join(&office, transports[t], 5);
        office_step(&office, 118);
        TEST_EQUAL(office.client->disconnected, 0);
        office_step(&office, 3);
        TEST_EQUAL(office.client->disconnected, 1);
        TEST_EQUAL(office.client->reason, NECPNET_ERR_TOKEN_EXPIRED);
        TEST_EQUAL(office.net.server_disconnected, 1);
        TEST_EQUAL(office.net.server_reason, NECPNET_ERR_TOKEN_EXPIRED);
        net_end(&office.net);
    }
}

TEST(test_text_credential_expires_as_authorize_said)
{
    struct office office;
    NEEDS_CRYPTO(&office);
    net_serve(&office.net);
    office.client = net_add(&office.net);
    office.client->user = &office;
    office.client->on_event = office_event;
    const char* url = NET_URL_WEB;
    TEST_OK(necpnet_client_set_credential(office.client->client, "jwt of B"));
    TEST_OK(necpnet_client_connect(office.client->client, &url, 1));
    NET_RUN_UNTIL(&office.net, 3000, office.client->connected);
    office_step(&office, 28);
    TEST_EQUAL(office.asked, 0);
    office_step(&office, 4);
    TEST_EQUAL(office.asked, 1);
    office_step(&office, 60);
    TEST_EQUAL(office.client->reason, NECPNET_ERR_TOKEN_EXPIRED);
    TEST_EQUAL(office.client->disconnected, 1);
    net_end(&office.net);
}

TEST(test_renewal_by_the_wrong_credential_is_refused_by_name_and_may_be_tried_again)
{
    struct office office;
    NEEDS_CRYPTO(&office);
    office_join(&office, NET_URL_UDP, 5);
    office_step(&office, 62);
    TEST_OK(necpnet_client_set_token(office.client->client, office.token, NET_WALL_US)); /* the one it came with */
    office_step(&office, 2);
    TEST_EQUAL(office.asked, 2);
    TEST_EQUAL(office.reason, NECPNET_ERR_TOKEN_EXPIRED);
    make_token(&office.net, 6, 0, office.token); /* of another user */
    TEST_OK(necpnet_client_set_token(office.client->client, office.token, NET_WALL_US + office.net.now_us));
    office_step(&office, 2);
    TEST_EQUAL(office.asked, 3);
    TEST_EQUAL(office.reason, NECPNET_ERR_TOKEN_INVALID);
    TEST_OK(necpnet_client_set_credential(office.client->client, "no jwt"));
    office_step(&office, 2);
    TEST_EQUAL(office.asked, 4);
    TEST_EQUAL(office.reason, NECPNET_ERR_TOKEN_INVALID);
    make_token(&office.net, 5, 0, office.token);
    TEST_OK(necpnet_client_set_token(office.client->client, office.token, NET_WALL_US + office.net.now_us));
    office_step(&office, 59);
    TEST_EQUAL(office.client->disconnected, 0);
    TEST_EQUAL(office.asked, 4);
    net_end(&office.net);
}

TEST(test_session_without_expiry_is_never_asked)
{
    struct office office;
    NEEDS_CRYPTO(&office);
    office.net.server_config.token_session_ms = UINT32_MAX;
    office_join(&office, NET_URL_UDP, 5);
    office_step(&office, 400);
    TEST_EQUAL(office.asked, 0);
    TEST_EQUAL(office.client->disconnected, 0);
    net_end(&office.net);
}

/* -- revocation -- */

static uint64_t drops_of(struct office* office, necpnet_drop drop)
{
    necpnet_server_statistics statistics;
    TEST_OK(necpnet_server_get_statistics(office->net.server, &statistics));
    return statistics.drops[drop];
}

TEST(test_revoked_client_ends_and_comes_in_with_a_new_token_alone)
{
    for (int t = 0; t < 2; t++) {
        struct office office;
        char other[NECPNET_TOKEN_TEXT_BYTES_MAX];
        NEEDS_CRYPTO(&office);
        office.net.client_config.connect_timeout_ms = 1500;
        office_join(&office, transports[t], 5);
        struct net_client* meant = office.client;
        make_token(&office.net, 5, 0, other); /* in his pocket */
        office_join(&office, transports[t], 6);
        struct net_client* innocent = office.client;
        TEST_OK(necpnet_server_revoke_client(office.net.server, 5));
        office_step(&office, 1);
        TEST_EQUAL(meant->disconnected, 1);
        TEST_EQUAL(meant->reason, NECPNET_ERR_TOKEN_REVOKED);
        TEST_EQUAL(innocent->disconnected, 0);
        const char* url = transports[t];
        TEST_OK(necpnet_client_set_token(meant->client, other, NET_WALL_US + office.net.now_us));
        TEST_OK(necpnet_client_connect(meant->client, &url, 1));
        office_step(&office, 3);
        TEST_EQUAL(meant->connected, 1);
        TEST_EQUAL(meant->reason, t == 0 ? NECPNET_ERR_NO_ANSWER : NECPNET_ERR_TOKEN_REVOKED);
        TEST_AT_LEAST(drops_of(&office, NECPNET_DROP_TOKEN_REVOKED), 1);
        make_token(&office.net, 5, 0, other);
        TEST_OK(necpnet_client_set_token(meant->client, other, NET_WALL_US + office.net.now_us));
        TEST_OK(necpnet_client_connect(meant->client, &url, 1));
        office_step(&office, 1);
        TEST_EQUAL(meant->connected, 2);
        net_end(&office.net);
    }
}

TEST(test_revoked_token_ends_its_session_and_no_other_of_that_user)
{
    struct office office;
    uint8_t id[NECPNET_TOKEN_ID_BYTES];
    char unused[NECPNET_TOKEN_TEXT_BYTES_MAX];
    NEEDS_CRYPTO(&office);
    office.net.server_config.take_over = NECPNET_TAKE_OVER_ALLOW;
    office_join(&office, NET_URL_UDP, 5);
    struct net_client* first = office.client;
    TEST_OK(necpnet_token_get_id(office.token, &key, id));
    necpnet_peer_info info;
    TEST_OK(necpnet_server_get_peer(office.net.server, office.net.peers[0], &info));
    TEST_EQUAL_BYTES(info.identity.token_id, id, sizeof id);
    office_join(&office, NET_URL_WEB, 5);
    struct net_client* second = office.client;
    TEST_OK(necpnet_server_revoke_token(office.net.server, id));
    office_step(&office, 1);
    TEST_EQUAL(first->reason, NECPNET_ERR_TOKEN_REVOKED);
    TEST_EQUAL(second->disconnected, 0);
    make_token(&office.net, 5, 0, unused); /* one that nobody has used yet */
    TEST_OK(necpnet_token_get_id(unused, &key, id));
    TEST_OK(necpnet_server_revoke_token(office.net.server, id));
    const char* url = NET_URL_WEB;
    TEST_OK(necpnet_client_set_token(first->client, unused, NET_WALL_US + office.net.now_us));
    TEST_OK(necpnet_client_connect(first->client, &url, 1));
    office_step(&office, 2);
    TEST_EQUAL(first->connected, 1);
    net_end(&office.net);
}

TEST(test_revoked_text_credential_ends_its_session_and_no_other)
{
    struct office office;
    struct net_client* clients[2];
    static const char* const texts[2] = {"jwt of B", "jwt of C"};
    const char* url = NET_URL_WEB;
    uint8_t id[NECPNET_TOKEN_ID_BYTES] = {'B'};
    NEEDS_CRYPTO(&office);
    net_serve(&office.net);
    for (int i = 0; i < 2; i++) {
        clients[i] = net_add(&office.net);
        TEST_OK(necpnet_client_set_credential(clients[i]->client, texts[i]));
        TEST_OK(necpnet_client_connect(clients[i]->client, &url, 1));
        NET_RUN_UNTIL(&office.net, 3000, clients[i]->connected);
    }
    TEST_OK(necpnet_server_revoke_token(office.net.server, id));
    office_step(&office, 1);
    TEST_EQUAL(clients[0]->reason, NECPNET_ERR_TOKEN_REVOKED);
    TEST_EQUAL(clients[0]->disconnected, 1);
    TEST_EQUAL(clients[1]->disconnected, 0);
    net_end(&office.net);
}

TEST(test_older_epoch_is_refused_from_the_moment_it_is_raised)
{
    struct office office;
    NEEDS_CRYPTO(&office);
    office_join(&office, NET_URL_WEB, 5);
    struct net_client* there = office.client;
    TEST_OK(necpnet_server_set_token_epoch(office.net.server, 3));
    TEST_EQUAL(necpnet_server_set_token_epoch(office.net.server, 2), NECPNET_ERR_INVALID_ARGUMENT);
    struct net_client* late = net_add(&office.net);
    const char* url = NET_URL_WEB;
    make_token(&office.net, 6, 2, office.token);
    TEST_OK(necpnet_client_set_token(late->client, office.token, NET_WALL_US + office.net.now_us));
    TEST_OK(necpnet_client_connect(late->client, &url, 1));
    office_step(&office, 2);
    TEST_EQUAL(late->reason, NECPNET_ERR_TOKEN_INVALID);
    make_token(&office.net, 6, 3, office.token);
    TEST_OK(necpnet_client_set_token(late->client, office.token, NET_WALL_US + office.net.now_us));
    TEST_OK(necpnet_client_connect(late->client, &url, 1));
    office_step(&office, 2);
    TEST_EQUAL(late->connected, 1);
    TEST_EQUAL(there->disconnected, 0);
    net_end(&office.net);
}

TEST(test_revocation_checks_its_arguments)
{
    struct office office;
    uint8_t id[NECPNET_TOKEN_ID_BYTES] = {0};
    NEEDS_CRYPTO(&office);
    TEST_EQUAL(necpnet_server_revoke_client(NULL, 1), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_server_set_token_epoch(NULL, 1), NECPNET_ERR_INVALID_ARGUMENT);
    net_serve(&office.net);
    TEST_EQUAL(necpnet_server_revoke_client(office.net.server, 0), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_server_revoke_token(office.net.server, NULL), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_server_revoke_token(office.net.server, id), NECPNET_ERR_INVALID_ARGUMENT);
    make_token(&office.net, 5, 0, office.token);
    static const necpnet_token_key other = {7, {9}};
    TEST_EQUAL(necpnet_token_get_id(office.token, &other, id), NECPNET_ERR_TOKEN_INVALID);
    TEST_EQUAL(necpnet_token_get_id("no token", &key, id), NECPNET_ERR_BAD_TOKEN_TEXT);
    net_end(&office.net);
}

TEST_MAIN

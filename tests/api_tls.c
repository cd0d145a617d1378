/* api_tls - aim: a native client over wss:// trusts only a server whose certificate is for its host, in date and of a known
 * authority, and each failure has its name; a server names certificate files that it cannot use. Method: real loopback
 * sockets, ports of the system's choice, the certificates of tests/certificates. */
#include "test.h"

#define PATIENCE_US 20000000
#define FILE_OF(name) "tests/certificates/" name

struct pair {
    struct necpnet_allocator allocator;
    necpnet_loop* loop;
    necpnet_server* server;
    necpnet_client* client;
    int connected, failed, messages;
    necpnet_result reason;
    char text[256];
};

static bool has_tls(void)
{
    return strstr(necpnet_version(), "mbedtls") != NULL;
}

static necpnet_result serve(struct pair* pair, const char* certificate, const char* key)
{
    necpnet_server_config config;
    memset(pair, 0, sizeof *pair);
    pair->allocator = test_allocator();
    TEST_OK(necpnet_loop_create(&pair->allocator, NECPNET_LOOP_BEST, &pair->loop));
    TEST_OK(necpnet_server_config_default(&config));
    config.allocator = pair->allocator;
    config.loop = pair->loop;
    config.security = NECPNET_SECURITY_NONE;
    config.udp_port = -1;
    config.tcp_port = 0;
    config.tls.certificate_file = certificate;
    config.tls.key_file = key;
    return necpnet_server_create(&config, &pair->server);
}

static void join(struct pair* pair, const char* scheme, const char* host, const char* ca_file)
{
    int udp, tcp;
    char url[128];
    const char* urls[] = {url};
    necpnet_client_config config;
    TEST_OK(necpnet_server_get_ports(pair->server, &udp, &tcp));
    TEST_OK(necpnet_client_config_default(&config));
    config.allocator = pair->allocator;
    config.security = NECPNET_SECURITY_NONE;
    config.reconnect = false;
    config.tls.ca_file = ca_file;
    snprintf(url, sizeof url, "%s://%s:%d/ws", scheme, host, tcp);
    TEST_OK(necpnet_client_create(&config, &pair->client));
    TEST_OK(necpnet_client_update(pair->client, necpnet_time_us()));
    TEST_OK(necpnet_client_connect(pair->client, urls, 1));
}

static void turn(struct pair* pair)
{
    necpnet_event event;
    TEST_OK(necpnet_loop_step(pair->loop, 1000));
    TEST_OK(necpnet_server_update(pair->server, necpnet_time_us()));
    while (necpnet_server_poll(pair->server, &event)) {
        if (event.type != NECPNET_EVENT_MESSAGE) continue;
        TEST_OK(necpnet_server_send(pair->server, event.peer, event.channel, event.data, event.bytes));
    }
    TEST_OK(necpnet_client_update(pair->client, necpnet_time_us()));
    while (necpnet_client_poll(pair->client, &event)) {
        if (event.type == NECPNET_EVENT_CONNECTED) pair->connected++;
        if (event.type == NECPNET_EVENT_MESSAGE) pair->messages++;
        if (event.type != NECPNET_EVENT_CONNECT_FAILED && event.type != NECPNET_EVENT_DISCONNECTED) continue;
        pair->failed++;
        pair->reason = event.reason;
        snprintf(pair->text, sizeof pair->text, "%s", event.text);
    }
}

#define PAIR_UNTIL(pair, condition) \
    do { \
        uint64_t pair_end_us = necpnet_time_us() + PATIENCE_US; \
        while (!(condition) && necpnet_time_us() < pair_end_us) turn(pair); \
        TEST_CHECK(condition); \
    } while (0)

static void end(struct pair* pair)
{
    necpnet_client_destroy(pair->client);
    necpnet_server_destroy(pair->server);
    necpnet_loop_destroy(pair->loop);
}

TEST(test_wss_connects_where_chain_and_host_are_right)
{
    static const char* const hosts[] = {"localhost", "127.0.0.1"};
    if (!has_tls()) TEST_SKIP("no TLS in this build");
    for (int i = 0; i < 2; i++) {
        struct pair pair;
        TEST_OK(serve(&pair, FILE_OF("server.pem"), FILE_OF("server.key")));
        join(&pair, "wss", hosts[i], FILE_OF("ca.pem"));
        PAIR_UNTIL(&pair, pair.connected || pair.failed);
        TEST_EQUAL(pair.connected, 1);
        TEST_OK(necpnet_client_send(pair.client, 0, "sealed", 6));
        PAIR_UNTIL(&pair, pair.messages == 1);
        necpnet_statistics statistics;
        TEST_OK(necpnet_client_get_statistics(pair.client, &statistics));
        TEST_CHECK(statistics.encrypted);
        TEST_OK(necpnet_server_get_peer_statistics(
            pair.server, necpnet_server_next_peer(pair.server, NECPNET_PEER_NONE), &statistics));
        TEST_CHECK(statistics.encrypted);
        end(&pair);
    }
}

TEST(test_a_certificate_that_is_not_to_be_trusted_is_refused_by_name)
{
    static const struct {
        const char* certificate;
        const char* key;
        const char* host;
        const char* ca_file;
    } cases[] = {
        {FILE_OF("server.pem"), FILE_OF("server.key"), "127.0.0.2", FILE_OF("ca.pem")},    /* for another host */
        {FILE_OF("other.pem"), FILE_OF("other.key"), "localhost", FILE_OF("ca.pem")},      /* of an unknown authority */
        {FILE_OF("server.pem"), FILE_OF("server.key"), "localhost", FILE_OF("other.pem")}, /* the same, the other way */
        {FILE_OF("expired.pem"), FILE_OF("server.key"), "localhost", FILE_OF("ca.pem")},
    };
    if (!has_tls()) TEST_SKIP("no TLS in this build");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pair pair;
        TEST_HINT("case %zu", i);
        TEST_OK(serve(&pair, cases[i].certificate, cases[i].key));
        join(&pair, "wss", cases[i].host, cases[i].ca_file);
        PAIR_UNTIL(&pair, pair.connected || pair.failed);
        TEST_EQUAL(pair.connected, 0);
        TEST_EQUAL(pair.reason, NECPNET_ERR_CERTIFICATE);
        TEST_CHECK(pair.text[0]);
        TEST_EQUAL(necpnet_server_next_peer(pair.server, NECPNET_PEER_NONE), NECPNET_PEER_NONE);
        end(&pair);
    }
}

TEST(test_scheme_and_port_that_do_not_fit_have_names)
{
    if (!has_tls()) TEST_SKIP("no TLS in this build");
    struct pair pair;
    TEST_OK(serve(&pair, FILE_OF("server.pem"), FILE_OF("server.key")));
    join(&pair, "ws", "localhost", NULL); /* plain to a TLS port */
    PAIR_UNTIL(&pair, pair.failed);
    TEST_CHECK(pair.reason == NECPNET_ERR_NOT_HTTP || pair.reason == NECPNET_ERR_CONNECTION_RESET);
    end(&pair);
    TEST_OK(serve(&pair, NULL, NULL));
    join(&pair, "wss", "localhost", FILE_OF("ca.pem")); /* TLS to a plain port */
    PAIR_UNTIL(&pair, pair.failed);
    TEST_EQUAL(pair.reason, NECPNET_ERR_TLS);
    end(&pair);
}

TEST(test_certificate_files_that_cannot_be_used_are_refused_at_create)
{
    static const struct {
        const char* certificate;
        const char* key;
        necpnet_result expected;
    } cases[] = {
        {FILE_OF("nowhere.pem"), FILE_OF("server.key"), NECPNET_ERR_FILE},
        {FILE_OF("server.pem"), FILE_OF("nowhere.key"), NECPNET_ERR_FILE},
        {FILE_OF("server.pem"), FILE_OF("other.key"), NECPNET_ERR_BAD_CERTIFICATE_FILE}, /* do not fit each other */
        {FILE_OF("make.sh"), FILE_OF("server.key"), NECPNET_ERR_BAD_CERTIFICATE_FILE},
        {FILE_OF("server.pem"), FILE_OF("make.sh"), NECPNET_ERR_BAD_CERTIFICATE_FILE},
    };
    if (!has_tls()) TEST_SKIP("no TLS in this build");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pair pair;
        TEST_HINT("case %zu", i);
        TEST_EQUAL(serve(&pair, cases[i].certificate, cases[i].key), cases[i].expected);
        TEST_CHECK(pair.server == NULL);
        end(&pair);
    }
}

TEST_MAIN

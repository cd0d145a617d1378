/* api_large_entity - aim: an entity whose state might not fit into the packets of either side is refused where it can be mended, at the making of
 * the server or at SETUP, by name; the largest that is not refused arrives, whatever it holds. Method: net.h, a schema of texts
 * of every size around the limit, worst contents, both transports. */
#include "net.h"

#define TEXTS 6
#define LARGEST 990 /* a schema takes states of 1,000 bytes */

typedef struct sign {
    char text[TEXTS][255];
} sign;

static necpnet_field sign_fields[TEXTS];
static necpnet_entity_type sign_type;
static struct net large_net;
static necpnet_schema* large_schema;
static necpnet_world* large_world;
static char large_log[512];

static void large_write_log(necpnet_log_level level, const char* text, void* user)
{
    (void)user;
    if (level == NECPNET_LOG_ERROR) snprintf(large_log, sizeof large_log, "%s", text);
}

/* A world of signs with so many bytes of text; true if a server takes it. */
static bool large_begin(uint32_t text_bytes, uint32_t datagram_bytes, bool udp)
{
    net_begin(&large_net);
    large_log[0] = '\0';
    for (int i = 0; i < TEXTS; i++) {
        uint32_t count = text_bytes / TEXTS + ((uint32_t)i < text_bytes % TEXTS ? 1 : 0);
        memset(&sign_fields[i], 0, sizeof sign_fields[i]);
        sign_fields[i].name = "text";
        sign_fields[i].id = (uint16_t)(i + 1);
        sign_fields[i].kind = NECPNET_FIELD_BYTES;
        sign_fields[i].storage_bytes = 1;
        sign_fields[i].offset = (uint32_t)(sizeof(sign) / TEXTS * (size_t)i);
        sign_fields[i].count = (uint16_t)count;
    }
    necpnet_logger logger = {large_write_log, NULL, NECPNET_LOG_ERROR};
    static const char* const names[TEXTS] = {"a", "b", "c", "d", "e", "f"};
    for (int i = 0; i < TEXTS; i++) sign_fields[i].name = names[i];
    sign_type.name = "sign";
    sign_type.id = 1;
    sign_type.struct_bytes = sizeof(sign);
    sign_type.fields = sign_fields;
    sign_type.field_count = TEXTS;
    TEST_OK(necpnet_schema_create(&large_net.allocator, &logger, &sign_type, 1, &large_schema));
    necpnet_world_config config;
    TEST_OK(necpnet_world_config_default(&config));
    config.allocator = large_net.allocator;
    config.schema = large_schema;
    TEST_OK(necpnet_world_create(&config, &large_world));
    large_net.server_config.world = large_world;
    large_net.server_config.datagram_bytes_max = datagram_bytes;
    large_net.server_config.logger = logger;
    TEST_OK(necpnet_link_create(&large_net.link_config, &large_net.link));
    TEST_OK(necpnet_link_advance(large_net.link, large_net.now_us));
    TEST_OK(necpnet_link_add_server(large_net.link, 7777, &large_net.server_transport));
    necpnet_transport streams = *large_net.server_transport;
    if (!udp) streams.flags &= ~(uint32_t)NECPNET_TRANSPORT_DATAGRAMS;
    large_net.server_config.transport = udp ? large_net.server_transport : &streams;
    necpnet_result result = necpnet_server_create(&large_net.server_config, &large_net.server);
    if (result) TEST_EQUAL(result, NECPNET_ERR_BAD_CONFIG);
    if (result == NECPNET_OK && !udp) { /* it borrowed what ends here */
        necpnet_server_destroy(large_net.server);
        large_net.server = NULL;
    }
    return result == NECPNET_OK;
}

static void large_end(necpnet_view* view)
{
    net_end(&large_net);
    necpnet_view_destroy(view);
    necpnet_world_destroy(large_world);
    necpnet_schema_destroy(large_schema);
}

/* The most bytes of text that a server with such datagrams takes. */
static uint32_t large_limit(uint32_t datagram_bytes)
{
    uint32_t low = TEXTS, high = LARGEST;
    while (low < high) {
        uint32_t middle = low + (high - low + 1) / 2;
        bool taken = large_begin(middle, datagram_bytes, true);
        large_end(NULL);
        if (taken) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return low;
}

/* Whether a sign of noise is seen by a client whose datagrams are as large as said. */
static bool large_arrives(const char* url, uint32_t client_datagram_bytes)
{
    static sign noise, seen;
    struct test_random random = test_random_begin(3);
    necpnet_view* view;
    necpnet_view_config config;
    necpnet_entity entity;
    test_random_bytes(&random, (uint8_t*)&noise, sizeof noise);
    TEST_OK(necpnet_view_config_default(&config));
    config.allocator = large_net.allocator;
    config.schema = large_schema;
    TEST_OK(necpnet_view_create(&config, &view));
    large_net.client_config.view = view;
    large_net.client_config.datagram_bytes_max = client_datagram_bytes;
    large_net.client_config.reconnect = false;
    struct net_client* client = net_join(&large_net, url);
    TEST_OK(necpnet_world_spawn(large_world, 1, &noise, &entity));
    for (uint32_t tick = 1; tick < 60; tick++) {
        TEST_OK(necpnet_world_commit(large_world, tick));
        net_run(&large_net, 17);
    }
    bool arrived = necpnet_view_get_latest(view, entity, &seen, sizeof seen, NULL) == NECPNET_OK;
    for (int i = 0; arrived && i < TEXTS; i++) {
        TEST_EQUAL_BYTES(seen.text[i], noise.text[i], sign_fields[i].count);
    }
    if (!arrived) {
        TEST_EQUAL(client->failed, 1);
        TEST_EQUAL(client->reason, NECPNET_ERR_UNSUPPORTED);
        TEST_CHECK(strstr(client->text, "datagram_bytes_max") != NULL);
    }
    large_end(view);
    return arrived;
}

TEST(test_the_largest_entity_that_a_server_takes_arrives)
{
    static const uint32_t datagrams[] = {200, 500, 1200};
    for (size_t i = 0; i < sizeof datagrams / sizeof datagrams[0]; i++) {
        uint32_t bytes = large_limit(datagrams[i]);
        TEST_HINT("datagrams of %u bytes, %u of text", datagrams[i], bytes);
        TEST_AT_LEAST(bytes + 100, datagrams[i] < LARGEST ? datagrams[i] : LARGEST); /* the check wastes little */
        TEST_CHECK(large_begin(bytes, datagrams[i], true));
        TEST_CHECK(large_arrives(NET_URL_UDP, 1472));
        TEST_CHECK(large_begin(bytes, datagrams[i], true));
        TEST_CHECK(large_arrives(NET_URL_WEB, 1472));
    }
}

TEST(test_an_entity_too_large_for_a_packet_is_refused_by_name)
{
    TEST_CHECK(!large_begin(LARGEST, 1000, true));
    TEST_CHECK(strstr(large_log, "sign") != NULL);
    TEST_CHECK(strstr(large_log, "a packet holds") != NULL);
    large_end(NULL);
    TEST_CHECK(large_begin(LARGEST, 1000, false)); /* over WebSocket alone a frame holds it */
    large_end(NULL);
}

TEST(test_a_client_whose_datagrams_are_too_small_for_an_entity_is_refused_by_name)
{
    TEST_CHECK(large_begin(900, 1200, true));
    TEST_CHECK(!large_arrives(NET_URL_UDP, 900));
    TEST_CHECK(large_begin(900, 1200, true));
    TEST_CHECK(large_arrives(NET_URL_UDP, 1000));
}

TEST_MAIN

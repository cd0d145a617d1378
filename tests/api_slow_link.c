/* api_slow_link - aim: what shares a slow link with bulk keeps its turn. State over a WebSocket whose stream is full stays young,
 * and redundancy on a link that is full costs the copies and nothing else. Method: net.h, a link of 1 Mbit/s, virtual time. */
#include "net.h"

typedef struct slow_entity {
    uint32_t value; /* another at each tick, not to be foretold */
} slow_entity;

static const necpnet_field slow_fields[] = {NECPNET_INTEGER(slow_entity, value, 1, 0, 1000000, 0)};
static const necpnet_entity_type slow_types[] = {{"slow", 1, sizeof(slow_entity), slow_fields, 1}};

static struct net slow_net;
static uint8_t slow_data[4000];
static uint64_t slow_bytes; /* of messages that arrived */
static uint64_t slow_echo_sent_us, slow_echo_worst_us;

static void slow_fill(void)
{
    struct test_random random = test_random_begin(1);
    test_random_bytes(&random, slow_data, sizeof slow_data); /* nothing to compress */
    slow_bytes = slow_echo_sent_us = slow_echo_worst_us = 0;
}

static void slow_on_client(struct net_client* client, const necpnet_event* event)
{
    (void)client;
    if (event->type != NECPNET_EVENT_MESSAGE) return;
    if (event->channel == NECPNET_CHANNEL_RELIABLE) slow_bytes += event->bytes;
}

/* How old the newest state of a view is at most in some seconds, in ms, beside bulk of the server or alone. */
static uint32_t slow_state_age_ms(const char* url, bool bulk)
{
    necpnet_schema* schema;
    necpnet_world* world;
    necpnet_view* view;
    necpnet_entity entity;
    necpnet_world_config world_config;
    necpnet_view_config view_config;
    slow_entity state = {0};
    slow_fill();
    net_begin(&slow_net);
    slow_net.link_config.bandwidth_bps = 1000000;
    slow_net.link_config.latency_us = 20000;
    TEST_OK(necpnet_schema_create(&slow_net.allocator, NULL, slow_types, 1, &schema));
    TEST_OK(necpnet_world_config_default(&world_config));
    world_config.allocator = slow_net.allocator;
    world_config.schema = schema;
    world_config.send_hz = 30;
    TEST_OK(necpnet_world_create(&world_config, &world));
    TEST_OK(necpnet_view_config_default(&view_config));
    view_config.allocator = slow_net.allocator;
    view_config.schema = schema;
    TEST_OK(necpnet_view_create(&view_config, &view));
    TEST_OK(necpnet_world_spawn(world, 1, &state, &entity));
    slow_net.server_config.world = world;
    slow_net.client_config.view = view;
    net_serve(&slow_net);
    struct net_client* client = net_join(&slow_net, url);
    client->on_event = slow_on_client;
    NET_RUN_UNTIL(&slow_net, 3000, client->connected && slow_net.peer_count == 1);
    uint32_t committed = 0, worst = 0;
    struct test_random random = test_random_begin(2);
    uint64_t began_us = slow_net.now_us;
    while (slow_net.now_us < began_us + 8000000) {
        uint32_t tick = (uint32_t)(slow_net.now_us * 60 / 1000000);
        while (bulk && necpnet_server_send(slow_net.server, slow_net.peers[0], NECPNET_CHANNEL_RELIABLE, slow_data,
                                           sizeof slow_data) == NECPNET_OK) {
        }
        if (tick > committed) {
            ((slow_entity*)necpnet_world_get(world, entity))->value = (uint32_t)test_random_below(&random, 1000000);
            TEST_OK(necpnet_world_mark(world, entity));
            TEST_OK(necpnet_world_commit(world, tick));
            committed = tick;
        }
        net_step(&slow_net, NET_STEP_US);
        TEST_OK(necpnet_view_update(view, slow_net.now_us));
        necpnet_view_event event;
        while (necpnet_view_poll(view, &event)) {
        }
        if (slow_net.now_us < began_us + 3000000) continue;
        slow_entity seen;
        uint32_t tick_seen;
        TEST_OK(necpnet_view_get_latest(view, entity, &seen, sizeof seen, &tick_seen));
        if (committed - tick_seen > worst) worst = committed - tick_seen;
    }
    if (bulk) TEST_GREATER(slow_bytes, 8u * 1000000 / 8 * 80 / 100); /* the link is full */
    net_end(&slow_net);
    necpnet_view_destroy(view);
    necpnet_world_destroy(world);
    necpnet_schema_destroy(schema);
    return worst * 1000 / 60;
}

/* Over WebSocket a stream holds what it took: here 80 KB, 0.65 s, and while it is full one state at a time is under way, encoded
 * when the last one was reported received. Without that bound it would be all that the application queued, 8 s. */
TEST(test_state_stays_young_beside_bulk_on_a_slow_websocket)
{
    uint32_t alone_ms = slow_state_age_ms(NET_URL_WEB, false);
    uint32_t web_ms = slow_state_age_ms(NET_URL_WEB, true);
    uint32_t udp_ms = slow_state_age_ms(NET_URL_UDP, true);
    if (test_run_state.verbose) {
        printf("state at most %u ms old alone, %u beside bulk over WebSocket, %u over UDP\n", alone_ms, web_ms, udp_ms);
    }
    TEST_LESS(alone_ms, 150);
    TEST_LESS(web_ms, 2000);
    TEST_LESS(udp_ms, 250);
}

static void slow_on_server(struct net* net, const necpnet_event* event)
{
    if (event->type != NECPNET_EVENT_MESSAGE) return;
    if (event->channel == 0) {
        slow_bytes += event->bytes;
        return;
    }
    uint64_t took_us = net->now_us - slow_echo_sent_us;
    if (took_us > slow_echo_worst_us) slow_echo_worst_us = took_us;
    slow_echo_sent_us = 0;
}

/* Bytes a second of bulk on a channel with or without redundancy; slow_echo_worst_us: how long a message beside it took. */
static uint64_t slow_goodput(bool redundancy)
{
    necpnet_channel_config channels[2];
    slow_fill();
    net_begin(&slow_net);
    for (int i = 0; i < 2; i++) TEST_OK(necpnet_channel_config_default(&channels[i], NECPNET_RELIABLE_UNORDERED));
    channels[0].redundancy = redundancy;
    slow_net.server_config.channels = slow_net.client_config.channels = channels;
    slow_net.server_config.channel_count = slow_net.client_config.channel_count = 2;
    slow_net.link_config.bandwidth_bps = 1000000;
    slow_net.link_config.latency_us = 20000;
    slow_net.on_server_event = slow_on_server;
    net_serve(&slow_net);
    struct net_client* client = net_join(&slow_net, NET_URL_UDP);
    NET_RUN_UNTIL(&slow_net, 3000, client->connected && slow_net.peer_count == 1);
    uint64_t began_us = slow_net.now_us, before = 0;
    while (slow_net.now_us < began_us + 10000000) {
        while (necpnet_client_send(client->client, 0, slow_data, 200) == NECPNET_OK) {
        }
        if (!slow_echo_sent_us) {
            slow_echo_sent_us = slow_net.now_us;
            TEST_OK(necpnet_client_send(client->client, 1, "ping", 4));
        }
        net_step(&slow_net, NET_STEP_US);
        if (slow_net.now_us >= began_us + 4000000) continue; /* the start, which makes a queue of its own */
        before = slow_bytes;
        slow_echo_worst_us = 0;
    }
    necpnet_statistics statistics;
    TEST_OK(necpnet_client_get_statistics(client->client, &statistics));
    TEST_EQUAL(statistics.packets_lost, 0);
    net_end(&slow_net);
    return (slow_bytes - before) / 6;
}

TEST(test_redundancy_on_a_full_link_costs_its_copies_and_nothing_else)
{
    uint64_t plain = slow_goodput(false);
    uint64_t plain_worst_us = slow_echo_worst_us;
    uint64_t redundant = slow_goodput(true);
    if (test_run_state.verbose) {
        printf("full link of 125 kB/s: %u and with redundancy %u bytes a second, a message beside it %u and %u us\n",
               (unsigned)plain, (unsigned)redundant, (unsigned)plain_worst_us, (unsigned)slow_echo_worst_us);
    }
    TEST_GREATER(plain, 100000);
    TEST_GREATER(redundant * 100, plain * 40);
    TEST_LESS(slow_echo_worst_us, 150000);
}

TEST_MAIN

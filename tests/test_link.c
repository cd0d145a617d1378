/* test_link - the simulated network: time, order, losses, streams, partitions, crashes; equal seeds, equal histories.
 *
 * Everything is virtual: a test advances the link and receives on its hosts. Where chance decides, many packets are sent
 * and the share is checked within a wide margin, for several seeds.
 */
#include "test.h"
#include "nn_link.h"

struct side;

struct seen {
    struct side* side;
    necpnet_stream* stream;
    bool open;
    bool closed;
    int writable;
    necpnet_result reason;
    uint64_t bytes;
    bool disorder;
    bool echo;
    uint64_t opened_us;
};

struct side {
    const necpnet_transport* transport;
    necpnet_link* link;
    int datagrams;
    int overtaken; /* arrived with a number below the one before */
    uint32_t last;
    int broken; /* not as sent */
    necpnet_address from;
    uint64_t at_us;
    struct seen accepted[64];
    int accepted_count;
    bool refuses;
    bool echo;
    uint64_t resolved;
    necpnet_result resolve_reason;
    necpnet_address server;
    uint64_t now_us;
    uint32_t waited_us; /* of the last datagram */
};

static void on_datagram(void* user, const necpnet_address* from, uint8_t* data, size_t bytes, uint32_t waited_us)
{
    struct side* side = (struct side*)user;
    side->datagrams++;
    side->waited_us = waited_us;
    side->from = *from;
    uint32_t number = 0;
    if (bytes >= 4) number = (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16;
    for (size_t i = 4; i < bytes; i++) side->broken += data[i] != (uint8_t)i;
    if (number < side->last) side->overtaken++;
    side->last = number;
}

static void* on_accept(void* user, necpnet_stream* stream, const necpnet_address* from)
{
    struct side* side = (struct side*)user;
    side->from = *from;
    if (side->refuses || side->accepted_count == (int)NN_COUNT(side->accepted)) return NULL;
    struct seen* seen = &side->accepted[side->accepted_count++];
    memset(seen, 0, sizeof *seen);
    seen->side = side;
    seen->stream = stream;
    seen->echo = side->echo;
    return seen;
}

static void on_open(void* context)
{
    struct seen* seen = (struct seen*)context;
    TEST_CHECK(!seen->open && !seen->closed);
    seen->open = true;
}

static void on_data(void* context, uint8_t* data, size_t bytes)
{
    struct seen* seen = (struct seen*)context;
    TEST_CHECK(!seen->closed);
    for (size_t i = 0; i < bytes; i++) seen->disorder |= data[i] != (uint8_t)(seen->bytes + i);
    seen->bytes += bytes;
    const necpnet_transport* transport = seen->side->transport;
    if (seen->echo) TEST_OK(transport->send_stream(transport->user, seen->stream, data, bytes));
}

static void on_writable(void* context)
{
    ((struct seen*)context)->writable++;
}

static void on_close(void* context, necpnet_result reason)
{
    struct seen* seen = (struct seen*)context;
    TEST_CHECK(!seen->closed);
    seen->closed = true;
    seen->reason = reason;
}

static void on_resolved(void* user, uint64_t request, const necpnet_address* addresses, int count,
                        necpnet_result reason)
{
    struct side* side = (struct side*)user;
    side->resolved = request;
    side->resolve_reason = reason;
    if (count) side->server = addresses[0];
}

static void side_attach(struct side* side, necpnet_link* link)
{
    const necpnet_transport* transport = side->transport;
    memset(side, 0, sizeof *side);
    side->transport = transport;
    side->link = link;
    necpnet_sink sink = {side, on_datagram, on_accept, on_open, on_data, on_writable, on_close, on_resolved};
    TEST_OK(transport->attach(transport->user, &sink));
}

struct world {
    necpnet_link* link;
    uint64_t now_us;
    struct side server;
    struct side client;
};

static necpnet_link_config world_config(uint64_t seed)
{
    necpnet_link_config config;
    TEST_OK(necpnet_link_config_default(&config));
    config.allocator = test_allocator();
    config.seed = seed;
    return config;
}

static void world_resolve(struct world* world)
{
    const necpnet_transport* transport = world->client.transport;
    TEST_OK(transport->resolve(transport->user, 5, "anything", 7));
    transport->receive(transport->user, world->now_us);
    TEST_EQUAL(world->client.resolved, 5u);
    TEST_OK(world->client.resolve_reason);
}

static void world_begin(struct world* world, const necpnet_link_config* config)
{
    memset(world, 0, sizeof *world);
    world->now_us = 1000;
    TEST_OK(necpnet_link_create(config, &world->link));
    TEST_OK(necpnet_link_advance(world->link, world->now_us));
    TEST_OK(necpnet_link_add_server(world->link, 7, &world->server.transport));
    TEST_OK(necpnet_link_add_client(world->link, &world->client.transport));
    side_attach(&world->server, world->link);
    side_attach(&world->client, world->link);
    world_resolve(world);
}

static void world_receive(struct world* world)
{
    world->server.transport->receive(world->server.transport->user, world->now_us);
    world->client.transport->receive(world->client.transport->user, world->now_us);
}

/* Run for a while, stopping at every moment at which something arrives. */
static void world_run(struct world* world, uint64_t for_us)
{
    uint64_t end_us = world->now_us + for_us;
    for (int i = 0; i < 2000000; i++) {
        uint64_t next_us = nn_min_u64(necpnet_link_deadline_us(world->link), end_us);
        world->now_us = nn_max_u64(world->now_us, next_us);
        TEST_OK(necpnet_link_advance(world->link, world->now_us));
        world_receive(world);
        if (world->now_us == end_us && necpnet_link_deadline_us(world->link) > end_us) return;
    }
    TEST_FAIL("the link never comes to rest");
}

static void world_end(struct world* world)
{
    world->client.transport->detach(world->client.transport->user);
    world->server.transport->detach(world->server.transport->user);
    necpnet_link_destroy(world->link);
}

static void send_number(struct world* world, uint32_t number, size_t bytes)
{
    uint8_t data[2000];
    for (size_t i = 0; i < bytes; i++) data[i] = (uint8_t)i;
    for (unsigned i = 0; i < 4; i++) data[i] = (uint8_t)(number >> 8 * i);
    const necpnet_transport* transport = world->client.transport;
    TEST_OK(transport->send_datagram(transport->user, &world->client.server, data, bytes));
}

/* ---- datagrams -- */

TEST(test_link_datagram_says_how_long_it_waited_for_a_host_that_looks_now_and_then)
{
    necpnet_link_config config = world_config(1);
    config.latency_us = 30000;
    struct world world;
    world_begin(&world, &config);
    send_number(&world, 1, 100);
    world_run(&world, 30000);
    TEST_EQUAL(world.server.waited_us, 0);
    send_number(&world, 2, 100);
    world.now_us += 46000;
    TEST_OK(necpnet_link_advance(world.link, world.now_us));
    world_receive(&world);
    TEST_EQUAL(world.server.datagrams, 2);
    TEST_EQUAL(world.server.waited_us, 16000);
    world_end(&world);
}

TEST(test_link_datagram_arrives_after_the_latency_and_not_before)
{
    necpnet_link_config config = world_config(1);
    config.latency_us = 30000;
    struct world world;
    world_begin(&world, &config);
    send_number(&world, 1, 100);
    TEST_EQUAL(necpnet_link_deadline_us(world.link), world.now_us + 30000);
    world_run(&world, 29999);
    TEST_EQUAL(world.server.datagrams, 0);
    world_run(&world, 1);
    TEST_EQUAL(world.server.datagrams, 1);
    const necpnet_transport* transport = world.server.transport;
    TEST_OK(transport->send_datagram(transport->user, &world.server.from, (const uint8_t*)"back", 4));
    world_run(&world, 30000);
    TEST_EQUAL(world.client.datagrams, 1);
    TEST_CHECK(necpnet_address_equal(&world.client.from, &world.client.server));
    TEST_EQUAL(necpnet_link_deadline_us(world.link), UINT64_MAX);
    TEST_EQUAL(necpnet_link_advance(world.link, world.now_us - 1), NECPNET_ERR_INVALID_ARGUMENT);
    world_end(&world);
}

TEST(test_link_jitter_overtakes_nothing_and_reordering_does)
{
    TEST_EACH_SEED (seed, 5) {
        necpnet_link_config config = world_config(seed);
        config.latency_us = 10000;
        config.jitter_us = 10000;
        struct world world;
        world_begin(&world, &config);
        for (uint32_t i = 1; i <= 500; i++) {
            send_number(&world, i, 50);
            world_run(&world, 1000);
        }
        world_run(&world, 100000);
        TEST_EQUAL(world.server.datagrams, 500);
        TEST_EQUAL(world.server.overtaken, 0);
        config.reorder_ppm = 200000;
        TEST_OK(necpnet_link_configure(world.link, NULL, &config));
        world.server.last = 0;
        for (uint32_t i = 1; i <= 500; i++) {
            send_number(&world, i, 50);
            world_run(&world, 1000);
        }
        world_run(&world, 1000000);
        TEST_EQUAL(world.server.datagrams, 1000);
        TEST_GREATER(world.server.overtaken, 20);
        world_end(&world);
    }
}

TEST(test_link_loses_duplicates_and_corrupts_about_as_many_as_it_is_told)
{
    TEST_EACH_SEED (seed, 5) {
        const uint32_t count = 20000;
        necpnet_link_config config = world_config(seed);
        config.loss_ppm = 200000;
        config.duplicate_ppm = 100000;
        config.corrupt_ppm = 50000;
        struct world world;
        world_begin(&world, &config);
        for (uint32_t i = 0; i < count; i++) {
            send_number(&world, i, 100);
            world_run(&world, 10);
        }
        necpnet_link_statistics statistics;
        TEST_OK(necpnet_link_get_statistics(world.link, &statistics));
        TEST_EQUAL(statistics.datagrams_sent, count);
        TEST_NEAR((double)statistics.datagrams_lost, (double)count * 0.2, (double)count * 0.02);
        TEST_NEAR((double)statistics.datagrams_duplicated, (double)count * 0.8 * 0.1, (double)count * 0.02);
        TEST_NEAR((double)statistics.datagrams_corrupted, (double)count * 0.8 * 1.1 * 0.05, (double)count * 0.02);
        TEST_EQUAL(statistics.datagrams_delivered,
                   statistics.datagrams_sent - statistics.datagrams_lost + statistics.datagrams_duplicated);
        TEST_EQUAL(world.server.datagrams, (int)statistics.datagrams_delivered);
        TEST_GREATER(world.server.broken, 0);
        TEST_AT_MOST(world.server.broken, (int)statistics.datagrams_corrupted); /* one byte each, at most */
        world_end(&world);
    }
}

TEST(test_link_bandwidth_spaces_datagrams_and_its_queue_drops_the_rest)
{
    necpnet_link_config config = world_config(1);
    config.bandwidth_bps = 8000000; /* a byte a microsecond */
    config.queue_bytes = 10000;
    config.overhead_bytes = 0;
    struct world world;
    world_begin(&world, &config);
    for (uint32_t i = 0; i < 20; i++) send_number(&world, i, 1000);
    world_run(&world, 999);
    TEST_EQUAL(world.server.datagrams, 0);
    world_run(&world, 1);
    TEST_EQUAL(world.server.datagrams, 1);
    world_run(&world, 4000);
    TEST_EQUAL(world.server.datagrams, 5);
    world_run(&world, 1000000);
    TEST_EQUAL(world.server.datagrams, 10); /* 10,000 bytes had room */
    necpnet_link_statistics statistics;
    TEST_OK(necpnet_link_get_statistics(world.link, &statistics));
    TEST_EQUAL(statistics.datagrams_lost, 10u);
    world_end(&world);
}

TEST(test_link_drops_datagrams_over_its_mtu)
{
    necpnet_link_config config = world_config(1);
    config.datagram_bytes_max = 1200;
    struct world world;
    world_begin(&world, &config);
    send_number(&world, 1, 1200);
    send_number(&world, 2, 1201);
    world_run(&world, 1000);
    TEST_EQUAL(world.server.datagrams, 1);
    world_end(&world);
}

TEST(test_link_blocks_each_direction_alone)
{
    necpnet_link_config config = world_config(1);
    struct world world;
    world_begin(&world, &config);
    const necpnet_transport* transport = world.server.transport;
    send_number(&world, 1, 10);
    world_run(&world, 100);
    TEST_OK(necpnet_link_block(world.link, world.client.transport, true, false));
    send_number(&world, 2, 10);
    TEST_OK(transport->send_datagram(transport->user, &world.server.from, (const uint8_t*)"down", 4));
    world_run(&world, 100);
    TEST_EQUAL(world.server.datagrams, 1);
    TEST_EQUAL(world.client.datagrams, 1);
    TEST_OK(necpnet_link_block(world.link, world.client.transport, false, true));
    send_number(&world, 3, 10);
    TEST_OK(transport->send_datagram(transport->user, &world.server.from, (const uint8_t*)"down", 4));
    world_run(&world, 100);
    TEST_EQUAL(world.server.datagrams, 2);
    TEST_EQUAL(world.client.datagrams, 1);
    TEST_EQUAL(necpnet_link_block(world.link, transport, true, true), NECPNET_ERR_NOT_FOUND);
    world_end(&world);
}

TEST(test_link_rebind_changes_the_address_and_the_old_one_is_nobodys)
{
    necpnet_link_config config = world_config(1);
    struct world world;
    world_begin(&world, &config);
    send_number(&world, 1, 10);
    world_run(&world, 100);
    necpnet_address old = world.server.from;
    TEST_OK(necpnet_link_rebind(world.link, world.client.transport));
    const necpnet_transport* transport = world.server.transport;
    TEST_OK(transport->send_datagram(transport->user, &old, (const uint8_t*)"old", 3));
    world_run(&world, 100);
    TEST_EQUAL(world.client.datagrams, 0);
    send_number(&world, 2, 10);
    world_run(&world, 100);
    TEST_CHECK(!necpnet_address_equal(&old, &world.server.from));
    TEST_OK(transport->send_datagram(transport->user, &world.server.from, (const uint8_t*)"new", 3));
    world_run(&world, 100);
    TEST_EQUAL(world.client.datagrams, 1);
    world_end(&world);
}

TEST(test_link_name_leads_to_the_newest_server_of_the_port)
{
    necpnet_link_config config = world_config(1);
    struct world world;
    world_begin(&world, &config);
    necpnet_address first = world.client.server;
    const necpnet_transport* other;
    TEST_EQUAL(necpnet_link_add_server(world.link, 7, &other), NECPNET_ERR_ALREADY_EXISTS);
    world.server.transport->detach(world.server.transport->user);
    TEST_OK(necpnet_link_remove(world.link, world.server.transport));
    TEST_EQUAL(necpnet_link_remove(world.link, world.server.transport), NECPNET_ERR_NOT_FOUND);
    world_resolve(&world); /* the process died, the name did not */
    TEST_CHECK(necpnet_address_equal(&first, &world.client.server));
    TEST_OK(necpnet_link_add_server(world.link, 7, &world.server.transport));
    side_attach(&world.server, world.link);
    world_resolve(&world);
    TEST_CHECK(!necpnet_address_equal(&first, &world.client.server));
    send_number(&world, 1, 10);
    world_run(&world, 100);
    TEST_EQUAL(world.server.datagrams, 1);
    const necpnet_transport* transport = world.client.transport;
    TEST_OK(transport->resolve(transport->user, 6, "anything", 8)); /* no server of that port */
    world_run(&world, 100);
    TEST_EQUAL(world.client.resolve_reason, NECPNET_ERR_HOST_UNKNOWN);
    world_end(&world);
}

/* ---- streams -- */

static void open_stream(struct world* world, struct seen* seen)
{
    memset(seen, 0, sizeof *seen);
    seen->side = &world->client;
    const necpnet_transport* transport = world->client.transport;
    TEST_OK(transport->open_stream(transport->user, &world->client.server, NULL, seen, &seen->stream));
}

static void send_bytes(const struct side* side, necpnet_stream* stream, uint64_t from, size_t bytes)
{
    uint8_t data[4096];
    const necpnet_transport* transport = side->transport;
    while (bytes) {
        size_t part = nn_min_size(bytes, sizeof data);
        for (size_t i = 0; i < part; i++) data[i] = (uint8_t)(from + i);
        TEST_OK(transport->send_stream(transport->user, stream, data, part));
        from += part;
        bytes -= part;
    }
}

TEST(test_link_stream_opens_in_a_round_trip_and_carries_bytes_in_order_both_ways)
{
    necpnet_link_config config = world_config(1);
    config.latency_us = 20000;
    config.jitter_us = 15000;
    struct world world;
    world_begin(&world, &config);
    world.server.echo = true;
    struct seen seen;
    open_stream(&world, &seen);
    send_bytes(&world.client, seen.stream, 0, 10000);
    world_run(&world, 19999);
    TEST_EQUAL(world.server.accepted_count, 0);
    world_run(&world, 1000000);
    TEST_CHECK(seen.open && !seen.disorder);
    TEST_EQUAL(seen.bytes, 10000u);
    TEST_EQUAL(seen.writable, 1); /* the bytes had waited for the stream to open */
    world.client.transport->close_stream(world.client.transport->user, seen.stream, false);
    world_run(&world, 1000000);
    TEST_CHECK(world.server.accepted[0].closed && !seen.closed);
    TEST_EQUAL(world.server.accepted[0].reason, NECPNET_ERR_CLOSED);
    TEST_EQUAL(necpnet_link_deadline_us(world.link), UINT64_MAX);
    world_end(&world);
}

TEST(test_link_loss_delays_a_stream_and_loses_nothing)
{
    TEST_EACH_SEED (seed, 20) {
        necpnet_link_config config = world_config(seed);
        config.latency_us = 20000;
        config.loss_ppm = 200000;
        struct world world;
        world_begin(&world, &config);
        world.server.echo = true;
        struct seen seen;
        open_stream(&world, &seen);
        world_run(&world, 20000000);
        TEST_CHECK(seen.open);
        for (int i = 0; i < 100; i++) {
            send_bytes(&world.client, seen.stream, (uint64_t)i * 500, 500);
            world_run(&world, 10000);
        }
        TEST_LESS(seen.bytes, 50000u); /* some wait for a retransmission */
        world_run(&world, 60000000);
        TEST_EQUAL(seen.bytes, 50000u);
        TEST_CHECK(!seen.disorder && !seen.closed);
        world_end(&world);
    }
}

TEST(test_link_stream_to_nobody_is_refused)
{
    necpnet_link_config config = world_config(1);
    config.latency_us = 1000;
    struct world world;
    world_begin(&world, &config);
    struct seen seen;
    world.client.server.port = 8;
    open_stream(&world, &seen);
    world_run(&world, 1999);
    TEST_CHECK(!seen.closed);
    world_run(&world, 1);
    TEST_CHECK(seen.closed && !seen.open);
    TEST_EQUAL(seen.reason, NECPNET_ERR_CONNECTION_REFUSED);
    world.client.server.port = 7;
    world.server.refuses = true;
    open_stream(&world, &seen);
    world_run(&world, 10000);
    TEST_CHECK(seen.closed);
    world_end(&world);
}

TEST(test_link_stream_asks_again_while_blocked_and_gives_up_at_last)
{
    necpnet_link_config config = world_config(1);
    struct world world;
    world_begin(&world, &config);
    struct seen seen;
    TEST_OK(necpnet_link_block(world.link, world.client.transport, true, true));
    open_stream(&world, &seen);
    world_run(&world, 500000);
    TEST_OK(necpnet_link_block(world.link, world.client.transport, false, false));
    world_run(&world, 3000000);
    TEST_CHECK(seen.open);
    TEST_OK(necpnet_link_block(world.link, world.client.transport, true, true));
    struct seen second;
    open_stream(&world, &second);
    world_run(&world, 120000000);
    TEST_CHECK(second.closed);
    TEST_EQUAL(second.reason, NECPNET_ERR_TIMEOUT);
    send_bytes(&world.client, seen.stream, 0, 100);
    world_run(&world, 1000000);
    TEST_EQUAL(world.server.accepted[0].bytes, 0u);
    TEST_EQUAL(world.client.transport->pending(world.client.transport->user, seen.stream), 100u);
    TEST_OK(necpnet_link_block(world.link, world.client.transport, false, false));
    world_run(&world, 1000000);
    TEST_EQUAL(world.server.accepted[0].bytes, 100u);
    world_end(&world);
}

TEST(test_link_pause_presses_back_to_the_sender)
{
    const size_t all = 1u << 20;
    necpnet_link_config config = world_config(1);
    config.latency_us = 1000;
    struct world world;
    world_begin(&world, &config);
    struct seen seen;
    open_stream(&world, &seen);
    world_run(&world, 10000);
    const necpnet_transport* server = world.server.transport;
    server->pause(server->user, world.server.accepted[0].stream, true);
    send_bytes(&world.client, seen.stream, 0, all);
    world_run(&world, 1000000);
    TEST_EQUAL(world.server.accepted[0].bytes, 0u);
    size_t pending = world.client.transport->pending(world.client.transport->user, seen.stream);
    TEST_GREATER(pending, all / 2);
    TEST_LESS(pending, all);
    TEST_EQUAL(seen.writable, 0);
    TEST_EQUAL(necpnet_link_deadline_us(world.link), UINT64_MAX); /* nothing to do: no one spins */
    server->pause(server->user, world.server.accepted[0].stream, false);
    world_run(&world, 1000000);
    TEST_EQUAL(world.server.accepted[0].bytes, (uint64_t)all);
    TEST_CHECK(!world.server.accepted[0].disorder);
    TEST_EQUAL(seen.writable, 1);
    world_end(&world);
}

TEST(test_link_bandwidth_holds_a_stream_back)
{
    necpnet_link_config config = world_config(1);
    config.bandwidth_bps = 8000000;
    struct world world;
    world_begin(&world, &config);
    struct seen seen;
    open_stream(&world, &seen);
    world_run(&world, 1000);
    send_bytes(&world.client, seen.stream, 0, 500000);
    TEST_GREATER(world.client.transport->pending(world.client.transport->user, seen.stream), 400000u);
    world_run(&world, 250000);
    TEST_NEAR((double)world.server.accepted[0].bytes, 250000, 5000);
    world_run(&world, 260000);
    TEST_EQUAL(world.server.accepted[0].bytes, 500000u);
    TEST_EQUAL(seen.writable, 1);
    world_end(&world);
}

TEST(test_link_close_after_pending_delivers_first_and_at_once_resets)
{
    necpnet_link_config config = world_config(1);
    config.latency_us = 5000;
    config.bandwidth_bps = 8000000;
    struct world world;
    world_begin(&world, &config);
    struct seen first, second;
    open_stream(&world, &first);
    world_run(&world, 20000);
    open_stream(&world, &second);
    world_run(&world, 20000);
    send_bytes(&world.client, first.stream, 0, 200000);
    world.client.transport->close_stream(world.client.transport->user, first.stream, false);
    send_bytes(&world.client, second.stream, 0, 200000);
    world.client.transport->close_stream(world.client.transport->user, second.stream, true);
    world_run(&world, 1000000);
    struct seen* a = &world.server.accepted[0];
    struct seen* b = &world.server.accepted[1];
    TEST_EQUAL(a->bytes, 200000u);
    TEST_CHECK(a->closed && !a->disorder);
    TEST_EQUAL(a->reason, NECPNET_ERR_CLOSED);
    TEST_CHECK(b->closed);
    TEST_LESS(b->bytes, 200000u);
    TEST_EQUAL(b->reason, NECPNET_ERR_CONNECTION_RESET);
    TEST_CHECK(!first.closed && !second.closed);
    world_end(&world);
}

TEST(test_link_cuts_streams_at_both_ends)
{
    necpnet_link_config config = world_config(3);
    config.cut_ppm = 100000;
    struct world world;
    world_begin(&world, &config);
    int cuts = 0;
    for (int round = 0; round < 50; round++) {
        struct seen seen;
        world.server.accepted_count = 0;
        open_stream(&world, &seen);
        world_run(&world, 100);
        for (int i = 0; i < 200 && !seen.closed; i++) {
            send_bytes(&world.client, seen.stream, (uint64_t)i * 10, 10);
            world_run(&world, 100);
        }
        TEST_CHECK(seen.closed && world.server.accepted[0].closed);
        TEST_EQUAL(seen.reason, NECPNET_ERR_CONNECTION_RESET);
        cuts++;
    }
    TEST_EQUAL(cuts, 50);
    world_end(&world);
}

TEST(test_link_removing_a_host_resets_its_streams_and_leaves_the_others)
{
    necpnet_link_config config = world_config(1);
    config.latency_us = 1000;
    struct world world;
    world_begin(&world, &config);
    struct seen open, asking;
    open_stream(&world, &open);
    world_run(&world, 10000);
    open_stream(&world, &asking);
    send_bytes(&world.client, open.stream, 0, 100000);
    world_run(&world, 500); /* the question is on its way */
    TEST_OK(necpnet_link_remove(world.link, world.server.transport));
    world_run(&world, 100000);
    TEST_CHECK(open.closed && asking.closed && !asking.open);
    TEST_EQUAL(open.reason, NECPNET_ERR_CONNECTION_RESET);
    TEST_EQUAL(asking.reason, NECPNET_ERR_CONNECTION_REFUSED);
    TEST_EQUAL(world.server.accepted[0].closed, false); /* the dead hear nothing */
    TEST_EQUAL(necpnet_link_deadline_us(world.link), UINT64_MAX);
    world_end(&world);
}

TEST(test_link_client_that_gives_up_while_connecting_leaves_nothing)
{
    necpnet_link_config config = world_config(1);
    config.latency_us = 1000;
    struct world world;
    world_begin(&world, &config);
    const necpnet_transport* transport = world.client.transport;
    struct seen seen;
    open_stream(&world, &seen); /* before the question arrives */
    world_run(&world, 500);
    transport->close_stream(transport->user, seen.stream, false);
    world_run(&world, 100000);
    TEST_EQUAL(world.server.accepted_count, 0);
    open_stream(&world, &seen); /* after it */
    world_run(&world, 1500);
    TEST_EQUAL(world.server.accepted_count, 1);
    transport->close_stream(transport->user, seen.stream, false);
    world_run(&world, 100000);
    TEST_CHECK(world.server.accepted[0].closed);
    TEST_CHECK(!seen.open && !seen.closed);
    nn_link_sweep(world.link);
    TEST_CHECK(world.link->pipes == NULL);
    world_end(&world);
}

/* ---- histories -- */

static uint64_t history(uint64_t seed)
{
    necpnet_link_config config = world_config(seed);
    config.latency_us = 10000;
    config.jitter_us = 5000;
    config.loss_ppm = 100000;
    config.duplicate_ppm = 50000;
    config.reorder_ppm = 100000;
    config.corrupt_ppm = 10000;
    config.cut_ppm = 5000;
    config.bandwidth_bps = 1000000;
    struct world world;
    world_begin(&world, &config);
    world.server.echo = true;
    struct seen seen[4];
    for (int i = 0; i < 4; i++) open_stream(&world, &seen[i]);
    for (uint32_t i = 0; i < 300; i++) {
        send_number(&world, i, 60 + i % 500);
        struct seen* one = &seen[i % 4];
        if (one->open && !one->closed) send_bytes(&world.client, one->stream, one->opened_us, 700);
        one->opened_us += one->open && !one->closed ? 700 : 0;
        if (i == 150) TEST_OK(necpnet_link_rebind(world.link, world.client.transport));
        world_run(&world, 10000);
    }
    world_run(&world, 30000000);
    necpnet_link_statistics statistics;
    TEST_OK(necpnet_link_get_statistics(world.link, &statistics));
    world_end(&world);
    return statistics.hash;
}

TEST(test_link_equal_seeds_give_equal_histories_and_other_seeds_others)
{
    uint64_t first = history(17);
    TEST_EQUAL(history(17), first);
    TEST_NOT_EQUAL(history(18), first);
}

TEST(test_link_random_use_keeps_streams_whole)
{
    TEST_EACH_SEED (seed, 60) {
        necpnet_link_config config = world_config(seed);
        struct test_random random = test_random_begin(seed);
        config.latency_us = (uint32_t)test_random_below(&random, 50000);
        config.jitter_us = (uint32_t)test_random_below(&random, 20000);
        config.loss_ppm = (uint32_t)test_random_below(&random, 300000);
        config.cut_ppm = (uint32_t)test_random_below(&random, 20000);
        if (test_random_below(&random, 2)) config.bandwidth_bps = 100000 + test_random_below(&random, 10000000);
        struct world world;
        world_begin(&world, &config);
        world.server.echo = true;
        struct seen seen[16];
        uint64_t sent[16] = {0};
        bool let_go[16] = {false};
        int count = 0;
        for (int i = 0; i < 200; i++) {
            const necpnet_transport* transport = world.client.transport;
            int one = count ? (int)test_random_below(&random, (uint64_t)count) : 0;
            uint64_t choice = test_random_below(&random, 20);
            if (choice < 2 && count < 16) {
                open_stream(&world, &seen[count++]);
            } else if (count && !let_go[one] && !seen[one].closed) {
                if (choice < 12) {
                    size_t bytes = 1 + (size_t)test_random_below(&random, 5000);
                    send_bytes(&world.client, seen[one].stream, sent[one], bytes);
                    sent[one] += bytes;
                } else if (choice < 14) {
                    transport->pause(transport->user, seen[one].stream, choice == 12);
                } else if (choice == 14) {
                    let_go[one] = true;
                    transport->close_stream(transport->user, seen[one].stream, test_random_below(&random, 2) == 0);
                } else if (choice == 15) {
                    bool up = test_random_below(&random, 2) == 0;
                    TEST_OK(necpnet_link_block(world.link, transport, up, up));
                }
            }
            world_run(&world, test_random_below(&random, 30000));
        }
        const necpnet_transport* transport = world.client.transport;
        TEST_OK(necpnet_link_block(world.link, transport, false, false));
        for (int i = 0; i < count; i++) {
            if (!let_go[i] && !seen[i].closed) transport->pause(transport->user, seen[i].stream, false);
        }
        world_run(&world, 600000000);
        for (int i = 0; i < count; i++) {
            TEST_CHECK(!seen[i].disorder);
            if (!let_go[i] && !seen[i].closed) TEST_EQUAL(seen[i].bytes, sent[i]);
        }
        for (int i = 0; i < world.server.accepted_count; i++) TEST_CHECK(!world.server.accepted[i].disorder);
        TEST_EQUAL(necpnet_link_deadline_us(world.link), UINT64_MAX);
        world_end(&world);
    }
}

TEST(test_link_refuses_wrong_settings)
{
    necpnet_link_config config = world_config(1);
    necpnet_link* link = NULL;
    config.loss_ppm = 1000001;
    TEST_EQUAL(necpnet_link_create(&config, &link), NECPNET_ERR_BAD_CONFIG);
    config = world_config(1);
    config.bandwidth_bps = 999;
    TEST_EQUAL(necpnet_link_create(&config, &link), NECPNET_ERR_BAD_CONFIG);
    config = world_config(1);
    config.struct_bytes++;
    TEST_EQUAL(necpnet_link_create(&config, &link), NECPNET_ERR_BAD_STRUCT_BYTES);
    TEST_EQUAL(necpnet_link_create(NULL, &link), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_CHECK(link == NULL);
    necpnet_link_destroy(NULL);
}

TEST(test_link_gives_everything_back_when_memory_fails)
{
    TEST_EACH_ALLOCATION_FAILS {
        necpnet_link_config config = world_config(1);
        necpnet_link* link = NULL;
        struct side server, client;
        necpnet_result result = necpnet_link_create(&config, &link);
        if (result == NECPNET_OK) result = necpnet_link_add_server(link, 7, &server.transport);
        if (result == NECPNET_OK) result = necpnet_link_add_client(link, &client.transport);
        if (result == NECPNET_OK) {
            side_attach(&server, link);
            side_attach(&client, link);
            const necpnet_transport* transport = client.transport;
            result = transport->resolve(transport->user, 1, "x", 7);
            transport->receive(transport->user, 0);
            struct seen seen;
            memset(&seen, 0, sizeof seen);
            seen.side = &client;
            uint8_t data[20000] = {0};
            necpnet_result opened = NECPNET_ERR_OUT_OF_MEMORY;
            if (result == NECPNET_OK) {
                result = transport->send_datagram(transport->user, &client.server, data, 100);
                opened = transport->open_stream(transport->user, &client.server, NULL, &seen, &seen.stream);
                if (opened != NECPNET_OK) result = opened;
            }
            for (int i = 0; i < 4; i++) {
                server.transport->receive(server.transport->user, 0);
                transport->receive(transport->user, 0);
            }
            if (opened == NECPNET_OK) {
                necpnet_result sent = transport->send_stream(transport->user, seen.stream, data, sizeof data);
                if (sent != NECPNET_OK) result = sent;
            }
            for (int i = 0; i < 4; i++) server.transport->receive(server.transport->user, 0);
        }
        if (test_allocation_failed()) TEST_EQUAL(result, NECPNET_ERR_OUT_OF_MEMORY);
        necpnet_link_destroy(link);
    }
}

TEST_MAIN

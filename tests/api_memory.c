/* api_memory - aim: an idle session costs a server no more memory than is promised (bench/memory has the figures of real
 * sockets). Method: the simulated link (net.h), a server whose allocator counts; what 192 sessions more took, some seconds after
 * they came. Plaintext keys are 16 bytes smaller than those of a cipher, and the stream is the link's. */
#include "net.h"

#define MEMORY_FIRST 64
#define MEMORY_ALL 256
#define MEMORY_STEP_US 20000

static struct net memory_net;
static size_t memory_held;

static void* memory_allocate(size_t bytes, void* user)
{
    const struct necpnet_allocator* inner = (const struct necpnet_allocator*)user;
    void* block = inner->allocate(bytes, inner->user);
    if (block) memory_held += bytes;
    return block;
}

static void memory_release(void* block, size_t bytes, void* user)
{
    const struct necpnet_allocator* inner = (const struct necpnet_allocator*)user;
    memory_held -= bytes;
    inner->release(block, bytes, inner->user);
}

static size_t memory_join(const char* url, int count)
{
    while (memory_net.client_count < count) (void)net_join(&memory_net, url);
    for (int i = 0; i < 700; i++) net_step(&memory_net, MEMORY_STEP_US); /* ACCEPTs are remembered for 10 s */
    TEST_EQUAL(memory_net.peer_count, count);
    return memory_held;
}

static size_t memory_of_a_session(const char* url)
{
    net_begin(&memory_net);
    memory_held = 0;
    memory_net.server_config.allocator.allocate = memory_allocate;
    memory_net.server_config.allocator.release = memory_release;
    memory_net.server_config.allocator.user = &memory_net.allocator;
    memory_net.server_config.peers_max = MEMORY_ALL;
    memory_net.client_config.datagram_bytes_max = NECPNET_DATAGRAM_BYTES_DEFAULT;
    memory_net.link_config.latency_us = 1000;
    net_serve(&memory_net);
    size_t first = memory_join(url, MEMORY_FIRST);
    size_t all = memory_join(url, MEMORY_ALL);
    net_end(&memory_net);
    TEST_EQUAL(memory_held, 0);
    return (all - first) / (MEMORY_ALL - MEMORY_FIRST);
}

TEST(test_an_idle_session_over_udp_takes_two_kilobytes)
{
    TEST_AT_MOST(memory_of_a_session(NET_URL_UDP), 1984);
}

TEST(test_an_idle_session_over_websocket_takes_one_kilobyte)
{
    TEST_AT_MOST(memory_of_a_session(NET_URL_WEB), 1024 - 16);
}

TEST_MAIN

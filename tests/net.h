/* net.h - a small network for API tests: one server and some clients on a simulated link with a virtual clock.
 *
 *   struct net net;
 *   net_begin(&net);                       fill net.link_config, net.server_config, net.client_config, then
 *   net_serve(&net);                       the server; net_restart stops it and starts another
 *   net_join(&net, "udp://server:7777");   a client, connecting; clients[0], clients[1], ..
 *   net_run(&net, 500);                    500 ms of virtual time, events handled by net's recorders
 *   net_end(&net);
 *
 * Security is NONE unless a test says otherwise, so that simulations need no cryptography.
 */
#ifndef NET_H
#define NET_H

#include "test.h"

#include "necpnet.h"

#ifndef NET_CLIENTS_MAX
#define NET_CLIENTS_MAX 512
#endif
#define NET_STEP_US 1000
#define NET_URL_UDP "udp://server:7777"
#define NET_URL_WEB "ws://server:7777/ws"

struct net_client {
    necpnet_client* client;
    const necpnet_transport* transport;
    uint32_t connected, disconnected, failed, tokens_needed, receipts, answers;
    uint32_t suspended, resumed, moved; /* connected counts new sessions alone */
    uint64_t messages, bytes;
    necpnet_event last; /* of anything but a message; pointers are not to be followed */
    char text[256];
    uint64_t lost_count;
    necpnet_result reason;
    void (*on_event)(struct net_client* client, const necpnet_event* event);
    void* user;
};

struct net {
    struct necpnet_allocator allocator;
    necpnet_link* link;
    necpnet_link_config link_config;
    necpnet_server_config server_config;
    necpnet_client_config client_config;
    necpnet_server* server;
    const necpnet_transport* server_transport;
    struct net_client clients[NET_CLIENTS_MAX];
    int client_count;
    necpnet_peer peers[NET_CLIENTS_MAX]; /* in the order of CONNECTED */
    int peer_count;
    uint32_t server_disconnected, server_suspended, server_resumed, server_moved;
    uint64_t server_messages;
    necpnet_result server_reason;
    char server_text[256];
    bool echo; /* the server sends each message back on its channel */
    void (*on_server_event)(struct net* net, const necpnet_event* event);
    uint64_t now_us;
    uint64_t entropy;
    void* user;
};

#define NET_WALL_US UINT64_C(1700000000000000)

/* Not random: equal runs are equal. */
static inline bool net_fill(void* to, size_t bytes, void* user)
{
    uint64_t* state = (uint64_t*)user;
    uint8_t* p = (uint8_t*)to;
    for (size_t i = 0; i < bytes; i++) {
        *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        p[i] = (uint8_t)(*state >> 56);
    }
    return true;
}

static inline void net_begin(struct net* net)
{
    memset(net, 0, sizeof *net);
    net->allocator = test_allocator();
    net->now_us = 1000000;
    net->entropy = 7;
    TEST_OK(necpnet_link_config_default(&net->link_config));
    TEST_OK(necpnet_server_config_default(&net->server_config));
    TEST_OK(necpnet_client_config_default(&net->client_config));
    net->link_config.allocator = net->allocator;
    net->server_config.allocator = net->allocator;
    net->client_config.allocator = net->allocator;
    net->server_config.entropy.fill = net->client_config.entropy.fill = net_fill;
    net->server_config.entropy.user = net->client_config.entropy.user = &net->entropy;
    net->server_config.security = net->client_config.security = NECPNET_SECURITY_NONE;
    net->server_config.peers_per_address_max = NET_CLIENTS_MAX;
}

static inline void net_serve(struct net* net)
{
    if (!net->link) {
        TEST_OK(necpnet_link_create(&net->link_config, &net->link));
        TEST_OK(necpnet_link_advance(net->link, net->now_us));
    }
    TEST_OK(necpnet_link_add_server(net->link, 7777, &net->server_transport));
    net->server_config.transport = net->server_transport;
    TEST_OK(necpnet_server_create(&net->server_config, &net->server));
    TEST_OK(necpnet_server_set_wall_time(net->server, NET_WALL_US + net->now_us, net->now_us));
}

/* net_crash - the server's process is gone without a word. */
static inline void net_crash(struct net* net)
{
    TEST_OK(necpnet_link_remove(net->link, net->server_transport));
    necpnet_server_destroy(net->server);
    net->server = NULL;
}

static inline struct net_client* net_add(struct net* net)
{
    struct net_client* client = &net->clients[net->client_count++];
    TEST_OK(necpnet_link_add_client(net->link, &client->transport));
    net->client_config.transport = client->transport;
    TEST_OK(necpnet_client_create(&net->client_config, &client->client));
    necpnet_client_update(client->client, net->now_us);
    return client;
}

static inline struct net_client* net_join(struct net* net, const char* url)
{
    struct net_client* client = net_add(net);
    TEST_OK(necpnet_client_connect(client->client, &url, 1));
    return client;
}

static inline void net_client_event(struct net_client* client, const necpnet_event* event)
{
    switch (event->type) {
    case NECPNET_EVENT_CONNECTED:
        if (event->resumed) {
            client->resumed++;
        } else {
            client->connected++;
        }
        client->lost_count += event->count;
        break;
    case NECPNET_EVENT_SUSPENDED: client->suspended++; break;
    case NECPNET_EVENT_MOVED: client->moved++; break;
    case NECPNET_EVENT_DISCONNECTED: client->disconnected++; break;
    case NECPNET_EVENT_CONNECT_FAILED: client->failed++; break;
    case NECPNET_EVENT_TOKEN_NEEDED: client->tokens_needed++; break;
    case NECPNET_EVENT_RECEIPT: client->receipts++; break;
    case NECPNET_EVENT_QUERY_ANSWER: client->answers++; break;
    case NECPNET_EVENT_MESSAGE:
        client->messages++;
        client->bytes += event->bytes;
        break;
    default: break;
    }
    if (event->type != NECPNET_EVENT_MESSAGE) {
        client->last = *event;
        if (event->reason) client->reason = event->reason;
        if (event->text[0]) snprintf(client->text, sizeof client->text, "%s", event->text);
    }
    if (client->on_event) client->on_event(client, event);
}

static inline void net_server_event(struct net* net, const necpnet_event* event)
{
    if (event->type == NECPNET_EVENT_CONNECTED && event->resumed) net->server_resumed++;
    if (event->type == NECPNET_EVENT_SUSPENDED) net->server_suspended++;
    if (event->type == NECPNET_EVENT_MOVED) net->server_moved++;
    if (event->type == NECPNET_EVENT_CONNECTED && !event->resumed && net->peer_count < NET_CLIENTS_MAX)
        net->peers[net->peer_count++] = event->peer;
    if (event->type == NECPNET_EVENT_SUSPENDED) net->server_reason = event->reason;
    if (event->type == NECPNET_EVENT_DISCONNECTED) {
        net->server_disconnected++;
        net->server_reason = event->reason;
        snprintf(net->server_text, sizeof net->server_text, "%s", event->text);
    }
    if (event->type == NECPNET_EVENT_MESSAGE) {
        net->server_messages++;
        if (net->echo) {
            necpnet_send_options options = {0};
            options.name = event->name;
            necpnet_server_send_with(net->server, event->peer, event->channel, event->data, event->bytes, &options);
        }
    }
    if (net->on_server_event) net->on_server_event(net, event);
}

/* net_step - one update of everyone at the present time, then the time moves on. */
static inline void net_step(struct net* net, uint64_t step_us)
{
    necpnet_event event;
    TEST_OK(necpnet_link_advance(net->link, net->now_us));
    if (net->server) {
        TEST_OK(necpnet_server_update(net->server, net->now_us));
        while (necpnet_server_poll(net->server, &event)) net_server_event(net, &event);
    }
    for (int i = 0; i < net->client_count; i++) {
        if (!net->clients[i].client) continue;
        TEST_OK(necpnet_client_update(net->clients[i].client, net->now_us));
        while (necpnet_client_poll(net->clients[i].client, &event)) net_client_event(&net->clients[i], &event);
    }
    net->now_us += step_us;
}

static inline void net_run(struct net* net, uint32_t ms)
{
    uint64_t until_us = net->now_us + (uint64_t)ms * 1000;
    while (net->now_us < until_us) net_step(net, NET_STEP_US);
}

/* net_run_until - at most ms, until condition (an expression) holds; evaluates to whether it does. */
#define NET_RUN_UNTIL(net, ms, condition) \
    do { \
        uint64_t net_until_us = (net)->now_us + (uint64_t)(ms)*1000; \
        while (!(condition) && (net)->now_us < net_until_us) net_step(net, NET_STEP_US); \
    } while (0)

static inline void net_end(struct net* net)
{
    for (int i = 0; i < net->client_count; i++) necpnet_client_destroy(net->clients[i].client);
    necpnet_server_destroy(net->server);
    necpnet_link_destroy(net->link);
}

#endif

/* test_workers - servers of one process that share one port: handing over, tokens spent once for all, joining and leaving.
 *
 * Real loopback sockets. Most tests turn all servers on the test's thread, so that nothing is left to chance but where the
 * system puts a client; one runs each server on a thread of its own (run it under tsan, too). A relay between client and
 * servers changes the client's source port with every packet. Nothing sleeps: a test turns until what it waits for has
 * happened, and fails after PATIENCE_US.
 */
#include "nn_socket.h"
#include "test.h"

#define PATIENCE_US UINT64_C(20000000)
#define SERVERS_MAX 4
#define CLIENTS_MAX 48

static const necpnet_token_key key = {7, {1, 2, 3, 4, 5, 6, 7, 8, 9}};

struct crew {
    necpnet_allocator allocator;
    necpnet_workers* workers;
    necpnet_server* servers[SERVERS_MAX];
    int server_count;
    int udp_port, tcp_port;
    necpnet_security security;
    int joined[SERVERS_MAX]; /* peers that ever connected */
    necpnet_client* clients[CLIENTS_MAX];
    int client_count;
    int connected, resumed, suspended, failed;
    necpnet_result reason;
    uint32_t echoes[CLIENTS_MAX];
};

static bool has_crypto(void)
{
    return NECPNET_WITH_MBEDTLS || NECPNET_WITH_SODIUM;
}

/* ERR_UNSUPPORTED where ports cannot be shared. */
static necpnet_result crew_add_server(struct crew* crew, int udp_port, int tcp_port)
{
    necpnet_server_config config;
    TEST_OK(necpnet_server_config_default(&config));
    config.allocator = crew->allocator;
    config.bind_address = "127.0.0.1";
    config.udp_port = udp_port;
    config.tcp_port = tcp_port;
    config.security = crew->security;
    config.token_keys = &key;
    config.token_key_count = 1;
    config.token_restart_guard = false;
    config.peers_per_address_max = 1000;
    config.workers = crew->workers;
    necpnet_result result = necpnet_server_create(&config, &crew->servers[crew->server_count]);
    if (result == NECPNET_OK) {
        necpnet_server* server = crew->servers[crew->server_count++];
        TEST_OK(necpnet_server_set_wall_time(server, necpnet_wall_time_us(), necpnet_time_us()));
    }
    return result;
}

static bool crew_begin(struct crew* crew, int servers, bool steer, necpnet_security security)
{
    necpnet_workers_config config;
    memset(crew, 0, sizeof *crew);
    crew->allocator = test_allocator();
    crew->security = has_crypto() ? security : NECPNET_SECURITY_NONE;
    TEST_OK(necpnet_workers_config_default(&config));
    config.allocator = crew->allocator;
    config.count_max = SERVERS_MAX;
    config.steer = steer;
    TEST_OK(necpnet_workers_create(&config, &crew->workers));
    for (int i = 0; i < servers; i++) {
        necpnet_result result = crew_add_server(crew, 0, 0);
        if (result == NECPNET_ERR_UNSUPPORTED) {
            necpnet_workers_destroy(crew->workers);
            return false;
        }
        TEST_OK(result);
        int udp, tcp;
        TEST_OK(necpnet_server_get_ports(crew->servers[i], &udp, &tcp));
        if (i == 0) {
            crew->udp_port = udp;
            crew->tcp_port = tcp;
        }
        TEST_EQUAL(udp, crew->udp_port); /* port 0 is the port of the first */
        TEST_EQUAL(tcp, crew->tcp_port);
    }
    return true;
}

static void crew_end(struct crew* crew)
{
    for (int i = 0; i < crew->client_count; i++) necpnet_client_destroy(crew->clients[i]);
    for (int i = 0; i < crew->server_count; i++) necpnet_server_destroy(crew->servers[i]);
    necpnet_workers_destroy(crew->workers);
}

#define NEEDS_SHARED_PORTS(crew, servers, steer, security) \
    if (!crew_begin(crew, servers, steer, security)) TEST_SKIP("this system cannot share a port")

static necpnet_client* crew_add_client(struct crew* crew, const char* url, const char* token)
{
    necpnet_client_config config;
    necpnet_client* client = NULL;
    TEST_OK(necpnet_client_config_default(&config));
    config.allocator = crew->allocator;
    config.security = crew->security;
    config.reconnect = false;
    config.connect_timeout_ms = token ? 1500 : 10000;
    TEST_OK(necpnet_client_create(&config, &client));
    TEST_OK(necpnet_client_update(client, necpnet_time_us()));
    if (token) TEST_OK(necpnet_client_set_token(client, token, necpnet_wall_time_us()));
    TEST_OK(necpnet_client_connect(client, token ? NULL : &url, token ? 0 : 1));
    crew->clients[crew->client_count++] = client;
    return client;
}

/* Echoes what comes; counts who joins. */
static void server_turn(necpnet_server* server, int* joined)
{
    necpnet_event event;
    TEST_OK(necpnet_server_update(server, necpnet_time_us()));
    while (necpnet_server_poll(server, &event)) {
        if (event.type == NECPNET_EVENT_CONNECTED) ++*joined;
        if (event.type == NECPNET_EVENT_MESSAGE) {
            TEST_OK(necpnet_server_send(server, event.peer, event.channel, event.data, event.bytes));
        }
    }
    TEST_OK(necpnet_server_flush(server, necpnet_time_us()));
}

static void crew_turn_clients(struct crew* crew)
{
    necpnet_event event;
    for (int i = 0; i < crew->client_count; i++) {
        TEST_OK(necpnet_client_update(crew->clients[i], necpnet_time_us()));
        while (necpnet_client_poll(crew->clients[i], &event)) {
            if (event.type == NECPNET_EVENT_CONNECTED) crew->connected++;
            if (event.type == NECPNET_EVENT_CONNECTED && event.resumed) crew->resumed++;
            if (event.type == NECPNET_EVENT_SUSPENDED) crew->suspended++;
            if (event.type == NECPNET_EVENT_CONNECT_FAILED || event.type == NECPNET_EVENT_DISCONNECTED) {
                crew->failed++;
                crew->reason = event.reason;
            }
            if (event.type == NECPNET_EVENT_MESSAGE) {
                uint32_t number;
                TEST_EQUAL(event.bytes, sizeof number);
                memcpy(&number, event.data, sizeof number);
                TEST_EQUAL(number, crew->echoes[i]);
                crew->echoes[i]++;
            }
        }
    }
}

static void crew_turn(struct crew* crew)
{
    for (int i = 0; i < crew->server_count; i++) server_turn(crew->servers[i], &crew->joined[i]);
    crew_turn_clients(crew);
}

#define CREW_UNTIL(crew, turn, condition) \
    do { \
        uint64_t crew_until_us = necpnet_time_us() + PATIENCE_US; \
        while (!(condition) && necpnet_time_us() < crew_until_us) { \
            turn; \
        } \
        TEST_CHECK(condition); \
    } while (0)

static uint32_t crew_echoes(const struct crew* crew)
{
    uint32_t total = 0;
    for (int i = 0; i < crew->client_count; i++) total += crew->echoes[i];
    return total;
}

/* Each client sends `count` more numbers, which come back in order. */
static void crew_echo(struct crew* crew, uint32_t from, uint32_t count)
{
    for (uint32_t number = from; number < from + count; number++) {
        for (int i = 0; i < crew->client_count; i++) {
            TEST_OK(necpnet_client_send(crew->clients[i], NECPNET_CHANNEL_RELIABLE, &number, sizeof number));
        }
    }
}

static void make_url(const struct crew* crew, bool web, char url[64])
{
    if (web) {
        snprintf(url, 64, "ws://127.0.0.1:%d/ws", crew->tcp_port);
    } else {
        snprintf(url, 64, "udp://127.0.0.1:%d", crew->udp_port);
    }
}

/* ---- spreading -- */

TEST(test_workers_share_a_port_and_the_clients_over_both_transports)
{
    struct crew crew;
    NEEDS_SHARED_PORTS(&crew, 4, true, NECPNET_SECURITY_OPEN);
    for (int i = 0; i < CLIENTS_MAX; i++) {
        char url[64];
        make_url(&crew, i % 2 == 1, url);
        crew_add_client(&crew, url, NULL);
    }
    CREW_UNTIL(&crew, crew_turn(&crew), crew.connected == CLIENTS_MAX);
    crew_echo(&crew, 0, 5);
    CREW_UNTIL(&crew, crew_turn(&crew), crew_echoes(&crew) == CLIENTS_MAX * 5);
    int used = 0, joined = 0;
    for (int i = 0; i < 4; i++) {
        used += crew.joined[i] > 0;
        joined += crew.joined[i];
    }
    TEST_EQUAL(joined, CLIENTS_MAX);
    TEST_GREATER(used, 1); /* 48 addresses, all on one of four: 4^-47 */
    necpnet_workers_statistics statistics;
    TEST_OK(necpnet_workers_get_statistics(crew.workers, &statistics));
    TEST_EQUAL(statistics.count, 4u);
    TEST_EQUAL(statistics.handed_over, 0u); /* nobody's address changed */
    TEST_EQUAL(statistics.dropped, 0u);
    crew_end(&crew);
}

/* ---- a source port that changes -- */

#define RELAY_PORTS 8

struct relay {
    int front;
    int back[RELAY_PORTS];
    necpnet_address to;
    necpnet_address client;
    int next;
    int port;
};

static int relay_socket(void)
{
    int descriptor = NN_NET_NONE;
    necpnet_address any;
    TEST_OK(necpnet_address_parse("127.0.0.1", &any));
    TEST_OK(nn_net_open(NN_NET_UDP, false, &descriptor));
    TEST_OK(nn_net_bind(descriptor, NN_NET_UDP, &any, false));
    return descriptor;
}

static void relay_begin(struct relay* relay, int to_port)
{
    memset(relay, 0, sizeof *relay);
    TEST_OK(necpnet_address_parse("127.0.0.1", &relay->to));
    relay->to.port = (uint16_t)to_port;
    relay->front = relay_socket();
    relay->port = nn_net_local_port(relay->front);
    for (int i = 0; i < RELAY_PORTS; i++) relay->back[i] = relay_socket();
}

static void relay_end(struct relay* relay)
{
    nn_net_close(relay->front);
    for (int i = 0; i < RELAY_PORTS; i++) nn_net_close(relay->back[i]);
}

/* One datagram from a socket to another's peer. False: none. */
static bool relay_pass(int from, int to, const necpnet_address* address, necpnet_address* out_from, bool* out_is_packet)
{
    static uint8_t data[65536];
    nn_net_datagram datagram;
    bool joins = false;
    int refused = 0;
    necpnet_result reason = NECPNET_OK;
    memset(&datagram, 0, sizeof datagram);
    datagram.data = data;
    datagram.bytes_max = sizeof data;
    if (nn_net_receive(from, &datagram, 1) != 1) return false;
    *out_from = datagram.address;
    *out_is_packet = (data[0] & 0x80) != 0;
    datagram.address = *address;
    TEST_EQUAL(nn_net_send(to, false, &datagram, 1, &joins, &refused, &reason), 1);
    return true;
}

/* Packets leave from another port each time; the handshake, whose cookie names the address, from the first. */
static void relay_turn(struct relay* relay)
{
    necpnet_address from;
    bool is_packet = false;
    for (;;) {
        int port = relay->next;
        if (!relay_pass(relay->front, relay->back[port], &relay->to, &from, &is_packet)) break;
        relay->client = from;
        if (is_packet) relay->next = (port + 1) % RELAY_PORTS;
    }
    for (int i = 0; i < RELAY_PORTS; i++) {
        while (relay_pass(relay->back[i], relay->front, &relay->client, &from, &is_packet)) {
        }
    }
}

static uint32_t handed_over_with_changing_ports(bool steer, bool* out_supported)
{
    struct crew crew;
    struct relay relay;
    char url[64];
    *out_supported = crew_begin(&crew, 4, steer, NECPNET_SECURITY_OPEN);
    if (!*out_supported) return 0;
    relay_begin(&relay, crew.udp_port);
    snprintf(url, sizeof url, "udp://127.0.0.1:%d", relay.port);
    crew_add_client(&crew, url, NULL);
    CREW_UNTIL(&crew, (relay_turn(&relay), crew_turn(&crew)), crew.connected == 1);
    for (uint32_t number = 0; number < 200; number++) { /* one by one: many packets */
        crew_echo(&crew, number, 1);
        CREW_UNTIL(&crew, (relay_turn(&relay), crew_turn(&crew)), crew.echoes[0] == number + 1);
    }
    TEST_EQUAL(crew.failed, 0);
    int joined = 0;
    for (int i = 0; i < 4; i++) joined += crew.joined[i];
    TEST_EQUAL(joined, 1);
    necpnet_workers_statistics statistics;
    TEST_OK(necpnet_workers_get_statistics(crew.workers, &statistics));
    TEST_EQUAL(statistics.dropped, 0u);
    relay_end(&relay);
    crew_end(&crew);
    return statistics.handed_over;
}

TEST(test_workers_hand_over_what_comes_from_a_new_source_port)
{
    bool supported;
    uint32_t handed_over = 0;
    for (int i = 0; i < 3 && handed_over == 0; i++) { /* eight ports, all by chance on the right one: 4^-8 */
        handed_over = handed_over_with_changing_ports(false, &supported);
        if (!supported) TEST_SKIP("this system cannot share a port");
    }
    TEST_GREATER(handed_over, 20u);
}

TEST(test_workers_need_not_hand_over_where_the_kernel_steers)
{
#if defined(__linux__)
    bool supported;
    TEST_EQUAL(handed_over_with_changing_ports(true, &supported), 0u);
    TEST_CHECK(supported);
#else
    TEST_SKIP("no SO_ATTACH_REUSEPORT_CBPF here");
#endif
}

/* ---- sessions that go on: whichever worker the new connection reaches, the one that has the session gets it -- */

#define LINES 16
#define CUTS 3

/* A client's own sockets, whose wire can be cut. */
struct line {
    necpnet_transport outer;
    const necpnet_transport* inner;
    necpnet_stream* stream;
    bool is_shut;
};

static struct line lines[LINES];

static struct line* line_of(void* user)
{
    for (int i = 0; i < LINES; i++) {
        if (lines[i].inner && lines[i].inner->user == user) return &lines[i];
    }
    return NULL;
}

static necpnet_result line_send(void* user, const necpnet_address* to, const uint8_t* data, size_t bytes)
{
    const struct line* line = line_of(user);
    return line->is_shut ? NECPNET_OK : line->inner->send_datagram(user, to, data, bytes);
}

static necpnet_result line_open(void* user, const necpnet_address* to, const char* url, void* context,
                                necpnet_stream** out_stream)
{
    struct line* line = line_of(user);
    necpnet_result result = line->inner->open_stream(user, to, url, context, out_stream);
    line->stream = result == NECPNET_OK ? *out_stream : NULL;
    return result;
}

static void line_add_client(struct crew* crew, struct line* line, const char* url)
{
    necpnet_socket_config sockets;
    necpnet_client_config config;
    necpnet_client* client = NULL;
    TEST_OK(necpnet_socket_config_default(&sockets));
    sockets.udp_port = 0;
    sockets.allocator = crew->allocator;
    memset(line, 0, sizeof *line);
    TEST_OK(necpnet_socket_create(&sockets, &line->inner));
    line->outer = *line->inner;
    line->outer.send_datagram = line_send;
    line->outer.open_stream = line_open;
    TEST_OK(necpnet_client_config_default(&config));
    config.allocator = crew->allocator;
    config.security = crew->security;
    config.transport = &line->outer;
    config.udp_ping_ms = 50;
    config.udp_timeout_ms = 200;
    config.reconnect_delay_min_ms = config.reconnect_delay_max_ms = 20;
    TEST_OK(necpnet_client_create(&config, &client));
    TEST_OK(necpnet_client_update(client, necpnet_time_us()));
    TEST_OK(necpnet_client_connect(client, &url, 1));
    crew->clients[crew->client_count++] = client;
}

/* Nothing of it comes through any more; a stream's other end hears of it. */
static void line_cut(struct line* line)
{
    line->is_shut = true;
    if (line->stream) nn_net_shut(line->stream->watch.descriptor);
    line->stream = NULL;
}

/* From another port, which the system gives to any of the workers. */
static void line_mend(struct line* line)
{
    line->is_shut = false;
    TEST_OK(line->inner->rebind(line->inner->user));
}

/* Echoes over sessions that are cut again and again; how many connections reached another worker than the session's. */
static uint32_t handed_over_by_cuts(bool web, bool* out_supported)
{
    struct crew crew;
    char url[64];
    *out_supported = crew_begin(&crew, 4, true, NECPNET_SECURITY_OPEN);
    if (!*out_supported) return 0;
    make_url(&crew, web, url);
    for (int i = 0; i < LINES; i++) line_add_client(&crew, &lines[i], url);
    CREW_UNTIL(&crew, crew_turn(&crew), crew.connected == LINES);
    crew_echo(&crew, 0, 1); /* a session of which nobody was heard does not wait */
    CREW_UNTIL(&crew, crew_turn(&crew), crew_echoes(&crew) == LINES);
    uint32_t echoes = 1;
    for (int cut = 0; cut < CUTS; cut++) {
        crew_echo(&crew, echoes, 3);
        for (int i = 0; i < LINES; i++) line_cut(&lines[i]);
        CREW_UNTIL(&crew, crew_turn(&crew), crew.suspended == LINES * (cut + 1));
        for (int i = 0; i < LINES; i++) line_mend(&lines[i]);
        echoes += 3;
        CREW_UNTIL(&crew, crew_turn(&crew), crew.connected == LINES * (cut + 2));
        CREW_UNTIL(&crew, crew_turn(&crew), crew_echoes(&crew) == LINES * echoes); /* crew_turn checks their order */
    }
    TEST_EQUAL(crew.resumed, LINES * CUTS);
    TEST_EQUAL(crew.failed, 0);
    necpnet_workers_statistics statistics;
    TEST_OK(necpnet_workers_get_statistics(crew.workers, &statistics));
    crew_end(&crew);
    for (int i = 0; i < LINES; i++) necpnet_socket_destroy(lines[i].inner);
    memset(lines, 0, sizeof lines);
    return statistics.handed_over;
}

TEST(test_workers_hand_a_udp_session_over_to_the_one_that_has_it)
{
    bool supported;
    uint32_t handed_over = handed_over_by_cuts(false, &supported);
    if (!supported) TEST_SKIP("this system cannot share a port");
    TEST_GREATER(handed_over, 4); /* 48 times one of four at random */
}

TEST(test_workers_hand_a_websocket_session_over_to_the_one_that_has_it)
{
    bool supported;
    uint32_t handed_over = handed_over_by_cuts(true, &supported);
    if (!supported) TEST_SKIP("this system cannot share a port");
    TEST_GREATER(handed_over, 4);
}

/* ---- tokens -- */

static void make_token(const struct crew* crew, uint64_t client_id, int web, char* text)
{
    necpnet_token_config config;
    char url[64];
    const char* urls[1] = {url};
    make_url(crew, web != 0, url);
    TEST_OK(necpnet_token_config_default(&config));
    config.issued_us = necpnet_wall_time_us();
    config.server_id = 1;
    config.client_id = client_id;
    config.urls = urls;
    config.url_count = 1;
    TEST_OK(necpnet_token_create(&config, &key, text, NECPNET_TOKEN_TEXT_BYTES_MAX));
}

TEST(test_workers_spend_a_token_once_for_all)
{
    if (!has_crypto()) TEST_SKIP("built without cryptography");
    struct crew crew;
    NEEDS_SHARED_PORTS(&crew, 4, true, NECPNET_SECURITY_TOKEN);
    enum { tokens = 6, tries = 4 };
    for (int i = 0; i < tokens; i++) {
        char text[NECPNET_TOKEN_TEXT_BYTES_MAX];
        make_token(&crew, (uint64_t)i + 1, i % 2, text);
        for (int j = 0; j < tries; j++) crew_add_client(&crew, NULL, text); /* from as many ports, all at once */
    }
    CREW_UNTIL(&crew, crew_turn(&crew), crew.connected + crew.failed == tokens * tries);
    TEST_EQUAL(crew.connected, tokens);
    TEST_EQUAL(crew.failed, tokens * (tries - 1));
    necpnet_workers_statistics statistics;
    TEST_OK(necpnet_workers_get_statistics(crew.workers, &statistics));
    TEST_EQUAL(statistics.tokens_spent, tokens);
    crew_end(&crew);
}

/* ---- threads -- */

struct crew_thread {
    nn_thread thread;
    necpnet_server* server;
    uint32_t* stop; /* atomic */
    int joined;
};

static void crew_thread_run(void* user)
{
    struct crew_thread* self = (struct crew_thread*)user;
    while (!nn_atomic_load(self->stop)) {
        server_turn(self->server, &self->joined);
        TEST_OK(necpnet_server_wait(self->server, 1000));
    }
    necpnet_server_destroy(self->server); /* one after the other, while the rest still serve */
}

TEST(test_workers_run_on_threads_and_stop_cleanly)
{
    struct crew crew;
    struct relay relay;
    static struct crew_thread threads[SERVERS_MAX];
    char url[64];
    uint32_t stop = 0;
    NEEDS_SHARED_PORTS(&crew, 1, false, NECPNET_SECURITY_OPEN);
    crew.allocator.allocate = NULL; /* the tests' own allocator belongs to one thread */
    crew.allocator.release = NULL;
    necpnet_server_destroy(crew.servers[0]);
    necpnet_workers_destroy(crew.workers);
    necpnet_workers_config config;
    TEST_OK(necpnet_workers_config_default(&config));
    config.steer = false;
    TEST_OK(necpnet_workers_create(&config, &crew.workers));
    crew.server_count = 0;
    for (int i = 0; i < 3; i++) TEST_OK(crew_add_server(&crew, 0, 0));
    TEST_OK(necpnet_server_get_ports(crew.servers[0], &crew.udp_port, &crew.tcp_port));
    for (int i = 0; i < 3; i++) {
        memset(&threads[i], 0, sizeof threads[i]);
        threads[i].server = crew.servers[i];
        threads[i].stop = &stop;
        TEST_CHECK(nn_thread_start(&threads[i].thread, crew_thread_run, &threads[i]));
    }
    relay_begin(&relay, crew.udp_port);
    snprintf(url, sizeof url, "udp://127.0.0.1:%d", relay.port);
    crew_add_client(&crew, url, NULL);
    for (int i = 1; i < 12; i++) {
        make_url(&crew, i % 2 == 1, url);
        crew_add_client(&crew, url, NULL);
    }
    CREW_UNTIL(&crew, (relay_turn(&relay), crew_turn_clients(&crew)), crew.connected == 12);
    for (uint32_t number = 0; number < 50; number++) {
        crew_echo(&crew, number, 1);
        CREW_UNTIL(&crew, (relay_turn(&relay), crew_turn_clients(&crew)), crew_echoes(&crew) == 12 * (number + 1));
    }
    TEST_EQUAL(crew.failed, 0);
    nn_atomic_store(&stop, 1);
    int joined = 0;
    for (int i = 0; i < 3; i++) {
        nn_thread_join(&threads[i].thread);
        joined += threads[i].joined;
    }
    TEST_EQUAL(joined, 12);
    crew.server_count = 0;
    CREW_UNTIL(&crew, (relay_turn(&relay), crew_turn_clients(&crew)), crew.failed == 12); /* all were told */
    relay_end(&relay);
    crew_end(&crew);
}

/* ---- joining and leaving -- */

TEST(test_workers_refuse_one_too_many_and_a_busy_port_and_take_one_again)
{
    struct crew crew;
    NEEDS_SHARED_PORTS(&crew, 3, true, NECPNET_SECURITY_NONE);
    TEST_OK(crew_add_server(&crew, crew.udp_port, crew.tcp_port)); /* by its number, too */
    necpnet_server* kept = crew.servers[3];
    crew.server_count = 3;
    crew.servers[3] = NULL;
    struct crew fifth = crew;
    fifth.server_count = 0;
    TEST_EQUAL(crew_add_server(&fifth, 0, 0), NECPNET_ERR_LIMIT_REACHED);
    necpnet_server_destroy(kept);
    TEST_OK(crew_add_server(&crew, 0, 0));
    /* others on the port: neither a stranger alone nor another crew gets it */
    struct crew other;
    TEST_CHECK(crew_begin(&other, 0, true, NECPNET_SECURITY_NONE));
    TEST_EQUAL(crew_add_server(&other, crew.udp_port, -1), NECPNET_ERR_ADDRESS_IN_USE);
    TEST_EQUAL(crew_add_server(&other, -1, crew.tcp_port), NECPNET_ERR_ADDRESS_IN_USE);
    crew_end(&other);
    crew_end(&crew);
}

TEST(test_workers_drop_what_is_for_one_that_has_gone)
{
    struct crew crew;
    struct relay relay;
    char url[64];
    NEEDS_SHARED_PORTS(&crew, 2, false, NECPNET_SECURITY_NONE);
    relay_begin(&relay, crew.udp_port);
    snprintf(url, sizeof url, "udp://127.0.0.1:%d", relay.port);
    crew_add_client(&crew, url, NULL);
    CREW_UNTIL(&crew, (relay_turn(&relay), crew_turn(&crew)), crew.connected == 1);
    int its = crew.joined[1] ? 1 : 0;
    necpnet_server_destroy(crew.servers[its]);
    crew.servers[0] = crew.servers[1 - its];
    crew.server_count = 1;
    uint32_t number = 0;
    necpnet_workers_statistics statistics;
    memset(&statistics, 0, sizeof statistics);
    uint64_t until_us = necpnet_time_us() + PATIENCE_US;
    while (crew.failed == 0 && necpnet_time_us() < until_us) { /* the goodbye may not pass the relay first */
        (void)necpnet_client_send(crew.clients[0], NECPNET_CHANNEL_UNRELIABLE, &number, sizeof number);
        crew_turn_clients(&crew);
        relay_turn(&relay);
        server_turn(crew.servers[0], &crew.joined[2]);
    }
    TEST_EQUAL(crew.failed, 1);
    TEST_EQUAL(crew.reason, NECPNET_ERR_DRAINING);
    relay_end(&relay);
    crew_end(&crew);
}

TEST(test_workers_config_is_checked)
{
    necpnet_workers_config config;
    necpnet_workers* workers = NULL;
    TEST_OK(necpnet_workers_config_default(&config));
    TEST_EQUAL(necpnet_workers_create(NULL, &workers), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_workers_create(&config, NULL), NECPNET_ERR_INVALID_ARGUMENT);
    config.count_max = 0;
    TEST_EQUAL(necpnet_workers_create(&config, &workers), NECPNET_ERR_BAD_CONFIG);
    config.count_max = 257;
    TEST_EQUAL(necpnet_workers_create(&config, &workers), NECPNET_ERR_BAD_CONFIG);
    config.count_max = 256;
    config.struct_bytes--;
    TEST_EQUAL(necpnet_workers_create(&config, &workers), NECPNET_ERR_BAD_STRUCT_BYTES);
    TEST_EQUAL(necpnet_workers_get_statistics(NULL, NULL), NECPNET_ERR_INVALID_ARGUMENT);
    necpnet_workers_destroy(NULL);
}

TEST(test_workers_give_everything_back_when_memory_fails)
{
    necpnet_allocator allocator = test_allocator();
    TEST_EACH_ALLOCATION_FAILS {
        necpnet_workers_config config;
        necpnet_workers* workers = NULL;
        necpnet_server_config server_config;
        necpnet_server* server = NULL;
        TEST_OK(necpnet_workers_config_default(&config));
        config.allocator = allocator;
        config.count_max = 2;
        necpnet_result result = necpnet_workers_create(&config, &workers);
        if (result == NECPNET_OK) {
            TEST_OK(necpnet_server_config_default(&server_config));
            server_config.allocator = allocator;
            server_config.bind_address = "127.0.0.1";
            server_config.udp_port = 0;
            server_config.security = NECPNET_SECURITY_NONE;
            server_config.workers = workers;
            result = necpnet_server_create(&server_config, &server);
        }
        if (test_allocation_failed()) TEST_EQUAL(result, NECPNET_ERR_OUT_OF_MEMORY);
        necpnet_server_destroy(server);
        necpnet_workers_destroy(workers);
    }
}

TEST_MAIN

/* bench/memory - what one idle connection takes from the server's allocator: a WebSocket of the application's, a session over
 * WebSocket, a session over UDP; each of 500, some seconds after they came (ACCEPTs are remembered for ten), and one message
 * each way later. Goals: 300 bytes, 1 KB, 2 KB.
 *
 *     memory
 *
 * Output: a table for people, then one JSON line a figure; the peer is the goal, ratio above 1 is better than it.
 */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE 1
#endif
#include "necpnet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__linux__)

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define COUNT 500
#define PATIENCE_US 60000000u

static size_t held; /* by the server */
static necpnet_server* server;
static necpnet_loop* loop;
static int udp_port, tcp_port;
static uint64_t offset_us; /* time that was not waited for */
static uint32_t connected, opened, messages;

static void check(const char* what, necpnet_result result)
{
    if (!result) return;
    fprintf(stderr, "memory: %s: %s\n", what, necpnet_result_text(result));
    exit(1);
}

static void* count_allocate(size_t bytes, void* user)
{
    (void)user;
    held += bytes;
    return malloc(bytes);
}

static void count_release(void* memory, size_t bytes, void* user)
{
    (void)user;
    held -= bytes;
    free(memory);
}

static uint64_t now_us(void)
{
    return necpnet_time_us() + offset_us;
}

static void on_request(necpnet_web_connection* connection, const necpnet_web_request* request,
                       necpnet_web_answer* answer, void* user)
{
    (void)connection, (void)request, (void)user;
    answer->action = NECPNET_WEB_ACCEPT;
}

static void on_open(necpnet_web_connection* connection, void* user)
{
    (void)connection, (void)user;
    opened++;
}

static void serve(void)
{
    necpnet_event event;
    check("update", necpnet_server_update(server, now_us()));
    while (necpnet_server_poll(server, &event)) {
        if (event.type == NECPNET_EVENT_CONNECTED) connected++;
        if (event.type != NECPNET_EVENT_MESSAGE) continue;
        messages++;
        check("echo", necpnet_server_send(server, event.peer, event.channel, event.data, event.bytes));
    }
}

static void begin(void)
{
    static necpnet_web_handlers handlers;
    necpnet_server_config config;
    handlers.on_request = on_request;
    handlers.on_open = on_open;
    check("config", necpnet_server_config_default(&config));
    config.allocator.allocate = count_allocate;
    config.allocator.release = count_release;
    config.bind_address = "127.0.0.1";
    config.udp_port = 0;
    config.tcp_port = 0;
    config.security = NECPNET_SECURITY_OPEN;
    config.peers_per_address_max = COUNT;
    config.web = &handlers;
    check("server", necpnet_server_create(&config, &server));
    check("ports", necpnet_server_get_ports(server, &udp_port, &tcp_port));
    check("loop", necpnet_loop_create(NULL, NECPNET_LOOP_BEST, &loop));
    connected = opened = messages = 0;
}

static void end(void)
{
    necpnet_server_destroy(server);
    necpnet_loop_destroy(loop);
}

static double web_bytes(void)
{
    static int sockets[COUNT];
    static const char head[] = "GET /other HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                               "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    struct sockaddr_in address;
    begin();
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)tcp_port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    size_t before = held;
    uint64_t until_us = necpnet_time_us() + PATIENCE_US;
    for (int i = 0; i < COUNT; i++) {
        sockets[i] = socket(AF_INET, SOCK_STREAM, 0);
        bool up = connect(sockets[i], (struct sockaddr*)&address, sizeof address) == 0 &&
                  write(sockets[i], head, sizeof head - 1) == (ssize_t)sizeof head - 1;
        if (!up) check("connect", NECPNET_ERR_IO);
        while ((int)opened <= i && necpnet_time_us() < until_us) serve();
    }
    for (int i = 0; i < 100; i++) serve();
    double bytes = ((double)held - (double)before) / COUNT;
    for (int i = 0; i < COUNT; i++) close(sockets[i]);
    end();
    return bytes;
}

/* Of a session, idle and after a message each way. */
static void session_bytes(bool web, double* out_idle, double* out_used)
{
    static necpnet_client* clients[COUNT];
    static const necpnet_transport* transports[COUNT];
    char url[64];
    const char* urls[1] = {url};
    begin();
    snprintf(url, sizeof url, web ? "ws://127.0.0.1:%d/ws" : "udp://127.0.0.1:%d", web ? tcp_port : udp_port);
    size_t before = held;
    uint64_t until_us = necpnet_time_us() + PATIENCE_US;
    uint32_t back = 0;
    for (int i = 0; i < COUNT; i++) {
        necpnet_socket_config socket;
        necpnet_client_config config;
        check("socket config", necpnet_socket_config_default(&socket));
        socket.loop = loop;
        socket.udp_port = 0;
        check("socket", necpnet_socket_create(&socket, &transports[i]));
        check("client config", necpnet_client_config_default(&config));
        config.transport = transports[i];
        config.security = NECPNET_SECURITY_OPEN;
        check("client", necpnet_client_create(&config, &clients[i]));
        check("client update", necpnet_client_update(clients[i], now_us()));
        check("connect", necpnet_client_connect(clients[i], urls, 1));
        while ((int)connected <= i && necpnet_time_us() < until_us) {
            serve();
            check("step", necpnet_loop_step(loop, 0));
            check("client update", necpnet_client_update(clients[i], now_us()));
        }
    }
    for (int step = 0; step < 150; step++) { /* 15 s, of which none is waited for */
        if (step == 100) {
            *out_idle = ((double)held - (double)before) / COUNT;
            for (int i = 0; i < COUNT; i++) check("send", necpnet_client_send(clients[i], 0, "hello", 5));
        }
        offset_us += 100000;
        for (int turn = 0; turn < 2; turn++) {
            check("step", necpnet_loop_step(loop, 0));
            for (int i = 0; i < COUNT; i++) {
                necpnet_event event;
                check("client update", necpnet_client_update(clients[i], now_us()));
                while (necpnet_client_poll(clients[i], &event)) back += event.type == NECPNET_EVENT_MESSAGE;
            }
            serve();
        }
    }
    *out_used = ((double)held - (double)before) / COUNT;
    if (connected != COUNT || messages != COUNT || back != COUNT) check("messages", NECPNET_ERR_TIMEOUT);
    for (int i = 0; i < COUNT; i++) {
        necpnet_client_destroy(clients[i]);
        necpnet_socket_destroy(transports[i]);
    }
    end();
}

static void report(const char* name, double mine, double goal)
{
    printf("%-40s %8.0f %8.0f %6.2f\n", name, mine, goal, goal / mine);
}

static void print_json(const char* name, double mine, double goal)
{
    printf("{\"bench\":\"memory\",\"case\":\"%s\",\"metric\":\"allocated\",\"unit\":\"bytes\",\"ours\":%.0f,\"peer\":"
           "\"goal\","
           "\"theirs\":%.0f,\"ratio\":%.3f}\n",
           name, mine, goal, goal / mine);
}

int main(void)
{
    static const char* const names[] = {"WebSocket, idle", "session over WebSocket, idle",
                                        "session over WebSocket, after a message", "session over UDP, idle",
                                        "session over UDP, after a message"};
    static const double goals[] = {300, 1024, 1024, 2048, 2048};
    double figures[5];
    struct rlimit limit = {8192, 8192};
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    figures[0] = web_bytes();
    session_bytes(true, &figures[1], &figures[2]);
    session_bytes(false, &figures[3], &figures[4]);
    printf("%s: bytes of the server's allocator, a connection\n%-40s %8s %8s %6s\n", necpnet_version(), "", "ours",
           "goal", "ratio");
    for (int i = 0; i < 5; i++) report(names[i], figures[i], goals[i]);
    for (int i = 0; i < 5; i++) print_json(names[i], figures[i], goals[i]);
    return 0;
}

#else

int main(void)
{
    puts("memory: this bench needs Linux");
    return 0;
}

#endif

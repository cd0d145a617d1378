/* sockets - the socket transport beside the bare system calls, on the loopback interface, in one process.
 *
 * Case one-peer: bursts of 64-byte datagrams from one socket to another, sent and received: bare by sendto and recvfrom,
 * one a datagram; ours through the transport's send_datagram, flush and receive, which join what goes to one address.
 * Case many-peers: 32 bare sockets send one each, and are answered: what differs is the server's half alone, bare or
 * ours; nothing can be joined. Rounds take turns, warm-up first; the best of each counts (CPU time of the process).
 * Case idle-stream is a byte stream's memory.
 *
 *   sockets [bursts]   bursts of 32 a round, default 2,000
 */
#include "necpnet.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BURST 32
#define BYTES 64
#define ROUNDS 5
#define STREAMS 200

static size_t live_bytes; /* of the transport's allocator */

static void* bench_allocate(size_t bytes, void* user)
{
    (void)user;
    live_bytes += bytes;
    return malloc(bytes);
}

static void bench_release(void* memory, size_t bytes, void* user)
{
    (void)user;
    live_bytes -= bytes;
    free(memory);
}

static double cpu_s(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void fail(const char* what)
{
    fprintf(stderr, "sockets: %s\n", what);
    exit(1);
}

/* ---- bare -- */

static int bare_open(struct sockaddr_in* at)
{
    int descriptor = socket(AF_INET, SOCK_DGRAM, 0);
    int buffer = 4 << 20;
    socklen_t bytes = (socklen_t)sizeof *at;
    memset(at, 0, sizeof *at);
    at->sin_family = AF_INET;
    at->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (descriptor < 0 || bind(descriptor, (struct sockaddr*)at, bytes) != 0 ||
        getsockname(descriptor, (struct sockaddr*)at, &bytes) != 0) {
        fail("cannot open a bare socket");
    }
    setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &buffer, (socklen_t)sizeof buffer);
    return descriptor;
}

static double bare_round(int bursts)
{
    struct sockaddr_in from_at, to_at;
    int from = bare_open(&from_at), to = bare_open(&to_at);
    uint8_t data[BYTES] = {0};
    double begin = cpu_s();
    for (int b = 0; b < bursts; b++) {
        for (int i = 0; i < BURST; i++) {
            sendto(from, data, sizeof data, 0, (struct sockaddr*)&to_at, (socklen_t)sizeof to_at);
        }
        for (int i = 0; i < BURST; i++) {
            struct sockaddr_in peer;
            socklen_t peer_bytes = (socklen_t)sizeof peer;
            if (recvfrom(to, data, sizeof data, 0, (struct sockaddr*)&peer, &peer_bytes) != BYTES)
                fail("a bare one is lost");
        }
    }
    double spent = cpu_s() - begin;
    close(from);
    close(to);
    return spent;
}

/* ---- ours -- */

static void count_datagram(void* user, const necpnet_address* from, uint8_t* data, size_t bytes, uint32_t waited_us)
{
    (void)from;
    (void)data;
    (void)waited_us;
    (void)bytes;
    ++*(int*)user;
}

static void* accept_stream(void* user, necpnet_stream* stream, const necpnet_address* from)
{
    (void)stream;
    (void)from;
    ++*(int*)user;
    return user;
}

static void open_stream(void* context)
{
    ++*(int*)context;
}

static void stream_data(void* context, uint8_t* data, size_t bytes)
{
    (void)context;
    (void)data;
    (void)bytes;
}

static void stream_writable(void* context)
{
    (void)context;
}

static void stream_close(void* context, necpnet_result reason)
{
    (void)context;
    (void)reason;
}

static void resolved(void* user, uint64_t request, const necpnet_address* addresses, int count, necpnet_result reason)
{
    (void)user;
    (void)request;
    (void)addresses;
    (void)count;
    (void)reason;
}

static const necpnet_transport* ours_open(int udp_port, int tcp_port, int* counter)
{
    necpnet_socket_config config;
    const necpnet_transport* transport = NULL;
    necpnet_socket_config_default(&config);
    config.allocator.allocate = bench_allocate;
    config.allocator.release = bench_release;
    config.bind_address = "127.0.0.1";
    config.udp_port = udp_port;
    config.tcp_port = tcp_port;
    if (necpnet_socket_create(&config, &transport) != NECPNET_OK) fail("cannot open a transport");
    necpnet_sink sink = {counter,     count_datagram,  accept_stream, open_stream,
                         stream_data, stream_writable, stream_close,  resolved};
    if (transport->attach(transport->user, &sink) != NECPNET_OK) fail("attach");
    return transport;
}

static double ours_round(int bursts)
{
    int received = 0, ignored = 0, udp, tcp;
    /* a listening port: the loop of a server, which receives in batches */
    const necpnet_transport* to = ours_open(0, 0, &received);
    const necpnet_transport* from = ours_open(0, -1, &ignored);
    to->local_ports(to->user, &udp, &tcp);
    necpnet_address address;
    necpnet_address_parse("127.0.0.1", &address);
    address.port = (uint16_t)udp;
    uint8_t data[BYTES] = {0};
    double begin = cpu_s();
    for (int b = 0; b < bursts; b++) {
        for (int i = 0; i < BURST; i++) from->send_datagram(from->user, &address, data, sizeof data);
        from->flush(from->user);
        for (int tries = 0; received < (b + 1) * BURST; tries++) {
            to->receive(to->user, 0);
            if (tries > 1000) fail("one of ours is lost");
        }
    }
    double spent = cpu_s() - begin;
    necpnet_socket_destroy(from);
    necpnet_socket_destroy(to);
    return spent;
}

/* A server echoes what 32 bare sockets send. */
static double many_round(int bursts, bool ours)
{
    int peers[BURST];
    struct sockaddr_in peer_at, server_at;
    int received = 0, udp = 0, tcp, server = -1;
    const necpnet_transport* transport = NULL;
    necpnet_address addresses[BURST];
    memset(&server_at, 0, sizeof server_at);
    if (ours) {
        transport = ours_open(0, 0, &received);
        transport->local_ports(transport->user, &udp, &tcp);
        server_at.sin_family = AF_INET;
        server_at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        server_at.sin_port = htons((uint16_t)udp);
    } else {
        server = bare_open(&server_at);
    }
    for (int i = 0; i < BURST; i++) {
        peers[i] = bare_open(&peer_at);
        necpnet_address_parse("127.0.0.1", &addresses[i]);
        addresses[i].port = ntohs(peer_at.sin_port);
    }
    uint8_t data[BYTES] = {0};
    double begin = cpu_s();
    for (int b = 0; b < bursts; b++) {
        for (int i = 0; i < BURST; i++) {
            sendto(peers[i], data, sizeof data, 0, (struct sockaddr*)&server_at, (socklen_t)sizeof server_at);
        }
        if (ours) {
            while (received < (b + 1) * BURST) transport->receive(transport->user, 0);
            for (int i = 0; i < BURST; i++) {
                transport->send_datagram(transport->user, &addresses[i], data, sizeof data);
            }
            transport->flush(transport->user);
        } else {
            for (int i = 0; i < BURST; i++) {
                struct sockaddr_in from;
                socklen_t from_bytes = (socklen_t)sizeof from;
                recvfrom(server, data, sizeof data, 0, (struct sockaddr*)&from, &from_bytes);
                sendto(server, data, sizeof data, 0, (struct sockaddr*)&from, from_bytes);
            }
        }
        for (int i = 0; i < BURST; i++) {
            if (recv(peers[i], data, sizeof data, 0) != BYTES) fail("an answer is lost");
        }
    }
    double spent = cpu_s() - begin;
    for (int i = 0; i < BURST; i++) close(peers[i]);
    if (ours) {
        necpnet_socket_destroy(transport);
    } else {
        close(server);
    }
    return spent;
}

static void print_figure(const char* name, double ours_ns, double bare_ns)
{
    printf("%-12s %d-byte datagrams, bursts of %d: ours %.0f ns, sendto and recvfrom %.0f ns\n", name, BYTES, BURST,
           ours_ns, bare_ns);
    printf("{\"bench\":\"sockets\",\"case\":\"%s\",\"metric\":\"cpu\",\"unit\":\"ns\",\"ours\":%.1f,"
           "\"peer\":\"sendto+recvfrom\",\"theirs\":%.1f,\"ratio\":%.3f}\n",
           name, ours_ns, bare_ns, bare_ns / ours_ns);
}

static double idle_stream_bytes(void)
{
    int accepted = 0, opened = 0, udp, tcp;
    const necpnet_transport* server = ours_open(-1, 0, &accepted);
    const necpnet_transport* client = ours_open(-1, -1, &opened);
    server->local_ports(server->user, &udp, &tcp);
    necpnet_address address;
    necpnet_address_parse("127.0.0.1", &address);
    address.port = (uint16_t)tcp;
    server->receive(server->user, 0);
    client->receive(client->user, 0);
    size_t before = live_bytes;
    for (int i = 0; i < STREAMS; i++) {
        necpnet_stream* stream;
        if (client->open_stream(client->user, &address, NULL, &opened, &stream) != NECPNET_OK) fail("open_stream");
    }
    uint64_t until_us = necpnet_time_us() + 5000000;
    while ((accepted < STREAMS || opened < STREAMS) && necpnet_time_us() < until_us) {
        client->receive(client->user, 0);
        server->receive(server->user, 0);
        server->wait(server->user, 1000);
    }
    if (accepted < STREAMS || opened < STREAMS) fail("streams do not open");
    double bytes = (double)(live_bytes - before) / (2 * STREAMS);
    necpnet_socket_destroy(client);
    necpnet_socket_destroy(server);
    return bytes;
}

int main(int argc, char** argv)
{
    int bursts = argc > 1 ? atoi(argv[1]) : 2000;
    if (bursts < 1) bursts = 1;
    double best[4] = {1e9, 1e9, 1e9, 1e9};
    for (int round = 0; round <= ROUNDS; round++) {
        double spent[4];
        spent[0] = bare_round(bursts);
        spent[1] = ours_round(bursts);
        spent[2] = many_round(bursts, false);
        spent[3] = many_round(bursts, true);
        for (int i = 0; i < 4 && round > 0; i++) { /* the first warms up */
            if (spent[i] < best[i]) best[i] = spent[i];
        }
    }
    double unit = 1e9 / ((double)bursts * BURST);
    print_figure("one-peer", best[1] * unit, best[0] * unit);
    print_figure("many-peers", best[3] * unit, best[2] * unit);
    double stream = idle_stream_bytes();
    printf("idle-stream  memory of an idle stream: %.0f bytes\n", stream);
    printf("{\"bench\":\"sockets\",\"case\":\"idle-stream\",\"metric\":\"memory\",\"unit\":\"bytes\",\"ours\":%.1f,"
           "\"peer\":null,\"theirs\":null,\"ratio\":null}\n",
           stream);
    return 0;
}

/* sockets - the socket transport beside the bare system calls, on the loopback interface, in one process.
 *
 * A round sends bursts of 64-byte datagrams from one socket to another and receives them: bare by sendto and recvfrom,
 * one a datagram; ours through the transport's send_datagram, flush and receive. Rounds take turns, warm-up first; the
 * best of each counts (CPU time of the process, both ends). The second case is a byte stream's memory when it is idle.
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

static void count_datagram(void* user, const necpnet_address* from, uint8_t* data, size_t bytes)
{
    (void)from;
    (void)data;
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
    double bare = 1e9, ours = 1e9;
    bare_round(bursts / 4 + 1);
    ours_round(bursts / 4 + 1);
    for (int i = 0; i < ROUNDS; i++) {
        double a = bare_round(bursts);
        double b = ours_round(bursts);
        if (a < bare) bare = a;
        if (b < ours) ours = b;
    }
    double count = (double)bursts * BURST;
    double bare_ns = bare / count * 1e9, ours_ns = ours / count * 1e9;
    double stream = idle_stream_bytes();
    printf("datagram of %d bytes, sent and received, in bursts of %d: ours %.0f ns, sendto and recvfrom %.0f ns\n",
           BYTES, BURST, ours_ns, bare_ns);
    printf("memory of an idle stream: %.0f bytes\n", stream);
    printf("{\"bench\":\"sockets\",\"case\":\"udp-64\",\"metric\":\"cpu\",\"unit\":\"ns\",\"ours\":%.1f,"
           "\"peer\":\"sendto+recvfrom\",\"theirs\":%.1f,\"ratio\":%.3f}\n",
           ours_ns, bare_ns, bare_ns / ours_ns);
    printf("{\"bench\":\"sockets\",\"case\":\"idle-stream\",\"metric\":\"memory\",\"unit\":\"bytes\",\"ours\":%.1f,"
           "\"peer\":null,\"theirs\":null,\"ratio\":null}\n",
           stream);
    return 0;
}

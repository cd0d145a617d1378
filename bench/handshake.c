/* bench/handshake - what a server pays for a client that comes, by connect token and by resume ticket: CPU of its half alone.
 *
 * Full: HELLO answered by RETRY, AUTH judged and answered by ACCEPT (two X25519). Resumed: RESUME judged and answered by ACCEPT with
 * the next ticket. The clients' halves are made outside of what is measured. Compiles the whole library as part of itself, because
 * the machines of the handshake are not public. Goal (quality.md): 10,000 resumed a second on one core, 800 full.
 */
#define NECPNET_WITH_PLATFORM 0
#include "../necpnet.c"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 5
#define CLIENTS 200
#define WALL_US UINT64_C(1790000000000000)

static nn_handshake_client bench_clients[CLIENTS];
static uint8_t bench_datagrams[CLIENTS][NN_HANDSHAKE_BYTES];
static nn_random bench_random;

static bool bench_fill(void* to, size_t bytes, void* user)
{
    for (size_t i = 0; i < bytes; i++) ((uint8_t*)to)[i] = (uint8_t)nn_random_u64((nn_random*)user);
    return true;
}

static uint64_t bench_now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void bench_must(bool holds, const char* what)
{
    if (holds) return;
    fprintf(stderr, "bench/handshake: %s\n", what);
    exit(1);
}

typedef struct bench_server {
    nn_alloc alloc;
    necpnet_entropy entropy;
    necpnet_token_key key;
    nn_ticket_keys ticket_keys;
    nn_handshake_server* handshake;
    necpnet_address from;
    uint64_t now_us;
} bench_server;

/* The server's answer to a datagram; the ACCEPT of an ADMIT has a ticket. */
static size_t bench_answer(bench_server* server, const uint8_t* datagram, uint8_t* reply)
{
    nn_handshake_outcome out;
    nn_connection_keys keys;
    nn_ticket ticket;
    size_t bytes = 0;
    nn_handshake_server_read(server->handshake, &server->from, datagram, NN_HANDSHAKE_BYTES, server->now_us,
                             WALL_US + 1, reply, &out);
    if (out.kind == NN_HANDSHAKE_REPLY) return out.reply_bytes;
    bench_must(out.kind == NN_HANDSHAKE_ADMIT, "a datagram was dropped");
    memset(&ticket, 0, sizeof ticket);
    ticket.number = 1;
    ticket.session = 1;
    bench_must(nn_handshake_server_accept(server->handshake, &out.pending, &server->alloc, 1, "setup", 5, &ticket,
                                          reply, &bytes, &keys) == NECPNET_OK,
               "a client was not accepted");
    nn_aead_destroy(keys.send);
    nn_aead_destroy(keys.receive);
    return bytes;
}

static void bench_begin_client(bench_server* server, int i, const nn_token_bundle* bundle, const uint8_t* ticket,
                               const uint8_t* secret)
{
    nn_handshake_client_config config;
    size_t bytes;
    memset(&config, 0, sizeof config);
    config.alloc = &server->alloc;
    config.entropy = &server->entropy;
    config.security = NECPNET_SECURITY_TOKEN;
    config.bundle = bundle;
    config.ticket = ticket;
    config.ticket_bytes = ticket ? NN_TICKET_BYTES : 0;
    config.ticket_secret = secret;
    config.setup = "setup";
    config.setup_bytes = 5;
    config.client_connection_id = (uint32_t)i + 1;
    config.timeout_us = 5000000;
    bench_must(nn_handshake_client_init(&bench_clients[i], &config, 0) == NECPNET_OK, "a client did not begin");
    nn_handshake_client_write(&bench_clients[i], 0, bench_datagrams[i], &bytes);
}

static void bench_token(bench_server* server, nn_token_bundle* out)
{
    char text[NECPNET_TOKEN_TEXT_BYTES_MAX];
    necpnet_token_config config;
    necpnet_token_config_default(&config);
    config.issued_us = WALL_US;
    config.entropy = server->entropy;
    bench_must(necpnet_token_create(&config, &server->key, text, sizeof text) == NECPNET_OK, "no token");
    bench_must(nn_token_bundle_parse(text, out) == NECPNET_OK, "no bundle");
}

/* One round of full handshakes; leaves each client's ticket in bench_clients. Nanoseconds a handshake. */
static uint64_t bench_full(bench_server* server)
{
    static uint8_t replies[CLIENTS][NN_HANDSHAKE_BYTES];
    static size_t reply_bytes[CLIENTS];
    size_t bytes;
    for (int i = 0; i < CLIENTS; i++) {
        nn_token_bundle bundle;
        bench_token(server, &bundle);
        bench_begin_client(server, i, &bundle, NULL, NULL);
    }
    uint64_t began = bench_now_ns();
    for (int i = 0; i < CLIENTS; i++) reply_bytes[i] = bench_answer(server, bench_datagrams[i], replies[i]);
    uint64_t spent = bench_now_ns() - began;
    for (int i = 0; i < CLIENTS; i++) {
        nn_handshake_client_read(&bench_clients[i], replies[i], reply_bytes[i], 0);
        nn_handshake_client_write(&bench_clients[i], 0, bench_datagrams[i], &bytes);
    }
    began = bench_now_ns();
    for (int i = 0; i < CLIENTS; i++) reply_bytes[i] = bench_answer(server, bench_datagrams[i], replies[i]);
    spent += bench_now_ns() - began;
    for (int i = 0; i < CLIENTS; i++) {
        bench_must(nn_handshake_client_read(&bench_clients[i], replies[i], reply_bytes[i], 0) == NN_HANDSHAKE_DONE,
                   "an ACCEPT does not open");
    }
    return spent / CLIENTS;
}

/* One round of resumes with the tickets of the last. */
static uint64_t bench_resumed(bench_server* server)
{
    static uint8_t replies[CLIENTS][NN_HANDSHAKE_BYTES];
    static size_t reply_bytes[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        uint8_t ticket[NN_TICKET_BYTES], secret[NN_SECRET_BYTES];
        memcpy(ticket, bench_clients[i].ticket, sizeof ticket);
        memcpy(secret, bench_clients[i].ticket_secret, sizeof secret);
        nn_handshake_client_reset(&bench_clients[i]);
        bench_begin_client(server, i, NULL, ticket, secret);
    }
    uint64_t began = bench_now_ns();
    for (int i = 0; i < CLIENTS; i++) reply_bytes[i] = bench_answer(server, bench_datagrams[i], replies[i]);
    uint64_t spent = bench_now_ns() - began;
    for (int i = 0; i < CLIENTS; i++) {
        bench_must(nn_handshake_client_read(&bench_clients[i], replies[i], reply_bytes[i], 0) == NN_HANDSHAKE_DONE,
                   "an ACCEPT does not open");
    }
    return spent / CLIENTS;
}

static void bench_print(const char* name, uint64_t each_ns)
{
    double per_s = 1e9 / (double)each_ns;
    printf("%-10s %8.1f us  %8.0f a second\n", name, (double)each_ns / 1000, per_s);
    printf("{\"bench\":\"handshake\",\"case\":\"%s\",\"metric\":\"handshakes a second of one core\",\"unit\":\"1/s\","
           "\"ours\":%.0f,\"peer\":null,\"theirs\":null,\"ratio\":null}\n",
           name, per_s);
}

int main(void)
{
    static bench_server server;
    nn_handshake_server_config config;
    uint64_t full = UINT64_MAX, resumed = UINT64_MAX;
    if (!nn_aead_suites()) {
        printf("bench/handshake: built without a crypto library\n");
        return 0;
    }
    nn_random_seed(&bench_random, 1);
    nn_alloc_init(&server.alloc, NULL);
    server.entropy.fill = bench_fill;
    server.entropy.user = &bench_random;
    server.key.id = 1;
    server.ticket_keys.count = 1;
    server.ticket_keys.suite = NN_SUITE_CHACHA20_POLY1305;
    bench_fill(server.ticket_keys.keys[0].bytes, NECPNET_TOKEN_KEY_BYTES, &bench_random);
    memset(&config, 0, sizeof config);
    config.entropy = &server.entropy;
    config.security = NECPNET_SECURITY_TOKEN;
    config.token_keys = &server.key;
    config.token_key_count = 1;
    config.server_id = 1;
    config.ticket_keys = &server.ticket_keys;
    bench_must(necpnet_address_parse("192.0.2.1:4433", &server.from) == NECPNET_OK, "no address");
    bench_must(nn_handshake_server_create(&server.alloc, &config, 0, &server.handshake) == NECPNET_OK, "no server");
    for (int round = 0; round < ROUNDS; round++) {
        server.now_us += 20000000; /* cached ACCEPTs are forgotten */
        full = nn_min_u64(full, bench_full(&server));
        for (int i = 0; i < 4; i++) {
            server.now_us += 20000000;
            resumed = nn_min_u64(resumed, bench_resumed(&server));
        }
        for (int i = 0; i < CLIENTS; i++) nn_handshake_client_reset(&bench_clients[i]);
    }
    bench_print("full", full);
    bench_print("resumed", resumed);
    nn_handshake_server_destroy(server.handshake);
    return 0;
}

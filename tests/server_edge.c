/* server_edge - the edge before a REST server that is away, silent, rude or slow. Real sockets on loopback; time is moved on
 * instead of waited for. */
#include "test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edge.h"
#include "log.h"

#define ROUNDS_MAX 20000 /* of the loop, each at most 1 ms */

typedef struct bench {
    config settings;
    edge* edge;
    necpnet_web* web;
    uint64_t skew_us; /* how far time was moved on */
    int client;
    int backend_listens; /* -1: none */
    int backend;         /* the accepted connection, -1: none */
    char said[4096];     /* to the client */
    size_t said_bytes;
    uint64_t said_total;
    char asked[4096]; /* of the backend */
    size_t asked_bytes;
    bool client_closed;
    bool client_reads;
} bench;

static int listen_on_loopback(int* out_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(address);
    int descriptor = socket(AF_INET, SOCK_STREAM, 0);
    TEST_CHECK(descriptor >= 0 && bind(descriptor, (struct sockaddr*)&address, bytes) == 0);
    TEST_CHECK(listen(descriptor, 8) == 0 && getsockname(descriptor, (struct sockaddr*)&address, &bytes) == 0);
    TEST_CHECK(fcntl(descriptor, F_SETFL, O_NONBLOCK) == 0);
    *out_port = ntohs(address.sin_port);
    return descriptor;
}

static void bench_begin(bench* at, bool backend)
{
    necpnet_web_config web;
    int port = 0;
    memset(at, 0, sizeof(*at));
    log_begin(NECPNET_LOG_OFF, true, 2);
    at->client = at->backend = -1;
    at->client_reads = true;
    at->settings.ws_path = (char*)"/ws";
    at->settings.certificate_file = (char*)"";
    at->settings.http_connections_max = 2;
    at->settings.http_body_bytes_max = 1024;
    at->settings.http_timeout_ms = 60000; /* of the time that is moved on */
    at->backend_listens = listen_on_loopback(&port);
    if (!backend) { /* a port that was free a moment ago */
        close(at->backend_listens);
        at->backend_listens = -1;
    }
    TEST_OK(edge_create(&at->settings, &at->edge));
    TEST_OK(necpnet_web_config_default(&web));
    web.bind_address = "127.0.0.1";
    web.tcp_port = 0;
    web.handlers = *edge_handlers(at->edge);
    web.head_timeout_ms = 600000;
    TEST_OK(necpnet_web_create(&web, &at->web));
    edge_attach(at->edge, at->web, port, "the secret");
}

static void bench_end(bench* at)
{
    necpnet_web_destroy(at->web);
    edge_destroy(at->edge);
    if (at->client >= 0) close(at->client);
    if (at->backend >= 0) close(at->backend);
    if (at->backend_listens >= 0) close(at->backend_listens);
}

static int bench_connect(bench* at)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    address.sin_port = htons((uint16_t)necpnet_web_get_port(at->web));
    int descriptor = socket(AF_INET, SOCK_STREAM, 0);
    TEST_CHECK(descriptor >= 0 && connect(descriptor, (struct sockaddr*)&address, sizeof(address)) == 0);
    TEST_CHECK(fcntl(descriptor, F_SETFL, O_NONBLOCK) == 0);
    return descriptor;
}

static void bench_ask(bench* at, const char* request)
{
    at->client = bench_connect(at);
    TEST_EQUAL(send(at->client, request, strlen(request), MSG_NOSIGNAL), strlen(request));
}

/* One turn of the loop, and of client and backend beside it. */
static void bench_turn(bench* at)
{
    char piece[65536];
    uint64_t now_us = necpnet_time_us() + at->skew_us;
    TEST_OK(necpnet_web_update(at->web, now_us));
    if (edge_work(at->edge, now_us)) TEST_OK(necpnet_web_update(at->web, now_us));
    if (at->backend < 0 && at->backend_listens >= 0) {
        at->backend = accept(at->backend_listens, NULL, NULL);
        if (at->backend >= 0) TEST_CHECK(fcntl(at->backend, F_SETFL, O_NONBLOCK) == 0);
    }
    if (at->backend >= 0) {
        ssize_t got = recv(at->backend, at->asked + at->asked_bytes, sizeof(at->asked) - 1 - at->asked_bytes, 0);
        if (got > 0) at->asked_bytes += (size_t)got;
    }
    while (at->client >= 0 && at->client_reads && !at->client_closed) {
        ssize_t got = recv(at->client, piece, sizeof(piece), 0);
        if (got < 0 && errno == EAGAIN) break;
        if (got <= 0) {
            at->client_closed = true;
            break;
        }
        size_t kept = sizeof(at->said) - 1 - at->said_bytes;
        if (kept > (size_t)got) kept = (size_t)got;
        memcpy(at->said + at->said_bytes, piece, kept);
        at->said_bytes += kept;
        at->said_total += (uint64_t)got;
    }
    (void)necpnet_web_wait(at->web, 1000);
}

#define BENCH_UNTIL(at, condition) \
    do { \
        int rounds_ = 0; \
        while (!(condition) && rounds_++ < ROUNDS_MAX) bench_turn(at); \
        TEST_HINT("waited for %s; the client heard: %s", #condition, (at)->said); \
        TEST_CHECK(condition); \
    } while (0)

static bool asked_whole(const bench* at)
{
    return strstr(at->asked, "\r\n\r\n") != NULL;
}

static bool is_idle(const bench* at)
{
    edge_figures figures;
    edge_get_figures(at->edge, &figures);
    return figures.active == 0;
}

static const char get[] = "GET /health HTTP/1.1\r\nHost: a\r\nX-Necpnet-Edge: forged\r\n\r\n";

TEST(test_edge_answers_503_when_nobody_listens)
{
    bench at;
    bench_begin(&at, false);
    bench_ask(&at, get);
    BENCH_UNTIL(&at, at.client_closed);
    TEST_CHECK(strncmp(at.said, "HTTP/1.1 503 ", 13) == 0);
    TEST_CHECK(strstr(at.said, "Retry-After: 1\r\n") && strstr(at.said, "\"code\":\"unavailable\""));
    BENCH_UNTIL(&at, is_idle(&at));
    bench_end(&at);
}

TEST(test_edge_answers_502_when_the_rest_server_hangs_up)
{
    bench at;
    bench_begin(&at, true);
    bench_ask(&at, get);
    BENCH_UNTIL(&at, asked_whole(&at));
    close(at.backend);
    at.backend = -1;
    close(at.backend_listens);
    at.backend_listens = -1;
    BENCH_UNTIL(&at, at.client_closed);
    TEST_CHECK(strncmp(at.said, "HTTP/1.1 502 ", 13) == 0);
    BENCH_UNTIL(&at, is_idle(&at));
    bench_end(&at);
}

TEST(test_edge_answers_504_when_the_rest_server_is_silent)
{
    bench at;
    bench_begin(&at, true);
    bench_ask(&at, get);
    BENCH_UNTIL(&at, asked_whole(&at));
    at.skew_us += 59000000;
    for (int i = 0; i < 20; i++) bench_turn(&at);
    TEST_EQUAL(at.said_bytes, 0);
    at.skew_us += 3000000;
    BENCH_UNTIL(&at, at.client_closed);
    TEST_CHECK(strncmp(at.said, "HTTP/1.1 504 ", 13) == 0);
    BENCH_UNTIL(&at, is_idle(&at));
    bench_end(&at);
}

TEST(test_edge_hands_over_one_request_with_its_secret)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
    bench at;
    bench_begin(&at, true);
    bench_ask(&at, "POST /x?y=1 HTTP/1.1\r\nHost: a\r\nX-Necpnet-Edge: forged\r\nTransfer-Encoding: chunked\r\n\r\n"
                   "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
    BENCH_UNTIL(&at, strstr(at.asked, "abcde") != NULL);
    TEST_EQUAL_STRING(at.asked,
                      "POST /x?y=1 HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n"
                      "X-Necpnet-Edge: the secret\r\nConnection: close\r\nContent-Length: 5\r\n\r\nabcde");
    TEST_EQUAL(send(at.backend, answer, sizeof(answer) - 1, MSG_NOSIGNAL), sizeof(answer) - 1);
    close(at.backend);
    at.backend = -1;
    BENCH_UNTIL(&at, at.client_closed);
    TEST_EQUAL_STRING(at.said, answer);
    TEST_CHECK(!strstr(at.asked, "smuggled"));
    BENCH_UNTIL(&at, is_idle(&at));
    bench_end(&at);
}

/* The REST server answers at once, with so many bytes, and closes. */
static void bench_answer(bench* at, uint64_t bytes)
{
    static char piece[65536];
    BENCH_UNTIL(at, asked_whole(at));
    for (int i = 0; i < ROUNDS_MAX && bytes > 0; i++) {
        ssize_t taken = send(at->backend, piece, bytes < sizeof(piece) ? bytes : sizeof(piece), MSG_NOSIGNAL);
        if (taken > 0) bytes -= (uint64_t)taken;
        bench_turn(at);
    }
    TEST_EQUAL(bytes, 0); /* nobody who does not read makes it wait */
    close(at->backend);
    at->backend = -1;
    at->asked_bytes = 0;
    memset(at->asked, 0, sizeof(at->asked));
}

TEST(test_edge_holds_an_answer_for_a_slow_reader)
{
    bench at;
    bench_begin(&at, true);
    bench_ask(&at, get);
    at.client_reads = false;
    bench_answer(&at, 7000000);
    for (int i = 0; i < 20; i++) bench_turn(&at);
    TEST_CHECK(!is_idle(&at));
    at.client_reads = true;
    BENCH_UNTIL(&at, at.client_closed);
    TEST_EQUAL(at.said_total, 7000000); /* and not a byte is lost */
    BENCH_UNTIL(&at, is_idle(&at));
    bench_end(&at);
}

TEST(test_edge_holds_so_much_and_the_slowest_reader_gives_way)
{
    enum { CLIENTS = 24 };
    bench at;
    int clients[CLIENTS];
    bench_begin(&at, true);
    at.settings.http_connections_max = CLIENTS;
    at.client_reads = false;
    for (int i = 0; i < CLIENTS; i++) {
        bench_ask(&at, get);
        bench_answer(&at, 7000000);
        clients[i] = at.client;
    }
    edge_figures figures = {0};
    edge_get_figures(at.edge, &figures);
    TEST_GREATER(figures.active, 4);
    at.client_reads = true; /* the last one */
    BENCH_UNTIL(&at, at.client_closed);
    TEST_EQUAL(at.said_total, 7000000);
    at.said_total = 0;
    at.client_closed = false;
    at.client = clients[0];
    BENCH_UNTIL(&at, at.client_closed);
    TEST_LESS(at.said_total, 7000000); /* it was cut off */
    for (int i = 1; i < CLIENTS; i++) close(clients[i]);
    BENCH_UNTIL(&at, is_idle(&at));
    bench_end(&at);
}

TEST(test_edge_gives_up_on_a_reader_that_never_reads)
{
    static char piece[65536];
    bench at;
    bench_begin(&at, true);
    bench_ask(&at, get);
    at.client_reads = false;
    BENCH_UNTIL(&at, asked_whole(&at));
    for (int i = 0; i < 60; i++) {
        (void)send(at.backend, piece, sizeof(piece), MSG_NOSIGNAL);
        bench_turn(&at);
    }
    TEST_CHECK(!is_idle(&at));
    at.skew_us += 61000000;
    BENCH_UNTIL(&at, is_idle(&at));
    bench_end(&at);
}

TEST(test_edge_has_places_for_so_many_and_frees_them)
{
    bench at;
    char heard[256] = "";
    bench_begin(&at, true);
    int held[2];
    for (int i = 0; i < 2; i++) {
        held[i] = bench_connect(&at);
        TEST_EQUAL(send(held[i], "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n", 47, MSG_NOSIGNAL), 47);
    }
    edge_figures figures = {0};
    for (int i = 0; i < ROUNDS_MAX && figures.active < 2; i++) {
        bench_turn(&at);
        edge_get_figures(at.edge, &figures);
    }
    TEST_EQUAL(figures.active, 2);
    int third = bench_connect(&at);
    TEST_EQUAL(send(third, get, sizeof(get) - 1, MSG_NOSIGNAL), sizeof(get) - 1);
    for (int i = 0; i < ROUNDS_MAX && heard[0] == 0; i++) {
        bench_turn(&at);
        if (recv(third, heard, sizeof(heard) - 1, 0) < 0) heard[0] = 0;
    }
    TEST_CHECK(strncmp(heard, "HTTP/1.1 503 ", 13) == 0);
    close(third);
    at.skew_us += 61000000; /* both bodies are late now: 408, and their places are free */
    for (int i = 0; i < ROUNDS_MAX && !is_idle(&at); i++) bench_turn(&at);
    TEST_CHECK(is_idle(&at));
    for (int i = 0; i < 2; i++) {
        TEST_GREATER(recv(held[i], heard, 12, 0), 0);
        TEST_CHECK(strncmp(heard, "HTTP/1.1 408", 12) == 0);
        close(held[i]);
    }
    bench_end(&at);
}

TEST_MAIN

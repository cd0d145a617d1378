/* ws - the web edge against libwebsockets, and against a bare epoll loop that can do nothing but this, as the floor: echo,
 * fan-out, upgrades, memory of idle connections, and the memory that the library takes for one.
 *
 * Each server runs in a child process on the first core; one and the same load generator (this process, on the last
 * core) asks all in turn, several short rounds, of which the best counts. A table for people, then one JSON line a
 * figure. Loopback, no TLS, 64 bytes a message.
 */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE 1
#endif
#include "necpnet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__linux__)

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#if BENCH_WITH_WEBSOCKETS
#include <libwebsockets.h>
#endif

#define MESSAGE_BYTES 64
#define FRAME_BYTES (2 + MESSAGE_BYTES)      /* server to client */
#define MASKED_BYTES (2 + 4 + MESSAGE_BYTES) /* client to server */
#define CONNECTIONS_MAX 10200
#define IDLE 9800
#define FAN_IN_FLIGHT 8
#define READ_BYTES (512 * 1024)

static double seconds_a_round = 0.6;
static int rounds = 3;

/* ---- our server ----------------------------------------------------------------------------------------------------- */

static necpnet_web_connection* fan[CONNECTIONS_MAX];
static int fan_count;

/* A message on a connection with the path /fan goes to all with that path; else back to its sender. */
static void ours_on_request(necpnet_web_connection* connection, const necpnet_web_request* request,
                            necpnet_web_answer* answer, void* user)
{
    (void)connection, (void)user;
    answer->action = NECPNET_WEB_ACCEPT;
    answer->user_data = strcmp(request->path, "/fan") ? NULL : (void*)fan;
}

static void ours_on_open(necpnet_web_connection* connection, void* user)
{
    (void)user;
    if (necpnet_web_get_user_data(connection) && fan_count < CONNECTIONS_MAX) fan[fan_count++] = connection;
}

static void ours_on_message(necpnet_web_connection* connection, necpnet_web_kind kind, const uint8_t* data,
                            size_t bytes, void* user)
{
    (void)user;
    if (!necpnet_web_get_user_data(connection)) {
        (void)necpnet_web_send(connection, kind, data, bytes);
        return;
    }
    for (int i = 0; i < fan_count; i++) (void)necpnet_web_send(fan[i], kind, data, bytes);
}

static void ours_on_close(necpnet_web_connection* connection, int code, const char* text, necpnet_result reason,
                          void* user)
{
    (void)code, (void)text, (void)reason, (void)user;
    for (int i = 0; i < fan_count; i++) {
        if (fan[i] == connection) fan[i] = fan[--fan_count];
    }
}

static void ours_serve(int port)
{
    necpnet_web_config config;
    necpnet_web* web = NULL;
    (void)necpnet_web_config_default(&config);
    config.tcp_port = port;
    config.bind_address = "127.0.0.1";
    config.queue_bytes_max = 64u << 20;
    config.handlers.on_request = ours_on_request;
    config.handlers.on_open = ours_on_open;
    config.handlers.on_message = ours_on_message;
    config.handlers.on_close = ours_on_close;
    necpnet_result result = necpnet_web_create(&config, &web);
    if (result != NECPNET_OK) {
        fprintf(stderr, "ws: %s\n", necpnet_result_text(result));
        exit(1);
    }
    for (;;) {
        (void)necpnet_web_update(web, necpnet_time_us());
        (void)necpnet_web_wait(web, 1000000);
    }
}

/* ---- libwebsockets -------------------------------------------------------------------------------------------------- */

#if BENCH_WITH_WEBSOCKETS

#define LWS_RING 1024 /* messages of the fan that a connection may be behind */

struct lws_session {
    uint8_t queue[64][MESSAGE_BYTES]; /* echoes that wait: the generator has at most 32 in flight */
    uint32_t head, tail;
    bool is_fan;
    uint64_t seen;
};

static uint8_t lws_ring[LWS_RING][LWS_PRE + MESSAGE_BYTES];
static uint64_t lws_ring_count;

static void lws_received(struct lws* wsi, struct lws_session* session, const void* data, size_t bytes)
{
    if (bytes != MESSAGE_BYTES) return;
    if (session->is_fan) {
        memcpy(lws_ring[lws_ring_count++ % LWS_RING] + LWS_PRE, data, bytes);
        lws_callback_on_writable_all_protocol(lws_get_context(wsi), lws_get_protocol(wsi));
    } else {
        memcpy(session->queue[session->head++ % 64], data, bytes);
        lws_callback_on_writable(wsi);
    }
}

/* As much as the socket takes: its most favourable use. */
static void lws_writable(struct lws* wsi, struct lws_session* session)
{
    uint8_t buffer[LWS_PRE + MESSAGE_BYTES];
    while (session->is_fan ? session->seen < lws_ring_count : session->tail != session->head) {
        if (lws_send_pipe_choked(wsi)) {
            lws_callback_on_writable(wsi);
            return;
        }
        if (session->is_fan) {
            memcpy(buffer + LWS_PRE, lws_ring[session->seen++ % LWS_RING] + LWS_PRE, MESSAGE_BYTES);
        } else {
            memcpy(buffer + LWS_PRE, session->queue[session->tail++ % 64], MESSAGE_BYTES);
        }
        if (lws_write(wsi, buffer + LWS_PRE, MESSAGE_BYTES, LWS_WRITE_BINARY) < 0) return;
    }
}

static int lws_called(struct lws* wsi, enum lws_callback_reasons reason, void* user, void* data, size_t bytes)
{
    struct lws_session* session = (struct lws_session*)user;
    char path[16] = "";
    if (reason == LWS_CALLBACK_ESTABLISHED) {
        memset(session, 0, sizeof *session);
        (void)lws_hdr_copy(wsi, path, sizeof path, WSI_TOKEN_GET_URI);
        session->is_fan = !strcmp(path, "/fan");
        session->seen = lws_ring_count;
    } else if (reason == LWS_CALLBACK_RECEIVE) {
        lws_received(wsi, session, data, bytes);
    } else if (reason == LWS_CALLBACK_SERVER_WRITEABLE) {
        lws_writable(wsi, session);
    }
    return 0;
}

static void theirs_serve(int port)
{
    struct lws_protocols protocols[2];
    struct lws_context_creation_info info;
    memset(protocols, 0, sizeof protocols);
    protocols[0].name = "bench";
    protocols[0].callback = lws_called;
    protocols[0].per_session_data_size = sizeof(struct lws_session);
    protocols[0].rx_buffer_size = 65536;
    memset(&info, 0, sizeof info);
    info.port = port;
    info.iface = "127.0.0.1";
    info.protocols = protocols;
    info.pt_serv_buf_size = 65536;
    lws_set_log_level(0, NULL);
    struct lws_context* context = lws_create_context(&info);
    if (!context) exit(1);
    while (lws_service(context, 0) >= 0) continue;
}

#endif

/* ---- a bare loop: the floor ------------------------------------------------------------------------------------------ */

/* One read, one write, no memory of a connection but whether it has upgraded; frames are whole, as the generator sends. */
static void bare_data(int epoll, int fd, bool* upgraded, uint8_t* data, size_t bytes)
{
    static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                 "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    static uint8_t out[READ_BYTES];
    size_t used = 0;
    if (!*upgraded) {
        *upgraded = true;
        if (write(fd, answer, sizeof answer - 1) < 0) (void)epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
        return;
    }
    for (; bytes >= MASKED_BYTES; data += MASKED_BYTES, bytes -= MASKED_BYTES) {
        out[used] = 0x82;
        out[used + 1] = MESSAGE_BYTES;
        for (size_t i = 0; i < MESSAGE_BYTES; i++) out[used + 2 + i] = (uint8_t)(data[6 + i] ^ data[2 + i % 4]);
        used += FRAME_BYTES;
    }
    if (used && write(fd, out, used) < 0) (void)epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
}

static void bare_serve(int port)
{
    static bool upgraded[65536];
    static uint8_t data[READ_BYTES];
    struct epoll_event events[256], event;
    struct sockaddr_in address;
    int one = 1;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), epoll = epoll_create1(0);
    (void)setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    (void)setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (bind(listener, (struct sockaddr*)&address, sizeof address) || listen(listener, 4096)) exit(1);
    memset(&event, 0, sizeof event);
    event.events = EPOLLIN;
    event.data.fd = listener;
    (void)epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int ready = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd != listener) {
                ssize_t got = read(fd, data, sizeof data);
                if (got > 0) {
                    bare_data(epoll, fd, &upgraded[fd], data, (size_t)got);
                } else {
                    close(fd);
                }
                continue;
            }
            while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                upgraded[fd] = false;
                event.data.fd = fd;
                (void)epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
            }
        }
    }
}

/* ---- processes ------------------------------------------------------------------------------------------------------ */

static void pin(int core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((unsigned)core, &set);
    (void)sched_setaffinity(0, sizeof set, &set);
}

static pid_t start_server(void (*serve)(int port), int port)
{
    fflush(stdout);
    pid_t child = fork();
    if (child != 0) return child;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* no server outlives the bench */
    pin(0);
    serve(port);
    exit(0);
}

static void stop_server(pid_t child)
{
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
}

/* Resident memory of a process in bytes. */
static double resident_bytes(pid_t child)
{
    char path[64];
    long pages = 0;
    snprintf(path, sizeof path, "/proc/%ld/statm", (long)child);
    FILE* file = fopen(path, "r");
    if (!file) return 0;
    if (fscanf(file, "%*d %ld", &pages) != 1) pages = 0;
    fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

/* Processor time of a process in seconds, in the kernel and out of it. */
static double processor_s(pid_t child)
{
    char path[64];
    char line[1024] = "";
    unsigned long user = 0;
    unsigned long kernel = 0;
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)child);
    FILE* file = fopen(path, "r");
    if (!file) return 0;
    if (!fgets(line, sizeof line, file)) line[0] = 0;
    fclose(file);
    const char* at = strrchr(line, ')');
    if (!at || sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel) != 2) return 0;
    return (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
}

/* ---- the load generator --------------------------------------------------------------------------------------------- */

struct generator {
    int port;
    int epoll;
    pid_t server;
    double cpu_ns; /* of the server, a message, in the last run */
    int count;
    int sockets[CONNECTIONS_MAX];
    uint32_t got[CONNECTIONS_MAX]; /* bytes of the present batch */
    uint8_t* buffer;
};

static double now_s(void)
{
    return (double)necpnet_time_us() / 1e6;
}

static int open_socket(int port)
{
    struct sockaddr_in address;
    int one = 1;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < 200; i++) { /* the server may just be starting */
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (fd < 0) return -1;
        if (connect(fd, (struct sockaddr*)&address, sizeof address) == 0) {
            (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            return fd;
        }
        close(fd);
        usleep(10000);
    }
    return -1;
}

/* A port that nobody uses just now: two runs of this bench must not meet. */
static int free_port(void)
{
    struct sockaddr_in address;
    socklen_t bytes = sizeof address;
    int port = 0;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0) return 0;
    if (bind(fd, (struct sockaddr*)&address, sizeof address) == 0 &&
        getsockname(fd, (struct sockaddr*)&address, &bytes) == 0) {
        port = ntohs(address.sin_port);
    }
    close(fd);
    return port;
}

static bool ask(int fd, const char* path)
{
    char head[1024];
    int bytes = snprintf(head, sizeof head,
                         "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                         path);
    return write(fd, head, (size_t)bytes) == bytes;
}

/* The answer's head: nothing comes behind it before we speak. */
static bool is_answered(int fd)
{
    char head[1024];
    size_t got = 0;
    for (;;) {
        ssize_t part = read(fd, head + got, sizeof head - 1 - got);
        if (part <= 0) return false;
        got += (size_t)part;
        head[got] = 0;
        if (strstr(head, "\r\n\r\n")) return !strncmp(head, "HTTP/1.1 101", 12);
    }
}

/* Many connections, upgraded a hundred at a time: neither side waits for the other at each one. Returns how many. */
static int open_many(int port, int* fds, int count, const char* path)
{
    int done = 0;
    while (done < count) {
        int opened = done;
        for (; opened < count && opened < done + 100; opened++) {
            fds[opened] = open_socket(port);
            if (fds[opened] < 0) return done;
            if (!ask(fds[opened], path)) return done;
        }
        for (; done < opened; done++) {
            if (!is_answered(fds[done])) return done;
        }
    }
    return done;
}

static bool open_all(struct generator* generator, int count, const char* path)
{
    generator->epoll = epoll_create1(0);
    generator->count = 0;
    if (open_many(generator->port, generator->sockets, count, path) != count) return false;
    for (int i = 0; i < count; i++) {
        int fd = generator->sockets[i];
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
        (void)fcntl(fd, F_SETFL, O_NONBLOCK);
        (void)epoll_ctl(generator->epoll, EPOLL_CTL_ADD, fd, &event);
        generator->got[i] = 0;
        generator->count++;
    }
    return true;
}

static void close_all(struct generator* generator)
{
    for (int i = 0; i < generator->count; i++) close(generator->sockets[i]);
    close(generator->epoll);
    generator->count = 0;
}

static uint8_t masked_frames[32 * MASKED_BYTES];

static void make_frames(void)
{
    for (size_t i = 0; i < 32; i++) {
        uint8_t* frame = masked_frames + i * MASKED_BYTES;
        static const uint8_t mask[4] = {0x12, 0x34, 0x56, 0x78};
        frame[0] = 0x82;
        frame[1] = 0x80 | MESSAGE_BYTES;
        memcpy(frame + 2, mask, 4);
        for (size_t j = 0; j < MESSAGE_BYTES; j++) frame[6 + j] = (uint8_t)(j ^ mask[j % 4]);
    }
}

static bool send_batch(int fd, int depth)
{
    size_t bytes = (size_t)depth * MASKED_BYTES;
    return write(fd, masked_frames, bytes) == (ssize_t)bytes;
}

/* Echoes a second. Each connection has `depth` messages on the way and sends the next batch when all are back. */
static double run_echo(struct generator* generator, int depth)
{
    struct epoll_event events[256];
    uint64_t bytes = 0;
    double cpu = 0;
    uint32_t batch = (uint32_t)depth * FRAME_BYTES;
    if (!open_all(generator, 100, "/echo")) return 0;
    for (int i = 0; i < generator->count; i++) (void)send_batch(generator->sockets[i], depth);
    double began = now_s();
    double warm = began + seconds_a_round / 4;
    double until = began + seconds_a_round * 1.25;
    double measured = 0;
    for (double now = began; now < until; now = now_s()) {
        if (!measured && now >= warm) {
            measured = now;
            bytes = 0;
            cpu = processor_s(generator->server);
        }
        int ready = epoll_wait(generator->epoll, events, 256, 100);
        for (int i = 0; i < ready; i++) {
            uint32_t at = events[i].data.u32;
            ssize_t got = read(generator->sockets[at], generator->buffer, READ_BYTES);
            if (got <= 0) continue;
            bytes += (uint64_t)got;
            generator->got[at] += (uint32_t)got;
            if (generator->got[at] >= batch) {
                generator->got[at] -= batch;
                (void)send_batch(generator->sockets[at], depth);
            }
        }
    }
    double rate = (double)bytes / FRAME_BYTES / (now_s() - measured);
    generator->cpu_ns = (processor_s(generator->server) - cpu) * 1e9 / ((double)bytes / FRAME_BYTES);
    close_all(generator);
    return rate;
}

static double run_echo_1(struct generator* generator)
{
    return run_echo(generator, 1);
}

/* The same beside connections that do nothing. */
static double run_echo_beside(struct generator* generator)
{
    static int idle[IDLE];
    double rate = 0;
    int count = open_many(generator->port, idle, IDLE, "/echo");
    if (count == IDLE) rate = run_echo(generator, 1);
    for (int i = 0; i < count; i++) close(idle[i]);
    return rate;
}

static double run_echo_32(struct generator* generator)
{
    return run_echo(generator, 32);
}

/* Deliveries a second from one publisher to 1,000 connections; the next messages go when all arrived. */
static double run_fan(struct generator* generator, int in_flight)
{
    struct epoll_event events[256];
    uint64_t bytes = 0;
    uint64_t published = 0;
    double cpu = 0;
    const uint64_t a_message = 1000 * FRAME_BYTES;
    if (!open_all(generator, 1000, "/fan")) return 0;
    double began = now_s();
    double until = began + seconds_a_round * 1.25;
    double measured = 0;
    uint64_t before = 0;
    for (double now = began; now < until; now = now_s()) {
        if (!measured && now >= began + seconds_a_round / 4) {
            measured = now;
            before = bytes;
            cpu = processor_s(generator->server);
        }
        if (published * a_message <= bytes && send_batch(generator->sockets[0], in_flight)) {
            published += (uint64_t)in_flight;
        }
        int ready = epoll_wait(generator->epoll, events, 256, 100);
        for (int i = 0; i < ready; i++) {
            ssize_t got = read(generator->sockets[events[i].data.u32], generator->buffer, READ_BYTES);
            if (got > 0) bytes += (uint64_t)got;
        }
    }
    double rate = (double)(bytes - before) / FRAME_BYTES / (now_s() - measured);
    generator->cpu_ns = (processor_s(generator->server) - cpu) * 1e9 / ((double)(bytes - before) / FRAME_BYTES);
    close_all(generator);
    return rate;
}

static double run_fan_1(struct generator* generator)
{
    return run_fan(generator, 1);
}

static double run_fan_8(struct generator* generator)
{
    return run_fan(generator, FAN_IN_FLIGHT);
}

/* Connections a second, 32 at once: connect, upgrade, reset. */
static double run_upgrades(struct generator* generator)
{
    struct linger reset = {1, 0};
    uint64_t count = 0;
    double cpu = processor_s(generator->server);
    double began = now_s();
    double until = began + seconds_a_round;
    int open[32];
    while (now_s() < until) {
        for (int i = 0; i < 32; i++) {
            open[i] = open_socket(generator->port);
            if (open[i] < 0 || !ask(open[i], "/echo")) return 0;
        }
        for (int i = 0; i < 32; i++) {
            if (!is_answered(open[i])) return 0;
        }
        for (int i = 0; i < 32; i++) {
            (void)setsockopt(open[i], SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
            close(open[i]);
            count++;
        }
    }
    generator->cpu_ns = (processor_s(generator->server) - cpu) * 1e9 / (double)count;
    return (double)count / (now_s() - began);
}

/* The same while 9,800 others stay connected. */
static double run_upgrades_beside(struct generator* generator)
{
    static int idle[IDLE];
    double rate = 0;
    int count = open_many(generator->port, idle, IDLE, "/echo");
    if (count == IDLE) rate = run_upgrades(generator);
    for (int i = 0; i < count; i++) close(idle[i]);
    return rate;
}

/* ---- figures -------------------------------------------------------------------------------------------------------- */

struct side {
    const char* name;
    void (*serve)(int port);
};

struct figure {
    const char* name;
    const char* metric;
    const char* unit;
    double (*run)(struct generator* generator); /* NULL: memory */
    bool less_is_better;
    double best[3];
    double cpu_ns[3]; /* the least */
};

/* What each of 5,000 idle connections adds to the server's resident memory. */
static double run_memory(struct generator* generator, pid_t child)
{
    double before = resident_bytes(child);
    if (!open_all(generator, 5000, "/echo")) return 0;
    double after = resident_bytes(child);
    close_all(generator);
    return (after - before) / 5000;
}

static void measure(struct generator* generator, const struct side* sides, int side_count, struct figure* figure)
{
    for (int round = 0; round < rounds; round++) {
        for (int side = 0; side < side_count; side++) {
            generator->port = free_port();
            pid_t child = start_server(sides[side].serve, generator->port);
            int fd = open_socket(generator->port); /* it is up */
            if (fd >= 0) close(fd);
            generator->server = child;
            generator->cpu_ns = 0;
            bool can = sides[side].serve != bare_serve || (figure->run != run_fan_1 && figure->run != run_fan_8);
            double value = !can ? 0 : figure->run ? figure->run(generator) : run_memory(generator, child);
            stop_server(child);
            double best = figure->best[side];
            bool better = figure->less_is_better ? value < best : value > best;
            if (value > 0 && (best <= 0 || better)) figure->best[side] = value;
            double* cpu_ns = &figure->cpu_ns[side];
            if (generator->cpu_ns > 0 && (*cpu_ns <= 0 || generator->cpu_ns < *cpu_ns)) *cpu_ns = generator->cpu_ns;
        }
    }
}

static double ratio_of(const double values[3], int other, bool less_is_better)
{
    if (values[0] <= 0 || values[other] <= 0) return 0;
    return less_is_better ? values[other] / values[0] : values[0] / values[other];
}

/* A line for each peer that can do it. */
static void print_json(const char* name, const char* metric, const char* unit, const double values[3],
                       bool less_is_better, const struct side* sides, int side_count)
{
    for (int i = 1; i < side_count; i++) {
        if (values[i] <= 0) continue;
        printf("{\"bench\":\"ws\",\"case\":\"%s\",\"metric\":\"%s\",\"unit\":\"%s\",\"ours\":%.0f,\"peer\":\"%s\","
               "\"theirs\":%.0f,\"ratio\":%.2f}\n",
               name, metric, unit, values[0], sides[i].name, values[i], ratio_of(values, i, less_is_better));
    }
}

/* Ours, then each peer with the ratio to it. */
static void print_row(const char* name, const double values[3], int side_count, bool less_is_better, const char* unit)
{
    printf("%-20s %12.0f", name, values[0]);
    for (int i = 1; i < side_count; i++) printf(" %14.0f %7.2f", values[i], ratio_of(values, i, less_is_better));
    printf("  %s\n", unit);
}

static const char usage[] = "ws - WebSocket of necpnet against libwebsockets\n"
                            "\n"
                            "  --seconds N   of one round (default 0.6)\n"
                            "  --rounds N    the best of so many counts (default 3)\n"
                            "  --case NAME   only cases whose name contains NAME\n";

int main(int argc, char** argv)
{
    struct side sides[3] = {{"necpnet", ours_serve}, {"bare loop", bare_serve}, {NULL, NULL}};
    int side_count = 2;
    const char* only = "";
    static struct generator generator;
    struct figure figures[] = {
        {"echo depth 1", "messages_per_second", "1/s", run_echo_1, false, {0}, {0}},
        {"echo beside 9800", "messages_per_second", "1/s", run_echo_beside, false, {0}, {0}},
        {"echo depth 32", "messages_per_second", "1/s", run_echo_32, false, {0}, {0}},
        {"fan-out 1 to 1000", "deliveries_per_second", "1/s", run_fan_1, false, {0}, {0}},
        {"fan-out, 8 in flight", "deliveries_per_second", "1/s", run_fan_8, false, {0}, {0}},
        {"upgrade", "connections_per_second", "1/s", run_upgrades, false, {0}, {0}},
        {"upgrade beside 9800", "connections_per_second", "1/s", run_upgrades_beside, false, {0}, {0}},
        {"idle connection", "resident_memory", "bytes", NULL, true, {0}, {0}},
    };
    for (int i = 1; i < argc; i++) {
        bool value = i + 1 < argc;
        if (value && !strcmp(argv[i], "--seconds")) {
            seconds_a_round = atof(argv[++i]);
        } else if (value && !strcmp(argv[i], "--rounds")) {
            rounds = atoi(argv[++i]);
        } else if (value && !strcmp(argv[i], "--case")) {
            only = argv[++i];
        } else {
            fputs(usage, stdout);
            return strcmp(argv[i], "--help") ? 2 : 0;
        }
    }
#if BENCH_WITH_WEBSOCKETS
    sides[side_count].name = "libwebsockets";
    sides[side_count++].serve = theirs_serve;
#endif
    struct rlimit limit = {20000, 20000};
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    (void)signal(SIGPIPE, SIG_IGN);
    make_frames();
    generator.buffer = (uint8_t*)malloc(READ_BYTES);
    if (!generator.buffer) return 1;
    pin((int)sysconf(_SC_NPROCESSORS_ONLN) - 1);
    printf("%-20s %12s", "case", sides[0].name);
    for (int i = 1; i < side_count; i++) printf(" %14s %7s", sides[i].name, "ratio");
    printf("\n");
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        struct figure* figure = &figures[i];
        if (!strstr(figure->name, only)) continue;
        measure(&generator, sides, side_count, figure);
        print_row(figure->name, figure->best, side_count, figure->less_is_better, figure->unit);
        if (figure->run) print_row("", figure->cpu_ns, side_count, true, "ns of the server's processor");
        fflush(stdout);
    }
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        const struct figure* figure = &figures[i];
        if (!strstr(figure->name, only)) continue;
        print_json(figure->name, figure->metric, figure->unit, figure->best, figure->less_is_better, sides, side_count);
        if (figure->run) {
            print_json(figure->name, "processor_time", "ns", figure->cpu_ns, true, sides, side_count);
        }
    }
    free(generator.buffer);
    return 0;
}

#else

int main(void)
{
    puts("ws: this bench pins processes to cores and needs Linux");
    return 0;
}

#endif

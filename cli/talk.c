/* talk - connect, ping, query, token: the commands that need no world. */
#include "cli.h"

#include <stdio.h>
#include <string.h>

#ifndef _WIN32
#include <fcntl.h>
#include <unistd.h>
#endif

/* Lines typed while connected; nothing where standard input cannot be read without blocking. */
static void send_typed(const cli_options* options, necpnet_client* client)
{
#ifndef _WIN32
    static char line[4096];
    static size_t used;
    ssize_t got = read(STDIN_FILENO, line + used, sizeof line - used);
    if (got <= 0) return;
    used += (size_t)got;
    char* end;
    while ((end = memchr(line, '\n', used)) != NULL) {
        size_t length = (size_t)(end - line);
        necpnet_result result = necpnet_client_send(client, options->channel, line, length);
        if (result) cli_fail("not sent: %s", necpnet_result_text(result));
        used -= length + 1;
        memmove(line, end + 1, used);
    }
    if (used == sizeof line) used = 0;
#else
    (void)options;
    (void)client;
#endif
}

static void print_message(const necpnet_event* event)
{
    const unsigned char* data = (const unsigned char*)event->data;
    printf("channel %d%s%s, %zu bytes: ", event->channel, event->name ? ", name " : "", event->name ? event->name : "",
           event->bytes);
    for (size_t i = 0; i < event->bytes && i < 512; i++) {
        putchar((data[i] >= 32 && data[i] < 127) || data[i] >= 128 ? data[i] : '.');
    }
    putchar('\n');
    fflush(stdout);
}

/* One line of JSON an event; nothing for what only the tool itself must know. */
static void print_json(const necpnet_client* client, const necpnet_event* event)
{
    static const char* const names[] = {
        [NECPNET_EVENT_CONNECTED] = "connected",           [NECPNET_EVENT_DISCONNECTED] = "disconnected",
        [NECPNET_EVENT_CONNECT_FAILED] = "connect_failed", [NECPNET_EVENT_MESSAGE] = "message",
        [NECPNET_EVENT_SUSPENDED] = "suspended",           [NECPNET_EVENT_MOVED] = "moved"};
    static char text[2 * 4096 + 1];
    size_t type = (size_t)event->type;
    if (type >= sizeof names / sizeof names[0] || !names[type]) return;
    printf("{\"event\":\"%s\"", names[type]);
    if (event->type == NECPNET_EVENT_MESSAGE) {
        size_t bytes = event->bytes < 4096 ? event->bytes : 4096;
        printf(",\"channel\":%d,\"bytes\":%zu", event->channel, event->bytes);
        if (event->name)
            printf(",\"name\":\"%s\"", cli_plain(event->name, strlen(event->name), true, text, sizeof text));
        printf(",\"text\":\"%s\"", cli_plain((const char*)event->data, bytes, true, text, sizeof text));
    } else if (event->type == NECPNET_EVENT_CONNECTED || event->type == NECPNET_EVENT_MOVED) {
        necpnet_statistics statistics;
        necpnet_client_get_statistics(client, &statistics);
        printf(",\"transport\":\"%s\",\"encrypted\":%s,\"resumed\":%s",
               statistics.transport == NECPNET_TRANSPORT_UDP ? "udp" : "websocket",
               statistics.encrypted ? "true" : "false", event->resumed ? "true" : "false");
    } else {
        printf(",\"reason\":\"%s\",\"will_reconnect\":%s", necpnet_result_name(event->reason),
               event->will_reconnect ? "true" : "false");
        printf(",\"text\":\"%s\"", cli_plain(event->text, strlen(event->text), true, text, sizeof text));
    }
    printf("}\n");
    fflush(stdout);
}

static necpnet_client* begin(const cli_options* options)
{
    necpnet_client_config config;
    necpnet_client* client = NULL;
    cli_client_config(options, NULL, &config);
    necpnet_result result = necpnet_client_create(&config, &client);
    if (result) {
        cli_fail("%s", necpnet_result_text(result));
        return NULL;
    }
    necpnet_client_update(client, necpnet_time_us());
    if (cli_connect(options, client)) return client;
    necpnet_client_destroy(client);
    return NULL;
}

/* Say goodbye and wait until it is out. */
static void leave(necpnet_client* client)
{
    necpnet_event event;
    uint64_t until_us = necpnet_time_us() + 1000000;
    necpnet_client_disconnect(client, 0, "", 500);
    while (necpnet_client_get_state(client) != NECPNET_CLIENT_IDLE && necpnet_time_us() < until_us) {
        necpnet_client_update(client, necpnet_time_us());
        while (necpnet_client_poll(client, &event)) continue;
        necpnet_client_wait(client, 10000);
    }
    necpnet_client_destroy(client);
}

int cli_connect_command(const cli_options* options)
{
    necpnet_client* client = begin(options);
    if (!client) return CLI_EXIT_FAILED;
#ifndef _WIN32
    fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
#endif
    bool on = true, was_connected = false;
    uint64_t end_us = options->seconds ? necpnet_time_us() + (uint64_t)options->seconds * 1000000 : UINT64_MAX;
    while (on && !cli_interrupted && necpnet_time_us() < end_us) {
        necpnet_event event;
        necpnet_client_update(client, necpnet_time_us());
        while (on && necpnet_client_poll(client, &event)) {
            if (options->json) {
                print_json(client, &event);
            } else if (event.type == NECPNET_EVENT_MESSAGE) {
                print_message(&event);
            }
            if (event.type == NECPNET_EVENT_CONNECTED) was_connected = true;
            on = cli_answer(options, client, &event);
        }
        if (necpnet_client_get_state(client) == NECPNET_CLIENT_CONNECTED) send_typed(options, client);
        necpnet_client_wait(client, 20000);
    }
    leave(client);
    return was_connected ? CLI_EXIT_OK : CLI_EXIT_FAILED;
}

int cli_ping_command(const cli_options* options)
{
    necpnet_client* client = begin(options);
    if (!client) return CLI_EXIT_FAILED;
    uint64_t next_us = 0;
    uint32_t printed = 0;
    bool on = true;
    while (on && !cli_interrupted && (!options->count || printed < options->count)) {
        necpnet_event event;
        uint64_t now_us = necpnet_time_us();
        necpnet_client_update(client, now_us);
        while (on && necpnet_client_poll(client, &event)) {
            if (event.type == NECPNET_EVENT_CONNECTED) next_us = now_us + 1000000;
            on = cli_answer(options, client, &event);
        }
        if (next_us && now_us >= next_us && necpnet_client_get_state(client) == NECPNET_CLIENT_CONNECTED) {
            necpnet_statistics s;
            necpnet_client_get_statistics(client, &s);
            printf(options->json
                       ? "{\"rtt_us\":%u,\"rtt_min_us\":%u,\"jitter_us\":%u,\"loss_ppm\":%u,\"clock_error_us\":%u}\n"
                       : "rtt %u us, best %u us, jitter %u us, loss %u ppm, clock within %u us\n",
                   (unsigned)s.rtt_us, (unsigned)s.rtt_min_us, (unsigned)s.jitter_us, (unsigned)s.loss_ppm,
                   (unsigned)s.clock_error_us);
            fflush(stdout);
            next_us += 1000000;
            printed++;
        }
        necpnet_client_wait(client, 50000);
    }
    leave(client);
    return printed ? CLI_EXIT_OK : CLI_EXIT_FAILED;
}

int cli_query_command(const cli_options* options)
{
    necpnet_client_config config;
    necpnet_client* client = NULL;
    if (options->url_count == 0) {
        cli_fail("query wants an address: necpnet query udp://127.0.0.1:7777");
        return CLI_EXIT_USAGE;
    }
    cli_client_config(options, NULL, &config);
    necpnet_result result = necpnet_client_create(&config, &client);
    if (result == NECPNET_OK) necpnet_client_update(client, necpnet_time_us());
    int waiting = 0, answered = 0;
    for (int i = 0; i < options->url_count && result == NECPNET_OK; i++, waiting++) {
        result = necpnet_client_query(client, options->urls[i]);
    }
    if (result) cli_fail("query: %s", necpnet_result_text(result));
    while (result == NECPNET_OK && waiting > 0 && !cli_interrupted) {
        necpnet_event event;
        necpnet_client_update(client, necpnet_time_us());
        while (necpnet_client_poll(client, &event)) {
            waiting--;
            if (event.type == NECPNET_EVENT_QUERY_ANSWER) {
                printf("%s: \"%s\", %u of %u players, %u us\n", event.text, event.server_name, (unsigned)event.players,
                       (unsigned)event.players_max, (unsigned)event.rtt_us);
                answered++;
            } else {
                cli_fail("%s: %s", event.text, necpnet_result_text(event.reason));
            }
        }
        necpnet_client_wait(client, 50000);
    }
    necpnet_client_destroy(client);
    return answered == options->url_count ? CLI_EXIT_OK : CLI_EXIT_FAILED;
}

static int read_token(const char* text)
{
    necpnet_token_info info;
    necpnet_result result = necpnet_token_read(text, &info);
    if (result) {
        cli_fail("%s", necpnet_result_text(result));
        return CLI_EXIT_FAILED;
    }
    int64_t left_us = (int64_t)info.expires_us - (int64_t)necpnet_wall_time_us();
    printf("version %u\nserver id %llu\n", (unsigned)info.version, (unsigned long long)info.server_id);
    if (left_us >= 0) {
        printf("expires in %.1f s\n", (double)left_us / 1e6);
    } else {
        printf("expired %.1f s ago\n", (double)-left_us / 1e6);
    }
    for (int i = 0; i < info.url_count; i++) printf("url %s\n", info.urls[i]);
    return CLI_EXIT_OK;
}

int cli_token_command(const cli_options* options)
{
    char text[NECPNET_TOKEN_TEXT_BYTES_MAX];
    if (options->rest_count == 2 && strcmp(options->rest[0], "read") == 0) return read_token(options->rest[1]);
    if (!options->key || options->url_count == 0) {
        cli_fail("token wants --key ID:HEX and the addresses to connect to; or `necpnet token read TEXT`");
        return CLI_EXIT_USAGE;
    }
    if (!cli_token(options, NULL, text)) return CLI_EXIT_FAILED;
    printf("%s\n", text);
    return CLI_EXIT_OK;
}

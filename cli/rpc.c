/* rpc - JSON-RPC to necpnet-server over the binary protocol: one call, or lines of standard input as long as it lasts.
 *
 * A line that begins with { or [ is JSON-RPC; `@NAME HEX` is a named message of these bytes. What comes is printed the same
 * way: JSON-RPC as it is, other named messages as @NAME HEX.
 */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef _WIN32
#include <fcntl.h>
#include <unistd.h>
#endif

#define RPC_NAME "necpnet.rpc"
#define RPC_LINE_BYTES_MAX (256u << 10)

static char rpc_line[RPC_LINE_BYTES_MAX];
static size_t rpc_used;
static bool rpc_input_ended;

static void rpc_send(necpnet_client* client, const char* name, const void* data, size_t bytes)
{
    necpnet_send_options options;
    memset(&options, 0, sizeof options);
    options.name = name;
    necpnet_result result = necpnet_client_send_with(client, NECPNET_CHANNEL_RELIABLE, data, bytes, &options);
    if (result) cli_fail("not sent: %s", necpnet_result_text(result));
}

static int rpc_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "@NAME HEX", without its @; changed in place. */
static void rpc_send_hex(necpnet_client* client, char* text)
{
    char* blank = strchr(text, ' ');
    size_t bytes = 0;
    if (!blank || strlen(blank + 1) % 2) {
        cli_fail("wanted: @NAME HEX");
        return;
    }
    *blank = 0;
    char* hex = blank + 1;
    for (size_t i = 0; hex[i]; i += 2) {
        int high = rpc_digit(hex[i]), low = rpc_digit(hex[i + 1]);
        if (high < 0 || low < 0) {
            cli_fail("wanted: @NAME HEX, in small letters");
            return;
        }
        hex[bytes++] = (char)(high * 16 + low);
    }
    rpc_send(client, text, hex, bytes);
}

/* Lines typed; nothing where standard input cannot be read without blocking. */
static void rpc_send_typed(necpnet_client* client)
{
#ifndef _WIN32
    ssize_t got = read(STDIN_FILENO, rpc_line + rpc_used, sizeof rpc_line - 1 - rpc_used);
    if (got == 0) rpc_input_ended = true;
    if (got <= 0) return;
    rpc_used += (size_t)got;
    char* end;
    while ((end = memchr(rpc_line, '\n', rpc_used)) != NULL) {
        size_t length = (size_t)(end - rpc_line);
        *end = 0;
        if (rpc_line[0] == '@') {
            rpc_send_hex(client, rpc_line + 1);
        } else if (length) {
            rpc_send(client, RPC_NAME, rpc_line, length);
        }
        rpc_used -= length + 1;
        memmove(rpc_line, end + 1, rpc_used);
    }
    if (rpc_used == sizeof rpc_line - 1) {
        cli_fail("a line has at most %u bytes", RPC_LINE_BYTES_MAX - 2);
        rpc_used = 0;
    }
#else
    (void)client;
    rpc_input_ended = true;
#endif
}

static void rpc_print(const necpnet_event* event)
{
    const unsigned char* data = (const unsigned char*)event->data;
    if (!event->name) return;
    if (strcmp(event->name, RPC_NAME) == 0) {
        printf("%.*s\n", (int)event->bytes, (const char*)event->data);
    } else {
        printf("@%s ", event->name);
        for (size_t i = 0; i < event->bytes; i++) printf("%02x", data[i]);
        printf("\n");
    }
    fflush(stdout);
}

/* One call from the command line. */
static bool rpc_call(const cli_options* options, necpnet_client* client)
{
    const char* params = options->rest_count > 1 ? options->rest[1] : "{}";
    int bytes = snprintf(rpc_line, sizeof rpc_line, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":%s}",
                         options->rest[0], params);
    if (bytes < 0 || (size_t)bytes >= sizeof rpc_line) return false;
    rpc_send(client, RPC_NAME, rpc_line, (size_t)bytes);
    return true;
}

/* Whether this is the answer to the one call. */
static bool rpc_is_answer(const necpnet_event* event)
{
    static const char end[] = ",\"id\":1}";
    const size_t bytes = sizeof end - 1;
    return event->name && strcmp(event->name, RPC_NAME) == 0 && event->bytes >= bytes &&
           memcmp((const char*)event->data + event->bytes - bytes, end, bytes) == 0;
}

int cli_rpc_command(const cli_options* options)
{
    necpnet_client_config config;
    necpnet_client* client = NULL;
    bool one = options->rest_count > 0, on = true, asked = false, answered = false;
    uint64_t end_us = UINT64_MAX;
    cli_client_config(options, NULL, &config);
    necpnet_result result = necpnet_client_create(&config, &client);
    if (result) {
        cli_fail("%s", necpnet_result_text(result));
        return CLI_EXIT_FAILED;
    }
    necpnet_client_update(client, necpnet_time_us());
    if (!cli_connect(options, client)) on = false;
    if (options->seconds || one) {
        end_us = necpnet_time_us() + (uint64_t)(options->seconds ? options->seconds : 10) * 1000000;
    }
#ifndef _WIN32
    if (!one) fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
#endif
    while (on && !cli_interrupted && necpnet_time_us() < end_us) {
        necpnet_event event;
        necpnet_client_update(client, necpnet_time_us());
        while (on && necpnet_client_poll(client, &event)) {
            if (event.type == NECPNET_EVENT_MESSAGE) {
                rpc_print(&event);
                if (one && rpc_is_answer(&event)) on = !(answered = true);
            }
            if (on) on = cli_answer(options, client, &event);
        }
        if (on && necpnet_client_get_state(client) == NECPNET_CLIENT_CONNECTED) {
            if (!one) {
                rpc_send_typed(client);
            } else if (!asked) {
                asked = on = rpc_call(options, client);
            }
        }
        if (rpc_input_ended) break;
        necpnet_client_wait(client, 10000);
    }
    necpnet_client_disconnect(client, 0, "", 500);
    for (int i = 0; i < 100 && necpnet_client_get_state(client) != NECPNET_CLIENT_IDLE; i++) {
        necpnet_event event;
        necpnet_client_update(client, necpnet_time_us());
        while (necpnet_client_poll(client, &event)) continue;
        necpnet_client_wait(client, 10000);
    }
    necpnet_client_destroy(client);
    return answered || !one ? CLI_EXIT_OK : CLI_EXIT_FAILED;
}

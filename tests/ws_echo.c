/* ws_echo - a WebSocket echo, for conformance suites and load: the same WebSocket code and loop as the server's, through
 * necpnet.h alone.
 *
 * As a server it accepts any path, any subprotocol (the first that is offered) or none, and echoes every message. As a
 * client it connects once, echoes what the server sends, and ends when the server closes.
 */
#include "necpnet.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_BYTES_MAX (64u << 20)
#define QUEUE_BYTES_MAX (128u << 20)
#define CONNECTIONS_MAX 100000u
#define SUBPROTOCOL_BYTES_MAX 256

static const char usage[] =
    "ws_echo - a WebSocket echo of any text and binary message, for conformance suites and load\n"
    "\n"
    "  ws_echo PORT                   serve on PORT (0: any free one; it is printed), any path, any subprotocol or "
    "none\n"
    "  ws_echo --connect URL          connect to ws://host:port/path or wss://.., echo, end when the server closes\n"
    "\n"
    "  --subprotocol NAME             connect: offer this subprotocol\n"
    "  --certificate FILE --key FILE  serve: TLS with this PEM chain and key\n"
    "  --ca FILE                      connect: trust these roots instead of the system's\n"
    "  --insecure                     connect: do not verify the certificate\n"
    "  --verbose                      log to standard error\n"
    "  --help                         this text\n"
    "\n"
    "Messages up to 64 MB; up to 128 MB may wait for a slow reader.\n";

static volatile sig_atomic_t stopping;

struct echo {
    bool is_client;
    bool opened;
    bool ended;
    bool failed;
    char subprotocol[SUBPROTOCOL_BYTES_MAX];
};

static void on_signal(int number)
{
    (void)number;
    stopping = 1;
}

static void on_log(necpnet_log_level level, const char* line, void* user)
{
    (void)level, (void)user;
    fprintf(stderr, "%s\n", line);
}

/* The first of a list like "a, b". */
static void take_first(const char* list, char* to)
{
    list += strspn(list, " \t,");
    size_t bytes = strcspn(list, " \t,");
    if (bytes >= SUBPROTOCOL_BYTES_MAX) bytes = 0;
    memcpy(to, list, bytes);
    to[bytes] = 0;
}

static void on_request(necpnet_web_connection* connection, const necpnet_web_request* request,
                       necpnet_web_answer* answer, void* user)
{
    struct echo* echo = (struct echo*)user;
    (void)connection;
    if (!request->is_upgrade) return; /* 426, as prepared */
    take_first(request->subprotocols, echo->subprotocol);
    answer->action = NECPNET_WEB_ACCEPT;
    answer->subprotocol = echo->subprotocol[0] ? echo->subprotocol : NULL;
}

static void on_open(necpnet_web_connection* connection, void* user)
{
    (void)connection;
    ((struct echo*)user)->opened = true;
}

static void on_message(necpnet_web_connection* connection, necpnet_web_kind kind, const uint8_t* data, size_t bytes,
                       void* user)
{
    (void)user;
    (void)necpnet_web_send(connection, kind, data, bytes); /* a slow reader is cut: on_close says so */
}

static void on_close(necpnet_web_connection* connection, int code, const char* text, necpnet_result reason, void* user)
{
    struct echo* echo = (struct echo*)user;
    (void)connection;
    if (!echo->is_client) return;
    echo->ended = true;
    echo->failed = !echo->opened; /* a conformance suite ends its cases in every way: only that is a failure */
    if (echo->failed)
        fprintf(stderr, "ws_echo: %s: %s %s\n", necpnet_result_name(reason), necpnet_result_text(reason), text);
    (void)code;
}

struct options {
    int port;
    const char* url;
    const char* subprotocol;
    necpnet_tls_config tls;
    bool verbose;
};

static bool read_port(const char* text, int* out)
{
    long port = 0;
    if (!*text) return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || (port = port * 10 + (*text - '0')) > 65535) return false;
    }
    *out = (int)port;
    return true;
}

static bool read_options(int argc, char** argv, struct options* options)
{
    memset(options, 0, sizeof *options);
    options->port = -1;
    for (int i = 1; i < argc; i++) {
        const char** text = NULL;
        if (!strcmp(argv[i], "--connect")) text = &options->url;
        if (!strcmp(argv[i], "--subprotocol")) text = &options->subprotocol;
        if (!strcmp(argv[i], "--certificate")) text = &options->tls.certificate_file;
        if (!strcmp(argv[i], "--key")) text = &options->tls.key_file;
        if (!strcmp(argv[i], "--ca")) text = &options->tls.ca_file;
        if (text) {
            if (i + 1 == argc) {
                fprintf(stderr, "ws_echo: %s wants a value\n", argv[i]);
                return false;
            }
            *text = argv[++i];
        } else if (!strcmp(argv[i], "--insecure")) {
            options->tls.insecure = true;
        } else if (!strcmp(argv[i], "--verbose")) {
            options->verbose = true;
        } else if (options->port != -1 || !read_port(argv[i], &options->port)) {
            fprintf(stderr, "ws_echo: %s is no option and no port; see --help\n", argv[i]);
            return false;
        }
    }
    if ((options->port == -1) == (options->url == NULL)) {
        fprintf(stderr, "ws_echo: give either a PORT or --connect URL; see --help\n");
        return false;
    }
    return true;
}

static int fail(const char* what, necpnet_result result)
{
    fprintf(stderr, "ws_echo: %s: %s: %s\n", what, necpnet_result_name(result), necpnet_result_text(result));
    return 1;
}

static int run(const struct options* options, struct echo* echo)
{
    necpnet_web_config config;
    necpnet_web* web = NULL;
    necpnet_web_connection* connection = NULL;
    (void)necpnet_web_config_default(&config);
    config.tcp_port = options->url ? -1 : options->port;
    config.tls = options->tls;
    config.connections_max = CONNECTIONS_MAX;
    config.message_bytes_max = MESSAGE_BYTES_MAX;
    config.queue_bytes_max = QUEUE_BYTES_MAX;
    config.handlers.on_request = on_request;
    config.handlers.on_open = on_open;
    config.handlers.on_message = on_message;
    config.handlers.on_close = on_close;
    config.handlers.user = echo;
    config.logger.write = on_log;
    config.logger.level = options->verbose ? NECPNET_LOG_DEBUG : NECPNET_LOG_ERROR;
    necpnet_result result = necpnet_web_create(&config, &web);
    if (result != NECPNET_OK) return fail(options->url ? options->url : "cannot serve", result);
    if (options->url) {
        result = necpnet_web_connect(web, options->url, options->subprotocol, NULL, &connection);
        if (result != NECPNET_OK) {
            necpnet_web_destroy(web);
            return fail(options->url, result);
        }
    } else {
        printf("ws_echo: serving on port %d\n", necpnet_web_get_port(web));
        fflush(stdout);
    }
    while (!stopping && !echo->ended) {
        (void)necpnet_web_update(web, necpnet_time_us());
        (void)necpnet_web_wait(web, 1000000);
    }
    necpnet_web_destroy(web);
    return echo->failed ? 1 : 0;
}

int main(int argc, char** argv)
{
    struct options options;
    static struct echo echo;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--help")) {
            fputs(usage, stdout);
            return 0;
        }
    }
    if (!read_options(argc, argv, &options)) return 2;
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    echo.is_client = options.url != NULL;
    return run(&options, &echo);
}

/* ws_echo - a WebSocket echo, for conformance suites and load: the same WebSocket code and loop as the server's, through
 * necpnet.h alone.
 *
 * As a server it accepts any path, any subprotocol (the first that is offered) or none, and echoes every message. As a
 * client it connects once, echoes what the server sends, and ends when the server closes; or it runs the client's side
 * of a conformance suite: asks for the number of cases, echoes through each, and asks for the reports.
 */
#include "necpnet.h"

#include <limits.h>
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
    "  ws_echo --suite URL            the client under test of a suite at ws://host:port: getCaseCount, every runCase, "
    "updateReports\n"
    "\n"
    "  --deflate                      permessage-deflate, each message for itself\n"
    "  --deflate-context              permessage-deflate, with windows of 32 KB kept between messages\n"
    "  --agent NAME                   suite: the name of the client in reports (default necpnet)\n"
    "  --cases FROM-TO                suite: these cases alone\n"
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
    bool is_counting; /* the suite's answer is a number */
    unsigned long answer;
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
    struct echo* echo = (struct echo*)user;
    if (echo->is_counting) {
        char digits[16] = "";
        memcpy(digits, data, bytes < sizeof digits ? bytes : sizeof digits - 1);
        echo->answer = strtoul(digits, NULL, 10);
        return;
    }
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
    const char* suite;
    const char* agent;
    const char* cases;
    unsigned long case_first;
    unsigned long case_last;
    const char* subprotocol;
    necpnet_tls_config tls;
    bool deflate;
    bool context;
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

/* "3-7" or "3". */
static bool read_cases(struct options* options)
{
    char* end = NULL;
    options->case_first = 1;
    options->case_last = ULONG_MAX;
    if (!options->cases) return true;
    options->case_first = strtoul(options->cases, &end, 10);
    options->case_last = *end == '-' ? strtoul(end + 1, &end, 10) : options->case_first;
    return *end == 0 && options->case_first > 0 && options->case_last >= options->case_first;
}

static const char** text_option(struct options* options, const char* name)
{
    if (!strcmp(name, "--connect")) return &options->url;
    if (!strcmp(name, "--suite")) return &options->suite;
    if (!strcmp(name, "--agent")) return &options->agent;
    if (!strcmp(name, "--cases")) return &options->cases;
    if (!strcmp(name, "--subprotocol")) return &options->subprotocol;
    if (!strcmp(name, "--certificate")) return &options->tls.certificate_file;
    if (!strcmp(name, "--key")) return &options->tls.key_file;
    if (!strcmp(name, "--ca")) return &options->tls.ca_file;
    return NULL;
}

static bool read_options(int argc, char** argv, struct options* options)
{
    memset(options, 0, sizeof *options);
    options->port = -1;
    options->agent = "necpnet";
    for (int i = 1; i < argc; i++) {
        const char** text = text_option(options, argv[i]);
        if (text) {
            if (i + 1 == argc) {
                fprintf(stderr, "ws_echo: %s wants a value\n", argv[i]);
                return false;
            }
            *text = argv[++i];
        } else if (!strcmp(argv[i], "--insecure")) {
            options->tls.insecure = true;
        } else if (!strcmp(argv[i], "--deflate")) {
            options->deflate = true;
        } else if (!strcmp(argv[i], "--deflate-context")) {
            options->deflate = options->context = true;
        } else if (!strcmp(argv[i], "--verbose")) {
            options->verbose = true;
        } else if (options->port != -1 || !read_port(argv[i], &options->port)) {
            fprintf(stderr, "ws_echo: %s is no option and no port; see --help\n", argv[i]);
            return false;
        }
    }
    if ((options->port != -1) + (options->url != NULL) + (options->suite != NULL) != 1) {
        fprintf(stderr, "ws_echo: give either a PORT, --connect URL or --suite URL; see --help\n");
        return false;
    }
    if (!read_cases(options)) {
        fprintf(stderr, "ws_echo: --cases wants FROM-TO\n");
        return false;
    }
    return true;
}

static int fail(const char* what, necpnet_result result)
{
    fprintf(stderr, "ws_echo: %s: %s: %s\n", what, necpnet_result_name(result), necpnet_result_text(result));
    return 1;
}

static void configure(necpnet_web_config* config, const struct options* options, struct echo* echo)
{
    (void)necpnet_web_config_default(config);
    config->tcp_port = options->port;
    config->tls = options->tls;
    config->connections_max = CONNECTIONS_MAX;
    config->message_bytes_max = MESSAGE_BYTES_MAX;
    config->queue_bytes_max = QUEUE_BYTES_MAX;
    config->deflate.enabled = options->deflate;
    config->deflate.send_context = options->context;
    config->deflate.receive_context = options->context;
    config->deflate.send_bits = 15;
    config->deflate.receive_bits = 15;
    config->handlers.on_request = on_request;
    config->handlers.on_open = on_open;
    config->handlers.on_message = on_message;
    config->handlers.on_close = on_close;
    config->handlers.user = echo;
    config->logger.write = on_log;
    config->logger.level = options->verbose ? NECPNET_LOG_DEBUG : NECPNET_LOG_ERROR;
}

static void step(necpnet_web* web)
{
    (void)necpnet_web_update(web, necpnet_time_us());
    (void)necpnet_web_wait(web, 1000000);
}

/* One connection from its beginning to its end. */
static int connect_once(necpnet_web* web, struct echo* echo, const char* url, const char* subprotocol)
{
    necpnet_web_connection* connection = NULL;
    echo->opened = echo->ended = echo->failed = false;
    necpnet_result result = necpnet_web_connect(web, url, subprotocol, NULL, &connection);
    if (result != NECPNET_OK) return fail(url, result);
    while (!stopping && !echo->ended) step(web);
    return echo->failed ? 1 : 0;
}

/* The client's side of a suite. */
static int run_suite(necpnet_web* web, struct echo* echo, const struct options* options)
{
    char url[1024];
    (void)snprintf(url, sizeof url, "%s/getCaseCount", options->suite);
    echo->is_counting = true;
    if (connect_once(web, echo, url, NULL)) return 1;
    echo->is_counting = false;
    unsigned long last = echo->answer < options->case_last ? echo->answer : options->case_last;
    printf("ws_echo: the suite has %lu cases\n", echo->answer);
    for (unsigned long number = options->case_first; number <= last && !stopping; number++) {
        (void)snprintf(url, sizeof url, "%s/runCase?case=%lu&agent=%s", options->suite, number, options->agent);
        (void)connect_once(web, echo, url, NULL); /* some cases refuse the handshake */
    }
    (void)snprintf(url, sizeof url, "%s/updateReports?agent=%s", options->suite, options->agent);
    if (connect_once(web, echo, url, NULL)) return 1;
    printf("ws_echo: the suite has written its reports\n");
    return echo->answer ? 0 : 1;
}

static int run(const struct options* options, struct echo* echo)
{
    necpnet_web_config config;
    necpnet_web* web = NULL;
    int code = 0;
    configure(&config, options, echo);
    necpnet_result result = necpnet_web_create(&config, &web);
    if (result != NECPNET_OK) return fail(options->port == -1 ? "cannot connect" : "cannot serve", result);
    if (options->suite) {
        code = run_suite(web, echo, options);
    } else if (options->url) {
        code = connect_once(web, echo, options->url, options->subprotocol);
    } else {
        printf("ws_echo: serving on port %d\n", necpnet_web_get_port(web));
        fflush(stdout);
        while (!stopping) step(web);
    }
    necpnet_web_destroy(web);
    return code;
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
    echo.is_client = options.port == -1;
    return run(&options, &echo);
}

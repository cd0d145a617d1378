/* necpnet - the command line tool: connect, look, walk and load. */
#include "cli.h"
#include "schema.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

volatile sig_atomic_t cli_interrupted;

static const struct {
    const char* name;
    int (*run)(const cli_options* options);
    const char* usage;
    const char* what;
} commands[] = {
    {"connect", cli_connect_command, "[URL..]", "connect, print every event; lines typed are sent on --channel"},
    {"ping", cli_ping_command, "[URL..]", "connect and print the round trip each second (--count N)"},
    {"query", cli_query_command, "udp://..", "name, players and ping of a server, without connecting"},
    {"watch", cli_watch_command, "[URL..]", "follow the arena: entities as they enter, change and leave"},
    {"play", cli_play_command, "[URL..]", "walk about in the arena; arrow keys or wasd steer, q ends"},
    {"talk", cli_talk_command, "[URL..]", "say --in FILE.wav to the others, and write what they say to --out FILE.wav"},
    {"load", cli_load_command, "[URL..]",
     "--clients N sending --rate R messages a second for --seconds S; percentiles"},
    {"rpc", cli_rpc_command, "[METHOD [PARAMS]]", "one JSON-RPC call to necpnet-server, or those on standard input"},
    {"record", cli_record_command, "[URL..]",
     "write what a client sees into FILE: necpnet record URL FILE (--seconds S)"},
    {"replay", cli_replay_command, "FILE",
     "what is in a recording; --json: every entity over time; --serve PORT: again for clients"},
    {"token", cli_token_command, "URL..", "make a connect token with --key ID:HEX; or `token read TEXT`"},
};

/* Has arguments of its own kind. */
#define SCHEMA_USAGE "print FILE | check FILE [OLDER] | convert FROM TO   schemas, in .json or .proto"

static void print_help(void)
{
    printf("necpnet %s - command line tool\n\nusage: necpnet COMMAND [URL..] [options]\n\n", necpnet_version());
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        printf("  %-8s %-9s %s\n", commands[i].name, commands[i].usage, commands[i].what);
    }
    printf("  %-8s %s\n", "schema", SCHEMA_USAGE);
    printf("\nWithout a URL the connect token says where: of the development server on this machine by default.\n"
           "URLs: udp://host:port, ws://host:port/ws, wss://host:port/ws\n\n"
           "who may connect\n"
           "  --token TEXT       a connect token, as the server or a backend printed it\n"
           "  --token-url URL    where to fetch one before each attempt\n"
           "                     (default http://127.0.0.1:8080/api/v1/connect-tokens)\n"
           "  --key ID:HEX       make tokens here: the server's key, 64 hexadecimal digits\n"
           "  --server-id N      of the server, with --key (default 1)\n"
           "  --open [PASS]      a server in open mode, with its passphrase if it has one\n"
           "  --ca FILE          trusted roots (PEM) for wss://; --insecure: do not verify\n"
           "  --deflate          offer permessage-deflate to ws:// and wss://\n"
           "what to do\n"
           "  --name NAME        of the player (default: your login)\n"
           "  --transport KIND   udp or ws: which of the token's addresses (default: any)\n"
           "  --channel N        0 .. 63 (default 0)\n"
           "  --clients N        load: how many (default 100)\n"
           "  --rate R           load: messages a second and client (default 20)\n"
           "  --bytes B          load: of a message (default 64)\n"
           "  --seconds S        stop after so long (load: default 10; else until Ctrl-C)\n"
           "  --serve PORT       replay: serve it to clients, open, over udp and ws\n"
           "  --count N          ping: how often (default: until Ctrl-C)\n"
           "  --in, --out FILE   talk: WAV of 16 bits; -: raw 16 bits, mono, 48,000 Hz from and to a pipe\n"
           "  --json             machine-readable output\n"
           "  --verbose          the library's log on standard error\n\n"
           "exit codes: 0 done, 1 network or server, 2 command line\n"
           "examples:\n"
           "  necpnet play                                       the arena of `make run` on this machine\n"
           "  necpnet load --clients 1000 --rate 20 --seconds 30 --transport udp\n"
           "  necpnet query udp://127.0.0.1:7777\n");
}

void cli_fail(const char* format, ...)
{
    va_list arguments;
    fflush(stdout);
    fprintf(stderr, "necpnet: ");
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n");
}

static void on_signal(int number)
{
    (void)number;
    cli_interrupted = 1;
}

int main(int argc, char** argv)
{
    cli_options options;
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    if (argc < 2 || strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help();
        return argc < 2 ? CLI_EXIT_USAGE : CLI_EXIT_OK;
    }
    if (strcmp(argv[1], "version") == 0 || strcmp(argv[1], "--version") == 0) {
        printf("necpnet %s\n", necpnet_version());
        return CLI_EXIT_OK;
    }
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help();
            return CLI_EXIT_OK;
        }
    }
    if (strcmp(argv[1], "schema") == 0) return cli_schema_command(argc - 2, argv + 2);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(argv[1], commands[i].name) != 0) continue;
        return cli_parse(argc - 2, argv + 2, &options) ? commands[i].run(&options) : CLI_EXIT_USAGE;
    }
    cli_fail("there is no command '%s'; `necpnet help` lists them", argv[1]);
    return CLI_EXIT_USAGE;
}

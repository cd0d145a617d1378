/* cli.h - what the commands of the `necpnet` tool share: options, tokens, connecting. */
#ifndef CLI_H
#define CLI_H

#include "necpnet.h"

#include <signal.h>

#define CLI_EXIT_OK 0
#define CLI_EXIT_FAILED 1 /* the network, the server */
#define CLI_EXIT_USAGE 2  /* the command line */

typedef struct cli_options {
    const char* urls[NECPNET_URLS_MAX];
    int url_count;
    const char* token;     /* --token */
    const char* token_url; /* --token-url, default http://127.0.0.1:8080/api/v1/connect-tokens */
    const char* key;       /* --key ID:HEX: make tokens here */
    uint64_t server_id;    /* --server-id */
    bool open;             /* --open */
    const char* passphrase;
    const char* ca_file;
    bool insecure;
    bool deflate;
    const char* name;      /* --name: the player's */
    uint32_t clients;      /* --clients */
    uint32_t rate;         /* --rate: messages a second and client */
    uint32_t seconds;      /* --seconds; 0: until interrupted */
    uint32_t count;        /* --count */
    uint32_t bytes;        /* --bytes */
    uint32_t serve;        /* --serve PORT */
    const char* transport; /* --transport udp|ws: which of the token's urls */
    int channel;           /* --channel */
    const char* in_file;   /* --in: a WAV file, or - for raw samples */
    const char* out_file;  /* --out */
    bool json;             /* --json */
    bool verbose;          /* --verbose */
    const char* rest[16];  /* what is no option and no url */
    int rest_count;
} cli_options;

extern volatile sig_atomic_t cli_interrupted;

/* cli_parse - options of one command; prints what is wrong and returns false. */
bool cli_parse(int argc, char** argv, cli_options* out);

/* cli_fail - "necpnet: ..." on standard error. */
void cli_fail(const char* format, ...);

/* cli_token - a connect token by --token, --key or --token-url. text has NECPNET_TOKEN_TEXT_BYTES_MAX bytes. Prints why
 * not. */
bool cli_token(const cli_options* options, const char* transport, char* text);

/* cli_client_config - as the options say; view may be NULL. */
void cli_client_config(const cli_options* options, necpnet_view* view, necpnet_client_config* out);

/* cli_connect - begin to connect: to --urls, or to where the token says. Prints why not. */
bool cli_connect(const cli_options* options, necpnet_client* client);

/* cli_answer - what every command does with events: fetch tokens, print losses. Returns whether to go on. */
bool cli_answer(const cli_options* options, necpnet_client* client, const necpnet_event* event);

/* cli_describe - "connected to 127.0.0.1:7777 over udp, encrypted". */
void cli_describe(const necpnet_client* client, char* text, size_t text_bytes);

/* cli_plain - what others wrote, made harmless for a terminal and, with is_json, for a JSON string. */
const char* cli_plain(const char* from, size_t bytes, bool is_json, char* to, size_t to_bytes);

/* http.c: a request without TLS; the body of the answer, or false with a reason printed. */
bool cli_http_post(const char* url, const char* body, char* answer, size_t answer_bytes);

int cli_connect_command(const cli_options* options);
int cli_ping_command(const cli_options* options);
int cli_query_command(const cli_options* options);
int cli_watch_command(const cli_options* options);
int cli_play_command(const cli_options* options);
int cli_load_command(const cli_options* options);
int cli_rpc_command(const cli_options* options);
int cli_record_command(const cli_options* options);
int cli_replay_command(const cli_options* options);
int cli_token_command(const cli_options* options);
int cli_talk_command(const cli_options* options);

#endif

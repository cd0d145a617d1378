/* options - the command line as a cli_options; each mistake is named with the way out. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

static bool take_number(const char* name, const char* text, uint64_t low, uint64_t high, uint64_t* out)
{
    char* end = NULL;
    unsigned long long value = text && *text >= '0' && *text <= '9' ? strtoull(text, &end, 10) : 0;
    if (!end || *end || value < low || value > high) {
        cli_fail("%s wants a number %llu .. %llu, not '%s'", name, (unsigned long long)low, (unsigned long long)high,
                 text ? text : "");
        return false;
    }
    *out = value;
    return true;
}

typedef struct number_option {
    const char* name;
    uint64_t low, high;
    size_t offset;
} number_option;

static const number_option numbers[] = {
    {"--clients", 1, 9000, offsetof(cli_options, clients)},  {"--rate", 1, 100000, offsetof(cli_options, rate)},
    {"--seconds", 1, 86400, offsetof(cli_options, seconds)}, {"--count", 1, 1000000, offsetof(cli_options, count)},
    {"--bytes", 8, 65536, offsetof(cli_options, bytes)},     {"--serve", 1, 65535, offsetof(cli_options, serve)},
};

typedef struct text_option {
    const char* name;
    size_t offset;
} text_option;

static const text_option texts[] = {
    {"--token", offsetof(cli_options, token)}, {"--token-url", offsetof(cli_options, token_url)},
    {"--key", offsetof(cli_options, key)},     {"--ca", offsetof(cli_options, ca_file)},
    {"--in", offsetof(cli_options, in_file)},  {"--out", offsetof(cli_options, out_file)},
    {"--name", offsetof(cli_options, name)},   {"--transport", offsetof(cli_options, transport)},
};

/* An option with a value. Returns 0 unknown, 1 taken, -1 wrong. */
static int take_valued(const char* name, const char* value, cli_options* out)
{
    uint64_t number;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (strcmp(name, numbers[i].name) != 0) continue;
        if (!take_number(name, value, numbers[i].low, numbers[i].high, &number)) return -1;
        *(uint32_t*)(void*)((char*)out + numbers[i].offset) = (uint32_t)number;
        return 1;
    }
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (strcmp(name, texts[i].name) != 0) continue;
        if (!value) {
            cli_fail("%s wants a value", name);
            return -1;
        }
        *(const char**)(void*)((char*)out + texts[i].offset) = value;
        return 1;
    }
    if (strcmp(name, "--channel") == 0) {
        if (!take_number(name, value, 0, NECPNET_CHANNELS_MAX - 1, &number)) return -1;
        out->channel = (int)number;
        return 1;
    }
    if (strcmp(name, "--server-id") == 0) return take_number(name, value, 0, UINT64_MAX, &out->server_id) ? 1 : -1;
    return 0;
}

static bool take_plain(const char* argument, cli_options* out)
{
    if (strstr(argument, "://")) {
        if (out->url_count == NECPNET_URLS_MAX) {
            cli_fail("at most %d addresses", NECPNET_URLS_MAX);
            return false;
        }
        out->urls[out->url_count++] = argument;
        return true;
    }
    if (out->rest_count == (int)(sizeof out->rest / sizeof out->rest[0])) {
        cli_fail("too many arguments, from '%s' on", argument);
        return false;
    }
    out->rest[out->rest_count++] = argument;
    return true;
}

bool cli_parse(int argc, char** argv, cli_options* out)
{
    memset(out, 0, sizeof *out);
    out->server_id = 1;
    out->clients = 100;
    out->rate = 20;
    out->bytes = 64;
    out->name = getenv("USER") ? getenv("USER") : "player";
    out->token_url = "http://127.0.0.1:8080/api/v1/connect-tokens";
    for (int i = 0; i < argc; i++) {
        const char* next = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--json") == 0) {
            out->json = true;
        } else if (strcmp(argv[i], "--verbose") == 0) {
            out->verbose = true;
        } else if (strcmp(argv[i], "--insecure") == 0) {
            out->insecure = true;
        } else if (strcmp(argv[i], "--deflate") == 0) {
            out->deflate = true;
        } else if (strcmp(argv[i], "--open") == 0) {
            out->open = true;
            bool has_pass = next && next[0] != '-' && !strstr(next, "://");
            if (has_pass) out->passphrase = argv[++i];
        } else if (strncmp(argv[i], "--", 2) == 0) {
            int taken = take_valued(argv[i], next, out);
            if (taken < 0) return false;
            if (taken == 0) {
                cli_fail("there is no option '%s'; `necpnet help` lists them", argv[i]);
                return false;
            }
            i++;
        } else if (!take_plain(argv[i], out)) {
            return false;
        }
    }
    if (out->transport && strcmp(out->transport, "udp") != 0 && strcmp(out->transport, "ws") != 0) {
        cli_fail("--transport is udp or ws, not '%s'", out->transport);
        return false;
    }
    return true;
}

/* server_config - the configuration: every source, every kind of mistake, named by its key.
 *
 * A case gives a file, an environment and flags, and says which result and which words the report must hold. */
#include "test.h"

#include <unistd.h>

#include "config.h"

typedef struct config_case {
    const char* name;
    const char* file;        /* NULL: none */
    const char* environment; /* "NAME=value;NAME=value" */
    const char* flags;       /* separated by one blank */
    config_result result;
    const char* said; /* a part of the report; NULL: it is empty */
} config_case;

static const char* case_environment;

static const char* read_environment(const char* name)
{
    static char value[256];
    size_t bytes = strlen(name);
    for (const char* at = case_environment; at && *at;) {
        size_t whole = strcspn(at, ";");
        if (strncmp(at, name, bytes) == 0 && at[bytes] == '=') {
            snprintf(value, sizeof(value), "%.*s", (int)(whole - bytes - 1), at + bytes + 1);
            return value;
        }
        at += whole + (at[whole] == ';');
    }
    return NULL;
}

static void write_file(const char* path, const char* content)
{
    FILE* file = fopen(path, "wb");
    TEST_CHECK(file != NULL);
    TEST_EQUAL(fwrite(content, 1, strlen(content), file), strlen(content));
    fclose(file);
}

/* Loads; the caller releases. report must hold 16 KB. */
static config_result load(const config_case* at, config* out, char* report_bytes, size_t report_size)
{
    char path[64];
    char flags[1024] = "";
    char* arguments[32] = {(char*)"necpnet-server"};
    int count = 1;
    text report;
    snprintf(path, sizeof(path), "/tmp/necpnet_config_%d.json", (int)getpid());
    if (at->file) {
        write_file(path, at->file);
        arguments[count++] = (char*)"--config";
        arguments[count++] = path;
    }
    snprintf(flags, sizeof(flags), "%s", at->flags);
    for (char* word = strtok(flags, " "); word && count < 32; word = strtok(NULL, " ")) arguments[count++] = word;
    case_environment = at->environment;
    text_begin(&report, report_bytes, report_size);
    config_result result = config_load(out, count, arguments, read_environment, &report);
    if (at->file) unlink(path);
    TEST_CHECK(!report.failed);
    return result;
}

#define KEY64 "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define KEY_BASE64 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define SECRET "a secret of more than thirty-two bytes"

static const config_case cases[] = {
    {"nothing", NULL, "", "", CONFIG_RUN, NULL},
    {"help", NULL, "", "--help", CONFIG_SHOW_HELP, NULL},
    {"help beside mistakes", NULL, "", "--prot 1 -h", CONFIG_SHOW_HELP, NULL},
    {"version", NULL, "", "--version", CONFIG_SHOW_VERSION, NULL},
    {"check", NULL, "", "--check-config", CONFIG_SHOW_CHECK, "port "},
    {"check shows the source", "{\"mode\":\"development\",\"bots\":3}", "NECPNET_UDP_PORT=7000",
     "--check-config --port 1", CONFIG_SHOW_CHECK, "bots                   3   (file)"},
    {"check hides secrets", NULL, "JWT_SECRET=" SECRET, "--check-config", CONFIG_SHOW_CHECK,
     "jwt_secret             \"(hidden)\""},
    {"unknown key in the file", "{\"prot\":1}", "", "", CONFIG_WRONG, "prot"},
    {"the nearest key is named", "{\"prot\":1}", "", "--mode development", CONFIG_WRONG, "did you mean port?"},
    {"nothing is near", "{\"zzzzzzzzzz\":1}", "", "--mode development", CONFIG_WRONG, "--help lists all"},
    {"a key twice", "{\"port\":1,\"port\":2}", "", "", CONFIG_WRONG, "the key \"port\" stands twice"},
    {"no JSON", "{\"port\":1,}", "", "", CONFIG_WRONG, "line 1, column 11"},
    {"no JSON on line 2", "{\n\"port\":01}", "", "", CONFIG_WRONG, "line 2"},
    {"no object", "[1]", "", "--mode development", CONFIG_WRONG, "one JSON object is wanted"},
    {"out of range in the file", "{\"port\":65536}", "", "--mode development", CONFIG_WRONG, "port (/tmp/"},
    {"out of range by flag", NULL, "", "--port 65536", CONFIG_WRONG,
     "port (flag --port): 65536 is out of range; 0 .. 65535"},
    {"out of range by environment", NULL, "NECPNET_PORT=-1", "", CONFIG_WRONG, "port (environment NECPNET_PORT): -1"},
    {"out of range by seed name", NULL, "SERVER_PORT=99999", "", CONFIG_WRONG, "environment SERVER_PORT"},
    {"no number", NULL, "", "--port 80x", CONFIG_WRONG, "\"80x\" is no whole number"},
    {"an empty number", NULL, "NECPNET_PORT=", "", CONFIG_WRONG, "\"\" is no whole number"},
    {"a number too large for all", NULL, "", "--port 99999999999999999999", CONFIG_WRONG, "no whole number"},
    {"a fraction", "{\"port\":1.5}", "", "--mode development", CONFIG_WRONG, "a whole number is wanted"},
    {"a text for a number", "{\"port\":\"80\"}", "", "--mode development", CONFIG_WRONG, "a whole number is wanted"},
    {"a number for a text", "{\"ws_path\":1}", "", "--mode development", CONFIG_WRONG, "a text is wanted"},
    {"a text for a list", "{\"cors_origins\":\"*\"}", "", "--mode development", CONFIG_WRONG,
     "a list of texts is wanted"},
    {"a number in a list", "{\"cors_origins\":[1]}", "", "--mode development", CONFIG_WRONG, "an item is no text"},
    {"no choice", NULL, "", "--mode fast", CONFIG_WRONG, "\"fast\" is none of automatic|development|production"},
    {"no level", NULL, "LOG_LEVEL=loud", "", CONFIG_WRONG, "log_level (environment LOG_LEVEL)"},
    {"no bool", NULL, "METRICS_ENABLED=perhaps", "", CONFIG_WRONG, "\"perhaps\" is neither true nor false"},
    {"a flag without its value", NULL, "", "--port", CONFIG_WRONG, "its value is missing"},
    {"an unknown flag", NULL, "", "--prot 80", CONFIG_WRONG, "did you mean port?"},
    {"no flag", NULL, "", "8080", CONFIG_WRONG, "not a flag"},
    {"--no- of what is no bool", NULL, "", "--no-port", CONFIG_WRONG, "unknown key"},
    {"all mistakes at once", "{\"prot\":1}", "", "--udp-port x --mode development", CONFIG_WRONG,
     "udp_port (flag --udp-port)"},
    {"development is for loopback", NULL, "", "--bind-address 0.0.0.0", CONFIG_WRONG, "can be reached from outside"},
    {"no address", NULL, "", "--bind-address localhost", CONFIG_WRONG, "is no numeric address"},
    {"production without a key", NULL, "", "--mode production", CONFIG_WRONG, "token_keys"},
    {"a file means production", "{\"port\":0}", "", "", CONFIG_WRONG, "token_keys (value): missing"},
    {"a short JWT secret", NULL, "JWT_SECRET=short", "", CONFIG_WRONG, "shorter than 32 bytes"},
    {"a JWT secret is enough", NULL, "JWT_SECRET=" SECRET, "", CONFIG_RUN, NULL},
    {"a key as hex", NULL, "", "--token-keys 1:" KEY64, CONFIG_RUN, NULL},
    {"a key as base64", NULL, "", "--token-keys 1:" KEY_BASE64, CONFIG_RUN, NULL},
    {"two keys", NULL, "NECPNET_TOKEN_KEYS=1:" KEY64 ",2:" KEY_BASE64, "", CONFIG_RUN, NULL},
    {"a key that is cut", NULL, "", "--token-keys 1:0011", CONFIG_WRONG, "neither 64 hexadecimal digits"},
    {"a key without id", NULL, "", "--token-keys " KEY64, CONFIG_WRONG, "written id:key"},
    {"an id twice", NULL, "", "--token-keys 1:" KEY64 ",1:" KEY64, CONFIG_WRONG, "the same id"},
    {"keys in the file", "{\"token_keys\":[{\"id\":7,\"key\":\"" KEY64 "\"}]}", "", "", CONFIG_RUN, NULL},
    {"a key with more fields", "{\"token_keys\":[{\"id\":7,\"key\":\"" KEY64 "\",\"x\":1}]}", "", "", CONFIG_WRONG,
     "an item is not"},
    {"keys that are no list", "{\"token_keys\":{}}", "", "", CONFIG_WRONG, "a list is wanted"},
    {"certificate without key", NULL, "", "--certificate-file /dev/null", CONFIG_WRONG, "key_file (value): missing"},
    {"certificate that is not there", NULL, "", "--certificate-file /nowhere/c.pem --key-file /dev/null",
     CONFIG_UNREADABLE, "/nowhere/c.pem cannot be read"},
    {"file that is not there", NULL, "", "--config /nowhere/necpnet.json", CONFIG_UNREADABLE,
     "/nowhere/necpnet.json (file): cannot be read"},
    {"key file that is not there", NULL, "", "--token-key-file /nowhere/k.json", CONFIG_UNREADABLE, "cannot be read"},
    {"passphrase without open", NULL, "", "--passphrase x", CONFIG_WRONG, "security open alone"},
    {"no path", NULL, "", "--ws-path ws", CONFIG_WRONG, "begins with /"},
    {"no url", NULL, "", "--public-urls http://x", CONFIG_WRONG, "is none of udp://"},
    {"urls", NULL, "", "--public-urls udp://game.example:7777,wss://game.example/ws", CONFIG_RUN, NULL},
    {"udp without port", NULL, "", "--public-urls udp://game.example", CONFIG_WRONG, "is none of udp://"},
    {"a network with bits behind its prefix", NULL, "", "--trusted-proxies 10.0.0.0/8,10.0.0.1/24", CONFIG_WRONG,
     "trusted_proxies (value): \"10.0.0.1/24\" is no address and no network"},
    {"a network's prefix", NULL, "", "--trusted-proxies 10.0.0.0/33", CONFIG_WRONG, "trusted_proxies"},
    {"networks",
     "{\"trusted_proxies\": [\"10.0.0.0/8\", \"fd00::/8\", \"192.0.2.1\"], \"proxy_header\": \"forwarded\"}", "",
     "--mode development", CONFIG_RUN, NULL},
    {"origin with a path", NULL, "", "--cors-origins https://a.example/", CONFIG_WRONG, "is no origin"},
    {"origins", NULL, "CORS_ORIGINS=https://a.example,http://localhost:3000", "", CONFIG_RUN, NULL},
    {"control characters", "{\"server_name\":\"a\\nb\"}", "", "--mode development", CONFIG_WRONG, "control characters"},
    {"a name too long", NULL, "", "--server-name 0123456789012345678901234567890123456789012345678901234567890123",
     CONFIG_WRONG, "longer than 63"},
};

TEST(test_config_names_each_mistake_by_its_key)
{
    static char report[16384];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        config loaded;
        config_result result = load(&cases[i], &loaded, report, sizeof(report));
        TEST_HINT("case \"%s\", report: %s", cases[i].name, report);
        TEST_EQUAL(result, cases[i].result);
        TEST_CHECK(cases[i].said ? strstr(report, cases[i].said) != NULL : report[0] == 0);
        config_release(&loaded);
    }
}

TEST(test_config_last_source_wins)
{
    static char report[16384];
    static const config_case sources = {
        "",
        "{\"mode\":\"development\",\"port\":1,\"udp_port\":1,\"bots\":1,\"drain_ms\":1}",
        "SERVER_PORT=2;NECPNET_UDP_PORT=2;NECPNET_BOTS=2;SERVER_ADDR=127.0.0.5:9",
        "--udp-port=3",
        CONFIG_RUN,
        NULL};
    config loaded;
    TEST_EQUAL(load(&sources, &loaded, report, sizeof(report)), CONFIG_RUN);
    TEST_EQUAL(loaded.drain_ms, 1);
    TEST_EQUAL(loaded.bots, 2);
    TEST_EQUAL(loaded.port, 2); /* SERVER_PORT before the port of SERVER_ADDR */
    TEST_EQUAL(loaded.udp_port, 3);
    TEST_EQUAL_STRING(loaded.bind_address, "127.0.0.5");
    TEST_EQUAL_STRING(loaded.ws_path, "/ws");
    config_release(&loaded);
}

TEST(test_config_chooses_its_mode)
{
    static char report[16384];
    static const struct {
        config_case given;
        config_mode mode;
        const char* bind_address;
    } modes[] = {
        {{"", NULL, "", "", CONFIG_RUN, NULL}, CONFIG_DEVELOPMENT, "127.0.0.1"},
        {{"", NULL, "", "--bind-address ::1", CONFIG_RUN, NULL}, CONFIG_DEVELOPMENT, "::1"},
        {{"", NULL, "", "--token-keys 1:" KEY64, CONFIG_RUN, NULL}, CONFIG_PRODUCTION, "::"},
        {{"", NULL, "SERVER_ADDR=:9000", "--token-keys 1:" KEY64, CONFIG_RUN, NULL}, CONFIG_PRODUCTION, "::"},
        {{"", "{\"security\":\"open\"}", "", "", CONFIG_RUN, NULL}, CONFIG_PRODUCTION, "::"},
        {{"", NULL, "", "--token-keys 1:" KEY64 " --mode development", CONFIG_RUN, NULL},
         CONFIG_DEVELOPMENT,
         "127.0.0.1"},
    };
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        config loaded;
        TEST_EQUAL(load(&modes[i].given, &loaded, report, sizeof(report)), CONFIG_RUN);
        TEST_EQUAL(loaded.mode, modes[i].mode);
        TEST_EQUAL_STRING(loaded.bind_address, modes[i].bind_address);
        config_release(&loaded);
    }
}

TEST(test_config_reads_bools_and_levels_as_people_write_them)
{
    static char report[16384];
    static const config_case words = {"", NULL, "METRICS_ENABLED=FALSE;LOG_LEVEL=Warn", "", CONFIG_RUN, NULL};
    static const config_case flags = {"", NULL, "", "--no-metrics-enabled --log-format json", CONFIG_RUN, NULL};
    config loaded;
    TEST_EQUAL(load(&words, &loaded, report, sizeof(report)), CONFIG_RUN);
    TEST_CHECK(!loaded.metrics_enabled);
    TEST_EQUAL(loaded.log_level, NECPNET_LOG_WARNING);
    config_release(&loaded);
    TEST_EQUAL(load(&flags, &loaded, report, sizeof(report)), CONFIG_RUN);
    TEST_CHECK(!loaded.metrics_enabled);
    TEST_EQUAL(loaded.log_format, CONFIG_LOG_JSON);
    config_release(&loaded);
}

TEST(test_config_never_shows_a_secret)
{
    static char report[16384];
    static const config_case secrets = {"",
                                        NULL,
                                        "JWT_SECRET=" SECRET ";NECPNET_TOKEN_KEYS=1:" KEY64,
                                        "--check-config --security open --passphrase xyzzy",
                                        CONFIG_SHOW_CHECK,
                                        NULL};
    config loaded;
    TEST_EQUAL(load(&secrets, &loaded, report, sizeof(report)), CONFIG_SHOW_CHECK);
    TEST_CHECK(!strstr(report, "thirty-two") && !strstr(report, KEY64) && !strstr(report, "xyzzy"));
    config_release(&loaded);
}

TEST(test_config_key_reads_hex_and_both_base64_alphabets)
{
    uint8_t expected[NECPNET_TOKEN_KEY_BYTES];
    uint8_t key[NECPNET_TOKEN_KEY_BYTES];
    for (int i = 0; i < NECPNET_TOKEN_KEY_BYTES; i++) expected[i] = (uint8_t)i;
    TEST_CHECK(config_key_parse(KEY64, key));
    TEST_EQUAL_BYTES(key, expected, sizeof(key));
    TEST_CHECK(config_key_parse(KEY_BASE64, key));
    TEST_EQUAL_BYTES(key, expected, sizeof(key));
    TEST_CHECK(config_key_parse("-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_8", key));
    TEST_EQUAL(key[0], 0xfb);
    TEST_CHECK(!config_key_parse("-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_9", key)); /* bits behind the key */
    TEST_CHECK(!config_key_parse("", key));
    TEST_CHECK(!config_key_parse("g00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", key));
}

TEST(test_config_help_names_every_key)
{
    static char report[65536];
    static const config_case check = {"", NULL, "", "--check-config", CONFIG_SHOW_CHECK, NULL};
    config loaded;
    text help;
    TEST_EQUAL(load(&check, &loaded, report, sizeof(report)), CONFIG_SHOW_CHECK);
    text_begin_growing(&help);
    config_help(&help);
    TEST_CHECK(!help.failed);
    int keys = 0;
    for (char* line = strtok(report, "\n"); line; line = strtok(NULL, "\n"), keys++) {
        char flag[80] = "--";
        size_t bytes = strcspn(line, " ");
        for (size_t i = 0; i < bytes; i++) flag[2 + i] = line[i] == '_' ? '-' : line[i];
        TEST_HINT("%s is not in --help", flag);
        TEST_CHECK(strstr(help.to, flag) != NULL);
    }
    TEST_AT_LEAST(keys, 35);
    text_end(&help);
    config_release(&loaded);
}

TEST_MAIN

/* The addresses that connect takes: what they mean, and that nothing else is taken. */
#include "nn_url.h"
#include "test.h"

TEST(test_url_says_scheme_host_port_and_path)
{
    static const struct {
        const char *text, *host, *path;
        uint16_t port;
        nn_url_scheme scheme;
    } rows[] = {
        {"udp://a", "a", "", 7777, NN_URL_UDP},
        {"udp://play.example-1.org:65535/", "play.example-1.org", "", 65535, NN_URL_UDP},
        {"udp://[::1]:5", "::1", "", 5, NN_URL_UDP},
        {"udp://[fe80::1%eth0]", "fe80::1%eth0", "", 7777, NN_URL_UDP},
        {"ws://my_host", "my_host", "/", 80, NN_URL_WS},
        {"ws://1.2.3.4:81/a/b?c=d:e", "1.2.3.4", "/a/b?c=d:e", 81, NN_URL_WS},
        {"wss://h?room=1", "h", "/?room=1", 443, NN_URL_WSS},
        {"wss://[2001:db8::7]/", "2001:db8::7", "/", 443, NN_URL_WSS},
    };
    for (size_t i = 0; i < NN_COUNT(rows); i++) {
        nn_url url;
        TEST_HINT("%s", rows[i].text);
        TEST_OK(nn_url_parse(rows[i].text, &url));
        TEST_EQUAL(url.scheme, rows[i].scheme);
        TEST_EQUAL(url.port, rows[i].port);
        TEST_EQUAL_STRING(url.host, rows[i].host);
        TEST_EQUAL_STRING(url.path, rows[i].path);
        TEST_EQUAL_STRING(url.text, rows[i].text);
    }
}

TEST(test_url_refuses_every_other_text)
{
    static const char* const texts[] = {
        "",           "udp:/a",      "http://a",   "UDP://a",       "udp://",         "udp://:5",
        "ws:///path", "udp://a:",    "udp://a:0",  "udp://a:65536", "udp://a:123456", "udp://a:1x",
        "udp://a/b",  "udp://a:5//", "ws://a:80x", "ws://a b",      "ws://a\r\nX",    "ws://u@a",
        "ws://a/#f",  "ws://a\\b",   "ws://a]",    "ws://[::1",     "ws://[]",        "ws://[a]",
        "ws://[a/b]", "ws://[::1]x", "ws://a,b",   "ws://a;b",      "ws://\xc3\xa9",  "ws://a/<",
        "ws://a[1]",  "ws://a%41",   "ws://*",
    };
    for (size_t i = 0; i < NN_COUNT(texts); i++) {
        nn_url url;
        memset(&url, 1, sizeof url);
        TEST_HINT("%s", texts[i]);
        TEST_EQUAL(nn_url_parse(texts[i], &url), NECPNET_ERR_BAD_URL);
        TEST_EQUAL(url.host[0], 1); /* written on success alone */
    }
    TEST_EQUAL(nn_url_parse(NULL, NULL), NECPNET_ERR_BAD_URL);
}

TEST(test_url_has_a_longest_text_and_a_longest_host)
{
    char text[NECPNET_URL_BYTES_MAX + 2];
    nn_url url;
    memset(text, 'a', sizeof text);
    memcpy(text, "ws://", 5);
    text[NECPNET_URL_BYTES_MAX + 1] = '\0';
    TEST_EQUAL(nn_url_parse(text, &url), NECPNET_ERR_BAD_URL);
    text[NECPNET_URL_BYTES_MAX] = '\0';
    text[6] = '/';
    TEST_OK(nn_url_parse(text, &url));
    TEST_EQUAL(strlen(url.path), NECPNET_URL_BYTES_MAX - 6);
    text[6] = '?'; /* one more: the slash in front */
    TEST_OK(nn_url_parse(text, &url));
    TEST_EQUAL(strlen(url.path), NECPNET_URL_BYTES_MAX - 5);
}

TEST_MAIN

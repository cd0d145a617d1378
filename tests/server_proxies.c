/* server_proxies - aim: a client is who a trusted proxy says, and nobody can say it himself. Method: networks as they are written,
 * right and wrong; lists of headers, honest and hostile, with the address that must come out; random headers, whose outcome is
 * always the peer or something that a trusted hop told. */
#include "test.h"

#include "proxies.h"

static proxies trusted(const char* list, bool rfc7239)
{
    proxies all = {.rfc7239 = rfc7239};
    char buffer[256];
    snprintf(buffer, sizeof(buffer), "%s", list);
    for (char* one = strtok(buffer, " "); one; one = strtok(NULL, " ")) {
        TEST_HINT("network %s", one);
        TEST_CHECK(proxies_parse(one, &all.items[all.count++]));
    }
    return all;
}

TEST(test_proxies_networks_are_read_as_written_or_refused)
{
    static const char* const right[] = {"10.0.0.0/8",  "192.0.2.1",     "192.0.2.1/32",    "0.0.0.0/0",
                                        "::/0",        "fd00::/8",      "2001:db8::1/128", "::1",
                                        "128.0.0.0/1", "192.0.2.128/25"};
    static const char* const wrong[] = {"",
                                        "10.0.0.0/",
                                        "10.0.0.0/33",
                                        "10.0.0.1/8",
                                        "10.0.0/8",
                                        "/8",
                                        "10.0.0.0/08",
                                        "10.0.0.0/8 ",
                                        "10.0.0.0/-1",
                                        "10.0.0.0/1e1",
                                        "localhost",
                                        "fd00::1/8",
                                        "fd00::/129",
                                        "[::1]",
                                        "1.2.3.4:80",
                                        "::1%lo",
                                        "10.0.0.0/8/8",
                                        "10.0.0.0/4294967304",
                                        "0000000000000000000000000000000000000000000000000000000000000000000000000/8"};
    proxy_network out;
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
        TEST_HINT("%s", right[i]);
        TEST_CHECK(proxies_parse(right[i], &out));
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        TEST_HINT("%s", wrong[i]);
        TEST_CHECK(!proxies_parse(wrong[i], &out));
    }
}

TEST(test_proxies_trust_their_networks_alone)
{
    static const struct {
        const char* address;
        bool in;
    } cases[] = {{"10.0.0.0", true},     {"10.255.255.255", true}, {"11.0.0.0", false},   {"9.255.255.255", false},
                 {"192.0.2.127", false}, {"192.0.2.128", true},    {"192.0.2.255", true}, {"fd12::3", true},
                 {"fe00::", false},      {"::1", false},           {"a00::", false}};
    proxies all = trusted("10.0.0.0/8 192.0.2.128/25 fd00::/8", false);
    proxies none = trusted("", false);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        necpnet_address address;
        TEST_HINT("%s", cases[i].address);
        TEST_OK(necpnet_address_parse(cases[i].address, &address));
        TEST_EQUAL(proxies_trusts(&all, &address), cases[i].in);
        TEST_CHECK(!proxies_trusts(&none, &address));
    }
}

/* "Name: value|Name: value" */
static necpnet_web_request request_of(const char* from, const char* headers, necpnet_web_header* list, char* buffer,
                                      size_t buffer_bytes)
{
    necpnet_web_request request = {.method = "GET", .path = "/", .query = "", .headers = list, .subprotocols = ""};
    snprintf(buffer, buffer_bytes, "%s", headers);
    for (char* at = buffer; *at;) {
        char* end = at + strcspn(at, "|");
        char* next = *end ? end + 1 : end;
        *end = 0;
        char* colon = strstr(at, ": ");
        TEST_CHECK(colon != NULL);
        *colon = 0;
        list[request.header_count++] = (necpnet_web_header){at, colon + 2};
        at = next;
    }
    TEST_OK(necpnet_address_parse(from, &request.from));
    return request;
}

typedef struct client_case {
    const char* from;
    bool rfc7239;
    const char* headers;
    const char* client;
    bool tls;
} client_case;

static const client_case cases[] = {
    /* nobody is trusted but the proxies: a client's own header changes nothing */
    {"203.0.113.9:5", false, "X-Forwarded-For: 198.51.100.1", "203.0.113.9:5", false},
    {"203.0.113.9:5", false, "X-Forwarded-For: 198.51.100.1|X-Forwarded-Proto: https", "203.0.113.9:5", false},
    {"203.0.113.9:5", true, "Forwarded: for=198.51.100.1;proto=https", "203.0.113.9:5", false},
    /* one proxy, two of them, a list in two headers */
    {"10.0.0.1:5", false, "X-Forwarded-For: 198.51.100.1", "198.51.100.1", false},
    {"10.0.0.1:5", false, "X-Forwarded-For: 198.51.100.1, 10.0.0.2|X-Forwarded-Proto: https", "198.51.100.1", true},
    {"10.0.0.1:5", false, "x-forwarded-for: 198.51.100.1|X-FORWARDED-FOR: 10.0.0.2", "198.51.100.1", false},
    {"10.0.0.1:5", false, "X-Forwarded-For: 198.51.100.1:4711", "198.51.100.1", false},
    {"10.0.0.1:5", false, "X-Forwarded-For: 2001:db8::7", "2001:db8::7", false},
    {"10.0.0.1:5", false, "X-Forwarded-For: [2001:db8::7]:4711", "2001:db8::7", false},
    {"10.0.0.1:5", false, "X-Forwarded-For: ::ffff:198.51.100.1", "198.51.100.1", false},
    {"[fd00::1]:5", false, "X-Forwarded-For:  \t198.51.100.1 ", "198.51.100.1", false},
    /* the client put an address of its choice in front, also one of a proxy */
    {"10.0.0.1:5", false, "X-Forwarded-For: 1.2.3.4, 203.0.113.9", "203.0.113.9", false},
    {"10.0.0.1:5", false, "X-Forwarded-For: 1.2.3.4, 10.0.0.7, 203.0.113.9, 10.0.0.2", "203.0.113.9", false},
    {"10.0.0.1:5", false, "X-Forwarded-For: 127.0.0.1|X-Forwarded-For: 203.0.113.9", "203.0.113.9", false},
    /* all of them proxies: the one that is farthest away */
    {"10.0.0.1:5", false, "X-Forwarded-For: 10.0.0.3, 10.0.0.2", "10.0.0.3", false},
    /* what cannot be read counts for whoever wrote it */
    {"10.0.0.1:5", false, "", "10.0.0.1:5", false},
    {"10.0.0.1:5", false, "X-Forwarded-For: ", "10.0.0.1:5", false},
    {"10.0.0.1:5", false, "X-Forwarded-For: unknown", "10.0.0.1:5", false},
    {"10.0.0.1:5", false, "X-Forwarded-For: 198.51.100.1, garbage", "10.0.0.1:5", false},
    {"10.0.0.1:5", false, "X-Forwarded-For: 198.51.100.1, garbage, 10.0.0.2", "10.0.0.2", false},
    {"10.0.0.1:5", false, "X-Forwarded-For: 198.51.100.1,", "10.0.0.1:5", false},
    {"10.0.0.1:5", false, "X-Forwarded-For: 198.51.100.256", "10.0.0.1:5", false},
    {"10.0.0.1:5", false, "X-Forwarded-For: fe80::1%eth0", "10.0.0.1:5", false},
    {"10.0.0.1:5", false, "X-Forwarded-For: \"198.51.100.1, 10.0.0.2", "10.0.0.1:5", false},
    /* the other header is not the one that the proxies write */
    {"10.0.0.1:5", false, "Forwarded: for=198.51.100.1;proto=https", "10.0.0.1:5", false},
    {"10.0.0.1:5", true, "X-Forwarded-For: 198.51.100.1|X-Forwarded-Proto: https", "10.0.0.1:5", false},
    /* RFC 7239, with its own examples */
    {"10.0.0.1:5", true, "Forwarded: For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17", false},
    {"10.0.0.1:5", true, "Forwarded: for=192.0.2.60;proto=https;by=203.0.113.43", "192.0.2.60", true},
    {"10.0.0.1:5", true, "Forwarded: for=192.0.2.43, for=198.51.100.17", "198.51.100.17", false},
    {"10.0.0.1:5", true, "Forwarded: for=192.0.2.43|Forwarded: by=10.0.0.9 ; for=10.0.0.2", "192.0.2.43", false},
    {"10.0.0.1:5", true, "Forwarded: for=192.0.2.43, for=_gazonk", "10.0.0.1:5", false},
    {"10.0.0.1:5", true, "Forwarded: for=192.0.2.43, for=unknown", "10.0.0.1:5", false},
    {"10.0.0.1:5", true, "Forwarded: host=\"a,for=1.2.3.4\";for=192.0.2.43", "192.0.2.43", false},
    {"10.0.0.1:5", true, "Forwarded: host=\"a\\\",for=1.2.3.4\";for=192.0.2.43", "192.0.2.43", false},
    {"10.0.0.1:5", true, "Forwarded: by=1.2.3.4", "10.0.0.1:5", false},
    {"10.0.0.1:5", true, "Forwarded: for=1.2.3.4;for", "1.2.3.4", false},
};

TEST(test_proxies_find_the_client_whatever_it_says_of_itself)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const client_case* one = &cases[i];
        necpnet_web_header list[16];
        char buffer[512];
        bool tls = false;
        necpnet_address expected;
        proxies all = trusted("10.0.0.0/8 fd00::/8", one->rfc7239);
        necpnet_web_request request = request_of(one->from, one->headers, list, buffer, sizeof(buffer));
        TEST_HINT("from %s: %s", one->from, one->headers);
        TEST_OK(necpnet_address_parse(one->client, &expected));
        necpnet_address client = proxies_find_client(&all, &request, &tls);
        TEST_CHECK(necpnet_address_equal(&client, &expected));
        TEST_EQUAL(tls, one->tls);
    }
}

TEST(test_proxies_a_long_list_is_read_from_its_end)
{
    char list[8192] = "";
    char header[8300];
    char buffer[8400];
    necpnet_web_header headers[4];
    bool tls = false;
    size_t bytes = 0;
    for (int i = 0; i < 300; i++) bytes += (size_t)snprintf(list + bytes, sizeof(list) - bytes, "1.2.3.4, ");
    snprintf(header, sizeof(header), "X-Forwarded-For: %s203.0.113.9, 10.0.0.2", list);
    proxies all = trusted("10.0.0.0/8", false);
    necpnet_web_request request = request_of("10.0.0.1:5", header, headers, buffer, sizeof(buffer));
    necpnet_address client = proxies_find_client(&all, &request, &tls);
    TEST_EQUAL(client.bytes[0], 203);
    /* more proxies than are looked at: the last one that was */
    bytes = 0;
    for (int i = 0; i < 300; i++) bytes += (size_t)snprintf(list + bytes, sizeof(list) - bytes, "10.0.0.%d, ", i % 250);
    snprintf(header, sizeof(header), "X-Forwarded-For: 203.0.113.9, %s10.0.0.2", list);
    request = request_of("10.0.0.1:5", header, headers, buffer, sizeof(buffer));
    client = proxies_find_client(&all, &request, &tls);
    TEST_EQUAL(client.bytes[0], 10);
}

TEST(test_proxies_random_headers_are_read_without_harm)
{
    static const char letters[] = "0123456789.:,;=\"\\ forby[]%unkow/\t";
    struct test_random random = test_random_begin(test_seed());
    for (int n = 0; n < 50000; n++) {
        char value[80];
        necpnet_web_header header = {n % 2 ? "Forwarded" : "X-Forwarded-For", value};
        bool tls = false;
        size_t bytes = (size_t)test_random_below(&random, sizeof(value));
        for (size_t i = 0; i < bytes; i++) value[i] = letters[test_random_below(&random, sizeof(letters) - 1)];
        value[bytes] = 0;
        necpnet_web_request request = {.headers = &header, .header_count = 1};
        TEST_OK(necpnet_address_parse("10.0.0.1:5", &request.from));
        proxies all = trusted("10.0.0.0/8", n % 2 == 1);
        necpnet_address client = proxies_find_client(&all, &request, &tls);
        TEST_CHECK(client.family == NECPNET_ADDRESS_IPV4 || client.family == NECPNET_ADDRESS_IPV6);
    }
}

TEST_MAIN

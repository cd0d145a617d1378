/* test_upgrade - the opening handshake of WebSocket, both sides: the example of RFC 6455, and each rule broken. */
#include "test.h"

#include "nn_upgrade.h"

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#define GOOD "Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"

static char text[4096];
static nn_http_head head;

static int check(const char* start, const char* headers)
{
    const char* key = NULL;
    int bytes = snprintf(text, sizeof text, "%s\r\n%s\r\n", start, headers);
    TEST_EQUAL(nn_http_parse_request(text, (size_t)bytes, &head), 0);
    int status = nn_upgrade_check_request(&head, &key);
    if (status == 0) TEST_EQUAL_STRING(key, KEY);
    return status;
}

TEST(test_upgrade_answers_the_key_of_the_rfc)
{
    char accept[NN_UPGRADE_ACCEPT_BYTES + 1];
    nn_upgrade_accept(KEY, accept);
    TEST_EQUAL_STRING(accept, ACCEPT);
}

TEST(test_upgrade_knows_a_good_request)
{
    TEST_EQUAL(check("GET /ws HTTP/1.1", GOOD "Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n"), 0);
    TEST_EQUAL(check("GET /ws HTTP/1.1", "Host: x\r\nupgrade: h2c, WebSocket\r\nCONNECTION: keep-alive, upgrade\r\n"
                                         "sec-websocket-key: " KEY "\r\nsec-websocket-version: 13\r\n"),
               0);
}

TEST(test_upgrade_leaves_other_requests_alone)
{
    TEST_EQUAL(check("GET / HTTP/1.1", "Host: x\r\n"), 1);
    TEST_EQUAL(check("GET / HTTP/1.1", "Host: x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n"), 1);
    TEST_EQUAL(check("POST / HTTP/1.1", GOOD), 1);
}

TEST(test_upgrade_refuses_what_breaks_the_rfc)
{
    static const struct {
        const char* start;
        const char* headers;
        int status;
    } bad[] = {
        {"GET / HTTP/1.0", GOOD "Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n", 400},
        {"GET / HTTP/1.1",
         "Host: x\r\nUpgrade: websocket\r\nSec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n", 400},
        {"GET / HTTP/1.1", GOOD "Sec-WebSocket-Version: 13\r\n", 400},
        {"GET / HTTP/1.1", GOOD "Sec-WebSocket-Key: c2hvcnQ=\r\nSec-WebSocket-Version: 13\r\n", 400},
        {"GET / HTTP/1.1", GOOD "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ!=\r\nSec-WebSocket-Version: 13\r\n", 400},
        {"GET / HTTP/1.1", GOOD "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQAA\r\nSec-WebSocket-Version: 13\r\n", 400},
        {"GET / HTTP/1.1",
         GOOD "Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n", 400},
        {"GET / HTTP/1.1",
         GOOD "Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 13\r\n", 400},
        {"GET / HTTP/1.1", GOOD "Content-Length: 3\r\nSec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n",
         400},
        {"GET / HTTP/1.1", GOOD "Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 8\r\n", 426},
        {"GET / HTTP/1.1", GOOD "Sec-WebSocket-Key: " KEY "\r\n", 426},
    };
    for (size_t i = 0; i < NN_COUNT(bad); i++) {
        TEST_HINT("request %d", (int)i);
        TEST_EQUAL(check(bad[i].start, bad[i].headers), bad[i].status);
    }
}

TEST(test_upgrade_joins_offered_subprotocols)
{
    char list[64];
    (void)check("GET / HTTP/1.1", "Host: x\r\nSec-WebSocket-Protocol: a, b\r\nsec-websocket-protocol: c\r\n");
    TEST_CHECK(nn_upgrade_join_subprotocols(&head, list, sizeof list));
    TEST_EQUAL_STRING(list, "a, b, c");
    TEST_CHECK(!nn_upgrade_join_subprotocols(&head, list, 7));
    TEST_CHECK(nn_upgrade_join_subprotocols(&head, list, 8));
    TEST_CHECK(nn_upgrade_is_offered(list, "b", 1));
    TEST_CHECK(!nn_upgrade_is_offered(list, "B", 1));
    TEST_CHECK(!nn_upgrade_is_offered(list, "", 0));
    size_t bytes = 0;
    TEST_CHECK(nn_upgrade_first(" , first , second", &bytes) != NULL);
    TEST_EQUAL(bytes, 5);
    TEST_CHECK(nn_upgrade_first(" ,", &bytes) == NULL);
    (void)check("GET / HTTP/1.1", "Host: x\r\n");
    TEST_CHECK(nn_upgrade_join_subprotocols(&head, list, sizeof list));
    TEST_EQUAL_STRING(list, "");
    (void)check("GET / HTTP/1.1", "Host: x\r\nSec-WebSocket-Protocol: a, a\r\n");
    TEST_CHECK(!nn_upgrade_join_subprotocols(&head, list, sizeof list));
    (void)check("GET / HTTP/1.1", "Host: x\r\nSec-WebSocket-Protocol: a b\r\n");
    TEST_CHECK(!nn_upgrade_join_subprotocols(&head, list, sizeof list));
}

static necpnet_result answer(const char* data, const char* offered, const char** out_subprotocol)
{
    size_t bytes = strlen(data);
    memcpy(text, data, bytes + 1);
    TEST_EQUAL(nn_http_parse_response(text, bytes, &head), 0);
    return nn_upgrade_check_answer(&head, KEY, offered, out_subprotocol);
}

TEST(test_upgrade_both_sides_agree)
{
    char data[512];
    const char* subprotocol = NULL;
    size_t bytes = nn_upgrade_write_request(data, sizeof data, "x:1", "/p?q", KEY, "a, b", "");
    TEST_EQUAL(bytes, strlen(data));
    TEST_EQUAL(nn_upgrade_write_request(data, bytes, "x:1", "/p?q", KEY, "a, b", ""), 0);
    (void)nn_upgrade_write_request(data, sizeof data, "x:1", "/p?q", KEY, "a, b", "");
    const char* key = NULL;
    TEST_EQUAL(nn_http_parse_request(data, bytes, &head), 0);
    TEST_EQUAL(nn_upgrade_check_request(&head, &key), 0);
    TEST_EQUAL_STRING(key, KEY);
    bytes = nn_upgrade_write_answer(data, sizeof data, KEY, "b", "x; y=1", "X-More: 1\r\n");
    TEST_EQUAL(bytes, strlen(data));
    TEST_CHECK(strstr(data, "\r\nSec-WebSocket-Extensions: x; y=1\r\nX-More: 1\r\n\r\n") != NULL);
    TEST_OK(answer(data, "a, b", &subprotocol));
    TEST_EQUAL_STRING(subprotocol, "b");
    TEST_EQUAL(answer(data, "a", &subprotocol), NECPNET_ERR_PROTOCOL);
    TEST_EQUAL(answer(data, NULL, &subprotocol), NECPNET_ERR_PROTOCOL);
    (void)nn_upgrade_write_answer(data, sizeof data, KEY, NULL, NULL, NULL);
    TEST_OK(answer(data, "a", &subprotocol));
    TEST_EQUAL_STRING(subprotocol, "");
}

TEST(test_upgrade_refuses_answers_that_break_the_rfc)
{
    const char* subprotocol = NULL;
    TEST_EQUAL(answer("HTTP/1.1 404 Not Found\r\n\r\n", NULL, &subprotocol), NECPNET_ERR_UPGRADE_REFUSED);
    TEST_EQUAL(answer("HTTP/1.1 200 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " ACCEPT
                      "\r\n\r\n",
                      NULL, &subprotocol),
               NECPNET_ERR_UPGRADE_REFUSED);
    static const char* const bad[] = {
        "HTTP/1.0 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " ACCEPT "\r\n\r\n",
        "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " ACCEPT "\r\n\r\n",
        "HTTP/1.1 101 x\r\nUpgrade: other\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " ACCEPT "\r\n\r\n",
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " ACCEPT "\r\n\r\n",
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x" ACCEPT "\r\n\r\n",
    };
    for (size_t i = 0; i < NN_COUNT(bad); i++) {
        TEST_HINT("%s", bad[i]);
        TEST_EQUAL(answer(bad[i], NULL, &subprotocol), NECPNET_ERR_PROTOCOL);
    }
}

TEST_MAIN

/* test_http - heads of requests and responses: what is right is read, and what two servers could read in two ways is
 * refused, with its own status, in one piece and byte by byte. */
#include "test.h"

#include "nn_http.h"

static char text[8192];
static nn_http_head head;

/* Scan in pieces, then parse. Returns the status; -1: not HTTP; -2: no end. */
static int read_head(const char* data, size_t bytes, size_t piece, bool is_response)
{
    size_t scanned = 0;
    size_t found = 0;
    nn_http_scan scan = NN_HTTP_SCAN_MORE;
    for (size_t at = piece; scan == NN_HTTP_SCAN_MORE; at += piece) {
        size_t there = at < bytes ? at : bytes;
        scan = nn_http_scan_head((const uint8_t*)data, there, is_response, &scanned, &found);
        if (there == bytes) break;
    }
    if (scan == NN_HTTP_SCAN_NOT_HTTP) return -1;
    if (scan == NN_HTTP_SCAN_MORE) return -2;
    memcpy(text, data, found);
    text[found] = 0;
    return is_response ? nn_http_parse_response(text, found, &head) : nn_http_parse_request(text, found, &head);
}

static int request(const char* data)
{
    int status = read_head(data, strlen(data), strlen(data), false);
    TEST_EQUAL(read_head(data, strlen(data), 1, false), status);
    return status;
}

static int response(const char* data)
{
    int status = read_head(data, strlen(data), strlen(data), true);
    TEST_EQUAL(read_head(data, strlen(data), 1, true), status);
    return status;
}

TEST(test_http_reads_a_request)
{
    TEST_EQUAL(request("GET /a/b?c=d&e HTTP/1.1\r\nHost: x:80\r\nX-Empty:\r\naccept:  one, two \t\r\n\r\nbody"), 0);
    TEST_EQUAL_STRING(head.method, "GET");
    TEST_EQUAL_STRING(head.path, "/a/b");
    TEST_EQUAL_STRING(head.query, "c=d&e");
    TEST_EQUAL(head.minor, 1);
    TEST_EQUAL(head.header_count, 3);
    TEST_EQUAL_STRING(head.headers[1].name, "X-Empty");
    TEST_EQUAL_STRING(head.headers[1].value, "");
    TEST_EQUAL_STRING(nn_http_find(&head, "ACCEPT", NULL), "one, two");
    TEST_CHECK(nn_http_find(&head, "none", NULL) == NULL);
    TEST_CHECK(!head.has_body);
}

TEST(test_http_reads_what_is_unusual_and_right)
{
    TEST_EQUAL(request("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"), 0);
    TEST_EQUAL(request("GET / HTTP/1.0\r\n\r\n"), 0);
    TEST_EQUAL(head.minor, 0);
    TEST_EQUAL(request("M-SEARCH /?? HTTP/1.1\r\nHost:\r\n\r\n"), 0);
    TEST_EQUAL_STRING(head.query, "?");
    TEST_EQUAL(request("POST / HTTP/1.1\r\nHost: [::1]:8080\r\nContent-Length: 10\r\n\r\n"), 0);
    TEST_CHECK(head.has_body);
    TEST_EQUAL(request("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n"), 0);
    TEST_CHECK(head.has_body);
    TEST_EQUAL(request("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"), 0);
    TEST_CHECK(!head.has_body);
    TEST_EQUAL(request("GET / HTTP/1.1\r\nHost: x\r\nX: caf\xc3\xa9\r\n\r\n"), 0);
}

TEST(test_http_refuses_what_could_be_read_in_two_ways)
{
    static const char* const bad[] = {
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 5\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x5\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: \r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x, y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: user@x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nName : value\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n folded: value\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nName: a\r\n\tfolded\r\n\r\n",
        "GET / HTTP/1.1\r\n Host: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n: no name\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nNa\xc3me: value\r\n\r\n",
        "GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET * HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /#part HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: x\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /\xc3\xa4 HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /\r\nHost: x\r\n\r\n",
        "GET / http/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.10\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1x\r\nHost: x\r\n\r\n",
        "GET\t/\tHTTP/1.1 \r\nHost: x\r\n\r\n",
    };
    for (size_t i = 0; i < NN_COUNT(bad); i++) {
        TEST_HINT("request %d:\n%s", (int)i, bad[i]);
        int status = request(bad[i]);
        TEST_CHECK(status == 400 || status == -1);
    }
}

TEST(test_http_names_other_refusals)
{
    TEST_EQUAL(request("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n"), 501);
    TEST_EQUAL(request("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"), 501);
    TEST_EQUAL(request("GET / HTTP/2.0\r\nHost: x\r\n\r\n"), 505);
    static char many[8000] = "GET / HTTP/1.1\r\nHost: x\r\n";
    for (int i = 1; i < NN_HTTP_HEADERS_MAX; i++) strcat(many, "a: b\r\n");
    strcat(many, "\r\n");
    TEST_EQUAL(request(many), 0);
    many[strlen(many) - 2] = 0;
    strcat(many, "a: b\r\n\r\n");
    TEST_EQUAL(request(many), 431);
}

TEST(test_http_tells_at_once_what_cannot_become_a_head)
{
    static const struct {
        const char* data;
        size_t bytes;
    } bad[] = {{"\x16\x03\x01\x02\x00\x01", 6},
               {"\x00", 1},
               {"\r\nGET /", 3},
               {" GET", 1},
               {"GET /\n", 6},
               {"GET / HTTP/1.1\r\nHost: x\n", 25},
               {"GET /\0", 6},
               {"GET /\x01", 6},
               {"GET /\rx", 7},
               {"GET\r", 4},
               {"{\"json\": 1}", 1},
               {"SSH-2.0-OpenSSH_9.2p1 with a long first line\r\n", 40},
               {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 33}};
    for (size_t i = 0; i < NN_COUNT(bad); i++) {
        size_t scanned = 0;
        size_t found = 0;
        TEST_HINT("bytes %d", (int)i);
        if (i == 11) continue; /* its first word is one that HTTP could have: refused when the line is read */
        TEST_EQUAL(nn_http_scan_head((const uint8_t*)bad[i].data, bad[i].bytes, false, &scanned, &found),
                   NN_HTTP_SCAN_NOT_HTTP);
    }
    size_t scanned = 0;
    size_t found = 0;
    TEST_EQUAL(nn_http_scan_head((const uint8_t*)"ICY 200", 1, true, &scanned, &found), NN_HTTP_SCAN_NOT_HTTP);
    scanned = 0;
    TEST_EQUAL(nn_http_scan_head((const uint8_t*)"HTTP/1.1 10", 11, true, &scanned, &found), NN_HTTP_SCAN_MORE);
}

TEST(test_http_refuses_a_nul_that_would_end_a_text)
{
    char data[] = "GET /a\0b HTTP/1.1\r\nHost: x\r\n\r\n";
    memcpy(text, data, sizeof data);
    TEST_EQUAL(nn_http_parse_request(text, sizeof data - 1, &head), 400);
}

TEST(test_http_reads_a_response)
{
    TEST_EQUAL(response("HTTP/1.1 404 Not Found\r\nServer: x\r\n\r\n"), 0);
    TEST_EQUAL(head.status, 404);
    TEST_EQUAL_STRING(head.reason, "Not Found");
    TEST_EQUAL(response("HTTP/1.1 101\r\n\r\n"), 0);
    TEST_EQUAL_STRING(head.reason, "");
    static const char* const bad[] = {
        "HTTP/1.1 99 x\r\n\r\n", "HTTP/1.1 600 x\r\n\r\n", "HTTP/1.1 1000 x\r\n\r\n",      "HTTP/2.0 200 x\r\n\r\n",
        "HTTP/1.1\r\n\r\n",      "HTTP/1.1 2x0 y\r\n\r\n", "HTTP/1.1 200 x\r\nbad\r\n\r\n"};
    for (size_t i = 0; i < NN_COUNT(bad); i++) {
        TEST_HINT("%s", bad[i]);
        int status = response(bad[i]);
        TEST_CHECK(status == 400 || status == -1);
    }
}

TEST(test_http_finds_tokens_in_lists)
{
    TEST_EQUAL(request("GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nConnection:,, x ,\r\n\r\n"), 0);
    TEST_CHECK(nn_http_has_token(&head, "connection", "upgrade"));
    TEST_CHECK(nn_http_has_token(&head, "connection", "x"));
    TEST_CHECK(!nn_http_has_token(&head, "connection", "keep"));
    TEST_CHECK(!nn_http_has_token(&head, "connection", "grade"));
}

TEST(test_http_writes_answers)
{
    char answer[512];
    size_t bytes = nn_http_write_answer(answer, sizeof answer, 426, "Upgrade: websocket\r\n", NULL);
    TEST_EQUAL(bytes, strlen(answer));
    TEST_EQUAL(response(answer), 0);
    TEST_EQUAL(head.status, 426);
    TEST_EQUAL_STRING(head.reason, "Upgrade Required");
    TEST_EQUAL_STRING(nn_http_find(&head, "content-length", NULL), "17");
    TEST_CHECK(strstr(answer, "\r\n\r\nUpgrade Required\n") != NULL);
    bytes = nn_http_write_answer(answer, sizeof answer, 299, NULL, "hello");
    TEST_CHECK(strstr(answer, "Content-Length: 5\r\n\r\nhello") != NULL);
    TEST_EQUAL(nn_http_write_answer(answer, bytes, 299, NULL, "hello"), 0);
    TEST_EQUAL(nn_http_write_answer(answer, bytes + 1, 299, NULL, "hello"), bytes);
}

TEST(test_http_survives_noise)
{
    TEST_EACH_SEED (seed, 500) {
        char data[400] = "GET /path?query HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nConnection: Upgrade\r\n\r\n";
        size_t bytes = strlen(data);
        struct test_random random = test_random_begin(seed);
        for (int i = 0; i < 3; i++) data[test_random_below(&random, bytes)] = (char)test_random_next(&random);
        int whole = read_head(data, bytes, bytes, false);
        TEST_EQUAL(read_head(data, bytes, 1 + (size_t)test_random_below(&random, 7), false), whole);
    }
}

TEST_MAIN

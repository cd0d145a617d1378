/* server_forward - the edge's view of a request: what is refused, what is handed on, and where a body ends.
 *
 * Requests are tables of headers as the web edge would give them; bodies are cut at every place. */
#include "test.h"

#include "forward.h"
#include "json.h"

#define HEADERS_MAX 64

typedef struct head {
    necpnet_web_request request;
    necpnet_web_header headers[HEADERS_MAX];
} head;

/* "Name: value|Name: value" */
static void head_set(head* out, const char* method, const char* path, const char* headers)
{
    static char texts[8192];
    memset(out, 0, sizeof(*out));
    snprintf(texts, sizeof(texts), "%s", headers);
    out->request =
        (necpnet_web_request){.method = method, .path = path, .query = "", .headers = out->headers, .subprotocols = ""};
    out->request.from = (necpnet_address){.family = NECPNET_ADDRESS_IPV4, .port = 999, .bytes = {192, 0, 2, 7}};
    for (char* at = texts; *at && out->request.header_count < HEADERS_MAX;) {
        char* end = at + strcspn(at, "|");
        char* next = *end ? end + 1 : end;
        *end = 0;
        char* colon = strstr(at, ": ");
        TEST_CHECK(colon != NULL);
        *colon = 0;
        out->headers[out->request.header_count++] = (necpnet_web_header){at, colon + 2};
        at = next;
    }
}

typedef struct judge_case {
    const char* method;
    const char* path;
    const char* headers;
    int status;
} judge_case;

static const judge_case judge_cases[] = {
    {"GET", "/health", "Host: a", 0},
    {"GET", "/health", "Host: a.example:8080", 0},
    {"GET", "/", "Host: [::1]:8080", 0},
    {"GET", "/health", "Accept: x", 400},
    {"GET", "/health", "Host: a|Host: a", 400},
    {"GET", "/health", "Host: a b", 400},
    {"GET", "/health", "Host: a/b", 400},
    {"GET", "/health", "Host: user@a", 400},
    {"GET", "http://a/health", "Host: a", 400},
    {"OPTIONS", "*", "Host: a", 400},
    {"G T", "/", "Host: a", 400},
    {"GET", "/a b", "Host: a", 400},
    {"GET", "/a\tb", "Host: a", 400},
    {"GET", "/a#b", "Host: a", 400},
    {"GET", "/", "Host: a|X y: 1", 400},
    {"GET", "/",
     "Host: a|X: a\x01"
     "b",
     400},
    {"POST", "/", "Host: a|Content-Length: 5|Transfer-Encoding: chunked", 400},
    {"POST", "/", "Host: a|Transfer-Encoding: chunked|content-length: 0", 400},
    {"POST", "/", "Host: a|Content-Length: 5|Content-Length: 5", 400},
    {"POST", "/", "Host: a|Content-Length: 5, 5", 400},
    {"POST", "/", "Host: a|Content-Length: +5", 400},
    {"POST", "/", "Host: a|Content-Length: -5", 400},
    {"POST", "/", "Host: a|Content-Length: 0x5", 400},
    {"POST", "/", "Host: a|Content-Length: ", 400},
    {"POST", "/", "Host: a|Content-Length: 100", 0},
    {"POST", "/", "Host: a|Content-Length: 000000000000000000000000100", 0},
    {"POST", "/", "Host: a|Content-Length: 101", 413},
    {"POST", "/", "Host: a|Content-Length: 18446744073709551617", 413},
    {"POST", "/", "Host: a|Transfer-Encoding: chunked", 0},
    {"POST", "/", "Host: a|Transfer-Encoding: gzip, chunked", 501},
    {"POST", "/", "Host: a|Transfer-Encoding: chunked, chunked", 501},
    {"POST", "/", "Host: a|Transfer-Encoding: xchunked", 501},
    {"POST", "/", "Host: a|Transfer-Encoding: chunked|Transfer-Encoding: chunked", 400},
    {"POST", "/", "Host: a|Content-Length: 1|Expect: 100-continue", 0},
    {"POST", "/", "Host: a|Content-Length: 1|Expect: 200-ok", 417},
};

TEST(test_forward_refuses_what_can_be_read_in_two_ways)
{
    for (size_t i = 0; i < sizeof(judge_cases) / sizeof(judge_cases[0]); i++) {
        head at;
        head_set(&at, judge_cases[i].method, judge_cases[i].path, judge_cases[i].headers);
        TEST_HINT("case %s %s %s", judge_cases[i].method, judge_cases[i].path, judge_cases[i].headers);
        forward_plan plan = forward_judge(&at.request, 100);
        TEST_EQUAL(plan.status, judge_cases[i].status);
        TEST_EQUAL(plan.message != NULL, plan.status != 0);
    }
}

TEST(test_forward_refuses_too_long_paths_and_too_many_headers)
{
    static char path[FORWARD_PATH_BYTES_MAX + 2];
    head at;
    memset(path, 'a', sizeof(path) - 1);
    path[0] = '/';
    head_set(&at, "GET", path, "Host: a");
    TEST_EQUAL(forward_judge(&at.request, 100).status, 414);
    path[FORWARD_PATH_BYTES_MAX] = 0;
    TEST_EQUAL(forward_judge(&at.request, 100).status, 0);
    head_set(&at, "GET", "/", "Host: a");
    for (int i = 1; i < HEADERS_MAX; i++) at.headers[i] = (necpnet_web_header){"A", "b"};
    at.request.header_count = FORWARD_HEADERS_MAX;
    TEST_EQUAL(forward_judge(&at.request, 100).status, 0);
    at.request.header_count = FORWARD_HEADERS_MAX + 1;
    TEST_EQUAL(forward_judge(&at.request, 100).status, 431);
}

TEST(test_forward_rewrites_the_head)
{
    char buffer[2048];
    text out;
    head at;
    head_set(&at, "POST", "/api",
             "Host: game.example|Accept: */*|X-Necpnet-Edge: forged|x-forwarded-for: 1.2.3.4|X-Forwarded-Host: evil|"
             "Connection: close, X-Hop|X-Hop: 1|Keep-Alive: 5|Content-Length: 3|Expect: 100-continue|"
             "TE: trailers|Upgrade: h2c|Authorization: Bearer x|Forwarded: for=1.2.3.4");
    at.request.query = "a=1&b=2";
    text_begin(&out, buffer, sizeof(buffer));
    forward_write_head(&out, &at.request, "s3cret", true);
    forward_end_head(&out, 3);
    TEST_CHECK(!out.failed);
    TEST_EQUAL_STRING(buffer,
                      "POST /api?a=1&b=2 HTTP/1.1\r\nHost: game.example\r\nAccept: */*\r\nAuthorization: Bearer x\r\n"
                      "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\nX-Necpnet-Edge: s3cret\r\n"
                      "Connection: close\r\nContent-Length: 3\r\n\r\n");
}

TEST(test_forward_writes_ipv6_peers_without_brackets_and_port)
{
    char buffer[2048];
    text out;
    head at;
    head_set(&at, "GET", "/", "Host: a");
    TEST_OK(necpnet_address_parse("[2001:db8::1]:443", &at.request.from));
    text_begin(&out, buffer, sizeof(buffer));
    forward_write_head(&out, &at.request, "s", false);
    TEST_CHECK(strstr(buffer, "X-Forwarded-For: 2001:db8::1\r\nX-Forwarded-Proto: http\r\n") != NULL);
}

/* Feeds a body in pieces of `step` bytes; returns the last state and how many bytes were left alone. */
static forward_state feed(const char* body, size_t bytes, size_t step, uint64_t bytes_max, forward_framing framing,
                          uint64_t length, text* out)
{
    forward_plan plan = {.framing = framing, .length = length};
    forward_body taker;
    forward_state state = FORWARD_MORE;
    forward_body_begin(&taker, &plan, bytes_max);
    for (size_t at = 0; at < bytes && state == FORWARD_MORE; at += step) {
        size_t piece = bytes - at < step ? bytes - at : step;
        state = forward_body_take(&taker, (const uint8_t*)body + at, piece, out);
    }
    return state;
}

typedef struct chunk_case {
    const char* body;
    forward_state state;
    const char* taken;
} chunk_case;

static const chunk_case chunk_cases[] = {
    {"0\r\n\r\n", FORWARD_WHOLE, ""},
    {"3\r\nabc\r\n0\r\n\r\n", FORWARD_WHOLE, "abc"},
    {"3\r\nabc\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n", FORWARD_WHOLE, "abc"},
    {"A\r\n0123456789\r\n1\r\nx\r\n00\r\n\r\n", FORWARD_WHOLE, "0123456789x"},
    {"3;name=value\r\nabc\r\n0\r\nTrailer: x\r\nOther: y\r\n\r\n", FORWARD_WHOLE, "abc"},
    {"3\r\nabc", FORWARD_MORE, "abc"},
    {"3\nabc\r\n0\r\n\r\n", FORWARD_MALFORMED, ""},
    {"3\r\nabcd\r\n0\r\n\r\n", FORWARD_MALFORMED, "abc"},
    {"x\r\n", FORWARD_MALFORMED, ""},
    {"\r\n", FORWARD_MALFORMED, ""},
    {" 3\r\nabc\r\n", FORWARD_MALFORMED, ""},
    {"-1\r\n", FORWARD_MALFORMED, ""},
    {"0x3\r\nabc\r\n", FORWARD_MALFORMED, ""},
    {"0\r\nTrailer: x\n\r\n", FORWARD_MALFORMED, ""},
    {"3;a\nabc\r\n", FORWARD_MALFORMED, ""},
    {"21\r\n", FORWARD_TOO_LARGE, ""},
    {"10\r\n0123456789abcdef\r\n10\r\n0123456789abcdef\r\n1\r\nx", FORWARD_TOO_LARGE,
     "0123456789abcdef0123456789abcdef"},
    {"ffffffffffffffff\r\n", FORWARD_TOO_LARGE, ""},
    {"00000000000000000003\r\nabc\r\n", FORWARD_TOO_LARGE, ""},
};

TEST(test_forward_puts_chunks_together_however_they_are_cut)
{
    for (size_t i = 0; i < sizeof(chunk_cases) / sizeof(chunk_cases[0]); i++) {
        const chunk_case* at = &chunk_cases[i];
        size_t bytes = strlen(at->body);
        for (size_t step = 1; step <= bytes; step++) {
            char buffer[128];
            text out;
            text_begin(&out, buffer, sizeof(buffer));
            TEST_HINT("case %zu in pieces of %zu", i, step);
            TEST_EQUAL(feed(at->body, bytes, step, 32, FORWARD_CHUNKED, 0, &out), at->state);
            TEST_EQUAL_STRING(buffer, at->taken);
        }
    }
}

TEST(test_forward_limits_chunk_lines_and_trailers)
{
    static char body[FORWARD_TRAILER_BYTES_MAX + 64];
    char buffer[64];
    text out;
    text_begin(&out, buffer, sizeof(buffer));
    memset(body, 'a', sizeof(body));
    memcpy(body, "3;", 2);
    TEST_EQUAL(feed(body, sizeof(body), 100, 32, FORWARD_CHUNKED, 0, &out), FORWARD_MALFORMED);
    memcpy(body, "0\r\n", 3);
    TEST_EQUAL(feed(body, sizeof(body), 100, 32, FORWARD_CHUNKED, 0, &out), FORWARD_MALFORMED);
}

TEST(test_forward_takes_no_byte_behind_a_length)
{
    for (size_t step = 1; step <= 9; step++) {
        char buffer[64];
        text out;
        text_begin(&out, buffer, sizeof(buffer));
        TEST_EQUAL(feed("abcdeGET ", 9, step, 32, FORWARD_LENGTH, 5, &out), FORWARD_WHOLE);
        TEST_EQUAL_STRING(buffer, "abcde");
    }
}

TEST(test_forward_errors_are_one_schema)
{
    char buffer[1024];
    text out;
    text_begin(&out, buffer, sizeof(buffer));
    forward_write_error(&out, 413, "too \"large\"", "Retry-After: 1\r\n", "abc", true);
    char* body = strstr(buffer, "\r\n\r\n");
    TEST_CHECK(body != NULL && strstr(buffer, "HTTP/1.1 413 Content Too Large\r\n") == buffer);
    TEST_CHECK(strstr(buffer, "Connection: close\r\nRetry-After: 1\r\n\r\n") != NULL);
    cJSON* json = json_parse(body + 4, strlen(body + 4), NULL, 0);
    TEST_CHECK(json != NULL);
    TEST_EQUAL_STRING(cJSON_GetObjectItem(json, "code")->valuestring, "content_too_large");
    TEST_EQUAL_STRING(cJSON_GetObjectItem(json, "message")->valuestring, "too \"large\"");
    TEST_CHECK(cJSON_IsObject(cJSON_GetObjectItem(json, "details")));
    TEST_EQUAL_STRING(cJSON_GetObjectItem(json, "trace_id")->valuestring, "abc");
    TEST_EQUAL(cJSON_GetArraySize(json), 4);
    cJSON_Delete(json);
}

TEST_MAIN

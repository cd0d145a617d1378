/* server_rpc - aim: JSON-RPC 2.0 as its specification has it, whatever comes. Method: the specification's own examples (section 7), a
 * small table of methods, and random and damaged texts, whose answers must be JSON-RPC themselves. */
#include "test.h"

#include "json.h"
#include "rpc.h"

static int ran; /* how many methods were run */
static int refuse;

static void run_subtract(rpc_call* call)
{
    ran++;
    text_format(call->result, "%g", rpc_number(call, "minuend", 0) - rpc_number(call, "subtrahend", 0));
}

static void run_echo(rpc_call* call)
{
    ran++;
    text_json(call->result, rpc_text(call, "text", "nothing"));
}

static void run_nothing(rpc_call* call)
{
    (void)call;
    ran++;
}

static void run_fail(rpc_call* call)
{
    ran++;
    text_put(call->result, "5");
    snprintf(call->data, sizeof(call->data), "{\"why\":1}");
    rpc_fail(call, RPC_CONFLICT, "it \"is\" there");
    rpc_fail(call, RPC_NOT_FOUND, "the first one counts");
}

static rpc_later* later[4];
static int later_count;

static void run_later(rpc_call* call)
{
    ran++;
    text_put(call->result, "\"not this\"");
    later[later_count++] = rpc_defer(call);
}

#define OBJECT "{\"type\":\"object\"}"

static const rpc_method methods[] = {
    {"subtract", "a less b", 2, 1,
     "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"minuend\",\"subtrahend\"],\"properties\":{"
     "\"minuend\":{"
     "\"type\":\"number\"},\"subtrahend\":{\"type\":\"number\"}}}",
     "{\"type\":\"number\"}", run_subtract},
    {"echo", "the text", 2, 1,
     "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"text\":{\"type\":\"string\",\"maxLength\":"
     "8}}}",
     "{}", run_echo},
    {"update", "nothing", 2, 1, OBJECT, OBJECT, run_nothing},
    {"fail", "always", 2, 1, OBJECT, OBJECT, run_fail},
    {"later", "not at once", 2, 1, OBJECT, OBJECT, run_later},
    {NULL, NULL, 0, 0, NULL, NULL, NULL},
};

static rpc_table* table;

static void judge(rpc_call* call)
{
    if (refuse) rpc_fail(call, RPC_FORBIDDEN, "no %s", call->method->name);
}

static void open_table(void)
{
    char what[256] = "";
    table = rpc_open(methods, what, sizeof(what));
    TEST_HINT("%s", what);
    TEST_CHECK(table != NULL);
    ran = refuse = 0;
}

static void expect(const char* sent, const char* answer)
{
    text out;
    text_begin_growing(&out);
    rpc_handle(table, sent, strlen(sent), judge, NULL, &out);
    TEST_HINT("sent %s", sent);
    TEST_CHECK(!out.failed);
    TEST_EQUAL_STRING(out.to, answer);
    text_end(&out);
}

/* Only the code and the id: the words are ours. */
static void expect_error(const char* sent, int code, const char* id)
{
    text out;
    char head[64], tail[64];
    text_begin_growing(&out);
    rpc_handle(table, sent, strlen(sent), judge, NULL, &out);
    snprintf(head, sizeof(head), "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":%d,\"message\":\"", code);
    snprintf(tail, sizeof(tail), "},\"id\":%s}", id);
    TEST_HINT("sent %s, came %s", sent, out.to);
    TEST_CHECK(strncmp(out.to, head, strlen(head)) == 0);
    TEST_CHECK(out.bytes > strlen(tail) && strcmp(out.to + out.bytes - strlen(tail), tail) == 0);
    text_end(&out);
}

TEST(test_rpc_answers_the_examples_of_the_specification)
{
    open_table();
    expect("{\"jsonrpc\": \"2.0\", \"method\": \"subtract\", \"params\": [42, 23], \"id\": 1}",
           "{\"jsonrpc\":\"2.0\",\"result\":19,\"id\":1}");
    expect("{\"jsonrpc\": \"2.0\", \"method\": \"subtract\", \"params\": [23, 42], \"id\": 2}",
           "{\"jsonrpc\":\"2.0\",\"result\":-19,\"id\":2}");
    expect("{\"jsonrpc\": \"2.0\", \"method\": \"subtract\", \"params\": {\"subtrahend\": 23, \"minuend\": 42}, "
           "\"id\": 3}",
           "{\"jsonrpc\":\"2.0\",\"result\":19,\"id\":3}");
    expect("{\"jsonrpc\": \"2.0\", \"method\": \"update\", \"params\": {\"a\":1}}", "");
    expect("{\"jsonrpc\": \"2.0\", \"method\": \"foobar\"}", "");
    expect_error("{\"jsonrpc\": \"2.0\", \"method\": \"foobar\", \"id\": \"1\"}", RPC_METHOD_NOT_FOUND, "\"1\"");
    expect_error("{\"jsonrpc\": \"2.0\", \"method\": \"foobar, \"params\": \"bar\", \"baz]", RPC_PARSE_ERROR, "null");
    expect_error("{\"jsonrpc\": \"2.0\", \"method\": 1, \"params\": \"bar\"}", RPC_INVALID_REQUEST, "null");
    expect_error("[{\"jsonrpc\": \"2.0\", \"method\"]", RPC_PARSE_ERROR, "null");
    expect_error("[]", RPC_INVALID_REQUEST, "null");
    expect("[{\"jsonrpc\": \"2.0\", \"method\": \"update\"}, {\"jsonrpc\": \"2.0\", \"method\": \"update\"}]", "");
    TEST_EQUAL(ran, 6);
    rpc_close(table);
}

TEST(test_rpc_batches_hold_the_answers_of_all_that_want_one)
{
    open_table();
    expect("[{\"jsonrpc\":\"2.0\",\"method\":\"update\"},{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"params\":[\"x\"],"
           "\"id\":\"a\"},"
           "{\"jsonrpc\":\"2.0\",\"method\":\"update\"},{\"jsonrpc\":\"2.0\",\"method\":\"update\",\"id\":null}]",
           "[{\"jsonrpc\":\"2.0\",\"result\":\"x\",\"id\":\"a\"},{\"jsonrpc\":\"2.0\",\"result\":null,\"id\":null}]");
    expect("{\"jsonrpc\":\"2.0\",\"method\":\"fail\",\"id\":9007199254740991}",
           "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32007,\"message\":\"it \\\"is\\\" "
           "there\",\"data\":{\"why\":1}},\"id\":"
           "9007199254740991}");
    expect_error("{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"params\":[\"a\",\"b\"],\"id\":1}", RPC_INVALID_PARAMS,
                 "1");
    expect_error("{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"params\":{\"text\":\"123456789\"},\"id\":1}",
                 RPC_INVALID_PARAMS, "1");
    expect_error("{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"id\":9007199254740993}", RPC_INVALID_REQUEST, "null");
    expect_error("{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"id\":true}", RPC_INVALID_REQUEST, "null");
    refuse = 1;
    ran = 0;
    expect_error("{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"id\":1}", RPC_FORBIDDEN, "1");
    TEST_EQUAL(ran, 0);
    rpc_close(table);
}

/* What every answer must be. */
static void check_answer(const cJSON* answer)
{
    const cJSON* version = cJSON_GetObjectItemCaseSensitive(answer, "jsonrpc");
    const cJSON* error = cJSON_GetObjectItemCaseSensitive(answer, "error");
    TEST_CHECK(cJSON_IsString(version) && strcmp(version->valuestring, "2.0") == 0);
    TEST_CHECK(cJSON_GetObjectItemCaseSensitive(answer, "id") != NULL);
    TEST_CHECK((error != NULL) != (cJSON_GetObjectItemCaseSensitive(answer, "result") != NULL));
    if (error) TEST_CHECK(cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(error, "code")));
}

static void expect_finish(rpc_later* one, int code, const char* result, const char* expected)
{
    text out;
    text_begin_growing(&out);
    rpc_finish(one, code, "why", result, &out);
    TEST_EQUAL_STRING(out.to, expected);
    text_end(&out);
}

TEST(test_rpc_answers_later)
{
    open_table();
    later_count = 0;
    expect("{\"jsonrpc\":\"2.0\",\"method\":\"later\",\"id\":\"a\\\"b\"}", "");
    expect_finish(later[0], RPC_OK, "5", "{\"jsonrpc\":\"2.0\",\"result\":5,\"id\":\"a\\\"b\"}");
    expect("{\"jsonrpc\":\"2.0\",\"method\":\"later\",\"id\":7}", "");
    expect_finish(later[1], RPC_CONFLICT, NULL,
                  "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32007,\"message\":\"why\"},\"id\":7}");
    expect("{\"jsonrpc\":\"2.0\",\"method\":\"later\"}", "");
    expect_finish(later[2], RPC_OK, "5", ""); /* a notification */
    expect("{\"jsonrpc\":\"2.0\",\"method\":\"later\",\"id\":8}", "");
    rpc_abandon(later[3]);
    rpc_abandon(NULL);
    rpc_close(table);
}

TEST(test_rpc_answers_a_batch_once_all_of_it_is_there)
{
    static const char three[] = "[{\"jsonrpc\":\"2.0\",\"method\":\"later\",\"id\":1},"
                                "{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"id\":2},"
                                "{\"jsonrpc\":\"2.0\",\"method\":\"later\"},"
                                "{\"jsonrpc\":\"2.0\",\"method\":\"later\",\"id\":3}]";
    open_table();
    later_count = 0;
    expect(three, "");
    TEST_EQUAL(later_count, 3);
    expect_finish(later[2], RPC_OK, "3", "");
    expect_finish(later[1], RPC_OK, "0", "");
    expect_finish(later[0], RPC_OK, "1",
                  "[{\"jsonrpc\":\"2.0\",\"result\":\"nothing\",\"id\":2},{\"jsonrpc\":\"2.0\",\"result\":3,\"id\":3},"
                  "{\"jsonrpc\":\"2.0\",\"result\":1,\"id\":1}]");
    later_count = 0;
    expect(three, "");
    rpc_abandon(later[0]);
    rpc_abandon(later[1]);
    rpc_abandon(later[2]); /* nobody is there to hear it */
    rpc_close(table);
}

TEST(test_rpc_damaged_texts_get_answers_that_are_json_rpc)
{
    static const char* const whole[] = {
        "{\"jsonrpc\":\"2.0\",\"method\":\"subtract\",\"params\":{\"minuend\":4,\"subtrahend\":3},\"id\":17}",
        "[{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"params\":[\"h\xc3\xa9\"],\"id\":\"x\"},{\"jsonrpc\":\"2.0\","
        "\"method\":\"update\"}]",
        "{\"jsonrpc\":\"2.0\",\"method\":\"fail\",\"params\":{\"a\":[1,{\"b\":null}]},\"id\":null}",
    };
    open_table();
    TEST_EACH_SEED (seed, 200) {
        struct test_random random = test_random_begin(seed);
        for (int round = 0; round < 60; round++) {
            char sent[256];
            const char* from = whole[test_random_below(&random, 3)];
            size_t bytes = strlen(from);
            memcpy(sent, from, bytes + 1);
            for (uint64_t k = test_random_below(&random, 4); k > 0; k--) {
                static const char marks[] = "{}[]\",:0-e.\\nul \x01\xff";
                size_t at = test_random_below(&random, bytes);
                if (test_random_below(&random, 2)) {
                    sent[at] = marks[test_random_below(&random, sizeof(marks) - 1)];
                } else if (bytes > 1) {
                    memmove(sent + at, sent + at + 1, bytes - at);
                    bytes--;
                }
            }
            text out;
            text_begin_growing(&out);
            rpc_handle(table, sent, bytes, judge, NULL, &out);
            TEST_HINT("sent %.*s, came %s", (int)bytes, sent, out.to);
            if (out.bytes) {
                cJSON* answer = cJSON_Parse(out.to);
                const cJSON* one;
                TEST_CHECK(answer != NULL);
                if (cJSON_IsArray(answer)) {
                    TEST_CHECK(answer->child != NULL);
                    cJSON_ArrayForEach(one, answer) check_answer(one);
                } else {
                    check_answer(answer);
                }
                cJSON_Delete(answer);
            }
            text_end(&out);
        }
    }
    rpc_close(table);
}

TEST(test_rpc_discovery_is_the_table)
{
    text out;
    open_table();
    text_begin_growing(&out);
    rpc_discover(table, &out);
    cJSON* document = json_parse(out.to, out.bytes, NULL, 0);
    const cJSON* list = cJSON_GetObjectItemCaseSensitive(document, "methods");
    TEST_EQUAL(cJSON_GetArraySize(list), 5);
    const cJSON* first = cJSON_GetArrayItem(list, 0);
    TEST_EQUAL_STRING(cJSON_GetObjectItemCaseSensitive(first, "name")->valuestring, "subtract");
    TEST_EQUAL(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(first, "params")), 2);
    cJSON_Delete(document);
    text_end(&out);
    rpc_close(table);
}

TEST(test_rpc_table_with_a_wrong_schema_is_refused)
{
    static const rpc_method wrong[] = {{"x", "x", 2, 1, "{\"type\":\"objekt\"}", OBJECT, run_nothing},
                                       {NULL, NULL, 0, 0, NULL, NULL, NULL}};
    char what[256] = "";
    TEST_CHECK(!rpc_open(wrong, what, sizeof(what)));
    TEST_CHECK(strstr(what, "method x") != NULL);
}

TEST_MAIN

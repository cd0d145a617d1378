/* server_json - strict JSON and the text functions below it: what RFC 8259 takes, and nothing more. */
#include "test.h"

#include "json.h"
#include "text.h"

typedef struct json_case {
    const char* json;
    bool right;
} json_case;

static const json_case json_cases[] = {
    {"{}", true},
    {" [ ] ", true},
    {"null", true},
    {"[1,-0,0.5,1e9,1E-2,-1.5e+3]", true},
    {"\"\\u00e9\\n\\ud83d\\ude00\"", true},
    {"\"\xc3\xa9\xf0\x9f\x98\x80\x7f\"", true},
    {"{\"a\":{\"b\":[true,false,null]}}", true},
    {"", false},
    {" ", false},
    {"{", false},
    {"[1,]", false},
    {"{\"a\":1,}", false},
    {"{a:1}", false},
    {"{'a':1}", false},
    {"{\"a\" 1}", false},
    {"[1 2]", false},
    {"[]]", false},
    {"{} x", false},
    {"01", false},
    {"-01", false},
    {"+1", false},
    {"1.", false},
    {".5", false},
    {"1e", false},
    {"-", false},
    {"0x10", false},
    {"NaN", false},
    {"tru", false},
    {"TRUE", false},
    {"\"a", false},
    {"\"a\nb\"", false},
    {"\"a\tb\"", false},
    {"\"\\x\"", false},
    {"\"\\u12g4\"", false},
    {"\"\\u0000\"", false},
    {"\"\\ud83d\"", false},
    {"\"\\ude00\"", false},
    {"\"\\ud83d\\u0041\"", false},
    {"\"\xff\"", false},
    {"\"\xc0\x80\"", false},
    {"\"\xed\xa0\x80\"", false},
    {"\"\xf4\x90\x80\x80\"", false},
    {"\xef\xbb\xbf{}", false},
    {"// no\n1", false},
};

TEST(test_json_takes_json_alone)
{
    for (size_t i = 0; i < sizeof(json_cases) / sizeof(json_cases[0]); i++) {
        char error[128] = "";
        TEST_HINT("case %s", json_cases[i].json);
        cJSON* value = json_parse(json_cases[i].json, strlen(json_cases[i].json), error, sizeof(error));
        TEST_EQUAL(value != NULL, json_cases[i].right);
        TEST_EQUAL(error[0] == 0, json_cases[i].right);
        cJSON_Delete(value);
    }
}

TEST(test_json_refuses_keys_that_stand_twice_at_any_depth)
{
    char error[128];
    static const char once[] = "{\"a\":1,\"b\":{\"a\":1}}";
    static const char twice[] = "{\"a\":1,\"b\":[{\"c\":1,\"c\":2}]}";
    cJSON* value = json_parse(once, strlen(once), error, sizeof(error));
    TEST_CHECK(value != NULL);
    cJSON_Delete(value);
    TEST_CHECK(json_parse(twice, strlen(twice), error, sizeof(error)) == NULL);
    TEST_EQUAL_STRING(error, "the key \"c\" stands twice");
}

TEST(test_json_limits_keys)
{
    text wide;
    char error[128];
    text_begin_growing(&wide);
    text_put(&wide, "[{\"a\":0");
    for (int i = 1; i < JSON_KEYS_MAX; i++) text_format(&wide, ",\"k%d\":0", i);
    text_put(&wide, "}]");
    cJSON* value = json_parse(wide.to, wide.bytes, NULL, 0);
    TEST_CHECK(value != NULL);
    cJSON_Delete(value);
    wide.bytes -= 2;
    text_put(&wide, ",\"z\":0}]");
    TEST_CHECK(json_parse(wide.to, wide.bytes, error, sizeof(error)) == NULL);
    TEST_EQUAL_STRING(error, "an object has more than 256 keys");
    text_end(&wide);
}

TEST(test_text_json_is_always_json)
{
    struct test_random random = test_random_begin(test_seed());
    char buffer[512];
    for (int round = 0; round < 2000; round++) {
        char piece[33] = "";
        text out;
        size_t bytes = (size_t)test_random_below(&random, 32);
        for (size_t i = 0; i < bytes; i++) piece[i] = (char)(1 + test_random_below(&random, 255));
        text_begin(&out, buffer, sizeof(buffer));
        text_json(&out, piece);
        TEST_CHECK(!out.failed);
        TEST_OK(necpnet_json_check(out.to, out.bytes, NULL, 0));
    }
}

TEST(test_text_says_when_it_is_full)
{
    char buffer[8];
    text out;
    text_begin(&out, buffer, sizeof(buffer));
    text_put(&out, "1234567");
    TEST_CHECK(!out.failed);
    text_put(&out, "8");
    TEST_CHECK(out.failed);
    TEST_EQUAL_STRING(buffer, "1234567");
}

TEST(test_text_grows_to_its_limit)
{
    static char piece[65536];
    text out;
    memset(piece, 'a', sizeof(piece));
    text_begin_growing(&out);
    for (int i = 0; i < 1024 && !out.failed; i++) text_put_bytes(&out, piece, sizeof(piece));
    TEST_CHECK(out.failed);
    TEST_AT_MOST(out.bytes, TEXT_GROWN_BYTES_MAX);
    TEST_AT_LEAST(out.bytes, TEXT_GROWN_BYTES_MAX / 2);
    text_end(&out);
}

TEST(test_text_compares_secrets)
{
    TEST_CHECK(text_equal_secret("abc", "abc"));
    TEST_CHECK(!text_equal_secret("abd", "abc"));
    TEST_CHECK(!text_equal_secret("ab", "abc"));
    TEST_CHECK(!text_equal_secret("abcd", "abc"));
    TEST_CHECK(!text_equal_secret("", "abc"));
}

TEST(test_text_finds_the_nearest_name)
{
    static const char* const names[] = {"port", "udp_port", "drain_ms"};
    TEST_EQUAL_STRING(text_nearest("prot", names, 3), "port");
    TEST_EQUAL_STRING(text_nearest("upd_port", names, 3), "udp_port");
    TEST_EQUAL_STRING(text_nearest("drain", names, 3), NULL);
    TEST_EQUAL_STRING(text_nearest("drain_m", names, 3), "drain_ms");
    TEST_EQUAL_STRING(text_nearest("wholly_else", names, 3), NULL);
}

TEST(test_text_judges_names)
{
    TEST_CHECK(text_is_printable("Zo\xc3\xab", 4));
    TEST_CHECK(!text_is_printable("a\nb", 3));
    TEST_CHECK(!text_is_printable("a\x7f", 2));
    TEST_CHECK(!text_is_printable("a\xc2\x85", 3));
    TEST_CHECK(!text_is_printable("a\xc3", 2));
}

TEST_MAIN

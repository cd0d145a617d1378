/* server_events - aim: event schemas are checked when they are read, events when they come, and the bytes say the same as the
 * JSON; the words about a fault name its place. Method: right and wrong schemas and values, golden bytes, random and cut ones. */
#include "test.h"

#include <sys/stat.h>
#include <unistd.h>

#include "events.h"
#include "json.h"
#include "schema.h"

static events* open_builtin(void)
{
    char what[512] = "";
    events* catalogue = events_open("", what, sizeof(what));
    TEST_HINT("%s", what);
    TEST_CHECK(catalogue != NULL);
    return catalogue;
}

static cJSON* parse(const char* json)
{
    char error[160] = "";
    cJSON* value = json_parse(json, strlen(json), error, sizeof(error));
    TEST_HINT("%s: %s", json, error);
    TEST_CHECK(value != NULL);
    return value;
}

TEST(test_schema_says_what_does_not_fit_and_where)
{
    static const struct {
        const char* schema;
        const char* value;
        const char* error; /* NULL: it fits */
    } cases[] = {
        {"{\"type\":\"integer\",\"minimum\":-3,\"maximum\":5}", "5", NULL},
        {"{\"type\":\"integer\",\"minimum\":-3,\"maximum\":5}", "-3", NULL},
        {"{\"type\":\"integer\",\"maximum\":5}", "6", "the value must be at most 5"},
        {"{\"type\":\"integer\",\"minimum\":-3}", "-4", "the value must be at least -3"},
        {"{\"type\":\"integer\"}", "1.5", "the value must be an integer"},
        {"{\"type\":\"integer\"}", "9007199254740992", "the value must be an integer"},
        {"{\"type\":\"integer\"}", "\"1\"", "the value must be an integer"},
        {"{\"type\":\"number\"}", "1.5e3", NULL},
        {"{\"type\":\"number\"}", "true", "the value must be a number"},
        {"{\"type\":\"null\"}", "null", NULL},
        {"{\"type\":\"null\"}", "0", "the value must be a null"},
        {"{\"type\":\"boolean\"}", "false", NULL},
        {"{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}", "\"\\u00e9\\u00e9\\u00e9\"", NULL},
        {"{\"type\":\"string\",\"minLength\":2}", "\"\\u00e9\"", "the value must have at least 2 characters"},
        {"{\"type\":\"string\",\"maxLength\":3}", "\"abcd\"", "the value must have at most 3 characters"},
        {"{\"enum\":[\"a\",1,null]}", "1", NULL},
        {"{\"enum\":[\"a\",1,null]}", "\"b\"", "the value is not one of the values that are allowed"},
        {"{\"const\":[1]}", "[1]", NULL},
        {"{\"const\":[1]}", "[2]", "the value is not the value that is allowed"},
        {"{\"type\":\"array\",\"minItems\":1,\"items\":{\"type\":\"integer\"}}", "[1,2]", NULL},
        {"{\"type\":\"array\",\"minItems\":1}", "[]", "the value must have at least 1 items"},
        {"{\"type\":\"array\",\"maxItems\":1}", "[1,2]", "the value must have at most 1 items"},
        {"{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}", "[1,\"x\"]", "/1 must be an integer"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{}},\"required\":[\"a\"]}", "{}", "the value lacks \"a\""},
        {"{\"type\":\"object\",\"properties\":{\"a\":{}},\"additionalProperties\":false}", "{\"a\":1,\"b\":2}",
         "the value has an unknown \"b\""},
        {"{\"type\":\"object\",\"additionalProperties\":{\"type\":\"integer\"}}", "{\"b\":\"2\"}",
         "/b must be an integer"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":"
         "{"
         "\"n\":{\"type\":\"integer\",\"maximum\":2}}}}}}",
         "{\"a\":[{\"n\":1},{\"n\":3}]}", "/a/1/n must be at most 2"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char error[256];
        cJSON* schema = parse(cases[i].schema);
        cJSON* value = parse(cases[i].value);
        TEST_CHECK(schema_check(schema, error, sizeof(error)));
        bool fits = schema_validate(schema, value, error, sizeof(error));
        TEST_HINT("%s with %s", cases[i].schema, cases[i].value);
        TEST_EQUAL(fits, cases[i].error == NULL);
        if (!fits) TEST_EQUAL_STRING(error, cases[i].error);
        cJSON_Delete(schema);
        cJSON_Delete(value);
    }
}

TEST(test_schema_with_a_rule_that_is_not_known_is_refused)
{
    static const char* const wrong[] = {
        "1",
        "{\"type\":\"integr\"}",
        "{\"type\":[\"string\"]}",
        "{\"pattern\":\"a\"}",
        "{\"$ref\":\"x\"}",
        "{\"maxLength\":-1}",
        "{\"maxLength\":1.5}",
        "{\"minimum\":\"1\"}",
        "{\"enum\":[]}",
        "{\"required\":[\"a\"]}",
        "{\"required\":\"a\"}",
        "{\"properties\":[]}",
        "{\"properties\":{\"a\":1}}",
        "{\"items\":{\"type\":\"x\"}}",
        "{\"additionalProperties\":true}",
        "{\"properties\":{\"a\":{\"properties\":{\"b\":{\"oneOf\":[]}}}}}",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char error[256] = "";
        cJSON* schema = parse(wrong[i]);
        TEST_HINT("%s", wrong[i]);
        TEST_CHECK(!schema_check(schema, error, sizeof(error)));
        TEST_CHECK(error[0] != 0);
        cJSON_Delete(schema);
    }
}

TEST(test_events_are_found_by_type_and_version)
{
    events* catalogue = open_builtin();
    const events_kind* newest = events_find(catalogue, "chat.message", 0);
    TEST_CHECK(newest && newest->version == 2 && strcmp(newest->category, "chat") == 0);
    TEST_EQUAL(events_find(catalogue, "chat.message", 1)->version, 1);
    TEST_CHECK(!events_find(catalogue, "chat.message", 3));
    TEST_CHECK(!events_find(catalogue, "chat.massage", 0));
    TEST_EQUAL_STRING(events_nearest(catalogue, "chat.massage"), "chat.message");
    TEST_EQUAL_POINTER(events_find_id(catalogue, newest->id, 2), newest);
    TEST_CHECK(!events_find_id(catalogue, 65535, 1));
    static const char* const categories[] = {"system", "player", "world", "game", "chat"};
    for (size_t c = 0; c < sizeof(categories) / sizeof(categories[0]); c++) {
        bool found = false;
        for (int i = 0; i < events_count(catalogue); i++) {
            if (strcmp(events_at(catalogue, i)->category, categories[c]) == 0) found = true;
        }
        TEST_CHECK(found);
    }
    events_close(catalogue);
}

static void check_round(const events* catalogue, const char* type, const char* json)
{
    char error[256];
    cJSON* data = parse(json);
    events_event event = {.kind = events_find(catalogue, type, 0),
                          .topic = "game.x",
                          .epoch = 77,
                          .offset = 300,
                          .time_ms = 1700000000000u,
                          .from = "ann",
                          .data = data};
    events_read read;
    text bytes;
    TEST_HINT("%s %s", type, json);
    TEST_CHECK(schema_validate(event.kind->schema, data, error, sizeof(error)));
    text_begin_growing(&bytes);
    events_put_binary(&bytes, &event);
    TEST_CHECK(!bytes.failed);
    TEST_CHECK(events_read_binary(catalogue, bytes.to, bytes.bytes, &read, error, sizeof(error)));
    TEST_CHECK(cJSON_Compare(read.data, data, true));
    TEST_EQUAL_POINTER(read.event.kind, event.kind);
    TEST_EQUAL_STRING(read.topic, "game.x");
    TEST_EQUAL_STRING(read.from, "ann");
    TEST_EQUAL(read.event.epoch, 77);
    TEST_EQUAL(read.event.offset, 300);
    TEST_EQUAL(read.event.time_ms, 1700000000000u);
    cJSON_Delete(read.data);
    for (size_t cut = 0; cut < bytes.bytes; cut++) { /* wrong, or an event that lacks something */
        if (events_read_binary(catalogue, bytes.to, cut, &read, error, sizeof(error))) cJSON_Delete(read.data);
    }
    text_end(&bytes);
    cJSON_Delete(data);
}

TEST(test_events_bytes_say_what_the_json_says)
{
    events* catalogue = open_builtin();
    check_round(catalogue, "chat.message", "{\"text\":\"h\xc3\xa9\",\"reply_to\":9007199254740991}");
    check_round(catalogue, "player.moved", "{\"zone\":4294967295,\"x\":-1.5,\"y\":0,\"z\":1e-9}");
    check_round(
        catalogue, "game.score",
        "{\"round\":\"r\",\"scores\":[{\"player\":\"a\",\"points\":-1000000000},{\"player\":\"b\",\"points\":0}],"
        "\"final\":false}");
    check_round(catalogue, "game.action", "{\"action\":\"a\",\"arguments\":{\"deep\":[1,{\"x\":null}],\"t\":true}}");
    check_round(catalogue, "game.action", "{\"action\":\"a\",\"arguments\":{}}");
    events_close(catalogue);
}

TEST(test_events_bytes_are_those_of_protocol_buffers)
{
    static const uint8_t golden[] = {0x0a, 0x06, 'c',  'h',  'a',  't',  '.',  'a',  0x10, 0x05,
                                     0x18, 0xac, 0x02, 0x20, 0x91, 0x03, 0x28, 0x02, 0x3a, 0x01,
                                     'x',  0x42, 0x06, 0x0a, 0x02, 'h',  'i',  0x10, 0x06};
    events* catalogue = open_builtin();
    cJSON* data = parse("{\"text\":\"hi\",\"reply_to\":3}");
    events_event event = {.kind = events_find(catalogue, "chat.message", 0),
                          .topic = "chat.a",
                          .epoch = 5,
                          .offset = 300,
                          .from = "x",
                          .data = data};
    text bytes;
    text_begin_growing(&bytes);
    events_put_binary(&bytes, &event);
    TEST_EQUAL(bytes.bytes, sizeof(golden));
    TEST_EQUAL_BYTES(bytes.to, golden, sizeof(golden));
    text_end(&bytes);
    cJSON_Delete(data);
    events_close(catalogue);
}

TEST(test_events_hostile_bytes_are_refused_or_fit_the_schema)
{
    events* catalogue = open_builtin();
    TEST_EACH_SEED (seed, 50) {
        struct test_random random = test_random_begin(seed);
        uint8_t bytes[96];
        for (int round = 0; round < 500; round++) {
            char error[256];
            events_read read;
            size_t count = test_random_below(&random, sizeof(bytes));
            test_random_bytes(&random, bytes, count);
            for (size_t i = 0; i + 4 < count; i += 7) { /* something to hold on to */
                static const uint8_t keys[] = {0x0a, 0x10, 0x18, 0x20, 0x28, 0x30, 0x3a, 0x42};
                bytes[i] = keys[test_random_below(&random, sizeof(keys))];
                bytes[i + 1] = (uint8_t)test_random_below(&random, 9);
            }
            if (!events_read_binary(catalogue, bytes, count, &read, error, sizeof(error))) {
                TEST_CHECK(read.data == NULL);
                continue;
            }
            TEST_CHECK(schema_validate(read.event.kind->schema, read.data, error, sizeof(error)));
            cJSON_Delete(read.data);
        }
    }
    events_close(catalogue);
}

static void write_file(const char* folder, const char* name, const char* content)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE* file = fopen(path, "w");
    TEST_CHECK(file && fputs(content, file) >= 0 && fclose(file) == 0);
}

#define OWN(title, extra, properties) \
    "{\"title\":\"" title \
    "\",\"x-category\":\"custom\",\"x-id\":1000,\"x-version\":1,\"x-publish\":[\"player\"]," extra \
    "\"type\":\"object\",\"additionalProperties\":false,\"properties\":{" properties "}}"

TEST(test_events_of_a_directory_are_added_and_wrong_ones_named)
{
    static const struct {
        const char* json;
        const char* says; /* NULL: it is right */
    } cases[] = {
        {OWN("custom.jump", "", "\"height\":{\"type\":\"number\",\"x-id\":1}"), NULL},
        {OWN("jump", "", ""), "title must be the type"},
        {OWN("custom.Jump", "", ""), "title must be the type"},
        {OWN("custom.jump", "", "\"h\":{\"type\":\"number\"}"), "x-id of its own"},
        {OWN("custom.jump", "", "\"h\":{\"type\":\"number\",\"x-id\":1},\"i\":{\"type\":\"number\",\"x-id\":1}"),
         "x-id of its own"},
        {OWN("custom.jump", "", "\"h\":{\"x-id\":1}"), "needs a type"},
        {OWN("custom.jump", "", "\"h\":{\"type\":\"array\",\"x-id\":1,\"items\":{\"type\":\"array\"}}"),
         "items need a type"},
        {OWN("custom.jump", "\"oneOf\":[],", ""), "\"oneOf\", which is not known"},
        {"{\"title\":\"custom.jump\"}", "x-category"},
        {"{", "line 1"},
        {"{\"title\":\"chat.jump\",\"x-category\":\"chat\",\"x-id\":401,\"x-version\":9,\"x-publish\":[\"player\"],"
         "\"type\":\"object\",\"additionalProperties\":false}",
         "that of another type"},
        {"{\"title\":\"custom.x\",\"x-category\":\"custom\",\"x-id\":1001,\"x-version\":1,\"x-publish\":[\"guest\"],"
         "\"type\":\"object\",\"additionalProperties\":false}",
         "x-publish"},
    };
    char folder[] = "/tmp/necpnet-events-XXXXXX";
    char path[64], what[512];
    TEST_CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof(path), "%s/one.json", folder);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        what[0] = 0;
        write_file(folder, "one.json", cases[i].json);
        events* catalogue = events_open(folder, what, sizeof(what));
        TEST_HINT("%s: %s", cases[i].json, what);
        TEST_EQUAL(catalogue != NULL, cases[i].says == NULL);
        if (cases[i].says) {
            TEST_CHECK(strstr(what, cases[i].says) != NULL);
            TEST_CHECK(strstr(what, "one.json") != NULL);
        } else {
            TEST_CHECK(events_find(catalogue, "custom.jump", 0) != NULL);
        }
        events_close(catalogue);
    }
    unlink(path);
    rmdir(folder);
    TEST_CHECK(!events_open(folder, what, sizeof(what)));
    TEST_CHECK(strstr(what, folder) != NULL);
}

TEST_MAIN

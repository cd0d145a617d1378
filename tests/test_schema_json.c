/* test_schema_json - schemas as JSON: the same hash and structs as in C, there and back; strict JSON; every refusal named
 * with its type and field; memory. */
#include "test.h"

#include "nn_json.h"
#include "nn_schema.h"

typedef struct ship {
    float position[3];
    float spin[4];
    double heat;
    float heading;
    uint32_t colour;
    int16_t depth;
    bool docked;
    uint8_t team;
    necpnet_entity target;
    char name[24];
    uint8_t keys[6];
    int32_t ammunition;
} ship;

static const necpnet_field ship_fields[] = {
    NECPNET_VEC3(ship, position, 1, -100, 100, 0.01, NECPNET_FIELD_INTERPOLATE | NECPNET_FIELD_REQUIRED),
    NECPNET_QUAT(ship, spin, 2, 0.001, NECPNET_FIELD_INTERPOLATE),
    NECPNET_FLOAT(ship, heat, 3, -0.1, 1.7, 0.003, NECPNET_FIELD_NOT_OWNER),
    NECPNET_ANGLE(ship, heading, 4, 0.01, 0),
    NECPNET_INTEGER(ship, colour, 5, 0, 0xffffff, NECPNET_FIELD_SLOW),
    NECPNET_INTEGER(ship, depth, 6, -500, 20, NECPNET_FIELD_SIGNED),
    NECPNET_BOOL(ship, docked, 7, NECPNET_FIELD_RATE(4)),
    NECPNET_ENUM(ship, team, 8, 3, 0),
    NECPNET_ENTITY_REFERENCE(ship, target, 9, 0),
    NECPNET_STRING(ship, name, 10, 0),
    NECPNET_BYTES(ship, keys, 11, NECPNET_FIELD_OWNER_ONLY),
    NECPNET_INTEGER(ship, ammunition, 40, 0, 999, NECPNET_FIELD_SIGNED),
};

static const char ship_json[] =
    "{\"about\": \"a test\", \"types\": [{\"name\": \"ship\", \"id\": 3, \"about\": \"\\u00e4\", \"fields\": ["
    "{\"name\": \"position\", \"id\": 1, \"kind\": \"vec3\", \"min\": -100, \"max\": 100, \"step\": 0.01,"
    " \"interpolate\": true, \"required\": true},"
    "{\"name\": \"spin\", \"id\": 2, \"kind\": \"quat\", \"step\": 1e-3, \"interpolate\": true},"
    "{\"name\": \"heat\", \"id\": 3, \"kind\": \"float\", \"min\": -0.1, \"max\": 1.7, \"step\": 0.003,"
    " \"double\": true, \"notOwner\": true},"
    "{\"name\": \"heading\", \"id\": 4, \"kind\": \"angle\", \"step\": 0.01},"
    "{\"name\": \"colour\", \"id\": 5, \"kind\": \"integer\", \"min\": 0, \"max\": 16777215, \"slow\": true},"
    "{\"name\": \"depth\", \"id\": 6, \"kind\": \"integer\", \"min\": -500, \"max\": 20},"
    "{\"name\": \"docked\", \"id\": 7, \"kind\": \"bool\", \"slow\": false, \"rate\": 4},"
    "{\"name\": \"team\", \"id\": 8, \"kind\": \"enum\", \"values\": [\"red\", \"green\", \"blue\", \"none\"]},"
    "{\"name\": \"target\", \"id\": 9, \"kind\": \"entity\"},"
    "{\"name\": \"name\", \"id\": 10, \"kind\": \"string\", \"count\": 24},"
    "{\"name\": \"keys\", \"id\": 11, \"kind\": \"bytes\", \"count\": 6, \"ownerOnly\": true},"
    "{\"name\": \"ammunition\", \"id\": 40, \"kind\": \"integer\", \"min\": 0, \"max\": 999, \"storage\": \"int32\"}"
    "]}]}";

static char last_line[512];

static void keep_line(necpnet_log_level level, const char* line, void* user)
{
    (void)level, (void)user;
    snprintf(last_line, sizeof last_line, "%s", line);
}

static const necpnet_logger logger = {keep_line, NULL, NECPNET_LOG_TRACE};

static necpnet_result read_json(const char* text, size_t bytes, necpnet_schema** out)
{
    necpnet_allocator allocator = test_allocator();
    last_line[0] = 0;
    return necpnet_schema_from_json(&allocator, &logger, text, bytes, out);
}

static necpnet_schema* make_ship(void)
{
    necpnet_entity_type type = {"ship", 3, sizeof(ship), ship_fields, (int)NN_COUNT(ship_fields)};
    necpnet_allocator allocator = test_allocator();
    necpnet_schema* schema = NULL;
    TEST_OK(necpnet_schema_create(&allocator, &logger, &type, 1, &schema));
    return schema;
}

#define NEEDS_CJSON() \
    if (!nn_json_is_built()) TEST_SKIP("built without cJSON")

static void expect_same(const necpnet_schema* a, const necpnet_schema* b)
{
    TEST_EQUAL(necpnet_schema_get_hash(a), necpnet_schema_get_hash(b));
    TEST_EQUAL(a->type_count, b->type_count);
    for (int i = 0; i < a->type_count; i++) {
        TEST_EQUAL_STRING(a->types[i].name, b->types[i].name);
        TEST_EQUAL(a->types[i].struct_bytes, b->types[i].struct_bytes);
        TEST_EQUAL(a->types[i].field_count, b->types[i].field_count);
        for (int j = 0; j < a->types[i].field_count; j++) {
            const necpnet_field* x = &a->types[i].fields[j];
            const necpnet_field* y = &b->types[i].fields[j];
            TEST_HINT("field %s", x->name);
            TEST_EQUAL_STRING(x->name, y->name);
            TEST_EQUAL(x->id, y->id);
            TEST_EQUAL(x->kind, y->kind);
            TEST_EQUAL(x->storage_bytes, y->storage_bytes);
            TEST_EQUAL(x->offset, y->offset);
            TEST_EQUAL(x->count, y->count);
            TEST_EQUAL(x->flags, y->flags);
            TEST_CHECK(!memcmp(&x->step, &y->step, sizeof x->step) && x->min - y->min == 0 && x->max - y->max == 0);
        }
    }
}

/* ---- ordinary ------------------------------------------------------------------------------------------------------- */

TEST(test_schema_json_is_the_same_schema_as_in_c)
{
    NEEDS_CJSON();
    necpnet_schema* schema = make_ship();
    necpnet_schema* read = NULL;
    TEST_OK(read_json(ship_json, sizeof ship_json - 1, &read));
    expect_same(schema, read);
    necpnet_schema_destroy(read);
    necpnet_schema_destroy(schema);
}

TEST(test_schema_json_goes_there_and_back)
{
    char text[4096];
    size_t bytes = 0;
    size_t measured = 0;
    necpnet_schema* schema = make_ship();
    TEST_OK(necpnet_schema_to_json(schema, NULL, 0, &measured));
    TEST_OK(necpnet_schema_to_json(schema, text, sizeof text, &bytes));
    TEST_EQUAL(bytes, measured);
    TEST_EQUAL(strlen(text), bytes);
    TEST_OK(necpnet_json_check(text, bytes, NULL, 0));
    for (size_t room = 0; room <= bytes + 1; room++) {
        char small[4096];
        size_t out = 0;
        memset(small, '#', sizeof small);
        necpnet_result result = necpnet_schema_to_json(schema, room ? small : NULL, room, &out);
        TEST_EQUAL(result, room == 0 || room > bytes ? NECPNET_OK : NECPNET_ERR_BUFFER_TOO_SMALL);
        TEST_EQUAL(out, bytes);
        if (room) TEST_EQUAL(strlen(small), room - 1 < bytes ? room - 1 : bytes);
        TEST_EQUAL(small[room], '#');
    }
    if (nn_json_is_built()) {
        necpnet_schema* read = NULL;
        TEST_OK(read_json(text, bytes, &read));
        expect_same(schema, read);
        necpnet_schema_destroy(read);
    }
    necpnet_schema_destroy(schema);
}

/* ---- hostile -------------------------------------------------------------------------------------------------------- */

TEST(test_schema_json_is_strict_json)
{
    static const char* const good[] = {"{}",
                                       "[]",
                                       "0",
                                       "-0",
                                       "-1.5e+3",
                                       " [1 , 2] ",
                                       "{\"a\":{\"b\":[null,true,false]}}",
                                       "\"\\ud83d\\ude00\\n\"",
                                       "[[],{},[{}]]"};
    static const char* const bad[] = {
        "",
        "-01",
        "01",
        "1.",
        ".5",
        "+1",
        "1e",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{",
        "[",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "'a'",
        "\"a",
        "\"\t\"",
        "\"\\x\"",
        "true1",
        "nul",
        "[1]]",
        "{}x",
        "\"\\u12\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\u0000\"",
        "\"\xff\"",
        "NaN",
        "[1}",
        "{\"a\":1]",
        "\"\\ud800\\u0041\"",
        "1 2",
        "\xef\xbb\xbf{}",
    };
    char error[128];
    for (size_t i = 0; i < NN_COUNT(good); i++) {
        TEST_HINT("%s", good[i]);
        TEST_OK(necpnet_json_check(good[i], strlen(good[i]), error, sizeof error));
    }
    for (size_t i = 0; i < NN_COUNT(bad); i++) {
        TEST_HINT("%s", bad[i]);
        error[0] = 0;
        TEST_EQUAL(necpnet_json_check(bad[i], strlen(bad[i]), error, sizeof error), NECPNET_ERR_BAD_DATA);
        TEST_CHECK(strncmp(error, "line 1, column ", 15) == 0);
    }
    TEST_EQUAL(necpnet_json_check("\"a\0b\"", 5, NULL, 0), NECPNET_ERR_BAD_DATA);
    TEST_EQUAL(necpnet_json_check("12345", 2, NULL, 0), NECPNET_OK);
    TEST_EQUAL(necpnet_json_check("\"abc\"", 4, NULL, 0), NECPNET_ERR_BAD_DATA);
    TEST_EQUAL(necpnet_json_check("{\"a\":\n 1,\n  b}", 16, error, sizeof error), NECPNET_ERR_BAD_DATA);
    TEST_EQUAL_STRING(error, "line 3, column 3: a string in double quotes is missing");
    TEST_EQUAL(necpnet_json_check(NULL, 1, NULL, 0), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_json_check("1", 1, NULL, 1), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_json_check(NULL, 0, error, sizeof error), NECPNET_ERR_BAD_DATA);
}

TEST(test_json_has_named_limits)
{
    char deep[2 * NECPNET_JSON_DEPTH_MAX + 2];
    memset(deep, '[', sizeof deep / 2);
    memset(deep + sizeof deep / 2, ']', sizeof deep / 2);
    TEST_EQUAL(necpnet_json_check(deep, sizeof deep, NULL, 0), NECPNET_ERR_BAD_DATA);
    TEST_OK(necpnet_json_check(deep + 1, sizeof deep - 2, NULL, 0));
    char* long_text = (char*)malloc(NECPNET_JSON_BYTES_MAX + 1);
    TEST_CHECK(long_text != NULL);
    memset(long_text, ' ', NECPNET_JSON_BYTES_MAX + 1);
    long_text[0] = '1';
    TEST_OK(necpnet_json_check(long_text, NECPNET_JSON_BYTES_MAX, NULL, 0));
    TEST_EQUAL(necpnet_json_check(long_text, NECPNET_JSON_BYTES_MAX + 1, NULL, 0), NECPNET_ERR_BAD_DATA);
    free(long_text);
}

TEST(test_schema_json_refuses_by_name)
{
    NEEDS_CJSON();
#define ONE(field) "{\"types\":[{\"name\":\"t\",\"id\":1,\"fields\":[" field "]}]}"
    static const struct {
        const char* text;
        const char* line;
    } bad[] = {
        {"[", "line 1, column 2: no value"},
        {"{\n \"types\": -01}", "line 2, column 13: a number begins with 0"},
        {"{\"types\":[],\"types\":[]}", "twice"},
        {"[]", "a schema must be an object"},
        {"{}", "types must be a list of 1 .. 256"},
        {"{\"types\":1}", "types must be a list"},
        {"{\"typos\":[]}", "typos is no word of a schema"},
        {"{\"types\":[1]}", "a type must be an object"},
        {"{\"types\":[{\"id\":1}]}", "name is missing"},
        {"{\"types\":[{\"name\":\"t\",\"id\":1}]}", "type t: fields must be a list"},
        {"{\"types\":[{\"name\":\"t\",\"id\":0,\"fields\":[1]}]}", "type t: id is out of range"},
        {ONE("1"), "type t, field (no name): a field must be an object"},
        {ONE("{\"id\":1}"), "type t, field (no name): name is missing"},
        {ONE("{\"name\":\"f\",\"id\":1.5,\"kind\":\"bool\"}"), "type t, field f: id is out of range"},
        {ONE("{\"name\":\"f\",\"id\":70000,\"kind\":\"bool\"}"), "type t, field f: id is out of range"},
        {ONE("{\"name\":\"f\",\"id\":1}"), "type t, field f: kind is missing"},
        {ONE("{\"name\":\"f\",\"id\":1,\"kind\":\"colour\"}"), "type t, field f: colour is no kind of field"},
        {ONE("{\"name\":\"f\",\"id\":1,\"kind\":\"bool\",\"intepolate\":true}"),
         "type t, field f: intepolate is no word"},
        {ONE("{\"name\":\"f\",\"id\":1,\"kind\":\"bool\",\"slow\":1}"), "type t, field f: slow must be true or false"},
        {ONE("{\"name\":\"f\",\"id\":1,\"kind\":\"bool\",\"rate\":0}"), "type t, field f: rate is out of range"},
        {ONE("{\"name\":\"f\",\"id\":1,\"kind\":\"integer\",\"max\":1}"), "type t, field f: min is missing"},
        {ONE("{\"name\":\"f\",\"id\":1,\"kind\":\"integer\",\"min\":\"0\",\"max\":1}"),
         "type t, field f: min must be a number"},
        {ONE("{\"name\":\"f\",\"id\":1,\"kind\":\"integer\",\"min\":5,\"max\":1}"),
         "type t (1), field f (1): max must be greater"},
        {ONE("{\"name\":\"f\",\"id\":1,\"kind\":\"float\",\"min\":0,\"max\":1}"), "type t, field f: step is missing"},
        {ONE("{\"name\":\"f\",\"id\":1,\"kind\":\"float\",\"min\":0,\"max\":1e999,\"step\":1}"),
         "type t (1), field f (1): "},
        {ONE("{\"name\":\"f\",\"id\":1,\"kind\":\"string\"}"), "type t, field f: count is missing"},
        {ONE("{\"name\":\"f\",\"id\":1,\"kind\":\"string\",\"count\":256}"), "type t, field f: count is out of range"},
        {ONE("{\"name\":\"f\",\"id\":1,\"kind\":\"enum\"}"), "type t, field f: max is missing"},
        {ONE("{\"name\":\"f\",\"id\":1,\"kind\":\"integer\",\"min\":0,\"max\":300,\"storage\":\"uint8\"}"),
         "the range exceeds the storage"},
        {ONE("{\"name\":\"f\",\"id\":1,\"kind\":\"float\",\"min\":0,\"max\":3,\"step\":1,\"storage\":\"int8\"}"),
         "storage must be"},
        {ONE("{\"name\":\"f\",\"id\":1,\"kind\":\"bool\"},{\"name\":\"g\",\"id\":2,\"kind\":\"bool\",\"offset\":0}"),
         "field g (2): it overlaps another"},
        {ONE("{\"name\":\"f\",\"id\":1,\"kind\":\"bool\"},{\"name\":\"g\",\"id\":1,\"kind\":\"bool\"}"),
         "has the same id"},
    };
    for (size_t i = 0; i < NN_COUNT(bad); i++) {
        necpnet_schema* schema = NULL;
        TEST_HINT("%s\nsaid: %s", bad[i].text, last_line);
        TEST_EQUAL(read_json(bad[i].text, strlen(bad[i].text), &schema), NECPNET_ERR_BAD_SCHEMA);
        TEST_HINT("%s\nsaid: %s\nexpected: %s", bad[i].text, last_line, bad[i].line);
        TEST_CHECK(strstr(last_line, bad[i].line) != NULL);
        TEST_CHECK(schema == NULL);
    }
}

TEST(test_schema_json_survives_every_cut_and_flip)
{
    NEEDS_CJSON();
    char text[sizeof ship_json];
    struct test_random random = test_random_begin(9);
    for (size_t i = 0; i < sizeof ship_json; i++) {
        necpnet_schema* schema = NULL;
        memcpy(text, ship_json, sizeof text);
        if (i + 1 < sizeof ship_json) TEST_EQUAL(read_json(text, i, &schema), NECPNET_ERR_BAD_SCHEMA);
        if (i + 1 == sizeof ship_json) break;
        text[i] = (char)test_random_next(&random);
        if (read_json(text, sizeof text - 1, &schema) == NECPNET_OK) necpnet_schema_destroy(schema);
    }
}

/* ---- exhaustion ----------------------------------------------------------------------------------------------------- */

TEST(test_schema_json_reports_every_failed_allocation)
{
    NEEDS_CJSON();
    TEST_EACH_ALLOCATION_FAILS {
        necpnet_schema* schema = NULL;
        necpnet_result result = read_json(ship_json, sizeof ship_json - 1, &schema);
        TEST_EQUAL(result, test_allocation_failed() ? NECPNET_ERR_OUT_OF_MEMORY : NECPNET_OK);
        TEST_EQUAL(schema == NULL, result != NECPNET_OK);
        necpnet_schema_destroy(schema);
    }
}

TEST_MAIN

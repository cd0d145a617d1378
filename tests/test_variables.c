/* test_variables - typed values by key against a plain list of them: what is there, in what order it changed, what a reader
 * that has come so far lacks, removal and its mark, limits, memory, and bytes from the wire that lie. */
#include "test.h"

#include "nn_follower.h"
#include "nn_variables.h"
#include "nn_view.h"

typedef struct bench {
    nn_alloc alloc;
    nn_variables variables;
} bench;

static void begin(bench* b)
{
    necpnet_allocator allocator = test_allocator();
    nn_alloc_init(&b->alloc, &allocator);
    nn_variables_init(&b->variables, &b->alloc);
}

static necpnet_result set(bench* b, const char* key, necpnet_value value)
{
    necpnet_result result = nn_variables_check(key, strlen(key), &value);
    return result ? result : nn_variables_set(&b->variables, key, strlen(key), &value);
}

static necpnet_value none(void)
{
    necpnet_value value;
    memset(&value, 0, sizeof value);
    return value;
}

static const nn_variable* find(const bench* b, const char* key)
{
    return nn_variables_find(&b->variables, key, strlen(key));
}

TEST(test_variables_keep_every_type)
{
    bench b;
    begin(&b);
    TEST_OK(set(&b, "on", necpnet_value_of_bool(true)));
    TEST_OK(set(&b, "score", necpnet_value_of_integer(INT64_MIN)));
    TEST_OK(set(&b, "share", necpnet_value_of_number(-0.5)));
    TEST_OK(set(&b, "title", necpnet_value_of_string("g\xc3\xbcte")));
    TEST_OK(set(&b, "seed", necpnet_value_of_bytes("\0\1\2", 3)));
    TEST_OK(set(&b, "nothing", necpnet_value_of_bytes(NULL, 0)));
    TEST_CHECK(nn_variable_value(find(&b, "on")).boolean);
    TEST_EQUAL(nn_variable_value(find(&b, "score")).integer, INT64_MIN);
    TEST_NEAR(nn_variable_value(find(&b, "share")).number, -0.5, 0);
    TEST_EQUAL_STRING((const char*)nn_variable_value(find(&b, "title")).data, "g\xc3\xbcte");
    TEST_EQUAL_BYTES(nn_variable_value(find(&b, "seed")).data, "\0\1\2", 3);
    TEST_EQUAL(nn_variable_value(find(&b, "nothing")).bytes, 0);
    TEST_CHECK(find(&b, "other") == NULL);
    nn_variables_reset(&b.variables);
}

TEST(test_variables_go_behind_all_when_they_change)
{
    bench b;
    begin(&b);
    TEST_OK(set(&b, "a", necpnet_value_of_integer(1)));
    TEST_OK(set(&b, "b", necpnet_value_of_integer(2)));
    TEST_OK(set(&b, "c", necpnet_value_of_integer(3)));
    TEST_OK(set(&b, "a", necpnet_value_of_integer(1))); /* no change */
    TEST_EQUAL(b.variables.number, 3);
    TEST_OK(set(&b, "a", necpnet_value_of_string("now a text")));
    const nn_variable* at = nn_variables_after(&b.variables, 1);
    TEST_EQUAL_STRING(nn_variable_key(at), "b");
    TEST_EQUAL_STRING(nn_variable_key(at->newer), "c");
    TEST_EQUAL_STRING(nn_variable_key(at->newer->newer), "a");
    TEST_EQUAL(at->newer->newer->number, 4);
    TEST_CHECK(nn_variables_after(&b.variables, 4) == NULL);
    TEST_OK(set(&b, "b", none()));
    TEST_EQUAL(find(&b, "b")->type, NECPNET_VALUE_NONE);
    TEST_EQUAL(set(&b, "b", none()), NECPNET_ERR_NOT_FOUND);
    TEST_EQUAL_STRING(nn_variable_key(nn_variables_after(&b.variables, 4)), "b");
    TEST_OK(set(&b, "b", necpnet_value_of_bool(false)));
    nn_variables_reset(&b.variables);
}

TEST(test_variables_refuse_what_cannot_be)
{
    static char text[NECPNET_VALUE_BYTES_MAX + 2];
    char key[NECPNET_NAME_BYTES_MAX + 2];
    bench b;
    begin(&b);
    memset(text, 'x', sizeof text - 1);
    memset(key, 'k', sizeof key - 1);
    key[sizeof key - 1] = 0;
    TEST_EQUAL(set(&b, "", necpnet_value_of_bool(true)), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(set(&b, key, necpnet_value_of_bool(true)), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_OK(set(&b, key + 1, necpnet_value_of_bool(true)));
    TEST_EQUAL(set(&b, "\xff", necpnet_value_of_bool(true)), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(set(&b, "t", necpnet_value_of_string("\xc3")), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(set(&b, "t", necpnet_value_of_string(text)), NECPNET_ERR_MESSAGE_TOO_LARGE);
    text[NECPNET_VALUE_BYTES_MAX] = 0;
    TEST_OK(set(&b, "t", necpnet_value_of_string(text)));
    TEST_EQUAL(necpnet_value_of_string(NULL).type, NECPNET_VALUE_NONE);
    TEST_EQUAL(necpnet_value_of_bytes(NULL, 2).type, NECPNET_VALUE_NONE);
    necpnet_value value = necpnet_value_of_string("a\0b");
    value.bytes = 3;
    TEST_EQUAL(set(&b, "t", value), NECPNET_ERR_INVALID_ARGUMENT);
    value.type = (necpnet_value_type)9;
    TEST_EQUAL(set(&b, "t", value), NECPNET_ERR_INVALID_ARGUMENT);
    nn_variables_reset(&b.variables);
}

TEST(test_variables_forget_removals_when_there_is_no_room)
{
    bench b;
    char key[16];
    begin(&b);
    for (int i = 0; i < NECPNET_VARIABLES_MAX; i++) {
        snprintf(key, sizeof key, "k%d", i);
        TEST_OK(set(&b, key, necpnet_value_of_integer(i)));
    }
    TEST_EQUAL(set(&b, "more", necpnet_value_of_bool(true)), NECPNET_ERR_LIMIT_REACHED);
    TEST_OK(set(&b, "k7", necpnet_value_of_integer(70))); /* what is there may change */
    TEST_OK(set(&b, "k8", none()));
    uint64_t removed = b.variables.number;
    TEST_EQUAL(b.variables.forgotten, 0);
    TEST_OK(set(&b, "more", necpnet_value_of_bool(true)));
    TEST_EQUAL(b.variables.forgotten, removed);
    TEST_CHECK(find(&b, "k8") == NULL);
    TEST_EQUAL(set(&b, "again", necpnet_value_of_bool(true)), NECPNET_ERR_LIMIT_REACHED);
    nn_variables_reset(&b.variables);
}

TEST(test_variables_without_memory_are_as_before)
{
    TEST_EACH_ALLOCATION_FAILS {
        bench b;
        begin(&b);
        char key[16];
        int there = 0;
        for (int i = 0; i < 40; i++) {
            snprintf(key, sizeof key, "k%d", i);
            necpnet_result result = set(&b, key, necpnet_value_of_string(key));
            TEST_CHECK(result == NECPNET_OK || result == NECPNET_ERR_OUT_OF_MEMORY);
            there += result == NECPNET_OK;
            TEST_EQUAL(find(&b, key) != NULL, result == NECPNET_OK);
        }
        TEST_EQUAL(b.variables.count, there);
        necpnet_result result = set(&b, "k39", necpnet_value_of_string("another text, a longer one"));
        if (result) TEST_EQUAL(result, NECPNET_ERR_OUT_OF_MEMORY);
        nn_variables_reset(&b.variables);
    }
}

/* Random changes against an array; a reader that takes in what is after its number has the same at the end. */
TEST(test_variables_reach_a_reader_that_follows)
{
    TEST_EACH_SEED (seed, 100) {
        struct test_random random = test_random_begin(seed);
        int64_t model[30];
        bool there[30];
        bench b;
        bench reader;
        uint64_t seen = 0;
        memset(there, 0, sizeof there);
        begin(&b);
        begin(&reader);
        for (int round = 0; round < 60; round++) {
            char key[16];
            for (int i = 0; i < 5; i++) {
                size_t k = (size_t)test_random_below(&random, 30);
                snprintf(key, sizeof key, "k%d", (int)k);
                bool remove = test_random_below(&random, 4) == 0;
                model[k] = (int64_t)test_random_below(&random, 5);
                necpnet_result result = set(&b, key, remove ? none() : necpnet_value_of_integer(model[k]));
                TEST_EQUAL(result, remove && !there[k] ? NECPNET_ERR_NOT_FOUND : NECPNET_OK);
                there[k] = !remove;
            }
            uint8_t wire[4096];
            nn_writer writer = nn_writer_of(wire, sizeof wire);
            for (const nn_variable* at = nn_variables_after(&b.variables, seen); at; at = at->newer) {
                nn_variable_write(at, &writer);
                seen = at->number;
            }
            nn_reader bytes = nn_reader_of(wire, nn_writer_bytes(&writer));
            while (nn_reader_left(&bytes)) {
                const char* got;
                size_t got_bytes;
                necpnet_value value;
                TEST_CHECK(nn_variable_read(&bytes, &got, &got_bytes, &value));
                (void)nn_variables_set(&reader.variables, got, got_bytes, &value);
            }
        }
        for (int k = 0; k < 30; k++) {
            char key[16];
            snprintf(key, sizeof key, "k%d", k);
            const nn_variable* at = find(&reader, key);
            TEST_EQUAL(at && at->type != NECPNET_VALUE_NONE, there[k]);
            if (there[k]) TEST_EQUAL(nn_variable_value(at).integer, model[k]);
        }
        nn_variables_reset(&b.variables);
        nn_variables_reset(&reader.variables);
    }
}

/* ---- from the wire --------------------------------------------------------------------------------------------------- */

typedef struct thing {
    uint8_t on;
} thing;

static necpnet_view* begin_view(necpnet_schema** schema)
{
    static const necpnet_field fields[] = {NECPNET_INTEGER(thing, on, 1, 0, 1, 0)};
    static const necpnet_entity_type types[] = {{"thing", 1, sizeof(thing), fields, 1}};
    necpnet_allocator allocator = test_allocator();
    necpnet_view_config config;
    necpnet_view* view = NULL;
    TEST_OK(necpnet_schema_create(&allocator, NULL, types, 1, schema));
    TEST_OK(necpnet_view_config_default(&config));
    config.allocator = allocator;
    config.schema = *schema;
    TEST_OK(necpnet_view_create(&config, &view));
    return view;
}

TEST(test_variables_from_the_wire_are_checked)
{
    static const struct {
        const char* bytes;
        size_t size;
        necpnet_result result;
    } messages[] = {
        {"\0\1a\1\1", 5, NECPNET_OK},
        {"", 0, NECPNET_ERR_PROTOCOL},                /* no flags */
        {"\x08", 1, NECPNET_ERR_PROTOCOL},            /* unknown flag */
        {"\0\0\1\1", 4, NECPNET_ERR_PROTOCOL},        /* no key */
        {"\0\1a\6", 4, NECPNET_ERR_PROTOCOL},         /* no such type */
        {"\0\1a\1\2", 5, NECPNET_ERR_PROTOCOL},       /* a bool of 2 */
        {"\0\1a\1", 4, NECPNET_ERR_PROTOCOL},         /* cut */
        {"\0\1a\2\1\2\3", 7, NECPNET_ERR_PROTOCOL},   /* cut */
        {"\0\1a\4\5\0abc", 9, NECPNET_ERR_PROTOCOL},  /* a text that is shorter than it says */
        {"\0\1a\4\1\0\xff", 7, NECPNET_ERR_PROTOCOL}, /* no UTF-8 */
        {"\0\1a\4\2\0a\0", 8, NECPNET_ERR_PROTOCOL},  /* a NUL in a text */
        {"\0\1a\5\1\4", 6, NECPNET_ERR_PROTOCOL},     /* 1,025 bytes */
        {"\0\1\xc0\1\1", 5, NECPNET_ERR_PROTOCOL},    /* a key that is no UTF-8 */
        {"\1\1a\0", 4, NECPNET_OK},                   /* the removal of what was never there */
        {"\0\1b\3\0\0\0\0\0\0\xf0\x3f\1c\5\1\0\0", 18, NECPNET_OK},
    };
    necpnet_schema* schema = NULL;
    necpnet_view* view = begin_view(&schema);
    for (size_t i = 0; i < NN_COUNT(messages); i++) {
        TEST_HINT("message %d", (int)i);
        TEST_EQUAL(nn_view_read_variables(view, (const uint8_t*)messages[i].bytes, messages[i].size),
                   messages[i].result);
    }
    necpnet_value value;
    TEST_OK(necpnet_view_get_variable(view, NECPNET_SCOPE_WORLD, "b", &value));
    TEST_NEAR(value.number, 1, 0);
    TEST_EQUAL(necpnet_view_get_variable(view, NECPNET_SCOPE_SESSION, "b", &value), NECPNET_ERR_NOT_FOUND);
    necpnet_view_destroy(view);
    necpnet_schema_destroy(schema);
}

TEST(test_variables_from_the_wire_are_limited)
{
    necpnet_schema* schema = NULL;
    necpnet_view* view = begin_view(&schema);
    necpnet_result result = NECPNET_OK;
    for (int i = 0; i <= NECPNET_VARIABLES_MAX; i++) {
        uint8_t message[16] = {0,
                               4,
                               (uint8_t)('a' + i % 26),
                               (uint8_t)('a' + i / 26 % 26),
                               (uint8_t)('a' + i / 676 % 26),
                               'x',
                               NECPNET_VALUE_BOOL,
                               1};
        TEST_OK(result);
        result = nn_view_read_variables(view, message, 8);
    }
    TEST_EQUAL(result, NECPNET_ERR_LIMIT_REACHED);
    necpnet_view_destroy(view);
    necpnet_schema_destroy(schema);
}

/* What is not told anew between BEGIN and END has gone. */
TEST(test_variables_that_are_not_told_anew_go)
{
    necpnet_schema* schema = NULL;
    necpnet_view* view = begin_view(&schema);
    necpnet_variable_change change;
    TEST_OK(nn_view_read_variables(view, (const uint8_t*)"\6\1a\1\1\1b\1\1", 9));
    while (necpnet_view_poll_variable(view, &change)) continue;
    TEST_OK(nn_view_read_variables(view, (const uint8_t*)"\2\1b\1\1", 5));
    TEST_CHECK(!necpnet_view_poll_variable(view, &change));
    TEST_OK(nn_view_read_variables(view, (const uint8_t*)"\4\1c\1\1", 5));
    TEST_CHECK(necpnet_view_poll_variable(view, &change));
    TEST_EQUAL_STRING(change.key, "c");
    TEST_CHECK(necpnet_view_poll_variable(view, &change));
    TEST_EQUAL_STRING(change.key, "a");
    TEST_EQUAL(change.value.type, NECPNET_VALUE_NONE);
    TEST_CHECK(!necpnet_view_poll_variable(view, &change));
    necpnet_view_destroy(view);
    necpnet_schema_destroy(schema);
}

/* ---- in a world ------------------------------------------------------------------------------------------------------ */

static void fill_world(necpnet_world* world, nn_follower* follower)
{
    static const char* const keys[] = {"a", "b", "c"};
    necpnet_entity entity = NECPNET_ENTITY_NONE;
    for (int i = 0; i < 3; i++) {
        (void)necpnet_world_set_variable(world, NECPNET_PEER_NONE, keys[i], necpnet_value_of_string("text"));
        (void)necpnet_world_set_variable(world, 7, keys[i], necpnet_value_of_integer(i));
    }
    necpnet_result result = necpnet_world_open_object(world, 1, 7, &entity);
    if (result) {
        TEST_EQUAL(result, NECPNET_ERR_OUT_OF_MEMORY);
        TEST_EQUAL(necpnet_world_find_object(world, 1, 7), NECPNET_ENTITY_NONE);
        TEST_EQUAL(necpnet_world_next(world, NECPNET_ENTITY_NONE), NECPNET_ENTITY_NONE);
    } else {
        TEST_EQUAL(necpnet_world_find_object(world, 1, 7), entity);
    }
    TEST_OK(necpnet_world_commit(world, 1));
    while (nn_follower_lacks_variables(follower)) {
        uint8_t bytes[2 + NN_VARIABLE_RECORD_BYTES_MAX];
        nn_writer writer = nn_writer_of(bytes, sizeof bytes);
        int scope = 0;
        nn_told told;
        TEST_CHECK(nn_follower_write_variables(follower, &writer, &scope, &told));
        follower->told[scope] = told;
    }
}

TEST(test_objects_and_variables_survive_failing_allocations)
{
    TEST_EACH_ALLOCATION_FAILS {
        necpnet_schema* schema = NULL;
        necpnet_world* world = NULL;
        nn_follower* follower = NULL;
        static const necpnet_field fields[] = {NECPNET_INTEGER(thing, on, 1, 0, 1, 0)};
        static const necpnet_entity_type types[] = {{"thing", 1, sizeof(thing), fields, 1}};
        necpnet_allocator allocator = test_allocator();
        necpnet_world_config config;
        TEST_OK(necpnet_world_config_default(&config));
        config.allocator = allocator;
        if (necpnet_schema_create(&allocator, NULL, types, 1, &schema) != NECPNET_OK) continue;
        config.schema = schema;
        if (necpnet_world_create(&config, &world) == NECPNET_OK) {
            if (nn_world_follow(world, 7, true, &follower) == NECPNET_OK) {
                fill_world(world, follower);
                nn_world_unfollow(world, follower);
                nn_world_forget(world, 7);
                TEST_EQUAL(necpnet_world_next(world, NECPNET_ENTITY_NONE), NECPNET_ENTITY_NONE);
            }
        }
        necpnet_world_destroy(world);
        necpnet_schema_destroy(schema);
    }
}

TEST_MAIN

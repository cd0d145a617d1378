/* Numeric addresses as text and back, results by name, and the log's line limit. */
#include "nn_alloc.h"
#include "nn_log.h"
#include "test.h"

TEST(test_address_formats_as_rfc_5952_wants)
{
    static const char* const pairs[][2] = {
        {"1.2.3.4:5", "1.2.3.4:5"},
        {"255.255.255.255", "255.255.255.255:0"},
        {"0.0.0.0:65535", "0.0.0.0:65535"},
        {"[::1]:5", "[::1]:5"},
        {"::", "[::]:0"},
        {"[::]:7777", "[::]:7777"},
        {"::1", "[::1]:0"},
        {"1::", "[1::]:0"},
        {"2001:DB8:0:0:0:0:0:1", "[2001:db8::1]:0"},
        {"2001:db8:0:1:1:1:1:1", "[2001:db8:0:1:1:1:1:1]:0"},
        {"2001:0:0:1:0:0:0:1", "[2001:0:0:1::1]:0"},
        {"1:2:3:4:5:6:7::", "[1:2:3:4:5:6:7:0]:0"},
        {"::ffff:192.168.0.1", "[::ffff:c0a8:1]:0"},
        {"1:2:3:4:5:6:1.2.3.4", "[1:2:3:4:5:6:102:304]:0"},
        {"[fe80::1%3]:80", "[fe80::1%3]:80"},
        {"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535",
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535"},
    };
    for (size_t i = 0; i < NN_COUNT(pairs); i++) {
        necpnet_address address, again;
        char text[NECPNET_ADDRESS_TEXT_BYTES_MAX];
        TEST_HINT("%s", pairs[i][0]);
        TEST_OK(necpnet_address_parse(pairs[i][0], &address));
        TEST_OK(necpnet_address_format(&address, text, sizeof text));
        TEST_EQUAL_STRING(text, pairs[i][1]);
        TEST_OK(necpnet_address_parse(text, &again));
        TEST_CHECK(necpnet_address_equal(&address, &again));
        TEST_OK(necpnet_address_format(&address, text, strlen(pairs[i][1]) + 1));
        TEST_EQUAL(necpnet_address_format(&address, text, strlen(pairs[i][1])), NECPNET_ERR_BUFFER_TOO_SMALL);
    }
}

TEST(test_address_refuses_every_other_text)
{
    static const char* const bad[] = {"",
                                      "1",
                                      "1.2.3",
                                      "1.2.3.4.5",
                                      "256.1.1.1",
                                      "1.2.3.4:",
                                      "1.2.3.4:65536",
                                      "1.2.3.4:123456",
                                      "1.2.3.4 ",
                                      " 1.2.3.4",
                                      "1.2.3.x",
                                      "a.b.c.d",
                                      "1..2.3",
                                      "1.2.3.4:-1",
                                      "0001.2.3.4",
                                      ":",
                                      ":::",
                                      "1:2:3:4:5:6:7",
                                      "1:2:3:4:5:6:7:8:9",
                                      "1:2:3:4:5:6:7:8::",
                                      "1::2::3",
                                      "12345::",
                                      "g::",
                                      "::1:",
                                      "[::1",
                                      "::1]",
                                      "[::1]x",
                                      "[::1]:",
                                      "[::1]:99999",
                                      "[1.2.3.4]:5",
                                      "::1.2.3",
                                      "1:2:3:4:5:6:7:1.2.3.4",
                                      "fe80::1%",
                                      "fe80::1%x",
                                      "fe80::1%4294967296",
                                      "localhost",
                                      "example.org:80",
                                      "[]:1"};
    necpnet_address address;
    memset(&address, 0x77, sizeof address);
    necpnet_address before = address;
    for (size_t i = 0; i < NN_COUNT(bad); i++) {
        TEST_HINT("%s", bad[i]);
        TEST_EQUAL(necpnet_address_parse(bad[i], &address), NECPNET_ERR_INVALID_ARGUMENT);
        TEST_EQUAL_BYTES(&address, &before, sizeof address);
    }
    TEST_EQUAL(necpnet_address_parse(NULL, &address), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_address_parse("1.2.3.4", NULL), NECPNET_ERR_INVALID_ARGUMENT);
    char text[64];
    address.family = NECPNET_ADDRESS_NONE;
    TEST_EQUAL(necpnet_address_format(&address, text, sizeof text), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_address_format(NULL, text, sizeof text), NECPNET_ERR_INVALID_ARGUMENT);
}

TEST(test_addresses_are_equal_in_all_four_parts_alone)
{
    necpnet_address a, b;
    TEST_OK(necpnet_address_parse("[fe80::1%3]:80", &a));
    b = a;
    TEST_CHECK(necpnet_address_equal(&a, &b));
    b.port++;
    TEST_CHECK(!necpnet_address_equal(&a, &b));
    b = a;
    b.scope++;
    TEST_CHECK(!necpnet_address_equal(&a, &b));
    b = a;
    b.bytes[15]++;
    TEST_CHECK(!necpnet_address_equal(&a, &b));
    b = a;
    b.family = NECPNET_ADDRESS_MEMORY;
    TEST_CHECK(!necpnet_address_equal(&a, &b));
    TEST_CHECK(!necpnet_address_equal(&a, NULL));
    TEST_CHECK(!necpnet_address_equal(NULL, NULL));
}

TEST(test_every_result_has_a_name_a_sentence_and_its_own_value)
{
    static const int values[] = {
#define VALUE(name, value, text) value,
        NECPNET_RESULTS(VALUE)
#undef VALUE
    };
    for (size_t i = 0; i < NN_COUNT(values); i++) {
        TEST_CHECK(strcmp(necpnet_result_name((necpnet_result)values[i]), "ERR_UNKNOWN") != 0);
        TEST_GREATER(strlen(necpnet_result_text((necpnet_result)values[i])), 1);
        for (size_t k = 0; k < i; k++) TEST_NOT_EQUAL(values[i], values[k]);
    }
    TEST_EQUAL_STRING(necpnet_result_name(NECPNET_OK), "OK");
    TEST_EQUAL_STRING(necpnet_result_name(NECPNET_ERR_TIMEOUT), "ERR_TIMEOUT");
    TEST_EQUAL_STRING(necpnet_result_name((necpnet_result)12345), "ERR_UNKNOWN");
    TEST_CHECK(necpnet_result_text((necpnet_result)-99)[0] != '\0');
    for (int i = 0; i < NECPNET_DROP_COUNT; i++) TEST_CHECK(necpnet_drop_name((necpnet_drop)i)[0] != '\0');
    TEST_EQUAL_STRING(necpnet_drop_name(NECPNET_DROP_COOKIE), "COOKIE");
    TEST_EQUAL_STRING(necpnet_drop_name(NECPNET_DROP_COUNT), "");
    TEST_EQUAL_STRING(necpnet_drop_name((necpnet_drop)-1), "");
    TEST_EQUAL(strncmp(necpnet_version(), NECPNET_VERSION_TEXT, strlen(NECPNET_VERSION_TEXT)), 0);
}

static char log_line[2000];
static int log_lines;

static void log_write(necpnet_log_level level, const char* line, void* user)
{
    TEST_EQUAL_POINTER(user, log_line);
    TEST_AT_LEAST(level, NECPNET_LOG_INFO);
    log_lines++;
    strcpy(log_line, line);
}

TEST(test_log_is_cut_at_its_limit_and_silent_below_its_level)
{
    necpnet_logger logger = {log_write, log_line, NECPNET_LOG_INFO};
    char large[1000];
    memset(large, 'x', sizeof large);
    large[999] = '\0';
    nn_log_write(&logger, NECPNET_LOG_INFO, "%s %d", large, 5);
    TEST_EQUAL(strlen(log_line), NN_LOG_LINE_BYTES_MAX - 1);
    nn_log_write(&logger, NECPNET_LOG_WARNING, "port %d", 7777);
    TEST_EQUAL_STRING(log_line, "port 7777");
    nn_log_write(&logger, NECPNET_LOG_DEBUG, "no");
    nn_log_write(NULL, NECPNET_LOG_ERROR, "no");
    logger.write = NULL;
    nn_log_write(&logger, NECPNET_LOG_ERROR, "no");
    TEST_EQUAL(log_lines, 2);
}

TEST(test_alloc_counts_zeroes_and_grows)
{
    TEST_EACH_ALLOCATION_FAILS {
        struct necpnet_allocator allocator = test_allocator();
        nn_alloc alloc;
        nn_alloc_init(&alloc, &allocator);
        TEST_CHECK(nn_alloc_take(&alloc, 0) == NULL);
        uint8_t* memory = (uint8_t*)nn_alloc_take(&alloc, 10);
        TEST_EQUAL(memory == NULL, test_allocation_failed());
        if (memory) {
            TEST_EQUAL(memory[0] | memory[9], 0);
            memset(memory, 5, 10);
            uint8_t* larger = (uint8_t*)nn_alloc_grow(&alloc, memory, 10, 30);
            TEST_EQUAL(larger == NULL, test_allocation_failed());
            uint8_t* held = larger ? larger : memory;
            TEST_EQUAL(held[9], 5);
            if (larger) TEST_EQUAL(larger[10] | larger[29], 0);
            TEST_EQUAL(alloc.bytes, larger ? 30 : 10);
            TEST_EQUAL(alloc.bytes_peak, larger ? 40 : 10);
            nn_alloc_give(&alloc, held, larger ? 30 : 10);
        }
        nn_alloc_give(&alloc, NULL, 5);
        TEST_EQUAL(alloc.bytes, 0);
    }
}

TEST_MAIN

/* test_query - QUERY and ANSWER datagrams: round trip, no amplification, hostile bytes. */
#include "test.h"

#include "nn_query.h"

static uint8_t query_data[256];

TEST(test_query_reads_as_written)
{
    uint64_t nonce = 0;
    necpnet_drop why = NECPNET_DROP_COUNT;
    TEST_EQUAL(nn_query_write(query_data, sizeof query_data, UINT64_MAX - 3), NN_QUERY_BYTES);
    TEST_CHECK(nn_query_read(query_data, NN_QUERY_BYTES, &nonce, &why));
    TEST_EQUAL(nonce, UINT64_MAX - 3);
    TEST_EQUAL(nn_query_write(query_data, NN_QUERY_BYTES - 1, 1), 0);
}

TEST(test_query_says_why_it_is_refused)
{
    uint64_t nonce = 0;
    necpnet_drop why = NECPNET_DROP_COUNT;
    (void)nn_query_write(query_data, sizeof query_data, 1);
    TEST_CHECK(!nn_query_read(query_data, NN_QUERY_BYTES - 1, &nonce, &why));
    TEST_EQUAL(why, NECPNET_DROP_NOT_PADDED);
    TEST_CHECK(!nn_query_read(query_data, 9, &nonce, &why));
    TEST_EQUAL(why, NECPNET_DROP_MALFORMED);
    query_data[1] = 9;
    TEST_CHECK(!nn_query_read(query_data, NN_QUERY_BYTES, &nonce, &why));
    TEST_EQUAL(why, NECPNET_DROP_VERSION);
    query_data[0] = 0x12;
    TEST_CHECK(!nn_query_read(query_data, NN_QUERY_BYTES, &nonce, &why));
    TEST_EQUAL(why, NECPNET_DROP_MALFORMED);
}

TEST(test_query_answer_reads_as_written_and_is_never_longer_than_the_query)
{
    nn_answer answer;
    nn_answer out;
    memset(&answer, 0, sizeof answer);
    answer.nonce = 5;
    answer.players = UINT32_MAX;
    answer.players_max = 64;
    memset(answer.name, 'n', NN_QUERY_NAME_BYTES_MAX);
    size_t bytes = nn_answer_write(query_data, sizeof query_data, &answer);
    TEST_EQUAL(bytes, NN_ANSWER_BYTES_MAX);
    TEST_AT_MOST(bytes, NN_QUERY_BYTES);
    TEST_CHECK(nn_answer_read(query_data, bytes, &out));
    TEST_EQUAL(out.nonce, 5);
    TEST_EQUAL(out.players, UINT32_MAX);
    TEST_EQUAL(out.players_max, 64);
    TEST_EQUAL_STRING(out.name, answer.name);
    for (size_t cut = 0; cut < bytes; cut++) TEST_CHECK(!nn_answer_read(query_data, cut, &out));
    query_data[18] = NN_QUERY_NAME_BYTES_MAX + 1;
    TEST_CHECK(!nn_answer_read(query_data, sizeof query_data, &out));
    TEST_EQUAL(nn_answer_write(query_data, bytes - 1, &answer), 0);
}

TEST(test_query_answer_name_is_safe_to_print)
{
    nn_answer answer;
    nn_answer out;
    memset(&answer, 0, sizeof answer);
    strcpy(answer.name, "a\x1b[2J\xC3\xA9");
    size_t bytes = nn_answer_write(query_data, sizeof query_data, &answer);
    TEST_CHECK(nn_answer_read(query_data, bytes, &out));
    TEST_EQUAL_STRING(out.name, "a?[2J\xC3\xA9");
}

TEST_MAIN

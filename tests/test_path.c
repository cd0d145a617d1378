/* test_path - aim: an address is challenged, gets at most three times what came from it, and is proven by the right 8 bytes
 * from that very address alone. Method: the machine by itself, with times and sizes at their limits. */
#include "test.h"

#include "nn_path.h"

static necpnet_address address_of(uint8_t host, uint16_t port)
{
    necpnet_address address;
    memset(&address, 0, sizeof address);
    address.family = NECPNET_ADDRESS_IPV4;
    address.bytes[3] = host;
    address.port = port;
    return address;
}

TEST(test_path_is_proven_by_its_challenge_from_its_address)
{
    necpnet_address there = address_of(1, 5), other = address_of(1, 6);
    nn_path path;
    nn_path_begin(&path, &there, 77, 1000);
    TEST_CHECK(!nn_path_is_answer(&path, &there, 77)); /* it was not asked yet */
    nn_path_received(&path, 40);
    TEST_CHECK(nn_path_wants_challenge(&path, 34, 1000));
    nn_path_challenged(&path, 34, 50000, 1000);
    TEST_CHECK(!nn_path_wants_challenge(&path, 34, 50999));
    TEST_CHECK(nn_path_wants_challenge(&path, 34, 51000));
    TEST_CHECK(!nn_path_is_answer(&path, &there, 78));
    TEST_CHECK(!nn_path_is_answer(&path, &other, 77));
    TEST_CHECK(nn_path_is_answer(&path, &there, 77));
    nn_path_end(&path);
    TEST_CHECK(!nn_path_is_answer(&path, &there, 77));
    TEST_CHECK(!nn_path_is_answer(&path, &there, 0));
}

TEST(test_path_gets_at_most_three_times_what_came_from_it)
{
    necpnet_address there = address_of(1, 5);
    nn_path path;
    nn_path_begin(&path, &there, 1, 0);
    TEST_CHECK(!nn_path_send(&path, 1));
    TEST_CHECK(!nn_path_wants_challenge(&path, 34, 0));
    TEST_EQUAL(nn_path_deadline_us(&path, 34), NN_PATH_LIFE_US); /* nothing may leave: no need to wake */
    nn_path_received(&path, 100);
    TEST_EQUAL(nn_path_deadline_us(&path, 34), 0);
    nn_path_challenged(&path, 34, 0, 0);
    path.is_behind = false;
    TEST_CHECK(nn_path_send(&path, 266));
    TEST_CHECK(!path.is_behind);
    TEST_CHECK(!nn_path_send(&path, 1));
    TEST_CHECK(path.is_behind);
    nn_path_received(&path, 1);
    TEST_CHECK(nn_path_send(&path, 3));
    TEST_CHECK(!nn_path_send(&path, 1));
    TEST_EQUAL(path.sent_bytes, 303);
}

TEST(test_path_repeats_no_sooner_than_its_least_interval)
{
    necpnet_address there = address_of(1, 5);
    nn_path path;
    nn_path_begin(&path, &there, 1, 0);
    nn_path_received(&path, 1000);
    nn_path_challenged(&path, 34, 0, 0);
    TEST_EQUAL(nn_path_deadline_us(&path, 34), NN_PATH_REPEAT_US_MIN);
    nn_path_challenged(&path, 34, NN_PATH_LIFE_US * 2, 0);
    TEST_EQUAL(nn_path_deadline_us(&path, 34), NN_PATH_LIFE_US);
    nn_path_end(&path);
    TEST_EQUAL(nn_path_deadline_us(&path, 34), NN_NEVER);
    TEST_CHECK(!nn_path_send(&path, 1));
}

TEST(test_path_of_another_port_alone_is_the_same_host)
{
    necpnet_address a = address_of(1, 5), b = address_of(1, 6), c = address_of(2, 5), d = address_of(1, 5);
    d.scope = 3;
    TEST_CHECK(nn_path_same_host(&a, &b));
    TEST_CHECK(!nn_path_same_host(&a, &c));
    TEST_CHECK(!nn_path_same_host(&a, &d));
    d = a;
    d.family = NECPNET_ADDRESS_IPV6;
    TEST_CHECK(!nn_path_same_host(&a, &d));
}

TEST_MAIN

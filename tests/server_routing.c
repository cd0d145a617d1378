/* server_routing - aim: the table is the same wherever it is made, even to the slot, and moves little. */
#include "test.h"

#include "routing.h"

#define NODES 40

static char texts[NODES][24];
static const char* names[NODES];

static routing* make(uint32_t slots, const char* const* list, uint32_t count)
{
    routing* table = NULL;
    for (int i = 0; i < NODES; i++) {
        snprintf(texts[i], sizeof(texts[i]), "node-%d", i);
        names[i] = texts[i];
    }
    TEST_OK(routing_create(slots, &table));
    TEST_OK(routing_set(table, list, count));
    return table;
}

TEST(test_routing_nodes_have_the_same_number_of_slots_give_or_take_one)
{
    for (uint32_t count = 1; count <= NODES; count += 13) {
        routing* table = make(ROUTING_SLOTS_SMALL, names, count);
        uint32_t owned[NODES] = {0};
        for (uint32_t i = 0; i < routing_slot_count(table); i++) owned[routing_slot(table, i)]++;
        for (uint32_t i = 0; i < count; i++) {
            TEST_AT_LEAST(owned[i], ROUTING_SLOTS_SMALL / count);
            TEST_AT_MOST(owned[i], ROUTING_SLOTS_SMALL / count + 1);
        }
        routing_destroy(table);
    }
}

TEST(test_routing_order_of_the_list_does_not_matter)
{
    const char* turned[NODES];
    routing* one = make(ROUTING_SLOTS_SMALL, names, NODES);
    for (int i = 0; i < NODES; i++) turned[i] = names[(i * 7 + 3) % NODES];
    routing* other = make(ROUTING_SLOTS_SMALL, turned, NODES);
    for (uint32_t i = 0; i < routing_slot_count(one); i++) {
        TEST_EQUAL_STRING(names[routing_slot(one, i)], turned[routing_slot(other, i)]);
    }
    routing_destroy(one);
    routing_destroy(other);
}

TEST(test_routing_little_moves_when_a_node_goes_and_all_that_was_its_own)
{
    routing* table = make(ROUTING_SLOTS_SMALL, names, NODES);
    routing* without = make(ROUTING_SLOTS_SMALL, names, NODES - 1);
    uint32_t moved = 0, its_own = 0;
    for (uint32_t i = 0; i < routing_slot_count(table); i++) {
        if (routing_slot(table, i) == NODES - 1) {
            its_own++;
        } else {
            moved += routing_slot(table, i) != routing_slot(without, i);
        }
        TEST_LESS(routing_slot(without, i), NODES - 1);
    }
    TEST_GREATER(its_own, 0);
    TEST_LESS(moved, its_own); /* of those that would not have had to */
    routing_destroy(table);
    routing_destroy(without);
}

TEST(test_routing_finds_another_node_while_one_is_away)
{
    routing* table = make(ROUTING_SLOTS_SMALL, names, 3);
    uint32_t counts[3] = {0};
    for (uint32_t i = 0; i < 30000; i++) {
        uint64_t key = routing_key(&i, sizeof(i));
        uint32_t node = routing_find(table, key);
        TEST_LESS(node, 3);
        TEST_EQUAL(routing_find(table, key), node);
        uint32_t next = routing_find_next(table, key, node);
        TEST_CHECK(next < 3 && next != node);
        counts[node]++;
    }
    for (int i = 0; i < 3; i++) TEST_GREATER(counts[i], 9000);
    TEST_OK(routing_set(table, names, 1));
    TEST_EQUAL(routing_find_next(table, 5, 0), ROUTING_NOBODY);
    TEST_OK(routing_set(table, names, 0));
    TEST_EQUAL(routing_find(table, 5), ROUTING_NOBODY);
    routing_destroy(table);
}

TEST(test_routing_refuses_what_cannot_be)
{
    routing* table = NULL;
    TEST_EQUAL(routing_create(65536, &table), NECPNET_ERR_INVALID_ARGUMENT);
    table = make(ROUTING_SLOTS_SMALL, names, 2);
    const char* twice[] = {"a", "b", "a"};
    uint32_t before = routing_find(table, 77);
    TEST_EQUAL(routing_set(table, twice, 3), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(routing_find(table, 77), before);
    TEST_EQUAL(routing_set(table, names, ROUTING_NODES_MAX + 1), NECPNET_ERR_INVALID_ARGUMENT);
    routing_destroy(NULL);
    routing_destroy(table);
}

/* A change of the algorithm would send half of a cluster elsewhere while the other half is still the old version. */
TEST(test_routing_table_is_the_one_of_other_versions)
{
    routing* table = make(ROUTING_SLOTS_SMALL, names, 5);
    uint64_t hash = 0;
    for (uint32_t i = 0; i < routing_slot_count(table); i++) hash = hash * 31 + routing_slot(table, i);
    TEST_EQUAL(hash, UINT64_C(0x437e8ff67c1064a7));
    routing_destroy(table);
}

TEST_MAIN

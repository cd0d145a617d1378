/* routing - a table of slots. */
#include "routing.h"

#include <stdlib.h>
#include <string.h>

#define ROUTING_FREE UINT16_MAX

struct routing {
    uint32_t slots;
    uint32_t nodes;
    uint16_t* owners; /* of each slot: index of a node */
};

/* One node while the table is filled. */
typedef struct routing_node {
    uint64_t hash;
    const char* name;
    uint32_t index; /* in the caller's list */
    uint32_t at;    /* place in its permutation */
    uint32_t skip;
} routing_node;

/* SplitMix64 (Steele, Lea and Flood 2014). */
static uint64_t routing_mix(uint64_t value)
{
    value += UINT64_C(0x9e3779b97f4a7c15);
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

uint64_t routing_key(const void* key, size_t bytes)
{
    const uint8_t* at = key;
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a, then mixed: the upper bits choose */
    for (size_t i = 0; i < bytes; i++) hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    return routing_mix(hash);
}

necpnet_result routing_create(uint32_t slots, routing** out_table)
{
    if (slots != ROUTING_SLOTS_SMALL && slots != ROUTING_SLOTS_LARGE) return NECPNET_ERR_INVALID_ARGUMENT;
    routing* table = calloc(1, sizeof(*table));
    uint16_t* owners = calloc(slots, sizeof(owners[0]));
    if (!table || !owners) {
        free(table);
        free(owners);
        return NECPNET_ERR_OUT_OF_MEMORY;
    }
    table->slots = slots;
    table->owners = owners;
    *out_table = table;
    return NECPNET_OK;
}

void routing_destroy(routing* table)
{
    if (!table) return;
    free(table->owners);
    free(table);
}

/* The order of turns must not depend on the order of the list. */
static int routing_compare(const void* a, const void* b)
{
    const routing_node* left = a;
    const routing_node* right = b;
    if (left->hash != right->hash) return left->hash < right->hash ? -1 : 1;
    return strcmp(left->name, right->name);
}

static void routing_fill(uint16_t* owners, uint32_t slots, routing_node* nodes, uint32_t count)
{
    uint32_t left = slots;
    for (uint32_t i = 0; i < slots; i++) owners[i] = ROUTING_FREE;
    while (left > 0) {
        for (uint32_t i = 0; i < count && left > 0; i++) {
            routing_node* node = &nodes[i];
            while (owners[node->at] != ROUTING_FREE) {
                node->at += node->skip;
                if (node->at >= slots) node->at -= slots;
            }
            owners[node->at] = (uint16_t)node->index;
            left--;
        }
    }
}

necpnet_result routing_set(routing* table, const char* const* names, uint32_t count)
{
    if (count > ROUTING_NODES_MAX) return NECPNET_ERR_INVALID_ARGUMENT;
    routing_node* nodes = calloc(count ? count : 1, sizeof(nodes[0]));
    if (!nodes) return NECPNET_ERR_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t hash = routing_key(names[i], strlen(names[i]));
        nodes[i].hash = hash;
        nodes[i].name = names[i];
        nodes[i].index = i;
        nodes[i].at = (uint32_t)(hash % table->slots);
        nodes[i].skip =
            (uint32_t)(routing_mix(hash) % (table->slots - 1)) + 1; /* any but 0 visits all: slots is a prime */
    }
    qsort(nodes, count, sizeof(nodes[0]), routing_compare);
    necpnet_result result = NECPNET_OK;
    for (uint32_t i = 1; i < count; i++) {
        if (strcmp(nodes[i].name, nodes[i - 1].name) == 0) result = NECPNET_ERR_INVALID_ARGUMENT;
    }
    if (result == NECPNET_OK) {
        table->nodes = count;
        if (count > 0) routing_fill(table->owners, table->slots, nodes, count);
    }
    free(nodes);
    return result;
}

static uint32_t routing_slot_of(const routing* table, uint64_t key)
{
    return (uint32_t)((key >> 32) * table->slots >> 32);
}

uint32_t routing_find(const routing* table, uint64_t key)
{
    return table->nodes ? table->owners[routing_slot_of(table, key)] : ROUTING_NOBODY;
}

uint32_t routing_find_next(const routing* table, uint64_t key, uint32_t not_this)
{
    if (table->nodes == 0) return ROUTING_NOBODY;
    uint32_t slot = routing_slot_of(table, key);
    for (uint32_t i = 0; i < table->slots; i++) {
        if (table->owners[slot] != not_this) return table->owners[slot];
        slot = slot + 1 == table->slots ? 0 : slot + 1;
    }
    return ROUTING_NOBODY;
}

uint32_t routing_slot_count(const routing* table)
{
    return table->slots;
}

uint32_t routing_slot(const routing* table, uint32_t slot)
{
    return table->owners[slot];
}

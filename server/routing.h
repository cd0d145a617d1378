/* routing.h - which node a key belongs to, the same on every node that knows the same names: a precomputed table of slots, filled
 * as Maglev does (Eisenbud et al., NSDI 2016, 3.4): each node has a permutation of the slots from its name alone, and the
 * nodes take turns to take the next free one of theirs. Every node gets the same number of slots, give or take one, and when a
 * node joins or leaves few slots move that would not have to.
 */
#ifndef SERVER_ROUTING_H
#define SERVER_ROUTING_H

#include <stddef.h>
#include <stdint.h>

#include "necpnet.h"

#define ROUTING_NODES_MAX 4096
#define ROUTING_SLOTS_SMALL 65537u   /* a prime; 1,024 slots each for 64 nodes; 128 KB */
#define ROUTING_SLOTS_LARGE 1048573u /* a prime; 1,048 slots each for 1,000 nodes; 2 MB */
#define ROUTING_NOBODY UINT32_MAX

typedef struct routing routing;

/* routing_create - no node yet.
 *
 *   slots  a prime: one of the two above; the same on all nodes.
 *
 * Returns  OK | ERR_OUT_OF_MEMORY | ERR_INVALID_ARGUMENT */
necpnet_result routing_create(uint32_t slots, routing** out_table);
void routing_destroy(routing* table);

/* routing_set - the nodes by name, in any order; the table is made anew.
 *
 * Returns  OK | ERR_OUT_OF_MEMORY (the table is as it was) | ERR_INVALID_ARGUMENT (a name twice, or too many) */
necpnet_result routing_set(routing* table, const char* const* names, uint32_t count);

/* routing_key - a key's hash: of a topic, a player. */
uint64_t routing_key(const void* key, size_t bytes);

/* routing_find - the node of a key: its index in the list of routing_set, NOBODY without nodes. */
uint32_t routing_find(const routing* table, uint64_t key);

/* routing_find_next - the first other node that the key's neighbours belong to: where it goes while its own is unreachable. */
uint32_t routing_find_next(const routing* table, uint64_t key, uint32_t not_this);

uint32_t routing_slot_count(const routing* table);
uint32_t routing_slot(const routing* table, uint32_t slot);

#endif

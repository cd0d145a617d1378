/* relay_nodes - which nodes there are, and topics that change their owner. */
#include "relay_inside.h"

#include <stdlib.h>
#include <string.h>

/* A topic's counting and history go to its owner, this node follows it. Returns the bytes. */
size_t relay_hand(relay* at, relay_record* record, uint64_t owner)
{
    size_t bytes = relay_send_history(at, owner, RELAY_HAND, record, NULL);
    relay_set_owned(at, record, false);
    record->follower_count = 0; /* they ask the new owner themselves */
    record->used_us = at->now_us;
    at->figures.handed++;
    record->synced = true;
    relay_follow(at, record);
    return bytes;
}

void relay_hear_hand(relay* at, const relay_message* message)
{
    relay_record* record = relay_reach(at, message->name);
    if (!record || record->owned || !relay_open(at, record)) return;
    relay_take_items(at, record, message);
    if (topics_get_position(record->topic).offset < message->position.offset) return; /* more is to come */
    relay_set_owned(at, record, true);
    record->used_us = at->now_us;
    topics_touch(record->topic, at->now_us);
    record->fresh = true;
    relay_answer_waits(at, record, RELAY_DONE);
}

relay_place* relay_place_of(relay* at, uint64_t origin)
{
    for (uint32_t i = 0; i < at->node_count; i++) {
        if (at->nodes[i].origin == origin) return &at->nodes[i];
    }
    for (uint32_t i = 0; i < RELAY_STRANGERS; i++) {
        if (at->strangers[i].origin == origin) return &at->strangers[i];
    }
    relay_place* place = &at->strangers[at->stranger_next++ % RELAY_STRANGERS];
    *place = (relay_place){.origin = origin};
    return place;
}

static bool relay_all(const relay* at, bool settled)
{
    for (uint32_t i = 1; i < at->node_count; i++) {
        if ((settled ? at->nodes[i].settled : at->nodes[i].seen) != at->view) return false;
    }
    return true;
}

/* Every topic has its owner: what waited goes on. Topics that are followed are asked for now: before, a FOLLOW may come to a node that
 * knows another table, which passes it to the one that is about to hand the topic over. */
static void relay_settle(relay* at)
{
    uint32_t asked = 0;
    at->settled = true;
    for (relay_record *record = at->first, *next; record; record = next) {
        next = record->next;
        bool wanted = record->waits || record->held || (record->topic && !record->owned);
        record->fresh = false;
        if (wanted && !record->owned && relay_is_mine(at, record->name)) (void)relay_own(at, record);
        if (record->held) relay_release_held(at, record);
        if (record->owned || (!record->topic && !record->waits)) continue;
        if (asked++ < RELAY_FOLLOWS_AT_ONCE) {
            relay_follow(at, record);
        } else {
            record->asked_us = 0; /* as the sweep comes by */
        }
    }
}

/* Some of the topics that belong elsewhere: no more than the others' queues take. Returns whether it was the last. */
static bool relay_hand_some(relay* at)
{
    size_t bytes = 0;
    for (relay_record* record = at->first; record; record = record->next) {
        uint64_t owner = relay_owner_of(at, record->name);
        if (owner == at->config.self.origin) continue;
        if (bytes >= RELAY_HAND_BYTES) return false;
        if (record->owned) bytes += relay_hand(at, record, owner);
        if (record->held) relay_release_held(at, record); /* on to its owner, before SETTLED */
    }
    return true;
}

/* Goes on with a change of the table as far as the others have. */
void relay_advance(relay* at)
{
    if (!at->handed && (relay_all(at, false) || at->now_us >= at->view_us + RELAY_SEEN_US)) {
        at->handed = relay_hand_some(at);
        if (at->handed) relay_say_all(at, RELAY_SETTLED);
    }
    if (at->settled || !at->handed || at->now_us < at->began_us + RELAY_BEGIN_US) return;
    if (relay_all(at, true) || at->now_us >= at->view_us + RELAY_SETTLE_US) relay_settle(at);
}

/* The table of those that stay, or of all where none does. */
static necpnet_result relay_make_table(relay* at, const relay_place* places, uint32_t first, uint32_t count,
                                       uint32_t* owners)
{
    const char** names = calloc(count, sizeof(names[0]));
    uint32_t stay = 0;
    if (!names) return NECPNET_ERR_OUT_OF_MEMORY;
    for (uint32_t i = first; i < count; i++) {
        if (!places[i].leaves) owners[stay++] = i;
    }
    for (uint32_t i = first; i < count && (stay == 0 || places[owners[0]].leaves); i++) owners[stay++] = i;
    for (uint32_t i = 0; i < stay; i++) names[i] = places[owners[i]].name;
    necpnet_result result = routing_set(at->table, names, stay);
    free(names);
    return result;
}

static void relay_write_place(relay_place* place, const relay_node* node)
{
    size_t bytes = strlen(node->name);
    if (bytes >= sizeof(place->name)) bytes = sizeof(place->name) - 1;
    memcpy(place->name, node->name, bytes);
    place->name[bytes] = 0;
    place->leaves = node->leaves;
}

static necpnet_result relay_take_nodes(relay* at, const relay_node* nodes, uint32_t count)
{
    relay_place* places = calloc(count, sizeof(places[0]));
    uint32_t* owners = calloc(count, sizeof(owners[0]));
    necpnet_result result = owners && places ? NECPNET_OK : NECPNET_ERR_OUT_OF_MEMORY;
    uint32_t other = 1;
    for (uint32_t i = 0; result == NECPNET_OK && i < count; i++) {
        bool self = nodes[i].origin == at->config.self.origin;
        if (!self && other == count) result = NECPNET_ERR_INVALID_ARGUMENT; /* self is not among them */
        if (result != NECPNET_OK) break;
        relay_place* place = &places[self ? 0 : other++];
        *place = *relay_place_of(at, nodes[i].origin);
        relay_write_place(place, &nodes[i]);
    }
    if (result == NECPNET_OK) result = relay_make_table(at, places, 0, count, owners);
    if (result != NECPNET_OK) {
        free(places);
        free(owners);
        return result;
    }
    free(at->nodes);
    free(at->owners);
    at->nodes = places;
    at->owners = owners;
    at->node_count = count;
    at->view = 0;
    for (uint32_t i = 0; i < count; i++)
        at->view ^= (routing_key(&places[i].origin, 8) + relay_hash(places[i].name)) * (places[i].leaves ? 3u : 1u);
    return NECPNET_OK;
}

/* Sends a publish to its topic's owner, or holds it here. */
void relay_send_publish(relay* at, uint64_t owner, const relay_message* message)
{
    if (owner != at->config.self.origin) {
        at->figures.sent++;
        relay_send(at, owner, message);
        return;
    }
    relay_record* record = relay_reach(at, message->name);
    if (record) relay_hold(at, record, message);
}

/* A request whose owner left in good order without having done it. */
static void relay_dispatch(relay* at, relay_request* request)
{
    relay_message message;
    if (!relay_read(request->message, request->bytes, &message)) return;
    request->owner = relay_owner_of(at, message.name);
    relay_send_publish(at, request->owner, &message);
}

/* Requests of nodes that are gone; followers that are. */
static void relay_forget_gone(relay* at)
{
    relay_request* request = at->requests;
    while (request) {
        relay_request* next = request->next;
        bool here = false;
        for (uint32_t i = 0; i < at->node_count && !here; i++) here = at->nodes[i].origin == request->owner;
        if (!here && request->owner == at->gone_in_order) {
            relay_dispatch(at, request);
        } else if (!here) {
            relay_finish(at, request->number, RELAY_LOST, (topics_position){0, 0});
        }
        request = next;
    }
    for (relay_record* record = at->first; record; record = record->next) {
        for (uint32_t i = record->follower_count; i-- > 0;) {
            bool here = false;
            for (uint32_t k = 1; k < at->node_count && !here; k++) here = at->nodes[k].origin == record->followers[i];
            if (!here) relay_remove_follower(record, record->followers[i]);
        }
    }
}

necpnet_result relay_set_nodes(relay* at, const relay_node* nodes, uint32_t count, uint64_t now_us)
{
    at->now_us = now_us;
    if (count == 0 || count > RELAY_NODES_MAX) return NECPNET_ERR_INVALID_ARGUMENT;
    necpnet_result result = relay_take_nodes(at, nodes, count);
    if (result != NECPNET_OK) return result;
    at->view_us = now_us;
    at->handed = false;
    at->settled = false;
    relay_say_all(at, RELAY_SEEN);
    relay_forget_gone(at);
    relay_advance(at);
    return NECPNET_OK;
}

void relay_leave(relay* at)
{
    at->leaving = true;
    if (at->node_count < 2) return;
    if (relay_make_table(at, at->nodes, 1, at->node_count, at->owners) == NECPNET_OK) {
        for (relay_record *record = at->first, *next; record; record = next) {
            next = record->next;
            if (record->owned) (void)relay_send_history(at, relay_owner_of(at, record->name), RELAY_HAND, record, NULL);
        }
    }
    relay_say_all(at, RELAY_LEFT);
}

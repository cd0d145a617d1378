/* relay_owner - topics that are counted here, requests for them, and topics that are followed. */
#include "relay_inside.h"

#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------------------------------------------- the owner -- */

/* This node counts the topic from now on. A counting that it only followed is not gone on with: the lost owner may have counted
 * further. */
bool relay_own(relay* at, relay_record* record)
{
    bool knew = record->topic != NULL;
    if (!relay_open(at, record)) return false;
    if (knew && !record->owned) {
        topics_restart(at->config.hub, record->topic, 0, 0);
        at->figures.renewed++;
    }
    relay_set_owned(at, record, true);
    topics_touch(record->topic, at->now_us);
    relay_answer_waits(at, record, RELAY_DONE);
    return true;
}

static void relay_add_follower(relay_record* record, uint64_t origin)
{
    for (uint32_t i = 0; i < record->follower_count; i++) {
        if (record->followers[i] == origin) return;
    }
    if (record->follower_count == record->follower_room) {
        uint32_t room = record->follower_room ? record->follower_room * 2 : 4;
        uint64_t* grown = realloc(record->followers, room * sizeof(grown[0]));
        if (!grown) return; /* it asks again */
        record->followers = grown;
        record->follower_room = room;
    }
    record->followers[record->follower_count++] = origin;
}

void relay_remove_follower(relay_record* record, uint64_t origin)
{
    for (uint32_t i = 0; i < record->follower_count; i++) {
        if (record->followers[i] != origin) continue;
        record->followers[i] = record->followers[--record->follower_count];
        return;
    }
}

void relay_spread(relay* at, const topics_topic* topic)
{
    const relay_record* record = relay_find(at, topics_name(topic));
    topics_message newest;
    if (!record || record->follower_count == 0) return;
    relay_message message = relay_about(at, RELAY_MESSAGE, record->name);
    message.position = topics_get_position(topic);
    if (!topics_read(topic, message.position.offset, &newest)) return;
    message.data = newest.binary;
    message.bytes = newest.binary_bytes;
    for (uint32_t i = 0; i < record->follower_count; i++) relay_send(at, record->followers[i], &message);
}

static void relay_do_publish(relay* at, relay_record* record, const relay_message* request)
{
    topics_position position = topics_get_position(record->topic);
    position.offset++;
    necpnet_result result = at->config.publish(record->topic, request->data, request->bytes, position, at->config.user);
    at->figures.done += result == NECPNET_OK && request->origin != at->config.self.origin;
    /* The answer before the message: who publishes hears in the order that it would hear on this node. */
    relay_tell_taken(at, request, result == NECPNET_OK ? RELAY_DONE : RELAY_REFUSED, position);
    if (result == NECPNET_OK) relay_spread(at, record->topic);
}

static void relay_do_follow(relay* at, relay_record* record, const relay_message* request)
{
    relay_add_follower(record, request->origin);
    topics_touch(record->topic, at->now_us);
    (void)relay_send_history(at, request->origin, RELAY_WHOLE, record, &request->position);
}

void relay_hold(relay* at, relay_record* record, const relay_message* request)
{
    text out;
    relay_held* held = NULL;
    if (at->figures.held < RELAY_HELD_MAX) {
        text_begin_growing(&out);
        relay_write(&out, request);
        if (!out.failed) held = malloc(sizeof(*held) + out.bytes);
        if (held) {
            *held = (relay_held){.number = request->number, .bytes = out.bytes};
            memcpy(held->data, out.to, out.bytes);
        }
        text_end(&out);
    }
    if (held) {
        *record->held_end = held;
        record->held_end = &held->next;
        at->figures.held++;
    } else if (request->kind == RELAY_PUBLISH) {
        relay_tell_taken(at, request, RELAY_REFUSED, (topics_position){0, 0});
    }
}

/* A publish or a follow, of any node: done, held, or passed on. */
void relay_obey(relay* at, const relay_message* request)
{
    relay_record* record = relay_find(at, request->name);
    if (!record || !record->owned) {
        uint64_t owner = relay_owner_of(at, request->name);
        if (owner != at->config.self.origin) {
            relay_message passed = *request;
            passed.hops++;
            if (passed.hops < RELAY_HOPS_MAX) {
                relay_send(at, owner, &passed);
            } else if (request->kind == RELAY_PUBLISH) {
                relay_tell_taken(at, request, RELAY_REFUSED, (topics_position){0, 0});
            }
            return;
        }
        record = relay_reach(at, request->name);
        if (record && !at->settled) {
            relay_hold(at, record, request);
            return;
        }
        if (!record || !relay_own(at, record)) {
            if (request->kind == RELAY_PUBLISH) relay_tell_taken(at, request, RELAY_REFUSED, (topics_position){0, 0});
            return;
        }
    }
    if (record->fresh && !at->settled) {
        relay_hold(at, record, request);
    } else if (request->kind == RELAY_PUBLISH) {
        relay_do_publish(at, record, request);
    } else {
        relay_do_follow(at, record, request);
    }
}

/* By number: those of one node in the order in which it made them, whatever way they came. */
static int relay_compare_held(const void* a, const void* b)
{
    const relay_held* left = *(relay_held* const*)a;
    const relay_held* right = *(relay_held* const*)b;
    return (left->number > right->number) - (left->number < right->number);
}

void relay_release_held(relay* at, relay_record* record)
{
    uint32_t count = 0;
    for (const relay_held* held = record->held; held; held = held->next) count++;
    relay_held** list = calloc(count ? count : 1, sizeof(relay_held*));
    if (!list) return; /* they are late, and their nodes say so */
    uint32_t filled = 0;
    for (relay_held* held = record->held; held; held = held->next) list[filled++] = held;
    record->held = NULL;
    record->held_end = &record->held;
    qsort(list, count, sizeof(list[0]), relay_compare_held);
    for (uint32_t i = 0; i < count; i++) {
        relay_message request;
        at->figures.held--;
        if (relay_read(list[i]->data, list[i]->bytes, &request)) relay_obey(at, &request);
        free(list[i]);
    }
    free(list);
}

/* -------------------------------------------------------------------------------------------------- the follower -- */

/* A message as its owner numbered it. What cannot be told here (an event that this node does not know) is told as a gap. */
static void relay_place_here(relay* at, relay_record* record, const uint8_t* message, size_t bytes,
                             topics_position position)
{
    if (at->config.publish(record->topic, message, bytes, position, at->config.user) != NECPNET_OK)
        topics_skip(at->config.hub, record->topic, position.offset);
}

/* Items of a history, those that are new here. */
void relay_take_items(relay* at, relay_record* record, const relay_message* message)
{
    const uint8_t* item;
    const uint8_t* from = message->data;
    size_t left = message->bytes;
    size_t bytes;
    topics_position position = topics_get_position(record->topic);
    if (position.epoch != message->position.epoch) {
        topics_restart(at->config.hub, record->topic, message->position.epoch, message->base);
    } else if (position.offset < message->base) {
        topics_skip(at->config.hub, record->topic, message->base);
    }
    topics_position next = {.epoch = message->position.epoch, .offset = message->base};
    while (relay_next_item(&from, &left, &item, &bytes)) {
        next.offset++;
        position = topics_get_position(record->topic);
        if (next.offset != position.offset + 1) continue;
        relay_place_here(at, record, item, bytes, next);
    }
}

void relay_hear_whole(relay* at, const relay_message* message)
{
    relay_record* record = relay_find(at, message->name);
    if (!record) {
        relay_message over = relay_about(at, RELAY_UNFOLLOW, message->name);
        relay_send(at, message->origin, &over);
        return;
    }
    if (record->owned || relay_is_mine(at, message->name) || !relay_open(at, record)) return;
    relay_take_items(at, record, message);
    if (topics_get_position(record->topic).offset < message->position.offset) return; /* more is to come */
    record->synced = true;
    relay_answer_waits(at, record, RELAY_DONE);
}

void relay_hear_message(relay* at, const relay_message* message)
{
    relay_record* record = relay_find(at, message->name);
    if (!record || !record->topic || record->owned) return;
    topics_position position = topics_get_position(record->topic);
    if (position.epoch == message->position.epoch && position.offset >= message->position.offset) return;
    if (position.epoch == message->position.epoch && position.offset + 1 == message->position.offset) {
        relay_place_here(at, record, message->data, message->bytes, message->position);
        return;
    }
    record->synced = false; /* something was lost on the way */
    if (at->now_us >= record->asked_us + RELAY_SWEEP_US) relay_follow(at, record);
}

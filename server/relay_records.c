/* relay_records - what a relay knows of topics, what it says to others, and answers to those who asked. */
#include "relay_inside.h"

#include <stdlib.h>
#include <string.h>

uint64_t relay_hash(const char* name)
{
    return routing_key(name, strlen(name));
}

relay_record* relay_find(const relay* at, const char* name)
{
    relay_record* record = at->chains[relay_hash(name) % RELAY_CHAINS];
    while (record && strcmp(record->name, name) != 0) record = record->chain;
    return record;
}

relay_record* relay_reach(relay* at, const char* name)
{
    relay_record* record = relay_find(at, name);
    if (record) return record;
    record = calloc(1, sizeof(*record) + strlen(name) + 1);
    if (!record) return NULL;
    memcpy(record->name, name, strlen(name) + 1);
    record->waits_end = &record->waits;
    record->held_end = &record->held;
    record->used_us = at->now_us;
    relay_record** head = &at->chains[relay_hash(name) % RELAY_CHAINS];
    record->chain = *head;
    *head = record;
    record->next = at->first;
    if (at->first) at->first->before = record;
    at->first = record;
    return record;
}

void relay_set_owned(relay* at, relay_record* record, bool owned)
{
    at->figures.owned += owned && !record->owned;
    at->figures.owned -= !owned && record->owned;
    record->owned = owned;
}

/* Without its topic, and whoever waits for it. */
void relay_drop(relay* at, relay_record* record)
{
    relay_record** link = &at->chains[relay_hash(record->name) % RELAY_CHAINS];
    while (*link != record) link = &(*link)->chain;
    *link = record->chain;
    if (record->before) {
        record->before->next = record->next;
    } else {
        at->first = record->next;
    }
    if (record->next) record->next->before = record->before;
    if (at->cursor == record) at->cursor = record->next;
    relay_set_owned(at, record, false);
    while (record->waits) {
        relay_wait* wait = record->waits;
        record->waits = wait->next;
        free(wait);
    }
    while (record->held) {
        relay_held* held = record->held;
        record->held = held->next;
        at->figures.held--;
        free(held);
    }
    free(record->followers);
    free(record);
}

void relay_forget(relay* at, const topics_topic* topic)
{
    relay_record* record = at ? relay_find(at, topics_name(topic)) : NULL;
    if (!record || record->topic != topic) return;
    record->topic = NULL;
    at->topics--;
    record->synced = false;
    relay_set_owned(at, record, false); /* nobody follows a topic that is forgotten: following touches it */
    if (!record->waits && !record->held) relay_drop(at, record);
}

bool relay_open(relay* at, relay_record* record)
{
    if (record->topic) return true;
    if (topics_open(at->config.hub, record->name, &record->topic) != NECPNET_OK) return false;
    at->topics++;
    return true;
}

/* ------------------------------------------------------------------------------------------------------ sending -- */

void relay_send(relay* at, uint64_t to, const relay_message* message)
{
    text out;
    text_begin_growing(&out);
    relay_write(&out, message);
    if (!out.failed) at->config.send(to, out.to, out.bytes, at->config.user);
    text_end(&out);
}

relay_message relay_about(const relay* at, relay_kind kind, const char* name)
{
    relay_message message = {.kind = kind, .origin = at->config.self.origin};
    memcpy(message.name, name, strlen(name) + 1);
    return message;
}

void relay_say_all(relay* at, relay_kind kind)
{
    relay_message message = relay_about(at, kind, "");
    message.number = at->view;
    for (uint32_t i = 1; i < at->node_count; i++) relay_send(at, at->nodes[i].origin, &message);
}

/* What the history holds after a position; all of it where the position is of another counting. At least one message. Returns
 * their bytes. */
size_t relay_send_history(relay* at, uint64_t to, relay_kind kind, const relay_record* record,
                          const topics_position* since)
{
    relay_message message = relay_about(at, kind, record->name);
    topics_position newest = topics_get_position(record->topic);
    uint64_t next = topics_oldest(record->topic);
    if (since && since->epoch == newest.epoch && since->offset + 1 >= next && since->offset <= newest.offset)
        next = since->offset + 1;
    size_t sent = 0;
    message.position = newest;
    do {
        text items;
        topics_message item;
        text_begin_growing(&items);
        message.base = next - 1;
        while (items.bytes < RELAY_PART_BYTES && topics_read(record->topic, next, &item)) {
            relay_put_item(&items, item.binary, item.binary_bytes);
            next++;
        }
        message.data = (const uint8_t*)items.to;
        message.bytes = items.bytes;
        if (!items.failed) relay_send(at, to, &message);
        sent += sizeof(message) + items.bytes;
        text_end(&items);
    } while (next <= newest.offset);
    return sent;
}

uint64_t relay_owner_of(const relay* at, const char* name)
{
    uint32_t index = routing_find(at->table, relay_hash(name));
    return index < at->node_count ? at->nodes[at->owners[index]].origin : at->config.self.origin;
}

bool relay_is_mine(const relay* at, const char* name)
{
    return relay_owner_of(at, name) == at->config.self.origin;
}

void relay_follow(relay* at, relay_record* record)
{
    uint64_t owner = relay_owner_of(at, record->name);
    relay_message message = relay_about(at, RELAY_FOLLOW, record->name);
    record->asked_us = at->now_us;
    if (owner == at->config.self.origin) return; /* it is about to come */
    if (record->topic) message.position = topics_get_position(record->topic);
    relay_send(at, owner, &message);
}

/* ---------------------------------------------------------------------------------------------------- answering -- */

/* The topic is here: whoever waits may subscribe. */
void relay_answer_waits(relay* at, relay_record* record, relay_result result)
{
    relay_wait* wait = record->waits;
    topics_position position = {0, 0};
    if (record->topic) position = topics_get_position(record->topic);
    record->waits = NULL;
    record->waits_end = &record->waits;
    while (wait) {
        relay_wait* next = wait->next;
        at->config.answer(wait->ticket, result, position, at->config.user);
        free(wait);
        wait = next;
    }
}

void relay_finish(relay* at, uint64_t number, relay_result result, topics_position position)
{
    relay_request** link = &at->requests;
    while (*link && (*link)->number != number) link = &(*link)->next;
    relay_request* request = *link;
    if (!request) return;
    *link = request->next;
    if (!request->next) at->requests_end = link;
    at->request_count--;
    if (result != RELAY_DONE) at->figures.unanswered++;
    at->config.answer(request->ticket, result, position, at->config.user);
    free(request);
}

void relay_tell_taken(relay* at, const relay_message* request, relay_result result, topics_position position)
{
    if (!request->code) return;
    if (request->origin == at->config.self.origin) {
        relay_finish(at, request->number, result, position);
        return;
    }
    relay_message message = relay_about(at, RELAY_TAKEN, "");
    message.number = request->number;
    message.code = (uint8_t)result;
    message.position = position;
    relay_send(at, request->origin, &message);
}

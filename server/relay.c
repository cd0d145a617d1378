/* relay - topics over several nodes: what this node asks for, what others say, time. */
#include "relay_inside.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------------------------- from this node -- */

/* Remembers a publish until it is answered. NULL: no room. */
static relay_request* relay_ask(relay* at, relay_message* message, uint64_t owner, void* ticket)
{
    text out;
    relay_request* request = NULL;
    if (at->request_count >= RELAY_REQUESTS_MAX) return NULL;
    message->code = 1;
    text_begin_growing(&out);
    relay_write(&out, message);
    if (!out.failed) request = calloc(1, sizeof(*request) + out.bytes);
    if (request) {
        request->number = message->number;
        request->owner = owner;
        request->at_us = at->now_us;
        request->ticket = ticket;
        request->bytes = out.bytes;
        memcpy(request->message, out.to, out.bytes);
        *at->requests_end = request;
        at->requests_end = &request->next;
        at->request_count++;
    }
    text_end(&out);
    return request;
}

bool relay_publish(relay* at, const char* topic, const void* message, size_t bytes, void* ticket, uint64_t now_us)
{
    uint64_t owner = relay_owner_of(at, topic);
    at->now_us = now_us;
    if (relay_counts(at, topic)) return true;
    if (owner == at->config.self.origin && at->settled) { /* no room for the topic */
        if (ticket) at->config.answer(ticket, RELAY_REFUSED, (topics_position){0, 0}, at->config.user);
        return false;
    }
    relay_message sent = relay_about(at, RELAY_PUBLISH, topic);
    sent.number = ++at->number;
    sent.data = message;
    sent.bytes = bytes;
    if (ticket && !relay_ask(at, &sent, owner, ticket)) {
        at->config.answer(ticket, RELAY_REFUSED, (topics_position){0, 0}, at->config.user);
    } else {
        relay_send_publish(at, owner, &sent);
    }
    return false;
}

bool relay_counts(relay* at, const char* topic)
{
    if (!relay_is_mine(at, topic)) return false;
    relay_record* record = relay_reach(at, topic);
    if (!record || (!at->settled && (!record->owned || record->fresh))) return false;
    return record->owned || relay_own(at, record);
}

bool relay_has(relay* at, const char* topic)
{
    const relay_record* record = relay_find(at, topic);
    if (record && (record->owned || (record->topic && record->synced))) return true;
    return relay_counts(at, topic);
}

bool relay_subscribe(relay* at, const char* topic, void* ticket, uint64_t now_us)
{
    at->now_us = now_us;
    relay_record* record = relay_reach(at, topic);
    relay_wait* wait = NULL;
    if (record) {
        record->used_us = now_us;
        if (record->owned || (record->topic && record->synced)) return true;
        bool mine = relay_is_mine(at, topic) && at->settled;
        if (mine && relay_own(at, record)) return true;
        if (!mine) wait = calloc(1, sizeof(*wait));
    }
    if (!wait) {
        at->config.answer(ticket, RELAY_REFUSED, (topics_position){0, 0}, at->config.user);
        return false;
    }
    *wait = (relay_wait){.ticket = ticket, .at_us = now_us};
    bool first = !record->waits;
    *record->waits_end = wait;
    record->waits_end = &wait->next;
    if (first) relay_follow(at, record);
    return false;
}

/* A request by a table that this node is still to make: passed on by the present one it could overtake those that its node sent by that. It
 * is held until the table is here. */
static bool relay_hold_early(relay* at, uint64_t from, const relay_message* message)
{
    if (!at->settled || message->hops > 0 || relay_is_mine(at, message->name)) return false;
    relay_record* record = relay_find(at, message->name);
    if ((record && record->owned) || relay_place_of(at, from)->seen == at->view) return false;
    record = relay_reach(at, message->name);
    if (!record) return false;
    if (!record->held) record->used_us = at->now_us;
    relay_hold(at, record, message);
    return true;
}

void relay_hear(relay* at, uint64_t from, const void* data, size_t bytes, uint64_t now_us)
{
    relay_message message;
    relay_record* record;
    if (from == at->config.self.origin || at->leaving || !relay_read(data, bytes, &message)) return;
    at->now_us = now_us;
    switch (message.kind) {
    case RELAY_SEEN:
        relay_place_of(at, from)->seen = message.number;
        relay_advance(at);
        break;
    case RELAY_SETTLED:
        relay_place_of(at, from)->settled = message.number;
        relay_advance(at);
        break;
    case RELAY_PUBLISH:
    case RELAY_FOLLOW:
        /* A publish of this node may come back, because it owns the topic by now. */
        if (relay_hold_early(at, from, &message)) break;
        if (message.kind == RELAY_PUBLISH || message.origin != at->config.self.origin) relay_obey(at, &message);
        break;
    case RELAY_TAKEN: relay_finish(at, message.number, (relay_result)message.code, message.position); break;
    case RELAY_UNFOLLOW:
        record = relay_find(at, message.name);
        if (record) relay_remove_follower(record, message.origin);
        break;
    case RELAY_WHOLE: relay_hear_whole(at, &message); break;
    case RELAY_MESSAGE: relay_hear_message(at, &message); break;
    case RELAY_HAND: relay_hear_hand(at, &message); break;
    case RELAY_LEFT:
        at->gone_in_order = from;
        at->config.left(from, at->config.user);
        at->gone_in_order = 0;
        break;
    case RELAY_KINDS: break;
    }
}

/* --------------------------------------------------------------------------------------------------------- time -- */

static void relay_sweep_record(relay* at, relay_record* record)
{
    if (record->waits && at->now_us >= record->waits->at_us + RELAY_DEADLINE_US) {
        relay_answer_waits(at, record, RELAY_LATE);
    }
    if (record->held && at->settled && at->now_us >= record->used_us + RELAY_SEEN_US)
        relay_release_held(at, record); /* no other table came */
    if (record->owned) {
        uint64_t owner = relay_owner_of(at, record->name);
        if (record->follower_count) topics_touch(record->topic, at->now_us);
        /* Handed over by a node that knew another table. Not at once: news of that table may be under way. */
        if (owner != at->config.self.origin && at->settled && at->now_us >= record->used_us + RELAY_SEEN_US)
            (void)relay_hand(at, record, owner);
        return;
    }
    if (!record->topic && !record->waits && !record->held) {
        relay_drop(at, record);
        return;
    }
    if (record->topic && topics_subscribers(record->topic) > 0) record->used_us = at->now_us;
    if (!record->waits && record->topic && at->settled && at->now_us >= record->used_us + RELAY_IDLE_US) {
        relay_message over = relay_about(at, RELAY_UNFOLLOW, record->name);
        relay_send(at, relay_owner_of(at, record->name), &over);
        topics_close(at->config.hub, record->topic); /* and relay_forget */
        return;
    }
    uint64_t pause_us = record->waits || !record->synced ? RELAY_ASK_US : RELAY_KEEP_US;
    if (at->now_us >= record->asked_us + pause_us) relay_follow(at, record);
}

void relay_work(relay* at, uint64_t now_us)
{
    at->now_us = now_us;
    if (!at->settled) relay_advance(at);
    if (now_us < at->swept_us + RELAY_SWEEP_US) return;
    at->swept_us = now_us;
    while (at->requests && now_us >= at->requests->at_us + RELAY_DEADLINE_US) {
        relay_finish(at, at->requests->number, RELAY_LATE, (topics_position){0, 0});
    }
    if (!at->cursor) at->cursor = at->first;
    for (uint32_t i = 0; i < RELAY_SWEEP_RECORDS && at->cursor; i++) {
        relay_record* record = at->cursor;
        at->cursor = record->next;
        relay_sweep_record(at, record);
    }
}

/* --------------------------------------------------------------------------------------------------------- life -- */

const char* relay_owner(const relay* at, const char* key)
{
    uint32_t index = routing_find(at->table, relay_hash(key));
    return at->nodes[index < at->node_count ? at->owners[index] : 0].name;
}

uint64_t relay_owner_origin(const relay* at, const char* key)
{
    return relay_owner_of(at, key);
}

bool relay_is_settled(const relay* at)
{
    return at->settled;
}

void relay_get_figures(const relay* at, relay_figures* out_figures)
{
    *out_figures = at->figures;
    out_figures->nodes = at->node_count;
    out_figures->followed = at->topics - at->figures.owned;
}

necpnet_result relay_create(const relay_config* config, uint64_t now_us, relay** out_relay)
{
    relay* at = calloc(1, sizeof(*at));
    if (!at) return NECPNET_ERR_OUT_OF_MEMORY;
    at->config = *config;
    at->began_us = now_us;
    at->requests_end = &at->requests;
    at->strangers = calloc(RELAY_STRANGERS, sizeof(at->strangers[0]));
    necpnet_result result = at->strangers ? NECPNET_OK : NECPNET_ERR_OUT_OF_MEMORY;
    if (result == NECPNET_OK) result = routing_create(ROUTING_SLOTS_SMALL, &at->table);
    if (result == NECPNET_OK) result = relay_set_nodes(at, &config->self, 1, now_us);
    if (result == NECPNET_OK) {
        *out_relay = at;
    } else {
        relay_destroy(at);
    }
    return result;
}

void relay_destroy(relay* at)
{
    if (!at) return;
    while (at->first) relay_drop(at, at->first);
    while (at->requests) {
        relay_request* request = at->requests;
        at->requests = request->next;
        free(request);
    }
    routing_destroy(at->table);
    free(at->nodes);
    free(at->owners);
    free(at->strangers);
    free(at);
}

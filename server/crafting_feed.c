/* crafting_feed - the wheel of followers, and what each is told in its turn. */
#include "crafting_feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crafting_feed_inside.h"
#include "crafting_json.h"

/* ------------------------------------------------------------------------------------------------------- wheel -- */

static void feed_unschedule(feed_follower* one)
{
    if (!one->slot_link) return;
    *one->slot_link = one->slot_next;
    if (one->slot_next) one->slot_next->slot_link = one->slot_link;
    one->slot_link = NULL;
}

/* Its turn: at due_us, or as late as the wheel goes; never in a millisecond that has passed. */
static void feed_schedule(crafting_feed* at, feed_follower* one)
{
    uint64_t ms = one->due_us / 1000u;
    feed_unschedule(one);
    if (ms <= at->wheel_ms) ms = at->wheel_ms + 1;
    if (ms > at->wheel_ms + FEED_SLOTS - 1) ms = at->wheel_ms + FEED_SLOTS - 1;
    feed_follower** head = &at->slots[ms % FEED_SLOTS];
    one->slot_next = *head;
    one->slot_link = head;
    if (*head) (*head)->slot_link = &one->slot_next;
    *head = one;
}

static void feed_hurry(crafting_feed* at, feed_follower* one)
{
    one->due_us = at->now_us;
    feed_schedule(at, one);
}

/* ---------------------------------------------------------------------------------------------------- followers -- */

static feed_follower** feed_head(crafting_feed* at, const char* key)
{
    uint32_t hash = 0x811c9dc5u;
    for (; *key; key++) hash = (hash ^ (uint8_t)*key) * 0x01000193u;
    return &at->heads[(hash ^ hash >> 15) % FEED_HEADS];
}

/* What it follows: a session's id, or a player. */
static const char* feed_key(const feed_follower* one)
{
    return one->session ? crafting_session_id(one->session) : one->player;
}

feed_follower* feed_add(crafting_feed* at, crafting_session* session, const char* player, uint32_t hz)
{
    size_t bytes = session ? 0 : strlen(player) + 1;
    feed_follower* one = calloc(1, sizeof(*one) + bytes);
    if (!one) return NULL;
    one->owner = at;
    one->session = session;
    if (!session) memcpy(one->player, player, bytes);
    one->period_us = session ? 1000000u / hz : CRAFTING_WHOLE_US;
    feed_follower** head = feed_head(at, feed_key(one));
    one->chain = *head;
    *head = one;
    at->figures.followers++;
    /* Where many begin at once their turns are spread over their period, each its own place. */
    one->phase_us = at->spread = (at->spread + 7919u * 16u) % one->period_us;
    feed_hurry(at, one);
    return one;
}

void feed_remove(feed_follower* one)
{
    crafting_feed* at = one->owner;
    feed_follower** link = feed_head(at, feed_key(one));
    while (*link != one) link = &(*link)->chain;
    *link = one->chain;
    feed_unschedule(one);
    if (one->session) crafting_release(at->all, one->session);
    if (at->current == one) at->current = NULL;
    at->figures.followers--;
    free(one);
}

/* --------------------------------------------------------------------------------------------------------- tell -- */

static bool feed_has_room(const feed_follower* one)
{
    return !one->connection || necpnet_web_pending(one->connection) < CRAFTING_PENDING_BYTES_MAX;
}

/* A message as JSON: on a WebSocket of its own as it is, else as the params of crafting.changed. */
static bool feed_send_json(feed_follower* one, const text* message)
{
    crafting_feed* at = one->owner;
    bool taken = false;
    at->queued = true;
    if (message->failed) return false;
    at->figures.bytes += message->bytes;
    if (one->connection) {
        at->figures.updates[0]++;
        return necpnet_web_send(one->connection, NECPNET_WEB_TEXT, message->to, message->bytes) == NECPNET_OK;
    }
    text wrapped;
    char buffer[FEED_MESSAGE_BYTES + 96];
    text_begin(&wrapped, buffer, sizeof(buffer));
    text_put(&wrapped, "{\"jsonrpc\":\"2.0\",\"method\":\"crafting.changed\",\"params\":");
    text_put_bytes(&wrapped, message->to, message->bytes);
    text_put(&wrapped, "}");
    at->figures.updates[1]++;
    if (!wrapped.failed) taken = one->sink.send_json(one->sink.to, wrapped.to, wrapped.bytes);
    return taken;
}

static bool feed_send_packet(feed_follower* one, const uint8_t* packet, size_t bytes, bool reliable)
{
    crafting_feed* at = one->owner;
    at->queued = true;
    at->figures.updates[2]++;
    at->figures.bytes += bytes;
    return one->sink.send_packet(one->sink.to, packet, bytes, reliable);
}

static crafting_packet_header feed_header(feed_follower* one, crafting_packet_kind kind)
{
    return (crafting_packet_header){.kind = kind, .follow = one->number, .sequence = (uint16_t)++one->sequence};
}

/* UdpProgressUpdate: a change is told reliably, all else may be lost. */
static bool feed_tell_packet(feed_follower* one, const crafting_course* course, bool whole, bool changed)
{
    crafting_feed* at = one->owner;
    uint8_t packet[CRAFTING_PACKET_BYTES_MAX];
    crafting_packet_header header = feed_header(one, whole ? CRAFTING_PROGRESS_WHOLE : CRAFTING_PROGRESS_DELTA);
    uint64_t now_us = crafting_now(at->all), time_us = necpnet_time_us();
    size_t bytes = whole ? crafting_pack_whole(packet, &header, course, now_us, time_us, &one->base)
                         : crafting_pack_delta(packet, &header, course, now_us, time_us, &one->base);
    return feed_send_packet(one, packet, bytes, changed);
}

/* WebSocketCraftingMessage. */
static bool feed_tell_json(feed_follower* one, const crafting_course* course, bool whole)
{
    char buffer[FEED_MESSAGE_BYTES];
    text out;
    uint64_t now_us = crafting_now(one->owner->all);
    text_begin(&out, buffer, sizeof(buffer));
    crafting_put_message_head(&out, "progress", "session_id", crafting_session_id(one->session), ++one->sequence,
                              now_us, whole);
    text_put(&out, ",\"progress\":");
    crafting_put_progress(&out, course, now_us, !whole);
    text_put(&out, "}");
    return feed_send_json(one, &out);
}

/* All materials at first and with a whole update, else those that changed since what it was told. */
static bool feed_tell_materials(feed_follower* one, bool whole)
{
    crafting_feed* at = one->owner;
    crafting_view view;
    uint32_t changed = 0;
    crafting_view_of(at->all, one->session, &view);
    for (uint32_t i = 0; i < view.material_count; i++) {
        if (whole || one->amounts[i] != view.materials[i].available) changed |= UINT32_C(1) << i;
    }
    bool taken = true;
    if (changed && one->sink.send_packet) {
        uint8_t packet[CRAFTING_PACKET_BYTES_MAX];
        crafting_packet_header header = feed_header(one, whole ? CRAFTING_MATERIALS_WHOLE : CRAFTING_MATERIALS_DELTA);
        size_t bytes = crafting_pack_materials(packet, &header, view.materials, view.material_count, changed);
        taken = feed_send_packet(one, packet, bytes, true);
    } else if (changed) {
        char buffer[FEED_MESSAGE_BYTES];
        text out;
        text_begin(&out, buffer, sizeof(buffer));
        crafting_put_message_head(&out, "materials", "session_id", view.id, ++one->sequence, crafting_now(at->all),
                                  whole);
        text_put(&out, ",\"materials\":");
        crafting_put_materials(&out, view.materials, view.material_count, changed);
        text_put(&out, "}");
        taken = feed_send_json(one, &out);
    }
    if (!taken || !at->current) return false;
    one->material_version = view.material_version;
    for (uint32_t i = 0; i < view.material_count; i++) one->amounts[i] = view.materials[i].available;
    return true;
}

/* WebSocketQueueMessage. */
static void feed_tell_queue(feed_follower* one)
{
    crafting_feed* at = one->owner;
    text out;
    text_begin_growing(&out);
    crafting_put_message_head(&out, "queue", "player_id", one->player, ++one->sequence, crafting_now(at->all), true);
    text_put(&out, ",\"queue\":");
    crafting_put_queue(&out, at->all, one->player);
    text_put(&out, "}");
    (void)feed_send_json(one, &out);
    text_end(&out);
}

static void feed_tell_gone(feed_follower* one)
{
    char buffer[FEED_MESSAGE_BYTES];
    text out;
    text_begin(&out, buffer, sizeof(buffer));
    crafting_put_message_head(&out, "gone", "session_id", crafting_session_id(one->session), ++one->sequence,
                              crafting_now(one->owner->all), true);
    text_put(&out, "}");
    (void)feed_send_json(one, &out);
}

/* -------------------------------------------------------------------------------------------------------- turns -- */

static void feed_close(feed_follower* one, int code, const char* why)
{
    one->closing = true;
    one->owner->queued = true;
    if (one->connection) (void)necpnet_web_close(one->connection, code, why);
}

/* One that follows a session. */
static void feed_take_session(feed_follower* one, const crafting_course* course, uint32_t material_version)
{
    crafting_feed* at = one->owner;
    bool changed = one->version != course->version;
    bool whole = changed || at->now_us >= one->whole_us;
    bool taken = true;
    if (whole || course->status == CRAFTING_ACTIVE) {
        taken =
            one->sink.send_packet ? feed_tell_packet(one, course, whole, changed) : feed_tell_json(one, course, whole);
    }
    if (!at->current || !taken) return; /* it ended, or takes no more: again in its next turn */
    one->version = course->version;
    if (whole) one->whole_us = at->now_us + CRAFTING_WHOLE_US;
    if (one->material_version != material_version) (void)feed_tell_materials(one, one->material_version == 0);
}

static void feed_take_turn(crafting_feed* at, feed_follower* one)
{
    crafting_course course = {.status = CRAFTING_QUEUED};
    uint32_t material_version;
    bool moves = false;
    if (one->closing) return;
    if (one->due_us / 1000u > at->wheel_ms) { /* farther than the wheel goes */
        feed_schedule(at, one);
        return;
    }
    at->current = one;
    if (one->expires_us && crafting_now(at->all) >= one->expires_us) {
        feed_close(one, FEED_CLOSE_EXPIRED, "the JWT has expired");
    } else if (!feed_has_room(one)) {
        at->figures.skipped++;
        moves = true;
    } else if (!one->session) {
        feed_tell_queue(one);
    } else if (!crafting_look(at->all, one->session, &course, &material_version)) {
        feed_tell_gone(one);
        if (at->current) feed_close(one, 1000, "the crafting session is gone");
    } else {
        feed_take_session(one, &course, material_version);
        moves = course.status == CRAFTING_ACTIVE;
    }
    if (!at->current || one->closing) return;
    at->current = NULL;
    /* One that stands still is looked at when there is news of it, and for the whole once in a while. */
    uint64_t period_us = moves || !one->session ? one->period_us : FEED_STILL_US;
    one->due_us += period_us;
    if (one->due_us <= at->now_us) /* turns were missed; each keeps its place among the others */
        one->due_us += ((at->now_us - one->due_us) / period_us + 1) * period_us;
    if (one->phase_us) { /* the first one came at once; from now on in its own place */
        if (moves) one->due_us = at->now_us + 1000u + one->phase_us;
        one->phase_us = 0;
    }
    feed_schedule(at, one);
}

static void feed_take_slots(crafting_feed* at)
{
    uint64_t now_ms = at->now_us / 1000u;
    uint32_t turns = 0;
    for (;;) {
        feed_follower** head = &at->slots[at->wheel_ms % FEED_SLOTS];
        while (*head) {
            feed_follower* one = *head;
            if (turns++ == FEED_TURNS_MAX) return; /* the rest once these are on their way */
            feed_unschedule(one);
            feed_take_turn(at, one);
        }
        if (at->wheel_ms >= now_ms) return;
        at->wheel_ms++;
    }
}

static void feed_take_news(crafting_feed* at)
{
    crafting_news news;
    uint64_t lost = 0;
    while (crafting_read_news(at->all, at->listener, &news, &lost)) {
        for (int i = 0; lost && i < FEED_HEADS; i++) {
            for (feed_follower* one = at->heads[i]; one; one = one->chain) feed_hurry(at, one);
        }
        const char* keys[2] = {news.id, news.player};
        for (int i = 0; i < 2; i++) {
            for (feed_follower* one = *feed_head(at, keys[i]); one; one = one->chain) {
                bool queue = i == 1 && !one->session;
                if ((queue || (i == 0 && one->session)) && strcmp(feed_key(one), keys[i]) == 0) feed_hurry(at, one);
            }
        }
        if (at->index == 0) at->announce(at->announce_user, &news);
    }
}

bool crafting_feed_work(crafting_feed* at, uint64_t now_us)
{
    at->now_us = now_us;
    if (at->index == 0) at->turn_us = crafting_turn(at->all);
    feed_take_news(at);
    feed_take_slots(at);
    bool queued = at->queued;
    at->queued = false;
    return queued;
}

uint64_t crafting_feed_next_us(const crafting_feed* at, uint64_t until_us)
{
    uint64_t next_us = UINT64_MAX;
    if (at->slots[at->wheel_ms % FEED_SLOTS]) return 0; /* it was not done with them */
    if (at->index == 0 && at->turn_us != CRAFTING_UNKNOWN) {
        uint64_t now_us = crafting_now(at->all);
        next_us = at->now_us + (at->turn_us > now_us ? at->turn_us - now_us : 0);
    }
    for (uint64_t ms = at->wheel_ms + 1; ms * 1000u < until_us && ms < at->wheel_ms + FEED_SLOTS; ms++) {
        if (!at->slots[ms % FEED_SLOTS]) continue;
        return next_us < ms * 1000u ? next_us : ms * 1000u;
    }
    return next_us;
}

/* -------------------------------------------------------------------------------------------------- the gateway's -- */

static feed_follower* feed_of_list(feed_follower* list, const char* id)
{
    while (list && strcmp(feed_key(list), id) != 0) list = list->mine;
    return list;
}

necpnet_result crafting_feed_follow(crafting_feed* at, const crafting_sink* sink, feed_follower** list, const char* id,
                                    uint32_t hz, uint32_t* out_number)
{
    uint64_t taken = 0;
    uint32_t number = 0;
    feed_follower* one = feed_of_list(*list, id);
    if (one && one->closing) { /* it was forgotten; there may be another with its id */
        (void)crafting_feed_unfollow(at, list, id);
        one = NULL;
    }
    if (one) {
        one->period_us = 1000000u / hz;
        one->version = one->material_version = 0; /* all again */
        feed_hurry(at, one);
        *out_number = one->number;
        return NECPNET_OK;
    }
    for (one = *list; one; one = one->mine) taken |= UINT64_C(1) << one->number;
    while (number < CRAFTING_FOLLOWS_MAX && taken >> number & 1) number++;
    if (number == CRAFTING_FOLLOWS_MAX) return NECPNET_ERR_LIMIT_REACHED;
    crafting_session* session = crafting_hold(at->all, id);
    if (!session) return NECPNET_ERR_NOT_FOUND;
    one = feed_add(at, session, NULL, hz);
    if (!one) {
        crafting_release(at->all, session);
        return NECPNET_ERR_OUT_OF_MEMORY;
    }
    one->sink = *sink;
    one->number = (uint8_t)number;
    one->mine = *list;
    *list = one;
    *out_number = number;
    return NECPNET_OK;
}

necpnet_result crafting_feed_unfollow(crafting_feed* at, feed_follower** list, const char* id)
{
    (void)at;
    for (feed_follower* one; (one = *list) != NULL; list = &one->mine) {
        if (strcmp(feed_key(one), id) != 0) continue;
        *list = one->mine;
        feed_remove(one);
        return NECPNET_OK;
    }
    return NECPNET_ERR_NOT_FOUND;
}

void crafting_feed_drop_all(crafting_feed* at, feed_follower** list)
{
    (void)at;
    while (*list) {
        feed_follower* one = *list;
        *list = one->mine;
        feed_remove(one);
    }
}

const feed_follower* crafting_feed_next(feed_follower* const* list, const feed_follower* after, const char** out_id,
                                        uint32_t* out_hz)
{
    const feed_follower* one = after ? after->mine : *list;
    if (!one) return NULL;
    *out_id = feed_key(one);
    *out_hz = 1000000u / one->period_us;
    return one;
}

void crafting_feed_move(crafting_feed* at, feed_follower** from, feed_follower** to, const crafting_sink* sink)
{
    crafting_feed_drop_all(at, to);
    *to = *from;
    *from = NULL;
    for (feed_follower* one = *to; one; one = one->mine) {
        one->sink = *sink;
        one->version = one->material_version = 0;
        feed_hurry(at, one);
    }
}

/* -------------------------------------------------------------------------------------------------------- life -- */

void crafting_feed_drain(crafting_feed* at)
{
    at->draining = true;
    for (int i = 0; i < FEED_HEADS; i++) {
        for (feed_follower* one = at->heads[i]; one; one = one->chain) {
            if (one->connection && !one->closing) feed_close(one, 1001, "the server is shutting down");
        }
    }
}

void crafting_feed_get_figures(const crafting_feed* at, board_crafting* out_figures)
{
    *out_figures = at->figures;
}

necpnet_result crafting_feed_create(services* known, necpnet_loop* loop, int index,
                                    void (*announce)(void* user, const crafting_news* news), void* announce_user,
                                    crafting_feed** out_feed)
{
    crafting_feed* at = calloc(1, sizeof(*at));
    if (!at) return NECPNET_ERR_OUT_OF_MEMORY;
    at->known = known;
    at->all = known->crafts;
    at->index = index;
    at->announce = announce;
    at->announce_user = announce_user;
    at->turn_us = CRAFTING_UNKNOWN;
    at->now_us = necpnet_time_us();
    at->wheel_ms = at->now_us / 1000u;
    at->listener = crafting_listen(at->all, loop);
    feed_begin_sockets(at);
    *out_feed = at;
    if (at->listener >= 0) return NECPNET_OK;
    crafting_feed_destroy(at);
    return NECPNET_ERR_LIMIT_REACHED;
}

void crafting_feed_destroy(crafting_feed* at)
{
    if (!at) return;
    crafting_stop_listening(at->all, at->listener);
    for (int i = 0; i < FEED_HEADS; i++) {
        while (at->heads[i]) feed_remove(at->heads[i]);
    }
    free(at);
}

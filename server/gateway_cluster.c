/* gateway_cluster - workers and nodes hear each other over the bus: topics, presence, who is where, who is alive.
 *
 * Every worker is a node. A topic is counted by one of them, and followed by those that have subscribers (relay.h). Presence goes as
 * others see it: an invisible player is offline on the bus as well. A node that says nothing for CLUSTER_SILENCE_US is dropped
 * with its players.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway_inside.h"
#include "log.h"
#include "routing.h"

#define CLUSTER_ALIVE_US 2000000u
#define CLUSTER_SILENCE_US 10000000u
#define CLUSTER_NODES_MAX RELAY_NODES_MAX
#define CLUSTER_CHAINS 4096
#define CLUSTER_NAME_BYTES RELAY_NAME_BYTES

/* Bus topics; the origin's 8 bytes begin every message. */
#define CLUSTER_PRESENCE "necpnet.presence"
#define CLUSTER_ALIVE "necpnet.alive"
#define CLUSTER_WHO "necpnet.who"
#define CLUSTER_HERE "necpnet.here"
#define CLUSTER_LOGIN "necpnet.login"
#define CLUSTER_DRAINS "necpnet.drains"         /* its origin is about to go */
#define CLUSTER_NODE "necpnet.node.%016" PRIx64 /* to one node's relay and moves; good byes go this way, too */

typedef struct cluster_node {
    uint64_t origin;
    uint64_t heard_us;
    bool leaves;
    char name[CLUSTER_NAME_BYTES];
} cluster_node;

/* A player on another node. */
typedef struct cluster_player {
    struct cluster_player* next;
    uint64_t client_id;
    uint64_t origin;
    uint64_t stamp; /* of its last login there */
    uint32_t here;  /* sessions that are connected; */
    uint32_t calls; /* those of JSON-RPC among them */
    uint32_t kept;  /* with those that may be resumed */
    bool shown;     /* counts as one connection in presence here */
} cluster_player;

/* How many sessions a player has on a node: the bytes of HERE. */
typedef struct cluster_count {
    uint64_t client_id;
    uint64_t stamp;
    uint32_t here;
    uint32_t calls;
    uint32_t kept;
    uint32_t unused;
} cluster_count;

typedef struct cluster_login {
    uint64_t client_id;
    uint64_t stamp;
} cluster_login;

struct gateway_cluster {
    gateway* owner;
    bus_subscription* subscription;
    bus_subscription* own; /* what is for this node's relay */
    uint64_t origin;       /* also the player that watches all of this node */
    uint64_t said_us;
    cluster_node nodes[CLUSTER_NODES_MAX]; /* the first is this one */
    uint32_t node_count;
    relay* machine;
    moves* sessions;
    uint64_t stamp; /* the last login that was heard of */
    cluster_player* players[CLUSTER_CHAINS];
    char name[CLUSTER_NAME_BYTES];
};

static void cluster_say(const struct gateway_cluster* cluster, const char* topic, const void* data, size_t bytes)
{
    text out;
    text_begin_growing(&out);
    text_put_bytes(&out, &cluster->origin, sizeof(cluster->origin));
    text_put_bytes(&out, data, bytes);
    if (!out.failed) (void)bus_publish(cluster->owner->known->events, topic, out.to, out.bytes);
    text_end(&out);
}

/* ----------------------------------------------------------------------------------------------------- nodes -- */

static void cluster_route(struct gateway_cluster* cluster)
{
    relay_node known[CLUSTER_NODES_MAX];
    for (uint32_t i = 0; i < cluster->node_count; i++)
        known[i] = (relay_node){
            .origin = cluster->nodes[i].origin, .name = cluster->nodes[i].name, .leaves = cluster->nodes[i].leaves};
    if (relay_set_nodes(cluster->machine, known, cluster->node_count, cluster->owner->now_us) != NECPNET_OK) {
        LOG(NECPNET_LOG_ERROR, "routing_failed", "two nodes have one name: give each its own server_id", LOG_END);
    }
}

static void cluster_put_name(const struct gateway_cluster* cluster, text* out, uint64_t origin)
{
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        if (cluster->nodes[i].origin != origin) continue;
        text_json(out, cluster->nodes[i].name);
        return;
    }
    text_put(out, "null");
}

static void cluster_hide(struct gateway_cluster* cluster, cluster_player* player)
{
    if (player->shown) (void)necpnet_presence_disconnect(cluster->owner->presence, player->client_id, false);
    player->shown = false;
}

/* Its node is gone: without a session anywhere it leaves its groups. */
static void cluster_lose_player(gateway* at, uint64_t client_id)
{
    if (!groups_of(at->parties, client_id, NULL) || gateway_cluster_keeps_player(at, client_id, 0)) return;
    for (const gateway_session* session = gateway_first_of(at, client_id); session; session = session->chain) {
        if (session->client_id == client_id && session->greeted) return;
    }
    gateway_group_gone(at, client_id);
}

static void cluster_drop_node(struct gateway_cluster* cluster, uint32_t at)
{
    uint64_t origin = cluster->nodes[at].origin;
    LOG(NECPNET_LOG_WARNING, "node_left", cluster->nodes[at].name, LOG_NUMBER("nodes", cluster->node_count - 1),
        LOG_END);
    cluster->nodes[at] = cluster->nodes[--cluster->node_count];
    cluster_route(cluster);
    moves_lose_node(cluster->sessions, origin);
    for (int i = 0; i < CLUSTER_CHAINS; i++) {
        cluster_player** link = &cluster->players[i];
        while (*link) {
            cluster_player* player = *link;
            if (player->origin != origin) {
                link = &player->next;
                continue;
            }
            uint64_t client_id = player->client_id;
            cluster_hide(cluster, player);
            *link = player->next;
            free(player);
            cluster_lose_player(cluster->owner, client_id);
        }
    }
}

static void cluster_hear_alive(struct gateway_cluster* cluster, uint64_t origin, const uint8_t* data, size_t bytes)
{
    uint32_t at = 0;
    while (at < cluster->node_count && cluster->nodes[at].origin != origin) at++;
    if (at == CLUSTER_NODES_MAX || bytes == 0 || bytes >= CLUSTER_NAME_BYTES || !text_is_printable(data, bytes)) return;
    if (at < cluster->node_count) {
        cluster->nodes[at].heard_us = cluster->owner->now_us;
        return;
    }
    for (uint32_t i = 1; i < cluster->node_count; i++) { /* the same node in its next life */
        if (strlen(cluster->nodes[i].name) != bytes || memcmp(cluster->nodes[i].name, data, bytes) != 0) continue;
        cluster_drop_node(cluster, i);
        break;
    }
    gateway_greet_parties(cluster->owner, origin);
    cluster_node* node = &cluster->nodes[cluster->node_count++];
    *node = (cluster_node){.origin = origin, .heard_us = cluster->owner->now_us};
    memcpy(node->name, data, bytes);
    cluster_route(cluster);
    cluster->said_us = 0; /* it learns of this one at once */
    LOG(NECPNET_LOG_INFO, "node_joined", node->name, LOG_NUMBER("nodes", cluster->node_count), LOG_END);
}

/* Its topics go to those that stay. */
static void cluster_hear_drains(struct gateway_cluster* cluster, uint64_t origin)
{
    for (uint32_t i = 1; i < cluster->node_count; i++) {
        if (cluster->nodes[i].origin != origin || cluster->nodes[i].leaves) continue;
        cluster->nodes[i].leaves = true;
        LOG(NECPNET_LOG_INFO, "node_drains", cluster->nodes[i].name, LOG_END);
        cluster_route(cluster);
    }
}

/* --------------------------------------------------------------------------------------------------- players -- */

static cluster_player* cluster_find(const struct gateway_cluster* cluster, uint64_t client_id, uint64_t origin)
{
    cluster_player* player = cluster->players[client_id % CLUSTER_CHAINS];
    while (player && (player->client_id != client_id || player->origin != origin)) player = player->next;
    return player;
}

static cluster_player* cluster_reach(struct gateway_cluster* cluster, uint64_t client_id, uint64_t origin)
{
    cluster_player* player = cluster_find(cluster, client_id, origin);
    if (player || client_id == 0) return player;
    player = calloc(1, sizeof(*player));
    if (!player) return NULL;
    player->client_id = client_id;
    player->origin = origin;
    player->next = cluster->players[client_id % CLUSTER_CHAINS];
    cluster->players[client_id % CLUSTER_CHAINS] = player;
    return player;
}

static void cluster_release(struct gateway_cluster* cluster, cluster_player* player)
{
    if (player->kept || player->here || player->shown) return;
    cluster_player** link = &cluster->players[player->client_id % CLUSTER_CHAINS];
    while (*link != player) link = &(*link)->next;
    *link = player->next;
    free(player);
}

/* Whether a client of this node has shown itself: then its own word counts. */
static bool cluster_is_present_here(const gateway* at, uint64_t client_id)
{
    for (const gateway_session* session = gateway_first_of(at, client_id); session; session = session->chain) {
        if (session->client_id == client_id && session->present) return true;
    }
    return false;
}

static void cluster_show(struct gateway_cluster* cluster, uint64_t origin, const necpnet_presence_info* info)
{
    necpnet_presence* presence = cluster->owner->presence;
    cluster_player* player = cluster_reach(cluster, info->player, origin);
    if (!player) return;
    if (info->status == NECPNET_PRESENCE_OFFLINE) {
        cluster_hide(cluster, player);
        cluster_release(cluster, player);
        return;
    }
    if (!player->shown) player->shown = necpnet_presence_connect(presence, info->player, info->status) == NECPNET_OK;
    if (!player->shown || cluster_is_present_here(cluster->owner, info->player)) return;
    (void)necpnet_presence_set_status(presence, info->player, info->status);
    (void)necpnet_presence_set_place(presence, info->player, info->zone, info->location);
}

static void cluster_hear_presence(struct gateway_cluster* cluster, uint64_t origin, const uint8_t* data, size_t bytes)
{
    size_t count = 0;
    size_t room = bytes / 9 + 1;
    necpnet_presence_info* items = calloc(room, sizeof(items[0]));
    if (items && necpnet_presence_read(data, bytes, items, room, &count) == NECPNET_OK) {
        for (size_t i = 0; i < count; i++) cluster_show(cluster, origin, &items[i]);
    }
    free(items);
}

static void cluster_hear_stamp(struct gateway_cluster* cluster, uint64_t stamp)
{
    if (cluster->stamp < stamp) cluster->stamp = stamp;
}

static void cluster_hear_player(struct gateway_cluster* cluster, uint64_t origin, const uint8_t* data, size_t bytes)
{
    cluster_count count;
    if (bytes != sizeof(count)) return;
    memcpy(&count, data, sizeof(count));
    cluster_player* player = count.kept || count.here ? cluster_reach(cluster, count.client_id, origin)
                                                      : cluster_find(cluster, count.client_id, origin);
    cluster_hear_stamp(cluster, count.stamp);
    if (!player) return;
    player->here = count.here;
    player->calls = count.calls;
    player->kept = count.kept;
    player->stamp = count.stamp;
    cluster_release(cluster, player);
}

static void cluster_hear_login(struct gateway_cluster* cluster, uint64_t origin, const uint8_t* data, size_t bytes)
{
    cluster_login login;
    if (bytes != sizeof(login)) return;
    memcpy(&login, data, sizeof(login));
    cluster_hear_stamp(cluster, login.stamp);
    gateway_on_login(cluster->owner, login.client_id, login.stamp, origin, cluster->origin);
}

/* Someone new asks who is here. */
static void cluster_tell_all(struct gateway_cluster* cluster)
{
    gateway* at = cluster->owner;
    for (const gateway_session* session = at->first; session; session = session->next) {
        if (session->greeted) gateway_cluster_tell_player(at, session->client_id);
    }
    (void)necpnet_presence_refresh(at->presence, cluster->origin);
}

static void cluster_hear(const char* topic, const void* data, size_t bytes, void* user)
{
    struct gateway_cluster* cluster = user;
    const uint8_t* at = data;
    uint64_t origin;
    if (bytes < sizeof(origin)) return;
    memcpy(&origin, at, sizeof(origin));
    if (origin == cluster->origin) return;
    at += sizeof(origin);
    bytes -= sizeof(origin);
    if (strcmp(topic, CLUSTER_PRESENCE) == 0) {
        cluster_hear_presence(cluster, origin, at, bytes);
    } else if (strcmp(topic, CLUSTER_ALIVE) == 0) {
        cluster_hear_alive(cluster, origin, at, bytes);
    } else if (strcmp(topic, CLUSTER_WHO) == 0) {
        cluster_tell_all(cluster);
    } else if (strcmp(topic, CLUSTER_DRAINS) == 0) {
        cluster_hear_drains(cluster, origin);
    } else if (strcmp(topic, CLUSTER_LOGIN) == 0) {
        cluster_hear_login(cluster, origin, at, bytes);
    } else if (strcmp(topic, CLUSTER_HERE) == 0) {
        cluster_hear_player(cluster, origin, at, bytes);
    }
}

/* ---------------------------------------------------------------------------------------------------- the relay -- */

/* What is for this node alone: its first byte says for what of it. */
static void cluster_hear_own(const char* topic, const void* data, size_t bytes, void* user)
{
    struct gateway_cluster* cluster = user;
    const uint8_t* body = (const uint8_t*)data + sizeof(uint64_t);
    uint64_t origin, now_us = cluster->owner->now_us;
    (void)topic;
    if (bytes <= sizeof(origin)) return;
    memcpy(&origin, data, sizeof(origin));
    bytes -= sizeof(origin);
    if (body[0] == PARTIES_WIRE) {
        gateway_hear_parties(cluster->owner, origin, body, bytes);
    } else if (body[0] == MOVES_WIRE) {
        moves_hear(cluster->sessions, origin, body, bytes, now_us);
    } else {
        relay_hear(cluster->machine, origin, body, bytes, now_us);
    }
}

static void cluster_on_send(uint64_t to, const void* data, size_t bytes, void* user)
{
    char topic[sizeof("necpnet.node.") + 16];
    snprintf(topic, sizeof(topic), CLUSTER_NODE, to);
    cluster_say(user, topic, data, bytes);
}

static void cluster_on_move(uint64_t to, const void* data, size_t bytes, void* user)
{
    cluster_on_send(to, data, bytes, ((gateway*)user)->cluster);
}

static void cluster_on_left(uint64_t origin, void* user)
{
    struct gateway_cluster* cluster = user;
    for (uint32_t i = 1; i < cluster->node_count; i++) {
        if (cluster->nodes[i].origin == origin) {
            cluster_drop_node(cluster, i);
            return;
        }
    }
}

/* An event of another node at its place here. */
static necpnet_result cluster_on_publish(topics_topic* topic, const void* message, size_t bytes,
                                         topics_position position, void* user)
{
    gateway* at = ((struct gateway_cluster*)user)->owner;
    events_read read;
    char why[256];
    if (!events_read_binary(at->catalogue, message, bytes, &read, why, sizeof(why))) {
        LOG(NECPNET_LOG_WARNING, "bus_event_refused", why, LOG_END);
        return NECPNET_ERR_PROTOCOL;
    }
    read.event.epoch = position.epoch;
    read.event.offset = position.offset;
    int code = gateway_place_event(at, topic, &read.event, why, sizeof(why));
    cJSON_Delete(read.data);
    return code == RPC_OK ? NECPNET_OK : NECPNET_ERR_OUT_OF_MEMORY;
}

void gateway_cluster_get_figures(const gateway* at, relay_figures* out_figures)
{
    *out_figures = (relay_figures){.nodes = 1};
    if (at->cluster) relay_get_figures(at->cluster->machine, out_figures);
}

bool gateway_cluster_counts(const gateway* at, const char* topic)
{
    return !at->cluster || relay_counts(at->cluster->machine, topic);
}

void gateway_cluster_spread(gateway* at, const topics_topic* topic)
{
    if (at->cluster) relay_spread(at->cluster->machine, topic);
}

void gateway_cluster_publish(gateway* at, const events_event* event, gateway_waiting* ticket)
{
    text binary;
    text_begin_growing(&binary);
    events_put_binary(&binary, event);
    if (!binary.failed) {
        (void)relay_publish(at->cluster->machine, event->topic, binary.to, binary.bytes, ticket, at->now_us);
    } else if (ticket) {
        gateway_on_answer(ticket, RELAY_REFUSED, (topics_position){0, 0}, at);
    }
    text_end(&binary);
}

bool gateway_cluster_has_topic(const gateway* at, const char* topic)
{
    return !at->cluster || relay_has(at->cluster->machine, topic);
}

bool gateway_cluster_subscribe(gateway* at, const char* topic, gateway_waiting* ticket)
{
    return relay_subscribe(at->cluster->machine, topic, ticket, at->now_us);
}

void gateway_cluster_forget_topic(gateway* at, const topics_topic* topic)
{
    if (at->cluster) relay_forget(at->cluster->machine, topic);
}

/* ---------------------------------------------------------------------------------------------------- from here -- */

/* The player's entries of other nodes, one after the other; NULL for the first. */
static const cluster_player* cluster_next(const gateway* at, uint64_t client_id, const cluster_player* after)
{
    if (!at->cluster) return NULL;
    const cluster_player* player = after ? after->next : at->cluster->players[client_id % CLUSTER_CHAINS];
    while (player && player->client_id != client_id) player = player->next;
    return player;
}

bool gateway_cluster_has_player(const gateway* at, uint64_t client_id)
{
    const cluster_player* player = NULL;
    while ((player = cluster_next(at, client_id, player)) != NULL) {
        if (player->here) return true;
    }
    return false;
}

bool gateway_cluster_keeps_player(const gateway* at, uint64_t client_id, uint64_t not_there)
{
    const cluster_player* player = NULL;
    while ((player = cluster_next(at, client_id, player)) != NULL) {
        if ((player->kept || player->here) && player->origin != not_there) return true;
    }
    return false;
}

bool gateway_cluster_is_called(const gateway* at, uint64_t client_id)
{
    const cluster_player* player = NULL;
    while ((player = cluster_next(at, client_id, player)) != NULL) {
        if (player->calls) return true;
    }
    return false;
}

uint64_t gateway_cluster_last_login(const gateway* at, uint64_t client_id)
{
    const cluster_player* player = NULL;
    uint64_t last = 0;
    while ((player = cluster_next(at, client_id, player)) != NULL) {
        if (player->calls && player->stamp > last) last = player->stamp;
    }
    return last;
}

void gateway_cluster_tell_player(gateway* at, uint64_t client_id)
{
    cluster_count count = {.client_id = client_id};
    if (!at->cluster || client_id == 0) return;
    for (const gateway_session* session = gateway_first_of(at, client_id); session; session = session->chain) {
        bool binary = session->peer != NECPNET_PEER_NONE;
        if (session->client_id != client_id || !session->greeted || (session->ended && !binary)) continue;
        bool here = binary || !session->suspended;
        count.kept++;
        count.here += here;
        count.calls += here && !binary;
        if (count.stamp < session->stamp) count.stamp = session->stamp;
    }
    cluster_say(at->cluster, CLUSTER_HERE, &count, sizeof(count));
    if (count.here) (void)necpnet_presence_watch(at->presence, at->cluster->origin, client_id);
}

uint64_t gateway_cluster_stamp(gateway* at)
{
    uint64_t wall_us = gateway_wall_us(at);
    if (!at->cluster) return wall_us;
    at->cluster->stamp = wall_us > at->cluster->stamp ? wall_us : at->cluster->stamp + 1;
    return at->cluster->stamp;
}

void gateway_cluster_say_login(gateway* at, const gateway_session* session)
{
    cluster_login login = {.client_id = session->client_id, .stamp = session->stamp};
    if (at->cluster) cluster_say(at->cluster, CLUSTER_LOGIN, &login, sizeof(login));
}

/* ------------------------------------------------------------------------------------------------------ sessions -- */

uint64_t gateway_cluster_find_node(const gateway* at, uint64_t tag)
{
    if (routing_key(at->name, strlen(at->name)) == tag) return 0;
    for (uint32_t i = 1; at->cluster && i < at->cluster->node_count; i++) {
        const cluster_node* node = &at->cluster->nodes[i];
        if (routing_key(node->name, strlen(node->name)) == tag) return node->origin;
    }
    return UINT64_MAX;
}

necpnet_result gateway_cluster_claim(gateway* at, uint64_t owner, const moves_key* key, gateway_hello* hello)
{
    return moves_claim(at->cluster->sessions, owner, key, hello, at->now_us);
}

uint64_t gateway_cluster_home(const gateway* at, const char* key)
{
    if (!at->cluster) return 0;
    if (!relay_is_settled(at->cluster->machine)) return UINT64_MAX;
    uint64_t origin = relay_owner_origin(at->cluster->machine, key);
    return origin == at->cluster->origin ? 0 : origin;
}

void gateway_cluster_send(gateway* at, uint64_t to, const void* data, size_t bytes)
{
    if (at->cluster && to) cluster_on_send(to, data, bytes, at->cluster);
    for (uint32_t i = 1; at->cluster && !to && i < at->cluster->node_count; i++)
        cluster_on_send(at->cluster->nodes[i].origin, data, bytes, at->cluster);
}

void gateway_cluster_get_moves(const gateway* at, moves_figures* out_figures)
{
    *out_figures = (moves_figures){0};
    if (at->cluster) moves_get_figures(at->cluster->sessions, out_figures);
}

/* ------------------------------------------------------------------------------------------------------ presence -- */

bool gateway_cluster_take_presence(gateway* at, const necpnet_presence_change* change)
{
    size_t bytes = 0;
    size_t room = 4 + change->count * 87;
    if (!at->cluster || change->watcher != at->cluster->origin) return false;
    necpnet_presence_info* items = malloc(change->count * sizeof(items[0]));
    void* data = malloc(room);
    for (size_t i = 0; items && i < change->count; i++) {
        items[i] = change->items[i];
        if (cluster_is_present_here(at, items[i].player)) continue;
        items[i].status = NECPNET_PRESENCE_OFFLINE; /* what another node says of it is not for this one to repeat */
        items[i].zone = 0;
        items[i].location = "";
    }
    if (items && data && necpnet_presence_write(items, change->count, data, room, &bytes) == NECPNET_OK) {
        cluster_say(at->cluster, CLUSTER_PRESENCE, data, bytes);
    }
    for (size_t i = 0; items && i < change->count; i++) {
        bool has_session = false;
        for (const gateway_session* one = gateway_first_of(at, items[i].player); one; one = one->chain) {
            if (one->client_id == items[i].player) has_session = true;
        }
        if (!has_session) (void)necpnet_presence_unwatch(at->presence, at->cluster->origin, items[i].player);
    }
    free(items);
    free(data);
    return true;
}

void gateway_cluster_work(gateway* at)
{
    struct gateway_cluster* cluster = at->cluster;
    if (cluster) relay_work(cluster->machine, at->now_us);
    if (cluster) moves_work(cluster->sessions, at->now_us);
    if (!cluster || (cluster->said_us && at->now_us < cluster->said_us + CLUSTER_ALIVE_US)) return;
    cluster->said_us = at->now_us;
    cluster->nodes[0].heard_us = at->now_us;
    cluster_say(cluster, CLUSTER_ALIVE, cluster->name, strlen(cluster->name));
    if (cluster->nodes[0].leaves) cluster_say(cluster, CLUSTER_DRAINS, NULL, 0); /* those that are new hear it, too */
    for (uint32_t i = cluster->node_count; i-- > 1;) {
        if (at->now_us >= cluster->nodes[i].heard_us + CLUSTER_SILENCE_US) cluster_drop_node(cluster, i);
    }
}

void gateway_cluster_drain(gateway* at)
{
    if (!at->cluster || at->cluster->nodes[0].leaves) return;
    at->cluster->nodes[0].leaves = true;
    cluster_say(at->cluster, CLUSTER_DRAINS, NULL, 0);
    cluster_route(at->cluster);
}

bool gateway_cluster_has_others(const gateway* at)
{
    for (uint32_t i = 1; at->cluster && i < at->cluster->node_count; i++) {
        if (!at->cluster->nodes[i].leaves) return true;
    }
    return false;
}

void gateway_cluster_put_where(const gateway* at, text* out, uint64_t client_id)
{
    bool first = true;
    for (const gateway_session* session = gateway_first_of(at, client_id); session; session = session->chain) {
        if (session->client_id != client_id || !session->greeted || session->suspended) continue;
        text_put(out, first ? "" : ",");
        text_json(out, at->name);
        first = false;
    }
    if (!at->cluster) return;
    for (const cluster_player* player = at->cluster->players[client_id % CLUSTER_CHAINS]; player;
         player = player->next) {
        if (player->client_id != client_id || player->here == 0) continue;
        text_put(out, first ? "" : ",");
        cluster_put_name(at->cluster, out, player->origin);
        first = false;
    }
}

void gateway_cluster_put_nodes(const gateway* at, text* out, const char* key)
{
    const struct gateway_cluster* cluster = at->cluster;
    text_put(out, "{\"node\":");
    text_json(out, at->name);
    text_put(out, ",\"nodes\":[");
    if (!cluster) text_json(out, at->name);
    for (uint32_t i = 0; cluster && i < cluster->node_count; i++) {
        if (i > 0) text_put(out, ",");
        text_json(out, cluster->nodes[i].name);
    }
    text_put(out, "],\"owner\":");
    text_json(out, cluster ? relay_owner(cluster->machine, key) : at->name);
    text_put(out, "}");
}

/* -------------------------------------------------------------------------------------------------------- life -- */

necpnet_result gateway_cluster_begin(gateway* at, necpnet_loop* loop)
{
    struct gateway_cluster* cluster = calloc(1, sizeof(*cluster));
    if (!cluster) return NECPNET_ERR_OUT_OF_MEMORY;
    at->cluster = cluster;
    cluster->owner = at;
    cluster->origin = at->seed ? at->seed : 1;
    snprintf(cluster->name, sizeof(cluster->name), "%s", at->name);
    cluster->nodes[0].origin = cluster->origin;
    memcpy(cluster->nodes[0].name, cluster->name, sizeof(cluster->name));
    cluster->node_count = 1;
    relay_config wish = {.hub = at->hub,
                         .self = {.origin = cluster->origin, .name = cluster->name},
                         .send = cluster_on_send,
                         .publish = cluster_on_publish,
                         .answer = gateway_on_answer,
                         .left = cluster_on_left,
                         .user = cluster};
    moves_config moved = {.self = cluster->origin,
                          .send = cluster_on_move,
                          .give = gateway_give,
                          .settle = gateway_settle,
                          .answer = gateway_on_claimed,
                          .user = at};
    char own[sizeof("necpnet.node.") + 16];
    snprintf(own, sizeof(own), CLUSTER_NODE, cluster->origin);
    necpnet_result result = relay_create(&wish, at->now_us, &cluster->machine);
    if (result == NECPNET_OK) result = moves_create(&moved, &cluster->sessions);
    if (result == NECPNET_OK)
        result = necpnet_presence_connect(at->presence, cluster->origin, NECPNET_PRESENCE_INVISIBLE);
    if (result == NECPNET_OK) {
        result = bus_subscribe(at->known->events, "necpnet.*", loop, cluster_hear, cluster, &cluster->subscription);
    }
    if (result == NECPNET_OK)
        result = bus_subscribe(at->known->events, own, loop, cluster_hear_own, cluster, &cluster->own);
    if (result == NECPNET_OK) cluster_say(cluster, CLUSTER_WHO, NULL, 0);
    return result;
}

void gateway_cluster_end(gateway* at)
{
    struct gateway_cluster* cluster = at->cluster;
    if (!cluster) return;
    if (cluster->machine) relay_leave(cluster->machine);
    at->cluster = NULL;
    bus_unsubscribe(at->known->events, cluster->subscription);
    bus_unsubscribe(at->known->events, cluster->own);
    for (int i = 0; i < CLUSTER_CHAINS; i++) {
        while (cluster->players[i]) {
            cluster_player* player = cluster->players[i];
            cluster->players[i] = player->next;
            free(player);
        }
    }
    relay_destroy(cluster->machine);
    moves_destroy(cluster->sessions);
    free(cluster);
}

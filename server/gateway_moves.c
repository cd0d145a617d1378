/* gateway_moves - a session that another node has comes here: its client's hello names it, its node writes it down and gives it up
 * (moves.h), and here it goes on: topics from where the client stands, presence, publish keys, crafting sessions that it follows.
 * The record is JSON; 64-bit numbers are hexadecimal texts.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway_inside.h"
#include "json.h"
#include "log.h"

#define ARRIVAL_SEEN_MAX 1024 /* players whose presence it watches */

/* A hello that waits for its session. */
struct gateway_hello {
    gateway_hello* next;
    gateway_hello** link;
    gateway* owner;
    rpc_later* later;
    cJSON* positions; /* what the client has; NULL: not said */
    moves_key key;
    uint64_t serial; /* of the connection's session */
    text topics;     /* of the answer */
    uint32_t open;   /* topics that are still to come, and 1 while some may be added */
};

static const char* hello_reason(moves_result result)
{
    return result == MOVES_LATE ? "no-answer" : result == MOVES_NODE_GONE ? "node-gone" : "unknown";
}

/* ----------------------------------------------------------------------------------------------------- the owner -- */

static gateway_session* given_find(const gateway* at, const moves_key* key)
{
    gateway_session* session = gateway_first_of(at, key->client_id);
    for (; session; session = session->chain) {
        if (session->client_id != key->client_id || session->peer != NECPNET_PEER_NONE || !session->greeted) continue;
        if (strcmp(session->id, key->session) == 0) return session;
    }
    return NULL;
}

static void given_put_presence(const gateway* at, const gateway_session* session, text* out)
{
    necpnet_presence_info info;
    size_t count = 0;
    if (!session->present && !session->was_present) return;
    if (necpnet_presence_get(at->presence, session->client_id, session->client_id, &info) != NECPNET_OK) return;
    text_format(out,
                ",\"presence\":{\"status\":\"%s\",\"zone\":%" PRIu32 ",\"location\":", gateway_status_name(info.status),
                info.zone);
    text_json(out, info.location);
    text_put(out, ",\"sees\":[");
    necpnet_presence_info* seen = calloc(ARRIVAL_SEEN_MAX, sizeof(seen[0]));
    if (seen &&
        necpnet_presence_get_seen(at->presence, session->client_id, seen, ARRIVAL_SEEN_MAX, &count) == NECPNET_OK) {
        for (size_t i = 0; i < count; i++) {
            if (i > 0) text_put(out, ",");
            gateway_put_player(at, out, seen[i].player);
        }
    }
    free(seen);
    text_put(out, "]}");
}

typedef struct given_topics {
    text* out;
    bool first;
} given_topics;

static bool given_put_topic(const topics_topic* topic, uint64_t offset, void* user)
{
    given_topics* list = user;
    text_put(list->out, list->first ? "[" : ",[");
    text_json(list->out, topics_name(topic));
    text_format(list->out, ",%" PRIu64 ",%" PRIu64 "]", topics_get_position(topic).epoch, offset);
    list->first = false;
    return true;
}

static void given_put(const gateway* at, const gateway_session* session, text* out)
{
    given_topics list = {.out = out, .first = true};
    const feed_follower* craft = NULL;
    const char* id;
    uint32_t hz;
    bool first = true;
    text_format(out, "{\"age_us\":%" PRIu64 ",\"resumes\":%" PRIu32 ",\"stamp\":\"%" PRIx64 "\",\"topics\":[",
                at->now_us - session->began_us, session->resumes, session->stamp);
    topics_each(&session->subscriber, given_put_topic, &list);
    text_put(out, "],\"keys\":[");
    for (uint32_t i = 0; session->keys && i < GATEWAY_KEYS; i++) { /* the oldest first */
        const gateway_key* key = &session->keys[(session->key_next + i) % GATEWAY_KEYS];
        if (key->hash == 0) continue;
        text_format(out, "%s[\"%" PRIx64 "\",%" PRIu64 ",%" PRIu64 "]", first ? "" : ",", key->hash,
                    key->position.epoch, key->position.offset);
        first = false;
    }
    text_put(out, "],\"crafts\":[");
    first = true;
    while ((craft = crafting_feed_next(&session->crafts, craft, &id, &hz)) != NULL) {
        text_put(out, first ? "[" : ",[");
        text_json(out, id);
        text_format(out, ",%" PRIu32 "]", hz);
        first = false;
    }
    text_put(out, "]");
    given_put_presence(at, session, out);
    char* guilds = session->guilds ? cJSON_PrintUnformatted(session->guilds) : NULL;
    if (guilds) text_format(out, ",\"guilds\":");
    if (guilds) text_put(out, guilds);
    cJSON_free(guilds);
    text_put(out, "}");
}

bool gateway_give(const moves_key* key, text* record, void* user)
{
    gateway* at = user;
    gateway_session* session = given_find(at, key);
    if (!session || session->ended || session->given || session->arriving || session->erased) return false;
    if (!text_equal_secret(session->ticket, key->ticket)) return false;
    given_put(at, session, record);
    session->given = true;
    if (session->connection) /* its loss was not noticed yet */
        (void)necpnet_web_close(session->connection, GATEWAY_CLOSE_REPLACED, "the session went on elsewhere");
    at->queued = true;
    return true;
}

void gateway_settle(const moves_key* key, bool gone, bool taken, void* user)
{
    gateway* at = user;
    gateway_session* session = given_find(at, key);
    if (!session || !session->given) return; /* its client ended it meanwhile */
    session->given = false;
    if (!gone) {
        if (session->suspended) session->suspended_us = at->now_us;
        return;
    }
    if (taken) {
        session->greeted = false;                      /* it ends without a trace: it goes on elsewhere, */
        gateway_set_present(at, session, false, true); /* and whoever sees its player sees it all the time */
        session->was_present = false;
    } else {
        at->figures.lost++;
    }
    session->ended = true;
    uint64_t client_id = session->client_id;
    if (!session->connection) gateway_end_session(at, session);
    gateway_cluster_tell_player(at, client_id);
}

/* ------------------------------------------------------------------------------------------------------- hellos -- */

static void hello_end(gateway_hello* hello)
{
    *hello->link = hello->next;
    if (hello->next) hello->next->link = hello->link;
    cJSON_Delete(hello->positions);
    text_end(&hello->topics);
    free(hello);
}

void gateway_forget_hellos(gateway* at)
{
    while (at->hellos) {
        rpc_abandon(at->hellos->later);
        hello_end(at->hellos);
    }
}

/* The session of the connection that said it. NULL: it has gone. */
static gateway_session* hello_session(const gateway_hello* hello)
{
    gateway_session* session = gateway_first_of(hello->owner, hello->key.client_id);
    while (session && session->serial != hello->serial) session = session->chain;
    return session && session->connection && !session->ended ? session : NULL;
}

/* Answers it, and lets go what was held back behind the answer. */
static void hello_answer(gateway_hello* hello, int code, const char* message, const char* result)
{
    gateway* at = hello->owner;
    gateway_session* session = hello_session(hello);
    text out;
    text_begin_growing(&out);
    if (session) {
        rpc_finish(hello->later, code, message, result, &out);
        if (!out.failed && out.bytes) (void)gateway_send_text(session, out.to, out.bytes);
        session->arriving = false;
        if (session->subscriber.behind) (void)topics_catch_up(at->hub, &session->subscriber);
    } else {
        rpc_abandon(hello->later);
    }
    text_end(&out);
    hello_end(hello);
}

static void hello_say(gateway_hello* hello, bool resumed, const char* reason)
{
    gateway_session* session = hello_session(hello);
    text result;
    text_begin_growing(&result);
    if (session) gateway_put_hello(session, resumed, hello->topics.bytes ? hello->topics.to : "", reason, &result);
    if (result.failed) {
        hello_answer(hello, RPC_INTERNAL_ERROR, "the server is short of memory", "");
    } else {
        hello_answer(hello, RPC_OK, "", result.bytes ? result.to : "null");
    }
    text_end(&result);
}

/* It goes on as a new one. */
static void hello_begin_anew(gateway_hello* hello, moves_result result)
{
    gateway_session* session = hello_session(hello);
    LOG(NECPNET_LOG_DEBUG, "not_resumed", hello_reason(result), LOG_END);
    if (session && !gateway_begin(session)) {
        hello_answer(hello, RPC_CONFLICT, "you are connected elsewhere", "");
    } else {
        hello_say(hello, false, hello_reason(result));
    }
}

/* The node that made a ticket. 0: none that is to be asked, and out_reason says why. */
static uint64_t hello_owner(const gateway_session* session, const char* id, const char* ticket, const char** out_reason)
{
    char tag[17];
    *out_reason = hello_reason(MOVES_UNKNOWN);
    if (!session->connection || strlen(id) != MOVES_ID_BYTES - 1 || strlen(ticket) != MOVES_TICKET_BYTES - 1) return 0;
    if (strspn(ticket, "0123456789abcdef") != MOVES_TICKET_BYTES - 1) return 0;
    snprintf(tag, sizeof(tag), "%.16s", ticket);
    uint64_t owner = gateway_cluster_find_node(session->owner, strtoull(tag, NULL, 16));
    if (owner != UINT64_MAX) return owner;
    *out_reason = hello_reason(MOVES_NODE_GONE);
    return 0;
}

static gateway_hello* hello_make(gateway_session* session, const char* id, const char* ticket)
{
    gateway* at = session->owner;
    gateway_hello* hello = calloc(1, sizeof(*hello));
    if (!hello) return NULL;
    *hello = (gateway_hello){.owner = at, .key.client_id = session->client_id, .serial = session->serial, .open = 1};
    memcpy(hello->key.session, id, sizeof(hello->key.session));
    memcpy(hello->key.ticket, ticket, sizeof(hello->key.ticket));
    text_begin_growing(&hello->topics);
    hello->next = at->hellos;
    hello->link = &at->hellos;
    if (at->hellos) at->hellos->link = &hello->next;
    at->hellos = hello;
    return hello;
}

bool gateway_claim(rpc_call* call, const char** out_reason)
{
    gateway_session* session = call->user;
    gateway* at = session->owner;
    const cJSON* resume = rpc_json(call, "resume");
    const char* id = cJSON_GetObjectItemCaseSensitive(resume, "session")->valuestring;
    const char* ticket = cJSON_GetObjectItemCaseSensitive(resume, "ticket")->valuestring;
    uint64_t owner = hello_owner(session, id, ticket, out_reason);
    gateway_hello* hello = owner ? hello_make(session, id, ticket) : NULL;
    if (!hello) return false;
    hello->positions = cJSON_Duplicate(rpc_json(call, "positions"), true);
    hello->later = rpc_defer(call);
    if (!hello->later) { /* the call has failed */
        hello_end(hello);
        return true;
    }
    session->arriving = true;
    if (gateway_cluster_claim(at, owner, &hello->key, hello) != NECPNET_OK) hello_begin_anew(hello, MOVES_LATE);
    return true;
}

/* ----------------------------------------------------------------------------------------------------- arriving -- */

static uint64_t arrive_number(const cJSON* from)
{
    return cJSON_IsNumber(from) && from->valuedouble > 0 && from->valuedouble < 9e15 ? (uint64_t)from->valuedouble : 0;
}

static topics_position arrive_position(const cJSON* item)
{
    return (topics_position){.epoch = arrive_number(cJSON_GetArrayItem(item, 1)),
                             .offset = arrive_number(cJSON_GetArrayItem(item, 2))};
}

static void arrive_put_topic(gateway_hello* hello, const char* name, topics_position position, uint64_t since,
                             bool recovered, bool subscribed)
{
    text* out = &hello->topics;
    text_put(out, out->bytes ? "," : "");
    text_json(out, name);
    text_format(out, ":{\"epoch\":%" PRIu64 ",\"offset\":%" PRIu64 ",\"recovered\":%s%s}", position.epoch, since,
                recovered ? "true" : "false", subscribed ? "" : ",\"subscribed\":false");
}

/* The topic is as new as it can be. */
static void arrive_subscribe(gateway_hello* hello, gateway_session* session, const char* name,
                             const topics_position* since)
{
    gateway* at = hello->owner;
    topics_topic* topic = NULL;
    bool recovered = false;
    necpnet_result result = topics_open(at->hub, name, &topic);
    if (result == NECPNET_OK)
        result = topics_subscribe(at->hub, topic, &session->subscriber, since, at->now_us, &recovered);
    bool subscribed = result == NECPNET_OK || result == NECPNET_ERR_ALREADY_EXISTS;
    arrive_put_topic(hello, name, topic ? topics_get_position(topic) : *since, since->offset, recovered && subscribed,
                     subscribed);
}

static void arrive_close(gateway_hello* hello)
{
    if (--hello->open == 0) hello_say(hello, true, NULL);
}

void gateway_hello_topic(gateway_hello* hello, const char* name, const topics_position* since, relay_result result)
{
    gateway_session* session = hello_session(hello);
    if (session && result == RELAY_DONE) {
        arrive_subscribe(hello, session, name, since);
    } else {
        arrive_put_topic(hello, name, *since, since->offset, false, false);
    }
    arrive_close(hello);
}

/* One of the session's topics, from where its client stands, or where its node had come to. */
static void arrive_topic(gateway_hello* hello, gateway_session* session, const cJSON* item)
{
    gateway* at = hello->owner;
    const char* name = cJSON_GetStringValue(cJSON_GetArrayItem(item, 0));
    topics_position since = arrive_position(item);
    if (!name || !topics_name_is_right(name)) return;
    const cJSON* said = cJSON_GetObjectItemCaseSensitive(hello->positions, name);
    if (said) {
        since.epoch = (uint64_t)cJSON_GetObjectItemCaseSensitive(said, "epoch")->valuedouble;
        since.offset = (uint64_t)cJSON_GetObjectItemCaseSensitive(said, "offset")->valuedouble;
    }
    if (gateway_judge_topic(at, session, name, GATEWAY_SUBSCRIBES)) { /* as the world of its node, which is not here */
        arrive_put_topic(hello, name, since, since.offset, false, false);
    } else if (gateway_cluster_has_topic(at, name)) {
        arrive_subscribe(hello, session, name, &since);
    } else {
        gateway_waiting* waiting = gateway_wait_arrival(session, name, &since, hello);
        hello->open++;
        if (!waiting) {
            gateway_hello_topic(hello, name, &since, RELAY_REFUSED);
        } else if (gateway_cluster_subscribe(at, name, waiting)) {
            gateway_on_answer(waiting, RELAY_DONE, since, at);
        }
    }
}

static void arrive_keys(gateway_session* session, const cJSON* keys)
{
    const cJSON* item;
    cJSON_ArrayForEach(item, keys)
    {
        const char* hash = cJSON_GetStringValue(cJSON_GetArrayItem(item, 0));
        if (hash) gateway_keep_key(session, strtoull(hash, NULL, 16), arrive_position(item));
    }
}

static void arrive_presence(gateway* at, gateway_session* session, const cJSON* told)
{
    const char* name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(told, "status"));
    const char* location = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(told, "location"));
    const cJSON* zone = cJSON_GetObjectItemCaseSensitive(told, "zone");
    const cJSON* player;
    necpnet_presence_status status = NECPNET_PRESENCE_ONLINE;
    if (!told || !name) return;
    (void)gateway_status_find(name, &status);
    /* As gateway_set_present, but never a moment visible before invisible. */
    if (!session->present && necpnet_presence_connect(at->presence, session->client_id, status) != NECPNET_OK) return;
    session->present = true;
    (void)necpnet_presence_set_status(at->presence, session->client_id, status);
    (void)necpnet_presence_set_place(at->presence, session->client_id, (uint32_t)arrive_number(zone), location);
    gateway_keep_seen(at, session);
    cJSON_ArrayForEach(player, cJSON_GetObjectItemCaseSensitive(told, "sees"))
    {
        uint64_t other;
        if (!cJSON_IsString(player) || !gateway_find_player(at, session, player->valuestring, &other)) continue;
        if (player->valuestring[0] != '#') gateway_name_player(at, other, player->valuestring);
        if (other != session->client_id) (void)necpnet_presence_watch(at->presence, session->client_id, other);
    }
}

static uint64_t arrive_stamp(const cJSON* record)
{
    const char* stamp = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(record, "stamp"));
    return stamp ? strtoull(stamp, NULL, 16) : 0;
}

static void arrive(gateway_hello* hello, gateway_session* session, const moves_key* key, const cJSON* record)
{
    gateway* at = hello->owner;
    const cJSON* item;
    memcpy(session->id, key->session, sizeof(session->id));
    uint64_t age_us = arrive_number(cJSON_GetObjectItemCaseSensitive(record, "age_us"));
    session->began_us = at->now_us - (age_us < at->now_us ? age_us : at->now_us);
    session->resumes = (uint32_t)arrive_number(cJSON_GetObjectItemCaseSensitive(record, "resumes")) + 1;
    session->stamp = arrive_stamp(record);
    session->greeted = true;
    session->guilds = cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(record, "guilds"), true);
    arrive_keys(session, cJSON_GetObjectItemCaseSensitive(record, "keys"));
    arrive_presence(at, session, cJSON_GetObjectItemCaseSensitive(record, "presence"));
    gateway_cluster_tell_player(at, session->client_id); /* before its node says that it is gone there */
    gateway_voice_say_session(at, session, true);
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(record, "crafts"))
    {
        const char* id = cJSON_GetStringValue(cJSON_GetArrayItem(item, 0));
        uint64_t hz = arrive_number(cJSON_GetArrayItem(item, 1));
        if (id && hz >= 1 && hz <= CRAFTING_HZ_MAX) gateway_follow_craft(session, id, (uint32_t)hz);
    }
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(record, "topics")) arrive_topic(hello, session, item);
    at->figures.resumed++;
}

bool gateway_on_claimed(void* ticket, moves_result result, const void* record, size_t bytes, void* user)
{
    gateway_hello* hello = ticket;
    gateway* at = user;
    gateway_session* session = hello_session(hello);
    char error[128];
    cJSON* told = NULL;
    if (session && result == MOVES_DONE) told = json_parse(record, bytes, error, sizeof(error));
    bool late = told && at->settings->take_over != NECPNET_TAKE_OVER_ALLOW &&
                gateway_cluster_last_login(at, hello->key.client_id) > arrive_stamp(told);
    if (!told || late) { /* its client has gone, or another login of its user came first */
        cJSON_Delete(told);
        hello_begin_anew(hello, result == MOVES_DONE ? MOVES_UNKNOWN : result);
        return false;
    }
    arrive(hello, session, &hello->key, told);
    cJSON_Delete(told);
    arrive_close(hello);
    return true;
}

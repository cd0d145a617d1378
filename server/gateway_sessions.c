/* gateway_sessions - sessions of JSON-RPC: hello, going on with one that was lost, a second login, ends. One that another node has
 * comes by gateway_moves.c. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway_inside.h"
#include "log.h"

static gateway_session* sessions_session(const rpc_call* call)
{
    return call->user;
}

/* A suspended session of the same user with this id and ticket. NULL: there is none. */
static gateway_session* hello_find(const gateway_session* session, const cJSON* resume)
{
    const cJSON* id = cJSON_GetObjectItemCaseSensitive(resume, "session");
    const cJSON* ticket = cJSON_GetObjectItemCaseSensitive(resume, "ticket");
    gateway_session* other = gateway_first_of(session->owner, session->client_id);
    for (; other; other = other->chain) {
        if (other == session || other->client_id != session->client_id || other->peer != NECPNET_PEER_NONE) continue;
        if (!other->greeted || other->ended || other->given || strcmp(other->id, id->valuestring) != 0) continue;
        if (text_equal_secret(other->ticket, ticket->valuestring)) return other;
    }
    return NULL;
}

typedef struct hello_adoption {
    gateway* at;
    gateway_session* from;
    gateway_session* to;
    const cJSON* positions;
    text* out;
    bool first;
} hello_adoption;

/* One topic of the old session goes to the new one, from what its client says that it has. */
static void hello_adopt_topic(hello_adoption* how, topics_topic* topic, uint64_t given)
{
    const cJSON* said = cJSON_GetObjectItemCaseSensitive(how->positions, topics_name(topic));
    topics_position since = topics_get_position(topic);
    bool recovered = false;
    since.offset = given;
    if (said) {
        since.epoch = (uint64_t)cJSON_GetObjectItemCaseSensitive(said, "epoch")->valuedouble;
        since.offset = (uint64_t)cJSON_GetObjectItemCaseSensitive(said, "offset")->valuedouble;
    }
    (void)topics_unsubscribe(how->at->hub, topic, &how->from->subscriber);
    if (topics_subscribe(how->at->hub, topic, &how->to->subscriber, &since, how->at->now_us, &recovered) !=
        NECPNET_OK) {
        recovered = false;
    }
    text_put(how->out, how->first ? "" : ",");
    text_json(how->out, topics_name(topic));
    text_format(how->out, ":{\"epoch\":%llu,\"offset\":%llu,\"recovered\":%s}",
                (unsigned long long)topics_get_position(topic).epoch, (unsigned long long)since.offset,
                recovered ? "true" : "false");
    how->first = false;
}

typedef struct hello_next {
    const topics_topic* topic;
    uint64_t offset;
} hello_next;

static bool hello_take_first(const topics_topic* topic, uint64_t offset, void* user)
{
    *(hello_next*)user = (hello_next){.topic = topic, .offset = offset};
    return false;
}

/* The new connection's session takes over all that the old one had, also its id; the old one ends. */
static void hello_adopt(gateway_session* session, gateway_session* other, const cJSON* positions, text* out)
{
    gateway* at = session->owner;
    hello_adoption how = {.at = at, .from = other, .to = session, .positions = positions, .out = out, .first = true};
    if (!other->suspended && other->connection) { /* its loss was not noticed yet */
        other->ended = true;
        (void)necpnet_web_close(other->connection, GATEWAY_CLOSE_REPLACED, "the session went on elsewhere");
    }
    while (other->subscriber.count) {
        hello_next next = {NULL, 0};
        topics_each(&other->subscriber, hello_take_first, &next);
        hello_adopt_topic(&how, topics_find(at->hub, topics_name(next.topic)), next.offset);
    }
    gateway_move_crafts(other, session);
    memcpy(session->id, other->id, sizeof(session->id));
    session->began_us = other->began_us;
    session->resumes = other->resumes + 1;
    session->stamp = other->stamp;
    free(session->keys);
    session->keys = other->keys;
    session->key_next = other->key_next;
    other->keys = NULL;
    if (other->present || other->was_present) {
        gateway_set_present(at, session, true, false);
        gateway_set_present(at, other, false, false);
    }
    other->was_present = false;
    other->greeted = false; /* it ends without a trace */
    if (other->suspended) gateway_end_session(at, other);
    at->figures.resumed++;
}

void gateway_replace(gateway* at, gateway_session* other)
{
    static const char told[] = "{\"jsonrpc\":\"2.0\",\"method\":\"session.replaced\",\"params\":{}}";
    (void)gateway_send_text(other, told, sizeof(told) - 1);
    other->ended = true;
    (void)necpnet_web_close(other->connection, GATEWAY_CLOSE_REPLACED, "the same user connected again");
    at->figures.replaced++;
}

/* A second login: other sessions of this user, of this node and of others, end or refuse it. False: it is refused. */
static bool sessions_take_over(const gateway_session* session)
{
    gateway* at = session->owner;
    gateway_session *other = gateway_first_of(at, session->client_id), *next;
    bool refuses = at->settings->take_over == NECPNET_TAKE_OVER_REFUSE;
    if (at->settings->take_over == NECPNET_TAKE_OVER_ALLOW) return true;
    if (refuses && gateway_cluster_is_called(at, session->client_id)) return false;
    for (; other; other = next) {
        next = other->chain;
        if (other == session || other->client_id != session->client_id || other->peer != NECPNET_PEER_NONE) continue;
        if (!other->greeted || other->ended || other->given) continue;
        if (other->suspended) {
            gateway_end_session(at, other);
        } else if (refuses) {
            return false;
        } else {
            gateway_replace(at, other);
        }
    }
    return true;
}

void gateway_on_login(gateway* at, uint64_t client_id, uint64_t stamp, uint64_t origin, uint64_t own_origin)
{
    bool refuses = at->settings->take_over == NECPNET_TAKE_OVER_REFUSE;
    if (at->settings->take_over == NECPNET_TAKE_OVER_ALLOW) return;
    for (gateway_session *other = gateway_first_of(at, client_id), *next; other; other = next) {
        next = other->chain;
        if (other->client_id != client_id || other->peer != NECPNET_PEER_NONE) continue;
        if (!other->greeted || other->ended || other->given) continue;
        bool earlier = other->stamp < stamp || (other->stamp == stamp && own_origin < origin);
        if (other->suspended && earlier) {
            gateway_end_session(at, other);
        } else if (other->connection && earlier != refuses) {
            gateway_replace(at, other); /* of two at one moment the one stays that would have, one after the other */
        }
    }
}

bool gateway_begin(gateway_session* session)
{
    gateway* at = session->owner;
    if (!session->greeted && session->connection) {
        if (!sessions_take_over(session)) return false;
        session->stamp = gateway_cluster_stamp(at);
        gateway_cluster_say_login(at, session);
    }
    at->figures.sessions_total += !session->greeted;
    return true;
}

void gateway_put_hello(gateway_session* session, bool resumed, const char* followed, const char* reason, text* out)
{
    gateway* at = session->owner;
    session->greeted = true;
    gateway_cluster_tell_player(at, session->client_id);
    gateway_voice_say_session(at, session, true);
    if (session->connection) gateway_ask_guilds(at, session);
    if (session->connection && session->present) gateway_ask_friends(at, session);
    text_format(out, "{\"session\":\"%s\",\"ticket\":\"%s\",\"resumed\":%s,", session->id, session->ticket,
                resumed ? "true" : "false");
    if (reason) text_format(out, "\"reason\":\"%s\",", reason);
    text_put(out, "\"player\":");
    text_json(out, session->subject);
    text_format(out, ",\"role\":\"%s\",\"topics\":{",
                session->role == ROLE_ADMIN     ? "admin"
                : session->role == ROLE_SERVICE ? "service"
                                                : "player");
    text_put(out, followed);
    text_format(out, "},\"server\":\"" NECPNET_VERSION_TEXT "\",\"time\":%llu",
                (unsigned long long)(gateway_wall_us(at) / 1000u));
    text_format(out, ",\"resume_window_ms\":%lld,\"idle_ms\":%lld,\"message_bytes_max\":%u,\"calls_per_s\":%lld}",
                (long long)at->settings->resume_window_ms, (long long)at->settings->rpc_idle_s * 1000,
                GATEWAY_MESSAGE_BYTES_MAX, (long long)at->settings->rpc_rate * (session->role == ROLE_PLAYER ? 1 : 10));
}

void method_hello(rpc_call* call)
{
    gateway_session* session = sessions_session(call);
    const cJSON* resume = rpc_json(call, "resume");
    text topics_of;
    if ((session->greeted && session->connection) || session->arriving) {
        rpc_fail(call, RPC_CONFLICT, "the session has begun already");
        return;
    }
    gateway_session* other = resume ? hello_find(session, resume) : NULL;
    const char* reason = NULL;
    if (resume && !other && gateway_claim(call, &reason)) return; /* another node has it, perhaps */
    text_begin_growing(&topics_of);
    text_put(&topics_of, "");
    if (other) hello_adopt(session, other, rpc_json(call, "positions"), &topics_of);
    if (!other && !gateway_begin(session)) {
        rpc_fail(call, RPC_CONFLICT, "you are connected elsewhere");
    } else {
        gateway_put_hello(session, other != NULL, topics_of.to ? topics_of.to : "", reason, call->result);
    }
    text_end(&topics_of);
}

void method_close(rpc_call* call)
{
    gateway_session* session = sessions_session(call);
    session->closes = true;
    text_put(call->result, "{}");
}

void method_sessions(rpc_call* call)
{
    const gateway* at = sessions_session(call)->owner;
    int limit = (int)rpc_number(call, "limit", 100);
    bool first = true;
    text_put(call->result, "{\"sessions\":[");
    for (const gateway_session* session = at->first; session && limit > 0; session = session->next) {
        if (!session->greeted) continue;
        limit--;
        text_format(call->result, "%s{\"session\":\"%s\",\"player\":", first ? "" : ",", session->id);
        text_json(call->result, session->subject);
        text_format(call->result,
                    ",\"protocol\":\"%s\",\"status\":\"%s\",\"duration_ms\":%llu,\"silent_ms\":%llu,\"resumes\":%u,"
                    "\"topics\":%u}",
                    session->peer == NECPNET_PEER_NONE ? "jsonrpc" : "game-events",
                    session->suspended ? "suspended"
                    : session->ended   ? "closing"
                                       : "active",
                    (unsigned long long)((at->now_us - session->began_us) / 1000u),
                    (unsigned long long)((at->now_us - session->heard_us) / 1000u), session->resumes,
                    session->subscriber.count);
        first = false;
    }
    text_format(call->result,
                "],\"figures\":{\"sessions\":%u,\"suspended\":%u,\"connections\":%u,\"total\":%llu,\"resumed\":%llu,"
                "\"replaced\":%llu,\"idle\":%llu,\"expired\":%llu,\"lost\":%llu,\"ended_ms\":%llu}}",
                at->figures.sessions, at->figures.suspended, at->figures.connections,
                (unsigned long long)at->figures.sessions_total, (unsigned long long)at->figures.resumed,
                (unsigned long long)at->figures.replaced, (unsigned long long)at->figures.idle,
                (unsigned long long)at->figures.expired, (unsigned long long)at->figures.lost,
                (unsigned long long)at->figures.session_ms);
}

void method_end(rpc_call* call)
{
    gateway_session* own = sessions_session(call);
    gateway* at = own->owner;
    const char* id = rpc_text(call, "session", "");
    gateway_session* session = at->first;
    while (session && strcmp(session->id, id) != 0) session = session->next;
    if (!session || session->ended) {
        rpc_fail(call, RPC_NOT_FOUND, "there is no such session");
    } else if (session == own) {
        rpc_fail(call, RPC_CONFLICT, "session.close ends your own");
    } else if (session->connection) {
        session->ended = true;
        (void)necpnet_web_close(session->connection, GATEWAY_CLOSE_KICKED, "ended by an operator");
        text_put(call->result, "{}");
    } else if (session->peer != NECPNET_PEER_NONE) {
        (void)necpnet_server_kick(at->server, session->peer, 1, "ended by an operator", 1000);
        text_put(call->result, "{}");
    } else {
        gateway_end_session(at, session);
        text_put(call->result, "{}");
    }
}

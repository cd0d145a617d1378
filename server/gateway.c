/* gateway - sessions over WebSocket and necpnet, from hello to the end. */
#include "gateway_inside.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "forward.h"
#include "log.h"
#include "routing.h"
#include "tokens.h"

void gateway_put_hex(char* to, const uint8_t* from, size_t bytes)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < bytes; i++) {
        to[i * 2] = digits[from[i] >> 4];
        to[i * 2 + 1] = digits[from[i] & 15];
    }
    to[bytes * 2] = 0;
}

uint64_t gateway_wall_us(const gateway* at)
{
    return at->now_us + at->wall_offset_us;
}

/* ----------------------------------------------------------------------------------------------------- names -- */

void gateway_name_player(gateway* at, uint64_t client_id, const char* name)
{
    gateway_name** head = &at->names[client_id % GATEWAY_HEADS];
    for (gateway_name* known = *head; known; known = known->next) {
        if (known->player == client_id) return;
    }
    size_t bytes = strlen(name) + 1;
    gateway_name* known = at->name_count < GATEWAY_NAMES_MAX ? malloc(sizeof(*known) + bytes) : NULL;
    if (!known) return; /* shown by its number */
    known->player = client_id;
    known->next = *head;
    memcpy(known->name, name, bytes);
    *head = known;
    at->name_count++;
}

void gateway_put_player(const gateway* at, text* out, uint64_t client_id)
{
    const gateway_name* known = at->names[client_id % GATEWAY_HEADS];
    while (known && known->player != client_id) known = known->next;
    if (known) {
        text_json(out, known->name);
    } else {
        text_format(out, "\"#%016" PRIx64 "\"", client_id);
    }
}

bool gateway_find_player(const gateway* at, const gateway_session* asks, const char* name, uint64_t* out_client_id)
{
    if (name[0] == '#' && strlen(name) == 17 && strspn(name + 1, "0123456789abcdef") == 16) {
        *out_client_id = strtoull(name + 1, NULL, 16);
        return *out_client_id != 0;
    }
    (void)asks;
    bool development = at->settings->mode == CONFIG_DEVELOPMENT;
    *out_client_id = necpnet_token_client_id(development ? "necpnet development" : at->settings->jwt_issuer, name);
    return *out_client_id != 0;
}

/* -------------------------------------------------------------------------------------------------- sessions -- */

gateway_session* gateway_first_of(const gateway* at, uint64_t client_id)
{
    return at->heads[client_id % GATEWAY_HEADS];
}

void gateway_chain(gateway* at, gateway_session* session)
{
    gateway_session** head = &at->heads[session->client_id % GATEWAY_HEADS];
    session->chain = *head;
    *head = session;
}

void gateway_unchain(gateway* at, gateway_session* session)
{
    gateway_session** link = &at->heads[session->client_id % GATEWAY_HEADS];
    while (*link && *link != session) link = &(*link)->chain;
    if (*link) *link = session->chain;
    session->chain = NULL;
}

static gateway_session* gateway_new_session(gateway* at)
{
    uint8_t random[32];
    gateway_session* session = calloc(1, sizeof(*session));
    if (!session || !tokens_random(random, sizeof(random))) {
        free(session);
        return NULL;
    }
    gateway_put_hex(session->id, random, 16);
    snprintf(session->ticket, sizeof(session->ticket), "%016" PRIx64, routing_key(at->name, strlen(at->name)));
    gateway_put_hex(session->ticket + 16, random + 16, 16);
    session->guest.handlers = &at->handlers;
    session->owner = at;
    session->serial = ++at->serial;
    session->began_us = session->heard_us = session->tokens_at_us = at->now_us;
    session->tokens = 1e9; /* cut to the burst when it is first looked at */
    session->next = at->first;
    if (at->first) at->first->before = session;
    at->first = session;
    at->figures.sessions++;
    return session;
}

static void gateway_forget_behind(gateway* at, gateway_session* session)
{
    gateway_session** link = &at->behind;
    if (!session->is_behind) return;
    while (*link != session) link = &(*link)->behind_next;
    *link = session->behind_next;
}

void gateway_end_session(gateway* at, gateway_session* session)
{
    topics_unsubscribe_all(at->hub, &session->subscriber);
    crafting_feed_drop_all(at->crafts, &session->crafts);
    gateway_forget_behind(at, session);
    gateway_set_present(at, session, false, false);
    gateway_voice_say_session(at, session, false);
    gateway_unchain(at, session);
    if (session->greeted) gateway_cluster_tell_player(at, session->client_id);
    gateway_leave_groups(at, session);
    gateway_tell_analytics(at, session);
    if (session->before) {
        session->before->next = session->next;
    } else {
        at->first = session->next;
    }
    if (session->next) session->next->before = session->before;
    at->figures.sessions--;
    at->figures.suspended -= session->suspended;
    at->figures.connections -= session->connection != NULL;
    if (session->greeted) at->figures.session_ms += (at->now_us - session->began_us) / 1000u;
    cJSON_Delete(session->guilds);
    free(session->subject);
    free(session->keys);
    free(session);
}

void gateway_set_present(gateway* at, gateway_session* session, bool present, bool lost)
{
    if (session->present == present) return;
    if (present) {
        if (necpnet_presence_connect(at->presence, session->client_id, NECPNET_PRESENCE_ONLINE) != NECPNET_OK) return;
    } else {
        (void)necpnet_presence_disconnect(at->presence, session->client_id, lost);
        if (session->erased) (void)necpnet_presence_forget(at->presence, session->client_id);
    }
    session->present = present;
    gateway_keep_seen(at, session);
}

bool gateway_take_rate(gateway_session* session, double cost, uint32_t* out_retry_ms)
{
    const gateway* at = session->owner;
    double rate = (double)at->settings->rpc_rate * (session->role == ROLE_PLAYER ? 1 : 10);
    session->tokens += (double)(at->now_us - session->tokens_at_us) * 1e-6 * rate;
    session->tokens_at_us = at->now_us;
    if (session->tokens > rate * GATEWAY_RATE_BURST_S) session->tokens = rate * GATEWAY_RATE_BURST_S;
    if (cost > rate) cost = rate;
    if (session->tokens < cost) {
        *out_retry_ms = 1 + (uint32_t)((cost - session->tokens) / rate * 1000);
        return false;
    }
    session->tokens -= cost;
    return true;
}

/* ------------------------------------------------------------------------------------------------------- sending -- */

bool gateway_has_room(const gateway_session* session)
{
    if (session->holding || session->arriving || session->suspended || session->ended || session->given) return false;
    if (session->connection) return necpnet_web_pending(session->connection) < GATEWAY_PENDING_BYTES_MAX;
    return session->peer != NECPNET_PEER_NONE;
}

topics_taken gateway_fall_behind(gateway_session* session)
{
    gateway* at = session->owner;
    if (!session->is_behind) {
        session->is_behind = true;
        session->behind_next = at->behind;
        at->behind = session;
    }
    return TOPICS_FULL;
}

/* Those who were full: many only until the turn's bytes were written. */
static void gateway_catch_up(gateway* at)
{
    gateway_session** link = &at->behind;
    while (*link) {
        gateway_session* session = *link;
        if (session->subscriber.behind == 0 ||
            (gateway_has_room(session) && topics_catch_up(at->hub, &session->subscriber))) {
            *link = session->behind_next;
            session->is_behind = false;
        } else {
            link = &session->behind_next;
        }
    }
}

static necpnet_result gateway_send_named(gateway_session* session, const char* name, const void* data, size_t bytes)
{
    necpnet_send_options options = {.name = name};
    return necpnet_server_send_with(session->owner->server, session->peer, NECPNET_CHANNEL_RELIABLE, data, bytes,
                                    &options);
}

necpnet_result gateway_send_text(gateway_session* session, const char* json, size_t bytes)
{
    session->owner->queued = true;
    if (session->connection) return necpnet_web_send(session->connection, NECPNET_WEB_TEXT, json, bytes);
    if (session->peer != NECPNET_PEER_NONE) return gateway_send_named(session, GATEWAY_RPC_NAME, json, bytes);
    return NECPNET_ERR_NOT_CONNECTED;
}

static void gateway_close(gateway_session* session, int code, const char* why)
{
    session->ended = true;
    if (session->connection) (void)necpnet_web_close(session->connection, code, why);
    session->owner->queued = true;
}

void gateway_handle_rpc(gateway_session* session, const char* json, size_t bytes)
{
    gateway* at = session->owner;
    text answer;
    session->heard_us = at->now_us;
    session->holding = true;
    text_begin_growing(&answer);
    rpc_handle(at->methods, json, bytes, gateway_judge, session, &answer);
    session->holding = false;
    if (answer.failed) {
        gateway_close(session, 1011, "the answer is too large, or the server is short of memory");
    } else if (answer.bytes) {
        (void)gateway_send_text(session, answer.to, answer.bytes);
    }
    text_end(&answer);
    if (session->closes) gateway_close(session, 1000, "good bye");
    if (session->subscriber.behind) (void)topics_catch_up(at->hub, &session->subscriber);
}

/* ----------------------------------------------------------------------------------------------------- WebSocket -- */

/* The value of a parameter of the query; only letters, digits and - count. */
static bool gateway_query(const char* query, const char* name, char* value, size_t value_bytes)
{
    size_t name_bytes = strlen(name);
    value[0] = 0;
    while (*query) {
        size_t bytes = strcspn(query, "&");
        if (bytes > name_bytes && strncmp(query, name, name_bytes) == 0 && query[name_bytes] == '=') {
            size_t count = bytes - name_bytes - 1;
            if (count >= value_bytes) return false;
            memcpy(value, query + name_bytes + 1, count);
            value[count] = 0;
            return strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == count;
        }
        query += bytes + (query[bytes] == '&');
    }
    return true;
}

static bool gateway_refuse(necpnet_web_answer* answer, int status, const char* why)
{
    answer->action = NECPNET_WEB_REFUSE;
    answer->status = status;
    answer->body = why;
    if (status == 401) answer->headers = "WWW-Authenticate: Bearer\r\n";
    if (status == 503) answer->headers = "Retry-After: 2\r\n";
    return true;
}

bool gateway_on_upgrade(necpnet_web_connection* connection, const necpnet_web_request* request,
                        necpnet_web_answer* answer, void* user)
{
    gateway* at = user;
    char protocol[24], compression[16];
    int status = 0;
    if (strcmp(request->path, at->settings->ws_path) != 0) return false;
    bool offers = forward_lists(request->subprotocols, GATEWAY_SUBPROTOCOL);
    bool offers_binary = forward_lists(request->subprotocols, "necpnet.v1");
    if (!gateway_query(request->query, "protocol", protocol, sizeof(protocol)) ||
        (protocol[0] && strcmp(protocol, "jsonrpc") != 0 && strcmp(protocol, "game-events") != 0)) {
        return gateway_refuse(answer, 400, "protocol is jsonrpc or game-events\n");
    }
    if (!gateway_query(request->query, "compression", compression, sizeof(compression)) ||
        (compression[0] && strcmp(compression, "gzip") != 0 && strcmp(compression, "lz4") != 0 &&
         strcmp(compression, "none") != 0)) {
        return gateway_refuse(answer, 400, "compression is lz4, gzip or none\n");
    }
    answer->no_deflate = compression[0] && strcmp(compression, "gzip") != 0;
    bool wants_rpc = protocol[0] ? strcmp(protocol, "jsonrpc") == 0 : offers && !offers_binary;
    if (!wants_rpc) return false; /* necpnet.v1, whose channels compress by LZ4 themselves */
    if (strcmp(compression, "lz4") == 0) {
        return gateway_refuse(answer, 400, "lz4 is for protocol=game-events; jsonrpc takes gzip or none\n");
    }
    if (at->draining) return gateway_refuse(answer, 503, "the server is shutting down\n");
    if (at->figures.connections >= (uint32_t)at->settings->rpc_connections_max) {
        return gateway_refuse(answer, 503, "too many connections\n");
    }
    gateway_session* session = gateway_new_session(at);
    if (!session) return gateway_refuse(answer, 503, "the server is short of memory\n");
    identity who;
    const char* why = gateway_identify(at->known, request, gateway_wall_us(at), &who, &status);
    session->role = who.role;
    session->client_id = who.client_id;
    session->expires_us = who.expires_us;
    session->token_key = who.token_key;
    session->issued_us = who.issued_us;
    session->subject = why ? NULL : text_copy(who.subject);
    if (!why && !session->subject) {
        status = 503;
        why = "the server is short of memory\n";
    }
    if (why) {
        gateway_end_session(at, session);
        return gateway_refuse(answer, status, why);
    }
    session->connection = connection;
    at->figures.connections++;
    gateway_chain(at, session);
    gateway_name_player(at, session->client_id, session->subject);
    answer->action = NECPNET_WEB_ACCEPT;
    answer->subprotocol = offers ? GATEWAY_SUBPROTOCOL : NULL;
    answer->user_data = session;
    return true;
}

static void gateway_on_message(necpnet_web_connection* connection, necpnet_web_kind kind, const uint8_t* data,
                               size_t bytes, void* user)
{
    gateway_session* session = necpnet_web_get_user_data(connection);
    (void)user;
    if (!session || session->ended || session->given) return;
    if (kind != NECPNET_WEB_TEXT) {
        gateway_close(session, 1008, "JSON-RPC is text");
    } else if (bytes > GATEWAY_MESSAGE_BYTES_MAX) {
        gateway_close(session, 1009, "a message has at most 64 KB");
    } else {
        gateway_handle_rpc(session, (const char*)data, bytes);
    }
}

static void gateway_on_writable(necpnet_web_connection* connection, void* user)
{
    gateway_session* session = necpnet_web_get_user_data(connection);
    gateway* at = user;
    if (!session) return;
    gateway_tell_missed(session);
    if (session->subscriber.behind) (void)topics_catch_up(at->hub, &session->subscriber);
}

static void gateway_set_suspended(gateway* at, gateway_session* session, bool suspended)
{
    if (suspended && !session->suspended) at->figures.suspended++;
    if (!suspended && session->suspended) at->figures.suspended--;
    session->suspended = suspended;
    session->suspended_us = at->now_us;
}

/* The client's own good bye ends the session; a loss suspends it. */
static void gateway_on_close(necpnet_web_connection* connection, int code, const char* reason_text,
                             necpnet_result reason, void* user)
{
    gateway* at = user;
    gateway_session* session = necpnet_web_get_user_data(connection);
    (void)reason_text;
    if (!session) return;
    session->connection = NULL;
    at->figures.connections--;
    bool in_order = session->ended || code == 1000 || !session->greeted;
    LOG(NECPNET_LOG_DEBUG, "rpc_closed", necpnet_result_text(reason), LOG_TEXT("session", session->id),
        LOG_NUMBER("code", code), LOG_NUMBER("duration_ms", (at->now_us - session->began_us) / 1000u), LOG_END);
    if (in_order || at->settings->resume_window_ms == 0) {
        gateway_end_session(at, session);
        return;
    }
    gateway_set_suspended(at, session, true);
    session->was_present = session->present;
    gateway_cluster_tell_player(at, session->client_id);
    gateway_set_present(at, session, false, true);
}

/* -------------------------------------------------------------------------------------------------- binary peers -- */

static gateway_session** gateway_peer_head(gateway* at, necpnet_peer peer)
{
    return &at->peers[(peer ^ peer >> 32) % GATEWAY_HEADS];
}

gateway_session* gateway_session_of(gateway* at, necpnet_peer peer)
{
    gateway_session* session = *gateway_peer_head(at, peer);
    while (session && session->peer != peer) session = session->peer_chain;
    return session;
}

static void gateway_unchain_peer(gateway* at, gateway_session* session)
{
    gateway_session** link = gateway_peer_head(at, session->peer);
    while (*link && *link != session) link = &(*link)->peer_chain;
    if (*link) *link = session->peer_chain;
}

static void gateway_on_connected(gateway* at, const necpnet_event* event)
{
    necpnet_peer_info info;
    char subject[18];
    if (event->resumed) {
        gateway_session* session = gateway_session_of(at, event->peer);
        if (!session) return;
        gateway_set_suspended(at, session, false);
        gateway_set_present(at, session, true, false);
        (void)topics_catch_up(at->hub, &session->subscriber);
        return;
    }
    if (necpnet_server_get_peer(at->server, event->peer, &info) != NECPNET_OK) return;
    gateway_session* session = gateway_new_session(at);
    if (!session) return;
    snprintf(subject, sizeof(subject), "#%016" PRIx64, info.identity.client_id);
    session->subject = text_copy(subject);
    session->peer = event->peer;
    session->client_id = info.identity.client_id;
    session->role = ROLE_PLAYER;
    session->greeted = true;
    at->figures.sessions_total++;
    gateway_chain(at, session);
    session->peer_chain = *gateway_peer_head(at, session->peer);
    *gateway_peer_head(at, session->peer) = session;
    if (!session->subject) {
        gateway_unchain_peer(at, session);
        gateway_end_session(at, session);
        return;
    }
    if (session->client_id) gateway_set_present(at, session, true, false);
    gateway_cluster_tell_player(at, session->client_id);
    gateway_voice_say_session(at, session, true);
    gateway_ask_friends(at, session);
    gateway_ask_guilds(at, session);
}

static void gateway_on_disconnected(gateway* at, const necpnet_event* event)
{
    gateway_session* session = gateway_session_of(at, event->peer);
    if (!session) return;
    if (event->reason != NECPNET_ERR_CLOSED) gateway_set_present(at, session, false, true);
    gateway_unchain_peer(at, session);
    gateway_end_session(at, session);
}

static bool gateway_on_named(gateway* at, const necpnet_event* event)
{
    bool is_rpc = strcmp(event->name, GATEWAY_RPC_NAME) == 0;
    if (!is_rpc && strcmp(event->name, GATEWAY_EVENT_NAME) != 0) return false;
    gateway_session* session = gateway_session_of(at, event->peer);
    if (!session) return true;
    if (!is_rpc) {
        gateway_on_binary_event(session, event->data, event->bytes);
    } else if (event->bytes > GATEWAY_MESSAGE_BYTES_MAX || !text_is_utf8(event->data, event->bytes)) {
        static const char wrong[] = "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32700,\"message\":"
                                    "\"not UTF-8, or more than 64 KB\"},\"id\":null}";
        (void)gateway_send_text(session, wrong, sizeof(wrong) - 1);
    } else {
        gateway_handle_rpc(session, event->data, event->bytes);
    }
    return true;
}

bool gateway_on_event(gateway* at, const necpnet_event* event)
{
    gateway_session* session;
    switch (event->type) {
    case NECPNET_EVENT_CONNECTED: gateway_on_connected(at, event); return false;
    case NECPNET_EVENT_DISCONNECTED: gateway_on_disconnected(at, event); return false;
    case NECPNET_EVENT_SUSPENDED:
        session = gateway_session_of(at, event->peer);
        if (session) {
            gateway_set_suspended(at, session, true);
            gateway_set_present(at, session, false, true);
        }
        return false;
    case NECPNET_EVENT_WRITABLE:
        session = gateway_session_of(at, event->peer);
        if (session) {
            gateway_tell_missed(session);
            (void)topics_catch_up(at->hub, &session->subscriber);
        }
        return false;
    case NECPNET_EVENT_MESSAGE: return event->name && gateway_on_named(at, event);
    default: return false;
    }
}

/* ------------------------------------------------------------------------------------------------------- time -- */

static void gateway_sweep_session(gateway* at, gateway_session* session)
{
    uint64_t window_us = (uint64_t)at->settings->resume_window_ms * 1000u;
    uint64_t idle_us = (uint64_t)at->settings->rpc_idle_s * 1000000u;
    if (session->given) return; /* its claimant decides */
    if (session->suspended && session->peer == NECPNET_PEER_NONE) {
        if (at->now_us < session->suspended_us + window_us) return;
        at->figures.lost++;
        gateway_end_session(at, session);
    } else if (!session->connection || session->ended) {
        return;
    } else if (!session->greeted && at->now_us >= session->began_us + GATEWAY_HELLO_US) {
        gateway_close(session, GATEWAY_CLOSE_NO_HELLO, "session.hello did not come");
    } else if (session->expires_us && gateway_wall_us(at) >= session->expires_us) {
        at->figures.expired++;
        gateway_close(session, GATEWAY_CLOSE_EXPIRED, "the JWT has expired");
    } else if (idle_us && at->now_us >= session->heard_us + idle_us) {
        at->figures.idle++;
        gateway_close(session, GATEWAY_CLOSE_IDLE, "nothing was said for too long");
    }
}

/* Nobody can claim them any more. */
static void gateway_end_waiting(gateway* at)
{
    for (gateway_session *session = at->first, *next; session; session = next) {
        next = session->next;
        if (session->suspended && session->peer == NECPNET_PEER_NONE && !session->given)
            gateway_end_session(at, session);
    }
}

bool gateway_work(gateway* at, uint64_t now_us)
{
    at->now_us = now_us;
    if (now_us >= at->swept_us + GATEWAY_SWEEP_US) {
        at->swept_us = now_us;
        at->wall_offset_us = necpnet_wall_time_us() - now_us;
        (void)necpnet_presence_set_wall_time(at->presence, gateway_wall_us(at), now_us);
        topics_sweep(at->hub, now_us);
        for (gateway_session *session = at->first, *next; session; session = next) {
            next = session->next;
            gateway_sweep_session(at, session);
        }
    }
    gateway_catch_up(at);
    (void)necpnet_presence_update(at->presence, now_us);
    gateway_tell_presence(at);
    gateway_cluster_work(at);
    gateway_parties_work(at);
    if (at->draining && at->figures.suspended && !gateway_cluster_has_others(at)) gateway_end_waiting(at);
    gateway_state_work(at);
    bool queued = at->queued;
    at->queued = false;
    return queued;
}

void gateway_revoke(gateway* at, const revocation_news* news)
{
    for (gateway_session *session = at->first, *next; session; session = next) {
        next = session->next;
        if (session->peer != NECPNET_PEER_NONE || session->ended) continue; /* the server ends those */
        if (!revocations_means(news, session->client_id, session->token_key, session->issued_us)) continue;
        if (session->connection) {
            gateway_close(session, GATEWAY_CLOSE_REVOKED, "the credentials were revoked");
        } else {
            gateway_end_session(at, session);
        }
    }
}

void gateway_drain(gateway* at, uint32_t retry_ms)
{
    char json[128];
    int bytes =
        snprintf(json, sizeof(json),
                 "{\"jsonrpc\":\"2.0\",\"method\":\"session.draining\",\"params\":{\"retry_ms\":%u}}", retry_ms);
    at->draining = true;
    gateway_cluster_drain(at);
    for (gateway_session *session = at->first, *next; session; session = next) {
        next = session->next;
        if (!session->connection) continue;
        (void)gateway_send_text(session, json, (size_t)bytes);
        gateway_close(session, 1001, "the server is shutting down");
        session->ended = !session->greeted || !gateway_cluster_has_others(at); /* else it waits to be claimed there */
    }
}

bool gateway_waits(const gateway* at)
{
    return at->figures.suspended > 0;
}

/* ------------------------------------------------------------------------------------------------------- life -- */

/* Other workers, or a bus that leads to other machines. */
static bool gateway_has_others(const gateway* at)
{
    return at->settings->workers > 1 || strcmp(bus_name(at->known->events), "local") != 0;
}

static void gateway_on_topic_end(const topics_topic* topic, void* user)
{
    gateway_cluster_forget_topic(user, topic);
}

static necpnet_result gateway_open_machines(gateway* at, const gateway_config* wish)
{
    topics_config hub;
    necpnet_presence_config presence;
    char what[512];
    if (!tokens_random(&at->seed, sizeof(at->seed))) return NECPNET_ERR_NO_ENTROPY;
    topics_config_default(&hub);
    hub.seed = at->seed;
    hub.deliver = gateway_deliver;
    hub.gap = gateway_gap;
    hub.renew = gateway_renew;
    hub.end = gateway_on_topic_end;
    hub.user = at;
    necpnet_result result = topics_create(&hub, &at->hub);
    if (result == NECPNET_OK) result = necpnet_presence_config_default(&presence);
    if (result == NECPNET_OK) {
        presence.logger = log_of_library();
        presence.seed = at->seed;
        presence.players_max = (uint32_t)(at->settings->players_remembered + at->settings->peers_max);
        presence.grace_ms = (uint32_t)at->settings->resume_window_ms;
        if (gateway_has_others(at))
            presence.watches_max = 65535; /* this node watches all of its players for the others */
        result = necpnet_presence_create(&presence, &at->presence);
    }
    if (result == NECPNET_OK) result = groups_create(GATEWAY_GROUPS_MAX, &at->parties);
    if (result == NECPNET_OK) result = gateway_state_create(wish->world, wish->state_hz, &at->state);
    if (result != NECPNET_OK) return result;
    at->methods = rpc_open(gateway_methods, what, sizeof(what));
    if (at->methods) return NECPNET_OK;
    LOG(NECPNET_LOG_ERROR, "rpc_table", what, LOG_END);
    return NECPNET_ERR_INTERNAL;
}

necpnet_result gateway_create(const gateway_config* wish, gateway** out_gateway)
{
    gateway* at = calloc(1, sizeof(*at));
    if (!at) return NECPNET_ERR_OUT_OF_MEMORY;
    at->known = wish->known;
    at->loop = wish->loop;
    at->party_calls_end = &at->party_calls;
    at->speech = wish->speech;
    at->index = wish->index;
    at->settings = wish->known->settings;
    at->catalogue = wish->known->kinds;
    snprintf(at->name, sizeof(at->name), "%.63s-%lld-%d", at->settings->server_name, (long long)at->settings->server_id,
             wish->index);
    at->now_us = necpnet_time_us();
    at->wall_offset_us = necpnet_wall_time_us() - at->now_us;
    at->handlers = (necpnet_web_handlers){
        .on_message = gateway_on_message, .on_writable = gateway_on_writable, .on_close = gateway_on_close, .user = at};
    necpnet_result result = gateway_open_machines(at, wish);
    if (result != NECPNET_OK) {
        gateway_destroy(at);
        return result;
    }
    (void)necpnet_presence_set_wall_time(at->presence, gateway_wall_us(at), at->now_us);
    (void)necpnet_presence_update(at->presence, at->now_us);
    result = gateway_load_seen(at);
    if (result == NECPNET_OK && gateway_has_others(at)) result = gateway_cluster_begin(at, wish->loop);
    if (result != NECPNET_OK) {
        gateway_destroy(at);
        return result;
    }
    gateway_voice_begin(at);
    *out_gateway = at;
    return NECPNET_OK;
}

void gateway_attach(gateway* at, necpnet_server* server)
{
    at->server = server;
}

void gateway_set_crafts(gateway* at, crafting_feed* feed)
{
    at->crafts = feed;
}

void gateway_destroy(gateway* at)
{
    if (!at) return;
    gateway_cluster_end(at);
    gateway_forget_waiting(at);
    gateway_forget_hellos(at);
    gateway_forget_parties(at);
    gateway_voice_end(at);
    gateway_forget_questions(at);
    while (at->first) gateway_end_session(at, at->first);
    groups_destroy(at->parties);
    for (int i = 0; i < GATEWAY_HEADS; i++) {
        while (at->names[i]) {
            gateway_name* known = at->names[i];
            at->names[i] = known->next;
            free(known);
        }
    }
    topics_destroy(at->hub);
    necpnet_presence_destroy(at->presence);
    gateway_state_destroy(at->state);
    rpc_close(at->methods);
    free(at);
}

void gateway_get_figures(const gateway* at, gateway_figures* out_figures)
{
    *out_figures = at->figures;
    out_figures->groups = gateway_count_parties(at);
    gateway_cluster_get_figures(at, &out_figures->relay);
    gateway_cluster_get_moves(at, &out_figures->moves);
    topics_get_figures(at->hub, &out_figures->topics);
    (void)necpnet_presence_get_statistics(at->presence, &out_figures->presence);
}

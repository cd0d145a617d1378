/* worker - one thread, one loop, one server. */
#include "worker.h"

#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crafting_feed.h"
#include "edge.h"
#include "gateway.h"
#include "health_watch.h"
#include "identity.h"
#include "log.h"
#include "voice.h"

#define WORKER_LATENCY_SAMPLES 256 /* peers looked at a second */
#define WORKER_SAMPLES 512         /* tick times kept for the percentiles */

struct worker {
    services* known;
    const config* settings;
    const game_interface* game;
    void* world_of_game; /* the game's instance */
    necpnet_world* world;
    necpnet_loop* loop;
    necpnet_server* server;
    edge* front;
    voice* speech; /* NULL: off */
    gateway* hall;
    crafting_feed* crafts;
    health_watch* watch;
    bus_subscription* revoked; /* what other nodes revoke */
    connection_source sources[CONNECTION_SOURCES_MAX];
    int source_count;
    int index;
    necpnet_workers* crew; /* NULL: alone */
    board* figures;
    board_ticks ticks;
    uint32_t samples[WORKER_SAMPLES];
    uint64_t began_us;
    uint64_t tick; /* the last one that ran */
    uint64_t published_us;
    uint64_t sampled_us;  /* when round trips were last looked at, */
    necpnet_peer sampled; /* and of whom last */
    uint64_t latency[2][BOARD_LATENCY_BUCKETS];
    uint64_t wall_us; /* when the wall clock was last told */
    uint64_t drain_ends_us;
    bool draining;
};

/* ------------------------------------------------------------------------------------------------------ ticks -- */

static int worker_compare(const void* a, const void* b)
{
    uint32_t left = *(const uint32_t*)a;
    uint32_t right = *(const uint32_t*)b;
    return (left > right) - (left < right);
}

static void worker_count_tick(worker* at, uint64_t spent_us)
{
    static const uint32_t bounds_us[BOARD_TICK_BUCKETS] = BOARD_TICK_BOUNDS;
    board_ticks* ticks = &at->ticks;
    uint32_t us = spent_us > UINT32_MAX ? UINT32_MAX : (uint32_t)spent_us;
    at->samples[ticks->count % WORKER_SAMPLES] = us;
    ticks->count++;
    ticks->sum_us += spent_us;
    ticks->last_us = us;
    for (int i = 0; i < BOARD_TICK_BUCKETS; i++) ticks->buckets[i] += us <= bounds_us[i];
}

static uint64_t worker_tick_of(const worker* at, uint64_t now_us)
{
    return now_us / 1000000u * at->ticks.hz + now_us % 1000000u * at->ticks.hz / 1000000u;
}

/* When a tick begins: the first microsecond for which worker_tick_of gives it. */
static uint64_t worker_tick_begins_us(const worker* at, uint64_t tick)
{
    uint64_t hz = at->ticks.hz;
    return tick / hz * 1000000u + (tick % hz * 1000000u + hz - 1) / hz;
}

/* All ticks that are due; the world is committed as of the last. */
static void worker_run_ticks(worker* at, uint64_t now_us)
{
    uint64_t due = worker_tick_of(at, now_us);
    if (due <= at->tick) return;
    if (due - at->tick > 1) at->ticks.late++;
    if (due - at->tick > WORKER_TICKS_AT_ONCE_MAX) {
        at->ticks.skipped += due - at->tick - WORKER_TICKS_AT_ONCE_MAX;
        at->tick = due - WORKER_TICKS_AT_ONCE_MAX;
    }
    while (at->tick < due) {
        uint64_t before_us = necpnet_time_us();
        at->tick++;
        at->game->tick(at->world_of_game, (uint32_t)at->tick);
        if (at->tick == due && at->world) {
            necpnet_result result = necpnet_world_commit(at->world, (uint32_t)at->tick);
            if (result != NECPNET_OK) LOG(NECPNET_LOG_ERROR, "commit_failed", necpnet_result_text(result), LOG_END);
        }
        worker_count_tick(at, necpnet_time_us() - before_us);
    }
}

/* ----------------------------------------------------------------------------------------------------- events -- */

static void worker_on_connected(worker* at, const necpnet_event* event)
{
    necpnet_peer_info info;
    if (necpnet_server_get_peer(at->server, event->peer, &info) != NECPNET_OK) return;
    if (event->resumed) {
        at->game->rejoin(at->world_of_game, event->peer, &info);
        return;
    }
    voice_join(at->speech, event->peer);
    necpnet_result result = at->game->join(at->world_of_game, event->peer, &info);
    if (result != NECPNET_OK) (void)necpnet_server_kick(at->server, event->peer, 1, necpnet_result_text(result), 1000);
}

static void worker_on_disconnected(worker* at, const necpnet_event* event)
{
    LOG(NECPNET_LOG_DEBUG, "peer_disconnected", event->text, LOG_TEXT("reason", necpnet_result_name(event->reason)),
        LOG_END);
    voice_gone(at->speech, event->peer);
    at->game->leave(at->world_of_game, event->peer);
}

static void worker_poll(worker* at)
{
    necpnet_event event;
    while (necpnet_server_poll(at->server, &event)) {
        if (gateway_on_event(at->hall, &event)) continue;
        switch (event.type) {
        case NECPNET_EVENT_CONNECTED: worker_on_connected(at, &event); break;
        case NECPNET_EVENT_DISCONNECTED: worker_on_disconnected(at, &event); break;
        case NECPNET_EVENT_SUSPENDED: at->game->away(at->world_of_game, event.peer); break;
        case NECPNET_EVENT_MESSAGE: at->game->message(at->world_of_game, &event); break;
        case NECPNET_EVENT_INPUT:
            at->game->input(at->world_of_game, event.peer, event.tick, event.data, event.bytes);
            break;
        default: break;
        }
    }
}

/* -------------------------------------------------------------------------------------------------- the board -- */

static void worker_fill_gateway(const gateway_figures* hall, uint64_t out[BOARD_GATEWAY_VALUES])
{
    out[BOARD_GATEWAY_SESSIONS] = hall->sessions;
    out[BOARD_GATEWAY_SUSPENDED] = hall->suspended;
    out[BOARD_GATEWAY_CONNECTIONS] = hall->connections;
    out[BOARD_GATEWAY_BEGUN] = hall->sessions_total;
    out[BOARD_GATEWAY_RESUMED] = hall->resumed;
    out[BOARD_GATEWAY_REPLACED] = hall->replaced;
    out[BOARD_GATEWAY_IDLE] = hall->idle;
    out[BOARD_GATEWAY_EXPIRED] = hall->expired;
    out[BOARD_GATEWAY_LOST] = hall->lost;
    out[BOARD_GATEWAY_MOVES_TAKEN] = hall->moves.taken;
    out[BOARD_GATEWAY_MOVES_GIVEN] = hall->moves.given;
    out[BOARD_GATEWAY_MOVES_UNKNOWN] = hall->moves.unknown;
    out[BOARD_GATEWAY_MOVES_LATE] = hall->moves.late;
    out[BOARD_GATEWAY_CALLS] = hall->calls;
    out[BOARD_GATEWAY_CALL_ERRORS] = hall->call_errors;
    out[BOARD_GATEWAY_CALLS_LIMITED] = hall->refused;
    out[BOARD_GATEWAY_GROUPS] = hall->groups;
    out[BOARD_GATEWAY_TOPICS] = hall->topics.topics;
    out[BOARD_GATEWAY_SUBSCRIPTIONS] = hall->topics.subscriptions;
    out[BOARD_GATEWAY_PUBLISHED] = hall->topics.published;
    out[BOARD_GATEWAY_DELIVERED] = hall->topics.delivered;
    out[BOARD_GATEWAY_RECOVERED] = hall->topics.recovered;
    out[BOARD_GATEWAY_BEHIND] = hall->topics.fell_behind;
    out[BOARD_GATEWAY_DROPPED] = hall->topics.lost;
    out[BOARD_GATEWAY_HISTORY_MESSAGES] = hall->topics.history_messages;
    out[BOARD_GATEWAY_HISTORY_BYTES] = hall->topics.history_bytes;
    out[BOARD_GATEWAY_PRESENT] = hall->presence.here;
    out[BOARD_GATEWAY_PRESENT_GRACE] = hall->presence.grace;
    out[BOARD_GATEWAY_PRESENCE_CHANGES] = hall->presence.changes;
    out[BOARD_GATEWAY_PRESENCE_TOLD] = hall->presence.told;
    out[BOARD_GATEWAY_NODES] = hall->relay.nodes;
    out[BOARD_GATEWAY_OWNED] = hall->relay.owned;
    out[BOARD_GATEWAY_FOLLOWED] = hall->relay.followed;
    out[BOARD_GATEWAY_HELD] = hall->relay.held;
    out[BOARD_GATEWAY_RELAY_SENT] = hall->relay.sent;
    out[BOARD_GATEWAY_RELAY_DONE] = hall->relay.done;
    out[BOARD_GATEWAY_UNANSWERED] = hall->relay.unanswered;
    out[BOARD_GATEWAY_HANDED] = hall->relay.handed;
    out[BOARD_GATEWAY_RENEWED] = hall->relay.renewed;
}

static void worker_publish(worker* at, uint64_t now_us)
{
    board_figures figures = {.at_us = now_us, .began_us = at->began_us, .draining = at->draining};
    uint32_t sorted[WORKER_SAMPLES];
    edge_figures front;
    gateway_figures hall;
    uint64_t count = at->ticks.count < WORKER_SAMPLES ? at->ticks.count : WORKER_SAMPLES;
    at->published_us = now_us;
    if (count > 0) {
        memcpy(sorted, at->samples, count * sizeof(sorted[0]));
        qsort(sorted, count, sizeof(sorted[0]), worker_compare);
        at->ticks.p50_us = sorted[count / 2];
        at->ticks.p99_us = sorted[count * 99 / 100];
        at->ticks.max_us = sorted[count - 1];
    }
    figures.ticks = at->ticks;
    memcpy(figures.latency, at->latency, sizeof(figures.latency));
    (void)necpnet_server_get_statistics(at->server, &figures.server);
    if (at->world) (void)necpnet_world_get_statistics(at->world, &figures.world);
    crafting_feed_get_figures(at->crafts, &figures.crafting);
    if (at->speech) (void)necpnet_voice_hub_get_statistics(voice_hub(at->speech), &figures.voice);
    edge_get_figures(at->front, &front);
    gateway_get_figures(at->hall, &hall);
    figures.rpc_connections = hall.connections;
    worker_fill_gateway(&hall, figures.gateway);
    figures.rest_active = front.active;
    figures.rest_forwarded = front.forwarded;
    figures.rest_refused = front.refused;
    if (at->game->describe(at->world_of_game, figures.game, sizeof(figures.game)) == 0) memcpy(figures.game, "{}", 3);
    board_put_up(at->figures, at->index, &figures);
}

/* Round trips of some peers, another lot each second. */
static void worker_sample_latency(worker* at, uint64_t now_us)
{
    static const uint32_t bounds_ms[BOARD_LATENCY_BUCKETS] = BOARD_LATENCY_BOUNDS_MS;
    if (now_us < at->sampled_us + 1000000u) return;
    at->sampled_us = now_us;
    for (int i = 0; i < WORKER_LATENCY_SAMPLES; i++) {
        necpnet_statistics statistics;
        at->sampled = necpnet_server_next_peer(at->server, at->sampled);
        if (at->sampled == NECPNET_PEER_NONE) break; /* the next lot begins with the first */
        if (necpnet_server_get_peer_statistics(at->server, at->sampled, &statistics) != NECPNET_OK) continue;
        if (statistics.rtt_us == 0) continue; /* none measured */
        int bucket = 0;
        while (bucket < BOARD_LATENCY_BUCKETS - 1 && statistics.rtt_us > bounds_ms[bucket] * 1000u) bucket++;
        at->latency[statistics.transport != NECPNET_TRANSPORT_UDP][bucket]++;
    }
}

/* ------------------------------------------------------------------------------------------------------- drain -- */

static void worker_begin_drain(worker* at, uint64_t now_us)
{
    at->draining = true;
    at->drain_ends_us = now_us + (uint64_t)at->settings->drain_ms * 1000u;
    (void)necpnet_server_drain(at->server, WORKER_RETRY_MS);
    gateway_drain(at->hall, WORKER_RETRY_MS);
    crafting_feed_drain(at->crafts);
    LOG(NECPNET_LOG_INFO, "draining", "no new sessions; a second signal ends at once",
        LOG_NUMBER("drain_ms", at->settings->drain_ms), LOG_END);
    worker_publish(at, now_us);
}

/* Whether the last player is gone, or the deadline is here. */
static bool worker_is_drained(const worker* at, uint64_t now_us)
{
    necpnet_server_statistics statistics;
    edge_figures front;
    if (!at->draining) return false;
    edge_get_figures(at->front, &front);
    bool empty = necpnet_server_get_statistics(at->server, &statistics) == NECPNET_OK &&
                 statistics.peers_connected == 0 && front.active == 0 && !gateway_waits(at->hall);
    if (!empty && now_us < at->drain_ends_us) return false;
    LOG(NECPNET_LOG_INFO, "drained", empty ? "everybody has left" : "the deadline is here",
        LOG_NUMBER("peers", statistics.peers_connected), LOG_END);
    return true;
}

/* -------------------------------------------------------------------------------------------------------- loop -- */

static void worker_turn(worker* at, uint64_t now_us)
{
    if (at->wall_us == 0 || now_us >= at->wall_us + WORKER_WALL_PERIOD_US) {
        at->wall_us = now_us;
        (void)necpnet_server_set_wall_time(at->server, necpnet_wall_time_us(), now_us);
    }
    worker_run_ticks(at, now_us);
    necpnet_result result = necpnet_server_update(at->server, now_us);
    if (result != NECPNET_OK) {
        LOG(NECPNET_LOG_ERROR, "update_failed", necpnet_result_text(result),
            LOG_TEXT("result", necpnet_result_name(result)), LOG_END);
    }
    worker_poll(at);
    voice_work(at->speech, at->game, at->world_of_game, now_us);
    bool queued = edge_work(at->front, now_us);
    if (gateway_work(at->hall, now_us)) queued = true;
    if (crafting_feed_work(at->crafts, now_us)) queued = true;
    if (health_watch_work(at->watch, now_us)) queued = true;
    if (queued) (void)necpnet_server_update(at->server, now_us);
    worker_sample_latency(at, now_us);
    if (now_us >= at->published_us + BOARD_PERIOD_US) worker_publish(at, now_us);
}

bool worker_run(worker* at, const atomic_int* signals)
{
    for (;;) {
        uint64_t now_us = necpnet_time_us();
        int came = atomic_load(signals);
        if (came > 0 && !at->draining) worker_begin_drain(at, now_us);
        if (came > 1) {
            LOG(NECPNET_LOG_WARNING, "forced", "ended by a second signal", LOG_END);
            return false;
        }
        worker_turn(at, now_us);
        if (worker_is_drained(at, now_us)) return true;
        uint64_t next_us = worker_tick_begins_us(at, at->tick + 1);
        uint64_t feed_us = crafting_feed_next_us(at->crafts, next_us);
        if (feed_us < next_us) next_us = feed_us;
        now_us = necpnet_time_us();
        if (next_us > now_us) (void)necpnet_server_wait(at->server, next_us - now_us);
    }
}

/* ----------------------------------------------------------------------------------------------------- asking -- */

typedef struct worker_question {
    pthread_mutex_t lock;
    pthread_cond_t answered;
    worker* at;
    void (*run)(worker* at, void* data);
    void (*drop)(void* data);
    bool done;
    bool left; /* nobody waits any more */
    _Alignas(max_align_t) uint8_t data[];
} worker_question;

static void worker_question_end(worker_question* question)
{
    pthread_mutex_destroy(&question->lock);
    pthread_cond_destroy(&question->answered);
    free(question);
}

static void worker_answer(void* user)
{
    worker_question* question = user;
    pthread_mutex_lock(&question->lock);
    bool left = question->left;
    pthread_mutex_unlock(&question->lock);
    if (!left) question->run(question->at, question->data);
    pthread_mutex_lock(&question->lock);
    if (!left && question->left && question->drop) question->drop(question->data);
    left = question->left;
    question->done = true;
    pthread_cond_signal(&question->answered);
    pthread_mutex_unlock(&question->lock);
    if (left) worker_question_end(question);
}

bool worker_ask(worker* at, void (*run)(worker* at, void* data), void* data, size_t bytes, void (*drop)(void* data),
                uint32_t timeout_ms)
{
    worker_question* question = calloc(1, sizeof(*question) + bytes);
    struct timespec until;
    pthread_condattr_t clock;
    if (!question) return false;
    question->at = at;
    question->run = run;
    question->drop = drop;
    memcpy(question->data, data, bytes);
    pthread_mutex_init(&question->lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&question->answered, &clock);
    pthread_condattr_destroy(&clock);
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000u;
    until.tv_nsec += (long)(timeout_ms % 1000u) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    if (necpnet_loop_post(at->loop, worker_answer, question) != NECPNET_OK) {
        worker_question_end(question);
        return false;
    }
    pthread_mutex_lock(&question->lock);
    int waited = 0;
    while (!question->done && waited == 0) {
        waited = pthread_cond_timedwait(&question->answered, &question->lock, &until);
    }
    bool done = question->done;
    if (done) memcpy(data, question->data, bytes);
    question->left = !done;
    pthread_mutex_unlock(&question->lock);
    if (done) worker_question_end(question);
    return done;
}

necpnet_server* worker_server(worker* at)
{
    return at->server;
}

gateway* worker_gateway(worker* at)
{
    return at->hall;
}

int worker_index(const worker* at)
{
    return at->index;
}

void worker_publish_now(worker* at)
{
    worker_publish(at, necpnet_time_us());
}

/* ---------------------------------------------------------------------------------------------------- upgrades -- */

/* An edge_upgrade that takes none: a WebSocket that shows a JWT which is not taken is refused before anybody serves it. One that
 * shows none goes on to those who serve it and know whether they want one. */
static bool worker_judge_upgrade(necpnet_web_connection* connection, const necpnet_web_request* request,
                                 necpnet_web_answer* answer, void* user)
{
    worker* at = user;
    identity who;
    const char* why = "the JWT is shown in more than one way, or not as text";
    char from[64];
    (void)connection;
    if (!identity_upgrade_has(request)) return false;
    char* jwt = identity_from_upgrade(request);
    necpnet_result result = NECPNET_ERR_TOKEN_INVALID;
    if (jwt) result = identity_verify(&at->known->identities, jwt, necpnet_wall_time_us(), &who, &why);
    if (jwt) memset(jwt, 0, strlen(jwt));
    free(jwt);
    if (result == NECPNET_OK) return false;
    answer->action = NECPNET_WEB_REFUSE;
    answer->status = 401;
    answer->headers = "WWW-Authenticate: Bearer error=\"invalid_token\"\r\n";
    answer->body = why;
    identity_put_address(&request->from, from, sizeof(from));
    LOG(NECPNET_LOG_WARNING, "credential_refused", why, LOG_TEXT("route", "(upgrade)"), LOG_TEXT("from", from),
        LOG_END);
    return true;
}

/* ------------------------------------------------------------------------------------------------- revocation -- */

necpnet_result worker_revoke(worker* at, const revocation_news* news)
{
    uint8_t token_id[NECPNET_TOKEN_ID_BYTES];
    if (news->kind == REVOCATION_ROTATED) return NECPNET_OK;
    if (news->kind == REVOCATION_CONNECT) return necpnet_server_revoke_token(at->server, news->token_id);
    gateway_revoke(at->hall, news);
    crafting_feed_revoke(at->crafts, news);
    if (news->kind == REVOCATION_USER) return necpnet_server_revoke_client(at->server, news->key);
    revocations_token_id(news->key, token_id);
    return necpnet_server_revoke_token(at->server, token_id);
}

static void worker_on_revoked(const char* topic, const void* data, size_t bytes, void* user)
{
    worker* at = user;
    revocation_news news;
    (void)topic;
    if (revocations_hear(at->known->revoked, data, bytes, &news)) (void)worker_revoke(at, &news);
}

/* ------------------------------------------------------------------------------------------------- connections -- */

void worker_add_source(worker* at, const connection_source* source)
{
    int index = at->source_count;
    if (index == CONNECTION_SOURCES_MAX) return;
    for (; index > 0 && at->sources[index - 1].letter > source->letter; index--)
        at->sources[index] = at->sources[index - 1];
    at->sources[index] = *source;
    at->source_count++;
}

int worker_source_count(const worker* at)
{
    return at->source_count;
}

const connection_source* worker_source(const worker* at, int index)
{
    return &at->sources[index];
}

static void worker_fill_voice(const worker* at, necpnet_peer peer, connection_row* row)
{
    necpnet_voice_member_info member;
    if (!at->speech || necpnet_voice_hub_get_member(voice_hub(at->speech), peer, &member) != NECPNET_OK) return;
    row->voice_packets_sent = member.packets_received;
    row->voice_packets_received = member.packets_sent;
}

static bool worker_find_session(void* user, uint64_t key, connection_row* row)
{
    worker* at = user;
    necpnet_peer_info info;
    necpnet_statistics statistics;
    uint64_t now_us = necpnet_time_us();
    if (necpnet_server_get_peer(at->server, key, &info) != NECPNET_OK) return false;
    row->client_id = info.identity.client_id;
    const char* name = (const char*)info.identity.user_data;
    size_t bytes = strnlen(name, sizeof(row->name) - 1);
    if (text_is_printable(name, bytes)) snprintf(row->name, sizeof(row->name), "%.*s", (int)bytes, name);
    row->protocol = "necpnet.v1";
    row->transport = info.transport == NECPNET_TRANSPORT_UDP ? "udp" : "websocket";
    row->connected_us = info.connected_us;
    row->heard_us = info.heard_us;
    row->status = !info.connected                               ? CONNECTION_CLOSING
                  : now_us > info.heard_us + CONNECTION_IDLE_US ? CONNECTION_IDLE
                                                                : CONNECTION_ACTIVE;
    identity_put_address(&info.address, row->from, sizeof(row->from));
    gateway_fill_topics(at->hall, key, row);
    worker_fill_voice(at, key, row);
    if (necpnet_server_get_peer_statistics(at->server, key, &statistics) != NECPNET_OK) return true;
    row->packets_sent = statistics.packets_sent;
    row->packets_received = statistics.packets_received;
    row->bytes_sent = statistics.bytes_sent;
    row->bytes_received = statistics.bytes_received;
    row->rtt_us = statistics.rtt_us;
    row->queue_bytes = statistics.queue_bytes;
    return true;
}

static void worker_each_session(void* user, uint64_t after, connection_visit visit, void* visitor)
{
    worker* at = user;
    connection_row row;
    necpnet_peer peer = necpnet_server_next_peer(at->server, after);
    for (; peer != NECPNET_PEER_NONE; peer = necpnet_server_next_peer(at->server, peer)) {
        memset(&row, 0, sizeof(row));
        if (worker_find_session(at, peer, &row) && !visit(peer, &row, visitor)) return;
    }
}

static necpnet_result worker_change_topic(void* user, uint64_t key, const char* topic, bool subscribe, const char** why)
{
    worker* at = user;
    return gateway_change_topic(at->hall, key, topic, subscribe, why);
}

static bool worker_close_session(void* user, uint64_t key)
{
    worker* at = user;
    return necpnet_server_kick(at->server, key, 1, "closed by an operator", 1000) == NECPNET_OK;
}

/* -------------------------------------------------------------------------------------------------------- life -- */

static void worker_configure(worker* at, necpnet_server_config* server)
{
    const config* settings = at->settings;
    const tokens* office = at->known->office;
    server->logger = log_of_library();
    server->loop = at->loop;
    server->bind_address = settings->bind_address;
    server->udp_port = (int)settings->udp_port;
    server->tcp_port = (int)settings->port;
    server->path = settings->ws_path;
    if (settings->certificate_file[0]) {
        server->tls.certificate_file = settings->certificate_file;
        server->tls.key_file = settings->key_file;
    }
    server->deflate.enabled = settings->ws_deflate != CONFIG_DEFLATE_OFF;
    server->deflate.sessions = server->deflate.enabled;
    server->deflate.send_context = settings->ws_deflate == CONFIG_DEFLATE_CONTEXT;
    server->deflate.receive_context = server->deflate.send_context;
    server->web = edge_handlers(at->front);
    server->security = (necpnet_security)settings->security;
    if (settings->passphrase[0]) server->passphrase = settings->passphrase;
    if (server->security == NECPNET_SECURITY_TOKEN) {
        server->token_keys = office->keys;
        server->token_key_count = office->key_count;
    }
    server->server_id = (uint64_t)settings->server_id;
    server->token_epoch = (uint32_t)settings->token_epoch;
    if (config_takes_jwt(settings)) {
        server->authorize = identity_authorize;
        server->authorize_user = &at->known->identities;
    }
    server->world = at->world;
    server->voice_hub = voice_hub(at->speech);
    server->peers_max = (uint32_t)settings->peers_max;
    server->web_connections_max = (uint32_t)(settings->rpc_connections_max * 2 + settings->http_connections_max * 2);
    server->peers_per_address_max = (uint32_t)settings->peers_per_address_max;
    server->tick_hz = at->game->tick_hz;
    server->resume_window_ms = (uint32_t)settings->resume_window_ms;
    if (server->ticket_lifetime_ms < server->resume_window_ms * 2) {
        server->ticket_lifetime_ms = server->resume_window_ms * 2;
    }
    server->suspended_max = server->peers_max;
    server->take_over = (necpnet_take_over)settings->take_over;
    server->bandwidth_limit = (uint32_t)settings->bandwidth_limit;
    server->query_name = settings->server_name;
    server->workers = at->crew;
}

static necpnet_result worker_open_game(worker* at)
{
    game_config game = {.logger = log_of_library(),
                        .seed = 1,
                        .bots = (uint32_t)at->settings->bots,
                        .players_max = (uint32_t)at->settings->peers_max,
                        .state_hz = (uint32_t)at->settings->state_hz,
                        .state_bytes_per_s = (uint32_t)at->settings->state_bytes_per_s};
    if (!tokens_random(&game.seed, sizeof(game.seed))) return NECPNET_ERR_NO_ENTROPY;
    return at->game->create(&game, &at->world_of_game, &at->world);
}

static necpnet_result worker_open_server(worker* at)
{
    tokens* office = at->known->office;
    necpnet_server_config server;
    necpnet_result result = necpnet_server_config_default(&server);
    if (result != NECPNET_OK) return result;
    worker_configure(at, &server);
    result = necpnet_server_create(&server, &at->server);
    if (result != NECPNET_OK) return result;
    at->game->start(at->world_of_game, at->server);
    return necpnet_server_get_ports(at->server, &office->udp_port, &office->tcp_port);
}

necpnet_result worker_create(const game_interface* game, services* known, const rest* back, int index,
                             necpnet_workers* crew, worker** out_worker, const char** out_what)
{
    worker* at = calloc(1, sizeof(*at));
    *out_what = "memory";
    if (!at) return NECPNET_ERR_OUT_OF_MEMORY;
    at->known = known;
    at->settings = known->settings;
    at->game = game;
    at->figures = known->figures;
    at->index = index;
    at->crew = crew;
    at->ticks.hz = game->tick_hz;
    at->began_us = necpnet_time_us();
    at->tick = worker_tick_of(at, at->began_us);

    *out_what = "the event loop";
    necpnet_result result = necpnet_loop_create(NULL, NECPNET_LOOP_BEST, &at->loop);
    if (result == NECPNET_OK) {
        *out_what = "the game";
        result = worker_open_game(at);
    }
    if (result == NECPNET_OK) result = edge_create(at->settings, &at->front);
    if (result == NECPNET_OK) result = voice_create(at->settings, known->events, at->loop, &at->speech);
    if (result == NECPNET_OK) result = health_watch_create(known, &at->watch);
    if (result == NECPNET_OK) {
        gateway_config hall = {.known = known,
                               .world = at->world,
                               .state_hz = WORKER_STATE_HZ,
                               .loop = at->loop,
                               .index = index,
                               .speech = at->speech};
        result = gateway_create(&hall, &at->hall);
        edge_host(at->front, gateway_on_upgrade, at->hall);
    }
    if (result == NECPNET_OK) {
        result = crafting_feed_create(known, at->loop, index, gateway_announce_crafting, at->hall, &at->crafts);
        if (result == NECPNET_OK) gateway_set_crafts(at->hall, at->crafts);
    }
    if (result == NECPNET_OK) {
        *out_what = "the ports";
        result = worker_open_server(at);
    }
    if (result == NECPNET_OK) {
        *out_what = "the bus";
        result = bus_subscribe(known->events, REVOCATIONS_TOPIC, at->loop, worker_on_revoked, at, &at->revoked);
    }
    if (result != NECPNET_OK) {
        worker_destroy(at);
        return result;
    }
    const connection_source sessions = {.letter = 'p',
                                        .each = worker_each_session,
                                        .find = worker_find_session,
                                        .close = worker_close_session,
                                        .change_topic = worker_change_topic,
                                        .user = at};
    const connection_source calls = gateway_source(at->hall);
    worker_add_source(at, &sessions);
    worker_add_source(at, &calls);
    edge_host(at->front, worker_judge_upgrade, at);
    edge_host(at->front, health_watch_on_upgrade, at->watch);
    edge_host(at->front, crafting_feed_on_upgrade, at->crafts);
    worker_publish(at, at->began_us);
    gateway_attach(at->hall, at->server);
    edge_attach(at->front, necpnet_server_get_web(at->server), rest_port(back), rest_secret(back));
    *out_worker = at;
    return NECPNET_OK;
}

void worker_settle(worker* at)
{
    (void)necpnet_loop_step(at->loop, 0);
}

void worker_destroy(worker* at)
{
    if (!at) return;
    bus_unsubscribe(at->known->events, at->revoked);
    if (at->world_of_game && at->server) at->game->stop(at->world_of_game);
    necpnet_server_destroy(at->server);
    health_watch_destroy(at->watch);
    edge_destroy(at->front);
    gateway_destroy(at->hall);
    voice_destroy(at->speech); /* whose listener the gateway is */
    crafting_feed_destroy(at->crafts);
    if (at->loop) (void)necpnet_loop_step(at->loop, 0); /* what the bus had posted */
    at->game->destroy(at->world_of_game);
    necpnet_loop_destroy(at->loop);
    free(at);
}

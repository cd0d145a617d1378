/* board - the figures of all workers as one. */
#include "board.h"

static uint64_t board_later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint32_t board_worse(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static void board_add_ticks(board_ticks* sum, const board_ticks* more)
{
    sum->count += more->count;
    sum->late += more->late;
    sum->skipped += more->skipped;
    sum->sum_us += more->sum_us;
    for (int i = 0; i < BOARD_TICK_BUCKETS; i++) sum->buckets[i] += more->buckets[i];
    sum->last_us = board_worse(sum->last_us, more->last_us);
    sum->p50_us = board_worse(sum->p50_us, more->p50_us);
    sum->p99_us = board_worse(sum->p99_us, more->p99_us);
    sum->max_us = board_worse(sum->max_us, more->max_us);
}

static void board_add_traffic(necpnet_traffic* sum, const necpnet_traffic* more)
{
    sum->packets_sent += more->packets_sent;
    sum->packets_received += more->packets_received;
    sum->packets_lost += more->packets_lost;
    sum->bytes_sent += more->bytes_sent;
    sum->bytes_received += more->bytes_received;
}

static void board_add_server(necpnet_server_statistics* sum, const necpnet_server_statistics* more)
{
    sum->peers += more->peers;
    sum->peers_connected += more->peers_connected;
    sum->peers_udp += more->peers_udp;
    sum->peers_websocket += more->peers_websocket;
    sum->web_connections += more->web_connections;
    sum->sessions_total += more->sessions_total;
    sum->peers_suspended += more->peers_suspended;
    sum->sessions_resumed += more->sessions_resumed;
    board_add_traffic(&sum->udp, &more->udp);
    board_add_traffic(&sum->websocket, &more->websocket);
    sum->messages_sent += more->messages_sent;
    sum->messages_received += more->messages_received;
    sum->deflate_bytes_saved += more->deflate_bytes_saved;
    sum->memory_bytes += more->memory_bytes;
    sum->memory_peak_bytes += more->memory_peak_bytes;
    for (int i = 0; i < NECPNET_DROP_COUNT; i++) sum->drops[i] += more->drops[i];
}

static void board_add_world(necpnet_world_statistics* sum, const necpnet_world_statistics* more)
{
    sum->entities += more->entities;
    sum->updates_sent += more->updates_sent;
    sum->bytes_sent += more->bytes_sent;
    sum->full_sent += more->full_sent;
    sum->values_clamped += more->values_clamped;
    sum->records_made += more->records_made;
    sum->records_shared += more->records_shared;
    sum->interest_ns += more->interest_ns;
    sum->encode_ns += more->encode_ns;
}

static void board_add_voice(necpnet_voice_hub_statistics* sum, const necpnet_voice_hub_statistics* more)
{
    sum->members += more->members;
    sum->groups += more->groups;
    sum->speaking += more->speaking;
    sum->packets_received += more->packets_received;
    sum->packets_forwarded += more->packets_forwarded;
    sum->bytes_forwarded += more->bytes_forwarded;
    sum->packets_limited += more->packets_limited;
    sum->packets_bad += more->packets_bad;
    sum->packets_stranger += more->packets_stranger;
    sum->packets_silenced += more->packets_silenced;
    sum->copies_unheard += more->copies_unheard;
    sum->copies_quiet += more->copies_quiet;
    sum->copies_stale += more->copies_stale;
    sum->relay_sent += more->relay_sent;
    sum->relay_received += more->relay_received;
    sum->relay_dropped += more->relay_dropped;
    sum->memory_bytes += more->memory_bytes;
}

void board_read(board* shared, board_figures* out_figures)
{
    pthread_mutex_lock(&shared->lock);
    *out_figures = shared->figures[0];
    for (int i = 1; i < shared->count; i++) {
        const board_figures* more = &shared->figures[i];
        if (more->at_us < out_figures->at_us) out_figures->at_us = more->at_us;
        out_figures->began_us = board_later(out_figures->began_us, more->began_us);
        out_figures->draining |= more->draining;
        board_add_server(&out_figures->server, &more->server);
        board_add_world(&out_figures->world, &more->world);
        board_add_voice(&out_figures->voice, &more->voice);
        board_add_ticks(&out_figures->ticks, &more->ticks);
        for (int j = 0; j < 2 * BOARD_LATENCY_BUCKETS; j++) {
            out_figures->latency[j / BOARD_LATENCY_BUCKETS][j % BOARD_LATENCY_BUCKETS] +=
                more->latency[j / BOARD_LATENCY_BUCKETS][j % BOARD_LATENCY_BUCKETS];
        }
        out_figures->rest_active += more->rest_active;
        out_figures->rpc_connections += more->rpc_connections;
        out_figures->rest_forwarded += more->rest_forwarded;
        out_figures->rest_refused += more->rest_refused;
        for (int j = 0; j < BOARD_GATEWAY_VALUES; j++) {
            uint64_t* sum = &out_figures->gateway[j];
            *sum = j == BOARD_GATEWAY_NODES ? board_later(*sum, more->gateway[j]) : *sum + more->gateway[j];
        }
        out_figures->crafting.followers += more->crafting.followers;
        for (int j = 0; j < 3; j++) out_figures->crafting.updates[j] += more->crafting.updates[j];
        out_figures->crafting.bytes += more->crafting.bytes;
        out_figures->crafting.skipped += more->crafting.skipped;
    }
    pthread_mutex_unlock(&shared->lock);
}

/* nn_presence_api - the public calls, and presence as bytes. */
#include "nn_presence.h"

#include "nn_bytes.h"
#include "nn_config.h"
#include "nn_utf8.h"

necpnet_result necpnet_presence_config_default(necpnet_presence_config* config)
{
    if (!config) return NECPNET_ERR_INVALID_ARGUMENT;
    memset(config, 0, sizeof *config);
    config->struct_bytes = sizeof *config;
    config->players_max = 65536;
    config->friends_max = 256;
    config->watches_max = 256;
    config->watchers_max = 16384;
    config->interval_ms = 1000;
    config->grace_ms = 30000;
    return NECPNET_OK;
}

static bool presence_check_config(const necpnet_presence_config* config)
{
    const necpnet_logger* logger = &config->logger;
    return nn_config_allocator(logger, &config->allocator) &&
           nn_config_range(logger, "players_max", config->players_max, 1, NN_PRESENCE_PLAYERS_MAX) &&
           nn_config_range(logger, "friends_max", config->friends_max, 0, 65535) &&
           nn_config_range(logger, "watches_max", config->watches_max, 0, 65535) &&
           nn_config_range(logger, "watchers_max", config->watchers_max, 0, NN_PRESENCE_PLAYERS_MAX) &&
           nn_config_range(logger, "interval_ms", config->interval_ms, 1, 60000) &&
           nn_config_range(logger, "grace_ms", config->grace_ms, 0, 3600000);
}

necpnet_result necpnet_presence_create(const necpnet_presence_config* config, necpnet_presence** out_presence)
{
    if (!config || !out_presence) return NECPNET_ERR_INVALID_ARGUMENT;
    if (config->struct_bytes != sizeof *config) return NECPNET_ERR_BAD_STRUCT_BYTES;
    if (!presence_check_config(config)) return NECPNET_ERR_BAD_CONFIG;
    nn_alloc alloc;
    nn_alloc_init(&alloc, &config->allocator);
    necpnet_presence* presence = (necpnet_presence*)nn_alloc_take(&alloc, sizeof *presence);
    if (!presence) return NECPNET_ERR_OUT_OF_MEMORY;
    presence->alloc = alloc;
    presence->config = *config;
    presence->items_max = config->friends_max + config->watches_max;
    nn_presence_init(presence);
    if (presence->items_max) {
        presence->items =
            (necpnet_presence_info*)nn_alloc_take(&presence->alloc, presence->items_max * sizeof *presence->items);
        if (!presence->items) {
            necpnet_presence_destroy(presence);
            return NECPNET_ERR_OUT_OF_MEMORY;
        }
    }
    *out_presence = presence;
    return NECPNET_OK;
}

void necpnet_presence_destroy(necpnet_presence* presence)
{
    if (!presence) return;
    for (uint32_t i = 0; i < presence->used; i++) {
        nn_presence_record* record = &presence->records[i];
        nn_alloc_give(&presence->alloc, record->edges, record->edges_room * sizeof *record->edges);
        if (record->location) nn_alloc_give(&presence->alloc, record->location, strlen(record->location) + 1);
    }
    nn_alloc_give(&presence->alloc, presence->records, presence->room * sizeof *presence->records);
    nn_alloc_give(&presence->alloc, presence->heads, presence->room * sizeof *presence->heads);
    nn_alloc_give(&presence->alloc, presence->items, presence->items_max * sizeof *presence->items);
    nn_alloc alloc = presence->alloc;
    nn_alloc_give(&alloc, presence, sizeof *presence);
}

/* -------------------------------------------------------------------------------------------------------- time -- */

necpnet_result necpnet_presence_set_wall_time(necpnet_presence* presence, uint64_t wall_us, uint64_t now_us)
{
    if (!presence) return NECPNET_ERR_INVALID_ARGUMENT;
    presence->wall_offset_us = wall_us - now_us;
    return NECPNET_OK;
}

necpnet_result necpnet_presence_update(necpnet_presence* presence, uint64_t now_us)
{
    if (!presence) return NECPNET_ERR_INVALID_ARGUMENT;
    if (now_us > presence->now_us) presence->now_us = now_us;
    uint64_t grace_us = (uint64_t)presence->config.grace_ms * 1000u;
    for (;;) {
        uint32_t at = presence->grace.first;
        if (at == NN_PRESENCE_NOBODY || presence->records[at].lost_us + grace_us > presence->now_us) break;
        nn_presence_end_grace(presence, at, presence->records[at].lost_us);
    }
    nn_presence_wake(presence);
    return NECPNET_OK;
}

uint64_t necpnet_presence_deadline_us(const necpnet_presence* presence)
{
    if (!presence) return NN_NEVER;
    uint64_t deadline_us = NN_NEVER;
    if (presence->ready.first != NN_PRESENCE_NOBODY) return presence->now_us;
    if (presence->grace.first != NN_PRESENCE_NOBODY) {
        deadline_us = presence->records[presence->grace.first].lost_us + (uint64_t)presence->config.grace_ms * 1000u;
    }
    if (presence->resting.first != NN_PRESENCE_NOBODY) {
        deadline_us = nn_min_u64(deadline_us, presence->records[presence->resting.first].told_us +
                                                  (uint64_t)presence->config.interval_ms * 1000u);
    }
    return deadline_us;
}

/* ------------------------------------------------------------------------------------------------ coming, going -- */

static bool presence_may_set(necpnet_presence_status status)
{
    return status > NECPNET_PRESENCE_OFFLINE && status <= NECPNET_PRESENCE_IN_GAME;
}

/* All that this watcher sees and that is not offline is told anew. */
static void presence_mark_all(necpnet_presence* presence, uint32_t at, bool offline_too)
{
    const nn_presence_record* record = &presence->records[at];
    for (uint32_t i = 0; i < record->edge_count; i++) {
        if (!(record->edges[i].other & NN_PRESENCE_SEES)) continue;
        const nn_presence_record* other = &presence->records[nn_presence_other(&record->edges[i])];
        if (offline_too || nn_presence_is_visible(other)) nn_presence_mark_for(presence, at, i);
    }
}

necpnet_result necpnet_presence_connect(necpnet_presence* presence, necpnet_player player,
                                        necpnet_presence_status status)
{
    uint32_t at;
    if (!presence || !player || !presence_may_set(status)) return NECPNET_ERR_INVALID_ARGUMENT;
    necpnet_result result = nn_presence_reach(presence, player, &at);
    if (result != NECPNET_OK) return result;
    nn_presence_record* record = &presence->records[at];
    bool was_gone = record->life == NN_PRESENCE_GONE;
    record->connections++;
    if (was_gone) record->status = (uint8_t)status;
    if (record->connections > 1) return NECPNET_OK;
    nn_presence_set_life(presence, at, NN_PRESENCE_HERE);
    if (was_gone) {
        if (nn_presence_is_visible(record)) nn_presence_mark(presence, at);
        presence_mark_all(presence, at, false);
    } else {
        /* what changed while it was away is marked already; this gives it its turn */
        for (uint32_t i = 0; i < record->edge_count; i++) {
            if (!(record->edges[i].other & NN_PRESENCE_PENDING)) continue;
            record->edges[i].other &= ~NN_PRESENCE_PENDING;
            nn_presence_mark_for(presence, at, i);
        }
    }
    return NECPNET_OK;
}

/* The record of one who is here or in grace. */
static nn_presence_record* presence_find_alive(necpnet_presence* presence, necpnet_player player, uint32_t* out_at)
{
    uint32_t at = nn_presence_find(presence, player);
    if (at == NN_PRESENCE_NOBODY || presence->records[at].life == NN_PRESENCE_GONE) return NULL;
    *out_at = at;
    return &presence->records[at];
}

necpnet_result necpnet_presence_disconnect(necpnet_presence* presence, necpnet_player player, bool lost)
{
    uint32_t at;
    if (!presence || !player) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_presence_record* record = presence_find_alive(presence, player, &at);
    if (!record || (lost && record->connections == 0)) return NECPNET_ERR_NOT_FOUND;
    if (record->connections > 1) {
        record->connections--;
        return NECPNET_OK;
    }
    record->connections = 0;
    if (lost && presence->config.grace_ms) {
        record->lost_us = presence->now_us;
        nn_presence_set_life(presence, at, NN_PRESENCE_GRACE);
    } else {
        nn_presence_end_grace(presence, at, record->life == NN_PRESENCE_GRACE ? record->lost_us : presence->now_us);
    }
    return NECPNET_OK;
}

necpnet_result necpnet_presence_forget(necpnet_presence* presence, necpnet_player player)
{
    if (!presence || !player) return NECPNET_ERR_INVALID_ARGUMENT;
    uint32_t at = nn_presence_find(presence, player);
    if (at == NN_PRESENCE_NOBODY) return NECPNET_ERR_NOT_FOUND;
    if (presence->records[at].life != NN_PRESENCE_GONE) return NECPNET_ERR_INVALID_STATE;
    nn_presence_drop(presence, at);
    return NECPNET_OK;
}

necpnet_result necpnet_presence_remember(necpnet_presence* presence, necpnet_player player, uint64_t last_seen_us)
{
    uint32_t at;
    if (!presence || !player) return NECPNET_ERR_INVALID_ARGUMENT;
    necpnet_result result = nn_presence_reach(presence, player, &at);
    if (result != NECPNET_OK) return result;
    if (last_seen_us > presence->records[at].seen_us) presence->records[at].seen_us = last_seen_us;
    return NECPNET_OK;
}

/* ------------------------------------------------------------------------------------------- status and place -- */

necpnet_result necpnet_presence_set_status(necpnet_presence* presence, necpnet_player player,
                                           necpnet_presence_status status)
{
    uint32_t at;
    if (!presence || !player || !presence_may_set(status)) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_presence_record* record = presence_find_alive(presence, player, &at);
    if (!record) return NECPNET_ERR_NOT_FOUND;
    if (record->status == (uint8_t)status) return NECPNET_OK;
    bool was_visible = nn_presence_is_visible(record);
    record->status = (uint8_t)status;
    bool is_visible = nn_presence_is_visible(record);
    if (was_visible && !is_visible) record->seen_us = presence->now_us + presence->wall_offset_us;
    if (was_visible || is_visible) nn_presence_mark(presence, at);
    return NECPNET_OK;
}

/* OK: location may be NULL. */
static bool presence_location_is_right(const char* location)
{
    if (!location) return true;
    size_t bytes = strlen(location);
    return bytes <= NECPNET_PRESENCE_LOCATION_BYTES_MAX && nn_utf8_valid((const uint8_t*)location, bytes);
}

necpnet_result necpnet_presence_set_place(necpnet_presence* presence, necpnet_player player, uint32_t zone,
                                          const char* location)
{
    uint32_t at;
    if (!presence || !player || !presence_location_is_right(location)) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_presence_record* record = presence_find_alive(presence, player, &at);
    if (!record) return NECPNET_ERR_NOT_FOUND;
    if (!location) location = "";
    bool moved = strcmp(record->location ? record->location : "", location) != 0;
    if (!moved && record->zone == zone) return NECPNET_OK;
    if (moved) {
        char* copy = NULL;
        if (location[0]) {
            copy = (char*)nn_alloc_take(&presence->alloc, strlen(location) + 1);
            if (!copy) return NECPNET_ERR_OUT_OF_MEMORY;
            memcpy(copy, location, strlen(location));
        }
        if (record->location) nn_alloc_give(&presence->alloc, record->location, strlen(record->location) + 1);
        record->location = copy;
    }
    record->zone = zone;
    if (nn_presence_is_visible(record)) nn_presence_mark(presence, at);
    return NECPNET_OK;
}

/* --------------------------------------------------------------------------------------------- who sees whom -- */

/* An edge from one who is here (or in grace) to another; what it shows is told unless the other is offline. */
static necpnet_result presence_join_players(necpnet_presence* presence, necpnet_player from, necpnet_player to,
                                            uint32_t bits)
{
    uint32_t a, b;
    bool is_new;
    if (!presence || !from || !to || from == to) return NECPNET_ERR_INVALID_ARGUMENT;
    if (!presence_find_alive(presence, from, &a)) return NECPNET_ERR_NOT_FOUND;
    necpnet_result result = nn_presence_reach(presence, to, &b);
    if (result == NECPNET_OK) result = nn_presence_join(presence, a, b, bits, &is_new);
    if (result != NECPNET_OK || !is_new) return result;
    uint32_t place = nn_presence_find_edge(presence, a, b);
    if (nn_presence_is_visible(&presence->records[b])) nn_presence_mark_for(presence, a, place);
    if (bits == NN_PRESENCE_FRIEND && nn_presence_is_visible(&presence->records[a]) &&
        presence->records[b].life != NN_PRESENCE_GONE) {
        nn_presence_mark_for(presence, b, presence->records[a].edges[place].back);
    }
    return NECPNET_OK;
}

static necpnet_result presence_part_players(necpnet_presence* presence, necpnet_player from, necpnet_player to,
                                            uint32_t bits)
{
    if (!presence || !from || !to || from == to) return NECPNET_ERR_INVALID_ARGUMENT;
    uint32_t a = nn_presence_find(presence, from);
    uint32_t b = nn_presence_find(presence, to);
    if (a == NN_PRESENCE_NOBODY || b == NN_PRESENCE_NOBODY) return NECPNET_ERR_NOT_FOUND;
    uint32_t place = nn_presence_find_edge(presence, a, b);
    if (place == NN_PRESENCE_NOBODY || !(presence->records[a].edges[place].other & bits)) return NECPNET_ERR_NOT_FOUND;
    (void)nn_presence_part(presence, a, place, bits);
    return NECPNET_OK;
}

necpnet_result necpnet_presence_add_friend(necpnet_presence* presence, necpnet_player player, necpnet_player other)
{
    return presence_join_players(presence, player, other, NN_PRESENCE_FRIEND);
}

necpnet_result necpnet_presence_remove_friend(necpnet_presence* presence, necpnet_player player, necpnet_player other)
{
    return presence_part_players(presence, player, other, NN_PRESENCE_FRIEND);
}

necpnet_result necpnet_presence_watch(necpnet_presence* presence, necpnet_player watcher, necpnet_player player)
{
    return presence_join_players(presence, watcher, player, NN_PRESENCE_WATCHES);
}

necpnet_result necpnet_presence_unwatch(necpnet_presence* presence, necpnet_player watcher, necpnet_player player)
{
    return presence_part_players(presence, watcher, player, NN_PRESENCE_WATCHES);
}

necpnet_result necpnet_presence_refresh(necpnet_presence* presence, necpnet_player player)
{
    uint32_t at;
    if (!presence || !player) return NECPNET_ERR_INVALID_ARGUMENT;
    if (!presence_find_alive(presence, player, &at)) return NECPNET_ERR_NOT_FOUND;
    presence_mark_all(presence, at, true);
    return NECPNET_OK;
}

/* ------------------------------------------------------------------------------------------------------ reading -- */

necpnet_result necpnet_presence_get(const necpnet_presence* presence, necpnet_player viewer, necpnet_player player,
                                    necpnet_presence_info* out_info)
{
    if (!presence || !player || !out_info) return NECPNET_ERR_INVALID_ARGUMENT;
    uint32_t at = nn_presence_find(presence, player);
    if (at == NN_PRESENCE_NOBODY) {
        memset(out_info, 0, sizeof *out_info);
        out_info->player = player;
        out_info->location = "";
        return NECPNET_OK;
    }
    const nn_presence_record* record = &presence->records[at];
    nn_presence_show(presence, record, out_info);
    if (viewer == player && record->life != NN_PRESENCE_GONE) {
        out_info->status = (necpnet_presence_status)record->status;
        out_info->zone = record->zone;
        out_info->location = record->location ? record->location : "";
        out_info->last_seen_us = presence->now_us + presence->wall_offset_us;
    }
    return NECPNET_OK;
}

necpnet_player necpnet_presence_next(const necpnet_presence* presence, necpnet_player player)
{
    uint32_t at = 0;
    if (!presence) return 0;
    if (player) {
        at = nn_presence_find(presence, player);
        if (at == NN_PRESENCE_NOBODY) return 0;
        at++;
    }
    for (; at < presence->used; at++) {
        if (nn_presence_is_visible(&presence->records[at])) return presence->records[at].player;
    }
    return 0;
}

necpnet_result necpnet_presence_get_seen(const necpnet_presence* presence, necpnet_player player,
                                         necpnet_presence_info* infos, size_t infos_max, size_t* out_count)
{
    if (!presence || !player || !out_count || (!infos && infos_max)) return NECPNET_ERR_INVALID_ARGUMENT;
    uint32_t at = nn_presence_find(presence, player);
    if (at == NN_PRESENCE_NOBODY) return NECPNET_ERR_NOT_FOUND;
    const nn_presence_record* record = &presence->records[at];
    size_t count = 0;
    for (uint32_t i = 0; i < record->edge_count; i++) {
        if (!(record->edges[i].other & NN_PRESENCE_SEES)) continue;
        if (count == infos_max) return NECPNET_ERR_BUFFER_TOO_SMALL;
        nn_presence_show(presence, &presence->records[nn_presence_other(&record->edges[i])], &infos[count++]);
    }
    *out_count = count;
    return NECPNET_OK;
}

bool necpnet_presence_poll(necpnet_presence* presence, necpnet_presence_change* out_change)
{
    if (!presence || !out_change) return false;
    for (;;) {
        uint32_t at = nn_presence_take_turn(presence);
        if (at == NN_PRESENCE_NOBODY) return false;
        nn_presence_record* record = &presence->records[at];
        if (record->life != NN_PRESENCE_HERE) continue; /* lost since; told when it is back */
        size_t count = 0;
        record->pending = false;
        for (uint32_t i = 0; i < record->edge_count; i++) {
            nn_presence_edge* edge = &record->edges[i];
            if (!(edge->other & NN_PRESENCE_PENDING)) continue;
            edge->other &= ~NN_PRESENCE_PENDING;
            nn_presence_show(presence, &presence->records[nn_presence_other(edge)], &presence->items[count++]);
        }
        if (count == 0) continue;
        presence->statistics.updates++;
        presence->statistics.told += count;
        out_change->watcher = record->player;
        out_change->items = presence->items;
        out_change->count = count;
        return true;
    }
}

necpnet_result necpnet_presence_get_statistics(const necpnet_presence* presence,
                                               necpnet_presence_statistics* out_statistics)
{
    if (!presence || !out_statistics) return NECPNET_ERR_INVALID_ARGUMENT;
    *out_statistics = presence->statistics;
    out_statistics->memory_bytes = presence->alloc.bytes;
    return NECPNET_OK;
}

/* ------------------------------------------------------------------------------------------------------ as bytes -- */

#define PRESENCE_HAS_ZONE 0x10u
#define PRESENCE_HAS_LOCATION 0x20u
#define PRESENCE_HAS_SEEN 0x40u

necpnet_result necpnet_presence_write(const necpnet_presence_info* items, size_t count, void* data, size_t bytes,
                                      size_t* out_bytes)
{
    if ((!items && count) || (!data && bytes) || !out_bytes || count > UINT32_MAX) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_writer writer = nn_writer_of(data, bytes);
    nn_write_varint(&writer, count);
    for (size_t i = 0; i < count; i++) {
        const necpnet_presence_info* item = &items[i];
        if (item->status > NECPNET_PRESENCE_IN_GAME || item->last_seen_us / 1000000u > NN_VARINT_MAX ||
            !presence_location_is_right(item->location)) {
            return NECPNET_ERR_INVALID_ARGUMENT;
        }
        bool has_location = item->location && item->location[0];
        unsigned head = (unsigned)item->status | (item->zone ? PRESENCE_HAS_ZONE : 0u) |
                        (has_location ? PRESENCE_HAS_LOCATION : 0u) | (item->last_seen_us ? PRESENCE_HAS_SEEN : 0u);
        nn_write_u64(&writer, item->player);
        nn_write_u8(&writer, (uint8_t)head);
        if (item->zone) nn_write_varint(&writer, item->zone);
        if (has_location) {
            size_t location_bytes = strlen(item->location) + 1;
            nn_write_u8(&writer, (uint8_t)location_bytes);
            nn_write_bytes(&writer, item->location, location_bytes);
        }
        if (item->last_seen_us) nn_write_varint(&writer, item->last_seen_us / 1000000u);
    }
    if (writer.failed) return NECPNET_ERR_BUFFER_TOO_SMALL;
    *out_bytes = nn_writer_bytes(&writer);
    return NECPNET_OK;
}

/* The location with its NUL, a view; NULL: it is wrong. */
static const char* presence_read_location(nn_reader* reader)
{
    size_t bytes = nn_read_u8(reader);
    const uint8_t* view = nn_read_view(reader, bytes);
    if (!view || bytes < 2 || bytes > NECPNET_PRESENCE_LOCATION_BYTES_MAX + 1) return NULL;
    if (memchr(view, 0, bytes) != view + bytes - 1 || !nn_utf8_valid(view, bytes - 1)) return NULL;
    return (const char*)view;
}

static bool presence_read_item(nn_reader* reader, necpnet_presence_info* out_item)
{
    memset(out_item, 0, sizeof *out_item);
    out_item->location = "";
    out_item->player = nn_read_u64(reader);
    unsigned head = nn_read_u8(reader);
    if ((head & 0x80u) || (head & 0x0fu) > NECPNET_PRESENCE_IN_GAME) return false;
    out_item->status = (necpnet_presence_status)(head & 0x0fu);
    if (head & PRESENCE_HAS_ZONE) {
        uint64_t zone = nn_read_varint(reader);
        if (zone == 0 || zone > UINT32_MAX) return false;
        out_item->zone = (uint32_t)zone;
    }
    if (head & PRESENCE_HAS_LOCATION) {
        out_item->location = presence_read_location(reader);
        if (!out_item->location) return false;
    }
    if (head & PRESENCE_HAS_SEEN) {
        uint64_t seconds = nn_read_varint(reader);
        if (seconds == 0 || seconds > UINT64_MAX / 1000000u) return false;
        out_item->last_seen_us = seconds * 1000000u;
    }
    return !reader->failed && out_item->player != 0;
}

necpnet_result necpnet_presence_read(const void* data, size_t bytes, necpnet_presence_info* items, size_t items_max,
                                     size_t* out_count)
{
    if ((!data && bytes) || (!items && items_max) || !out_count) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_reader reader = nn_reader_of(data, bytes);
    uint64_t count = nn_read_varint(&reader);
    if (reader.failed || count > nn_reader_left(&reader) / 9) return NECPNET_ERR_BAD_DATA;
    if (count > items_max) return NECPNET_ERR_BUFFER_TOO_SMALL;
    for (size_t i = 0; i < (size_t)count; i++) {
        if (!presence_read_item(&reader, &items[i])) return NECPNET_ERR_BAD_DATA;
    }
    if (nn_reader_left(&reader)) return NECPNET_ERR_BAD_DATA;
    *out_count = (size_t)count;
    return NECPNET_OK;
}

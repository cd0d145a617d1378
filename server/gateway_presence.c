/* gateway_presence - presence as JSON and as bytes, to every connection of those who watch. */
#include <stdlib.h>
#include <string.h>

#include "gateway_inside.h"

static const char* const presence_names[] = {"offline", "online", "away", "busy", "invisible", "in-game"};

const char* gateway_status_name(necpnet_presence_status status)
{
    return presence_names[status];
}

bool gateway_status_find(const char* name, necpnet_presence_status* out_status)
{
    for (size_t i = 1; i < sizeof(presence_names) / sizeof(presence_names[0]); i++) {
        if (strcmp(name, presence_names[i]) != 0) continue;
        *out_status = (necpnet_presence_status)i;
        return true;
    }
    return false;
}

void gateway_put_presence(const gateway* at, text* out, const necpnet_presence_info* info)
{
    text_put(out, "{\"player\":");
    gateway_put_player(at, out, info->player);
    text_format(out, ",\"status\":\"%s\"", gateway_status_name(info->status));
    if (info->zone) text_format(out, ",\"zone\":%u", info->zone);
    if (info->location[0]) {
        text_put(out, ",\"location\":");
        text_json(out, info->location);
    }
    if (info->last_seen_us) text_format(out, ",\"last_seen\":%llu", (unsigned long long)(info->last_seen_us / 1000u));
    text_put(out, "}");
}

static void presence_tell_text(gateway* at, gateway_session* session, const necpnet_presence_change* change)
{
    text out;
    text_begin_growing(&out);
    text_put(&out, "{\"jsonrpc\":\"2.0\",\"method\":\"presence.changed\",\"params\":{\"players\":[");
    for (size_t i = 0; i < change->count; i++) {
        if (i > 0) text_put(&out, ",");
        gateway_put_presence(at, &out, &change->items[i]);
    }
    text_put(&out, "]}}");
    if (!out.failed) (void)gateway_send_text(session, out.to, out.bytes);
    text_end(&out);
}

static void presence_tell_binary(gateway* at, gateway_session* session, const necpnet_presence_change* change)
{
    necpnet_send_options options = {.name = NECPNET_PRESENCE_NAME};
    size_t room = 4 + change->count * 87;
    size_t bytes = 0;
    void* data = malloc(room);
    if (data && necpnet_presence_write(change->items, change->count, data, room, &bytes) == NECPNET_OK) {
        necpnet_result result =
            necpnet_server_send_with(at->server, session->peer, NECPNET_CHANNEL_RELIABLE, data, bytes, &options);
        if (result != NECPNET_OK) session->missed = true;
        at->queued = true;
    }
    free(data);
}

void gateway_tell_missed(gateway_session* session)
{
    if (!session->missed) return;
    session->missed = false;
    (void)necpnet_presence_refresh(session->owner->presence, session->client_id);
}

void gateway_tell_presence(gateway* at)
{
    necpnet_presence_change change;
    while (necpnet_presence_poll(at->presence, &change)) {
        if (gateway_cluster_take_presence(at, &change)) continue;
        for (gateway_session* session = gateway_first_of(at, change.watcher); session; session = session->chain) {
            if (session->client_id != change.watcher || session->suspended || session->ended || !session->present)
                continue;
            if (!gateway_has_room(session)) {
                session->missed = true;
            } else if (session->connection) {
                presence_tell_text(at, session, &change);
            } else if (session->peer != NECPNET_PEER_NONE) {
                presence_tell_binary(at, session, &change);
            }
        }
    }
}

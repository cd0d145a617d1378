/* nn_setup - the SETUP frame. */
#include "nn_setup.h"

#include "nn_frame.h"
#include "nn_hash.h"

#include <stdio.h>

#define SETUP_MODE_MASK 0x07u
#define SETUP_DEFAULT_MESSAGE 0x08u /* message_bytes_max is the default and left out */
#define SETUP_DEFAULT_WINDOW 0x10u  /* window_bytes is the default and left out */
#define SETUP_WINDOW_DEFAULT (1u << 20)
#define SETUP_WINDOW_MAX (64u << 20)
#define SETUP_DATAGRAM_BYTES_MIN 64u
#define SETUP_TICK_HZ_MAX 1000u
#define SETUP_TABLES_BYTES 16u /* two hashes */

static bool setup_has_credit(uint8_t mode)
{
    return mode == NECPNET_RELIABLE_ORDERED || mode == NECPNET_RELIABLE_UNORDERED;
}

static const char* setup_mode_name(uint8_t mode)
{
    static const char* const names[] = {"unreliable", "unreliable sequenced", "reliable sequenced",
                                        "reliable unordered", "reliable ordered"};
    return mode < NN_COUNT(names) ? names[mode] : "unknown";
}

NN_PRIVATE void nn_setup_init(nn_setup* setup, nn_setup_role role)
{
    memset(setup, 0, sizeof *setup);
    setup->version = NECPNET_PROTOCOL_VERSION;
    setup->role = role;
    setup->datagram_bytes_max = NECPNET_DATAGRAM_BYTES_DEFAULT;
}

NN_PRIVATE void nn_setup_set_channels(nn_setup* setup, const necpnet_channel_config* channels, int count)
{
    NN_ASSERT(count >= 1 && count <= NECPNET_CHANNELS_MAX);
    setup->channel_count = (uint8_t)count;
    for (int i = 0; i < count; i++) {
        nn_setup_channel* channel = &setup->channels[i];
        channel->mode = (uint8_t)channels[i].mode;
        channel->message_bytes_max = channels[i].message_bytes_max;
        channel->window_bytes = setup_has_credit(channel->mode) ? channels[i].window_bytes : 0;
    }
    setup->channels_hash = nn_setup_channels_hash(setup);
}

NN_PRIVATE uint64_t nn_setup_channels_hash(const nn_setup* setup)
{
    uint64_t hash = nn_fnv1a64(NN_FNV1A64_BASIS, &setup->channel_count, 1);
    for (size_t i = 0; i < setup->channel_count; i++) {
        uint8_t row[5];
        row[0] = setup->channels[i].mode;
        nn_store_u32(row + 1, setup->channels[i].message_bytes_max);
        hash = nn_fnv1a64(hash, row, sizeof row);
    }
    return hash;
}

/* ---- writing ---- */

static void setup_write_channel(nn_writer* writer, const nn_setup_channel* channel)
{
    bool credit = setup_has_credit(channel->mode);
    unsigned head = channel->mode;
    if (channel->message_bytes_max == NECPNET_MESSAGE_BYTES_DEFAULT) head |= SETUP_DEFAULT_MESSAGE;
    if (credit && channel->window_bytes == SETUP_WINDOW_DEFAULT) head |= SETUP_DEFAULT_WINDOW;
    nn_write_u8(writer, (uint8_t)head);
    if (!(head & SETUP_DEFAULT_MESSAGE)) nn_write_varint(writer, channel->message_bytes_max);
    if (credit && !(head & SETUP_DEFAULT_WINDOW)) nn_write_varint(writer, channel->window_bytes);
}

static size_t setup_channel_bytes(const nn_setup_channel* channel)
{
    size_t bytes = 1;
    if (channel->message_bytes_max != NECPNET_MESSAGE_BYTES_DEFAULT)
        bytes += nn_varint_bytes(channel->message_bytes_max);
    if (setup_has_credit(channel->mode) && channel->window_bytes != SETUP_WINDOW_DEFAULT) {
        bytes += nn_varint_bytes(channel->window_bytes);
    }
    return bytes;
}

static size_t setup_body_bytes(const nn_setup* setup)
{
    size_t bytes = nn_varint_bytes(setup->version) + 1 + nn_varint_bytes(setup->features);
    bytes += nn_varint_bytes(setup->datagram_bytes_max) + 8 + 8 + nn_varint_bytes(setup->tick_hz) + 4 + 8 + 8 + 1;
    for (size_t i = 0; i < setup->channel_count; i++) bytes += setup_channel_bytes(&setup->channels[i]);
    bytes += 1;
    if (setup->credential_kind >= NN_CREDENTIAL_TEXT) bytes += nn_varint_bytes(setup->credential_bytes);
    if (setup->credential_kind != NN_CREDENTIAL_NONE) bytes += setup->credential_bytes;
    if (setup->tables_hash) bytes += SETUP_TABLES_BYTES;
    return bytes;
}

NN_PRIVATE size_t nn_setup_bytes(const nn_setup* setup)
{
    size_t body_bytes = setup_body_bytes(setup);
    return 1 + nn_varint_bytes(body_bytes) + body_bytes;
}

NN_PRIVATE void nn_setup_write(nn_writer* writer, const nn_setup* setup)
{
    NN_ASSERT(setup->channel_count >= 1 && setup->channel_count <= NECPNET_CHANNELS_MAX);
    nn_write_u8(writer, NN_FRAME_SETUP);
    nn_write_varint(writer, setup_body_bytes(setup));
    nn_write_varint(writer, setup->version);
    nn_write_u8(writer, (uint8_t)setup->role);
    nn_write_varint(writer, setup->features);
    nn_write_varint(writer, setup->datagram_bytes_max);
    nn_write_u64(writer, setup->session_id);
    nn_write_u64(writer, setup->schema_hash);
    nn_write_varint(writer, setup->tick_hz);
    nn_write_u32(writer, setup->tick);
    nn_write_u64(writer, setup->time_us);
    nn_write_u64(writer, nn_setup_channels_hash(setup));
    nn_write_u8(writer, setup->channel_count);
    for (size_t i = 0; i < setup->channel_count; i++) setup_write_channel(writer, &setup->channels[i]);
    nn_write_u8(writer, (uint8_t)setup->credential_kind);
    if (setup->credential_kind >= NN_CREDENTIAL_TEXT) nn_write_varint(writer, setup->credential_bytes);
    if (setup->credential_kind != NN_CREDENTIAL_NONE) {
        nn_write_bytes(writer, setup->credential, setup->credential_bytes);
    }
    if (setup->tables_hash) {
        nn_write_u64(writer, setup->tables_hash);
        nn_write_u64(writer, setup->own_tables_hash);
    }
}

/* ---- reading ---- */

static bool setup_read_channel(nn_reader* reader, nn_setup_channel* out)
{
    unsigned head = nn_read_u8(reader);
    uint64_t message = NECPNET_MESSAGE_BYTES_DEFAULT;
    uint64_t window = SETUP_WINDOW_DEFAULT;
    out->mode = (uint8_t)(head & SETUP_MODE_MASK);
    bool credit = setup_has_credit(out->mode);
    if (!(head & SETUP_DEFAULT_MESSAGE)) message = nn_read_varint(reader);
    if (!credit) {
        window = 0;
    } else if (!(head & SETUP_DEFAULT_WINDOW)) {
        window = nn_read_varint(reader);
    }
    if (reader->failed || out->mode > NECPNET_RELIABLE_ORDERED) return false;
    if (head & ~(SETUP_MODE_MASK | SETUP_DEFAULT_MESSAGE | SETUP_DEFAULT_WINDOW)) return false;
    if (message < 1 || message > NECPNET_MESSAGE_BYTES_MAX) return false;
    if (credit && (window < message || window > SETUP_WINDOW_MAX)) return false;
    out->message_bytes_max = (uint32_t)message;
    out->window_bytes = (uint32_t)window;
    return true;
}

static bool setup_read_channels(nn_reader* body, nn_setup* out)
{
    out->channels_hash = nn_read_u64(body);
    out->channel_count = nn_read_u8(body);
    if (body->failed || out->channel_count < 1 || out->channel_count > NECPNET_CHANNELS_MAX) return false;
    for (size_t i = 0; i < out->channel_count; i++) {
        if (!setup_read_channel(body, &out->channels[i])) return false;
    }
    return out->channels_hash == nn_setup_channels_hash(out);
}

static bool setup_read_credential(nn_reader* body, nn_setup* out)
{
    uint64_t bytes = 0;
    switch (nn_read_u8(body)) {
    case NN_CREDENTIAL_NONE: out->credential_kind = NN_CREDENTIAL_NONE; break;
    case NN_CREDENTIAL_TOKEN:
        out->credential_kind = NN_CREDENTIAL_TOKEN;
        bytes = NN_SETUP_TOKEN_BYTES + NN_SETUP_PROOF_BYTES;
        break;
    case NN_CREDENTIAL_TEXT:
        out->credential_kind = NN_CREDENTIAL_TEXT;
        bytes = nn_read_varint(body);
        if (bytes < 1 || bytes > NN_SETUP_TEXT_BYTES_MAX) return false;
        break;
    case NN_CREDENTIAL_TICKET:
        out->credential_kind = NN_CREDENTIAL_TICKET;
        bytes = nn_read_varint(body);
        if (bytes < 1 || bytes > NN_SETUP_TICKET_BYTES_MAX) return false;
        break;
    default: return false;
    }
    out->credential_bytes = (size_t)bytes;
    out->credential = bytes ? nn_read_view(body, (size_t)bytes) : NULL;
    return !body->failed;
}

NN_PRIVATE necpnet_result nn_setup_read(nn_reader* reader, nn_setup* out)
{
    uint64_t body_bytes = nn_read_varint(reader);
    if (reader->failed || body_bytes > NN_SETUP_BODY_BYTES_MAX) return NECPNET_ERR_PROTOCOL;
    const uint8_t* begin = nn_read_view(reader, (size_t)body_bytes);
    if (reader->failed) return NECPNET_ERR_PROTOCOL;
    nn_reader body = nn_reader_of(begin, (size_t)body_bytes);
    uint64_t version = nn_read_varint(&body);
    uint8_t role = nn_read_u8(&body);
    if (body.failed || version > UINT32_MAX || role > NN_ROLE_SERVER) return NECPNET_ERR_PROTOCOL;
    memset(out, 0, sizeof *out);
    out->version = (uint32_t)version;
    out->role = role == NN_ROLE_SERVER ? NN_ROLE_SERVER : NN_ROLE_CLIENT;
    if (version != NECPNET_PROTOCOL_VERSION) return NECPNET_ERR_VERSION_DIFFERS;
    out->features = nn_read_varint(&body);
    uint64_t datagram_bytes = nn_read_varint(&body);
    out->session_id = nn_read_u64(&body);
    out->schema_hash = nn_read_u64(&body);
    uint64_t tick_hz = nn_read_varint(&body);
    out->tick = nn_read_u32(&body);
    out->time_us = nn_read_u64(&body);
    if (body.failed || datagram_bytes < SETUP_DATAGRAM_BYTES_MIN) return NECPNET_ERR_PROTOCOL;
    if (tick_hz > SETUP_TICK_HZ_MAX || (role == NN_ROLE_SERVER && tick_hz == 0)) return NECPNET_ERR_PROTOCOL;
    out->datagram_bytes_max = (uint32_t)nn_min_u64(datagram_bytes, NECPNET_DATAGRAM_BYTES_MAX);
    out->tick_hz = (uint32_t)tick_hz;
    if (!setup_read_channels(&body, out) || !setup_read_credential(&body, out)) return NECPNET_ERR_PROTOCOL;
    if (nn_reader_left(&body) >= SETUP_TABLES_BYTES) {
        out->tables_hash = nn_read_u64(&body);
        out->own_tables_hash = nn_read_u64(&body);
    }
    return NECPNET_OK; /* what is left of the body belongs to later versions */
}

/* ---- comparing ---- */

NN_PRIVATE bool nn_setup_compare_channels(const nn_setup* client, const nn_setup* server, char* text, size_t text_bytes)
{
    size_t count = nn_min_size(client->channel_count, server->channel_count);
    if (text && text_bytes) text[0] = 0;
    for (size_t i = 0; i < count; i++) {
        const nn_setup_channel* a = &client->channels[i];
        const nn_setup_channel* b = &server->channels[i];
        if (a->mode != b->mode) {
            if (text) {
                (void)snprintf(text, text_bytes, "channel %u: client %s, server %s", (unsigned)i,
                               setup_mode_name(a->mode), setup_mode_name(b->mode));
            }
            return false;
        }
        if (a->message_bytes_max != b->message_bytes_max) {
            if (text) {
                (void)snprintf(text, text_bytes, "channel %u: message_bytes_max: client %u, server %u", (unsigned)i,
                               (unsigned)a->message_bytes_max, (unsigned)b->message_bytes_max);
            }
            return false;
        }
    }
    if (client->channel_count != server->channel_count) {
        if (text) {
            (void)snprintf(text, text_bytes, "number of channels: client %u, server %u",
                           (unsigned)client->channel_count, (unsigned)server->channel_count);
        }
        return false;
    }
    return true;
}

/* kit_session - two sessions over a simulated packet layer. */
#include "kit_session.h"

#include <stdlib.h>

#include "nn_frame.h"

struct kit_packet {
    uint64_t arrives_us;
    uint64_t number;
    bool is_ack;
    uint8_t* data;
    size_t bytes;
};

struct kit_sent {
    nn_contents contents;
    uint64_t sent_us;
    uint8_t state; /* 0 in flight, 1 acknowledged, 2 lost */
};

uint64_t kit_world_random(kit_world* world, uint64_t below)
{
    uint64_t z = world->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    return below ? z % below : 0;
}

void kit_world_init(kit_world* world, const struct necpnet_allocator* allocator, uint64_t seed)
{
    memset(world, 0, sizeof *world);
    nn_alloc_init(&world->alloc, allocator);
    for (int i = 0; i < 2; i++) {
        nn_blocks_init(&world->blocks[i], &world->alloc);
        world->memory[i].max = 64u << 20;
    }
    for (int i = 0; i < KIT_CHANNELS; i++) {
        necpnet_channel_config* row = &world->channels[i];
        row->mode = (necpnet_channel_mode)i;
        row->priority = NECPNET_PRIORITY_NORMAL;
        row->compress = true;
        row->message_bytes_max = NECPNET_MESSAGE_BYTES_DEFAULT;
        row->queue_bytes_max = 1u << 20;
        row->queue_messages_max = 4096;
        row->window_bytes = 1u << 20;
    }
    world->random = seed;
    world->now_us = 1000000;
    world->packet_bytes = world->packet_bytes_min = 1177;
    world->packets_per_step = 64;
}

void kit_world_open(kit_world* world)
{
    for (int i = 0; i < 2; i++) {
        nn_session_config* config = &world->configs[i];
        memset(config, 0, sizeof *config);
        config->alloc = &world->alloc;
        config->blocks = &world->blocks[i];
        config->channels = world->channels;
        config->channel_count = KIT_CHANNELS;
        config->is_server = i == 1;
        config->receive_memory = &world->memory[i];
        nn_session_init(&world->sessions[i], config);
        nn_session_begin(&world->sessions[i], world->ordered);
        nn_session_set_peer_decompresses(&world->sessions[i], true);
        for (int c = 0; c < KIT_CHANNELS; c++) {
            (void)nn_session_set_peer_window(&world->sessions[i], c, world->channels[c].window_bytes);
        }
    }
}

static void kit_link_clear(kit_link* link)
{
    for (size_t i = 0; i < link->flying_count; i++) free(link->flying[i].data);
    free(link->flying);
    free(link->sent);
    free(link->seen);
    memset(link, 0, sizeof *link);
}

void kit_world_reset(kit_world* world)
{
    for (int i = 0; i < 2; i++) {
        kit_link_clear(&world->links[i]);
        nn_session_reset(&world->sessions[i]);
        nn_blocks_reset(&world->blocks[i]);
    }
}

static void* kit_room(void* memory, size_t* capacity, size_t count, size_t size)
{
    if (count < *capacity) return memory;
    size_t larger = *capacity ? *capacity * 2 : 64;
    while (larger <= count) larger *= 2;
    uint8_t* grown = (uint8_t*)realloc(memory, larger * size);
    if (!grown) abort();
    memset(grown + *capacity * size, 0, (larger - *capacity) * size);
    *capacity = larger;
    return grown;
}

static void kit_fly(kit_world* world, kit_link* link, uint64_t number, bool is_ack, const void* data, size_t bytes)
{
    link->flying =
        (struct kit_packet*)kit_room(link->flying, &link->flying_capacity, link->flying_count, sizeof *link->flying);
    struct kit_packet* packet = &link->flying[link->flying_count++];
    packet->arrives_us = world->now_us + 20000 + kit_world_random(world, world->jitter_us);
    if (world->ordered) {
        packet->arrives_us = nn_max_u64(packet->arrives_us, link->last_arrival_us);
        link->last_arrival_us = packet->arrives_us;
    }
    packet->number = number;
    packet->is_ack = is_ack;
    packet->bytes = bytes;
    packet->data = (uint8_t*)malloc(bytes + 1);
    if (!packet->data) abort();
    nn_copy(packet->data, data, bytes);
}

static void kit_send_unordered(kit_world* world, int side, uint64_t number, bool is_ack, const void* data, size_t bytes)
{
    kit_link* link = &world->links[side];
    if (!world->ordered && kit_world_random(world, 1000000) < world->loss_ppm) return;
    kit_fly(world, link, number, is_ack, data, bytes);
    if (!world->ordered && kit_world_random(world, 1000000) < world->duplicate_ppm) {
        kit_fly(world, link, number, is_ack, data, bytes);
    }
}

/* Returns false when there was nothing to write. */
static bool kit_write_packet(kit_world* world, int side)
{
    static uint8_t buffer[70000];
    nn_session* session = &world->sessions[side];
    kit_link* link = &world->links[side];
    size_t room =
        world->packet_bytes_min + (size_t)kit_world_random(world, world->packet_bytes - world->packet_bytes_min + 1);
    nn_writer writer = nn_writer_of(buffer, room);
    nn_contents contents;
    memset(&contents, 0, sizeof contents);
    size_t bytes = nn_session_write(session, &writer, world->ordered ? NULL : &contents, world->now_us);
    if (bytes == 0) return false;
    if (world->ordered) nn_session_count_written(session, bytes);
    uint64_t number = link->sent_count;
    link->sent = (struct kit_sent*)kit_room(link->sent, &link->sent_capacity, link->sent_count, sizeof *link->sent);
    link->sent[link->sent_count].contents = contents;
    link->sent[link->sent_count].sent_us = world->now_us;
    link->sent[link->sent_count].state = 0;
    link->sent_count++;
    world->packets++;
    world->packet_bytes_sum += bytes;
    kit_send_unordered(world, side, number, false, buffer, bytes);
    return true;
}

static void kit_arrive(kit_world* world, int side, const struct kit_packet* packet)
{
    kit_link* link = &world->links[side]; /* that it came by */
    kit_link* back = &world->links[!side];
    if (packet->is_ack) {
        struct kit_sent* sent = &back->sent[packet->number];
        back->largest_acked = nn_max_u64(back->largest_acked, packet->number);
        if (sent->state != 1) nn_session_acked(&world->sessions[!side], &sent->contents, world->now_us);
        sent->state = 1;
        return;
    }
    link->seen = (uint8_t*)kit_room(link->seen, &link->seen_capacity, (size_t)packet->number, 1);
    if (link->seen[packet->number]) return;
    if (kit_world_random(world, 1000000) < world->unacked_drop_ppm) return;
    nn_session* session = &world->sessions[!side];
    nn_reader reader = nn_reader_of(packet->data, packet->bytes);
    if (world->ordered) nn_session_count_received(session, packet->bytes, world->now_us);
    link->seen[packet->number] = 1;
    bool refused = false;
    while (nn_reader_left(&reader) > 0) {
        const char* text = "";
        uint8_t type = nn_read_u8(&reader);
        necpnet_result result = nn_session_read(session, type, &reader, world->now_us, &text);
        refused = refused || result == NECPNET_ERR_OUT_OF_MEMORY;
        if (result && result != NECPNET_ERR_OUT_OF_MEMORY) {
            if (!world->broken) world->broken = text;
            return;
        }
    }
    if (!world->ordered && !refused) kit_send_unordered(world, !side, packet->number, true, NULL, 0);
}

static void kit_lose(kit_world* world, int side)
{
    kit_link* link = &world->links[side];
    size_t from = link->sent_count > 20000 ? link->sent_count - 20000 : 0;
    for (size_t i = from; i < link->sent_count; i++) {
        struct kit_sent* sent = &link->sent[i];
        if (sent->state != 0) continue;
        if (kit_world_random(world, 100) == 0) nn_session_doubted(&world->sessions[side], &sent->contents);
        bool late = world->now_us > sent->sent_us + 120000 + world->jitter_us * 2;
        if (late || (i + 3 <= link->largest_acked && world->jitter_us == 0)) {
            sent->state = 2;
            nn_session_lost(&world->sessions[side], &sent->contents, world->now_us);
        }
    }
}

void kit_world_step(kit_world* world)
{
    world->now_us += KIT_STEP_US;
    for (int side = 0; side < 2; side++) {
        kit_link* link = &world->links[side];
        size_t kept = 0;
        for (size_t i = 0; i < link->flying_count; i++) {
            struct kit_packet packet = link->flying[i];
            if (packet.arrives_us > world->now_us) {
                link->flying[kept++] = packet;
                continue;
            }
            /* An arrival appends only to the other link's vector. */
            kit_arrive(world, side, &packet);
            free(packet.data);
        }
        link->flying_count = kept;
    }
    for (int side = 0; side < 2; side++) {
        if (!world->ordered) kit_lose(world, side);
        nn_session_event event;
        const uint8_t* data;
        size_t bytes;
        while (!world->paused && nn_session_poll(&world->sessions[side], &event)) {
            if (world->on_event) world->on_event(world, side, &event);
        }
        while (nn_session_poll_control(&world->sessions[side], &data, &bytes)) {
            nn_session_event control;
            memset(&control, 0, sizeof control);
            control.type = NN_SESSION_EVENT_MESSAGE;
            control.channel = NN_CONTROL_CHANNEL;
            control.data = data;
            control.bytes = bytes;
            if (world->on_event) world->on_event(world, side, &control);
        }
        for (uint32_t i = 0; i < world->packets_per_step; i++) {
            if (!nn_session_has_output(&world->sessions[side], world->now_us)) break;
            if (!kit_write_packet(world, side)) break;
        }
    }
}

bool kit_world_settle(kit_world* world, int steps)
{
    while (steps-- > 0) {
        bool quiet = nn_session_flushed(&world->sessions[0]) && nn_session_flushed(&world->sessions[1]);
        quiet = quiet && world->links[0].flying_count == 0 && world->links[1].flying_count == 0;
        quiet = quiet && !nn_session_has_output(&world->sessions[0], world->now_us) &&
                !nn_session_has_output(&world->sessions[1], world->now_us);
        if (quiet || world->broken) return !world->broken;
        kit_world_step(world);
    }
    return false;
}

void kit_world_break(kit_world* world, bool ordered)
{
    for (int side = 0; side < 2; side++) {
        kit_link_clear(&world->links[side]);
        nn_session_carrier_changed(&world->sessions[side], ordered);
    }
    world->ordered = ordered;
}

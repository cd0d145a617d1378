/* kit_session - two sessions back to back over a simulated packet layer: loss, duplication, reordering, packet sizes,
 * ordered carriers, carriers that break; and a watch over what each channel promises. */
#ifndef KIT_SESSION_H
#define KIT_SESSION_H

#include "nn_session.h"

#define KIT_CHANNELS 5
#define KIT_STEP_US 5000

/* One direction of the link. */
typedef struct kit_link {
    struct kit_packet* flying; /* a vector */
    size_t flying_count, flying_capacity;
    struct kit_sent* sent; /* by packet number */
    size_t sent_count, sent_capacity;
    uint64_t largest_acked;
    uint8_t* seen; /* by packet number: replay protection */
    size_t seen_capacity;
    uint64_t last_arrival_us; /* ordered: nothing overtakes */
} kit_link;

typedef struct kit_world {
    nn_alloc alloc;
    nn_blocks blocks[2];
    nn_receive_memory memory[2];
    nn_session_config configs[2];
    necpnet_channel_config channels[KIT_CHANNELS]; /* by mode */
    nn_session sessions[2];
    kit_link links[2]; /* from session i */
    uint64_t now_us;
    uint64_t random;
    uint32_t loss_ppm, duplicate_ppm, jitter_us;
    uint32_t packet_bytes, packet_bytes_min; /* each packet: a size between */
    uint32_t packets_per_step;
    bool ordered;
    bool paused;               /* nobody polls */
    uint32_t unacked_drop_ppm; /* packets refused as if out of memory */
    uint64_t packets, packet_bytes_sum;
    const char* broken; /* text of the first ERR_PROTOCOL */
    /* what each side was told */
    void (*on_event)(struct kit_world* world, int side, const nn_session_event* event);
    void* user;
} kit_world;

void kit_world_init(kit_world* world, const struct necpnet_allocator* allocator, uint64_t seed);
void kit_world_reset(kit_world* world);

/* kit_world_open - make the sessions of the channel table; tell each the other's windows. */
void kit_world_open(kit_world* world);

/* kit_world_step - time passes: packets arrive, both sides poll and write. */
void kit_world_step(kit_world* world);

/* kit_world_settle - step until both are flushed and nothing flies, at most so many steps. Whether it got there. */
bool kit_world_settle(kit_world* world, int steps);

/* kit_world_break - the carrier is gone with all that flies; the next is ordered or not. */
void kit_world_break(kit_world* world, bool ordered);

uint64_t kit_world_random(kit_world* world, uint64_t below);

#endif

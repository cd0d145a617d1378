/* nn_world_record - a world as a recording: what a client would receive that sees everything and has all the room it wants. */
#include "nn_follower.h"
#include "nn_record.h"

#define RECORD_PEER UINT64_MAX /* no client has this number */
#define RECORD_FRAMES_MAX 4096 /* of one commit: more than the largest world takes */
#define RECORD_BYTES (NN_STATE_FRAME_BYTES_MAX + 16)

struct nn_world_recorder {
    nn_recording recording;
    nn_follower* follower;
    uint32_t tick_hz;
    uint32_t every_ticks;
    uint32_t first_tick;
    uint32_t next_tick;
    bool begun;
    uint8_t frame[RECORD_BYTES];
};

static necpnet_result world_record_end(necpnet_world* world)
{
    nn_world_recorder* recorder = world->recorder;
    if (!recorder) return NECPNET_ERR_INVALID_STATE;
    necpnet_result result = nn_recording_end(&recorder->recording);
    nn_world_unfollow(world, recorder->follower);
    nn_world_forget(world, RECORD_PEER);
    nn_alloc_give(&world->alloc, recorder, sizeof *recorder);
    world->recorder = NULL;
    return result;
}

necpnet_result necpnet_world_record(necpnet_world* world, const necpnet_recorder* recorder, uint32_t tick_hz,
                                    uint32_t every_ticks)
{
    if (!world) return NECPNET_ERR_INVALID_ARGUMENT;
    if (!recorder) return world_record_end(world);
    if (!recorder->write || tick_hz < 1 || tick_hz > 1000 || every_ticks < 1 || every_ticks > 1000) {
        return NECPNET_ERR_INVALID_ARGUMENT;
    }
    if (world->recorder) return NECPNET_ERR_ALREADY_EXISTS;
    nn_world_recorder* made = (nn_world_recorder*)nn_alloc_take(&world->alloc, sizeof *made);
    if (!made) return NECPNET_ERR_OUT_OF_MEMORY;
    necpnet_result result = nn_world_follow(world, RECORD_PEER, true, &made->follower);
    if (result) {
        nn_alloc_give(&world->alloc, made, sizeof *made);
        return result;
    }
    made->follower->records = true;
    made->tick_hz = tick_hz;
    made->every_ticks = every_ticks;
    world->recorder = made;
    result = nn_recording_begin(&made->recording, &world->alloc, recorder);
    uint8_t clock[16];
    nn_writer writer = nn_writer_of(clock, sizeof clock);
    nn_write_u64(&writer, 0);
    nn_write_varint(&writer, tick_hz);
    nn_recording_add_schema(&made->recording, world->schema, 0);
    nn_recording_add(&made->recording, NN_RECORD_CLOCK, clock, nn_writer_bytes(&writer), 0);
    if (result) (void)world_record_end(world);
    return result;
}

NN_PRIVATE nn_follower* nn_world_recording_follower(const necpnet_world* world)
{
    return world->recorder ? world->recorder->follower : NULL;
}

NN_PRIVATE void nn_world_record_commit(necpnet_world* world)
{
    nn_world_recorder* recorder = world->recorder;
    if (!recorder || (recorder->begun && world->tick < recorder->next_tick)) return;
    if (!recorder->begun) recorder->first_tick = world->tick;
    recorder->begun = true;
    recorder->next_tick = world->tick + recorder->every_ticks;
    necpnet_world_statistics kept = world->statistics; /* of what clients get */
    uint64_t time_us = 1000000 + (uint64_t)(world->tick - recorder->first_tick) * 1000000 / recorder->tick_hz;
    nn_follower* follower = recorder->follower;
    for (unsigned i = 0; i < RECORD_FRAMES_MAX; i++) {
        uint32_t value;
        nn_writer writer = nn_writer_of(recorder->frame, RECORD_BYTES);
        follower->next_us = 0;
        if (!nn_follower_write(follower, &writer, NN_STATE_FRAME_BYTES_MAX, &value, time_us)) break;
        nn_recording_add(&recorder->recording, NN_RECORD_STATE, recorder->frame + 1, nn_writer_bytes(&writer) - 1,
                         time_us);
        if (!follower->pending_count && !follower->walk_from) break;
    }
    world->statistics = kept;
}

NN_PRIVATE void nn_world_end_record(necpnet_world* world)
{
    if (world->recorder) (void)world_record_end(world);
}

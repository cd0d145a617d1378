/* nn_follower_check - hashes of what a client is known to have, a few with a frame now and then, and the repair of what differs. */
#include "nn_check.h"
#include "nn_follower.h"

#define CHECK_PERIOD_US 500000u /* between two frames with checks */
#define CHECK_SHARE 50          /* at most one byte of so many of the client's budget */
#define CHECK_BYTES_USUAL 6     /* of one */
#define CHECK_VISITS 64         /* states looked at for one frame */

/* How many entities a frame is to check now, so that all have their turn within the interval. */
static uint32_t check_count(const nn_follower* follower)
{
    const necpnet_world_config* config = &follower->world->config;
    uint64_t interval_us = (uint64_t)config->check_interval_ms * 1000;
    uint64_t wanted = ((uint64_t)follower->state_count * CHECK_PERIOD_US + interval_us - 1) / interval_us;
    uint64_t bytes = (uint64_t)config->client_bytes_per_s * CHECK_PERIOD_US / 1000000 / CHECK_SHARE;
    uint64_t most = bytes > 2 + CHECK_BYTES_USUAL ? (bytes - 2) / CHECK_BYTES_USUAL : 1;
    return (uint32_t)nn_min_u64(nn_min_u64(wanted, most), NN_CHECKS_MAX);
}

/* Whether it is known for sure what the client has of an entity; then its row. */
static const uint32_t* check_row(const nn_follower* follower, const nn_follower_state* state)
{
    const nn_world_slot* slot = &follower->world->slots[state->place];
    uint8_t wanted = NN_FOLLOWER_BASE | NN_FOLLOWER_SEEN;
    if ((state->flags & (wanted | NN_FOLLOWER_FULL | NN_FOLLOWER_LEAVING)) != wanted) return NULL;
    if (!(slot->flags & NN_SLOT_COMMITTED) || slot->generation != state->generation) return NULL;
    uint32_t version = nn_world_version_at(slot, state->base_tick);
    return version ? nn_world_row(follower->world, slot, version) : NULL;
}

NN_PRIVATE size_t nn_follower_make_checks(nn_follower* follower, uint8_t* to, size_t room, uint64_t now_us)
{
    const necpnet_world* world = follower->world;
    if (follower->records || !world->config.check_interval_ms || now_us < follower->check_us || !follower->state_count)
        return 0;
    uint32_t count = (uint32_t)nn_min_u64(check_count(follower), room > 2 ? (room - 2) / NN_CHECK_BYTES_MAX : 0);
    nn_writer writer = nn_writer_of(to, nn_min_size(room, NN_CHECKS_BYTES_MAX));
    uint8_t salt = (uint8_t)follower->frame_next;
    uint8_t made = 0;
    if (!count) return 0;
    nn_write_u8(&writer, salt);
    nn_write_u8(&writer, 0);
    for (uint32_t i = 0; i < CHECK_VISITS && i < follower->state_count && made < count; i++) {
        if (++follower->check_at >= follower->state_count) follower->check_at = 0;
        const nn_follower_state* state = &follower->states[follower->check_at];
        const uint32_t* row = check_row(follower, state);
        if (!row) continue;
        const nn_type_plan* plan = &world->schema->plans[world->slots[state->place].type];
        bool owner = (state->flags & NN_FOLLOWER_OWNER) != 0;
        nn_write_u16(&writer, state->place);
        nn_write_varint(&writer, world->tick - state->base_tick);
        nn_write_u16(&writer, nn_check_hash(plan, row, owner, state->generation, salt));
        made++;
    }
    uint64_t interval_us = (uint64_t)world->config.check_interval_ms * 1000;
    follower->check_us = now_us + nn_max_u64(CHECK_PERIOD_US, interval_us / follower->state_count);
    if (!made) return 0;
    NN_ASSERT(!writer.failed);
    to[1] = made;
    return nn_writer_bytes(&writer);
}

NN_PRIVATE void nn_follower_repair(nn_follower* follower, uint16_t place)
{
    nn_follower_state* state = nn_follower_state_of(follower, place);
    uint8_t wanted = NN_FOLLOWER_SEEN | NN_FOLLOWER_KNOWN;
    if (!state || (state->flags & (wanted | NN_FOLLOWER_FULL)) != wanted) return;
    nn_follower_need_full(follower, state);
    nn_follower_pend(follower, state);
    follower->world->statistics.repairs++;
}

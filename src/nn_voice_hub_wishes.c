/* nn_voice_hub_wishes - what a client wants of a hub: to hear nothing, nothing of somebody, to whisper. */
#include "nn_voice_hub.h"

static uint32_t hub_muted_place(const nn_voice_member* member, uint64_t user)
{
    uint32_t low = 0, high = member->muted_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (member->muted[middle] < user) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

NN_PRIVATE bool nn_voice_hub_is_muted(const nn_voice_member* member, uint64_t user)
{
    if (member->muted_count == 0) return false;
    uint32_t place = hub_muted_place(member, user);
    return place < member->muted_count && member->muted[place] == user;
}

/* Beyond the limit, or without memory, the client itself plays nothing of the user. */
static void hub_mute(nn_voice_member* member, uint64_t user, bool muted)
{
    uint32_t place = hub_muted_place(member, user);
    bool is_muted = place < member->muted_count && member->muted[place] == user;
    if (is_muted == muted) return;
    if (!muted) {
        uint64_t* at = member->muted + place;
        member->muted_count--;
        memmove(at, at + 1, (member->muted_count - place) * sizeof *at);
        return;
    }
    if (member->muted_count == NN_VOICE_MUTED_MAX) return;
    if (member->muted_count == member->muted_capacity) {
        uint32_t capacity = member->muted_capacity ? member->muted_capacity * 2 : 4;
        uint64_t* users = (uint64_t*)nn_alloc_grow(&member->source.hub->alloc, member->muted,
                                                   member->muted_capacity * sizeof *users, capacity * sizeof *users);
        if (!users) return;
        member->muted = users;
        member->muted_capacity = capacity;
    }
    uint64_t* at = member->muted + place;
    memmove(at + 1, at, (member->muted_count - place) * sizeof *at);
    *at = user;
    member->muted_count++;
}

NN_PRIVATE void nn_voice_hub_end_whisper(necpnet_voice_hub* hub, nn_voice_group* group, const nn_voice_member* from)
{
    necpnet_voice_hub_event* event = nn_voice_hub_tell(hub, NECPNET_VOICE_HUB_WHISPER_ENDED, &from->source);
    event->other = group->to->source.peer;
    event->group = group->number;
    nn_voice_hub_end_group(hub, group);
}

static nn_voice_group* hub_whisper(const nn_voice_member* from, const nn_voice_member* to)
{
    for (size_t i = NECPNET_VOICE_GROUPS_OF_ONE_MAX; i < NN_VOICE_ROWS_MAX; i++) {
        if (from->rows[i].group && from->rows[i].group->to == to) return from->rows[i].group;
    }
    return NULL;
}

static void hub_set_whisper(nn_voice_member* member, uint64_t user, bool on)
{
    necpnet_voice_hub* hub = member->source.hub;
    nn_voice_member* to = NULL;
    for (uint32_t i = 0; i < hub->member_capacity && !to; i++) {
        nn_voice_member* at = hub->members[i];
        if (at && at != member && at->source.user == user) to = at;
    }
    if (!to) return;
    nn_voice_group* group = hub_whisper(member, to);
    if ((group != NULL) == on) return;
    if (!on) {
        nn_voice_hub_end_whisper(hub, group, member);
        return;
    }
    bool may =
        hub->config.may_whisper && hub->config.may_whisper(member->source.peer, to->source.peer, hub->config.user);
    if (!may || nn_voice_hub_make_group(hub, NECPNET_VOICE_WHISPER, 0, 1, &group)) return;
    group->to = to;
    to->whispered++;
    if (nn_voice_hub_enter(group, member, NECPNET_VOICE_GROUPS_OF_ONE_MAX, NN_VOICE_ROWS_MAX)) {
        nn_voice_hub_end_group(hub, group);
        return;
    }
    necpnet_voice_hub_event* event = nn_voice_hub_tell(hub, NECPNET_VOICE_HUB_WHISPERS, &member->source);
    event->other = to->source.peer;
    event->group = group->number;
}

NN_PRIVATE bool nn_voice_hub_take_wish(necpnet_voice_hub* hub, necpnet_peer peer, const uint8_t* data, size_t bytes)
{
    nn_reader reader = nn_reader_of(data, bytes);
    uint8_t wish = nn_read_u8(&reader);
    uint64_t user = nn_read_u64(&reader);
    nn_voice_member* member = nn_voice_hub_find(hub, peer);
    if (reader.failed) return false;
    if (!member) return true;
    switch (wish) {
    case NN_VOICE_WISH_DEAF:
    case NN_VOICE_WISH_HEAR: member->wishes_deaf = wish == NN_VOICE_WISH_DEAF; break;
    case NN_VOICE_WISH_MUTE:
    case NN_VOICE_WISH_UNMUTE: hub_mute(member, user, wish == NN_VOICE_WISH_MUTE); break;
    case NN_VOICE_WISH_WHISPER:
    case NN_VOICE_WISH_END_WHISPER: /* these look for somebody among all */
        if (hub->now_us - member->wish_us >= 1000000) {
            member->wish_us = hub->now_us;
            member->wishes = 0;
        }
        if (++member->wishes <= NN_VOICE_WISHES_PER_S) hub_set_whisper(member, user, wish == NN_VOICE_WISH_WHISPER);
        break;
    default: break; /* of a later version */
    }
    return true;
}

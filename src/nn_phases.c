/* nn_phases - the keys of one connection's packets, phase after phase. */
#include "nn_phases.h"

#include "nn_hash.h"

NN_PRIVATE void nn_phases_init(nn_phases* phases, nn_connection_keys* keys, uint64_t interval_us, uint64_t now_us)
{
    memset(phases, 0, sizeof *phases);
    phases->send = keys->send;
    phases->receive = keys->receive;
    phases->old_until_us = NN_NEVER;
    phases->began_us = now_us;
    phases->interval_us = interval_us;
    phases->packets_max = NN_PHASE_PACKETS_MAX;
    memcpy(phases->send_secret, keys->send_secret, NN_SECRET_BYTES);
    memcpy(phases->receive_secret, keys->receive_secret, NN_SECRET_BYTES);
    nn_wipe(keys, sizeof *keys);
}

NN_PRIVATE void nn_phases_reset(nn_phases* phases)
{
    nn_aead_destroy(phases->send);
    nn_aead_destroy(phases->receive);
    nn_aead_destroy(phases->receive_old);
    nn_aead_destroy(phases->send_next);
    nn_aead_destroy(phases->receive_next);
    nn_wipe(phases, sizeof *phases);
}

/* The keys of the next phase, so that going there cannot fail. */
static bool phases_prepare(nn_phases* phases)
{
    if (phases->receive_next) return true;
    uint8_t send_secret[NN_SECRET_BYTES], receive_secret[NN_SECRET_BYTES];
    nn_aead* send = NULL;
    nn_aead* receive = NULL;
    nn_alloc* alloc = phases->send->alloc;
    uint32_t suite = phases->send->suite;
    memcpy(send_secret, phases->send_secret, NN_SECRET_BYTES);
    memcpy(receive_secret, phases->receive_secret, NN_SECRET_BYTES);
    necpnet_result result = nn_key_next_phase(suite, send_secret);
    if (!result) result = nn_key_next_phase(suite, receive_secret);
    if (!result) result = nn_key_packet(alloc, suite, send_secret, &send);
    if (!result) result = nn_key_packet(alloc, suite, receive_secret, &receive);
    if (result) {
        nn_aead_destroy(send);
    } else {
        phases->send_next = send;
        phases->receive_next = receive;
        memcpy(phases->send_secret, send_secret, NN_SECRET_BYTES);
        memcpy(phases->receive_secret, receive_secret, NN_SECRET_BYTES);
    }
    nn_wipe(send_secret, sizeof send_secret);
    nn_wipe(receive_secret, sizeof receive_secret);
    return result == NECPNET_OK;
}

/* After phases_prepare. What the peer still sends of the phase before can be read; we send in the new one alone. */
static void phases_advance(nn_phases* phases, uint64_t next_number, uint64_t now_us)
{
    nn_aead_destroy(phases->receive_old);
    nn_aead_destroy(phases->send);
    phases->receive_old = phases->receive;
    phases->receive = phases->receive_next;
    phases->send = phases->send_next;
    phases->receive_next = phases->send_next = NULL;
    phases->count++;
    phases->send_first = next_number;
    phases->receive_first = NN_PACKET_NONE;
    phases->old_until_us = NN_NEVER;
    phases->began_us = now_us;
}

static void phases_forget_old(nn_phases* phases, uint64_t now_us)
{
    if (!phases->receive_old || now_us < phases->old_until_us) return;
    nn_aead_destroy(phases->receive_old);
    phases->receive_old = NULL;
}

static uint8_t phases_flag(const nn_phases* phases)
{
    return phases->count & 1u ? NN_PACKET_PHASE : 0;
}

NN_PRIVATE uint8_t nn_phases_before_send(nn_phases* phases, uint64_t number, uint64_t largest_acked, uint64_t now_us)
{
    bool due = now_us - phases->began_us >= phases->interval_us || number - phases->send_first >= phases->packets_max;
    if (!due) return phases_flag(phases);
    phases_forget_old(phases, now_us);
    bool is_confirmed = largest_acked != NN_PACKET_NONE && largest_acked >= phases->send_first;
    if (is_confirmed && !phases->receive_old && phases_prepare(phases)) phases_advance(phases, number, now_us);
    return phases_flag(phases);
}

/* The one key that a packet can be of. Within a phase numbers ascend, and so they do over phases: one of the other bit is
 * of the phase before if its number is lower than all of this one, else of the next. */
static nn_aead* phases_key_of(nn_phases* phases, const nn_packet* packet, necpnet_drop* why)
{
    *why = NECPNET_DROP_AUTHENTICATION;
    if ((packet->flags & NN_PACKET_PHASE) == phases_flag(phases)) return phases->receive;
    bool is_before = phases->receive_first == NN_PACKET_NONE || packet->number < phases->receive_first;
    if (is_before) return phases->receive_old;
    if (phases_prepare(phases)) return phases->receive_next;
    *why = NECPNET_DROP_MEMORY;
    return NULL;
}

NN_PRIVATE bool nn_phases_open(nn_phases* phases, uint8_t* data, const nn_packet* packet, uint64_t next_number,
                               uint64_t keep_us, uint64_t now_us, necpnet_drop* why)
{
    phases_forget_old(phases, now_us);
    nn_aead* key = phases_key_of(phases, packet, why);
    if (!key || !nn_aead_open(key, packet->number, data, packet->header_bytes, packet->frames, packet->frames_bytes,
                              packet->frames + packet->frames_bytes)) {
        return false;
    }
    if (key == phases->receive_old) return true;
    if (key == phases->receive_next) phases_advance(phases, next_number, now_us);
    if (phases->receive_first == NN_PACKET_NONE) phases->old_until_us = now_us + keep_us;
    if (phases->receive_first == NN_PACKET_NONE || packet->number < phases->receive_first) {
        phases->receive_first = packet->number;
    }
    return true;
}

/* nn_voice - the voice of one player: life, what it says, settings, statistics. Hearing: nn_voice_hear, the wire:
 * nn_voice_wire. */
#include "nn_voice.h"

#include "nn_config.h"

necpnet_result necpnet_voice_config_default(necpnet_voice_config* config)
{
    if (!config) return NECPNET_ERR_INVALID_ARGUMENT;
    memset(config, 0, sizeof *config);
    config->struct_bytes = sizeof *config;
    config->logger.level = NECPNET_LOG_OFF;
    config->codec = NECPNET_VOICE_OPUS;
    config->input_hz = config->output_hz = 48000;
    config->output_channels = 2;
    config->frame_ms = 20;
    config->bitrate_bps = 24000;
    config->bitrate_min_bps = 10000;
    config->complexity = 5;
    config->adapt = config->fec = config->dtx = true;
    config->activation = NECPNET_VOICE_ACTIVITY;
    config->activity_db = 9;
    config->hangover_ms = 300;
    config->delay_min_ms = 10;
    config->delay_max_ms = 240;
    config->speakers_max = 8;
    config->near_distance = 2;
    config->far_distance = 40;
    return NECPNET_OK;
}

static necpnet_result voice_check(const necpnet_voice_config* c)
{
    const necpnet_logger* log = &c->logger;
    bool ok = nn_config_allocator(log, &c->allocator) && nn_config_range(log, "codec", (uint64_t)c->codec, 0, 2) &&
              nn_config_range(log, "input_hz", c->input_hz, 8000, 96000) &&
              nn_config_range(log, "output_hz", c->output_hz, 8000, 96000) &&
              nn_config_range(log, "output_channels", c->output_channels, 1, 2) &&
              nn_config_range(log, "frame_ms", c->frame_ms, 10, 60) &&
              nn_config_range(log, "bitrate_bps", c->bitrate_bps, 6000, 128000) &&
              nn_config_range(log, "bitrate_min_bps", c->bitrate_min_bps, 6000, c->bitrate_bps) &&
              nn_config_range(log, "complexity", c->complexity, 0, 10) &&
              nn_config_range(log, "loss_percent", c->loss_percent, 0, 30) &&
              nn_config_range(log, "activation", (uint64_t)c->activation, 0, 2) &&
              nn_config_range(log, "activity_db", c->activity_db, 3, 40) &&
              nn_config_range(log, "hangover_ms", c->hangover_ms, 0, 2000) &&
              nn_config_range(log, "delay_min_ms", c->delay_min_ms, 0, 500) &&
              nn_config_range(log, "delay_max_ms", c->delay_max_ms, c->delay_min_ms, 500) &&
              nn_config_range(log, "speakers_max", c->speakers_max, 1, NN_VOICE_SPEAKERS_MAX);
    if (!ok) return NECPNET_ERR_BAD_CONFIG;
    uint32_t ms = c->frame_ms;
    if (ms != 10 && ms != 20 && ms != 40 && ms != 60) {
        nn_log_write(log, NECPNET_LOG_ERROR, "config.frame_ms is %u; it must be 10, 20, 40 or 60", (unsigned)ms);
        return NECPNET_ERR_BAD_CONFIG;
    }
    if (!(c->near_distance >= 0.0f && c->far_distance > c->near_distance && c->far_distance < 1e9f)) {
        nn_log_write(log, NECPNET_LOG_ERROR, "config.far_distance must be more than near_distance, and that 0 or more");
        return NECPNET_ERR_BAD_CONFIG;
    }
    return NECPNET_OK;
}

static necpnet_result voice_begin(necpnet_voice* voice)
{
    const necpnet_voice_config* config = &voice->config;
    const necpnet_logger* log = &config->logger;
    nn_blocks_init(&voice->blocks, &voice->alloc);
    nn_voice_keys_init(&voice->keys, &voice->alloc);
    voice->limit_gain = 1;
    voice->report_at_us = NN_NEVER;
    voice->listener.right[0] = 1;
    voice->listener.near_distance = config->near_distance;
    voice->listener.far_distance = config->far_distance;
    if (config->codec == NECPNET_VOICE_EXTERNAL) return NECPNET_OK;
    voice->codec = config->codec == NECPNET_VOICE_PCM ? nn_voice_codec_pcm() : nn_voice_codec_opus();
    if (!voice->codec) {
        nn_log_write(log, NECPNET_LOG_ERROR, "voice: this build has no Opus (NECPNET_WITH_OPUS is 0)");
        return NECPNET_ERR_UNSUPPORTED;
    }
    bool resamples = config->input_hz != 48000 || config->output_hz != 48000;
    if (resamples && !nn_resample_is_built()) {
        nn_log_write(log, NECPNET_LOG_ERROR, "voice: rates but 48000 need NECPNET_WITH_SPEEXDSP");
        return NECPNET_ERR_UNSUPPORTED;
    }
    if (config->output_hz == 48000) return NECPNET_OK;
    return nn_resampler_create(&voice->alloc, 48000, config->output_hz, config->output_channels, &voice->resampler);
}

necpnet_result necpnet_voice_create(const necpnet_voice_config* config, necpnet_voice** out_voice)
{
    if (!config || !out_voice) return NECPNET_ERR_INVALID_ARGUMENT;
    if (!NECPNET_WITH_VOICE) return NECPNET_ERR_UNSUPPORTED;
    if (config->struct_bytes != sizeof *config) return NECPNET_ERR_BAD_STRUCT_BYTES;
    necpnet_result result = voice_check(config);
    if (result) return result;
    nn_alloc first;
    nn_alloc_init(&first, &config->allocator);
    necpnet_voice* voice = (necpnet_voice*)nn_alloc_take(&first, sizeof *voice);
    if (!voice) return NECPNET_ERR_OUT_OF_MEMORY;
    voice->config = *config;
    nn_alloc_init(&voice->alloc, &config->allocator);
    result = voice_begin(voice);
    if (result) {
        necpnet_voice_destroy(voice);
        return result;
    }
    *out_voice = voice;
    return NECPNET_OK;
}

void necpnet_voice_destroy(necpnet_voice* voice)
{
    if (!voice) return;
    nn_alloc* alloc = &voice->alloc;
    for (int i = 0; i < NECPNET_VOICE_STREAMS_MAX; i++) {
        if (!voice->sends[i]) continue;
        nn_voice_send_reset(voice->sends[i]);
        nn_alloc_give(alloc, voice->sends[i], sizeof *voice->sends[i]);
    }
    for (uint32_t i = 0; i < NN_VOICE_SPEAKERS_MAX; i++) {
        if (!voice->speakers[i]) continue;
        nn_voice_forget_speaker(voice, voice->speakers[i]);
        nn_alloc_give(alloc, voice->speakers[i], sizeof *voice->speakers[i]);
    }
    nn_voice_keys_reset(&voice->keys);
    nn_resampler_destroy(voice->resampler);
    nn_alloc_give(alloc, voice->names, voice->name_capacity * sizeof *voice->names);
    nn_alloc_give(alloc, voice->users, voice->user_capacity * sizeof *voice->users);
    nn_blocks_reset(&voice->blocks);
    nn_alloc last;
    nn_alloc_init(&last, &alloc->allocator);
    last.bytes = sizeof *voice;
    nn_alloc_give(&last, voice, sizeof *voice);
}

/* -- own streams -- */

static necpnet_result voice_open(necpnet_voice* voice, int stream, uint32_t channels)
{
    nn_voice_send_config config;
    nn_voice_send* send = (nn_voice_send*)nn_alloc_take(&voice->alloc, sizeof *send);
    if (!send) return NECPNET_ERR_OUT_OF_MEMORY;
    config.alloc = &voice->alloc;
    config.codec = voice->codec;
    config.input_hz = voice->config.input_hz;
    config.channels = channels;
    config.is_music = stream != 0;
    config.voice = &voice->config;
    necpnet_result result = nn_voice_send_begin(send, &config);
    if (result) {
        nn_alloc_give(&voice->alloc, send, sizeof *send);
        return result;
    }
    voice->sends[stream] = send;
    if (!voice->has_group[stream]) voice->send_groups[stream] = voice->send_groups[0];
    return NECPNET_OK;
}

/* The microphone's stream is made when first used. */
static necpnet_result voice_need_microphone(necpnet_voice* voice)
{
    return voice->sends[0] ? NECPNET_OK : voice_open(voice, 0, 1);
}

static bool voice_is_stream(int stream)
{
    return stream >= 0 && stream < NECPNET_VOICE_STREAMS_MAX;
}

static bool voice_is_silenced(const necpnet_voice* voice, uint32_t group)
{
    for (size_t i = 0; i < NN_COUNT(voice->groups); i++) {
        if (voice->groups[i].group == group) return voice->groups[i].is_silenced;
    }
    return false;
}

static bool voice_may_send(const necpnet_voice* voice, int stream)
{
    if (stream == 0 && voice->is_muted) return false;
    if (voice->is_loopback) return stream == 0;
    uint32_t group = voice->send_groups[stream];
    return voice->is_connected && group && !voice_is_silenced(voice, group);
}

static void voice_tell_open(necpnet_voice* voice, int stream)
{
    bool is_open = voice->sends[stream]->is_open;
    if (voice->was_open[stream] == is_open) return;
    voice->was_open[stream] = is_open;
    necpnet_voice_event event;
    memset(&event, 0, sizeof event);
    event.type = is_open ? NECPNET_VOICE_EVENT_TALKING : NECPNET_VOICE_EVENT_QUIET;
    event.stream = stream;
    event.group = voice->send_groups[stream];
    nn_voice_push_event(voice, &event);
}

necpnet_result necpnet_voice_push(necpnet_voice* voice, int stream, const float* pcm, size_t frames, uint64_t now_us)
{
    if (!voice || !voice_is_stream(stream) || (!pcm && frames) || (voice && frames > voice->config.input_hz)) {
        return NECPNET_ERR_INVALID_ARGUMENT;
    }
    if (!NECPNET_WITH_VOICE || !voice->codec) return NECPNET_ERR_UNSUPPORTED;
    if (stream != 0 && !voice->sends[stream]) return NECPNET_ERR_NOT_FOUND;
    necpnet_result result = voice_need_microphone(voice);
    if (result) return result;
    if (now_us > voice->now_us) voice->now_us = now_us;
    nn_voice_send_push(voice->sends[stream], pcm, frames, voice_may_send(voice, stream), voice->now_us);
    voice_tell_open(voice, stream);
    if (voice->is_loopback && stream == 0) nn_voice_hear_self(voice, voice->now_us);
    return NECPNET_OK;
}

necpnet_result necpnet_voice_push_packet(necpnet_voice* voice, const necpnet_voice_packet* packet, uint64_t now_us)
{
    if (!voice || !packet || !voice_is_stream(packet->stream)) return NECPNET_ERR_INVALID_ARGUMENT;
    if (!NECPNET_WITH_VOICE || voice->config.codec != NECPNET_VOICE_EXTERNAL) return NECPNET_ERR_UNSUPPORTED;
    bool is_right = packet->level <= NECPNET_VOICE_LEVEL_MAX && packet->bytes <= NN_VOICE_ENCODED_BYTES_MAX;
    if (packet->bytes) {
        is_right = is_right && packet->data && nn_voice_units(NN_VOICE_CODEC_OPUS, packet->data, packet->bytes) > 0;
    }
    if (!is_right) return NECPNET_ERR_INVALID_ARGUMENT;
    if (now_us > voice->now_us) voice->now_us = now_us;
    if (!voice->sends[packet->stream]) {
        necpnet_result result = voice_open(voice, packet->stream, 1);
        if (result) return result;
    }
    if (!voice_may_send(voice, packet->stream)) return NECPNET_OK;
    return nn_voice_send_packet(voice->sends[packet->stream], packet->data, packet->bytes,
                                (uint16_t)(packet->time & (NN_VOICE_TIMES - 1)), packet->level, voice->now_us);
}

necpnet_result necpnet_voice_open_stream(necpnet_voice* voice, int stream, uint32_t channels)
{
    if (!voice || !voice_is_stream(stream) || stream == 0 || channels < 1 || channels > 2) {
        return NECPNET_ERR_INVALID_ARGUMENT;
    }
    if (!NECPNET_WITH_VOICE || voice->config.codec != NECPNET_VOICE_OPUS) return NECPNET_ERR_UNSUPPORTED;
    if (voice->sends[stream]) return NECPNET_ERR_ALREADY_EXISTS;
    return voice_open(voice, stream, channels);
}

necpnet_result necpnet_voice_close_stream(necpnet_voice* voice, int stream)
{
    if (!voice || !voice_is_stream(stream) || stream == 0) return NECPNET_ERR_INVALID_ARGUMENT;
    if (!voice->sends[stream]) return NECPNET_ERR_NOT_FOUND;
    nn_voice_send_reset(voice->sends[stream]);
    nn_alloc_give(&voice->alloc, voice->sends[stream], sizeof *voice->sends[stream]);
    voice->sends[stream] = NULL;
    voice->was_open[stream] = voice->has_group[stream] = false;
    return NECPNET_OK;
}

/* -- settings -- */

necpnet_result necpnet_voice_set_talking(necpnet_voice* voice, bool talking)
{
    if (!voice) return NECPNET_ERR_INVALID_ARGUMENT;
    if (!NECPNET_WITH_VOICE || voice_need_microphone(voice)) return NECPNET_ERR_OUT_OF_MEMORY;
    voice->sends[0]->is_key_down = talking;
    return NECPNET_OK;
}

necpnet_result necpnet_voice_set_muted(necpnet_voice* voice, bool muted)
{
    if (!voice) return NECPNET_ERR_INVALID_ARGUMENT;
    voice->is_muted = muted;
    return NECPNET_OK;
}

necpnet_result necpnet_voice_set_deafened(necpnet_voice* voice, bool deafened)
{
    if (!voice) return NECPNET_ERR_INVALID_ARGUMENT;
    if (voice->is_deafened == deafened) return NECPNET_OK;
    voice->is_deafened = deafened;
    if (voice->is_connected) (void)nn_voice_wish_for(voice, deafened ? NN_VOICE_WISH_DEAF : NN_VOICE_WISH_HEAR, 0);
    return NECPNET_OK;
}

necpnet_result necpnet_voice_set_loopback(necpnet_voice* voice, bool loopback)
{
    if (!voice) return NECPNET_ERR_INVALID_ARGUMENT;
    if (voice->is_loopback == loopback) return NECPNET_OK;
    voice->is_loopback = loopback;
    if (voice->sends[0]) voice->sends[0]->count = 0; /* what was meant for the others, or for oneself */
    return NECPNET_OK;
}

necpnet_result necpnet_voice_set_listener(necpnet_voice* voice, const float* position, const float* right)
{
    if (!voice || !position || !right) return NECPNET_ERR_INVALID_ARGUMENT;
    memcpy(voice->listener.position, position, sizeof voice->listener.position);
    memcpy(voice->listener.right, right, sizeof voice->listener.right);
    return NECPNET_OK;
}

necpnet_result necpnet_voice_set_key(necpnet_voice* voice, uint32_t key_id, const uint8_t* key)
{
    if (!voice || key_id < 1 || key_id > 255) return NECPNET_ERR_INVALID_ARGUMENT;
    if (!NECPNET_WITH_VOICE) return NECPNET_ERR_UNSUPPORTED;
    return nn_voice_keys_set(&voice->keys, &voice->config.entropy, key_id, key);
}

/* -- users -- */

/* The place of a user, or where he belongs. */
static uint32_t voice_user_place(const necpnet_voice* voice, uint64_t user)
{
    uint32_t low = 0, high = voice->user_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (voice->users[middle].user < user) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

NN_PRIVATE nn_voice_user* nn_voice_find_user(const necpnet_voice* voice, uint64_t user)
{
    uint32_t place = voice_user_place(voice, user);
    return place < voice->user_count && voice->users[place].user == user ? &voice->users[place] : NULL;
}

static necpnet_result voice_need_user(necpnet_voice* voice, uint64_t user, nn_voice_user** out)
{
    *out = nn_voice_find_user(voice, user);
    if (*out) return NECPNET_OK;
    if (voice->user_count == NECPNET_VOICE_USERS_MAX) return NECPNET_ERR_LIMIT_REACHED;
    if (voice->user_count == voice->user_capacity) {
        uint32_t capacity = voice->user_capacity ? voice->user_capacity * 2 : 8;
        nn_voice_user* users = (nn_voice_user*)nn_alloc_grow(
            &voice->alloc, voice->users, voice->user_capacity * sizeof *users, capacity * sizeof *users);
        if (!users) return NECPNET_ERR_OUT_OF_MEMORY;
        voice->users = users;
        voice->user_capacity = capacity;
    }
    uint32_t place = voice_user_place(voice, user);
    memmove(voice->users + place + 1, voice->users + place, (voice->user_count - place) * sizeof *voice->users);
    voice->user_count++;
    *out = &voice->users[place];
    memset(*out, 0, sizeof **out);
    (*out)->user = user;
    (*out)->volume = 1;
    return NECPNET_OK;
}

necpnet_result necpnet_voice_set_user_volume(necpnet_voice* voice, uint64_t user_id, float volume)
{
    nn_voice_user* user;
    if (!voice || !(volume >= 0.0f && volume <= 4.0f)) return NECPNET_ERR_INVALID_ARGUMENT;
    necpnet_result result = voice_need_user(voice, user_id, &user);
    if (result) return result;
    bool was_muted = user->volume <= 0.0f, is_muted = volume <= 0.0f;
    user->volume = volume;
    if (was_muted == is_muted || !voice->is_connected) return NECPNET_OK;
    (void)nn_voice_wish_for(voice, is_muted ? NN_VOICE_WISH_MUTE : NN_VOICE_WISH_UNMUTE, user_id);
    return NECPNET_OK;
}

necpnet_result necpnet_voice_set_user_position(necpnet_voice* voice, uint64_t user_id, const float* position)
{
    nn_voice_user* user;
    if (!voice || !position) return NECPNET_ERR_INVALID_ARGUMENT;
    necpnet_result result = voice_need_user(voice, user_id, &user);
    if (result) return result;
    memcpy(user->position, position, sizeof user->position);
    user->has_position = true;
    return NECPNET_OK;
}

/* -- statistics -- */

static void voice_add_counts(necpnet_voice_statistics* out, const nn_voice_jitter_counts* counts)
{
    out->packets_received += counts->received;
    out->packets_late += counts->late;
    out->packets_lost += counts->lost;
    out->packets_duplicate += counts->duplicate;
    out->packets_refused += counts->refused;
    out->units_decoded += counts->decoded;
    out->units_recovered += counts->recovered;
    out->units_concealed += counts->concealed;
    out->units_comfort += counts->comfort;
    out->samples_shortened += counts->shortened;
    out->samples_lengthened += counts->lengthened;
}

necpnet_result necpnet_voice_get_statistics(const necpnet_voice* voice, necpnet_voice_statistics* out_statistics)
{
    if (!voice || !out_statistics) return NECPNET_ERR_INVALID_ARGUMENT;
    necpnet_voice_statistics* out = out_statistics;
    memset(out, 0, sizeof *out);
    out->packets_refused = voice->dropped_speakers;
    voice_add_counts(out, &voice->gone);
    for (int i = 0; i < NECPNET_VOICE_STREAMS_MAX; i++) {
        const nn_voice_send* send = voice->sends[i];
        if (!send) continue;
        out->packets_sent += send->packets;
        out->bytes_sent += send->bytes;
        out->packets_dropped += send->dropped;
    }
    for (uint32_t i = 0; i < NN_VOICE_SPEAKERS_MAX; i++) {
        const nn_voice_speaker* speaker = voice->speakers[i];
        if (!speaker || !speaker->is_used) continue;
        voice_add_counts(out, &speaker->jitter.counts);
        out->speakers += speaker->is_speaking ? 1u : 0u;
        if (speaker->jitter.target_us / 1000 > out->delay_ms) out->delay_ms = speaker->jitter.target_us / 1000;
    }
    const nn_voice_send* microphone = voice->sends[0];
    if (!microphone) return NECPNET_OK;
    out->bitrate_bps = microphone->settings.bitrate_bps;
    out->frame_ms = microphone->settings.units * 10;
    out->fec_percent = microphone->settings.fec_percent;
    out->complexity = microphone->settings.complexity;
    out->loss_ppm = microphone->adapt.loss_ppm;
    out->jitter_ms = microphone->adapt.jitter_ms;
    out->level = microphone->level;
    return NECPNET_OK;
}

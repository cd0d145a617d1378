/* nn_voice_send - one stream on its way out: samples in, packets out. */
#include "nn_voice_send.h"

#include <math.h>

#define SEND_UNIT NECPNET_VOICE_UNIT_SAMPLES
#define SEND_BLOCK 480u           /* input samples resampled at a time */
#define SEND_JUMP_US 150000       /* input that paused for longer: time leaps */
#define SEND_SPEECH_DB (-55.0f)   /* quieter is never speech */
#define SEND_FLOOR_DB (-70.0f)    /* of the room, to begin with */
#define SEND_FLOOR_RISE_DB 0.012f /* a 10 ms: 1.2 dB a second */
#define SEND_FEC_BPS \
    20000u /* with less, and losses, Opus spares nothing for FEC, or narrows the band (bench/voice_quality) */
#define SEND_LONG_BPS 14000u /* below, frames of 40 ms save a third of the headers */
#define SEND_LOSS_HIGH 15u   /* percent: the path may be full; less is sent */
#define SEND_FEC_PERCENT 10u /* the least that the library is told: up to 5 it makes no FEC at 24 kbit/s */

NN_PRIVATE uint8_t nn_voice_level(float db)
{
    int level = (int)((db + 64.0f) / 4.0f);
    return (uint8_t)(level < 0 ? 0 : level > NECPNET_VOICE_LEVEL_MAX ? NECPNET_VOICE_LEVEL_MAX : level);
}

/* -- settings -- */

static void send_apply(nn_voice_send* send)
{
    const necpnet_voice_config* voice = send->config.voice;
    nn_voice_settings* settings = &send->settings;
    const nn_voice_adapt* adapt = &send->adapt;
    settings->bitrate_bps = adapt->bitrate_bps;
    settings->fec_percent = voice->fec ? adapt->loss_percent : 0;
    if (voice->adapt && settings->fec_percent && settings->fec_percent < SEND_FEC_PERCENT) {
        settings->fec_percent = SEND_FEC_PERCENT;
    }
    settings->complexity = voice->complexity;
    settings->dtx = voice->dtx && !send->config.is_music;
    settings->units = voice->frame_ms / 10;
    if (voice->adapt) {
        /* few bits want more thought (the library's own advice), many losses short packets */
        if (adapt->bitrate_bps < SEND_LONG_BPS && settings->complexity < 9) settings->complexity += 2;
        if (adapt->bitrate_bps < SEND_LONG_BPS && settings->units < 4) settings->units = 4;
        if (adapt->loss_percent >= SEND_LOSS_HIGH && settings->units > 2) settings->units = 2;
    }
    if (send->config.codec && settings->units > send->config.codec->units_max) {
        settings->units = send->config.codec->units_max;
    }
    if (send->encoder) send->config.codec->encoder_set(send->encoder, settings);
}

NN_PRIVATE void nn_voice_send_report(nn_voice_send* send, uint8_t loss, uint8_t jitter_ms)
{
    nn_voice_adapt* adapt = &send->adapt;
    uint32_t percent = ((uint32_t)loss * 100 + 254) / 255;
    adapt->loss_ppm = (uint32_t)loss * 1000000u / 255;
    adapt->jitter_ms = jitter_ms;
    if (!send->config.voice->adapt) return;
    uint32_t slow = (adapt->loss_percent * 7 + percent) / 8;
    adapt->loss_percent = percent > slow ? percent : slow;
    if (adapt->loss_percent > 30) adapt->loss_percent = 30;
    if (percent >= SEND_LOSS_HIGH) {
        adapt->bitrate_bps = adapt->bitrate_bps / 8 * 7;
    } else if (percent < SEND_LOSS_HIGH / 2) {
        adapt->bitrate_bps += adapt->bitrate_max / 20;
    }
    uint32_t least = adapt->bitrate_min;
    if (adapt->loss_percent && send->config.voice->fec && least < SEND_FEC_BPS) least = SEND_FEC_BPS;
    if (adapt->bitrate_bps < least) adapt->bitrate_bps = least;
    if (adapt->bitrate_bps > adapt->bitrate_max) adapt->bitrate_bps = adapt->bitrate_max;
    send_apply(send);
}

/* -- life -- */

NN_PRIVATE necpnet_result nn_voice_send_begin(nn_voice_send* send, const nn_voice_send_config* config)
{
    nn_alloc* alloc = config->alloc;
    const nn_voice_codec* codec = config->codec;
    memset(send, 0, sizeof *send);
    send->config = *config;
    send->floor_db = SEND_FLOOR_DB;
    send->adapt.bitrate_max = config->voice->bitrate_bps * config->channels;
    send->adapt.bitrate_min = config->voice->bitrate_min_bps * config->channels;
    send->adapt.bitrate_bps = send->adapt.bitrate_max;
    send->adapt.loss_percent = config->voice->loss_percent;
    send->waiting = (nn_voice_waiting*)nn_alloc_take(alloc, NN_VOICE_WAITING_MAX * sizeof *send->waiting);
    if (!send->waiting) return NECPNET_ERR_OUT_OF_MEMORY;
    if (!codec) return NECPNET_OK;
    size_t encoder_bytes = codec->encoder_bytes(config->channels);
    send->pcm =
        (float*)nn_alloc_take(alloc, NECPNET_VOICE_PACKET_UNITS_MAX * SEND_UNIT * config->channels * sizeof *send->pcm);
    send->encoder = nn_alloc_take(alloc, encoder_bytes);
    if (send->encoder) send->encoder_bytes = encoder_bytes;
    necpnet_result result = NECPNET_OK;
    if (!send->pcm || !send->encoder || !codec->encoder_begin(send->encoder, config->channels, config->is_music)) {
        result = NECPNET_ERR_OUT_OF_MEMORY;
    } else if (config->input_hz != 48000) {
        result = nn_resampler_create(alloc, config->input_hz, 48000, config->channels, &send->resampler);
    }
    if (result) {
        nn_voice_send_reset(send);
        return result;
    }
    send_apply(send);
    return NECPNET_OK;
}

NN_PRIVATE void nn_voice_send_reset(nn_voice_send* send)
{
    nn_alloc* alloc = send->config.alloc;
    if (!alloc) return;
    nn_resampler_destroy(send->resampler);
    nn_alloc_give(alloc, send->encoder, send->encoder_bytes);
    nn_alloc_give(alloc, send->pcm,
                  NECPNET_VOICE_PACKET_UNITS_MAX * SEND_UNIT * send->config.channels * sizeof *send->pcm);
    nn_alloc_give(alloc, send->waiting, NN_VOICE_WAITING_MAX * sizeof *send->waiting);
    memset(send, 0, sizeof *send);
}

/* -- what waits -- */

static nn_voice_waiting* send_slot(nn_voice_send* send)
{
    if (send->count == NN_VOICE_WAITING_MAX) { /* the oldest is worth least */
        send->first = (send->first + 1) % NN_VOICE_WAITING_MAX;
        send->count--;
        send->dropped++;
    }
    return &send->waiting[(send->first + send->count) % NN_VOICE_WAITING_MAX];
}

static void send_queue(nn_voice_send* send, nn_voice_waiting* slot, size_t bytes, uint16_t time, uint8_t level,
                       uint64_t now_us)
{
    slot->at_us = now_us;
    slot->bytes = (uint16_t)bytes;
    slot->time = time;
    slot->level = level;
    slot->sequence = send->sequence++;
    send->count++;
}

NN_PRIVATE necpnet_result nn_voice_send_packet(nn_voice_send* send, const uint8_t* data, size_t bytes, uint16_t time,
                                               uint8_t level, uint64_t now_us)
{
    NN_ASSERT(bytes <= NN_VOICE_ENCODED_BYTES_MAX);
    if (send->count == NN_VOICE_WAITING_MAX) return NECPNET_ERR_WOULD_BLOCK;
    nn_voice_waiting* slot = send_slot(send);
    nn_copy(slot->data, data, bytes);
    send_queue(send, slot, bytes, time, level, now_us);
    return NECPNET_OK;
}

NN_PRIVATE nn_voice_waiting* nn_voice_send_peek(nn_voice_send* send, uint64_t now_us)
{
    while (send->count) {
        nn_voice_waiting* slot = &send->waiting[send->first];
        if (now_us < slot->at_us + NN_VOICE_WAITING_US) return slot;
        send->first = (send->first + 1) % NN_VOICE_WAITING_MAX;
        send->count--;
        send->dropped++;
    }
    return NULL;
}

NN_PRIVATE void nn_voice_send_take(nn_voice_send* send)
{
    NN_ASSERT(send->count > 0);
    send->packets++;
    send->bytes += send->waiting[send->first].bytes;
    send->first = (send->first + 1) % NN_VOICE_WAITING_MAX;
    send->count--;
}

/* -- the gate -- */

static float send_loudness_db(const float* pcm, size_t samples)
{
    float sum = 1e-10f;
    for (size_t i = 0; i < samples; i++) sum += pcm[i] * pcm[i];
    return 10.0f * log10f(sum / (float)samples);
}

/* Whether what was gathered is to be sent. */
static bool send_gate(nn_voice_send* send, float db, uint32_t units, bool may_send)
{
    const necpnet_voice_config* voice = send->config.voice;
    bool is_wanted = may_send;
    float rise_db = SEND_FLOOR_RISE_DB * (float)units;
    bool is_speech = db > SEND_SPEECH_DB && db > send->floor_db + (float)voice->activity_db;
    send->floor_db = db < send->floor_db ? send->floor_db + (db - send->floor_db) * 0.3f : send->floor_db + rise_db;
    if (!send->config.is_music && voice->activation != NECPNET_VOICE_ALWAYS) {
        bool is_key = voice->activation == NECPNET_VOICE_PUSH_TO_TALK;
        if (is_key ? send->is_key_down : is_speech) {
            send->open_units = voice->hangover_ms / 10 + units;
        }
        is_wanted = is_wanted && send->open_units > 0;
        send->open_units -= send->open_units < units ? send->open_units : units;
    }
    return is_wanted;
}

/* A packet's worth of samples is there. */
static void send_encode(nn_voice_send* send, bool may_send, uint64_t now_us)
{
    uint32_t units = send->units;
    size_t samples = (size_t)units * SEND_UNIT * send->config.channels;
    float db = send_loudness_db(send->pcm, samples);
    uint16_t time = (uint16_t)(send->time & (NN_VOICE_TIMES - 1));
    bool was_open = send->is_open;
    send->level = nn_voice_level(db);
    send->is_open = send_gate(send, db, units, may_send);
    send->time += units;
    if (was_open && !send->is_open) send_queue(send, send_slot(send), 0, time, 0, now_us);
    if (!send->is_open) return;
    nn_voice_waiting* slot = send_slot(send);
    size_t bytes = send->config.codec->encode(send->encoder, send->pcm, units, slot->data, sizeof slot->data);
    if (bytes == 0) return;
    send_queue(send, slot, bytes, time, send->level, now_us);
}

static void send_gather(nn_voice_send* send, const float* pcm, size_t frames, bool may_send, uint64_t now_us)
{
    uint32_t channels = send->config.channels;
    while (frames) {
        if (send->pcm_frames == 0) send->units = send->settings.units;
        size_t wanted = (size_t)send->units * SEND_UNIT;
        size_t take = nn_min_size(wanted - send->pcm_frames, frames);
        memcpy(send->pcm + send->pcm_frames * channels, pcm, take * channels * sizeof *pcm);
        send->pcm_frames += take;
        pcm += take * channels;
        frames -= take;
        if (send->pcm_frames < wanted) return;
        send_encode(send, may_send, now_us);
        send->pcm_frames = 0;
    }
}

/* Input that stopped for a while does not stop the clock of the stream. */
static void send_keep_time(nn_voice_send* send, size_t frames, uint64_t now_us)
{
    uint64_t given_us = (uint64_t)frames * 1000000u / send->config.input_hz;
    uint64_t passed_us = send->has_clock ? now_us - send->pushed_us : 0;
    if (passed_us > given_us + SEND_JUMP_US) {
        send->time += (passed_us - given_us) / NN_VOICE_UNIT_US;
        send->pcm_frames = 0;
    }
    send->has_clock = true;
    send->pushed_us = now_us;
}

NN_PRIVATE void nn_voice_send_push(nn_voice_send* send, const float* pcm, size_t frames, bool may_send, uint64_t now_us)
{
    uint32_t channels = send->config.channels;
    send_keep_time(send, frames, now_us);
    if (!send->resampler) {
        send_gather(send, pcm, frames, may_send, now_us);
        return;
    }
    while (frames) {
        float block[SEND_BLOCK * 2];
        uint32_t taken = (uint32_t)nn_min_size(frames, 65536), made = SEND_BLOCK;
        nn_resampler_run(send->resampler, pcm, &taken, block, &made);
        if (taken == 0 && made == 0) return;
        send_gather(send, block, made, may_send, now_us);
        pcm += (size_t)taken * channels;
        frames -= taken;
    }
}

/* nn_voice_hear - what comes from others: speakers, decoders, the mix, and the events of who speaks. */
#include "nn_voice.h"

#define HEAR_LOOPBACK UINT32_MAX /* number of one's own stream while it is listened to */

NN_PRIVATE void nn_voice_push_event(necpnet_voice* voice, const necpnet_voice_event* event)
{
    if (voice->event_count == NN_VOICE_EVENTS_MAX) {
        voice->event_first = (voice->event_first + 1) % NN_VOICE_EVENTS_MAX;
        voice->event_count--;
    }
    voice->events[(voice->event_first + voice->event_count++) % NN_VOICE_EVENTS_MAX] = *event;
}

static void hear_tell(necpnet_voice* voice, nn_voice_speaker* speaker, necpnet_voice_event_type type, uint32_t key_id)
{
    const nn_voice_name* name = nn_voice_find_name(voice, speaker->number);
    necpnet_voice_event event;
    memset(&event, 0, sizeof event);
    if (type == NECPNET_VOICE_EVENT_SPEAKING) speaker->user = name ? name->user : 0;
    event.type = type;
    event.user = type == NECPNET_VOICE_EVENT_SILENT ? speaker->user : name ? name->user : 0;
    event.stream = name ? name->stream : 0;
    event.kind = (necpnet_voice_kind)speaker->kind;
    event.key_id = key_id;
    nn_voice_push_event(voice, &event);
}

static void hear_note_audible(necpnet_voice* voice, nn_voice_speaker* speaker, uint64_t now_us)
{
    speaker->audible_us = now_us;
    if (speaker->is_speaking) return;
    speaker->is_speaking = true;
    hear_tell(voice, speaker, NECPNET_VOICE_EVENT_SPEAKING, 0);
}

/* Who has not been heard for a while is silent, and later forgotten. */
static void hear_expire(necpnet_voice* voice, nn_voice_speaker* speaker, uint64_t now_us)
{
    if (speaker->is_speaking && now_us >= speaker->audible_us + NN_VOICE_SILENT_US) {
        speaker->is_speaking = false;
        hear_tell(voice, speaker, NECPNET_VOICE_EVENT_SILENT, 0);
    }
    if (!speaker->is_speaking && now_us >= speaker->heard_us + NN_VOICE_IDLE_US)
        nn_voice_forget_speaker(voice, speaker);
}

NN_PRIVATE void nn_voice_forget_speaker(necpnet_voice* voice, nn_voice_speaker* speaker)
{
    if (!speaker->is_used) return;
    const nn_voice_jitter_counts* counts = &speaker->jitter.counts;
    nn_voice_jitter_counts* gone = &voice->gone;
    gone->received += counts->received;
    gone->late += counts->late;
    gone->lost += counts->lost;
    gone->duplicate += counts->duplicate;
    gone->refused += counts->refused;
    gone->decoded += counts->decoded;
    gone->recovered += counts->recovered;
    gone->concealed += counts->concealed;
    gone->comfort += counts->comfort;
    gone->shortened += counts->shortened;
    gone->lengthened += counts->lengthened;
    nn_voice_jitter_reset(&speaker->jitter);
    nn_voice_opener_reset(&speaker->opener);
    speaker->is_used = false;
}

static void hear_begin(necpnet_voice* voice, nn_voice_speaker* speaker, uint32_t number)
{
    nn_voice_jitter_config config;
    config.alloc = &voice->alloc;
    config.blocks = &voice->blocks;
    config.delay_min_us = voice->config.delay_min_ms * 1000;
    config.delay_max_us = voice->config.delay_max_ms * 1000;
    memset(speaker, 0, sizeof *speaker);
    nn_voice_jitter_init(&speaker->jitter, &config);
    speaker->number = number;
    speaker->is_loopback = number == HEAR_LOOPBACK;
    speaker->is_used = true;
}

/* The one of that number, or a place for him: a free one, or that of who was silent longest. NULL: all speak. */
static nn_voice_speaker* hear_speaker(necpnet_voice* voice, uint32_t number, uint64_t now_us)
{
    nn_voice_speaker* oldest = NULL;
    uint32_t free_at = NN_VOICE_SPEAKERS_MAX;
    for (uint32_t i = 0; i < voice->config.speakers_max; i++) {
        nn_voice_speaker* speaker = voice->speakers[i];
        if (speaker && speaker->is_used && speaker->number == number) return speaker;
        if (!speaker || !speaker->is_used) {
            if (free_at == NN_VOICE_SPEAKERS_MAX) free_at = i;
        } else if (!oldest || speaker->heard_us < oldest->heard_us) {
            oldest = speaker;
        }
    }
    nn_voice_speaker* speaker = oldest;
    if (free_at < NN_VOICE_SPEAKERS_MAX) {
        if (!voice->speakers[free_at]) {
            voice->speakers[free_at] = (nn_voice_speaker*)nn_alloc_take(&voice->alloc, sizeof *speaker);
        }
        speaker = voice->speakers[free_at];
    } else if (oldest && (oldest->is_speaking || now_us < oldest->heard_us + NN_VOICE_SILENT_US)) {
        return NULL;
    } else if (oldest) {
        nn_voice_forget_speaker(voice, oldest);
    }
    if (speaker) hear_begin(voice, speaker, number);
    return speaker;
}

/* The codec of a packet that came; NULL: none here. */
static const nn_voice_codec* hear_codec(uint8_t kind)
{
    return kind == NN_VOICE_CODEC_PCM ? nn_voice_codec_pcm() : nn_voice_codec_opus();
}

/* EXTERNAL: hand it on. */
static void hear_external(necpnet_voice* voice, nn_voice_speaker* speaker, const nn_voice_frame* frame, uint64_t now_us)
{
    const nn_voice_name* name = nn_voice_find_name(voice, frame->number);
    necpnet_voice_packet packet;
    memset(&packet, 0, sizeof packet);
    if (!nn_voice_jitter_observe(&speaker->jitter, frame, now_us)) return;
    if (frame->codec == NN_VOICE_CODEC_PCM && frame->bytes) {
        speaker->jitter.counts.refused++;
        return;
    }
    packet.user = name ? name->user : 0;
    packet.number = frame->number;
    packet.kind = (necpnet_voice_kind)frame->kind;
    packet.stream = name ? name->stream : 0;
    packet.sequence = frame->sequence;
    packet.time = frame->time;
    packet.level = frame->level;
    packet.data = frame->bytes ? frame->payload : NULL;
    packet.bytes = frame->bytes;
    if (frame->bytes) hear_note_audible(voice, speaker, now_us);
    if (voice->config.on_packet) voice->config.on_packet(&packet, voice->config.user);
}

/* A packet for a speaker, sealed or not. */
static void hear_packet(necpnet_voice* voice, nn_voice_speaker* speaker, nn_voice_frame* frame, uint64_t now_us)
{
    uint8_t sealed[NECPNET_VOICE_PAYLOAD_BYTES_MAX];
    speaker->heard_us = now_us;
    speaker->kind = frame->kind;
    if (frame->codec == NN_VOICE_CODEC_SEALED) {
        uint32_t key_id = 0;
        bool is_missing = false;
        nn_copy(sealed, frame->payload, frame->bytes);
        if (!nn_voice_open(&voice->keys, &speaker->opener, nn_voice_associated(frame), sealed, frame->bytes,
                           &frame->payload, &frame->bytes, &key_id, &is_missing)) {
            speaker->jitter.counts.refused++;
            if (is_missing && !speaker->key_told) hear_tell(voice, speaker, NECPNET_VOICE_EVENT_KEY_MISSING, key_id);
            speaker->key_told = speaker->key_told || is_missing;
            return;
        }
        frame->codec = voice->codec ? voice->codec->kind : (uint8_t)NN_VOICE_CODEC_OPUS;
    }
    if (!voice->codec) {
        hear_external(voice, speaker, frame, now_us);
        return;
    }
    const nn_voice_codec* codec = frame->bytes ? hear_codec(frame->codec) : voice->codec;
    uint32_t units = frame->bytes ? nn_voice_units(frame->codec, frame->payload, frame->bytes) : 0;
    if (!codec || (frame->bytes && units == 0)) {
        speaker->jitter.counts.refused++;
        return;
    }
    (void)nn_voice_jitter_add(&speaker->jitter, frame->bytes ? codec : speaker->jitter.codec, frame, units, now_us);
}

static bool hear_read_reports(necpnet_voice* voice, nn_reader* reader)
{
    nn_voice_report reports[NN_VOICE_REPORT_ROWS_MAX];
    uint32_t count;
    if (!nn_voice_read_reports(reader, reports, &count)) return false;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t stream = reports[i].number;
        if (stream >= NECPNET_VOICE_STREAMS_MAX || !voice->sends[stream]) continue;
        nn_voice_send_report(voice->sends[stream], reports[i].loss, reports[i].jitter_ms);
    }
    return true;
}

NN_PRIVATE bool nn_voice_read_frame(necpnet_voice* voice, uint8_t type, nn_reader* reader, uint64_t now_us)
{
    nn_voice_frame frame;
    if (now_us > voice->now_us) voice->now_us = now_us;
    if (type == NN_VOICE_FRAME_LAST) return hear_read_reports(voice, reader);
    if (!nn_voice_read(type, reader, &frame)) return false;
    if (voice->is_deafened) return true;
    nn_voice_speaker* speaker = hear_speaker(voice, frame.number, voice->now_us);
    if (!speaker) {
        voice->dropped_speakers++;
        return true;
    }
    uint32_t lost = speaker->jitter.report_lost;
    hear_packet(voice, speaker, &frame, voice->now_us);
    uint64_t wait_us = speaker->jitter.report_lost > lost ? NN_VOICE_REPORT_SOON_US : NN_VOICE_REPORT_US;
    voice->report_at_us = nn_min_u64(voice->report_at_us, voice->now_us + wait_us);
    return true;
}

NN_PRIVATE void nn_voice_hear_self(necpnet_voice* voice, uint64_t now_us)
{
    nn_voice_send* send = voice->sends[0];
    nn_voice_waiting* waiting;
    while ((waiting = nn_voice_send_peek(send, now_us)) != NULL) {
        nn_voice_speaker* speaker = hear_speaker(voice, HEAR_LOOPBACK, now_us);
        nn_voice_frame frame;
        frame.kind = NECPNET_VOICE_CHANNEL;
        frame.codec = voice->codec->kind;
        frame.level = waiting->level;
        frame.sequence = waiting->sequence;
        frame.time = waiting->time;
        frame.number = HEAR_LOOPBACK;
        frame.payload = waiting->data;
        frame.bytes = waiting->bytes;
        if (speaker) hear_packet(voice, speaker, &frame, now_us);
        nn_voice_send_take(send);
    }
}

/* -- the mix -- */

static nn_voice_gain hear_gain(const necpnet_voice* voice, const nn_voice_speaker* speaker, uint64_t user_id)
{
    const nn_voice_user* user = speaker->is_loopback ? NULL : nn_voice_find_user(voice, user_id);
    float volume = user ? user->volume : 1;
    if (user && user->has_position && speaker->kind == NECPNET_VOICE_PROXIMITY) {
        return nn_voice_place(&voice->listener, user->position, volume);
    }
    nn_voice_gain gain = {volume, volume};
    return gain;
}

static void hear_mix(necpnet_voice* voice, float* sum, uint64_t now_us)
{
    float pcm[NN_VOICE_MIX_FRAMES * 2];
    memset(sum, 0, NN_VOICE_MIX_FRAMES * 2 * sizeof *sum);
    for (uint32_t i = 0; i < voice->config.speakers_max; i++) {
        nn_voice_speaker* speaker = voice->speakers[i];
        if (!speaker || !speaker->is_used) continue;
        if (nn_voice_jitter_pull(&speaker->jitter, pcm, now_us)) {
            const nn_voice_name* name = nn_voice_find_name(voice, speaker->number);
            uint64_t user = name ? name->user : 0;
            if (speaker->jitter.is_audible) hear_note_audible(voice, speaker, now_us);
            if (voice->config.on_pcm) {
                voice->config.on_pcm(user, name ? name->stream : 0, pcm, NN_VOICE_MIX_FRAMES, speaker->jitter.channels,
                                     voice->config.user);
            }
            nn_voice_mix_add(sum, pcm, speaker->jitter.channels, &speaker->gain, hear_gain(voice, speaker, user));
        }
        hear_expire(voice, speaker, now_us);
    }
    nn_voice_limit(sum, &voice->limit_gain);
}

/* The next 10 ms, at the rate and in the form that is pulled. */
static void hear_fill(necpnet_voice* voice, uint64_t now_us)
{
    float sum[NN_VOICE_MIX_FRAMES * 2];
    uint32_t channels = voice->config.output_channels;
    hear_mix(voice, sum, now_us);
    if (channels == 1) nn_voice_to_mono(sum);
    voice->mixed_at = 0;
    voice->mixed_count = NN_VOICE_MIX_FRAMES;
    if (!voice->resampler) {
        memcpy(voice->mixed, sum, NN_VOICE_MIX_FRAMES * channels * sizeof *sum);
        return;
    }
    uint32_t taken = NN_VOICE_MIX_FRAMES;
    uint32_t made = (uint32_t)(NN_COUNT(voice->mixed) / channels);
    nn_resampler_run(voice->resampler, sum, &taken, voice->mixed, &made);
    voice->mixed_count = made;
}

necpnet_result necpnet_voice_pull(necpnet_voice* voice, float* pcm, size_t frames, uint64_t now_us)
{
    if (!voice || !pcm || frames == 0 || (voice && frames > voice->config.output_hz)) {
        return NECPNET_ERR_INVALID_ARGUMENT;
    }
    if (!NECPNET_WITH_VOICE || !voice->codec) return NECPNET_ERR_UNSUPPORTED;
    uint32_t channels = voice->config.output_channels;
    size_t done = 0;
    while (done < frames) {
        if (voice->mixed_count == 0) {
            hear_fill(voice, now_us + (uint64_t)done * 1000000u / voice->config.output_hz);
            continue;
        }
        size_t take = nn_min_size(voice->mixed_count, frames - done);
        memcpy(pcm + done * channels, voice->mixed + voice->mixed_at * channels, take * channels * sizeof *pcm);
        voice->mixed_at += (uint32_t)take;
        voice->mixed_count -= (uint32_t)take;
        done += take;
    }
    return NECPNET_OK;
}

bool necpnet_voice_poll(necpnet_voice* voice, necpnet_voice_event* out_event)
{
    if (!voice || !out_event) return false;
    if (!voice->codec) { /* nobody pulls */
        for (uint32_t i = 0; i < voice->config.speakers_max; i++) {
            if (voice->speakers[i] && voice->speakers[i]->is_used) {
                hear_expire(voice, voice->speakers[i], voice->now_us);
            }
        }
    }
    if (voice->event_count == 0) return false;
    *out_event = voice->events[voice->event_first];
    voice->event_first = (voice->event_first + 1) % NN_VOICE_EVENTS_MAX;
    voice->event_count--;
    return true;
}

/* nn_dep_opus - the one part that names libopus: nn_voice_codec by it, or nothing. */
#include "nn_voice_codec.h"

#if NECPNET_WITH_OPUS

#include <opus/opus.h>

#define OPUS_HZ 48000

static size_t opus_adapter_encoder_bytes(unsigned channels)
{
    return (size_t)opus_encoder_get_size((int)channels);
}

static bool opus_adapter_encoder_begin(void* encoder, unsigned channels, bool is_music)
{
    int application = is_music ? OPUS_APPLICATION_AUDIO : OPUS_APPLICATION_VOIP;
    if (opus_encoder_init((OpusEncoder*)encoder, OPUS_HZ, (int)channels, application) != OPUS_OK) return false;
    (void)opus_encoder_ctl((OpusEncoder*)encoder, OPUS_SET_SIGNAL(is_music ? OPUS_AUTO : OPUS_SIGNAL_VOICE));
    return true;
}

static void opus_adapter_encoder_set(void* encoder, const nn_voice_settings* settings)
{
    OpusEncoder* opus = (OpusEncoder*)encoder;
    (void)opus_encoder_ctl(opus, OPUS_SET_BITRATE((opus_int32)settings->bitrate_bps));
    (void)opus_encoder_ctl(opus, OPUS_SET_COMPLEXITY((opus_int32)settings->complexity));
    (void)opus_encoder_ctl(opus, OPUS_SET_INBAND_FEC(settings->fec_percent ? 1 : 0));
    (void)opus_encoder_ctl(opus, OPUS_SET_PACKET_LOSS_PERC((opus_int32)settings->fec_percent));
    (void)opus_encoder_ctl(opus, OPUS_SET_DTX(settings->dtx ? 1 : 0));
}

static size_t opus_adapter_encode(void* encoder, const float* pcm, uint32_t units, uint8_t* out, size_t out_bytes)
{
    int samples = (int)units * NECPNET_VOICE_UNIT_SAMPLES;
    opus_int32 written = opus_encode_float((OpusEncoder*)encoder, pcm, samples, out, (opus_int32)out_bytes);
    return written > 0 ? (size_t)written : 0;
}

static size_t opus_adapter_decoder_bytes(unsigned channels)
{
    return (size_t)opus_decoder_get_size((int)channels);
}

static bool opus_adapter_decoder_begin(void* decoder, unsigned channels)
{
    return opus_decoder_init((OpusDecoder*)decoder, OPUS_HZ, (int)channels) == OPUS_OK;
}

static bool opus_adapter_decode(void* decoder, const uint8_t* data, size_t bytes, bool fec, float* out, uint32_t units)
{
    int samples = (int)units * NECPNET_VOICE_UNIT_SAMPLES;
    return opus_decode_float((OpusDecoder*)decoder, data, data ? (opus_int32)bytes : 0, out, samples, fec ? 1 : 0) ==
           samples;
}

NN_PRIVATE const nn_voice_codec* nn_voice_codec_opus(void)
{
    static const nn_voice_codec codec = {
        NN_VOICE_CODEC_OPUS,        NECPNET_VOICE_PACKET_UNITS_MAX, opus_adapter_encoder_bytes,
        opus_adapter_encoder_begin, opus_adapter_encoder_set,       opus_adapter_encode,
        opus_adapter_decoder_bytes, opus_adapter_decoder_begin,     opus_adapter_decode};
    return &codec;
}

#else

NN_PRIVATE const nn_voice_codec* nn_voice_codec_opus(void)
{
    return NULL;
}

#endif

/* nn_voice_codec - raw samples as a codec: 10 ms of 16 bits, mono. What is lost fades out. */
#include "nn_voice_codec.h"

typedef struct codec_pcm_decoder {
    unsigned channels;
    float last; /* sample, from where a loss fades */
} codec_pcm_decoder;

static size_t codec_pcm_encoder_bytes(unsigned channels)
{
    (void)channels;
    return 1;
}

static bool codec_pcm_encoder_begin(void* encoder, unsigned channels, bool is_music)
{
    (void)encoder;
    (void)is_music;
    return channels == 1;
}

static void codec_pcm_encoder_set(void* encoder, const nn_voice_settings* settings)
{
    (void)encoder;
    (void)settings;
}

static size_t codec_pcm_encode(void* encoder, const float* pcm, uint32_t units, uint8_t* out, size_t out_bytes)
{
    (void)encoder;
    if (units != 1 || out_bytes < NECPNET_VOICE_UNIT_SAMPLES * 2) return 0;
    for (size_t i = 0; i < NECPNET_VOICE_UNIT_SAMPLES; i++) {
        float x = pcm[i] < -1.0f ? -1.0f : pcm[i] > 1.0f ? 1.0f : pcm[i];
        int value = (int)(x * 32767.0f + (x < 0 ? -0.5f : 0.5f));
        nn_store_u16(out + i * 2, (uint16_t)value);
    }
    return NECPNET_VOICE_UNIT_SAMPLES * 2;
}

static size_t codec_pcm_decoder_bytes(unsigned channels)
{
    (void)channels;
    return sizeof(codec_pcm_decoder);
}

static bool codec_pcm_decoder_begin(void* decoder, unsigned channels)
{
    ((codec_pcm_decoder*)decoder)->channels = channels;
    ((codec_pcm_decoder*)decoder)->last = 0;
    return true;
}

static bool codec_pcm_decode(void* decoder, const uint8_t* data, size_t bytes, bool fec, float* out, uint32_t units)
{
    codec_pcm_decoder* state = (codec_pcm_decoder*)decoder;
    size_t samples = (size_t)units * NECPNET_VOICE_UNIT_SAMPLES;
    bool has_samples = data && !fec;
    if (has_samples && bytes != samples * 2) return false;
    for (size_t i = 0; i < samples; i++) {
        float x = state->last * 0.98f;
        if (has_samples) x = (float)(int16_t)nn_load_u16(data + i * 2) / 32767.0f;
        for (unsigned c = 0; c < state->channels; c++) out[i * state->channels + c] = x;
        state->last = x;
    }
    return true;
}

NN_PRIVATE const nn_voice_codec* nn_voice_codec_pcm(void)
{
    static const nn_voice_codec codec = {NN_VOICE_CODEC_PCM,      1,
                                         codec_pcm_encoder_bytes, codec_pcm_encoder_begin,
                                         codec_pcm_encoder_set,   codec_pcm_encode,
                                         codec_pcm_decoder_bytes, codec_pcm_decoder_begin,
                                         codec_pcm_decode};
    return &codec;
}

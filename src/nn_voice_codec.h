/* nn_voice_codec - what encodes and decodes one stream: Opus (nn_dep_opus.c), raw samples, or what a test puts there.
 *
 * Everything is at 48 kHz. An encoder or a decoder is a block of memory of the caller's, with nothing behind it.
 */
#ifndef NN_VOICE_CODEC_H
#define NN_VOICE_CODEC_H

#include "nn_voice_frame.h"

/* What an encoder obeys from its next packet on. */
typedef struct nn_voice_settings {
    uint32_t bitrate_bps;
    uint32_t units;       /* of a packet: 1, 2, 4 or 6 times 10 ms */
    uint32_t complexity;  /* 0 .. 10 */
    uint32_t fec_percent; /* 0 none; else the loss that it is made for */
    bool dtx;
} nn_voice_settings;

typedef struct nn_voice_codec {
    uint8_t kind;       /* nn_voice_codec_kind */
    uint32_t units_max; /* longest packet that it makes */
    size_t (*encoder_bytes)(unsigned channels);
    bool (*encoder_begin)(void* encoder, unsigned channels, bool is_music);
    void (*encoder_set)(void* encoder, const nn_voice_settings* settings);
    /* One packet of units x 480 samples a channel; its bytes, 0 when it cannot. */
    size_t (*encode)(void* encoder, const float* pcm, uint32_t units, uint8_t* out, size_t out_bytes);
    size_t (*decoder_bytes)(unsigned channels);
    bool (*decoder_begin)(void* decoder, unsigned channels);
    /* units x 480 samples a channel of a packet; false: it does not decode. NULL data: make it up. fec: of the packet
     * before this one. */
    bool (*decode)(void* decoder, const uint8_t* data, size_t bytes, bool fec, float* out, uint32_t units);
} nn_voice_codec;

/* nn_voice_codec_opus - NULL where it is not built. */
NN_PRIVATE const nn_voice_codec* nn_voice_codec_opus(void);
NN_PRIVATE const nn_voice_codec* nn_voice_codec_pcm(void);

#endif

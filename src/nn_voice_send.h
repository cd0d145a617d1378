/* nn_voice_send - one stream on its way out: samples in, packets out. Activity or a key opens the gate, reports of those
 * who hear it choose bitrate, FEC, frame length and complexity.
 */
#ifndef NN_VOICE_SEND_H
#define NN_VOICE_SEND_H

#include "nn_alloc.h"
#include "nn_resample.h"
#include "nn_voice_codec.h"

#define NN_VOICE_WAITING_MAX 16u        /* packets encoded and not yet sent */
#define NN_VOICE_WAITING_US 200000u     /* older ones are of no use */
#define NN_VOICE_ENCODED_BYTES_MAX 990u /* of a packet, so that it can still be sealed */

typedef struct nn_voice_waiting {
    uint64_t at_us;
    uint16_t bytes;
    uint16_t time;
    uint8_t sequence;
    uint8_t level;
    uint8_t data[NN_VOICE_ENCODED_BYTES_MAX];
} nn_voice_waiting;

typedef struct nn_voice_send_config {
    nn_alloc* alloc;
    const nn_voice_codec* codec; /* NULL: packets come encoded */
    uint32_t input_hz;
    uint32_t channels;
    bool is_music; /* not speech: no gate */
    const necpnet_voice_config* voice;
} nn_voice_send_config;

/* Bitrate and all that depend on what listeners tell. Integers alone. */
typedef struct nn_voice_adapt {
    uint32_t bitrate_bps;
    uint32_t bitrate_max, bitrate_min;
    uint32_t loss_percent; /* smoothed, rising at once */
    uint32_t loss_ppm;     /* of the last report */
    uint32_t jitter_ms;
} nn_voice_adapt;

typedef struct nn_voice_send {
    nn_voice_send_config config;
    void* encoder;
    size_t encoder_bytes;
    nn_resampler* resampler;
    float* pcm;        /* room for the longest packet, channels interleaved */
    size_t pcm_frames; /* gathered */
    nn_voice_settings settings;
    nn_voice_adapt adapt;
    /* the media clock */
    bool has_clock;
    uint64_t time; /* of the next packet's first sample, units of 10 ms */
    uint64_t pushed_us;
    uint32_t units; /* of the packet being gathered */
    uint8_t sequence;
    /* the gate */
    float floor_db;      /* of the room */
    uint32_t open_units; /* still open for so long */
    bool is_open;
    bool is_key_down;
    uint8_t level;
    /* what waits */
    nn_voice_waiting* waiting; /* NN_VOICE_WAITING_MAX, a ring */
    uint32_t first, count;
    uint64_t packets, bytes, dropped;
} nn_voice_send;

/* nn_voice_send_begin - OK | ERR_OUT_OF_MEMORY | ERR_UNSUPPORTED; nothing is held unless OK. */
NN_PRIVATE necpnet_result nn_voice_send_begin(nn_voice_send* send, const nn_voice_send_config* config);
NN_PRIVATE void nn_voice_send_reset(nn_voice_send* send);

/* nn_voice_send_push - samples of the input's rate.
 *
 *   may_send  false: muted, or nobody to talk to; time goes on, the gate closes.
 */
NN_PRIVATE void nn_voice_send_push(nn_voice_send* send, const float* pcm, size_t frames, bool may_send,
                                   uint64_t now_us);

/* nn_voice_send_packet - one that is encoded already. Without bytes: a pause. OK | ERR_WOULD_BLOCK */
NN_PRIVATE necpnet_result nn_voice_send_packet(nn_voice_send* send, const uint8_t* data, size_t bytes, uint16_t time,
                                               uint8_t level, uint64_t now_us);

/* nn_voice_send_peek - the oldest that waits and is not too old; NULL none. nn_voice_send_take - it is sent. */
NN_PRIVATE nn_voice_waiting* nn_voice_send_peek(nn_voice_send* send, uint64_t now_us);
NN_PRIVATE void nn_voice_send_take(nn_voice_send* send);

/* nn_voice_send_report - a listener's, or the worst of many; obeyed by the next packet. */
NN_PRIVATE void nn_voice_send_report(nn_voice_send* send, uint8_t loss, uint8_t jitter_ms);

/* nn_voice_level - 0 .. NECPNET_VOICE_LEVEL_MAX, of a mean square in decibels of full scale. */
NN_PRIVATE uint8_t nn_voice_level(float db);

#endif

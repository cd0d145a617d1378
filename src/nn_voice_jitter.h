/* nn_voice_jitter - one speaker's packets made a steady stream of 10 ms pieces: an adaptive jitter buffer with decoder.
 *
 * Delay. Each packet's way (arrival less its time) above the least of the last seconds goes into a forgetting histogram;
 * the target is its 99th percentile, the 10 ms that are taken at once, and a packet more while packets get lost, so that the next one, which carries the
 * lost one (FEC), is here in time. A packet's place in time is least way + its time + target. What is played before or
 * after its place (a target that changed, or clocks that drift apart) is moved there by making speech longer or shorter.
 * Loss. A packet that is missing while a later one is here is taken from that one's FEC, or made up by the decoder. When
 * nothing is here the decoder makes up what comes next without passing over it, for it may only be late.
 * Pauses. Sequence numbers that go on while time leaps tell a pause from a loss. A packet without payload begins one.
 */
#ifndef NN_VOICE_JITTER_H
#define NN_VOICE_JITTER_H

#include "nn_blocks.h"
#include "nn_voice_codec.h"
#include "nn_voice_stretch.h"

#define NN_VOICE_SLOTS 64u          /* times held at once: 640 ms. A power of two */
#define NN_VOICE_BINS 100u          /* of the histogram .. */
#define NN_VOICE_BIN_US 5000u       /* .. each so wide */
#define NN_VOICE_LEAST_US 4000000u  /* the least way is of the last one to two of these */
#define NN_VOICE_STALL_UNITS 8u     /* made up in a row for what may only be late; then silence until it comes */
#define NN_VOICE_COMFORT_UNITS 100u /* of noise after a packet of DTX, without another packet */
#define NN_VOICE_FIFO_FRAMES ((NECPNET_VOICE_PACKET_UNITS_MAX + 2u) * NECPNET_VOICE_UNIT_SAMPLES + NN_VOICE_LAG_MAX)

typedef struct nn_voice_held {
    int64_t time; /* unwrapped; the slot is free unless has */
    uint8_t* data;
    uint32_t capacity;
    uint16_t bytes;
    uint8_t codec;
    uint8_t sequence;
    uint8_t units;
    bool has;
} nn_voice_held;

typedef struct nn_voice_jitter_config {
    nn_alloc* alloc;
    nn_blocks* blocks;
    uint32_t delay_min_us;
    uint32_t delay_max_us;
} nn_voice_jitter_config;

typedef struct nn_voice_jitter_counts {
    uint64_t received, late, lost, duplicate, refused;
    uint64_t decoded, recovered, concealed, comfort; /* units */
    uint64_t shortened, lengthened;                  /* samples */
} nn_voice_jitter_counts;

typedef enum nn_voice_play { NN_VOICE_IDLE = 0, NN_VOICE_PLAYING = 1 } nn_voice_play;

typedef struct nn_voice_jitter {
    nn_voice_jitter_config config;
    nn_voice_jitter_counts counts;
    nn_voice_held held[NN_VOICE_SLOTS];
    uint32_t held_count;
    /* the decoder, made with the first packet */
    const nn_voice_codec* codec;
    void* decoder;
    size_t decoder_bytes;
    uint32_t channels; /* 1 or 2; 0 before the first packet */
    float* fifo;       /* NN_VOICE_FIFO_FRAMES x channels */
    size_t fifo_frames;
    /* time */
    bool has_time;
    int64_t newest; /* time of the newest packet, unwrapped */
    uint64_t newest_at_us;
    bool has_least;
    int64_t least_us, least_before_us; /* of this period and the one before */
    uint64_t least_since_us;
    uint32_t bins[NN_VOICE_BINS]; /* weights; their sum is bins_sum */
    uint32_t bins_sum;
    uint32_t packets; /* since the start, up to the histogram's memory */
    uint32_t target_us;
    uint32_t jitter_us; /* mean above the least way, of late */
    /* loss, as told in reports */
    uint32_t loss_scaled; /* of 65,536, smoothed */
    bool holds_more;      /* for the next packet, which may hold a lost one */
    uint32_t report_lost, report_expected;
    uint8_t last_sequence; /* of the newest packet */
    uint64_t seen;         /* bit n: sequence last_sequence - n came */
    /* playing */
    nn_voice_play play;
    int64_t at;          /* time of the next unit to be decoded */
    uint8_t at_sequence; /* of the last packet played or passed over */
    bool has_at_sequence;
    uint8_t last_units; /* of the last packet */
    bool in_comfort;    /* the last packet was DTX's */
    bool in_pause;      /* the last packet said so */
    uint32_t stalled;   /* units made up for what may come */
    uint32_t comfort_left;
    int64_t error_us; /* played behind its place; smoothed */
    bool is_audible;  /* the last piece held speech */
} nn_voice_jitter;

NN_PRIVATE void nn_voice_jitter_init(nn_voice_jitter* jitter, const nn_voice_jitter_config* config);
NN_PRIVATE void nn_voice_jitter_reset(nn_voice_jitter* jitter);

/* nn_voice_jitter_add - a packet, opened already.
 *
 *   codec   what decodes it; one codec a stream.
 *   units   nn_voice_units of it; 0 with no payload.
 *
 * Returns  OK | ERR_OUT_OF_MEMORY | ERR_BAD_DATA (another codec than before)
 */
NN_PRIVATE necpnet_result nn_voice_jitter_add(nn_voice_jitter* jitter, const nn_voice_codec* codec,
                                              const nn_voice_frame* frame, uint32_t units, uint64_t now_us);

/* nn_voice_jitter_observe - instead of add, where somebody else decodes: for the reports. False: it came before. */
NN_PRIVATE bool nn_voice_jitter_observe(nn_voice_jitter* jitter, const nn_voice_frame* frame, uint64_t now_us);

/* nn_voice_jitter_pull - the next 10 ms.
 *
 *   out  480 x channels samples; written when true.
 *
 * Returns  whether there is sound; false: silence.
 */
NN_PRIVATE bool nn_voice_jitter_pull(nn_voice_jitter* jitter, float* out, uint64_t now_us);

/* nn_voice_jitter_report - what this listener tells of the stream, and begins to count anew. False: nothing came. */
NN_PRIVATE bool nn_voice_jitter_report(nn_voice_jitter* jitter, uint8_t* out_loss, uint8_t* out_jitter_ms);

#endif

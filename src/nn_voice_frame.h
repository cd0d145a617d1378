/* nn_voice_frame - VOICE and VOICE_REPORT frames, and what the first bytes of an Opus packet say. PROTOCOL.md, Voice. */
#ifndef NN_VOICE_FRAME_H
#define NN_VOICE_FRAME_H

#include "nn_bytes.h"

#define NN_VOICE_UNIT_US 10000u
#define NN_VOICE_TIMES 1024u            /* of the field: a time repeats after 10.24 s */
#define NN_VOICE_HEADER_BYTES_MAX 9u    /* type and length included */
#define NN_VOICE_NUMBER_MAX 0x3fffffffu /* a varint of 4 bytes */
#define NN_VOICE_REPORT_ROWS_MAX 32u
#define NN_VOICE_REPORT_BYTES_MAX (2u + NN_VOICE_REPORT_ROWS_MAX * 6u)
#define NN_VOICE_FRAME_FIRST 0x30u
#define NN_VOICE_FRAME_LAST 0x3Cu

typedef enum nn_voice_codec_kind {
    NN_VOICE_CODEC_OPUS = 0,
    NN_VOICE_CODEC_PCM = 1,   /* 480 samples of 16 bits, little-endian */
    NN_VOICE_CODEC_SEALED = 2 /* nn_voice_seal */
} nn_voice_codec_kind;

/* From a client number is group x 4 + stream; from a server it names a stream of somebody. */
typedef struct nn_voice_frame {
    uint8_t kind; /* necpnet_voice_kind */
    uint8_t codec;
    uint8_t level;    /* 0 .. NECPNET_VOICE_LEVEL_MAX */
    uint8_t sequence; /* counts the packets of a stream */
    uint16_t time;    /* of its first sample, units of 10 ms, modulo NN_VOICE_TIMES */
    uint32_t number;
    const uint8_t* payload; /* none: the stream pauses here */
    size_t bytes;           /* 0 .. NECPNET_VOICE_PAYLOAD_BYTES_MAX */
} nn_voice_frame;

NN_INLINE bool nn_voice_is_frame(uint8_t type)
{
    return type >= NN_VOICE_FRAME_FIRST && type <= NN_VOICE_FRAME_LAST;
}

/* nn_voice_header - everything but the payload. Returns its bytes, at most NN_VOICE_HEADER_BYTES_MAX. */
NN_PRIVATE size_t nn_voice_header(const nn_voice_frame* frame, uint8_t* out);
NN_PRIVATE void nn_voice_write(nn_writer* writer, const nn_voice_frame* frame);

/* nn_voice_read - behind the type byte; payload is a view. False: malformed. */
NN_PRIVATE bool nn_voice_read(uint8_t type, nn_reader* reader, nn_voice_frame* out);

/* nn_voice_associated - the two bytes of the header that reach the listener as the speaker wrote them. */
NN_INLINE uint16_t nn_voice_associated(const nn_voice_frame* frame)
{
    return (uint16_t)((unsigned)frame->time | (unsigned)frame->level << 10 | (unsigned)frame->codec << 14);
}

typedef struct nn_voice_report {
    uint32_t number; /* from a client: of a stream that it hears; from a server: of the client's own streams */
    uint8_t loss;    /* in 255ths */
    uint8_t jitter_ms;
} nn_voice_report;

NN_PRIVATE void nn_voice_write_reports(nn_writer* writer, const nn_voice_report* reports, uint32_t count);

/* nn_voice_read_reports - at most NN_VOICE_REPORT_ROWS_MAX; false: malformed. */
NN_PRIVATE bool nn_voice_read_reports(nn_reader* reader, nn_voice_report* out, uint32_t* out_count);

/* Who says and hears VOICE frames behind a connection: a client's voice, or a member of a server's hub. */
typedef struct nn_voice_port {
    void (*open)(void* user,
                 bool speaks); /* a connection is there, and whether the other side has voice; false: gone */
    bool (*ready)(void* user, uint64_t now_us);
    bool (*write)(void* user, nn_writer* writer, uint64_t now_us);              /* whole frames that fit; whether any */
    bool (*read)(void* user, uint8_t type, nn_reader* reader, uint64_t now_us); /* behind the type; false: malformed */
    uint64_t (*deadline_us)(void* user);                                        /* when ready becomes true by itself */
    void* user;
} nn_voice_port;

/* What an Opus packet says of itself (RFC 6716 3). */
typedef struct nn_opus_facts {
    uint32_t samples; /* at 48 kHz, all frames of the packet */
    uint32_t frames;
    bool is_stereo;
    bool has_fec; /* it carries the one before (LBRR, RFC 6716 4.2.4) */
} nn_opus_facts;

/* nn_opus_read - the rules R1 .. R7 of RFC 6716 3.4, but for frames of more than 1,275 bytes, which do not fit. False: no
 * Opus packet. */
NN_PRIVATE bool nn_opus_read(const uint8_t* data, size_t bytes, nn_opus_facts* out);

/* nn_voice_units - how long a payload plays, in units of 10 ms; 0: nothing that fits here. */
NN_PRIVATE uint32_t nn_voice_units(uint8_t codec, const uint8_t* data, size_t bytes);

#endif

/* nn_voice_frame - VOICE and VOICE_REPORT frames, and what the first bytes of an Opus packet say. */
#include "nn_voice_frame.h"

NN_PRIVATE size_t nn_voice_header(const nn_voice_frame* frame, uint8_t* out)
{
    nn_writer writer = nn_writer_of(out, NN_VOICE_HEADER_BYTES_MAX);
    NN_ASSERT(frame->kind <= NECPNET_VOICE_WHISPER && frame->bytes <= NECPNET_VOICE_PAYLOAD_BYTES_MAX);
    NN_ASSERT(frame->number <= NN_VOICE_NUMBER_MAX && frame->time < NN_VOICE_TIMES);
    nn_write_u8(&writer, (uint8_t)(NN_VOICE_FRAME_FIRST | (unsigned)frame->kind << 2 | (unsigned)(frame->bytes >> 8)));
    nn_write_u8(&writer, (uint8_t)frame->bytes);
    nn_write_varint(&writer, frame->number);
    nn_write_u8(&writer, frame->sequence);
    nn_write_u16(&writer, nn_voice_associated(frame));
    return nn_writer_bytes(&writer);
}

NN_PRIVATE void nn_voice_write(nn_writer* writer, const nn_voice_frame* frame)
{
    uint8_t header[NN_VOICE_HEADER_BYTES_MAX];
    size_t bytes = nn_voice_header(frame, header);
    nn_write_bytes(writer, header, bytes);
    nn_write_bytes(writer, frame->payload, frame->bytes);
}

NN_PRIVATE bool nn_voice_read(uint8_t type, nn_reader* reader, nn_voice_frame* out)
{
    size_t bytes = (size_t)(type & 3u) << 8 | nn_read_u8(reader);
    uint64_t number = nn_read_varint(reader);
    out->sequence = nn_read_u8(reader);
    unsigned fields = nn_read_u16(reader);
    out->kind = (uint8_t)(type >> 2 & 3u);
    out->time = (uint16_t)(fields & (NN_VOICE_TIMES - 1));
    out->level = (uint8_t)(fields >> 10 & 15u);
    out->codec = (uint8_t)(fields >> 14);
    out->payload = nn_read_view(reader, bytes);
    out->bytes = bytes;
    if (reader->failed || number > NN_VOICE_NUMBER_MAX) return false;
    out->number = (uint32_t)number;
    return out->kind <= NECPNET_VOICE_WHISPER && out->codec <= NN_VOICE_CODEC_SEALED;
}

NN_PRIVATE void nn_voice_write_reports(nn_writer* writer, const nn_voice_report* reports, uint32_t count)
{
    NN_ASSERT(count >= 1 && count <= NN_VOICE_REPORT_ROWS_MAX);
    nn_write_u8(writer, NN_VOICE_FRAME_LAST);
    nn_write_u8(writer, (uint8_t)count);
    for (uint32_t i = 0; i < count; i++) {
        nn_write_varint(writer, reports[i].number);
        nn_write_u8(writer, reports[i].loss);
        nn_write_u8(writer, reports[i].jitter_ms);
    }
}

NN_PRIVATE bool nn_voice_read_reports(nn_reader* reader, nn_voice_report* out, uint32_t* out_count)
{
    uint32_t count = nn_read_u8(reader);
    if (reader->failed || count == 0 || count > NN_VOICE_REPORT_ROWS_MAX) return false;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t number = nn_read_varint(reader);
        out[i].loss = nn_read_u8(reader);
        out[i].jitter_ms = nn_read_u8(reader);
        if (number > NN_VOICE_NUMBER_MAX) return false;
        out[i].number = (uint32_t)number;
    }
    *out_count = count;
    return !reader->failed;
}

/* -- Opus -- */

/* Samples of a frame by the five bits of its configuration: RFC 6716 3.1, table 2. */
static uint32_t opus_frame_samples(unsigned config)
{
    static const uint16_t silk[] = {480, 960, 1920, 2880};
    static const uint16_t celt[] = {120, 240, 480, 960};
    if (config < 12) return silk[config & 3];
    if (config < 16) return config & 1 ? 960 : 480;
    return celt[config & 3];
}

/* A frame's length in one or two bytes (RFC 6716 3.2.1). False: the packet ends before. */
static bool opus_read_length(nn_reader* reader, size_t* out)
{
    size_t length = nn_read_u8(reader);
    if (length >= 252) length += (size_t)nn_read_u8(reader) * 4;
    *out = length;
    return !reader->failed;
}

/* Code 3: a count of frames, padding, lengths. */
static bool opus_read_many(nn_reader* reader, uint32_t* out_frames, size_t* out_first)
{
    unsigned count_byte = nn_read_u8(reader);
    uint32_t frames = count_byte & 63u;
    size_t padding = 0, length = 0, sum = 0;
    if (reader->failed || frames == 0) return false;
    if (count_byte & 64u) {
        unsigned more;
        do {
            more = nn_read_u8(reader);
            padding += more == 255 ? 254 : more;
        } while (more == 255 && !reader->failed);
    }
    *out_first = 0;
    if (count_byte & 128u) {
        for (uint32_t i = 0; i + 1 < frames; i++) {
            if (!opus_read_length(reader, &length)) return false;
            if (i == 0) *out_first = length;
            sum += length;
        }
        if (reader->failed || nn_reader_left(reader) < sum + padding) return false;
        if (frames == 1) *out_first = nn_reader_left(reader) - padding;
    } else {
        if (reader->failed || nn_reader_left(reader) < padding) return false;
        if ((nn_reader_left(reader) - padding) % frames) return false;
        *out_first = (nn_reader_left(reader) - padding) / frames;
    }
    *out_frames = frames;
    return true;
}

/* The flag of the mid channel behind its flags of activity, one for each 20 ms (RFC 6716 4.2.3): the first bits that the
 * range coder took, all at even odds, are plain bits. */
static bool opus_has_fec(unsigned config, const uint8_t* frame, size_t bytes)
{
    if (config >= 16 || bytes == 0) return false;
    uint32_t samples = opus_frame_samples(config);
    unsigned parts = samples <= 960 ? 1 : samples / 960;
    return (frame[0] >> (7 - parts) & 1) != 0;
}

NN_PRIVATE bool nn_opus_read(const uint8_t* data, size_t bytes, nn_opus_facts* out)
{
    nn_reader reader = nn_reader_of(data, bytes);
    unsigned toc = nn_read_u8(&reader);
    unsigned config = toc >> 3;
    size_t first = 0;
    if (reader.failed) return false;
    out->frames = 1;
    switch (toc & 3u) {
    case 0: first = nn_reader_left(&reader); break;
    case 1:
        if (nn_reader_left(&reader) % 2) return false;
        first = nn_reader_left(&reader) / 2;
        out->frames = 2;
        break;
    case 2:
        out->frames = 2;
        if (!opus_read_length(&reader, &first) || first > nn_reader_left(&reader)) return false;
        break;
    default:
        if (!opus_read_many(&reader, &out->frames, &first)) return false;
        break;
    }
    out->samples = out->frames * opus_frame_samples(config);
    out->is_stereo = (toc & 4u) != 0;
    out->has_fec = opus_has_fec(config, reader.at, first);
    return out->samples <= 5760;
}

NN_PRIVATE uint32_t nn_voice_units(uint8_t codec, const uint8_t* data, size_t bytes)
{
    nn_opus_facts facts;
    if (codec == NN_VOICE_CODEC_PCM) return bytes == NECPNET_VOICE_UNIT_SAMPLES * 2 ? 1 : 0;
    if (codec != NN_VOICE_CODEC_OPUS || !nn_opus_read(data, bytes, &facts)) return 0;
    if (facts.samples % NECPNET_VOICE_UNIT_SAMPLES) return 0;
    uint32_t units = facts.samples / NECPNET_VOICE_UNIT_SAMPLES;
    return units <= NECPNET_VOICE_PACKET_UNITS_MAX ? units : 0;
}

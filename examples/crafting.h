/* crafting.h - what a client needs to follow crafting sessions over necpnet.v1 (UDP or WebSocket): reads the packets of messages named
 * "necpnet.craft", and foretells progress between them. Copy it; it needs nothing but a C11 or C++17 compiler.
 *
 *     crafting_track tracks[64];                      zeroed; one for each `follow` that crafting.follow answers
 *     crafting_take(tracks, event.data, event.bytes)  for each such message
 *     crafting_show(&tracks[follow], server_us)       progress to draw, 0 .. 1; server_us of necpnet_client_server_time_us
 *
 * The server tells a course: work done at a moment, speed, whole duration. From that progress is known at every moment without a
 * packet; what is told in between says how far off that was. crafting_show hides small corrections: it never goes back for less
 * than 2 %, and catches up within a fifth of a second. The layout of the packets is in docs/crafting.md.
 */
#ifndef CRAFTING_H
#define CRAFTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CRAFTING_MESSAGE "necpnet.craft"
#define CRAFTING_TRACKS 64
#define CRAFTING_TRACK_MATERIALS 32

enum {
    CRAFTING_TRACK_QUEUED,
    CRAFTING_TRACK_ACTIVE,
    CRAFTING_TRACK_PAUSED,
    CRAFTING_TRACK_COMPLETED,
    CRAFTING_TRACK_CANCELLED,
    CRAFTING_TRACK_FAILED
};

typedef struct crafting_track {
    bool known; /* a whole update has come */
    uint8_t status;
    uint8_t quantity;
    uint16_t speed; /* permille of the usual */
    uint64_t duration_ms;
    uint64_t work_ms;        /* at time_us */
    uint32_t time_us;        /* low bits of the server's clock */
    int64_t off_ms;          /* of what was foretold, as the newest delta says */
    uint32_t newest_us;      /* of the newest update: how old what is shown is */
    uint16_t whole_sequence; /* of the whole update that this builds upon */
    uint16_t newest_sequence;
    bool has_materials;
    uint16_t material_sequence;
    uint8_t material_count;
    uint16_t required[CRAFTING_TRACK_MATERIALS];
    uint16_t available[CRAFTING_TRACK_MATERIALS];
    double shown; /* what crafting_show gave last */
    uint32_t shown_us;
    bool is_shown;
} crafting_track;

typedef struct crafting_reader {
    const uint8_t* from;
    size_t bits;
    size_t at;
    bool failed; /* more was read than there is */
} crafting_reader;

static inline uint64_t crafting_bits(crafting_reader* reader, uint32_t count)
{
    uint64_t value = 0;
    if (count > reader->bits - reader->at) {
        reader->failed = true;
        return 0;
    }
    for (uint32_t i = 0; i < count; i++, reader->at++) {
        value |= (uint64_t)(reader->from[reader->at / 8] >> reader->at % 8 & 1) << i;
    }
    return value;
}

static inline bool crafting_is_newer(uint16_t a, uint16_t b)
{
    return (uint16_t)(a - b) - 1u < 0x7fffu;
}

static inline bool crafting_take_whole(crafting_track* track, crafting_reader* reader, uint16_t sequence)
{
    if (track->known && !crafting_is_newer(sequence, track->whole_sequence)) return false;
    uint64_t status = crafting_bits(reader, 3), quantity = crafting_bits(reader, 7), speed = crafting_bits(reader, 14);
    uint64_t time_us = crafting_bits(reader, 32);
    uint32_t width = (uint32_t)crafting_bits(reader, 6) + 1;
    uint64_t duration_ms = crafting_bits(reader, width), work_ms = crafting_bits(reader, width);
    if (reader->failed || status > CRAFTING_TRACK_FAILED || duration_ms == 0 || work_ms > duration_ms) return false;
    if (width > 40) return false; /* no session is so long; products below stay small */
    track->status = (uint8_t)status;
    track->quantity = (uint8_t)quantity;
    track->speed = (uint16_t)speed;
    track->time_us = track->newest_us = (uint32_t)time_us;
    track->duration_ms = duration_ms;
    track->work_ms = work_ms;
    track->off_ms = 0;
    track->whole_sequence = track->newest_sequence = sequence;
    track->known = true;
    return true;
}

static inline bool crafting_take_delta(crafting_track* track, crafting_reader* reader, uint16_t sequence)
{
    uint64_t base = crafting_bits(reader, 8), passed_us = crafting_bits(reader, 23);
    uint32_t width = (uint32_t)crafting_bits(reader, 5);
    bool behind = width && crafting_bits(reader, 1);
    int64_t amount = (int64_t)crafting_bits(reader, width);
    if (reader->failed || !track->known || base != (track->whole_sequence & 0xffu)) return false;
    if (!crafting_is_newer(sequence, track->newest_sequence)) return false;
    track->off_ms = behind ? -amount : amount;
    track->newest_us = track->time_us + (uint32_t)passed_us;
    track->newest_sequence = sequence;
    return true;
}

static inline bool crafting_take_materials(crafting_track* track, crafting_reader* reader, uint16_t sequence,
                                           bool whole)
{
    uint16_t required[CRAFTING_TRACK_MATERIALS], available[CRAFTING_TRACK_MATERIALS];
    uint32_t count = (uint32_t)crafting_bits(reader, 6), width = (uint32_t)crafting_bits(reader, 5);
    if (count > CRAFTING_TRACK_MATERIALS || width < 1 || width > 16) return false;
    if (!whole && (!track->has_materials || count != track->material_count)) return false;
    if (track->has_materials && !crafting_is_newer(sequence, track->material_sequence)) return false;
    uint64_t changed = whole ? UINT64_MAX : crafting_bits(reader, count);
    for (uint32_t i = 0; i < count; i++) {
        required[i] = whole ? (uint16_t)crafting_bits(reader, width) : track->required[i];
        available[i] = changed >> i & 1 ? (uint16_t)crafting_bits(reader, width) : track->available[i];
    }
    if (reader->failed) return false;
    for (uint32_t i = 0; i < count; i++) {
        track->required[i] = required[i];
        track->available[i] = available[i];
    }
    track->material_count = (uint8_t)count;
    track->material_sequence = sequence;
    track->has_materials = true;
    return true;
}

/* crafting_take - one message of the server.
 *
 *   tracks  CRAFTING_TRACKS of them.
 *
 * Returns  whose track it changed; -1: it is malformed, older than what is known, or builds upon what did not come. */
static inline int crafting_take(crafting_track* tracks, const void* data, size_t bytes)
{
    crafting_reader reader = {(const uint8_t*)data, bytes * 8, 0, false};
    uint32_t kind = (uint32_t)crafting_bits(&reader, 2), follow = (uint32_t)crafting_bits(&reader, 6);
    uint16_t sequence = (uint16_t)crafting_bits(&reader, 16);
    bool taken = false;
    if (reader.failed) return -1;
    switch (kind) {
    case 0: taken = crafting_take_whole(&tracks[follow], &reader, sequence); break;
    case 1: taken = crafting_take_delta(&tracks[follow], &reader, sequence); break;
    default: taken = crafting_take_materials(&tracks[follow], &reader, sequence, kind == 2); break;
    }
    return taken ? (int)follow : -1;
}

/* crafting_predict - progress at a moment of the server's clock, 0 .. 1. */
static inline double crafting_predict(const crafting_track* track, uint64_t server_us)
{
    if (!track->known) return 0;
    int64_t passed_us = (int32_t)((uint32_t)server_us - track->time_us);
    double work_ms = (double)track->work_ms + (double)track->off_ms;
    if (track->status == CRAFTING_TRACK_ACTIVE && passed_us > 0) work_ms += (double)passed_us * track->speed / 1e6;
    double progress = work_ms / (double)track->duration_ms;
    return progress < 0 ? 0 : progress > 1 ? 1 : progress;
}

/* crafting_show - what to draw: as crafting_predict, without jumps that nobody would understand. */
static inline double crafting_show(crafting_track* track, uint64_t server_us)
{
    double wanted = crafting_predict(track, server_us);
    uint32_t passed_us = (uint32_t)server_us - track->shown_us;
    double off = wanted - track->shown;
    if (!track->is_shown || off < -0.02 || off > 0.2 || track->status != CRAFTING_TRACK_ACTIVE) {
        track->shown = wanted;
    } else if (off > 0) { /* a fifth of a second to catch up */
        track->shown += off * (passed_us >= 200000u ? 1.0 : (double)passed_us / 200000.0);
    }
    track->is_shown = track->known;
    track->shown_us = (uint32_t)server_us;
    return track->shown;
}

#endif

/* crafting_packet.h - progress and materials as bits: what clients of necpnet.v1 (UDP or WebSocket) get in messages named
 * CRAFTING_PACKET_NAME. docs/crafting.md has the layout; examples/crafting.h reads it.
 *
 * A whole UdpProgressUpdate says the course; from there on both sides foretell the same. A delta says a later moment of that course,
 * and how far the foretelling was off: nothing, as a rule. It names the whole one that it builds upon; who missed that one waits
 * for the next, which comes every CRAFTING_WHOLE_US.
 */
#ifndef SERVER_CRAFTING_PACKET_H
#define SERVER_CRAFTING_PACKET_H

#include "crafting.h"

#define CRAFTING_PACKET_NAME "necpnet.craft"
#define CRAFTING_PACKET_BYTES_MAX 144
#define CRAFTING_WHOLE_US 5000000u

typedef enum crafting_packet_kind {
    CRAFTING_PROGRESS_WHOLE = 0,
    CRAFTING_PROGRESS_DELTA = 1,
    CRAFTING_MATERIALS_WHOLE = 2,
    CRAFTING_MATERIALS_DELTA = 3
} crafting_packet_kind;

/* UdpPacketHeader. */
typedef struct crafting_packet_header {
    crafting_packet_kind kind;
    uint8_t follow;    /* 0 .. 63: which of the receiver's sessions, as crafting.follow answered */
    uint16_t sequence; /* of this follow's packets: 1, 2, .., 65,535, 0, .. */
} crafting_packet_header;

/* What a receiver builds upon. */
typedef struct crafting_base {
    crafting_course course; /* as it was told */
    uint32_t time_us;       /* low bits of the server's clock then */
    uint16_t sequence;      /* of the whole one */
} crafting_base;

/* crafting_pack_progress - whole: base becomes what is told; else it is what the receiver has.
 *
 *   time_us  the server's clock (necpnet_time_us) at now_us.
 *
 * Returns  bytes written. */
size_t crafting_pack_whole(uint8_t out[CRAFTING_PACKET_BYTES_MAX], const crafting_packet_header* header,
                           const crafting_course* course, uint64_t now_us, uint64_t time_us, crafting_base* base);
size_t crafting_pack_delta(uint8_t out[CRAFTING_PACKET_BYTES_MAX], const crafting_packet_header* header,
                           const crafting_course* course, uint64_t now_us, uint64_t time_us, const crafting_base* base);

/* crafting_pack_materials - changed: a bit for each that is told; MATERIALS_WHOLE tells all. */
size_t crafting_pack_materials(uint8_t out[CRAFTING_PACKET_BYTES_MAX], const crafting_packet_header* header,
                               const crafting_material* materials, uint32_t count, uint32_t changed);

#endif

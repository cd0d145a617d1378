/* crafting_packet - bits, the lowest first, and what they say. */
#include "crafting_packet.h"

#include <string.h>

typedef struct packet_bits {
    uint8_t* to;
    uint32_t at; /* bits written */
} packet_bits;

static void packet_put(packet_bits* bits, uint64_t value, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++, bits->at++) {
        if (value >> i & 1) bits->to[bits->at / 8] |= (uint8_t)(1u << bits->at % 8);
    }
}

static size_t packet_bytes(const packet_bits* bits)
{
    return (bits->at + 7) / 8;
}

static uint32_t packet_width(uint64_t value)
{
    uint32_t width = 0;
    for (; value; value >>= 1) width++;
    return width;
}

/* UdpPacketHeader: kind 2 bits, follow 6, sequence 16. */
static packet_bits packet_begin(uint8_t out[CRAFTING_PACKET_BYTES_MAX], const crafting_packet_header* header)
{
    packet_bits bits = {out, 0};
    memset(out, 0, CRAFTING_PACKET_BYTES_MAX);
    packet_put(&bits, (uint64_t)header->kind, 2);
    packet_put(&bits, header->follow, 6);
    packet_put(&bits, header->sequence, 16);
    return bits;
}

/* status 3, quantity 7, speed 14, server clock in us 32, width - 1 of the duration in ms 6, duration, work in ms in as many. */
size_t crafting_pack_whole(uint8_t out[CRAFTING_PACKET_BYTES_MAX], const crafting_packet_header* header,
                           const crafting_course* course, uint64_t now_us, uint64_t time_us, crafting_base* base)
{
    packet_bits bits = packet_begin(out, header);
    uint64_t duration_ms = course->duration_us / 1000u;
    uint64_t work_ms = crafting_work_at(course, now_us) / 1000u;
    uint32_t width = packet_width(duration_ms);
    if (width == 0) width = 1;
    packet_put(&bits, (uint64_t)course->status, 3);
    packet_put(&bits, course->quantity, 7);
    packet_put(&bits, course->speed, 14);
    packet_put(&bits, time_us & UINT32_MAX, 32);
    packet_put(&bits, width - 1, 6);
    packet_put(&bits, duration_ms, width);
    packet_put(&bits, work_ms, width);
    base->course = *course;
    base->course.work_us = work_ms * 1000u; /* the receiver foretells from what it was told */
    base->course.at_us = now_us;
    base->time_us = (uint32_t)time_us;
    base->sequence = header->sequence;
    return packet_bytes(&bits);
}

/* The whole one's sequence, low 8 bits; us since it 23; how far off in ms: width 5, and where that is not 0 a sign and the amount. */
size_t crafting_pack_delta(uint8_t out[CRAFTING_PACKET_BYTES_MAX], const crafting_packet_header* header,
                           const crafting_course* course, uint64_t now_us, uint64_t time_us, const crafting_base* base)
{
    packet_bits bits = packet_begin(out, header);
    uint32_t passed_us = (uint32_t)time_us - base->time_us;
    int64_t off_ms = (int64_t)(crafting_work_at(course, now_us) / 1000u) -
                     (int64_t)(crafting_work_at(&base->course, base->course.at_us + passed_us) / 1000u);
    if (off_ms >= -1 && off_ms <= 1) off_ms = 0; /* rounding, of both ends */
    uint64_t amount = (uint64_t)(off_ms < 0 ? -off_ms : off_ms);
    if (amount > INT32_MAX) amount = INT32_MAX; /* the next whole one says it */
    uint32_t width = packet_width(amount);
    packet_put(&bits, base->sequence & 0xffu, 8);
    packet_put(&bits, passed_us & 0x7fffffu, 23);
    packet_put(&bits, width, 5);
    if (width) {
        packet_put(&bits, off_ms < 0, 1);
        packet_put(&bits, amount, width);
    }
    return packet_bytes(&bits);
}

/* count 6, width of an amount 5; DELTA: a bit for each; then available of each that is told, and for WHOLE required before it. */
size_t crafting_pack_materials(uint8_t out[CRAFTING_PACKET_BYTES_MAX], const crafting_packet_header* header,
                               const crafting_material* materials, uint32_t count, uint32_t changed)
{
    packet_bits bits = packet_begin(out, header);
    bool whole = header->kind == CRAFTING_MATERIALS_WHOLE;
    uint32_t width = 1;
    for (uint32_t i = 0; i < count; i++) {
        if (!whole && !(changed >> i & 1)) continue;
        uint32_t most = materials[i].available;
        if (whole && materials[i].required > most) most = materials[i].required;
        if (packet_width(most) > width) width = packet_width(most);
    }
    packet_put(&bits, count, 6);
    packet_put(&bits, width, 5);
    if (!whole) packet_put(&bits, changed, count);
    for (uint32_t i = 0; i < count; i++) {
        if (whole) packet_put(&bits, materials[i].required, width);
        if (whole || changed >> i & 1) packet_put(&bits, materials[i].available, width);
    }
    return packet_bytes(&bits);
}

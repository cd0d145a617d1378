/* nn_packet - a UDP packet. */
#include "nn_packet.h"

#include "nn_aead.h"
#include "nn_sequence.h"

#define PACKET_FLAGS_KNOWN (NN_PACKET_FORM | NN_PACKET_LONG | NN_PACKET_PHASE | NN_PACKET_ACK_NOW)

NN_PRIVATE size_t nn_packet_begin(uint8_t* packet, uint32_t connection_id, uint64_t number, uint64_t largest_acked,
                                  uint8_t flags)
{
    NN_ASSERT(number <= NN_PACKET_NUMBER_MAX);
    NN_ASSERT(largest_acked == NN_PACKET_NONE || largest_acked <= number);
    uint64_t ahead = largest_acked == NN_PACKET_NONE ? number + 1 : number - largest_acked;
    bool is_long = ahead > NN_PACKET_SHORT_DISTANCE;
    unsigned first = NN_PACKET_FORM | (flags & (NN_PACKET_PHASE | NN_PACKET_ACK_NOW));
    if (is_long) first |= NN_PACKET_LONG;
    packet[0] = (uint8_t)first;
    nn_store_u32(packet + 1, connection_id);
    if (!is_long) {
        nn_store_u16(packet + 5, (uint16_t)number);
        return NN_PACKET_HEADER_BYTES_MIN;
    }
    nn_store_u32(packet + 5, (uint32_t)number);
    return NN_PACKET_HEADER_BYTES_MAX;
}

NN_PRIVATE size_t nn_packet_seal(nn_aead* aead, uint8_t* packet, size_t header_bytes, size_t frames_bytes,
                                 uint64_t number)
{
    uint8_t* frames = packet + header_bytes;
    nn_aead_seal(aead, number, packet, header_bytes, frames, frames_bytes, frames + frames_bytes);
    return header_bytes + frames_bytes + NN_PACKET_TAG_BYTES;
}

NN_PRIVATE bool nn_packet_peek(const uint8_t* data, size_t bytes, uint32_t* out_connection_id)
{
    if (bytes < NN_PACKET_BYTES_MIN || !(data[0] & NN_PACKET_FORM)) return false;
    *out_connection_id = nn_load_u32(data + 1);
    return true;
}

NN_PRIVATE bool nn_packet_parse(uint8_t* data, size_t bytes, uint64_t largest_received, nn_packet* out,
                                necpnet_drop* why)
{
    if (bytes < NN_PACKET_BYTES_MIN) {
        *why = NECPNET_DROP_TOO_SHORT;
        return false;
    }
    unsigned first = data[0];
    if (!(first & NN_PACKET_FORM) || (first & ~PACKET_FLAGS_KNOWN)) {
        *why = NECPNET_DROP_MALFORMED;
        return false;
    }
    bool is_long = (first & NN_PACKET_LONG) != 0;
    size_t header_bytes = is_long ? NN_PACKET_HEADER_BYTES_MAX : NN_PACKET_HEADER_BYTES_MIN;
    if (bytes < header_bytes + 1 + NN_PACKET_TAG_BYTES) {
        *why = NECPNET_DROP_TOO_SHORT;
        return false;
    }
    uint64_t truncated = is_long ? nn_load_u32(data + 5) : nn_load_u16(data + 5);
    uint64_t expected = largest_received == NN_PACKET_NONE ? 0 : largest_received + 1;
    uint64_t number = nn_sequence_expand(expected, truncated, is_long ? 32 : 16);
    if (number > NN_PACKET_NUMBER_MAX) {
        *why = NECPNET_DROP_MALFORMED;
        return false;
    }
    out->flags = (uint8_t)first;
    out->connection_id = nn_load_u32(data + 1);
    out->number = number;
    out->header_bytes = header_bytes;
    out->frames = data + header_bytes;
    out->frames_bytes = bytes - header_bytes - NN_PACKET_TAG_BYTES;
    return true;
}

NN_PRIVATE bool nn_packet_open(nn_aead* aead, uint8_t* data, size_t bytes, uint64_t largest_received, nn_packet* out,
                               necpnet_drop* why)
{
    if (!nn_packet_parse(data, bytes, largest_received, out, why)) return false;
    if (!nn_aead_open(aead, out->number, data, out->header_bytes, out->frames, out->frames_bytes,
                      out->frames + out->frames_bytes)) {
        *why = NECPNET_DROP_AUTHENTICATION;
        return false;
    }
    return true;
}

/* nn_packet - a UDP packet: 1 flags, 4 connection id, 2 or 4 packet number, sealed frames, 16 tag. */
#ifndef NN_PACKET_H
#define NN_PACKET_H

#include "nn_bytes.h"

typedef struct nn_aead nn_aead; /* nn_aead.h */

#define NN_PACKET_FORM 0x80u    /* first byte: set in packets, clear in handshake and query datagrams */
#define NN_PACKET_LONG 0x01u    /* 4-byte packet number */
#define NN_PACKET_PHASE 0x02u   /* key phase */
#define NN_PACKET_ACK_NOW 0x04u /* please acknowledge at once */

#define NN_PACKET_HEADER_BYTES_MIN 7u
#define NN_PACKET_HEADER_BYTES_MAX 9u
#define NN_PACKET_TAG_BYTES 16u
#define NN_PACKET_OVERHEAD_BYTES_MAX (NN_PACKET_HEADER_BYTES_MAX + NN_PACKET_TAG_BYTES)
#define NN_PACKET_BYTES_MIN (NN_PACKET_HEADER_BYTES_MIN + 1u + NN_PACKET_TAG_BYTES)
#define NN_PACKET_SHORT_DISTANCE 16384u /* farther than this beyond the largest acked: 4-byte numbers */
#define NN_PACKET_NUMBER_MAX ((UINT64_C(1) << 62) - 1)
#define NN_PACKET_NONE UINT64_MAX /* no packet number yet */

typedef struct nn_packet {
    uint8_t flags; /* first byte: NN_PACKET_PHASE, NN_PACKET_ACK_NOW */
    uint32_t connection_id;
    uint64_t number;
    size_t header_bytes;
    uint8_t* frames; /* inside data; plain after nn_packet_open */
    size_t frames_bytes;
} nn_packet;

/* nn_packet_begin - write the header.
 *
 *   packet         at least NN_PACKET_HEADER_BYTES_MAX bytes; frames go behind it, then 16 bytes of tag.
 *   largest_acked  by the peer; NN_PACKET_NONE.
 *   flags          NN_PACKET_PHASE, NN_PACKET_ACK_NOW.
 *
 * Returns  header bytes: 7 or 9.
 */
NN_PRIVATE size_t nn_packet_begin(uint8_t* packet, uint32_t connection_id, uint64_t number, uint64_t largest_acked,
                                  uint8_t flags);

/* nn_packet_seal - encrypt the frames behind the header in place and put the tag behind them.
 *
 * Returns  bytes of the whole packet.
 */
NN_PRIVATE size_t nn_packet_seal(nn_aead* aead, uint8_t* packet, size_t header_bytes, size_t frames_bytes,
                                 uint64_t number);

/* nn_packet_peek - whether a datagram may be a packet, and for which connection. Nothing is proven yet. */
NN_PRIVATE bool nn_packet_peek(const uint8_t* data, size_t bytes, uint32_t* out_connection_id);

/* nn_packet_parse - header alone, before decryption: enough for nn_acks_is_new.
 *
 *   largest_received  authenticated so far on this connection; NN_PACKET_NONE.
 *   why               written on false: TOO_SHORT or MALFORMED.
 */
NN_PRIVATE bool nn_packet_parse(uint8_t* data, size_t bytes, uint64_t largest_received, nn_packet* out,
                                necpnet_drop* why);

/* nn_packet_open - parse, authenticate and decrypt in place. On false data may be spoilt.
 *
 *   why  TOO_SHORT, MALFORMED or AUTHENTICATION.
 */
NN_PRIVATE bool nn_packet_open(nn_aead* aead, uint8_t* data, size_t bytes, uint64_t largest_received, nn_packet* out,
                               necpnet_drop* why);

#endif

/* nn_phases - the keys of one connection's packets, phase after phase (a ratchet; RFC 9001 6 with keys of our own).
 *
 * Both directions are in the same phase, told by one bit in each packet. Whoever finds a phase long enough begins the next
 * with its next packet; the peer follows with the first packet of it that opens. A packet of the other bit that does not
 * open changes nothing: the keys it was tried with stay as they are.
 */
#ifndef NN_PHASES_H
#define NN_PHASES_H

#include "nn_key_schedule.h"
#include "nn_packet.h"

#define NN_PHASE_PACKETS_MAX (UINT32_C(1) << 23) /* sealed under one key: the limit of AES-GCM (RFC 9001 6.6) */
#define NN_PHASE_MS_DEFAULT 600000u

typedef struct nn_phases {
    uint32_t count; /* phases begun after the first; its lowest bit is the one in packets */
    uint32_t packets_max;
    nn_aead* send; /* knows suite and allocator */
    nn_aead* receive;
    nn_aead* receive_old; /* of the phase before, for packets that were overtaken; NULL */
    nn_aead* send_next;   /* made when first wanted, both or neither */
    nn_aead* receive_next;
    uint64_t send_first;    /* packet number that began this phase here */
    uint64_t receive_first; /* least packet number received in this phase; NN_PACKET_NONE: none yet */
    uint64_t old_until_us;  /* when receive_old goes; NN_NEVER until something came in this phase */
    uint64_t began_us;
    uint64_t interval_us;
    uint8_t send_secret[NN_SECRET_BYTES]; /* of the newest keys made: the next ones, if there are */
    uint8_t receive_secret[NN_SECRET_BYTES];
} nn_phases;

/* nn_phases_init - the first phase.
 *
 *   keys         taken and wiped.
 *   interval_us  of a phase; it lasts longer while the peer has not acknowledged a packet of it.
 */
NN_PRIVATE void nn_phases_init(nn_phases* phases, nn_connection_keys* keys, uint64_t interval_us, uint64_t now_us);

/* nn_phases_reset - wipe all keys; also of a zeroed struct. */
NN_PRIVATE void nn_phases_reset(nn_phases* phases);

/* nn_phases_before_send - begin the next phase if it is time: the packet about to be made is its first.
 *
 *   number         of that packet.
 *   largest_acked  by the peer; NN_PACKET_NONE.
 *
 * Returns  the flags that the packet must carry: NN_PACKET_PHASE or 0. Without memory the phase goes on.
 */
NN_PRIVATE uint8_t nn_phases_before_send(nn_phases* phases, uint64_t number, uint64_t largest_acked, uint64_t now_us);

/* nn_phases_open - authenticate and decrypt a parsed packet in place under the key that it must be of, and follow the
 * peer into the next phase if it began one. Tries one key, never two.
 *
 *   keep_us  how long the key before is kept once something came in the present phase.
 *   why      written on false: AUTHENTICATION, or MEMORY (the next keys could not be made; nothing changed).
 */
NN_PRIVATE bool nn_phases_open(nn_phases* phases, uint8_t* data, const nn_packet* packet, uint64_t next_number,
                               uint64_t keep_us, uint64_t now_us, necpnet_drop* why);

#endif

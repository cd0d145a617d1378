/* nn_acks - the receiver's side of acknowledgement: replay window, when to acknowledge, and the ACK frame. */
#ifndef NN_ACKS_H
#define NN_ACKS_H

#include "nn_bytes.h"

#define NN_ACKS_WINDOW 1024u       /* packet numbers back from the largest; older ones are refused */
#define NN_ACKS_RANGES_MAX 32u     /* of one ACK frame */
#define NN_ACKS_ELICITING_FIRST 2u /* so many ack-eliciting packets want an ACK at once .. */
#define NN_ACKS_ELICITING_LATER \
    8u                            /* .. and so many once the connection runs: a fifth less CPU in a flood (bench/udp) */
#define NN_ACKS_LATER_FROM 128u   /* packet number */
#define NN_ACKS_ELICITING_MAX 32u /* .. unless they come so fast that an ACK left within .. */
#define NN_ACKS_INTERVAL_US 1000u /* .. then this long after it, or at so many: the flood's other fifth */
#define NN_ACKS_DELAY_US_DEFAULT 18000u /* two packets of a game that sends 60 a second */
#define NN_ACKS_LATER_US 200000u        /* nobody waits for what is sent once and never again */
#define NN_ACKS_HURRY_US 10000u         /* state (the next baseline) and bulk are told sooner .. */
#define NN_ACKS_BULK_BYTES 512u         /* .. which is packets of so much */
#define NN_ACKS_URGENT 2u /* packets behind one that came out of order are told at once, too: an ACK may get lost .. */
#define NN_ACKS_SPARSE_US 4000u /* .. if they come no faster than this */
#define NN_ACKS_MARK_FRAMES 6u  /* what so many ACK frames told .. */
#define NN_ACKS_MARK_US 200000u /* .. over so long is told no more */
#define NN_ACKS_BYTES_FULL 5u   /* an ACK frame when nothing is missing, type byte included */

typedef struct nn_acks {
    uint64_t seen[NN_ACKS_WINDOW / 64]; /* bit number % 1024 */
    uint64_t largest;                   /* UINT64_MAX none */
    uint64_t largest_at_us;
    uint64_t floor;          /* numbers below need no report: the peer has seen our ACK of them */
    uint64_t deadline_us;    /* an ACK is due; NN_NEVER */
    uint64_t watch_number;   /* our packet whose ACK frame we watch; UINT64_MAX none */
    uint64_t watch_floor;    /* the floor once the peer has that packet */
    uint64_t written_floor;  /* the same of the ACK frame written last; 0: not exact */
    uint64_t reported_at_us; /* when the last ACK frame was written */
    uint64_t mark;           /* everything up to it was in mark_frames ACK frames since mark_at_us; UINT64_MAX none */
    uint64_t mark_at_us;
    uint64_t refused_below; /* what did not arrive below is not new: some of it was refused */
    uint32_t delay_us_max;
    uint8_t eliciting; /* ack-eliciting packets since the last ACK */
    uint8_t urgent;    /* packets to come that are told at once */
    uint8_t mark_frames;
} nn_acks;

NN_PRIVATE void nn_acks_init(nn_acks* acks, uint32_t delay_us_max);

/* nn_acks_is_new - neither seen nor older than the window. Changes nothing. */
NN_PRIVATE bool nn_acks_is_new(const nn_acks* acks, uint64_t number);

/* nn_acks_add - after the packet has authenticated and nn_acks_is_new; once a packet.
 *
 *   ack_eliciting  it holds a frame that wants an ACK (nn_frame_is_ack_eliciting).
 *   at_once        it has NN_PACKET_ACK_NOW; elicits an ACK by itself.
 */
NN_PRIVATE void nn_acks_add(nn_acks* acks, uint64_t number, bool ack_eliciting, bool at_once, uint64_t now_us);

/* nn_acks_add_later - nn_acks_add for a packet of unreliable messages alone: while they come sparsely its ACK may take
 * NN_ACKS_LATER_US, or until there are NN_ACKS_ELICITING_LATER. */
NN_PRIVATE void nn_acks_add_later(nn_acks* acks, uint64_t number, bool at_once, uint64_t now_us);

/* nn_acks_hurry - the ACK that is due shall leave in so long at the latest. */
NN_PRIVATE void nn_acks_hurry(nn_acks* acks, uint64_t at_us);

/* nn_acks_refuse - instead of nn_acks_add for a packet that is not to be acknowledged, though some of it was taken: a copy
 * of it is not new. Nor is what it overtook: a rare loss, for 8 bytes. */
NN_PRIVATE void nn_acks_refuse(nn_acks* acks, uint64_t number);

/* nn_acks_wants - whether anything unreported arrived that wants an ACK: put one into any packet that leaves. */
NN_PRIVATE bool nn_acks_wants(const nn_acks* acks);

/* nn_acks_deadline_us - when an ACK must leave, alone if need be; NN_NEVER. */
NN_PRIVATE uint64_t nn_acks_deadline_us(const nn_acks* acks);

/* nn_acks_write - the ACK frame with as many ranges as fit, newest first; clears the deadline.
 *
 * Returns  false if nothing was received yet or not even 5 bytes fit; the writer is as before then.
 */
NN_PRIVATE bool nn_acks_write(nn_acks* acks, nn_writer* writer, uint64_t now_us);

/* nn_acks_sent - the frame that nn_acks_write wrote last left in packet number. Lets ranges shrink once it is acked. */
NN_PRIVATE void nn_acks_sent(nn_acks* acks, uint64_t number);

/* nn_acks_peer_has - the peer acknowledged our packets low .. high (called by nn_recovery). */
NN_PRIVATE void nn_acks_peer_has(nn_acks* acks, uint64_t low, uint64_t high);

/* nn_acks_peer_done - all ranges of the peer's ACK were told; its largest. A watched packet that it skips is lost. */
NN_PRIVATE void nn_acks_peer_done(nn_acks* acks, uint64_t largest);

/* The delay of an ACK frame in one byte: 4 bits of mantissa, 4 of exponent, 8 us to 4 s. Rounds down. */
NN_PRIVATE uint8_t nn_acks_delay_encode(uint64_t delay_us);
NN_PRIVATE uint64_t nn_acks_delay_decode(uint8_t code);

#endif

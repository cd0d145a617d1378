/* nn_recovery - the sender's side of acknowledgement (RFC 9002): packets in flight, round trip, losses, probes.
 *
 * What a packet carried is kept as nn_contents, copied by value. Each contents given to nn_recovery_sent comes back
 * through `acked` (once) or `lost` (once), or first `lost` and then `acked` when the loss was spurious or a probe timeout
 * had it sent again. The two functions must not call back into the recovery.
 */
#ifndef NN_RECOVERY_H
#define NN_RECOVERY_H

#include "nn_acks.h"
#include "nn_alloc.h"
#include "nn_congestion.h"
#include "nn_contents.h"

#define NN_RECOVERY_FLIGHT_MAX 4096u /* ack-eliciting packets kept at once */
#define NN_RECOVERY_RING_FIRST 2u
#define NN_RECOVERY_PACKET_THRESHOLD 3u /* RFC 9002 6.1.1; raised by spurious losses */
#define NN_RECOVERY_PACKET_THRESHOLD_MAX 512u
#define NN_RECOVERY_GRANULARITY_US 1000u  /* RFC 9002 6.1.2 */
#define NN_RECOVERY_RTT_FIRST_US 100000u  /* before a sample */
#define NN_RECOVERY_PROBE_US_MAX 2000000u /* a probe timeout never backs off beyond */
#define NN_RECOVERY_PERSISTENT_PROBES 3u
#define NN_RECOVERY_ACK_REQUEST_PACKETS 64u /* at least so often a packet asks for an ACK */
#define NN_RECOVERY_HURRY_PACKETS 8u        /* after a loss so many want their ACK soon */
#define NN_RECOVERY_REST_US 3000000u        /* beyond the longest probe timeout: no late ACK is awaited */
#define NN_RECOVERY_SKIPS 4u                /* skipped packet numbers remembered */

typedef struct nn_recovery_packet nn_recovery_packet;

typedef void (*nn_recovery_function)(void* user, const nn_contents* contents);

typedef struct nn_recovery {
    nn_alloc* alloc;
    nn_acks* acks;             /* told which of our packets the peer has */
    nn_congestion* congestion; /* told what is in flight, acked, lost */
    nn_recovery_packet* ring;  /* packets by ascending number from first; NULL until there is one */
    uint64_t next_number;
    uint64_t largest_acked;   /* UINT64_MAX none */
    uint64_t flight_from;     /* nothing before it is in flight */
    uint64_t eliciting_at_us; /* when the last ack-eliciting packet left */
    uint64_t loss_at_us;      /* when the time threshold takes the next one; NN_NEVER */
    uint64_t skips[NN_RECOVERY_SKIPS];
    uint64_t skip_at; /* the number to be skipped next */
    uint64_t random;
    uint64_t packets_acked; /* that elicited an ACK; also those declared lost before */
    uint64_t packets_lost;
    uint64_t packets_spurious; /* declared lost and acknowledged later */
    uint32_t capacity;         /* power of two */
    uint32_t first;            /* place of the oldest kept */
    uint32_t count;            /* kept: in flight, and lost ones for a while */
    uint32_t flight;           /* ack-eliciting packets in flight */
    uint32_t flight_soon;      /* of these: whose ACK is not let wait */
    uint32_t rtt_us;
    uint32_t rtt_min_us;
    uint32_t rtt_latest_us;
    uint32_t rtt_variance_us;
    uint32_t peer_delay_us; /* the peer's largest ACK delay */
    uint32_t asked;         /* packets since one asked for an ACK */
    uint8_t probes;         /* probe timeouts in a row */
    uint8_t time_eighths;   /* time threshold in eighths of a round trip; raised by spurious losses */
    uint16_t packet_threshold;
    uint16_t large_bytes; /* packets beyond this are large; UINT16_MAX: none is */
    uint8_t large_lost; /* large packets lost in a row, none acknowledged since; saturates; the owner may set it to 0 */
    uint8_t hurry;      /* packets left of NN_RECOVERY_HURRY_PACKETS */
    bool large_came;    /* one was acknowledged by the ACK being read */
    bool has_copied;    /* one in flight is_copied, perhaps, and was not doubted */
    bool has_rtt;
} nn_recovery;

/* nn_recovery_init - no memory is taken before the first packet.
 *
 *   acks, congestion  live as long.
 *   seed              from a good source: chooses the packet numbers that are skipped to catch optimistic ACKs.
 */
NN_PRIVATE void nn_recovery_init(nn_recovery* recovery, nn_alloc* alloc, nn_acks* acks, nn_congestion* congestion,
                                 uint64_t seed);

/* nn_recovery_reset - give the memory back; contents in flight are forgotten without a call. */
NN_PRIVATE void nn_recovery_reset(nn_recovery* recovery);

/* nn_recovery_rest - give the memory back if nothing is in flight and nothing that wants an ACK has left for
 * NN_RECOVERY_REST_US. */
NN_PRIVATE void nn_recovery_rest(nn_recovery* recovery, uint64_t now_us);

/* nn_recovery_seed_rtt - a round trip known from the handshake. */
NN_PRIVATE void nn_recovery_seed_rtt(nn_recovery* recovery, uint64_t rtt_us, uint64_t now_us);

/* nn_recovery_reserve - before building a packet: room to track one more.
 *
 * Returns  OK | ERR_OUT_OF_MEMORY | ERR_WOULD_BLOCK (NN_RECOVERY_FLIGHT_MAX in flight: send nothing that elicits ACKs)
 */
NN_PRIVATE necpnet_result nn_recovery_reserve(nn_recovery* recovery);

/* nn_recovery_next_number - the number of the next packet. Changes nothing; now and then one is left out. */
NN_PRIVATE uint64_t nn_recovery_next_number(const nn_recovery* recovery);

/* nn_recovery_wants_ack - whether the next packet should carry NN_PACKET_ACK_NOW. */
NN_PRIVATE bool nn_recovery_wants_ack(const nn_recovery* recovery);

/* nn_recovery_hurries - whether the ACK of the next packet is wanted soon: something was lost lately, nothing answers, or
 * the round trip is not known. */
NN_PRIVATE bool nn_recovery_hurries(const nn_recovery* recovery);

/* nn_recovery_sent - a packet left.
 *
 *   number         from nn_recovery_next_number.
 *   bytes          of the datagram.
 *   ack_eliciting  after nn_recovery_reserve alone.
 *   contents       copied; NULL: none.
 */
NN_PRIVATE void nn_recovery_sent(nn_recovery* recovery, uint64_t number, uint32_t bytes, bool ack_eliciting,
                                 const nn_contents* contents, uint64_t now_us);

/* nn_recovery_sent_later - of the packet just given to nn_recovery_sent: unreliable messages alone, so that its ACK may take
 * NN_ACKS_LATER_US. */
NN_PRIVATE void nn_recovery_sent_later(nn_recovery* recovery);

/* nn_recovery_read_ack - an ACK frame behind its type byte. At most one ACK frame a packet (the caller sees to it).
 *
 * Returns  OK | ERR_PROTOCOL (malformed, or acknowledges a packet that was never sent)
 */
NN_PRIVATE necpnet_result nn_recovery_read_ack(nn_recovery* recovery, nn_reader* reader, uint64_t now_us,
                                               nn_recovery_function acked, nn_recovery_function lost, void* user);

/* nn_recovery_deadline_us - when nn_recovery_on_deadline wants to be called; NN_NEVER. */
NN_PRIVATE uint64_t nn_recovery_deadline_us(const nn_recovery* recovery);

/* nn_recovery_on_deadline - declare what is overdue lost. On a probe timeout the oldest packets' contents are given to
 * `lost` (they stay in flight), so that the probes carry them.
 *
 * Returns  ack-eliciting packets to send now regardless of the budget (a PING if there is nothing else): 0 .. 2.
 */
NN_PRIVATE uint32_t nn_recovery_on_deadline(nn_recovery* recovery, uint64_t now_us, nn_recovery_function lost,
                                            void* user);

/* nn_recovery_doubt - of the packets whose messages the next one repeats (nn_contents.is_copied): those of which no ACK has
 * come so long after that one was due, nor of any later packet. Had one of the two arrived there would be one, unless it got
 * lost: the messages are sent again before the loss is certain, once. Nothing else changes: the packets stay in flight, and
 * come back through `acked` and `lost` as ever. nn_recovery_doubt_at_us - when the next is due; NN_NEVER. */
NN_PRIVATE void nn_recovery_doubt(nn_recovery* recovery, uint64_t now_us, nn_recovery_function doubted, void* user);
NN_PRIVATE uint64_t nn_recovery_doubt_at_us(const nn_recovery* recovery);

/* nn_recovery_lose_all - give everything in flight to `lost` and forget it (another path or transport goes on). */
NN_PRIVATE void nn_recovery_lose_all(nn_recovery* recovery, nn_recovery_function lost, void* user);

/* nn_recovery_lose_before - the same for what left before a time (NN_NEVER: all); a late ACK is still known. These losses
 * say nothing of the network: they are not counted. */
NN_PRIVATE void nn_recovery_lose_before(nn_recovery* recovery, uint64_t before_us, nn_recovery_function lost,
                                        void* user);

/* nn_recovery_repeat - give everything in flight to `lost` once, and let it stay in flight: as probes do. */
NN_PRIVATE void nn_recovery_repeat(nn_recovery* recovery, nn_recovery_function lost, void* user);

/* nn_recovery_forget_rtt - another path: its round trip is unknown. */
NN_PRIVATE void nn_recovery_forget_rtt(nn_recovery* recovery);

/* nn_recovery_probe_us - the probe timeout without back-off (RFC 9002 6.2.1). */
NN_PRIVATE uint64_t nn_recovery_probe_us(const nn_recovery* recovery);

/* nn_recovery_memory_bytes - taken from the allocator. */
NN_PRIVATE size_t nn_recovery_memory_bytes(const nn_recovery* recovery);

#endif

/* nn_packet_size - how large a datagram the path takes (RFC 8899, datagram packetization layer path MTU discovery).
 *
 * Begins with what every path takes. Probes of padding alone try larger sizes: those that usual links give, then halves of what
 * is left. A size is used once a probe of it was acknowledged; their losses mean nothing else. When large packets stop coming
 * through (a black hole: the path changed), the first size is used again, and the search begins anew later.
 */
#ifndef NN_PACKET_SIZE_H
#define NN_PACKET_SIZE_H

#include "nn_base.h"

#define NN_PACKET_SIZE_BASE 1200u          /* RFC 9000 14 */
#define NN_PACKET_SIZE_TRIES 3u            /* probes of one size (RFC 8899 5.1.2) */
#define NN_PACKET_SIZE_STEP 16u            /* a search ends this close to a size that failed */
#define NN_PACKET_SIZE_FIRST_US 200000u    /* after a path came into use */
#define NN_PACKET_SIZE_RAISE_US 600000000u /* a finished search is taken up again (RFC 8899 5.1.1) */
#define NN_PACKET_SIZE_RETRY_US 30000000u  /* after a black hole */
#define NN_PACKET_SIZE_LOSSES 6u   /* large packets lost in a row, and none after them came through: a black hole */
#define NN_PACKET_SIZE_TIMEOUTS 2u /* from this probe timeout in a row on, what is sent for it is of the base size */

typedef struct nn_packet_size {
    uint32_t bytes; /* in use */
    uint32_t base;
    uint32_t bytes_max;
    uint32_t failed;  /* the least that did not come through; bytes_max + 1: none */
    uint32_t probe;   /* under way; 0 none */
    uint8_t tries;    /* lost probes of that size */
    bool bisects;     /* a usual size failed */
    uint64_t next_us; /* when a probe may leave; NN_NEVER while one is under way or the largest is in use */
} nn_packet_size;

/* nn_packet_size_init - bytes_max: what both sides allow; 64 or more. */
NN_PRIVATE void nn_packet_size_init(nn_packet_size* size, uint32_t bytes_max, uint64_t now_us);

/* nn_packet_size_begin - another path: from the base again. */
NN_PRIVATE void nn_packet_size_begin(nn_packet_size* size, uint64_t now_us);

/* nn_packet_size_wants - bytes of the probe that should leave now; 0 none. nn_packet_size_sent - it left. */
NN_PRIVATE uint32_t nn_packet_size_wants(const nn_packet_size* size, uint64_t now_us);
NN_PRIVATE void nn_packet_size_sent(nn_packet_size* size, uint32_t bytes);

/* nn_packet_size_acked, nn_packet_size_lost - what became of a probe. */
NN_PRIVATE void nn_packet_size_acked(nn_packet_size* size, uint32_t bytes, uint64_t now_us);
NN_PRIVATE void nn_packet_size_lost(nn_packet_size* size, uint32_t bytes, uint64_t now_us);

/* nn_packet_size_black_hole - large packets no longer come through. */
NN_PRIVATE void nn_packet_size_black_hole(nn_packet_size* size, uint64_t now_us);

#endif

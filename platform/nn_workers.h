/* nn_workers - what the servers of one process share that serve one port on several threads: places, inboxes for
 * datagrams that the system gave to the wrong one, and the ids of spent tokens.
 *
 * A datagram names its worker in the top 8 bits of the connection id. On Linux the kernel is told to look there
 * (SO_ATTACH_REUSEPORT_CBPF); elsewhere, and for whatever it gets wrong, the worker that received it hands it over.
 * All is done under locks that are held for a copy's time: one an inbox, one for the rest.
 */
#ifndef NN_WORKERS_H
#define NN_WORKERS_H

#include "nn_handshake_cache.h"
#include "nn_loop.h"
#include "nn_thread.h"

#if !defined(__EMSCRIPTEN__)

#define NN_WORKERS_MAX 256u
#define NN_WORKERS_INBOX_BYTES 262144u /* datagrams that wait for one worker; more are dropped and counted */
#define NN_WORKERS_SPENT_MAX 131072u   /* as NN_SPENT_TOKENS_MAX, of all workers together */

/* In an inbox; its bytes follow, up to the next multiple of 8. */
typedef struct nn_handed_over {
    necpnet_address from;
    uint32_t bytes;
    int32_t descriptor; /* of a stream that these bytes were read from; NN_NET_NONE: they are a datagram */
} nn_handed_over;

typedef struct nn_inbox {
    nn_mutex mutex;
    necpnet_loop* loop; /* to be woken; NULL: nobody has this place */
    uint8_t* filling;   /* two halves of one block take turns */
    uint8_t* reading;
    uint32_t bytes;   /* in filling */
    uint32_t waiting; /* atomic: something is there */
    uint32_t dropped;
} nn_inbox;

struct necpnet_workers {
    nn_alloc alloc;
    nn_mutex mutex; /* of all but the inboxes */
    uint32_t count_max;
    bool steers;
    uint32_t count; /* places taken */
    int udp_port;   /* of the first that opened one; -1 */
    int tcp_port;
    nn_spent spent;
    uint32_t tokens_spent;
    uint32_t handed_over; /* atomic */
    nn_inbox* inboxes;
};

/* nn_workers_lock, nn_workers_unlock - around joining and opening, so that places and the system's numbers agree. */
NN_PRIVATE void nn_workers_lock(necpnet_workers* workers);
NN_PRIVATE void nn_workers_unlock(necpnet_workers* workers);

/* nn_workers_join - a place for a server with that loop, under the lock. OK | ERR_LIMIT_REACHED | ERR_OUT_OF_MEMORY */
NN_PRIVATE necpnet_result nn_workers_join(necpnet_workers* workers, necpnet_loop* loop, uint32_t* out_place);
NN_PRIVATE void nn_workers_leave(necpnet_workers* workers, uint32_t place);

/* nn_workers_divert - hand a datagram to the worker that its connection id names. False: it is the receiver's own. */
NN_PRIVATE bool nn_workers_divert(necpnet_workers* workers, uint32_t place, const necpnet_address* from,
                                  const uint8_t* data, size_t bytes);

/* nn_workers_hand - hand bytes to a worker: a datagram, or a stream's descriptor and what was read from it. False: it is not
 * there, or its inbox is full; then nothing changed. */
NN_PRIVATE bool nn_workers_hand(necpnet_workers* workers, uint32_t to, const necpnet_address* from, int descriptor,
                                const uint8_t* data, size_t bytes);

/* nn_workers_close_streams - close the descriptors among records that nobody will take. */
NN_PRIVATE void nn_workers_close_streams(const uint8_t* records, uint32_t bytes);

/* nn_workers_take - what others handed over: records one behind the other; a view until the next take. */
NN_PRIVATE uint8_t* nn_workers_take(necpnet_workers* workers, uint32_t place, uint32_t* out_bytes);

NN_INLINE size_t nn_handed_over_bytes(size_t bytes)
{
    return (sizeof(nn_handed_over) + bytes + 7) & ~(size_t)7;
}

#endif

#endif

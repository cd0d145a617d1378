/* nn_link - the inside of the simulated network: hosts, packets on their way, streams as pairs of ends.
 *
 * Everything that travels is a packet with a time and a number; a heap orders them, so that equal seeds and equal calls
 * give equal histories. What is due moves to its host's inbox; the host's receive hands it to the sink. Packets of a
 * direction keep their order but for those that reorder_ppm picks: jitter alone overtakes nothing.
 */
#ifndef NN_LINK_H
#define NN_LINK_H

#include "nn_alloc.h"
#include "nn_hash.h"
#include "nn_random.h"

#define NN_LINK_HOSTS_MAX 65536               /* ever added */
#define NN_LINK_BYTES_MAX (256u << 20)        /* of datagrams on their way; more are lost */
#define NN_LINK_STREAM_BYTES_MAX (512u << 20) /* waiting in one stream: send_stream says ERR_OUT_OF_MEMORY */
#define NN_LINK_SEGMENT_BYTES 1448u           /* of a stream: what one loss delays */
#define NN_LINK_WINDOW_BYTES (256u << 10)     /* on their way or unread in one direction of a stream */
#define NN_LINK_RETRANSMIT_US 200000u     /* and one round trip: the delay of a lost segment (RFC 6298 2.4, Linux) */
#define NN_LINK_RETRANSMITS_MAX 6         /* of one segment; the delay doubles */
#define NN_LINK_CONNECT_RETRY_US 1000000u /* RFC 6298 2.1 */
#define NN_LINK_CONNECT_TRIES_MAX 6
#define NN_LINK_DELAY_US_MAX 60000000u /* latency and jitter */
#define NN_LINK_BANDWIDTH_BPS_MIN 1000u
#define NN_LINK_RESOLVES_MAX 64 /* answers under way to one host */

typedef enum nn_link_kind {
    NN_LINK_DATAGRAM = 0,
    NN_LINK_RESOLVED = 1,
    NN_LINK_CONNECT = 2,  /* a stream asks to be accepted */
    NN_LINK_ACCEPTED = 3, /* and is */
    NN_LINK_SEGMENT = 4,
    NN_LINK_CLOSE = 5,    /* the stream ended; number is the reason */
    NN_LINK_WRITABLE = 6, /* to the sender itself: all has left */
    NN_LINK_PUMP = 7      /* to the sender's side of the link: the bandwidth has room again */
} nn_link_kind;

struct nn_link_host;
struct nn_link_end;

/* On its way, in an inbox, or waiting in a stream. Those that carry no bytes are embedded in their stream's end. */
typedef struct nn_link_packet {
    struct nn_link_packet* next;
    uint64_t due_us;
    uint64_t order;
    uint8_t kind;
    bool embedded;
    bool travels; /* embedded: in use */
    struct nn_link_host* to;
    struct nn_link_end* end; /* of the receiver; NULL for datagrams */
    necpnet_address from;
    uint64_t number; /* RESOLVED: request; CLOSE: reason */
    uint32_t bytes;
    uint8_t* data;
} nn_link_packet;

typedef struct nn_link_queue {
    nn_link_packet* first;
    nn_link_packet* last;
} nn_link_queue;

typedef enum nn_link_state {
    NN_LINK_CONNECTING = 0,
    NN_LINK_OPEN = 1,
    NN_LINK_CLOSING = 2, /* let go; bytes still wait */
    NN_LINK_DEAD = 3
} nn_link_state;

/* One end of a stream; what necpnet_stream* points to. */
typedef struct nn_link_end {
    struct nn_link_pipe* pipe;
    struct nn_link_host* host;
    struct nn_link_end* peer;
    void* context;
    uint8_t state;
    bool paused;
    bool was_pending;  /* tell when all has left */
    uint64_t due_us;   /* of the last packet sent: order is kept */
    nn_link_queue out; /* taken and not sent */
    size_t out_bytes;
    size_t unread_bytes; /* sent to this end and not delivered */
    nn_link_queue held;  /* arrived while paused */
    nn_link_packet connect;
    nn_link_packet close_here;
    nn_link_packet close_there;
    nn_link_packet writable;
    nn_link_packet pump;
    int connect_tries;
} nn_link_end;

typedef struct nn_link_pipe {
    struct nn_link_pipe* next;
    uint32_t packets; /* somewhere on their way */
    uint16_t port;
    necpnet_address to;
    nn_link_end ends[2]; /* 0 asked for the stream */
} nn_link_pipe;

typedef struct nn_link_direction {
    bool blocked;
    uint64_t free_ns; /* when the last bit queued will have left */
    uint64_t due_us;  /* of the last datagram: order is kept */
} nn_link_direction;

typedef struct nn_link_host {
    necpnet_transport transport; /* first */
    necpnet_link* link;
    uint32_t number;
    uint16_t port;
    bool server;
    bool attached;
    bool removed; /* kept until the link goes, so that a late call finds nothing but peace */
    uint32_t resolves;
    necpnet_sink sink;
    necpnet_link_config config;
    nn_link_direction up;   /* from it */
    nn_link_direction down; /* to it */
    nn_link_queue inbox;
} nn_link_host;

struct necpnet_link {
    nn_alloc alloc;
    necpnet_link_config config;
    nn_random random;
    uint64_t now_us;
    uint64_t order;
    nn_link_host** hosts; /* by number */
    uint32_t host_count;
    uint32_t host_capacity;
    nn_link_packet** heap;
    uint32_t heap_count;
    uint32_t heap_capacity;
    uint32_t promised;    /* places in the heap that streams may take without asking */
    uint32_t inbox_count; /* packets in all inboxes */
    size_t datagram_bytes;
    nn_link_pipe* pipes;
    bool garbage; /* a pipe may be free */
    necpnet_link_statistics statistics;
};

/* nn_link_config */
NN_PRIVATE necpnet_result nn_link_check_config(const necpnet_link_config* config);
NN_PRIVATE nn_link_host* nn_link_host_of(necpnet_link* link, const necpnet_transport* transport);

/* nn_link_packet: taking, sending and arriving. */

/* nn_link_packet_new - with a copy of data; NULL without memory. */
NN_PRIVATE nn_link_packet* nn_link_packet_new(necpnet_link* link, nn_link_kind kind, const uint8_t* data, size_t bytes);
NN_PRIVATE void nn_link_packet_release(necpnet_link* link, nn_link_packet* packet);
NN_PRIVATE void nn_link_queue_add(nn_link_queue* queue, nn_link_packet* packet);
NN_PRIVATE nn_link_packet* nn_link_queue_take(nn_link_queue* queue);

/* nn_link_reserve - room for more packets on their way beside those promised, so that nn_link_send cannot fail. */
NN_PRIVATE bool nn_link_reserve(necpnet_link* link, uint32_t more);
NN_PRIVATE void nn_link_send(necpnet_link* link, nn_link_packet* packet, uint64_t due_us);

/* nn_link_arrive - move what is due to the inboxes. */
NN_PRIVATE void nn_link_arrive(necpnet_link* link);

/* nn_link_path - whose settings and which direction hold between two hosts. */
NN_PRIVATE const necpnet_link_config* nn_link_path(nn_link_host* from, nn_link_host* to, nn_link_direction** out);

/* nn_link_backlog - bytes that wait for the bandwidth; nn_link_occupy takes it for so many more and gives the time at
 * which they have left. */
NN_PRIVATE uint64_t nn_link_backlog(const necpnet_link* link, const necpnet_link_config* config,
                                    const nn_link_direction* direction);
NN_PRIVATE uint64_t nn_link_occupy(necpnet_link* link, const necpnet_link_config* config, nn_link_direction* direction,
                                   size_t bytes);
NN_PRIVATE uint64_t nn_link_delay(necpnet_link* link, const necpnet_link_config* config);

/* nn_link - hosts. */
NN_PRIVATE nn_link_host* nn_link_find(necpnet_link* link, const necpnet_address* address);
NN_PRIVATE necpnet_address nn_link_address(const nn_link_host* host);
NN_PRIVATE void nn_link_move(nn_link_host* host); /* to another port; streams stay */

/* nn_link_stream */
NN_PRIVATE necpnet_result nn_link_open_stream(void* user, const necpnet_address* to, const char* url, void* context,
                                              necpnet_stream** out_stream);
NN_PRIVATE necpnet_result nn_link_send_stream(void* user, necpnet_stream* stream, const uint8_t* data, size_t bytes);
NN_PRIVATE size_t nn_link_pending(void* user, necpnet_stream* stream);
NN_PRIVATE void nn_link_pause(void* user, necpnet_stream* stream, bool paused);
NN_PRIVATE void nn_link_close_stream(void* user, necpnet_stream* stream, bool at_once);
NN_PRIVATE void nn_link_deliver_stream(nn_link_host* host, nn_link_packet* packet);

/* nn_link_bounce - a packet came to a host that has nobody: release it, and tell the other side what it must know. */
NN_PRIVATE void nn_link_bounce(necpnet_link* link, nn_link_packet* packet);
NN_PRIVATE void nn_link_pump(necpnet_link* link, nn_link_end* end);
NN_PRIVATE void nn_link_pump_all(necpnet_link* link);
NN_PRIVATE void nn_link_reset_streams(nn_link_host* host); /* its address or its process is gone */
NN_PRIVATE void nn_link_sweep(necpnet_link* link);         /* free streams that ended */
NN_PRIVATE void nn_link_free_streams(necpnet_link* link);

#endif

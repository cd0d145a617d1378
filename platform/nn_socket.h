/* nn_socket - the inside of the socket transport: UDP, listening TCP and streams of one endpoint on a loop.
 *
 * The loop says what is ready; it is remembered, and the sink is called in receive alone. Buffers belong to the loop, so
 * that a thousand clients on one loop share them: one for reading, one for datagrams that wait for flush, one cork that
 * holds what the active stream has produced, and one store for what other streams are sent meanwhile (a fan-out), so
 * that each of them, too, is written to once a turn. A stream has memory of its own only while the system takes no more.
 */
#ifndef NN_SOCKET_H
#define NN_SOCKET_H

#include "nn_log.h"
#include "nn_loop.h"
#include "nn_resolver.h"
#include "nn_workers.h"

#if !defined(__EMSCRIPTEN__)

#define NN_SOCKET_READ_SLOT 65664u        /* room of one datagram; not a power of two: spreads over cache sets */
#define NN_SOCKET_READ_SLOTS 8            /* datagrams of one system call at most; a loop for one client: 1 */
#define NN_SOCKET_DATAGRAMS_BYTES 131072u /* kept until flush; the loop of one client: 65,664 */
#define NN_SOCKET_CORK_BYTES 65536u       /* of the active stream; the loop of one client: 16,384 */
#define NN_SOCKET_CORK_BYTES_SMALL 16384u
#define NN_SOCKET_KEPT_BYTES (1u << 20)      /* for streams that are not the active one; the loop of one client: none */
#define NN_SOCKET_KEPT_PIECE_BYTES_MAX 8192u /* more is written without being kept: it pays for a system call */
#define NN_SOCKET_DATAGRAMS_A_TURN 1024      /* received in one turn, so that streams get theirs */
#define NN_SOCKET_SPIN_US 200u               /* turns that follow each other faster, so many in a row, are of an .. */
#define NN_SOCKET_SPIN_TURNS 16              /* .. application that spins: what one turn leaves, the next one has */
#define NN_SOCKET_FRAME_US 2000u /* turns that follow each other slower, so many in a row, without a wait .. */
#define NN_SOCKET_FRAME_TURNS 8u /* .. between them, are a game's frames */
#define NN_SOCKET_FULL_CALLS 16  /* before more slots are tried again that were not filled last time */
#define NN_SOCKET_REFUSALS_MAX 8 /* addresses that refused a datagram, until the next is sent there */
#define NN_SOCKET_ERRORS_A_TURN 16
#define NN_SOCKET_ACCEPTS_A_TURN 64
#define NN_SOCKET_READ_BYTES_SHARED 65536u /* of one stream in a turn, when many are ready */
#define NN_SOCKET_MANY_READY 4
#define NN_SOCKET_UNSENT_BYTES_MAX 16384u /* TCP_NOTSENT_LOWAT */
#define NN_SOCKET_LINGER_US 5000000u      /* a closing stream may take so long to deliver what it has */
#define NN_SOCKET_QUEUE_BYTES_MAX 0x40000000u

/* Of a loop, shared by its transports. */
typedef struct nn_socket_buffers {
    size_t bytes; /* of this block, which holds the buffers too */
    uint8_t* read;
    uint32_t read_slots;
    bool reading; /* a transport is inside receive: another may not use the read buffer */

    struct nn_socket* datagrams_owner;
    nn_net_datagram datagrams[NN_NET_BATCH_MAX];
    int datagrams_first; /* before it: sent */
    int datagrams_count;
    uint8_t* datagram_bytes;
    size_t datagram_bytes_used;
    size_t datagram_bytes_max;

    struct necpnet_stream* cork_stream;
    uint8_t* cork;
    size_t cork_bytes;
    size_t cork_bytes_max;

    struct necpnet_stream* serving; /* inside its on_data */
    uint8_t* kept;                  /* nn_socket_keep */
    uint32_t kept_bytes_max;
    uint32_t kept_front;  /* bytes before it are in use, and .. */
    uint32_t kept_back;   /* .. from here on */
    uint32_t kept_began;  /* where the newest stream's bytes begin */
    uint32_t kept_stored; /* where the piece stored last begins */
    uint32_t kept_first;  /* of the streams' records: where in kept, plus 1; 0: none */
    uint32_t kept_last;
} nn_socket_buffers;

typedef enum nn_stream_state {
    NN_STREAM_CONNECTING = 0,
    NN_STREAM_OPEN = 1,
    NN_STREAM_FAILED = 2,   /* reason waits to be told */
    NN_STREAM_CLOSING = 3,  /* let go by the endpoint; bytes still wait */
    NN_STREAM_DRAINING = 4, /* all is sent; waiting for the peer's end, so that close does not reset */
    NN_STREAM_DEAD = 5      /* freed when the ready list comes to it */
} nn_stream_state;

/* What the system took no more of; the bytes follow in the same block. */
typedef struct nn_stream_queue {
    uint32_t at;
    uint32_t bytes; /* from there on; never 0 */
    uint32_t capacity;
} nn_stream_queue;

struct necpnet_stream {
    nn_watch watch; /* first */
    struct nn_socket* socket;
    union {
        void* context;     /* until the endpoint lets go */
        uint64_t until_us; /* CLOSING, DRAINING */
    } as;
    struct necpnet_stream* next; /* in socket->streams or socket->closing */
    struct necpnet_stream* previous;
    struct necpnet_stream* next_ready;
    nn_stream_queue* queue; /* NULL: the system took all */
    uint32_t kept;          /* its record in the loop's store, plus 1; 0: none */
    int16_t reason;
    uint8_t state;
    unsigned ready_what : 2; /* NN_READABLE | NN_WRITABLE */
    bool in_ready : 1;
    bool paused : 1;
};

typedef struct nn_stream_list {
    struct necpnet_stream* first;
    struct necpnet_stream* last;
} nn_stream_list;

typedef struct nn_socket_statistics {
    uint64_t datagrams_sent;
    uint64_t datagrams_received;
    uint64_t datagrams_dropped; /* on sending: the system was full or refused */
    uint64_t streams_refused;   /* for want of descriptors */
} nn_socket_statistics;

/* An address that a datagram could not reach: the next send to it says so. */
typedef struct nn_socket_refusal {
    necpnet_address address;
    necpnet_result reason; /* OK: free */
} nn_socket_refusal;

typedef struct nn_socket {
    necpnet_transport transport; /* first */
    nn_alloc alloc;
    necpnet_logger logger;
    necpnet_loop* loop;
    bool own_loop;
    bool attached;
    bool waited;            /* wait has just asked the loop */
    bool has_room_for_many; /* a server's loop buffers */
    uint32_t busy_poll_us;  /* wait asks so long before it sleeps */
    uint64_t received_us;   /* when receive was last called */
    uint32_t spins;         /* calls of receive in a row that came quickly; saturates */
    uint32_t frames;        /* .. that came late and without a wait, as a game's frames do; saturates */
    necpnet_sink sink;

    nn_watch udp;
    necpnet_address udp_address; /* bound to */
    uint32_t udp_buffer_bytes;
    bool udp_ipv6;
    bool udp_ready;
    int read_slots;             /* of the next system call */
    uint32_t full_calls;        /* in a row that filled their slots */
    uint32_t full_calls_wanted; /* before more slots are tried */
    bool joins;                 /* equal datagrams go as one; the system can */
    bool watches_errors;        /* a client's: a server sends to whom it has heard from */
    nn_socket_refusal refusals[NN_SOCKET_REFUSALS_MAX];
    uint32_t refusal_count;
    uint32_t refusal_next;

    nn_watch listening;
    bool listening_ready;
    bool descriptors_said; /* the log was told that there are none */
    int spare_descriptor;  /* given up for a moment to refuse a connection */

    nn_stream_list streams;
    nn_stream_list closing; /* oldest first */
    necpnet_stream* ready_first;
    necpnet_stream* ready_last;
    uint32_t ready_count;

    nn_resolver* resolver;
    necpnet_workers* workers; /* NULL: alone */
    uint32_t worker;          /* its place among them */
    nn_socket_statistics statistics;
} nn_socket;

/* nn_socket_buffers_of - the loop's buffers, made at the first call; NULL without memory. */
NN_PRIVATE nn_socket_buffers* nn_socket_buffers_of(nn_socket* socket);

/* nn_socket_datagram - datagrams. */
NN_PRIVATE void nn_socket_udp_ready(nn_watch* watch, unsigned what);
NN_PRIVATE void nn_socket_receive_datagrams(nn_socket* socket, bool spins);
NN_PRIVATE void nn_socket_receive_handed_over(nn_socket* socket);
NN_PRIVATE necpnet_result nn_socket_send_datagram(void* user, const necpnet_address* to, const uint8_t* data,
                                                  size_t bytes);
NN_PRIVATE void nn_socket_flush_datagrams(nn_socket* socket);

/* nn_socket_kept - what is sent to streams other than the active one, kept in order until flush. */
NN_PRIVATE bool nn_socket_keep(nn_socket_buffers* buffers, necpnet_stream* stream, const uint8_t* data, size_t bytes);
NN_PRIVATE void nn_socket_flush_kept(nn_socket_buffers* buffers);
NN_PRIVATE void nn_socket_flush_kept_of(nn_socket_buffers* buffers, necpnet_stream* stream);
NN_PRIVATE void nn_socket_drop_kept(nn_socket_buffers* buffers, necpnet_stream* stream);
NN_PRIVATE size_t nn_socket_kept_bytes_of(const nn_socket_buffers* buffers, const necpnet_stream* stream);

/* nn_socket_stream - streams. nn_socket_write writes two pieces now and queues what the system does not take; false when
 * the stream failed. */
NN_PRIVATE void nn_socket_listening_ready(nn_watch* watch, unsigned what);
NN_PRIVATE void nn_socket_accept(nn_socket* socket);
NN_PRIVATE void nn_socket_adopt(nn_socket* socket, int descriptor, const necpnet_address* from, uint8_t* data,
                                size_t bytes); /* what another worker accepted, and read from it */
NN_PRIVATE void nn_socket_serve_streams(nn_socket* socket);
NN_PRIVATE void nn_socket_expire_streams(nn_socket* socket, uint64_t now_us);
NN_PRIVATE bool nn_socket_write(necpnet_stream* stream, const uint8_t* first, size_t first_bytes, const uint8_t* second,
                                size_t second_bytes);
NN_PRIVATE void nn_socket_flush_cork(nn_socket_buffers* buffers);
NN_PRIVATE void nn_socket_end_streams(nn_socket* socket); /* at detach */
NN_PRIVATE void nn_socket_free_streams(nn_socket* socket);
NN_PRIVATE necpnet_result nn_socket_open_stream(void* user, const necpnet_address* to, const char* url, void* context,
                                                necpnet_stream** out_stream);
NN_PRIVATE necpnet_result nn_socket_send_stream(void* user, necpnet_stream* stream, const uint8_t* data, size_t bytes);
NN_PRIVATE size_t nn_socket_pending(void* user, necpnet_stream* stream);
NN_PRIVATE void nn_socket_pause(void* user, necpnet_stream* stream, bool paused);
NN_PRIVATE void nn_socket_close_stream(void* user, necpnet_stream* stream, bool at_once);

#endif

#endif

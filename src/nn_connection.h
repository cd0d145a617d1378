/* nn_connection - one live connection: packets over UDP or messages over WebSocket, around the session they carry.
 *
 * The way in:  receive_packet (opens, acknowledges) or receive_message -> frames -> session, view, inputs, clock.
 * The way out: flush asks acks, own frames and the session for frames, seals and sends, as far as the congestion window,
 *              the bandwidth limit and (WebSocket) the unsent bytes allow.
 * The endpoint calls update when deadline_us has come, and flush after anything happened.
 */
#ifndef NN_CONNECTION_H
#define NN_CONNECTION_H

#include "nn_acks.h"
#include "nn_aead.h"
#include "nn_authority.h"
#include "nn_clock_sync.h"
#include "nn_congestion.h"
#include "nn_follower.h"
#include "nn_frame.h"
#include "nn_inputs.h"
#include "nn_packet.h"
#include "nn_packet_size.h"
#include "nn_path.h"
#include "nn_phases.h"
#include "nn_recovery.h"
#include "nn_session.h"
#include "nn_setup.h"
#include "nn_statistics.h"
#include "nn_view.h"
#include "nn_voice_frame.h"
#include "nn_web.h"
#include "nn_writes.h"

#define NN_CONNECTION_UNSENT_BYTES 16384    /* WebSocket: beyond this nothing more is encoded (TCP_NOTSENT_LOWAT) */
#define NN_CONNECTION_UNHEARD_BYTES 65536   /* WebSocket: written and not reported received; beyond it state waits */
#define NN_CONNECTION_UNHEARD_VOICE 24576   /* .. and voice */
#define NN_CONNECTION_WAITED_US_MAX 100000  /* a packet that came earlier counts as having come then */
#define NN_CONNECTION_STALL_US 10000        /* until output that found no room or memory is tried again */
#define NN_CONNECTION_BURST_MESSAGES_MAX 16 /* WebSocket: of one flush; the rest in the next */
#define NN_CONNECTION_INPUT_ACK_US 50000    /* WebSocket: between two INPUT_ACK frames */
#define NN_CONNECTION_WAKE_US 500000 /* that a peer has to answer at least, after a sleep; over WebSocket twice */
#define NN_CONNECTION_CLOSES_MAX 4   /* CLOSE packets sent */
#define NN_CONNECTION_CLOSE_REPEAT_US 50000
#define NN_CONNECTION_CLOSING_US_MAX 2000000 /* that a closed side waits for the answer */
#define NN_CONNECTION_BURST_PACKETS_MAX 256  /* of one flush; the rest in the next */
#define NN_SENT_SUSPEND 37                   /* nn_sent_kind: a SUSPEND frame */
#define NN_CONTROL_TICKET 1                  /* first byte of a CONTROL message: secret 32, ticket */

/* First byte of a CONTROL message. */
#define NN_CONTROL_RENEW 2      /* from a server: milliseconds (4) until the credential expires */
#define NN_CONTROL_CREDENTIAL 3 /* from a client: kind of SETUP's credential (1), token and proof, or text to the end */
#define NN_CONTROL_RENEWED 4    /* from a server: -1 x the result (4) of judging it */
#define NN_CONTROL_SCHEMA 5     /* from a server: hash (8), nn_schema_describe */
#define NN_CONTROL_SCHEMA_TAKEN 6           /* from a client: hash (8) */
#define NN_CONTROL_VARIABLES 10             /* from a server: nn_follower_write_variables */
#define NN_CONNECTION_VARIABLES_BYTES 4096  /* of one such message */
#define NN_CONNECTION_VARIABLES_QUEUE 32768 /* and of what waits on CONTROL; then they wait, too */

typedef enum nn_connection_state {
    NN_CONNECTION_NONE = 0,
    NN_CONNECTION_OPEN = 1,
    NN_CONNECTION_LINGERING = 2, /* sends what is reliable, then CLOSE */
    NN_CONNECTION_CLOSING = 3,   /* CLOSE is sent; repeated for a while (RFC 9000 10.2.1) */
    NN_CONNECTION_CLOSED = 4
} nn_connection_state;

/* Takes a CONTROL message, of which the connection knows nothing but the kind. False: malformed. */
typedef bool (*nn_control_function)(void* user, uint8_t kind, const uint8_t* data, size_t bytes);

/* Who takes STATE frames instead of a view on this thread (a runner). The reader stands behind the type byte. */
typedef struct nn_state_sink {
    necpnet_result (*read)(void* user, nn_reader* reader, uint64_t now_us);
    void (*clock)(void* user, int64_t server_minus_local_us, uint32_t tick_hz);
    void (*reset)(void* user);
    /* OK, or why the writer cannot be followed, and text (NECPNET_REASON_BYTES_MAX + 1) says so. writer NULL: the same
     * schema as ours. The pointer NULL: other versions are refused. */
    necpnet_result (*follow)(void* user, const necpnet_schema* writer, char* text);
    /* a message about variables: OK | ERR_PROTOCOL | ERR_LIMIT_REACHED | ERR_OUT_OF_MEMORY */
    necpnet_result (*variables)(void* user, const uint8_t* data, size_t bytes);
    void (*renew)(void* user,
                  bool ordered); /* the same world over another connection: all is sent anew, nothing leaves for that */
    bool (*control)(void* user, const uint8_t* data, size_t bytes); /* behind NN_CONTROL_STATE; false: malformed */
    nn_written_function written;                                    /* a write has arrived */
    void* user;
} nn_state_sink;

/* A client's background (nn_connection_wake). */
typedef struct nn_connection_sleep {
    uint64_t woke_us;
    uint64_t answer_until_us; /* by then a PING from after woke_us must be answered; NN_NEVER */
} nn_connection_sleep;

/* Shared by all connections of an endpoint; outlives them. */
typedef struct nn_connection_settings {
    nn_alloc* alloc;
    const necpnet_logger* logger;
    const necpnet_transport* transport;
    bool is_server;
    uint32_t udp_ping_ms;
    uint32_t udp_timeout_ms;
    uint32_t websocket_ping_ms;
    uint32_t websocket_timeout_ms;
    uint32_t loading_timeout_ms;
    uint32_t datagram_bytes_max;
    uint32_t key_interval_ms;         /* of a key phase over UDP */
    uint32_t queue_bytes_max;         /* WebSocket: pending bytes that cut the connection */
    nn_input_function deliver_input;  /* server */
    nn_control_function take_control; /* NULL: nobody */
    necpnet_world* world;             /* server: NULL without */
    /* client, which has one connection at a time: */
    const nn_state_sink* state_sink; /* read is NULL without; a server's is empty */
    nn_clock_sync* clock;            /* NULL in a server */
    nn_inputs* inputs;               /* the same */
    nn_writes* writes;               /* with a view; else NULL */
    nn_connection_sleep* sleep;      /* NULL in a server */
    uint8_t* scratch;                /* one packet or message in the making */
    size_t scratch_bytes; /* datagram_bytes_max, a WebSocket message or a handshake datagram, whichever is larger */
} nn_connection_settings;

/* A PATH_RESPONSE and where the challenge came from. */
typedef struct nn_connection_response {
    necpnet_address to;
    uint64_t value;
} nn_connection_response;

/* What a connection over UDP has besides: taken when it begins, given back with the carrier. */
typedef struct nn_connection_udp {
    uint32_t local_id;
    uint32_t remote_id;
    nn_phases phases; /* its keys */
    nn_acks acks;
    nn_recovery recovery;
    nn_congestion congestion;
    nn_loss* loss;                    /* NULL: nothing was ever lost */
    nn_path* path;                    /* an address that the peer seems to have moved to; NULL none */
    nn_connection_response* response; /* to be sent; NULL none */
    const necpnet_address* from;      /* of the packet being read */
    uint64_t arrived_us;              /* when that came; or the last went, if that was later */
    uint64_t path_seed;
    uint32_t path_count;
    uint32_t migrations; /* changes of address so far */
    nn_packet_size size; /* how large its packets are */
    uint32_t probes;     /* packets to send whatever the window says */
    uint64_t packets_duplicate;
} nn_connection_udp;

/* Why a connection ended: nn_close with its text apart, for nearly all have none. */
typedef struct nn_connection_end {
    necpnet_result reason;
    uint32_t code;
    uint32_t retry_ms;
    bool has_retry;
    const char* text; /* NULL none; the reason's own (necpnet_result_text), or taken from the allocator */
} nn_connection_end;

typedef struct nn_connection {
    const nn_connection_settings* settings;
    nn_session* session;
    nn_follower* follower;      /* server: how the world serves this peer; made and ended by the connection */
    const nn_voice_port* voice; /* NULL without */
    necpnet_address address;
    uint8_t state;     /* nn_connection_state */
    uint8_t transport; /* necpnet_transport_kind */
    bool encrypted : 1;
    bool speaks : 1;       /* both sides have voice */
    bool schema_waits : 1; /* server: the client has another version and has not taken ours yet */
    bool has_begun : 1;    /* at some time since init */
    bool loading : 1;      /* this side asked for patience */
    bool suspended : 1;    /* this side is in the background */
    bool peer_loading : 1;
    bool peer_suspended : 1;
    bool suspend_pending : 1; /* a SUSPEND frame is to be sent */
    bool input_pending : 1;   /* an INPUT frame is to be sent */
    bool ping_pending : 1;
    bool pong_pending : 1;
    bool closed_by_peer : 1;
    bool is_final : 1;             /* one side has, or will have, said CLOSE: the session ends with the connection */
    bool close_answer_pending : 1; /* the peer's CLOSE is answered once */
    bool state_came : 1;           /* the packet being read holds state */
    bool is_stalled : 1;           /* there is output, but the last flush could not write it */
    uint8_t input_bytes_max;       /* of one input: inputs are not cut, and the session may move to UDP */
    uint8_t closes_left;           /* CLOSE packets that may still be sent */
    uint8_t ping_early;    /* in 1,024ths of an interval: so that those that began together do not ask together */
    nn_connection_end end; /* kept by nn_connection_detach, for the owner to tell; see nn_connection_get_end */
    /* UDP */
    nn_connection_udp* udp;
    /* WebSocket */
    necpnet_web_connection* web;
    nn_limit* limit; /* NULL: none */
    uint64_t input_ack_at_us;
    uint64_t state_at_bytes; /* carrier bytes written before the last STATE frame */
    uint32_t tick_hz;        /* client: the server's; over any transport */
    uint32_t web_rtt_us;
    uint32_t web_rtt_min_us;
    uint32_t web_rtt_variance_us;
    /* both */
    uint64_t now_us; /* of the call under way */
    uint64_t started_us;
    uint64_t heard_us;
    uint64_t sent_us;
    uint64_t pinged_us;
    uint64_t ping_id;
    nn_ping pong; /* what is to be answered, and */
    uint64_t pong_since_us;
    uint64_t linger_until_us;
    nn_input_receiver input_receiver;
    void* deliver_user; /* of settings' functions */
    nn_rate send_rate;
    nn_rate receive_rate;
    nn_jitter jitter;
    uint64_t packets_sent;
    uint64_t packets_received;
    uint64_t bytes_sent;
    uint64_t bytes_received;
} nn_connection;

/* nn_connection_is_udp - false in a build without UDP, whatever the connection. */
NN_INLINE bool nn_connection_is_udp(const nn_connection* connection)
{
    return NECPNET_WITH_UDP && connection->transport == NECPNET_TRANSPORT_UDP;
}

/* The sources of every session's config, in the order of nn_source_kind; a session's user is its connection. */
NN_PRIVATE const nn_source* nn_connection_sources(void);

/* nn_connection_schema_fits - false: it is too large to be told, and other versions of it are refused. */
NN_PRIVATE bool nn_connection_schema_fits(const necpnet_schema* schema);

/* nn_connection_tell_schema - server: states wait until the client has taken it. OK | ERR_OUT_OF_MEMORY | ERR_WOULD_BLOCK */
NN_PRIVATE necpnet_result nn_connection_tell_schema(nn_connection* connection, const necpnet_schema* schema);

/* nn_connection_take_schema - a CONTROL message, if it is about schemas; else false. *out_result: OK, or why reading ends;
 * the connection is closed with a reason then, but for ERR_PROTOCOL. */
NN_PRIVATE bool nn_connection_take_schema(nn_connection* connection, const uint8_t* data, size_t bytes,
                                          necpnet_result* out_result);

/* nn_connection_tell_variables - server: changes of variables, as far as CONTROL has room. */
NN_PRIVATE void nn_connection_tell_variables(nn_connection* connection);

/* nn_connection_take_variables - a CONTROL message, if it is about variables; as nn_connection_take_schema. */
NN_PRIVATE bool nn_connection_take_variables(nn_connection* connection, const uint8_t* data, size_t bytes,
                                             necpnet_result* out_result);

/* nn_connection_init - no connection yet; nothing is taken. session is borrowed. */
NN_PRIVATE void nn_connection_init(nn_connection* connection, const nn_connection_settings* settings,
                                   nn_session* session);

/* nn_connection_reset - give back what it holds; init before use again. */
NN_PRIVATE void nn_connection_reset(nn_connection* connection);

/* nn_connection_detach - the carrier is over, the session goes on: give back what belonged to the carrier and say nothing.
 * Inputs, clock, close, patience and what the endpoint set stay; begin with open.resumed follows, or reset. */
NN_PRIVATE void nn_connection_detach(nn_connection* connection);

/* nn_connection_may_resume - of a CLOSED one: whether the network took it, so that the session may go on over another. */
NN_PRIVATE bool nn_connection_may_resume(const nn_connection* connection);

/* What both ways of opening need to know. */
typedef struct nn_connection_open {
    const necpnet_address* address;
    bool encrypted;
    bool resumed;         /* after nn_connection_detach: the session had another connection before */
    const nn_setup* peer; /* the other side's SETUP */
    uint32_t bandwidth_limit;
    uint64_t seed;       /* from entropy */
    uint32_t rtt_us;     /* of the handshake; 0 unknown */
    necpnet_peer follow; /* server with a world: whom it serves */
    /* UDP */
    uint32_t local_id;
    uint32_t remote_id;
    nn_connection_keys* keys; /* taken and wiped, also on failure */
    /* WebSocket */
    necpnet_web_connection* web;
} nn_connection_open;

/* nn_connection_begin - after SETUP went both ways. OK | ERR_OUT_OF_MEMORY | ERR_PROTOCOL (the peer's windows) */
NN_PRIVATE necpnet_result nn_connection_begin(nn_connection* connection, const nn_connection_open* open,
                                              uint64_t now_us);

/* nn_connection_receive_packet - a datagram of this connection. NECPNET_DROP_COUNT: taken; else why it was dropped. The
 * peer's address may have changed afterwards (server).
 *
 *   waited_us  how long before now it came. Round trips, acknowledgements, clocks and the age of states count from then: a
 *              game that looks once a frame measures the network, and not its frames. */
NN_PRIVATE necpnet_drop nn_connection_receive_packet(nn_connection* connection, const necpnet_address* from,
                                                     uint8_t* data, size_t bytes, uint32_t waited_us, uint64_t now_us);

/* nn_connection_receive_message - a WebSocket message of this connection. */
NN_PRIVATE void nn_connection_receive_message(nn_connection* connection, const uint8_t* data, size_t bytes,
                                              uint64_t now_us);

/* nn_connection_leave_web - after the end: let go of the WebSocket, which closes in good order if it has not. */
NN_PRIVATE void nn_connection_leave_web(nn_connection* connection);

/* nn_connection_lost - the transport is gone (WebSocket closed). */
NN_PRIVATE void nn_connection_lost(nn_connection* connection, necpnet_result reason, const char* text);

/* nn_connection_close - CLOSE, after what is reliable is out or linger_ms have passed. */
NN_PRIVATE void nn_connection_close(nn_connection* connection, const nn_close* close, uint32_t linger_ms,
                                    uint64_t now_us);

/* nn_connection_update - timers: loss, pings, timeouts, the end of lingering and closing. */
NN_PRIVATE void nn_connection_update(nn_connection* connection, uint64_t now_us);

/* nn_connection_flush - send what there is and may be sent. */
NN_PRIVATE void nn_connection_flush(nn_connection* connection, uint64_t now_us);

/* nn_connection_deadline_us - when update and flush are due. */
NN_PRIVATE uint64_t nn_connection_deadline_us(const nn_connection* connection, uint64_t now_us);

/* nn_connection_moved - this side has another address now: the peer must hear of it, and nothing is known of the way. */
NN_PRIVATE void nn_connection_moved(nn_connection* connection, uint64_t now_us);

/* nn_connection_path, between the files: an authenticated packet's source; PATH frames in and out; timers. */
NN_PRIVATE void nn_connection_note_source(nn_connection* connection, const necpnet_address* from, size_t bytes,
                                          bool is_newest);
NN_PRIVATE void nn_connection_end_paths(nn_connection* connection);
NN_PRIVATE void nn_connection_read_challenge(nn_connection* connection, uint64_t challenge);
NN_PRIVATE void nn_connection_read_response(nn_connection* connection, uint64_t response);
NN_PRIVATE void nn_connection_set_size(nn_connection* connection);
NN_PRIVATE void nn_connection_watch_size(nn_connection* connection);
NN_PRIVATE void nn_connection_flush_path(nn_connection* connection);
NN_PRIVATE void nn_connection_update_path(nn_connection* connection);
NN_PRIVATE uint64_t nn_connection_path_deadline_us(const nn_connection* connection);

/* nn_connection_repeat_flight - send again what is in flight; nn_connection_lose_flight - and forget what left before. */
NN_PRIVATE void nn_connection_repeat_flight(nn_connection* connection);
NN_PRIVATE void nn_connection_lose_flight(nn_connection* connection, uint64_t before_us);

/* nn_connection_ping_at_us - when the next PING is due; NN_NEVER (between the files). */
NN_PRIVATE uint64_t nn_connection_ping_at_us(const nn_connection* connection);

/* nn_connection_has_own - whether frames of its own wait (between the two files). */
NN_INLINE bool nn_connection_has_inputs(const nn_connection* connection)
{
    return connection->settings->inputs && connection->settings->inputs->count > 0;
}
NN_PRIVATE bool nn_connection_has_own(const nn_connection* connection);

/* nn_connection_set_limit - another bandwidth limit; nothing while it has no carrier. OK | ERR_OUT_OF_MEMORY */
NN_PRIVATE necpnet_result nn_connection_set_limit(nn_connection* connection, uint32_t bytes_per_s);

/* nn_connection_budget - bytes that would leave at once. */
NN_PRIVATE size_t nn_connection_budget(const nn_connection* connection, uint64_t now_us);

/* nn_connection_statistics - fill what the connection knows. */
NN_PRIVATE void nn_connection_statistics(const nn_connection* connection, uint64_t now_us, necpnet_statistics* out);

/* nn_connection_push_input - a numbered input of the client. */
NN_PRIVATE necpnet_result nn_connection_push_input(nn_connection* connection, uint32_t tick, const void* data,
                                                   size_t bytes);

/* nn_connection_push_write - the client's newest write of an entity. OK | ERR_NOT_CONNECTED | ERR_OUT_OF_MEMORY */
NN_PRIVATE necpnet_result nn_connection_push_write(nn_connection* connection, uint32_t entity, uint32_t number,
                                                   const void* data, size_t bytes);

/* nn_connection_tell_state - a CONTROL message of the view's. OK | ERR_NOT_CONNECTED | ERR_WOULD_BLOCK | ERR_OUT_OF_MEMORY */
NN_PRIVATE necpnet_result nn_connection_tell_state(nn_connection* connection, const void* data, size_t bytes);

/* nn_connection_tell_follower - what the world has to tell this client by CONTROL. False: no room; later. */
NN_PRIVATE bool nn_connection_tell_follower(nn_connection* connection);

/* nn_connection_take_state_control - a CONTROL message with NN_CONTROL_STATE, behind that byte. False: malformed. */
NN_PRIVATE bool nn_connection_take_state_control(nn_connection* connection, const uint8_t* data, size_t bytes);

/* nn_connection_read_writes - a WRITE frame behind its type byte. */
NN_PRIVATE necpnet_result nn_connection_read_writes(nn_connection* connection, nn_reader* reader);

/* nn_connection_wake - back from the background: tell the peer, and ask it. It must answer soon, and what was silent for longer
 * than one has patience with a sleeper is lost at once. What still comes from before says nothing. */
NN_PRIVATE void nn_connection_wake(nn_connection* connection, uint64_t now_us);

/* nn_connection_set_patience - tell the peer that this side loads or is in the background. */
NN_PRIVATE void nn_connection_set_patience(nn_connection* connection, bool loading, bool suspended);

/* nn_connection_settings_init - an endpoint without world, view and inputs. */
NN_PRIVATE void nn_connection_settings_init(nn_connection_settings* settings, nn_alloc* alloc);

/* nn_connection_set_end, nn_connection_get_end - why it ended. Without memory the text is lost, if it is not the reason's own. */
NN_PRIVATE void nn_connection_set_end(nn_connection* connection, const nn_close* close);
NN_PRIVATE nn_close nn_connection_get_end(const nn_connection* connection);

/* nn_close_of - a CLOSE with reason, application code and text (cut; NULL is empty). */
NN_PRIVATE nn_close nn_close_of(necpnet_result reason, uint32_t code, const char* text);

/* Between the files of the connection. */

/* nn_connection_finish - CLOSED, for this reason. */
NN_PRIVATE void nn_connection_finish(nn_connection* connection, const nn_close* close, bool by_peer);

/* nn_connection_state_has_room, nn_connection_voice_has_room - over WebSocket what stands in buffers between is too old when it
 * arrives: whether more may follow. */
NN_PRIVATE bool nn_connection_state_has_room(const nn_connection* connection);
NN_PRIVATE bool nn_connection_voice_has_room(const nn_connection* connection);

/* UDP: an ACK frame behind its type byte (false: malformed, or untrue); timers of recovery; packets that are in doubt. */
NN_PRIVATE bool nn_connection_read_ack(nn_connection* connection, nn_reader* reader);
NN_PRIVATE void nn_connection_run_recovery(nn_connection* connection);
NN_PRIVATE void nn_connection_run_doubts(nn_connection* connection);

#endif

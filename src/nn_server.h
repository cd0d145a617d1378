/* nn_server - the server endpoint's inside: peers in slots, connections still greeting, groups. */
#ifndef NN_SERVER_H
#define NN_SERVER_H

#include "nn_deadlines.h"
#include "nn_endpoint.h"
#include "nn_handshake_server.h"
#include "nn_hash.h"

#define NN_PEER_INPUTS_MAX 256 /* numbered inputs not yet polled, of one peer; more are dropped and logged */
#define NN_GROUPS_MAX 65535
#define NN_PEER_ADDRESS_BUCKETS 1024             /* a power of two */
#define NN_PEER_CLIENT_BUCKETS 1024              /* a power of two */
#define NN_SPARE_SLOTS 64                        /* for peers that have ended and whose DISCONNECTED was not polled */
#define NN_TICKET_RETRY_US 1000000               /* until a ticket that found no memory is tried again */
#define NN_RENEWAL_US UINT64_C(60000000)         /* so long before it expires a credential is asked for anew */
#define NN_RENEWAL_INTERVAL_US UINT64_C(1000000) /* between two that a peer may have judged */

/* What a WebSocket connection's user data points at. */
typedef enum nn_carrier_kind { NN_CARRIER_GREETING = 1, NN_CARRIER_PEER = 2 } nn_carrier_kind;

/* A WebSocket that has not said SETUP. Oldest first, all with the same patience. */
typedef struct nn_greeting {
    nn_carrier_kind kind;
    necpnet_web_connection* web;
    uint64_t until_us;
    struct nn_greeting* previous;
    struct nn_greeting* next;
} nn_greeting;

/* A new connection over UDP of a session that has, or had, another. It takes over with the first packet under its keys, which
 * proves that the client is where the packet came from; until then nothing but ACCEPT is sent to it. */
typedef struct nn_offer {
    uint32_t local_id;
    uint32_t remote_id;
    nn_connection_keys keys;
    necpnet_address address;
    nn_setup setup; /* without its credential */
    uint32_t ticket_number;
    uint64_t until_us;
} nn_offer;

/* A numbered input waiting to be polled. */
typedef struct nn_peer_input {
    struct nn_peer_input* next;
    uint32_t tick;
    uint32_t bytes;
    uint32_t capacity;
} nn_peer_input; /* the data follows */

/* Of a peer's credential what is beyond the client's name: a peer of an open server has none of it. */
typedef struct nn_peer_proof {
    uint8_t user_data[NECPNET_USER_DATA_BYTES];
    uint8_t token_id[NECPNET_TOKEN_ID_BYTES];
    uint64_t expires_us;       /* of the credential; 0 never */
    uint64_t judged_us;        /* when its last credential was judged in-band; 0 never */
    uint64_t renewal_asked_us; /* the expiry before which it was asked to renew; 0 none */
} nn_peer_proof;

/* A session without connection, in the list of such. */
typedef struct nn_peer_wait {
    struct nn_peer* previous;
    struct nn_peer* next;
    uint64_t give_up_us; /* when the window has passed */
    uint64_t kept_bytes; /* as counted in kept_bytes of the server */
} nn_peer_wait;

typedef struct nn_peer {
    nn_carrier_kind kind;
    nn_deadline deadline;
    necpnet_server* server;
    uint32_t slot;
    uint32_t generation;
    nn_session session;
    nn_connection connection;
    /* who it is: nn_peer_set_identity, nn_peer_get_identity */
    uint64_t client_id;
    nn_peer_proof* proof; /* NULL: zeroes */
    void* user_data;
    uint64_t connected_us;
    bool is_dirty : 1;      /* in the dirty list: something to send */
    bool is_ready : 1;      /* in the ready list: something to poll */
    bool is_heard : 1;      /* by an earlier connection: the client knows its session */
    bool was_encrypted : 1; /* at some time: the session never goes on over a transport that is not */
    bool tell_connected : 1;
    bool tell_suspended : 1;
    bool tell_resumed : 1;
    bool tell_moved : 1;
    bool tell_disconnected : 1;
    bool has_ended : 1;        /* the connection is over; freed once DISCONNECTED was polled */
    uint16_t input_count;      /* waiting to be polled */
    uint32_t group_count;      /* that it is in */
    nn_peer_input* last_input; /* its next is the first; NULL: none */
    struct nn_peer* next_dirty;
    struct nn_peer* next_ready;
    struct nn_peer* next_in_bucket;
    struct nn_peer* previous_in_bucket;
    struct nn_peer* next_client; /* in its bucket by client id */
    /* the session's life */
    nn_peer_wait* wait;  /* NULL: it is not suspended */
    uint32_t lost_count; /* ended: reliable messages that were not acknowledged */
    uint8_t tag[NN_SESSION_TAG_BYTES];
    uint32_t ticket_issued; /* number of the newest ticket; 0 none */
    uint32_t ticket_floor;  /* lesser numbers are spent */
    uint32_t ticket_shown;  /* WebSocket: spent when the client's next message comes; 0 none */
    uint64_t ticket_due_us; /* when the next is issued; NN_NEVER */
    nn_offer* offer;        /* NULL none */
} nn_peer;

typedef struct nn_group {
    uint32_t count;
    uint32_t capacity;
    necpnet_peer* members; /* sorted by value */
    bool is_used;
} nn_group;

struct necpnet_server {
    nn_endpoint endpoint;
    necpnet_server_config config; /* of its pointers world, loop, authorize and theirs are left */
    nn_handshake_server* handshake;
    char path[NECPNET_URL_BYTES_MAX + 1];
    char query_name[64];
    necpnet_web_handlers handlers;
    bool is_tls;
    bool is_draining;
    uint32_t drain_retry_ms;
    uint32_t slot_bits;
    uint32_t worker; /* its place among config.workers */
    nn_peer** peers; /* by slot */
    uint32_t slot_count;
    uint32_t slot_capacity;
    uint32_t* generations; /* by slot */
    uint32_t* carriers;    /* by slot: connections that it had */
    uint32_t* free_slots;
    uint32_t free_count;
    uint32_t peer_count;
    uint32_t ended_count; /* of peer_count: DISCONNECTED waits to be polled */
    uint32_t connected_count;
    uint32_t suspended_count;
    uint64_t kept_bytes;      /* queued for suspended peers */
    nn_peer* first_suspended; /* the longest suspended */
    nn_peer* last_suspended;
    nn_ticket_keys ticket_keys;
    nn_peer* buckets[NN_PEER_ADDRESS_BUCKETS]; /* by address without port */
    nn_peer* clients[NN_PEER_CLIENT_BUCKETS];  /* by client id */
    uint8_t bucket_key[NN_SIPHASH_KEY_BYTES];
    nn_deadlines deadlines;
    nn_peer* first_dirty;
    nn_peer* first_ready;
    nn_peer* last_ready;
    nn_peer* polled; /* whose views the last poll gave */
    char polled_text[NECPNET_REASON_BYTES_MAX + 1];
    nn_peer_input* polled_input;
    nn_greeting* first_greeting;
    nn_greeting* last_greeting;
    uint32_t greeting_count;
    nn_group* groups;
    uint32_t group_capacity;
    uint64_t world_commit; /* of the world, as of the last update */
    uint64_t world_told;   /* the same */
    uint64_t wall_offset_us;
    bool has_wall;
    necpnet_server_statistics totals; /* of peers gone, and drops */
};

/* peers */
NN_PRIVATE nn_peer* nn_server_find(const necpnet_server* server, necpnet_peer peer);
NN_PRIVATE necpnet_peer nn_peer_name(const nn_peer* peer);
NN_PRIVATE nn_peer* nn_server_find_connection(const necpnet_server* server, uint32_t connection_id);

/* nn_server_init_settings - what connections ask of their server; its config is there. */
NN_PRIVATE void nn_server_init_settings(necpnet_server* server);

/* nn_server_admit - a slot and a session for an identity. OK | ERR_SERVER_FULL | ERR_OUT_OF_MEMORY */
NN_PRIVATE necpnet_result nn_server_admit(necpnet_server* server, const necpnet_identity* identity,
                                          const necpnet_address* address, nn_peer** out_peer);

/* nn_peer_set_identity - also its renewal. OK | ERR_OUT_OF_MEMORY (nothing changed) */
NN_PRIVATE necpnet_result nn_peer_set_identity(nn_peer* peer, const necpnet_identity* identity);
NN_PRIVATE nn_peer_proof* nn_peer_take_proof(nn_peer* peer); /* NULL without memory */
NN_PRIVATE necpnet_identity nn_peer_get_identity(const nn_peer* peer);

/* nn_peer_expires_us - when its credential does; 0 never. */
NN_INLINE uint64_t nn_peer_expires_us(const nn_peer* peer)
{
    return peer->proof ? peer->proof->expires_us : 0;
}

/* nn_peer_pop_input - the first of those that wait; NULL: none. */
NN_PRIVATE nn_peer_input* nn_peer_pop_input(nn_peer* peer);

/* nn_server_new_connection_id - for the next connection of a peer: never that of its present one. */
NN_PRIVATE uint32_t nn_server_new_connection_id(necpnet_server* server, const nn_peer* peer);

/* nn_server_move - a peer's connection has another address. */
NN_PRIVATE void nn_server_move(necpnet_server* server, nn_peer* peer, const necpnet_address* address);

/* nn_server_peer_moved - its connection has another address than before. */
NN_PRIVATE void nn_server_peer_moved(necpnet_server* server, nn_peer* peer, const necpnet_address* before);

/* nn_server_count_traffic - add what a connection carried: before it is detached, or for an answer. nn_server_count_peer - and
 * the messages of its session. */
NN_PRIVATE void nn_server_count_traffic(const nn_connection* connection, necpnet_server_statistics* sums);
NN_PRIVATE void nn_server_count_peer(const necpnet_server* server, const nn_peer* peer,
                                     necpnet_server_statistics* sums);

/* nn_server_leave_voice - nothing of this peer is forwarded any more. */
NN_PRIVATE void nn_server_leave_voice(necpnet_server* server, nn_peer* peer);

/* nn_server_release - give a peer back, with everything it holds. */
NN_PRIVATE void nn_server_release(necpnet_server* server, nn_peer* peer);
NN_PRIVATE void nn_server_mark_dirty(necpnet_server* server, nn_peer* peer);
NN_PRIVATE void nn_server_mark_ready(necpnet_server* server, nn_peer* peer);

/* greeting: SETUP over either transport */
NN_PRIVATE necpnet_result nn_server_judge(const necpnet_server* server, const nn_setup* setup, char* text,
                                          size_t text_bytes, necpnet_drop* out_drop);
NN_PRIVATE void nn_server_answer_setup(necpnet_server* server, const nn_peer* peer, nn_setup* out);
NN_PRIVATE necpnet_result nn_server_begin_peer(necpnet_server* server, nn_peer* peer, nn_connection_open* open);
NN_PRIVATE void nn_server_datagram(necpnet_server* server, const necpnet_address* from, uint8_t* data, size_t bytes,
                                   uint32_t waited_us);
NN_PRIVATE void nn_server_session_open(void* user, necpnet_web_connection* connection);
NN_PRIVATE void nn_server_session_message(void* user, necpnet_web_connection* connection, uint8_t* data, size_t bytes);
NN_PRIVATE void nn_server_session_close(void* user, necpnet_web_connection* connection, necpnet_result reason,
                                        const char* text);
NN_PRIVATE void nn_server_session_writable(void* user, necpnet_web_connection* connection);
NN_PRIVATE void nn_server_web_drop(void* user, const necpnet_address* from, necpnet_drop drop);
NN_PRIVATE void nn_server_end_greetings(necpnet_server* server, uint64_t now_us);
NN_PRIVATE uint64_t nn_server_wall_us(const necpnet_server* server);
NN_PRIVATE void nn_server_count_drop(necpnet_server* server, necpnet_drop drop, const necpnet_address* from);

/* the life of a session (nn_server_session) */

/* nn_peer_is_suspended - the connection is lost, the session waits. */
NN_INLINE bool nn_peer_is_suspended(const nn_peer* peer)
{
    return peer->wait != NULL;
}

/* nn_server_lose - the connection of a peer is over: its session waits, or ends. */
NN_PRIVATE void nn_server_lose(necpnet_server* server, nn_peer* peer);

/* nn_server_end_peer - the session is over: DISCONNECTED is told and the peer released once that was polled. */
NN_PRIVATE void nn_server_end_peer(necpnet_server* server, nn_peer* peer, const nn_close* close);

/* nn_server_run_session - timers: the window, the offer, the next ticket. When they are due next. */
NN_PRIVATE void nn_server_run_session(necpnet_server* server, nn_peer* peer, uint64_t now_us);
NN_PRIVATE uint64_t nn_peer_session_deadline_us(const nn_peer* peer);

/* nn_server_count_kept - after something was queued for a peer that may be suspended. nn_server_bound_kept - then, where
 * peers may end: the longest suspended do so when all together hold too much. */
NN_PRIVATE void nn_server_count_kept(necpnet_server* server, nn_peer* peer);
NN_PRIVATE void nn_server_bound_kept(necpnet_server* server);

/* nn_server_make_room - end the longest suspended session. False: there is none. */
NN_PRIVATE bool nn_server_make_room(necpnet_server* server);

/* nn_server_take - a ticket's session, if it is here and the ticket unspent. The one door to sessions by ticket: a group of
 * servers would ask whoever has the record here, and get it at most once. Ticket and secret were proven before.
 *
 *   encrypted  the transport that the ticket came over.
 *
 * Returns  OK | ERR_SESSION_LOST | ERR_REPLACED | ERR_TOKEN_SPENT | ERR_TOKEN_EXPIRED (of the identity)
 */
NN_PRIVATE necpnet_result nn_server_take(necpnet_server* server, const nn_ticket* ticket, bool encrypted,
                                         nn_peer** out_peer);

/* nn_server_take_stream - the same for what SETUP carries over a WebSocket: proves it first. Also ERR_TOKEN_INVALID. */
NN_PRIVATE necpnet_result nn_server_take_stream(necpnet_server* server, const nn_setup* setup, nn_peer** out_peer,
                                                uint32_t* out_number);

/* nn_server_find_session - the session that a SETUP names and that belongs to the same client; NULL. */
NN_PRIVATE nn_peer* nn_server_find_session(const necpnet_server* server, const necpnet_identity* identity,
                                           uint64_t session_id, bool encrypted);

/* nn_server_resume - a new connection takes the session over, at once. OK | ERR_OUT_OF_MEMORY | ERR_PROTOCOL: it waits then. */
NN_PRIVATE necpnet_result nn_server_resume(necpnet_server* server, nn_peer* peer, nn_connection_open* open);

/* nn_server_offer - remember a connection that takes over with its first packet; the keys are taken, also on failure. */
NN_PRIVATE necpnet_result nn_server_offer(necpnet_server* server, nn_peer* peer, nn_offer* offer);

/* nn_server_take_offer - a packet for the offer's id: begin its connection if the packet authenticates. */
NN_PRIVATE bool nn_server_take_offer(necpnet_server* server, nn_peer* peer, const necpnet_address* from,
                                     const uint8_t* data, size_t bytes);
NN_PRIVATE void nn_server_drop_offer(necpnet_server* server, nn_peer* peer);

/* nn_server_make_ticket - the next ticket of a peer, without its secret. False: tickets are off. */
NN_PRIVATE bool nn_server_make_ticket(necpnet_server* server, nn_peer* peer, nn_ticket* out_ticket);

/* nn_server_write_ticket - a fresh secret and the next ticket with it. False: tickets are off, or no entropy. */
NN_PRIVATE bool nn_server_write_ticket(necpnet_server* server, nn_peer* peer, uint8_t out[NN_TICKET_SHOWN_BYTES]);

/* nn_server_spend - tickets up to that number are no longer good. */
NN_PRIVATE void nn_server_spend(nn_peer* peer, uint32_t number);

/* nn_server_take_over - a peer has joined: what config.take_over says of others with its client id.
 * nn_server_may_join - whether it may. OK | ERR_REFUSED */
NN_PRIVATE necpnet_result nn_server_may_join(const necpnet_server* server, const necpnet_identity* identity);
NN_PRIVATE void nn_server_take_over(necpnet_server* server, const nn_peer* peer);
NN_PRIVATE nn_peer** nn_server_client_bucket(necpnet_server* server, uint64_t client_id);

/* credentials: when something is to be done about a peer's, and its doing; a credential that came in-band (false: not of
 * the form); when a session begun by a connect token now would expire, 0 never */
NN_PRIVATE uint64_t nn_peer_credential_deadline_us(const necpnet_server* server, const nn_peer* peer);
NN_PRIVATE void nn_peer_update_credential(necpnet_server* server, nn_peer* peer);
NN_PRIVATE bool nn_peer_read_credential(necpnet_server* server, nn_peer* peer, const uint8_t* data, size_t bytes);
NN_PRIVATE uint64_t nn_server_token_expiry_us(const necpnet_server* server);

/* groups */
NN_PRIVATE void nn_server_leave_groups(necpnet_server* server, nn_peer* peer);
NN_PRIVATE void nn_server_reset_groups(necpnet_server* server);

#endif

/* nn_server - the server endpoint's inside: peers in slots, connections still greeting, groups. */
#ifndef NN_SERVER_H
#define NN_SERVER_H

#include "nn_deadlines.h"
#include "nn_endpoint.h"
#include "nn_handshake_server.h"
#include "nn_hash.h"

#define NN_PEER_INPUTS_MAX 256 /* numbered inputs not yet polled, of one peer; more are dropped and logged */
#define NN_GROUPS_MAX 65535
#define NN_PEER_ADDRESS_BUCKETS 1024 /* a power of two */

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

/* A numbered input waiting to be polled. */
typedef struct nn_peer_input {
    struct nn_peer_input* next;
    uint32_t tick;
    uint32_t bytes;
    uint32_t capacity;
} nn_peer_input; /* the data follows */

typedef struct nn_peer {
    nn_carrier_kind kind;
    nn_deadline deadline;
    necpnet_server* server;
    uint32_t slot;
    uint32_t generation;
    uint64_t order;
    nn_session session;
    nn_connection connection;
    necpnet_identity identity;
    void* user_data;
    uint64_t connected_us;
    bool is_dirty; /* in the dirty list: something to send */
    bool is_ready; /* in the ready list: something to poll */
    bool tell_connected;
    bool tell_disconnected;
    bool has_ended; /* the connection is over; freed once DISCONNECTED was polled */
    uint32_t input_count;
    nn_peer_input* first_input;
    nn_peer_input* last_input;
    struct nn_peer* next_dirty;
    struct nn_peer* next_ready;
    struct nn_peer* next_in_bucket;
    struct nn_peer* previous_in_bucket;
    uint32_t group_count; /* that it is in */
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
    uint32_t* free_slots;
    uint32_t free_count;
    uint32_t peer_count;
    uint32_t connected_count;
    nn_peer* buckets[NN_PEER_ADDRESS_BUCKETS]; /* by address without port */
    uint8_t bucket_key[NN_SIPHASH_KEY_BYTES];
    nn_deadlines deadlines;
    nn_peer* first_dirty;
    nn_peer* first_ready;
    nn_peer* last_ready;
    nn_peer* polled; /* whose views the last poll gave */
    nn_peer_input* polled_input;
    nn_greeting* first_greeting;
    nn_greeting* last_greeting;
    uint32_t greeting_count;
    nn_group* groups;
    uint32_t group_capacity;
    uint64_t world_commit; /* of the world, as of the last update */
    uint64_t wall_offset_us;
    bool has_wall;
    necpnet_server_statistics totals; /* of peers gone, and drops */
};

/* peers */
NN_PRIVATE nn_peer* nn_server_find(const necpnet_server* server, necpnet_peer peer);
NN_PRIVATE necpnet_peer nn_peer_name(const nn_peer* peer);
NN_PRIVATE nn_peer* nn_server_find_connection(const necpnet_server* server, uint32_t connection_id);

/* nn_server_admit - a slot and a session for an identity. OK | ERR_SERVER_FULL | ERR_OUT_OF_MEMORY */
NN_PRIVATE necpnet_result nn_server_admit(necpnet_server* server, const necpnet_identity* identity,
                                          const necpnet_address* address, nn_peer** out_peer);
NN_PRIVATE uint32_t nn_peer_connection_id(const nn_peer* peer);

/* nn_server_peer_moved - its connection has another address than before. */
NN_PRIVATE void nn_server_peer_moved(necpnet_server* server, nn_peer* peer, const necpnet_address* before);

/* nn_server_release - give a peer back, with everything it holds. */
NN_PRIVATE void nn_server_release(necpnet_server* server, nn_peer* peer);
NN_PRIVATE void nn_server_mark_dirty(necpnet_server* server, nn_peer* peer);
NN_PRIVATE void nn_server_mark_ready(necpnet_server* server, nn_peer* peer);

/* greeting: SETUP over either transport */
NN_PRIVATE necpnet_result nn_server_judge(const necpnet_server* server, const nn_setup* setup, char* text,
                                          size_t text_bytes, necpnet_drop* out_drop);
NN_PRIVATE void nn_server_answer_setup(necpnet_server* server, const nn_peer* peer, nn_setup* out);
NN_PRIVATE necpnet_result nn_server_begin_peer(necpnet_server* server, nn_peer* peer, nn_connection_open* open);
NN_PRIVATE void nn_server_datagram(necpnet_server* server, const necpnet_address* from, uint8_t* data, size_t bytes);
NN_PRIVATE void nn_server_session_open(void* user, necpnet_web_connection* connection);
NN_PRIVATE void nn_server_session_message(void* user, necpnet_web_connection* connection, uint8_t* data, size_t bytes);
NN_PRIVATE void nn_server_session_close(void* user, necpnet_web_connection* connection, necpnet_result reason,
                                        const char* text);
NN_PRIVATE void nn_server_session_writable(void* user, necpnet_web_connection* connection);
NN_PRIVATE void nn_server_web_drop(void* user, const necpnet_address* from, necpnet_drop drop);
NN_PRIVATE void nn_server_end_greetings(necpnet_server* server, uint64_t now_us);
NN_PRIVATE uint64_t nn_server_wall_us(const necpnet_server* server);

/* groups */
NN_PRIVATE void nn_server_leave_groups(necpnet_server* server, nn_peer* peer);
NN_PRIVATE void nn_server_reset_groups(necpnet_server* server);

#endif

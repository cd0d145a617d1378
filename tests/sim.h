/* sim.h - the simulated world: a server and up to eight clients as real endpoints on simulated links and a virtual clock.
 *
 * One seed decides everything: how many clients, over which transports, what they send, and what befalls them. A run has
 * two phases. In the first everything that can go wrong does (sim_faults); what must never happen is checked at every
 * event (safety). Then the network heals, all processes run, nothing new is sent, and within ten simulated seconds
 * everybody must be connected and have everything (liveness).
 *
 *   kit_sim.c         the run: seed to settings, the loop over virtual time, the phases
 *   kit_sim_process.c processes: an endpoint, its memory, its clock, its entropy; start, crash
 *   kit_sim_wire.c    the transport between endpoint and link: records, replays, clogs, counts amplification
 *   kit_sim_nonce.c   every sealing of a packet: no nonce twice
 *   kit_sim_flow.c    what was sent and what was delivered, channel by channel
 *   kit_sim_app.c     the applications: what they send and what they do with events
 *   kit_sim_state.c   the server's world, the clients' views, numbered inputs
 *   kit_sim_writes.c  entities that clients write: authority, validation, conflicts
 *   kit_sim_faults.c  what goes wrong, and when
 *
 * A kit file reports by sim_fail; the test (sim_world.c) turns that into a failed check with the seed.
 */
#ifndef SIM_H
#define SIM_H

#include "necpnet.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_CLIENTS_MAX 8
#define SIM_CHANNELS_MAX 10
#define SIM_PORT 7777
#define SIM_PEERS_MAX 4096 /* sessions of all server processes of a run */
#define SIM_PROCESSES_MAX 512
#define SIM_CAPTURED_MAX 64
#define SIM_NEVER UINT64_MAX
#define SIM_EARLY_MAX 256

/* What happened, counted over all seeds: a kind that never occurs is a blind spot, and fails. */
/* clang-format off */
#define SIM_KINDS(X) \
    X(LOST) X(DUPLICATED) X(REORDERED) X(CORRUPTED) X(CUT) X(BANDWIDTH) X(REPLAYED) X(GARBAGE) X(STOLEN) \
    X(PARTITION_UP) X(PARTITION_DOWN) X(PARTITION_BOTH) X(CLOGGED) X(REBOUND) X(PAUSED) X(CLIENT_CRASHED) \
    X(SERVER_CRASHED) X(CLOCK_FORWARD) X(CLOCK_BACK) X(WALL_JUMP) X(ALLOCATION_FAILED) \
    X(UDP_SESSION) X(WEBSOCKET_SESSION) X(RECONNECTED) X(COUNTED_LOST) X(SESSION_SUSPENDED) X(RESUMED) X(MOVED) X(MIGRATED) X(KEYS_CHANGED) \
    X(SERVER_COUNTED_LOST) \
    X(GOT_UNRELIABLE) X(GOT_UNRELIABLE_SEQUENCED) X(GOT_RELIABLE_SEQUENCED) X(GOT_UNORDERED) X(GOT_ORDERED) \
    X(GOT_NAMED) X(GOT_FRAGMENTED) X(GOT_LARGEST) X(GOT_TINY) X(BROADCAST) X(GROUP_SENT) X(GOT_RECEIPT) X(BLOCKED) \
    X(WRITABLE) X(HANDLER) X(DEADLINE_SENT) X(KICKED) X(KICKED_FROM_HANDLER) X(DISCONNECTED_IN_ORDER) X(DRAINED) \
    X(SUSPENDED) X(LOADING) X(QUERY_ANSWERED) X(LIMITED) \
    X(INPUT) X(STATE_ENTERED) X(STATE_LEFT) X(STATE_CHANGED) X(OWNER_CHANGED) \
    X(WRITE_TAKEN) X(WRITTEN) X(CLAMPED) X(REFUSED_WRITE) X(CONFLICT) X(AUTHORITY_GIVEN) X(AUTHORITY_LOST) X(AUTHORITY_DENIED)
/* clang-format on */

typedef enum sim_kind {
#define SIM_KIND_ENUM(name) SIM_##name,
    SIM_KINDS(SIM_KIND_ENUM)
#undef SIM_KIND_ENUM
        SIM_KIND_COUNT
} sim_kind;

typedef struct sim sim;
typedef struct sim_process sim_process;
typedef struct sim_log sim_log;

/* One channel of one flow, in one direction: what was sent, in order, and what of it arrived. */
struct sim_log {
    uint32_t* ids;   /* ascending: ids are given out as messages are sent, over the whole run */
    uint8_t* states; /* SIM_DELIVERED .. */
    uint32_t count;
    uint32_t capacity;
    uint32_t delivered;
    uint32_t first_reliable; /* everything before belonged to sessions that ended */
    bool greeted;            /* a message that names itself was sent in this session: nameless ones may follow */
};

#define SIM_DELIVERED 1u /* handed to the receiver's application */
#define SIM_OPTIONAL 2u  /* sent to many, some of whom refused: perhaps not to this one */
#define SIM_RECEIPT 4u   /* a receipt was asked for .. */
#define SIM_RECEIPTED 8u /* .. and came */
#define SIM_EXPIRES 16u  /* has a deadline */

/* Where a receiver stands in a log, for one session. */
typedef struct sim_cursor {
    bool known;           /* where the session's messages begin */
    uint32_t next;        /* ordered: the index due; sequenced: no older than this */
    uint32_t early_count; /* nameless messages before the first that says where they belong */
    struct sim_early {
        uint8_t bytes;
        uint8_t data[8];
    } early[SIM_EARLY_MAX];
} sim_cursor;

/* A session as the server sees it. */
typedef struct sim_peer {
    necpnet_peer peer;
    sim_process* server; /* whose session it is */
    sim_process* client; /* who is at its address */
    bool connected;
    bool announced;                  /* EVENT_CONNECTED was polled */
    bool suspended;                  /* its connection is lost */
    bool ending;                     /* it was kicked or the server drains: what is sent to all may pass it by */
    sim_log down[SIM_CHANNELS_MAX];  /* server to client */
    sim_cursor up[SIM_CHANNELS_MAX]; /* where it stands in the client's logs */
    uint32_t input_next;             /* index of the client's next input; UINT32_MAX unknown */
    uint32_t rooms;                  /* bits: those of the world that it is in */
} sim_peer;

typedef struct sim_memory {
    sim* world;
    sim_process* process;
    size_t live;
    size_t peak;
    size_t limit;
    uint64_t blocks;
    uint32_t fail_ppm;
} sim_memory;

typedef struct sim_held {
    struct sim_held* next;
    sim_process* from;
    necpnet_address to;
    size_t bytes;
    uint8_t* data;
} sim_held;

typedef struct sim_wire {
    necpnet_transport transport; /* what the endpoint gets */
    const necpnet_transport* inner;
    necpnet_sink sink;
    sim_process* process;
    uint64_t sent; /* datagrams and stream writes */
    uint64_t received;
} sim_wire;

struct sim_process {
    sim* world;
    char name[8];
    int seat; /* client: its place 0 .. 7; server: -1 */
    bool is_server;
    bool alive;
    necpnet_client* client;
    necpnet_server* server;
    const necpnet_transport* host; /* on the link; NULL when it is gone */
    uint32_t host_number;
    sim_wire wire;
    sim_memory memory;
    uint64_t entropy;
    int64_t clock_us;   /* its clock is the world's plus this */
    uint64_t latest_us; /* newest time given to it: an endpoint's clock never goes back */
    uint64_t paused_until_us;
    uint32_t datagram_bytes; /* config.datagram_bytes_max */
    uint32_t frame_us;       /* 0: runs when there is something to do; else like a game, once a frame */
    uint64_t frame_at_us;
    uint64_t act_at_us; /* when its application does something next */
    uint32_t act_us;    /* mean time between */
    bool dispatches;    /* events by handlers */
    uint32_t idle_runs;
    uint64_t idle_since_us;
    bool again; /* what happened outside of update waits for one */
    /* network of a client */
    bool blocked_up, blocked_down;
    uint64_t partition_until_us;
    bool clogged;
    uint64_t clogged_until_us;
    sim_held* held_first;
    sim_held* held_last;
    /* client's application */
    const char* url;
    const char* urls[2];
    int url_count;
    bool connected;
    bool has_session; /* since CONNECTED, until DISCONNECTED */
    bool wants_connection;
    uint64_t connect_at_us;
    uint32_t connections;
    uint64_t counted_lost;
    uint64_t unplaced; /* nameless messages that arrived, in sessions that ended before saying where they belong */
    sim_log up[SIM_CHANNELS_MAX];
    sim_cursor down[SIM_CHANNELS_MAX];
    sim_peer* session; /* whose messages it gets; NULL until one has told */
    bool blocked[SIM_CHANNELS_MAX];
    uint64_t suspended_until_us; /* SIM_NEVER: is not */
    bool loading;
    /* server's application */
    necpnet_group groups[2];
    uint64_t drain_until_us;
    uint64_t tick_at_us;
    uint32_t tick;
    /* state */
    necpnet_world* entities;
    struct sim_thing* things;   /* server: by slot, what the world does not tell */
    struct sim_string* strings; /* server: by slot, of what clients write */
    necpnet_view* view;
    uint32_t* inputs; /* client: ticks sent */
    uint32_t input_count;
    uint32_t input_capacity;
    uint32_t input_first; /* of the present session */
    uint64_t input_at_us; /* not before */
};

/* Settings that a seed decides. */
typedef struct sim_settings {
    int clients;
    uint32_t safety_ms;
    necpnet_link_config link;
    necpnet_channel_config channels[SIM_CHANNELS_MAX];
    int channel_count;
    bool has_state;
    bool has_rooms;  /* entities and clients in rooms */
    bool has_writes; /* there are entities that clients write */
    uint32_t tick_hz;
    uint32_t faults_ms; /* mean time between faults */
    uint32_t failing_ppm;
    bool has_attacker;
    uint32_t resume_window_ms;
    uint32_t key_interval_ms;
} sim_settings;

struct sim {
    uint64_t seed;
    uint64_t random;
    uint64_t now_us;
    uint64_t wall_us;
    uint64_t end_us; /* of the first phase */
    bool healing;
    bool traced;
    bool failed;
    char failure[512];
    uint64_t hash;
    uint64_t events;
    sim_settings settings;
    necpnet_link* link;
    sim_memory link_memory;
    sim_process* processes[SIM_PROCESSES_MAX]; /* ever */
    int process_count;
    sim_process* server;
    sim_process* clients[SIM_CLIENTS_MAX];
    sim_process* attacker; /* a host without an endpoint */
    sim_peer* peers[SIM_PEERS_MAX];
    int peer_count;
    uint32_t next_id; /* of messages */
    uint32_t* sizes;  /* by id */
    uint32_t sizes_capacity;
    uint8_t* message; /* one in the making */
    struct sim_captured {
        size_t bytes;
        uint8_t* data;
        sim_process* from;
        necpnet_address to;
    } captured[SIM_CAPTURED_MAX];
    struct sim_account* accounts; /* addresses that the server talked to */
    int account_count;
    int account_capacity;
    necpnet_schema* schema;
    uint64_t fault_at_us;
    uint64_t attack_at_us;
};

extern uint64_t sim_counts[SIM_KIND_COUNT]; /* over all runs of the program */
const char* sim_kind_name(sim_kind kind);

/* ---- the run -- */

/* sim_run - one world from its seed to its end. false: world->failure says what broke. */
bool sim_run(sim* world, uint64_t seed, bool traced);

/* sim_fail - the first is kept. */
void sim_fail(sim* world, const char* format, ...) __attribute__((format(printf, 2, 3)));

/* sim_note - something happened: into the hash, and printed when traced. who NULL: the world. */
void sim_note(sim* world, const sim_process* who, const char* what, uint64_t a, uint64_t b);
void sim_count(sim* world, sim_kind kind);

uint64_t sim_random(sim* world, uint64_t below);
bool sim_chance(sim* world, uint32_t ppm);

/* sim_choose - lengths of time and sizes have long tails: low .. high, each power of two as likely as the next. */
uint64_t sim_choose(sim* world, uint64_t low, uint64_t high);

/* ---- processes -- */
sim_process* sim_start_server(sim* world);
sim_process* sim_start_client(sim* world, int seat);
void sim_crash(sim_process* process);
uint64_t sim_local_us(const sim_process* process);
bool sim_runs(const sim_process* process);
uint64_t sim_process_due_us(const sim_process* process);
void sim_process_run(sim_process* process);
sim_process* sim_process_at(sim* world, const necpnet_address* address);
necpnet_allocator sim_allocator(sim_memory* memory);

/* ---- the wire -- */
void sim_wire_begin(sim_process* process);
bool sim_wire_has_arrived(const sim_process* process);
uint64_t sim_link_due_us(const sim* world);
void sim_wire_release(sim* world, sim_process* client); /* what a clogged link held */
void sim_wire_drop(sim_process* client);
void sim_attack(sim* world);
void sim_wire_end(sim* world);

/* ---- nonces -- */
void sim_nonces_begin(sim* world);
void sim_nonces_end(sim* world);

/* ---- flows -- */
uint32_t sim_message_new(sim* world, size_t bytes, const char** out_name);
void sim_log_add(sim* world, sim_log* log, uint32_t id, uint8_t state);
void sim_log_free(sim_log* log);
void sim_delivered(sim* world, sim_process* receiver, sim_log* log, sim_cursor* cursor, const necpnet_event* event);
uint32_t sim_message_id(sim* world, const necpnet_event* event); /* UINT32_MAX: nameless */
uint32_t sim_log_find(const sim_log* log, uint32_t id);          /* UINT32_MAX: not there */
void sim_receipted(sim* world, sim_process* sender, sim_log* log, const necpnet_event* event);
bool sim_log_is_whole(const sim* world, int channel, const sim_log* log, uint32_t from, uint32_t* out_missing);

/* ---- applications -- */
sim_peer* sim_peer_of(sim_process* server, necpnet_peer peer);
void sim_client_poll(sim_process* client);
void sim_server_poll(sim_process* server);
void sim_client_act(sim_process* client);
void sim_server_act(sim_process* server);
void sim_client_connect(sim_process* client);
void sim_set_handlers(sim_process* process);

/* ---- state -- */
void sim_state_begin(sim* world);
void sim_state_end(sim* world);
necpnet_result sim_state_serve(sim_process* server, necpnet_server_config* config);
necpnet_result sim_state_follow(sim_process* client, necpnet_client_config* config);
void sim_state_release(sim_process* process);
void sim_state_tick(sim_process* server);
void sim_state_look(sim_process* client);
void sim_state_input(sim_process* server, sim_peer* peer, const necpnet_event* event);
void sim_state_send_input(sim_process* client);
bool sim_state_equal(sim_process* client, const sim_peer* peer, char* text, size_t text_bytes);

/* ---- what clients write -- */
#define SIM_PUPPET 3 /* id of their type */
#define SIM_PUPPET_SLOTS 2048
struct sim_string { /* what the server remembers of a puppet */
    necpnet_entity entity;
    necpnet_peer writer; /* of the last write that was taken .. */
    uint32_t sequence;   /* .. under this authority */
    int32_t number;
    bool corrected; /* and since then a write was clamped or refused: the writer goes on from what it is told */
};
extern const necpnet_entity_type sim_puppet_type;
bool sim_writes_validate(void* user, const necpnet_write* write, void* state);
void sim_writes_tick(sim_process* server);
void sim_writes_act(sim_process* client);
void sim_writes_event(sim_process* client, const necpnet_view_event* event);
bool sim_writes_equal(const sim_process* client, necpnet_world* entities, necpnet_entity entity, char* text,
                      size_t text_bytes);

/* ---- faults -- */
void sim_faults(sim* world);
void sim_heal(sim* world);

#endif

/* gateway_inside.h - what the gateway's files share. */
#ifndef SERVER_GATEWAY_INSIDE_H
#define SERVER_GATEWAY_INSIDE_H

#include "crafting_feed.h"
#include "gateway.h"
#include "groups.h"
#include "moves.h"
#include "relay.h"
#include "rpc.h"

#define GATEWAY_HEADS 4096 /* chains of sessions by client id */
#define GATEWAY_GROUPS_MAX 65536
#define GATEWAY_NAMES_MAX 65536    /* players known by name */
#define GATEWAY_HELLO_US 10000000u /* until session.hello */
#define GATEWAY_SWEEP_US 250000u
#define GATEWAY_KEYS 16 /* of publishes, remembered by a session, so that a repeated one is not published twice */
#define GATEWAY_RATE_BURST_S 2u
#define GATEWAY_STATE_TOPIC "state" /* not among the rules: state.subscribe alone leads there */

/* A publish that was done: its key's hash, and where it went. */
typedef struct gateway_key {
    uint64_t hash;
    topics_position position;
} gateway_key;

typedef struct gateway_session {
    edge_guest guest; /* first: the connection's user data */
    gateway* owner;
    struct gateway_session* next; /* of all */
    struct gateway_session* before;
    struct gateway_session* chain;      /* of those with the same hash of client_id */
    struct gateway_session* peer_chain; /* of those with the same hash of peer */
    necpnet_web_connection* connection; /* NULL: binary, or suspended */
    necpnet_peer peer;                  /* NONE: JSON-RPC over WebSocket */
    topics_subscriber subscriber;
    struct gateway_session* behind_next; /* of those that fell behind in a topic */
    bool is_behind;
    uint64_t client_id;
    char* subject; /* sub; of a binary client "#" and its client id in hexadecimal */
    unsigned role;
    bool greeted;     /* session.hello was called */
    bool holding;     /* an answer is being made: what would overtake it waits */
    bool present;     /* counts as a connection in presence */
    bool was_present; /* and did when it was suspended */
    bool closes;      /* session.close was called: ends once it is answered */
    bool suspended;
    bool erased;     /* its player was: nothing about it is to be kept */
    bool given;      /* another node was given it: held back until that one has said whether it took it */
    bool arriving;   /* comes from another node: nothing is told before hello is answered */
    bool switched;   /* and the switchboard */
    bool missed;     /* presence that could not be sent */
    bool ended;      /* its connection is closing; it will not be resumed */
    uint64_t serial; /* 1, 2, ..: the newest session stands first */
    uint64_t stamp;  /* of its login: the order of logins over nodes */
    uint64_t began_us;
    uint64_t heard_us;
    uint64_t suspended_us;
    uint64_t expires_us; /* wall time; 0: never */
    uint64_t token_key;  /* of its JWT; 0: none */
    uint64_t issued_us;
    uint64_t tokens_at_us;
    double tokens; /* of its rate */
    uint32_t resumes;
    uint32_t key_next;
    feed_follower* crafts; /* crafting sessions that it follows */
    cJSON* guilds;         /* {"guilds": [..]} as the guild service answered; NULL: none */
    gateway_key* keys;     /* GATEWAY_KEYS of them once one was given */
    char id[GATEWAY_SESSION_ID_BYTES];
    char ticket[MOVES_TICKET_BYTES]; /* which node has the session (16 digits), then the proof whose it is */
} gateway_session;

typedef struct gateway_waiting gateway_waiting;
typedef struct gateway_hello gateway_hello;
typedef struct gateway_party_call gateway_party_call;

typedef struct gateway_name {
    necpnet_player player;
    struct gateway_name* next;
    char name[];
} gateway_name;

struct gateway {
    const services* known;
    const config* settings;
    const events* catalogue;
    crafting_feed* crafts;
    necpnet_server* server;
    topics* hub;
    necpnet_presence* presence;
    rpc_table* methods;
    struct gateway_state* state;
    struct gateway_cluster* cluster; /* NULL: this worker is the only node */
    groups* parties;
    struct gateway_question* questions; /* to partner services, under way */
    gateway_waiting* waiting;           /* calls that another node answers */
    gateway_hello* hellos;              /* that wait for a session of another node */
    gateway_party_call* party_calls;    /* changes of groups that another node makes, or that wait */
    gateway_party_call** party_calls_end;
    uint32_t party_call_count;
    uint64_t party_number;
    necpnet_loop* loop;
    struct voice* speech;
    int index;
    char name[128]; /* of this node */
    necpnet_web_handlers handlers;
    gateway_session* first;
    uint64_t serial;
    gateway_session* behind;
    gateway_session* heads[GATEWAY_HEADS];
    gateway_session* peers[GATEWAY_HEADS];
    gateway_name* names[GATEWAY_HEADS];
    uint32_t name_count;
    uint64_t now_us;
    uint64_t wall_offset_us;
    uint64_t swept_us;
    uint64_t seed;
    bool queued; /* something was sent since gateway_work */
    bool draining;
    gateway_figures figures;
};

/* gateway.c */
gateway_session* gateway_first_of(const gateway* at,
                                  uint64_t client_id); /* of the chain: compare client_id, go by ->chain */
void gateway_chain(gateway* at, gateway_session* session);
void gateway_unchain(gateway* at, gateway_session* session);
necpnet_result gateway_send_text(gateway_session* session, const char* json, size_t bytes);
bool gateway_has_room(const gateway_session* session);
topics_taken gateway_fall_behind(gateway_session* session); /* FULL; tried again in gateway_work */
void gateway_end_session(gateway* at, gateway_session* session);
gateway_session* gateway_session_of(gateway* at, necpnet_peer peer); /* NULL: none */
void gateway_set_present(gateway* at, gateway_session* session, bool present, bool lost);
void gateway_name_player(gateway* at, uint64_t client_id, const char* name);
void gateway_put_player(const gateway* at, text* out, uint64_t client_id);
bool gateway_find_player(const gateway* at, const gateway_session* asks, const char* name, uint64_t* out_client_id);
uint64_t gateway_wall_us(const gateway* at);
bool gateway_take_rate(gateway_session* session, double cost, uint32_t* out_retry_ms);
void gateway_handle_rpc(gateway_session* session, const char* json, size_t bytes);
void gateway_put_hex(char* to, const uint8_t* from, size_t bytes);

/* gateway_events.c */
typedef enum gateway_deed { GATEWAY_SUBSCRIBES, GATEWAY_PUBLISHES } gateway_deed;
/* Whether a session may do this to a topic: NULL, or why not. */
const char* gateway_judge_topic(const gateway* at, const gateway_session* session, const char* topic,
                                gateway_deed deed);
topics_taken gateway_deliver(topics_subscriber* subscriber, const topics_topic* topic, const topics_message* message,
                             void* user);
topics_taken gateway_gap(topics_subscriber* subscriber, const topics_topic* topic, uint64_t from, uint64_t to,
                         void* user);
/* Publishes; code and why as an RPC error. RPC_OK: out_position is where. GATEWAY_LATER: another node counts the topic; the call
 * was deferred (NULL: nobody waits for it). */
#define GATEWAY_LATER 1
int gateway_publish(gateway* at, gateway_session* from, const char* topic, const events_kind* kind, const cJSON* data,
                    const char* key, rpc_call* call, topics_position* out_position, char* why, size_t why_bytes);
/* An event at a topic's next place, whose position it has. */
int gateway_place_event(gateway* at, topics_topic* topic, const events_event* event, char* why, size_t why_bytes);
void gateway_keep_key(gateway_session* session, uint64_t hash, topics_position position);
topics_taken gateway_renew(topics_subscriber* subscriber, const topics_topic* topic, uint64_t offset, void* user);
/* An event of the server's own, by type. data is taken over. */
void gateway_announce(gateway* at, const char* topic, const char* type, const char* from, cJSON* data);
void gateway_on_binary_event(gateway_session* session, const void* data, size_t bytes);

/* gateway_presence.c */
void gateway_tell_presence(gateway* at);
void gateway_tell_missed(gateway_session* session); /* there is room again */
void gateway_put_presence(const gateway* at, text* out, const necpnet_presence_info* info);
const char* gateway_status_name(necpnet_presence_status status);
bool gateway_status_find(const char* name, necpnet_presence_status* out_status);

/* gateway_seen.c */
necpnet_result gateway_load_seen(gateway* at); /* waits for the store: before the loop runs */
void gateway_keep_seen(gateway* at, const gateway_session* session);

/* gateway_state.c */
struct gateway_state;
necpnet_result gateway_state_create(necpnet_world* world, uint32_t hz, struct gateway_state** out_state);
void gateway_state_destroy(struct gateway_state* state);
/* A client is about to follow: from now on rounds are made. False: there is no world, or no memory. */
bool gateway_state_begin(gateway* at, topics_topic* topic);
/* The whole world as {"tick":..,"entities":[..]}. False: there is none. */
bool gateway_state_put_all(gateway* at, text* out);
void gateway_state_work(gateway* at);

/* gateway_cluster.c: other workers and nodes. Without a cluster these do nothing, or tell of this node alone. */
necpnet_result gateway_cluster_begin(gateway* at, necpnet_loop* loop);
void gateway_cluster_end(gateway* at);
void gateway_cluster_work(gateway* at);
/* This node is about to go: its topics are handed to those that stay. */
void gateway_cluster_drain(gateway* at);
bool gateway_cluster_has_others(const gateway* at); /* that stay */
/* Topics of several nodes: whether this one counts it (then gateway_cluster_spread after each publish); else sent to its node. */
bool gateway_cluster_counts(const gateway* at, const char* topic);
void gateway_cluster_spread(gateway* at, const topics_topic* topic);
/* gateway_on_answer tells of it if ticket is not NULL. */
void gateway_cluster_publish(gateway* at, const events_event* event, gateway_waiting* ticket);
/* Whether the topic is here; else it is asked for. */
bool gateway_cluster_subscribe(gateway* at, const char* topic, gateway_waiting* ticket);
bool gateway_cluster_has_topic(const gateway* at, const char* topic);
void gateway_cluster_forget_topic(gateway* at, const topics_topic* topic);
void gateway_cluster_get_figures(const gateway* at, relay_figures* out_figures);
void gateway_cluster_get_moves(const gateway* at, moves_figures* out_figures);
/* Whether a player is connected on another node. */
bool gateway_cluster_has_player(const gateway* at, uint64_t client_id);
/* Others hear how many sessions this player has here. */
void gateway_cluster_tell_player(gateway* at, uint64_t client_id);
/* Logins of JSON-RPC, over all nodes in one order: the next place in it; one that was made; whether a player is connected on
 * another node, and the last place of its logins there. */
uint64_t gateway_cluster_stamp(gateway* at);
void gateway_cluster_say_login(gateway* at, const gateway_session* session);
/* Whether a player has a session on another node than that one, also one that may be resumed. */
bool gateway_cluster_keeps_player(const gateway* at, uint64_t client_id, uint64_t not_there);
/* The node that a key belongs to. 0: this one; UINT64_MAX: not known yet. */
uint64_t gateway_cluster_home(const gateway* at, const char* key);
/* Bytes to one node, in their order with what its relay hears; to 0: to all. */
void gateway_cluster_send(gateway* at, uint64_t to, const void* data, size_t bytes);
bool gateway_cluster_is_called(const gateway* at, uint64_t client_id);
uint64_t gateway_cluster_last_login(const gateway* at, uint64_t client_id);
/* The node of which a ticket speaks. 0: this one; UINT64_MAX: one that is not there. */
uint64_t gateway_cluster_find_node(const gateway* at, uint64_t tag);
necpnet_result gateway_cluster_claim(gateway* at, uint64_t owner, const moves_key* key, gateway_hello* hello);
/* Whether the change was for the other nodes. */
bool gateway_cluster_take_presence(gateway* at, const necpnet_presence_change* change);
/* The nodes on which a player has sessions, as the inside of a list. */
void gateway_cluster_put_where(const gateway* at, text* out, uint64_t client_id);
void gateway_cluster_put_nodes(const gateway* at, text* out, const char* key);

/* gateway_sessions.c */
/* Ends a session because of another login. */
void gateway_replace(gateway* at, gateway_session* other);
/* A user of JSON-RPC logged in on another node. */
void gateway_on_login(gateway* at, uint64_t client_id, uint64_t stamp, uint64_t origin, uint64_t own_origin);
/* A new session begins. False: refused, because its user is connected elsewhere. */
bool gateway_begin(gateway_session* session);
/* The answer to hello; followed: topics, as the inside of an object; reason: NULL, or why it was not resumed. */
void gateway_put_hello(gateway_session* session, bool resumed, const char* followed, const char* reason, text* out);
void method_hello(rpc_call* call);
void method_close(rpc_call* call);
void method_sessions(rpc_call* call);
void method_end(rpc_call* call);

/* gateway_moves.c: sessions that another node has */
/* Asks for the session that a hello names; the call is answered later. False: no node is to be asked, and out_reason says why. */
bool gateway_claim(rpc_call* call, const char** out_reason);
bool gateway_give(const moves_key* key, text* record, void* user);
void gateway_settle(const moves_key* key, bool gone, bool taken, void* user);
bool gateway_on_claimed(void* ticket, moves_result result, const void* record, size_t bytes, void* user);
/* A topic of a session that came is here, or will not come. */
void gateway_hello_topic(gateway_hello* hello, const char* name, const topics_position* since, relay_result result);
void gateway_forget_hellos(gateway* at);

/* gateway_waiting.c: calls that another node answers. later may be NULL. */
/* False: not to be sent: no memory (NULL), or one with the same key is under way and its answer is this one's, too. */
bool gateway_wait_publish(gateway_session* from, const char* topic, uint64_t key, rpc_later* later,
                          gateway_waiting** out_waiting);
gateway_waiting* gateway_wait_subscribe(gateway_session* from, const char* topic, const topics_position* since,
                                        rpc_later* later); /* NULL: no memory */
gateway_waiting* gateway_wait_arrival(gateway_session* session, const char* topic, const topics_position* since,
                                      gateway_hello* hello); /* NULL: no memory */
void gateway_on_answer(void* ticket, relay_result result, topics_position position, void* user);
void gateway_forget_waiting(gateway* at);

/* gateway_partners.c */
void gateway_ask_friends(gateway* at, const gateway_session* session); /* once it is present */
void gateway_ask_guilds(gateway* at, const gateway_session* session);
void gateway_tell_analytics(gateway* at, const gateway_session* session);
void gateway_notify(gateway* at, uint64_t client_id, const char* type,
                    const char* data); /* unless the player is here */
void gateway_forget_questions(gateway* at);

/* gateway_groups.c */
void gateway_leave_groups(gateway* at, const gateway_session* session);
void gateway_leave_all(gateway* at, necpnet_player player); /* on the node that changes groups */
void gateway_tell_group(gateway* at, const groups_group* group, const char* what, necpnet_player player);
void gateway_forget_group_topic(gateway* at, uint32_t id, necpnet_player player); /* who is no member any more */
void method_group_create(rpc_call* call);
void method_group_invite(rpc_call* call);
void method_group_join(rpc_call* call);
void method_group_leave(rpc_call* call);
void method_group_lead(rpc_call* call);
void method_group_list(rpc_call* call);
void method_match_request(rpc_call* call);
void method_match_cancel(rpc_call* call);
void method_match_place(rpc_call* call);

/* gateway_parties.c: groups over nodes */
#define PARTIES_WIRE 3u /* the first byte of what its nodes say; a relay's is 1, that of moves 2 */
/* A change of a group that is for another node, or has to wait: the call is answered later. False: it is to be done here. */
bool gateway_group_elsewhere(rpc_call* call);
/* Other nodes hear of a change; player 0: of nobody's in particular; to 0: all of them. */
void gateway_say_group(gateway* at, const groups_group* group, const char* what, necpnet_player player, uint64_t to);
/* A player has no session any more on any node. */
void gateway_group_gone(gateway* at, necpnet_player player);
/* A node joins: the one that changes groups tells it of all. Before its relay hears of the new node. */
void gateway_greet_parties(gateway* at, uint64_t origin);
void gateway_hear_parties(gateway* at, uint64_t from, const void* data, size_t bytes);
void gateway_parties_work(gateway* at);
void gateway_forget_parties(gateway* at);
uint32_t gateway_count_parties(const gateway* at); /* those that this node looks after */

/* gateway_crafting.c */
void gateway_move_crafts(gateway_session* from, gateway_session* to);
void gateway_follow_craft(gateway_session* session, const char* id, uint32_t hz); /* if it may */
void method_crafting_list(rpc_call* call);
void method_crafting_get(rpc_call* call);
void method_crafting_queue(rpc_call* call);
void method_crafting_follow(rpc_call* call);
void method_crafting_unfollow(rpc_call* call);

/* gateway_voice.c: voice channels, and signals of WebRTC */
void gateway_voice_begin(gateway* at);
void gateway_voice_end(gateway* at);
void gateway_voice_say_session(gateway* at, gateway_session* session, bool here); /* once it has said hello */
/* Whether a session may hear a channel's events: services all, players those they are in. */
bool gateway_voice_is_in(const gateway* at, const gateway_session* session, const char* channel);
void method_voice_join(rpc_call* call);
void method_voice_leave(rpc_call* call);
void method_voice_signal(rpc_call* call);
void method_voice_report(rpc_call* call);
void method_voice_channels(rpc_call* call);

/* gateway_methods.c */
int gateway_code_of(necpnet_result result);
void gateway_fail_result(rpc_call* call, necpnet_result result);
extern const rpc_method gateway_methods[];
void gateway_judge(rpc_call* call);

#endif

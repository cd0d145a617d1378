/* nn_voice_hub - who speaks to whom on a server: members, groups, what waits for each listener.
 *
 * nn_voice_hub          members, events, facts
 * nn_voice_hub_groups   groups, who is in them and where
 * nn_voice_hub_wishes   what clients want: silence, whispers
 * nn_voice_hub_forward  a packet on its way: judged, numbered, queued for those who hear it
 * nn_voice_hub_reports  what listeners lose, told to the sender
 * nn_voice_hub_watch    limits of a sender, and what is no ordinary speech
 * nn_voice_hub_relay    groups shared with the hubs of other servers
 *
 * A packet is stored once, as it goes over the wire to every listener, and counted. Members live as long as sessions.
 */
#ifndef NN_VOICE_HUB_H
#define NN_VOICE_HUB_H

#include "nn_blocks.h"
#include "nn_log.h"
#include "nn_voice.h"

#define NN_VOICE_ROWS_MAX (NECPNET_VOICE_GROUPS_OF_ONE_MAX + NECPNET_VOICE_WHISPERS_MAX)
#define NN_VOICE_LOUDEST_MAX 16u
#define NN_VOICE_QUEUE_MAX 32u    /* packets that wait for one listener; a power of two */
#define NN_VOICE_QUEUE_US 200000u /* older ones are dropped */
#define NN_VOICE_CELLS 256u       /* buckets of a proximity group's grid; a power of two */
#define NN_VOICE_HUB_EVENTS_MAX 1024u
#define NN_VOICE_MUTED_MAX 1024u /* users that one listener does not want to hear */
#define NN_VOICE_STREAM_NUMBERS_MAX 65536u
#define NN_VOICE_SLOT_US 300000u   /* a place among the loudest is kept so long */
#define NN_VOICE_QUIET_US 400000u  /* without a packet: SILENT */
#define NN_VOICE_WINDOW_US 400000u /* reports of listeners are gathered so long .. */
#define NN_VOICE_TELL_US 40000u    /* .. and told to the sender no more often */
#define NN_VOICE_BUCKETS 8u        /* of loss, in reports gathered */
#define NN_VOICE_WISHES_PER_S 10u
#define NN_VOICE_CHAINS 1024u             /* of a relay's tables; a power of two */
#define NN_VOICE_FAR_MAX 65536u           /* speakers at other hubs */
#define NN_VOICE_FAR_US 30000000u         /* without a packet: forgotten */
#define NN_VOICE_RELAY_BYTES_MAX 1000000u /* that wait to be taken; more are dropped */

/* A packet, stored once for all who hear it. */
typedef struct nn_voice_parcel {
    uint32_t references;
    uint32_t capacity;
    uint64_t at_us;
    uint32_t bytes; /* the frame follows */
} nn_voice_parcel;

struct nn_voice_member;

/* Who sends streams: a member, or somebody at another hub. */
typedef struct nn_voice_source {
    necpnet_voice_hub* hub;
    uint64_t origin; /* relay_id of the hub that he is at; 0: a member of this one */
    necpnet_peer peer;
    uint64_t user;
    bool has_position;
    uint32_t zone;
    float position[3];
    uint32_t streams[NECPNET_VOICE_STREAMS_MAX]; /* number + 1; 0 none */
} nn_voice_source;

/* Somebody at another hub, from his first packet here. */
typedef struct nn_voice_far {
    nn_voice_source source;
    uint64_t heard_us;
    struct nn_voice_far* next; /* of its chain */
} nn_voice_far;

/* What hubs of several servers share; tables are made when first used. */
typedef struct nn_voice_relay {
    uint8_t* out; /* what waits to be taken */
    uint32_t bytes, capacity;
    uint8_t* taken; /* what was taken last: a view of the application's */
    uint32_t taken_capacity;
    nn_voice_far** far; /* NN_VOICE_CHAINS, by origin and peer */
    uint32_t far_count;
    struct nn_voice_group** shared; /* NN_VOICE_CHAINS, by key */
} nn_voice_relay;

typedef struct nn_voice_group {
    uint32_t number; /* 0: free */
    uint8_t kind;
    float radius;
    uint32_t members_max;
    uint32_t count, capacity;
    struct nn_voice_row** rows;
    struct nn_voice_row** cells; /* PROXIMITY: NN_VOICE_CELLS lists */
    struct nn_voice_member* to;  /* WHISPER */
    uint64_t key;                /* of the groups of other hubs that are one with this; 0 none */
    struct nn_voice_group* next; /* of its chain among those shared */
} nn_voice_group;

/* A membership. */
typedef struct nn_voice_row {
    struct nn_voice_member* member;
    nn_voice_group* group; /* NULL: free */
    uint32_t place;        /* among the group's rows */
    uint32_t cell;
    bool in_cell;
    bool is_silenced, is_deafened;
    bool is_told; /* that he is in it */
    struct nn_voice_row* next;
    struct nn_voice_row* previous;
} nn_voice_row;

/* One of the loudest that a listener hears now. */
typedef struct nn_voice_loud {
    uint32_t number; /* + 1; 0 free */
    uint16_t level;  /* smoothed, x 16 */
    uint64_t until_us;
} nn_voice_loud;

/* What listeners tell of a stream, by how much they lose. */
typedef struct nn_voice_gathered {
    uint16_t count[NN_VOICE_BUCKETS];
    uint16_t total;

    uint32_t jitter_sum; /* ms */
} nn_voice_gathered;

typedef struct nn_voice_stream {
    nn_voice_source* source; /* NULL: the number is free */
    uint8_t stream;
    uint8_t kind; /* of the last packet */
    bool is_speaking;
    bool report_due;
    uint8_t told_loss; /* in 255ths */
    uint8_t told_jitter_ms;
    uint16_t level; /* smoothed, x 16 */
    uint32_t group; /* of the last packet */
    uint64_t heard_us;
    uint64_t told_us;
    uint64_t window_us;
    nn_voice_gathered now, before;
} nn_voice_stream;

/* What is known of a sender's ways. */
typedef struct nn_voice_watch {
    uint64_t packets_credit, bytes_credit; /* in millionths */
    uint64_t credit_us;
    uint64_t second_us; /* of the present second .. */
    uint32_t limited;   /* .. packets over the limits */
    uint64_t talk_us;   /* when the present talk began; 0: silent */
    uint64_t voiced_us; /* last packet with sound */
    uint64_t starts_us;
    uint64_t starts;         /* talks begun of late, in millionths */
    int32_t mean, deviation; /* of levels, x 4,096 */
    uint64_t steady_us;      /* since when loud and steady; 0 */
    uint64_t flagged_us[4];  /* FLOOD, NOISE, KEYING, CONTINUOUS: last told; 0 never */
    uint64_t refused_us;     /* BAD_PACKET or STRANGER told */
    uint64_t silenced_until_us;
    uint32_t events;
} nn_voice_watch;

typedef struct nn_voice_member {
    nn_voice_source source;
    nn_voice_port port;
    bool is_open; /* connected, with voice */
    bool is_silenced, is_deafened, wishes_deaf;
    bool rows_due; /* some are to be told */
    nn_voice_row rows[NN_VOICE_ROWS_MAX];
    nn_voice_loud loud[NN_VOICE_LOUDEST_MAX];
    nn_voice_watch watch;
    nn_voice_parcel** queue; /* a ring of NN_VOICE_QUEUE_MAX; made when first used */
    uint32_t first, count;
    uint64_t* told; /* bit a stream number whose sender he knows */
    uint32_t told_words;
    uint64_t* muted; /* users, sorted */
    uint32_t muted_count, muted_capacity;
    uint32_t whispered; /* whispers to him */
    uint64_t wish_us;
    uint32_t wishes;    /* in that second */
    uint64_t report_us; /* his last report that counted */
    uint64_t packets_sent, packets_received, bytes_received;
} nn_voice_member;

/* What a hub asks of its server. */
typedef struct nn_voice_server {
    void (*wake)(void* user, necpnet_peer peer); /* there is something to send */
    necpnet_result (*control)(void* user, necpnet_peer peer, const void* data, size_t bytes);
    void* user;
} nn_voice_server;

struct necpnet_voice_hub {
    necpnet_voice_hub_config config;
    nn_alloc alloc;
    nn_blocks blocks;
    nn_voice_server server;
    uint64_t now_us;
    nn_voice_member** members; /* by the slot in a peer's name */
    uint32_t member_capacity, member_count;
    nn_voice_group** groups; /* by number - 1 */
    uint32_t group_capacity, group_count, group_free;
    nn_voice_stream* streams;              /* by number */
    uint32_t stream_capacity, stream_free; /* none is free below it */
    uint64_t scanned_us;
    necpnet_voice_hub_event* events; /* NN_VOICE_HUB_EVENTS_MAX */
    uint32_t event_first, event_count;
    nn_voice_relay relay;
    necpnet_voice_hub_statistics counts;
};

/* nn_voice_hub_attach - a session of the server. OK | ERR_OUT_OF_MEMORY. nn_voice_hub_detach - it is over; nobody: nothing. */
NN_PRIVATE necpnet_result nn_voice_hub_attach(necpnet_voice_hub* hub, necpnet_peer peer, uint64_t user,
                                              const nn_voice_port** out_port);
NN_PRIVATE void nn_voice_hub_detach(necpnet_voice_hub* hub, necpnet_peer peer);

/* nn_voice_hub_take_wish - NN_CONTROL_VOICE_WISH of a client. False: malformed. */
NN_PRIVATE bool nn_voice_hub_take_wish(necpnet_voice_hub* hub, necpnet_peer peer, const uint8_t* data, size_t bytes);
NN_PRIVATE void nn_voice_hub_set_time(necpnet_voice_hub* hub, uint64_t now_us);

/* Between the files of the hub. */
NN_PRIVATE nn_voice_member* nn_voice_hub_find(const necpnet_voice_hub* hub, necpnet_peer peer);
NN_PRIVATE necpnet_voice_hub_event* nn_voice_hub_tell(necpnet_voice_hub* hub, necpnet_voice_hub_event_type type,
                                                      const nn_voice_source* source);

NN_INLINE bool nn_voice_is_here(const nn_voice_source* source)
{
    return source && source->origin == 0;
}

/* nn_voice_hub_groups */
NN_PRIVATE nn_voice_group* nn_voice_hub_group(const necpnet_voice_hub* hub, uint32_t number);
NN_PRIVATE necpnet_result nn_voice_hub_make_group(necpnet_voice_hub* hub, uint8_t kind, float radius,
                                                  uint32_t members_max, nn_voice_group** out);
NN_PRIVATE void nn_voice_hub_end_group(necpnet_voice_hub* hub, nn_voice_group* group); /* its members are told */
NN_PRIVATE void nn_voice_hub_free_group(necpnet_voice_hub* hub, nn_voice_group* group);
NN_PRIVATE necpnet_result nn_voice_hub_enter(nn_voice_group* group, nn_voice_member* member, uint32_t rows_from,
                                             uint32_t rows_to);
NN_PRIVATE void nn_voice_hub_exit(nn_voice_row* row, bool tells);
NN_PRIVATE void nn_voice_hub_settle(nn_voice_member* member);
NN_PRIVATE uint32_t nn_voice_hub_cell(const nn_voice_source* source, float radius, int dx, int dy, int dz);

/* nn_voice_hub_wishes */
NN_PRIVATE bool nn_voice_hub_is_muted(const nn_voice_member* member, uint64_t user);
NN_PRIVATE void nn_voice_hub_end_whisper(necpnet_voice_hub* hub, nn_voice_group* group, const nn_voice_member* from);

/* nn_voice_hub_forward */
NN_PRIVATE void nn_voice_hub_pass(nn_voice_source* source, nn_voice_group* group, uint32_t stream,
                                  nn_voice_frame* frame);
NN_PRIVATE void nn_voice_hub_end_streams(nn_voice_source* source);
NN_PRIVATE void nn_voice_hub_drop_queue(nn_voice_member* member);
NN_PRIVATE void nn_voice_hub_scan(necpnet_voice_hub* hub);
NN_PRIVATE void nn_voice_port_of(nn_voice_member* member);

/* nn_voice_hub_reports */
NN_PRIVATE void nn_voice_hub_count_report(nn_voice_member* member, uint32_t group, uint8_t loss, uint8_t jitter_ms);
NN_PRIVATE void nn_voice_hub_take_report(nn_voice_stream* stream, uint8_t loss, uint8_t jitter_ms);
NN_PRIVATE bool nn_voice_hub_read_reports(nn_voice_member* member, nn_reader* reader);
NN_PRIVATE bool nn_voice_hub_report_due(const nn_voice_member* member, uint64_t now_us, uint64_t* out_at_us);
NN_PRIVATE bool nn_voice_hub_write_reports(nn_voice_member* member, nn_writer* writer, uint64_t now_us);

/* nn_voice_hub_relay: a packet of a member to a shared group; a report of a stream from another hub; a member is gone. */
NN_PRIVATE void nn_voice_relay_packet(const nn_voice_source* source, const nn_voice_group* group, uint32_t stream,
                                      const nn_voice_frame* frame);
NN_PRIVATE void nn_voice_relay_report(const nn_voice_stream* stream, uint8_t loss, uint8_t jitter_ms);
NN_PRIVATE void nn_voice_relay_gone(const nn_voice_member* member);
NN_PRIVATE bool nn_voice_relay_is_old(const nn_voice_source* source, uint64_t now_us);
NN_PRIVATE void nn_voice_relay_forget(nn_voice_source* source);
NN_PRIVATE void nn_voice_relay_unshare(necpnet_voice_hub* hub, nn_voice_group* group);
NN_PRIVATE void nn_voice_relay_reset(necpnet_voice_hub* hub);

/* nn_voice_watch_allows - whether a packet of so many bytes is within the sender's limits.
 * nn_voice_watch_packet - one that is forwarded, of that loudness. */
NN_PRIVATE bool nn_voice_watch_allows(nn_voice_member* member, size_t bytes, uint64_t now_us);
NN_PRIVATE void nn_voice_watch_packet(nn_voice_member* member, uint8_t level, size_t bytes, uint64_t now_us);
NN_PRIVATE void nn_voice_watch_refused(nn_voice_member* member, necpnet_voice_hub_event_type type, uint32_t group,
                                       uint64_t now_us);

#endif

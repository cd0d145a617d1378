/* nn_voice - the voice of one player: own streams on the way out, those of others on the way in, groups, users, events.
 *
 * What a connection does with it: nn_voice_ready and nn_voice_write where VOICE frames may leave, nn_voice_read for those
 * that come, nn_voice_take_control for the server's words, nn_voice_next_control for ours.
 */
#ifndef NN_VOICE_H
#define NN_VOICE_H

#include "nn_log.h"
#include "nn_voice_jitter.h"
#include "nn_voice_mix.h"
#include "nn_voice_seal.h"
#include "nn_voice_send.h"

#define NN_VOICE_EVENTS_MAX 64u
#define NN_VOICE_SPEAKERS_MAX 64u
#define NN_VOICE_NAMES_MAX 4096u /* streams of others that the server named */
#define NN_VOICE_WISHES_MAX 64u  /* words to the server that wait */
#define NN_VOICE_WISH_BYTES 10u
#define NN_VOICE_REPORT_US 400000u     /* between two reports of one listener .. */
#define NN_VOICE_REPORT_SOON_US 60000u /* .. and where a loss was just seen */
#define NN_VOICE_SILENT_US 300000u     /* without sound: SILENT */
#define NN_VOICE_IDLE_US 10000000u     /* then a speaker's decoder is given back */

/* First byte of a CONTROL message, beside those of nn_connection.h. */
#define NN_CONTROL_VOICE_WISH 7   /* from a client: what (1), of whom (8) */
#define NN_CONTROL_VOICE_STREAM 8 /* from a server: number (4), stream of its sender (1), sender (8); 0xff: forget it */
#define NN_CONTROL_VOICE_GROUP 9  /* from a server: group (4), kind (1), flags (1), other user of a whisper (8) */

typedef enum nn_voice_wish {
    NN_VOICE_WISH_DEAF = 1,
    NN_VOICE_WISH_HEAR = 2,
    NN_VOICE_WISH_MUTE = 3, /* somebody */
    NN_VOICE_WISH_UNMUTE = 4,
    NN_VOICE_WISH_WHISPER = 5,
    NN_VOICE_WISH_END_WHISPER = 6
} nn_voice_wish;

#define NN_VOICE_MEMBER 1u   /* flags of VOICE_GROUP: this player is in it; else no longer */
#define NN_VOICE_SILENCED 2u /* and is not forwarded */

/* A stream that is heard. */
typedef struct nn_voice_speaker {
    nn_voice_jitter jitter;
    nn_voice_opener opener;
    uint32_t number;
    uint8_t kind;
    bool is_used;
    bool is_loopback;
    bool is_speaking;
    bool key_told;
    nn_voice_gain gain;
    uint64_t heard_us;   /* when its last packet came */
    uint64_t audible_us; /* when it was last heard */
    uint64_t user;       /* as told by SPEAKING */
} nn_voice_speaker;

/* What the server said of a number. */
typedef struct nn_voice_name {
    uint64_t user;
    uint32_t number;
    uint8_t stream;
} nn_voice_name;

typedef struct nn_voice_user {
    uint64_t user;
    float volume;
    float position[3];
    bool has_position;
} nn_voice_user;

typedef struct nn_voice_membership {
    uint32_t group; /* 0 free */
    uint8_t kind;
    bool is_silenced;
    uint64_t user;
} nn_voice_membership;

struct necpnet_voice {
    necpnet_voice_config config;
    nn_alloc alloc;
    nn_blocks blocks;
    const nn_voice_codec* codec; /* NULL: EXTERNAL */
    nn_voice_keys keys;
    nn_voice_send* sends[NECPNET_VOICE_STREAMS_MAX];
    uint32_t send_groups[NECPNET_VOICE_STREAMS_MAX]; /* 0 nobody */
    bool has_group[NECPNET_VOICE_STREAMS_MAX];       /* it was chosen */
    bool was_open[NECPNET_VOICE_STREAMS_MAX];
    uint32_t next_send;
    nn_voice_speaker* speakers[NN_VOICE_SPEAKERS_MAX]; /* made when first used */
    uint64_t dropped_speakers;                         /* packets refused for want of a place */
    nn_voice_name* names;                              /* by rising number */
    uint32_t name_count, name_capacity;
    nn_voice_user* users; /* by rising user */
    uint32_t user_count, user_capacity;
    nn_voice_membership groups[NECPNET_VOICE_GROUPS_OF_ONE_MAX + NECPNET_VOICE_WHISPERS_MAX];
    nn_voice_listener listener;
    bool is_connected;
    bool is_muted, is_deafened, is_loopback;
    uint64_t now_us;
    /* out */
    uint8_t wishes[NN_VOICE_WISHES_MAX][NN_VOICE_WISH_BYTES];
    uint32_t wish_first, wish_count;
    uint64_t report_at_us;
    /* the mixer's remains */
    float mixed[NN_VOICE_MIX_FRAMES * 2 * 2 + 64]; /* at 96,000 Hz, stereo */
    uint32_t mixed_at, mixed_count;                /* frames of output_channels */
    float limit_gain;
    nn_resampler* resampler;
    /* events */
    necpnet_voice_event events[NN_VOICE_EVENTS_MAX];
    uint32_t event_first, event_count;
    nn_voice_jitter_counts gone; /* of speakers that are no more */
};

/* nn_voice_connected - a session began, or goes on (resumed); nn_voice_disconnected - it is over: groups and names are. */
NN_PRIVATE void nn_voice_connected(necpnet_voice* voice, bool resumed, uint64_t now_us);
NN_PRIVATE void nn_voice_disconnected(necpnet_voice* voice);

/* nn_voice_ready - whether nn_voice_write would write; nn_voice_deadline_us - when it will. */
NN_PRIVATE bool nn_voice_ready(const necpnet_voice* voice, uint64_t now_us);
NN_PRIVATE uint64_t nn_voice_deadline_us(const necpnet_voice* voice);

/* nn_voice_write_frames - VOICE and VOICE_REPORT frames that fit. Returns whether any. */
NN_PRIVATE bool nn_voice_write_frames(necpnet_voice* voice, nn_writer* writer, uint64_t now_us);

/* nn_voice_read_frame - behind the type byte. False: malformed. */
NN_PRIVATE bool nn_voice_read_frame(necpnet_voice* voice, uint8_t type, nn_reader* reader, uint64_t now_us);

/* nn_voice_take_control - NN_CONTROL_VOICE_*. False: malformed. */
NN_PRIVATE bool nn_voice_take_control(necpnet_voice* voice, uint8_t kind, const uint8_t* data, size_t bytes);

/* nn_voice_next_control - the next word to the server, kind included; NULL none. nn_voice_drop_control - it was taken. */
NN_PRIVATE const uint8_t* nn_voice_next_control(const necpnet_voice* voice);
NN_PRIVATE void nn_voice_drop_control(necpnet_voice* voice);

/* Between the files of the voice. */
NN_PRIVATE void nn_voice_push_event(necpnet_voice* voice, const necpnet_voice_event* event);
NN_PRIVATE const nn_voice_name* nn_voice_find_name(const necpnet_voice* voice, uint32_t number);
NN_PRIVATE nn_voice_user* nn_voice_find_user(const necpnet_voice* voice, uint64_t user);
NN_PRIVATE necpnet_result nn_voice_wish_for(necpnet_voice* voice, nn_voice_wish wish, uint64_t user);
NN_PRIVATE void nn_voice_hear_self(necpnet_voice* voice, uint64_t now_us);
NN_PRIVATE void nn_voice_forget_speaker(necpnet_voice* voice, nn_voice_speaker* speaker);

#endif

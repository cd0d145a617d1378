/* channels.h - voice channels and who is in which: the machine behind the switchboard. No lock, no store, no network; the caller
 * brings the time. Users are known by their subject and by their client id, a hash of it.
 */
#ifndef SERVER_VOICE_CHANNELS_H
#define SERVER_VOICE_CHANNELS_H

#include "necpnet.h"

#define CHANNELS_ID_BYTES_MAX 64    /* letters, digits, _ and - : they stand in names of topics */
#define CHANNELS_NAME_BYTES_MAX 255 /* of a channel */
#define CHANNELS_USER_BYTES_MAX 255 /* a subject */
#define CHANNELS_MEMBERS_MAX 10000  /* of one channel */
#define CHANNELS_OF_USER_MAX 8      /* channels that one user is in at a time */
#define CHANNELS_OWNED_MAX 32       /* channels that one player owns */
#define CHANNELS_INVITED_MAX 256    /* at once, to one channel */
#define CHANNELS_UUID_BYTES 37

typedef enum channel_type {
    CHANNEL_GUILD = 0,  /* members of its guild */
    CHANNEL_PARTY = 1,  /* who knows its id */
    CHANNEL_GLOBAL = 2, /* everybody */
    CHANNEL_PRIVATE = 3 /* who is invited */
} channel_type;

typedef enum channel_role { CHANNEL_MEMBER = 0, CHANNEL_MODERATOR = 1, CHANNEL_OWNER = 2 } channel_role;

/* What sound goes through it. */
typedef struct channel_sound {
    bool is_game;         /* the sound of a game, not of people */
    uint32_t sample_rate; /* Hz */
    uint32_t channels;    /* 1 or 2 */
    uint32_t bitrate;     /* bits a second of one sender */
    uint32_t frame_ms;
} channel_sound;

struct channel_member;

typedef struct channel_invitation {
    char id[CHANNELS_UUID_BYTES];
    uint64_t client_id;
    char* subject;
    struct channel_invitation* next;
} channel_invitation;

typedef struct channel {
    char id[CHANNELS_ID_BYTES_MAX + 1];
    uint64_t number; /* of this process; never used again */
    char* name;
    channel_type type;
    char* guild; /* "" if none */
    char* owner; /* a subject */
    uint64_t owner_id;
    channel_sound sound;
    uint32_t max_users;
    bool is_active;
    uint64_t created_us; /* wall time */
    uint64_t updated_us;
    struct channel_member* first; /* in the order of joining */
    struct channel_member* last;
    uint32_t count;
    channel_invitation* invited;
    uint32_t invited_count;
} channel;

/* Somebody who is in a channel, or is connected. */
typedef struct channel_user {
    struct channel_user* next;
    uint64_t client_id;
    char* subject; /* NULL: not known */
    struct channel_member* members[CHANNELS_OF_USER_MAX];
    uint32_t member_count;
    uint32_t owned;      /* channels */
    uint32_t sessions;   /* connections, of all workers */
    uint64_t workers;    /* bit a worker that has one of them */
    uint16_t* by_worker; /* how many each has; NULL before the first */
    uint64_t seen_us;    /* wall time of the last act in a channel */
} channel_user;

typedef struct channel_member {
    char id[CHANNELS_UUID_BYTES];
    channel* of;
    channel_user* user;
    channel_role role;
    bool is_muted;
    bool is_deafened;
    bool may_speak; /* false: only listens until a moderator lets him */
    uint64_t joined_us;
    int quality; /* of that report; -1 none */
    struct channel_member* next;
    struct channel_member* before;
} channel_member;

typedef struct channels {
    channel** items; /* by id */
    uint32_t count;
    uint32_t room;
    uint32_t channels_max;
    uint32_t workers_max;
    uint64_t number_last;
    uint32_t participants;
    channel_user** users; /* chains by client id */
} channels;

necpnet_result channels_create(uint32_t channels_max, uint32_t workers_max, channels** out_all);
void channels_destroy(channels* all);

/* What a channel is made of; texts are copied. */
typedef struct channel_wish {
    const char* id;
    const char* name;
    channel_type type;
    const char* guild; /* "" if none */
    const char* owner;
    uint64_t owner_id;
    channel_sound sound;
    uint32_t max_users;
    bool is_active;
    bool is_unlimited; /* its owner may own any number */
    uint64_t created_us;
    uint64_t updated_us;
} channel_wish;

/* channels_open - a channel without members.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT (id, type, max_users, sound) | ERR_ALREADY_EXISTS | ERR_LIMIT_REACHED (channels_max,
 *          CHANNELS_OWNED_MAX) | ERR_OUT_OF_MEMORY */
necpnet_result channels_open(channels* all, const channel_wish* wish, channel** out_channel);

/* channels_close - its members and invitations end, too. */
void channels_close(channels* all, channel* at);

/* channels_find - NULL: there is none. channels_after - the first behind an id ("": of all); NULL: none. */
channel* channels_find(const channels* all, const char* id);
channel* channels_after(const channels* all, const char* id);

/* channels_give - another owner. OK | ERR_OUT_OF_MEMORY | ERR_LIMIT_REACHED */
necpnet_result channels_give(channels* all, channel* at, uint64_t client_id, const char* subject);

/* channels_rename - OK | ERR_OUT_OF_MEMORY */
necpnet_result channels_rename(channel* at, const char* name);

typedef struct channel_entrance {
    const char* id; /* of the member */
    uint64_t client_id;
    const char* subject;
    channel_role role;
    bool may_speak;
    uint64_t joined_us;
} channel_entrance;

/* channels_join - in. Whether he may is the caller's to know.
 *
 *   out_member  also set by ERR_ALREADY_EXISTS.
 *
 * Returns  OK | ERR_ALREADY_EXISTS | ERR_REFUSED (not active) | ERR_WOULD_BLOCK (full) | ERR_LIMIT_REACHED
 *          (CHANNELS_OF_USER_MAX) | ERR_OUT_OF_MEMORY */
necpnet_result channels_join(channels* all, channel* at, const channel_entrance* entrance, channel_member** out_member);
void channels_leave(channels* all, channel_member* member);

/* channels_member - NULL: he is not in it. channels_member_named - by subject. */
channel_member* channels_member(const channels* all, const channel* at, uint64_t client_id);
channel_member* channels_member_named(const channel* at, const char* subject);

/* channels_invite - OK | ERR_ALREADY_EXISTS | ERR_LIMIT_REACHED | ERR_OUT_OF_MEMORY */
necpnet_result channels_invite(channel* at, const char* id, uint64_t client_id, const char* subject);
channel_invitation* channels_invitation(const channel* at, uint64_t client_id);
void channels_uninvite(channel* at, channel_invitation* invitation);

/* channels_user - NULL: neither in a channel nor connected. */
channel_user* channels_user(const channels* all, uint64_t client_id);

/* channels_connect - a connection of a user came to a worker. OK | ERR_OUT_OF_MEMORY. channels_disconnect - and went.
 * Returns whether it was his last of all. */
necpnet_result channels_connect(channels* all, uint64_t client_id, uint32_t worker);
bool channels_disconnect(channels* all, uint64_t client_id, uint32_t worker);

/* channels_each_user - all users, in no order that means anything; visit may let them leave channels. */
void channels_each_user(channels* all, void (*visit)(channels* all, channel_user* user, void* context), void* context);

bool channels_id_is_right(const char* id);
const char* channels_type_name(channel_type type);
const char* channels_role_name(channel_role role);

#endif

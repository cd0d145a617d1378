/* crafting_feed_inside.h - what the feed's files share. */
#ifndef SERVER_CRAFTING_FEED_INSIDE_H
#define SERVER_CRAFTING_FEED_INSIDE_H

#include "crafting_feed.h"

#define FEED_SLOTS 1024   /* of a millisecond each */
#define FEED_TURNS_MAX 64 /* followers told before what they were told is sent */
#define FEED_HEADS 16384
#define FEED_CLIENTS 4096
#define FEED_STILL_US 1000000u
#define FEED_MESSAGE_BYTES 6144 /* of JSON: 32 materials with long names */
#define FEED_CLOSE_EXPIRED 4002 /* as the gateway's */

struct feed_follower {
    edge_guest guest; /* first: the user data of a WebSocket */
    crafting_feed* owner;
    feed_follower* chain;               /* of those with the same hash of what they follow */
    feed_follower* client_next;         /* of those WebSockets whose users have the same hash */
    feed_follower* mine;                /* of those of one session of the gateway */
    feed_follower* slot_next;           /* of those in one slot of the wheel */
    feed_follower** slot_link;          /* NULL: in none */
    crafting_session* session;          /* NULL: a player's queue */
    necpnet_web_connection* connection; /* NULL: by sink */
    crafting_sink sink;
    crafting_base base; /* what a receiver of packets builds upon */
    uint64_t due_us;
    uint64_t whole_us; /* when the next whole one is due */
    uint64_t expires_us;
    uint64_t client_id;
    uint64_t token_key; /* of the JWT of a WebSocket of its own; 0: none */
    uint64_t issued_us;
    uint32_t period_us;
    uint32_t phase_us; /* before its second turn */
    uint32_t sequence;
    uint32_t version; /* of the course that it was told; 0: none */
    uint32_t material_version;
    uint8_t number;
    bool closing;
    uint16_t amounts[CRAFTING_MATERIALS_MAX]; /* of materials, as it was told */
    char player[];                            /* whose queue */
};

struct crafting_feed {
    services* known;
    crafting* all;
    int index;
    int listener;
    void (*announce)(void* user, const crafting_news* news);
    void* announce_user;
    necpnet_web_handlers handlers;
    feed_follower* slots[FEED_SLOTS];
    feed_follower* heads[FEED_HEADS];
    feed_follower* clients[FEED_CLIENTS];
    feed_follower* current; /* whose turn it is; NULL once it ended */
    uint64_t wheel_ms;      /* the last millisecond whose turns were taken */
    uint64_t now_us;
    uint64_t turn_us; /* of crafting_turn */
    uint32_t spread;
    uint32_t sockets;
    bool queued;
    bool draining;
    board_crafting figures;
    char refusal[320]; /* of an upgrade, until it is answered */
};

/* A follower of a session (which is held, and released by feed_remove) or of a player's queue. NULL: no memory. */
feed_follower* feed_add(crafting_feed* at, crafting_session* session, const char* player, uint32_t hz);
void feed_remove(feed_follower* one);

/* crafting_sockets.c */
void feed_begin_sockets(crafting_feed* at);

#endif

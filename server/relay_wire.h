/* relay_wire.h - what relays of two nodes say to each other: one form for all kinds, numbers with the lowest byte first.
 *
 *     version u8 = 1, kind u8, hops u8, code u8, name_bytes u8, origin u64, number u64, epoch u64, offset u64, base u64, name, data
 */
#ifndef SERVER_RELAY_WIRE_H
#define SERVER_RELAY_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "text.h"
#include "topics.h"

#define RELAY_PART_BYTES (128u << 10) /* of a history, in one message; one that is larger goes alone */

typedef enum relay_kind {
    RELAY_SEEN = 1,    /* number: of the table */
    RELAY_SETTLED = 2, /* number: of the table */
    RELAY_PUBLISH = 3, /* number, name, data: a message; code 1: origin wants to know what became of it */
    RELAY_TAKEN = 4,   /* number, code, epoch, offset: what became of it */
    RELAY_FOLLOW = 5,  /* name, epoch, offset: what origin has */
    RELAY_UNFOLLOW = 6,
    RELAY_WHOLE = 7,   /* name, epoch, base: before the first item, offset: the newest of all parts; data: messages */
    RELAY_MESSAGE = 8, /* name, epoch, offset, data */
    RELAY_HAND = 9,    /* as WHOLE, to the new owner */
    RELAY_LEFT = 10,
    RELAY_KINDS
} relay_kind;

typedef struct relay_message {
    relay_kind kind;
    uint8_t hops; /* nodes that passed it on */
    uint8_t code; /* relay_result */
    uint64_t origin;
    uint64_t number;
    topics_position position;
    uint64_t base;
    char name[TOPICS_NAME_BYTES_MAX + 1]; /* "" or a topic's */
    const uint8_t* data;                  /* a view */
    size_t bytes;
} relay_message;

void relay_write(text* out, const relay_message* message);

/* relay_read - false: it is none, or its name is no topic's. */
bool relay_read(const void* data, size_t bytes, relay_message* out);

/* relay_put_item, relay_next_item - messages in the data of WHOLE and HAND. */
void relay_put_item(text* out, const void* item, size_t bytes);
bool relay_next_item(const uint8_t** at, size_t* left, const uint8_t** out_item, size_t* out_bytes);

#endif

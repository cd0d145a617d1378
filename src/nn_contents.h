/* nn_contents - what a sent packet carried, remembered by its packet number until it is acknowledged or lost. */
#ifndef NN_CONTENTS_H
#define NN_CONTENTS_H

#include "nn_base.h"

#define NN_CONTENTS_FRAMES_MAX 8 /* a packet with more frames to remember is closed and the next begun */

/* Below 16: the session's. The others belong to who wrote the frame. */
typedef enum nn_sent_kind {
    NN_SENT_NONE = 0,
    NN_SENT_MESSAGES = 1, /* channel; id: first message; value: how many follow each other (1 ..) */
    NN_SENT_FRAGMENT = 2, /* channel; id: message; value: first unit | count of units << 17 */
    NN_SENT_CREDIT = 3,   /* channel; value: low 32 bits of the limit */
    NN_SENT_RECEIVED = 4, /* nothing more */
    NN_SENT_STATE = 16,   /* value: record of the follower */
    NN_SENT_INPUT = 17,
    NN_SENT_INPUT_ACK = 18,
    NN_SENT_VOICE = 19,
    NN_SENT_WRITE = 20, /* value: frame of nn_writes */
    NN_SENT_ACK = 32,   /* value: low 32 bits of the largest packet number acknowledged */
    NN_SENT_PING = 33,
    NN_SENT_PATH = 34,
    NN_SENT_SETUP = 35,
    NN_SENT_CLOSE = 36,
    NN_SENT_SIZE_PROBE = 40 /* value: bytes of the datagram. Its loss says nothing of congestion */
} nn_sent_kind;

#define NN_SENT_SESSION_END 16 /* kinds below belong to the session */

typedef struct nn_sent_frame {
    uint8_t kind; /* nn_sent_kind */
    uint8_t channel;
    uint16_t id;
    uint32_t value;
} nn_sent_frame;

typedef struct nn_contents {
    uint8_t count;
    bool is_copied; /* it holds a reliable message that the next packet repeats: see nn_recovery_doubt */
    nn_sent_frame frames[NN_CONTENTS_FRAMES_MAX]; /* the first count are set */
} nn_contents;

/* nn_contents_init - nothing yet. */
NN_INLINE void nn_contents_init(nn_contents* contents)
{
    contents->count = 0;
    contents->is_copied = false;
}

/* nn_contents_full - whether nothing more may be recorded. NULL (ordered transport) is never full. */
NN_INLINE bool nn_contents_full(const nn_contents* contents)
{
    return contents && contents->count == NN_CONTENTS_FRAMES_MAX;
}

/* nn_contents_add - record a frame; not when full. NULL does nothing. */
NN_INLINE void nn_contents_add(nn_contents* contents, nn_sent_kind kind, uint8_t channel, uint16_t id, uint32_t value)
{
    if (!contents) return;
    NN_ASSERT(contents->count < NN_CONTENTS_FRAMES_MAX);
    nn_sent_frame* frame = &contents->frames[contents->count++];
    frame->kind = (uint8_t)kind;
    frame->channel = channel;
    frame->id = id;
    frame->value = value;
}

#endif

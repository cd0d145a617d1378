/* nn_runner - the inside of necpnet_runner: what the game's thread and the I/O thread share.
 *
 * Commands go down one ring, events and what feeds the view come up another. A record that carries more than a quarter of
 * its ring has its bytes elsewhere, in a block of the allocator's that the reader gives back. Figures that the game asks
 * for at any time stand in one struct under a sequence lock.
 */
#ifndef NN_RUNNER_H
#define NN_RUNNER_H

#include "nn_client.h"
#include "nn_ring.h"
#include "nn_schema_map.h"
#include "nn_socket.h"
#include "nn_view.h"

#if !defined(__EMSCRIPTEN__)

#define NN_RUNNER_WAIT_US 1000000u    /* at most between two updates */
#define NN_RUNNER_WAIT_BLIND_US 1000u /* with a transport that cannot be woken */
#define NN_RUNNER_RESERVE_BYTES 1024u /* of the ring of commands, for a disconnect: at most 300 */
#define NN_RUNNER_BEHIND_MAX 8        /* rings full of state frames that wait for a game that does not poll */

typedef enum nn_runner_kind {
    NN_RUNNER_CONNECT = 0, /* commands: urls, each with its NUL */
    NN_RUNNER_TOKEN = 1,
    NN_RUNNER_DISCONNECT = 2,
    NN_RUNNER_SEND = 3,
    NN_RUNNER_INPUT = 4,
    NN_RUNNER_EVENT = 5, /* reports */
    NN_RUNNER_STATE = 6, /* a STATE frame, from its length on */
    NN_RUNNER_CLOCK = 7,
    NN_RUNNER_RESET = 8,
    NN_RUNNER_RENEW = 9,
    NN_RUNNER_FOLLOW = 10,   /* nn_schema_describe of the server's schema; without bytes: it is ours */
    NN_RUNNER_WRITE = 11,    /* a command: a write of an entity, or (number 0) a CONTROL message */
    NN_RUNNER_CONTROL = 12,  /* a CONTROL message about states */
    NN_RUNNER_WRITTEN = 13,  /* a write has arrived */
    NN_RUNNER_VARIABLES = 14 /* a message about variables */
} nn_runner_kind;

/* One record of a ring. Behind it (or elsewhere) stand name, text and data, each as long as it says; texts have a NUL. */
typedef struct nn_runner_record {
    uint32_t kind;
    uint32_t bytes; /* of all that follows */
    uint8_t* elsewhere;
    uint32_t name_bytes; /* with NUL; 0: none */
    uint32_t text_bytes;
    uint32_t data_bytes;
    union {
        struct {
            int channel;
            uint32_t tick;
            uint32_t code;
            uint32_t linger_ms;
            int url_count;
            uint64_t wall_us;
            uint32_t entity;
            uint32_t number;
            necpnet_send_options options;
        } command;
        necpnet_event event;
        struct {
            uint64_t at_us;
            int64_t offset_us;
            uint32_t tick_hz;
            uint32_t entity;
            uint32_t number;
        } feed;
    } as;
} nn_runner_record;

/* Reports that did not fit the ring, in order; the I/O thread's. */
typedef struct nn_runner_behind {
    struct nn_runner_behind* next;
    size_t bytes; /* of the block */
    nn_runner_record record;
} nn_runner_behind;

/* What the I/O thread publishes. Words, so that the sequence lock may copy it atomically word by word. */
typedef struct nn_runner_figures {
    necpnet_statistics statistics;
    int64_t offset_us;
    uint32_t tick_hz;
    uint32_t lead_us;
    uint32_t has_clock;
    uint32_t state;
    uint32_t commands_done; /* of those that change the state */
    uint32_t sends_dropped;
} nn_runner_figures;

#define NN_RUNNER_FIGURE_WORDS ((sizeof(nn_runner_figures) + 3) / 4)

struct necpnet_runner {
    necpnet_allocator allocator; /* of blocks that change threads */
    nn_alloc alloc;              /* the game's */
    necpnet_logger logger;
    necpnet_client* client; /* the I/O thread's while it runs */
    necpnet_view* view;     /* the game's */
    const necpnet_transport* own_transport;
    nn_thread thread;
    bool started;
    bool blind; /* a transport of the application's: cannot be woken */
    uint8_t modes[NECPNET_CHANNELS_MAX];
    uint32_t message_bytes_max[NECPNET_CHANNELS_MAX];
    int channel_count;

    nn_ring commands;
    nn_ring reports;
    uint32_t commands_asked; /* the game's: of those that change the state */
    bool holds_report;       /* the game's: the record of the last poll is still viewed */

    uint32_t stop;        /* atomic */
    uint32_t starved;     /* atomic: reports wait for room */
    uint32_t disconnects; /* atomic: waiting in commands; a send that is blocked gives way to them */
    uint32_t view_failed; /* atomic: a necpnet_result, negated, of nn_view_read */
    uint32_t sequence;    /* atomic: odd while figures are written */
    uint32_t figures[NN_RUNNER_FIGURE_WORDS];

    nn_runner_behind* behind_first; /* the I/O thread's from here on */
    nn_runner_behind* behind_last;
    size_t behind_bytes;
    nn_alloc io_alloc;
    nn_runner_figures own;
};

/* nn_runner_block, nn_runner_block_free - memory that changes threads. */
NN_PRIVATE void* nn_runner_block(necpnet_runner* runner, size_t bytes);
NN_PRIVATE void nn_runner_block_free(necpnet_runner* runner, void* block, size_t bytes);

/* nn_runner_payload - the bytes behind a record, wherever they are. */
NN_PRIVATE uint8_t* nn_runner_payload(nn_runner_record* record);

/* nn_runner_write - one record with up to three pieces; their lengths stand in the record.
 *
 * OK | ERR_WOULD_BLOCK (ring full) | ERR_OUT_OF_MEMORY */
NN_PRIVATE necpnet_result nn_runner_write(necpnet_runner* runner, nn_ring* ring, nn_runner_record* record,
                                          const void* name, const void* text, const void* data);

/* nn_runner_drop_elsewhere - give back what a record that was read had elsewhere. */
NN_PRIVATE void nn_runner_drop_elsewhere(necpnet_runner* runner, nn_runner_record* record);

/* nn_runner_wake - end the I/O thread's wait; any thread. */
NN_PRIVATE void nn_runner_wake(necpnet_runner* runner);

/* nn_runner_thread - the I/O thread. */
NN_PRIVATE void nn_runner_run(void* user);
NN_PRIVATE void nn_runner_set_state_sink(necpnet_runner* runner);

/* nn_runner_set_view_out - what the view has to say goes through the ring of commands. */
NN_PRIVATE void nn_runner_set_view_out(necpnet_runner* runner);

NN_PRIVATE void nn_runner_publish(necpnet_runner* runner, uint64_t now_us);
NN_PRIVATE void nn_runner_drop_behind(necpnet_runner* runner);

#endif

#endif

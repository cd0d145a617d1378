/* nn_loop - the inside of necpnet_loop: descriptors by a poller, timers by a heap, posts by a ring. */
#ifndef NN_LOOP_H
#define NN_LOOP_H

#include "nn_deadlines.h"
#include "nn_net.h"
#include "nn_posts.h"

#if !defined(__EMSCRIPTEN__)

#define NN_LOOP_BATCH_MAX 256    /* descriptors handled in one step; the rest in the next */
#define NN_LOOP_TIMERS_MAX 65536 /* waiting at once */
#define NN_LOOP_TIMER_CHUNK 64
#define NN_LOOP_BUCKETS 256 /* of the application's watched descriptors */

#define NN_READABLE 1u
#define NN_WRITABLE 2u

/* One descriptor's interest; embedded in what owns it. Errors and hang-ups are reported as what was wished for. */
typedef struct nn_watch {
    void (*ready)(struct nn_watch* watch, unsigned what);
    int descriptor;
    uint32_t place; /* 1-based, in the poller; 0: not watched */
    uint8_t wishes; /* NN_READABLE | NN_WRITABLE */
} nn_watch;

typedef struct nn_ready {
    nn_watch* watch; /* NULL: unwatched since */
    unsigned what;
} nn_ready;

struct pollfd;

/* How a loop waits; a table for each backend. */
typedef struct nn_poller {
    necpnet_result (*open)(necpnet_loop* loop);
    void (*close)(necpnet_loop* loop);
    /* wishes 0 forgets the watch and cannot fail. */
    necpnet_result (*set)(necpnet_loop* loop, nn_watch* watch, unsigned wishes);
    /* fill loop->ready; timeout_us NN_NEVER waits for ever. */
    necpnet_result (*wait)(necpnet_loop* loop, uint64_t timeout_us);
} nn_poller;

typedef struct nn_loop_timer {
    nn_deadline deadline; /* first: the heap gives it back */
    uint32_t index;
    uint32_t generation;
    uint32_t next_free; /* 1-based */
    necpnet_loop_function function;
    void* user;
} nn_loop_timer;

typedef struct nn_loop_watcher {
    nn_watch watch; /* first */
    struct nn_loop_watcher* next;
    necpnet_loop_descriptor_function function;
    void* user;
} nn_loop_watcher;

struct necpnet_loop {
    nn_alloc alloc;
    const nn_poller* poller;
    bool stepping;

    int epoll_descriptor;  /* epoll */
    bool coarse;           /* epoll: no epoll_pwait2, milliseconds alone */
    struct pollfd* polled; /* poll: all descriptors, and their watches beside them */
    nn_watch** watches;
    uint32_t watch_count;
    uint32_t watch_capacity;
    uint32_t scan_at; /* poll: where the last scan ended, so that none starves */

    nn_ready ready[NN_LOOP_BATCH_MAX];
    uint32_t ready_count;
    uint32_t ready_at;

    nn_deadlines deadlines;
    nn_loop_timer** timer_chunks;
    uint32_t timer_chunk_count;
    uint32_t timer_free; /* 1-based */

    nn_loop_watcher* watchers[NN_LOOP_BUCKETS];

    void* buffers; /* nn_socket_buffers, of all transports on this loop */
    size_t buffers_bytes;

    nn_watch wake;
    int wake_write;
    uint32_t wake_sent; /* atomic: the wake descriptor has been written and not cleared */
    nn_posts posts;
};

NN_PRIVATE const nn_poller* nn_poller_epoll(void); /* NULL where there is none */
NN_PRIVATE const nn_poller* nn_poller_poll(void);

/* nn_loop_watch - begin, change or (wishes 0) end; ending cannot fail. May be called from a ready function. */
NN_PRIVATE necpnet_result nn_loop_watch(necpnet_loop* loop, nn_watch* watch, unsigned wishes);

/* nn_loop_wake - end the present or next wait at once; any thread. */
NN_PRIVATE void nn_loop_wake(necpnet_loop* loop);

#endif

#endif

/* nn_poller_poll - waiting by poll (WSAPoll on Windows): everywhere, at a cost that grows with all descriptors. */
#include "nn_loop.h"

#if !defined(__EMSCRIPTEN__)

#if !defined(_WIN32)
#include <errno.h>
#include <poll.h>
#include <time.h>
#endif

#define POLLER_CAPACITY_FIRST 16u

static necpnet_result poll_open(necpnet_loop* loop)
{
    (void)loop;
    return NECPNET_OK;
}

static void poll_shut(necpnet_loop* loop)
{
    nn_alloc_give(&loop->alloc, loop->polled, loop->watch_capacity * sizeof *loop->polled);
    nn_alloc_give(&loop->alloc, loop->watches, loop->watch_capacity * sizeof *loop->watches);
}

static necpnet_result poll_reserve(necpnet_loop* loop)
{
    if (loop->watch_count < loop->watch_capacity) return NECPNET_OK;
    uint32_t capacity = loop->watch_capacity ? loop->watch_capacity * 2 : POLLER_CAPACITY_FIRST;
    struct pollfd* polled = (struct pollfd*)nn_alloc_take(&loop->alloc, capacity * sizeof *polled);
    nn_watch** watches = (nn_watch**)nn_alloc_take(&loop->alloc, capacity * sizeof *watches);
    if (!polled || !watches) {
        nn_alloc_give(&loop->alloc, polled, capacity * sizeof *polled);
        nn_alloc_give(&loop->alloc, watches, capacity * sizeof *watches);
        return NECPNET_ERR_OUT_OF_MEMORY;
    }
    nn_copy(polled, loop->polled, loop->watch_count * sizeof *polled);
    nn_copy(watches, loop->watches, loop->watch_count * sizeof *watches);
    poll_shut(loop);
    loop->polled = polled;
    loop->watches = watches;
    loop->watch_capacity = capacity;
    return NECPNET_OK;
}

static necpnet_result poll_set(necpnet_loop* loop, nn_watch* watch, unsigned wishes)
{
    if (wishes == 0) {
        uint32_t index = watch->place - 1;
        uint32_t last = --loop->watch_count;
        loop->polled[index] = loop->polled[last];
        loop->watches[index] = loop->watches[last];
        loop->watches[index]->place = index + 1;
        watch->place = 0;
        return NECPNET_OK;
    }
    if (watch->place == 0) {
        necpnet_result result = poll_reserve(loop);
        if (result != NECPNET_OK) return result;
        loop->watches[loop->watch_count] = watch;
        watch->place = ++loop->watch_count;
    }
    struct pollfd* entry = &loop->polled[watch->place - 1];
    memset(entry, 0, sizeof *entry);
#if defined(_WIN32)
    entry->fd = (SOCKET)(unsigned)watch->descriptor;
#else
    entry->fd = watch->descriptor;
#endif
    short events = 0;
    if (wishes & NN_READABLE) events = (short)(events | POLLIN);
    if (wishes & NN_WRITABLE) events = (short)(events | POLLOUT);
    entry->events = events;
    return NECPNET_OK;
}

static int poll_system(necpnet_loop* loop, uint64_t timeout_us)
{
#if defined(__linux__)
    struct timespec time;
    time.tv_sec = (time_t)(timeout_us / 1000000u);
    time.tv_nsec = (long)(timeout_us % 1000000u * 1000u);
    return ppoll(loop->polled, (nfds_t)loop->watch_count, timeout_us == NN_NEVER ? NULL : &time, NULL);
#else
    int timeout_ms = timeout_us == NN_NEVER ? -1 : (int)nn_min_u64((timeout_us + 999) / 1000, INT32_MAX);
#if defined(_WIN32)
    return WSAPoll(loop->polled, (ULONG)loop->watch_count, timeout_ms);
#else
    return poll(loop->polled, (nfds_t)loop->watch_count, timeout_ms);
#endif
#endif
}

static necpnet_result poll_await(necpnet_loop* loop, uint64_t timeout_us)
{
    int count = poll_system(loop, timeout_us);
#if !defined(_WIN32)
    if (count < 0 && errno == EINTR) count = 0;
#endif
    if (count < 0) return nn_net_last(NULL);
    uint32_t at = loop->scan_at < loop->watch_count ? loop->scan_at : 0;
    for (uint32_t i = 0; i < loop->watch_count && count > 0 && loop->ready_count < NN_LOOP_BATCH_MAX; i++) {
        const struct pollfd* entry = &loop->polled[at];
        nn_watch* watch = loop->watches[at];
        if (++at == loop->watch_count) at = 0;
        if (!entry->revents) continue;
        unsigned what = 0;
        if (entry->revents & (POLLIN | POLLERR | POLLHUP | POLLNVAL)) what |= NN_READABLE;
        if (entry->revents & (POLLOUT | POLLERR | POLLHUP | POLLNVAL)) what |= NN_WRITABLE;
        loop->ready[loop->ready_count].watch = watch;
        loop->ready[loop->ready_count++].what = what & watch->wishes;
        count--;
    }
    loop->scan_at = at;
    return NECPNET_OK;
}

NN_PRIVATE const nn_poller* nn_poller_poll(void)
{
    static const nn_poller poller = {poll_open, poll_shut, poll_set, poll_await};
    return &poller;
}

#endif

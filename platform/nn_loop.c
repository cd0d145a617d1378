/* nn_loop - descriptors, timers and posts on one thread. */
#include "nn_loop.h"

#if !defined(__EMSCRIPTEN__)

NN_PRIVATE necpnet_result nn_loop_watch(necpnet_loop* loop, nn_watch* watch, unsigned wishes)
{
    if (wishes == watch->wishes) return NECPNET_OK;
    necpnet_result result = loop->poller->set(loop, watch, wishes);
    if (result != NECPNET_OK) return result;
    watch->wishes = (uint8_t)wishes;
    if (wishes == 0) { /* what this step found may name it */
        for (uint32_t i = loop->ready_at; i < loop->ready_count; i++) {
            if (loop->ready[i].watch == watch) loop->ready[i].watch = NULL;
        }
    }
    return NECPNET_OK;
}

NN_PRIVATE void nn_loop_wake(necpnet_loop* loop)
{
    if (nn_atomic_exchange(&loop->wake_sent, 1) == 0) nn_net_wake_write(loop->wake_write);
}

static void loop_woken(nn_watch* watch, unsigned what)
{
    (void)what;
    necpnet_loop* loop = (necpnet_loop*)(void*)((char*)watch - offsetof(struct necpnet_loop, wake));
    nn_net_wake_clear(watch->descriptor);
    nn_atomic_exchange(&loop->wake_sent, 0); /* then the posts are read: one that comes later writes again */
}

necpnet_result necpnet_loop_create(const necpnet_allocator* allocator, necpnet_loop_backend backend,
                                   necpnet_loop** out_loop)
{
    if (!out_loop || (backend != NECPNET_LOOP_BEST && backend != NECPNET_LOOP_POLL))
        return NECPNET_ERR_INVALID_ARGUMENT;
    nn_alloc alloc;
    nn_alloc_init(&alloc, allocator);
    necpnet_loop* loop = (necpnet_loop*)nn_alloc_take(&alloc, sizeof *loop);
    if (!loop) return NECPNET_ERR_OUT_OF_MEMORY;
    loop->alloc = alloc;
    nn_deadlines_init(&loop->deadlines, &loop->alloc);
    nn_posts_init(&loop->posts);
    loop->poller = backend == NECPNET_LOOP_BEST ? nn_poller_epoll() : NULL;
    if (!loop->poller) loop->poller = nn_poller_poll();
    bool started = nn_net_start();
    necpnet_result result = started ? loop->poller->open(loop) : NECPNET_ERR_IO;
    bool opened = result == NECPNET_OK;
    loop->wake.descriptor = NN_NET_NONE;
    loop->wake.ready = loop_woken;
    if (opened) result = nn_net_wake_open(&loop->wake.descriptor, &loop->wake_write);
    if (result == NECPNET_OK) result = nn_loop_watch(loop, &loop->wake, NN_READABLE);
    if (result != NECPNET_OK) {
        if (loop->wake.descriptor != NN_NET_NONE) nn_net_wake_close(loop->wake.descriptor, loop->wake_write);
        if (opened) loop->poller->close(loop);
        if (started) nn_net_stop();
        alloc = loop->alloc;
        nn_alloc_give(&alloc, loop, sizeof *loop);
        return result;
    }
    *out_loop = loop;
    return NECPNET_OK;
}

void necpnet_loop_destroy(necpnet_loop* loop)
{
    if (!loop) return;
    for (size_t i = 0; i < NN_LOOP_BUCKETS; i++) {
        while (loop->watchers[i]) {
            nn_loop_watcher* watcher = loop->watchers[i];
            loop->watchers[i] = watcher->next;
            nn_loop_watch(loop, &watcher->watch, 0);
            nn_alloc_give(&loop->alloc, watcher, sizeof *watcher);
        }
    }
    for (uint32_t i = 0; i < loop->timer_chunk_count; i++) {
        nn_alloc_give(&loop->alloc, loop->timer_chunks[i], NN_LOOP_TIMER_CHUNK * sizeof(nn_loop_timer));
    }
    nn_alloc_give(&loop->alloc, loop->timer_chunks, NN_LOOP_TIMERS_MAX / NN_LOOP_TIMER_CHUNK * sizeof(nn_loop_timer*));
    nn_deadlines_reset(&loop->deadlines);
    nn_alloc_give(&loop->alloc, loop->buffers, loop->buffers_bytes);
    nn_loop_watch(loop, &loop->wake, 0);
    nn_net_wake_close(loop->wake.descriptor, loop->wake_write);
    loop->poller->close(loop);
    nn_net_stop();
    nn_alloc alloc = loop->alloc;
    nn_alloc_give(&alloc, loop, sizeof *loop);
}

/* ---- timers -- */

static nn_loop_timer* loop_timer_at(const necpnet_loop* loop, uint32_t index)
{
    return &loop->timer_chunks[index / NN_LOOP_TIMER_CHUNK][index % NN_LOOP_TIMER_CHUNK];
}

static void loop_timer_release(necpnet_loop* loop, nn_loop_timer* timer)
{
    timer->generation++;
    timer->function = NULL;
    timer->next_free = loop->timer_free;
    loop->timer_free = timer->index + 1;
}

/* Room for NN_LOOP_TIMER_CHUNK more timers, in the heap as well. */
static necpnet_result loop_timers_grow(necpnet_loop* loop)
{
    uint32_t chunks_max = NN_LOOP_TIMERS_MAX / NN_LOOP_TIMER_CHUNK;
    if (loop->timer_chunk_count == chunks_max) return NECPNET_ERR_OUT_OF_MEMORY;
    if (!loop->timer_chunks) {
        loop->timer_chunks = (nn_loop_timer**)nn_alloc_take(&loop->alloc, chunks_max * sizeof(nn_loop_timer*));
        if (!loop->timer_chunks) return NECPNET_ERR_OUT_OF_MEMORY;
    }
    uint32_t first = loop->timer_chunk_count * NN_LOOP_TIMER_CHUNK;
    necpnet_result result = nn_deadlines_reserve(&loop->deadlines, first + NN_LOOP_TIMER_CHUNK);
    if (result != NECPNET_OK) return result;
    nn_loop_timer* chunk = (nn_loop_timer*)nn_alloc_take(&loop->alloc, NN_LOOP_TIMER_CHUNK * sizeof *chunk);
    if (!chunk) return NECPNET_ERR_OUT_OF_MEMORY;
    loop->timer_chunks[loop->timer_chunk_count++] = chunk;
    for (uint32_t i = NN_LOOP_TIMER_CHUNK; i > 0; i--) {
        chunk[i - 1].index = first + i - 1;
        loop_timer_release(loop, &chunk[i - 1]);
    }
    return NECPNET_OK;
}

necpnet_result necpnet_loop_after(necpnet_loop* loop, uint64_t delay_us, necpnet_loop_function function, void* user,
                                  necpnet_loop_timer* out_timer)
{
    if (!loop || !function) return NECPNET_ERR_INVALID_ARGUMENT;
    if (loop->timer_free == 0) {
        necpnet_result result = loop_timers_grow(loop);
        if (result != NECPNET_OK) return result;
    }
    nn_loop_timer* timer = loop_timer_at(loop, loop->timer_free - 1);
    loop->timer_free = timer->next_free;
    timer->function = function;
    timer->user = user;
    uint64_t now_us = necpnet_time_us();
    uint64_t at_us = delay_us < NN_NEVER - 1 - now_us ? now_us + delay_us : NN_NEVER - 1;
    nn_deadlines_set(&loop->deadlines, &timer->deadline, at_us);
    if (out_timer) *out_timer = (uint64_t)timer->generation << 32 | timer->index;
    return NECPNET_OK;
}

necpnet_result necpnet_loop_cancel(necpnet_loop* loop, necpnet_loop_timer timer)
{
    if (!loop) return NECPNET_ERR_INVALID_ARGUMENT;
    uint32_t index = (uint32_t)timer;
    if (index >= loop->timer_chunk_count * NN_LOOP_TIMER_CHUNK) return NECPNET_ERR_NOT_FOUND;
    nn_loop_timer* found = loop_timer_at(loop, index);
    if (found->generation != (uint32_t)(timer >> 32) || !found->function) return NECPNET_ERR_NOT_FOUND;
    nn_deadlines_set(&loop->deadlines, &found->deadline, NN_NEVER);
    loop_timer_release(loop, found);
    return NECPNET_OK;
}

/* Timers that are due at the step's time; one that a timer sets for now waits for the next step. */
static void loop_run_timers(necpnet_loop* loop)
{
    if (nn_deadlines_next(&loop->deadlines) == NN_NEVER) return;
    uint64_t now_us = necpnet_time_us();
    for (;;) {
        nn_loop_timer* timer = (nn_loop_timer*)(void*)nn_deadlines_take(&loop->deadlines, now_us);
        if (!timer) return;
        necpnet_loop_function function = timer->function;
        void* user = timer->user;
        loop_timer_release(loop, timer);
        function(user);
    }
}

/* ---- posts -- */

necpnet_result necpnet_loop_post(necpnet_loop* loop, necpnet_loop_function function, void* user)
{
    if (!loop || !function) return NECPNET_ERR_INVALID_ARGUMENT;
    if (!nn_posts_push(&loop->posts, function, user)) return NECPNET_ERR_WOULD_BLOCK;
    nn_loop_wake(loop);
    return NECPNET_OK;
}

static void loop_run_posts(necpnet_loop* loop)
{
    necpnet_loop_function function;
    void* user;
    for (uint32_t i = 0; i < NN_POSTS_MAX && nn_posts_pop(&loop->posts, &function, &user); i++) function(user);
}

/* ---- the application's descriptors -- */

static void loop_watcher_ready(nn_watch* watch, unsigned what)
{
    nn_loop_watcher* watcher = (nn_loop_watcher*)(void*)watch;
    watcher->function(watch->descriptor, (what & NN_READABLE) != 0, (what & NN_WRITABLE) != 0, watcher->user);
}

static nn_loop_watcher** loop_find_watcher(necpnet_loop* loop, int descriptor)
{
    nn_loop_watcher** at = &loop->watchers[((unsigned)descriptor ^ (unsigned)descriptor >> 8) % NN_LOOP_BUCKETS];
    while (*at && (*at)->watch.descriptor != descriptor) at = &(*at)->next;
    return at;
}

necpnet_result necpnet_loop_watch(necpnet_loop* loop, int descriptor, bool readable, bool writable,
                                  necpnet_loop_descriptor_function function, void* user)
{
    unsigned wishes = (readable ? NN_READABLE : 0) | (writable ? NN_WRITABLE : 0);
    if (!loop || descriptor < 0 || (wishes && !function)) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_loop_watcher** at = loop_find_watcher(loop, descriptor);
    nn_loop_watcher* watcher = *at;
    if (wishes == 0) {
        if (!watcher) return NECPNET_OK;
        *at = watcher->next;
        nn_loop_watch(loop, &watcher->watch, 0);
        nn_alloc_give(&loop->alloc, watcher, sizeof *watcher);
        return NECPNET_OK;
    }
    bool fresh = !watcher;
    if (fresh) {
        watcher = (nn_loop_watcher*)nn_alloc_take(&loop->alloc, sizeof *watcher);
        if (!watcher) return NECPNET_ERR_OUT_OF_MEMORY;
        watcher->watch.ready = loop_watcher_ready;
        watcher->watch.descriptor = descriptor;
    }
    necpnet_result result = nn_loop_watch(loop, &watcher->watch, wishes);
    if (result != NECPNET_OK) {
        if (fresh) nn_alloc_give(&loop->alloc, watcher, sizeof *watcher);
        return result;
    }
    if (fresh) *at = watcher;
    watcher->function = function;
    watcher->user = user;
    return NECPNET_OK;
}

/* ---- a step -- */

necpnet_result necpnet_loop_step(necpnet_loop* loop, uint64_t timeout_us)
{
    if (!loop) return NECPNET_ERR_INVALID_ARGUMENT;
    if (loop->stepping) return NECPNET_OK; /* from a callback of this step: it goes on when that returns */
    loop->stepping = true;
    uint64_t next_us = nn_deadlines_next(&loop->deadlines);
    if (timeout_us && nn_posts_waiting(&loop->posts)) timeout_us = 0;
    if (timeout_us && next_us != NN_NEVER) {
        uint64_t now_us = necpnet_time_us();
        timeout_us = nn_min_u64(timeout_us, next_us > now_us ? next_us - now_us : 0);
    }
    loop->ready_count = 0;
    loop->ready_at = 0;
    necpnet_result result = loop->poller->wait(loop, timeout_us);
    while (loop->ready_at < loop->ready_count) {
        nn_ready ready = loop->ready[loop->ready_at++];
        if (ready.watch && ready.what) ready.watch->ready(ready.watch, ready.what);
    }
    loop_run_posts(loop);
    loop_run_timers(loop);
    loop->stepping = false;
    return result;
}

#endif

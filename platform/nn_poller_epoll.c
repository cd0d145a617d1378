/* nn_poller_epoll - waiting by epoll: the work of a step does not grow with idle descriptors. */
#include "nn_loop.h"

#if defined(__linux__) && !defined(__EMSCRIPTEN__)

#include <errno.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#if defined(__GLIBC__) && defined(__GLIBC_PREREQ)
#if __GLIBC_PREREQ(2, 35)
#define POLLER_HAS_PWAIT2 1
#endif
#endif
#ifndef POLLER_HAS_PWAIT2
#define POLLER_HAS_PWAIT2 0
#endif

static necpnet_result epoll_open(necpnet_loop* loop)
{
    loop->epoll_descriptor = epoll_create1(EPOLL_CLOEXEC);
    return loop->epoll_descriptor >= 0 ? NECPNET_OK : nn_net_last(NULL);
}

static void epoll_shut(necpnet_loop* loop)
{
    close(loop->epoll_descriptor);
}

static necpnet_result epoll_set(necpnet_loop* loop, nn_watch* watch, unsigned wishes)
{
    struct epoll_event event;
    memset(&event, 0, sizeof event);
    event.data.ptr = watch;
    if (wishes & NN_READABLE) event.events |= (uint32_t)EPOLLIN;
    if (wishes & NN_WRITABLE) event.events |= (uint32_t)EPOLLOUT;
    int operation = wishes == 0 ? EPOLL_CTL_DEL : watch->place ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (epoll_ctl(loop->epoll_descriptor, operation, watch->descriptor, &event) != 0 && wishes)
        return nn_net_last(NULL);
    watch->place = wishes ? 1 : 0;
    return NECPNET_OK;
}

static int epoll_wait_coarse(int descriptor, struct epoll_event* events, int max, uint64_t timeout_us)
{
    int timeout_ms = timeout_us == NN_NEVER ? -1 : (int)nn_min_u64((timeout_us + 999) / 1000, INT32_MAX);
    return epoll_wait(descriptor, events, max, timeout_ms);
}

static int epoll_wait_exact(necpnet_loop* loop, struct epoll_event* events, int max, uint64_t timeout_us)
{
#if POLLER_HAS_PWAIT2
    if (!loop->coarse && timeout_us && timeout_us != NN_NEVER) {
        struct timespec time;
        time.tv_sec = (time_t)(timeout_us / 1000000u);
        time.tv_nsec = (long)(timeout_us % 1000000u * 1000u);
        int count = epoll_pwait2(loop->epoll_descriptor, events, max, &time, NULL);
        if (count >= 0 || (errno != ENOSYS && errno != EPERM)) return count;
        loop->coarse = true; /* a kernel before 5.11, or a sandbox */
    }
#endif
    return epoll_wait_coarse(loop->epoll_descriptor, events, max, timeout_us);
}

static necpnet_result epoll_await(necpnet_loop* loop, uint64_t timeout_us)
{
    struct epoll_event events[NN_LOOP_BATCH_MAX];
    int count = epoll_wait_exact(loop, events, NN_LOOP_BATCH_MAX, timeout_us);
    if (count < 0) return errno == EINTR ? NECPNET_OK : nn_net_last(NULL);
    for (int i = 0; i < count; i++) {
        nn_watch* watch = (nn_watch*)events[i].data.ptr;
        unsigned what = 0;
        if (events[i].events & (uint32_t)(EPOLLIN | EPOLLERR | EPOLLHUP)) what |= NN_READABLE;
        if (events[i].events & (uint32_t)(EPOLLOUT | EPOLLERR | EPOLLHUP)) what |= NN_WRITABLE;
        loop->ready[i].watch = watch;
        loop->ready[i].what = what & watch->wishes;
    }
    loop->ready_count = (uint32_t)count;
    return NECPNET_OK;
}

NN_PRIVATE const nn_poller* nn_poller_epoll(void)
{
    static const nn_poller poller = {epoll_open, epoll_shut, epoll_set, epoll_await};
    return &poller;
}

#elif !defined(__EMSCRIPTEN__)

NN_PRIVATE const nn_poller* nn_poller_epoll(void)
{
    return NULL;
}

#endif

/* nn_resolver - host names to addresses on a thread of its own. */
#include "nn_resolver.h"

#if !defined(__EMSCRIPTEN__)

#include <stdlib.h>

typedef enum resolver_state {
    RESOLVER_FREE = 0,
    RESOLVER_ASKED = 1,
    RESOLVER_WORKING = 2,
    RESOLVER_DONE = 3
} resolver_state;

typedef struct resolver_question {
    resolver_state state;
    uint64_t order;
    uint16_t port;
    char host[NN_RESOLVER_HOST_BYTES_MAX + 1];
    nn_resolved answer;
} resolver_question;

struct nn_resolver {
    nn_mutex mutex; /* guards all below but done */
    nn_condition asked;
    nn_thread thread;
    bool has_thread;
    bool working;
    bool closing;
    necpnet_loop* loop;
    uint64_t order;
    uint32_t done; /* atomic: answers to take */
    resolver_question questions[NN_RESOLVER_REQUESTS_MAX];
};

NN_PRIVATE nn_resolver* nn_resolver_create(necpnet_loop* loop)
{
    nn_resolver* resolver = (nn_resolver*)calloc(1, sizeof *resolver);
    if (!resolver) return NULL;
    nn_mutex_init(&resolver->mutex);
    nn_condition_init(&resolver->asked);
    resolver->loop = loop;
    return resolver;
}

static void resolver_free(nn_resolver* resolver)
{
    nn_condition_reset(&resolver->asked);
    nn_mutex_reset(&resolver->mutex);
    free(resolver);
}

NN_PRIVATE void nn_resolver_destroy(nn_resolver* resolver)
{
    if (!resolver) return;
    nn_mutex_lock(&resolver->mutex);
    resolver->closing = true;
    bool left_behind = resolver->working;
    bool has_thread = resolver->has_thread;
    nn_condition_wake(&resolver->asked);
    if (left_behind) nn_thread_detach(&resolver->thread); /* it frees */
    nn_mutex_unlock(&resolver->mutex);
    if (left_behind) return;
    if (has_thread) nn_thread_join(&resolver->thread);
    resolver_free(resolver);
}

/* The oldest question in a state, or NULL. */
static resolver_question* resolver_oldest(nn_resolver* resolver, resolver_state state)
{
    resolver_question* oldest = NULL;
    for (size_t i = 0; i < NN_RESOLVER_REQUESTS_MAX; i++) {
        resolver_question* question = &resolver->questions[i];
        if (question->state == state && (!oldest || question->order < oldest->order)) oldest = question;
    }
    return oldest;
}

static void resolver_run(void* user)
{
    nn_resolver* resolver = (nn_resolver*)user;
    nn_mutex_lock(&resolver->mutex);
    for (;;) {
        resolver_question* question = resolver_oldest(resolver, RESOLVER_ASKED);
        if (resolver->closing) break;
        if (!question) {
            nn_condition_wait(&resolver->asked, &resolver->mutex);
            continue;
        }
        question->state = RESOLVER_WORKING;
        resolver->working = true;
        nn_mutex_unlock(&resolver->mutex);
        nn_resolved* answer = &question->answer;
        answer->reason = nn_net_resolve(question->host, question->port, answer->addresses, NN_RESOLVER_ADDRESSES_MAX,
                                        &answer->count);
        nn_mutex_lock(&resolver->mutex);
        if (resolver->closing) { /* the owner has gone, and the loop with it */
            nn_mutex_unlock(&resolver->mutex);
            resolver_free(resolver);
            return;
        }
        resolver->working = false;
        question->state = RESOLVER_DONE;
        nn_atomic_store(&resolver->done, resolver->done + 1);
        nn_loop_wake(resolver->loop);
    }
    nn_mutex_unlock(&resolver->mutex);
}

NN_PRIVATE necpnet_result nn_resolver_ask(nn_resolver* resolver, uint64_t request, const char* host, uint16_t port)
{
    size_t bytes = strlen(host);
    if (bytes == 0 || bytes > NN_RESOLVER_HOST_BYTES_MAX) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_mutex_lock(&resolver->mutex);
    resolver_question* question = resolver_oldest(resolver, RESOLVER_FREE);
    necpnet_result result = question ? NECPNET_OK : NECPNET_ERR_LIMIT_REACHED;
    if (question) {
        memset(question, 0, sizeof *question);
        memcpy(question->host, host, bytes);
        question->port = port;
        question->order = resolver->order++;
        question->answer.request = request;
        if (necpnet_address_parse(host, &question->answer.addresses[0]) == NECPNET_OK) {
            question->answer.addresses[0].port = port;
            question->answer.count = 1;
            question->state = RESOLVER_DONE;
            nn_atomic_store(&resolver->done, resolver->done + 1);
            nn_loop_wake(resolver->loop);
        } else {
            if (!resolver->has_thread) {
                resolver->has_thread = nn_thread_start(&resolver->thread, resolver_run, resolver);
            }
            if (resolver->has_thread) {
                question->state = RESOLVER_ASKED;
                nn_condition_wake(&resolver->asked);
            } else {
                result = NECPNET_ERR_IO;
            }
        }
    }
    nn_mutex_unlock(&resolver->mutex);
    return result;
}

NN_PRIVATE bool nn_resolver_take(nn_resolver* resolver, nn_resolved* out)
{
    if (nn_atomic_load(&resolver->done) == 0) return false;
    nn_mutex_lock(&resolver->mutex);
    resolver_question* question = resolver_oldest(resolver, RESOLVER_DONE);
    if (question) {
        *out = question->answer;
        question->state = RESOLVER_FREE;
        nn_atomic_store(&resolver->done, resolver->done - 1);
    }
    nn_mutex_unlock(&resolver->mutex);
    return question != NULL;
}

#endif

/* nn_resolver - host names to addresses on a thread of its own, because the system's resolver blocks.
 *
 * The thread begins with the first name that is not numeric. Its memory is malloc's, not the instance's: a name that
 * does not resolve for half a minute must not hold up destroy, so the thread may outlive its owner and frees the rest.
 */
#ifndef NN_RESOLVER_H
#define NN_RESOLVER_H

#include "nn_loop.h"
#include "nn_thread.h"

#if !defined(__EMSCRIPTEN__)

#define NN_RESOLVER_REQUESTS_MAX 64 /* asked and not taken */
#define NN_RESOLVER_ADDRESSES_MAX 16
#define NN_RESOLVER_HOST_BYTES_MAX 255

typedef struct nn_resolved {
    uint64_t request;
    necpnet_result reason; /* OK: count is at least 1 */
    int count;
    necpnet_address addresses[NN_RESOLVER_ADDRESSES_MAX];
} nn_resolved;

typedef struct nn_resolver nn_resolver;

/* nn_resolver_create - NULL when there is no memory. loop is woken by answers. */
NN_PRIVATE nn_resolver* nn_resolver_create(necpnet_loop* loop);

/* nn_resolver_destroy - forgets all questions; does not wait for one under way. */
NN_PRIVATE void nn_resolver_destroy(nn_resolver* resolver);

/* nn_resolver_ask - OK | ERR_INVALID_ARGUMENT (host too long or empty) | ERR_LIMIT_REACHED | ERR_IO (no thread) */
NN_PRIVATE necpnet_result nn_resolver_ask(nn_resolver* resolver, uint64_t request, const char* host, uint16_t port);

/* nn_resolver_take - the next answer, in the order of asking among those that are there. */
NN_PRIVATE bool nn_resolver_take(nn_resolver* resolver, nn_resolved* out);

#endif

#endif

/* nn_posts - function calls from any thread to one: a bounded lock-free queue of many writers and one reader (Vyukov
 * 2010, "Bounded MPMC queue", with the reader's half simplified). */
#ifndef NN_POSTS_H
#define NN_POSTS_H

#include "nn_atomic.h"

#define NN_POSTS_MAX 4096u /* a power of two; necpnet_loop_post says ERR_WOULD_BLOCK beyond */

typedef struct nn_post {
    uint32_t turn; /* == place: free for the writer of that place; == place + 1: filled */
    necpnet_loop_function function;
    void* user;
} nn_post;

typedef struct nn_posts {
    uint32_t write_at; /* writers claim places here */
    uint8_t apart[60]; /* the reader's line is its own */
    uint32_t read_at;
    nn_post ring[NN_POSTS_MAX];
} nn_posts;

NN_PRIVATE void nn_posts_init(nn_posts* posts);

/* nn_posts_push - any thread; false when full. */
NN_PRIVATE bool nn_posts_push(nn_posts* posts, necpnet_loop_function function, void* user);

/* nn_posts_pop - the reader's thread; false when empty. */
NN_PRIVATE bool nn_posts_pop(nn_posts* posts, necpnet_loop_function* out_function, void** out_user);

/* nn_posts_waiting - the reader's thread: whether pop would give one. */
NN_PRIVATE bool nn_posts_waiting(const nn_posts* posts);

#endif

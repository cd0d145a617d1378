/* nn_posts - function calls from any thread to one. */
#include "nn_posts.h"

NN_PRIVATE void nn_posts_init(nn_posts* posts)
{
    memset(posts, 0, sizeof *posts);
    for (uint32_t i = 0; i < NN_POSTS_MAX; i++) posts->ring[i].turn = i;
}

NN_PRIVATE bool nn_posts_push(nn_posts* posts, necpnet_loop_function function, void* user)
{
    uint32_t place = nn_atomic_load(&posts->write_at);
    for (;;) {
        nn_post* post = &posts->ring[place & (NN_POSTS_MAX - 1)];
        int32_t ahead = (int32_t)(nn_atomic_load(&post->turn) - place);
        if (ahead < 0) return false; /* the reader has not emptied it since the last round */
        if (ahead > 0) {             /* another writer was faster */
            place = nn_atomic_load(&posts->write_at);
        } else if (nn_atomic_compare_exchange(&posts->write_at, &place, place + 1)) {
            post->function = function;
            post->user = user;
            nn_atomic_store(&post->turn, place + 1);
            return true;
        }
    }
}

NN_PRIVATE bool nn_posts_waiting(const nn_posts* posts)
{
    const nn_post* post = &posts->ring[posts->read_at & (NN_POSTS_MAX - 1)];
    return nn_atomic_load(&post->turn) == posts->read_at + 1;
}

NN_PRIVATE bool nn_posts_pop(nn_posts* posts, necpnet_loop_function* out_function, void** out_user)
{
    if (!nn_posts_waiting(posts)) return false;
    nn_post* post = &posts->ring[posts->read_at & (NN_POSTS_MAX - 1)];
    *out_function = post->function;
    *out_user = post->user;
    nn_atomic_store(&post->turn, posts->read_at + NN_POSTS_MAX);
    posts->read_at++;
    return true;
}

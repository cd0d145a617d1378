/* nn_path - an address that a peer's packets began to come from, until it proves to be there. */
#include "nn_path.h"

NN_PRIVATE void nn_path_begin(nn_path* path, const necpnet_address* address, uint64_t challenge, uint64_t now_us)
{
    memset(path, 0, sizeof *path);
    path->is_open = true;
    path->address = *address;
    path->challenge = challenge;
    path->began_us = path->due_us = now_us;
    path->until_us = now_us + NN_PATH_LIFE_US;
}

NN_PRIVATE void nn_path_end(nn_path* path)
{
    memset(path, 0, sizeof *path);
}

NN_PRIVATE void nn_path_received(nn_path* path, size_t bytes)
{
    path->received_bytes += bytes;
}

static bool path_has_room(const nn_path* path, size_t bytes)
{
    return path->sent_bytes + bytes <= path->received_bytes * NN_PATH_FACTOR;
}

NN_PRIVATE bool nn_path_send(nn_path* path, size_t bytes)
{
    if (!path->is_open) return false;
    if (!path_has_room(path, bytes)) {
        path->is_behind = true;
        return false;
    }
    path->sent_bytes += bytes;
    return true;
}

NN_PRIVATE bool nn_path_wants_challenge(const nn_path* path, size_t bytes, uint64_t now_us)
{
    return path->is_open && now_us >= path->due_us && path_has_room(path, bytes);
}

NN_PRIVATE void nn_path_challenged(nn_path* path, size_t bytes, uint64_t repeat_us, uint64_t now_us)
{
    path->sent_bytes += bytes;
    path->challenged_us = now_us;
    path->challenges++;
    path->due_us = now_us + nn_max_u64(repeat_us, NN_PATH_REPEAT_US_MIN);
}

NN_PRIVATE bool nn_path_is_answer(const nn_path* path, const necpnet_address* from, uint64_t response)
{
    return path->is_open && path->challenges && response == path->challenge &&
           necpnet_address_equal(&path->address, from);
}

NN_PRIVATE uint64_t nn_path_deadline_us(const nn_path* path, size_t bytes)
{
    if (!path->is_open) return NN_NEVER;
    return path_has_room(path, bytes) ? nn_min_u64(path->due_us, path->until_us) : path->until_us;
}

NN_PRIVATE bool nn_path_same_host(const necpnet_address* a, const necpnet_address* b)
{
    necpnet_address other = *b;
    other.port = a->port;
    return necpnet_address_equal(a, &other);
}

/* nn_platform - what machines and endpoints ask of the operating system besides a transport. Implemented in platform/;
 * without NECPNET_WITH_PLATFORM nothing is there. */
#ifndef NN_PLATFORM_H
#define NN_PLATFORM_H

#include "nn_alloc.h"

#define NN_PLATFORM_FILE_BYTES_MAX (4u << 20) /* a larger file is refused: certificates and roots are smaller */

#if NECPNET_WITH_PLATFORM

/* nn_platform_worker_of - the place of a transport of sockets among the workers it was made with; 0 without. */
NN_PRIVATE uint32_t nn_platform_worker_of(const necpnet_transport* transport);

/* nn_platform_workers_has_spent, reserve, spend - the functions of an nn_spending; user is a necpnet_workers. */
NN_PRIVATE bool nn_platform_workers_has_spent(void* user, const uint8_t* id);
NN_PRIVATE necpnet_result nn_platform_workers_reserve(void* user, uint64_t wall_us);
NN_PRIVATE necpnet_result nn_platform_workers_spend(void* user, const uint8_t* id, uint64_t expires_us,
                                                    uint64_t wall_us);

/* nn_platform_workers_hand_stream - give an accepted stream of a transport of sockets to another worker, with the bytes that
 * were read from it. False: there is no such worker, or no room. True: the stream is at its end here. */
NN_PRIVATE bool nn_platform_workers_hand_stream(const necpnet_transport* transport, necpnet_stream* stream,
                                                uint32_t worker, const necpnet_address* from, const uint8_t* data,
                                                size_t bytes);

/* nn_platform_read_file - a whole file. bytes does not count the NUL that is put behind the last byte; the block has
 * bytes + 1 bytes and goes back with nn_alloc_give(alloc, out, bytes + 1).
 *
 * OK | ERR_FILE (no such file, no permission, too large) | ERR_OUT_OF_MEMORY */
NN_PRIVATE necpnet_result nn_platform_read_file(nn_alloc* alloc, const char* path, uint8_t** out, size_t* out_bytes);

/* nn_platform_fill_entropy - random bytes for keys, from the operating system; false when it has none. */
NN_PRIVATE bool nn_platform_fill_entropy(void* to, size_t bytes);

/* nn_platform_system_roots - files that may hold the trusted roots as PEM, likeliest first; the first that can be read
 * is the one. NULL ends the list. */
NN_PRIVATE const char* const* nn_platform_system_roots(void);

#else

NN_INLINE uint32_t nn_platform_worker_of(const necpnet_transport* transport)
{
    (void)transport;
    return 0;
}

NN_INLINE bool nn_platform_workers_has_spent(void* user, const uint8_t* id)
{
    (void)user;
    (void)id;
    return true;
}

NN_INLINE necpnet_result nn_platform_workers_reserve(void* user, uint64_t wall_us)
{
    (void)user;
    (void)wall_us;
    return NECPNET_ERR_UNSUPPORTED;
}

NN_INLINE necpnet_result nn_platform_workers_spend(void* user, const uint8_t* id, uint64_t expires_us, uint64_t wall_us)
{
    (void)user;
    (void)id;
    (void)expires_us;
    (void)wall_us;
    return NECPNET_ERR_UNSUPPORTED;
}

NN_INLINE bool nn_platform_workers_hand_stream(const necpnet_transport* transport, necpnet_stream* stream,
                                               uint32_t worker, const necpnet_address* from, const uint8_t* data,
                                               size_t bytes)
{
    (void)transport;
    (void)stream;
    (void)worker;
    (void)from;
    (void)data;
    (void)bytes;
    return false;
}

NN_INLINE necpnet_result nn_platform_read_file(nn_alloc* alloc, const char* path, uint8_t** out, size_t* out_bytes)
{
    (void)alloc;
    (void)path;
    (void)out;
    (void)out_bytes;
    return NECPNET_ERR_UNSUPPORTED;
}

NN_INLINE bool nn_platform_fill_entropy(void* to, size_t bytes)
{
    (void)to;
    (void)bytes;
    return false;
}

NN_INLINE const char* const* nn_platform_system_roots(void)
{
    static const char* const none[] = {NULL};
    return none;
}

#endif

#endif

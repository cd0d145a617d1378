/* nn_workers - places, inboxes and spent tokens of servers that share a port. */
#include "nn_workers.h"

#include "nn_handshake_wire.h"
#include "nn_net.h"
#include "nn_packet.h"
#include "nn_platform.h"

necpnet_result necpnet_workers_config_default(necpnet_workers_config* config)
{
    if (!config) return NECPNET_ERR_INVALID_ARGUMENT;
    memset(config, 0, sizeof *config);
    config->struct_bytes = sizeof *config;
    config->count_max = 16;
    config->steer = true;
    return NECPNET_OK;
}

#if !defined(__EMSCRIPTEN__)

necpnet_result necpnet_workers_create(const necpnet_workers_config* config, necpnet_workers** out_workers)
{
    if (!config || !out_workers) return NECPNET_ERR_INVALID_ARGUMENT;
    if (config->struct_bytes != sizeof *config) return NECPNET_ERR_BAD_STRUCT_BYTES;
    if (config->count_max < 1 || config->count_max > NN_WORKERS_MAX) return NECPNET_ERR_BAD_CONFIG;
    nn_alloc alloc;
    nn_alloc_init(&alloc, &config->allocator);
    necpnet_workers* workers = (necpnet_workers*)nn_alloc_take(&alloc, sizeof *workers);
    if (!workers) return NECPNET_ERR_OUT_OF_MEMORY;
    workers->inboxes = (nn_inbox*)nn_alloc_take(&alloc, config->count_max * sizeof(nn_inbox));
    if (!workers->inboxes) {
        nn_alloc_give(&alloc, workers, sizeof *workers);
        return NECPNET_ERR_OUT_OF_MEMORY;
    }
    workers->alloc = alloc;
    workers->count_max = config->count_max;
    workers->steers = config->steer;
    workers->udp_port = workers->tcp_port = -1;
    nn_spent_init(&workers->spent, &workers->alloc, NN_WORKERS_SPENT_MAX);
    nn_mutex_init(&workers->mutex);
    for (uint32_t i = 0; i < workers->count_max; i++) nn_mutex_init(&workers->inboxes[i].mutex);
    *out_workers = workers;
    return NECPNET_OK;
}

void necpnet_workers_destroy(necpnet_workers* workers)
{
    if (!workers) return;
    NN_ASSERT(workers->count == 0);
    for (uint32_t i = 0; i < workers->count_max; i++) nn_mutex_reset(&workers->inboxes[i].mutex);
    nn_mutex_reset(&workers->mutex);
    nn_spent_reset(&workers->spent);
    nn_alloc_give(&workers->alloc, workers->inboxes, workers->count_max * sizeof(nn_inbox));
    nn_alloc alloc = workers->alloc;
    nn_alloc_give(&alloc, workers, sizeof *workers);
}

necpnet_result necpnet_workers_get_statistics(necpnet_workers* workers, necpnet_workers_statistics* out_statistics)
{
    if (!workers || !out_statistics) return NECPNET_ERR_INVALID_ARGUMENT;
    memset(out_statistics, 0, sizeof *out_statistics);
    nn_mutex_lock(&workers->mutex);
    out_statistics->count = workers->count;
    out_statistics->tokens_spent = workers->tokens_spent;
    nn_mutex_unlock(&workers->mutex);
    out_statistics->handed_over = nn_atomic_load(&workers->handed_over);
    for (uint32_t i = 0; i < workers->count_max; i++) {
        nn_mutex_lock(&workers->inboxes[i].mutex);
        out_statistics->dropped += workers->inboxes[i].dropped;
        nn_mutex_unlock(&workers->inboxes[i].mutex);
    }
    return NECPNET_OK;
}

/* ---- places -- */

NN_PRIVATE void nn_workers_lock(necpnet_workers* workers)
{
    nn_mutex_lock(&workers->mutex);
}

NN_PRIVATE void nn_workers_unlock(necpnet_workers* workers)
{
    nn_mutex_unlock(&workers->mutex);
}

NN_PRIVATE necpnet_result nn_workers_join(necpnet_workers* workers, necpnet_loop* loop, uint32_t* out_place)
{
    uint32_t place = 0;
    while (place < workers->count_max && workers->inboxes[place].reading) place++;
    if (place == workers->count_max) return NECPNET_ERR_LIMIT_REACHED;
    uint8_t* block = (uint8_t*)nn_alloc_take(&workers->alloc, 2 * (size_t)NN_WORKERS_INBOX_BYTES);
    if (!block) return NECPNET_ERR_OUT_OF_MEMORY;
    nn_inbox* inbox = &workers->inboxes[place];
    nn_mutex_lock(&inbox->mutex);
    inbox->loop = loop;
    inbox->filling = block;
    inbox->reading = block + NN_WORKERS_INBOX_BYTES;
    inbox->bytes = 0;
    nn_mutex_unlock(&inbox->mutex);
    workers->count++;
    *out_place = place;
    return NECPNET_OK;
}

NN_PRIVATE void nn_workers_leave(necpnet_workers* workers, uint32_t place)
{
    nn_inbox* inbox = &workers->inboxes[place];
    nn_mutex_lock(&workers->mutex);
    nn_mutex_lock(&inbox->mutex);
    uint8_t* block = inbox->filling < inbox->reading ? inbox->filling : inbox->reading;
    nn_workers_close_streams(inbox->filling, inbox->bytes);
    inbox->loop = NULL;
    inbox->filling = inbox->reading = NULL;
    inbox->bytes = 0;
    nn_atomic_store(&inbox->waiting, 0);
    nn_mutex_unlock(&inbox->mutex);
    nn_alloc_give(&workers->alloc, block, 2 * (size_t)NN_WORKERS_INBOX_BYTES);
    if (--workers->count == 0) workers->udp_port = workers->tcp_port = -1;
    nn_mutex_unlock(&workers->mutex);
}

/* ---- handing over -- */

NN_PRIVATE bool nn_workers_divert(necpnet_workers* workers, uint32_t place, const necpnet_address* from,
                                  const uint8_t* data, size_t bytes)
{
    uint32_t id;
    uint32_t to;
    if (nn_packet_peek(data, bytes, &id)) {
        to = id >> 24;
    } else if (bytes == NN_HANDSHAKE_BYTES && data[0] == NN_HANDSHAKE_RESUME) {
        to = data[NN_RESUME_WORKER_AT];
    } else {
        return false;
    }
    if (to == place || to >= workers->count_max) return false;
    (void)nn_workers_hand(workers, to, from, NN_NET_NONE, data, bytes);
    return true;
}

NN_PRIVATE bool nn_workers_hand(necpnet_workers* workers, uint32_t to, const necpnet_address* from, int descriptor,
                                const uint8_t* data, size_t bytes)
{
    if (to >= workers->count_max) return false;
    nn_inbox* inbox = &workers->inboxes[to];
    size_t needed = nn_handed_over_bytes(bytes);
    nn_mutex_lock(&inbox->mutex);
    bool fits = inbox->loop && needed <= NN_WORKERS_INBOX_BYTES - inbox->bytes;
    if (fits) {
        nn_handed_over record;
        memset(&record, 0, sizeof record);
        record.from = *from;
        record.bytes = (uint32_t)bytes;
        record.descriptor = descriptor;
        memcpy(inbox->filling + inbox->bytes, &record, sizeof record);
        memcpy(inbox->filling + inbox->bytes + sizeof record, data, bytes);
        inbox->bytes += (uint32_t)needed;
        nn_atomic_store(&inbox->waiting, 1);
        nn_atomic_add(&workers->handed_over, 1);
        nn_loop_wake(inbox->loop); /* under the lock: the loop may not go meanwhile */
    } else if (descriptor == NN_NET_NONE) {
        inbox->dropped++;
    }
    nn_mutex_unlock(&inbox->mutex);
    return fits;
}

NN_PRIVATE void nn_workers_close_streams(const uint8_t* records, uint32_t bytes)
{
    for (const uint8_t* at = records; at != records + bytes;) {
        nn_handed_over record;
        memcpy(&record, at, sizeof record);
        if (record.descriptor != NN_NET_NONE) nn_net_close(record.descriptor);
        at += nn_handed_over_bytes(record.bytes);
    }
}

NN_PRIVATE uint8_t* nn_workers_take(necpnet_workers* workers, uint32_t place, uint32_t* out_bytes)
{
    nn_inbox* inbox = &workers->inboxes[place];
    *out_bytes = 0;
    if (!nn_atomic_load(&inbox->waiting)) return NULL;
    nn_mutex_lock(&inbox->mutex);
    uint8_t* taken = inbox->filling;
    *out_bytes = inbox->bytes;
    inbox->filling = inbox->reading;
    inbox->reading = taken;
    inbox->bytes = 0;
    nn_atomic_store(&inbox->waiting, 0);
    nn_mutex_unlock(&inbox->mutex);
    return taken;
}

/* ---- tokens: what the handshake asks -- */

NN_PRIVATE bool nn_platform_workers_has_spent(void* user, const uint8_t* id)
{
    necpnet_workers* workers = (necpnet_workers*)user;
    nn_mutex_lock(&workers->mutex);
    bool has = nn_spent_has(&workers->spent, id);
    nn_mutex_unlock(&workers->mutex);
    return has;
}

NN_PRIVATE necpnet_result nn_platform_workers_reserve(void* user, uint64_t wall_us)
{
    necpnet_workers* workers = (necpnet_workers*)user;
    nn_mutex_lock(&workers->mutex);
    necpnet_result result = nn_spent_reserve(&workers->spent, wall_us);
    nn_mutex_unlock(&workers->mutex);
    return result;
}

NN_PRIVATE necpnet_result nn_platform_workers_spend(void* user, const uint8_t* id, uint64_t expires_us,
                                                    uint64_t wall_us)
{
    necpnet_workers* workers = (necpnet_workers*)user;
    nn_mutex_lock(&workers->mutex);
    necpnet_result result = nn_spent_spend(&workers->spent, id, expires_us, wall_us);
    if (result == NECPNET_OK) workers->tokens_spent++;
    nn_mutex_unlock(&workers->mutex);
    return result;
}

#else

necpnet_result necpnet_workers_create(const necpnet_workers_config* config, necpnet_workers** out_workers)
{
    return config && out_workers ? NECPNET_ERR_UNSUPPORTED : NECPNET_ERR_INVALID_ARGUMENT;
}

void necpnet_workers_destroy(necpnet_workers* workers)
{
    (void)workers;
}

necpnet_result necpnet_workers_get_statistics(necpnet_workers* workers, necpnet_workers_statistics* out_statistics)
{
    (void)workers;
    (void)out_statistics;
    return NECPNET_ERR_INVALID_ARGUMENT;
}

NN_PRIVATE bool nn_platform_workers_has_spent(void* user, const uint8_t* id)
{
    (void)user;
    (void)id;
    return true;
}

NN_PRIVATE necpnet_result nn_platform_workers_reserve(void* user, uint64_t wall_us)
{
    (void)user;
    (void)wall_us;
    return NECPNET_ERR_UNSUPPORTED;
}

NN_PRIVATE necpnet_result nn_platform_workers_spend(void* user, const uint8_t* id, uint64_t expires_us,
                                                    uint64_t wall_us)
{
    (void)user;
    (void)id;
    (void)expires_us;
    (void)wall_us;
    return NECPNET_ERR_UNSUPPORTED;
}

NN_PRIVATE bool nn_platform_workers_hand_stream(const necpnet_transport* transport, necpnet_stream* stream,
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

NN_PRIVATE uint32_t nn_platform_worker_of(const necpnet_transport* transport)
{
    (void)transport;
    return 0;
}

#endif

/* nn_writes - the newest write of each entity. */
#include "nn_writes.h"

#include "nn_frame.h"

#define WRITES_FIRST 4u
#define WRITES_FLIGHTS_FIRST 16u
#define WRITES_BURST_BYTES 1200u /* budget that may be saved up, at least */

NN_PRIVATE void nn_writes_init(nn_writes* writes, nn_alloc* alloc, uint32_t hz, uint32_t bytes_per_s)
{
    memset(writes, 0, sizeof *writes);
    writes->alloc = alloc;
    writes->hz = hz;
    writes->bytes_per_s = bytes_per_s;
}

NN_PRIVATE void nn_writes_reset(nn_writes* writes)
{
    for (uint32_t i = 0; i < writes->count; i++) {
        nn_alloc_give(writes->alloc, writes->list[i].data, writes->list[i].capacity);
    }
    nn_alloc_give(writes->alloc, writes->list, writes->capacity * sizeof(nn_write));
    nn_alloc_give(writes->alloc, writes->flights, writes->flight_capacity * sizeof(nn_write_flight));
    nn_writes_init(writes, writes->alloc, writes->hz, writes->bytes_per_s);
}

/* Where an entity is, or would be. */
static uint32_t writes_place(const nn_writes* writes, uint32_t entity)
{
    uint32_t low = 0, high = writes->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (writes->list[middle].entity < entity) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static nn_write* writes_find(const nn_writes* writes, uint32_t entity)
{
    uint32_t place = writes_place(writes, entity);
    return place < writes->count && writes->list[place].entity == entity ? &writes->list[place] : NULL;
}

static nn_write* writes_add(nn_writes* writes, uint32_t entity)
{
    if (writes->count == writes->capacity) {
        uint32_t capacity = writes->capacity ? writes->capacity * 2 : WRITES_FIRST;
        nn_write* list = (nn_write*)nn_alloc_grow(writes->alloc, writes->list, writes->capacity * sizeof(nn_write),
                                                  capacity * sizeof(nn_write));
        if (!list) return NULL;
        writes->list = list;
        writes->capacity = capacity;
    }
    uint32_t place = writes_place(writes, entity);
    memmove(&writes->list[place + 1], &writes->list[place], (writes->count - place) * sizeof(nn_write));
    writes->count++;
    nn_write* write = &writes->list[place];
    memset(write, 0, sizeof *write);
    write->entity = entity;
    return write;
}

/* Those that have arrived and were not written again make room. */
static void writes_drop(nn_writes* writes, nn_write* write)
{
    nn_alloc_give(writes->alloc, write->data, write->capacity);
    if (write->pending) writes->pending--;
    uint32_t place = (uint32_t)(write - writes->list);
    memmove(write, write + 1, (--writes->count - place) * sizeof(nn_write));
}

NN_PRIVATE necpnet_result nn_writes_push(nn_writes* writes, uint32_t entity, uint32_t number, const void* data,
                                         size_t bytes)
{
    NN_ASSERT(bytes >= 1 && bytes <= NN_WRITE_BYTES_MAX);
    nn_write* write = writes_find(writes, entity);
    bool is_new = !write;
    if (is_new) write = writes_add(writes, entity);
    if (!write) return NECPNET_ERR_OUT_OF_MEMORY;
    if (bytes > write->capacity) {
        uint8_t* larger = (uint8_t*)nn_alloc_take(writes->alloc, bytes);
        if (!larger) {
            if (is_new) writes_drop(writes, write);
            return NECPNET_ERR_OUT_OF_MEMORY;
        }
        nn_alloc_give(writes->alloc, write->data, write->capacity);
        write->data = larger;
        write->capacity = (uint16_t)bytes;
    }
    memcpy(write->data, data, bytes);
    write->bytes = (uint16_t)bytes;
    write->number = number;
    if (!write->pending) writes->pending++;
    write->pending = true;
    return NECPNET_OK;
}

NN_PRIVATE uint64_t nn_writes_deadline_us(const nn_writes* writes)
{
    return writes->pending && writes->flight_count < NN_WRITE_FLIGHTS_MAX ? writes->next_us : NN_NEVER;
}

static void writes_refill(nn_writes* writes, uint64_t now_us)
{
    uint64_t most = nn_max_u64((uint64_t)writes->bytes_per_s * 2 / writes->hz, WRITES_BURST_BYTES);
    uint64_t elapsed_us = now_us > writes->refilled_us ? nn_min_u64(now_us - writes->refilled_us, 10000000u) : 0;
    writes->refilled_us = now_us;
    writes->allowance = nn_min_u64(writes->allowance + elapsed_us * writes->bytes_per_s, most * 1000000u);
}

static bool writes_reserve_flight(nn_writes* writes)
{
    if (writes->flight_count < writes->flight_capacity) return true;
    if (writes->flight_count >= NN_WRITE_FLIGHTS_MAX) return false;
    uint32_t capacity = writes->flight_capacity ? writes->flight_capacity * 2 : WRITES_FLIGHTS_FIRST;
    nn_write_flight* flights = (nn_write_flight*)nn_alloc_grow(writes->alloc, writes->flights,
                                                               writes->flight_capacity * sizeof(nn_write_flight),
                                                               capacity * sizeof(nn_write_flight));
    if (!flights) return false;
    writes->flights = flights;
    writes->flight_capacity = capacity;
    return true;
}

/* The pending ones that fit into room bytes, from a place on: their bytes, and how many places that are. */
static size_t writes_measure(const nn_writes* writes, uint32_t from, size_t room, uint32_t* out_count)
{
    size_t used = 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < writes->count; i++) {
        const nn_write* write = &writes->list[(from + i) % writes->count];
        size_t bytes = 4 + nn_varint_bytes(write->bytes) + write->bytes;
        if (write->pending && used + bytes > room) break;
        if (write->pending) used += bytes;
        count++;
    }
    *out_count = count;
    return used;
}

NN_PRIVATE bool nn_writes_write(nn_writes* writes, nn_writer* writer, bool ordered, uint32_t* out_frame,
                                nn_written_function written, void* user, uint64_t now_us)
{
    if (now_us < nn_writes_deadline_us(writes) || writer->failed) return false;
    writes_refill(writes, now_us);
    size_t room = nn_min_size(nn_writer_left(writer), (size_t)(writes->allowance / 1000000u));
    if (room < NN_WRITE_FRAME_BYTES_MIN) {
        if (nn_writer_left(writer) >= NN_WRITE_FRAME_BYTES_MIN) writes->next_us = now_us + 1000000u / writes->hz;
        return false;
    }
    uint32_t span;
    uint32_t from = writes_place(writes, writes->start);
    size_t bytes = writes_measure(writes, from, room - 5, &span); /* type, length */
    if (!bytes) {                                                 /* a large one waits for a whole packet */
        if (nn_writer_left(writer) >= NN_WRITE_BYTES_MAX + NN_WRITE_HEAD_BYTES)
            writes->next_us = now_us + 1000000u / writes->hz;
        return false;
    }
    uint32_t frame = writes->frame++;
    nn_write_u8(writer, NN_FRAME_WRITE);
    nn_write_varint(writer, bytes);
    for (uint32_t i = 0; i < span; i++) {
        nn_write* write = &writes->list[(from + i) % writes->count];
        if (!write->pending) continue;
        bool kept = ordered || writes_reserve_flight(writes);
        nn_write_u32(writer, write->entity);
        nn_write_varint(writer, write->bytes);
        nn_write_bytes(writer, write->data, write->bytes);
        if (!kept) continue; /* it may arrive, but that will not be known: it stays pending */
        write->pending = false;
        writes->pending--;
        if (ordered) {
            written(user, write->entity, write->number);
            continue;
        }
        nn_write_flight flight = {frame, write->entity, write->number};
        writes->flights[writes->flight_count++] = flight;
    }
    NN_ASSERT(!writer->failed);
    writes->start = writes->list[(from + span - 1) % writes->count].entity + 1;
    for (uint32_t i = writes->count; ordered && i-- > 0;) {
        if (!writes->list[i].pending) writes_drop(writes, &writes->list[i]);
    }
    writes->allowance -= nn_min_u64(writes->allowance, (uint64_t)(bytes + 5) * 1000000u);
    writes->next_us = now_us + 1000000u / writes->hz;
    *out_frame = frame;
    return true;
}

NN_PRIVATE void nn_writes_acked(nn_writes* writes, uint32_t frame, nn_written_function written, void* user)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < writes->flight_count; i++) {
        nn_write_flight flight = writes->flights[i];
        if (flight.frame != frame) {
            writes->flights[kept++] = flight;
            continue;
        }
        nn_write* write = writes_find(writes, flight.entity);
        if (write && write->number == flight.number) writes_drop(writes, write);
        written(user, flight.entity, flight.number);
    }
    writes->flight_count = kept;
}

NN_PRIVATE void nn_writes_lost(nn_writes* writes, uint32_t frame)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < writes->flight_count; i++) {
        nn_write_flight flight = writes->flights[i];
        if (flight.frame != frame) {
            writes->flights[kept++] = flight;
            continue;
        }
        nn_write* write = writes_find(writes, flight.entity);
        if (!write || write->number != flight.number || write->pending) continue; /* a newer one holds it */
        write->pending = true;
        writes->pending++;
    }
    writes->flight_count = kept;
}

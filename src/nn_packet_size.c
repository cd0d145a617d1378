/* nn_packet_size - how large a datagram the path takes (RFC 8899). */
#include "nn_packet_size.h"

/* UDP payload of links that there are: tunnels, Ethernet with IPv6 and IPv4, jumbo frames, loopback. */
static const uint32_t packet_sizes[] = {1280, 1392, 1452, 1472, 4052, 8952, 8972, 16356, 32740};

NN_PRIVATE void nn_packet_size_init(nn_packet_size* size, uint32_t bytes_max, uint64_t now_us)
{
    memset(size, 0, sizeof *size);
    size->bytes_max = bytes_max;
    size->base = bytes_max < NN_PACKET_SIZE_BASE ? bytes_max : NN_PACKET_SIZE_BASE;
    nn_packet_size_begin(size, now_us);
}

NN_PRIVATE void nn_packet_size_begin(nn_packet_size* size, uint64_t now_us)
{
    size->bytes = size->base;
    size->failed = size->bytes_max + 1;
    size->probe = 0;
    size->tries = 0;
    size->bisects = false;
    size->next_us = size->bytes < size->bytes_max ? now_us + NN_PACKET_SIZE_FIRST_US : NN_NEVER;
}

/* The next size above the one in use; 0: the search is over. */
static uint32_t packet_size_next(const nn_packet_size* size)
{
    if (size->bytes + 1 >= size->failed) return 0;
    if (size->bisects) {
        if (size->failed - size->bytes <= NN_PACKET_SIZE_STEP) return 0;
        return size->bytes + (size->failed - size->bytes) / 2;
    }
    for (size_t i = 0; i < NN_COUNT(packet_sizes); i++) {
        if (packet_sizes[i] > size->bytes && packet_sizes[i] < size->failed) return packet_sizes[i];
    }
    return size->failed - 1;
}

NN_PRIVATE uint32_t nn_packet_size_wants(const nn_packet_size* size, uint64_t now_us)
{
    if (now_us < size->next_us) return 0;
    return size->probe ? size->probe : packet_size_next(size);
}

NN_PRIVATE void nn_packet_size_sent(nn_packet_size* size, uint32_t bytes)
{
    size->probe = bytes;
    size->next_us = NN_NEVER;
}

/* On to the next size at once, or, if there is none, to a new search much later: the path may have become wider. */
static void packet_size_go_on(nn_packet_size* size, uint64_t now_us)
{
    size->probe = 0;
    size->tries = 0;
    size->next_us = now_us;
    if (packet_size_next(size)) return;
    size->next_us = size->bytes < size->bytes_max ? now_us + NN_PACKET_SIZE_RAISE_US : NN_NEVER;
    size->failed = size->bytes_max + 1;
    size->bisects = false;
}

NN_PRIVATE void nn_packet_size_acked(nn_packet_size* size, uint32_t bytes, uint64_t now_us)
{
    if (bytes <= size->bytes || bytes > size->bytes_max) return; /* of a search that is over */
    size->bytes = bytes;
    if (size->failed <= bytes) { /* it came late */
        size->failed = size->bytes_max + 1;
        size->bisects = false;
    }
    packet_size_go_on(size, now_us);
}

NN_PRIVATE void nn_packet_size_lost(nn_packet_size* size, uint32_t bytes, uint64_t now_us)
{
    if (bytes != size->probe || size->next_us != NN_NEVER) return; /* counted already, or of a search that is over */
    size->next_us = now_us;
    if (++size->tries < NN_PACKET_SIZE_TRIES) return;
    size->failed = bytes;
    size->bisects = true;
    packet_size_go_on(size, now_us);
}

NN_PRIVATE void nn_packet_size_black_hole(nn_packet_size* size, uint64_t now_us)
{
    if (size->bytes <= size->base) return;
    nn_packet_size_begin(size, now_us);
    size->next_us = now_us + NN_PACKET_SIZE_RETRY_US;
}

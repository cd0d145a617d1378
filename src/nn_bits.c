/* nn_bits - bounded bit streams, least significant bit first. */
#include "nn_bits.h"

static size_t bits_fast(size_t bytes_max)
{
    return bytes_max < 8 ? 0 : bytes_max - 7;
}

NN_PRIVATE nn_bit_writer nn_bit_writer_of(void* data, size_t bytes)
{
    nn_bit_writer writer = {(uint8_t*)data, bytes, 0, bits_fast(bytes), false};
    return writer;
}

NN_PRIVATE nn_bit_reader nn_bit_reader_of(const void* data, size_t bytes)
{
    nn_bit_reader reader = {(const uint8_t*)data, bytes * 8, 0, false};
    return reader;
}

/* As nn_bits_store. */
static uint64_t bits_load(const uint8_t* from)
{
    return (uint64_t)from[0] | (uint64_t)from[1] << 8 | (uint64_t)from[2] << 16 | (uint64_t)from[3] << 24 |
           (uint64_t)from[4] << 32 | (uint64_t)from[5] << 40 | (uint64_t)from[6] << 48 | (uint64_t)from[7] << 56;
}

NN_PRIVATE void nn_bits_write_slowly(nn_bit_writer* writer, uint64_t value, unsigned bits)
{
    NN_ASSERT(bits <= 64);
    if (NN_UNLIKELY(writer->failed || writer->bit_count + bits > writer->bytes_max * 8)) {
        writer->failed = true;
        writer->bytes_fast = 0;
        return;
    }
    while (bits > 0) {
        size_t byte = writer->bit_count >> 3;
        unsigned used = (unsigned)(writer->bit_count & 7);
        unsigned take = 8 - used < bits ? 8 - used : bits;
        unsigned piece = (unsigned)(value & ((1u << take) - 1u));
        unsigned kept = used ? writer->begin[byte] & ((1u << used) - 1u) : 0u;
        writer->begin[byte] = (uint8_t)(kept | piece << used);
        writer->bit_count += take;
        value >>= take;
        bits -= take;
    }
}

NN_PRIVATE uint64_t nn_bits_read(nn_bit_reader* reader, unsigned bits)
{
    NN_ASSERT(bits <= 64);
    if (NN_UNLIKELY(reader->failed || reader->bit_at + bits > reader->bit_count)) {
        reader->failed = true;
        return 0;
    }
    uint64_t value = 0;
    unsigned done = 0;
    size_t first = reader->bit_at >> 3;
    if (bits <= 56 && (first + 8) * 8 <= reader->bit_count) {
        value = bits_load(reader->begin + first);
        value = value >> (reader->bit_at & 7) & ((UINT64_C(1) << bits) - 1);
        reader->bit_at += bits;
        return value;
    }
    while (done < bits) {
        unsigned used = (unsigned)(reader->bit_at & 7);
        unsigned take = 8 - used < bits - done ? 8 - used : bits - done;
        uint64_t piece = (unsigned)(reader->begin[reader->bit_at >> 3] >> used) & ((1u << take) - 1u);
        value |= piece << done;
        reader->bit_at += take;
        done += take;
    }
    return value;
}

NN_PRIVATE uint64_t nn_bits_peek(const nn_bit_reader* reader, unsigned bits)
{
    nn_bit_reader ahead = *reader;
    return nn_bits_read(&ahead, bits);
}

NN_PRIVATE void nn_bits_rewind(nn_bit_writer* writer, size_t bit_count)
{
    NN_ASSERT(bit_count <= writer->bit_count);
    writer->bit_count = bit_count;
    writer->bytes_fast = bits_fast(writer->bytes_max);
    writer->failed = false;
}

NN_PRIVATE unsigned nn_bits_for(uint64_t value_max)
{
#if defined(__GNUC__) || defined(__clang__)
    return value_max ? 64u - (unsigned)__builtin_clzll(value_max) : 0;
#else
    unsigned bits = 0;
    while (value_max) {
        bits++;
        value_max >>= 1;
    }
    return bits;
#endif
}

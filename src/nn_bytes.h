/* nn_bytes - bounded reading and writing of bytes: little-endian integers and RFC 9000 16 varints.
 *
 * Both ends are sticky: after one failure every further call fails, so a caller checks once at the end.
 */
#ifndef NN_BYTES_H
#define NN_BYTES_H

#include "nn_base.h"

#define NN_VARINT_MAX ((UINT64_C(1) << 62) - 1)

typedef struct nn_reader {
    const uint8_t* at;
    const uint8_t* end;
    bool failed;
} nn_reader;

typedef struct nn_writer {
    uint8_t* begin;
    uint8_t* at;
    uint8_t* end;
    bool failed;
} nn_writer;

NN_INLINE nn_reader nn_reader_of(const void* data, size_t bytes)
{
    nn_reader reader = {(const uint8_t*)data, (const uint8_t*)data, false};
    if (bytes) reader.end += bytes;
    return reader;
}

NN_INLINE nn_writer nn_writer_of(void* data, size_t bytes)
{
    nn_writer writer = {(uint8_t*)data, (uint8_t*)data, (uint8_t*)data, false};
    if (bytes) writer.end += bytes;
    return writer;
}

NN_INLINE size_t nn_reader_left(const nn_reader* reader)
{
    return (size_t)(reader->end - reader->at);
}

NN_INLINE size_t nn_writer_left(const nn_writer* writer)
{
    return (size_t)(writer->end - writer->at);
}

NN_INLINE size_t nn_writer_bytes(const nn_writer* writer)
{
    return (size_t)(writer->at - writer->begin);
}

/* Loads and stores, little-endian, any alignment. */
NN_INLINE uint16_t nn_load_u16(const uint8_t* p)
{
    return (uint16_t)((unsigned)p[0] | (unsigned)p[1] << 8);
}

NN_INLINE uint32_t nn_load_u32(const uint8_t* p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

NN_INLINE uint64_t nn_load_u64(const uint8_t* p)
{
    return (uint64_t)nn_load_u32(p) | (uint64_t)nn_load_u32(p + 4) << 32;
}

NN_INLINE void nn_store_u16(uint8_t* p, uint16_t value)
{
    p[0] = (uint8_t)value;
    p[1] = (uint8_t)(value >> 8);
}

NN_INLINE void nn_store_u32(uint8_t* p, uint32_t value)
{
    nn_store_u16(p, (uint16_t)value);
    nn_store_u16(p + 2, (uint16_t)(value >> 16));
}

NN_INLINE void nn_store_u64(uint8_t* p, uint64_t value)
{
    nn_store_u32(p, (uint32_t)value);
    nn_store_u32(p + 4, (uint32_t)(value >> 32));
}

/* Reads give 0 (or NULL) after a failure. */
NN_PRIVATE uint8_t nn_read_u8(nn_reader* reader);
NN_PRIVATE uint16_t nn_read_u16(nn_reader* reader);
NN_PRIVATE uint32_t nn_read_u32(nn_reader* reader);
NN_PRIVATE uint64_t nn_read_u64(nn_reader* reader);
NN_PRIVATE uint64_t nn_read_varint(nn_reader* reader);

/* nn_read_view - a view of the next bytes, valid as long as the input. */
NN_PRIVATE const uint8_t* nn_read_view(nn_reader* reader, size_t bytes);

/* nn_read_copy - copy the next bytes; zeroes them on failure. */
NN_PRIVATE void nn_read_copy(nn_reader* reader, void* to, size_t bytes);

NN_PRIVATE void nn_write_u8(nn_writer* writer, uint8_t value);
NN_PRIVATE void nn_write_u16(nn_writer* writer, uint16_t value);
NN_PRIVATE void nn_write_u32(nn_writer* writer, uint32_t value);
NN_PRIVATE void nn_write_u64(nn_writer* writer, uint64_t value);
NN_PRIVATE void nn_write_varint(nn_writer* writer, uint64_t value);
NN_PRIVATE void nn_write_bytes(nn_writer* writer, const void* data, size_t bytes);

/* nn_write_zeroes - padding. */
NN_PRIVATE void nn_write_zeroes(nn_writer* writer, size_t bytes);

/* nn_varint_bytes - 1, 2, 4 or 8. */
NN_INLINE size_t nn_varint_bytes(uint64_t value)
{
    return value < 64 ? 1 : value < 16384 ? 2 : value < (UINT64_C(1) << 30) ? 4 : 8;
}

#endif

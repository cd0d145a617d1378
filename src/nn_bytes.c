/* nn_bytes - bounded reading and writing of bytes. */
#include "nn_bytes.h"

static const uint8_t* bytes_take(nn_reader* reader, size_t bytes)
{
    if (NN_UNLIKELY(reader->failed || nn_reader_left(reader) < bytes)) {
        reader->failed = true;
        return NULL;
    }
    const uint8_t* at = reader->at;
    if (bytes) reader->at += bytes;
    return at;
}

static uint8_t* bytes_put(nn_writer* writer, size_t bytes)
{
    if (NN_UNLIKELY(writer->failed || nn_writer_left(writer) < bytes)) {
        writer->failed = true;
        return NULL;
    }
    uint8_t* at = writer->at;
    if (bytes) writer->at += bytes;
    return at;
}

NN_PRIVATE uint8_t nn_read_u8(nn_reader* reader)
{
    const uint8_t* p = bytes_take(reader, 1);
    return p ? p[0] : 0;
}

NN_PRIVATE uint16_t nn_read_u16(nn_reader* reader)
{
    const uint8_t* p = bytes_take(reader, 2);
    return p ? nn_load_u16(p) : 0;
}

NN_PRIVATE uint32_t nn_read_u32(nn_reader* reader)
{
    const uint8_t* p = bytes_take(reader, 4);
    return p ? nn_load_u32(p) : 0;
}

NN_PRIVATE uint64_t nn_read_u64(nn_reader* reader)
{
    const uint8_t* p = bytes_take(reader, 8);
    return p ? nn_load_u64(p) : 0;
}

NN_PRIVATE uint64_t nn_read_varint(nn_reader* reader)
{
    const uint8_t* first = bytes_take(reader, 1);
    if (!first) return 0;
    size_t more = ((size_t)1 << (first[0] >> 6)) - 1;
    uint64_t value = first[0] & 0x3f;
    const uint8_t* rest = bytes_take(reader, more);
    if (!rest) return 0;
    for (size_t i = 0; i < more; i++) value = value << 8 | rest[i];
    return value;
}

NN_PRIVATE const uint8_t* nn_read_view(nn_reader* reader, size_t bytes)
{
    return bytes_take(reader, bytes);
}

NN_PRIVATE void nn_read_copy(nn_reader* reader, void* to, size_t bytes)
{
    const uint8_t* p = bytes_take(reader, bytes);
    if (p) {
        nn_copy(to, p, bytes);
    } else if (bytes) {
        memset(to, 0, bytes);
    }
}

NN_PRIVATE void nn_write_u8(nn_writer* writer, uint8_t value)
{
    uint8_t* p = bytes_put(writer, 1);
    if (p) p[0] = value;
}

NN_PRIVATE void nn_write_u16(nn_writer* writer, uint16_t value)
{
    uint8_t* p = bytes_put(writer, 2);
    if (p) nn_store_u16(p, value);
}

NN_PRIVATE void nn_write_u32(nn_writer* writer, uint32_t value)
{
    uint8_t* p = bytes_put(writer, 4);
    if (p) nn_store_u32(p, value);
}

NN_PRIVATE void nn_write_u64(nn_writer* writer, uint64_t value)
{
    uint8_t* p = bytes_put(writer, 8);
    if (p) nn_store_u64(p, value);
}

NN_PRIVATE void nn_write_varint(nn_writer* writer, uint64_t value)
{
    if (value > NN_VARINT_MAX) {
        writer->failed = true;
        return;
    }
    size_t bytes = nn_varint_bytes(value);
    uint8_t* p = bytes_put(writer, bytes);
    if (!p) return;
    for (size_t i = bytes; i > 0; i--) {
        p[i - 1] = (uint8_t)value;
        value >>= 8;
    }
    static const uint8_t prefix[9] = {0, 0x00, 0x40, 0, 0x80, 0, 0, 0, 0xc0};
    p[0] = (uint8_t)(p[0] | prefix[bytes]);
}

NN_PRIVATE void nn_write_bytes(nn_writer* writer, const void* data, size_t bytes)
{
    uint8_t* p = bytes_put(writer, bytes);
    if (p) nn_copy(p, data, bytes);
}

NN_PRIVATE void nn_write_zeroes(nn_writer* writer, size_t bytes)
{
    uint8_t* p = bytes_put(writer, bytes);
    if (p && bytes) memset(p, 0, bytes);
}

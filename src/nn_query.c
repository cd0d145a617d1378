/* nn_query - ask a server for its name and players without connecting. */
#include "nn_query.h"

#include "nn_text.h"

NN_PRIVATE size_t nn_query_write(uint8_t* data, size_t bytes_max, uint64_t nonce)
{
    nn_writer writer = nn_writer_of(data, nn_min_size(bytes_max, NN_QUERY_BYTES));
    nn_write_u8(&writer, NN_DATAGRAM_QUERY);
    nn_write_u8(&writer, NECPNET_PROTOCOL_VERSION);
    nn_write_u64(&writer, nonce);
    nn_write_zeroes(&writer, NN_QUERY_BYTES - 10);
    return writer.failed ? 0 : nn_writer_bytes(&writer);
}

NN_PRIVATE bool nn_query_read(const uint8_t* data, size_t bytes, uint64_t* out_nonce, necpnet_drop* why)
{
    nn_reader reader = nn_reader_of(data, bytes);
    uint8_t type = nn_read_u8(&reader);
    uint8_t version = nn_read_u8(&reader);
    uint64_t nonce = nn_read_u64(&reader);
    if (reader.failed || type != NN_DATAGRAM_QUERY) {
        *why = NECPNET_DROP_MALFORMED;
        return false;
    }
    if (bytes < NN_QUERY_BYTES) {
        *why = NECPNET_DROP_NOT_PADDED;
        return false;
    }
    if (version != NECPNET_PROTOCOL_VERSION) {
        *why = NECPNET_DROP_VERSION;
        return false;
    }
    *out_nonce = nonce;
    return true;
}

NN_PRIVATE size_t nn_answer_write(uint8_t* data, size_t bytes_max, const nn_answer* answer)
{
    size_t name_bytes = nn_text_bytes(answer->name, NN_QUERY_NAME_BYTES_MAX);
    nn_writer writer = nn_writer_of(data, bytes_max);
    nn_write_u8(&writer, NN_DATAGRAM_ANSWER);
    nn_write_u8(&writer, NECPNET_PROTOCOL_VERSION);
    nn_write_u64(&writer, answer->nonce);
    nn_write_u32(&writer, answer->players);
    nn_write_u32(&writer, answer->players_max);
    nn_write_u8(&writer, (uint8_t)name_bytes);
    nn_write_bytes(&writer, answer->name, name_bytes);
    return writer.failed ? 0 : nn_writer_bytes(&writer);
}

NN_PRIVATE bool nn_answer_read(const uint8_t* data, size_t bytes, nn_answer* out)
{
    nn_reader reader = nn_reader_of(data, bytes);
    uint8_t type = nn_read_u8(&reader);
    uint8_t version = nn_read_u8(&reader);
    out->nonce = nn_read_u64(&reader);
    out->players = nn_read_u32(&reader);
    out->players_max = nn_read_u32(&reader);
    size_t name_bytes = nn_read_u8(&reader);
    if (reader.failed || type != NN_DATAGRAM_ANSWER || version != NECPNET_PROTOCOL_VERSION) return false;
    if (name_bytes > NN_QUERY_NAME_BYTES_MAX) return false;
    const uint8_t* name = nn_read_view(&reader, name_bytes);
    if (reader.failed) return false;
    nn_text_printable(out->name, name, name_bytes);
    return true; /* what follows is for later versions */
}

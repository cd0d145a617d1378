/* nn_connection_schema - a server and a client of two versions: the server says by what schema it writes states, and writes
 * none until the client has said that it can read them. */
#include "nn_connection.h"

#include "nn_log.h"
#include "nn_schema_map.h"

#define CONNECTION_SCHEMA_HEAD_BYTES 9 /* kind, hash */

NN_PRIVATE bool nn_connection_schema_fits(const necpnet_schema* schema)
{
    return nn_schema_described_bytes(schema) <= NN_CONTROL_MESSAGE_BYTES_MAX - CONNECTION_SCHEMA_HEAD_BYTES;
}

NN_PRIVATE necpnet_result nn_connection_tell_schema(nn_connection* connection, const necpnet_schema* schema)
{
    nn_alloc* alloc = connection->settings->alloc;
    size_t bytes = CONNECTION_SCHEMA_HEAD_BYTES + nn_schema_described_bytes(schema);
    uint8_t* message = (uint8_t*)nn_alloc_take(alloc, bytes);
    if (!message) return NECPNET_ERR_OUT_OF_MEMORY;
    nn_writer writer = nn_writer_of(message, bytes);
    nn_write_u8(&writer, NN_CONTROL_SCHEMA);
    nn_write_u64(&writer, schema->hash);
    nn_schema_describe(schema, &writer);
    NN_ASSERT(!writer.failed && nn_writer_bytes(&writer) == bytes);
    necpnet_result result = nn_session_send_control(connection->session, message, bytes);
    nn_alloc_give(alloc, message, bytes);
    connection->schema_waits = true;
    return result;
}

/* The client's side of it. */
static necpnet_result connection_follow(nn_connection* connection, nn_reader* reader, uint64_t hash)
{
    char text[NECPNET_REASON_BYTES_MAX + 1] = "the server's schema cannot be read";
    uint8_t taken[CONNECTION_SCHEMA_HEAD_BYTES];
    necpnet_schema* writer = NULL;
    const nn_state_sink* sink = connection->settings->state_sink;
    necpnet_result result =
        nn_schema_read(&connection->settings->alloc->allocator, connection->settings->logger, reader, &writer);
    if (result == NECPNET_OK && writer->hash != hash) result = NECPNET_ERR_PROTOCOL;
    if (result == NECPNET_OK) result = sink->follow(sink->user, writer, text);
    necpnet_schema_destroy(writer);
    if (result == NECPNET_OK) {
        nn_log_write(connection->settings->logger, NECPNET_LOG_INFO, "the server has another version of the schema");
        taken[0] = NN_CONTROL_SCHEMA_TAKEN;
        nn_store_u64(taken + 1, hash);
        result = nn_session_send_control(connection->session, taken, sizeof taken);
    }
    if (result == NECPNET_OK) return NECPNET_OK;
    nn_close close = nn_close_of(result, 0, result == NECPNET_ERR_OUT_OF_MEMORY ? "no memory" : text);
    nn_connection_close(connection, &close, 0, connection->now_us);
    return result;
}

NN_PRIVATE bool nn_connection_take_schema(nn_connection* connection, const uint8_t* data, size_t bytes,
                                          necpnet_result* out_result)
{
    bool is_server = connection->settings->is_server;
    nn_reader reader = nn_reader_of(data, bytes);
    uint8_t kind = nn_read_u8(&reader);
    uint64_t hash = nn_read_u64(&reader);
    *out_result = NECPNET_OK;
    if (kind == NN_CONTROL_SCHEMA) {
        if (reader.failed || is_server) {
            *out_result = NECPNET_ERR_PROTOCOL;
        } else if (connection->settings->state_sink->follow) {
            *out_result = connection_follow(connection, &reader, hash);
        }
        return true;
    }
    if (kind != NN_CONTROL_SCHEMA_TAKEN) return false;
    if (reader.failed || !is_server || nn_reader_left(&reader)) {
        *out_result = NECPNET_ERR_PROTOCOL;
    } else if (connection->settings->world &&
               hash == necpnet_schema_get_hash(nn_world_get_schema(connection->settings->world))) {
        connection->schema_waits = false;
    }
    return true;
}

/* nn_connection_write - what a client writes into entities and the talk about it, between the connection and what it serves. */
#include "nn_connection.h"

#include "nn_log.h"

static bool connection_is_up(const nn_connection* connection)
{
    return connection->state == NN_CONNECTION_OPEN || connection->state == NN_CONNECTION_LINGERING;
}

NN_PRIVATE necpnet_result nn_connection_push_write(nn_connection* connection, uint32_t entity, uint32_t number,
                                                   const void* data, size_t bytes)
{
    if (!connection->settings->writes || !connection_is_up(connection)) return NECPNET_ERR_NOT_CONNECTED;
    return nn_writes_push(connection->settings->writes, entity, number, data, bytes);
}

NN_PRIVATE necpnet_result nn_connection_tell_state(nn_connection* connection, const void* data, size_t bytes)
{
    if (!connection_is_up(connection)) return NECPNET_ERR_NOT_CONNECTED;
    return nn_session_send_control(connection->session, data, bytes);
}

static necpnet_result connection_send_tell(void* user, const void* data, size_t bytes)
{
    return nn_session_send_control(((nn_connection*)user)->session, data, bytes);
}

NN_PRIVATE bool nn_connection_tell_follower(nn_connection* connection)
{
    if (!NECPNET_WITH_SERVER || !connection->follower || connection->schema_waits) return true;
    if (!nn_follower_has_tell(connection->follower)) return true;
    return nn_follower_tell(connection->follower, connection_send_tell, connection);
}

NN_PRIVATE bool nn_connection_take_state_control(nn_connection* connection, const uint8_t* data, size_t bytes)
{
    if (!connection->settings->is_server) {
        const nn_state_sink* sink = connection->settings->state_sink;
        return !sink->control || sink->control(sink->user, data, bytes);
    }
    return !NECPNET_WITH_SERVER || !connection->follower || nn_follower_take_control(connection->follower, data, bytes);
}

NN_PRIVATE necpnet_result nn_connection_read_writes(nn_connection* connection, nn_reader* reader)
{
    if (!NECPNET_WITH_SERVER || !connection->follower) return NECPNET_ERR_BAD_DATA;
    necpnet_result result = nn_follower_take_writes(connection->follower, reader, connection->now_us);
    if (result == NECPNET_ERR_BAD_DATA) {
        nn_log_write(connection->settings->logger, NECPNET_LOG_WARNING, "a WRITE frame does not decode");
    }
    return result;
}

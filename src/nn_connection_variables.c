/* nn_connection_variables - a world's variables on their way to one client: CONTROL messages, reliable and in order, no more of
 * them at a time than the channel can take. */
#include "nn_connection.h"

NN_PRIVATE void nn_connection_tell_variables(nn_connection* connection)
{
    nn_follower* follower = connection->follower;
    uint8_t* message = connection->settings->scratch;
    size_t room = nn_min_size(connection->settings->scratch_bytes, NN_CONNECTION_VARIABLES_BYTES);
    NN_ASSERT(room >= 2 + NN_VARIABLE_RECORD_BYTES_MAX);
    follower->tells_later = false;
    while (nn_follower_lacks_variables(follower)) {
        int scope;
        nn_told told;
        nn_writer writer = nn_writer_of(message, room);
        follower->tells_later = true; /* unless all goes well */
        if (nn_session_control_bytes(connection->session) > NN_CONNECTION_VARIABLES_QUEUE) return;
        nn_write_u8(&writer, NN_CONTROL_VARIABLES);
        if (!nn_follower_write_variables(follower, &writer, &scope, &told)) return;
        if (nn_session_send_control(connection->session, message, nn_writer_bytes(&writer)) != NECPNET_OK) return;
        follower->told[scope] = told;
        follower->tells_later = false;
    }
}

NN_PRIVATE bool nn_connection_take_variables(nn_connection* connection, const uint8_t* data, size_t bytes,
                                             necpnet_result* out_result)
{
    const nn_state_sink* sink = connection->settings->state_sink;
    *out_result = NECPNET_OK;
    if (bytes < 1 || data[0] != NN_CONTROL_VARIABLES) return false;
    if (connection->settings->is_server) {
        *out_result = NECPNET_ERR_PROTOCOL;
        return true;
    }
    if (sink->variables) *out_result = sink->variables(sink->user, data + 1, bytes - 1);
    if (*out_result == NECPNET_OK || *out_result == NECPNET_ERR_PROTOCOL) return true;
    nn_close close = nn_close_of(
        *out_result, 0, *out_result == NECPNET_ERR_OUT_OF_MEMORY ? "no memory" : "more variables than a client takes");
    nn_connection_close(connection, &close, 0, connection->now_us);
    return true;
}

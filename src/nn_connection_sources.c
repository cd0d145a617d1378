/* nn_connection_sources - who takes turns with the channels: the world's states, and voice. */
#include "nn_connection.h"

/* WebSocket: what is written and not reported received stands in buffers between; state that would wait there is better
 * encoded later. One frame at a time goes even so, or messages without end would leave state no turn. */
NN_PRIVATE bool nn_connection_state_has_room(const nn_connection* connection)
{
    const nn_session* session = connection->session;
    return connection->transport != NECPNET_TRANSPORT_WEBSOCKET ||
           session->carrier_bytes_written - session->peer_bytes_received < NN_CONNECTION_UNHEARD_BYTES ||
           session->peer_bytes_received > connection->state_at_bytes;
}

/* The world as a writer that takes turns with the channels. */
static bool connection_state_ready(void* user, uint64_t now_us)
{
    const nn_connection* connection = (const nn_connection*)user;
    return NECPNET_WITH_SERVER && connection->follower && !connection->schema_waits &&
           nn_connection_state_has_room(connection) && nn_follower_ready(connection->follower, now_us);
}

static bool connection_state_write(void* user, nn_writer* writer, nn_contents* contents, uint64_t now_us)
{
    nn_connection* connection = (nn_connection*)user;
    uint32_t value = 0;
    if (!NECPNET_WITH_SERVER || nn_contents_full(contents)) return false;
    if (!nn_follower_write(connection->follower, writer, nn_writer_left(writer), &value, now_us)) return false;
    nn_contents_add(contents, NN_SENT_STATE, 0, 0, value);
    connection->state_at_bytes = connection->session->carrier_bytes_written;
    return true;
}

/* WebSocket: what would wait in buffers between is too old when it arrives. */
NN_PRIVATE bool nn_connection_voice_has_room(const nn_connection* connection)
{
    const nn_session* session = connection->session;
    return connection->transport != NECPNET_TRANSPORT_WEBSOCKET ||
           session->carrier_bytes_written - session->peer_bytes_received < NN_CONNECTION_UNHEARD_VOICE;
}

static bool connection_voice_ready(void* user, uint64_t now_us)
{
    const nn_connection* connection = (const nn_connection*)user;
    return NECPNET_WITH_VOICE && connection->speaks && nn_connection_voice_has_room(connection) &&
           connection->voice->ready(connection->voice->user, now_us);
}

static bool connection_voice_write(void* user, nn_writer* writer, nn_contents* contents, uint64_t now_us)
{
    const nn_connection* connection = (const nn_connection*)user;
    (void)contents; /* nobody asks what became of it */
    return NECPNET_WITH_VOICE && connection->voice->write(connection->voice->user, writer, now_us);
}

NN_PRIVATE const nn_source* nn_connection_sources(void)
{
    static const nn_source sources[NN_SOURCES] = {{connection_voice_ready, connection_voice_write},
                                                  {connection_state_ready, connection_state_write}};
    return sources;
}

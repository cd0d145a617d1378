/* nn_connection_fates - what became of packets over UDP: acknowledged, lost, doubted; who is told. */
#include "nn_connection.h"

/* What became of a packet. */
static void connection_acked(void* user, const nn_contents* contents)
{
    nn_connection* connection = (nn_connection*)user;
    for (unsigned i = 0; i < contents->count; i++) {
        if (contents->frames[i].kind == NN_SENT_STATE && connection->follower) {
            nn_follower_acked(connection->follower, contents->frames[i].value);
        }
        if (contents->frames[i].kind == NN_SENT_WRITE && connection->settings->writes) {
            nn_writes_acked(connection->settings->writes, contents->frames[i].value,
                            connection->settings->state_sink->written, connection->settings->state_sink->user);
        }
        if (contents->frames[i].kind == NN_SENT_SIZE_PROBE) {
            nn_packet_size_acked(&connection->udp->size, contents->frames[i].value, connection->now_us);
            nn_connection_set_size(connection);
        }
    }
    nn_session_acked(connection->session, contents, connection->now_us);
}

static void connection_lost(void* user, const nn_contents* contents)
{
    nn_connection* connection = (nn_connection*)user;
    for (unsigned i = 0; i < contents->count; i++) {
        switch (contents->frames[i].kind) {
        case NN_SENT_STATE:
            if (connection->follower) nn_follower_lost(connection->follower, contents->frames[i].value);
            break;
        case NN_SENT_WRITE:
            if (connection->settings->writes) nn_writes_lost(connection->settings->writes, contents->frames[i].value);
            break;
        case NN_SENT_INPUT:
            if (connection->settings->inputs) nn_inputs_interrupt(connection->settings->inputs);
            connection->input_pending = nn_connection_has_inputs(connection);
            break;
        case NN_SENT_INPUT_ACK: connection->input_receiver.ack_due = connection->input_receiver.has_tick; break;
        case NN_SENT_SIZE_PROBE:
            nn_packet_size_lost(&connection->udp->size, contents->frames[i].value, connection->now_us);
            break;
        case NN_SENT_SUSPEND: connection->suspend_pending = true; break;
        default: break;
        }
    }
    nn_session_lost(connection->session, contents, connection->now_us);
}

/* The recovery tells a probed packet as lost, too: the statistics count what it counts. */
static void connection_count_losses(nn_connection* connection, uint64_t acked_before, uint64_t lost_before)
{
    nn_connection_udp* udp = connection->udp;
    const nn_recovery* recovery = &udp->recovery;
    if (!udp->loss && recovery->packets_lost > lost_before) {
        udp->loss = (nn_loss*)nn_alloc_take(connection->settings->alloc, sizeof *udp->loss);
        acked_before = recovery->packets_acked > NN_LOSS_PACKETS ? recovery->packets_acked - NN_LOSS_PACKETS : 0;
    }
    if (!udp->loss) return; /* nothing was ever lost, or nobody can tell */
    for (uint64_t i = acked_before; i < recovery->packets_acked; i++) nn_loss_add(udp->loss, false);
    for (uint64_t i = lost_before; i < recovery->packets_lost; i++) nn_loss_add(udp->loss, true);
}

NN_PRIVATE bool nn_connection_read_ack(nn_connection* connection, nn_reader* reader)
{
    if (!nn_connection_is_udp(connection)) return false;
    nn_recovery* recovery = &connection->udp->recovery;
    uint64_t acked = recovery->packets_acked, lost = recovery->packets_lost;
    necpnet_result result = nn_recovery_read_ack(recovery, reader, connection->udp->arrived_us, connection_acked,
                                                 connection_lost, connection);
    connection_count_losses(connection, acked, lost);
    nn_connection_watch_size(connection);
    return result == NECPNET_OK;
}

static void connection_doubted(void* user, const nn_contents* contents)
{
    nn_session_doubted(((nn_connection*)user)->session, contents);
}

NN_PRIVATE void nn_connection_run_recovery(nn_connection* connection)
{
    nn_recovery* recovery = &connection->udp->recovery;
    if (connection->now_us < nn_recovery_deadline_us(recovery)) return;
    uint64_t acked = recovery->packets_acked, lost = recovery->packets_lost;
    connection->udp->probes += nn_recovery_on_deadline(recovery, connection->now_us, connection_lost, connection);
    connection_count_losses(connection, acked, lost);
    nn_connection_watch_size(connection);
}

NN_PRIVATE void nn_connection_run_doubts(nn_connection* connection)
{
    nn_recovery_doubt(&connection->udp->recovery, connection->now_us, connection_doubted, connection);
    nn_recovery_rest(&connection->udp->recovery, connection->now_us);
}

NN_PRIVATE void nn_connection_repeat_flight(nn_connection* connection)
{
    nn_recovery_repeat(&connection->udp->recovery, connection_lost, connection);
}

NN_PRIVATE void nn_connection_lose_flight(nn_connection* connection, uint64_t before_us)
{
    nn_recovery_lose_before(&connection->udp->recovery, before_us, connection_lost, connection);
}

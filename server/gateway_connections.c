/* gateway_connections - the gateway's sessions as connections of the API (connections.h): those that have JSON-RPC alone as rows of
 * their own, and the topics of all.
 */
#include <stdio.h>
#include <string.h>

#include "gateway_inside.h"

static bool gateway_put_topic(const topics_topic* topic, uint64_t offset, void* user)
{
    connection_row* row = user;
    (void)offset;
    if (row->topic_count < CONNECTION_TOPICS_MAX)
        snprintf(row->topics[row->topic_count], CONNECTION_TOPIC_BYTES, "%s", topics_name(topic));
    row->topic_count++;
    return true;
}

static void gateway_fill_row(const gateway* at, const gateway_session* session, connection_row* row)
{
    memset(row, 0, sizeof(*row));
    row->client_id = session->client_id;
    row->protocol = GATEWAY_SUBPROTOCOL;
    row->transport = "websocket";
    row->connected_us = session->began_us;
    row->heard_us = session->heard_us;
    row->status = !session->connection || session->ended                ? CONNECTION_CLOSING
                  : at->now_us > session->heard_us + CONNECTION_IDLE_US ? CONNECTION_IDLE
                                                                        : CONNECTION_ACTIVE;
    snprintf(row->from, sizeof(row->from), "unknown");
    if (session->connection) {
        necpnet_address address = necpnet_web_get_address(session->connection);
        identity_put_address(&address, row->from, sizeof(row->from));
        row->queue_bytes = (uint32_t)necpnet_web_pending(session->connection);
    }
    topics_each(&session->subscriber, gateway_put_topic, row);
}

/* Binary clients are rows of the worker's: "p". */
static bool gateway_has_row(const gateway_session* session)
{
    return session->peer == NECPNET_PEER_NONE && session->greeted;
}

/* The newest first, as the list has them; serials fall along it. */
static void gateway_each_connection(void* user, uint64_t after, connection_visit visit, void* visitor)
{
    const gateway* at = user;
    connection_row row;
    for (const gateway_session* session = at->first; session; session = session->next) {
        if ((after && session->serial >= after) || !gateway_has_row(session)) continue;
        gateway_fill_row(at, session, &row);
        if (!visit(session->serial, &row, visitor)) return;
    }
}

static gateway_session* gateway_by_serial(const gateway* at, uint64_t serial)
{
    gateway_session* session = at->first;
    while (session && session->serial > serial) session = session->next;
    return session && session->serial == serial && gateway_has_row(session) ? session : NULL;
}

static bool gateway_find_connection(void* user, uint64_t key, connection_row* row)
{
    const gateway_session* session = gateway_by_serial(user, key);
    if (session) gateway_fill_row(user, session, row);
    return session != NULL;
}

static bool gateway_close_connection(void* user, uint64_t key)
{
    gateway* at = user;
    gateway_session* session = gateway_by_serial(at, key);
    if (!session || session->ended) return false;
    if (session->connection) {
        session->ended = true;
        (void)necpnet_web_close(session->connection, GATEWAY_CLOSE_KICKED, "closed by an operator");
        at->queued = true;
    } else {
        gateway_end_session(at, session);
    }
    return true;
}

static necpnet_result gateway_change(gateway* at, gateway_session* session, const char* name, bool subscribe,
                                     const char** why)
{
    bool recovered;
    topics_topic* topic = NULL;
    if (!session) return NECPNET_ERR_NOT_FOUND;
    *why = "this is no topic's name";
    if (!topics_name_is_right(name)) return NECPNET_ERR_REFUSED;
    if (!subscribe) {
        topic = topics_find(at->hub, name);
        if (topic) (void)topics_unsubscribe(at->hub, topic, &session->subscriber);
        return NECPNET_OK; /* also where there was no subscription */
    }
    *why = gateway_judge_topic(at, session, name, GATEWAY_SUBSCRIBES);
    if (*why) return NECPNET_ERR_REFUSED;
    *why = "the limit of topics is reached";
    if (!gateway_cluster_has_topic(at, name)) { /* asked for */
        gateway_waiting* waiting = gateway_wait_subscribe(session, name, NULL, NULL);
        if (!waiting) return NECPNET_ERR_OUT_OF_MEMORY;
        if (gateway_cluster_subscribe(at, name, waiting))
            gateway_on_answer(waiting, RELAY_DONE, (topics_position){0, 0}, at);
        return NECPNET_OK;
    }
    necpnet_result result = topics_open(at->hub, name, &topic);
    if (result == NECPNET_OK)
        result = topics_subscribe(at->hub, topic, &session->subscriber, NULL, at->now_us, &recovered);
    return result == NECPNET_ERR_ALREADY_EXISTS ? NECPNET_OK : result;
}

static necpnet_result gateway_change_connection(void* user, uint64_t key, const char* topic, bool subscribe,
                                                const char** why)
{
    return gateway_change(user, gateway_by_serial(user, key), topic, subscribe, why);
}

connection_source gateway_source(gateway* at)
{
    return (connection_source){.letter = 'g',
                               .each = gateway_each_connection,
                               .find = gateway_find_connection,
                               .close = gateway_close_connection,
                               .change_topic = gateway_change_connection,
                               .user = at};
}

void gateway_fill_topics(gateway* at, necpnet_peer peer, connection_row* row)
{
    const gateway_session* session = gateway_session_of(at, peer);
    if (session) topics_each(&session->subscriber, gateway_put_topic, row);
}

necpnet_result gateway_change_topic(gateway* at, necpnet_peer peer, const char* topic, bool subscribe, const char** why)
{
    return gateway_change(at, gateway_session_of(at, peer), topic, subscribe, why);
}

/* nn_client_query - ask a server for its name, players and ping without connecting. */
#include "nn_client.h"

#include "nn_query.h"

necpnet_result necpnet_client_query(necpnet_client* client, const char* url)
{
    nn_url parsed;
    if (!client || !url) return NECPNET_ERR_INVALID_ARGUMENT;
    necpnet_result result = nn_url_parse(url, &parsed);
    if (result) return result;
    if (parsed.scheme != NN_URL_UDP) return NECPNET_ERR_BAD_URL;
    const necpnet_transport* transport = client->endpoint.transport;
    if (!(transport->flags & NECPNET_TRANSPORT_DATAGRAMS)) return NECPNET_ERR_UNSUPPORTED;
    for (uint64_t i = 0; i < NN_CLIENT_QUERIES_MAX; i++) {
        nn_client_query* query = &client->queries[i];
        if (query->is_used) continue;
        memset(query, 0, sizeof *query);
        if (!nn_endpoint_random(&client->endpoint, &query->nonce, sizeof query->nonce)) return NECPNET_ERR_NO_ENTROPY;
        result = transport->resolve(transport->user, NN_CLIENT_QUERY_BIT | i, parsed.host, parsed.port);
        if (result) return result;
        query->is_used = true;
        query->began_us = client->endpoint.now_us;
        memcpy(query->url, parsed.text, sizeof query->url);
        return NECPNET_OK;
    }
    return NECPNET_ERR_LIMIT_REACHED;
}

static void client_query_failed(necpnet_client* client, nn_client_query* query, necpnet_result reason)
{
    nn_client_push(client, NECPNET_EVENT_QUERY_FAILED, query->url)->event.reason = reason;
    query->is_used = false;
}

NN_PRIVATE void nn_client_query_resolved(necpnet_client* client, uint64_t request, const necpnet_address* addresses,
                                         int count, necpnet_result reason)
{
    nn_client_query* query = &client->queries[request % NN_CLIENT_QUERIES_MAX];
    if (!query->is_used || query->is_resolved) return;
    if (count == 0) {
        client_query_failed(client, query, reason);
        return;
    }
    query->address = addresses[0];
    query->is_resolved = true;
}

NN_PRIVATE bool nn_client_query_datagram(necpnet_client* client, const necpnet_address* from, const uint8_t* data,
                                         size_t bytes)
{
    nn_answer answer;
    if (bytes == 0 || data[0] != NN_DATAGRAM_ANSWER) return false;
    if (!nn_answer_read(data, bytes, &answer)) return true;
    for (int i = 0; i < NN_CLIENT_QUERIES_MAX; i++) {
        nn_client_query* query = &client->queries[i];
        bool is_it = query->is_used && query->nonce == answer.nonce && necpnet_address_equal(&query->address, from);
        if (!is_it) continue;
        nn_client_event* event = nn_client_push(client, NECPNET_EVENT_QUERY_ANSWER, query->url);
        memcpy(event->name, answer.name, sizeof event->name);
        event->event.players = answer.players;
        event->event.players_max = answer.players_max;
        event->event.rtt_us = (uint32_t)nn_min_u64(client->endpoint.now_us - query->sent_us, UINT32_MAX);
        query->is_used = false;
    }
    return true;
}

NN_PRIVATE void nn_client_run_queries(necpnet_client* client, uint64_t now_us)
{
    const necpnet_transport* transport = client->endpoint.transport;
    for (int i = 0; NECPNET_WITH_UDP && i < NN_CLIENT_QUERIES_MAX; i++) {
        nn_client_query* query = &client->queries[i];
        if (!query->is_used) continue;
        if (now_us >= query->began_us + NN_QUERY_TIMEOUT_US) {
            client_query_failed(client, query, NECPNET_ERR_NO_ANSWER);
        } else if (query->is_resolved && (query->sent_us == 0 || now_us >= query->sent_us + NN_QUERY_REPEAT_US)) {
            uint8_t datagram[NN_QUERY_BYTES];
            size_t bytes = nn_query_write(datagram, sizeof datagram, query->nonce);
            transport->send_datagram(transport->user, &query->address, datagram, bytes);
            query->sent_us = now_us;
        }
    }
}

NN_PRIVATE uint64_t nn_client_query_deadline_us(const necpnet_client* client)
{
    uint64_t at_us = NN_NEVER;
    for (int i = 0; NECPNET_WITH_UDP && i < NN_CLIENT_QUERIES_MAX; i++) {
        const nn_client_query* query = &client->queries[i];
        if (!query->is_used) continue;
        at_us = nn_min_u64(at_us, query->began_us + NN_QUERY_TIMEOUT_US);
        if (!query->is_resolved) continue;
        at_us = nn_min_u64(at_us, query->sent_us ? query->sent_us + NN_QUERY_REPEAT_US : client->endpoint.now_us);
    }
    return at_us;
}

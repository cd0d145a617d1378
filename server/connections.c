/* connections - asks workers for their rows. */
#include "connections.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules.h"
#include "worker.h"

/* An id taken apart. */
typedef struct connection_key {
    int worker;
    char letter;
    uint64_t key;
} connection_key;

static bool connection_parse(const services* known, const char* id, connection_key* out)
{
    char letter = 0;
    int used = 0;
    if (sscanf(id, "%2d.%c%16" SCNx64 "%n", &out->worker, &letter, &out->key, &used) != 3) return false;
    out->letter = letter;
    char again[CONNECTION_ID_BYTES];
    snprintf(again, sizeof(again), "%d.%c%016" PRIx64, out->worker, letter, out->key);
    return strcmp(again, id) == 0 && out->worker >= 0 && out->worker < atomic_load(&known->worker_count);
}

static void connection_name(connection_row* row, int index, char letter, uint64_t key)
{
    snprintf(row->id, sizeof(row->id), "%d.%c%016" PRIx64, index, letter, key);
}

/* -------------------------------------------------------------------------------------------- on the worker -- */

typedef struct connection_ask {
    connection_filter filter;
    connection_key from; /* what after says, of this worker; letter 0: from the beginning */
    uint32_t count;
    bool more;
    connection_row* rows; /* made by the worker */
} connection_ask;

static bool connection_fits(const connection_filter* filter, const connection_row* row)
{
    return (filter->status == CONNECTION_ANY || filter->status == row->status) &&
           (filter->client_id == 0 || filter->client_id == row->client_id);
}

/* One row for the answer. */
typedef struct connection_visitor {
    connection_ask* ask;
    int index; /* of the worker */
    char letter;
} connection_visitor;

static bool connections_take(uint64_t key, connection_row* row, void* user)
{
    const connection_visitor* visitor = user;
    connection_ask* ask = visitor->ask;
    if (!connection_fits(&ask->filter, row)) return true;
    if (ask->count == ask->filter.limit) {
        ask->more = true;
        return false;
    }
    connection_name(row, visitor->index, visitor->letter, key);
    ask->rows[ask->count++] = *row;
    return true;
}

static void connections_fill(worker* at, void* data)
{
    connection_ask* ask = data;
    ask->rows = malloc(ask->filter.limit * sizeof(*ask->rows));
    for (int i = 0; ask->rows && !ask->more && i < worker_source_count(at); i++) {
        const connection_source* source = worker_source(at, i);
        connection_visitor visitor = {ask, worker_index(at), source->letter};
        if (source->letter < ask->from.letter) continue;
        source->each(source->user, source->letter == ask->from.letter ? ask->from.key : 0, connections_take, &visitor);
    }
}

static void connections_drop(void* data)
{
    free(((connection_ask*)data)->rows);
}

typedef struct connection_one {
    connection_key key;
    bool close;
    bool found;
    connection_row row;
} connection_one;

static void connections_touch(worker* at, void* data)
{
    connection_one* one = data;
    for (int i = 0; i < worker_source_count(at); i++) {
        const connection_source* source = worker_source(at, i);
        if (source->letter != one->key.letter) continue;
        one->found = one->close ? source->close(source->user, one->key.key)
                                : source->find(source->user, one->key.key, &one->row);
        connection_name(&one->row, worker_index(at), source->letter, one->key.key);
    }
}

/* ---------------------------------------------------------------------------------------------------- asking -- */

static desk_result connections_ask_worker(const services* known, int index, const connection_filter* filter,
                                          const connection_key* after, connection_list* list)
{
    connection_ask ask = {.filter = *filter};
    ask.filter.limit = filter->limit - list->count;
    if (after->worker == index) ask.from = *after;
    if (ask.filter.limit == 0) ask.filter.limit = 1; /* only to learn whether there are more */
    if (!worker_ask(known->workers[index], connections_fill, &ask, sizeof(ask), connections_drop, CONNECTIONS_WAIT_MS))
        return DESK_TIMEOUT;
    if (!ask.rows) return DESK_DOWN;
    if (list->count == filter->limit) {
        list->more = ask.count > 0;
    } else {
        memcpy(&list->rows[list->count], ask.rows, ask.count * sizeof(*ask.rows));
        list->count += ask.count;
        list->more = ask.more;
    }
    free(ask.rows);
    return DESK_OK;
}

desk_result connections_list(const services* known, const connection_filter* filter, connection_list* out_list)
{
    connection_key after = {-1, 0, 0};
    desk_result result = DESK_OK;
    *out_list = (connection_list){.rows = malloc(filter->limit * sizeof(connection_row))};
    if (!out_list->rows) return DESK_DOWN;
    if (filter->after[0] && !connection_parse(known, filter->after, &after)) return DESK_OK; /* behind everything */
    for (int i = after.worker < 0 ? 0 : after.worker; i < atomic_load(&known->worker_count); i++) {
        result = connections_ask_worker(known, i, filter, &after, out_list);
        if (result != DESK_OK || out_list->more) break;
    }
    return result;
}

static desk_result connections_touch_one(const services* known, const char* id, connection_one* one)
{
    if (!connection_parse(known, id, &one->key)) return DESK_NOT_FOUND;
    if (!worker_ask(known->workers[one->key.worker], connections_touch, one, sizeof(*one), NULL, CONNECTIONS_WAIT_MS))
        return DESK_TIMEOUT;
    return one->found ? DESK_OK : DESK_NOT_FOUND;
}

desk_result connections_find(const services* known, const char* id, connection_row* out_row)
{
    connection_one one = {.close = false};
    desk_result result = connections_touch_one(known, id, &one);
    *out_row = one.row;
    return result;
}

desk_result connections_close(const services* known, const char* id)
{
    connection_one one = {.close = true};
    return connections_touch_one(known, id, &one);
}

#define CONNECTION_TOPICS_BYTES 4224 /* 32 of 131 bytes and a NUL */

typedef struct connection_order {
    connection_key key;
    bool subscribe;
    int count;
    necpnet_result result;
    char why[160];
    char topics[CONNECTION_TOPICS_BYTES];
} connection_order;

static void connections_obey(worker* at, void* data)
{
    connection_order* order = data;
    const char* topic = order->topics;
    order->result = NECPNET_ERR_NOT_FOUND;
    for (int i = 0; i < worker_source_count(at); i++) {
        const connection_source* source = worker_source(at, i);
        if (source->letter != order->key.letter) continue;
        order->result = NECPNET_OK;
        for (int n = 0; n < order->count && order->result == NECPNET_OK; n++, topic += strlen(topic) + 1) {
            const char* why = "";
            order->result = source->change_topic(source->user, order->key.key, topic, order->subscribe, &why);
            if (order->result != NECPNET_OK) snprintf(order->why, sizeof(order->why), "%s", why);
        }
    }
}

necpnet_result connections_change_topics(const services* known, const char* id, const char* topics, int count,
                                         bool subscribe, char* why, size_t why_bytes)
{
    connection_order order = {.subscribe = subscribe, .count = count};
    size_t bytes = 0;
    for (int i = 0; i < count; i++) bytes += strlen(topics + bytes) + 1;
    if (bytes > sizeof(order.topics)) return NECPNET_ERR_LIMIT_REACHED;
    memcpy(order.topics, topics, bytes);
    if (!connection_parse(known, id, &order.key)) return NECPNET_ERR_NOT_FOUND;
    if (!worker_ask(known->workers[order.key.worker], connections_obey, &order, sizeof(order), NULL,
                    CONNECTIONS_WAIT_MS))
        return NECPNET_ERR_TIMEOUT;
    snprintf(why, why_bytes, "%s", order.why);
    return order.result;
}

rule_object rules_owner_connection(const services* known, const identity* who, const char* object)
{
    connection_row row;
    switch (connections_find(known, object, &row)) {
    case DESK_OK: return row.client_id == who->client_id ? RULE_OBJECT_OWN : RULE_OBJECT_FOREIGN;
    case DESK_NOT_FOUND: return RULE_OBJECT_MISSING;
    default: return RULE_OBJECT_UNKNOWN;
    }
}

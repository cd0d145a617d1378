/* nn_pool - several connections by name; names with the same set of addresses share one. */
#include "nn_client.h"

#define POOL_NAMES_MAX 64

typedef struct pool_connection {
    necpnet_client* client; /* NULL: free */
    uint32_t users;
    uint32_t reconnects;
    necpnet_result reason;
    int url_count;
    char urls[NECPNET_URLS_MAX][NECPNET_URL_BYTES_MAX + 1]; /* sorted */
} pool_connection;

typedef struct pool_name {
    char name[NECPNET_NAME_BYTES_MAX + 1]; /* "": free */
    pool_connection* connection;
} pool_name;

struct necpnet_pool {
    nn_alloc alloc;
    necpnet_client_config config;
    pool_name names[POOL_NAMES_MAX];
    pool_connection* connections[POOL_NAMES_MAX]; /* NULL: free */
    int polled;                                   /* whose turn */
};

necpnet_result necpnet_pool_create(const necpnet_client_config* config, necpnet_pool** out_pool)
{
    if (!config || !out_pool) return NECPNET_ERR_INVALID_ARGUMENT;
    if (config->struct_bytes != sizeof *config) return NECPNET_ERR_BAD_STRUCT_BYTES;
    if (config->transport || config->view) {
        nn_log_write(&config->logger, NECPNET_LOG_ERROR,
                     "config.transport and config.view serve one client, not a pool");
        return NECPNET_ERR_BAD_CONFIG;
    }
    nn_alloc first;
    nn_alloc_init(&first, &config->allocator);
    necpnet_pool* pool = (necpnet_pool*)nn_alloc_take(&first, sizeof *pool);
    if (!pool) return NECPNET_ERR_OUT_OF_MEMORY;
    pool->alloc = first;
    pool->config = *config;
    *out_pool = pool;
    return NECPNET_OK;
}

static void pool_free_connection(necpnet_pool* pool, pool_connection* connection)
{
    for (int i = 0; i < POOL_NAMES_MAX; i++) {
        if (pool->connections[i] == connection) pool->connections[i] = NULL;
    }
    necpnet_client_destroy(connection->client);
    nn_alloc_give(&pool->alloc, connection, sizeof *connection);
}

void necpnet_pool_destroy(necpnet_pool* pool)
{
    if (!pool) return;
    for (int i = 0; i < POOL_NAMES_MAX; i++) {
        if (pool->connections[i]) pool_free_connection(pool, pool->connections[i]);
    }
    nn_alloc alloc = pool->alloc;
    nn_alloc_give(&alloc, pool, sizeof *pool);
}

static pool_name* pool_find(const necpnet_pool* pool, const char* name)
{
    for (int i = 0; name && i < POOL_NAMES_MAX; i++) {
        const pool_name* entry = &pool->names[i];
        if (entry->name[0] && strcmp(entry->name, name) == 0) return (pool_name*)entry;
    }
    return NULL;
}

/* Copies urls in sorted order, so that equal sets compare equal. */
static bool pool_sort(pool_connection* to, const char* const* urls, int url_count)
{
    to->url_count = url_count;
    for (int i = 0; i < url_count; i++) {
        size_t length = urls[i] ? strlen(urls[i]) : 0;
        if (length == 0 || length > NECPNET_URL_BYTES_MAX) return false;
        int place = i;
        while (place > 0 && strcmp(to->urls[place - 1], urls[i]) > 0) {
            memcpy(to->urls[place], to->urls[place - 1], sizeof to->urls[0]);
            place--;
        }
        memset(to->urls[place], 0, sizeof to->urls[0]);
        memcpy(to->urls[place], urls[i], length);
    }
    return true;
}

static pool_connection* pool_shared(const necpnet_pool* pool, const pool_connection* wanted)
{
    for (int i = 0; i < POOL_NAMES_MAX; i++) {
        pool_connection* connection = pool->connections[i];
        if (!connection || connection->url_count != wanted->url_count) continue;
        size_t bytes = (size_t)wanted->url_count * sizeof wanted->urls[0];
        if (memcmp(connection->urls, wanted->urls, bytes) == 0) return connection;
    }
    return NULL;
}

static necpnet_result pool_connect(necpnet_pool* pool, pool_connection* connection, const char* const* urls,
                                   int url_count)
{
    necpnet_result result = necpnet_client_create(&pool->config, &connection->client);
    if (result == NECPNET_OK) result = necpnet_client_connect(connection->client, urls, url_count);
    if (result) return result;
    int place = 0;
    while (pool->connections[place]) place++; /* at most one a name: there is room */
    pool->connections[place] = connection;
    return NECPNET_OK;
}

necpnet_result necpnet_pool_open(necpnet_pool* pool, const char* name, const char* const* urls, int url_count)
{
    size_t length = name ? strlen(name) : 0;
    if (!pool || length == 0 || length > NECPNET_NAME_BYTES_MAX) return NECPNET_ERR_INVALID_ARGUMENT;
    if (!urls || url_count < 1 || url_count > NECPNET_URLS_MAX) return NECPNET_ERR_INVALID_ARGUMENT;
    if (pool_find(pool, name)) return NECPNET_ERR_ALREADY_EXISTS;
    pool_name* entry = NULL;
    for (int i = 0; i < POOL_NAMES_MAX && !entry; i++) entry = pool->names[i].name[0] ? NULL : &pool->names[i];
    if (!entry) return NECPNET_ERR_LIMIT_REACHED;
    pool_connection* made = (pool_connection*)nn_alloc_take(&pool->alloc, sizeof *made);
    if (!made) return NECPNET_ERR_OUT_OF_MEMORY;
    necpnet_result result = pool_sort(made, urls, url_count) ? NECPNET_OK : NECPNET_ERR_BAD_URL;
    pool_connection* shared = result ? NULL : pool_shared(pool, made);
    if (result == NECPNET_OK && !shared) result = pool_connect(pool, made, urls, url_count);
    bool is_idle = shared && necpnet_client_get_state(shared->client) == NECPNET_CLIENT_IDLE; /* gave up: once more */
    if (is_idle) result = necpnet_client_connect(shared->client, urls, url_count);
    if (result || shared) pool_free_connection(pool, made);
    if (result) return result;
    entry->connection = shared ? shared : made;
    entry->connection->users++;
    memcpy(entry->name, name, length + 1);
    return NECPNET_OK;
}

necpnet_result necpnet_pool_close(necpnet_pool* pool, const char* name)
{
    if (!pool || !name) return NECPNET_ERR_INVALID_ARGUMENT;
    pool_name* entry = pool_find(pool, name);
    if (!entry) return NECPNET_ERR_NOT_FOUND;
    if (--entry->connection->users == 0) pool_free_connection(pool, entry->connection);
    memset(entry, 0, sizeof *entry);
    return NECPNET_OK;
}

necpnet_client* necpnet_pool_get(necpnet_pool* pool, const char* name)
{
    pool_name* entry = pool ? pool_find(pool, name) : NULL;
    return entry ? entry->connection->client : NULL;
}

necpnet_result necpnet_pool_update(necpnet_pool* pool, uint64_t now_us)
{
    if (!pool) return NECPNET_ERR_INVALID_ARGUMENT;
    necpnet_result result = NECPNET_OK;
    for (int i = 0; i < POOL_NAMES_MAX; i++) {
        if (!pool->connections[i]) continue;
        necpnet_result one = necpnet_client_update(pool->connections[i]->client, now_us);
        if (one && !result) result = one;
    }
    return result;
}

uint64_t necpnet_pool_deadline_us(const necpnet_pool* pool)
{
    uint64_t at_us = NN_NEVER;
    for (int i = 0; pool && i < POOL_NAMES_MAX; i++) {
        if (pool->connections[i]) at_us = nn_min_u64(at_us, necpnet_client_deadline_us(pool->connections[i]->client));
    }
    return at_us;
}

bool necpnet_pool_poll(necpnet_pool* pool, necpnet_client** out_client, necpnet_event* out_event)
{
    if (!pool || !out_client || !out_event) return false;
    for (int i = 0; i < POOL_NAMES_MAX; i++) {
        int index = (pool->polled + i) % POOL_NAMES_MAX;
        pool_connection* connection = pool->connections[index];
        if (!connection || !necpnet_client_poll(connection->client, out_event)) continue;
        if (out_event->type == NECPNET_EVENT_DISCONNECTED || out_event->type == NECPNET_EVENT_CONNECT_FAILED) {
            connection->reason = out_event->reason;
            if (out_event->type == NECPNET_EVENT_DISCONNECTED && out_event->will_reconnect) connection->reconnects++;
        }
        pool->polled = (index + 1) % POOL_NAMES_MAX;
        *out_client = connection->client;
        return true;
    }
    return false;
}

static necpnet_health pool_judge(const necpnet_client* client, const necpnet_statistics* statistics)
{
    switch (necpnet_client_get_state(client)) {
    case NECPNET_CLIENT_CONNECTED:
    case NECPNET_CLIENT_SUSPENDED: break;
    case NECPNET_CLIENT_WAITING_FOR_TOKEN:
    case NECPNET_CLIENT_CONNECTING:
    case NECPNET_CLIENT_RECONNECTING: return NECPNET_HEALTH_CONNECTING;
    case NECPNET_CLIENT_IDLE:
    case NECPNET_CLIENT_CLOSING: return NECPNET_HEALTH_DOWN;
    }
    bool is_slow = statistics->rtt_us > 100000 && statistics->rtt_us / 3 > statistics->rtt_min_us;
    return is_slow || statistics->loss_ppm > 50000 ? NECPNET_HEALTH_DEGRADED : NECPNET_HEALTH_GOOD;
}

necpnet_result necpnet_pool_get_health(const necpnet_pool* pool, const char* name, necpnet_pool_health* out_health)
{
    if (!pool || !name || !out_health) return NECPNET_ERR_INVALID_ARGUMENT;
    const pool_name* entry = pool_find(pool, name);
    if (!entry) return NECPNET_ERR_NOT_FOUND;
    const pool_connection* connection = entry->connection;
    necpnet_statistics statistics;
    necpnet_client_get_statistics(connection->client, &statistics);
    memset(out_health, 0, sizeof *out_health);
    out_health->health = pool_judge(connection->client, &statistics);
    out_health->state = necpnet_client_get_state(connection->client);
    out_health->rtt_us = statistics.rtt_us;
    out_health->loss_ppm = statistics.loss_ppm;
    out_health->users = connection->users;
    out_health->reconnects = connection->reconnects;
    out_health->reason = connection->reason;
    return NECPNET_OK;
}

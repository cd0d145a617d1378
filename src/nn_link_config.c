/* nn_link_config - settings of the simulated network, at the start and while it runs. */
#include "nn_link.h"

necpnet_result necpnet_link_config_default(necpnet_link_config* config)
{
    if (!config) return NECPNET_ERR_INVALID_ARGUMENT;
    memset(config, 0, sizeof *config);
    config->struct_bytes = sizeof *config;
    config->seed = 1;
    config->bandwidth_bps = UINT64_MAX;
    config->queue_bytes = 65536;
    config->datagram_bytes_max = NECPNET_DATAGRAM_BYTES_MAX;
    config->overhead_bytes = 28;
    return NECPNET_OK;
}

NN_PRIVATE necpnet_result nn_link_check_config(const necpnet_link_config* config)
{
    if (config->struct_bytes != sizeof *config) return NECPNET_ERR_BAD_STRUCT_BYTES;
    const uint32_t shares[] = {config->loss_ppm, config->duplicate_ppm, config->reorder_ppm, config->corrupt_ppm,
                               config->cut_ppm};
    for (size_t i = 0; i < NN_COUNT(shares); i++) {
        if (shares[i] > 1000000) return NECPNET_ERR_BAD_CONFIG;
    }
    if (config->latency_us > NN_LINK_DELAY_US_MAX || config->jitter_us > NN_LINK_DELAY_US_MAX) {
        return NECPNET_ERR_BAD_CONFIG;
    }
    if (config->bandwidth_bps < NN_LINK_BANDWIDTH_BPS_MIN) return NECPNET_ERR_BAD_CONFIG;
    if (config->datagram_bytes_max == 0 || config->datagram_bytes_max > NECPNET_DATAGRAM_BYTES_MAX) {
        return NECPNET_ERR_BAD_CONFIG;
    }
    if (config->queue_bytes == 0 || config->overhead_bytes > 1000) return NECPNET_ERR_BAD_CONFIG;
    return NECPNET_OK;
}

NN_PRIVATE nn_link_host* nn_link_host_of(necpnet_link* link, const necpnet_transport* transport)
{
    for (uint32_t i = 0; i < link->host_count; i++) {
        nn_link_host* host = link->hosts[i];
        if (&host->transport == transport) return host->removed ? NULL : host;
    }
    return NULL;
}

necpnet_result necpnet_link_configure(necpnet_link* link, const necpnet_transport* transport,
                                      const necpnet_link_config* config)
{
    if (!link || !config) return NECPNET_ERR_INVALID_ARGUMENT;
    necpnet_result result = nn_link_check_config(config);
    if (result != NECPNET_OK) return result;
    if (transport) {
        nn_link_host* host = nn_link_host_of(link, transport);
        if (!host || host->server) return NECPNET_ERR_NOT_FOUND;
        host->config = *config;
    } else {
        link->config = *config;
        for (uint32_t i = 0; i < link->host_count; i++) link->hosts[i]->config = *config;
    }
    nn_link_pump_all(link);
    return NECPNET_OK;
}

necpnet_result necpnet_link_block(necpnet_link* link, const necpnet_transport* client, bool up, bool down)
{
    if (!link || !client) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_link_host* host = nn_link_host_of(link, client);
    if (!host || host->server) return NECPNET_ERR_NOT_FOUND;
    host->up.blocked = up;
    host->down.blocked = down;
    nn_link_pump_all(link);
    return NECPNET_OK;
}

necpnet_result necpnet_link_rebind(necpnet_link* link, const necpnet_transport* client)
{
    if (!link || !client) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_link_host* host = nn_link_host_of(link, client);
    if (!host || host->server) return NECPNET_ERR_NOT_FOUND;
    nn_link_reset_streams(host);
    nn_link_move(host);
    return NECPNET_OK;
}

necpnet_result necpnet_link_advance(necpnet_link* link, uint64_t now_us)
{
    if (!link || now_us < link->now_us) return NECPNET_ERR_INVALID_ARGUMENT;
    /* what falls due on the way happens at its own time: a sender's turn at the bandwidth depends on it */
    while (link->heap_count && link->heap[0]->due_us <= now_us) {
        link->now_us = nn_max_u64(link->now_us, link->heap[0]->due_us);
        nn_link_arrive(link);
    }
    link->now_us = now_us;
    return NECPNET_OK;
}

uint64_t necpnet_link_deadline_us(const necpnet_link* link)
{
    if (!link) return NN_NEVER;
    if (link->inbox_count) return link->now_us;
    return link->heap_count ? nn_max_u64(link->heap[0]->due_us, link->now_us) : NN_NEVER;
}

necpnet_result necpnet_link_get_statistics(const necpnet_link* link, necpnet_link_statistics* out_statistics)
{
    if (!link || !out_statistics) return NECPNET_ERR_INVALID_ARGUMENT;
    *out_statistics = link->statistics;
    return NECPNET_OK;
}

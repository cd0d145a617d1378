/* bus - topics and patterns, and the way to the backend. */
#include "bus.h"

#include <stdlib.h>
#include <string.h>

struct bus {
    const bus_backend* backend;
    void* instance;
};

static const bus_backend* const bus_backends[] = {&bus_local};

/* Words of letters, digits and - _ : @ with dots between; patterns have wildcards, too. */
static bool bus_is_topic(const char* topic, bool pattern)
{
    static const char word[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_:@";
    if (!topic || strlen(topic) > BUS_TOPIC_BYTES_MAX) return false;
    for (const char* at = topic;;) {
        size_t bytes = strspn(at, word);
        if (bytes == 0 && pattern && (*at == '*' || (*at == '>' && at[1] == 0))) bytes = 1;
        if (bytes == 0) return false;
        at += bytes;
        if (*at == 0) return true;
        if (*at++ != '.') return false;
    }
}

bool bus_matches(const char* pattern, const char* topic)
{
    for (;;) {
        size_t wanted = strcspn(pattern, ".");
        size_t have = strcspn(topic, ".");
        if (wanted == 1 && pattern[0] == '>') return have > 0;
        bool any = wanted == 1 && pattern[0] == '*';
        if (!any && (wanted != have || memcmp(pattern, topic, have) != 0)) return false;
        pattern += wanted;
        topic += have;
        if (*pattern == 0 || *topic == 0) return *pattern == *topic;
        pattern++;
        topic++;
    }
}

necpnet_result bus_open(const char* url, bus** out_bus)
{
    size_t scheme = strcspn(url, ":");
    for (size_t i = 0; i < sizeof(bus_backends) / sizeof(bus_backends[0]); i++) {
        const char* name = bus_backends[i]->name;
        if (strlen(name) != scheme || strncmp(name, url, scheme) != 0 || url[scheme] != ':') continue;
        bus* at = calloc(1, sizeof(*at));
        if (!at) return NECPNET_ERR_OUT_OF_MEMORY;
        at->backend = bus_backends[i];
        necpnet_result result = at->backend->open(url + scheme + 1, &at->instance);
        if (result == NECPNET_OK) {
            *out_bus = at;
        } else {
            free(at);
        }
        return result;
    }
    return NECPNET_ERR_UNSUPPORTED;
}

void bus_close(bus* at)
{
    if (!at) return;
    at->backend->close(at->instance);
    free(at);
}

necpnet_result bus_publish(bus* at, const char* topic, const void* data, size_t bytes)
{
    if (!bus_is_topic(topic, false) || bytes > BUS_MESSAGE_BYTES_MAX || (bytes > 0 && !data))
        return NECPNET_ERR_INVALID_ARGUMENT;
    return at->backend->publish(at->instance, topic, data, bytes);
}

necpnet_result bus_subscribe(bus* at, const char* pattern, necpnet_loop* loop, bus_handler handler, void* user,
                             bus_subscription** out_subscription)
{
    if (!bus_is_topic(pattern, true) || !loop || !handler) return NECPNET_ERR_INVALID_ARGUMENT;
    return at->backend->subscribe(at->instance, pattern, loop, handler, user, out_subscription);
}

void bus_unsubscribe(bus* at, bus_subscription* subscription)
{
    if (subscription) at->backend->unsubscribe(at->instance, subscription);
}

const char* bus_name(const bus* at)
{
    return at->backend->name;
}

void bus_get_figures(bus* at, bus_figures* out_figures)
{
    at->backend->get_figures(at->instance, out_figures);
}

bool bus_is_up(bus* at)
{
    return at->backend->is_up(at->instance);
}

/* bus.h - events between workers, threads and (with a broker) machines: publish to a topic, subscribe to a pattern. A topic is
 * words with dots between; in a pattern * is any one word, and a last > is one or more words (as NATS has it).
 *
 * Messages of one publisher reach a subscriber in their order. Each subscription has a bounded queue: what does not fit is
 * dropped and counted. Backends: in-process rings; NATS is to follow. Every one passes tests/server_bus.c.
 */
#ifndef SERVER_BUS_H
#define SERVER_BUS_H

#include <stdbool.h>

#include "necpnet.h"

#define BUS_TOPIC_BYTES_MAX 255
#define BUS_MESSAGE_BYTES_MAX ((size_t)1 << 20)
#define BUS_QUEUE_MAX 4096                     /* messages of one subscription */
#define BUS_QUEUE_BYTES_MAX ((size_t)16 << 20) /* and their bytes */

typedef struct bus bus;
typedef struct bus_subscription bus_subscription;

/* On the subscriber's loop. data: a view until return. */
typedef void (*bus_handler)(const char* topic, const void* data, size_t bytes, void* user);

typedef struct bus_figures {
    uint64_t published;
    uint64_t delivered;
    uint64_t dropped;
    uint32_t subscriptions;
} bus_figures;

/* A backend. */
typedef struct bus_backend {
    const char* name;
    necpnet_result (*open)(const char* url, void** out_backend);
    void (*close)(void* backend);
    necpnet_result (*publish)(void* backend, const char* topic, const void* data, size_t bytes);
    necpnet_result (*subscribe)(void* backend, const char* pattern, necpnet_loop* loop, bus_handler handler, void* user,
                                bus_subscription** out_subscription);
    void (*unsubscribe)(void* backend, bus_subscription* subscription);
    void (*get_figures)(void* backend, bus_figures* out_figures);
    bool (*is_up)(void* backend);
} bus_backend;

extern const bus_backend bus_local;

/* bus_open - by url: "local:".
 *
 * Returns  OK | ERR_UNSUPPORTED (no such backend in this build) | ERR_OUT_OF_MEMORY | as the backend's open */
necpnet_result bus_open(const char* url, bus** out_bus);

/* bus_close - after every subscription's end. NULL does nothing. */
void bus_close(bus* at);

/* bus_publish - any thread, never waits; data is copied.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT (the topic has a wildcard, an empty word, or is too long) | ERR_OUT_OF_MEMORY
 *          | ERR_WOULD_BLOCK (the way to the broker is full) */
necpnet_result bus_publish(bus* at, const char* topic, const void* data, size_t bytes);

/* bus_subscribe - on the loop's thread, or before it runs.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_OUT_OF_MEMORY */
necpnet_result bus_subscribe(bus* at, const char* pattern, necpnet_loop* loop, bus_handler handler, void* user,
                             bus_subscription** out_subscription);

/* bus_unsubscribe - on the loop's thread, or after it stopped; the handler is not called again. NULL does nothing. The loop
 * takes one more step before it is destroyed. */
void bus_unsubscribe(bus* at, bus_subscription* subscription);

const char* bus_name(const bus* at);
void bus_get_figures(bus* at, bus_figures* out_figures);
bool bus_is_up(bus* at);

/* bus_matches - whether a topic fits a pattern. */
bool bus_matches(const char* pattern, const char* topic);

#endif

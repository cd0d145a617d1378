/* delay - a transport in front of another that holds messages back: latency and jitter for trying out how a game feels.
 *
 * Order is kept, as a WebSocket keeps it; so there is no loss here, which on such a transport would be delay as well.
 */
#ifndef WASM_DELAY_H
#define WASM_DELAY_H

#include "necpnet.h"

typedef struct wasm_delay wasm_delay;

/* wasm_delay_create - in front of an existing transport, which is borrowed until destroy. NULL without memory. */
wasm_delay* wasm_delay_create(const necpnet_transport* inner);
void wasm_delay_destroy(wasm_delay* delay);

/* wasm_delay_transport - what the endpoint gets. */
const necpnet_transport* wasm_delay_transport(wasm_delay* delay);

/* wasm_delay_set - each way: latency, and up to jitter more at random. What is under way keeps its time. */
void wasm_delay_set(wasm_delay* delay, uint32_t latency_us, uint32_t jitter_us);

/* wasm_delay_deadline_us - when the next message is due; UINT64_MAX: none is held. */
uint64_t wasm_delay_deadline_us(const wasm_delay* delay);

#endif

/* kit_wire - a network for tests: hosts whose streams are buffers in memory, which the test may cut into pieces, stall,
 * break and look into. Nothing is lost, nothing takes time. Memory is the kit's own, not the test allocator's. */
#ifndef KIT_WIRE_H
#define KIT_WIRE_H

#include "necpnet.h"

typedef struct kit_wire kit_wire;
typedef struct kit_host kit_host;

/* One end of a stream. */
typedef struct kit_end {
    kit_host* host;        /* NULL: the test itself holds this end */
    struct kit_end* other; /* NULL: it is gone */
    struct kit_end* next;
    void* context;
    uint8_t* inbox; /* sent by the other, not delivered yet */
    size_t inbox_bytes;
    size_t inbox_capacity;
    bool opening;
    bool paused;
    bool let_go;      /* close_stream was called */
    bool other_ended; /* the other let go: on_close follows behind the inbox */
    bool reset;       /* and at once */
    bool was_full;
} kit_end;

struct kit_host {
    kit_wire* wire;
    necpnet_transport transport;
    necpnet_sink sink;
    kit_host* next;
    bool attached;
    bool is_server;
    int pause_calls;
    struct {
        uint64_t request;
        char host[64];
        uint16_t port;
    } asked[8]; /* resolve */
    int asked_count;
};

struct kit_wire {
    kit_host* hosts;
    kit_end* ends;
    size_t piece;         /* on_data gets at most so many bytes at once; 0: all */
    bool stalled;         /* nothing is delivered: queues grow */
    int refuse_next;      /* so many open_stream end with ERR_CONNECTION_REFUSED */
    int resolve_count;    /* addresses of every name; 0: ERR_HOST_UNKNOWN */
    int sends_until_fail; /* send_stream fails with ERR_OUT_OF_MEMORY after so many; -1: never */
    int sends;
    int accepts_refused;
    char url[256]; /* of the last open_stream */
};

void kit_wire_begin(kit_wire* wire);
void kit_wire_end(kit_wire* wire);

/* kit_wire_add - a host; streams to any address go to the newest server. flags: NECPNET_TRANSPORT_*. */
kit_host* kit_wire_add(kit_wire* wire, bool is_server, uint32_t flags);

/* kit_wire_connect - a stream whose one end the test holds; the server accepts it at once. NULL: refused. */
kit_end* kit_wire_connect(kit_wire* wire);

/* kit_wire_say - bytes from the test's end. */
void kit_wire_say(kit_end* end, const void* data, size_t bytes);
void kit_wire_say_text(kit_end* end, const char* text);

/* kit_wire_hang_up - the test's end closes. */
void kit_wire_hang_up(kit_end* end, bool reset);

#endif

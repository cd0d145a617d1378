/* nn_net - the operating system's sockets: every call that differs between systems, with our results and addresses.
 *
 * A descriptor is an int on every system: Windows' handles have 32 significant bits.
 */
#ifndef NN_NET_H
#define NN_NET_H

#include "nn_base.h"

#if !defined(__EMSCRIPTEN__)

#if defined(_WIN32)
#include <winsock2.h>
#include <ws2tcpip.h>
#else
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#endif

#define NN_NET_NONE (-1)
#define NN_NET_BACKLOG 4096 /* connections that wait for accept; the system may allow fewer */

typedef enum nn_net_kind { NN_NET_UDP = 0, NN_NET_TCP = 1 } nn_net_kind;

/* One datagram of a batch. */
typedef struct nn_net_datagram {
    necpnet_address address; /* from or to */
    uint8_t* data;
    uint32_t bytes;
    uint32_t bytes_max; /* receiving: room at data; more is cut off and cut is set */
    uint32_t segment;   /* receiving: several datagrams of so many bytes, the last maybe of fewer; 0: one datagram */
    uint32_t waited_us; /* receiving: since it came; 0 where the system does not say */
    bool cut;
} nn_net_datagram;

#define NN_NET_RECEIVE_BYTES_MAX 65535u /* several datagrams of one sender may come as one */
#define NN_NET_BATCH_MAX 64             /* datagrams of one system call */

/* nn_net_start, nn_net_stop - the system's own preparation, counted by the system. */
NN_PRIVATE bool nn_net_start(void);
NN_PRIVATE void nn_net_stop(void);

/* nn_net_last - the result of the system call that just failed, and its number for the log. */
NN_PRIVATE necpnet_result nn_net_last(int* out_error);

/* nn_net_open - a socket that does not block and is not inherited. ipv6: takes IPv4 as well. */
NN_PRIVATE necpnet_result nn_net_open(nn_net_kind kind, bool ipv6, int* out_descriptor);
NN_PRIVATE void nn_net_close(int descriptor);

/* Whether several sockets can share a port. */
#if defined(SO_REUSEPORT) && !defined(_WIN32)
#define NN_NET_SHARES_PORTS true
#else
#define NN_NET_SHARES_PORTS false
#endif

/* nn_net_bind - reuse_port lets several sockets share the port (ERR_UNSUPPORTED where the system cannot). */
NN_PRIVATE necpnet_result nn_net_bind(int descriptor, nn_net_kind kind, const necpnet_address* address,
                                      bool reuse_port);
NN_PRIVATE necpnet_result nn_net_listen(int descriptor);
NN_PRIVATE int nn_net_local_port(int descriptor);

/* nn_net_tune_udp - ask for buffers (the system gives what it allows), no fragmenting, no errors of other peers; and
 * that a wait asks the network card itself for so long (0: not). */
NN_PRIVATE void nn_net_tune_udp(int descriptor, uint32_t buffer_bytes, uint32_t busy_poll_us);

/* Whether an accepted socket is tuned as the one that listens: then two system calls a connection are saved. */
#if defined(__linux__)
#define NN_NET_ACCEPTED_IS_TUNED true
#else
#define NN_NET_ACCEPTED_IS_TUNED false
#endif

/* nn_net_tune_tcp - no delay; at most unsent_bytes_max wait unsent in the system. */
NN_PRIVATE void nn_net_tune_tcp(int descriptor, uint32_t unsent_bytes_max);

/* nn_net_accept - OK | ERR_WOULD_BLOCK (none waits) | ERR_DESCRIPTORS | ERR_CONNECTION_RESET (it left; go on) | ERR_IO */
NN_PRIVATE necpnet_result nn_net_accept(int descriptor, necpnet_address* out_from, int* out_descriptor);

/* nn_net_connect - OK: it is up or on its way; nn_net_connected tells which, once it is writable. */
NN_PRIVATE necpnet_result nn_net_connect(int descriptor, const necpnet_address* to);
NN_PRIVATE necpnet_result nn_net_connected(int descriptor);

/* nn_net_read, nn_net_write - OK with the bytes moved | ERR_WOULD_BLOCK | ERR_CLOSED (end of the stream) | why it broke.
 * nn_net_write takes two pieces in one call. */
NN_PRIVATE necpnet_result nn_net_read(int descriptor, uint8_t* to, size_t bytes, size_t* out_bytes);
NN_PRIVATE necpnet_result nn_net_write(int descriptor, const uint8_t* first, size_t first_bytes, const uint8_t* second,
                                       size_t second_bytes, size_t* out_bytes);

/* nn_net_shut - nothing more will be written. */
NN_PRIVATE void nn_net_shut(int descriptor);

/* nn_net_stamp - from now on datagrams say how long they waited, where the system can (Linux). */
NN_PRIVATE void nn_net_stamp(int descriptor);

/* nn_net_receive - up to count datagrams (at most NN_NET_BATCH_MAX); returns how many, 0 for none, -1 for an error that
 * belongs to one datagram alone: ask again. */
NN_PRIVATE int nn_net_receive(int descriptor, nn_net_datagram* batch, int count);

/* nn_net_send - the batch; returns how many the system took or refused for good; fewer than count: it is full. refused
 * counts those that were dropped, reason is the last one's. ipv6: the socket is one. Neighbours of one size to one
 * address, whose bytes follow each other, may go as one (Linux: UDP_SEGMENT); joins is cleared where that fails. */
NN_PRIVATE int nn_net_send(int descriptor, bool ipv6, const nn_net_datagram* batch, int count, bool* joins,
                           int* out_refused, necpnet_result* out_reason);

/* nn_net_steer - of the sockets that share this one's port: datagrams whose first byte has one of these bits go to the
 * socket whose number, in the order of binding, stands in byte `at`. A wish: where the system cannot, it chooses itself. */
NN_PRIVATE void nn_net_steer(int descriptor, uint8_t bits, uint32_t at);

/* nn_net_watch_errors - from now on the system remembers which addresses refused a datagram (ICMP). Nothing where it
 * cannot; nn_net_read_error then has none. */
NN_PRIVATE void nn_net_watch_errors(int descriptor, bool ipv6);
NN_PRIVATE bool nn_net_read_error(int descriptor, necpnet_address* out_to, necpnet_result* out_reason);

/* nn_net_resolve - blocks. OK with 1 .. max addresses | ERR_HOST_UNKNOWN | ERR_OUT_OF_MEMORY | ERR_IO */
NN_PRIVATE necpnet_result nn_net_resolve(const char* host, uint16_t port, necpnet_address* addresses, int max,
                                         int* out_count);

/* nn_net_wake_open - a pair that wakes a poller: one end is written from any thread, the other becomes readable. Both
 * may be the same descriptor. */
NN_PRIVATE necpnet_result nn_net_wake_open(int* out_read, int* out_write);
NN_PRIVATE void nn_net_wake_close(int read_descriptor, int write_descriptor);
NN_PRIVATE void nn_net_wake_write(int descriptor);
NN_PRIVATE void nn_net_wake_clear(int descriptor);

/* nn_net_to_system, nn_net_from_system - addresses. IPv4 becomes ::ffff:a.b.c.d for an IPv6 socket, and back. */
NN_PRIVATE socklen_t nn_net_to_system(const necpnet_address* address, bool ipv6, struct sockaddr_storage* out);
NN_PRIVATE void nn_net_from_system(const struct sockaddr_storage* from, necpnet_address* out);

#endif

#endif

/* nn_net_posix - sockets of POSIX, with Linux's batches where they are. */
#include "nn_net.h"

#if !defined(_WIN32) && !defined(__EMSCRIPTEN__)

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/uio.h>
#include <unistd.h>
#if defined(__linux__)
#include <linux/errqueue.h>
#include <linux/filter.h>
#include <sys/eventfd.h>
#include <time.h>
#endif

#if defined(__linux__) && !defined(UDP_SEGMENT)
#define UDP_SEGMENT 103 /* linux/udp.h, since 4.18 */
#endif
#if defined(__linux__) && !defined(UDP_GRO)
#define UDP_GRO 104 /* since 5.0 */
#endif
#if defined(__linux__) && !defined(SO_ATTACH_REUSEPORT_CBPF)
#define SO_ATTACH_REUSEPORT_CBPF 51 /* since 4.5 */
#endif
#if defined(__linux__) && !defined(SO_BUSY_POLL)
#define SO_BUSY_POLL 46 /* asm-generic/socket.h, since 3.11 */
#endif
#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* SO_NOSIGPIPE instead */
#endif

NN_PRIVATE bool nn_net_start(void)
{
    return true;
}

NN_PRIVATE void nn_net_stop(void) {}

static necpnet_result net_result(int error)
{
    if (error == EAGAIN || error == EWOULDBLOCK) return NECPNET_ERR_WOULD_BLOCK;
    switch (error) {
    case EADDRINUSE: return NECPNET_ERR_ADDRESS_IN_USE;
    case EACCES:
    case EPERM: return NECPNET_ERR_PERMISSION;
    case EMFILE:
    case ENFILE: return NECPNET_ERR_DESCRIPTORS;
    case ENOMEM:
    case ENOBUFS: return NECPNET_ERR_OUT_OF_MEMORY;
    case ECONNREFUSED: return NECPNET_ERR_CONNECTION_REFUSED;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
    case EADDRNOTAVAIL: return NECPNET_ERR_NETWORK_UNREACHABLE;
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE: return NECPNET_ERR_CONNECTION_RESET;
    case ETIMEDOUT: return NECPNET_ERR_TIMEOUT;
    case EAFNOSUPPORT: return NECPNET_ERR_UNSUPPORTED;
    default: return NECPNET_ERR_IO;
    }
}

NN_PRIVATE necpnet_result nn_net_last(int* out_error)
{
    if (out_error) *out_error = errno;
    return net_result(errno);
}

static void net_set(int descriptor, int level, int option, int value)
{
    setsockopt(descriptor, level, option, &value, (socklen_t)sizeof value); /* a wish: not granted is no error */
}

#if !defined(__linux__)
static bool net_prepare(int descriptor)
{
    int flags = fcntl(descriptor, F_GETFL);
    if (flags < 0 || fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) != 0) return false;
    return fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0;
}
#endif

NN_PRIVATE necpnet_result nn_net_open(nn_net_kind kind, bool ipv6, int* out_descriptor)
{
    int family = ipv6 ? AF_INET6 : AF_INET;
    int type = kind == NN_NET_UDP ? SOCK_DGRAM : SOCK_STREAM;
#if defined(__linux__)
    int descriptor = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return net_result(errno);
#else
    int descriptor = socket(family, type, 0);
    if (descriptor < 0) return net_result(errno);
    if (!net_prepare(descriptor)) {
        close(descriptor);
        return NECPNET_ERR_IO;
    }
#endif
    if (ipv6) net_set(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, 0);
#if defined(SO_NOSIGPIPE)
    net_set(descriptor, SOL_SOCKET, SO_NOSIGPIPE, 1);
#endif
    *out_descriptor = descriptor;
    return NECPNET_OK;
}

NN_PRIVATE void nn_net_close(int descriptor)
{
    if (descriptor >= 0) close(descriptor);
}

NN_PRIVATE necpnet_result nn_net_bind(int descriptor, nn_net_kind kind, const necpnet_address* address, bool reuse_port)
{
    if (kind == NN_NET_TCP) net_set(descriptor, SOL_SOCKET, SO_REUSEADDR, 1); /* old connections in TIME_WAIT only */
    if (reuse_port) {
#if defined(SO_REUSEPORT)
        net_set(descriptor, SOL_SOCKET, SO_REUSEPORT, 1);
#else
        return NECPNET_ERR_UNSUPPORTED;
#endif
    }
    struct sockaddr_storage storage;
    socklen_t bytes = nn_net_to_system(address, address->family == NECPNET_ADDRESS_IPV6, &storage);
    return bind(descriptor, (const struct sockaddr*)&storage, bytes) == 0 ? NECPNET_OK : net_result(errno);
}

NN_PRIVATE necpnet_result nn_net_listen(int descriptor)
{
    return listen(descriptor, NN_NET_BACKLOG) == 0 ? NECPNET_OK : net_result(errno);
}

NN_PRIVATE int nn_net_local_port(int descriptor)
{
    struct sockaddr_storage storage;
    socklen_t bytes = (socklen_t)sizeof storage;
    memset(&storage, 0, sizeof storage);
    if (getsockname(descriptor, (struct sockaddr*)&storage, &bytes) != 0) return 0;
    necpnet_address address;
    nn_net_from_system(&storage, &address);
    return address.port;
}

NN_PRIVATE void nn_net_tune_udp(int descriptor, uint32_t buffer_bytes, uint32_t busy_poll_us)
{
    net_set(descriptor, SOL_SOCKET, SO_RCVBUF, (int)nn_min_u64(buffer_bytes, INT32_MAX));
    net_set(descriptor, SOL_SOCKET, SO_SNDBUF, (int)nn_min_u64(buffer_bytes, INT32_MAX));
#if defined(__linux__)
    net_set(descriptor, SOL_SOCKET, SO_RCVBUFFORCE,
            (int)nn_min_u64(buffer_bytes, INT32_MAX)); /* beyond what is usual: .. */
    net_set(descriptor, SOL_SOCKET, SO_SNDBUFFORCE,
            (int)nn_min_u64(buffer_bytes, INT32_MAX)); /* .. where there is the right */
    net_set(descriptor, IPPROTO_UDP, UDP_GRO, 1);
    /* DF set, and the kernel's own path MTU not obeyed: probing is ours (RFC 8899). Over the interface: EMSGSIZE. */
    net_set(descriptor, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
    net_set(descriptor, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
    if (busy_poll_us) net_set(descriptor, SOL_SOCKET, SO_BUSY_POLL, (int)busy_poll_us); /* above the default: a right */
#else
    (void)busy_poll_us;
#endif
}

NN_PRIVATE void nn_net_tune_tcp(int descriptor, uint32_t unsent_bytes_max)
{
    net_set(descriptor, IPPROTO_TCP, TCP_NODELAY, 1);
#if defined(TCP_NOTSENT_LOWAT)
    net_set(descriptor, IPPROTO_TCP, TCP_NOTSENT_LOWAT, (int)unsent_bytes_max);
#else
    (void)unsent_bytes_max;
#endif
}

NN_PRIVATE necpnet_result nn_net_accept(int descriptor, necpnet_address* out_from, int* out_descriptor)
{
    struct sockaddr_storage storage;
    socklen_t bytes = (socklen_t)sizeof storage;
    memset(&storage, 0, sizeof storage);
#if defined(__linux__)
    int accepted = accept4(descriptor, (struct sockaddr*)&storage, &bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
#else
    int accepted = accept(descriptor, (struct sockaddr*)&storage, &bytes);
#endif
    if (accepted < 0) {
        /* Errors of a connection that died in the queue (accept(2)): the next one may be well. */
        if (errno == ECONNABORTED || errno == EINTR || errno == EPROTO || errno == ENETDOWN || errno == EHOSTUNREACH ||
            errno == ENETUNREACH || errno == ETIMEDOUT || errno == EPERM) {
            return NECPNET_ERR_CONNECTION_RESET;
        }
        return net_result(errno);
    }
#if !defined(__linux__)
    if (!net_prepare(accepted)) {
        close(accepted);
        return NECPNET_ERR_CONNECTION_RESET;
    }
#endif
    nn_net_from_system(&storage, out_from);
    *out_descriptor = accepted;
    return NECPNET_OK;
}

NN_PRIVATE necpnet_result nn_net_connect(int descriptor, const necpnet_address* to)
{
    struct sockaddr_storage storage;
    socklen_t bytes = nn_net_to_system(to, to->family == NECPNET_ADDRESS_IPV6, &storage);
    if (connect(descriptor, (const struct sockaddr*)&storage, bytes) == 0) return NECPNET_OK;
    return errno == EINPROGRESS || errno == EINTR ? NECPNET_OK : net_result(errno);
}

NN_PRIVATE necpnet_result nn_net_connected(int descriptor)
{
    int error = 0;
    socklen_t bytes = (socklen_t)sizeof error;
    if (getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &bytes) != 0) return net_result(errno);
    return error ? net_result(error) : NECPNET_OK;
}

NN_PRIVATE necpnet_result nn_net_read(int descriptor, uint8_t* to, size_t bytes, size_t* out_bytes)
{
    for (;;) {
        ssize_t got = recv(descriptor, to, bytes, 0);
        if (got > 0) {
            *out_bytes = (size_t)got;
            return NECPNET_OK;
        }
        if (got == 0) return NECPNET_ERR_CLOSED;
        if (errno != EINTR) return net_result(errno);
    }
}

NN_PRIVATE necpnet_result nn_net_write(int descriptor, const uint8_t* first, size_t first_bytes, const uint8_t* second,
                                       size_t second_bytes, size_t* out_bytes)
{
    struct iovec pieces[2];
    struct msghdr message;
    memset(&message, 0, sizeof message);
    memcpy(&pieces[0].iov_base, &first, sizeof first); /* iov_base is not const though it is only read */
    pieces[0].iov_len = first_bytes;
    memcpy(&pieces[1].iov_base, &second, sizeof second);
    pieces[1].iov_len = second_bytes;
    message.msg_iov = pieces;
    message.msg_iovlen = 2;
    for (;;) {
        ssize_t sent = second_bytes ? sendmsg(descriptor, &message, MSG_NOSIGNAL)
                                    : send(descriptor, first, first_bytes, MSG_NOSIGNAL);
        if (sent >= 0) {
            *out_bytes = (size_t)sent;
            return NECPNET_OK;
        }
        if (errno == ENOBUFS) return NECPNET_ERR_WOULD_BLOCK;
        if (errno != EINTR) return net_result(errno);
    }
}

NN_PRIVATE void nn_net_shut(int descriptor)
{
    shutdown(descriptor, SHUT_WR);
}

NN_PRIVATE void nn_net_stamp(int descriptor)
{
#if defined(__linux__)
    net_set(descriptor, SOL_SOCKET, SO_TIMESTAMPNS, 1);
#else
    (void)descriptor;
#endif
}

#if defined(__linux__)

/* The system's stamp is of its wall clock, as of now. */
static uint32_t net_waited_us(const struct timespec* came)
{
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now)) return 0;
    int64_t us = (int64_t)(now.tv_sec - came->tv_sec) * 1000000 + (now.tv_nsec - came->tv_nsec) / 1000;
    return us > 0 && us < UINT32_MAX ? (uint32_t)us : 0; /* the clock was set meanwhile: not known */
}

static void net_read_control(struct msghdr* message, nn_net_datagram* datagram)
{
    for (struct cmsghdr* at = CMSG_FIRSTHDR(message); at; at = CMSG_NXTHDR(message, at)) {
        if (at->cmsg_level == IPPROTO_UDP && at->cmsg_type == UDP_GRO) {
            int segment;
            memcpy(&segment, CMSG_DATA(at), sizeof segment);
            if (segment > 0) datagram->segment = (uint32_t)segment;
        } else if (at->cmsg_level == SOL_SOCKET && at->cmsg_type == SO_TIMESTAMPNS) {
            struct timespec came;
            memcpy(&came, CMSG_DATA(at), sizeof came);
            datagram->waited_us = net_waited_us(&came);
        }
    }
}

typedef struct net_receiving {
    struct sockaddr_storage from;
    struct iovec piece;
    uint64_t control[(CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct timespec)) + 7) / 8];
} net_receiving;

static void net_prepare_receiving(net_receiving* receiving, struct msghdr* header, const nn_net_datagram* datagram)
{
    memset(header, 0, sizeof *header);
    receiving->piece.iov_base = datagram->data;
    receiving->piece.iov_len = datagram->bytes_max;
    header->msg_iov = &receiving->piece;
    header->msg_iovlen = 1;
    header->msg_name = &receiving->from;
    header->msg_namelen = (socklen_t)sizeof receiving->from;
    header->msg_control = receiving->control;
    header->msg_controllen = sizeof receiving->control;
}

static void net_note_received(const net_receiving* receiving, struct msghdr* header, size_t bytes,
                              nn_net_datagram* datagram)
{
    nn_net_from_system(&receiving->from, &datagram->address);
    datagram->bytes = (uint32_t)bytes;
    datagram->segment = datagram->waited_us = 0;
    if (header->msg_controllen) net_read_control(header, datagram);
    datagram->cut = (header->msg_flags & MSG_TRUNC) != 0;
}

/* The call for one costs less than the call for several. */
static int net_receive_one(int descriptor, nn_net_datagram* datagram)
{
    net_receiving receiving;
    struct msghdr header;
    net_prepare_receiving(&receiving, &header, datagram);
    ssize_t bytes = recvmsg(descriptor, &header, 0);
    if (bytes < 0) return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -1;
    net_note_received(&receiving, &header, (size_t)bytes, datagram);
    return 1;
}

NN_PRIVATE int nn_net_receive(int descriptor, nn_net_datagram* batch, int count)
{
    struct mmsghdr messages[NN_NET_BATCH_MAX];
    net_receiving receiving[NN_NET_BATCH_MAX];
    if (count == 1) return net_receive_one(descriptor, batch);
    if (count > NN_NET_BATCH_MAX) count = NN_NET_BATCH_MAX;
    for (int i = 0; i < count; i++) net_prepare_receiving(&receiving[i], &messages[i].msg_hdr, &batch[i]);
    int got = recvmmsg(descriptor, messages, (unsigned)count, 0, NULL);
    if (got < 0) return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -1;
    for (int i = 0; i < got; i++) {
        net_note_received(&receiving[i], &messages[i].msg_hdr, messages[i].msg_len, &batch[i]);
    }
    return got;
}

#else

NN_PRIVATE int nn_net_receive(int descriptor, nn_net_datagram* batch, int count)
{
    int got = 0;
    while (got < count) {
        struct sockaddr_storage from;
        struct iovec piece;
        struct msghdr message;
        memset(&message, 0, sizeof message);
        piece.iov_base = batch[got].data;
        piece.iov_len = batch[got].bytes_max;
        message.msg_iov = &piece;
        message.msg_iovlen = 1;
        message.msg_name = &from;
        message.msg_namelen = (socklen_t)sizeof from;
        ssize_t bytes = recvmsg(descriptor, &message, 0);
        if (bytes < 0) {
            bool none = errno == EAGAIN || errno == EWOULDBLOCK;
            if (got == 0 && !none) return -1;
            break;
        }
        nn_net_from_system(&from, &batch[got].address);
        batch[got].bytes = (uint32_t)bytes;
        batch[got].segment = batch[got].waited_us = 0;
        batch[got].cut = (message.msg_flags & MSG_TRUNC) != 0;
        got++;
    }
    return got;
}

#endif

#define NET_JOINED_BYTES_MAX 65000u /* one IP packet less headers, before the system cuts it */

#if defined(__linux__)

static int net_send_some(int descriptor, struct mmsghdr* messages, int count)
{
    return sendmmsg(descriptor, messages, (unsigned)count, MSG_NOSIGNAL);
}

/* How many datagrams from the first on may go as one: all but the last as long as the first. */
static int net_joined(const nn_net_datagram* batch, int count)
{
    uint32_t bytes = batch[0].bytes, total = bytes;
    int joined = 1;
    while (joined < count && bytes > 0) {
        const nn_net_datagram* next = &batch[joined];
        const nn_net_datagram* last = next - 1;
        bool follows = last->bytes == bytes && next->data == last->data + last->bytes && next->bytes <= bytes &&
                       next->bytes > 0 && total + next->bytes <= NET_JOINED_BYTES_MAX;
        if (!follows || !necpnet_address_equal(&next->address, &batch[0].address)) break;
        total += next->bytes;
        joined++;
    }
    return joined;
}

#else

struct mmsghdr {
    struct msghdr msg_hdr;
    unsigned msg_len;
};

static int net_send_some(int descriptor, struct mmsghdr* messages, int count)
{
    int sent = 0;
    while (sent < count && sendmsg(descriptor, &messages[sent].msg_hdr, MSG_NOSIGNAL) >= 0) sent++;
    return sent > 0 ? sent : -1;
}

#endif

/* Messages of one system call, each of one or more datagrams. */
typedef struct net_sending {
    struct mmsghdr messages[NN_NET_BATCH_MAX];
    struct iovec pieces[NN_NET_BATCH_MAX];
    struct sockaddr_storage to[NN_NET_BATCH_MAX];
    uint8_t joined[NN_NET_BATCH_MAX];
#if defined(__linux__)
    uint64_t control[NN_NET_BATCH_MAX][(CMSG_SPACE(sizeof(uint16_t)) + 7) / 8];
#endif
} net_sending;

static int net_prepare_sending(net_sending* sending, bool ipv6, const nn_net_datagram* batch, int count, bool joins)
{
    int messages = 0;
    for (int at = 0; at < count; messages++) {
        struct msghdr* header = &sending->messages[messages].msg_hdr;
        struct iovec* piece = &sending->pieces[messages];
        int joined = 1;
        memset(&sending->messages[messages], 0, sizeof sending->messages[messages]);
        piece->iov_base = batch[at].data;
        piece->iov_len = batch[at].bytes;
#if defined(__linux__)
        if (joins) joined = net_joined(batch + at, count - at);
        if (joined > 1) {
            const nn_net_datagram* last = &batch[at + joined - 1];
            uint16_t segment = (uint16_t)batch[at].bytes;
            struct cmsghdr* control = (struct cmsghdr*)(void*)sending->control[messages];
            piece->iov_len = (size_t)(last->data - batch[at].data) + last->bytes;
            header->msg_control = control;
            header->msg_controllen = CMSG_SPACE(sizeof segment);
            control->cmsg_level = IPPROTO_UDP;
            control->cmsg_type = UDP_SEGMENT;
            control->cmsg_len = CMSG_LEN(sizeof segment);
            memcpy(CMSG_DATA(control), &segment, sizeof segment);
        }
#else
        (void)joins;
#endif
        header->msg_iov = piece;
        header->msg_iovlen = 1;
        header->msg_name = &sending->to[messages];
        header->msg_namelen = nn_net_to_system(&batch[at].address, ipv6, &sending->to[messages]);
        sending->joined[messages] = (uint8_t)joined;
        at += joined;
    }
    return messages;
}

/* One alone, by the cheapest call. Negative: errno says why not. */
static ssize_t net_send_one(int descriptor, bool ipv6, const nn_net_datagram* datagram)
{
    struct sockaddr_storage to;
    socklen_t to_bytes = nn_net_to_system(&datagram->address, ipv6, &to);
    return sendto(descriptor, datagram->data, datagram->bytes, MSG_NOSIGNAL, (const struct sockaddr*)&to, to_bytes);
}

NN_PRIVATE int nn_net_send(int descriptor, bool ipv6, const nn_net_datagram* batch, int count, bool* joins,
                           int* out_refused, necpnet_result* out_reason)
{
    if (count == 1 && net_send_one(descriptor, ipv6, batch) >= 0) {
        *out_refused = 0;
        return 1;
    }
    net_sending sending;
    if (count > NN_NET_BATCH_MAX) count = NN_NET_BATCH_MAX;
    int messages = net_prepare_sending(&sending, ipv6, batch, count, *joins);
    int done = 0;
    bool told = false;
    *out_refused = 0;
    for (int at = 0; at < messages;) {
        int sent = net_send_some(descriptor, sending.messages + at, messages - at);
        if (sent > 0) {
            for (int i = 0; i < sent; i++) done += sending.joined[at++];
        } else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
            break;
        } else if (errno == EINTR) {
            continue;
        } else if (errno == ECONNREFUSED && !told) { /* what another one met earlier: this one has not been tried */
            told = true;
        } else if (sending.joined[at] > 1) { /* an old kernel, or a device that cannot: one by one from here on */
            *joins = false;
            break;
        } else { /* this one alone: too large, no route */
            *out_reason = net_result(errno);
            ++*out_refused;
            done++;
            at++;
        }
    }
    return done;
}

#if defined(__linux__)

NN_PRIVATE void nn_net_steer(int descriptor, uint8_t bits, uint32_t at)
{
    struct sock_filter code[] = {
        {BPF_LD | BPF_B | BPF_ABS, 0, 0, 0},      /* the first byte of the datagram */
        {BPF_JMP | BPF_JSET | BPF_K, 0, 2, bits}, /* none of the bits: skip two */
        {BPF_LD | BPF_B | BPF_ABS, 0, 0, at},     /* its socket's number; without such a byte: 0 */
        {BPF_RET | BPF_A, 0, 0, 0},               /* a number that nobody has: as below */
        {BPF_RET | BPF_K, 0, 0, UINT32_MAX},      /* by the hash of the addresses */
    };
    struct sock_fprog program;
    memset(&program, 0, sizeof program);
    program.len = NN_COUNT(code);
    program.filter = code;
    setsockopt(descriptor, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, (socklen_t)sizeof program);
}

NN_PRIVATE void nn_net_watch_errors(int descriptor, bool ipv6)
{
    net_set(descriptor, IPPROTO_IP, IP_RECVERR, 1);
    if (ipv6) net_set(descriptor, IPPROTO_IPV6, IPV6_RECVERR, 1);
}

NN_PRIVATE bool nn_net_read_error(int descriptor, necpnet_address* out_to, necpnet_result* out_reason)
{
    union {
        struct cmsghdr header;
        uint8_t bytes[512];
    } control;
    struct sockaddr_storage to;
    struct msghdr message;
    memset(&message, 0, sizeof message);
    memset(&to, 0, sizeof to);
    message.msg_name = &to;
    message.msg_namelen = (socklen_t)sizeof to;
    message.msg_control = &control;
    message.msg_controllen = sizeof control;
    if (recvmsg(descriptor, &message, MSG_ERRQUEUE) < 0) return false;
    nn_net_from_system(&to, out_to);
    *out_reason = NECPNET_OK; /* one that is of no use here, a path's MTU say */
    for (struct cmsghdr* at = CMSG_FIRSTHDR(&message); at; at = CMSG_NXTHDR(&message, at)) {
        bool is_error = (at->cmsg_level == IPPROTO_IP && at->cmsg_type == IP_RECVERR) ||
                        (at->cmsg_level == IPPROTO_IPV6 && at->cmsg_type == IPV6_RECVERR);
        if (!is_error) continue;
        struct sock_extended_err error;
        memcpy(&error, CMSG_DATA(at), sizeof error);
        bool is_icmp = error.ee_origin == SO_EE_ORIGIN_ICMP || error.ee_origin == SO_EE_ORIGIN_ICMP6;
        necpnet_result result = net_result((int)error.ee_errno);
        bool tells = result == NECPNET_ERR_CONNECTION_REFUSED || result == NECPNET_ERR_NETWORK_UNREACHABLE;
        if (is_icmp && tells) *out_reason = result;
    }
    return true;
}

#else

NN_PRIVATE void nn_net_steer(int descriptor, uint8_t bits, uint32_t at)
{
    (void)descriptor;
    (void)bits;
    (void)at;
}

NN_PRIVATE void nn_net_watch_errors(int descriptor, bool ipv6)
{
    (void)descriptor;
    (void)ipv6;
}

NN_PRIVATE bool nn_net_read_error(int descriptor, necpnet_address* out_to, necpnet_result* out_reason)
{
    (void)descriptor;
    (void)out_to;
    (void)out_reason;
    return false;
}

#endif

NN_PRIVATE necpnet_result nn_net_wake_open(int* out_read, int* out_write)
{
#if defined(__linux__)
    int descriptor = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (descriptor < 0) return net_result(errno);
    *out_read = *out_write = descriptor;
    return NECPNET_OK;
#else
    int ends[2];
    if (pipe(ends) != 0) return net_result(errno);
    if (!net_prepare(ends[0]) || !net_prepare(ends[1])) {
        close(ends[0]);
        close(ends[1]);
        return NECPNET_ERR_IO;
    }
    *out_read = ends[0];
    *out_write = ends[1];
    return NECPNET_OK;
#endif
}

NN_PRIVATE void nn_net_wake_close(int read_descriptor, int write_descriptor)
{
    close(read_descriptor);
    if (write_descriptor != read_descriptor) close(write_descriptor);
}

NN_PRIVATE void nn_net_wake_write(int descriptor)
{
    uint64_t one = 1; /* eventfd wants eight bytes, a pipe takes them */
    ssize_t written = write(descriptor, &one, sizeof one);
    (void)written; /* full: it is readable already */
}

NN_PRIVATE void nn_net_wake_clear(int descriptor)
{
    uint8_t sink[256];
    while (read(descriptor, sink, sizeof sink) == (ssize_t)sizeof sink) {
    }
}

#endif

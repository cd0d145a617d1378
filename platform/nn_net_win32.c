/* nn_net_win32 - sockets of Windows. */
#include "nn_net.h"

#if defined(_WIN32)

#include <mswsock.h>

#ifndef SIO_UDP_CONNRESET
#define SIO_UDP_CONNRESET _WSAIOW(IOC_VENDOR, 12)
#endif

static SOCKET net_handle(int descriptor)
{
    return (SOCKET)(unsigned)descriptor;
}

NN_PRIVATE bool nn_net_start(void)
{
    WSADATA data;
    return WSAStartup(MAKEWORD(2, 2), &data) == 0;
}

NN_PRIVATE void nn_net_stop(void)
{
    WSACleanup();
}

static necpnet_result net_result(int error)
{
    switch (error) {
    case WSAEWOULDBLOCK: return NECPNET_ERR_WOULD_BLOCK;
    case WSAEADDRINUSE: return NECPNET_ERR_ADDRESS_IN_USE;
    case WSAEACCES: return NECPNET_ERR_PERMISSION;
    case WSAEMFILE: return NECPNET_ERR_DESCRIPTORS;
    case WSA_NOT_ENOUGH_MEMORY:
    case WSAENOBUFS: return NECPNET_ERR_OUT_OF_MEMORY;
    case WSAECONNREFUSED: return NECPNET_ERR_CONNECTION_REFUSED;
    case WSAENETUNREACH:
    case WSAEHOSTUNREACH:
    case WSAENETDOWN:
    case WSAEHOSTDOWN:
    case WSAEADDRNOTAVAIL: return NECPNET_ERR_NETWORK_UNREACHABLE;
    case WSAECONNRESET:
    case WSAECONNABORTED:
    case WSAENETRESET:
    case WSAESHUTDOWN: return NECPNET_ERR_CONNECTION_RESET;
    case WSAETIMEDOUT: return NECPNET_ERR_TIMEOUT;
    case WSAEAFNOSUPPORT: return NECPNET_ERR_UNSUPPORTED;
    default: return NECPNET_ERR_IO;
    }
}

NN_PRIVATE necpnet_result nn_net_last(int* out_error)
{
    int error = WSAGetLastError();
    if (out_error) *out_error = error;
    return net_result(error);
}

static void net_set(int descriptor, int level, int option, int value)
{
    /* a wish: not granted is no error */
    setsockopt(net_handle(descriptor), level, option, (const char*)&value, (int)sizeof value);
}

static bool net_prepare(int descriptor)
{
    u_long on = 1;
    return ioctlsocket(net_handle(descriptor), (long)FIONBIO, &on) == 0;
}

static int net_descriptor(SOCKET handle)
{
    return (int)(unsigned)handle;
}

NN_PRIVATE necpnet_result nn_net_open(nn_net_kind kind, bool ipv6, int* out_descriptor)
{
    SOCKET handle = WSASocketW(ipv6 ? AF_INET6 : AF_INET, kind == NN_NET_UDP ? SOCK_DGRAM : SOCK_STREAM, 0, NULL, 0,
                               WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    if (handle == INVALID_SOCKET) return nn_net_last(NULL);
    int descriptor = net_descriptor(handle);
    if (!net_prepare(descriptor)) {
        closesocket(handle);
        return NECPNET_ERR_IO;
    }
    if (ipv6) net_set(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    *out_descriptor = descriptor;
    return NECPNET_OK;
}

NN_PRIVATE void nn_net_close(int descriptor)
{
    if (descriptor != NN_NET_NONE) closesocket(net_handle(descriptor));
}

NN_PRIVATE necpnet_result nn_net_bind(int descriptor, nn_net_kind kind, const necpnet_address* address, bool reuse_port)
{
    (void)kind;
    if (reuse_port) return NECPNET_ERR_UNSUPPORTED;
    net_set(descriptor, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, 1);
    struct sockaddr_storage storage;
    socklen_t bytes = nn_net_to_system(address, address->family == NECPNET_ADDRESS_IPV6, &storage);
    if (bind(net_handle(descriptor), (const struct sockaddr*)&storage, bytes) == 0) return NECPNET_OK;
    /* "permission" is what a port gives that another socket has for itself alone */
    return WSAGetLastError() == WSAEACCES ? NECPNET_ERR_ADDRESS_IN_USE : nn_net_last(NULL);
}

NN_PRIVATE necpnet_result nn_net_listen(int descriptor)
{
    return listen(net_handle(descriptor), NN_NET_BACKLOG) == 0 ? NECPNET_OK : nn_net_last(NULL);
}

NN_PRIVATE int nn_net_local_port(int descriptor)
{
    struct sockaddr_storage storage;
    socklen_t bytes = (socklen_t)sizeof storage;
    memset(&storage, 0, sizeof storage);
    if (getsockname(net_handle(descriptor), (struct sockaddr*)&storage, &bytes) != 0) return 0;
    necpnet_address address;
    nn_net_from_system(&storage, &address);
    return address.port;
}

NN_PRIVATE void nn_net_tune_udp(int descriptor, uint32_t buffer_bytes, uint32_t busy_poll_us)
{
    (void)busy_poll_us; /* wait asks the socket again and again, that is all */
    net_set(descriptor, SOL_SOCKET, SO_RCVBUF, (int)nn_min_u64(buffer_bytes, INT32_MAX));
    net_set(descriptor, SOL_SOCKET, SO_SNDBUF, (int)nn_min_u64(buffer_bytes, INT32_MAX));
    /* Else one peer's "port unreachable" fails the next receive of all. */
    BOOL off = FALSE;
    DWORD bytes = 0;
    WSAIoctl(net_handle(descriptor), SIO_UDP_CONNRESET, &off, (DWORD)sizeof off, NULL, 0, &bytes, NULL, NULL);
    net_set(descriptor, IPPROTO_IP, IP_DONTFRAGMENT, 1);
}

NN_PRIVATE void nn_net_tune_tcp(int descriptor, uint32_t unsent_bytes_max)
{
    (void)unsent_bytes_max; /* Windows has no such limit but the send buffer */
    net_set(descriptor, IPPROTO_TCP, TCP_NODELAY, 1);
}

NN_PRIVATE necpnet_result nn_net_accept(int descriptor, necpnet_address* out_from, int* out_descriptor)
{
    struct sockaddr_storage storage;
    socklen_t bytes = (socklen_t)sizeof storage;
    memset(&storage, 0, sizeof storage);
    SOCKET handle = accept(net_handle(descriptor), (struct sockaddr*)&storage, &bytes);
    if (handle == INVALID_SOCKET) return nn_net_last(NULL);
    SetHandleInformation((HANDLE)handle, HANDLE_FLAG_INHERIT, 0);
    if (!net_prepare(net_descriptor(handle))) {
        closesocket(handle);
        return NECPNET_ERR_CONNECTION_RESET;
    }
    nn_net_from_system(&storage, out_from);
    *out_descriptor = net_descriptor(handle);
    return NECPNET_OK;
}

NN_PRIVATE necpnet_result nn_net_connect(int descriptor, const necpnet_address* to)
{
    struct sockaddr_storage storage;
    socklen_t bytes = nn_net_to_system(to, to->family == NECPNET_ADDRESS_IPV6, &storage);
    if (connect(net_handle(descriptor), (const struct sockaddr*)&storage, bytes) == 0) return NECPNET_OK;
    return WSAGetLastError() == WSAEWOULDBLOCK ? NECPNET_OK : nn_net_last(NULL);
}

NN_PRIVATE necpnet_result nn_net_connected(int descriptor)
{
    int error = 0;
    socklen_t bytes = (socklen_t)sizeof error;
    if (getsockopt(net_handle(descriptor), SOL_SOCKET, SO_ERROR, (char*)&error, &bytes) != 0) return nn_net_last(NULL);
    return error ? net_result(error) : NECPNET_OK;
}

NN_PRIVATE necpnet_result nn_net_read(int descriptor, uint8_t* to, size_t bytes, size_t* out_bytes)
{
    int got = recv(net_handle(descriptor), (char*)to, (int)nn_min_size(bytes, INT32_MAX), 0);
    if (got > 0) {
        *out_bytes = (size_t)got;
        return NECPNET_OK;
    }
    return got == 0 ? NECPNET_ERR_CLOSED : nn_net_last(NULL);
}

NN_PRIVATE necpnet_result nn_net_write(int descriptor, const uint8_t* first, size_t first_bytes, const uint8_t* second,
                                       size_t second_bytes, size_t* out_bytes)
{
    WSABUF pieces[2];
    memcpy(&pieces[0].buf, &first, sizeof first); /* buf is not const though it is only read */
    pieces[0].len = (ULONG)nn_min_size(first_bytes, INT32_MAX);
    memcpy(&pieces[1].buf, &second, sizeof second);
    pieces[1].len = (ULONG)nn_min_size(second_bytes, INT32_MAX);
    DWORD sent = 0;
    if (WSASend(net_handle(descriptor), pieces, second_bytes ? 2 : 1, &sent, 0, NULL, NULL) != 0) {
        return WSAGetLastError() == WSAENOBUFS ? NECPNET_ERR_WOULD_BLOCK : nn_net_last(NULL);
    }
    *out_bytes = sent;
    return NECPNET_OK;
}

NN_PRIVATE void nn_net_shut(int descriptor)
{
    shutdown(net_handle(descriptor), SD_SEND);
}

NN_PRIVATE void nn_net_stamp(int descriptor)
{
    (void)descriptor;
}

NN_PRIVATE int nn_net_receive(int descriptor, nn_net_datagram* batch, int count)
{
    int got = 0;
    for (int tries = 0; tries < count; tries++) {
        struct sockaddr_storage from;
        socklen_t from_bytes = (socklen_t)sizeof from;
        memset(&from, 0, sizeof from);
        int bytes = recvfrom(net_handle(descriptor), (char*)batch[got].data, (int)batch[got].bytes_max, 0,
                             (struct sockaddr*)&from, &from_bytes);
        int error = bytes < 0 ? WSAGetLastError() : 0;
        if (error == WSAEWOULDBLOCK) break;
        if (error && error != WSAEMSGSIZE) continue; /* an error of some peer */
        nn_net_from_system(&from, &batch[got].address);
        batch[got].bytes = error ? batch[got].bytes_max : (uint32_t)bytes;
        batch[got].cut = error == WSAEMSGSIZE;
        batch[got].segment = batch[got].waited_us = 0;
        got++;
    }
    return got;
}

NN_PRIVATE int nn_net_send(int descriptor, bool ipv6, const nn_net_datagram* batch, int count, bool* joins,
                           int* out_refused, necpnet_result* out_reason)
{
    *joins = false;
    *out_refused = 0;
    for (int i = 0; i < count; i++) {
        struct sockaddr_storage to;
        socklen_t bytes = nn_net_to_system(&batch[i].address, ipv6, &to);
        if (sendto(net_handle(descriptor), (const char*)batch[i].data, (int)batch[i].bytes, 0,
                   (const struct sockaddr*)&to, bytes) < 0) {
            int error = WSAGetLastError();
            if (error == WSAEWOULDBLOCK || error == WSAENOBUFS) return i;
            *out_reason = net_result(error);
            ++*out_refused;
        }
    }
    return count;
}

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

/* A datagram socket that sends to itself: WSAPoll takes sockets alone. */
NN_PRIVATE necpnet_result nn_net_wake_open(int* out_read, int* out_write)
{
    int descriptor = -1;
    necpnet_result result = nn_net_open(NN_NET_UDP, false, &descriptor);
    if (result != NECPNET_OK) return result;
    necpnet_address address;
    memset(&address, 0, sizeof address);
    address.family = NECPNET_ADDRESS_IPV4;
    address.bytes[0] = 127;
    address.bytes[3] = 1;
    result = nn_net_bind(descriptor, NN_NET_UDP, &address, false);
    if (result == NECPNET_OK) {
        address.port = (uint16_t)nn_net_local_port(descriptor);
        result = nn_net_connect(descriptor, &address);
    }
    if (result != NECPNET_OK) {
        nn_net_close(descriptor);
        return result;
    }
    *out_read = *out_write = descriptor;
    return NECPNET_OK;
}

NN_PRIVATE void nn_net_wake_close(int read_descriptor, int write_descriptor)
{
    nn_net_close(read_descriptor);
    if (write_descriptor != read_descriptor) nn_net_close(write_descriptor);
}

NN_PRIVATE void nn_net_wake_write(int descriptor)
{
    send(net_handle(descriptor), "!", 1, 0);
}

NN_PRIVATE void nn_net_wake_clear(int descriptor)
{
    char sink[16];
    while (recv(net_handle(descriptor), sink, (int)sizeof sink, 0) > 0) {
    }
}

#endif

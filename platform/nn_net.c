/* nn_net - what the sockets of all systems share: addresses, names, ports. */
#include "nn_net.h"

#if !defined(__EMSCRIPTEN__)

static const uint8_t net_mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}; /* RFC 4291 2.5.5.2 */

NN_PRIVATE socklen_t nn_net_to_system(const necpnet_address* address, bool ipv6, struct sockaddr_storage* out)
{
    if (address->family == NECPNET_ADDRESS_IPV4 && !ipv6) {
        struct sockaddr_in v4;
        memset(&v4, 0, sizeof v4);
        v4.sin_family = AF_INET;
        v4.sin_port = htons(address->port);
        memcpy(&v4.sin_addr, address->bytes, 4);
        memcpy(out, &v4, sizeof v4);
        return (socklen_t)sizeof v4;
    }
    struct sockaddr_in6 v6;
    memset(&v6, 0, sizeof v6);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(address->port);
    v6.sin6_scope_id = address->scope;
    if (address->family == NECPNET_ADDRESS_IPV4) {
        memcpy(&v6.sin6_addr, net_mapped_prefix, sizeof net_mapped_prefix);
        memcpy((uint8_t*)&v6.sin6_addr + 12, address->bytes, 4);
    } else {
        memcpy(&v6.sin6_addr, address->bytes, 16);
    }
    memcpy(out, &v6, sizeof v6);
    return (socklen_t)sizeof v6;
}

NN_PRIVATE void nn_net_from_system(const struct sockaddr_storage* from, necpnet_address* out)
{
    memset(out, 0, sizeof *out);
    if (from->ss_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, from, sizeof v4);
        out->family = NECPNET_ADDRESS_IPV4;
        out->port = ntohs(v4.sin_port);
        memcpy(out->bytes, &v4.sin_addr, 4);
    } else if (from->ss_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, from, sizeof v6);
        out->port = ntohs(v6.sin6_port);
        if (memcmp(&v6.sin6_addr, net_mapped_prefix, sizeof net_mapped_prefix) == 0) {
            out->family = NECPNET_ADDRESS_IPV4;
            memcpy(out->bytes, (const uint8_t*)&v6.sin6_addr + 12, 4);
        } else {
            out->family = NECPNET_ADDRESS_IPV6;
            out->scope = v6.sin6_scope_id;
            memcpy(out->bytes, &v6.sin6_addr, 16);
        }
    }
}

NN_PRIVATE necpnet_result nn_net_resolve(const char* host, uint16_t port, necpnet_address* addresses, int max,
                                         int* out_count)
{
    struct addrinfo hints;
    memset(&hints, 0, sizeof hints);
    hints.ai_socktype = SOCK_DGRAM; /* one entry an address, not one a protocol */
    hints.ai_family = AF_UNSPEC;
    struct addrinfo* list = NULL;
    int error = getaddrinfo(host, NULL, &hints, &list);
    if (error == EAI_MEMORY) return NECPNET_ERR_OUT_OF_MEMORY;
    if (error != 0) return NECPNET_ERR_HOST_UNKNOWN;
    int count = 0;
    for (struct addrinfo* at = list; at && count < max; at = at->ai_next) {
        if (at->ai_family != AF_INET && at->ai_family != AF_INET6) continue;
        struct sockaddr_storage storage;
        memset(&storage, 0, sizeof storage);
        nn_copy(&storage, at->ai_addr, (size_t)at->ai_addrlen);
        necpnet_address address;
        nn_net_from_system(&storage, &address);
        address.port = port;
        bool known = false;
        for (int i = 0; i < count && !known; i++) known = necpnet_address_equal(&addresses[i], &address);
        if (!known) addresses[count++] = address;
    }
    freeaddrinfo(list);
    *out_count = count;
    return count > 0 ? NECPNET_OK : NECPNET_ERR_HOST_UNKNOWN;
}

#endif

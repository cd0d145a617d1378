/* nn_url - the addresses that connect takes. */
#include "nn_url.h"

static bool url_scheme(const char** at, nn_url* url)
{
    static const struct {
        const char* prefix;
        nn_url_scheme scheme;
        uint16_t port;
    } schemes[] = {{"udp://", NN_URL_UDP, 7777}, {"ws://", NN_URL_WS, 80}, {"wss://", NN_URL_WSS, 443}};
    for (size_t i = 0; i < NN_COUNT(schemes); i++) {
        size_t length = strlen(schemes[i].prefix);
        if (strncmp(*at, schemes[i].prefix, length) != 0) continue;
        url->scheme = schemes[i].scheme;
        url->port = schemes[i].port;
        *at += length;
        return true;
    }
    return false;
}

/* A name of DNS; in brackets an IPv6 address, perhaps with its scope (RFC 6874). */
static bool url_host_byte(char c, bool in_brackets)
{
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return true;
    return c == '.' || c == '-' || c == '_' || (in_brackets && (c == ':' || c == '%'));
}

static bool url_host(const char** at, nn_url* url)
{
    const char* begin = *at;
    const char* end;
    bool in_brackets = *begin == '[';
    if (in_brackets) {
        begin++;
        end = strchr(begin, ']');
        if (!end) return false;
        *at = end + 1;
    } else {
        end = begin + strcspn(begin, ":/?");
        *at = end;
    }
    size_t length = (size_t)(end - begin);
    if (length == 0 || length > NN_URL_HOST_BYTES_MAX) return false;
    for (size_t i = 0; i < length; i++) {
        if (!url_host_byte(begin[i], in_brackets)) return false;
    }
    if (in_brackets && !memchr(begin, ':', length)) return false;
    memcpy(url->host, begin, length);
    url->host[length] = '\0';
    return true;
}

static bool url_port(const char** at, nn_url* url)
{
    if (**at != ':') return true;
    (*at)++;
    unsigned long port = 0;
    size_t digits = 0;
    for (; **at >= '0' && **at <= '9' && digits < 6; (*at)++, digits++) port = port * 10 + (unsigned long)(**at - '0');
    if (digits == 0 || port == 0 || port > 65535) return false;
    url->port = (uint16_t)port;
    return true;
}

NN_PRIVATE necpnet_result nn_url_parse(const char* text, nn_url* out_url)
{
    nn_url url;
    memset(&url, 0, sizeof url);
    if (!text) return NECPNET_ERR_BAD_URL;
    size_t length = strlen(text);
    if (length > NECPNET_URL_BYTES_MAX) return NECPNET_ERR_BAD_URL;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c <= ' ' || c >= 127 || c == '#' || c == '@' || c == '\\' || c == '"' || c == '<' || c == '>') {
            return NECPNET_ERR_BAD_URL;
        }
    }
    const char* at = text;
    if (!url_scheme(&at, &url) || !url_host(&at, &url) || !url_port(&at, &url)) return NECPNET_ERR_BAD_URL;
    if (url.scheme == NN_URL_UDP) {
        if (at[0] == '/') at++;
        if (*at) return NECPNET_ERR_BAD_URL;
    } else if (*at == '\0') {
        memcpy(url.path, "/", 2);
    } else if (*at == '/' || *at == '?') {
        size_t skip = *at == '?' ? 1 : 0;
        if (skip) url.path[0] = '/';
        memcpy(url.path + skip, at, strlen(at) + 1);
    } else {
        return NECPNET_ERR_BAD_URL;
    }
    memcpy(url.text, text, length + 1);
    *out_url = url;
    return NECPNET_OK;
}

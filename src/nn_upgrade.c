/* nn_upgrade - the opening handshake of WebSocket, both sides. */
#include "nn_upgrade.h"

#include "nn_base64.h"
#include "nn_hash.h"

#include <stdio.h>

#define UPGRADE_GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* RFC 6455 1.3 */

NN_PRIVATE void nn_upgrade_accept(const char key[NN_UPGRADE_KEY_BYTES], char accept[NN_UPGRADE_ACCEPT_BYTES + 1])
{
    uint8_t text[NN_UPGRADE_KEY_BYTES + sizeof UPGRADE_GUID - 1];
    uint8_t digest[20];
    memcpy(text, key, NN_UPGRADE_KEY_BYTES);
    memcpy(text + NN_UPGRADE_KEY_BYTES, UPGRADE_GUID, sizeof UPGRADE_GUID - 1);
    nn_sha1(text, sizeof text, digest);
    size_t bytes = nn_base64_encode(digest, sizeof digest, false, accept, NN_UPGRADE_ACCEPT_BYTES + 1);
    NN_ASSERT(bytes == NN_UPGRADE_ACCEPT_BYTES);
    (void)bytes;
}

/* ---- lists of subprotocols -------------------------------------------------------------------------------------- */

/* The next token of a list and its length, NULL at the end. *at moves behind it. */
static const char* upgrade_next(const char** at, size_t* out_bytes)
{
    *at += strspn(*at, " \t,");
    if (!**at) return NULL;
    const char* token = *at;
    size_t bytes = strcspn(token, ",");
    *at += bytes;
    while (bytes && (token[bytes - 1] == ' ' || token[bytes - 1] == '\t')) bytes--;
    *out_bytes = bytes;
    return token;
}

NN_PRIVATE bool nn_upgrade_is_offered(const char* list, const char* subprotocol, size_t bytes)
{
    size_t token_bytes = 0;
    const char* token;
    while ((token = upgrade_next(&list, &token_bytes)) != NULL) {
        if (token_bytes == bytes && !memcmp(token, subprotocol, bytes)) return true;
    }
    return false;
}

NN_PRIVATE const char* nn_upgrade_first(const char* list, size_t* out_bytes)
{
    return upgrade_next(&list, out_bytes);
}

/* Tokens alone, none twice. */
static bool upgrade_is_list(const char* list)
{
    const char* at = list;
    size_t bytes = 0;
    const char* token;
    while ((token = upgrade_next(&at, &bytes)) != NULL) {
        if (!nn_http_is_token(token, bytes) || nn_upgrade_is_offered(at, token, bytes)) return false;
    }
    return true;
}

NN_PRIVATE bool nn_upgrade_join_subprotocols(const nn_http_head* head, char* to, size_t bytes_max)
{
    size_t used = 0;
    to[0] = 0;
    for (int i = 0; i < head->header_count; i++) {
        if (!nn_http_name_equal(head->headers[i].name, "sec-websocket-protocol")) continue;
        const char* value = head->headers[i].value;
        size_t bytes = strlen(value);
        size_t comma = used ? 2 : 0;
        if (bytes >= bytes_max || used + comma >= bytes_max - bytes) return false;
        memcpy(to + used, ", ", comma);
        memcpy(to + used + comma, value, bytes + 1);
        used += comma + bytes;
    }
    return upgrade_is_list(to);
}

/* ---- the server's side ------------------------------------------------------------------------------------------ */

static bool upgrade_key_is_valid(const char* key)
{
    uint8_t nonce[NN_UPGRADE_NONCE_BYTES + 2];
    size_t bytes = 0;
    return strlen(key) == NN_UPGRADE_KEY_BYTES &&
           nn_base64_decode(key, NN_UPGRADE_KEY_BYTES, false, nonce, sizeof nonce, &bytes) &&
           bytes == NN_UPGRADE_NONCE_BYTES;
}

NN_PRIVATE int nn_upgrade_check_request(const nn_http_head* head, const char** out_key)
{
    if (!nn_http_has_token(head, "upgrade", "websocket")) return 1;
    if (strcmp(head->method, "GET") != 0) return 1;
    if (head->minor != 1 || head->has_body || !nn_http_has_token(head, "connection", "upgrade")) return 400;
    int versions = 0;
    int keys = 0;
    const char* version = nn_http_find(head, "sec-websocket-version", &versions);
    const char* key = nn_http_find(head, "sec-websocket-key", &keys);
    if (!version || versions != 1) return version ? 400 : 426;
    if (strcmp(version, "13") != 0) return 426;
    if (keys != 1 || !upgrade_key_is_valid(key)) return 400;
    *out_key = key;
    return 0;
}

NN_PRIVATE size_t nn_upgrade_write_answer(char* to, size_t bytes_max, const char key[NN_UPGRADE_KEY_BYTES],
                                          const char* subprotocol, const char* extensions, const char* headers)
{
    bool extends = extensions && *extensions;
    char accept[NN_UPGRADE_ACCEPT_BYTES + 1];
    nn_upgrade_accept(key, accept);
    int bytes = snprintf(to, bytes_max,
                         "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                         "Sec-WebSocket-Accept: %s\r\n%s%s%s%s%s%s%s\r\n",
                         accept, subprotocol ? "Sec-WebSocket-Protocol: " : "", subprotocol ? subprotocol : "",
                         subprotocol ? "\r\n" : "", extends ? "Sec-WebSocket-Extensions: " : "",
                         extends ? extensions : "", extends ? "\r\n" : "", headers ? headers : "");
    return bytes > 0 && (size_t)bytes < bytes_max ? (size_t)bytes : 0;
}

/* ---- the client's side ------------------------------------------------------------------------------------------ */

NN_PRIVATE size_t nn_upgrade_write_request(char* to, size_t bytes_max, const char* host, const char* path,
                                           const char key[NN_UPGRADE_KEY_BYTES], const char* subprotocols,
                                           const char* extensions)
{
    bool extends = extensions && *extensions;
    int bytes = snprintf(to, bytes_max,
                         "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                         "Sec-WebSocket-Key: %.24s\r\nSec-WebSocket-Version: 13\r\n%s%s%s%s%s%s\r\n",
                         path, host, key, subprotocols ? "Sec-WebSocket-Protocol: " : "",
                         subprotocols ? subprotocols : "", subprotocols ? "\r\n" : "",
                         extends ? "Sec-WebSocket-Extensions: " : "", extends ? extensions : "", extends ? "\r\n" : "");
    return bytes > 0 && (size_t)bytes < bytes_max ? (size_t)bytes : 0;
}

NN_PRIVATE necpnet_result nn_upgrade_check_answer(const nn_http_head* head, const char key[NN_UPGRADE_KEY_BYTES],
                                                  const char* subprotocols, const char** out_subprotocol)
{
    if (head->status != 101) return NECPNET_ERR_UPGRADE_REFUSED;
    char accept[NN_UPGRADE_ACCEPT_BYTES + 1];
    int accepts = 0;
    int upgrades = 0;
    int choices = 0;
    nn_upgrade_accept(key, accept);
    const char* given = nn_http_find(head, "sec-websocket-accept", &accepts);
    const char* upgrade = nn_http_find(head, "upgrade", &upgrades);
    const char* subprotocol = nn_http_find(head, "sec-websocket-protocol", &choices);
    if (head->minor != 1 || accepts != 1 || strcmp(given, accept) != 0) return NECPNET_ERR_PROTOCOL;
    if (upgrades != 1 || !nn_http_name_equal(upgrade, "websocket")) return NECPNET_ERR_PROTOCOL;
    if (!nn_http_has_token(head, "connection", "upgrade")) return NECPNET_ERR_PROTOCOL;
    if (choices > 1) return NECPNET_ERR_PROTOCOL;
    if (subprotocol && (!subprotocols || !nn_upgrade_is_offered(subprotocols, subprotocol, strlen(subprotocol)))) {
        return NECPNET_ERR_PROTOCOL;
    }
    *out_subprotocol = subprotocol ? subprotocol : "";
    return NECPNET_OK;
}

/* fuzz_text.c - texts that people and backends hand over: addresses, URLs, UTF-8, base64, token bundles, JSON.
 *
 * The first byte of an input chooses the parser, the rest is the text. What is accepted must mean the same when it is
 * written and read again, and must not depend on the pieces in which it comes.
 */
#include "nn_base64.h"
#include "nn_url.h"
#include "nn_utf8.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

static void fuzz_check(bool condition, const char* what)
{
    if (condition) return;
    fprintf(stderr, "fuzz_text: %s\n", what);
    abort();
}

static void fuzz_address(const char* text)
{
    necpnet_address address;
    necpnet_address again;
    char written[NECPNET_ADDRESS_TEXT_BYTES_MAX];
    if (necpnet_address_parse(text, &address) != NECPNET_OK) return;
    fuzz_check(necpnet_address_format(&address, written, sizeof written) == NECPNET_OK, "an address has no text");
    fuzz_check(necpnet_address_parse(written, &again) == NECPNET_OK, "an address's text is no address");
    fuzz_check(necpnet_address_equal(&address, &again), "an address reads differently");
    size_t length = strlen(written);
    for (size_t room = 0; room <= length; room++) {
        char* little = (char*)malloc(room ? room : 1); /* exact, so that a sanitizer sees a byte beyond it */
        if (!little) abort();
        fuzz_check(necpnet_address_format(&address, little, room) != NECPNET_OK, "an address fits too little room");
        free(little);
    }
}

static void fuzz_url(const char* text)
{
    nn_url url;
    nn_url again;
    char written[NN_URL_HOST_BYTES_MAX + NECPNET_URL_BYTES_MAX + 32];
    if (nn_url_parse(text, &url) != NECPNET_OK) return;
    fuzz_check(strlen(text) <= NECPNET_URL_BYTES_MAX && !strcmp(url.text, text), "a URL is kept as given");
    fuzz_check(url.host[0] && !strpbrk(url.host, "/@?#[] \r\n"), "a host with other characters");
    fuzz_check(!strpbrk(url.path, " #\r\n\t"), "a path with other characters");
    fuzz_check(url.scheme == NN_URL_UDP ? !url.path[0] : url.path[0] == '/', "a path that does not fit the scheme");
    bool colon = strchr(url.host, ':') != NULL;
    snprintf(written, sizeof written, "%s://%s%s%s:%u%s",
             url.scheme == NN_URL_UDP  ? "udp"
             : url.scheme == NN_URL_WS ? "ws"
                                       : "wss",
             colon ? "[" : "", url.host, colon ? "]" : "", url.port, url.path);
    if (strlen(written) > NECPNET_URL_BYTES_MAX) return;
    fuzz_check(nn_url_parse(written, &again) == NECPNET_OK, "a URL's whole text is refused");
    fuzz_check(again.scheme == url.scheme && again.port == url.port && !strcmp(again.host, url.host) &&
                   !strcmp(again.path, url.path),
               "a URL reads differently");
}

/* RFC 3629 4, written for itself: the length of the character at data, 0 if it is none. */
static size_t character(const uint8_t* data, size_t bytes)
{
    uint32_t value = data[0];
    if (value < 0x80) return 1;
    size_t length = value >= 0xf0 ? 4 : value >= 0xe0 ? 3 : value >= 0xc0 ? 2 : 0;
    if (length == 0 || value > 0xf7 || length > bytes) return 0;
    value &= 0xffu >> (length + 1);
    for (size_t i = 1; i < length; i++) {
        if ((data[i] & 0xc0) != 0x80) return 0;
        value = value << 6 | (data[i] & 0x3f);
    }
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    return value < least[length] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000) ? 0 : length;
}

static void fuzz_utf8(const uint8_t* data, size_t size)
{
    bool expected = true;
    for (size_t at = 0; at < size && expected;) {
        size_t length = character(data + at, size - at);
        expected = length > 0;
        at += length;
    }
    fuzz_check(nn_utf8_valid(data, size) == expected, "UTF-8 judged wrongly");
    nn_utf8 pieces = {0, 0, 0};
    bool possible = true;
    for (size_t at = 0; at < size && possible; at++) possible = nn_utf8_feed(&pieces, data + at, 1);
    fuzz_check((possible && nn_utf8_is_whole(&pieces)) == expected, "UTF-8 judged differently in pieces");
}

static void fuzz_base64(const uint8_t* data, size_t size, bool url)
{
    uint8_t decoded[4096];
    char text[6000];
    size_t bytes = 0;
    if (size > 4000) return;
    if (nn_base64_decode((const char*)data, size, url, decoded, sizeof decoded, &bytes)) {
        size_t length = nn_base64_encode(decoded, bytes, url, text, sizeof text);
        fuzz_check(length == size && !memcmp(text, data, size), "base64 has two texts for the same bytes");
    }
    size_t length = nn_base64_encode(data, size, url, text, sizeof text);
    fuzz_check(nn_base64_decode(text, length, url, decoded, sizeof decoded, &bytes), "base64 of ours is refused");
    fuzz_check(bytes == size && (size == 0 || !memcmp(decoded, data, size)), "base64 comes back differently");
    fuzz_check(size == 0 || !nn_base64_decode(text, length, url, decoded, size - 1, &bytes), "base64 beyond its room");
}

static void fuzz_token(const char* text)
{
    static necpnet_token_info info;
    if (necpnet_token_read(text, &info) != NECPNET_OK) return;
    fuzz_check(info.url_count >= 0 && info.url_count <= NECPNET_URLS_MAX, "a token with too many addresses");
    for (int i = 0; i < info.url_count; i++) {
        nn_url url;
        fuzz_check(nn_url_parse(info.urls[i], &url) == NECPNET_OK, "a token with an address that is none");
    }
}

/* Strict: what passes ends in a bracket, a quote, a letter or a digit, is UTF-8, and no longer passes with more behind it. */
static void fuzz_json(char* text, size_t bytes)
{
    char error[160];
    char little[8];
    memset(error, 0x5A, sizeof error);
    bool valid = necpnet_json_check(text, bytes, error, sizeof error) == NECPNET_OK;
    fuzz_check((necpnet_json_check(text, bytes, little, sizeof little) == NECPNET_OK) == valid,
               "judged twice, otherwise");
    fuzz_check(valid ? error[0] == 0x5A : memcmp(error, "line ", 5) == 0, "a refusal that says nothing");
    if (!valid) return;
    fuzz_check(memchr(text, 0, bytes) == NULL && nn_utf8_valid((const uint8_t*)text, bytes), "no text passes for JSON");
    text[bytes] = ']'; /* where its NUL stood */
    fuzz_check(necpnet_json_check(text, bytes + 1, NULL, 0) != NECPNET_OK, "more than a value passes for JSON");
    text[bytes] = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    if (size < 1) return 0;
    uint8_t kind = data[0];
    data++;
    size--;
    char* text = (char*)malloc(size + 1); /* exact */
    if (!text) return 0;
    if (size) memcpy(text, data, size);
    text[size] = '\0';
    switch (kind & 7) {
    case 0: fuzz_address(text); break;
    case 1: fuzz_url(text); break;
    case 2: fuzz_utf8(data, size); break;
    case 3: fuzz_base64(data, size, (kind & 8) != 0); break;
    case 4: fuzz_token(text); break;
    case 5: fuzz_json(text, size); break;
    default: break;
    }
    free(text);
    return 0;
}

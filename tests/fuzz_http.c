/* fuzz_http - heads of requests and responses from a hostile peer, found in one piece and in pieces.
 *
 * The first byte says which (bit 0: response) and how large the pieces are; the rest is the head.
 */
#include "nn_upgrade.h"

#include <stdlib.h>

static nn_http_scan scan_all(const uint8_t* data, size_t bytes, size_t piece, bool is_response, size_t* out_bytes)
{
    size_t scanned = 0;
    nn_http_scan scan = NN_HTTP_SCAN_MORE;
    for (size_t at = piece; scan == NN_HTTP_SCAN_MORE; at += piece) {
        size_t there = at < bytes ? at : bytes;
        scan = nn_http_scan_head(data, there, is_response, &scanned, out_bytes);
        if (there == bytes) break;
    }
    return scan;
}

/* Every text lies inside the head and ends there. */
static void check_texts(const nn_http_head* head, const char* text, size_t bytes)
{
    for (int i = 0; i < head->header_count; i++) {
        const char* const texts[2] = {head->headers[i].name, head->headers[i].value};
        for (int j = 0; j < 2; j++) {
            if (texts[j] < text || texts[j] + strlen(texts[j]) > text + bytes) abort();
            if (strpbrk(texts[j], "\r\n")) abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes);
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes)
{
    static nn_http_head head;
    char list[256];
    size_t whole = 0;
    size_t again = 0;
    const char* key = NULL;
    const char* subprotocol = NULL;
    if (bytes < 2) return 0;
    bool is_response = (data[0] & 1) != 0;
    nn_http_scan scan = scan_all(data + 1, bytes - 1, bytes, is_response, &whole);
    if (scan_all(data + 1, bytes - 1, 1 + (data[0] >> 1) % 20, is_response, &again) != scan || again != whole) abort();
    if (scan != NN_HTTP_SCAN_WHOLE) return 0;
    char* text = (char*)malloc(whole + 1);
    if (!text) abort();
    memcpy(text, data + 1, whole);
    text[whole] = 0;
    if (is_response) {
        if (nn_http_parse_response(text, whole, &head) == 0) {
            check_texts(&head, text, whole);
            (void)nn_upgrade_check_answer(&head, "dGhlIHNhbXBsZSBub25jZQ==", "a, b", &subprotocol);
        }
    } else if (nn_http_parse_request(text, whole, &head) == 0) {
        check_texts(&head, text, whole);
        if (head.path[0] != '/' && head.path[0] != '*' && strcmp(head.method, "CONNECT")) abort();
        (void)nn_upgrade_check_request(&head, &key);
        (void)nn_upgrade_join_subprotocols(&head, list, sizeof list);
    }
    free(text);
    return 0;
}

/* nn_http - the head of an HTTP/1.1 request or response (RFC 9110, RFC 9112), strict.
 *
 * Strict means: whatever two servers could read in two ways is refused. Lines end in CR LF; no folding; no white space
 * before a colon; one Host; no control characters; Content-Length is one plain number and never beside
 * Transfer-Encoding; the version is HTTP/1.1 or HTTP/1.0.
 */
#ifndef NN_HTTP_H
#define NN_HTTP_H

#include "nn_base.h"

#define NN_HTTP_HEADERS_MAX NECPNET_WEB_HEADERS_MAX
#define NN_HTTP_METHOD_BYTES_MAX 32 /* a longer first word is not HTTP */

/* All texts are views into the text that was parsed, which is changed (NULs are written). */
typedef struct nn_http_head {
    const char* method; /* request */
    const char* path;   /* request: begins with '/', or is "*" (OPTIONS) or an authority (CONNECT) */
    const char* query;  /* request: "" if none */
    int status;         /* response: 100 .. 599 */
    const char* reason; /* response: "" if none */
    int minor;          /* HTTP/1.minor */
    necpnet_web_header headers[NN_HTTP_HEADERS_MAX];
    int header_count;
    bool has_body; /* request: Content-Length above 0, or Transfer-Encoding */
} nn_http_head;

typedef enum nn_http_scan {
    NN_HTTP_SCAN_MORE = 0,    /* no end of the head yet */
    NN_HTTP_SCAN_WHOLE = 1,   /* *bytes is the length of the head with its empty line */
    NN_HTTP_SCAN_NOT_HTTP = 2 /* these bytes begin no HTTP head */
} nn_http_scan;

/* nn_http_scan_head - find the end of a head that arrives in pieces, refusing at once what cannot become one.
 *
 *   data, bytes  all that has arrived.
 *   scanned      0 at first; kept between calls so that no byte is looked at twice.
 *   is_response  whether the head must begin with "HTTP/1."; a request begins with a method.
 */
NN_PRIVATE nn_http_scan nn_http_scan_head(const uint8_t* data, size_t bytes, bool is_response, size_t* scanned,
                                          size_t* out_bytes);

/* nn_http_parse_request, nn_http_parse_response - read a whole head, in place.
 *
 *   text, bytes  as nn_http_scan_head found it; changed.
 *
 * Returns 0, or the status to answer: 400, 431 (too many headers), 501
 * (Transfer-Encoding other than chunked), 505 (version). A response that is wrong gives 400.
 */
NN_PRIVATE int nn_http_parse_request(char* text, size_t bytes, nn_http_head* head);
NN_PRIVATE int nn_http_parse_response(char* text, size_t bytes, nn_http_head* head);

/* nn_http_find - the value of the first header of that name (without case), or NULL. count, if not NULL, gets how many
 * there are. */
NN_PRIVATE const char* nn_http_find(const nn_http_head* head, const char* name, int* count);

/* nn_http_has_token - whether any header of that name holds the token in its comma-separated list (without case). */
NN_PRIVATE bool nn_http_has_token(const nn_http_head* head, const char* name, const char* token);

/* nn_http_name_equal - compare without case (ASCII). */
NN_PRIVATE bool nn_http_name_equal(const char* a, const char* b);

/* nn_http_is_token - 1 or more tchar (RFC 9110 5.6.2). */
NN_PRIVATE bool nn_http_is_token(const char* text, size_t bytes);

/* nn_http_status_text - "Not Found" for 404; "Status" for a number without a name here. */
NN_PRIVATE const char* nn_http_status_text(int status);

/* nn_http_write_answer - a whole response with "Connection: close".
 *
 *   headers  NULL or "Name: value\r\n" lines.
 *   body     NULL: the name of the status.
 *
 * Returns its length, 0 if it does not fit.
 */
NN_PRIVATE size_t nn_http_write_answer(char* to, size_t bytes_max, int status, const char* headers, const char* body);

#endif

/* forward.h - what the edge makes of a client's request before the REST server sees it: one head, rewritten so that it can
 * be read in one way only, and one body of known length. Pure functions, no connection.
 */
#ifndef SERVER_FORWARD_H
#define SERVER_FORWARD_H

#include "necpnet.h"
#include "text.h"

/* Headers that the edge adds; a client's own of these names are dropped. */
#define FORWARD_SECRET_HEADER "X-Necpnet-Edge"    /* proves that the request came through the edge */
#define FORWARD_ADDRESS_HEADER "X-Forwarded-For"  /* the peer's address */
#define FORWARD_SCHEME_HEADER "X-Forwarded-Proto" /* http or https */

#define FORWARD_PATH_BYTES_MAX 2048  /* path and query; longer is answered 414 */
#define FORWARD_HEAD_BYTES_MAX 16384 /* of a rewritten head */
#define FORWARD_HEADERS_MAX 56       /* civetweb takes 64, and the edge adds some */
#define FORWARD_CHUNK_LINE_MAX 256   /* a chunk's size with its extensions */
#define FORWARD_TRAILER_BYTES_MAX 4096

typedef enum forward_framing { FORWARD_NO_BODY = 0, FORWARD_LENGTH = 1, FORWARD_CHUNKED = 2 } forward_framing;

/* What a head says. */
typedef struct forward_plan {
    int status;          /* 0: forward it; else answer this */
    const char* message; /* with status: why, for people */
    forward_framing framing;
    uint64_t length;       /* FORWARD_LENGTH */
    bool expects_continue; /* the client waits for "100 Continue" before it sends the body */
    bool is_head;          /* method HEAD: the answer has no body */
} forward_plan;

/* forward_judge - what to do with a request that is no upgrade.
 *
 *   body_bytes_max  a longer Content-Length is answered 413.
 */
forward_plan forward_judge(const necpnet_web_request* request, uint64_t body_bytes_max);

/* forward_write_head - the head for the REST server, for a plan with status 0, all but its end, */
void forward_write_head(text* out, const necpnet_web_request* request, const char* secret, bool tls);

/* forward_end_head - and its end, once the whole body is here.
 *
 *   body_bytes  after chunks were put together. */
void forward_end_head(text* out, uint64_t body_bytes);

/* Takes a body apart. */
typedef enum forward_state {
    FORWARD_MORE = 0,
    FORWARD_WHOLE = 1,
    FORWARD_MALFORMED = 2, /* answer 400 */
    FORWARD_TOO_LARGE = 3  /* answer 413 */
} forward_state;

typedef struct forward_body {
    forward_framing framing;
    uint64_t left;       /* LENGTH: of the body; CHUNKED: of this chunk */
    uint64_t bytes_max;  /* of the whole body */
    uint64_t bytes;      /* so far */
    int step;            /* CHUNKED */
    uint32_t line_bytes; /* CHUNKED: of this line, or of the trailers */
    uint32_t digits;
} forward_body;

void forward_body_begin(forward_body* body, const forward_plan* plan, uint64_t bytes_max);

/* forward_body_take - bytes from the client; those of the body are appended to out (which grows). What stands behind the
 * body is left alone. */
forward_state forward_body_take(forward_body* body, const uint8_t* data, size_t bytes, text* out);

/* forward_write_error - a whole HTTP answer with the API's error as JSON and "Connection: close".
 *
 *   code      "bad_request" and so on; see forward_error_code.
 *   headers   "" or "Name: value\r\n" lines.
 *   trace_id  "" if there is none.
 */
void forward_write_error(text* out, int status, const char* message, const char* headers, const char* trace_id,
                         bool with_body);

/* forward_error_json - the one error schema of the API: {"code", "message", "details", "trace_id"}.
 *
 *   details  a JSON object, or NULL for {}. */
void forward_error_json(text* out, int status, const char* message, const char* details, const char* trace_id);

/* forward_lists - whether a comma-separated list (a header's value) holds the token, without case. */
bool forward_lists(const char* list, const char* token);

/* forward_status_name - "Not Found" for 404. */
const char* forward_status_name(int status);

#endif

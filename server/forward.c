/* forward - a client's request, rewritten for the REST server. RFC 9110 7.6 (hop-by-hop), RFC 9112 6.3 (framing). */
#include "forward.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Not handed on: those between two hops, those that the edge writes itself, and those whose meaning it has spent. */
static const char* const forward_dropped[] = {
    "Connection",
    "Keep-Alive",
    "Proxy-Connection",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
    "Content-Length",
    "Expect",
    "Forwarded",
    "X-Real-IP",
    "Host",
};

static bool forward_is_tchar(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool forward_is_token(const char* value)
{
    for (const char* at = value; *at; at++) {
        if (!forward_is_tchar((unsigned char)*at)) return false;
    }
    return value[0] != 0;
}

bool forward_lists(const char* list, const char* token)
{
    size_t token_bytes = strlen(token);
    for (const char* at = list; *at;) {
        at += strspn(at, ", \t");
        size_t bytes = strcspn(at, ", \t");
        if (bytes == token_bytes && strncasecmp(at, token, bytes) == 0) return true;
        at += bytes;
    }
    return false;
}

/* The one value of a header: NULL when absent; *count how often it stands there. */
static const char* forward_find(const necpnet_web_request* request, const char* name, int* count)
{
    const char* value = NULL;
    *count = 0;
    for (int i = 0; i < request->header_count; i++) {
        if (strcasecmp(request->headers[i].name, name) != 0) continue;
        if (!value) value = request->headers[i].value;
        ++*count;
    }
    return value;
}

static bool forward_is_host(const char* host)
{
    size_t bytes = strlen(host);
    if (bytes == 0 || bytes > 255) return false;
    return strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]") == bytes;
}

static forward_plan forward_refuse(int status, const char* message)
{
    return (forward_plan){.status = status, .message = message};
}

static forward_plan forward_judge_framing(const necpnet_web_request* request, uint64_t body_bytes_max)
{
    int lengths;
    int encodings;
    int expectations;
    forward_plan plan = {.is_head = strcmp(request->method, "HEAD") == 0};
    const char* length = forward_find(request, "Content-Length", &lengths);
    const char* encoding = forward_find(request, "Transfer-Encoding", &encodings);
    const char* expectation = forward_find(request, "Expect", &expectations);
    if (lengths > 0 && encodings > 0)
        return forward_refuse(400, "Content-Length beside Transfer-Encoding: the body has two ends");
    if (lengths > 1) return forward_refuse(400, "Content-Length stands there more than once");
    if (encodings > 1) return forward_refuse(400, "Transfer-Encoding stands there more than once");
    if (encoding) {
        if (strcasecmp(encoding, "chunked") != 0)
            return forward_refuse(501, "the only Transfer-Encoding that is understood is chunked");
        plan.framing = FORWARD_CHUNKED;
    }
    if (length) {
        size_t digits = strlen(length);
        if (digits == 0 || strspn(length, "0123456789") != digits)
            return forward_refuse(400, "Content-Length is no number");
        while (*length == '0' && length[1]) length++;
        if (strlen(length) > 18) return forward_refuse(413, "the body is larger than this server takes");
        for (; *length; length++) plan.length = plan.length * 10 + (uint64_t)(*length - '0');
        if (plan.length > body_bytes_max) return forward_refuse(413, "the body is larger than this server takes");
        plan.framing = plan.length > 0 ? FORWARD_LENGTH : FORWARD_NO_BODY;
    }
    if (expectation) {
        if (expectations > 1 || strcasecmp(expectation, "100-continue") != 0)
            return forward_refuse(417, "the only expectation that is met is 100-continue");
        plan.expects_continue = plan.framing != FORWARD_NO_BODY;
    }
    return plan;
}

forward_plan forward_judge(const necpnet_web_request* request, uint64_t body_bytes_max)
{
    int hosts;
    const char* host = forward_find(request, "Host", &hosts);
    if (!forward_is_token(request->method)) return forward_refuse(400, "the method is no word");
    if (request->path[0] != '/') return forward_refuse(400, "the path does not begin with /");
    if (strlen(request->path) + strlen(request->query) > FORWARD_PATH_BYTES_MAX)
        return forward_refuse(414, "path and query are too long");
    for (const char* at = request->path; *at; at++) {
        if (*at <= ' ' || *at == 0x7f || *at == '#')
            return forward_refuse(400, "the path holds bytes that no path has");
    }
    for (const char* at = request->query; *at; at++) {
        if (*at <= ' ' || *at == 0x7f || *at == '#')
            return forward_refuse(400, "the query holds bytes that no query has");
    }
    if (hosts != 1 || !forward_is_host(host)) return forward_refuse(400, "exactly one Host header is wanted");
    if (request->header_count > FORWARD_HEADERS_MAX) return forward_refuse(431, "too many headers");
    for (int i = 0; i < request->header_count; i++) {
        if (!forward_is_token(request->headers[i].name)) return forward_refuse(400, "a header's name is no word");
        for (const char* at = request->headers[i].value; *at; at++) {
            if (((unsigned char)*at < ' ' && *at != '\t') || *at == 0x7f)
                return forward_refuse(400, "a header's value holds control characters");
        }
    }
    return forward_judge_framing(request, body_bytes_max);
}

static bool forward_drops(const necpnet_web_request* request, const char* name)
{
    for (size_t i = 0; i < sizeof(forward_dropped) / sizeof(forward_dropped[0]); i++) {
        if (strcasecmp(name, forward_dropped[i]) == 0) return true;
    }
    if (strncasecmp(name, "X-Forwarded-", 12) == 0 || strncasecmp(name, "X-Necpnet-", 10) == 0) return true;
    for (int i = 0; i < request->header_count; i++) { /* what Connection names lives for one hop */
        if (strcasecmp(request->headers[i].name, "Connection") == 0 && forward_lists(request->headers[i].value, name))
            return true;
    }
    return false;
}

void forward_write_head(text* out, const necpnet_web_request* request, const char* secret, bool tls)
{
    char from[NECPNET_ADDRESS_TEXT_BYTES_MAX];
    int count;
    if (necpnet_address_format(&request->from, from, sizeof(from)) != NECPNET_OK)
        snprintf(from, sizeof(from), "unknown");
    const char* host = from[0] == '[' ? from + 1 : from; /* without the port */
    char* end = from[0] == '[' ? strchr(from, ']') : strchr(from, ':');
    if (end) *end = 0;
    text_format(out, "%s %s%s%s HTTP/1.1\r\n", request->method, request->path, request->query[0] ? "?" : "",
                request->query);
    text_format(out, "Host: %s\r\n", forward_find(request, "Host", &count));
    for (int i = 0; i < request->header_count; i++) {
        const necpnet_web_header* header = &request->headers[i];
        if (!forward_drops(request, header->name)) text_format(out, "%s: %s\r\n", header->name, header->value);
    }
    text_format(out, FORWARD_ADDRESS_HEADER ": %s\r\n" FORWARD_SCHEME_HEADER ": %s\r\n", host, tls ? "https" : "http");
    text_format(out, FORWARD_SECRET_HEADER ": %s\r\nConnection: close\r\n", secret);
}

void forward_end_head(text* out, uint64_t body_bytes)
{
    text_format(out, "Content-Length: %" PRIu64 "\r\n\r\n", body_bytes);
}

/* -------------------------------------------------------------------------------------------------------- body -- */

enum {
    CHUNK_SIZE,      /* hexadecimal digits */
    CHUNK_EXTENSION, /* to the CR; ignored */
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    CHUNK_TRAILER, /* at the beginning of a line */
    CHUNK_TRAILER_LINE,
    CHUNK_TRAILER_LF,
    CHUNK_END_LF,
    CHUNK_DONE
};

void forward_body_begin(forward_body* body, const forward_plan* plan, uint64_t bytes_max)
{
    *body = (forward_body){.framing = plan->framing, .bytes_max = bytes_max, .left = plan->length};
    if (plan->framing == FORWARD_CHUNKED) body->left = 0;
}

static int forward_hex(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static forward_state forward_chunk_size(forward_body* body, uint8_t c)
{
    int digit = forward_hex(c);
    if (digit >= 0) {
        if (++body->digits > 15) return FORWARD_TOO_LARGE;
        body->left = body->left << 4 | (uint64_t)digit;
        if (body->left > body->bytes_max - body->bytes) return FORWARD_TOO_LARGE;
        return FORWARD_MORE;
    }
    if (body->digits == 0 || (c != '\r' && c != ';')) return FORWARD_MALFORMED;
    body->step = c == '\r' ? CHUNK_SIZE_LF : CHUNK_EXTENSION;
    return FORWARD_MORE;
}

/* One byte that is not chunk data. */
static forward_state forward_chunk_byte(forward_body* body, uint8_t c)
{
    switch (body->step) {
    case CHUNK_SIZE: return forward_chunk_size(body, c);
    case CHUNK_EXTENSION:
        if (++body->line_bytes > FORWARD_CHUNK_LINE_MAX || (c < ' ' && c != '\r' && c != '\t'))
            return FORWARD_MALFORMED;
        if (c == '\r') body->step = CHUNK_SIZE_LF;
        return FORWARD_MORE;
    case CHUNK_SIZE_LF:
        if (c != '\n') return FORWARD_MALFORMED;
        body->step = body->left > 0 ? CHUNK_DATA : CHUNK_TRAILER;
        body->line_bytes = 0;
        body->digits = 0;
        return FORWARD_MORE;
    case CHUNK_DATA_CR: body->step = CHUNK_DATA_LF; return c == '\r' ? FORWARD_MORE : FORWARD_MALFORMED;
    case CHUNK_DATA_LF: body->step = CHUNK_SIZE; return c == '\n' ? FORWARD_MORE : FORWARD_MALFORMED;
    case CHUNK_TRAILER:
    case CHUNK_TRAILER_LINE: /* trailers are read and dropped */
        if (++body->line_bytes > FORWARD_TRAILER_BYTES_MAX || c == '\n') return FORWARD_MALFORMED;
        body->step = c != '\r' ? CHUNK_TRAILER_LINE : body->step == CHUNK_TRAILER ? CHUNK_END_LF : CHUNK_TRAILER_LF;
        return FORWARD_MORE;
    case CHUNK_TRAILER_LF: body->step = CHUNK_TRAILER; return c == '\n' ? FORWARD_MORE : FORWARD_MALFORMED;
    case CHUNK_END_LF:
        if (c != '\n') return FORWARD_MALFORMED;
        body->step = CHUNK_DONE;
        return FORWARD_WHOLE;
    default: return FORWARD_WHOLE;
    }
}

forward_state forward_body_take(forward_body* body, const uint8_t* data, size_t bytes, text* out)
{
    if (body->framing != FORWARD_CHUNKED) {
        size_t taken = bytes < body->left ? bytes : (size_t)body->left;
        text_put_bytes(out, data, taken);
        body->left -= taken;
        body->bytes += taken;
        return body->left == 0 ? FORWARD_WHOLE : FORWARD_MORE;
    }
    if (body->step == CHUNK_DONE) return FORWARD_WHOLE;
    for (size_t i = 0; i < bytes;) {
        if (body->step == CHUNK_DATA) {
            size_t taken = bytes - i < body->left ? bytes - i : (size_t)body->left;
            text_put_bytes(out, data + i, taken);
            body->left -= taken;
            body->bytes += taken;
            i += taken;
            if (body->left == 0) body->step = CHUNK_DATA_CR;
            continue;
        }
        forward_state state = forward_chunk_byte(body, data[i++]);
        if (state != FORWARD_MORE) return state;
    }
    return FORWARD_MORE;
}

/* ------------------------------------------------------------------------------------------------------ errors -- */

typedef struct forward_status {
    int status;
    const char* name;
    const char* code;
} forward_status;

static const forward_status forward_statuses[] = {
    {200, "OK", "ok"},
    {201, "Created", "created"},
    {204, "No Content", "no_content"},
    {304, "Not Modified", "not_modified"},
    {400, "Bad Request", "bad_request"},
    {401, "Unauthorized", "unauthorized"},
    {403, "Forbidden", "forbidden"},
    {404, "Not Found", "not_found"},
    {405, "Method Not Allowed", "method_not_allowed"},
    {408, "Request Timeout", "request_timeout"},
    {409, "Conflict", "conflict"},
    {411, "Length Required", "length_required"},
    {413, "Content Too Large", "content_too_large"},
    {414, "URI Too Long", "uri_too_long"},
    {415, "Unsupported Media Type", "unsupported_media_type"},
    {417, "Expectation Failed", "expectation_failed"},
    {426, "Upgrade Required", "upgrade_required"},
    {429, "Too Many Requests", "rate_limited"},
    {431, "Request Header Fields Too Large", "headers_too_large"},
    {500, "Internal Server Error", "internal"},
    {501, "Not Implemented", "not_implemented"},
    {502, "Bad Gateway", "bad_gateway"},
    {503, "Service Unavailable", "unavailable"},
    {504, "Gateway Timeout", "gateway_timeout"},
};

static const forward_status* forward_find_status(int status)
{
    static const forward_status unknown = {0, "Status", "error"};
    for (size_t i = 0; i < sizeof(forward_statuses) / sizeof(forward_statuses[0]); i++) {
        if (forward_statuses[i].status == status) return &forward_statuses[i];
    }
    return &unknown;
}

const char* forward_status_name(int status)
{
    return forward_find_status(status)->name;
}

void forward_error_json(text* out, int status, const char* message, const char* details, const char* trace_id)
{
    text_put(out, "{\"code\":");
    text_json(out, forward_find_status(status)->code);
    text_put(out, ",\"message\":");
    text_json(out, message);
    text_format(out, ",\"details\":%s,\"trace_id\":", details ? details : "{}");
    text_json(out, trace_id);
    text_put(out, "}\n");
}

void forward_write_error(text* out, int status, const char* message, const char* headers, const char* trace_id,
                         bool with_body)
{
    char buffer[1024];
    text body;
    text_begin(&body, buffer, sizeof(buffer));
    forward_error_json(&body, status, message, NULL, trace_id);
    text_format(out, "HTTP/1.1 %d %s\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: %zu\r\n",
                status, forward_status_name(status), body.bytes);
    text_format(out, "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n%s\r\n",
                headers);
    if (with_body) text_put_bytes(out, buffer, body.bytes);
}

/* nn_http - the head of an HTTP/1.1 request or response, strict. */
#include "nn_http.h"

#include <stdio.h>

/* ---- characters ------------------------------------------------------------------------------------------------- */

/* RFC 9110 5.6.2. */
static bool http_is_tchar(uint8_t c)
{
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) return true;
    return c && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

/* Field values: visible, space, tab, and bytes above 0x7f (obs-text). */
static bool http_is_value_char(uint8_t c)
{
    return (c >= 0x20 && c != 0x7f) || c == '\t';
}

static char http_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

NN_PRIVATE bool nn_http_name_equal(const char* a, const char* b)
{
    while (*a && http_lower(*a) == http_lower(*b)) {
        a++;
        b++;
    }
    return *a == *b;
}

static bool http_equal_bytes(const char* text, size_t bytes, const char* word)
{
    for (size_t i = 0; i < bytes; i++) {
        if (!word[i] || http_lower(text[i]) != http_lower(word[i])) return false;
    }
    return word[bytes] == 0;
}

NN_PRIVATE bool nn_http_is_token(const char* text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        if (!http_is_tchar((uint8_t)text[i])) return false;
    }
    return bytes > 0;
}

/* ---- finding the end -------------------------------------------------------------------------------------------- */

/* Whether a head may have this byte at this place of its first word; behind the first word every byte may stand. */
static bool http_may_stand(const uint8_t* data, size_t at, bool is_response)
{
    static const char version[] = "HTTP/1.";
    if (is_response) return at >= sizeof version - 1 || data[at] == (uint8_t)version[at];
    if (at > NN_HTTP_METHOD_BYTES_MAX || (at > 0 && memchr(data, ' ', at))) return true;
    return data[at] == ' ' ? at > 0 : at < NN_HTTP_METHOD_BYTES_MAX && http_is_tchar(data[at]);
}

NN_PRIVATE nn_http_scan nn_http_scan_head(const uint8_t* data, size_t bytes, bool is_response, size_t* scanned,
                                          size_t* out_bytes)
{
    size_t at = *scanned;
    for (; at < bytes; at++) {
        uint8_t c = data[at];
        if (!http_may_stand(data, at, is_response)) return NN_HTTP_SCAN_NOT_HTTP;
        if (c == '\n') {
            if (at == 0 || data[at - 1] != '\r') return NN_HTTP_SCAN_NOT_HTTP;
            if (at >= 3 && data[at - 2] == '\n' && data[at - 3] == '\r') {
                *scanned = at + 1;
                *out_bytes = at + 1;
                return NN_HTTP_SCAN_WHOLE;
            }
        } else if (at > 0 && data[at - 1] == '\r') {
            return NN_HTTP_SCAN_NOT_HTTP;
        } else if (c != '\r' && !http_is_value_char(c)) {
            return NN_HTTP_SCAN_NOT_HTTP;
        }
    }
    *scanned = at;
    return NN_HTTP_SCAN_MORE;
}

/* ---- header lines ----------------------------------------------------------------------------------------------- */

/* The line at `at` ends in CR LF before `end`; ends it with a NUL and returns what follows. */
static char* http_take_line(char* at, char* end)
{
    char* stop = (char*)memchr(at, '\r', (size_t)(end - at));
    if (!stop || stop + 1 >= end || stop[1] != '\n') return NULL;
    *stop = 0;
    return stop + 2;
}

static int http_parse_header(char* line, nn_http_head* head)
{
    char* colon = strchr(line, ':');
    if (!colon || !nn_http_is_token(line, (size_t)(colon - line)))
        return 400; /* also folding: it begins with a space */
    if (head->header_count == NN_HTTP_HEADERS_MAX) return 431;
    *colon = 0;
    char* value = colon + 1;
    while (*value == ' ' || *value == '\t') value++;
    char* stop = value + strlen(value);
    while (stop > value && (stop[-1] == ' ' || stop[-1] == '\t')) stop--;
    *stop = 0;
    head->headers[head->header_count].name = line;
    head->headers[head->header_count].value = value;
    head->header_count++;
    return 0;
}

/* RFC 9112 6.3: what could be framed in two ways is refused. */
static int http_check_framing(nn_http_head* head)
{
    int lengths = 0;
    int encodings = 0;
    const char* length = nn_http_find(head, "content-length", &lengths);
    const char* encoding = nn_http_find(head, "transfer-encoding", &encodings);
    if (lengths > 1 || encodings > 1 || (lengths && encodings)) return 400;
    if (encoding) {
        if (head->minor == 0) return 400;
        if (!nn_http_name_equal(encoding, "chunked")) return 501;
        head->has_body = true;
    }
    if (length) {
        size_t digits = strspn(length, "0123456789");
        if (!digits || digits > 18 || length[digits]) return 400;
        head->has_body = strspn(length, "0") != digits;
    }
    return 0;
}

static int http_parse_headers(char* at, char* end, nn_http_head* head)
{
    head->header_count = 0;
    head->has_body = false;
    while (at && at < end) {
        char* line = at;
        at = http_take_line(line, end);
        if (!at) return 400;
        if (!*line) return at == end ? http_check_framing(head) : 400;
        int status = http_parse_header(line, head);
        if (status) return status;
    }
    return 400;
}

/* No NUL and no control character, so that texts end where they seem to end. */
static bool http_is_clean(const char* text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        uint8_t c = (uint8_t)text[i];
        if (!http_is_value_char(c) && c != '\r' && c != '\n') return false;
        if (c == '\r' && (i + 1 >= bytes || text[i + 1] != '\n')) return false;
        if (c == '\n' && (i == 0 || text[i - 1] != '\r')) return false;
    }
    return true;
}

/* "HTTP/1.x"; the minor version, -1 for another version, -2 for no version. */
static int http_parse_version(const char* text)
{
    if (strncmp(text, "HTTP/", 5) != 0) return -2;
    if (text[5] < '0' || text[5] > '9' || text[6] != '.' || text[7] < '0' || text[7] > '9' || text[8]) return -2;
    if (text[5] != '1') return -1;
    return text[7] == '0' ? 0 : 1;
}

/* ---- requests --------------------------------------------------------------------------------------------------- */

/* The target: origin form, or "*" for OPTIONS, or an authority for CONNECT. Absolute form (to proxies) is refused. */
static int http_parse_target(char* target, nn_http_head* head)
{
    for (const char* at = target; *at; at++) {
        uint8_t c = (uint8_t)*at;
        if (c <= 0x20 || c >= 0x7f || c == '#') return 400;
    }
    bool asterisk = !strcmp(target, "*") && !strcmp(head->method, "OPTIONS");
    bool authority = !strcmp(head->method, "CONNECT") && *target;
    if (*target != '/' && !asterisk && !authority) return 400;
    char* query = strchr(target, '?');
    head->path = target;
    head->query = "";
    if (query) {
        *query = 0;
        head->query = query + 1;
    }
    return 0;
}

static int http_check_host(const nn_http_head* head)
{
    int count = 0;
    const char* host = nn_http_find(head, "host", &count);
    if (count > 1 || (head->minor == 1 && !host)) return 400;
    if (!host) return 0;
    for (; *host; host++) {
        uint8_t c = (uint8_t)*host;
        if (c <= 0x20 || c >= 0x7f || strchr("/?#@\\\"<>,", c)) return 400;
    }
    return 0;
}

NN_PRIVATE int nn_http_parse_request(char* text, size_t bytes, nn_http_head* head)
{
    memset(head, 0, sizeof *head);
    if (!http_is_clean(text, bytes)) return 400;
    char* end = text + bytes;
    char* headers = http_take_line(text, end);
    if (!headers) return 400;
    char* target = strchr(text, ' ');
    if (!target || !nn_http_is_token(text, (size_t)(target - text))) return 400;
    *target++ = 0;
    char* version = strchr(target, ' ');
    if (!version) return 400;
    *version++ = 0;
    head->method = text;
    head->minor = http_parse_version(version);
    if (head->minor == -2) return 400;
    if (head->minor == -1) return 505;
    int status = http_parse_target(target, head);
    if (!status) status = http_parse_headers(headers, end, head);
    if (!status) status = http_check_host(head);
    return status;
}

/* ---- responses -------------------------------------------------------------------------------------------------- */

NN_PRIVATE int nn_http_parse_response(char* text, size_t bytes, nn_http_head* head)
{
    memset(head, 0, sizeof *head);
    if (!http_is_clean(text, bytes)) return 400;
    char* end = text + bytes;
    char* headers = http_take_line(text, end);
    char* status = headers ? strchr(text, ' ') : NULL;
    if (!status) return 400;
    *status++ = 0;
    head->minor = http_parse_version(text);
    if (head->minor < 0) return 400;
    if (strspn(status, "0123456789") != 3 || (status[3] && status[3] != ' ')) return 400;
    head->status = (status[0] - '0') * 100 + (status[1] - '0') * 10 + (status[2] - '0');
    if (head->status < 100 || head->status > 599) return 400;
    head->reason = status[3] ? status + 4 : "";
    return http_parse_headers(headers, end, head);
}

/* ---- looking up ------------------------------------------------------------------------------------------------- */

NN_PRIVATE const char* nn_http_find(const nn_http_head* head, const char* name, int* count)
{
    const char* found = NULL;
    int hits = 0;
    for (int i = 0; i < head->header_count; i++) {
        if (!nn_http_name_equal(head->headers[i].name, name)) continue;
        if (!found) found = head->headers[i].value;
        hits++;
    }
    if (count) *count = hits;
    return found;
}

static bool http_list_has(const char* list, const char* token)
{
    while (*list) {
        size_t skip = strspn(list, " \t,");
        list += skip;
        size_t bytes = strcspn(list, ",");
        size_t word = bytes;
        while (word && (list[word - 1] == ' ' || list[word - 1] == '\t')) word--;
        if (word && http_equal_bytes(list, word, token)) return true;
        list += bytes;
    }
    return false;
}

NN_PRIVATE bool nn_http_has_token(const nn_http_head* head, const char* name, const char* token)
{
    for (int i = 0; i < head->header_count; i++) {
        if (nn_http_name_equal(head->headers[i].name, name) && http_list_has(head->headers[i].value, token))
            return true;
    }
    return false;
}

/* ---- answers ---------------------------------------------------------------------------------------------------- */

NN_PRIVATE const char* nn_http_status_text(int status)
{
    static const struct {
        int status;
        const char* text;
    } names[] = {{101, "Switching Protocols"},
                 {200, "OK"},
                 {204, "No Content"},
                 {301, "Moved Permanently"},
                 {302, "Found"},
                 {304, "Not Modified"},
                 {307, "Temporary Redirect"},
                 {308, "Permanent Redirect"},
                 {400, "Bad Request"},
                 {401, "Unauthorized"},
                 {403, "Forbidden"},
                 {404, "Not Found"},
                 {405, "Method Not Allowed"},
                 {408, "Request Timeout"},
                 {409, "Conflict"},
                 {410, "Gone"},
                 {411, "Length Required"},
                 {413, "Content Too Large"},
                 {414, "URI Too Long"},
                 {415, "Unsupported Media Type"},
                 {421, "Misdirected Request"},
                 {426, "Upgrade Required"},
                 {429, "Too Many Requests"},
                 {431, "Request Header Fields Too Large"},
                 {500, "Internal Server Error"},
                 {501, "Not Implemented"},
                 {502, "Bad Gateway"},
                 {503, "Service Unavailable"},
                 {504, "Gateway Timeout"},
                 {505, "HTTP Version Not Supported"}};
    for (size_t i = 0; i < NN_COUNT(names); i++) {
        if (names[i].status == status) return names[i].text;
    }
    return "Status";
}

NN_PRIVATE size_t nn_http_write_answer(char* to, size_t bytes_max, int status, const char* headers, const char* body)
{
    const char* name = nn_http_status_text(status);
    const char* text = body ? body : name;
    int bytes = snprintf(to, bytes_max,
                         "HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n"
                         "Content-Length: %zu\r\n%s\r\n%s%s",
                         status, name, strlen(text) + (body ? 0u : 1u), headers ? headers : "", text, body ? "" : "\n");
    return bytes > 0 && (size_t)bytes < bytes_max ? (size_t)bytes : 0;
}

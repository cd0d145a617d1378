/* nn_json - is it JSON? Reads once, without memory. */
#include "nn_json.h"

#include <stdio.h>

#include "nn_utf8.h"

typedef struct json_scan {
    const char* at;
    const char* end;
    const char* problem;
} json_scan;

static bool json_fail(json_scan* scan, const char* problem)
{
    if (!scan->problem) scan->problem = problem;
    return false;
}

static int json_peek(const json_scan* scan)
{
    return scan->at < scan->end ? (int)(uint8_t)*scan->at : -1;
}

static void json_skip_space(json_scan* scan)
{
    while (scan->at < scan->end && (*scan->at == ' ' || *scan->at == '\t' || *scan->at == '\n' || *scan->at == '\r')) {
        scan->at++;
    }
}

static bool json_digits(json_scan* scan)
{
    const char* first = scan->at;
    while (json_peek(scan) >= '0' && json_peek(scan) <= '9') scan->at++;
    return scan->at > first || json_fail(scan, "a digit is missing");
}

static bool json_scan_number(json_scan* scan)
{
    if (json_peek(scan) == '-') scan->at++;
    if (json_peek(scan) == '0') {
        scan->at++;
        if (json_peek(scan) >= '0' && json_peek(scan) <= '9') return json_fail(scan, "a number begins with 0");
    } else if (!json_digits(scan)) {
        return false;
    }
    if (json_peek(scan) == '.') {
        scan->at++;
        if (!json_digits(scan)) return false;
    }
    if (json_peek(scan) == 'e' || json_peek(scan) == 'E') {
        scan->at++;
        if (json_peek(scan) == '+' || json_peek(scan) == '-') scan->at++;
        return json_digits(scan);
    }
    return true;
}

/* Four hexadecimal digits, or -1. */
static int json_hex(json_scan* scan)
{
    int value = 0;
    for (int i = 0; i < 4; i++) {
        int c = json_peek(scan);
        int digit = -1;
        if (c >= '0' && c <= '9') digit = c - '0';
        if (c >= 'a' && c <= 'f') digit = c - 'a' + 10;
        if (c >= 'A' && c <= 'F') digit = c - 'A' + 10;
        if (digit < 0) return -1;
        value = value * 16 + digit;
        scan->at++;
    }
    return value;
}

static bool json_scan_escape(json_scan* scan)
{
    int c = json_peek(scan);
    if (c <= 0 || !strchr("\"\\/bfnrtu", c)) return json_fail(scan, "an escape that JSON does not have");
    scan->at++;
    if (c != 'u') return true;
    int unit = json_hex(scan);
    if (unit < 0) return json_fail(scan, "\\u wants four hexadecimal digits");
    if (unit == 0) return json_fail(scan, "a NUL in a string");
    if (unit >= 0xdc00 && unit <= 0xdfff) return json_fail(scan, "half of a surrogate pair");
    if (unit < 0xd800 || unit > 0xdbff) return true;
    bool paired = scan->end - scan->at >= 2 && scan->at[0] == '\\' && scan->at[1] == 'u';
    if (paired) scan->at += 2;
    int low = paired ? json_hex(scan) : -1;
    return (low >= 0xdc00 && low <= 0xdfff) || json_fail(scan, "half of a surrogate pair");
}

static bool json_scan_string(json_scan* scan)
{
    if (json_peek(scan) != '"') return json_fail(scan, "a string in double quotes is missing");
    scan->at++;
    for (;;) {
        const char* first = scan->at;
        while (scan->at < scan->end && *scan->at != '"' && *scan->at != '\\') {
            if ((uint8_t)*scan->at < 0x20) return json_fail(scan, "a control character in a string");
            scan->at++;
        }
        if (!nn_utf8_valid((const uint8_t*)first, (size_t)(scan->at - first))) {
            return json_fail(scan, "a string that is not UTF-8");
        }
        int c = json_peek(scan);
        if (c < 0) return json_fail(scan, "a string without an end");
        scan->at++;
        if (c == '"') return true;
        if (!json_scan_escape(scan)) return false;
    }
}

static bool json_scan_word(json_scan* scan)
{
    static const char* const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < NN_COUNT(words); i++) {
        size_t bytes = strlen(words[i]);
        if ((size_t)(scan->end - scan->at) < bytes || memcmp(scan->at, words[i], bytes) != 0) continue;
        scan->at += bytes;
        return true;
    }
    return json_fail(scan, "no value");
}

/* Everything but arrays and objects. */
static bool json_scan_leaf(json_scan* scan)
{
    int c = json_peek(scan);
    if (c == '"') return json_scan_string(scan);
    if (c == '-' || (c >= '0' && c <= '9')) return json_scan_number(scan);
    return json_scan_word(scan);
}

/* A member's name and colon. */
static bool json_scan_name(json_scan* scan)
{
    json_skip_space(scan);
    if (!json_scan_string(scan)) return false;
    json_skip_space(scan);
    if (json_peek(scan) != ':') return json_fail(scan, "a colon is missing");
    scan->at++;
    return true;
}

/* Behind a value: the ends of what it closes, and the comma to the next. *depth 0: the whole is read. */
static bool json_scan_ends(json_scan* scan, const char* closes, int* depth)
{
    for (;;) {
        json_skip_space(scan);
        if (*depth == 0) return true;
        int c = json_peek(scan);
        if (c == ',') {
            scan->at++;
            return closes[*depth - 1] == ']' || json_scan_name(scan);
        }
        if (c != closes[*depth - 1]) return json_fail(scan, "a comma or a closing bracket is missing");
        scan->at++;
        --*depth;
    }
}

static bool json_scan_value(json_scan* scan)
{
    char closes[NECPNET_JSON_DEPTH_MAX];
    int depth = 0;
    do {
        json_skip_space(scan);
        int c = json_peek(scan);
        if (c == '[' || c == '{') {
            if (depth == NECPNET_JSON_DEPTH_MAX) return json_fail(scan, "too many levels");
            closes[depth] = c == '[' ? ']' : '}';
            scan->at++;
            json_skip_space(scan);
            bool is_empty = json_peek(scan) == closes[depth++];
            if (!is_empty) {
                if (c == '{' && !json_scan_name(scan)) return false;
                continue;
            }
            scan->at++;
            depth--;
        } else if (!json_scan_leaf(scan)) {
            return false;
        }
        if (!json_scan_ends(scan, closes, &depth)) return false;
    } while (depth);
    return scan->at == scan->end || json_fail(scan, "something stands behind the value");
}

necpnet_result necpnet_json_check(const char* text, size_t bytes, char* error, size_t error_bytes)
{
    if ((!text && bytes) || (!error && error_bytes)) return NECPNET_ERR_INVALID_ARGUMENT;
    json_scan scan = {text, text + bytes, NULL};
    bool valid = bytes <= NECPNET_JSON_BYTES_MAX ? json_scan_value(&scan) : json_fail(&scan, "the text is too long");
    if (valid) return NECPNET_OK;
    unsigned line = 1;
    unsigned column = 1;
    for (const char* at = text; at < scan.at; at++) {
        column = *at == '\n' ? 1 : column + 1;
        line += *at == '\n';
    }
    if (error_bytes) snprintf(error, error_bytes, "line %u, column %u: %s", line, column, scan.problem);
    return NECPNET_ERR_BAD_DATA;
}

/* json - strict JSON. cJSON 1.7.15 accepts some text that is no JSON (-01, raw control characters, bytes behind the
 * value), so the text is checked first and cJSON only builds the tree. */
#include "json.h"

#include <stdio.h>
#include <string.h>

#include "text.h"

typedef struct json_scan {
    const char* begin;
    const char* at;
    const char* end;
    const char* error; /* the first one */
} json_scan;

static bool json_value(json_scan* scan, int depth);

static bool json_fail(json_scan* scan, const char* error)
{
    if (!scan->error) scan->error = error;
    return false;
}

static int json_peek(const json_scan* scan)
{
    return scan->at < scan->end ? (unsigned char)*scan->at : -1;
}

static void json_skip_blanks(json_scan* scan)
{
    while (scan->at < scan->end && (*scan->at == ' ' || *scan->at == '\t' || *scan->at == '\n' || *scan->at == '\r'))
        scan->at++;
}

static bool json_word(json_scan* scan, const char* word)
{
    size_t bytes = strlen(word);
    if ((size_t)(scan->end - scan->at) < bytes || memcmp(scan->at, word, bytes) != 0)
        return json_fail(scan, "not a JSON value");
    scan->at += bytes;
    return true;
}

static bool json_digits(json_scan* scan)
{
    const char* first = scan->at;
    while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9') scan->at++;
    return scan->at > first || json_fail(scan, "a digit is missing");
}

static bool json_number(json_scan* scan)
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
        if (!json_digits(scan)) return false;
    }
    return true;
}

/* Four hexadecimal digits, or -1. */
static int json_hex(json_scan* scan)
{
    int value = 0;
    for (int i = 0; i < 4; i++, scan->at++) {
        int c = json_peek(scan);
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0) return -1;
        value = value * 16 + digit;
    }
    return value;
}

static bool json_escape(json_scan* scan)
{
    int c = json_peek(scan);
    if (c < 0 || !strchr("\"\\/bfnrtu", c)) return json_fail(scan, "an escape that JSON does not have");
    scan->at++;
    if (c != 'u') return true;
    int unit = json_hex(scan);
    if (unit < 0) return json_fail(scan, "\\u wants four hexadecimal digits");
    if (unit == 0) return json_fail(scan, "\\u0000 in a string");
    if (unit >= 0xdc00 && unit <= 0xdfff) return json_fail(scan, "half of a surrogate pair");
    if (unit >= 0xd800 && unit <= 0xdbff) {
        if (scan->end - scan->at < 2 || memcmp(scan->at, "\\u", 2) != 0)
            return json_fail(scan, "half of a surrogate pair");
        scan->at += 2;
        int low = json_hex(scan);
        if (low < 0xdc00 || low > 0xdfff) return json_fail(scan, "half of a surrogate pair");
    }
    return true;
}

static bool json_string(json_scan* scan)
{
    if (json_peek(scan) != '"') return json_fail(scan, "a string in double quotes is missing");
    scan->at++;
    for (;;) {
        const char* first = scan->at;
        while (scan->at < scan->end && *scan->at != '"' && *scan->at != '\\') {
            if ((unsigned char)*scan->at < 0x20) return json_fail(scan, "a control character inside a string");
            scan->at++;
        }
        if (!text_is_utf8(first, (size_t)(scan->at - first))) return json_fail(scan, "a string is not UTF-8");
        int c = json_peek(scan);
        if (c < 0) return json_fail(scan, "a string has no end");
        scan->at++;
        if (c == '"') return true;
        if (!json_escape(scan)) return false;
    }
}

/* The inside of an object or array. */
static bool json_members(json_scan* scan, int depth, char close, bool named)
{
    int members = 0;
    scan->at++;
    json_skip_blanks(scan);
    if (json_peek(scan) == close) {
        scan->at++;
        return true;
    }
    for (;;) {
        if (named && members++ == JSON_KEYS_MAX) return json_fail(scan, "an object has too many keys");
        json_skip_blanks(scan);
        if (named) {
            if (!json_string(scan)) return false;
            json_skip_blanks(scan);
            if (json_peek(scan) != ':') return json_fail(scan, "':' is missing behind a key");
            scan->at++;
        }
        if (!json_value(scan, depth + 1)) return false;
        json_skip_blanks(scan);
        int c = json_peek(scan);
        if (c != close && c != ',') return json_fail(scan, named ? "',' or '}' is missing" : "',' or ']' is missing");
        scan->at++;
        if (c == close) return true;
    }
}

static bool json_value(json_scan* scan, int depth)
{
    if (depth > JSON_DEPTH_MAX) return json_fail(scan, "nested too deeply");
    json_skip_blanks(scan);
    switch (json_peek(scan)) {
    case '{': return json_members(scan, depth, '}', true);
    case '[': return json_members(scan, depth, ']', false);
    case '"': return json_string(scan);
    case 't': return json_word(scan, "true");
    case 'f': return json_word(scan, "false");
    case 'n': return json_word(scan, "null");
    case -1: return json_fail(scan, "a value is missing");
    default: return json_number(scan);
    }
}

bool json_check(const char* json, size_t bytes, char* error, size_t error_bytes)
{
    json_scan scan = {json, json, json + bytes, NULL};
    if (json_value(&scan, 0)) {
        json_skip_blanks(&scan);
        if (scan.at == scan.end) return true;
        json_fail(&scan, "something stands behind the value");
    }
    int line = 1;
    int column = 1;
    for (const char* at = json; at < scan.at; at++) {
        column = *at == '\n' ? 1 : column + 1;
        line += *at == '\n';
    }
    if (error_bytes) snprintf(error, error_bytes, "line %d, column %d: %s", line, column, scan.error);
    return false;
}

/* The first key that an object has twice. */
static const char* json_twice(const cJSON* value)
{
    const cJSON* child;
    cJSON_ArrayForEach(child, value)
    {
        if (cJSON_IsObject(value)) {
            for (const cJSON* other = child->next; other; other = other->next) {
                if (strcmp(child->string, other->string) == 0) return child->string;
            }
        }
        const char* inner = json_twice(child);
        if (inner) return inner;
    }
    return NULL;
}

cJSON* json_parse(const char* json, size_t bytes, char* error, size_t error_bytes)
{
    if (!json_check(json, bytes, error, error_bytes)) return NULL;
    cJSON* value = cJSON_ParseWithLength(json, bytes);
    if (!value) {
        if (error_bytes) snprintf(error, error_bytes, "too large to read");
        return NULL;
    }
    const char* twice = json_twice(value);
    if (!twice) return value;
    if (error_bytes) snprintf(error, error_bytes, "the key \"%s\" stands twice", twice);
    cJSON_Delete(value);
    return NULL;
}

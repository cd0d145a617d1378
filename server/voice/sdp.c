/* sdp - the grammar of session descriptions and candidates. */
#include "sdp.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "necpnet.h"
#include "text.h"

#define DIGITS "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define ICE_CHARS LETTERS DIGITS "+/"
#define TOKEN_CHARS LETTERS DIGITS "!#$%&'*+-.^_`{|}~" /* RFC 8866 9, token-char */

/* A text cut at blanks: the next word, or "" at the end; *at moves on. More than one blank between words is not allowed. */
typedef struct sdp_word {
    const char* at;
    size_t bytes;
} sdp_word;

static sdp_word sdp_next(const char** at)
{
    sdp_word word = {*at, strcspn(*at, " ")};
    *at += word.bytes;
    if (**at == ' ' && (*at)[1] != 0)
        ++*at; /* one that ends the text is left, and found by whoever looks for its end */
    return word;
}

static bool sdp_all_of(sdp_word word, const char* set, size_t low, size_t high)
{
    if (word.bytes < low || word.bytes > high) return false;
    for (size_t i = 0; i < word.bytes; i++) {
        if (!strchr(set, word.at[i]) || word.at[i] == 0) return false;
    }
    return true;
}

static bool sdp_is(sdp_word word, const char* text_)
{
    return word.bytes == strlen(text_) && memcmp(word.at, text_, word.bytes) == 0;
}

/* A number without a sign, at most high. */
static bool sdp_number(sdp_word word, uint64_t low, uint64_t high)
{
    if (!sdp_all_of(word, DIGITS, 1, 10)) return false;
    uint64_t value = strtoull(word.at, NULL, 10);
    return value >= low && value <= high;
}

/* An address: numeric, or a name (RFC 8839: an FQDN, with mDNS "x.local"). */
static bool sdp_is_address(sdp_word word)
{
    char buffer[256];
    necpnet_address parsed;
    if (word.bytes == 0 || word.bytes >= sizeof(buffer) - 2) return false;
    if (memchr(word.at, ':', word.bytes)) {
        snprintf(buffer, sizeof(buffer), "[%.*s]:1", (int)word.bytes, word.at);
        return necpnet_address_parse(buffer, &parsed) == NECPNET_OK;
    }
    if (!sdp_all_of(word, LETTERS DIGITS ".-", 1, 253) || word.at[0] == '.' || word.at[0] == '-') return false;
    if (!sdp_all_of(word, DIGITS ".", 1, 253)) return true;
    snprintf(buffer, sizeof(buffer), "%.*s", (int)word.bytes, word.at);
    return necpnet_address_parse(buffer, &parsed) == NECPNET_OK;
}

bool sdp_is_ufrag(const char* fragment)
{
    return sdp_all_of((sdp_word){fragment, strlen(fragment)}, ICE_CHARS, 4, 256);
}

/* -------------------------------------------------------------------------------------------------- candidates -- */

static bool sdp_refuse(char* why, size_t why_bytes, const char* reason)
{
    snprintf(why, why_bytes, "%s", reason);
    return false;
}

/* Behind the type: raddr, rport, then names with values. */
static bool sdp_check_extensions(const char* at, char* why, size_t why_bytes)
{
    while (*at) {
        sdp_word name = sdp_next(&at);
        bool has_value = *at != 0;
        sdp_word value = sdp_next(&at);
        if (name.bytes == 0 || !has_value || value.bytes == 0)
            return sdp_refuse(why, why_bytes, "an extension of the candidate has a name and a value, one blank apart");
        if (sdp_is(name, "raddr") && !sdp_is_address(value)) return sdp_refuse(why, why_bytes, "raddr is no address");
        if (sdp_is(name, "rport") && !sdp_number(value, 0, 65535))
            return sdp_refuse(why, why_bytes, "rport is 0 .. 65535");
    }
    return true;
}

bool sdp_check_candidate(const char* candidate, char* why, size_t why_bytes)
{
    static const char* const types[] = {"host", "srflx", "prflx", "relay"};
    size_t bytes = strlen(candidate);
    if (bytes == 0) return true;
    if (bytes > SDP_CANDIDATE_BYTES_MAX) return sdp_refuse(why, why_bytes, "a candidate has at most 512 bytes");
    if (!text_is_printable(candidate, bytes)) return sdp_refuse(why, why_bytes, "control characters in a candidate");
    if (strncmp(candidate, "candidate:", 10) != 0)
        return sdp_refuse(why, why_bytes, "a candidate begins with candidate:");
    const char* at = candidate + 10;
    if (!sdp_all_of(sdp_next(&at), ICE_CHARS, 1, 32))
        return sdp_refuse(why, why_bytes, "the foundation is 1 to 32 letters, digits, + and /");
    if (!sdp_number(sdp_next(&at), 1, 256)) return sdp_refuse(why, why_bytes, "the component is 1 .. 256");
    if (!sdp_all_of(sdp_next(&at), TOKEN_CHARS, 1, 16))
        return sdp_refuse(why, why_bytes, "the transport is a word: udp, tcp");
    if (!sdp_number(sdp_next(&at), 1, 2147483647u)) return sdp_refuse(why, why_bytes, "the priority is 1 .. 2^31 - 1");
    if (!sdp_is_address(sdp_next(&at))) return sdp_refuse(why, why_bytes, "the address is neither numeric nor a name");
    if (!sdp_number(sdp_next(&at), 0, 65535)) return sdp_refuse(why, why_bytes, "the port is 0 .. 65535");
    if (!sdp_is(sdp_next(&at), "typ")) return sdp_refuse(why, why_bytes, "typ stands behind the port");
    sdp_word type = sdp_next(&at);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (sdp_is(type, types[i])) return sdp_check_extensions(at, why, why_bytes);
    }
    return sdp_refuse(why, why_bytes, "the type is host, srflx, prflx or relay");
}

/* ------------------------------------------------------------------------------------------------ descriptions -- */

static const char* sdp_check_origin(const char* at)
{
    sdp_word name = sdp_next(&at);
    bool right = name.bytes > 0 && sdp_all_of(sdp_next(&at), DIGITS, 1, 20) && sdp_all_of(sdp_next(&at), DIGITS, 1, 20);
    right = right && sdp_is(sdp_next(&at), "IN");
    sdp_word family = sdp_next(&at);
    right = right && (sdp_is(family, "IP4") || sdp_is(family, "IP6")) && sdp_is_address(sdp_next(&at)) && *at == 0;
    return right ? NULL : "o= is a name, two numbers, IN, IP4 or IP6, and an address";
}

static const char* sdp_check_connection(const char* at)
{
    bool right = sdp_is(sdp_next(&at), "IN");
    sdp_word family = sdp_next(&at);
    sdp_word address = sdp_next(&at);
    const char* slash = memchr(address.at, '/', address.bytes);
    if (slash) address.bytes = (size_t)(slash - address.at); /* a multicast address has its scope behind it */
    right = right && (sdp_is(family, "IP4") || sdp_is(family, "IP6")) && sdp_is_address(address) && *at == 0;
    return right ? NULL : "c= is IN, IP4 or IP6, and an address";
}

static const char* sdp_check_media(const char* at)
{
    bool right = sdp_all_of(sdp_next(&at), TOKEN_CHARS, 1, 64);
    sdp_word port = sdp_next(&at);
    const char* slash = memchr(port.at, '/', port.bytes);
    sdp_word count = {slash ? slash + 1 : "1", slash ? port.bytes - (size_t)(slash - port.at) - 1 : 1};
    if (slash) port.bytes = (size_t)(slash - port.at);
    right = right && sdp_number(port, 0, 65535) && sdp_number(count, 1, 65535);
    right = right && sdp_all_of(sdp_next(&at), TOKEN_CHARS "/", 1, 64) && *at != 0;
    while (right && *at) right = sdp_all_of(sdp_next(&at), TOKEN_CHARS, 1, 64);
    return right ? NULL : "m= is a medium, a port, a protocol, and at least one format";
}

static bool sdp_is_fingerprint(const char* at)
{
    bool right = sdp_all_of(sdp_next(&at), LETTERS DIGITS "-", 1, 16);
    sdp_word hash = sdp_next(&at);
    if (!right || *at != 0 || hash.bytes < 47 || hash.bytes % 3 != 2) return false; /* 16 bytes and more */
    for (size_t i = 0; i < hash.bytes; i++) {
        if (i % 3 == 2 ? hash.at[i] != ':' : !strchr("0123456789abcdefABCDEF", hash.at[i])) return false;
    }
    return true;
}

static const char* sdp_check_attribute(const char* at, char* why, size_t why_bytes)
{
    sdp_word name = {at, strcspn(at, ":")};
    const char* value = at + name.bytes + (at[name.bytes] == ':');
    sdp_word all = {value, strlen(value)};
    if (!sdp_all_of(name, TOKEN_CHARS, 1, 64)) return "a= begins with a word";
    if (sdp_is(name, "ice-ufrag") && !sdp_all_of(all, ICE_CHARS, 4, 256)) return "ice-ufrag is 4 to 256 ice-chars";
    if (sdp_is(name, "ice-pwd") && !sdp_all_of(all, ICE_CHARS, 22, 256)) return "ice-pwd is 22 to 256 ice-chars";
    if (sdp_is(name, "fingerprint") && !sdp_is_fingerprint(value)) return "fingerprint is a hash and its bytes in hex";
    if (sdp_is(name, "setup") && !sdp_is(all, "active") && !sdp_is(all, "passive") && !sdp_is(all, "actpass") &&
        !sdp_is(all, "holdconn"))
        return "setup is active, passive, actpass or holdconn";
    if (sdp_is(name, "candidate") && !sdp_check_candidate(at, why, why_bytes)) return why;
    return NULL;
}

static const char* sdp_check_times(const char* at)
{
    bool right = sdp_all_of(sdp_next(&at), DIGITS, 1, 20) && sdp_all_of(sdp_next(&at), DIGITS, 1, 20) && *at == 0;
    return right ? NULL : "t= is two numbers";
}

static const char* sdp_check_bandwidth(const char* at)
{
    sdp_word name = {at, strcspn(at, ":")};
    bool right = sdp_all_of(name, TOKEN_CHARS, 1, 32) && at[name.bytes] == ':';
    right = right && sdp_number((sdp_word){at + name.bytes + 1, strlen(at + name.bytes + 1)}, 0, UINT32_MAX);
    return right ? NULL : "b= is a kind and a number";
}

static const char* sdp_check_value(char letter, const char* value, char* why, size_t why_bytes)
{
    switch (letter) {
    case 'v': return strcmp(value, "0") == 0 ? NULL : "v= is 0";
    case 'o': return sdp_check_origin(value);
    case 't': return sdp_check_times(value);
    case 'c': return sdp_check_connection(value);
    case 'b': return sdp_check_bandwidth(value);
    case 'm': return sdp_check_media(value);
    case 'a': return sdp_check_attribute(value, why, why_bytes);
    default: return value[0] ? NULL : "a line is empty";
    }
}

typedef struct sdp_state {
    char last; /* letter of the line before; 0 none */
    bool has_times;
    int media;
} sdp_state;

/* Where a letter stands among its section's; those that repeat as a block count as one. */
static int sdp_rank(const sdp_state* state, char letter)
{
    const char* order = state->media ? "micbka" : "vosiuepcbtka";
    const char* at = strchr(order, letter == 'r' || letter == 'z' ? (state->media ? '?' : 't') : letter);
    return at && letter ? (int)(at - order) : -1;
}

static const char* sdp_check_order(sdp_state* state, char letter)
{
    static const char once[] = "vosiuk";
    if (letter == 'm') {
        if (!state->has_times) return "v=, o=, s= and t= stand before m=";
        if (++state->media > SDP_MEDIA_MAX) return "more than 16 media";
        state->last = 'm';
        return NULL;
    }
    int rank = sdp_rank(state, letter), before = state->last ? sdp_rank(state, state->last) : -1;
    if (rank < 0) return "a line of this kind is not known here";
    if (rank < before || (rank == before && strchr(once, letter))) return "a line stands in the wrong place";
    if (!state->media && rank > 2 && before < 2) return "v=, o= and s= come first";
    if (!state->media && rank <= 2 && rank != before + 1) return "v=, o= and s= come first";
    if (!state->media && (letter == 'k' || letter == 'a') && !state->has_times) return "t= is missing";
    if ((letter == 'r' || letter == 'z') && !state->has_times) return "t= is missing";
    state->has_times = state->has_times || letter == 't';
    state->last = letter;
    return NULL;
}

bool sdp_check(const char* sdp, char* why, size_t why_bytes)
{
    char line[SDP_LINE_BYTES_MAX + 1];
    char inner[160];
    sdp_state state = {0, false, 0};
    int number = 0;
    if (strlen(sdp) > SDP_BYTES_MAX) return sdp_refuse(why, why_bytes, "a description has at most 16384 bytes");
    for (const char* at = sdp; *at;) {
        size_t bytes = strcspn(at, "\n");
        const char* wrong = at[bytes] == 0 ? "it does not end" : NULL;
        size_t count = bytes > 0 && at[bytes - 1] == '\r' ? bytes - 1 : bytes;
        number++;
        if (!wrong && count > SDP_LINE_BYTES_MAX) wrong = "it has more than 2048 bytes";
        if (!wrong && (count < 2 || at[1] != '=')) wrong = "it is no letter, =, and a value";
        if (!wrong && !text_is_printable(at, count)) wrong = "it holds control characters";
        if (!wrong) {
            memcpy(line, at, count);
            line[count] = 0;
            wrong = sdp_check_order(&state, line[0]);
            if (!wrong) wrong = sdp_check_value(line[0], line + 2, inner, sizeof(inner));
        }
        if (wrong) {
            snprintf(why, why_bytes, "line %d: %s", number, wrong);
            return false;
        }
        at += bytes + 1;
    }
    return state.has_times || sdp_refuse(why, why_bytes, "v=, o=, s= and t= are wanted");
}

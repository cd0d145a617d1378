/* nn_extension - permessage-deflate in the header Sec-WebSocket-Extensions, both sides. */
#include "nn_extension.h"

#include <stdio.h>

#define EXTENSION_HEADER "sec-websocket-extensions"
#define EXTENSION_DEFLATE "permessage-deflate"
#define EXTENSION_BITS_MAX 15 /* what holds without a parameter */

/* ---- the grammar: 1#( token *( ";" token [ "=" ( token | quoted-string ) ] ) ) ---------------------------------- */

typedef struct extension_token {
    const char* text;
    size_t bytes;
} extension_token;

typedef struct extension_parameter {
    extension_token name;
    bool has_value;
    char value[3]; /* its first characters: no known one has more */
    size_t value_bytes;
} extension_parameter;

static void extension_skip_space(const char** at)
{
    *at += strspn(*at, " \t");
}

static bool extension_read_token(const char** at, extension_token* token)
{
    token->text = *at;
    token->bytes = strcspn(*at, " \t,;=\"");
    *at += token->bytes;
    return nn_http_is_token(token->text, token->bytes);
}

/* What is quoted must be a token too. */
static bool extension_read_quoted(const char** at, extension_parameter* parameter)
{
    const char* c = *at + 1;
    size_t bytes = 0;
    for (; *c != '"'; c++) {
        if (*c == '\\') c++;
        if (!nn_http_is_token(c, 1)) return false;
        if (bytes < sizeof parameter->value) parameter->value[bytes] = *c;
        bytes++;
    }
    parameter->value_bytes = bytes;
    *at = c + 1;
    return bytes > 0;
}

static bool extension_read_value(const char** at, extension_parameter* parameter)
{
    if (**at == '"') return extension_read_quoted(at, parameter);
    extension_token token;
    if (!extension_read_token(at, &token)) return false;
    memcpy(parameter->value, token.text, nn_min_size(token.bytes, sizeof parameter->value));
    parameter->value_bytes = token.bytes;
    return true;
}

typedef enum extension_step { EXTENSION_END = 0, EXTENSION_ONE = 1, EXTENSION_WRONG = 2 } extension_step;

/* The name of the next extension of a list. */
static extension_step extension_next(const char** at, extension_token* name)
{
    *at += strspn(*at, " \t,");
    if (!**at) return EXTENSION_END;
    if (!extension_read_token(at, name)) return EXTENSION_WRONG;
    extension_skip_space(at);
    return **at && !strchr(",;", **at) ? EXTENSION_WRONG : EXTENSION_ONE;
}

/* The next parameter of the extension at hand. */
static extension_step extension_next_parameter(const char** at, extension_parameter* parameter)
{
    memset(parameter, 0, sizeof *parameter);
    if (**at != ';') return EXTENSION_END;
    ++*at;
    extension_skip_space(at);
    if (!extension_read_token(at, &parameter->name)) return EXTENSION_WRONG;
    extension_skip_space(at);
    if (**at == '=') {
        ++*at;
        extension_skip_space(at);
        parameter->has_value = true;
        if (!extension_read_value(at, parameter)) return EXTENSION_WRONG;
        extension_skip_space(at);
    }
    return **at && !strchr(",;", **at) ? EXTENSION_WRONG : EXTENSION_ONE;
}

static bool extension_is(const extension_token* token, const char* name)
{
    return token->bytes == strlen(name) && !memcmp(token->text, name, token->bytes);
}

/* ---- the parameters of permessage-deflate ------------------------------------------------------------------------ */

typedef struct extension_parameters {
    bool server_no_context;
    bool client_no_context;
    bool names_server_bits;
    bool names_client_bits;
    uint8_t server_bits; /* 0: no value */
    uint8_t client_bits;
} extension_parameters;

/* 8 .. 15 without a leading zero (RFC 7692 7.1.2); 0: anything else. */
static uint8_t extension_bits(const extension_parameter* parameter)
{
    const char* c = parameter->value;
    if (parameter->value_bytes == 1 && (c[0] == '8' || c[0] == '9')) return (uint8_t)(c[0] - '0');
    if (parameter->value_bytes == 2 && c[0] == '1' && c[1] >= '0' && c[1] <= '5') return (uint8_t)(10 + c[1] - '0');
    return 0;
}

/* False: unknown, doubled, or a value that it may not have. */
static bool extension_take_parameter(const extension_parameter* parameter, bool is_offer, extension_parameters* out)
{
    const extension_token* name = &parameter->name;
    bool* flag = NULL;
    if (extension_is(name, "server_no_context_takeover")) flag = &out->server_no_context;
    if (extension_is(name, "client_no_context_takeover")) flag = &out->client_no_context;
    if (flag) {
        bool valid = !*flag && !parameter->has_value;
        *flag = true;
        return valid;
    }
    uint8_t bits = extension_bits(parameter);
    if (extension_is(name, "server_max_window_bits")) {
        if (out->names_server_bits || !bits) return false;
        out->names_server_bits = true;
        out->server_bits = bits;
        return true;
    }
    if (extension_is(name, "client_max_window_bits")) {
        bool bare = is_offer && !parameter->has_value; /* "I can be told one" */
        if (out->names_client_bits || (!bits && !bare)) return false;
        out->names_client_bits = true;
        out->client_bits = bits;
        return true;
    }
    return false;
}

/* Reads the parameters of one extension. Returns false if they break the grammar; *out_valid: they are
 * permessage-deflate's. */
static bool extension_read_parameters(const char** at, bool is_offer, extension_parameters* out, bool* out_valid)
{
    extension_parameter parameter;
    extension_step step;
    memset(out, 0, sizeof *out);
    *out_valid = true;
    while ((step = extension_next_parameter(at, &parameter)) == EXTENSION_ONE) {
        if (!extension_take_parameter(&parameter, is_offer, out)) *out_valid = false;
    }
    return step == EXTENSION_END;
}

/* ---- the server's side ------------------------------------------------------------------------------------------ */

static uint8_t extension_least(unsigned a, unsigned b)
{
    return (uint8_t)(a < b ? a : b);
}

static void extension_agree(const extension_parameters* offer, const nn_extension_wish* wish,
                            nn_extension_deflate* agreed)
{
    unsigned send_most = offer->server_bits ? offer->server_bits : EXTENSION_BITS_MAX;
    unsigned receive_most = offer->client_bits ? offer->client_bits : EXTENSION_BITS_MAX;
    agreed->agreed = true;
    agreed->send_context = wish->send_context && !offer->server_no_context;
    agreed->send_bits = agreed->send_context ? extension_least(wish->send_bits, send_most) : (uint8_t)send_most;
    /* A window may be limited only where the client said so; else it is kept only if the largest is welcome. */
    bool limits = offer->names_client_bits;
    agreed->receive_context =
        wish->receive_context && !offer->client_no_context && (limits || wish->receive_bits == EXTENSION_BITS_MAX);
    agreed->receive_bits =
        agreed->receive_context ? extension_least(wish->receive_bits, receive_most) : (uint8_t)receive_most;
}

static void extension_write_answer(const extension_parameters* offer, const nn_extension_deflate* agreed, char* text)
{
    char server_bits[32] = "";
    char client_bits[32] = "";
    if (offer->names_server_bits || agreed->send_bits < EXTENSION_BITS_MAX) {
        (void)snprintf(server_bits, sizeof server_bits, "; server_max_window_bits=%u", (unsigned)agreed->send_bits);
    }
    if (offer->names_client_bits && agreed->receive_bits < EXTENSION_BITS_MAX) {
        (void)snprintf(client_bits, sizeof client_bits, "; client_max_window_bits=%u", (unsigned)agreed->receive_bits);
    }
    (void)snprintf(text, NN_EXTENSION_TEXT_BYTES_MAX, EXTENSION_DEFLATE "%s%s%s%s",
                   agreed->send_context ? "" : "; server_no_context_takeover",
                   agreed->receive_context ? "" : "; client_no_context_takeover", server_bits, client_bits);
}

NN_PRIVATE bool nn_extension_answer(const nn_http_head* head, const nn_extension_wish* wish,
                                    nn_extension_deflate* out_agreed, char* text)
{
    memset(out_agreed, 0, sizeof *out_agreed);
    text[0] = 0;
    for (int i = 0; i < head->header_count; i++) {
        if (!nn_http_name_equal(head->headers[i].name, EXTENSION_HEADER)) continue;
        const char* at = head->headers[i].value;
        extension_token name;
        extension_step step;
        while ((step = extension_next(&at, &name)) == EXTENSION_ONE) {
            extension_parameters offer;
            bool valid = false;
            if (!extension_read_parameters(&at, true, &offer, &valid)) return false;
            if (!wish || out_agreed->agreed || !valid || !extension_is(&name, EXTENSION_DEFLATE)) continue;
            extension_agree(&offer, wish, out_agreed);
            extension_write_answer(&offer, out_agreed, text);
        }
        if (step == EXTENSION_WRONG) return false;
    }
    return true;
}

/* ---- the client's side ------------------------------------------------------------------------------------------ */

/* With a window that the server keeps, this client limits it. */
static bool extension_asks_server_bits(const nn_extension_wish* wish)
{
    return wish->receive_context && wish->receive_bits < EXTENSION_BITS_MAX;
}

NN_PRIVATE void nn_extension_write_offer(const nn_extension_wish* wish, char* text)
{
    char server_bits[32] = "";
    if (extension_asks_server_bits(wish)) {
        (void)snprintf(server_bits, sizeof server_bits, "; server_max_window_bits=%u", (unsigned)wish->receive_bits);
    }
    (void)snprintf(text, NN_EXTENSION_TEXT_BYTES_MAX, EXTENSION_DEFLATE "; client_max_window_bits%s%s%s",
                   wish->send_context ? "" : "; client_no_context_takeover",
                   wish->receive_context ? "" : "; server_no_context_takeover", server_bits);
}

NN_PRIVATE bool nn_extension_check_answer(const nn_http_head* head, const nn_extension_wish* wish,
                                          nn_extension_deflate* out_agreed)
{
    int count = 0;
    extension_token name;
    extension_parameters answer;
    bool valid = false;
    memset(out_agreed, 0, sizeof *out_agreed);
    const char* at = nn_http_find(head, EXTENSION_HEADER, &count);
    if (!at) return true;
    if (!wish || count != 1) return false; /* RFC 6455 11.3.2: at most one in an answer */
    if (extension_next(&at, &name) != EXTENSION_ONE || !extension_is(&name, EXTENSION_DEFLATE)) return false;
    if (!extension_read_parameters(&at, false, &answer, &valid) || !valid) return false;
    if (extension_next(&at, &name) != EXTENSION_END) return false; /* one was offered */
    if (!wish->receive_context && !answer.server_no_context) return false;
    if (extension_asks_server_bits(wish) && (!answer.server_bits || answer.server_bits > wish->receive_bits)) {
        return false;
    }
    unsigned send_most = answer.client_bits ? answer.client_bits : EXTENSION_BITS_MAX;
    out_agreed->agreed = true;
    out_agreed->send_context = wish->send_context && !answer.client_no_context;
    out_agreed->send_bits = out_agreed->send_context ? extension_least(wish->send_bits, send_most) : (uint8_t)send_most;
    out_agreed->receive_context = !answer.server_no_context;
    out_agreed->receive_bits = answer.server_bits ? answer.server_bits : EXTENSION_BITS_MAX;
    return true;
}

/* nn_web_deflate - permessage-deflate on the connections of a web: who compresses with what, and within which limits.
 *
 * Without context all connections share the web's compressors and its one reader. With context a connection has its own,
 * made when the first message needs it.
 */
#include "nn_web_connection.h"

#define WEB_DEFLATE_SMALL_BITS 12     /* of the shared compressor for small messages: it is reset eight times faster */
#define WEB_DEFLATE_HISTORY_BYTES 262 /* of its window zlib keeps for itself (zlib's deflate.h, MIN_LOOKAHEAD) */
#define WEB_DEFLATE_KEEP_BYTES 65536  /* a larger buffer is given back after its message */
#define WEB_DEFLATE_BUFFER_BYTES 4096 /* the smallest buffer */
#define WEB_DEFLATE_GUESS 4           /* how much larger a message is than its wire bytes, to begin with */

/* ---- config and memory ------------------------------------------------------------------------------------------ */

NN_PRIVATE void nn_web_deflate_default(necpnet_web_deflate* deflate)
{
    memset(deflate, 0, sizeof *deflate);
    deflate->send_bits = 12;
    deflate->receive_bits = 12;
    deflate->level = 3;
    deflate->bytes_min = 128;
}

NN_PRIVATE necpnet_result nn_web_deflate_check(const necpnet_web_config* config)
{
    const necpnet_web_deflate* deflate = &config->deflate;
    const struct {
        const char* name;
        unsigned value, low, high;
    } ranges[] = {
        {"send_bits", deflate->send_bits, NN_DEFLATE_BITS_MIN, NN_DEFLATE_BITS_MAX},
        {"receive_bits", deflate->receive_bits, NN_DEFLATE_BITS_MIN, NN_DEFLATE_BITS_MAX},
        {"level", deflate->level, 1, 9},
    };
    for (size_t i = 0; i < NN_COUNT(ranges); i++) {
        if (ranges[i].value >= ranges[i].low && ranges[i].value <= ranges[i].high) continue;
        nn_log_write(&config->logger, NECPNET_LOG_ERROR, "web config: deflate.%s is %u, must be %u .. %u",
                     ranges[i].name, ranges[i].value, ranges[i].low, ranges[i].high);
        return NECPNET_ERR_BAD_CONFIG;
    }
    if (deflate->enabled && !nn_deflate_is_built()) {
        nn_log_write(&config->logger, NECPNET_LOG_ERROR, "web config: deflate needs a build with zlib");
        return NECPNET_ERR_UNSUPPORTED;
    }
    return NECPNET_OK;
}

NN_PRIVATE bool nn_web_deflate_wishes(const necpnet_web* web, bool is_session, nn_extension_wish* out_wish)
{
    const necpnet_web_deflate* deflate = &web->config.deflate;
    if (!web->deflate || (is_session && !deflate->sessions)) return false;
    out_wish->send_context = deflate->send_context;
    out_wish->receive_context = deflate->receive_context;
    out_wish->send_bits = deflate->send_bits;
    out_wish->receive_bits = deflate->receive_bits;
    return true;
}

static void deflate_give_buffer(nn_alloc* alloc, nn_web_buffer* buffer)
{
    nn_alloc_give(alloc, buffer->data, buffer->capacity);
    buffer->data = NULL;
    buffer->capacity = 0;
}

NN_PRIVATE void nn_web_deflate_destroy(necpnet_web* web)
{
    nn_web_deflate* deflate = web->deflate;
    if (!deflate) return;
    nn_deflater_destroy(deflate->small);
    for (size_t i = 0; i < NN_COUNT(deflate->large); i++) nn_deflater_destroy(deflate->large[i]);
    nn_inflater_destroy(deflate->inflater);
    deflate_give_buffer(web->alloc, &deflate->out);
    deflate_give_buffer(web->alloc, &deflate->in);
    nn_alloc_give(web->alloc, deflate, sizeof *deflate);
    web->deflate = NULL;
}

NN_PRIVATE void nn_web_deflate_end_connection(necpnet_web_connection* connection)
{
    nn_web_extra* extra = connection->extra;
    if (!extra) return;
    nn_deflater_destroy(extra->deflater);
    nn_inflater_destroy(extra->inflater);
    extra->deflater = NULL;
    extra->inflater = NULL;
}

/* Room for so many bytes; what was in it is kept. */
static bool deflate_reserve(nn_alloc* alloc, nn_web_buffer* buffer, size_t bytes)
{
    if (bytes <= buffer->capacity) return true;
    void* grown = nn_alloc_grow(alloc, buffer->data, buffer->capacity, bytes);
    if (!grown) return false;
    buffer->data = (uint8_t*)grown;
    buffer->capacity = bytes;
    return true;
}

/* ---- sending ---------------------------------------------------------------------------------------------------- */

/* zlib's hash tables as large as the window that they find matches in. */
static nn_deflater* deflate_make(necpnet_web* web, int bits)
{
    return nn_deflater_create(web->alloc, web->config.deflate.level, bits, bits - 7);
}

/* The compressor for a message of so many bytes; NULL without memory. */
static nn_deflater* deflate_choose(necpnet_web_connection* connection, size_t bytes)
{
    necpnet_web* web = connection->web;
    const nn_extension_deflate* agreed = &connection->extra->compression;
    nn_deflater** at = &connection->extra->deflater;
    int bits = agreed->send_bits;
    if (!agreed->send_context) {
        bool small =
            bits >= WEB_DEFLATE_SMALL_BITS && bytes <= (1u << WEB_DEFLATE_SMALL_BITS) - WEB_DEFLATE_HISTORY_BYTES;
        if (small) bits = WEB_DEFLATE_SMALL_BITS;
        at = small ? &web->deflate->small : &web->deflate->large[bits - NN_DEFLATE_BITS_MIN];
    }
    if (!*at) *at = deflate_make(web, bits);
    return *at;
}

NN_PRIVATE size_t nn_web_deflate_message(necpnet_web_connection* connection, const uint8_t* data, size_t bytes,
                                         const uint8_t** out)
{
    necpnet_web* web = connection->web;
    nn_web_deflate* deflate = web->deflate;
    const nn_extension_deflate* agreed = &connection->extra->compression;
    if (!agreed->agreed || agreed->send_bits < NN_DEFLATE_BITS_MIN) return 0;
    if (!bytes || bytes < web->config.deflate.bytes_min || bytes > UINT32_MAX) return 0;
    nn_deflater* deflater = deflate_choose(connection, bytes);
    size_t room = nn_max_size(bytes, WEB_DEFLATE_BUFFER_BYTES);
    if (!deflater || !deflate_reserve(web->alloc, &deflate->out, room)) return 0; /* then it goes out as it is */
    size_t written = nn_deflater_write(deflater, data, bytes, agreed->send_context, deflate->out.data, bytes);
    if (!written) return 0;
    deflate->totals.deflated_messages++;
    deflate->totals.deflated_bytes += bytes;
    deflate->totals.deflated_wire_bytes += written;
    *out = deflate->out.data;
    return written;
}

NN_PRIVATE void nn_web_deflate_sent(necpnet_web* web)
{
    if (web->deflate->out.capacity > WEB_DEFLATE_KEEP_BYTES) deflate_give_buffer(web->alloc, &web->deflate->out);
}

/* ---- receiving -------------------------------------------------------------------------------------------------- */

static nn_inflater* deflate_reader(necpnet_web_connection* connection)
{
    const nn_extension_deflate* agreed = &connection->extra->compression;
    bool own = agreed->receive_context;
    nn_inflater** at = own ? &connection->extra->inflater : &connection->web->deflate->inflater;
    if (!*at) *at = nn_inflater_create(connection->web->alloc, own ? agreed->receive_bits : NN_DEFLATE_BITS_MAX);
    return *at;
}

/* Read a message into the buffer. Returns 0, or the code to close with. */
static int deflate_read(necpnet_web_connection* connection, nn_inflater* inflater, nn_web_buffer* buffer,
                        const nn_websocket_item* item, size_t* out_bytes)
{
    nn_alloc* alloc = connection->web->alloc;
    size_t most = (size_t)connection->websocket.message_bytes_max + 1; /* one more tells that there is more */
    size_t bytes = 0;
    nn_inflater_begin(inflater, item->data, item->bytes, connection->extra->compression.receive_context);
    for (;;) {
        if (bytes == buffer->capacity) {
            size_t capacity = nn_max_size(buffer->capacity * 2, item->bytes * WEB_DEFLATE_GUESS);
            capacity = nn_min_size(nn_max_size(capacity, WEB_DEFLATE_BUFFER_BYTES), most);
            if (!deflate_reserve(alloc, buffer, capacity)) return NN_WEBSOCKET_CODE_INTERNAL;
        }
        size_t written = 0;
        size_t room = nn_min_size(buffer->capacity, most) - bytes;
        nn_inflate_kind kind = nn_inflater_read(inflater, buffer->data + bytes, room, &written);
        bytes += written;
        if (bytes == most) return NN_WEBSOCKET_CODE_TOO_LARGE;
        if (kind == NN_INFLATE_BAD) return NN_WEBSOCKET_CODE_BAD_DATA;
        if (kind == NN_INFLATE_MEMORY) return NN_WEBSOCKET_CODE_INTERNAL;
        if (kind == NN_INFLATE_WHOLE) break;
    }
    *out_bytes = bytes;
    return 0;
}

static const char* deflate_problem(int code)
{
    switch (code) {
    case NN_WEBSOCKET_CODE_TOO_LARGE: return "the message is larger than the limit when it is decompressed";
    case NN_WEBSOCKET_CODE_INTERNAL: return "no memory to decompress";
    default: return "a message that is not DEFLATE";
    }
}

NN_PRIVATE int nn_web_deflate_open_message(necpnet_web_connection* connection, nn_web_buffer* buffer,
                                           nn_websocket_item* item)
{
    nn_web_deflate* deflate = connection->web->deflate;
    nn_inflater* inflater = deflate_reader(connection);
    size_t bytes = 0;
    int code = 0;
    *buffer = deflate->in; /* a callback that comes here again takes another */
    deflate->in.data = NULL;
    deflate->in.capacity = 0;
    if (!inflater) {
        code = NN_WEBSOCKET_CODE_INTERNAL;
    } else if (item->bytes) { /* nothing at all: what some peers make of an empty message */
        code = deflate_read(connection, inflater, buffer, item, &bytes);
    }
    item->problem = deflate_problem(code);
    if (!code && item->opcode == NN_WEBSOCKET_TEXT && !nn_utf8_valid(buffer->data, bytes)) {
        code = NN_WEBSOCKET_CODE_BAD_DATA;
        item->problem = "a text that is not UTF-8";
    }
    if (code) {
        deflate->totals.inflate_failures++;
        return code;
    }
    deflate->totals.inflated_messages++;
    deflate->totals.inflated_bytes += bytes;
    deflate->totals.inflated_wire_bytes += item->bytes;
    item->data = buffer->data;
    item->bytes = bytes;
    return 0;
}

NN_PRIVATE void nn_web_deflate_close_message(necpnet_web* web, nn_web_buffer* buffer)
{
    nn_web_buffer* kept = &web->deflate->in;
    if (buffer->capacity > WEB_DEFLATE_KEEP_BYTES || kept->data) {
        deflate_give_buffer(web->alloc, buffer);
    } else {
        *kept = *buffer;
    }
}

/* ---- figures ---------------------------------------------------------------------------------------------------- */

NECPNET_API necpnet_result necpnet_web_get_statistics(const necpnet_web* web, necpnet_web_statistics* out_statistics)
{
    if (!web || !out_statistics) return NECPNET_ERR_INVALID_ARGUMENT;
    memset(out_statistics, 0, sizeof *out_statistics);
    if (web->deflate) *out_statistics = web->deflate->totals;
    out_statistics->connections = web->count;
    return NECPNET_OK;
}
